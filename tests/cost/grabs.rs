//! A worker whose functions have many owners: how many messages a job and a grab without one cost, whatever the number of shards.
use crate::cluster::Cluster;
use ringgear_engine::{Compat, HandlePrefix, Policy, Reply, SessionId, ShardId};
use ringgear_protocol::{GrabKind, Priority, Request, Submit};

const FUNCTIONS: usize = 100;
const WORKERS: u16 = 8;

/// Engines, a client, and workers that know all functions and sleep.
struct World {
    cluster: Cluster,
    prefix: HandlePrefix,
    client: SessionId,
    workers: Vec<SessionId>,
    functions: Vec<Vec<u8>>,
    submitted: usize,
    /// Messages from one shard to another.
    messages: usize,
    /// Times that a shard with nothing to do was sent some.
    woken: usize,
}

fn submission(function: &[u8], background: bool) -> Submit<'_> {
    let (unique, workload, priority) = (&b""[..], &b"w"[..], Priority::Normal);
    Submit { function, unique, workload, priority, background, epoch: None, reducer: None }
}

impl World {
    fn new(shards: u16, policy: impl FnOnce(&mut Policy)) -> World {
        let prefix = HandlePrefix::new(b"H").unwrap();
        let mut rules = Policy::new(prefix.clone());
        policy(&mut rules);
        let mut cluster = Cluster::new(shards, rules);
        let client = cluster.open(ShardId(0));
        let workers = (0..WORKERS).map(|n| cluster.open(ShardId((n * 5 + 1) % shards))).collect();
        let functions = (0..FUNCTIONS).map(|n| format!("function-{n}").into_bytes()).collect();
        let (submitted, messages, woken) = (0, 0, 0);
        let mut world = World { cluster, prefix, client, workers, functions, submitted, messages, woken };
        for worker in world.workers.clone() {
            for function in world.functions.clone() {
                world.ask(worker, Request::CanDo { function: &function });
            }
            assert_eq!(world.ask(worker, Request::Grab(GrabKind::Plain)), [Reply::NoJob]);
            world.ask(worker, Request::PreSleep);
        }
        world.cluster.check();
        (world.messages, world.woken) = (0, 0);
        world
    }

    /// What a session is told because of a request, when all is quiet.
    fn ask(&mut self, session: SessionId, request: Request<'_>) -> Vec<Reply> {
        self.cluster.request(session, request);
        loop {
            let pairs = self.cluster.pairs();
            if pairs.is_empty() {
                return self.cluster.replies(session);
            }
            let mut receivers: Vec<ShardId> = pairs.iter().map(|&(_, to)| to).collect();
            receivers.sort_unstable();
            receivers.dedup();
            self.woken += receivers.len();
            for (from, to) in pairs {
                while self.cluster.deliver_one(from, to) {
                    self.messages += 1;
                }
            }
        }
    }

    fn submit(&mut self) {
        let function = self.functions[self.submitted % FUNCTIONS].clone();
        self.submitted += 1;
        let submit = submission(&function, false);
        let told = self.ask(self.client, Request::Submit(submit));
        assert!(matches!(told[..], [Reply::JobCreated(_)]), "{told:?}");
    }

    /// A worker grabs, and does the job that it gets. False if there is none.
    fn work(&mut self, worker: SessionId) -> bool {
        match &self.ask(worker, Request::Grab(GrabKind::Plain))[..] {
            [Reply::NoJob] => false,
            [Reply::Assigned(assignment)] => {
                let handle = self.prefix.handle(assignment.job);
                assert_eq!(self.ask(worker, Request::WorkComplete { handle: &handle, result: b"r" }), []);
                assert_eq!(self.cluster.replies(self.client).len(), 1, "the client hears of it");
                true
            }
            other => panic!("{other:?}"),
        }
    }

    /// Whoever was told to wake up.
    fn woken(&mut self) -> Vec<SessionId> {
        let workers = self.workers.clone();
        let told = |worker: &SessionId| self.cluster.replies(*worker).contains(&Reply::Noop);
        workers.into_iter().filter(told).collect()
    }
}

/// Jobs that come one by one: each wakes one worker, and costs no more messages with 32 owners than with two.
#[test]
fn a_job_for_a_sleeping_worker_costs_the_same_among_any_number_of_shards() {
    for compat in [Compat::V1_1, Compat::V2_2] {
        for shards in [1, 2, 8, 32] {
            let mut world = World::new(shards, |policy| policy.compat = compat);
            let jobs = 4 * FUNCTIONS;
            for _ in 0..jobs {
                world.submit();
                let woken = world.woken();
                assert_eq!(woken.len(), 1, "one wake-up for one job");
                assert!(world.work(woken[0]));
                assert!(!world.work(woken[0]), "there was one job");
                world.ask(woken[0], Request::PreSleep);
            }
            world.cluster.check();
            let (messages, bells) = (world.messages / jobs, world.woken / jobs);
            println!("{compat:?}, {shards} shards: {messages} messages and {bells} bells a job");
            // Submit, created, wake, take, assigned, result, heard, result for the client, sleep.
            assert!(messages <= 9 && bells <= 8, "{compat:?}, {shards} shards: {messages}, {bells}");
        }
    }
}

/// Jobs that wait everywhere: where functions have their order, the one whose turn it is is asked for at once.
#[test]
fn a_job_out_of_many_queues_costs_the_same_among_any_number_of_shards() {
    for shards in [1, 2, 8, 32] {
        let mut world = World::new(shards, |_| {});
        let jobs = 4 * FUNCTIONS;
        (0..jobs).for_each(|_| world.submit());
        for worker in world.woken() {
            // It comes later.
            assert!(world.workers.contains(&worker));
        }
        (world.messages, world.woken) = (0, 0);
        for n in 0..jobs {
            let worker = world.workers[n % usize::from(WORKERS)];
            assert!(world.work(worker), "job {n} of {jobs}");
        }
        world.cluster.check();
        let (messages, bells) = (world.messages / jobs, world.woken / jobs);
        println!("{shards} shards: {messages} messages and {bells} bells a job");
        // Take, assigned, result, heard, result for the client.
        assert!(messages <= 5 && bells <= 5, "{shards} shards: {messages}, {bells}");
    }
}

/// A grab without a job, and falling asleep again, are nobody else's business.
#[test]
fn a_grab_without_a_job_costs_no_message() {
    for shards in [2, 8, 32] {
        let mut world = World::new(shards, |_| {});
        for n in 0..100 {
            let worker = world.workers[n % usize::from(WORKERS)];
            assert!(!world.work(worker));
            world.ask(worker, Request::PreSleep);
        }
        assert_eq!((world.messages, world.woken), (0, 0), "{shards} shards");
        world.submit();
        assert_eq!(world.woken().len(), 1, "they can be woken all the same");
        world.cluster.check();
    }
}

/// Workers that got up elsewhere are passed over without a word, and the one that sleeps is found behind any number of them.
#[test]
fn whoever_sleeps_is_found_behind_many_that_got_up_elsewhere() {
    let mut world = World::new(2, |policy| policy.work_at_once = 4);
    let workers = world.workers.clone();
    let (last, others) = workers.split_last().unwrap();
    for worker in others {
        assert!(!world.work(*worker), "it is up, and no owner was told");
    }
    for _ in 0..FUNCTIONS {
        world.submit();
        while world.cluster.next_deadline().is_some_and(|(_, at)| at <= world.cluster.now().instant) {
            for shard in [ShardId(0), ShardId(1)] {
                world.cluster.tick(shard);
            }
            world.cluster.run_until_quiet();
        }
        world.cluster.check();
        assert_eq!(world.woken(), [*last]);
        assert!(world.work(*last) && !world.work(*last));
        world.ask(*last, Request::PreSleep);
    }
    // Some were struck off. When they sleep again they are woken again.
    for worker in others {
        world.ask(*worker, Request::PreSleep);
    }
    for _ in 0..4 * FUNCTIONS {
        world.submit();
    }
    assert_eq!(world.woken().len(), workers.len(), "each sleeper is woken for some job");
}

/// A connection that has submitted a job and grabs before it was answered gets that job: requests take effect in order.
#[test]
fn a_grab_behind_a_submission_of_the_same_connection_finds_its_job() {
    let mut world = World::new(8, |_| {});
    let both = world.client;
    for function in world.functions.clone() {
        world.ask(both, Request::CanDo { function: &function });
    }
    for function in world.functions.clone() {
        let submit = submission(&function, true);
        world.cluster.request(both, Request::Submit(submit));
        let told = world.ask(both, Request::Grab(GrabKind::Plain));
        assert!(matches!(told[..], [Reply::JobCreated(_), Reply::Assigned(_)]), "{told:?}");
    }
}
