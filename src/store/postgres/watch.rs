//! Watching the other servers: whose count has not moved over so much time, during which it was looked at often enough, is dead. Time
//! is our own, and is counted only while we look, so neither a database that was away nor a clock makes a server dead. Values only.
use super::servers::{LEAVING, PgServerRow, SERVING};
use crate::store::{BootTime, ServerLoad};
use std::collections::HashMap;
use std::time::Duration;

/// What was seen of one server.
#[derive(Clone, Copy, Debug)]
struct Sight {
    beat: i64,
    state: i16,
    /// Since when it has not moved.
    since: BootTime,
}

/// Watches.
#[derive(Debug)]
pub(super) struct PgWatch {
    /// Who is silent for so long is dead.
    after: Duration,
    seen: HashMap<i32, Sight>,
    last: Option<BootTime>,
}

impl PgWatch {
    pub(super) fn new(after: Duration) -> PgWatch {
        PgWatch { after, seen: HashMap::new(), last: None }
    }

    /// Between two looks.
    pub(super) fn pause(&self) -> Duration {
        (self.after / 10).min(Duration::from_secs(1))
    }

    /// Notes what a look shows that began at this time.
    pub(super) fn look(&mut self, now: BootTime, servers: &[PgServerRow]) {
        // Whoever moved in a gap may have stood still for a moment only.
        if self.last.is_some_and(|last| now.since(last) > self.pause() * 3) {
            self.seen.clear();
        }
        self.last = Some(now);
        let before = std::mem::take(&mut self.seen);
        for row in servers.iter().filter(|row| row.taken_by.is_none()) {
            let same = before.get(&row.id).filter(|sight| sight.beat == row.beat && sight.state == row.state);
            let since = same.map_or(now, |sight| sight.since);
            self.seen.insert(row.id, Sight { beat: row.beat, state: row.state, since });
        }
    }

    /// For how long a server has been silent.
    pub(super) fn silent(&self, id: i32) -> Duration {
        match (self.last, self.seen.get(&id)) {
            (Some(last), Some(sight)) => last.since(sight.since),
            _ => Duration::ZERO,
        }
    }

    /// Whom we should take over now. Of those who see it, whoever has least to do goes first, the others a look later each.
    pub(super) fn dead<'r>(
        &self,
        servers: &'r [PgServerRow],
        me: i32,
        load: ServerLoad,
    ) -> Vec<&'r PgServerRow> {
        let others = servers.iter().filter(|row| row.id != me && row.taken_by.is_none());
        let alive = |row: &&PgServerRow| row.state == SERVING && self.silent(row.id) <= self.pause() * 3;
        let own = (load.bytes, me);
        let first =
            others.clone().filter(alive).filter(|row| (row.bytes.unsigned_abs(), row.id) < own).count();
        let turn = self.pause() * u32::try_from(first).unwrap_or(u32::MAX);
        others
            .filter(|row| row.is_compatible())
            .filter(|row| {
                let silence = if row.state == LEAVING { Duration::ZERO } else { self.after };
                self.seen.contains_key(&row.id) && self.silent(row.id) >= silence + turn
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_secs(10);

    fn row(id: i32, beat: i64, state: i16, bytes: i64) -> PgServerRow {
        PgServerRow {
            id,
            name: String::new(),
            beat,
            state,
            taken_by: None,
            jobs: 0,
            bytes,
            version: "1 0".to_owned(),
            seconds: 0,
        }
    }

    fn at(second: u64) -> BootTime {
        BootTime(second * 1_000_000_000)
    }

    /// Whom server 1 takes over at each second, where another one has these counts, or nobody looks.
    fn taken(beats: impl Fn(u64) -> Option<i64>, state: i16, bytes: u64) -> Option<u64> {
        let mut watch = PgWatch::new(AFTER);
        (0..60).find(|&second| {
            let Some(beat) = beats(second) else { return false };
            let rows = [
                row(1, second as i64, SERVING, 0),
                row(2, beat, state, 0),
                row(3, second as i64, SERVING, 50),
            ];
            watch.look(at(second), &rows);
            !watch.dead(&rows, 1, ServerLoad { bytes, room: 0 }).is_empty()
        })
    }

    #[test]
    fn who_stands_still_for_so_long_is_dead() {
        assert_eq!(taken(|second| Some(second as i64), SERVING, 0), None);
        assert_eq!(taken(|second| Some(second.min(20) as i64), SERVING, 0), Some(30));
        assert_eq!(taken(|second| Some((second / 9) as i64), SERVING, 0), None, "slow is not dead");
        assert_eq!(taken(|_| Some(0), LEAVING, 0), Some(0));
    }

    #[test]
    fn whoever_has_more_to_do_lets_others_go_first() {
        assert_eq!(taken(|_| Some(0), SERVING, 49), Some(10));
        assert_eq!(taken(|_| Some(0), SERVING, 51), Some(11));
        assert_eq!(taken(|_| Some(0), LEAVING, 51), Some(1));
    }

    #[test]
    fn time_in_which_nobody_looked_does_not_count() {
        let looked = |second: &u64| *second <= 5 || *second >= 25;
        assert_eq!(taken(|second| looked(&second).then_some(0), SERVING, 0), Some(35));
    }
}
