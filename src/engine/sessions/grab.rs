//! GRAB_JOB and PRE_SLEEP of a worker whose functions may have several owners.
//!
//! With one owner, the worker takes at once. With several, the board says which may have something (`board.rs`). If that is none,
//! there is no job; of a single one the worker takes at once, and where functions have their order also of the one that has the function
//! whose turn it is. Otherwise it peeks at several and takes the best; if somebody was faster, it looks again; after three lost races
//! it takes from each in turn whatever there is. NO_JOB is said only after every owner has said that it has nothing, itself or on the
//! board, in the same round.
//!
//! Owners are not told that a worker has got up to grab elsewhere. They see it by its pulse, when they look whom they could wake,
//! and need not be told again when it sleeps again.
use super::Sessions;
use super::grab_round::{GrabRound, GrabStep};
use super::owners::Waker;
use super::session::Session;
use crate::event::Reply;
use crate::message::{Assignment, Candidate, Message, Place, ToFunctions};
use crate::outbox::Outbox;
use crate::policy::Planted;
use crate::slot::{SessionId, ShardId, ShardSet};
use alloc::boxed::Box;
use alloc::vec::Vec;
use ringgear_protocol::GrabKind;

/// Whatever the turn.
const ANY_TURN: i64 = i64::MAX;
/// Races that a grab may lose before it takes whatever there is.
const RACES: u8 = 3;

impl Sessions {
    pub(super) fn grab(&mut self, id: SessionId, kind: GrabKind, out: &mut Outbox) {
        let Some(session) = self.table.get_mut(id) else { return };
        // A wake that comes from here on finds nobody asleep, and another worker is woken.
        session.get_up();
        session.asked = out.now;
        if session.woken_by.is_some() && self.looks_at_fewer(id, out) {
            self.grab_job(id, kind, out);
            // The other half has heard something that it does not answer, so that nobody else would.
            return self.flush_replies(id, out);
        }
        self.grab_job(id, kind, out);
    }

    fn grab_job(&mut self, id: SessionId, kind: GrabKind, out: &mut Outbox) {
        let Some(session) = self.table.get_mut(id) else { return };
        match &mut session.owners[..] {
            [] => session.tell(Reply::NoJob, out),
            [owner] => {
                owner.nap = 0;
                let owner = owner.shard;
                session.take_alone(owner, kind, out);
            }
            _ => self.grab_from_several(id, kind, out),
        }
    }

    fn grab_from_several(&mut self, id: SessionId, kind: GrabKind, out: &mut Outbox) {
        let Some(session) = self.table.get_mut(id) else { return };
        let asked = session.worth_asking(&self.board);
        if asked.count() > 1 {
            let place = session.replies.take_place();
            // A peek makes it another step.
            session.grab_round = Some(Box::new(GrabRound { place, kind, lost: 0, step: GrabStep::Take }));
            let in_order = !self.policy.turns() && !session.submits();
            return match in_order.then(|| session.first_in_turn(&self.board, &self.names)).flatten() {
                Some((owner, turn)) => self.take(id, owner, turn, out),
                None => self.peek(id, asked, out),
            };
        }
        // Whoever woke the session and is not asked hears of it first: what was queued there is somebody else's by now.
        let owner = asked.iter().next();
        let misses = session.woken_by.is_some_and(|waker| Some(waker.owner) != owner);
        if misses && !self.policy.plants(Planted::ForgetsWhoWasWoken) {
            session.takes_something_else(out);
        }
        session.woken_by = None;
        match owner {
            Some(owner) => {
                session.is_awake_at(owner);
                session.take_alone(owner, kind, out);
            }
            None => session.tell(Reply::NoJob, out),
        }
        if misses {
            // The other half may have heard something that it does not answer, so that nobody else would.
            self.flush_replies(id, out);
        }
    }

    /// Whoever woke a session that grabs now hears of it by that, if it is the only owner, and if it is none any more it
    /// is told, which is true then. One of several learns at the end of the grab what became of it.
    #[cold]
    fn looks_at_fewer(&mut self, id: SessionId, out: &mut Outbox) -> bool {
        let Some(session) = self.table.get_mut(id) else { return false };
        let Some(Waker { owner, .. }) = session.woken_by else { return false };
        if !session.knows(owner) {
            session.takes_something_else(out);
            return true;
        }
        if session.owners.len() == 1 {
            session.woken_by = None;
        }
        false
    }

    /// Asks these owners for their best job.
    fn peek(&mut self, id: SessionId, asked: ShardSet, out: &mut Outbox) {
        let Some(session) = self.table.get_mut(id) else { return };
        let Some(round) = session.grab_round.as_mut() else { return };
        let place = round.place;
        round.step = GrabStep::Peek { missing: asked.count() as usize, best: None };
        for owner in asked.iter() {
            session.is_awake_at(owner);
            out.send(owner, Message::ToFunctions(ToFunctions::Peek { worker: id, place }));
        }
    }

    pub(super) fn best(
        &mut self,
        id: SessionId,
        place: Place,
        from: ShardId,
        found: Option<Candidate>,
        out: &mut Outbox,
    ) {
        let priority_first = self.policy.priority_first();
        let Some(session) = self.table.get_mut(id) else { return };
        let round = session.grab_round.as_mut().expect("a peek belongs to a grab");
        assert!(round.place == place);
        let GrabStep::Peek { missing, best } = &mut round.step else { panic!("an answer to no peek") };
        let rank = |c: &Candidate| {
            if priority_first { (c.priority as i64, c.turn) } else { (c.turn, c.priority as i64) }
        };
        // Each answer counts here, also one that does not win, and before it is seen whether it was the last: who woke the
        // session and has nothing needs nobody else.
        session.woken_by = session.woken_by.filter(|waker| waker.owner != from || found.is_some());
        let beats = |c: &Candidate| best.as_ref().is_none_or(|(other, _)| rank(c) < rank(other));
        if let Some(candidate) = found.filter(beats) {
            *best = Some((candidate, from));
        }
        *missing -= 1;
        // No owner is asked for its job before all have answered: the best of some is not the best of all.
        if *missing > 0 {
            return;
        }
        match *best {
            Some((_, owner)) => {
                round.step = GrabStep::Take;
                self.take(id, owner, ANY_TURN, out);
            }
            None => self.finish_grab(id, Reply::NoJob, out),
        }
    }

    /// Takes the best job of an owner, if its turn is not behind this one.
    fn take(&mut self, id: SessionId, owner: ShardId, within: i64, out: &mut Outbox) {
        let Some(session) = self.table.get_mut(id) else { return };
        let turn = session.back_turn();
        // Who woke it sees what it takes.
        session.woken_by = session.woken_by.filter(|waker| waker.owner != owner);
        session.is_awake_at(owner);
        let Some(round) = session.grab_round.as_ref() else { return };
        let take = ToFunctions::Take { worker: id, place: round.place, kind: round.kind, turn, within };
        out.send(owner, Message::ToFunctions(take));
    }

    pub(super) fn assigned(&mut self, id: SessionId, place: Place, assignment: Assignment, out: &mut Outbox) {
        let Some(session) = self.table.get_mut(id) else { return };
        let reply = Reply::Assigned(Box::new(assignment));
        if session.grab_round.as_ref().is_some_and(|round| round.place == place) {
            self.finish_grab(id, reply, out);
        } else {
            session.answer(place, Some(reply), out);
        }
    }

    /// An owner had nothing: for a grab with one owner that is the answer.
    pub(super) fn nothing(&mut self, id: SessionId, place: Place, out: &mut Outbox) {
        let Some(session) = self.table.get_mut(id) else { return };
        let Some(round) = session.grab_round.as_mut().filter(|round| round.place == place) else {
            return session.answer(place, Some(Reply::NoJob), out);
        };
        let next = match &mut round.step {
            GrabStep::Peek { .. } => panic!("nothing was to be taken"),
            GrabStep::Take => {
                round.lost += 1;
                let lost = round.lost;
                let asked = session.worth_asking(&self.board);
                if lost < RACES && !asked.is_empty() {
                    return self.peek(id, asked, out);
                }
                let mut left: Vec<ShardId> = asked.iter().collect();
                let next = left.pop();
                if let Some(round) = session.grab_round.as_mut() {
                    round.step = GrabStep::Sweep { left };
                }
                next
            }
            GrabStep::Sweep { left } => left.pop(),
        };
        match next {
            Some(owner) => self.take(id, owner, ANY_TURN, out),
            None => self.finish_grab(id, Reply::NoJob, out),
        }
    }

    fn finish_grab(&mut self, id: SessionId, reply: Reply, out: &mut Outbox) {
        let Some(session) = self.table.get_mut(id) else { return };
        if let Some(round) = session.grab_round.take() {
            // In this event and not later: the next request may be a PRE_SLEEP, which forgets who woke the session.
            if !self.policy.plants(Planted::ForgetsWhoWasWoken) {
                session.takes_something_else(out);
            }
            session.answer(round.place, Some(reply), out);
        }
    }

    /// True if it leaves something among the replies.
    pub(super) fn pre_sleep(&mut self, id: SessionId, out: &mut Outbox) -> bool {
        let Some(session) = self.table.get_mut(id) else { return false };
        // The nap is a new one before any owner hears of it: wakes of an earlier nap may still be under way.
        session.asked = out.now;
        session.fall_asleep(!self.policy.plants(Planted::SleepsUnseen));
        if self.policy.plants(Planted::NapsPileUp) {
            session.replies.mark_nap_always();
        } else {
            session.replies.mark_nap();
        }
        // Behind the pulse, which owners that write on the board later will see.
        let (all, nap) = (session.submits(), session.nap);
        for owner in &mut session.owners {
            if owner.nap == 0 || all || owner.may_have(&self.board) {
                owner.nap = nap;
                out.send(owner.shard, Message::ToFunctions(ToFunctions::Sleep { worker: id, nap }));
            }
        }
        session.replies.len() > 0
    }

    /// An owner takes a session for asleep no more, because it had got up. If it sleeps again by now, the owner is told.
    pub(super) fn struck_off(&mut self, id: SessionId, from: ShardId, nap: u32, out: &mut Outbox) {
        let Some(session) = self.table.get_mut(id) else { return };
        if self.policy.plants(Planted::StaysStruckOff) {
            return;
        }
        let sleeps = session.asleep && !session.noop_sent;
        let now = if sleeps { session.nap } else { 0 };
        let Some(owner) = session.owner_mut(from).filter(|owner| owner.nap == nap) else { return };
        owner.nap = now;
        if sleeps {
            out.send(from, Message::ToFunctions(ToFunctions::Sleep { worker: id, nap: now }));
        }
    }

    pub(super) fn wake(&mut self, id: SessionId, from: ShardId, function: u32, nap: u32, out: &mut Outbox) {
        // For a session that is gone, `Gone` is under way, and the owner will wake another.
        let Some(session) = self.table.get_mut(id) else { return };
        if let Some(owner) = session.owner_mut(from).filter(|owner| owner.nap == nap) {
            owner.nap = 0;
        }
        // Also one of an earlier nap: the owner may not have been told of this one.
        if session.asleep && !session.noop_sent {
            session.is_told_to_wake();
            session.woken_by = Some(Waker { owner: from, function, nap });
            out.counters.wakeups += 1;
            if session.replies.wake() {
                if session.survey.is_some() {
                    // Not between the pages of a report.
                    session.tell(Reply::Noop, out);
                } else {
                    out.reply(id, Reply::Noop);
                }
            }
        } else {
            let answer = ToFunctions::NotAsleep { worker: id, function, nap };
            out.send(from, Message::ToFunctions(answer));
        }
    }
}

impl Session {
    /// Takes a job from the only owner that has one for it, if that is still there. The owner does not count it as asleep any more.
    #[inline]
    fn take_alone(&mut self, owner: ShardId, kind: GrabKind, out: &mut Outbox) {
        let place = self.replies.take_place();
        let turn = self.back_turn();
        let take = ToFunctions::Take { worker: self.id, place, kind, turn, within: ANY_TURN };
        out.send(owner, Message::ToFunctions(take));
    }
}
