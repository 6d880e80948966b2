//! Dead jobs: background jobs out of attempts. They are kept to be looked at, put back or cancelled, apart from queues,
//! from the index of uniques and from every count of jobs; so many on all shards together, the latest.
use super::Functions;
use super::chores::Chore;
use super::extra::CauseOfDeath;
use super::index::JobIx;
use super::standing::Standing;
use crate::event::{Note, Output};
use crate::message::{Message, ToFunctions};
use crate::outbox::Outbox;
use crate::persist::{DeathReason, StoreOp};
use crate::policy::Planted;
use crate::report::Report;
use crate::time::Epoch;
use alloc::boxed::Box;

impl Functions {
    /// Whether a job that is out of attempts is kept: the limits have room for it, if for nothing else.
    pub(super) fn may_be_kept(&self, ix: JobIx) -> bool {
        self.policy.dead_jobs > 0 && self.jobs.get(ix).bytes() <= self.policy.dead_bytes
    }

    /// A running job is out of attempts, and is kept. Who waited for it has been told.
    #[cold]
    pub(super) fn keep_dead(&mut self, ix: JobIx, reason: DeathReason, out: &mut Outbox) {
        let holder = self.stop(ix);
        self.unfile(ix);
        let ix = self.part_from_clients(ix, out);
        let party = self.parties.get(holder);
        let name = party.name.as_ref().expect("a worker was introduced before it could do anything");
        let death =
            CauseOfDeath { reason, at: self.now.epoch, address: name.address, worker: name.id.clone() };
        let job = self.jobs.get_mut(ix);
        let extra = job.extra();
        (extra.numerator, extra.denominator) = (0, 0);
        extra.death = Some(Box::new(death));
        self.charge(ix, out);
        if self.policy.store {
            if self.policy.plants(Planted::DoneBeforePut) {
                out.outputs.push_back(Output::Store(StoreOp::Done { id: self.jobs.get(ix).id }));
            }
            self.put(ix, out);
        }
        self.add_to_dead(ix, out);
        self.have_room_made(ix, out);
    }

    /// Lists a job as dead. At the start none has to go, however many there are.
    #[cold]
    pub(super) fn add_to_dead(&mut self, ix: JobIx, out: &mut Outbox) {
        let job = self.jobs.get(ix);
        let (id, function, bytes) = (job.id, job.function, job.bytes() as i64);
        self.functions.get_mut(function).dead.insert(id);
        self.dead_in_order.insert(id);
        self.dead.push(&mut self.jobs, ix, Standing::Dead);
        self.count_bytes(-bytes, out);
        self.count_dead(1, bytes, out);
    }

    /// A job has died. Beyond a limit the one that has been dead longest, on whatever shard, makes room for it; after a
    /// start that is the one that was accepted first.
    #[cold]
    fn have_room_made(&mut self, ix: JobIx, out: &mut Outbox) {
        let (jobs, bytes) = self.dead_beyond();
        let (jobs, bytes) = (jobs.min(1), bytes.min(self.jobs.get(ix).bytes()));
        if self.policy.plants(Planted::DropsDeadWithRoom)
            && let Some(oldest) = self.dead.head()
        {
            return self.drop_dead(oldest, out);
        }
        if jobs == 0 && bytes == 0 {
            return;
        }
        let here = self.usages.here.oldest.filter(|_| self.dead.len() > 1);
        self.ask_for_room(here, jobs, bytes, out);
    }

    /// Asks the shard that has the oldest dead job, as far as known here, to drop so many. `here` is the oldest of this
    /// shard that may go.
    #[cold]
    fn ask_for_room(&mut self, here: Option<Epoch>, jobs: u64, bytes: u64, out: &mut Outbox) {
        let own = self.shard;
        let others = self.topology.owners().filter(|&shard| shard != own);
        let oldest = others
            .filter_map(|shard| Some((self.usages.oldest_of(shard)?, shard)))
            .chain(here.map(|at| (at, own)))
            .min_by_key(|&(at, shard)| (at, shard != own, shard.index()));
        match oldest {
            Some((_, shard)) if shard != own => {
                // It is to know of all dead jobs here when it is asked.
                self.tell_usage(out);
                out.send(shard, Message::ToFunctions(ToFunctions::MakeRoom { jobs, bytes }));
            }
            Some(_) => self.chores.push(Chore::MakeRoom { jobs, bytes }),
            None => {}
        }
    }

    /// Drops one dead job, if so many jobs or bytes are still to go. Gives back what is then left to do.
    #[cold]
    pub(super) fn make_room(&mut self, jobs: u64, bytes: u64, out: &mut Outbox) -> Option<Chore> {
        let beyond = self.dead_beyond();
        let (jobs, bytes) = (jobs.min(beyond.0), bytes.min(beyond.1));
        if jobs == 0 && bytes == 0 {
            return None;
        }
        let Some(ix) = self.dead.head() else {
            // The last one here has gone since that was asked for.
            self.ask_for_room(None, jobs, bytes, out);
            return None;
        };
        let freed = self.jobs.get(ix).bytes();
        self.drop_dead(ix, out);
        Some(Chore::MakeRoom { jobs: jobs.saturating_sub(1), bytes: bytes.saturating_sub(freed) })
    }

    #[cold]
    fn drop_dead(&mut self, ix: JobIx, out: &mut Outbox) {
        out.counters.dead_jobs_dropped += 1;
        let (job, unique) = (self.jobs.get(ix).id, self.unique_of(ix));
        out.note(Note::DeadJobDropped { job, unique });
        self.end(ix, out);
    }

    /// A dead job is no longer one of them.
    #[cold]
    pub(super) fn take_from_dead(&mut self, ix: JobIx, out: &mut Outbox) {
        let job = self.jobs.get(ix);
        let (id, function, bytes) = (job.id, job.function, job.bytes() as i64);
        self.functions.get_mut(function).dead.remove(&id);
        self.dead_in_order.remove(&id);
        self.dead.remove(&mut self.jobs, ix);
        self.count_dead(-1, -bytes, out);
        self.count_bytes(bytes, out);
    }

    /// A dead job goes to the tail of its queue, as if it had never been tried.
    #[cold]
    pub(super) fn retry_job(&mut self, handle: &[u8], out: &mut Outbox) -> Report {
        let found = self.policy.handle_prefix.parse(handle).and_then(|id| self.jobs.find(id));
        let dead = |&ix: &JobIx| self.jobs.get(ix).is_dead() && !self.is_hidden(ix);
        let Some(ix) = found.filter(dead) else {
            return Report::UnknownJob;
        };
        self.retry(ix, out);
        Report::Done
    }

    /// A dead job goes to the tail of its queue.
    #[cold]
    pub(super) fn retry(&mut self, ix: JobIx, out: &mut Outbox) {
        self.take_from_dead(ix, out);
        let now = self.now.instant;
        let job = self.jobs.get_mut(ix);
        job.retries = 0;
        let extra = job.extra();
        (extra.death, extra.ready) = (None, Some(now));
        // It is among the living before its bytes are counted anew.
        self.enqueue(ix);
        self.charge(ix, out);
        self.file_if_alone(ix);
        if self.policy.store {
            self.put(ix, out);
        }
        out.counters.dead_jobs_retried += 1;
        self.wake_for(ix, out);
        out.counters.jobs = self.count();
    }

    /// Asserts that the dead are all listed, and none too many.
    pub(super) fn check_dead(&self) {
        let mut at = self.dead.head();
        let mut count = 0;
        while let Some(ix) = at {
            assert!(self.jobs.get(ix).is_dead());
            at = self.jobs.get(ix).next();
            count += 1;
        }
        assert_eq!(self.dead.len(), count);
        assert_eq!(self.usages.here.dead, u64::from(count));
        let by_function: u32 = self.functions.iter().map(|(_, function)| function.dead.len() as u32).sum();
        let dead = self.jobs.iter().filter(|(_, job)| job.is_dead());
        assert_eq!((by_function, dead.count() as u32), (count, count));
        assert_eq!(self.dead_in_order.len() as u32, count);
        assert!(
            self.dead_in_order
                .iter()
                .all(|&id| self.jobs.find(id).is_some_and(|ix| self.jobs.get(ix).is_dead()))
        );
    }
}
