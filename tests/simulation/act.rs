//! What a peer can do on its connection, as a value: it may wait in a socket, is judged by the auditor, and prints as a
//! line of a transcript.
use crate::cluster::Cluster;
use bytes::Bytes;
use ringgear_engine::{Ask, CloseReason, Reply, SessionId, Work};
use ringgear_protocol::{GrabKind, Priority, Request, Submit};
use std::fmt;

/// A position in [`crate::swarm::Mix::functions`].
pub(crate) type Function = usize;

/// A submission as its client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Submission {
    pub(crate) function: Function,
    pub(crate) unique: Bytes,
    pub(crate) workload: Bytes,
    pub(crate) priority: Priority,
    pub(crate) background: bool,
    /// Seconds since 1970.
    pub(crate) epoch: Option<u64>,
    pub(crate) reducer: Option<Bytes>,
}

/// One thing that a peer sends.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    CanDo(Function),
    /// The time in milliseconds.
    CanDoTimeout(Function, u64),
    CantDo(Function),
    ResetAbilities,
    MassDo(Vec<Function>),
    SetClientId(Bytes),
    PreSleep,
    Grab(GrabKind),
    Submit(Submission),
    /// With the handle as sent.
    Work(Bytes, Work),
    GetStatus(Bytes),
    GetStatusUnique(Bytes),
    Echo(Bytes),
    Option(Bytes),
    Ask(Ask),
    /// A request whose answer the front end knows.
    Answer(Bytes),
    /// No more will be sent.
    Finish(CloseReason),
}

impl Act {
    /// Sends it.
    pub(crate) fn perform(&self, session: SessionId, names: &[Bytes], cluster: &mut Cluster) {
        match self {
            Act::Ask(ask) => cluster.query(session, ask.clone()),
            Act::Answer(text) => cluster.answer(session, Reply::Text(text.clone())),
            Act::Finish(reason) => cluster.finish(session, *reason),
            Act::CanDoTimeout(function, timeout) => {
                let timeout = timeout.to_string();
                let function = &names[*function];
                cluster.request(session, Request::CanDoTimeout { function, timeout: timeout.as_bytes() });
            }
            Act::MassDo(functions) => {
                // Each with a NUL behind it, so that the empty name can be told from none.
                let functions: Vec<u8> =
                    functions.iter().flat_map(|&f| [&names[f], &b"\0"[..]].concat()).collect();
                cluster.request(session, Request::MassDo { functions: &functions });
            }
            Act::Submit(submission) => submission.perform(session, names, cluster),
            Act::Work(handle, update) => cluster.request(session, work(handle, update)),
            plain => cluster.request(session, plain.request(names)),
        }
    }

    /// The requests that borrow nothing but from the act itself.
    fn request<'a>(&'a self, names: &'a [Bytes]) -> Request<'a> {
        match self {
            Act::CanDo(function) => Request::CanDo { function: &names[*function] },
            Act::CantDo(function) => Request::CantDo { function: &names[*function] },
            Act::ResetAbilities => Request::ResetAbilities,
            Act::SetClientId(id) => Request::SetClientId { id },
            Act::PreSleep => Request::PreSleep,
            Act::Grab(kind) => Request::Grab(*kind),
            Act::GetStatus(handle) => Request::GetStatus { handle },
            Act::GetStatusUnique(unique) => Request::GetStatusUnique { unique },
            Act::Echo(data) => Request::EchoReq { data },
            Act::Option(option) => Request::OptionReq { option },
            other => unreachable!("{other:?} is sent another way"),
        }
    }
}

impl Submission {
    fn perform(&self, session: SessionId, names: &[Bytes], cluster: &mut Cluster) {
        let epoch = self.epoch.map(|epoch| epoch.to_string());
        let submit = Submit {
            function: &names[self.function],
            unique: &self.unique,
            workload: &self.workload,
            priority: self.priority,
            background: self.background,
            epoch: epoch.as_ref().map(|epoch| epoch.as_bytes()),
            reducer: self.reducer.as_deref(),
        };
        cluster.request(session, Request::Submit(submit));
    }

    /// The packet's name.
    pub(crate) fn packet(&self) -> &'static str {
        match (self.epoch, &self.reducer, self.background, self.priority) {
            (Some(_), ..) => "SUBMIT_JOB_EPOCH",
            (_, Some(_), false, _) => "SUBMIT_REDUCE_JOB",
            (_, Some(_), true, _) => "SUBMIT_REDUCE_JOB_BACKGROUND",
            (.., false, Priority::High) => "SUBMIT_JOB_HIGH",
            (.., false, Priority::Normal) => "SUBMIT_JOB",
            (.., false, Priority::Low) => "SUBMIT_JOB_LOW",
            (.., true, Priority::High) => "SUBMIT_JOB_HIGH_BG",
            (.., true, Priority::Normal) => "SUBMIT_JOB_BG",
            (.., true, Priority::Low) => "SUBMIT_JOB_LOW_BG",
        }
    }
}

fn work<'a>(handle: &'a [u8], update: &'a Work) -> Request<'a> {
    match update {
        Work::Data(data) => Request::WorkData { handle, data },
        Work::Warning(data) => Request::WorkWarning { handle, data },
        Work::Status(numbers) => {
            let at = numbers.iter().position(|&byte| byte == 0).expect("a NUL between the numbers");
            let (numerator, denominator) = (&numbers[..at], &numbers[at + 1..]);
            Request::WorkStatus { handle, numerator, denominator }
        }
        Work::Complete(result) => Request::WorkComplete { handle, result },
        Work::Fail => Request::WorkFail { handle },
        Work::Exception(exception) => Request::WorkException { handle, exception },
    }
}

/// An act as a line of a transcript; functions are numbers where no names are at hand.
pub(crate) struct Shown<'a>(pub(crate) &'a Act, pub(crate) &'a [Bytes]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |function: &Function| self.1[*function].escape_ascii();
        match self.0 {
            Act::CanDo(function) => write!(f, "CAN_DO {}", name(function)),
            Act::CanDoTimeout(function, timeout) => write!(f, "CAN_DO_TIMEOUT {} {timeout}", name(function)),
            Act::CantDo(function) => write!(f, "CANT_DO {}", name(function)),
            Act::ResetAbilities => f.write_str("RESET_ABILITIES"),
            Act::MassDo(functions) => {
                f.write_str("MASS_DO")?;
                functions.iter().try_for_each(|function| write!(f, " {}", name(function)))
            }
            Act::SetClientId(id) => write!(f, "SET_CLIENT_ID {}", id.escape_ascii()),
            Act::PreSleep => f.write_str("PRE_SLEEP"),
            Act::Grab(GrabKind::Plain) => f.write_str("GRAB_JOB"),
            Act::Grab(GrabKind::Unique) => f.write_str("GRAB_JOB_UNIQ"),
            Act::Grab(GrabKind::All) => f.write_str("GRAB_JOB_ALL"),
            Act::Submit(s) => {
                write!(f, "{} {}", s.packet(), name(&s.function))?;
                write!(f, " \"{}\" \"{}\"", s.unique.escape_ascii(), s.workload.escape_ascii())?;
                s.epoch.iter().try_for_each(|epoch| write!(f, " at {epoch}"))
            }
            Act::Work(handle, update) => write!(f, "{}", ShownWork(handle, update)),
            Act::GetStatus(handle) => write!(f, "GET_STATUS {}", handle.escape_ascii()),
            Act::GetStatusUnique(unique) => write!(f, "GET_STATUS_UNIQUE {}", unique.escape_ascii()),
            Act::Echo(data) => write!(f, "ECHO_REQ \"{}\"", data.escape_ascii()),
            Act::Option(option) => write!(f, "OPTION_REQ {}", option.escape_ascii()),
            Act::Ask(Ask::Query(query)) => write!(f, "{query:?}"),
            Act::Ask(Ask::Order(order)) => write!(f, "{order:?}"),
            Act::Answer(text) => write!(f, "(answered by the front end: \"{}\")", text.escape_ascii()),
            Act::Finish(reason) => write!(f, "sends no more ({reason:?})"),
        }
    }
}

/// News of a job as a line of a transcript.
pub(crate) struct ShownWork<'a>(pub(crate) &'a [u8], pub(crate) &'a Work);

impl fmt::Display for ShownWork<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, payload): (_, &[u8]) = match self.1 {
            Work::Data(data) => ("WORK_DATA", data),
            Work::Warning(data) => ("WORK_WARNING", data),
            Work::Status(numbers) => ("WORK_STATUS", numbers),
            Work::Complete(result) => ("WORK_COMPLETE", result),
            Work::Fail => ("WORK_FAIL", b""),
            Work::Exception(exception) => ("WORK_EXCEPTION", exception),
        };
        write!(f, "{name} {} \"{}\"", self.0.escape_ascii(), payload.escape_ascii())
    }
}
