//! The seat of the HTTP side in the mesh: an engine without functions, whose sessions are the surveys and the jobs that requests wait
//! for. What is asked and made of the answers is elsewhere. An observer: nobody asks it, so that nobody waits if this thread is slow.
use super::bodies::{HeldBytes, TransferBytes};
use super::watch::watch;
use crate::engine::page::ListMark;
use crate::engine::slot::ShardSet;
use crate::engine::{
    Ask, Board, CloseReason, Engine, Input, Introduction, JobId, Output, Peer, Policy, Reply, Report,
    SessionId, ShardId, Work,
};
use crate::mesh::shared::{ServerPhase, Shared};
use crate::mesh::{Unheard, clock};
use crate::protocol::{Refusal, Request, Submit};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::task::yield_now;
use tokio::time::timeout;

/// Batches of messages that are heard before other tasks have their turn.
const BATCHES_AT_ONCE: usize = 8;
/// How long until messages that found no room are tried again.
const RETRY: Duration = Duration::from_millis(1);
/// Who is behind a session here: no report tells.
const NOBODY: Peer = Peer { descriptor: 0, address: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 0 };

/// An engine without functions, on this thread.
pub(super) struct Observer {
    id: ShardId,
    shared: Arc<Shared>,
    guest: RefCell<Guest>,
}

struct Guest {
    engine: Engine,
    seats: Vec<Seat>,
    /// Seats that nobody has.
    free: Vec<u32>,
    /// What shards have sent and was not heard yet.
    unheard: Unheard,
    /// Whether messages found no room.
    left: bool,
    /// Where results count that nobody has taken yet.
    bytes: TransferBytes,
}

/// A session, or the place of one.
#[derive(Default)]
struct Seat {
    generation: u32,
    pages: VecDeque<Report>,
    news: VecDeque<JobNews>,
    wants_room: bool,
    /// No more requests for now.
    paused: bool,
    over: bool,
    /// More has come than could be kept until it was taken.
    overrun: bool,
    waker: Option<Waker>,
}

/// What somebody hears who has submitted.
#[derive(Debug)]
pub(super) enum JobNews {
    /// The next of his submissions is this job.
    Created(JobId),
    /// The next of his submissions is refused.
    Refused(Refusal),
    /// Something of a job, which counts as long as it is kept.
    Work(Work, HeldBytes),
}

impl Observer {
    /// Takes the seat.
    pub(super) fn new(
        id: ShardId,
        board: Board,
        policy: Arc<Policy>,
        shared: Arc<Shared>,
        bytes: TransferBytes,
    ) -> Observer {
        let engine = Engine::new(id, board, policy);
        let (seats, free, unheard) = (Vec::new(), Vec::new(), Unheard::new());
        let guest = Guest { engine, seats, free, unheard, left: false, bytes };
        Observer { id, shared, guest: RefCell::new(guest) }
    }

    /// Asks something, for a list from behind a place on. The answer comes page by page, each when it is wanted.
    pub(super) fn ask(self: &Rc<Self>, what: impl Into<Ask>, after: Option<ListMark>) -> PagedAnswer {
        let session = self.guest.borrow_mut().sit(self.id);
        self.feed(Input::Opened(session, NOBODY));
        self.feed(match (what.into(), after) {
            (Ask::Query(query), Some(after)) => Input::AskBehind(session, Box::new((query, after))),
            // An order begins at the beginning.
            (ask, _) => Input::Ask(session, ask),
        });
        PagedAnswer { observer: self.clone(), session }
    }

    /// A session that submits. With `exceptions` it hears of them whatever the server's default is.
    pub(super) fn client(self: &Rc<Self>, exceptions: bool) -> HttpClient {
        let session = self.guest.borrow_mut().sit(self.id);
        self.feed(match exceptions {
            true => Input::Adopted(session, NOBODY, Introduction { exceptions, ..Introduction::default() }),
            false => Input::Opened(session, NOBODY),
        });
        HttpClient { observer: self.clone(), session }
    }

    /// Nobody hears anything of this session any more.
    fn leave(&self, session: SessionId) {
        self.feed(Input::Closed(session, CloseReason::Peer));
        let mut guest = self.guest.borrow_mut();
        if let Some(seat) = guest.seat(session) {
            let generation = seat.generation;
            *seat = Seat { generation, ..Seat::default() };
            guest.free.push(session.index() as u32);
        }
    }

    /// Tells the engine that something happened, and carries out what it wants.
    fn feed(&self, input: Input<'_>) {
        let guest = &mut *self.guest.borrow_mut();
        guest.engine.handle(clock::now(), input);
        guest.drain();
        let mut unrung = ShardSet::default();
        guest.left = self.shared.mesh.send_all(self.id, &mut guest.engine, &mut unrung);
        self.shared.mesh.wake(unrung);
        if guest.left || guest.engine.deadline().is_some() {
            // The task below sleeps without an alarm.
            self.shared.mesh.nudge(self.id);
        }
    }

    fn poll(&self, session: SessionId, context: &mut Context<'_>) -> Poll<Option<Report>> {
        loop {
            if let Some(seat) = self.guest.borrow_mut().seat(session) {
                if let Some(page) = seat.pages.pop_front() {
                    return Poll::Ready(Some(page));
                }
                if seat.over {
                    return Poll::Ready(None);
                }
                if !std::mem::take(&mut seat.wants_room) {
                    seat.waker = Some(context.waker().clone());
                    return Poll::Pending;
                }
            } else {
                return Poll::Ready(None);
            }
            self.feed(Input::Room(session));
        }
    }

    /// Hands the engine what shards have sent. True if there was something.
    fn hear(&self) -> bool {
        let mut batches = 0;
        // The guest is lent for a batch at a time: what it is fed borrows it, too.
        let next = || self.shared.mesh.hear(self.id, &mut self.guest.borrow_mut().unheard);
        while batches < BATCHES_AT_ONCE
            && let Some((from, batch)) = next()
        {
            batches += 1;
            batch.into_iter().for_each(|message| self.feed(Input::Message(from, message)));
        }
        let due = self.guest.borrow().engine.deadline().is_some_and(|at| at <= clock::instant());
        if due {
            self.feed(Input::Tick);
        }
        batches > 0 || due || !self.guest.borrow().unheard.is_empty()
    }

    fn is_over(&self) -> bool {
        self.shared.phase() == ServerPhase::Stopping
    }

    /// Hears what shards answer, until the server stops. Sleeps while there is nothing: no alarm, no look from time to time.
    pub(super) async fn listen(self: Rc<Self>) -> io::Result<()> {
        let rung = watch(self.shared.mesh.eventfd(self.id))?;
        let bell = self.shared.mesh.bell(self.id);
        while !self.is_over() {
            if self.hear() {
                yield_now().await;
                continue;
            }
            bell.lie_down();
            if !self.shared.mesh.waits_for(self.id) && !self.is_over() {
                let left = self.guest.borrow().left;
                let ready = match left {
                    true => timeout(RETRY, rung.readable()).await.ok(),
                    false => Some(rung.readable().await),
                };
                if let Some(ready) = ready {
                    let mut ready = ready?;
                    // In this order: what is rung in between is found by the next look at the descriptor.
                    ready.clear_ready();
                    self.shared.mesh.hush(self.id);
                }
            }
            bell.get_up();
            if self.guest.borrow().left {
                self.feed(Input::Tick);
            }
        }
        Ok(())
    }
}

impl Guest {
    /// A session that is new.
    fn sit(&mut self, home: ShardId) -> SessionId {
        let at = self.free.pop().unwrap_or_else(|| {
            self.seats.push(Seat::default());
            // There are few requests at a time.
            (self.seats.len() - 1) as u32
        });
        let seat = &mut self.seats[at as usize];
        let generation = seat.generation.wrapping_add(1).max(1);
        *seat = Seat { generation, ..Seat::default() };
        SessionId::new(home, at, generation)
    }

    fn seat(&mut self, session: SessionId) -> Option<&mut Seat> {
        let seat = self.seats.get_mut(session.index())?;
        (seat.generation == session.generation()).then_some(seat)
    }

    fn drain(&mut self) {
        while let Some((output, _)) = self.engine.output() {
            let session = match &output {
                Output::Reply(session, _)
                | Output::Close(session)
                | Output::WantsRoom(session)
                | Output::Pause(session)
                | Output::Resume(session) => *session,
                // What waits here for earlier replies is bounded by the number of submissions of a session; it has no jobs of its
                // own to store, and nothing to log.
                Output::Holds(..) | Output::Store(_) | Output::Dismiss(_) | Output::Note(_) => continue,
            };
            let Some(seat) = self.seats.get_mut(session.index()) else { continue };
            if seat.generation != session.generation() {
                continue;
            }
            seat.hear(output, &self.bytes);
            if let Some(waker) = seat.waker.take() {
                waker.wake();
            }
        }
    }
}

/// An answer that comes page by page. Whoever lets go of it is not answered any more.
pub(super) struct PagedAnswer {
    observer: Rc<Observer>,
    session: SessionId,
}

impl PagedAnswer {
    /// The next page; `None` behind the last one.
    pub(super) async fn next(&mut self) -> Option<Report> {
        poll_fn(|context| self.observer.poll(self.session, context)).await
    }
}

impl Drop for PagedAnswer {
    fn drop(&mut self) {
        self.observer.leave(self.session);
    }
}

impl Seat {
    fn hear(&mut self, output: Output, bytes: &TransferBytes) {
        match output {
            Output::Reply(_, Reply::Rows(page)) => self.pages.push_back(page.1),
            Output::Reply(_, Reply::Report(page)) => {
                self.pages.push_back(page.1);
                self.over = true;
            }
            Output::Reply(_, Reply::JobCreated(job)) => self.news.push_back(JobNews::Created(job)),
            Output::Reply(_, Reply::Error(refusal)) => self.news.push_back(JobNews::Refused(refusal)),
            Output::Reply(_, Reply::Work(_, work)) if !self.overrun => {
                let mut held = bytes.none();
                if held.add(size_of::<JobNews>() + work.len()) {
                    self.news.push_back(JobNews::Work(work, held));
                } else {
                    // It is told of no more; whoever it belongs to leaves when he sees it.
                    (self.overrun, self.over) = (true, true);
                }
            }
            Output::Reply(..) => {}
            Output::WantsRoom(_) => self.wants_room = true,
            Output::Pause(_) => self.paused = true,
            Output::Resume(_) => self.paused = false,
            _ => self.over = true,
        }
    }
}

/// A session that submits jobs. Whoever lets go of it has left: what he was to be told is given up, as with any client.
pub(super) struct HttpClient {
    observer: Rc<Observer>,
    session: SessionId,
}

impl HttpClient {
    /// Submits, as soon as the engine lets. False if the session is over.
    pub(super) async fn submit(&self, submit: Submit<'_>) -> bool {
        let welcome = poll_fn(|context| match self.observer.guest.borrow_mut().seat(self.session) {
            Some(seat) if seat.paused && !seat.over => {
                seat.waker = Some(context.waker().clone());
                Poll::Pending
            }
            Some(seat) => Poll::Ready(!seat.over),
            None => Poll::Ready(false),
        });
        let welcome = welcome.await;
        if welcome {
            self.observer.feed(Input::Request(self.session, Request::Submit(submit)));
        }
        welcome
    }

    /// What comes next; `None` if nothing does any more.
    pub(super) async fn next(&self) -> Option<JobNews> {
        poll_fn(|context| {
            let mut guest = self.observer.guest.borrow_mut();
            let Some(seat) = guest.seat(self.session) else { return Poll::Ready(None) };
            match seat.news.pop_front() {
                Some(news) => Poll::Ready(Some(news)),
                None if seat.over => Poll::Ready(None),
                None => {
                    seat.waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Whether the end came because more was told than could be kept.
    pub(super) fn is_overrun(&self) -> bool {
        self.observer.guest.borrow_mut().seat(self.session).is_some_and(|seat| seat.overrun)
    }
}

impl Drop for HttpClient {
    fn drop(&mut self) {
        self.observer.leave(self.session);
    }
}
