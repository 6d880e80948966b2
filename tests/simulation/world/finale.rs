//! How a world ends: only honest workers act, until every job has ended; then all leave, and nothing may be left.
use super::World;
use crate::workload::{Actor, handle};
use ringgear_engine::{CloseReason, Order, Query, Reply, Report};
use std::time::Duration;

/// Rounds in which everything must have come to an end.
const ROUNDS_MAX: usize = 2000;

impl World {
    /// Only honest workers act from now on, some of them for each function, until every job has ended. Then all leave.
    pub(super) fn come_to_an_end(&mut self) {
        self.settle_and_ask();
        for function in self.mix.functions.clone() {
            self.observe(Order::Resume { function });
        }
        let functions: Vec<usize> = (0..self.mix.functions.len()).collect();
        for some in functions.chunks(3) {
            self.born += 1;
            let shard = self.some_home();
            let session = self.connect(shard, format!("k{}", self.born));
            self.actors.push(Actor::keeper(session, some.to_vec()));
        }
        self.work_off();
        self.auditor.all_is_done();
        self.raise_the_dead();
        for query in [Query::Jobs, Query::Status, Query::Workers, Query::Counters, Query::Numbers] {
            self.settle();
            self.observe(query);
        }
        for actor in std::mem::take(&mut self.actors) {
            self.close(actor.session, CloseReason::Peer);
        }
        self.settle();
        for query in [Query::Jobs, Query::Status, Query::Workers, Query::Counters, Query::Numbers] {
            self.observe(query);
        }
        assert_eq!(self.auditor.jobs_left(), 0, "[every table is empty in the end] jobs are left");
        for shard in self.cluster.topology().homes() {
            let jobs = self.cluster.engine(shard).jobs();
            assert_eq!(jobs, 0, "[every table is empty in the end] jobs are left on shard {}", shard.0);
        }
        let stored = self.store.living().count();
        assert_eq!(stored, 0, "[every table is empty in the end] jobs are left in the store");
    }

    /// Every dead job can be put back, and ends then.
    fn raise_the_dead(&mut self) {
        self.settle();
        let told = self.observe(Query::DeadJobs);
        let [Reply::Report(report)] = &told[..] else { panic!("[each query has its report] {told:?}") };
        let Report::DeadJobs(rows) = &report.1 else { panic!("[each query has its report] {told:?}") };
        for row in rows {
            self.observe(Order::RetryJob { handle: handle(row.job) });
        }
        self.work_off();
        self.settle();
        self.compare_store(false);
    }

    fn work_off(&mut self) {
        for round in 0..ROUNDS_MAX {
            let mut busy = false;
            for at in 0..self.actors.len() {
                let Some(session) = self.actors.get(at).map(|actor| actor.session) else { break };
                let replies = self.cluster.replies(session);
                self.actors[at].read(replies, &self.mix, &mut self.common);
                let acts = self.actors[at].act_calmly(&mut self.common);
                busy |= !acts.is_empty();
                acts.into_iter().for_each(|act| self.perform(session, act));
            }
            self.settle();
            if busy {
                continue;
            }
            self.observe(Query::Jobs);
            match self.cluster.next_deadline() {
                _ if self.auditor.jobs_left() == 0 => return,
                Some((_, at)) => {
                    let wait = at.0.saturating_sub(self.cluster.now().instant.0);
                    self.pass(Duration::from_nanos(wait));
                    self.settle();
                }
                None => self.everybody_looks_again(round),
            }
        }
        panic!("[the world comes to rest] {} jobs are left", self.auditor.jobs_left());
    }

    /// Jobs are left, nothing is due, and every worker sleeps. That is as it should be if nobody wants the jobs, or
    /// where the policy wakes only so many and those have left.
    fn everybody_looks_again(&mut self, round: usize) {
        assert!(
            round < ROUNDS_MAX / 2,
            "[the world comes to rest] {} jobs are left",
            self.auditor.jobs_left()
        );
        self.auditor.all_may_sleep();
        for at in 0..self.actors.len() {
            let session = self.actors[at].session;
            let acts = self.actors[at].look_again();
            acts.into_iter().for_each(|act| self.perform(session, act));
        }
        self.settle();
    }
}
