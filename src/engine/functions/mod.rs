//! The half of a shard that owns functions: their queues, their jobs, and the parties that care for them.
//! It turns a message into changes and answers; it knows sessions only by their ids.
//!
//! [`submit`] takes jobs in, [`assign`] gives them to workers, [`sleepers`] wakes these, [`work`] follows jobs to their end,
//! [`telling`] tells clients of them,
//! [`leave`] says what follows when somebody leaves, [`abandoned`] keeps what nobody wants out of the way, [`persist`] has
//! background jobs stored before they are answered, [`dead`] keeps those that are out of attempts, [`timers`] says what is due,
//! [`calendar`] says when jobs were accepted, [`chores`] does in pieces what is too much for one event, [`held`] counts bytes, [`admin`], [`drop`] and [`lists`] answer
//! administrators; [`check`] asserts that all of it fits together.
mod abandoned;
mod admin;
mod assign;
mod attachments;
mod calendar;
mod check;
mod chores;
mod dead;
mod drop;
mod extra;
mod function;
mod held;
mod holds;
mod job;
mod jobs;
mod leave;
mod lists;
mod party;
mod persist;
mod queue;
mod registrations;
mod restore;
mod slab;
mod sleepers;
mod submit;
mod tally;
mod telling;
mod timers;
mod unique;
mod work;

use crate::message::{JobsHeld, Message, ToFunctions, ToSessions};
use crate::outbox::Outbox;
use crate::policy::Policy;
use crate::slot::{JobId, SessionId, ShardId, Topology};
use crate::time::{Epoch, Instant, Now};
use abandoned::Stale;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use attachments::Attachments;
use calendar::Calendar;
use chores::{Chore, Chores};
use function::FunctionTable;
use holds::Holds;
use job::{FunctionIx, JobIx, JobState};
use jobs::Jobs;
use party::{Parties, PartyIx};
use persist::Puts;
use queue::Queue;
use ringgear_protocol::Priority;
use sleepers::Sleepers;
use timers::Timers;
use unique::{Filed, KeyHash, KeyHasher, Uniques};

/// The functions that one shard owns.
#[derive(Debug)]
pub(crate) struct Functions {
    shard: ShardId,
    topology: Topology,
    policy: Arc<Policy>,
    now: Now,
    /// When the jobs were accepted.
    calendar: Calendar,
    jobs: Jobs,
    functions: FunctionTable,
    parties: Parties,
    holds: Holds,
    attachments: Attachments,
    sleepers: Sleepers,
    stale: Stale,
    uniques: Uniques,
    keys: KeyHasher,
    timers: Timers,
    /// What the store was asked for and has not answered.
    puts: Puts,
    /// Dead jobs, the one that died first at the head.
    dead: Queue,
    /// The sequence of the next job.
    sequence: u64,
    /// The first sequence that no job gets.
    sequence_end: u64,
    /// What all jobs here take.
    held: JobsHeld,
    /// What the other shards were last told of that.
    held_told: JobsHeld,
    /// What each other shard last told.
    held_elsewhere: Vec<JobsHeld>,
    /// What is done in pieces.
    chores: Chores,
    /// What the updates take that clients of jobs are still to hear.
    telling_bytes: usize,
}

impl Functions {
    pub(crate) fn new(shard: ShardId, topology: Topology, policy: Arc<Policy>) -> Functions {
        Functions {
            shard,
            topology,
            now: Now { instant: Instant(0), epoch: Epoch(0) },
            calendar: Calendar::default(),
            jobs: Jobs::default(),
            functions: FunctionTable::new(&policy),
            parties: Parties::new(policy.hash_seed),
            holds: Holds::default(),
            attachments: Attachments::default(),
            sleepers: Sleepers::default(),
            stale: Stale::default(),
            uniques: Uniques::new(),
            keys: KeyHasher::new(&policy),
            timers: Timers::default(),
            puts: Puts::default(),
            dead: Queue::default(),
            sequence: 1,
            sequence_end: JobId::SEQUENCE_MAX + 1,
            held: JobsHeld::default(),
            held_told: JobsHeld::default(),
            held_elsewhere: vec![JobsHeld::default(); topology.owners().len()],
            chores: Chores::default(),
            telling_bytes: 0,
            policy,
        }
    }

    pub(crate) fn handle(&mut self, message: ToFunctions, out: &mut Outbox) {
        match message {
            ToFunctions::Submit(submission) => self.submit(submission, out),
            ToFunctions::Introduce { worker, name } => self.introduce(worker, name),
            ToFunctions::CanDo { worker, function, timeout_ms, turn, nap } => {
                self.can_do(worker, function, timeout_ms, turn, nap, out);
            }
            ToFunctions::CantDo { worker, function } => self.cant_do(worker, &function, out),
            ToFunctions::ResetAbilities { worker } => self.reset_abilities(worker, out),
            ToFunctions::Peek { worker, place } => self.peek(worker, place, out),
            ToFunctions::Take { worker, place, kind, turn } => self.take(worker, place, kind, turn, out),
            ToFunctions::Sleep { worker, nap } => self.sleep(worker, nap, out),
            ToFunctions::NotAsleep { worker, function, nap } => {
                self.not_asleep(worker, FunctionIx(function), nap, out);
            }
            ToFunctions::Work { worker, place, job, update } => self.work(worker, place, job, update, out),
            ToFunctions::GetStatus { from, place, job } => {
                let status = self.status(job);
                self.tell(from, ToSessions::Status { to: from, place, job, status }, out);
            }
            ToFunctions::Gone { session } => self.gone(session, out),
            ToFunctions::Ask { from, place, request } => self.ask(from, place, &request, out),
            ToFunctions::Held { shard, held } => self.held_elsewhere[shard.index()] = held,
            ToFunctions::MakeRoom { jobs, bytes } => self.chores.push(Chore::MakeRoom { jobs, bytes }),
        }
    }

    /// Sends a message to a session's home.
    fn tell(&self, to: SessionId, message: ToSessions, out: &mut Outbox) {
        out.send(to.shard(), Message::ToSessions(message));
    }

    /// Jobs now, without dead ones.
    pub(crate) fn count(&self) -> u64 {
        self.jobs.count() - u64::from(self.dead.len())
    }

    /// Length of the name of a job's function.
    fn function_len(&self, function: FunctionIx) -> usize {
        self.functions.get(function).name.len()
    }

    /// Puts a job into its queue; one that nobody wants stands apart.
    fn enqueue(&mut self, ix: JobIx) {
        if self.jobs.get(ix).ignored() {
            return self.abandon(ix);
        }
        let (function, priority) = (self.jobs.get(ix).function, self.jobs.get(ix).priority());
        self.functions.get_mut(function).queues[priority as usize].push(&mut self.jobs, ix);
        self.functions.note_ready(function, priority);
    }

    /// Takes a job out of its queue.
    fn unqueue(&mut self, ix: JobIx) {
        let (function, priority) = (self.jobs.get(ix).function, self.jobs.get(ix).priority());
        self.functions.get_mut(function).queues[priority as usize].remove(&mut self.jobs, ix);
        self.functions.note_ready(function, priority);
    }

    /// Ends a job for good, wherever it stands: it leaves queues, timers, indexes, counts and the store. Nobody is told.
    fn end(&mut self, ix: JobIx, out: &mut Outbox) {
        let (function, priority) = (self.jobs.get(ix).function, self.jobs.get(ix).priority());
        match self.jobs.get(ix).state() {
            JobState::Queued => self.unqueue(ix),
            JobState::Storing => self.functions.get_mut(function).aside[priority as usize] -= 1,
            JobState::Scheduled => self.unschedule(ix),
            JobState::Abandoned => self.leave_abandoned(ix),
            JobState::Running => drop(self.stop(ix)),
            JobState::Dead => self.exhume(ix, out),
            JobState::Over => unreachable!("a job ends once"),
        }
        self.unfile(ix);
        self.unstore(ix, out);
        if self.jobs.get(ix).is_joined_or_told() {
            if self.jobs.get(ix).is_being_told() {
                let job = self.leave_to_clients(ix, out);
                return self.count_bytes(-(job.bytes() as i64), out);
            }
            self.forget_clients(ix);
        }
        let job = self.jobs.remove(ix);
        if let Some(client) = job.first_client() {
            self.parties.get_mut(client).attached.leave();
        }
        self.count_bytes(-(job.bytes() as i64), out);
    }

    /// A running job runs no longer, as far as its holder, timers and counts go. Returns who held it.
    fn stop(&mut self, ix: JobIx) -> PartyIx {
        let job = self.jobs.get_mut(ix);
        let (function, (list, at)) = (job.function, job.hold().expect("a running job is held"));
        self.timers.disarm(job);
        self.functions.get_mut(function).running -= 1;
        self.holds.remove(list, at);
        self.holds.party(list)
    }

    /// What the index of uniques must know of the jobs in it.
    fn filed(&self) -> Filed<'_> {
        Filed { jobs: &self.jobs, functions: &self.functions, keys: &self.keys }
    }

    /// Files a job, whose key has this hash.
    #[inline(always)]
    fn file(&mut self, ix: JobIx, hash: KeyHash) {
        let Functions { jobs, functions, keys, uniques, .. } = self;
        let filed = Filed { jobs, functions, keys };
        let Some(key) = filed.key(ix).filter(|_| Uniques::holds(ix)) else { return };
        uniques.insert(filed, key, hash, ix);
        jobs.get_mut(ix).set_filed(true);
    }

    fn unfile(&mut self, ix: JobIx) {
        if !self.jobs.get(ix).filed() {
            return;
        }
        let Functions { jobs, functions, keys, uniques, .. } = self;
        let filed = Filed { jobs, functions, keys };
        uniques.remove(filed, filed.key(ix).expect("a filed job has a key"), ix);
        jobs.get_mut(ix).set_filed(false);
    }
}

/// Priorities, the most urgent first, whose bit is set.
fn priorities(ready: u8) -> impl Iterator<Item = Priority> {
    Priority::ALL.into_iter().filter(move |&priority| ready >> priority as u8 & 1 == 1)
}
