//! Many clients wait for one job: what its worker says is told in pieces, to each in order and once, and nobody else waits
//! for that.
use crate::alone::{NOW, ask, engine, go_on, open, outputs, submit};
use ringgear_engine::{
    Body, CloseReason, Engine, HandlePrefix, Input, JobId, Message, Order, Output, Policy, Reply, SessionId,
    ShardId, Submission, ToFunctions, ToSessions, Work, slot::Slot,
};
use ringgear_protocol::{GrabKind, Priority, Request};
use std::collections::BTreeMap;
use std::num::NonZeroU8;

/// Attachments of one job: many times what one call may tell.
const MANY: usize = 20_000;
/// What one call may do, and the only client of another job.
const AT_ONCE: usize = 1024 + 1;
/// Clients that share the attachments.
const CLIENTS: usize = 100;

/// One job, whose handle this is, with many clients, and a worker that has it.
struct Popular {
    engine: Engine,
    clients: Vec<SessionId>,
    worker: SessionId,
    handle: Vec<u8>,
    /// What each client heard, in order.
    heard: BTreeMap<SessionId, Vec<Work>>,
}

impl Popular {
    fn new(background: bool, change: impl FnOnce(&mut Policy)) -> Popular {
        let (mut engine, first) = engine(1, change);
        let mut clients = vec![first];
        clients.extend((1..CLIENTS).map(|index| open(&mut engine, index as u32)));
        for at in 0..MANY {
            ask(&mut engine, clients[at % CLIENTS], submit(b"f", b"same", false));
        }
        if background {
            ask(&mut engine, clients[0], submit(b"f", b"same", true));
        }
        let worker = open(&mut engine, 1000);
        ask(&mut engine, worker, Request::CanDo { function: b"f" });
        let mut popular = Popular { engine, clients, worker, handle: Vec::new(), heard: BTreeMap::new() };
        popular.handle = popular.grab().expect("the job is there");
        popular
    }

    fn grab(&mut self) -> Option<Vec<u8>> {
        let out = ask(&mut self.engine, self.worker, Request::Grab(GrabKind::Plain));
        let job = out.iter().find_map(|output| match output {
            Output::Reply(_, Reply::Assigned(assignment)) => Some(assignment.job),
            _ => None,
        });
        self.hear(out);
        job.map(|job| HandlePrefix::new(b"H").unwrap().handle(job).to_vec())
    }

    /// Notes what clients hear in one call. That is not too much.
    fn hear(&mut self, out: Vec<Output>) -> usize {
        let mut count = 0;
        for output in out {
            if let Output::Reply(to, Reply::Work(_, update)) = output {
                self.heard.entry(to).or_default().push(update);
                count += 1;
            }
        }
        assert!(count <= AT_ONCE, "{count} clients were told in one call");
        count
    }

    fn say(&mut self, request: Request<'_>) -> usize {
        let out = ask(&mut self.engine, self.worker, request);
        let refused = |output: &Output| matches!(output, Output::Reply(_, Reply::Error(_)));
        assert!(!out.iter().any(refused), "{out:?}");
        self.hear(out)
    }

    fn data(&mut self, data: &[u8]) -> usize {
        let handle = self.handle.clone();
        self.say(Request::WorkData { handle: &handle, data })
    }

    fn complete(&mut self) -> usize {
        let handle = self.handle.clone();
        self.say(Request::WorkComplete { handle: &handle, result: b"end" })
    }

    fn handle(&mut self, input: Input<'_>) {
        self.engine.handle(NOW, input);
        let out = outputs(&mut self.engine);
        self.hear(out);
    }

    /// Another client comes, and waits for the job.
    fn join(&mut self, index: u32) -> SessionId {
        let late = open(&mut self.engine, index);
        let out = outputs(&mut self.engine);
        self.hear(out);
        self.handle(Input::Request(late, submit(b"f", b"same", false)));
        late
    }

    fn tick(&mut self) {
        self.handle(Input::Tick);
    }

    /// Goes on until nothing is left to do; calls that this took.
    fn go_on(&mut self) -> usize {
        let mut calls = 0;
        while self.engine.deadline().is_some_and(|at| at <= NOW.instant) {
            self.tick();
            calls += 1;
        }
        assert!(!self.engine.is_telling());
        self.engine.check();
        calls
    }

    /// Asserts what each client has heard, for each of its attachments.
    fn all_heard(&self, updates: &[Work]) {
        for client in &self.clients {
            let heard = &self.heard[client];
            assert_eq!(heard.len(), updates.len() * MANY / CLIENTS);
            let firsts = heard.chunks(MANY / CLIENTS).map(|some| {
                assert!(some.iter().all(|update| update == &some[0]), "in order");
                some[0].clone()
            });
            assert_eq!(firsts.collect::<Vec<_>>(), updates);
        }
    }
}

fn data(text: &'static [u8]) -> Work {
    Work::Data(text.into())
}

fn complete() -> Work {
    Work::Complete(b"end"[..].into())
}

#[test]
fn many_clients_hear_of_their_job_in_pieces_in_order_and_once() {
    let mut popular = Popular::new(false, |_| ());
    assert!(popular.data(b"one") > 1);
    // What comes meanwhile stands behind it.
    popular.data(b"two");
    popular.complete();
    assert_eq!(popular.engine.jobs(), 0, "the job has ended");
    assert_eq!(popular.grab(), None, "and its worker goes on");
    let calls = popular.go_on();
    assert!(calls > 2 * MANY / AT_ONCE && calls <= 3 * MANY / AT_ONCE + 3, "{calls} calls");
    popular.all_heard(&[data(b"one"), data(b"two"), complete()]);
}

/// The result is not there for whoever comes then: it makes a new job.
#[test]
fn a_job_that_has_ended_is_not_joined_while_its_clients_are_told() {
    let mut popular = Popular::new(false, |_| ());
    popular.complete();
    let late = popular.join(2000);
    let handle = popular.grab().expect("a new job");
    assert!(handle != popular.handle && popular.engine.jobs() == 1);
    popular.engine.check();
    popular.go_on();
    popular.all_heard(&[complete()]);
    popular.handle = handle;
    popular.data(b"new");
    assert_eq!(popular.heard[&late].last(), Some(&data(b"new")));
}

#[test]
fn whoever_joins_later_hears_what_comes_later_and_whoever_leaves_nothing() {
    let mut popular = Popular::new(false, |_| ());
    popular.data(b"one");
    let late = popular.join(2000);
    let gone = popular.clients.pop().unwrap();
    let before = popular.heard[&gone].len();
    popular.handle(Input::Closed(gone, CloseReason::Peer));
    popular.data(b"two");
    popular.engine.check();
    popular.complete();
    popular.go_on();
    popular.all_heard(&[data(b"one"), data(b"two"), complete()]);
    assert_eq!(popular.heard[&late], [data(b"two"), complete()]);
    assert_eq!(popular.heard[&gone].len(), before);
}

/// An administrator cancels it, or its attempts are used up and it is kept.
#[test]
fn a_job_that_lives_on_leaves_its_clients() {
    for dies in [false, true] {
        let mut popular = Popular::new(dies, |policy| policy.attempts = NonZeroU8::new(1));
        popular.data(b"one");
        let handle = popular.handle.clone();
        let order = |popular: &mut Popular, order: Order| {
            let admin = open(&mut popular.engine, 3000);
            let out = outputs(&mut popular.engine);
            popular.hear(out);
            popular.handle(Input::Ask(admin, order.into()));
        };
        if dies {
            popular.say(Request::CantDo { function: b"f" });
        } else {
            order(&mut popular, Order::CancelJob { handle: handle.clone().into() });
        }
        popular.engine.check();
        if dies {
            popular.tick();
            order(&mut popular, Order::RetryJob { handle: handle.into() });
            // It is told once more, of those who come then.
            let late = popular.join(2000);
            popular.say(Request::CanDo { function: b"f" });
            assert_eq!(popular.grab(), Some(popular.handle.clone()));
            popular.complete();
            assert_eq!(popular.heard[&late], [complete()]);
        } else {
            popular.complete();
        }
        assert_eq!(popular.engine.jobs(), 0);
        popular.engine.check();
        popular.go_on();
        popular.all_heard(&[data(b"one"), Work::Fail]);
    }
}

/// What is still to be told counts, and slows down those who send.
#[test]
fn what_waits_to_be_told_is_counted_and_bounded() {
    let mut popular = Popular::new(false, |policy| policy.outbox_bytes = 10_000);
    let worker = popular.worker;
    popular.data(&[7; 5000]);
    assert!(!popular.engine.paused(worker));
    popular.data(&[7; 5000]);
    assert!(popular.engine.paused(worker), "it has said enough");
    assert!(!popular.engine.paused(popular.clients[0]) && !popular.engine.congested(), "nobody else suffers");
    popular.go_on();
    assert!(!popular.engine.paused(worker));
    popular.complete();
    popular.go_on();
}

/// The clients are on another shard, which is slow to take messages: only so many wait for it.
#[test]
fn clients_of_other_shards_are_told_as_these_take_messages() {
    const BOUND: usize = 50_000;
    let (mut engine, _) = engine(2, |policy| policy.outbox_bytes = BOUND);
    let name = (0..).map(|number| format!("f{number}"));
    let owner = |name: &String| ringgear_engine::Topology::new(2).owner(Slot::of(name.as_bytes()));
    let name = name.into_iter().find(|name| owner(name) == ShardId(0)).unwrap();
    let client = |index| SessionId::new(ShardId(1), index, 1);
    let mut tell = |message| {
        engine.handle(NOW, Input::Message(ShardId(1), Message::ToFunctions(message)));
        let mut messages = Vec::new();
        while engine.has_messages(ShardId(1)) {
            messages.extend(engine.take_messages(ShardId(1), 1000));
        }
        messages
    };
    for place in 0..MANY as u32 {
        let (from, function_len) = (client(place % 100), name.len() as u16);
        tell(ToFunctions::Submit(Submission {
            from,
            place,
            function_len,
            unique_len: 1,
            priority: Priority::Normal,
            background: false,
            epoch: None,
            reducer: None,
            body: Body::from(format!("{name}\0u\0").into_bytes()),
        }));
    }
    let worker = open(&mut engine, 7);
    ask(&mut engine, worker, Request::CanDo { function: name.as_bytes() });
    ask(&mut engine, worker, Request::Grab(GrabKind::Plain));
    let handle = HandlePrefix::new(b"H").unwrap().handle(JobId::new(1, Slot::of(name.as_bytes()))).to_vec();
    ask(&mut engine, worker, Request::WorkComplete { handle: &handle, result: b"end" });
    assert_eq!(engine.jobs(), 0);
    let mut heard = 0;
    loop {
        go_on(&mut engine);
        assert!(engine.outbox_bytes() < BOUND + 200, "{} bytes wait", engine.outbox_bytes());
        let messages = engine.take_messages(ShardId(1), 64);
        if messages.is_empty() {
            break;
        }
        let work = |message: &&Message| matches!(message, Message::ToSessions(ToSessions::Work { .. }));
        heard += messages.iter().filter(work).count();
        engine.check();
    }
    assert_eq!(heard, MANY);
    assert!(!engine.is_telling() && engine.deadline().is_none());
}

/// All who were to hear something have left, and somebody comes, twice: for both it begins with what is said then.
#[test]
fn whoever_comes_when_all_have_left_hears_what_comes_later_in_order() {
    let (mut engine, first) = engine(1, |policy| policy.work_at_once = 1);
    let (second, worker, late) = (open(&mut engine, 1), open(&mut engine, 2), open(&mut engine, 3));
    ask(&mut engine, worker, Request::CanDo { function: b"f" });
    for client in [first, second] {
        ask(&mut engine, client, submit(b"f", b"same", false));
    }
    ask(&mut engine, worker, Request::Grab(GrabKind::Plain));
    let handle = HandlePrefix::new(b"H").unwrap().handle(JobId::new(1, Slot::of(b"f"))).to_vec();
    for _ in 0..50 {
        ask(&mut engine, worker, Request::WorkData { handle: &handle, data: b"old" });
    }
    for client in [first, second] {
        engine.handle(NOW, Input::Closed(client, CloseReason::Peer));
    }
    for _ in 0..20 {
        engine.handle(NOW, Input::Tick);
    }
    outputs(&mut engine);
    assert!(engine.is_telling(), "there would be more for those who left");
    let mut out = Vec::new();
    for _ in 0..2 {
        out.extend(ask(&mut engine, late, submit(b"f", b"same", false)));
    }
    engine.check();
    for data in [b"one", b"two"] {
        out.extend(ask(&mut engine, worker, Request::WorkData { handle: &handle, data }));
    }
    out.extend(go_on(&mut engine).1);
    let heard = out.into_iter().filter_map(|output| match output {
        Output::Reply(to, Reply::Work(_, update)) if to == late => Some(update),
        _ => None,
    });
    let (one, two) = (|| data(b"one"), || data(b"two"));
    assert_eq!(heard.collect::<Vec<_>>(), [one(), one(), two(), two()]);
    engine.check();
}
