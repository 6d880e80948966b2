//! What the auditor knows of a session: what it sent and hears next.
use super::job::{Moment, SubId};
use crate::act::{Act, Function};
use bytes::Bytes;
use ringgear_engine::{Ask, JobId, Reply};
use ringgear_protocol::{GrabKind, Refusal};
use std::collections::VecDeque;
use std::net::IpAddr;

/// How a result that a worker sent is to be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It holds the job: taken, in silence.
    Taken,
    /// It has just finished the job: swallowed, in silence.
    Swallowed,
    /// It does not hold the job: ERROR.
    Refused,
    /// It cannot be told from outside.
    Open,
}

/// A request that is answered, or may be.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    Submit(SubId),
    /// A unique of more than 64 bytes.
    TooLong,
    /// With the functions that it knows, in the order in which they are looked at, and their time limits in
    /// milliseconds; whether no other grab or the like was under way.
    Grab {
        kind: GrabKind,
        order: Vec<(Function, u64)>,
        alone: bool,
    },
    /// With the position of the update in the attempt, if it may be the holder's.
    Work {
        job: Option<JobId>,
        update: Option<(usize, usize)>,
        refusal: Refusal,
        verdict: Verdict,
    },
    /// A registration beyond the limit.
    TooManyAbilities,
    Status(Bytes),
    Echo(Bytes),
    Option(Bytes),
    Ask(Ask),
    Answer(Bytes),
}

impl Asked {
    /// Whether there may be no answer.
    pub(crate) fn may_be_silent(&self) -> bool {
        matches!(self, Asked::Work { verdict, .. } if *verdict != Verdict::Refused)
    }

    /// Whether a reply can be the answer.
    pub(crate) fn fits(&self, reply: &Reply) -> bool {
        match (self, reply) {
            (Asked::Submit(_), Reply::JobCreated(_)) => true,
            (Asked::Submit(_), Reply::Error(refusal)) => {
                matches!(refusal, Refusal::QueueFull | Refusal::QueuedBytesFull | Refusal::StoreFailed)
            }
            (Asked::TooLong, Reply::Error(Refusal::UniqueTooLarge)) => true,
            (Asked::Grab { .. }, Reply::Assigned(_) | Reply::NoJob) => true,
            (Asked::Work { refusal, verdict, .. }, Reply::Error(error)) => {
                matches!(verdict, Verdict::Refused | Verdict::Open) && refusal == error
            }
            (Asked::TooManyAbilities, Reply::Error(Refusal::TooManyAbilities)) => true,
            (Asked::Status(_), Reply::Status(..) | Reply::StatusUnknown(_)) => true,
            (Asked::Echo(data), Reply::Echo(echo)) => data == echo,
            (Asked::Option(option), Reply::Option(known)) => option == known,
            (Asked::Option(option), Reply::Error(Refusal::UnknownOption)) => !is_exceptions(option),
            (Asked::Ask(ask), Reply::Report(report)) => report.0 == *ask,
            (Asked::Answer(text), Reply::Text(said)) => text == said,
            _ => false,
        }
    }
}

/// The one option that there is.
pub(crate) fn is_exceptions(option: &[u8]) -> bool {
    option.eq_ignore_ascii_case(b"exceptions")
}

/// A request, and when it was handed in.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) at: Moment,
    pub(crate) asked: Asked,
}

/// A registration.
#[derive(Clone, Debug)]
pub(crate) struct Ability {
    pub(crate) function: Function,
    /// Milliseconds; 0 is no limit.
    pub(crate) timeout: u64,
    pub(crate) at: Moment,
}

/// Whether a session wants WORK_EXCEPTION.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exceptions {
    Off,
    /// Its OPTION_REQ is not answered yet.
    Either,
    On,
}

/// A session.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) descriptor: u32,
    pub(crate) address: IpAddr,
    /// Sent, and not handed in yet.
    pub(crate) unread: VecDeque<Act>,
    /// In the order sent.
    pub(crate) pending: VecDeque<Pending>,
    /// All registrations, newest first, as `workers` lists them.
    pub(crate) abilities: Vec<Ability>,
    /// The functions of these in the order in which a grab looks at them.
    pub(crate) order: Vec<Function>,
    /// Functions that it has registered more than once: their order is nobody's promise.
    pub(crate) repeated: u32,
    /// When it gave up which functions, as a set.
    pub(crate) unlearned: Vec<(Moment, u32)>,
    pub(crate) exceptions: Exceptions,
    pub(crate) client_id: Bytes,
    /// The PRE_SLEEP since which it sleeps, as far as it knows.
    pub(crate) nap: Option<Moment>,
    /// PRE_SLEEPs that may be answered NOOP.
    pub(crate) naps: VecDeque<Moment>,
    /// It said PRE_SLEEP several times, and NOOP came while it had no answer to something: whether that was for the last of
    /// them cannot be told.
    pub(crate) drowsy: bool,
    /// The functions that it knew when it was sent NOOP, if it has not come since, without those that it gave up.
    pub(crate) coming: u32,
    /// Jobs that it finished, the last one at the back.
    pub(crate) finished: Vec<JobId>,
    /// It has sent everything.
    pub(crate) finishing: bool,
}

impl Peer {
    pub(crate) fn new(descriptor: u32, address: IpAddr, exceptions: bool) -> Peer {
        Peer {
            descriptor,
            address,
            unread: VecDeque::new(),
            pending: VecDeque::new(),
            abilities: Vec::new(),
            order: Vec::new(),
            repeated: 0,
            unlearned: Vec::new(),
            exceptions: if exceptions { Exceptions::On } else { Exceptions::Off },
            client_id: Bytes::from_static(b"-"),
            nap: None,
            naps: VecDeque::new(),
            drowsy: false,
            coming: 0,
            finished: Vec::new(),
            finishing: false,
        }
    }

    /// The functions that it knows, as a set.
    pub(crate) fn functions(&self) -> u32 {
        self.abilities.iter().fold(0, |set, ability| set | bit(ability.function))
    }

    /// The newest registration of a function.
    pub(crate) fn ability(&self, function: Function) -> Option<&Ability> {
        self.abilities.iter().find(|ability| ability.function == function)
    }

    pub(crate) fn learn(&mut self, function: Function, timeout: u64, at: Moment) {
        if self.order.contains(&function) {
            self.repeated |= bit(function);
            self.order.retain(|&other| other != function);
        }
        self.order.insert(0, function);
        self.abilities.insert(0, Ability { function, timeout, at });
    }

    pub(crate) fn unlearn(&mut self, set: u32, at: Moment) {
        self.unlearned.push((at, set));
        self.order.retain(|&function| set & bit(function) == 0);
        self.abilities.retain(|ability| set & bit(ability.function) == 0);
        self.repeated &= !set;
        self.coming &= !set;
    }

    /// Whether it has given up the function since.
    pub(crate) fn unlearned_since(&self, function: Function, since: Moment) -> bool {
        self.unlearned.iter().any(|&(at, set)| at > since && set & bit(function) != 0)
    }
}

/// A function as a member of a set.
pub(crate) fn bit(function: Function) -> u32 {
    1 << function
}
