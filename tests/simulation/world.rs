//! A job server of several shards in pretend time, and everybody who uses it. Each step does one thing that could
//! happen next, as the generator says; nothing else is random, so a seed gives the same world again.
mod durable;
mod finale;

use crate::act::{Act, Shown};
use crate::auditor::{Auditor, Coverage};
use crate::cluster::{Cluster, Seen};
use crate::random::Random;
use crate::store::Store;
use crate::swarm::Mix;
use crate::trace::Trace;
use crate::workload::{Actor, Common};
use ringgear_engine::{Ask, CloseReason, Epoch, Order, Planted, Query, Reply, SessionId, ShardId};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// With so many jobs nobody submits more.
const JOBS_MAX: usize = 50;
const ACTORS_MAX: usize = 24;

/// What a world leaves behind.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) hash: u64,
    pub(crate) coverage: Coverage,
}

/// See the top of the file.
pub(crate) struct World {
    random: Random,
    mix: Mix,
    cluster: Cluster,
    store: Store,
    /// Shards of which too much waits for the store.
    full: BTreeSet<ShardId>,
    auditor: Auditor,
    trace: Trace,
    actors: Vec<Actor>,
    common: Common,
    observer: SessionId,
    /// Descriptors, as the cluster gives them.
    descriptor: u32,
    /// Names of actors.
    born: u64,
    /// The shard to which something happened last.
    touched: ShardId,
    /// How bad a moment this is for a crash: something is to be stored since the last step.
    tension: u32,
}

impl World {
    pub(crate) fn new(seed: u64, planted: Option<Planted>, readable: bool) -> World {
        let mut random = Random::new(seed);
        let mix = Mix::draw(&mut random, planted);
        let capacity = mix.capacity;
        let cluster =
            Cluster::of(mix.topology(), mix.policy.clone()).with_capacity(capacity).watched().stingy();
        let auditor = Auditor::new(mix.policy.clone(), mix.functions.clone(), mix.shards, cluster.now());
        let mut world = World {
            random,
            mix,
            cluster,
            store: Store::default(),
            full: BTreeSet::new(),
            auditor,
            trace: Trace::new(readable),
            actors: Vec::new(),
            common: Common::default(),
            observer: SessionId::new(ShardId(0), 0, 1),
            descriptor: 10,
            born: 0,
            touched: ShardId(0),
            tension: 0,
        };
        let observer = world.connect(ShardId(0), "o".into());
        world.set_observer(observer);
        world.populate();
        world
    }

    fn populate(&mut self) {
        let (clients, workers, admins) = (self.mix.clients, self.mix.workers, self.mix.admins);
        (0..clients).for_each(|_| self.open(0));
        (0..workers).for_each(|_| self.open(1));
        (0..admins).for_each(|_| self.open(2));
    }

    /// Runs so many steps, then lets everything come to an end. Panics when something is wrong.
    pub(crate) fn run(&mut self, steps: u64) -> Outcome {
        for _ in 0..steps {
            self.step();
        }
        self.come_to_an_end();
        Outcome { hash: self.trace.hash(), coverage: self.auditor.coverage() }
    }

    pub(crate) fn transcript(&self) -> impl Iterator<Item = &String> {
        self.trace.lines()
    }

    /// One line about the mix.
    pub(crate) fn describe(&self) -> String {
        let p = &self.mix.policy;
        format!(
            "{} shards, {} guests, channels of {}, {:?}, {:?}, round robin {}, attempts {:?}, {} functions, store {}, {} dead jobs",
            self.mix.shards,
            self.mix.guests,
            self.mix.capacity,
            p.compat,
            p.wakeup,
            p.round_robin,
            p.attempts,
            self.mix.functions.len(),
            p.store,
            p.dead_jobs
        )
    }

    // Steps.

    fn step(&mut self) {
        let tension = std::mem::take(&mut self.tension);
        if tension > 0 && self.random.chance(tension * self.mix.crashes) {
            return self.restart();
        }
        let weights = &self.mix.weights;
        let pairs = self.cluster.pairs();
        let some = |there: bool, weight: u32| if there { weight } else { 0 };
        let actors = !self.actors.is_empty();
        let (commits, answers) = self.store.has_work();
        let choice = self.random.weighted(&[
            some(actors, weights.act),
            some(!pairs.is_empty(), weights.deliver),
            weights.tick,
            weights.pass,
            weights.settle,
            some(self.actors.len() < ACTORS_MAX, weights.open),
            some(actors, weights.close),
            some(actors, weights.finish),
            weights.set_clock,
            some(commits, weights.commit),
            some(answers, weights.answer),
            some(self.mix.policy.store, weights.restart),
            some(self.cluster.wanting_room() > 0, weights.room),
            some(self.mix.policy.store && !self.store.is_hung(), weights.hang),
            some(self.store.is_hung(), weights.go_on),
            some(self.store.is_hung(), weights.settle.max(2)),
        ]);
        match choice {
            Some(0) => self.somebody_acts(),
            Some(1) => {
                let (from, to) = *self.random.pick(&pairs);
                self.deliver(from, to);
            }
            Some(2) => {
                let shard = self.some_home();
                self.tick(shard);
            }
            Some(3) => self.time_passes(),
            Some(4) => self.settle_and_ask(),
            Some(5) => {
                let role = self.random.weighted(&[4, 5, 1]).expect("some weight");
                self.open(role);
            }
            Some(6) => self.somebody_closes(),
            Some(7) => {
                let at = self.random.below(self.actors.len() as u64) as usize;
                self.perform(self.actors[at].session, Act::Finish(CloseReason::Peer));
                // It reads what is left when the engine closes it.
            }
            Some(8) => self.clock_is_set(),
            Some(9) => self.store_commits(),
            Some(10) => self.store_answers(),
            Some(11) => self.restart(),
            Some(12) => {
                let at = self.random.below(self.cluster.wanting_room() as u64) as usize;
                self.give_room(at);
            }
            Some(13) => self.store_hangs(true),
            Some(14) => self.store_hangs(false),
            Some(15) => self.wait_while_it_hangs(),
            _ => {}
        }
        self.look_around();
    }

    fn somebody_acts(&mut self) {
        let at = self.random.below(self.actors.len() as u64) as usize;
        let session = self.actors[at].session;
        if self.random.chance(1000 - self.mix.habits.slow_reader) {
            let replies = self.cluster.replies(session);
            self.actors[at].read(replies, &self.mix, &mut self.common);
        }
        self.common.crowded = self.auditor.jobs_left() > JOBS_MAX;
        let now = self.cluster.now();
        let acts = self.actors[at].act(&self.mix, now, &mut self.common, &mut self.random);
        acts.into_iter().for_each(|act| self.perform(session, act));
    }

    fn perform(&mut self, session: SessionId, act: Act) {
        if self.cluster.is_closed(session) {
            // What it did before was the end of it.
            return;
        }
        self.trace
            .note(1, |trace| format!("{} > {}", trace.called(session), Shown(&act, &self.mix.functions)));
        act.perform(session, &self.mix.functions, &mut self.cluster);
        self.auditor.sent(session, act);
        self.touched = session.shard();
        self.watch();
    }

    fn deliver(&mut self, from: ShardId, to: ShardId) {
        let cluster = &self.cluster;
        self.trace.note(2, |_| {
            let message = cluster.next_message(from, to);
            format!("  {} -> {}: {message:?}", from.0, to.0)
        });
        self.cluster.deliver_one(from, to);
        self.touched = to;
        self.watch();
    }

    /// Somebody has read what it was sent of a report.
    pub(super) fn give_room(&mut self, at: usize) {
        let Some(session) = self.cluster.give_room(at) else { return };
        self.trace.note(8, |trace| format!("{} has room", trace.called(session)));
        self.touched = session.shard();
        self.watch();
    }

    fn tick(&mut self, shard: ShardId) {
        self.trace.note(3, |_| format!("shard {} is told the time", shard.0));
        self.cluster.tick(shard);
        self.touched = shard;
        self.watch();
    }

    fn time_passes(&mut self) {
        let now = self.cluster.now().instant;
        let deadline =
            self.cluster.next_deadline().map(|(_, at)| Duration::from_nanos(at.0.saturating_sub(now.0)));
        let duration = match self.random.below(4) {
            0 => Duration::from_nanos(self.random.below(1000)),
            1 => Duration::from_millis(self.random.below(2000)),
            2 => Duration::from_millis(self.random.below(60)),
            _ => deadline.unwrap_or_default(),
        };
        self.pass(duration);
    }

    fn pass(&mut self, duration: Duration) {
        // Which of two workers was too slow, if none of them was told of its job yet, nobody could tell.
        if self.auditor.slow_grabs() > 1 {
            self.run_until_quiet();
        }
        self.trace.note(4, |_| format!("{duration:?} pass"));
        self.cluster.pass(duration);
        self.auditor.time(self.cluster.now());
    }

    fn clock_is_set(&mut self) {
        let now = self.cluster.now().epoch.0;
        let step = self.random.below(8000);
        let then = if self.random.chance(500) { now + step } else { now - step };
        self.trace.note(5, |_| format!("the clock is set from {now} to {then}"));
        self.cluster.set_epoch(Epoch(then));
        self.auditor.time(self.cluster.now());
    }

    /// Where somebody may connect: a shard or a guest.
    fn some_home(&mut self) -> ShardId {
        ShardId(self.random.below(self.mix.topology().homes().len() as u64) as u16)
    }

    fn open(&mut self, role: usize) {
        self.born += 1;
        let shard = self.some_home();
        let name = format!("{}{}", ['c', 'w', 'a'][role], self.born);
        let session = self.connect(shard, name);
        self.actors.push(match role {
            0 => Actor::client(session),
            1 => Actor::worker(session, &self.mix, &mut self.random),
            _ => Actor::admin(session),
        });
    }

    fn connect(&mut self, shard: ShardId, name: String) -> SessionId {
        let session = self.cluster.open(shard);
        self.trace.name(session, name);
        self.trace.note(6, |trace| format!("{} connects", trace.called(session)));
        self.auditor.opened(session, self.descriptor, IpAddr::V4(Ipv4Addr::LOCALHOST));
        self.descriptor += 1;
        self.touched = shard;
        self.watch();
        session
    }

    fn somebody_closes(&mut self) {
        let at = self.random.below(self.actors.len() as u64) as usize;
        let actor = self.actors.swap_remove(at);
        let reasons = [CloseReason::Peer, CloseReason::SlowReader, CloseReason::Malformed];
        let reason = *self.random.pick(&reasons);
        self.close(actor.session, reason);
    }

    fn close(&mut self, session: SessionId, reason: CloseReason) {
        self.trace.note(7, |trace| format!("{} closes ({reason:?})", trace.called(session)));
        if !self.cluster.is_closed(session) {
            self.auditor.closed(session);
        }
        self.cluster.close(session, reason);
        self.touched = session.shard();
        self.watch();
    }

    /// Tells the auditor what was seen, and lets go of those whom the engine has closed.
    fn watch(&mut self) {
        self.see();
        while self.tell_how_full() {
            self.see();
        }
        let closed = |actor: &&Actor| self.cluster.is_closed(actor.session);
        let closed: Vec<SessionId> = self.actors.iter().filter(closed).map(|actor| actor.session).collect();
        for session in closed {
            self.actors.retain(|actor| actor.session != session);
            self.cluster.close(session, CloseReason::Peer);
        }
    }

    /// What went in and came out since the last look.
    fn see(&mut self) {
        for seen in self.cluster.seen() {
            match seen {
                Seen::HandedIn(session) => self.auditor.handed_in(session),
                Seen::Output(output) => {
                    self.trace.output(&output);
                    self.auditor.output(&output);
                }
            }
        }
        for (shard, asked) in self.cluster.take_asked() {
            self.tension = self.tension.max(if asked.is_rare() { 8 } else { 1 });
            self.store.ask(shard, asked);
        }
    }

    /// What must be true after every step.
    fn look_around(&mut self) {
        self.cluster.engine(self.touched).check();
        for shard in self.cluster.topology().homes() {
            let engine = self.cluster.engine(shard);
            let (bytes, most) = (engine.outbox_bytes(), self.mix.policy.outbox_bytes);
            let bounded = bytes <= most || engine.congested();
            assert!(bounded, "[a full outbox stops the reading of sockets] shard {}: {bytes} bytes", shard.0);
        }
        let rests = self.cluster.pairs().is_empty() && self.cluster.wanting_room() == 0;
        if rests && self.store.is_idle() && self.due().is_none() {
            assert!(self.cluster.is_quiet(), "[nobody is held back for ever] nothing is under way");
            self.auditor.quiet(false);
        }
    }

    // Coming to rest.

    fn run_until_quiet(&mut self) {
        self.store_hangs(false);
        loop {
            let pairs = self.cluster.pairs();
            let due = self.due();
            let roomy = self.cluster.wanting_room() > 0;
            if pairs.is_empty() && !self.store_works() && due.is_none() && !roomy {
                return;
            }
            self.give_room(0);
            due.into_iter().for_each(|shard| self.tick(shard));
            pairs.into_iter().for_each(|(from, to)| self.deliver(from, to));
        }
    }

    /// A shard that has something to do now: something is due, or it has not done all of something.
    fn due(&self) -> Option<ShardId> {
        let now = self.cluster.now().instant;
        self.cluster.next_deadline().filter(|&(_, at)| at <= now).map(|(shard, _)| shard)
    }

    /// Delivers everything, has the store do all it can, and does whatever is due, on all shards.
    fn settle(&mut self) {
        self.run_until_quiet();
        for shard in self.cluster.topology().homes() {
            self.tick(shard);
        }
        self.run_until_quiet();
        assert!(self.due().is_none(), "[what is due is done] {:?}", self.cluster.next_deadline());
        assert!(self.cluster.is_quiet(), "[nobody is held back for ever] nothing is under way");
        self.auditor.quiet(true);
        self.cluster.check();
    }

    /// Everything is exact now; some of it is asked for.
    fn settle_and_ask(&mut self) {
        self.settle();
        let retry = self.random.chance(300);
        self.compare_store(retry);
        let handle = self.common.some_handle(&mut self.random);
        self.observe_by(Act::GetStatus(handle));
        let function = self.random.pick(&self.mix.functions).clone();
        match self.random.below(6) {
            0 => drop(self.observe(Query::Status)),
            1 => drop(self.observe(Query::Workers)),
            2 => {
                self.observe(Query::Counters);
                self.observe(Query::Numbers);
                self.observe(Query::Function { function: function.clone() });
                self.observe(Query::FunctionWorkers { function });
            }
            3 => {
                self.observe(Order::DropFunction { function });
                self.observe(Query::Status);
            }
            _ => {
                let unique = format!("u{}", self.random.below(self.mix.submitting.pool));
                drop(self.observe_by(Act::GetStatusUnique(unique.into())));
            }
        }
    }

    fn observe(&mut self, ask: impl Into<Ask>) -> Vec<Reply> {
        self.observe_by(Act::Ask(ask.into()))
    }

    fn observe_by(&mut self, act: Act) -> Vec<Reply> {
        self.perform(self.observer, act);
        self.run_until_quiet();
        let replies = self.cluster.replies(self.observer);
        self.auditor.quiet(true);
        replies
    }
}
