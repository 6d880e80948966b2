//! The seat of the HTTP side in the mesh: an engine without functions, whose sessions are the surveys that requests wait for. What is
//! asked and made of the answers is elsewhere. An observer: nobody asks it, so that nobody waits if this thread is slow.
use crate::engine::page::ListMark;
use crate::engine::slot::ShardSet;
use crate::engine::{
    Ask, Board, CloseReason, Engine, Input, Output, Peer, Policy, Reply, Report, SessionId, ShardId,
};
use crate::mesh::shared::{ServerPhase, Shared};
use crate::mesh::{Unheard, clock};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::yield_now;
use tokio::time::timeout;

/// Batches of messages that are heard before other tasks have their turn.
const BATCHES_AT_ONCE: usize = 8;
/// How long until messages that found no room are tried again.
const RETRY: Duration = Duration::from_millis(1);

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
}

/// A session, or the place of one.
#[derive(Default)]
struct Seat {
    generation: u32,
    pages: VecDeque<Report>,
    wants_room: bool,
    over: bool,
    waker: Option<Waker>,
}

impl Observer {
    /// Takes the seat.
    pub(super) fn new(id: ShardId, board: Board, policy: Arc<Policy>, shared: Arc<Shared>) -> Observer {
        let engine = Engine::new(id, board, policy);
        let guest =
            Guest { engine, seats: Vec::new(), free: Vec::new(), unheard: Unheard::new(), left: false };
        Observer { id, shared, guest: RefCell::new(guest) }
    }

    /// Asks something, for a list from behind a place on. The answer comes page by page, each when it is wanted.
    pub(super) fn ask(self: &Rc<Self>, what: impl Into<Ask>, after: Option<ListMark>) -> PagedAnswer {
        let session = self.guest.borrow_mut().sit(self.id);
        let peer = Peer { descriptor: 0, address: Ipv4Addr::LOCALHOST.into(), port: 0 };
        self.feed(Input::Opened(session, peer));
        self.feed(match (what.into(), after) {
            (Ask::Query(query), Some(after)) => Input::AskBehind(session, Box::new((query, after))),
            // An order begins at the beginning.
            (ask, _) => Input::Ask(session, ask),
        });
        PagedAnswer { observer: self.clone(), session }
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

/// Watches a descriptor for something to read.
#[allow(unsafe_code)]
fn watch(descriptor: BorrowedFd<'_>) -> io::Result<AsyncFd<BorrowedFd<'_>>> {
    // SAFETY: it is open, and stays what it is, as long as it is borrowed, and it is borrowed by what is returned.
    Ok(unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }?)
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
                Output::Reply(session, _) | Output::Close(session) | Output::WantsRoom(session) => *session,
                // It asks one thing only, knows no jobs, and has nothing to log.
                Output::Pause(_)
                | Output::Resume(_)
                | Output::Holds(..)
                | Output::Store(_)
                | Output::Dismiss(_)
                | Output::Note(_) => continue,
            };
            let Some(seat) = self.seats.get_mut(session.index()) else { continue };
            if seat.generation != session.generation() {
                continue;
            }
            match output {
                Output::Reply(_, Reply::Rows(page)) => seat.pages.push_back(page.1),
                Output::Reply(_, Reply::Report(page)) => {
                    seat.pages.push_back(page.1);
                    seat.over = true;
                }
                Output::WantsRoom(_) => seat.wants_room = true,
                _ => seat.over = true,
            }
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
        self.observer.feed(Input::Closed(self.session, CloseReason::Peer));
        let mut guest = self.observer.guest.borrow_mut();
        if let Some(seat) = guest.seat(self.session) {
            let generation = seat.generation;
            *seat = Seat { generation, ..Seat::default() };
            guest.free.push(self.session.index() as u32);
        }
    }
}
