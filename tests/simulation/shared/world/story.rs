//! Stories: what worlds of several servers come to too seldom by chance, told step by step. How long things take, how many servers there
//! are and of how many shards is drawn as ever, and at the end everything comes to an end as in other worlds.
use super::{CLIENTS, FUNCTIONS, MS, World};
use crate::shared::plant::Plant;
use ringgear_engine::Planted;
use ringgear_protocol::Priority;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shared) enum Story {
    /// A server hears late that it has beaten, and then nothing more; another one takes over; workers come to the first.
    LateAnswer,
    /// While the table is away at the start a foreground job comes, and later a background one with the same unique.
    SpareJoined,
}

impl Story {
    pub(in crate::shared) const ALL: [Story; 2] = [Story::LateAnswer, Story::SpareJoined];

    /// The bug that it is about, and the rule that sees it.
    pub(in crate::shared) fn bug(self) -> (Plant, &'static str) {
        match self {
            Story::LateAnswer => (Plant::LeaseFromAnswer, "[only whose it is gives out a stored job]"),
            Story::SpareJoined => (Plant::Engine(Planted::StoresSpare), "spare number"),
        }
    }
}

impl World {
    /// A world of at least two servers.
    pub(in crate::shared) fn of_several(seed: u64, plant: Option<Plant>) -> World {
        let mut worlds = (0..).map(|nth| World::new(seed + 1000 * nth, plant, false));
        worlds.find(|world| world.servers.len() > 1).expect("most are so")
    }

    pub(in crate::shared) fn tell(&mut self, story: Story) {
        match story {
            Story::LateAnswer => self.late_answer(),
            Story::SpareJoined => self.spare_joined(),
        }
        self.come_to_an_end();
    }

    fn late_answer(&mut self) {
        (0..self.servers.len()).for_each(|ix| self.start(ix));
        self.steadily(6000, true);
        for number in 0..8 {
            let (at, function) = (number % CLIENTS, FUNCTIONS[number % FUNCTIONS.len()]);
            self.submit_as((0, at), function, "", true, (None, Priority::Normal));
        }
        self.steadily(1500, true);
        assert!(self.ledger.subs.iter().all(|sub| sub.acked.is_some()), "[a well world keeps jobs]");
        let me = self.servers[0].me().expect("it serves");
        // From nothing under way to the answer of a beat that was sent at this moment.
        while !self.servers[0].is_answered() {
            if self.servers[0].is_settled() {
                self.steadily(100, false);
            }
            self.store_goes_on(0);
        }
        // Longer than the margin between the end of the lease and a take-over, and the time between two looks or three.
        let late = self.random.between(5000, 6000);
        self.steadily(late, false);
        self.store_goes_on(0);
        self.servers[0].cut = true;
        let mut waits = 0;
        while self.table.holder(me) == Some(me) {
            self.steadily(100, true);
            waits += 1;
            assert!(waits < 200, "[who does not beat is taken over]");
        }
        (0..6).for_each(|_| self.work(0));
    }

    fn spare_joined(&mut self) {
        self.table_up = false;
        (0..self.servers.len()).for_each(|ix| self.start(ix));
        let about = |background| (FUNCTIONS[0], "u0", background, (None, Priority::Normal));
        let (function, unique, background, how) = about(false);
        self.submit_as((0, 0), function, unique, background, how);
        self.steadily(1000, true);
        self.table_up = true;
        self.steadily(6000, true);
        let (function, unique, background, how) = about(true);
        self.submit_as((0, 1), function, unique, background, how);
        self.steadily(1500, true);
        assert!(self.ledger.subs.iter().all(|sub| sub.acked.is_some()), "[a well world keeps jobs]");
    }

    /// So many milliseconds pass, and store threads go on; that of the first server only if it does, too.
    fn steadily(&mut self, ms: u64, first: bool) {
        for _ in 0..ms.div_ceil(100) {
            self.pass(100 * MS);
            for ix in usize::from(!first)..self.servers.len() {
                (0..4).for_each(|_| self.store_goes_on(ix));
            }
        }
    }
}
