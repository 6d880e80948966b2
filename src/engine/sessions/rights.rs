//! Checks what a session may do, and what of that it had begun when its rights changed. What was found out of them is remembered for each
//! function; what was refused is counted and noted, and changes nothing.
use super::Sessions;
use super::access::SessionRights;
use super::parts::Recheck;
use super::session::Session;
use crate::access::{Right, Rights};
use crate::event::{Note, Reply};
use crate::message::{Message, ToFunctions};
use crate::outbox::Outbox;
use crate::policy::Planted;
use crate::query::{Ask, Order, Query};
use crate::report::Report;
use crate::slot::{SessionId, Slot};
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use ringgear_protocol::Refusal;

impl Session {
    /// Whether it may submit jobs of a function.
    #[inline]
    pub(super) fn may_submit(&mut self, function: &[u8]) -> bool {
        match &mut self.access {
            None => true,
            Some(access) => access.submits(function),
        }
    }

    /// Whether it may work on jobs of a function.
    #[inline]
    pub(super) fn may_work(&self, function: &[u8]) -> bool {
        self.access.as_ref().is_none_or(|access| access.works(function))
    }

    fn has(&self, right: Right) -> bool {
        self.access.as_ref().is_none_or(|access| access.has(right))
    }
}

impl Sessions {
    /// What a session may do that was not told.
    pub(super) fn untold(&self) -> Option<Box<SessionRights>> {
        if !self.policy.rights_wanted || self.policy.plants(Planted::OpensUntold) {
            return None;
        }
        Rights::nothing().grants().map(|grants| Box::new(SessionRights::new(grants.clone())))
    }

    /// From now on a session may do this. What it has registered and may not work on any more is struck off, before its next request: in
    /// parts, if it is much. Jobs that it has are finished.
    pub(crate) fn set_rights(&mut self, id: SessionId, rights: Rights, out: &mut Outbox) {
        let Some(session) = self.table.get_mut(id) else { return };
        let old = session.access.take();
        if old.as_ref().map_or(Rights::ALL, |old| old.rights()) == rights {
            session.access = old;
            return;
        }
        session.access = rights.grants().map(|grants| Box::new(SessionRights::new(grants.clone())));
        if self.policy.plants(Planted::RemembersOldRights)
            && let (Some(old), Some(new)) = (old, &mut session.access)
        {
            new.remember(*old);
        }
        if session.access.is_none() || session.abilities.is_empty() {
            return;
        }
        // One that is under way begins again.
        let begun = session.recheck.is_some();
        session.recheck.get_or_insert_default().after = None;
        if !begun {
            self.recheck(id, out);
        }
        self.flush_replies(id, out);
    }

    /// Looks whether a session may still work on what it has registered, as far as one event may.
    pub(super) fn recheck(&mut self, id: SessionId, out: &mut Outbox) {
        let most = self.policy.names_at_once.max(1) as usize;
        let keeps = self.policy.plants(Planted::KeepsStruckOff);
        let Some(session) = self.table.get_mut(id) else { return };
        let Some(mut recheck) = session.recheck.take() else { return };
        let (found, last) = session.abilities.behind(recheck.after, session.first_turn as u32, most);
        // Their names, since a place in the table of names is a name's only while somebody has it.
        let found: Vec<Bytes> = found.into_iter().map(|name| self.names.get(name).clone()).collect();
        for function in found {
            if session.may_work(&function) {
                continue;
            }
            let before = session.abilities.len();
            session.remove_ability(&function, true, &mut self.names);
            let gone = before - session.abilities.len();
            if gone == 0 || keeps {
                continue;
            }
            recheck.struck += gone as u32;
            recheck.first.get_or_insert_with(|| function.clone());
            let owner = self.topology.owner(Slot::of(&function));
            out.send(owner, Message::ToFunctions(ToFunctions::StrikeOff { worker: id, function }));
        }
        if let Some(last) = last {
            recheck.after = Some(last);
            session.recheck = Some(recheck);
            self.unfinished.rechecking.push_back(id);
            return;
        }
        let Recheck { struck, first, .. } = *recheck;
        if let Some(function) = first {
            out.counters.registrations_struck_off += u64::from(struck);
            out.note(Note::StruckOff { session: id, function, registrations: struck });
        }
    }

    /// A request is refused for want of a right. Nobody else hears of it.
    #[cold]
    pub(super) fn deny(&mut self, id: SessionId, right: Right, function: &[u8], out: &mut Outbox) {
        let counter = match right {
            Right::Submit => &mut out.counters.denied_submissions,
            Right::Work => &mut out.counters.denied_registrations,
            Right::Read => &mut out.counters.denied_reports,
            Right::Admin => &mut out.counters.denied_orders,
        };
        *counter += 1;
        out.note(Note::Denied { session: id, right, function: Bytes::copy_from_slice(function) });
    }

    /// A packet is refused for want of a right, and answered so.
    #[cold]
    pub(super) fn deny_packet(&mut self, id: SessionId, right: Right, function: &[u8], out: &mut Outbox) {
        self.deny(id, right, function, out);
        if let Some(session) = self.table.get_mut(id) {
            session.tell(Reply::Error(Refusal::PermissionDenied), out);
        }
    }

    /// Whether a session may ask after single jobs, by handle or unique: whoever may do anything may.
    pub(super) fn may_ask_after_jobs(&self, id: SessionId) -> bool {
        let session = self.table.get(id);
        session.is_none_or(|session| Right::ALL.into_iter().any(|right| session.has(right)))
    }

    /// Whether a session may ask this, or else it is told that it may not. With the rights that the owner of a job is to
    /// look at, who alone knows its function.
    pub(super) fn may_ask(&mut self, id: SessionId, ask: &Ask, out: &mut Outbox) -> Option<Rights> {
        let session = self.table.get(id)?;
        let (right, function): (_, &[u8]) = match ask {
            Ask::Query(Query::UniqueStatus { .. }) => return Some(Rights::ALL),
            Ask::Query(_) => (Right::Read, b""),
            Ask::Order(order) => (Right::Admin, order.function()),
        };
        if session.has(right) {
            return Some(Rights::ALL);
        }
        if let (Ask::Order(Order::CancelJob { .. }), Some(access)) = (ask, &session.access)
            && session.has(Right::Submit)
        {
            return Some(access.rights());
        }
        self.deny_line(id, right, function, ask.clone(), out);
        None
    }

    /// An administrator's line is refused for want of a right, and answered so.
    #[cold]
    fn deny_line(&mut self, id: SessionId, right: Right, function: &[u8], ask: Ask, out: &mut Outbox) {
        self.deny(id, right, function, out);
        if let Some(session) = self.table.get_mut(id) {
            session.tell(Reply::Report(Box::new((ask, Report::Denied))), out);
        }
    }

    /// The front end or the shell knows the answer to a request, and whoever has asked needs a right to hear it.
    pub(crate) fn answer_if(&mut self, id: SessionId, right: Right, reply: Reply, out: &mut Outbox) {
        if !self.welcome(id, out.now) {
            return;
        }
        let Some(session) = self.table.get_mut(id) else { return };
        if session.has(right) {
            session.tell(reply, out);
        } else {
            self.deny_line(id, right, b"", Query::Status.into(), out);
        }
        self.flush_replies(id, out);
    }
}
