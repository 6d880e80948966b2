//! Fixed runs of the engines of a job server with several shards, and of what they say to each other: all engines' work for one
//! foreground job, whoever's it is. Threads, bells and channels are not part of it.
use bytes::Bytes;
use ringgear_engine::slot::{HandlePrefix, SessionId, ShardId, Slot, Topology};
use ringgear_engine::{
    Board, Body, Engine, Epoch, Input, Instant, Message, Now, Output, Peer, Policy, Reply, Submission,
    ToFunctions, ToSessions, Work, WorkerName,
};
use ringgear_protocol::{GrabKind, Priority, Request, Submit};
use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Arc;

pub(crate) const NOW: Now = Now { instant: Instant(1_000_000_000), epoch: Epoch(1_700_000_000_000) };
pub(crate) const WORKLOAD: [u8; 100] = [b'x'; 100];
/// Workers of each run: all of them know all functions, or each function has the one that is next.
const WORKERS: u16 = 32;

/// What a client asks for, with a workload of a hundred bytes.
pub(crate) fn submission<'a>(function: &'a [u8], unique: &'a [u8], background: bool) -> Submit<'a> {
    let (workload, priority) = (&WORKLOAD[..], Priority::Normal);
    Submit { function, unique, workload, priority, background, epoch: None, reducer: None }
}

/// Who knows what.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Workers {
    /// Each worker knows all functions, and is connected wherever it is.
    Generic,
    /// Each function has one worker that knows no other, with the function's owner, where such connections move.
    Dedicated,
}

/// Engines with one client on the first shard.
pub(crate) struct Shards {
    engines: Vec<Engine>,
    prefix: HandlePrefix,
    client: SessionId,
    /// Those who know all functions, or one for each function.
    workers: Vec<SessionId>,
    functions: Vec<Vec<u8>>,
    count: usize,
    /// What sessions were told.
    news: VecDeque<(SessionId, Reply)>,
}

impl Shards {
    pub(crate) fn new(shards: u16, functions: usize, workers: Workers) -> Shards {
        let prefix = HandlePrefix::new(b"H:bench").expect("a short prefix");
        let policy = Arc::new(Policy::new(prefix.clone()));
        let topology = Topology::new(shards);
        let board = Board::new(topology);
        let engine = |shard| Engine::new(shard, board.clone(), policy.clone());
        let functions: Vec<Vec<u8>> =
            (0..functions).map(|n| format!("function-{n:05}").into_bytes()).collect();
        let home = |n: usize, function: &[u8]| match workers {
            Workers::Generic => ShardId(n as u16 % shards),
            Workers::Dedicated => topology.owner(Slot::of(function)),
        };
        let many = if workers == Workers::Generic { usize::from(WORKERS) } else { functions.len() };
        let workers_of: Vec<SessionId> = (0..many)
            .map(|n| SessionId::new(home(n, &functions[n % functions.len()]), n as u32 + 1, 1))
            .collect();
        let mut bench = Shards {
            engines: topology.owners().map(engine).collect(),
            prefix,
            client: SessionId::new(ShardId(0), 0, 1),
            workers: workers_of,
            functions,
            count: 0,
            news: VecDeque::new(),
        };
        let peer = Peer { descriptor: 3, address: [127, 0, 0, 1].into(), port: 0 };
        bench.give(bench.client, Input::Opened(bench.client, peer));
        for (n, worker) in bench.workers.clone().into_iter().enumerate() {
            bench.give(worker, Input::Opened(worker, peer));
            let known = if workers == Workers::Generic { 0..bench.functions.len() } else { n..n + 1 };
            let functions = bench.functions.clone();
            for function in &functions[known] {
                bench.give(worker, Input::Request(worker, Request::CanDo { function }));
            }
            bench.give(worker, Input::Request(worker, Request::PreSleep));
        }
        bench
    }

    /// Gives the home of a session an event, and carries messages until all is quiet.
    fn give(&mut self, session: SessionId, input: Input<'_>) {
        self.engines[session.shard().index()].handle(NOW, input);
        self.listen(session.shard());
        let mut speaking = VecDeque::from([session.shard()]);
        while let Some(from) = speaking.pop_front() {
            for to in self.engines[from.index()].receivers().iter() {
                for message in self.engines[from.index()].take_messages(to, usize::MAX) {
                    self.engines[to.index()].handle(NOW, Input::Message(from, message));
                }
                self.listen(to);
                speaking.push_back(to);
            }
        }
    }

    fn listen(&mut self, shard: ShardId) {
        while let Some((output, _)) = self.engines[shard.index()].output() {
            if let Output::Reply(to, reply) = output {
                self.news.push_back((to, reply));
            }
        }
    }

    /// A foreground job: it is submitted, wakes a worker, is grabbed and completed; the worker looks for another and sleeps.
    pub(crate) fn foreground(&mut self) {
        self.news.clear();
        let at = self.count % self.functions.len();
        self.count += 1;
        let function = std::mem::take(&mut self.functions[at]);
        let submit = submission(&function, b"", false);
        self.give(self.client, Input::Request(self.client, Request::Submit(submit)));
        self.functions[at] = function;
        let woken = self.news.iter().find(|(_, reply)| *reply == Reply::Noop);
        let worker = woken.expect("a job wakes a worker").0;
        self.news.clear();
        self.give(worker, Input::Request(worker, Request::Grab(GrabKind::Unique)));
        let Some((_, Reply::Assigned(assignment))) = self.news.pop_front() else {
            panic!("a job was queued")
        };
        let handle = self.prefix.handle(assignment.job);
        let complete = Request::WorkComplete { handle: &handle, result: &WORKLOAD };
        self.give(worker, Input::Request(worker, complete));
        self.give(worker, Input::Request(worker, Request::Grab(GrabKind::Unique)));
        self.give(worker, Input::Request(worker, Request::PreSleep));
        black_box(&self.news);
    }

    /// A worker looks for a job, and there is none.
    pub(crate) fn grab_nothing(&mut self) {
        self.news.clear();
        let worker = self.workers[self.count % self.workers.len()];
        self.count += 1;
        self.give(worker, Input::Request(worker, Request::Grab(GrabKind::Unique)));
        self.give(worker, Input::Request(worker, Request::PreSleep));
        black_box(&self.news);
    }
}

/// The owner of one function of whose jobs clients and workers are elsewhere: what it alone does for a foreground job. Their homes are
/// not there; the messages are made as they make them.
pub(crate) struct HotOwner {
    engine: Engine,
    client: SessionId,
    worker: SessionId,
    function: Bytes,
    place: u32,
}

const OWNER: ShardId = ShardId(0);
const ELSEWHERE: ShardId = ShardId(1);

impl HotOwner {
    /// Jobs whose messages are handled in one round.
    const AT_ONCE: u32 = 20;

    pub(crate) fn new() -> HotOwner {
        let prefix = HandlePrefix::new(b"H:bench").expect("a short prefix");
        let topology = Topology::new(2);
        let function = (0..).map(Self::name).find(|name| topology.owner(Slot::of(name)) == OWNER);
        let worker = SessionId::new(ELSEWHERE, 1, 1);
        let function = Bytes::from(function.expect("some name is its own"));
        let mut bench = HotOwner {
            engine: Engine::new(OWNER, Board::new(topology), Arc::new(Policy::new(prefix))),
            client: SessionId::new(ELSEWHERE, 0, 1),
            worker,
            function: function.clone(),
            place: 0,
        };
        let name = WorkerName { address: [127, 0, 0, 1].into(), port: 1, id: Bytes::new() };
        bench.give(ToFunctions::Introduce { worker, name: Box::new(name), pulse: None });
        bench.give(ToFunctions::CanDo { worker, function, timeout_ms: 0, turn: -1, nap: None });
        bench
    }

    fn name(number: u32) -> Vec<u8> {
        format!("function-{number:05}").into_bytes()
    }

    fn give(&mut self, message: ToFunctions) {
        self.engine.handle(NOW, Input::Message(ELSEWHERE, Message::ToFunctions(message)));
    }

    fn taken(&mut self) -> Vec<Message> {
        self.engine.take_messages(ELSEWHERE, usize::MAX)
    }

    /// A job is submitted, taken and completed. Messages come and go by the dozen, as they do where an owner is busy: so the work of
    /// all of these is done at every [`HotOwner::AT_ONCE`]th call.
    pub(crate) fn foreground(&mut self) {
        self.place += 1;
        if !self.place.is_multiple_of(Self::AT_ONCE) {
            return;
        }
        for place in 0..Self::AT_ONCE {
            let mut body = Vec::with_capacity(self.function.len() + 2 + WORKLOAD.len());
            body.extend_from_slice(&self.function);
            body.extend_from_slice(b"\0\0");
            body.extend_from_slice(&WORKLOAD);
            self.give(ToFunctions::Submit(Submission {
                from: self.client,
                place,
                function_len: self.function.len() as u16,
                unique_len: 0,
                priority: Priority::Normal,
                background: false,
                epoch: None,
                reducer: None,
                body: Body::from(body),
            }));
        }
        black_box(self.taken());
        let (worker, kind, within) = (self.worker, GrabKind::Unique, i64::MAX);
        for place in 0..Self::AT_ONCE {
            self.give(ToFunctions::Take { worker, place, kind, turn: 0, within });
        }
        for message in self.taken() {
            let Message::ToSessions(ToSessions::Assigned { place, assignment, .. }) = message else {
                panic!("{message:?}")
            };
            let update = Work::Complete(Bytes::from_static(&WORKLOAD));
            self.give(ToFunctions::Work { worker, place, job: assignment.job, update });
        }
        black_box(self.taken());
    }
}
