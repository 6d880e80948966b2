//! What the shell has to know of a request before the engine hears of it, said by the request itself. How bytes become
//! requests is in `gear.rs` and `text.rs`.
use super::port::Incoming;
use crate::engine::slot::Slot;
use crate::engine::{Ask, Query};
use crate::protocol::{Refusal, Request, mass_do_functions};

/// What has to do with what a peer said. By it the shell decides where a connection lives, and what waits until stored jobs
/// are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concern {
    /// The connection itself, no function and no job.
    Connection,
    /// The function of this slot.
    Function(Slot),
    /// More than one function, or what cannot be told from the bytes alone.
    Everything,
}

impl Incoming<'_> {
    /// What it has to do with.
    pub fn concern(&self) -> Concern {
        let Incoming::Request(request) = self else { return Concern::Everything };
        match request {
            Request::SetClientId { .. } | Request::OptionReq { .. } | Request::EchoReq { .. } => {
                Concern::Connection
            }
            Request::Submit(submit) => Concern::Function(Slot::of(submit.function)),
            Request::CanDo { function } | Request::CanDoTimeout { function, .. } => {
                Concern::Function(Slot::of(function))
            }
            Request::MassDo { functions } => match mass_do_functions(functions).next() {
                Some(function) => Concern::Function(Slot::of(function)),
                None => Concern::Connection,
            },
            _ => Concern::Everything,
        }
    }

    /// Whether the peer waits from now on for a result, which comes later than the answer: see [`crate::engine::Reply::ends_a_wait`].
    #[inline]
    pub fn begins_a_wait(&self) -> bool {
        matches!(self, Incoming::Request(Request::Submit(submit)) if !submit.background)
    }

    /// Whether the answer tells counters: what was counted elsewhere is to be added before.
    #[inline]
    pub fn reads_counters(&self) -> bool {
        matches!(self, Incoming::Ask(Ask::Query(Query::Counters)))
    }

    /// Why the front end refuses it, if it does.
    #[inline]
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Incoming::Answer(reply) => reply.refusal(),
            Incoming::Request(_) | Incoming::Ask(_) | Incoming::Servers | Incoming::Acl { .. } => None,
        }
    }
}
