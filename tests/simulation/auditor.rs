//! Watches only what peers send and what they are told, in order, and asserts the promises of the job server. It
//! knows nothing of shards, messages and queues: what is sent takes effect at some moment between being handed in and
//! being answered, or the next time that all is quiet, and only what follows from that is asserted.
//!
//! `job.rs` and `peer.rs` hold what is known; `reply.rs`, `submit.rs`, `grab.rs`, `work.rs`, `sleep.rs`, `report.rs`,
//! `order.rs` and `durable.rs` keep it and assert one chapter each; `quiet.rs` asserts what must be true when nothing is under way.
mod durable;
mod grab;
mod job;
mod numbers;
mod order;
mod pause;
mod peer;
mod quiet;
mod reply;
mod report;
mod sleep;
mod submit;
mod work;

use crate::act::{Act, Function, Submission};
use bytes::Bytes;
use job::{Job, Key, Moment, Stamp, SubId};
use pause::PauseModel;
use peer::{Asked, Exceptions, Peer, Pending, bit, is_exceptions};
use ringgear_engine::{Instant, JobId, Note, Now, Output, Policy, Query, SessionId};
use ringgear_protocol::{HANDLE_MAX, UNIQUE_MAX};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Asserts a rule and counts that it was put to the test.
macro_rules! audit {
    ($auditor:expr, $rule:expr, $holds:expr, $($text:tt)+) => {{
        $auditor.coverage.borrow_mut().entry($rule).and_modify(|count| *count += 1).or_insert(1_u64);
        if !$holds {
            panic!("[{}] {}", $rule, format_args!($($text)+));
        }
    }};
}
use audit;

/// How often each rule was put to the test.
pub(crate) type Coverage = BTreeMap<&'static str, u64>;

/// A submission and what became of it.
#[derive(Debug)]
struct Sub {
    session: SessionId,
    at: Moment,
    instant: Instant,
    what: Submission,
    key: Option<Key>,
    job: Option<JobId>,
}

/// A grab that is not answered.
#[derive(Clone, Copy, Debug)]
struct OpenGrab {
    session: SessionId,
    at: Moment,
    instant: Instant,
    /// The functions that it looks at, and those of them with a time limit.
    functions: u32,
    limited: u32,
    /// It got this job, as it turned out, and its time is up already.
    timed_out: Option<JobId>,
}

/// What the operator's log said of a job that nobody had heard of.
#[derive(Clone, Copy, Debug)]
enum EarlyNote {
    TimedOut,
    OutOfAttempts { kept: bool },
}

/// What is known of a function.
#[derive(Clone, Debug)]
struct FunctionModel {
    /// Whether the job server knows it; `None` if that is open.
    exists: Option<bool>,
    /// When it was used first, if it did not exist before.
    used: Moment,
    /// The limits of `maxqueue`, and since when they are surely in force; `None` if they are open.
    limits: Option<([u32; 3], Moment)>,
    /// All limits that were ever set.
    limits_ever: Vec<[u32; 3]>,
    /// Orders that change limits and are not answered, and the last moment at which there were several, or at which
    /// somebody left before the answer.
    orders: u32,
    confused: Moment,
    /// Orders to drop it that may yet be carried out.
    drops: u32,
    /// It may have been dropped since the start: what is counted of it may have begun again.
    begun_again: bool,
    pause: PauseModel,
}

impl FunctionModel {
    /// Nobody has used it, and its limits are those of the start.
    fn fresh(at: Moment) -> FunctionModel {
        FunctionModel {
            exists: Some(false),
            used: at,
            limits: Some(([0; 3], at)),
            limits_ever: Vec::new(),
            orders: 0,
            confused: at,
            drops: 0,
            begun_again: false,
            pause: PauseModel::default(),
        }
    }
}

/// What was seen at the edges and is counted by the job server, too.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    opened: u64,
    /// NOOPs.
    noops: u64,
    /// Sessions that left, which may have been on the point of being told something.
    left: u64,
    /// Submissions that were answered JOB_CREATED, and notes of accepted ones.
    created: u64,
    accepted: u64,
    /// Notes of time-outs and of attempts used up.
    timed_out: u64,
    out_of_attempts: u64,
    /// Jobs that ended with their function, as the log says.
    dropped: u64,
    /// ERRORs of a failing store.
    unstored: u64,
    /// ERRORs for full queues, too many bytes, too many registrations, results of no job.
    queue_full: u64,
    queued_bytes: u64,
    abilities: u64,
    unknown: u64,
    /// Submissions and results of sessions that left before the answer.
    orphans: u64,
}

/// See the top of the file.
pub(crate) struct Auditor {
    policy: Policy,
    names: Vec<Bytes>,
    now: Now,
    moment: Moment,
    /// Moments at which nothing was under way.
    quiets: Vec<Stamp>,
    /// What the wall clock showed from which moment on, in milliseconds.
    walls: Vec<(Moment, u64)>,
    peers: BTreeMap<SessionId, Peer>,
    subs: Vec<Sub>,
    /// Submissions that are not answered, and those whose session left before the answer.
    open_subs: BTreeSet<SubId>,
    orphans: BTreeSet<SubId>,
    jobs: BTreeMap<JobId, Job>,
    /// Jobs that may not have ended, or had not when all was last quiet.
    alive: BTreeSet<JobId>,
    grabs: Vec<OpenGrab>,
    /// Grabs of sessions that left, or gave up functions, before the answer; until all is quiet.
    ghosts: Vec<OpenGrab>,
    /// Which update a payload belongs to; none of the holder's if `None`.
    payloads: BTreeMap<Bytes, Option<(JobId, usize, usize)>>,
    early_notes: BTreeMap<JobId, Vec<EarlyNote>>,
    functions: Vec<FunctionModel>,
    /// When the last grab was handed in.
    grabbed: Moment,
    /// The last moment at which something happened that may make a grab at several owners choose again.
    disturbed: Moment,
    /// The last moment at which somebody else than the observer did something, or time passed.
    changed: Moment,
    /// The session that asks when all is quiet.
    observer: Option<SessionId>,
    /// Who slept when all was last quiet, with the nap and the functions.
    sleepers: Vec<(SessionId, Moment, u32)>,
    /// The functions of each worker that was sent NOOP since.
    woken: Vec<u32>,
    tally: Tally,
    /// Cancel orders that may not have ended a job: it ran, or had ended, or was cancelled twice.
    odd_cancels: u64,
    shards: u16,
    /// Jobs that the store had at some time.
    ever_kept: BTreeSet<JobId>,
    /// When a shard was told last that a batch has failed.
    failed_at: Moment,
    /// Whether there is room for more at the store, on all shards, and when there was not.
    full: bool,
    full_at: Moment,
    /// Submissions that waited for a store that hangs, and since when at the latest.
    storing: BTreeMap<SubId, Instant>,
    /// Functions and uniques of single puts that were refused, and when.
    refused: Vec<(Moment, Function, Bytes)>,
    /// Submissions refused because of that, and when they were told. Their jobs may have had other friends.
    unstored: BTreeMap<SubId, Moment>,
    /// Dead jobs that were dropped.
    dropped: BTreeSet<JobId>,
    /// When the server started last.
    started: Moment,
    /// Jobs that were known before the last start.
    jobs_before: usize,
    coverage: RefCell<Coverage>,
}

impl Auditor {
    pub(crate) fn new(policy: Policy, names: Vec<Bytes>, shards: u16, now: Now) -> Auditor {
        Auditor {
            policy,
            functions: vec![FunctionModel::fresh(0); names.len()],
            names,
            now,
            moment: 0,
            quiets: vec![(0, now.instant)],
            walls: vec![(0, now.epoch.0)],
            peers: BTreeMap::new(),
            subs: Vec::new(),
            open_subs: BTreeSet::new(),
            orphans: BTreeSet::new(),
            jobs: BTreeMap::new(),
            alive: BTreeSet::new(),
            grabs: Vec::new(),
            ghosts: Vec::new(),
            payloads: BTreeMap::new(),
            early_notes: BTreeMap::new(),
            grabbed: 0,
            disturbed: 0,
            changed: 0,
            observer: None,
            sleepers: Vec::new(),
            woken: Vec::new(),
            tally: Tally::default(),
            odd_cancels: 0,
            shards,
            ever_kept: BTreeSet::new(),
            failed_at: 0,
            full: false,
            full_at: 0,
            storing: BTreeMap::new(),
            refused: Vec::new(),
            unstored: BTreeMap::new(),
            dropped: BTreeSet::new(),
            started: 0,
            jobs_before: 0,
            coverage: RefCell::default(),
        }
    }

    pub(crate) fn coverage(&self) -> Coverage {
        self.coverage.borrow().clone()
    }

    /// This session does nothing but ask.
    pub(crate) fn set_observer(&mut self, session: SessionId) {
        self.observer = Some(session);
    }

    // What happens.

    pub(crate) fn opened(&mut self, session: SessionId, descriptor: u32, address: IpAddr) {
        self.step(Some(session));
        self.tally.opened += 1;
        self.peers.insert(session, Peer::new(descriptor, address, self.policy.exceptions));
    }

    /// Both clocks, whenever they move.
    pub(crate) fn time(&mut self, now: Now) {
        if now == self.now {
            return;
        }
        self.step(None);
        if now.epoch != self.now.epoch {
            self.walls.push((self.moment, now.epoch.0));
        }
        if now.epoch < self.now.epoch {
            self.clock_set_back(now.epoch.0);
        }
        self.now = now;
    }

    /// The peer sent it; the engine may not have it yet.
    pub(crate) fn sent(&mut self, session: SessionId, act: Act) {
        if let Some(peer) = self.peers.get_mut(&session) {
            peer.unread.push_back(act);
        }
    }

    /// The engine was given the oldest thing that the session had sent.
    pub(crate) fn handed_in(&mut self, session: SessionId) {
        self.step(Some(session));
        let at = self.moment;
        let peer =
            self.peers.get_mut(&session).expect("the engine is given nothing of a session that is gone");
        let act = peer.unread.pop_front().expect("it was sent before");
        if peer.finishing {
            // Nothing counts after what ends the session.
            return;
        }
        self.is_welcome(session);
        let peer = self.peers.get_mut(&session).expect("it is there");
        match act {
            Act::CanDo(function) => self.can_do(session, function, 0),
            Act::CanDoTimeout(function, timeout) => {
                // gearmand raises lower ones.
                self.can_do(session, function, if timeout == 0 { 0 } else { timeout.max(1000) });
            }
            Act::CantDo(function) => self.unlearn(session, bit(function)),
            Act::ResetAbilities => self.unlearn(session, u32::MAX),
            Act::MassDo(functions) if functions.len() > self.policy.abilities as usize => {
                self.ask(session, Asked::TooManyAbilities);
            }
            Act::MassDo(functions) => {
                self.unlearn(session, u32::MAX);
                functions.into_iter().for_each(|function| self.can_do(session, function, 0));
            }
            Act::SetClientId(id) => peer.client_id = id,
            Act::PreSleep => {
                (peer.nap, peer.coming) = (Some(at), 0);
                peer.naps.push_back(at);
            }
            Act::Grab(kind) => self.grab(session, kind),
            Act::Submit(what) => self.submit(session, what),
            Act::Work(handle, update) => self.work(session, &handle, update),
            Act::GetStatus(handle) if handle.len() > HANDLE_MAX => peer.finishing = true,
            Act::GetStatus(handle) => self.ask(session, Asked::Status(handle)),
            Act::GetStatusUnique(unique) => self.asks(session, Query::UniqueStatus { unique }.into()),
            Act::Echo(data) => self.ask(session, Asked::Echo(data)),
            Act::Option(option) => {
                if is_exceptions(&option) && peer.exceptions == Exceptions::Off {
                    peer.exceptions = Exceptions::Either;
                }
                self.ask(session, Asked::Option(option));
            }
            Act::Ask(ask) => self.asks(session, ask),
            Act::Answer(text) => self.ask(session, Asked::Answer(text)),
            Act::Finish(_) => peer.finishing = true,
        }
    }

    /// Requests are taken only while not too many wait for their answers.
    fn is_welcome(&self, session: SessionId) {
        let pending = self.peers[&session].pending.iter();
        let waiting = pending.filter(|pending| !pending.asked.may_be_silent()).count();
        let few = waiting < self.policy.requests_in_flight as usize;
        audit!(self, "only so many requests wait for answers", few, "{session:?}: {waiting}");
    }

    /// The peer is about to close the connection.
    pub(crate) fn closed(&mut self, session: SessionId) {
        self.step(Some(session));
        self.left(session);
    }

    pub(crate) fn output(&mut self, output: &Output) {
        self.moment += 1;
        match output {
            Output::Reply(session, reply) => self.reply(*session, reply),
            Output::Close(session) => {
                let peer = self.peers.get(session);
                let sound = peer.is_some_and(|peer| {
                    peer.finishing && peer.pending.iter().all(|pending| pending.asked.may_be_silent())
                });
                audit!(self, "closed after the last answer", sound, "{session:?} is closed: {peer:?}");
                while let Some(pending) = self.peers.get_mut(session).and_then(|p| p.pending.pop_front()) {
                    self.met_with_silence(pending.asked);
                }
                self.left(*session);
            }
            Output::Pause(_)
            | Output::Resume(_)
            | Output::WantsRoom(_)
            | Output::Dismiss(_)
            | Output::Holds(..) => {}
            Output::Note(note) => match &**note {
                Note::Accepted { .. } => self.tally.accepted += 1,
                Note::TimedOut { job, .. } => self.timed_out(*job),
                Note::OutOfAttempts { job, kept, .. } => {
                    self.tally.out_of_attempts += 1;
                    self.out_of_attempts(*job, *kept);
                }
                Note::DeadJobDropped { job, .. } => self.dead_dropped(*job),
                Note::FunctionDropped { function, queued, scheduled, dead } => {
                    self.function_dropped(function, [*queued, *scheduled, *dead]);
                }
                Note::FunctionKept { workers, running, .. } => {
                    audit!(self, "what is not used is dropped", workers + running > 0, "{note:?}");
                }
                Note::ShortTimeout { .. } | Note::PauseEnded { .. } => {}
                // Everybody may do everything here; what is denied is the matter of `rights.rs`.
                Note::Denied { .. } | Note::StruckOff { .. } => {
                    panic!("[nobody is denied anything] {note:?}")
                }
            },
            Output::Store(_) => {}
        }
    }

    // Helpers of all chapters.

    /// Something happens. `by` is none where it is time.
    fn step(&mut self, by: Option<SessionId>) {
        self.moment += 1;
        if by.is_none() || by != self.observer {
            self.changed = self.moment;
        }
    }

    fn ask(&mut self, session: SessionId, asked: Asked) {
        let at = self.moment;
        let peer = self.peers.get_mut(&session).expect("whoever asks is there");
        peer.pending.push_back(Pending { at, asked });
    }

    fn stamp(&self) -> Stamp {
        (self.moment, self.now.instant)
    }

    /// The first quiet moment at or after another.
    fn quiet_after(&self, moment: Moment) -> Option<Stamp> {
        let at = self.quiets.partition_point(|&(quiet, _)| quiet < moment);
        self.quiets.get(at).copied()
    }

    fn function(&self, name: &[u8]) -> Option<Function> {
        self.names.iter().position(|other| other == name)
    }

    fn too_long(what: &Submission) -> bool {
        what.unique.len() > UNIQUE_MAX || what.reducer.as_ref().is_some_and(|reducer| reducer.len() > 64)
    }
}
