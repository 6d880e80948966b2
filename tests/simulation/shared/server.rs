//! One server: its engines, what its store thread does between them and the table, and whether it lives. What happens to it, and
//! who uses it, is in `world.rs`.
use super::ledger::Ledger;
use super::plant::Plant;
use super::sharing::{Admission, Claim, Departed, Entrance, Incarnation, RowState, ServerRow, Sharing};
use super::table::{JobRow, Table, Write, Written};
use crate::cluster::{Cluster, ToStore};
use crate::kept::Kept;
use ringgear_engine::{HandlePrefix, Instant, JobId, Policy, ShardId, StoreSeq, Topology};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU8;
use std::ops::Range;
use std::time::Duration;

const TAKE_OVER_AFTER: Duration = Duration::from_secs(10);
const BEAT: u64 = 1_000_000_000;

/// What the store thread asks of the table, a transaction each.
#[derive(Debug)]
enum Query {
    Look,
    Register,
    Attend {
        adopts: bool,
    },
    Batch(Vec<(ShardId, ToStore)>),
    Take(Departed),
    Numbers,
    /// After a loss of the connection: what is there, and is still taken, of what ought to be?
    Reconcile,
    /// All but these jobs is left to others; who goes on with them.
    HandOver(Vec<JobId>, Incarnation),
    Leave,
}

/// How far a server that drains has left what waits to others.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Drain {
    No,
    /// It is to.
    Wanted,
    /// Its shards forget; or have, and these have stayed.
    Asked(Incarnation, Option<Vec<JobId>>),
    Over,
}

/// What it answers.
#[derive(Debug)]
enum Answer {
    Rows(Vec<ServerRow>),
    Registered(Incarnation),
    Attended { mine: bool, adopted: Vec<Kept>, rows: Vec<ServerRow> },
    Written(Written),
    Taken(Option<Vec<JobRow>>),
    Numbers(Range<u64>),
    Owned { rows: Vec<JobRow>, servers: Vec<ServerRow> },
    HandedOver(bool),
    Left,
}

/// A transaction on its way.
#[derive(Debug)]
struct Flight {
    query: Query,
    sent: u64,
    answer: Option<Answer>,
}

#[derive(Debug)]
enum Life {
    Down,
    Entering(Entrance),
    Registering,
    Serving,
    /// It was taken over, and forgets.
    Forgetting,
}

/// See the top of the file.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) ix: usize,
    pub(super) cluster: Cluster,
    life: Life,
    pub(super) paused: bool,
    /// Nothing gets through between it and the table.
    pub(super) cut: bool,
    connected: bool,
    unsettled: bool,
    pub(super) leaving: bool,
    drain: Drain,
    /// The last look has found others who serve.
    others: bool,
    me: Option<Incarnation>,
    sharing: Option<Sharing>,
    flight: Option<Flight>,
    queue: Vec<(ShardId, ToStore)>,
    /// What the table ought to have of this server's.
    book: BTreeSet<JobId>,
    /// Whom it has taken over.
    taken: Vec<Incarnation>,
    /// Whom it may.
    departed: Vec<Departed>,
    blocks: Vec<Range<u64>>,
    next_look: u64,
    looks: Vec<u64>,
    plant: Option<Plant>,
    alone_goes_on: bool,
    /// Where times of the clock of this world begin.
    base: std::time::Instant,
}

impl Server {
    pub(super) fn new(
        ix: usize,
        plant: Option<Plant>,
        alone_goes_on: bool,
        (work_at_once, attempts): (u32, Option<NonZeroU8>),
    ) -> Server {
        let prefix = HandlePrefix::new(format!("H:s{ix}").as_bytes()).expect("a short prefix");
        let mut policy = Policy {
            work_at_once,
            attempts,
            planted: plant.and_then(Plant::of_engine),
            ..Policy::new(prefix)
        };
        policy.share_store();
        Server {
            ix,
            cluster: Cluster::new(1, policy),
            life: Life::Down,
            paused: false,
            cut: false,
            connected: false,
            unsettled: false,
            leaving: false,
            drain: Drain::No,
            others: false,
            me: None,
            sharing: None,
            flight: None,
            queue: Vec::new(),
            book: BTreeSet::new(),
            taken: Vec::new(),
            departed: Vec::new(),
            blocks: Vec::new(),
            next_look: 0,
            looks: Vec::new(),
            plant,
            alone_goes_on,
            base: std::time::Instant::now(),
        }
    }

    fn name(&self) -> String {
        format!("s{}", self.ix)
    }

    fn at(&self, ns: u64) -> std::time::Instant {
        self.base + Duration::from_nanos(ns)
    }

    pub(super) fn is_up(&self) -> bool {
        !matches!(self.life, Life::Down)
    }

    /// Whether clients and workers can reach it.
    pub(super) fn runs(&self) -> bool {
        self.is_up() && !self.paused
    }

    pub(super) fn serves(&self) -> bool {
        self.runs()
            && matches!(self.life, Life::Serving | Life::Forgetting | Life::Registering)
            && !self.blocks.is_empty()
    }

    pub(super) fn me(&self) -> Option<Incarnation> {
        self.me
    }

    /// Who it is, if what this one has is its own: it may be another by now and not have heard of it.
    pub(super) fn me_as(&self, holder: Option<Incarnation>) -> Option<Incarnation> {
        match self.drain {
            Drain::Asked(next, _) if holder == Some(next) => holder,
            _ => self.me,
        }
    }

    /// It is to end when it has no jobs, and leaves those that wait to others.
    pub(super) fn drain(&mut self) {
        if self.drain == Drain::No {
            self.drain = Drain::Wanted;
        }
    }

    /// It lives, and a job is in its book, or on its way there.
    pub(super) fn knows(&self, id: JobId) -> bool {
        self.book.contains(&id) || self.sends(id)
    }

    fn sends(&self, id: JobId) -> bool {
        let batch = self.flight.as_ref().map(|flight| &flight.query);
        matches!(batch, Some(Query::Batch(ops)) if ops.iter().any(|(_, op)| put(op) == Some(id)))
    }

    /// Nothing limits what it gives out.
    pub(super) fn is_sole(&self) -> bool {
        self.sharing.as_ref().is_some_and(|sharing| sharing.claim() == Claim::Sole)
    }

    /// The table has done what it was asked for, and the answer is on its way.
    pub(super) fn is_answered(&self) -> bool {
        self.flight.as_ref().is_some_and(|flight| flight.answer.is_some())
    }

    /// Nothing waits to be written.
    pub(super) fn is_settled(&self) -> bool {
        self.queue.is_empty()
            && self.flight.is_none()
            && !self.unsettled
            && matches!(self.life, Life::Serving)
    }

    pub(super) fn jobs(&self) -> u64 {
        let topology = self.cluster.topology();
        topology.owners().map(|shard| self.cluster.engine(shard).jobs()).sum()
    }

    fn shards(&self) -> impl Iterator<Item = ShardId> + use<> {
        self.cluster.topology().owners()
    }

    // Life and death.

    pub(super) fn start(&mut self, shards: u16) {
        self.cluster.restart(Topology::new(shards));
        self.life = Life::Entering(Entrance::new(self.name()));
        (self.paused, self.leaving, self.unsettled) = (false, false, false);
        (self.drain, self.others) = (Drain::No, false);
        self.next_look = 0;
        self.shards().for_each(|shard| self.cluster.store_away(shard, true));
        self.shards().for_each(|shard| self.cluster.lease(shard, Instant(0)));
        self.pump();
    }

    /// It is gone, with everything that it knew. What is on its way is or is not there.
    pub(super) fn kill(&mut self, arrives: bool, table: &mut Table, now: u64, ledger: &mut Ledger) {
        self.pump();
        if arrives && self.connected && !self.cut {
            self.execute(table, now, ledger);
        }
        self.confess(ledger);
        let puts = self.under_way().filter_map(|(_, op)| put(op));
        ledger.died(self.unsettled, puts, &self.book);
        self.life = Life::Down;
        (self.connected, self.paused) = (false, false);
        self.forget_all();
        self.queue.clear();
        self.blocks.clear();
        self.looks.clear();
        self.flight = None;
    }

    fn forget_all(&mut self) {
        (self.me, self.sharing) = (None, None);
        self.book.clear();
        self.taken.clear();
        self.departed.clear();
    }

    fn under_way(&self) -> impl Iterator<Item = &(ShardId, ToStore)> {
        let flight = self.flight.as_ref().filter(|flight| flight.answer.is_none());
        let batch = flight.map(|flight| &flight.query);
        let batch = if let Some(Query::Batch(ops)) = batch { &ops[..] } else { &[] };
        batch.iter().chain(&self.queue)
    }

    /// What it has done and could not say may be done again: it is gone, or another one has taken over.
    pub(super) fn confess(&mut self, ledger: &mut Ledger) {
        self.pump();
        let dones: Vec<JobId> = self.under_way().filter_map(|(_, op)| done(op)).collect();
        dones.into_iter().for_each(|id| ledger.excuse(id));
    }

    // Time.

    /// What is due happens.
    pub(super) fn tick(&mut self) {
        let mut rounds = 0;
        self.cluster.run_until_quiet();
        while let Some((shard, _)) =
            self.cluster.next_deadline().filter(|&(_, at)| at <= self.cluster.now().instant)
        {
            self.cluster.tick(shard);
            self.cluster.run_until_quiet();
            rounds += 1;
            assert!(rounds < 10_000, "[what is done in pieces ends]");
        }
        self.pump();
        let forgets = self.shards().any(|shard| self.cluster.engine(shard).is_forgetting());
        if matches!(self.life, Life::Forgetting) && !forgets {
            self.life = Life::Registering;
        }
        if let Drain::Asked(_, kept @ None) = &mut self.drain
            && !forgets
        {
            let shards = self.cluster.topology().owners();
            *kept = Some(shards.flat_map(|shard| self.cluster.take_kept(shard)).collect());
        }
    }

    /// The store thread begins to leave what waits to others, if there are any.
    fn begin_hand_over(&mut self, table: &mut Table) {
        if self.drain != Drain::Wanted || !self.others || !matches!(self.life, Life::Serving) {
            return;
        }
        self.departed.clear();
        let next = table.draw();
        if self.plant == Some(Plant::LeavesBeforeForgetting) {
            self.drain = Drain::Asked(next, Some(Vec::new()));
            return;
        }
        self.drain = Drain::Asked(next, None);
        self.shards().for_each(|shard| self.cluster.store_away(shard, true));
        self.shards().for_each(|shard| self.cluster.hand_over(shard));
        self.tick();
    }

    /// Takes what engines want of the store.
    pub(super) fn pump(&mut self) {
        self.queue.append(&mut self.cluster.take_asked());
    }

    // The store thread.

    /// The next thing of the store thread, or of the network. False if there is nothing.
    pub(super) fn goes_on(&mut self, table: Option<&mut Table>, now: u64, ledger: &mut Ledger) -> bool {
        if !self.is_up() {
            return false;
        }
        let Some(table) = table.filter(|_| !self.cut) else {
            let lost = self.connected && !self.paused;
            if lost {
                self.disconnect();
            }
            return lost;
        };
        match &self.flight {
            // What is on its way arrives, whatever has become of the process.
            Some(flight) if flight.answer.is_none() => self.execute(table, now, ledger),
            _ if self.paused => return false,
            Some(_) => self.hear(now, ledger),
            None if !self.connected => {
                self.connected = true;
                ledger.count("reconnects");
            }
            None => match self.next_step(table, now) {
                Some(query) => {
                    if matches!(query, Query::Leave) {
                        let at = self.at(now);
                        self.sharing.iter_mut().for_each(|sharing| sharing.leaves(at));
                        self.heed_claim(ledger);
                    }
                    self.flight = Some(Flight { query, sent: now, answer: None });
                }
                None => return false,
            },
        }
        true
    }

    /// What there is to ask next, after a drain that has begun has shown itself.
    fn next_step(&mut self, table: &mut Table, now: u64) -> Option<Query> {
        self.begin_hand_over(table);
        self.next_query(now)
    }

    fn next_query(&mut self, now: u64) -> Option<Query> {
        let looks = now >= self.next_look;
        match self.life {
            Life::Down | Life::Forgetting => None,
            Life::Entering(_) => looks.then_some(Query::Look),
            Life::Registering => Some(Query::Register),
            // What is forgotten already is not to be read again.
            Life::Serving if self.unsettled && !matches!(self.drain, Drain::Asked(..)) => {
                Some(Query::Reconcile)
            }
            Life::Serving if looks => {
                Some(Query::Attend { adopts: matches!(self.drain, Drain::No | Drain::Wanted) })
            }
            Life::Serving if !self.queue.is_empty() => Some(Query::Batch(std::mem::take(&mut self.queue))),
            Life::Serving if matches!(self.drain, Drain::Asked(_, Some(_))) => {
                let Drain::Asked(next, Some(kept)) = &self.drain else { return None };
                Some(Query::HandOver(kept.clone(), *next))
            }
            Life::Serving if self.drain == Drain::Over && self.jobs() == 0 => Some(Query::Leave),
            Life::Serving => {
                let wants = self.shards().any(|shard| self.cluster.engine(shard).wants_numbers());
                let next = self.departed.pop().map(Query::Take);
                let numbers = wants.then_some(Query::Numbers);
                next.or(numbers).or_else(|| self.leaving.then_some(Query::Leave))
            }
        }
    }

    /// The connection is gone; whether what was on its way was done is not known.
    pub(super) fn disconnect(&mut self) {
        self.pump();
        self.connected = false;
        self.unsettled = self.plant != Some(Plant::NoReconcile);
        let Some(Flight { query: Query::Batch(ops), .. }) = self.flight.take() else { return };
        if self.plant == Some(Plant::UnknownIsFailed) {
            for (shard, op) in ops {
                if let ToStore::Put(seq, _) = op {
                    self.cluster.store_answers(shard, seq, false);
                }
            }
            return self.tick();
        }
        // It is sent once more: what is there already is not written twice.
        self.queue.splice(0..0, ops);
    }

    /// The table does what is on its way.
    fn execute(&mut self, table: &mut Table, now: u64, ledger: &mut Ledger) {
        let bytes = self.jobs() * 100;
        let name = self.name();
        let me = self.me.unwrap_or(Incarnation(0));
        let Some(flight) = self.flight.as_mut().filter(|flight| flight.answer.is_none()) else { return };
        let answer = match &flight.query {
            Query::Look => Answer::Rows(table.servers()),
            Query::Register => Answer::Registered(table.register(&name, now)),
            &Query::Attend { adopts } => {
                let (mine, adopted) = table.attend(me, adopts, bytes, now);
                Answer::Attended { mine, adopted, rows: table.servers() }
            }
            Query::Batch(ops) => {
                let (mut writes, mut lost) = (BTreeMap::new(), BTreeMap::new());
                for (_, op) in ops {
                    match op {
                        ToStore::Put(_, Some(job)) => {
                            assert!(!job.id.is_spare(), "[what is stored has no spare number] {:?}", job.id);
                            writes.insert(job.id, Write::Put(job.clone()));
                        }
                        ToStore::Done(id) => _ = writes.insert(*id, Write::Delete),
                        ToStore::Attempts(id, attempts) => _ = lost.insert(*id, *attempts),
                        ToStore::Put(_, None) | ToStore::Unknown(_) => {}
                    }
                }
                let written = table.write(me, &writes, bytes, now);
                if written.mine {
                    table.lose_attempts(&lost);
                }
                writes.keys().filter(|&&id| table.row(id).is_some()).for_each(|&id| ledger.written(id));
                Answer::Written(written)
            }
            &Query::Take(who) => {
                let before = table.servers().into_iter().find(|row| row.id == who.id);
                let taken = table.take(me, who);
                if let Some(row) = before.filter(|_| taken) {
                    let beaten = table.beaten.get(&who.id).copied().unwrap_or(0);
                    ledger.taken((row.state, row.name == name), (beaten, &self.looks), now);
                }
                Answer::Taken(taken.then(|| table.owned(who.id)))
            }
            Query::Numbers if self.plant == Some(Plant::NumbersFromClock) => {
                let first = now / 10_000_000 + 1;
                Answer::Numbers(first..first + 40)
            }
            Query::Numbers => Answer::Numbers(table.numbers()),
            Query::Reconcile => {
                // What a failover has lost of its own take-overs it does again, if nobody else has.
                for &id in &self.taken {
                    let servers = table.servers();
                    let open = servers.iter().find(|row| row.id == id && row.taken_by.is_none());
                    if let Some(row) = open {
                        table.take(me, Departed { id, beat: row.beat, bytes: 0 });
                    }
                }
                Answer::Owned { rows: table.owned(me), servers: table.servers() }
            }
            Query::HandOver(kept, next) => Answer::HandedOver(table.bequeath(me, (*next, &name), kept, now)),
            Query::Leave => {
                table.leave(me);
                Answer::Left
            }
        };
        flight.answer = Some(answer);
    }

    /// The process hears what became of it.
    fn hear(&mut self, now: u64, ledger: &mut Ledger) {
        let Some(Flight { query, sent, answer: Some(answer) }) = self.flight.take() else { return };
        self.pump();
        let (at, since) = (self.at(now), self.at(sent));
        match answer {
            Answer::Rows(rows) => {
                let Life::Entering(entrance) = &mut self.life else { return };
                self.next_look = now + BEAT;
                match entrance.looked(since, at, &rows) {
                    Admission::Wait => {}
                    Admission::NameInUse(_) => self.life = Life::Down,
                    Admission::Ready(departed) => {
                        self.departed = departed;
                        self.life = Life::Registering;
                    }
                }
            }
            Answer::Registered(id) => {
                self.begin_as(id, (since, at));
                self.life = Life::Serving;
                // First those are taken over that have its name.
                self.next_look = now + BEAT;
                self.unsettled = false;
            }
            Answer::Attended { mine, adopted, rows } => {
                self.attended(mine, adopted, &rows, (sent, now), ledger)
            }
            Answer::Written(written) => {
                let Query::Batch(ops) = query else { return };
                self.written(ops, &written, ledger);
                self.have_beaten(written.mine, sent, now);
            }
            Answer::Taken(Some(rows)) => {
                let Query::Take(who) = query else { return };
                self.taken.push(who.id);
                self.load(rows.into_iter().map(|row| row.job), ledger);
            }
            Answer::Taken(None) => {}
            Answer::Numbers(block) => {
                self.shards().for_each(|shard| self.cluster.numbers(shard, block.clone()));
                // The first one says that the start is over.
                self.shards().for_each(|shard| self.cluster.store_away(shard, false));
                self.blocks.push(block);
            }
            Answer::Owned { rows, servers } => self.reconcile(rows, &servers, ledger),
            Answer::HandedOver(done) => self.handed_over(query, done, (since, at), ledger),
            // It ends now.
            Answer::Left => self.life = Life::Down,
        }
        self.heed_claim(ledger);
        self.tick();
    }

    /// It goes on as another one, with what has stayed.
    fn handed_over(
        &mut self,
        query: Query,
        done: bool,
        (since, at): (std::time::Instant, std::time::Instant),
        ledger: &mut Ledger,
    ) {
        let Query::HandOver(kept, next) = query else { return };
        if !done {
            self.sharing.iter_mut().for_each(Sharing::fenced);
            return;
        }
        self.begin_as(next, (since, at));
        self.book.retain(|id| kept.contains(id));
        self.taken.clear();
        self.drain = Drain::Over;
        if self.plant == Some(Plant::LeavesBeforeForgetting) {
            self.shards().for_each(|shard| self.cluster.hand_over(shard));
        }
        self.shards().for_each(|shard| self.cluster.store_away(shard, false));
        ledger.count("drains that left jobs to others");
    }

    fn begin_as(&mut self, id: Incarnation, (since, at): (std::time::Instant, std::time::Instant)) {
        let sharing = Sharing::new(id, TAKE_OVER_AFTER, self.alone_goes_on);
        let mut sharing = sharing.planting(self.plant.and_then(Plant::of_sharing));
        sharing.beaten(since, at);
        (self.me, self.sharing) = (Some(id), Some(sharing));
    }

    fn attended(
        &mut self,
        mine: bool,
        adopted: Vec<Kept>,
        rows: &[ServerRow],
        (sent, now): (u64, u64),
        ledger: &mut Ledger,
    ) {
        self.next_look = now + BEAT;
        self.looks.push(now);
        self.have_beaten(mine, sent, now);
        let (since, at) = (self.at(sent), self.at(now));
        if let Some(sharing) = self.sharing.as_mut() {
            // What an earlier look has come to counts no more.
            self.departed = sharing.looked(since, at, rows);
        }
        if !matches!(self.drain, Drain::No | Drain::Wanted) {
            self.departed.clear();
        }
        let serves = |row: &ServerRow| row.state == RowState::Serving && row.taken_by.is_none();
        self.others = rows.iter().any(|row| Some(row.id) != self.me && serves(row));
        self.load(adopted.into_iter(), ledger);
    }

    fn have_beaten(&mut self, mine: bool, sent: u64, now: u64) {
        let (since, at) = (self.at(sent), self.at(now));
        if let Some(sharing) = self.sharing.as_mut() {
            if mine {
                sharing.beaten(since, at);
            } else {
                sharing.fenced();
            }
        }
    }

    /// The engines hear what became of a batch. Of one that was fenced they hear otherwise.
    fn written(&mut self, ops: Vec<(ShardId, ToStore)>, written: &Written, ledger: &mut Ledger) {
        for (shard, op) in ops {
            match op {
                ToStore::Put(seq, job) if written.mine => {
                    match job.as_ref().and_then(|job| written.elsewhere.get(&job.id)) {
                        Some(&other) => {
                            ledger.instead.extend(job.map(|job| (job.id, other)));
                            self.cluster.store_answers(shard, StoreSeq(seq.0 - 1), true);
                            self.cluster.stored_elsewhere(shard, seq, other);
                        }
                        None => {
                            self.cluster.store_answers(shard, seq, true);
                            self.book.extend(job.map(|job| job.id));
                        }
                    }
                }
                ToStore::Done(id) => _ = self.book.remove(&id),
                ToStore::Put(..) | ToStore::Attempts(..) | ToStore::Unknown(_) => {}
            }
        }
    }

    /// Jobs that are this server's from now on; not those of which it knows better.
    fn load(&mut self, jobs: impl Iterator<Item = Kept>, ledger: &mut Ledger) {
        let ended: BTreeSet<JobId> = self.queue.iter().filter_map(|(_, op)| done(op)).collect();
        for job in jobs.filter(|job| !ended.contains(&job.id)) {
            let taken = self.cluster.take_over(&job);
            assert_eq!(taken, Ok(()), "[what was stored can be taken over]");
            self.book.insert(job.id);
            ledger.count("jobs taken over");
        }
        self.cluster.run_until_quiet();
    }

    /// What is there after a loss of the connection, and what ought to be.
    fn reconcile(&mut self, rows: Vec<JobRow>, servers: &[ServerRow], ledger: &mut Ledger) {
        let find = |id: Incarnation| servers.iter().find(|row| row.id == id);
        let me = self.me.and_then(find).filter(|row| row.taken_by.is_none());
        let kept = self.taken.iter().all(|&id| find(id).is_some_and(|row| row.taken_by == self.me));
        let Some(me) = me.filter(|_| kept).map(|row| row.id) else {
            if let Some(sharing) = self.sharing.as_mut() {
                sharing.fenced();
            }
            return;
        };
        self.unsettled = false;
        let waits: BTreeSet<JobId> =
            self.queue.iter().filter_map(|(_, op)| done(op).or_else(|| put(op))).collect();
        // One that has come back to life, or from the dead, is not there either.
        let is_dead = |id: JobId| {
            let engine = self.cluster.engine(self.cluster.topology().owner(id.slot()));
            engine.jobs_to_keep().find(id).map(|job| job.death.is_some())
        };
        let is_right = |row: &&JobRow| is_dead(row.job.id).is_none_or(|dead| dead == row.job.death.is_some());
        let right: BTreeSet<JobId> = rows.iter().filter(is_right).map(|row| row.job.id).collect();
        let missing: Vec<JobId> =
            self.book.iter().filter(|id| !right.contains(id) && !waits.contains(id)).copied().collect();
        for id in missing {
            let shard = self.cluster.topology().owner(id.slot());
            self.cluster.put_again(shard, &[id]);
            ledger.count("jobs put again");
        }
        let unknown = rows.into_iter().filter(|row| !self.book.contains(&row.job.id));
        let (ended, foreign): (Vec<JobRow>, Vec<JobRow>) =
            unknown.filter(|row| !waits.contains(&row.job.id)).partition(|row| {
                let own = self.blocks.iter().any(|block| block.contains(&row.job.id.sequence()));
                own && row.owner == me
            });
        self.queue.extend(ended.iter().map(|row| (ShardId(0), ToStore::Done(row.job.id))));
        self.load(foreign.into_iter().map(|row| row.job), ledger);
        self.pump();
    }

    /// What is its own, the engines must know.
    fn heed_claim(&mut self, ledger: &mut Ledger) {
        let Some(sharing) = &self.sharing else { return };
        let until = match sharing.claim() {
            Claim::Sole => Instant(u64::MAX),
            Claim::Until(until) => {
                Instant(u64::try_from((until - self.base).as_nanos()).expect("a world is short"))
            }
            Claim::Fenced => {
                ledger.count("servers fenced");
                self.pump();
                self.confess(ledger);
                let puts = self.queue.iter().filter_map(|(_, op)| put(op));
                ledger.died(self.unsettled, puts, &self.book);
                // Ends of what is another server's now are of no use to it: it has these jobs in memory.
                self.queue.clear();
                self.forget_all();
                self.life = Life::Forgetting;
                if matches!(self.drain, Drain::Asked(..)) {
                    // There is nothing to leave any more.
                    self.drain = Drain::Over;
                    self.shards().for_each(|shard| self.cluster.store_away(shard, false));
                }
                return self.shards().for_each(|shard| self.cluster.fenced(shard));
            }
        };
        self.shards().for_each(|shard| self.cluster.lease(shard, until));
    }
}

fn done(op: &ToStore) -> Option<JobId> {
    if let ToStore::Done(id) = op { Some(*id) } else { None }
}

fn put(op: &ToStore) -> Option<JobId> {
    if let ToStore::Put(_, Some(job)) = op { Some(job.id) } else { None }
}
