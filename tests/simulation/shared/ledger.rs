//! What was acknowledged, given out and done by all servers together, and what must be true of it.
use super::sharing::{Incarnation, RowState};
use super::table::Table;
use ringgear_engine::JobId;
use std::collections::{BTreeMap, BTreeSet};

/// Nobody is taken over before his beat has stood still so long, and others have looked so long without a gap, in nanoseconds.
const TAKE_OVER_AFTER: u64 = 10_000_000_000;
const NAMESAKE_AFTER: u64 = 3_000_000_000;
const LOOK_GAP: u64 = 3_000_000_000;

/// A background submission.
#[derive(Clone, Debug)]
pub(super) struct Sub {
    pub(super) server: usize,
    pub(super) sent: u64,
    pub(super) acked: Option<JobId>,
}

/// See the top of the file.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) subs: Vec<Sub>,
    /// When jobs ended by a worker's word, and at which server.
    completed: BTreeMap<JobId, Vec<(u64, usize)>>,
    /// Jobs that may run once more, since their end did not get through.
    excused: BTreeSet<JobId>,
    /// Jobs whose rows a failover has lost, and that their servers have not put again yet.
    revoked: BTreeSet<JobId>,
    /// Those of which the server died before it could.
    lost: BTreeSet<JobId>,
    /// Jobs that were to be put again, and others with their unique that had been stored meanwhile.
    pub(super) instead: BTreeMap<JobId, JobId>,
    /// When a failover lost something.
    failed_over: Option<u64>,
    pub(super) coverage: BTreeMap<&'static str, u64>,
}

impl Ledger {
    pub(super) fn count(&mut self, what: &'static str) {
        *self.coverage.entry(what).or_default() += 1;
    }

    /// A submission is acknowledged.
    pub(super) fn acknowledged(&mut self, sub: usize, id: JobId, table: &Table) {
        let known = table.row(id).is_some() || self.completed.contains_key(&id);
        let lost = self.revoked.contains(&id) || self.lost.contains(&id);
        assert!(known || lost, "[an acknowledged job has a row] {id:?}");
        self.subs[sub].acked = Some(id);
        self.count("submissions acknowledged");
    }

    /// A stored job is given to a worker by a server that takes it for its own; `sole` if it may whatever happens.
    pub(super) fn given(&mut self, id: JobId, me: Option<Incarnation>, sole: bool, now: u64, table: &Table) {
        let recently = self.failed_over.is_some_and(|then| now - then < TAKE_OVER_AFTER);
        if let Some(row) = table.row(id).filter(|_| !sole && !recently) {
            let holder = table.holder(row.owner);
            assert_eq!(holder, me, "[only whose it is gives out a stored job] {id:?}");
        }
        if self.completed.contains_key(&id) {
            assert!(self.excused.contains(&id), "[what has ended runs again only if that was lost] {id:?}");
            self.count("jobs repeated");
        }
        self.count("jobs given out");
    }

    pub(super) fn completed(
        &mut self,
        id: JobId,
        server: usize,
        me: Option<Incarnation>,
        now: u64,
        table: &Table,
    ) {
        self.completed.entry(id).or_default().push((now, server));
        if table.row(id).is_some_and(|row| table.holder(row.owner) != me) {
            self.excuse(id);
        }
    }

    /// It may run once more.
    pub(super) fn excuse(&mut self, id: JobId) {
        self.excused.insert(id);
    }

    /// A server is taken over from another one, which has looked at these times.
    pub(super) fn taken(
        &mut self,
        (state, namesake): (RowState, bool),
        (beaten, looks): (u64, &[u64]),
        now: u64,
    ) {
        self.count("servers taken over");
        // That it was leaving may be lost.
        if state != RowState::Serving || self.failed_over.is_some_and(|then| now - then < TAKE_OVER_AFTER) {
            return;
        }
        let still = now - beaten;
        let least = if namesake { NAMESAKE_AFTER } else { TAKE_OVER_AFTER };
        assert!(still >= least, "[who beats is not taken over] still for {} ms", still / 1_000_000);
        if namesake {
            return;
        }
        let mut watched = 0;
        for pair in looks.windows(2).rev() {
            if pair[1] - pair[0] > LOOK_GAP {
                break;
            }
            watched += pair[1] - pair[0];
        }
        let least = TAKE_OVER_AFTER - 100_000_000;
        assert!(watched >= least, "[who could not be seen is not taken over] seen for {watched} ns");
    }

    /// A failover has lost rows, and brought others back. Of jobs that no server `knows` nobody can say any more that they were.
    pub(super) fn failed_over(
        &mut self,
        gone: Vec<JobId>,
        back: Vec<JobId>,
        knows: impl Fn(JobId) -> bool,
        now: u64,
    ) {
        self.failed_over = Some(now);
        self.count("failovers with loss");
        let (known, lost): (Vec<JobId>, Vec<JobId>) = gone.into_iter().partition(|&id| knows(id));
        self.lost.extend(lost);
        self.revoked.extend(known);
        self.excused.extend(back);
    }

    /// A row is there.
    pub(super) fn written(&mut self, id: JobId) {
        self.revoked.remove(&id);
    }

    /// A server is gone, or has nothing any more, which had not put these again since a failover.
    pub(super) fn died(
        &mut self,
        unsettled: bool,
        waiting: impl Iterator<Item = JobId>,
        had: &BTreeSet<JobId>,
    ) {
        let waiting: BTreeSet<JobId> = waiting.collect();
        let lost = had.iter().filter(|id| self.revoked.contains(id) && (unsettled || waiting.contains(id)));
        self.lost.extend(lost.copied().collect::<Vec<_>>());
    }

    /// All has come to an end.
    pub(super) fn settle(&mut self, table: &Table) {
        for (at, sub) in self.subs.iter().enumerate() {
            let Some(id) = sub.acked else { continue };
            let last_of = |id: JobId| self.completed.get(&id).and_then(|all| all.last().copied());
            let last = last_of(id).max(self.instead.get(&id).and_then(|&other| last_of(other)));
            let done = last.is_some_and(|(then, server)| {
                // Another server may have known that it had ended, and the row have been there all the same.
                let there = table.deleted.get(&id).is_some_and(|&deleted| deleted >= sub.sent);
                then >= sub.sent || server != sub.server && there
            });
            assert!(
                done || self.lost.contains(&id),
                "[an acknowledged job ends] submission {at} {sub:?}, ended {last:?}"
            );
        }
        let lost = self.lost.len() as u64;
        *self.coverage.entry("jobs lost with a failover and their server").or_default() += lost;
    }
}
