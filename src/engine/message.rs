//! Everything that one shard says to another. Values only, first in first out per ordered pair of shards.
//!
//! To an owner, a home shard looks like a set of clients and workers that know only the functions that this
//! owner has. Each request-like message gets exactly one answer, which carries the `place` of the request.
use crate::board::Pulse;
use crate::body::Body;
use crate::page::{PagePart, PageRequest};
use crate::slot::{JobId, SessionId, ShardId};
use crate::status::JobStatus;
use crate::time::Epoch;
use alloc::boxed::Box;
use bytes::Bytes;
use core::net::IpAddr;
use ringgear_protocol::{GrabKind, Priority, Refusal};

/// A message between shards, or between the two halves of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// To the half that owns functions.
    ToFunctions(ToFunctions),
    /// To the half that holds sessions.
    ToSessions(ToSessions),
}

/// The number of a request within its session: which answer is to stand where. Wraps.
pub type Place = u32;

/// A submission on its way to the owner of its function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Who asked.
    pub from: SessionId,
    /// Where the answer stands.
    pub place: Place,
    /// Length of the function's name, the first part of `body`.
    pub function_len: u16,
    /// Length of the unique, the second part of `body`; at most 64.
    pub unique_len: u8,
    /// How urgent.
    pub priority: Priority,
    /// Whether the submitter wants JOB_CREATED and nothing else.
    pub background: bool,
    /// Not before this time.
    pub epoch: Option<Epoch>,
    /// The reducer of a reduce job.
    pub reducer: Option<Box<[u8]>>,
    /// Function, NUL, unique, NUL, workload: as it stands in SUBMIT_JOB and in JOB_ASSIGN_UNIQ.
    pub body: Body,
}

/// What a worker says about a job that it runs, and what clients hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// WORK_DATA
    Data(Bytes),
    /// WORK_WARNING
    Warning(Bytes),
    /// WORK_STATUS: numerator, NUL, denominator, as sent.
    Status(Bytes),
    /// WORK_COMPLETE
    Complete(Bytes),
    /// WORK_FAIL
    Fail,
    /// WORK_EXCEPTION; becomes WORK_FAIL for clients without the exceptions option.
    Exception(Bytes),
}

impl Work {
    /// Whether nothing comes after it.
    pub fn is_final(&self) -> bool {
        matches!(self, Work::Complete(_) | Work::Fail | Work::Exception(_))
    }

    /// What a worker hears if it does not hold the job (gearmand 1.1.20; the texts differ).
    pub fn refusal(&self) -> Refusal {
        match self {
            Work::Data(_) | Work::Warning(_) => Refusal::UpdateForUnknownJob,
            Work::Status(_) | Work::Complete(_) | Work::Fail => Refusal::ResultForUnknownJob,
            Work::Exception(_) => Refusal::ExceptionForUnknownJob,
        }
    }

    /// Bytes that it carries.
    pub fn len(&self) -> usize {
        match self {
            Work::Data(b) | Work::Warning(b) | Work::Status(b) | Work::Complete(b) | Work::Exception(b) => {
                b.len()
            }
            Work::Fail => 0,
        }
    }

    /// Whether it carries no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The best job that an owner has for a worker. The least candidate of all owners is taken; see
/// [`crate::Policy::priority_first`] for which field counts first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The job's priority.
    pub priority: Priority,
    /// The turn of the registration that would take it: the least comes first.
    pub turn: i64,
}

/// What the jobs of one shard take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobsUsage {
    /// Bytes of the living ones.
    pub bytes: u64,
    /// How many are dead.
    pub dead: u64,
    /// Bytes of these.
    pub dead_bytes: u64,
    /// When the first of these died, if there are any.
    pub oldest: Option<Epoch>,
}

/// Who a worker is, for an administrator who asks what became of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerName {
    /// Where it connected from.
    pub address: IpAddr,
    /// And the port there.
    pub port: u16,
    /// From SET_CLIENT_ID; empty if there was none.
    pub id: Bytes,
}

/// A job on its way to the worker that grabbed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The job.
    pub job: JobId,
    /// Which packet the worker asked for.
    pub kind: GrabKind,
    /// Length of the function's name, the first part of `body`.
    pub function_len: u16,
    /// Length of the unique, the second part of `body`.
    pub unique_len: u8,
    /// Function, NUL, unique, NUL, workload.
    pub body: Bytes,
    /// The reducer of a reduce job.
    pub reducer: Option<Box<[u8]>>,
}

impl Assignment {
    /// The function's name.
    pub fn function(&self) -> &[u8] {
        &self.body[..usize::from(self.function_len)]
    }

    /// The unique.
    pub fn unique(&self) -> &[u8] {
        let start = usize::from(self.function_len) + 1;
        &self.body[start..start + usize::from(self.unique_len)]
    }

    /// The workload.
    pub fn workload(&self) -> &[u8] {
        &self.body[usize::from(self.function_len) + usize::from(self.unique_len) + 2..]
    }
}

/// To the owner of functions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToFunctions {
    /// A new job, or one to join. Answered `Created` or `Refused`.
    Submit(Submission),
    /// Who a worker is: comes before its first `CanDo`, and again when it calls itself otherwise.
    Introduce {
        /// Who.
        worker: SessionId,
        /// Its address and id.
        name: Box<WorkerName>,
        /// By which it is seen whether it sleeps; `None` where there is one engine only.
        pulse: Option<Pulse>,
    },
    /// The worker knows a function.
    CanDo {
        /// Who.
        worker: SessionId,
        /// The function's name.
        function: Bytes,
        /// Milliseconds a job may run; 0 is no limit.
        timeout_ms: u64,
        /// The registration's turn: the least comes first.
        turn: i64,
        /// The worker's nap, if it is asleep. It is not woken for jobs that wait already, as in gearmand, but for
        /// later ones.
        nap: Option<u32>,
    },
    /// The worker no longer knows a function.
    CantDo {
        /// Who.
        worker: SessionId,
        /// The function's name.
        function: Bytes,
    },
    /// The worker may not work on a function any more: it gets no more jobs of it, and finishes those that it has.
    StrikeOff {
        /// Who.
        worker: SessionId,
        /// The function's name.
        function: Bytes,
    },
    /// The worker no longer knows any function.
    ResetAbilities {
        /// Who.
        worker: SessionId,
    },
    /// What is the best job for the worker? Answered `Best`.
    Peek {
        /// Who.
        worker: SessionId,
        /// Where the answer stands.
        place: Place,
    },
    /// The worker takes the best job. Answered `Assigned` or `Nothing`.
    Take {
        /// Who.
        worker: SessionId,
        /// Where the answer stands.
        place: Place,
        /// Which packet it asked for.
        kind: GrabKind,
        /// The turn that the chosen registration gets, where functions take turns.
        turn: i64,
        /// The last turn that the chosen registration may have: of a later one nothing is given.
        within: i64,
    },
    /// The worker sleeps, unless there is a job for it; then the answer is `Wake` at once. Not said again of a worker that has got up and
    /// fallen asleep again meanwhile, as long as the owner was not asked for a job and nothing stands on the board.
    Sleep {
        /// Who.
        worker: SessionId,
        /// Counts the worker's PRE_SLEEPs, so that an old `Wake` is told from a new one.
        nap: u32,
    },
    /// A `Wake` found the worker no longer asleep: somebody else is to be woken.
    NotAsleep {
        /// Who.
        worker: SessionId,
        /// From the `Wake`.
        function: u32,
        /// From the `Wake`.
        nap: u32,
    },
    /// News of a running job. Answered `Heard` or `Refused`.
    Work {
        /// Who.
        worker: SessionId,
        /// Where the answer stands.
        place: Place,
        /// The job.
        job: JobId,
        /// The news.
        update: Work,
    },
    /// GET_STATUS. Answered `Status`.
    GetStatus {
        /// Who asked.
        from: SessionId,
        /// Where the answer stands.
        place: Place,
        /// The job.
        job: JobId,
        /// Its handle, if it was asked for by another than this server writes; empty otherwise.
        asked: Bytes,
    },
    /// The session is gone: its jobs go back, its attachments end.
    Gone {
        /// Who.
        session: SessionId,
    },
    /// An administrator asks, or gives an order. Answered `Answer`.
    Ask {
        /// Who asked.
        from: SessionId,
        /// Where the answer stands.
        place: Place,
        /// What.
        request: Box<PageRequest>,
    },
    /// What the jobs of the sending shard take now.
    Usage {
        /// Whose.
        shard: ShardId,
        /// How much.
        usage: JobsUsage,
    },
    /// A job has died, and this shard has those that have been dead longest: they make room, as long as a limit is
    /// exceeded.
    MakeRoom {
        /// So many of them.
        jobs: u64,
        /// So many of their bytes.
        bytes: u64,
    },
}

/// To the home of sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToSessions {
    /// The submission was accepted, or joined a job.
    Created {
        /// Who asked.
        to: SessionId,
        /// Where the answer stands.
        place: Place,
        /// The job.
        job: JobId,
    },
    /// The request is answered ERROR.
    Refused {
        /// Who asked.
        to: SessionId,
        /// Where the answer stands.
        place: Place,
        /// Why.
        refusal: Refusal,
    },
    /// News of a job was taken: there is nothing to say.
    Heard {
        /// Who told.
        to: SessionId,
        /// Where the answer would stand.
        place: Place,
    },
    /// Answer to `Peek`.
    Best {
        /// The worker.
        to: SessionId,
        /// Where the answer stands.
        place: Place,
        /// Who answers.
        from: ShardId,
        /// Its best job, if it has any.
        best: Option<Candidate>,
    },
    /// Answer to `Take`: a job.
    Assigned {
        /// The worker.
        to: SessionId,
        /// Where the answer stands.
        place: Place,
        /// The job.
        assignment: Assignment,
    },
    /// Answer to `Take`: no job.
    Nothing {
        /// The worker.
        to: SessionId,
        /// Where the answer stands.
        place: Place,
        /// Who answers.
        from: ShardId,
    },
    /// The function could not be registered: the owner has too many.
    Unregistered {
        /// Why not.
        refusal: Refusal,
        /// The worker.
        to: SessionId,
        /// The function's name.
        function: Bytes,
    },
    /// There is a job for the worker.
    Wake {
        /// The worker.
        to: SessionId,
        /// Who wakes.
        from: ShardId,
        /// The owner's number of the function, for `NotAsleep`.
        function: u32,
        /// The nap that ends.
        nap: u32,
    },
    /// The worker had got up elsewhere when it was looked for: it does not count as asleep any more before it says so again.
    StruckOff {
        /// The worker.
        to: SessionId,
        /// Who says so.
        from: ShardId,
        /// The nap that is over.
        nap: u32,
    },
    /// News of a job, for an attached client.
    Work {
        /// The client.
        to: SessionId,
        /// The job.
        job: JobId,
        /// The news.
        update: Work,
    },
    /// More of what workers say waits to be told to many clients than should: no more requests of this one are welcome until
    /// its part of that was told.
    Slow {
        /// The worker.
        to: SessionId,
        /// Whether this begins, or is over. It may begin several times.
        begins: bool,
    },
    /// Answer to `GetStatus`.
    Status {
        /// Who asked.
        to: SessionId,
        /// Where the answer stands.
        place: Place,
        /// The job asked for.
        job: JobId,
        /// Its state.
        status: JobStatus,
        /// Its handle, if it was asked for by another than this server writes; empty otherwise.
        asked: Bytes,
    },
    /// Half a shard's part of a report, or of a page of it.
    Answer {
        /// Who asked.
        to: SessionId,
        /// Where the answer stands.
        place: Place,
        /// The part.
        part: Box<PagePart>,
    },
    /// An administrator asks about sessions. Answered `Answer`.
    Ask {
        /// Who asked.
        from: SessionId,
        /// Where the answer stands.
        place: Place,
        /// What.
        request: Box<PageRequest>,
    },
}

impl Message {
    /// About how many bytes the message takes while it waits.
    pub fn weight(&self) -> usize {
        let held = match self {
            Message::ToFunctions(ToFunctions::Submit(submission)) => submission.body.len(),
            Message::ToFunctions(ToFunctions::Work { update, .. })
            | Message::ToSessions(ToSessions::Work { update, .. }) => update.len(),
            Message::ToFunctions(ToFunctions::GetStatus { asked, .. })
            | Message::ToSessions(ToSessions::Status { asked, .. }) => asked.len(),
            Message::ToSessions(ToSessions::Assigned { assignment, .. }) => assignment.body.len(),
            Message::ToSessions(ToSessions::Answer { part, .. }) => part.report.weight(),
            _ => 0,
        };
        size_of::<Message>() + held
    }
}
