//! The half of a shard that holds sessions: it turns requests into messages to the owners of functions, and their
//! answers into replies. It knows functions only by name.
//!
//! [`request`] takes requests in, [`grab`] and [`ask`] speak with several owners, [`rows`] has the lists of sessions, [`mass_do`] does in
//! parts what is much, [`rights`] refuses what a session may not do, [`owned`] knows which owners are worth a question. What they work on stands below them: a [`session`] with its
//! [`replies`] in order, its [`abilities`] and their [`names`], its [`access`], its [`owners`], and what is under way: a grab ([`grab_round`]), a query or an
//! order ([`survey`]), what is much ([`parts`]).
mod abilities;
mod access;
mod ask;
mod grab;
mod grab_round;
mod mass_do;
mod names;
mod owned;
mod owners;
mod parts;
mod replies;
mod request;
mod rights;
mod rows;
mod session;
mod survey;

use crate::board::Board;
use crate::event::{CloseReason, Introduction, Output, Reply};
use crate::message::{Message, ToFunctions, ToSessions, Work};
use crate::outbox::Outbox;
use crate::policy::{Planted, Policy};
use crate::slot::{Peer, SessionId, Topology};
use alloc::boxed::Box;
use alloc::sync::Arc;
use names::FunctionNames;
use parts::Unfinished;
use replies::Replies;
use ringgear_protocol::Refusal;
use session::{Session, SessionTable};

/// The sessions of one shard.
#[derive(Debug)]
pub(crate) struct Sessions {
    topology: Topology,
    board: Board,
    policy: Arc<Policy>,
    table: SessionTable,
    names: FunctionNames,
    unfinished: Unfinished,
    /// Bytes of replies that wait for earlier ones, of all sessions, as far as told.
    replies_bytes: u64,
    /// As long as no more places of a session wait, and nothing else does, it need not be paused.
    places: u32,
}

impl Sessions {
    pub(crate) fn new(board: Board, policy: Arc<Policy>) -> Sessions {
        let topology = board.topology();
        let names = FunctionNames::new(board.clone(), policy.hash_seed);
        let places = Replies::places_in(policy.waiting_bytes);
        let places = places.min((policy.requests_in_flight as usize).saturating_sub(1)) as u32;
        Sessions {
            topology,
            board,
            policy,
            table: SessionTable::default(),
            names,
            unfinished: Unfinished::default(),
            replies_bytes: 0,
            places,
        }
    }

    pub(crate) fn opened(&mut self, id: SessionId, peer: Peer, out: &mut Outbox) {
        let mut session = Session::new(id, peer, self.policy.exceptions, out.now);
        session.access = self.untold();
        self.table.insert(session);
        out.counters.sessions += 1;
        out.counters.sessions_opened += 1;
    }

    pub(crate) fn adopted(&mut self, id: SessionId, peer: Peer, who: Introduction, out: &mut Outbox) {
        let mut session = Session::new(id, peer, who.exceptions, out.now);
        session.client_id = who.client_id;
        session.access = self.untold();
        self.table.insert(session);
        out.counters.sessions += 1;
    }

    pub(crate) fn client_id(&self, id: SessionId) -> &[u8] {
        self.table.get(id).map_or(&[], |session| &session.client_id)
    }

    /// The session goes to another shard, if it is all here.
    pub(crate) fn let_go(&mut self, id: SessionId, out: &mut Outbox) -> Option<Introduction> {
        self.table.get(id).filter(|session| session.is_all_here())?;
        let session = self.table.remove(id)?;
        out.counters.sessions -= 1;
        Some(Introduction { client_id: session.client_id, exceptions: session.exceptions })
    }

    /// No more requests will come.
    pub(crate) fn finish(&mut self, id: SessionId, reason: CloseReason, out: &mut Outbox) {
        let Some(session) = self.table.get_mut(id) else { return };
        if !session.finishing {
            session.finishing = true;
            // Nobody is there any more for whom the others would be registered.
            session.mass_do = None;
            count_reason(reason, out);
        }
        self.flush_replies(id, out);
    }

    pub(crate) fn closed(&mut self, id: SessionId, reason: CloseReason, out: &mut Outbox) {
        if self.forget(id, out) {
            count_reason(reason, out);
        }
    }

    /// The session is gone; whoever knows it is told. False if it was gone already.
    fn forget(&mut self, id: SessionId, out: &mut Outbox) -> bool {
        let Some(mut session) = self.table.remove(id) else { return false };
        self.unfinished.let_go(session.take_abilities(), &mut self.names, &self.policy);
        self.replies_bytes -= session.told.unread as u64;
        out.counters.sessions -= 1;
        for owner in session.known_by.iter() {
            out.send(owner, Message::ToFunctions(ToFunctions::Gone { session: id }));
        }
        true
    }

    pub(crate) fn paused(&self, id: SessionId) -> bool {
        self.table.get(id).is_some_and(|session| session.paused)
    }

    pub(crate) fn handle(&mut self, message: ToSessions, out: &mut Outbox) {
        let shard = out.shard();
        let id = match message {
            ToSessions::Created { to, place, job } => {
                return self.fill(to, place, Some(Reply::JobCreated(job)), out);
            }
            ToSessions::Refused { to, place, refusal } => {
                return self.fill(to, place, Some(Reply::Error(refusal)), out);
            }
            ToSessions::Heard { to, place } => return self.fill(to, place, None, out),
            ToSessions::Status { to, place, job, status, asked } => {
                let own = asked.is_empty();
                let reply =
                    if own { Reply::Status(job, status) } else { Reply::StatusAs(Box::new((asked, status))) };
                return self.fill(to, place, Some(reply), out);
            }
            ToSessions::Best { to, place, from, best } => {
                self.best(to, place, from, best, out);
                to
            }
            ToSessions::Assigned { to, place, assignment } => {
                self.assigned(to, place, assignment, out);
                to
            }
            ToSessions::Nothing { to, place, .. } => {
                self.nothing(to, place, out);
                to
            }
            ToSessions::Wake { to, from, function, nap } => {
                self.wake(to, from, function, nap, out);
                to
            }
            ToSessions::Unregistered { refusal, to, function } => {
                self.unregistered(to, &function, refusal, out);
                to
            }
            ToSessions::StruckOff { to, from, nap } => return self.struck_off(to, from, nap, out),
            ToSessions::Slow { to, begins } => return self.slow(to, begins, out),
            ToSessions::Work { to, job, update } => {
                self.work_news(to, job, update, out);
                to
            }
            ToSessions::Answer { to, place, part } => {
                self.answer(to, place, *part, out);
                to
            }
            ToSessions::Ask { from, place, request } => {
                return self.report(from, place, &request, shard, out);
            }
        };
        self.flush_replies(id, out);
    }

    /// Fills a place of a session, unless it is gone, and lets leave what may.
    #[inline]
    fn fill(&mut self, to: SessionId, place: u32, reply: Option<Reply>, out: &mut Outbox) {
        let bug = self.policy.plants(Planted::ReplyOutOfOrder);
        let Some(session) = self.table.get_mut(to) else { return };
        match reply {
            Some(reply) if bug => {
                session.answer(place, None, out);
                out.reply(to, reply);
            }
            reply => session.answer(place, reply, out),
        }
        if !session.is_at_rest(self.places) {
            self.flush_closely(to, out);
        }
    }

    /// Something that the session said waits too long, or does no more.
    #[cold]
    fn slow(&mut self, to: SessionId, begins: bool, out: &mut Outbox) {
        let Some(session) = self.table.get_mut(to) else { return };
        session.slowed = if begins { session.slowed + 1 } else { session.slowed.saturating_sub(1) };
        self.flush_closely(to, out);
    }

    /// News of a job that the session waits for.
    fn work_news(&mut self, to: SessionId, job: crate::JobId, update: Work, out: &mut Outbox) {
        let Some(session) = self.table.get_mut(to) else { return };
        let update = match update {
            Work::Exception(_) if !session.exceptions => Work::Fail,
            update => update,
        };
        session.tell(Reply::Work(job, update), out);
    }

    fn unregistered(&mut self, to: SessionId, function: &[u8], refusal: Refusal, out: &mut Outbox) {
        let Some(session) = self.table.get_mut(to) else { return };
        session.remove_ability(function, false, &mut self.names);
        session.tell(Reply::Error(refusal), out);
    }

    /// Lets replies leave whose turn has come; pauses, resumes or closes the session.
    #[inline]
    fn flush_replies(&mut self, id: SessionId, out: &mut Outbox) {
        let at_rest = self.table.get(id).is_some_and(|session| session.is_at_rest(self.places));
        if !at_rest {
            self.flush_closely(id, out);
        }
    }

    #[inline(never)]
    fn flush_closely(&mut self, id: SessionId, out: &mut Outbox) {
        let most = self.policy.requests_in_flight as usize;
        let Some(session) = self.table.get_mut(id) else { return };
        if session.told.unread > 0 && !session.replies.is_flushed() {
            // What leaves now is not to be counted twice.
            self.replies_bytes -= session.told.unread as u64;
            session.told.unread = 0;
            out.outputs.push_back(Output::Holds(id, session.told));
        }
        while let Some(reply) = session.replies.next() {
            out.reply(id, reply);
        }
        // From here on what is left decides: how much the session holds, whether it is over, paused or welcome.
        let waiting = session.replies.len();
        if session.holds_news() {
            self.replies_bytes -= session.told.unread as u64;
            session.told = session.holds();
            self.replies_bytes += session.told.unread as u64;
            out.outputs.push_back(Output::Holds(id, session.told));
        }
        let surveys = session.survey.is_some();
        if session.finishing {
            if waiting == 0 {
                self.forget(id, out);
                out.outputs.push_back(Output::Close(id));
            } else if !session.paused {
                session.paused = true;
                out.outputs.push_back(Output::Pause(id));
            }
            if surveys {
                self.begin_survey(id, out);
            }
            return;
        }
        let slowed = session.slowed > 0;
        let full = waiting >= most || session.replies.bytes() > self.policy.waiting_bytes || slowed;
        if !session.paused && (session.is_busy() || full) {
            session.paused = true;
            out.counters.sessions_paused += u64::from(full);
            out.outputs.push_back(Output::Pause(id));
        } else if session.paused
            && !session.is_busy()
            && !slowed
            && waiting <= most / 2
            && session.replies.bytes() <= self.policy.waiting_bytes / 2
        {
            session.paused = false;
            out.outputs.push_back(Output::Resume(id));
        }
        // Behind the pause: the shell fetches pages of a session that is paused, and of no other.
        if surveys {
            self.begin_survey(id, out);
        }
    }

    /// Bytes of replies that wait for earlier ones.
    pub(crate) fn replies_bytes(&self) -> u64 {
        self.replies_bytes
    }

    /// Bytes that registrations take, here and with the owners of the functions.
    pub(crate) fn registrations_bytes(&self) -> u64 {
        (self.names.users() * Session::REGISTRATION + self.names.bytes()) as u64
    }

    /// Panics, naming what is wrong, unless everything fits.
    pub(crate) fn check(&self) {
        assert_eq!(self.table.iter().count(), self.table.count());
        let most = self.policy.requests_in_flight as usize;
        let mut registered = self.unfinished.leaving();
        for session in self.table.iter() {
            registered += session.abilities.len();
            let owned: u32 = session.owners.iter().map(|owner| owner.abilities).sum();
            assert_eq!(owned as usize, session.abilities.len());
            assert!(!session.is_busy() && session.slowed == 0 || session.paused || session.finishing);
            session.check_bytes(&self.names);
            session.check_owners(&self.names);
            assert!(session.replies.is_flushed(), "replies whose turn has come have left");
            assert!(session.paused || session.replies.len() < most, "too many wait, and more are welcome");
            assert!(!session.noop_sent || session.asleep);
            assert!(session.paused || !session.is_busy(), "whoever is busy is paused");
            let waits = self.unfinished.rechecking.contains(&session.id);
            assert!(session.recheck.is_none() || waits, "what is to be looked at will be");
        }
        assert_eq!(registered, self.names.users());
        let told: usize = self.table.iter().map(|session| session.told.unread).sum();
        assert_eq!(told as u64, self.replies_bytes);
    }
}

fn count_reason(reason: CloseReason, out: &mut Outbox) {
    match reason {
        CloseReason::Peer => {}
        CloseReason::Malformed => out.counters.sessions_malformed += 1,
        CloseReason::SlowReader => out.counters.sessions_slow_reader += 1,
        CloseReason::Debtor => out.counters.debtors_closed += 1,
        CloseReason::Dismissed => out.counters.sessions_dismissed += 1,
    }
}
