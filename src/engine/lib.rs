//! The job server as a synchronous, deterministic state machine: no clock, socket, file, thread, log or random id.
//!
//! [`Engine`] tells how it is used, with an example. [`event`] has what goes in and comes out, [`message`] what engines say to each other,
//! [`query`] and [`report`] what administrators ask and hear, [`page`] how long answers come in pages, [`persist`] what a store keeps,
//! [`policy`] what an operator chooses; [`access`] what sessions may do; [`slot`] says who is where, and [`time`] when; what engines see of each
//! other without messages stands on the [`Board`].
#![no_std]
extern crate alloc;

pub mod access;
mod board;
mod body;
mod counters;
mod engine;
pub mod event;
mod facts;
mod functions;
pub mod message;
mod number;
mod outbox;
pub mod outline;
pub mod page;
pub mod persist;
pub mod policy;
pub mod query;
pub mod report;
mod sessions;
pub mod slot;
pub mod stats;
mod status;
mod subject;
mod sync;
pub mod time;

pub use access::{Grants, Right, Rights};
pub use board::{Board, Pulse};
pub use body::{Body, SHARED_MIN};
pub use engine::{Engine, JobsToKeep};
pub use event::{CloseReason, Event, Input, Introduction, Note, Output, Reply, SessionHolds, Urgency};
pub use message::{Assignment, Candidate, Message, Submission, ToFunctions, ToSessions, Work, WorkerName};
pub use persist::{Death, DeathReason, MORE_MAX, NotRestored, StoreOp, StoreSeq, StoredJob};
pub use policy::{Compat, Planted, Policy, TimeoutUnit, Wakeup};
pub use query::{Ask, BatchAction, BatchOrder, BatchState, JobsWanted, Order, Query};
pub use report::Report;
pub use slot::{HandlePrefix, JobHandle, JobId, Peer, SessionId, ShardId, Topology};
pub use subject::{CertificateNames, LocalUser, Subject};
pub use time::{Epoch, Instant, Now};
