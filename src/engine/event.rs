//! What goes into the engine and what comes out. Values; nothing here decides.
use crate::access::{Right, Rights};
use crate::message::{Assignment, Message, Work};
use crate::page::ListMark;
use crate::persist::{StoreOp, StoreSeq};
use crate::query::{Ask, Query};
use crate::report::Report;
use crate::slot::{JobId, Peer, SessionId, ShardId};
use crate::status::JobStatus;
use crate::time::Instant;
use alloc::boxed::Box;
use bytes::Bytes;
use core::net::IpAddr;
use core::ops::Range;
use ringgear_protocol::{Refusal, Request};

/// What a session has said of itself before it had to do with any function: what it takes along to another shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Introduction {
    /// From SET_CLIENT_ID; empty if there was none.
    pub client_id: Bytes,
    /// Whether it wants WORK_EXCEPTION.
    pub exceptions: bool,
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The peer closed or reset it.
    Peer,
    /// The peer sent bytes that are not Gearman's.
    Malformed,
    /// The peer did not read what it had asked for.
    SlowReader,
    /// Connections hold too many bytes, and it held the most.
    Debtor,
    /// An operator wanted it so.
    Dismissed,
}

/// Something that the shell counts but that only the engine reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A connection was refused because there are too many.
    ConnectionRefused,
    /// A TLS handshake failed or took too long.
    HandshakeFailed,
    /// A connection is left unread for a while, because connections hold too much and it holds the most.
    DebtorUnread,
    /// Accepting stopped for want of descriptors.
    OutOfDescriptors,
    /// A packet was refused for its size.
    PacketTooLarge,
    /// The store has made a commit: one write, one sync or one transaction.
    Commit,
    /// A job of the store was not restored, and stays there.
    SetAside,
    /// The store has made itself whole again, or given up a piece of itself.
    StoreRepaired,
    /// The store has lost a job that is not in memory either.
    StoredJobLost,
    /// So many lines of the log were dropped for want of room.
    LogLinesDropped(u64),
    /// So many lines of the log were withheld because they repeat others.
    LogLinesWithheld(u64),
}

/// What happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// A connection was accepted. The id is new.
    Opened(SessionId, Peer),
    /// A connection came from another shard, whose engine has let go of it. The id is new.
    Adopted(SessionId, Peer, Introduction),
    /// From now on a session may do this; before the first such input everything. What it has registered and may not work on any more is
    /// struck off before its next request, jobs that it has are finished. Harmless if it is forgotten.
    Rights(SessionId, Rights),
    /// A request arrived. Not while the session is paused.
    Request(SessionId, Request<'a>),
    /// A large request arrived, of which the payload is shared instead of copied. It is all of these bytes, its header
    /// included. Not while the session is paused.
    Large(SessionId, Request<'a>, &'a Bytes),
    /// An administrator's question or order arrived. Not while the session is paused.
    Ask(SessionId, Ask),
    /// The same, for a list that is to begin behind a place; with a place of another list it may begin anywhere.
    AskBehind(SessionId, Box<(Query, ListMark)>),
    /// A request arrived to which the front end knows the answer: it takes its turn among the replies. Not while
    /// the session is paused.
    Answer(SessionId, Reply),
    /// The same, where a right is needed to hear the answer; a line of an administrator.
    AnswerIf(SessionId, Right, Reply),
    /// No more requests will come: answer those that did, then close. For a half-closed connection and for
    /// one whose peer sent what cannot be parsed.
    Finish(SessionId, CloseReason),
    /// The connection is gone; nothing can be sent. Harmless if the session is already forgotten.
    Closed(SessionId, CloseReason),
    /// A message from another shard.
    Message(ShardId, Message),
    /// The store has kept everything that this shard wanted kept up to here, as durably as it was asked to.
    Stored(StoreSeq),
    /// The store has not kept, and will not keep, what this shard wanted kept up to here and was not answered yet. Behind
    /// a `Stored` of the number before, it refuses a single put.
    StoreFailed(StoreSeq),
    /// The store has not kept this put of a job, because it has another job with this function and unique, which lives: whoever
    /// submitted it in the background has joined that one; for those who came later another put is asked for. Behind a `Stored` of
    /// the number before, or all up to this one that were
    /// not answered yet count as not kept. The store is told nothing of the end of the job that was put.
    StoredElsewhere(StoreSeq, JobId),
    /// Stored jobs may be given to workers until then, and from then on not any more: foreground jobs go on. Each such
    /// input is the latest; before the first there is no limit. While it is over, no stored job is joined either.
    Lease(Instant),
    /// Another server has taken over all that this shard had stored or wanted stored. It is forgotten, in pieces: until
    /// [`crate::Engine::is_forgetting`] says no more, no stored job is taken over, background submissions are refused, and no
    /// stored job is given out. The lease is over; there is to be a new one. Waiting puts are refused; answers to
    /// them that still come are harmless. What runs is finished, and the store hears nothing of its end.
    Fenced,
    /// This server leaves the stored jobs that wait on this shard to others, as it is about to end. They are forgotten in pieces, as after
    /// [`Input::Fenced`]; what runs and what clients wait for stays. When [`crate::Engine::is_forgetting`] says no more,
    /// [`crate::Engine::take_kept`] says what that is. Until others have the rest in the store, nothing new must be stored: see
    /// [`Input::StoreAway`], which comes before this.
    HandOver,
    /// New jobs may have these sequences ([`JobId::sequence`]), when those that were handed in before are used up.
    Numbers(Range<u64>),
    /// There is room for what this session is to be told, see [`Output::WantsRoom`]. Harmless if it is forgotten.
    Room(SessionId),
    /// The store cannot read these jobs any more, of which this shard owns the slots: they are to be put again. Those that
    /// are not there are answered [`crate::StoreOp::Unknown`]. Work by the job: the caller asks for few at a time.
    PutAgain(&'a [JobId]),
    /// Whether so much waits for the store that nothing more should be put there: background submissions that would need
    /// it are refused, everything else goes on. Before the first such input there is room.
    StoreFull(bool),
    /// Whether what is stored is not known yet, since the store cannot be reached or is still being read: background submissions are
    /// refused, and foreground jobs get spare sequences ([`JobId::SPARE_MIN`]). Before the first such input it is known.
    StoreAway(bool),
    /// Something for the counters.
    Count(Event),
    /// Time has passed: whatever is due happens.
    Tick,
}

/// What a session is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// JOB_CREATED
    JobCreated(JobId),
    /// NOOP
    Noop,
    /// NO_JOB
    NoJob,
    /// JOB_ASSIGN and its kin
    Assigned(Box<Assignment>),
    /// WORK_*
    Work(JobId, Work),
    /// STATUS_RES
    Status(JobId, JobStatus),
    /// STATUS_RES for a handle as asked, which this server would write otherwise.
    StatusAs(Box<(Bytes, JobStatus)>),
    /// STATUS_RES for a handle that is none of ours: the handle as asked, all zeros.
    StatusUnknown(Bytes),
    /// ECHO_RES
    Echo(Bytes),
    /// OPTION_RES
    Option(Bytes),
    /// ERROR
    Error(Refusal),
    /// Text that the front end made.
    Text(Bytes),
    /// The answer to what was asked, or the last page of it, to be rendered by the front end that asked.
    Report(Box<(Ask, Report)>),
    /// A page of the answer to what was asked; more follow, and nothing else comes between.
    Rows(Box<(Ask, Report)>),
}

/// How soon a reply must leave. Where a shard has more to do than it can, replies that may wait leave together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// At once: somebody's work stands still without it.
    Now,
    /// At once, unless the peer waits for several results: then it has something else to do.
    WithoutOthers,
    /// With whatever comes next.
    Later,
}

impl Reply {
    /// How soon it must leave.
    #[inline]
    pub fn urgency(&self) -> Urgency {
        match self {
            Reply::JobCreated(_) => Urgency::WithoutOthers,
            Reply::Work(..) => Urgency::Later,
            _ => Urgency::Now,
        }
    }

    /// Whether the peer waits for one result less from now on. An estimate, good enough to say whether others are worth
    /// waiting for: an error most likely refuses a submission.
    #[inline]
    pub fn ends_a_wait(&self) -> bool {
        match self {
            Reply::Work(_, work) => work.is_final(),
            Reply::Error(_) => true,
            _ => false,
        }
    }

    /// Why a request is refused, if this says so.
    #[inline]
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Reply::Error(refusal) => Some(*refusal),
            _ => None,
        }
    }

    /// About how many bytes it holds besides itself.
    pub fn weight(&self) -> usize {
        match self {
            Reply::Assigned(assignment) => size_of::<Assignment>() + assignment.body.len(),
            Reply::Work(_, update) => update.len(),
            Reply::StatusAs(status) => status.0.len() + size_of::<(Bytes, JobStatus)>(),
            Reply::StatusUnknown(bytes) | Reply::Echo(bytes) | Reply::Option(bytes) | Reply::Text(bytes) => {
                bytes.len()
            }
            _ => 0,
        }
    }
}

/// Bytes that the engine holds for a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionHolds {
    /// Replies that wait for earlier ones: the peer has not read them.
    pub unread: usize,
    /// Everything else: what a worker has registered.
    pub other: usize,
}

/// Something for the log of the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A submission was accepted (only with [`crate::Policy::note_accepted`]).
    Accepted {
        /// The function's name.
        function: Bytes,
        /// The unique.
        unique: Bytes,
        /// The earliest run time in seconds; 0 is at once.
        epoch: u64,
    },
    /// The time of a pause is over: the function goes on.
    PauseEnded {
        /// The function's name.
        function: Bytes,
    },
    /// A job failed because its attempts were used up.
    OutOfAttempts {
        /// The job.
        job: JobId,
        /// Its unique.
        unique: Bytes,
        /// Whether it is kept as a dead job: only background jobs are.
        kept: bool,
    },
    /// A dead job was dropped because there are too many, or too many bytes.
    DeadJobDropped {
        /// The job.
        job: JobId,
        /// Its unique.
        unique: Bytes,
    },
    /// All jobs of a function that was dropped (`drop function`) have ended. Not told of a function without jobs.
    FunctionDropped {
        /// The function's name.
        function: Bytes,
        /// Jobs that stood in its queues, or waited for the store.
        queued: u64,
        /// Jobs that waited for their time.
        scheduled: u64,
        /// Dead jobs.
        dead: u64,
    },
    /// A function was not dropped (`drop function`), because it is in use. The answer on the wire does not say by whom.
    FunctionKept {
        /// The function's name.
        function: Bytes,
        /// Registrations of workers that know it.
        workers: u32,
        /// Jobs of it that run.
        running: u32,
    },
    /// A job went back to its queue because its worker took too long.
    TimedOut {
        /// The job.
        job: JobId,
        /// Its unique.
        unique: Bytes,
        /// The worker's address.
        address: IpAddr,
        /// The worker's id; empty without.
        worker: Bytes,
    },
    /// A request was refused for want of a right ([`Input::Rights`]).
    Denied {
        /// Whose.
        session: SessionId,
        /// What it would have needed.
        right: Right,
        /// The function that it is about; empty if it is about none, or nobody knows.
        function: Bytes,
    },
    /// Registrations of a worker have ended, since it may not work on these functions any more.
    StruckOff {
        /// The worker.
        session: SessionId,
        /// The first of the functions.
        function: Bytes,
        /// How many registrations.
        registrations: u32,
    },
    /// A worker wants a time limit below a second, which becomes a second: it may mean seconds.
    ShortTimeout {
        /// The worker.
        session: SessionId,
        /// The function's name.
        function: Bytes,
        /// The number of CAN_DO_TIMEOUT, in milliseconds.
        milliseconds: u64,
    },
}

/// What is to be done. In order; replies of one session leave in the order of their outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Something is to be stored; only with [`crate::Policy::store`].
    Store(StoreOp),
    /// Send this.
    Reply(SessionId, Reply),
    /// Send what is waiting, then close the connection. The engine has forgotten the session.
    Close(SessionId),
    /// Close the connection, whatever waits: an operator wants it so. The engine hears of that as of any other that is lost, with
    /// [`CloseReason::Dismissed`].
    Dismiss(SessionId),
    /// Give the engine no more requests of this session for now: too many wait for answers, or a grab is under
    /// way at several owners.
    Pause(SessionId),
    /// Requests of this session are welcome again.
    Resume(SessionId),
    /// The engine holds so many bytes for the session now. Told when it makes a difference.
    Holds(SessionId, SessionHolds),
    /// A page of a report can be fetched for this session, which is paused meanwhile: [`Input::Room`] is wanted as soon as
    /// not much waits to be sent to it.
    WantsRoom(SessionId),
    /// Log this. Apart, since it is rare and larger than all others.
    Note(Box<Note>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_waits_for_may_leave_later_and_what_a_worker_waits_for_not() {
        let id = JobId::new(1, crate::slot::Slot::of(b"f"));
        let says = |reply: Reply| (reply.urgency(), reply.ends_a_wait(), reply.refusal());
        assert_eq!(says(Reply::JobCreated(id)), (Urgency::WithoutOthers, false, None));
        assert_eq!(says(Reply::Work(id, Work::Data(Bytes::new()))), (Urgency::Later, false, None));
        assert_eq!(says(Reply::Work(id, Work::Fail)), (Urgency::Later, true, None));
        assert_eq!(says(Reply::NoJob), (Urgency::Now, false, None));
        let refusal = Refusal::PacketTooLarge;
        assert_eq!(says(Reply::Error(refusal)), (Urgency::Now, true, Some(refusal)));
    }

    /// Each is moved several times on its way.
    #[test]
    fn what_each_event_moves_is_small() {
        assert_eq!(size_of::<Reply>(), 48);
        assert_eq!(size_of::<Output>(), 56);
        assert_eq!(size_of::<Message>(), 80);
    }
}
