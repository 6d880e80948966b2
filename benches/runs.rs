//! Fixed runs of one engine, and of those of `shards.rs`, shared by `engine.rs` (how long) and `instructions.rs` (how many instructions). Each
//! run does its work `jobs` times; what it does is the same on every machine.
use super::shards::Workers::{Dedicated, Generic};
use super::shards::{HotOwner, NOW, Shards, WORKLOAD, Workers, submission};
use ringgear_engine::Board;
use ringgear_engine::slot::{HandlePrefix, SessionId, ShardId, Topology};
use ringgear_engine::{Engine, Input, Output, Peer, Policy, Reply};
use ringgear_protocol::{GrabKind, Request};
use std::hint::black_box;
use std::sync::Arc;

/// What a run does once for each job.
type Step = Box<dyn FnMut()>;

/// A run: its name, and what makes it, for so many jobs.
pub(crate) type Run = (&'static str, fn(jobs: u32) -> Step);

/// All runs, in the order in which they are reported.
pub(crate) const RUNS: [Run; 20] = [
    ("submit-background", |_| Bench::new(1, 0).doing(Bench::submit_background)),
    ("submit-unique", |_| Bench::new(1, 0).doing(Bench::submit_unique)),
    ("coalesce", |_| Bench::new(1, 0).doing(Bench::coalesce)),
    ("foreground", |_| Bench::new(1, 1).doing(Bench::foreground)),
    ("foreground-100-functions", |_| Bench::new(100, 1).doing(Bench::foreground)),
    ("foreground-10000-functions", |_| Bench::new(10_000, 1).doing(Bench::foreground)),
    ("foreground-10000-sleepers", |_| Bench::new(1, 10_000).doing(Bench::woken)),
    ("drain-unique", |jobs| Bench::new(1, 1).filled(jobs).doing(Bench::grab_and_complete)),
    ("shards-1-generic-1", |_| foreground(1, 1, Generic)),
    ("shards-8-generic-1", |_| foreground(8, 1, Generic)),
    ("shards-32-generic-1", |_| foreground(32, 1, Generic)),
    ("shards-1-generic-1000", |_| foreground(1, 1000, Generic)),
    ("shards-8-generic-1000", |_| foreground(8, 1000, Generic)),
    ("shards-32-generic-1000", |_| foreground(32, 1000, Generic)),
    ("shards-1-dedicated-1000", |_| foreground(1, 1000, Dedicated)),
    ("shards-8-dedicated-1000", |_| foreground(8, 1000, Dedicated)),
    ("shards-32-dedicated-1000", |_| foreground(32, 1000, Dedicated)),
    ("shards-1-grab-nothing-100", |_| grab_nothing(1)),
    ("shards-32-grab-nothing-100", |_| grab_nothing(32)),
    ("owner-foreground", |_| {
        let mut bench = HotOwner::new();
        Box::new(move || bench.foreground())
    }),
];

/// A foreground job, by the engines of so many shards; so many functions.
fn foreground(shards: u16, functions: usize, workers: Workers) -> Step {
    let mut bench = Shards::new(shards, functions, workers);
    Box::new(move || bench.foreground())
}

/// A grab and a PRE_SLEEP of a worker that knows a hundred functions of which none has a job.
fn grab_nothing(shards: u16) -> Step {
    let mut bench = Shards::new(shards, 100, Generic);
    Box::new(move || bench.grab_nothing())
}

/// An engine with one client and some workers that know all functions.
struct Bench {
    engine: Engine,
    prefix: HandlePrefix,
    client: SessionId,
    workers: Vec<SessionId>,
    functions: Vec<Vec<u8>>,
    count: u64,
}

impl Bench {
    fn new(functions: usize, workers: u32) -> Bench {
        let prefix = HandlePrefix::new(b"H:bench").expect("a short prefix");
        let policy = Arc::new(Policy::new(prefix.clone()));
        let session = |index| SessionId::new(ShardId(0), index, 1);
        let mut bench = Bench {
            engine: Engine::new(ShardId(0), Board::new(Topology::new(1)), policy),
            prefix,
            client: session(0),
            workers: (1..=workers).map(session).collect(),
            functions: (0..functions).map(|n| format!("function-{n:05}").into_bytes()).collect(),
            count: 0,
        };
        let peer = Peer { descriptor: 3, address: [127, 0, 0, 1].into(), port: 0 };
        bench.give(Input::Opened(bench.client, peer));
        for worker in bench.workers.clone() {
            bench.give(Input::Opened(worker, peer));
            for function in bench.functions.clone() {
                bench.give(Input::Request(worker, Request::CanDo { function: &function }));
            }
            bench.give(Input::Request(worker, Request::PreSleep));
        }
        bench
    }

    fn doing(mut self, step: fn(&mut Bench)) -> Step {
        Box::new(move || step(&mut self))
    }

    fn filled(mut self, jobs: u32) -> Bench {
        (0..jobs).for_each(|_| self.submit_unique());
        self
    }

    /// Gives an event; returns the last reply.
    fn give(&mut self, input: Input<'_>) -> Option<(SessionId, Reply)> {
        self.engine.handle(NOW, input);
        let mut last = None;
        while let Some((output, _)) = self.engine.output() {
            if let Output::Reply(to, reply) = output {
                last = Some((to, reply));
            }
        }
        last
    }

    fn submit(&mut self, unique: &[u8], background: bool) -> Option<(SessionId, Reply)> {
        let at = self.count as usize % self.functions.len();
        let function = std::mem::take(&mut self.functions[at]);
        let submit = submission(&function, unique, background);
        let reply = self.give(Input::Request(self.client, Request::Submit(submit)));
        self.functions[at] = function;
        self.count += 1;
        reply
    }

    fn submit_background(&mut self) {
        black_box(self.submit(b"", true));
    }

    fn submit_unique(&mut self) {
        let unique = format!("{:036}", self.count);
        black_box(self.submit(unique.as_bytes(), true));
    }

    fn coalesce(&mut self) {
        black_box(self.submit(b"always-the-same", true));
    }

    fn foreground(&mut self) {
        self.submit(b"", false);
        self.grab_and_complete();
    }

    fn grab_and_complete(&mut self) {
        let worker = self.workers[0];
        self.work(worker);
    }

    fn work(&mut self, worker: SessionId) {
        let grabbed = self.give(Input::Request(worker, Request::Grab(GrabKind::Unique)));
        let Some((_, Reply::Assigned(assignment))) = grabbed else { panic!("a job was queued") };
        let handle = self.prefix.handle(assignment.job);
        let complete = Request::WorkComplete { handle: &handle, result: &WORKLOAD };
        black_box(self.give(Input::Request(worker, complete)));
    }

    /// A job for one of many sleepers: it is woken, takes the job, and sleeps again.
    fn woken(&mut self) {
        // NOOP leaves before JOB_CREATED; whom it was for is found by who sleeps longest.
        let worker = self.workers[self.count as usize % self.workers.len()];
        self.submit(b"", false);
        self.work(worker);
        self.give(Input::Request(worker, Request::PreSleep));
    }
}
