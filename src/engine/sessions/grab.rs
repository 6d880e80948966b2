//! GRAB_JOB and PRE_SLEEP of a worker whose functions may have several owners.
//!
//! With one owner, the worker takes at once. With several, it peeks at all and takes the best; if somebody was faster,
//! it peeks again; after three lost races it takes from each owner in turn whatever there is. NO_JOB is said only
//! after every owner has said that it has nothing, in the same round.
use super::Sessions;
use super::grab_round::{GrabRound, GrabStep};
use crate::event::Reply;
use crate::message::{Assignment, Candidate, Message, Place, ToFunctions};
use crate::outbox::Outbox;
use crate::policy::Planted;
use crate::slot::{SessionId, ShardId};
use alloc::boxed::Box;
use alloc::vec::Vec;
use ringgear_protocol::GrabKind;

/// Races that a grab may lose before it takes whatever there is.
const RACES: u8 = 3;

impl Sessions {
    pub(super) fn grab(&mut self, id: SessionId, kind: GrabKind, out: &mut Outbox) {
        let Some(session) = self.table.get_mut(id) else { return };
        // A wake that comes from here on finds nobody asleep, and another worker is woken.
        (session.asleep, session.noop_sent) = (false, false);
        if session.woken_by.is_some() && self.looks_at_fewer(id, out) {
            self.grab_job(id, kind, out);
            // The other half has heard something that it does not answer, so that nobody else would.
            return self.flush_replies(id, out);
        }
        self.grab_job(id, kind, out);
    }

    fn grab_job(&mut self, id: SessionId, kind: GrabKind, out: &mut Outbox) {
        let Some(session) = self.table.get_mut(id) else { return };
        match session.owners[..] {
            [] => session.tell(Reply::NoJob, out),
            [(owner, _)] => {
                let place = session.replies.take_place();
                let turn = session.back_turn();
                let take = ToFunctions::Take { worker: id, place, kind, turn };
                out.send(owner, Message::ToFunctions(take));
            }
            _ => {
                let place = session.replies.take_place();
                let step = GrabStep::Peek { missing: 0, best: None };
                session.grab_round = Some(Box::new(GrabRound { place, kind, lost: 0, step }));
                self.peek(id, out);
            }
        }
    }

    /// Whoever woke a session that grabs now hears of it by that, if it is the only owner, and if it is none any more it
    /// is told, which is true then. One of several learns at the end of the grab what became of it.
    #[cold]
    fn looks_at_fewer(&mut self, id: SessionId, out: &mut Outbox) -> bool {
        let Some(session) = self.table.get_mut(id) else { return false };
        let Some((owner, _)) = session.woken_by else { return false };
        if !session.owners.iter().any(|&(shard, _)| shard == owner) {
            session.takes_something_else(out);
            return true;
        }
        if session.owners.len() == 1 {
            session.woken_by = None;
        }
        false
    }

    /// Asks all owners for their best job.
    fn peek(&mut self, id: SessionId, out: &mut Outbox) {
        let Some(session) = self.table.get_mut(id) else { return };
        let Some(round) = session.grab_round.as_mut() else { return };
        round.step = GrabStep::Peek { missing: session.owners.len(), best: None };
        for &(owner, _) in &session.owners {
            let peek = ToFunctions::Peek { worker: id, place: round.place };
            out.send(owner, Message::ToFunctions(peek));
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
        session.woken_by = session.woken_by.filter(|&(owner, _)| owner != from || found.is_some());
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
                self.take(id, owner, out);
            }
            None => self.finish_grab(id, Reply::NoJob, out),
        }
    }

    fn take(&mut self, id: SessionId, owner: ShardId, out: &mut Outbox) {
        let Some(session) = self.table.get_mut(id) else { return };
        let turn = session.back_turn();
        // Who woke it sees what it takes.
        session.woken_by = session.woken_by.filter(|&(woke, _)| woke != owner);
        let Some(round) = session.grab_round.as_ref() else { return };
        let take = ToFunctions::Take { worker: id, place: round.place, kind: round.kind, turn };
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
                if round.lost < RACES {
                    return self.peek(id, out);
                }
                let mut left: Vec<ShardId> = session.owners.iter().map(|&(owner, _)| owner).collect();
                let next = left.pop();
                round.step = GrabStep::Sweep { left };
                next
            }
            GrabStep::Sweep { left } => left.pop(),
        };
        match next {
            Some(owner) => self.take(id, owner, out),
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
        (session.asleep, session.noop_sent, session.woken_by) = (true, false, None);
        session.nap = session.nap.wrapping_add(1);
        if self.policy.plants(Planted::NapsPileUp) {
            session.replies.mark_nap_always();
        } else {
            session.replies.mark_nap();
        }
        for &(owner, _) in &session.owners {
            let sleep = ToFunctions::Sleep { worker: id, nap: session.nap };
            out.send(owner, Message::ToFunctions(sleep));
        }
        session.replies.len() > 0
    }

    pub(super) fn wake(&mut self, id: SessionId, from: ShardId, function: u32, nap: u32, out: &mut Outbox) {
        // For a session that is gone, `Gone` is under way, and the owner will wake another.
        let Some(session) = self.table.get_mut(id) else { return };
        if session.asleep && !session.noop_sent && session.nap == nap {
            session.noop_sent = true;
            session.woken_by = Some((from, function));
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
