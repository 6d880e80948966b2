//! Several servers on one store: who is alive, whom this server may take over, and until when its stored jobs are its own.
//! A state machine: it is told what was read and when, and touches no store and no clock, so that the simulation runs
//! the same. Reading, beating and taking over are statements of each store.
//!
//! Each server has a row with a counter, its *beat*, which grows with everything that it commits and once a second when it
//! is idle. Clocks of different machines are never compared: whoever looks counts *its own* time. What is given as a time here
//! is of one clock that also goes on while the machine sleeps.
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// An idle server beats this often, and looks at the others.
pub const BEAT: Duration = Duration::from_secs(1);
/// Looks that are further apart than this say nothing of what was between them: counting starts again.
pub const LOOK_GAP: Duration = Duration::from_secs(3);
/// So much earlier than others may take over does a server stop giving out stored jobs.
pub const MARGIN: Duration = Duration::from_secs(2);
/// So long does a server that starts watch a row with its own name before it takes it for what a crash left.
pub const NAMESAKE_AFTER: Duration = Duration::from_secs(3);

/// One start of one server; never used again. It is also the owner of what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub i32);

/// What a server says of itself in its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowState {
    /// It serves.
    Serving,
    /// It has ended in an orderly way, or is about to: what it owns is anybody's to take over.
    Leaving,
    /// It is over.
    Gone,
}

/// The row of a server, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerRow {
    /// Whose it is.
    pub id: Incarnation,
    /// Its name, which is for people.
    pub name: String,
    /// Its counter.
    pub beat: i64,
    /// What it says of itself.
    pub state: RowState,
    /// Who has taken over what it owned.
    pub taken_by: Option<Incarnation>,
    /// Bytes of jobs that it has.
    pub bytes: u64,
}

/// Somebody who may be taken over: on condition that the beat is still this one, and that nobody else has done so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Departed {
    /// Whose row it is.
    pub id: Incarnation,
    /// The beat that stands still.
    pub beat: i64,
    /// Bytes of jobs that it had, as far as it has said.
    pub bytes: u64,
}

/// What is a server's own of what it has stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Everything, without a limit: no other server has a row.
    Sole,
    /// Everything, until then; later it is not known.
    Until(Instant),
    /// Nothing: another server has taken over.
    Fenced,
}

/// A server whose row is watched.
#[derive(Clone, Copy, Debug)]
struct Watched {
    beat: i64,
    /// When the first look in a row that has found this beat was answered.
    since: Instant,
    /// It was seen to move, in this row of looks.
    moved: bool,
    bytes: u64,
}

/// Looks at the rows of the other servers, one after the other, without a gap that is too long.
#[derive(Debug, Default)]
struct Watch {
    /// When the last look was answered.
    last: Option<Instant>,
    servers: BTreeMap<Incarnation, Watched>,
}

impl Watch {
    /// Takes a look into account. The count starts again behind a gap, unless a bug is planted.
    fn look(&mut self, answered: Instant, rows: &[ServerRow], heeds_gaps: bool) {
        let gap = self.last.is_none_or(|last| answered.saturating_duration_since(last) > LOOK_GAP);
        if gap && heeds_gaps {
            self.servers.clear();
        }
        self.last = Some(answered);
        let there = |id: &Incarnation| rows.iter().any(|row| row.id == *id);
        self.servers.retain(|id, _| there(id));
        for row in rows {
            let new = Watched { beat: row.beat, since: answered, moved: false, bytes: row.bytes };
            let watched = self.servers.entry(row.id).or_insert(new);
            watched.bytes = row.bytes;
            if watched.beat != row.beat {
                // Also one that jumped back, after a failover.
                *watched = Watched { moved: true, ..new };
            }
        }
    }

    /// How long a server's beat has stood still at the least, when this look was sent.
    fn still(&self, id: Incarnation, sent: Instant) -> Duration {
        self.servers.get(&id).map_or(Duration::ZERO, |watched| sent.saturating_duration_since(watched.since))
    }
}

/// A deliberate bug, to prove that the simulation sees it. None is ever switched on where Ringgear is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlantedShare {
    /// The lease begins when a beat is answered, not when it is sent.
    LeaseFromAnswer,
    /// A gap between looks does not start the count again.
    GapNotReset,
}

/// See the top of the file.
#[derive(Debug)]
pub struct Sharing {
    me: Incarnation,
    take_over_after: Duration,
    /// Without other servers it goes on without a limit.
    alone_goes_on: bool,
    watch: Watch,
    /// Until when the last successful beat lets it give out stored jobs.
    until: Option<Instant>,
    /// The last look found no other server.
    alone: bool,
    fenced: bool,
    /// It leaves, since then.
    left: Option<Instant>,
    /// When somebody else may be taken over whose beat still stands still then.
    due: Option<Instant>,
    #[cfg(feature = "planted")]
    planted: Option<PlantedShare>,
}

impl Sharing {
    /// Of a server that has just got its row. Others may take it over when its beat has stood still for `take_over_after`. With
    /// `alone_goes_on` it is not limited where it is the only one.
    pub fn new(me: Incarnation, take_over_after: Duration, alone_goes_on: bool) -> Sharing {
        Sharing {
            me,
            take_over_after,
            alone_goes_on,
            watch: Watch::default(),
            until: None,
            alone: false,
            fenced: false,
            left: None,
            due: None,
            #[cfg(feature = "planted")]
            planted: None,
        }
    }

    /// The same with a bug, for tests.
    #[cfg(feature = "planted")]
    #[must_use]
    pub fn planting(self, planted: Option<PlantedShare>) -> Sharing {
        Sharing { planted, ..self }
    }

    /// Whether a deliberate bug is switched on. Always false, and optimised away, without the feature `planted`.
    fn plants(&self, bug: PlantedShare) -> bool {
        #[cfg(feature = "planted")]
        return self.planted == Some(bug);
        #[cfg(not(feature = "planted"))]
        {
            let _ = bug;
            false
        }
    }

    /// Who this is.
    pub fn me(&self) -> Incarnation {
        self.me
    }

    /// A commit or a beat was sent at this time and is done, and it has found this server's row not taken by anybody. A beat
    /// of which it is not known whether it was done is none.
    pub fn beaten(&mut self, sent: Instant, answered: Instant) {
        let from = if self.plants(PlantedShare::LeaseFromAnswer) { answered } else { sent };
        let until = from + self.take_over_after.saturating_sub(MARGIN);
        self.until = Some(self.until.map_or(until, |before| before.max(until)));
    }

    /// A commit or a beat has found this server's row taken by another one, or not at all. That is final.
    pub fn fenced(&mut self) {
        self.fenced = true;
    }

    /// It is about to say that it leaves: then others take over at once, so nothing is its own any more before that is sent.
    pub fn leaves(&mut self, now: Instant) {
        self.left.get_or_insert(now);
    }

    /// The rows of all servers, as a look that was sent and answered at these times has found them. Who may be taken over now,
    /// the one that has been quiet longest first. Whoever cannot or does not want to take one over just does not: it
    /// is named again at the next look.
    pub fn looked(&mut self, sent: Instant, answered: Instant, rows: &[ServerRow]) -> Vec<Departed> {
        let (own, others): (Vec<_>, Vec<_>) = rows.iter().cloned().partition(|row| row.id == self.me);
        self.fenced |= own.first().is_none_or(|row| row.taken_by.is_some());
        self.watch.look(answered, &others, !self.plants(PlantedShare::GapNotReset));
        let present = || others.iter().filter(|row| row.taken_by.is_none());
        self.alone = present().next().is_none();
        self.due = None;
        if self.fenced || self.left.is_some() {
            return Vec::new();
        }
        // Whoever has less to do goes first; the next one waits a beat longer, and so on.
        let mine = own.first().map_or((0, self.me), |row| (row.bytes, self.me));
        let first = |row: &&ServerRow| {
            let moves = self.watch.servers.get(&row.id).is_some_and(|watched| watched.moved);
            row.state == RowState::Serving
                && moves
                && self.watch.still(row.id, sent) <= LOOK_GAP
                && (row.bytes, row.id) < mine
        };
        let turn = BEAT * u32::try_from(present().filter(first).count()).unwrap_or(u32::MAX);
        let after = |state| match state {
            RowState::Serving => self.take_over_after,
            RowState::Leaving | RowState::Gone => Duration::ZERO,
        };
        let wanting = |row: &ServerRow| {
            (after(row.state) + turn)
                .checked_sub(self.watch.still(row.id, sent))
                .filter(|time| !time.is_zero())
        };
        let due = present().filter_map(wanting).min().map(|time| sent + time);
        let mut departed: Vec<(Duration, Departed)> = present()
            .map(|row| (self.watch.still(row.id, sent), row))
            .filter(|&(still, row)| still >= after(row.state) + turn)
            .map(|(still, row)| (still, Departed { id: row.id, beat: row.beat, bytes: row.bytes }))
            .collect();
        departed.sort_by_key(|&(still, who)| (std::cmp::Reverse(still), who.id));
        self.due = due;
        departed.into_iter().map(|(_, who)| who).collect()
    }

    /// How long it takes until a look may find somebody else to take over; `None` if it was told already who.
    pub fn until_due(&self, now: Instant) -> Option<Duration> {
        self.due.map(|due| due.saturating_duration_since(now))
    }

    /// What is this server's own, as far as it knows: the engine is told so ([`ringgear_engine::Input::Lease`] and
    /// [`ringgear_engine::Input::Fenced`]).
    pub fn claim(&self) -> Claim {
        match self.until {
            _ if self.fenced => Claim::Fenced,
            Some(until) if self.left.is_some() => {
                Claim::Until(self.left.map_or(until, |left| left.min(until)))
            }
            Some(_) if self.alone && self.alone_goes_on => Claim::Sole,
            Some(until) => Claim::Until(until),
            // It has no row that beats: nothing is its own.
            None => Claim::Fenced,
        }
    }
}

/// Whether a server may start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is not known yet: look again in a [`BEAT`].
    Wait,
    /// Another server with this name is running.
    NameInUse(Incarnation),
    /// It may. These are left from earlier starts with its name, and may be taken over at once.
    Ready(Vec<Departed>),
}

/// What a server that starts does first: it waits until it is known that no other server with its name runs.
#[derive(Debug)]
pub struct Entrance {
    name: String,
    watch: Watch,
}

impl Entrance {
    /// Of a server with this name.
    pub fn new(name: String) -> Entrance {
        Entrance { name, watch: Watch::default() }
    }

    /// A look, as for [`Sharing::looked`].
    pub fn looked(&mut self, sent: Instant, answered: Instant, rows: &[ServerRow]) -> Admission {
        let namesakes: Vec<ServerRow> =
            rows.iter().filter(|row| row.name == self.name && row.taken_by.is_none()).cloned().collect();
        self.watch.look(answered, &namesakes, true);
        let moved = |row: &&ServerRow| self.watch.servers.get(&row.id).is_some_and(|watched| watched.moved);
        let serving = || namesakes.iter().filter(|row| row.state == RowState::Serving);
        if let Some(other) = serving().find(moved) {
            return Admission::NameInUse(other.id);
        }
        if serving().any(|row| self.watch.still(row.id, sent) < NAMESAKE_AFTER) {
            return Admission::Wait;
        }
        let departed = |row: &ServerRow| Departed { id: row.id, beat: row.beat, bytes: row.bytes };
        Admission::Ready(namesakes.iter().map(departed).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_secs(10);
    const NOBODY: [i32; 0] = [];

    fn row(id: i32, beat: i64) -> ServerRow {
        let (id, name, state) = (Incarnation(id), format!("s{id}"), RowState::Serving);
        ServerRow { id, name, beat, state, taken_by: None, bytes: 0 }
    }

    /// Time in milliseconds since some start.
    struct Clock(Instant);

    impl Clock {
        fn at(&self, ms: u64) -> Instant {
            self.0 + Duration::from_millis(ms)
        }

        /// A look of server 1 that takes a tenth of a second.
        fn look(&self, sharing: &mut Sharing, ms: u64, rows: &[ServerRow]) -> Vec<i32> {
            let departed = sharing.looked(self.at(ms), self.at(ms + 100), rows);
            departed.into_iter().map(|who| who.id.0).collect()
        }
    }

    fn begin() -> (Clock, Sharing) {
        (Clock(Instant::now()), Sharing::new(Incarnation(1), AFTER, true))
    }

    /// Not a moment before it has stood still for ten seconds, from the answer of the first look to the sending of the last.
    #[test]
    fn a_look_comes_when_somebody_may_be_taken_over() {
        let (clock, mut sharing) = begin();
        let look = |sharing: &mut Sharing, ms, beat| clock.look(sharing, ms, &[row(1, 5), row(2, beat)]);
        assert_eq!(sharing.until_due(clock.at(0)), None);
        for (ms, beat) in [(0, 1), (1000, 2), (3500, 2), (6000, 2), (8500, 2)] {
            assert_eq!(look(&mut sharing, ms, beat), NOBODY);
        }
        // It was first seen to stand still in the answer at 1,100.
        assert_eq!(sharing.until_due(clock.at(10_900)), Some(Duration::from_millis(200)));
        assert_eq!(look(&mut sharing, 11_100, 2), [2]);
        assert_eq!(sharing.until_due(clock.at(11_200)), None);
    }

    #[test]
    fn who_stands_still_is_dead_after_ten_seconds_of_looks() {
        let (clock, mut sharing) = begin();
        for second in 0..=10 {
            assert_eq!(clock.look(&mut sharing, second * 1000, &[row(1, 0), row(2, 7)]), NOBODY, "{second}");
        }
        assert_eq!(clock.look(&mut sharing, 10_100, &[row(1, 0), row(2, 7)]), [2]);
        assert_eq!(clock.look(&mut sharing, 11_000, &[row(1, 0), row(2, 8)]), NOBODY, "it has come back");
    }

    #[test]
    fn a_gap_in_the_looks_starts_the_count_again() {
        let (clock, mut sharing) = begin();
        let rows = [row(1, 0), row(2, 7)];
        for second in (0..=9).chain(13..=23) {
            assert_eq!(clock.look(&mut sharing, second * 1000, &rows), NOBODY, "{second}");
        }
        assert_eq!(clock.look(&mut sharing, 23_200, &rows), [2]);
    }

    #[test]
    fn a_beat_that_jumps_back_is_alive() {
        let (clock, mut sharing) = begin();
        for second in 0..40 {
            let beat = if second < 9 { 7 } else { 3 - i64::from(second >= 18) };
            let departed = clock.look(&mut sharing, second * 1000, &[row(1, 0), row(2, beat)]);
            assert_eq!(departed == [2], second >= 29, "{second}");
        }
    }

    #[test]
    fn who_leaves_is_taken_over_at_once_and_who_is_taken_never() {
        let (clock, mut sharing) = begin();
        let leaving = ServerRow { state: RowState::Leaving, ..row(2, 7) };
        let taken = ServerRow { taken_by: Some(Incarnation(9)), ..row(3, 7) };
        assert_eq!(clock.look(&mut sharing, 0, &[row(1, 0), leaving, taken.clone()]), [2]);
        for second in 1..30 {
            assert_eq!(clock.look(&mut sharing, second * 1000, &[row(1, 0), taken.clone()]), NOBODY);
        }
    }

    /// Of three that see a fourth die, the others come a beat later each.
    #[test]
    fn whoever_has_least_to_do_goes_first() {
        let clock = Clock(Instant::now());
        for (me, second) in [(1, 13), (2, 11), (3, 12)] {
            let mut sharing = Sharing::new(Incarnation(me), AFTER, true);
            let dead = (0..20).find(|&second| {
                let of = |id: i32, bytes| ServerRow { bytes, ..row(id, second as i64) };
                let rows = [of(1, 900), of(2, 5), of(3, 700), row(4, 7)];
                clock.look(&mut sharing, second * 1000, &rows) == [4]
            });
            assert_eq!(dead, Some(second), "{me}");
        }
    }

    /// If the first one in turn is dead itself, nobody waits for it.
    #[test]
    fn who_stands_still_has_no_turn() {
        let (clock, mut sharing) = begin();
        let rows = [ServerRow { bytes: 9, ..row(1, 0) }, row(2, 7), row(3, 7)];
        let dead: Vec<Vec<i32>> =
            (0..=11).map(|second| clock.look(&mut sharing, second * 1000, &rows)).collect();
        assert!(dead[..11].iter().all(Vec::is_empty), "{dead:?}");
        assert_eq!(dead[11], [2, 3]);
    }

    /// The lease ends two seconds before anybody else could take over: it begins when the beat was sent.
    #[test]
    fn a_lease_begins_before_the_beat_was_sent() {
        let (clock, mut sharing) = begin();
        assert_eq!(sharing.claim(), Claim::Fenced, "it has not beaten yet");
        sharing.beaten(clock.at(0), clock.at(5000));
        assert_eq!(sharing.claim(), Claim::Until(clock.at(8000)));
        clock.look(&mut sharing, 5000, &[row(1, 0)]);
        assert_eq!(sharing.claim(), Claim::Sole);
        clock.look(&mut sharing, 6000, &[row(1, 0), row(2, 0)]);
        assert_eq!(sharing.claim(), Claim::Until(clock.at(8000)));
        sharing.beaten(clock.at(6000), clock.at(6100));
        assert_eq!(sharing.claim(), Claim::Until(clock.at(14_000)));
        let mut waits = Sharing::new(Incarnation(1), AFTER, false);
        waits.beaten(clock.at(0), clock.at(1));
        clock.look(&mut waits, 1000, &[row(1, 0)]);
        assert_eq!(waits.claim(), Claim::Until(clock.at(8000)), "it is not to go on though it is alone");
    }

    #[test]
    fn who_was_taken_over_has_nothing_and_takes_over_nobody() {
        let (clock, mut sharing) = begin();
        sharing.beaten(clock.at(0), clock.at(0));
        let mine = ServerRow { taken_by: Some(Incarnation(2)), ..row(1, 0) };
        let leaving = ServerRow { state: RowState::Leaving, ..row(3, 7) };
        assert_eq!(clock.look(&mut sharing, 0, &[mine, row(2, 0), leaving]), NOBODY);
        assert_eq!(sharing.claim(), Claim::Fenced);
        let (clock, mut sharing) = begin();
        sharing.beaten(clock.at(0), clock.at(0));
        sharing.fenced();
        sharing.beaten(clock.at(1), clock.at(1));
        assert_eq!(sharing.claim(), Claim::Fenced);
    }

    #[test]
    fn who_leaves_has_nothing_and_takes_over_nobody() {
        let (clock, mut sharing) = begin();
        sharing.beaten(clock.at(0), clock.at(0));
        sharing.leaves(clock.at(500));
        sharing.leaves(clock.at(900));
        let leaving = ServerRow { state: RowState::Leaving, ..row(3, 7) };
        assert_eq!(clock.look(&mut sharing, 600, &[row(1, 0), leaving]), NOBODY);
        sharing.beaten(clock.at(1000), clock.at(1000));
        assert_eq!(sharing.claim(), Claim::Until(clock.at(500)));
    }

    #[test]
    fn a_server_waits_three_beats_for_what_has_its_name() {
        let clock = Clock(Instant::now());
        let mut entrance = Entrance::new("s2".into());
        let looked = |entrance: &mut Entrance, ms: u64, rows: &[ServerRow]| {
            entrance.looked(clock.at(ms), clock.at(ms), rows)
        };
        for ms in [0, 1000, 2000, 2999] {
            assert_eq!(looked(&mut entrance, ms, &[row(2, 7), row(3, ms as i64)]), Admission::Wait);
        }
        let left = Departed { id: Incarnation(2), beat: 7, bytes: 0 };
        assert_eq!(looked(&mut entrance, 3000, &[row(2, 7)]), Admission::Ready(vec![left]));

        let mut entrance = Entrance::new("s2".into());
        assert_eq!(looked(&mut entrance, 0, &[row(2, 7)]), Admission::Wait);
        assert_eq!(looked(&mut entrance, 2900, &[row(2, 8)]), Admission::NameInUse(Incarnation(2)));

        let gone = ServerRow { state: RowState::Leaving, ..row(2, 7) };
        assert_eq!(looked(&mut Entrance::new("s2".into()), 0, &[gone]), Admission::Ready(vec![left]));
        assert_eq!(looked(&mut Entrance::new("new".into()), 0, &[row(2, 7)]), Admission::Ready(vec![]));
    }
}
