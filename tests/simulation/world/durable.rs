//! What happens to a world that has a store: batches, failures, crashes and starts with another number of shards.
use super::World;
use crate::act::Act;
use crate::store::Answer;
use crate::workload::handle;
use ringgear_engine::{JobId, Order, Query, Reply, Report, SessionId, ShardId};
use std::collections::BTreeSet;

impl World {
    /// The store commits a batch; nobody is told yet.
    pub(super) fn store_commits(&mut self) {
        let batch = self.store.commit(&mut self.random, self.mix.store_fails, self.mix.store_refuses);
        let said = if batch.failed { "fails, and keeps" } else { "keeps" };
        self.trace.note(8, |_| format!("the store {said} {:?}", batch.kept));
        self.auditor.kept(&batch.kept);
        if self.random.chance(50) {
            self.store_rots();
        }
        self.watch();
    }

    /// Some of what the store has cannot be read any more, and is to be put again.
    fn store_rots(&mut self) {
        let rotten = self.store.rot(&mut self.random);
        self.trace.note(8, |_| format!("the store cannot read {rotten:?}"));
        for job in rotten {
            let owner = self.cluster.topology().owner(job.slot());
            self.cluster.put_again(owner, &[job]);
            self.touched = owner;
            self.watch();
        }
    }

    /// Each shard hears when what it has at the store becomes too much, and when it is not too much any more.
    /// Whether one was told something, which is to be looked at.
    pub(super) fn tell_how_full(&mut self) -> bool {
        let mut told = false;
        for shard in self.cluster.topology().owners() {
            let full = self.store.load(shard) > self.mix.storing_max;
            if self.full.contains(&shard) != full {
                self.trace.note(12, |_| format!("too much of shard {} waits for the store: {full}", shard.0));
                if full {
                    self.full.insert(shard)
                } else {
                    self.full.remove(&shard)
                };
                self.auditor.store_full(!self.full.is_empty());
                self.cluster.store_full(shard, full);
                told = true;
            }
        }
        told
    }

    /// The store hangs from now on, or goes on.
    pub(super) fn store_hangs(&mut self, hangs: bool) {
        if self.store.is_hung() != hangs {
            self.trace.note(11, |_| format!("the store hangs: {hangs}"));
            self.store.hang(hangs);
        }
    }

    /// While the store hangs: whatever does not need it goes on, and who has waited long enough is answered.
    pub(super) fn ask_while_it_hangs(&mut self) {
        self.auditor.not_exactly();
        self.perform(self.observer, Act::Ask(Query::Status.into()));
        for _ in 0..2 {
            for shard in self.cluster.topology().homes() {
                self.tick(shard);
            }
            loop {
                let pairs = self.cluster.pairs();
                if pairs.is_empty() && self.cluster.wanting_room() == 0 {
                    break;
                }
                pairs.into_iter().for_each(|(from, to)| self.deliver(from, to));
                if self.cluster.wanting_room() > 0 {
                    self.give_room(0);
                }
            }
        }
        self.cluster.check();
        self.auditor.only_the_store_is_awaited();
        self.cluster.replies(self.observer);
    }

    /// The same, and the whole time passes that a submission may wait.
    pub(super) fn wait_while_it_hangs(&mut self) {
        self.ask_while_it_hangs();
        self.pass(self.mix.policy.store_timeout);
        if self.store.is_hung() {
            self.ask_while_it_hangs();
        }
    }

    /// A shard hears what became of a batch.
    pub(super) fn store_answers(&mut self) {
        let Some(Answer { shard, upto, kept, alone }) = self.store.answer() else { return };
        let said = if kept { "has kept" } else { "has not kept" };
        self.trace.note(9, |_| format!("the store {said} what shard {} asked up to {}", shard.0, upto.0));
        self.auditor.store_answers(kept, alone.as_ref());
        self.cluster.store_answers(shard, upto, kept);
        self.touched = shard;
        self.watch();
    }

    /// Something that the store can do; false if there is nothing.
    pub(super) fn store_works(&mut self) -> bool {
        match self.store.has_work() {
            (_, true) => self.store_answers(),
            (true, false) => self.store_commits(),
            (false, false) => return false,
        }
        true
    }

    /// The power goes, and comes back. Everybody is gone, and what is left is what the store has.
    pub(super) fn restart(&mut self) {
        self.watch();
        let remains = self.store.crash(&mut self.random);
        self.mix.shards = self.random.between(1, 7) as u16;
        let shards = self.mix.shards;
        self.trace.note(10, |_| format!("a crash; then {shards} shards, with {remains:?}"));
        let sequence = self.store.sequence().max(self.auditor.sequence());
        self.cluster.restart(self.mix.topology());
        self.full.clear();
        self.auditor.store_full(false);
        self.auditor.restarted(shards, &remains);
        for job in &remains.jobs {
            let restored = self.cluster.restore(job);
            assert_eq!(restored, Ok(()), "[what was stored can be restored] {job:?}");
        }
        self.cluster.sequence_at_least(sequence + 1);
        self.actors.clear();
        self.touched = ShardId(0);
        self.watch();
        self.cluster.check();
        let observer = self.connect(ShardId(0), "o".into());
        self.set_observer(observer);
        self.populate();
    }

    pub(super) fn set_observer(&mut self, observer: SessionId) {
        self.observer = observer;
        self.auditor.set_observer(observer);
    }

    /// Nothing is under way: the store has exactly the background jobs and the dead ones. Some of these are put back.
    pub(super) fn compare_store(&mut self, retry: bool) {
        let dead = self.observe(Query::DeadJobs);
        let rows = self.observe(Query::Jobs);
        let [Reply::Report(dead), Reply::Report(living)] = &[dead, rows].concat()[..] else {
            panic!("[each query has its report] two reports")
        };
        let Report::DeadJobs(dead) = &dead.1 else { panic!("[each query has its report] {dead:?}") };
        let Report::Jobs(living) = &living.1 else { panic!("[each query has its report] {living:?}") };
        let dead: Vec<JobId> = dead.iter().map(|row| row.job).collect();
        if self.mix.policy.store {
            let stored = living.iter().filter(|row| row.stored).map(|row| row.job);
            let known: BTreeSet<JobId> = stored.chain(dead.iter().copied()).collect();
            let kept: BTreeSet<JobId> = self.store.living().map(|(job, _)| job.id).collect();
            assert_eq!(known, kept, "[the store has exactly what is to be kept]");
            assert!(
                self.store.unread().is_empty(),
                "[what cannot be read is put again] {:?}",
                self.store.unread()
            );
            self.compare_contents();
        }
        if retry && !dead.is_empty() {
            let job = *self.random.pick(&dead);
            self.observe(Order::RetryJob { handle: handle(job) });
        }
    }

    fn compare_contents(&self) {
        for (kept, up_to_date) in self.store.living() {
            let owner = self.cluster.topology().owner(kept.id.slot());
            let now = self.cluster.engine(owner).jobs_to_keep().find(kept.id);
            let now = now.expect("it was listed");
            let mut then = kept.stored();
            if !up_to_date || self.mix.policy.attempts.is_none() || self.mix.storing_max < usize::MAX {
                // They are not worth a try of their own, and nobody needs them where attempts have no limit.
                then.attempts = now.attempts;
            }
            // A time that was past at the start is not needed any more.
            then.epoch = then.epoch.filter(|_| now.epoch.is_some());
            if !up_to_date {
                // Its death is not kept, or that it was put back.
                then.death = now.death;
            }
            assert_eq!(then, now, "[what is stored is the job]");
        }
    }
}
