//! Several servers, one table, and everybody who uses them, in pretend time: each step does one thing that could happen next, as the
//! generator says. Faults: servers are killed, stopped and continued, leave; nothing gets through to the table, or it is away, or
//! another copy takes its place that lacks the last commits; connections break while something is on its way; clocks are set.
mod story;

use super::ledger::{Ledger, Sub};
use super::plant::Plant;
use super::server::Server;
use super::table::{JobRow, Table};
use crate::random::Random;
use crate::workload::handle;
use ringgear_engine::{CloseReason, Epoch, JobId, Order, Reply, SessionId, ShardId};
use ringgear_protocol::{GrabKind, Priority, Request, Submit};
use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU8;
use std::time::Duration;

pub(super) use story::Story;

const FUNCTIONS: [&[u8]; 3] = [b"f0", b"f1", b"f2"];
const WORKERS: usize = 3;
const CLIENTS: usize = 2;
const MS: u64 = 1_000_000;
/// With so many rows nobody submits more.
const ROWS_MAX: usize = 60;

/// What a client waits for.
#[derive(Clone, Copy, Debug)]
enum Waiting {
    Background(usize),
    Foreground,
}

#[derive(Debug)]
struct Client {
    session: SessionId,
    waiting: VecDeque<Waiting>,
    /// Foreground jobs that have not ended.
    foreground: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Idle,
    Asleep,
    Works(JobId),
}

#[derive(Debug)]
struct Worker {
    session: SessionId,
    doing: Doing,
}

/// Who uses a server.
#[derive(Debug, Default)]
struct Users {
    clients: Vec<Client>,
    workers: Vec<Worker>,
    /// Puts dead jobs back.
    admin: Option<SessionId>,
}

/// See the top of the file.
pub(super) struct World {
    random: Random,
    now: u64,
    table: Table,
    /// The database is there.
    table_up: bool,
    servers: Vec<Server>,
    users: Vec<Users>,
    pub(super) ledger: Ledger,
    /// How often something bad happens, in a thousand steps.
    faults: u32,
    lossy: bool,
    slow: bool,
    /// How long faults last.
    patience: u32,
    /// How many of a thousand background jobs are for later.
    later: u32,
    /// Some clock was set.
    clocks_set: bool,
    trace: Option<Vec<String>>,
}

impl World {
    pub(super) fn new(seed: u64, plant: Option<Plant>, traced: bool) -> World {
        let mut random = Random::new(seed ^ 0x0005_a1ed);
        let count = random.between(1, 3) as usize;
        let alone_goes_on = random.chance(300);
        let work_at_once = *random.pick(&[4, 64, 1024]);
        let attempts = if random.chance(400) { NonZeroU8::new(random.between(1, 3) as u8) } else { None };
        let servers: Vec<Server> =
            (0..count).map(|ix| Server::new(ix, plant, alone_goes_on, (work_at_once, attempts))).collect();
        World {
            now: 0,
            table: Table::new(plant),
            table_up: true,
            users: servers.iter().map(|_| Users::default()).collect(),
            servers,
            ledger: Ledger::default(),
            faults: *random.pick(&[0, 3, 8, 15, 25]),
            lossy: random.chance(400),
            slow: random.chance(400),
            patience: *random.pick(&[0, 500, 850]),
            later: *random.pick(&[0, 0, 150]),
            clocks_set: false,
            trace: traced.then(Vec::new),
            random,
        }
    }

    pub(super) fn trace(&self) -> &[String] {
        self.trace.as_deref().unwrap_or_default()
    }

    fn note(&mut self, what: impl FnOnce(&World) -> String) {
        if self.trace.is_some() {
            let line = format!("{:>8.3} {}", self.now as f64 / 1e9, what(self));
            self.trace.iter_mut().for_each(|lines| lines.push(line.clone()));
        }
    }

    /// Runs so many steps, then has everything come to an end.
    pub(super) fn run(&mut self, steps: u64) {
        (0..self.servers.len()).for_each(|ix| self.start(ix));
        for _ in 0..steps {
            self.step();
        }
        self.come_to_an_end();
    }

    fn step(&mut self) {
        if self.random.chance(self.faults) {
            self.fault();
        }
        let ix = self.random.below(self.servers.len() as u64) as usize;
        match self.random.weighted(&[20, 30, 20, 25, 2]) {
            Some(0) => self.submit(ix),
            Some(1) => self.work(ix),
            Some(2) => self.time_passes(),
            Some(3) => {
                let times = self.random.between(1, 4);
                (0..times).for_each(|_| self.store_goes_on(ix));
            }
            _ => self.mend(),
        }
    }

    // Time.

    fn time_passes(&mut self) {
        let most = if self.slow { 900 } else { 150 };
        let ms = match self.random.below(40) {
            0 => self.random.below(4000),
            _ => self.random.below(most),
        };
        // Mostly store threads go on meanwhile, so that beats and looks come in time.
        let steadily = self.random.chance(700);
        let mut left = ms * MS;
        while left > 0 {
            let now = left.min(400 * MS);
            self.pass(now);
            left -= now;
            for ix in 0..self.servers.len() {
                let times = if steadily { self.random.below(5) } else { 0 };
                (0..times).for_each(|_| self.store_goes_on(ix));
            }
        }
    }

    fn pass(&mut self, ns: u64) {
        self.now += ns;
        for ix in 0..self.servers.len() {
            self.servers[ix].cluster.pass(Duration::from_nanos(ns));
            if self.servers[ix].runs() {
                self.servers[ix].tick();
                self.read(ix);
            }
        }
    }

    fn store_goes_on(&mut self, ix: usize) {
        let table = self.table_up.then_some(&mut self.table);
        let server = &mut self.servers[ix];
        let (up, me) = (server.is_up(), server.me());
        server.goes_on(table, self.now, &mut self.ledger);
        for other in &mut self.servers {
            let taken = other.me().is_some_and(|me| self.table.holder(me) != Some(me));
            if taken {
                other.confess(&mut self.ledger);
            }
        }
        if self.servers[ix].runs() {
            self.read(ix);
        }
        if up && !self.servers[ix].is_up() {
            self.note(|_| format!("s{ix} has left, or may not start"));
            self.down(ix, true);
        }
        let after = self.servers[ix].me();
        if me != after {
            self.note(|_| format!("s{ix} is {after:?}"));
        }
        self.servers[ix].cluster.check();
    }

    // Faults.

    fn fault(&mut self) {
        let ix = self.random.below(self.servers.len() as u64) as usize;
        let loses = if self.lossy { 6 } else { 0 };
        let choice = self.random.weighted(&[12, 12, 12, 6, loses, 10, 4, 6, 8, 4, 6]);
        match choice {
            Some(0) => {
                self.note(|_| format!("s{ix} is killed"));
                self.down(ix, self.random.clone().chance(500));
            }
            Some(1) if self.servers[ix].is_up() => {
                self.note(|_| format!("s{ix} is stopped"));
                self.servers[ix].paused = true;
            }
            Some(2) => {
                self.note(|_| format!("s{ix} is cut off"));
                self.servers[ix].cut = true;
            }
            Some(3) => {
                self.note(|_| "the table is away".into());
                self.table_up = false;
                self.servers.iter_mut().filter(|server| server.runs()).for_each(Server::disconnect);
            }
            Some(4) => {
                let lost = self.random.between(1, 4) as usize;
                let (gone, back) = self.table.fail_over(lost);
                self.note(|_| format!("failover without {lost} commits: lost {gone:?}, back {back:?}"));
                let knows = |id| self.servers.iter().any(|server| server.knows(id));
                self.ledger.failed_over(gone, back, knows, self.now);
                self.servers.iter_mut().for_each(Server::disconnect);
            }
            Some(5) => {
                self.note(|_| format!("the connection of s{ix} breaks"));
                self.servers[ix].disconnect();
            }
            Some(6) => {
                self.clocks_set = true;
                let epoch = self.servers[ix].cluster.now().epoch.0;
                let (forth, step) = (self.random.chance(500), self.random.below(100_000));
                self.servers[ix].cluster.set_epoch(Epoch(if forth { epoch + step } else { epoch - step }));
            }
            Some(7) if self.servers[ix].serves() => {
                self.note(|_| format!("s{ix} is to leave"));
                self.servers[ix].leaving = true;
            }
            Some(10) if self.servers[ix].serves() => {
                self.note(|_| format!("s{ix} is to drain"));
                self.servers[ix].drain();
            }
            Some(8) => self.worker_dies(ix),
            Some(9) => {
                let function = *self.random.pick(&FUNCTIONS);
                self.table.enqueue(function, b"", b"by an application");
            }
            _ => {}
        }
    }

    /// Something gets better.
    fn mend(&mut self) {
        let ix = self.random.below(self.servers.len() as u64) as usize;
        // What is stopped or cut off is so for a while.
        if self.random.chance(self.patience) {
            return;
        }
        match self.random.below(5) {
            4 => self.put_back(ix),
            0 => self.table_up = true,
            1 => self.servers[ix].cut = false,
            2 if self.servers[ix].paused => {
                self.note(|_| format!("s{ix} goes on"));
                self.servers[ix].paused = false;
                // Whoever comes first: its workers, or time.
                if self.random.chance(500) {
                    self.work(ix);
                }
            }
            3 => self.start(ix),
            _ => {}
        }
    }

    fn start(&mut self, ix: usize) {
        if self.servers[ix].is_up() {
            return;
        }
        let shards = self.random.between(1, 3) as u16;
        self.note(|_| format!("s{ix} starts with {shards} shards"));
        self.servers[ix].start(shards);
        let cluster = &mut self.servers[ix].cluster;
        let home = |at: usize| ShardId((at % usize::from(shards)) as u16);
        let client = |at| Client { session: at, waiting: VecDeque::new(), foreground: 0 };
        self.users[ix] = Users {
            clients: (0..CLIENTS).map(|at| client(cluster.open(home(at)))).collect(),
            workers: Vec::new(),
            admin: Some(cluster.open(home(0))),
        };
        (0..WORKERS).for_each(|at| self.worker_comes(ix, home(at)));
    }

    fn worker_comes(&mut self, ix: usize, home: ShardId) {
        let cluster = &mut self.servers[ix].cluster;
        let session = cluster.open(home);
        FUNCTIONS.iter().for_each(|function| cluster.request(session, Request::CanDo { function }));
        cluster.run_until_quiet();
        self.users[ix].workers.push(Worker { session, doing: Doing::Idle });
    }

    fn worker_dies(&mut self, ix: usize) {
        if !self.servers[ix].runs() {
            return;
        }
        let at = self.random.below(WORKERS as u64) as usize;
        let worker = self.users[ix].workers.swap_remove(at);
        self.servers[ix].cluster.close(worker.session, CloseReason::Peer);
        self.servers[ix].tick();
        self.worker_comes(ix, worker.session.shard());
        self.read(ix);
    }

    fn down(&mut self, ix: usize, arrives: bool) {
        let arrives = arrives && self.table_up;
        self.servers[ix].kill(arrives, &mut self.table, self.now, &mut self.ledger);
        self.users[ix] = Users::default();
    }

    // Users.

    fn submit(&mut self, ix: usize) {
        if !self.servers[ix].runs() || self.servers[ix].leaving || self.table.rows().count() > ROWS_MAX {
            return;
        }
        if !self.servers[ix].serves() {
            self.ledger.count("submissions while the table was not known");
        }
        let at = self.random.below(CLIENTS as u64) as usize;
        let unique =
            if self.random.chance(400) { String::new() } else { format!("u{}", self.random.below(6)) };
        let background = self.random.chance(850);
        let function = *self.random.pick(&FUNCTIONS);
        let later = background && self.random.chance(self.later);
        let seconds = self.servers[ix].cluster.now().epoch.0 / 1000 + self.random.between(1, 20);
        let epoch = later.then(|| seconds.to_string());
        let priority = *self.random.pick(&Priority::ALL);
        self.submit_as((ix, at), function, &unique, background, (epoch, priority));
    }

    /// A client of a server submits this job.
    fn submit_as(
        &mut self,
        (ix, at): (usize, usize),
        function: &'static [u8],
        unique: &str,
        background: bool,
        (epoch, priority): (Option<String>, Priority),
    ) {
        let sub = self.ledger.subs.len();
        let submit = Submit {
            function,
            unique: unique.as_bytes(),
            workload: b"w",
            priority,
            background,
            epoch: epoch.as_ref().map(|epoch| epoch.as_bytes()),
            reducer: None,
        };
        let client = &mut self.users[ix].clients[at];
        if background {
            self.ledger.subs.push(Sub { server: ix, sent: self.now, acked: None });
            client.waiting.push_back(Waiting::Background(sub));
        } else {
            client.waiting.push_back(Waiting::Foreground);
        }
        let session = client.session;
        self.note(|_| {
            let name = function.escape_ascii();
            format!("s{ix}: {sub} {name} {unique:?}{}", if background { "" } else { " in the foreground" })
        });
        self.servers[ix].cluster.request(session, Request::Submit(submit));
        self.servers[ix].tick();
        self.read(ix);
    }

    fn work(&mut self, ix: usize) {
        if !self.servers[ix].runs() || self.users[ix].workers.is_empty() {
            return;
        }
        let at = self.random.below(WORKERS as u64) as usize;
        let Worker { session, doing } = self.users[ix].workers[at];
        match doing {
            Doing::Idle => self.grab(ix, at, session),
            Doing::Works(job) if self.random.chance(300) => {
                self.note(|_| format!("s{ix}: {job:?} is done"));
                let request = if self.random.chance(900) {
                    Request::WorkComplete { handle: &handle(job), result: b"r" }
                } else {
                    Request::WorkFail { handle: &handle(job) }
                };
                let server = &mut self.servers[ix];
                let owner = server.cluster.topology().owner(job.slot());
                if server.cluster.engine(owner).jobs_to_keep().find(job).is_none()
                    && self.table.row(job).is_some()
                {
                    // Its put was given up, and is there all the same: it runs for those who waited for it, and for those.
                    self.ledger.excuse(job);
                }
                self.ledger.completed(job, ix, server.me(), self.now, &self.table);
                server.cluster.request(session, request);
                self.users[ix].workers[at].doing = Doing::Idle;
                self.servers[ix].tick();
                self.read(ix);
            }
            Doing::Works(_) | Doing::Asleep => {}
        }
    }

    fn grab(&mut self, ix: usize, at: usize, session: SessionId) {
        let cluster = &mut self.servers[ix].cluster;
        cluster.request(session, Request::Grab(GrabKind::Plain));
        cluster.run_until_quiet();
        // What it was told is read at once: nothing else can come between.
        let told = cluster.replies(session);
        self.servers[ix].pump();
        let assigned = told.iter().find_map(|reply| match reply {
            Reply::Assigned(assignment) => Some(assignment.job),
            _ => None,
        });
        let Some(job) = assigned else {
            self.servers[ix].cluster.request(session, Request::PreSleep);
            self.servers[ix].cluster.run_until_quiet();
            self.users[ix].workers[at].doing = Doing::Asleep;
            return self.read(ix);
        };
        self.users[ix].workers[at].doing = Doing::Works(job);
        let server = &self.servers[ix];
        let owner = server.cluster.topology().owner(job.slot());
        let stored = server.cluster.engine(owner).jobs_to_keep().find(job).is_some();
        self.note(|_| format!("s{ix} gives out {job:?}{}", if stored { "" } else { ", not stored" }));
        if stored {
            let server = &self.servers[ix];
            let epoch = self.table.row(job).and_then(|row| row.job.epoch).filter(|_| !self.clocks_set);
            let due = epoch.is_none_or(|epoch| epoch <= server.cluster.now().epoch);
            assert!(due, "[a job for later is given out later] {job:?}");
            let holder = self.table.row(job).and_then(|row| self.table.holder(row.owner));
            self.ledger.given(job, server.me_as(holder), server.is_sole(), self.now, &self.table);
        }
        self.read(ix);
    }

    /// An administrator puts back a job that is out of attempts, if the server has one.
    fn put_back(&mut self, ix: usize) {
        let server = &self.servers[ix];
        let is_its = |row: &JobRow| row.job.death.is_some() && self.table.holder(row.owner) == server.me();
        let dead: Vec<JobId> = self.table.rows().filter(|(_, row)| is_its(row)).map(|(&id, _)| id).collect();
        let Some(admin) = self.users[ix].admin.filter(|_| server.runs() && !dead.is_empty()) else { return };
        let job = *self.random.pick(&dead);
        self.note(|_| format!("s{ix}: {job:?} is put back"));
        self.ledger.count("dead jobs put back");
        self.servers[ix].cluster.query(admin, Order::RetryJob { handle: handle(job) });
        self.servers[ix].tick();
        self.read(ix);
    }

    /// What clients and workers of a server were told.
    fn read(&mut self, ix: usize) {
        if let Some(admin) = self.users[ix].admin {
            // A job may be another server's by now.
            self.servers[ix].cluster.replies(admin);
        }
        for at in 0..self.users[ix].clients.len() {
            let session = self.users[ix].clients[at].session;
            for reply in self.servers[ix].cluster.replies(session) {
                self.client_hears(ix, at, &reply);
            }
        }
        for worker in &mut self.users[ix].workers {
            for reply in self.servers[ix].cluster.replies(worker.session) {
                match reply {
                    Reply::Noop if worker.doing == Doing::Asleep => worker.doing = Doing::Idle,
                    Reply::Noop => {}
                    other => panic!("[a worker is told nothing else] {other:?}"),
                }
            }
        }
        self.servers[ix].pump();
    }

    fn client_hears(&mut self, ix: usize, at: usize, reply: &Reply) {
        let client = &mut self.users[ix].clients[at];
        match reply {
            Reply::Work(_, work) => {
                assert!(work.is_final() && client.foreground > 0, "[one final packet each]");
                client.foreground -= 1;
            }
            Reply::JobCreated(job) => match client.waiting.pop_front() {
                Some(Waiting::Background(sub)) => {
                    self.note(|_| format!("s{ix}: {sub} is {job:?}"));
                    assert!(!job.is_spare(), "[what is acknowledged has a number of the store] {job:?}");
                    self.ledger.acknowledged(sub, *job, &self.table);
                }
                Some(Waiting::Foreground) => client.foreground += 1,
                None => panic!("[each submission is answered once]"),
            },
            Reply::Error(_) => match client.waiting.pop_front() {
                Some(Waiting::Background(sub)) => {
                    self.note(|_| format!("s{ix}: {sub} is refused"));
                    self.ledger.count("submissions refused");
                }
                Some(Waiting::Foreground) => panic!("[a foreground job needs no store] {reply:?}"),
                None => panic!("[each submission is answered once]"),
            },
            other => panic!("[a client is told nothing else] {other:?}"),
        }
    }

    // The end.

    fn come_to_an_end(&mut self) {
        if self.random.chance(500) {
            self.nobody_knows();
        }
        self.note(|_| "everything is well again".into());
        self.table_up = true;
        for ix in 0..self.servers.len() {
            (self.servers[ix].cut, self.servers[ix].paused) = (false, false);
        }
        // All clocks are right again, and everything is due.
        self.clocks_set = true;
        let latest = self.servers.iter().map(|server| server.cluster.now().epoch.0).max().unwrap_or(0);
        self.servers.iter_mut().for_each(|server| server.cluster.set_epoch(Epoch(latest + 300_000)));
        // Twelve seconds to take over, and some for what comes of that, several times.
        for _ in 0..1600 {
            self.pass(50 * MS);
            for ix in 0..self.servers.len() {
                self.start(ix);
                (0..8).for_each(|_| self.store_goes_on(ix));
                (0..6).for_each(|_| self.work(ix));
                self.put_back(ix);
            }
            if self.is_over() {
                break;
            }
        }
        let left: BTreeMap<&JobId, String> =
            self.table.rows().map(|(id, row)| (id, format!("{:?}", row.owner))).collect();
        assert!(left.is_empty() && !self.table.has_rows_of_nobody(), "[what is stored is done] {left:?}");
        for (server, users) in self.servers.iter().zip(&self.users) {
            server.cluster.check();
            assert_eq!(server.jobs(), 0, "[nobody sleeps beside a job] s{}", server.ix);
            let waits =
                users.clients.iter().find(|client| client.foreground > 0 || !client.waiting.is_empty());
            assert!(waits.is_none(), "[everybody is answered] {waits:?} of s{}", server.ix);
        }
        self.ledger.settle(&self.table);
    }

    /// The table is away for so long that no server gives out a stored job any more, and workers fall asleep beside them.
    fn nobody_knows(&mut self) {
        self.note(|_| "the table is away for long".into());
        self.table_up = false;
        for _ in 0..40 {
            self.pass(300 * MS);
            for ix in 0..self.servers.len() {
                self.store_goes_on(ix);
                (0..6).for_each(|_| self.work(ix));
            }
        }
    }

    fn is_over(&self) -> bool {
        let empty = self.table.rows().next().is_none() && !self.table.has_rows_of_nobody();
        let users = |users: &Users| {
            users.clients.iter().all(|client| client.foreground == 0 && client.waiting.is_empty())
        };
        empty
            && self.servers.iter().all(|server| server.is_settled() && server.jobs() == 0)
            && self.users.iter().all(users)
    }
}
