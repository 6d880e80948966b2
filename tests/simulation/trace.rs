//! What happened in a world: a number that stands for all of it, and, when asked for, the last events as a
//! transcript in Gearman's words.
use crate::act::ShownWork;
use crate::number;
use crate::workload::handle;
use bytes::Bytes;
use ringgear_engine::{Output, Reply, SessionId};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;

/// Lines that are kept, if `SIM_LINES` does not say otherwise.
const LINES_MAX: usize = 40;

/// Characters of a line that are kept.
const WIDTH_MAX: usize = 200;

/// See the top of the file.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: Hash,
    /// Only if somebody is to read them.
    lines: Option<VecDeque<String>>,
    lines_max: usize,
    names: BTreeMap<SessionId, String>,
}

/// FNV-1a, so that it means the same everywhere; whatever can be printed can be hashed.
#[derive(Clone, Copy, Debug)]
struct Hash(u64);

impl fmt::Write for Hash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Ok(())
    }
}

impl Trace {
    pub(crate) fn new(readable: bool) -> Trace {
        Trace {
            hash: Hash(0xcbf2_9ce4_8422_2325),
            lines: readable.then(VecDeque::new),
            lines_max: number("SIM_LINES").map_or(LINES_MAX, |lines| lines as usize),
            names: BTreeMap::new(),
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash.0
    }

    pub(crate) fn lines(&self) -> impl Iterator<Item = &String> {
        self.lines.iter().flatten()
    }

    /// A session gets a name, such as `w3`.
    pub(crate) fn name(&mut self, session: SessionId, name: String) {
        self.names.insert(session, name);
    }

    /// The name of a session, and its shard.
    pub(crate) fn called(&self, session: SessionId) -> String {
        let name = self.names.get(&session).map_or("?", String::as_str);
        format!("{name}@{}", session.shard().0)
    }

    /// Something to read, and to be counted.
    pub(crate) fn note(&mut self, number: u64, text: impl FnOnce(&Trace) -> String) {
        self.mix(number);
        if self.lines.is_none() {
            return;
        }
        let mut text = text(self);
        if text.chars().count() > WIDTH_MAX {
            text = text.chars().take(WIDTH_MAX).chain(" ...".chars()).collect();
        }
        if let Some(lines) = &mut self.lines {
            if lines.len() == self.lines_max {
                lines.pop_front();
            }
            lines.push_back(text);
        }
    }

    pub(crate) fn output(&mut self, output: &Output) {
        fmt::Write::write_fmt(&mut self.hash, format_args!("{output:?}")).expect("hashing never fails");
        self.note(0, |trace| match output {
            Output::Reply(session, reply) => format!("{} < {}", trace.called(*session), Shown(reply)),
            Output::Close(session) => format!("{} is closed", trace.called(*session)),
            Output::Dismiss(session) => format!("{} is to be closed", trace.called(*session)),
            Output::Holds(session, held) => format!("{} holds {held:?}", trace.called(*session)),
            Output::Pause(session) => format!("{} is paused", trace.called(*session)),
            Output::Resume(session) => format!("{} is resumed", trace.called(*session)),
            Output::WantsRoom(session) => format!("{} wants room", trace.called(*session)),
            Output::Note(note) => format!("log: {note:?}"),
            Output::Store(op) => format!("for the store: {op:?}"),
        });
    }

    fn mix(&mut self, number: u64) {
        self.hash.0 = (self.hash.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// A reply as a line of a transcript.
struct Shown<'a>(&'a Reply);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &Bytes| bytes.escape_ascii().to_string();
        match self.0 {
            Reply::JobCreated(job) => write!(f, "JOB_CREATED {}", text(&handle(*job))),
            Reply::Noop => f.write_str("NOOP"),
            Reply::NoJob => f.write_str("NO_JOB"),
            Reply::Assigned(a) => {
                write!(f, "JOB_ASSIGN {} {}", text(&handle(a.job)), a.function().escape_ascii())?;
                write!(f, " \"{}\" \"{}\"", a.unique().escape_ascii(), a.workload().escape_ascii())
            }
            Reply::Work(job, work) => write!(f, "{}", ShownWork(&handle(*job), work)),
            Reply::Status(job, status) => {
                let (known, running) = (u8::from(status.known), u8::from(status.running));
                write!(f, "STATUS_RES {} {known} {running}", text(&handle(*job)))?;
                write!(f, " {} {}", status.numerator, status.denominator)
            }
            Reply::StatusAs(status) => {
                let (handle, status) = &**status;
                let (known, running) = (u8::from(status.known), u8::from(status.running));
                write!(f, "STATUS_RES {} {known} {running}", text(handle))?;
                write!(f, " {} {}", status.numerator, status.denominator)
            }
            Reply::StatusUnknown(handle) => write!(f, "STATUS_RES {} 0 0 0 0", text(handle)),
            Reply::Echo(data) => write!(f, "ECHO_RES \"{}\"", text(data)),
            Reply::Option(option) => write!(f, "OPTION_RES {}", text(option)),
            Reply::Error(refusal) => write!(f, "ERROR {} {}", refusal.code(), refusal.text()),
            Reply::Text(said) => write!(f, "\"{}\"", text(said)),
            Reply::Report(report) | Reply::Rows(report) => write!(f, "{:?}", report.1),
        }
    }
}
