//! The half of a shard that owns functions: their queues, their jobs, and the parties that care for them.
//! It turns a message into changes and answers; it knows sessions only by their ids.
//!
//! Nouns, which know nothing of [`Functions`], are below: [`index`], [`job`], [`standing`], [`function`], [`party`], [`holds`], [`timers`],
//! [`chores`] and others. What is done with them is above, in files that add to [`Functions`]:
//!
//! [`submit`] takes jobs in, [`assign`] gives them to workers as far as [`gate`] lets it, [`wake`] wakes these, [`work`] follows jobs to their end,
//! [`tell`] tells clients of them, [`moves`] has a job stand elsewhere, [`leave`] says what follows when somebody leaves, [`strike`] when somebody may not work on a function any more,
//! [`abandoned`] keeps what nobody wants out of the way, [`storing`] has background jobs stored before they are answered,
//! [`restore`] brings them back, [`lease`] says until when they may be given out, [`fence`] forgets those that are another server's, [`pause`] holds functions back, [`dead`] keeps those that are out of attempts, [`numbers`] tells of functions, workers and jobs, [`outline`] of very many functions together, [`due`] does what is due, [`steps`] does in
//! pieces what is too much for one event, [`count`] counts bytes, [`admin`], [`batch`], [`drop`] and [`lists`] answer administrators;
//! [`check`] asserts that all of it fits together.
mod abandoned;
mod admin;
mod assign;
mod attachments;
mod batch;
mod calendar;
mod check;
mod chores;
mod count;
mod dead;
mod drop;
mod due;
mod extra;
mod fence;
mod function;
mod gate;
mod holds;
mod index;
mod job;
mod jobs;
mod lease;
mod leave;
mod lists;
mod looks;
mod moves;
mod numbers;
mod outline;
mod party;
mod pause;
mod pauses;
mod puts;
mod queue;
mod registration;
mod registrations;
mod restore;
mod sequences;
mod slab;
mod sleepers;
mod stale;
mod standing;
mod steps;
mod storing;
mod strike;
mod submit;
mod tally;
mod tell;
mod telling;
mod tenure;
mod timers;
mod unique;
mod usage;
mod wake;
mod work;

use crate::board::Board;
use crate::message::{Message, ToFunctions, ToSessions};
use crate::outbox::Outbox;
use crate::policy::Policy;
use crate::slot::{JobId, SessionId, ShardId, Topology};
use crate::time::{Epoch, Instant, Now};
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use attachments::Attachments;
use calendar::Calendar;
use chores::{Chore, Chores};
use function::FunctionTable;
use holds::Holds;
use index::{FunctionIx, JobIx};
use jobs::Jobs;

use party::Parties;
use puts::Puts;
use queue::Queue;
use sequences::Sequences;
use sleepers::Sleepers;
use stale::Stale;
use tenure::Tenure;
use timers::Timers;
use unique::{Filed, KeyHash, KeyHasher, Uniques};
use usage::Usages;

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
    /// The same by number, for lists: each function has its own besides.
    dead_in_order: BTreeSet<JobId>,
    /// The sequences of the next jobs.
    numbers: Sequences,
    /// Whether the stored jobs are this server's to give out.
    tenure: Tenure,
    /// What all jobs take, here and elsewhere.
    usages: Usages,
    /// What is done in pieces.
    chores: Chores,
    /// What the updates take that clients of jobs are still to hear.
    telling_bytes: usize,
}

impl Functions {
    pub(crate) fn new(shard: ShardId, board: Board, policy: Arc<Policy>) -> Functions {
        let topology = board.topology();
        Functions {
            shard,
            topology,
            now: Now { instant: Instant(0), epoch: Epoch(0) },
            calendar: Calendar::default(),
            jobs: Jobs::default(),
            functions: FunctionTable::new(shard, &policy, board),
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
            dead_in_order: BTreeSet::new(),
            numbers: Sequences::new(policy.shared, policy.spare_from),
            tenure: Tenure::default(),
            usages: Usages::new(topology.owners().len()),
            chores: Chores::default(),
            telling_bytes: 0,
            policy,
        }
    }

    pub(crate) fn handle(&mut self, message: ToFunctions, out: &mut Outbox) {
        match message {
            ToFunctions::Submit(submission) => self.submit(submission, out),
            ToFunctions::Introduce { worker, name, pulse } => self.introduce(worker, name, pulse),
            ToFunctions::CanDo { worker, function, timeout_ms, turn, nap } => {
                self.can_do(worker, function, timeout_ms, turn, nap, out);
            }
            ToFunctions::CantDo { worker, function } => self.cant_do(worker, &function, out),
            ToFunctions::StrikeOff { worker, function } => self.strike_off(worker, &function, out),
            ToFunctions::ResetAbilities { worker } => self.reset_abilities(worker, out),
            ToFunctions::Peek { worker, place } => self.peek(worker, place, out),
            ToFunctions::Take { worker, place, kind, turn, within } => {
                self.take(worker, (place, kind), turn, within, out);
            }
            ToFunctions::Sleep { worker, nap } => self.sleep(worker, nap, out),
            ToFunctions::NotAsleep { worker, function, nap } => {
                self.not_asleep(worker, FunctionIx(function), nap, out);
            }
            ToFunctions::Work { worker, place, job, update } => self.work(worker, place, job, update, out),
            ToFunctions::GetStatus { from, place, job, asked } => {
                let status = self.status(job);
                self.tell(from, ToSessions::Status { to: from, place, job, status, asked }, out);
            }
            ToFunctions::Gone { session } => self.gone(session, out),
            ToFunctions::Ask { from, place, request } => self.ask(from, place, &request, out),
            ToFunctions::Usage { shard, usage } => self.usages.note(shard, usage),
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
