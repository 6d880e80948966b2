//! One session: who is there, what it can do, whether it sleeps. Sessions of a shard stand in a table.
use super::abilities::Abilities;
use super::access::Access;
use super::grab_round::GrabRound;
use super::names::FunctionNames;
use super::owners::{OwnerEntry, Waker};
use super::parts::{MassDo, Recheck};
use super::replies::Replies;
use crate::board::{Board, Pulse};
use crate::event::{Reply, SessionHolds};
use crate::message::{Message, Place, ToFunctions, WorkerName};
use crate::outbox::Outbox;
use crate::slot::{Peer, SessionId, ShardSet};
use crate::time::Instant;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use bytes::Bytes;
use core::ops::Bound;

/// What we know about whoever is behind a connection.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) peer: Peer,
    /// From SET_CLIENT_ID; empty if there was none.
    pub(crate) client_id: Bytes,
    /// Whether it wants WORK_EXCEPTION.
    pub(crate) exceptions: bool,
    /// What it may do; `None` is everything.
    pub(super) access: Option<Box<Access>>,
    /// Registrations, newest first.
    pub(crate) abilities: Abilities,
    /// Bytes that these take, here and with the owners; of a name that others have, too, all of it. With what is noted of the owners.
    pub(super) registered: usize,
    /// The owners of these, in order.
    pub(crate) owners: Vec<OwnerEntry>,
    /// How many registrations have ended since it was last found out anew which functions of each owner the session knows.
    pub(super) ended: u32,
    /// The place of its last submission.
    pub(super) submitted: Option<Place>,
    /// Shards whose functions may know the session.
    pub(crate) known_by: ShardSet,
    /// The turn of the newest registration; the next one gets one less.
    pub(crate) first_turn: i64,
    /// The turn of the registration that was chosen last; the next one gets one more.
    pub(crate) last_turn: i64,
    /// Whether it has said PRE_SLEEP since its last grab.
    pub(crate) asleep: bool,
    /// Whether it was sent NOOP since its last PRE_SLEEP.
    pub(crate) noop_sent: bool,
    /// Who woke it since its last PRE_SLEEP, if it has not yet looked there for jobs.
    pub(crate) woken_by: Option<Waker>,
    /// Counts PRE_SLEEPs, from 1.
    pub(crate) nap: u32,
    /// By which owners see whether it sleeps, if there are several homes and any owner knows it.
    pub(super) pulse: Option<Pulse>,
    pub(crate) replies: Replies,
    /// What the shell was last told that the session holds.
    pub(crate) told: SessionHolds,
    /// A grab under way at several owners. While there is one, the session is paused.
    pub(crate) grab_round: Option<Box<GrabRound>>,
    /// A MASS_DO of which not all names are registered yet. While there is one, the session is paused.
    pub(crate) mass_do: Option<Box<MassDo>>,
    /// What it has registered is looked at again. While it is, the session is paused.
    pub(crate) recheck: Option<Box<Recheck>>,
    /// The place of the query under way whose answer may be long. While there is one, the session is paused.
    pub(crate) survey: Option<Place>,
    /// How much of what it said waits too long for clients. While there is something, the session is paused.
    pub(crate) slowed: u32,
    /// The shell was told to hold back requests.
    pub(crate) paused: bool,
    /// No more requests will come; it is closed when all are answered.
    pub(crate) finishing: bool,
    /// When it came here, said something last, and asked for a job last or fell asleep; 0 if it never did.
    pub(super) since: Instant,
    pub(super) heard: Instant,
    pub(super) asked: Instant,
}

impl Session {
    pub(crate) fn new(id: SessionId, peer: Peer, exceptions: bool, now: Instant) -> Session {
        Session {
            id,
            peer,
            client_id: Bytes::new(),
            exceptions,
            access: None,
            abilities: Abilities::default(),
            registered: 0,
            told: SessionHolds::default(),
            owners: Vec::new(),
            ended: 0,
            submitted: None,
            known_by: ShardSet::default(),
            first_turn: 0,
            last_turn: 0,
            asleep: false,
            noop_sent: false,
            woken_by: None,
            nap: 0,
            pulse: None,
            replies: Replies::default(),
            grab_round: None,
            mass_do: None,
            recheck: None,
            survey: None,
            slowed: 0,
            paused: false,
            finishing: false,
            since: now,
            heard: now,
            asked: Instant(0),
        }
    }

    /// Whether no other half and no other shard knows of it or owes it an answer.
    pub(crate) fn is_all_here(&self) -> bool {
        let unknown = self.known_by.is_empty() && self.abilities.is_empty();
        let idle = self.replies.len() == 0 && !self.is_busy() && !self.asleep;
        unknown && idle && !self.paused && !self.finishing
    }

    /// Bytes that a registration takes, its name not counted: here, and with the owner of the function.
    pub(crate) const REGISTRATION: usize = 144;

    /// The shell is told of no smaller changes, in bytes.
    const NEWS: usize = 4096;

    /// What the session holds, in bytes.
    #[inline]
    pub(crate) fn holds(&self) -> SessionHolds {
        let mass_do = self.mass_do.as_ref().map_or(0, |mass_do| mass_do.len());
        let access = self.access.as_ref().map_or(0, |access| access.bytes());
        SessionHolds { unread: self.replies.bytes(), other: self.registered + access + mass_do }
    }

    /// Whether the shell should be told how much the session holds now.
    #[inline]
    pub(crate) fn holds_news(&self) -> bool {
        let holds = self.holds();
        let all = |held: SessionHolds| held.unread + held.other;
        all(holds).abs_diff(all(self.told)) >= Self::NEWS || (all(holds) == 0 && all(self.told) > 0)
    }

    /// Nothing is registered any more. Returns what was.
    pub(crate) fn take_abilities(&mut self) -> Abilities {
        self.registered = 0;
        core::mem::take(&mut self.abilities)
    }

    /// Panics unless the bytes that it holds are counted right.
    pub(crate) fn check_bytes(&self, names: &FunctionNames) {
        let bytes = self.abilities.iter().map(|name| Self::REGISTRATION + names.get(name).len());
        assert_eq!(self.registered, bytes.sum::<usize>() + self.owners_bytes());
        self.replies.check_bytes();
    }

    /// Whether a request of it is being carried out that must be over before the next one.
    #[inline]
    pub(crate) fn is_busy(&self) -> bool {
        self.grab_round.is_some() || self.mass_do.is_some() || self.survey.is_some() || self.recheck.is_some()
    }

    /// It takes something else than what it was woken for, if it was woken: somebody else is to be.
    pub(crate) fn takes_something_else(&mut self, out: &mut Outbox) {
        if let Some(Waker { owner, function, nap }) = self.woken_by.take() {
            let answer = ToFunctions::NotAsleep { worker: self.id, function, nap };
            out.send(owner, Message::ToFunctions(answer));
        }
    }

    /// Tells the session something, behind the places taken so far.
    #[inline]
    pub(crate) fn tell(&mut self, reply: Reply, out: &mut Outbox) {
        if let Some(reply) = self.replies.line_up(reply) {
            out.reply(self.id, reply);
        }
    }

    /// Answers the request at a place; `None` says nothing.
    #[inline]
    pub(crate) fn answer(&mut self, place: Place, reply: Option<Reply>, out: &mut Outbox) {
        if !self.replies.is_next(place) {
            return self.replies.keep(place, reply);
        }
        self.replies.pass();
        if let Some(reply) = reply {
            out.reply(self.id, reply);
        }
    }

    /// Whether nothing is to leave and the shell need not be told anything, which is how most events leave a session;
    /// if not, that is to be looked at closely. No more than `most` places may wait.
    #[inline]
    pub(crate) fn is_at_rest(&self, most: u32) -> bool {
        !(self.paused | self.finishing)
            && self.replies.just_waits(most)
            && !self.is_busy()
            && !self.holds_news()
    }

    /// Who it is, for an owner of its functions.
    #[inline(never)]
    pub(crate) fn introduction(&mut self, board: &Board) -> ToFunctions {
        let name =
            WorkerName { address: self.peer.address, port: self.peer.port, id: self.client_id.clone() };
        if board.is_shared() && self.pulse.is_none() {
            let pulse = self.pulse.insert(Pulse::default());
            if self.asleep && !self.noop_sent {
                pulse.sleeps();
            }
        }
        ToFunctions::Introduce { worker: self.id, name: Box::new(name), pulse: self.pulse.clone() }
    }

    /// The turn of a registration that was chosen: behind all others.
    pub(crate) fn back_turn(&mut self) -> i64 {
        self.last_turn += 1;
        self.last_turn
    }

    /// Notes a registration, whose turn is before all others; returns the name, shared with all that have it.
    pub(crate) fn add_ability(&mut self, function: &[u8], names: &mut FunctionNames) -> Bytes {
        let name = names.take(function);
        self.first_turn -= 1;
        self.abilities.add(name, self.first_turn as u32);
        self.registered += Self::REGISTRATION + function.len();
        self.add_owned(names.spot(name), names);
        names.get(name).clone()
    }

    /// Forgets registrations of a function; all of them, or the newest only.
    pub(crate) fn remove_ability(&mut self, function: &[u8], all: bool, names: &mut FunctionNames) {
        let Some(name) = names.find(function) else { return };
        let gone = self.abilities.remove(name, all);
        if gone == 0 {
            return;
        }
        self.registered -= gone as usize * (Self::REGISTRATION + function.len());
        self.remove_owned(names.owner(name), gone);
        self.note_ended(gone, names);
        (0..gone).for_each(|_| names.give_back(name));
    }
}

/// The sessions of a shard, by the index in their ids.
#[derive(Debug, Default)]
pub(crate) struct SessionTable {
    places: Vec<Option<Box<Session>>>,
    /// By descriptor, for lists.
    order: BTreeSet<(u32, SessionId)>,
    count: usize,
}

impl SessionTable {
    pub(crate) fn insert(&mut self, session: Session) {
        let index = session.id.index();
        if self.places.len() <= index {
            self.places.resize_with(index + 1, || None);
        }
        self.order.insert((session.peer.descriptor, session.id));
        let place = &mut self.places[index];
        assert!(place.is_none(), "the shell reuses an index only after the session is gone");
        *place = Some(Box::new(session));
        self.count += 1;
    }

    /// The session, unless it is gone.
    #[inline]
    pub(crate) fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.places.get_mut(id.index())?.as_deref_mut().filter(|session| session.id == id)
    }

    /// The session, unless it is gone.
    pub(crate) fn get(&self, id: SessionId) -> Option<&Session> {
        self.places.get(id.index())?.as_deref().filter(|session| session.id == id)
    }

    pub(crate) fn remove(&mut self, id: SessionId) -> Option<Box<Session>> {
        let descriptor = self.get(id)?.peer.descriptor;
        self.order.remove(&(descriptor, id));
        self.count -= 1;
        self.places[id.index()].take()
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Sessions in the order of their ids, behind one.
    pub(crate) fn in_order(&self, after: Option<SessionId>) -> impl Iterator<Item = &Session> {
        // All here are of one home: behind a session of another come all or none, whatever its index.
        let home = self.order.first().map(|(_, own)| own.shard());
        let own = after.filter(|after| Some(after.shard()) == home);
        let from = own.map_or(0, SessionId::index).min(self.places.len());
        let sessions = self.places[from..].iter().filter_map(Option::as_deref);
        sessions.filter(move |session| Some(session.id) > after)
    }

    /// Sessions by descriptor, behind one.
    pub(crate) fn by_descriptor(
        &self,
        after: Option<(u32, SessionId)>,
    ) -> impl Iterator<Item = (u32, SessionId)> + '_ {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.order.range((from, Bound::Unbounded)).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Session> {
        self.places.iter().filter_map(Option::as_deref)
    }
}
