//! The job server as a synchronous, deterministic state machine: no clock, socket, file, thread, log or random id.
//!
//! Events go in through [`Engine::handle`], one at a time, each with the time. When it returns, the engine is quiet;
//! what it wants done is drained from [`Engine::output`] and, for other shards, [`Engine::take_messages`].
#![no_std]
extern crate alloc;

mod body;
mod counters;
mod engine;
pub mod event;
mod functions;
pub mod message;
mod number;
mod outbox;
pub mod page;
pub mod persist;
pub mod policy;
pub mod report;
mod sessions;
pub mod slot;
pub mod time;

pub use body::{Body, SHARED_MIN};
pub use engine::Engine;
pub use event::{CloseReason, Event, Held, Input, Introduction, Note, Output, Reply, Urgency};
pub use message::{Assignment, Candidate, Message, Submission, ToFunctions, ToSessions, Work, WorkerName};
pub use persist::{Death, DeathReason, MORE_MAX, NotRestored, StoreOp, StoreSeq, StoredJob};
pub use policy::{Compat, Planted, Policy, TimeoutUnit, Wakeup};
pub use report::{Query, Report};
pub use slot::{HandlePrefix, JobHandle, JobId, Peer, SessionId, ShardId, Topology};
pub use time::{Epoch, Instant, Now};
