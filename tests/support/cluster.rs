//! Several engines in one process and in pretend time: a job server without sockets, threads and clocks.
//! Only carries things: what is sent, and in which order messages arrive, is decided by whoever holds the cluster.
use super::bounds::{self, Given, Puts};
use super::kept::Kept;
use bytes::Bytes;
use ringgear_engine::{
    Ask, Board, CloseReason, Engine, Epoch, Input, Instant, JobId, JobsToKeep, Message, NotRestored, Note,
    Now, Output, Peer, Policy, Reply, Report, Right, Rights, SessionId, ShardId, StoreOp, StoreSeq, Topology,
};
use ringgear_protocol::{Frame, Request, frame};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// Where pretend wall-clock time starts, in milliseconds: 2033-05-18 03:33:20 UTC.
const EPOCH_START: u64 = 2_000_000_000_000;

const NANOS_PER_MILLI: i128 = 1_000_000;

/// Ticks at one point in time after which the engine surely turns on the spot.
const TICKS_AT_ONCE_MAX: usize = 10_000;

/// What a session has sent and its engine does not want yet.
#[derive(Debug)]
enum Held {
    /// The packet, as on the wire: a request borrows, and this has to wait.
    Request(Bytes),
    Ask(Ask),
    Answer(Reply),
    Finish(CloseReason),
}

/// One connection as its shard's shell would see it.
#[derive(Debug, Default)]
struct Connection {
    /// Between `Output::Pause` and `Output::Resume`.
    paused: bool,
    /// In the order sent. Empty unless the session is paused or its shard congested.
    held: VecDeque<Held>,
    /// What the peer has not yet looked at.
    replies: VecDeque<Reply>,
    /// The engine has closed it: it says no more and must be told no more.
    closed: bool,
    /// The pages of a report whose last one has not come.
    pages: Option<Report>,
}

/// What crossed the border of an engine, for a test that keeps books.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    /// The oldest thing that the session had sent and that was not handed in yet was handed in.
    HandedIn(SessionId),
    /// The engine put this out.
    Output(Output),
}

/// What a shard wants of the store.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "few wait at a time, and a test has room")]
pub(crate) enum ToStore {
    /// The job as it was when this was asked; none if it had ended by then.
    Put(StoreSeq, Option<Kept>),
    Attempts(JobId, u8),
    Done(JobId),
    /// There is no such job, of those that were to be put again.
    Unknown(JobId),
}

impl ToStore {
    /// Whether it is what seldom happens: a death.
    pub(crate) fn is_rare(&self) -> bool {
        matches!(self, ToStore::Put(_, Some(job)) if job.death.is_some())
    }
}

/// The channel from one shard to another.
#[derive(Debug, Default)]
struct Channel(VecDeque<Message>);

/// Engines, the channels between them, and the time.
#[derive(Debug)]
pub(crate) struct Cluster {
    topology: Topology,
    policy: Arc<Policy>,
    engines: Vec<Engine>,
    /// Row per sender, column per receiver.
    channels: Vec<Vec<Channel>>,
    /// The most messages in one channel; the rest stays in the sender's outbox and may congest it.
    capacity: usize,
    instant: Instant,
    /// What the wall clock shows where `instant` is 0, in nanoseconds since 1970; negative if it was set far back.
    epoch_start: i128,
    connections: BTreeMap<SessionId, Connection>,
    /// Sessions that have something held.
    holding: BTreeSet<SessionId>,
    /// Per shard: places of sessions that are gone, with their last generation, to be used again at once, so
    /// that what is late for the old session meets the new one.
    vacant: Vec<Vec<(u32, u32)>>,
    /// Per shard: places ever used.
    places: Vec<u32>,
    /// The generation of a place that was never used.
    generation: u32,
    /// In order, shard by shard.
    to_store: Vec<(ShardId, ToStore)>,
    /// Gives each connection another descriptor, as if none were ever closed.
    descriptor: u32,
    notes: Vec<(ShardId, Note)>,
    /// In order; only if somebody watches.
    seen: Option<Vec<Seen>>,
    /// Sessions for which a page of a report is to be fetched.
    roomy: VecDeque<SessionId>,
    /// Somebody calls [`Cluster::give_room`]; else there is always room at once.
    stingy: bool,
    /// Per shard.
    puts: Vec<Puts>,
}

impl Cluster {
    /// `shards` engines with one policy, quiet and without sessions, and channels without a bound.
    pub(crate) fn new(shards: u16, policy: Policy) -> Cluster {
        Cluster::of(Topology::new(shards), policy)
    }

    /// The same with guests.
    pub(crate) fn of(topology: Topology, policy: Policy) -> Cluster {
        let policy = Arc::new(policy);
        let n = topology.homes().len();
        Cluster {
            topology,
            engines: engines(topology, &policy),
            policy,
            channels: channels(n),
            capacity: usize::MAX,
            instant: Instant(0),
            epoch_start: i128::from(EPOCH_START) * NANOS_PER_MILLI,
            connections: BTreeMap::new(),
            holding: BTreeSet::new(),
            vacant: vec![Vec::new(); n],
            places: vec![0; n],
            generation: 1,
            to_store: Vec::new(),
            descriptor: 10,
            notes: Vec::new(),
            seen: None,
            roomy: VecDeque::new(),
            stingy: false,
            puts: vec![Puts::default(); n],
        }
    }

    /// Peers read only when somebody says so, see [`Cluster::give_room`].
    pub(crate) fn stingy(mut self) -> Cluster {
        self.stingy = true;
        self
    }

    /// Bounds each channel to so many messages.
    pub(crate) fn with_capacity(mut self, capacity: usize) -> Cluster {
        assert!(capacity > 0, "a channel without room moves nothing");
        self.capacity = capacity;
        self
    }

    /// Somebody watches what goes in and comes out, and calls [`Cluster::seen`] now and then.
    pub(crate) fn watched(mut self) -> Cluster {
        self.seen = Some(Vec::new());
        self
    }

    /// Takes what was seen.
    pub(crate) fn seen(&mut self) -> Vec<Seen> {
        self.seen.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Everything but the time is lost, and the job server starts again. No session of before has the name of a later one.
    pub(crate) fn restart(&mut self, topology: Topology) {
        let n = topology.homes().len();
        self.topology = topology;
        self.engines = engines(self.topology, &self.policy);
        self.channels = channels(n);
        self.connections.clear();
        self.holding.clear();
        self.roomy.clear();
        (self.vacant, self.places) = (vec![Vec::new(); n], vec![0; n]);
        self.generation += 1 << 20;
        self.to_store.clear();
        self.puts = vec![Puts::default(); n];
        self.notes.clear();
        if let Some(seen) = &mut self.seen {
            seen.clear();
        }
    }

    /// A job that the store has kept is handed to its owner.
    pub(crate) fn restore(&mut self, job: &Kept) -> Result<(), NotRestored> {
        let now = self.now();
        let owner = self.topology.owner(job.id.slot());
        let restored = self.engines[owner.index()].restore(now, &job.stored());
        self.collect(owner);
        restored
    }

    /// No shard gives a job a lower sequence from now on.
    pub(crate) fn sequence_at_least(&mut self, sequence: u64) {
        self.engines.iter_mut().for_each(|engine| engine.sequence_at_least(sequence));
    }

    /// Takes what shards want stored.
    pub(crate) fn take_asked(&mut self) -> Vec<(ShardId, ToStore)> {
        std::mem::take(&mut self.to_store)
    }

    /// The store answers a shard: it has kept what was asked for up to here, or it has not.
    pub(crate) fn store_answers(&mut self, shard: ShardId, upto: StoreSeq, kept: bool) {
        let input = if kept { Input::Stored(upto) } else { Input::StoreFailed(upto) };
        self.event(shard, input);
    }

    /// The store cannot read these jobs of a shard any more.
    pub(crate) fn put_again(&mut self, shard: ShardId, jobs: &[JobId]) {
        self.event(shard, Input::PutAgain(jobs));
    }

    /// A put of a shard was not kept, since the store has this job in its place.
    pub(crate) fn stored_elsewhere(&mut self, shard: ShardId, seq: StoreSeq, other: JobId) {
        self.event(shard, Input::StoredElsewhere(seq, other));
    }

    /// A shard may give out stored jobs until then.
    pub(crate) fn lease(&mut self, shard: ShardId, until: Instant) {
        self.event(shard, Input::Lease(until));
    }

    /// A shard hears that what it had stored is another server's.
    pub(crate) fn fenced(&mut self, shard: ShardId) {
        self.event(shard, Input::Fenced);
    }

    /// A shard leaves the stored jobs that wait to others.
    pub(crate) fn hand_over(&mut self, shard: ShardId) {
        self.event(shard, Input::HandOver);
    }

    /// What has stayed of them: see [`Engine::take_kept`].
    pub(crate) fn take_kept(&mut self, shard: ShardId) -> Vec<JobId> {
        self.engines[shard.index()].take_kept()
    }

    /// A shard may number new jobs so.
    pub(crate) fn numbers(&mut self, shard: ShardId, block: Range<u64>) {
        self.event(shard, Input::Numbers(block));
    }

    /// A stored job is this server's from now on: its owner is told.
    pub(crate) fn take_over(&mut self, job: &Kept) -> Result<(), NotRestored> {
        let now = self.now();
        let owner = self.topology.owner(job.id.slot());
        let taken = self.engines[owner.index()].take_over(now, &job.stored());
        self.collect(owner);
        taken
    }

    /// A shard is told whether too much waits for the store.
    pub(crate) fn store_full(&mut self, shard: ShardId, full: bool) {
        self.event(shard, Input::StoreFull(full));
    }

    /// A shard is told whether what is stored is not known yet.
    pub(crate) fn store_away(&mut self, shard: ShardId, away: bool) {
        self.event(shard, Input::StoreAway(away));
    }

    pub(crate) fn topology(&self) -> Topology {
        self.topology
    }

    /// What both clocks show.
    pub(crate) fn now(&self) -> Now {
        let epoch = (self.epoch_start + i128::from(self.instant.0)) / NANOS_PER_MILLI;
        Now { instant: self.instant, epoch: Epoch(u64::try_from(epoch).unwrap_or(0)) }
    }

    pub(crate) fn engine(&self, shard: ShardId) -> &Engine {
        &self.engines[shard.index()]
    }

    /// Asserts what must be true of every engine when it is quiet.
    pub(crate) fn check(&self) {
        self.engines.iter().for_each(Engine::check);
    }

    // Sessions.

    /// A peer connects to a shard.
    pub(crate) fn open(&mut self, shard: ShardId) -> SessionId {
        let session = self.place(shard);
        let peer = self.peer();
        self.event(shard, Input::Opened(session, peer));
        session
    }

    /// A session moves to another shard, under another name. `None`, and it stays, if its engine does not let it go.
    pub(crate) fn settle(&mut self, session: SessionId, to: ShardId) -> Option<SessionId> {
        let introduction = self.engines[session.shard().index()].let_go(session)?;
        self.connections.remove(&session);
        let settled = self.place(to);
        let peer = self.peer();
        self.event(to, Input::Adopted(settled, peer, introduction));
        Some(settled)
    }

    fn peer(&mut self) -> Peer {
        self.descriptor += 1;
        Peer { descriptor: self.descriptor - 1, address: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 1 }
    }

    /// A name for one more session of a shard.
    fn place(&mut self, shard: ShardId) -> SessionId {
        let (index, generation) = match self.vacant[shard.index()].pop() {
            Some((index, generation)) => (index, generation + 1),
            None => {
                self.places[shard.index()] += 1;
                (self.places[shard.index()] - 1, self.generation)
            }
        };
        let session = SessionId::new(shard, index, generation);
        self.connections.insert(session, Connection::default());
        session
    }

    /// From now on a session may do this.
    pub(crate) fn rights(&mut self, session: SessionId, rights: Rights) {
        if !self.is_closed(session) {
            self.event(session.shard(), Input::Rights(session, rights));
        }
    }

    /// The peer sends something that the front end can answer, and needs a right to hear it. Only while it is welcome.
    pub(crate) fn answer_if(&mut self, session: SessionId, right: Right, reply: Reply) {
        self.event(session.shard(), Input::AnswerIf(session, right, reply));
    }

    /// The peer sends a request. It is held back while the session is paused, like everything after it.
    pub(crate) fn request(&mut self, session: SessionId, request: Request<'_>) {
        if self.is_welcome(session) {
            self.event(session.shard(), Input::Request(session, request));
        } else {
            let mut bytes = Vec::new();
            request.encode(&mut bytes);
            self.hold(session, Held::Request(bytes.into()));
        }
    }

    /// An administrator sends a query or an order.
    pub(crate) fn query(&mut self, session: SessionId, ask: impl Into<Ask>) {
        self.send(session, Held::Ask(ask.into()));
    }

    /// The peer sends something that the front end can answer.
    pub(crate) fn answer(&mut self, session: SessionId, reply: Reply) {
        self.send(session, Held::Answer(reply));
    }

    /// The peer sends no more, or nothing that makes sense; it still reads.
    pub(crate) fn finish(&mut self, session: SessionId, reason: CloseReason) {
        self.send(session, Held::Finish(reason));
    }

    /// The peer is gone, and with it what it has sent and nobody has read. It may be gone already.
    pub(crate) fn close(&mut self, session: SessionId, reason: CloseReason) {
        let Some(connection) = self.connections.remove(&session) else { return };
        self.holding.remove(&session);
        self.roomy.retain(|&other| other != session);
        let place = u32::try_from(session.index()).expect("an index has 24 bits");
        self.vacant[session.shard().index()].push((place, session.generation()));
        if !connection.closed {
            self.event(session.shard(), Input::Closed(session, reason));
        }
    }

    /// Whether a request would be handed to the engine at once. What is sent to a closed session is dropped.
    pub(crate) fn is_welcome(&self, session: SessionId) -> bool {
        let connection = self.connection(session);
        let readable = !connection.closed && !connection.paused && connection.held.is_empty();
        readable && !self.engine(session.shard()).congested()
    }

    /// Takes what the session was told, in order.
    pub(crate) fn replies(&mut self, session: SessionId) -> Vec<Reply> {
        self.connection_mut(session).replies.drain(..).collect()
    }

    /// Whether the engine has closed the session. What it was told before can still be taken.
    pub(crate) fn is_closed(&self, session: SessionId) -> bool {
        self.connections.get(&session).is_none_or(|connection| connection.closed)
    }

    /// Sessions that have been told something, or were closed by the engine.
    pub(crate) fn with_news(&self) -> Vec<SessionId> {
        let news = self.connections.iter().filter(|(_, c)| c.closed || !c.replies.is_empty());
        news.map(|(&session, _)| session).collect()
    }

    /// Whether no message is under way and nothing is held back.
    pub(crate) fn is_quiet(&self) -> bool {
        self.holding.is_empty() && self.roomy.is_empty() && self.pairs().is_empty()
    }

    /// Sessions for which a page of a report is to be fetched.
    pub(crate) fn wanting_room(&self) -> usize {
        self.roomy.len()
    }

    /// The peer of one of these has read what it was sent.
    pub(crate) fn give_room(&mut self, at: usize) -> Option<SessionId> {
        let session = self.roomy.remove(at)?;
        self.event(session.shard(), Input::Room(session));
        Some(session)
    }

    /// Takes what was said for the operator's log.
    pub(crate) fn notes(&mut self) -> Vec<(ShardId, Note)> {
        std::mem::take(&mut self.notes)
    }

    // Messages.

    /// Ordered pairs of shards with a message under way.
    pub(crate) fn pairs(&self) -> Vec<(ShardId, ShardId)> {
        let all = || self.topology.homes();
        all()
            .flat_map(|from| all().map(move |to| (from, to)))
            .filter(|&(from, to)| self.waits(from, to))
            .collect()
    }

    /// Whether a message is under way from one shard to another.
    pub(crate) fn waits(&self, from: ShardId, to: ShardId) -> bool {
        !self.channels[from.index()][to.index()].0.is_empty()
    }

    /// The message that one shard will get next from another.
    pub(crate) fn next_message(&self, from: ShardId, to: ShardId) -> Option<&Message> {
        self.channels[from.index()][to.index()].0.front()
    }

    /// Delivers the oldest message from one shard to another; false if there is none.
    pub(crate) fn deliver_one(&mut self, from: ShardId, to: ShardId) -> bool {
        let Some(message) = self.channels[from.index()][to.index()].0.pop_front() else { return false };
        self.event(to, Input::Message(from, message));
        // There is room again.
        self.collect(from);
        self.release(from);
        true
    }

    /// Delivers messages, pair by pair, until none is under way.
    pub(crate) fn run_until_quiet(&mut self) {
        loop {
            self.give_room(0);
            let pairs = self.pairs();
            if pairs.is_empty() && self.roomy.is_empty() {
                return;
            }
            for (from, to) in pairs {
                self.deliver_one(from, to);
            }
        }
    }

    // Time.

    /// The shard that wants to be told the time first, and when. The time may have come.
    pub(crate) fn next_deadline(&self) -> Option<(ShardId, Instant)> {
        let deadlines =
            self.topology.homes().filter_map(|shard| Some((shard, self.engine(shard).deadline()?)));
        deadlines.min_by_key(|&(shard, at)| (at, shard))
    }

    /// Both clocks go on, and nobody notices.
    pub(crate) fn pass(&mut self, duration: Duration) {
        self.instant = self.instant.after(duration);
    }

    /// An operator sets the wall clock.
    pub(crate) fn set_epoch(&mut self, epoch: Epoch) {
        self.epoch_start = i128::from(epoch.0) * NANOS_PER_MILLI - i128::from(self.instant.0);
    }

    /// A shard is told the time.
    pub(crate) fn tick(&mut self, shard: ShardId) {
        self.event(shard, Input::Tick);
    }

    /// Time goes on: every deadline on the way is met in order, and whatever follows from it is delivered before the
    /// clocks move again.
    pub(crate) fn advance(&mut self, duration: Duration) {
        self.run_until_quiet();
        let end = self.instant.after(duration);
        let mut ticks = 0;
        while let Some((shard, at)) = self.next_deadline().filter(|&(_, at)| at <= end) {
            if at > self.instant {
                self.pass(Duration::from_nanos(at.0 - self.instant.0));
                ticks = 0;
            }
            ticks += 1;
            assert!(ticks < TICKS_AT_ONCE_MAX, "shard {} wants the time again and again at {at:?}", shard.0);
            self.tick(shard);
            self.run_until_quiet();
        }
        self.pass(Duration::from_nanos(end.0 - self.instant.0));
    }

    // Helpers.

    fn connection(&self, session: SessionId) -> &Connection {
        self.connections.get(&session).unwrap_or_else(|| panic!("{session:?} is not connected"))
    }

    fn connection_mut(&mut self, session: SessionId) -> &mut Connection {
        self.connections.get_mut(&session).unwrap_or_else(|| panic!("{session:?} is not connected"))
    }

    fn send(&mut self, session: SessionId, what: Held) {
        if self.is_welcome(session) {
            self.hand_in(session, what);
            self.release(session.shard());
        } else {
            self.hold(session, what);
        }
    }

    fn hold(&mut self, session: SessionId, what: Held) {
        let connection = self.connection_mut(session);
        if !connection.closed {
            connection.held.push_back(what);
            self.holding.insert(session);
        }
    }

    fn hand_in(&mut self, session: SessionId, what: Held) {
        match what {
            Held::Request(bytes) => {
                let Ok(Frame::Packet { header, data, .. }) = frame(&bytes, u32::MAX) else {
                    unreachable!("we encoded it")
                };
                let request = Request::decode(&header, data).expect("it was a request before");
                // Whatever waited comes as large packets do: what the engine keeps of it is part of these bytes.
                self.handle(session.shard(), Input::Large(session, request, &bytes));
            }
            Held::Ask(ask) => self.handle(session.shard(), Input::Ask(session, ask)),
            Held::Answer(reply) => self.handle(session.shard(), Input::Answer(session, reply)),
            Held::Finish(reason) => self.handle(session.shard(), Input::Finish(session, reason)),
        }
    }

    /// Something happens at a shard: it, and what was held back and may be read now, is handed in.
    fn event(&mut self, shard: ShardId, input: Input<'_>) {
        self.handle(shard, input);
        self.release(shard);
    }

    fn handle(&mut self, shard: ShardId, input: Input<'_>) {
        let now = self.now();
        if let (Some(seen), Some(session)) = (&mut self.seen, sender(&input)) {
            seen.push(Seen::HandedIn(session));
        }
        let given = Given::of(&input, &mut self.puts[shard.index()]);
        let engine = &mut self.engines[shard.index()];
        let waiting = |engine: &Engine| engine.waiting().map(bounds::message).sum::<u64>();
        let (before, work) = (waiting(engine), engine.work_done());
        engine.handle(now, input);
        let (sent, work) = (waiting(engine) - before, engine.work_done() - work);
        let made = sent + self.collect(shard);
        bounds::check(&self.policy, self.topology.homes().len() as u16, given, made, work);
    }

    /// Drains an engine: outputs to the sessions, messages into the channels as far as there is room. How much the
    /// outputs count.
    fn collect(&mut self, shard: ShardId) -> u64 {
        let mut made = 0;
        while let Some((output, jobs)) = self.engines[shard.index()].output() {
            made += bounds::output(&output);
            self.puts[shard.index()].see(&output);
            if let Output::Store(op) = output {
                self.to_store.push((shard, asked(op, jobs)));
            }
            let Some(output) = self.complete(output) else { continue };
            if let Some(seen) = &mut self.seen {
                seen.push(Seen::Output(output.clone()));
            }
            self.carry_out(shard, output);
        }
        for to in self.topology.homes() {
            let channel = &mut self.channels[shard.index()][to.index()].0;
            let room = self.capacity - channel.len();
            channel.extend(self.engines[shard.index()].take_messages(to, room));
        }
        made
    }

    /// Whoever holds the cluster sees reports only when they are complete. A page on the way has about as many rows as were asked
    /// for, and nothing comes between it and the next.
    fn complete(&mut self, output: Output) -> Option<Output> {
        let rows = self.policy.rows_at_once;
        let most = (rows + 2 * self.topology.homes().len() as u32 * rows.min(16)) as usize;
        match output {
            Output::Reply(session, Reply::Rows(page)) => {
                let (query, page) = *page;
                assert!(
                    page.rows() <= most && !page.is_empty(),
                    "[a page is bounded] {query:?}: {}",
                    page.rows()
                );
                let connection = self.connections.get_mut(&session).expect("a page is for somebody");
                assert!(connection.paused, "[a session with a survey is paused] {session:?}");
                connection.pages.get_or_insert_with(|| query.empty_report()).append(page);
                None
            }
            Output::Reply(session, Reply::Report(last)) => {
                assert!(last.1.rows() <= most, "[a page is bounded] {:?}: {}", last.0, last.1.rows());
                let connection = self.connections.get_mut(&session);
                let Some(mut report) = connection.and_then(|connection| connection.pages.take()) else {
                    return Some(Output::Reply(session, Reply::Report(last)));
                };
                let (query, last) = *last;
                report.append(last);
                Some(Output::Reply(session, Reply::Report(Box::new((query, report)))))
            }
            Output::Reply(session, reply) => {
                let between =
                    self.connections.get(&session).is_some_and(|connection| connection.pages.is_some());
                assert!(!between, "[nothing comes between the pages of a report] {session:?}: {reply:?}");
                Some(Output::Reply(session, reply))
            }
            output => Some(output),
        }
    }

    fn carry_out(&mut self, shard: ShardId, output: Output) {
        let (session, known) = match &output {
            Output::Note(note) => return self.notes.push((shard, Note::clone(note))),
            Output::Store(_) => return,
            Output::Reply(session, _)
            | Output::Close(session)
            | Output::Dismiss(session)
            | Output::Holds(session, _)
            | Output::Pause(session)
            | Output::WantsRoom(session)
            | Output::Resume(session) => (*session, self.connections.get_mut(session)),
        };
        assert_eq!(session.shard(), shard, "a session of another shard: {output:?}");
        let Some(connection) = known.filter(|connection| !connection.closed) else {
            panic!("the session is gone: {output:?}");
        };
        match output {
            Output::Reply(_, reply) => connection.replies.push_back(reply),
            Output::Holds(..) => {}
            // Its peer may stay: that is no affair of the engine.
            Output::Dismiss(_) => {}
            Output::Pause(_) => {
                assert!(!connection.paused, "{session:?} was paused twice");
                connection.paused = true;
            }
            Output::Resume(_) => {
                assert!(connection.paused, "{session:?} was not paused");
                connection.paused = false;
            }
            Output::Close(_) => {
                connection.closed = true;
                connection.held.clear();
                self.holding.remove(&session);
                self.roomy.retain(|&other| other != session);
            }
            Output::WantsRoom(_) => {
                assert!(connection.paused, "[a session with a survey is paused] {session:?}");
                assert!(!self.roomy.contains(&session), "[a session has one survey at a time] {session:?}");
                self.roomy.push_back(session);
            }
            Output::Note(_) | Output::Store(_) => unreachable!("handled above"),
        }
    }

    /// Hands in what sessions of a shard have sent and may be read now.
    fn release(&mut self, shard: ShardId) {
        self.release_held(shard);
        while !self.stingy
            && let Some(session) = self.roomy.pop_front()
        {
            self.handle(session.shard(), Input::Room(session));
            self.release_held(session.shard());
        }
    }

    fn release_held(&mut self, shard: ShardId) {
        while !self.engine(shard).congested() {
            let readable =
                |session: &&SessionId| session.shard() == shard && !self.connection(**session).paused;
            let Some(&session) = self.holding.iter().find(readable) else { return };
            let held = &mut self.connection_mut(session).held;
            let what = held.pop_front().expect("it holds something");
            if held.is_empty() {
                self.holding.remove(&session);
            }
            self.hand_in(session, what);
        }
    }
}

fn engines(topology: Topology, policy: &Arc<Policy>) -> Vec<Engine> {
    let board = Board::new(topology);
    topology.homes().map(|shard| Engine::new(shard, board.clone(), Arc::clone(policy))).collect()
}

fn channels(shards: usize) -> Vec<Vec<Channel>> {
    (0..shards).map(|_| (0..shards).map(|_| Channel::default()).collect()).collect()
}

/// Who sent this.
fn sender(input: &Input<'_>) -> Option<SessionId> {
    match *input {
        Input::Request(session, _)
        | Input::Large(session, ..)
        | Input::Ask(session, _)
        | Input::Answer(session, _)
        | Input::Finish(session, _) => Some(session),
        _ => None,
    }
}

/// What the store is asked for, with the job as it is now.
fn asked(op: StoreOp, jobs: JobsToKeep<'_>) -> ToStore {
    match op {
        StoreOp::Put { seq, id } => ToStore::Put(seq, jobs.find(id).map(|job| Kept::of(&job))),
        StoreOp::Attempts { id, attempts } => ToStore::Attempts(id, attempts),
        StoreOp::Done { id } => ToStore::Done(id),
        StoreOp::Unknown { id } => ToStore::Unknown(id),
    }
}
