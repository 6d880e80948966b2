//! The one door: events in, outputs out. Routes between the two halves until both are quiet.
use crate::board::Board;
use crate::event::{Event, Input, Introduction, Output};
use crate::functions::Functions;
use crate::message::Message;
use crate::outbox::Outbox;
use crate::persist::{NotRestored, StoredJob};
use crate::policy::{Planted, Policy};
use crate::sessions::Sessions;
use crate::slot::{JobId, SessionId, ShardId, ShardSet};
use crate::time::{Instant, Now};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

/// One shard of the job server, or a guest, which holds sessions and owns no functions.
///
/// Whoever holds an engine, the *shell*, goes round in a loop:
///
/// 1. At the start, where there is a store, each stored job is handed over with [`Engine::restore`], in the order in which the jobs were
///    accepted; then [`Engine::sequence_at_least`].
/// 2. Something happens: [`Engine::handle`]. When it returns, the engine is quiet.
/// 3. [`Engine::output`] is drained, before the next event: replies to send, what is to be stored, sessions to pause or to close.
/// 4. [`Engine::take_messages`] for every other home that has room; what is left stays in order. While the engine is
///    [`congested`](Engine::congested), requests wait; messages of others are still handed in.
/// 5. By [`Engine::deadline`] at the latest, [`Input::Tick`].
///
/// Two sessions and one job, on a job server with a single shard, so that there are no messages:
///
/// ```
/// use ringgear_engine::{
///     Board, Engine, Epoch, HandlePrefix, Input, Instant, Now, Output, Peer, Policy, Reply, SessionId, ShardId, Topology, Work,
/// };
/// use ringgear_protocol::{GrabKind, Priority, Request, Submit};
///
/// let prefix = HandlePrefix::new(b"H:host")?;
/// let board = Board::new(Topology::new(1));
/// let mut engine = Engine::new(ShardId(0), board, Policy::new(prefix.clone()).into());
/// let mut happens = |input: Input<'_>| -> Vec<Output> {
///     engine.handle(Now { instant: Instant(0), epoch: Epoch(0) }, input);
///     std::iter::from_fn(|| Some(engine.output()?.0)).collect()
/// };
/// let [client, worker] = [0, 1].map(|index| SessionId::new(ShardId(0), index, 1));
/// for session in [client, worker] {
///     happens(Input::Opened(session, Peer { descriptor: 3, address: [127, 0, 0, 1].into(), port: 0 }));
/// }
/// happens(Input::Request(worker, Request::CanDo { function: b"reverse" }));
///
/// let (function, unique, workload) = (b"reverse", b"", b"hello");
/// let (priority, background, epoch, reducer) = (Priority::Normal, false, None, None);
/// let submit = Submit { function, unique, workload, priority, background, epoch, reducer };
/// let told = happens(Input::Request(client, Request::Submit(submit)));
/// let [Output::Reply(_, Reply::JobCreated(job))] = told[..] else { panic!("{told:?}") };
///
/// let told = happens(Input::Request(worker, Request::Grab(GrabKind::Plain)));
/// let [Output::Reply(_, Reply::Assigned(assignment))] = &told[..] else { panic!("{told:?}") };
/// assert_eq!(assignment.workload(), b"hello");
///
/// let handle = prefix.handle(assignment.job);
/// let told = happens(Input::Request(worker, Request::WorkComplete { handle: &handle, result: b"olleh" }));
/// assert_eq!(told, [Output::Reply(client, Reply::Work(job, Work::Complete("olleh".into())))]);
/// # Ok::<(), ringgear_engine::slot::PrefixTooLong>(())
/// ```
#[derive(Debug)]
pub struct Engine {
    policy: Arc<Policy>,
    sessions: Sessions,
    functions: Functions,
    outbox: Outbox,
    congested: bool,
}

/// The jobs of an engine, for a store that is to keep some: see [`Engine::output`] and [`crate::StoreOp::Put`]. Nothing is
/// copied.
#[derive(Clone, Copy, Debug)]
pub struct JobsToKeep<'a> {
    functions: &'a Functions,
}

impl<'a> JobsToKeep<'a> {
    /// A job as a store is to keep it. `None` if it has ended by now: then there is nothing to keep, but an answer is due
    /// all the same.
    #[inline]
    pub fn find(self, id: JobId) -> Option<StoredJob<'a>> {
        self.functions.stored_job(id)
    }

    /// The workload of such a job as a share, if it is in memory that can be shared.
    #[inline]
    pub fn shared_workload(self, id: JobId) -> Option<Bytes> {
        self.functions.shared_workload(id)
    }
}

/// Made once.
impl Engine {
    /// The engine of one home. All engines of a job server share board and policy.
    pub fn new(shard: ShardId, board: Board, policy: Arc<Policy>) -> Engine {
        let topology = board.topology();
        assert!(shard.index() < topology.homes().len());
        Engine {
            sessions: Sessions::new(board.clone(), policy.clone()),
            functions: Functions::new(shard, board, policy.clone()),
            outbox: Outbox::new(shard, topology, &policy),
            policy,
            congested: false,
        }
    }
}

/// **Events in.**
impl Engine {
    /// Takes an event. When it returns, the engine is quiet.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        // The time comes first: everything below reads it.
        self.functions.begin(now);
        self.outbox.now = now.instant;
        // What is due has happened before the event: a result that comes with its time limit comes too late. But whoever has left is
        // told of nothing any more that is due.
        let has_left = matches!(input, Input::Closed(..));
        if !has_left {
            self.advance();
        }
        match input {
            // Nearly all inputs are requests: they go the short way.
            Input::Request(session, request) => {
                self.sessions.request(session, request, None, &mut self.outbox);
            }
            other => self.take(other),
        }
        // This could as well come before the event, whose session has no MASS_DO under way: one delivery serves both.
        self.sessions.go_on(&mut self.outbox);
        self.deliver();
        if has_left {
            self.advance();
        }
        // Chores last: an event and what is due have taken their share of what a call may do, chores get what is left.
        self.go_on();
        self.functions.drop_wake_checks();
        // Only now nothing is sent any more, so that what waits is what the shell will see.
        self.watch_outbox();
    }

    /// Apart from [`Engine::handle`], so that what few inputs hold costs the others nothing.
    #[inline(never)]
    fn take(&mut self, input: Input<'_>) {
        let out = &mut self.outbox;
        // Whoever asks for counters comes this way.
        out.counters.registrations_bytes = self.sessions.registrations_bytes();
        out.counters.replies_bytes = self.sessions.replies_bytes();
        match input {
            Input::Request(session, request) => self.sessions.request(session, request, None, out),
            Input::Message(_, message) => out.local.push_back(message),
            Input::Large(session, request, packet) => {
                self.sessions.request(session, request, Some(packet), out);
            }
            Input::Ask(session, ask) => self.sessions.admin(session, ask, None, out),
            Input::AskBehind(session, list) => {
                let (query, after) = *list;
                self.sessions.admin(session, query.into(), Some(after), out);
            }
            Input::Answer(session, reply) => self.sessions.answer_in_turn(session, reply, out),
            Input::Rights(session, rights) => self.sessions.set_rights(session, rights, out),
            Input::AnswerIf(session, right, reply) => self.sessions.answer_if(session, right, reply, out),
            Input::Opened(session, peer) => self.sessions.opened(session, peer, out),
            Input::Adopted(session, peer, introduction) => {
                self.sessions.adopted(session, peer, introduction, out);
            }
            Input::Finish(session, reason) => self.sessions.finish(session, reason, out),
            Input::Closed(session, reason) => self.sessions.closed(session, reason, out),
            Input::Room(session) => self.sessions.room(session, out),
            Input::Stored(upto) => self.functions.stored(upto, out),
            Input::StoreFailed(upto) => self.functions.store_failed(upto, out),
            Input::StoreFull(full) => self.functions.store_full(full),
            Input::StoreAway(away) => self.functions.store_away(away),
            Input::StoredElsewhere(seq, other) => self.functions.stored_elsewhere(seq, other, out),
            Input::Lease(until) => self.functions.lease(until),
            Input::Fenced => self.functions.fenced(out),
            Input::HandOver => self.functions.hand_over(),
            Input::Numbers(block) => self.functions.add_numbers(block),
            Input::Count(Event::ConnectionRefused) => out.counters.connections_refused += 1,
            Input::Count(Event::HandshakeFailed) => out.counters.handshakes_failed += 1,
            Input::Count(Event::LogLinesDropped(lines)) => out.counters.log_lines_dropped += lines,
            Input::Count(Event::LogLinesWithheld(lines)) => out.counters.log_lines_withheld += lines,
            Input::Count(Event::Commit) => out.counters.store_commits += 1,
            Input::PutAgain(jobs) => self.functions.put_again(jobs, out),
            Input::Count(Event::StoreRepaired) => out.counters.store_repairs += 1,
            Input::Count(Event::StoredJobLost) => out.counters.store_jobs_lost += 1,
            Input::Count(Event::SetAside) => out.counters.jobs_set_aside += 1,
            Input::Count(Event::DebtorUnread) => out.counters.debtors_unread += 1,
            Input::Count(Event::OutOfDescriptors) => out.counters.accept_out_of_descriptors += 1,
            Input::Count(Event::PacketTooLarge) => out.counters.packets_too_large += 1,
            Input::Tick => {}
        }
    }

    /// Does what is due.
    #[inline(always)]
    fn advance(&mut self) {
        if self.functions.may_be_due() {
            self.functions.advance(&mut self.outbox);
            self.deliver();
        }
    }

    /// Hands messages between the halves until there are none.
    #[inline(always)]
    fn deliver(&mut self) {
        if !self.outbox.local.is_empty() {
            self.deliver_all();
        }
    }

    #[inline(never)]
    fn deliver_all(&mut self) {
        while let Some(message) = self.outbox.local.pop_front() {
            match message {
                Message::ToFunctions(message) => self.functions.handle(message, &mut self.outbox),
                Message::ToSessions(message) => self.sessions.handle(message, &mut self.outbox),
            }
        }
    }

    /// Does what is done in pieces, as much as this call may.
    fn go_on(&mut self) {
        while self.functions.has_chores() && !self.functions.is_spent() {
            self.functions.go_on(&mut self.outbox);
            self.deliver();
        }
    }

    fn watch_outbox(&mut self) {
        let full = self.outbox.bytes() > self.policy.outbox_bytes;
        if full && !self.congested {
            self.outbox.counters.outbox_full += 1;
        }
        self.congested = full;
        self.outbox.counters.outbox_bytes = self.outbox.bytes() as u64;
    }
}

/// **Outputs out**: after every event, until there are none.
impl Engine {
    /// What is to be done next, and the jobs as they are now, of which some may be to be kept; `None` when all is done.
    /// Who holds the jobs gives the engine no input, so they stay what they are.
    #[inline]
    pub fn output(&mut self) -> Option<(Output, JobsToKeep<'_>)> {
        self.outbox.outputs.pop_front().map(|output| (output, JobsToKeep { functions: &self.functions }))
    }
}

/// **Messages between engines**: taken when there is room for them on the way, handed in elsewhere with [`Input::Message`].
impl Engine {
    /// For whom messages wait.
    pub fn receivers(&self) -> ShardSet {
        self.outbox.receivers()
    }

    /// Whether messages wait for a shard.
    pub fn has_messages(&self, to: ShardId) -> bool {
        self.outbox.has(to)
    }

    /// Takes at most `most` messages for another shard, to be delivered in this order and after all taken before.
    pub fn take_messages(&mut self, to: ShardId, most: usize) -> Vec<Message> {
        let taken = self.outbox.take(to, most);
        if self.outbox.bytes() <= self.policy.outbox_bytes {
            self.functions.release();
        }
        self.watch_outbox();
        taken
    }

    /// Whether so much waits for other shards that no more requests should be read from sockets for now. Messages
    /// from other shards must still be handed in.
    pub fn congested(&self) -> bool {
        self.congested && !self.policy.plants(Planted::UnboundedOutbox)
    }

    /// Bytes of messages that wait for other shards.
    pub fn outbox_bytes(&self) -> usize {
        self.outbox.bytes()
    }
}

/// **Restoring**: at the start, before the first event, where there is a store; and where several servers share it, later, too.
impl Engine {
    /// No job that is accepted from now on gets this number, which a store keeps for something else; this shard owns its
    /// slot.
    pub fn keep_clear_of(&mut self, id: JobId) {
        self.functions.keep_clear_of(id);
    }

    /// Takes a job that was found in the store at the start; this shard owns its slot. In the order in which the jobs
    /// were accepted, before any worker comes; or, where the store was away then, as soon as it is read. Limits do not apply. Two jobs
    /// that submissions would join both live on: at least once is promised, and which one is right cannot be seen. After an
    /// error nothing has changed, and no job will get this number.
    pub fn restore(&mut self, now: Now, job: &StoredJob<'_>) -> Result<(), NotRestored> {
        self.functions.begin(now);
        self.functions.advance(&mut self.outbox);
        let restored = self.functions.restore(job, &mut self.outbox);
        self.deliver();
        self.functions.drop_wake_checks();
        self.watch_outbox();
        restored
    }

    /// Takes over a stored job that is this server's from now on, while it serves: another server had it, or nobody that
    /// serves. Not while the engine [`is_forgetting`](Engine::is_forgetting). It queues behind those that are there, whatever the
    /// limits. One that is here already is no error: it stays what it is, and if another server had taken it over, it is this
    /// server's again. A foreground job with its unique lives on beside it.
    pub fn take_over(&mut self, now: Now, job: &StoredJob<'_>) -> Result<(), NotRestored> {
        self.functions.begin(now);
        self.functions.advance(&mut self.outbox);
        let taken = self.functions.take_over(job, &mut self.outbox);
        self.deliver();
        self.go_on();
        self.functions.drop_wake_checks();
        self.watch_outbox();
        taken
    }

    /// Jobs that this shard accepts from now on get this sequence (see [`JobId::sequence`]) or later ones. For every
    /// shard, after the last job was restored anywhere: above all their sequences, or handles would mean two jobs.
    pub fn sequence_at_least(&mut self, sequence: u64) {
        self.functions.sequence_at_least(sequence);
    }
}

/// **Questions**, at any time between events; and what the shell says or takes without an event.
impl Engine {
    /// When to call [`Engine::handle`] with [`Input::Tick`] at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        if self.sessions.has_more_to_do() || self.functions.has_chores() {
            return Some(self.functions.now());
        }
        self.functions.deadline()
    }

    /// Whether requests of this session are unwelcome for now.
    pub fn paused(&self, session: SessionId) -> bool {
        self.sessions.paused(session)
    }

    /// The id that a session has given itself; empty without, and without the session.
    pub fn client_id(&self, session: SessionId) -> &[u8] {
        self.sessions.client_id(session)
    }

    /// Jobs of this shard's functions now; dead ones are not counted.
    pub fn jobs(&self) -> u64 {
        self.functions.count()
    }

    /// Bytes of these: what [`Policy::queued_bytes`] limits.
    pub fn jobs_bytes(&self) -> u64 {
        self.outbox.counters.jobs_bytes
    }

    /// Jobs ever accepted by this shard's functions.
    pub fn jobs_accepted(&self) -> u64 {
        self.outbox.counters.jobs_accepted
    }

    /// Whether jobs that another server has taken over are not all forgotten yet: see [`Input::Fenced`].
    pub fn is_forgetting(&self) -> bool {
        self.functions.is_forgetting()
    }

    /// Stored jobs that have stayed this server's when the others were handed over ([`Input::HandOver`]): asked once, when the engine
    /// [`is_forgetting`](Engine::is_forgetting) no more.
    pub fn take_kept(&mut self) -> Vec<JobId> {
        self.functions.take_kept()
    }

    /// Whether another block of numbers should be asked for ([`Input::Numbers`]): no more is left than half of the last one.
    pub fn wants_numbers(&self) -> bool {
        self.functions.wants_numbers()
    }

    /// Whether clients are still to hear of jobs that may have ended.
    pub fn is_telling(&self) -> bool {
        self.functions.is_telling()
    }

    /// Lets go of a session that is to live on another shard, where it goes on with [`Input::Adopted`]. `None`, and
    /// nothing changed, if that cannot be: only a session of which no function knows, and that waits for no answer,
    /// is all here.
    pub fn let_go(&mut self, session: SessionId) -> Option<Introduction> {
        self.sessions.let_go(session, &mut self.outbox)
    }

    /// Notes how many bytes the shell keeps for the connections of this shard, for who asks for counters.
    #[inline]
    pub fn note_connections_bytes(&mut self, bytes: u64) {
        self.outbox.counters.connections_bytes = bytes;
    }
}

/// **For tests.**
impl Engine {
    /// What waits for other shards.
    pub fn waiting(&self) -> impl Iterator<Item = &Message> {
        self.outbox.waiting()
    }

    /// Units of work that were ever done in pieces: one call does at most [`Policy::work_at_once`].
    pub fn work_done(&self) -> u64 {
        self.functions.work_done()
    }

    /// The jobs as a store is to keep them now. For tests: a shell gets them with what it is to do.
    pub fn jobs_to_keep(&self) -> JobsToKeep<'_> {
        JobsToKeep { functions: &self.functions }
    }

    /// Asserts everything that must be true of a quiet engine. For tests: it walks the whole state.
    pub fn check(&self) {
        assert!(self.outbox.local.is_empty());
        self.sessions.check();
        self.functions.check(&self.outbox.counters);
    }
}
