//! Stored jobs that come from other servers and go there, where several share a store.
//!
//! **Fenced** ([`crate::Input::Fenced`]): another server has taken over all that this one had stored. It is forgotten, which is a
//! chore; until it is done no stored job is given out, and none is taken in. A job that runs is left with its worker, and one
//! that clients wait for goes on for them, both *disowned*: no submission joins it, since the job that is stored is another
//! server's, and the store is not told of its end. The other server has it in memory by now and runs it anyway; if its row went
//! meanwhile, whoever joins it there would be promised what nothing keeps. A job whose attempt is lost goes back to no queue, unless
//! clients wait for it.
//!
//! **Handed over** ([`crate::Input::HandOver`]): this server leaves the stored jobs that wait here to others, which will read them from the
//! store. They are forgotten in the same way, and the store is not told of an end; but what runs, and what clients wait for, stays
//! this server's and is stored as before.
use super::Functions;
use super::chores::Chore;
use super::index::JobIx;
use super::puts::{AwaitedPut, Waiting};
use crate::outbox::Outbox;
use crate::persist::{NotRestored, StoreSeq, StoredJob};
use crate::policy::Planted;
use crate::slot::JobId;
use crate::time::Instant;
use alloc::vec::Vec;

impl Functions {
    /// Everything stored is another server's from now on.
    #[cold]
    pub(crate) fn fenced(&mut self, out: &mut Outbox) {
        // Each shard hears of it.
        out.counters.times_fenced += u64::from(self.shard.index() == 0);
        (self.tenure.hands_over, self.tenure.until) = (false, Instant(0));
        self.forget();
    }

    /// What waits and is stored is to be others'.
    #[cold]
    pub(crate) fn hand_over(&mut self) {
        // One that was taken over has nothing to hand over: it forgets all of it already.
        if !self.tenure.is_forgetting {
            self.tenure.hands_over = true;
            self.forget();
        }
    }

    fn forget(&mut self) {
        let tenure = &mut self.tenure;
        (tenure.puts, tenure.place) = (self.puts.last, 0);
        tenure.kept.clear();
        if !core::mem::replace(&mut tenure.is_forgetting, true) {
            self.chores.push(Chore::Forgetting);
        }
        self.look_at_lease();
    }

    /// What has stayed of what was to be handed over: all that is stored and this server's.
    pub(crate) fn take_kept(&mut self) -> Vec<JobId> {
        core::mem::take(&mut self.tenure.kept)
    }

    /// Whether something that is another server's is not forgotten yet.
    pub(crate) fn is_forgetting(&self) -> bool {
        self.tenure.is_forgetting
    }

    /// One put is given up, or one place in the table of jobs is looked at. Nothing new is stored meanwhile.
    pub(super) fn forget_next(&mut self, out: &mut Outbox) -> Option<Chore> {
        if let Some(asked) = self.puts.answered(self.tenure.puts) {
            self.give_up_put(asked, out);
            return Some(Chore::Forgetting);
        }
        let Some((ix, next)) = self.jobs.look_at(self.tenure.place) else {
            self.tenure.is_forgetting = false;
            self.look_at_lease();
            return None;
        };
        self.tenure.place = next;
        let keeps = self.policy.plants(Planted::KeepsWhatIsFenced);
        if let Some(ix) = ix.filter(|&ix| self.jobs.get(ix).may_be_stored() && !keeps) {
            let job = self.jobs.get(ix);
            let stays = job.is_running() || job.has_clients();
            if self.tenure.hands_over && stays {
                self.tenure.kept.push(job.id);
            } else {
                self.disown(ix, out);
            }
        }
        Some(Chore::Forgetting)
    }

    /// A stored job is another server's.
    fn disown(&mut self, ix: JobIx, out: &mut Outbox) {
        out.counters.jobs_disowned += 1;
        self.unfile(ix);
        let job = self.jobs.get_mut(ix);
        job.leave_background();
        job.set_late(false);
        if job.is_running() || job.has_clients() {
            job.extra().disowned = true;
            self.charge(ix, out);
            self.look_whether_wanted(ix, out);
        } else {
            self.end(ix, out);
        }
    }

    /// A stored job is this server's from now on, while it serves. One that is here is what it is; but one that this server
    /// had to disown is its own again.
    pub(crate) fn take_over(&mut self, stored: &StoredJob<'_>, out: &mut Outbox) -> Result<(), NotRestored> {
        assert!(!self.tenure.is_forgetting, "what is not forgotten yet cannot be taken over");
        match self.jobs.find(stored.id) {
            Some(ix) if self.jobs.get(ix).disowned() && !self.jobs.get(ix).cancelled() => self.own_again(ix),
            // By chance one has its number that was accepted while the store was away.
            Some(_) if stored.id.is_spare() => return Err(NotRestored::Twice),
            Some(_) => return Ok(()),
            None => self.restore(stored, out)?,
        }
        out.counters.jobs_taken_over += 1;
        Ok(())
    }

    #[cold]
    fn own_again(&mut self, ix: JobIx) {
        let job = self.jobs.get_mut(ix);
        job.extra().disowned = false;
        job.join_background();
        let (function, waits) = (job.function, job.is_queued() || job.is_abandoned());
        self.file_if_alone(ix);
        if waits && self.tenure.lapsed {
            self.sift(function);
        }
    }

    /// The store has not kept a job, since it has another one with its function and unique: whoever submitted it in the
    /// background has joined that one.
    #[cold]
    pub(crate) fn stored_elsewhere(&mut self, seq: StoreSeq, other: JobId, out: &mut Outbox) {
        while let Some(asked) = self.puts.answered(seq) {
            if asked.seq != seq {
                self.give_up_put(asked, out);
                continue;
            }
            out.counters.jobs_coalesced_elsewhere += 1;
            let id = asked.id;
            // Whoever came after the put was asked for may have come after it was done, too, and the other job have ended before.
            let (sure, unsure): (Vec<Waiting>, Vec<Waiting>) =
                asked.waiting().partition(|waiting| waiting.before || !waiting.background);
            for waiting in sure {
                let job = if waiting.background { other } else { id };
                self.answer(waiting, Ok(job), out);
            }
            match self.jobs.find(id) {
                Some(ix) if !unsure.is_empty() => self.put_for_others(ix, unsure, out),
                Some(ix) => self.joined_elsewhere(ix, out),
                // It has ended meanwhile, by a worker's word.
                None => unsure.into_iter().for_each(|waiting| self.answer(waiting, Ok(id), out)),
            }
        }
        // It may be here, too, with a foreground job before it in the index.
        if let Some(ix) = self.jobs.find(other)
            && !self.jobs.get(ix).filed()
            && self.jobs.get(ix).background()
            && !self.jobs.get(ix).is_dead()
        {
            self.file_if_alone(ix);
        }
    }

    /// The store is asked once more, for those who came later.
    fn put_for_others(&mut self, ix: JobIx, waiting: Vec<Waiting>, out: &mut Outbox) {
        let seq = self.put(ix, out);
        let job = self.jobs.get_mut(ix);
        if job.is_storing() {
            job.store_anew(seq);
        } else {
            job.wait_for(seq);
        }
        job.set_late(false);
        self.charge(ix, out);
        let id = self.jobs.get(ix).id;
        let until = self.now.instant.after(self.policy.store_timeout);
        let mut waiting = waiting.into_iter().map(|waiting| Waiting { before: true, until, ..waiting });
        let first = waiting.next();
        self.puts.asked.push_back(AwaitedPut { seq, id, until, first, more: waiting.collect() });
    }

    /// The store does not have a job, and need not: it goes on for those who wait for its result, if there are any.
    fn joined_elsewhere(&mut self, ix: JobIx, out: &mut Outbox) {
        let job = self.jobs.get_mut(ix);
        job.leave_background();
        job.set_late(false);
        if job.is_dead() || job.is_storing() && job.ignored() {
            return self.end(ix, out);
        }
        self.look_whether_wanted(ix, out);
        self.admit(ix, out);
    }
}
