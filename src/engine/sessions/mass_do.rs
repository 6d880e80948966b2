//! What may be too much for one event is done in parts: the names of a MASS_DO, looking again at what a worker has registered, and
//! forgetting it. Each event does one part more; as long as there is something, the engine asks to be called again. What is left to
//! do is kept in `parts.rs`.
use super::Sessions;
use super::parts::MassDo;
use crate::event::Reply;
use crate::outbox::Outbox;
use crate::slot::SessionId;
use alloc::boxed::Box;
use bytes::{Buf, Bytes};
use ringgear_protocol::{Refusal, mass_do_functions};

impl Sessions {
    /// Whether there is something to go on with.
    #[inline]
    pub(crate) fn has_more_to_do(&self) -> bool {
        !(self.unfinished.naming.is_empty()
            && self.unfinished.leaving.is_empty()
            && self.unfinished.rechecking.is_empty())
    }

    /// Does one part of what there is.
    #[inline]
    pub(crate) fn go_on(&mut self, out: &mut Outbox) {
        if self.has_more_to_do() {
            self.do_a_part(out);
        }
    }

    #[cold]
    fn do_a_part(&mut self, out: &mut Outbox) {
        if let Some(id) = self.unfinished.naming.pop_front() {
            let mass_do = self.table.get_mut(id).and_then(|session| session.mass_do.take());
            if let Some(mut mass_do) = mass_do {
                if let Some(used) = self.register(id, &mass_do.names, out) {
                    mass_do.names.advance(used);
                    self.put_off(id, mass_do);
                }
                self.flush_replies(id, out);
            }
        }
        if let Some(id) = self.unfinished.rechecking.pop_front() {
            self.recheck(id, out);
            self.flush_replies(id, out);
        }
        for _ in 0..self.policy.names_at_once {
            let Some(abilities) = self.unfinished.leaving.last_mut() else { return };
            match abilities.pop() {
                Some(name) => self.names.give_back(name),
                None => drop(self.unfinished.leaving.pop()),
            }
        }
    }

    /// MASS_DO: other registrations instead of those that there are. One ERROR, and nothing changes, if there are too many.
    pub(super) fn mass_do(&mut self, id: SessionId, functions: &[u8], out: &mut Outbox) {
        let most = self.policy.abilities as usize;
        let too_many = mass_do_functions(functions).nth(most).is_some()
            || functions.len() as u64 > self.policy.function_bytes;
        if too_many {
            out.counters.refused_abilities += 1;
            let Some(session) = self.table.get_mut(id) else { return };
            return session.tell(Reply::Error(Refusal::TooManyAbilities), out);
        }
        self.reset_abilities(id, out);
        if functions.is_empty() {
            return;
        }
        let functions = functions.strip_suffix(b"\0").unwrap_or(functions);
        if let Some(used) = self.register(id, functions, out) {
            self.put_off(id, Box::new(MassDo { names: Bytes::copy_from_slice(&functions[used..]) }));
        }
    }

    /// Registers as many of these names as one event may. Returns where the next one begins, if there are more.
    fn register(&mut self, id: SessionId, names: &[u8], out: &mut Outbox) -> Option<usize> {
        let mut at = 0;
        for _ in 0..self.policy.names_at_once.max(1) {
            let rest = &names[at..];
            let end = rest.iter().position(|&byte| byte == 0);
            self.can_do(id, &rest[..end.unwrap_or(rest.len())], 0, out);
            at += end? + 1;
        }
        Some(at)
    }

    fn put_off(&mut self, id: SessionId, mass_do: Box<MassDo>) {
        if let Some(session) = self.table.get_mut(id) {
            session.mass_do = Some(mass_do);
            self.unfinished.naming.push_back(id);
        }
    }
}
