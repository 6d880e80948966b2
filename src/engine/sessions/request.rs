//! Requests of clients and workers: checks what can be checked here, and tells the owners of functions.
use super::Sessions;
use crate::access::{Right, Rights};
use crate::body::Body;
use crate::event::{CloseReason, Note, Reply};
use crate::message::{Message, Submission, ToFunctions, Work};
use crate::number::sign_and_digits;
use crate::outbox::Outbox;
use crate::page::ListMark;
use crate::policy::{Planted, TimeoutUnit};
use crate::query::{Ask, Query};
use crate::slot::{SessionId, Slot};
use crate::time::{Epoch, Instant};
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use ringgear_protocol::{
    CLIENT_ID_MAX, HANDLE_MAX, HEADER_LEN, REDUCER_MAX, Refusal, Request, Submit, UNIQUE_MAX,
};

/// The longest text of a number in CAN_DO_TIMEOUT (gearmand 1.1.20).
const NUMBER_MAX: usize = 20;
/// The shortest time limit of a job in milliseconds (gearmand 1.1.20 raises lower ones).
const TIMEOUT_MIN: u64 = 1000;

/// A request to which gearmand gives no answer but a closed connection.
struct Hopeless;

impl Sessions {
    /// With a `packet`, payloads are parts of it; without, they are copied.
    #[inline(never)]
    pub(crate) fn request(
        &mut self,
        id: SessionId,
        request: Request<'_>,
        packet: Option<&Bytes>,
        out: &mut Outbox,
    ) {
        if !self.welcome(id, out.now) {
            return;
        }
        let answered = is_answered(&request) || self.policy.plants(Planted::NapsPileUp);
        let sound = match request {
            Request::Submit(submit) => self.submit(id, &submit, packet, out),
            Request::PreSleep => {
                if !self.pre_sleep(id, out) {
                    return;
                }
                Ok(())
            }
            Request::CanDoTimeout { function, timeout } => {
                asked_ms(timeout, self.policy.timeout_unit).map(|asked| {
                    let may = self.table.get(id).is_some_and(|session| session.may_work(function));
                    if may && (1..TIMEOUT_MIN).contains(&asked) {
                        let function = Bytes::copy_from_slice(function);
                        out.note(Note::ShortTimeout { session: id, function, milliseconds: asked });
                    }
                    self.can_do(id, function, if asked == 0 { 0 } else { asked.max(TIMEOUT_MIN) }, out);
                })
            }
            Request::GetStatus { handle } => self.get_status(id, handle, out),
            Request::GetStatusUnique { unique } => self.get_status_unique(id, unique, out),
            other => {
                self.always_sound(id, other, packet, out);
                Ok(())
            }
        };
        match sound {
            // The other half of this shard answers it, and that is followed by the same. With a store it may have
            // nothing to say for a while.
            Ok(()) if answered && !out.local.is_empty() && !self.policy.store => {}
            Ok(()) => self.flush_replies(id, out),
            Err(Hopeless) => self.finish(id, CloseReason::Malformed, out),
        }
    }

    /// Requests that nobody can get so wrong that the connection is closed.
    fn always_sound(
        &mut self,
        id: SessionId,
        request: Request<'_>,
        packet: Option<&Bytes>,
        out: &mut Outbox,
    ) {
        let copy = |payload: &[u8]| match packet {
            Some(packet) => packet.slice_ref(payload),
            None => Bytes::copy_from_slice(payload),
        };
        match request {
            Request::Grab(kind) => self.grab(id, kind, out),
            Request::WorkComplete { handle, result } => {
                self.work(id, handle, Work::Complete(copy(result)), out);
            }
            Request::WorkData { handle, data } => self.work(id, handle, Work::Data(copy(data)), out),
            Request::WorkWarning { handle, data } => self.work(id, handle, Work::Warning(copy(data)), out),
            Request::WorkStatus { handle, numerator, denominator } => {
                let text = [numerator, b"\0", denominator].concat();
                self.work(id, handle, Work::Status(Bytes::from(text)), out);
            }
            Request::WorkException { handle, exception } => {
                self.work(id, handle, Work::Exception(copy(exception)), out);
            }
            Request::WorkFail { handle } => self.work_fail(id, handle, out),
            Request::CanDo { function } => self.can_do(id, function, 0, out),
            Request::CantDo { function } => self.cant_do(id, function, out),
            Request::ResetAbilities => self.reset_abilities(id, out),
            Request::MassDo { functions } => self.mass_do(id, functions, out),
            Request::SetClientId { id: client_id } => self.set_client_id(id, client_id, out),
            Request::EchoReq { data } => self.tell(id, Reply::Echo(copy(data)), out),
            Request::OptionReq { option } => self.option(id, option, out),
            Request::Submit(_)
            | Request::PreSleep
            | Request::CanDoTimeout { .. }
            | Request::GetStatus { .. }
            | Request::GetStatusUnique { .. } => unreachable!("these are dealt with before"),
        }
    }

    pub(crate) fn admin(&mut self, id: SessionId, ask: Ask, after: Option<ListMark>, out: &mut Outbox) {
        if self.welcome(id, out.now) {
            if let Some(by) = self.may_ask(id, &ask, out) {
                self.survey(id, ask, (after, by), out);
            }
            self.flush_replies(id, out);
        }
    }

    /// The front end knows the answer to a request: it takes its turn.
    pub(crate) fn answer_in_turn(&mut self, id: SessionId, reply: Reply, out: &mut Outbox) {
        if self.welcome(id, out.now) {
            self.tell(id, reply, out);
            self.flush_replies(id, out);
        }
    }

    /// Whether a request of this session counts. It does not once the session is gone, or is to be closed because of
    /// an earlier request; the shell may not know that yet.
    pub(super) fn welcome(&mut self, id: SessionId, now: Instant) -> bool {
        let Some(session) = self.table.get_mut(id) else { return false };
        session.heard = now;
        // It may have been paused a moment ago, by something that was due when the request came; one more does no
        // harm. During a grab at several owners, or a MASS_DO, it would: requests take effect in order.
        // Whoever is busy is paused, which is sooner asked.
        assert!(
            !session.paused || !session.is_busy() || session.finishing,
            "a request in the middle of another"
        );
        !session.finishing
    }

    fn tell(&mut self, id: SessionId, reply: Reply, out: &mut Outbox) {
        if let Some(session) = self.table.get_mut(id) {
            session.tell(reply, out);
        }
    }

    fn submit(
        &mut self,
        id: SessionId,
        submit: &Submit<'_>,
        packet: Option<&Bytes>,
        out: &mut Outbox,
    ) -> Result<(), Hopeless> {
        let too_long = submit.unique.len() > UNIQUE_MAX
            || submit.reducer.is_some_and(|reducer| reducer.len() > REDUCER_MAX);
        if too_long {
            self.tell(id, Reply::Error(Refusal::UniqueTooLarge), out);
            return Ok(());
        }
        let epoch = match submit.epoch {
            Some(text) => due(text)?,
            None => None,
        };
        let owner = self.topology.owner(Slot::of(submit.function));
        let planted = self.policy.plants(Planted::TakesPlaceInVain);
        let Some(session) = self.table.get_mut(id) else { return Ok(()) };
        if !session.may_submit(submit.function) {
            if planted {
                session.replies.take_place();
            }
            self.deny_packet(id, Right::Submit, submit.function, out);
            return Ok(());
        }
        if !submit.background {
            session.known_by.insert(owner);
        }
        let place = session.replies.take_place();
        session.submitted = Some(place);
        let submission = Submission {
            from: id,
            place,
            function_len: submit.function.len() as u16,
            unique_len: submit.unique.len() as u8,
            priority: submit.priority,
            background: submit.background,
            epoch,
            reducer: submit.reducer.map(Box::from),
            body: body(submit, packet),
        };
        out.send(owner, Message::ToFunctions(ToFunctions::Submit(submission)));
        Ok(())
    }

    fn work(&mut self, id: SessionId, handle: &[u8], update: Work, out: &mut Outbox) {
        let Some(job) = self.policy.handle_prefix.parse(handle) else {
            out.counters.results_unknown += 1;
            return self.tell(id, Reply::Error(update.refusal()), out);
        };
        let owner = self.topology.owner(job.slot());
        let Some(session) = self.table.get_mut(id) else { return };
        let place = session.replies.take_place();
        out.send(owner, Message::ToFunctions(ToFunctions::Work { worker: id, place, job, update }));
    }

    /// The handle is the last argument, and some peers end it with a NUL. gearmand hands that on to the client,
    /// which then does not know the handle and waits for ever; we do not.
    fn work_fail(&mut self, id: SessionId, handle: &[u8], out: &mut Outbox) {
        if handle.len() > HANDLE_MAX {
            return self.tell(id, Reply::Error(Refusal::HandleTooLarge), out);
        }
        self.work(id, until_nul(handle), Work::Fail, out);
    }

    pub(super) fn can_do(&mut self, id: SessionId, function: &[u8], timeout_ms: u64, out: &mut Outbox) {
        let owner = self.topology.owner(Slot::of(function));
        let most = self.policy.abilities as usize;
        let Some(session) = self.table.get_mut(id) else { return };
        if !session.may_work(function) {
            // As `geard`: whoever says it hears nothing, and gets no jobs.
            return self.deny(id, Right::Work, function, out);
        }
        if session.abilities.len() >= most {
            out.counters.refused_abilities += 1;
            return session.tell(Reply::Error(Refusal::TooManyAbilities), out);
        }
        if !session.knows(owner) {
            out.send(owner, Message::ToFunctions(session.introduction(&self.board)));
        }
        let name = session.add_ability(function, &mut self.names);
        session.known_by.insert(owner);
        let nap = (session.asleep && !session.noop_sent).then_some(session.nap);
        if let (Some(nap), Some(owner)) = (nap, session.owner_mut(owner)) {
            owner.nap = nap;
        }
        let turn = session.first_turn;
        let can_do = ToFunctions::CanDo { worker: id, function: name, timeout_ms, turn, nap };
        out.send(owner, Message::ToFunctions(can_do));
    }

    fn cant_do(&mut self, id: SessionId, function: &[u8], out: &mut Outbox) {
        let owner = self.topology.owner(Slot::of(function));
        let Some(session) = self.table.get_mut(id) else { return };
        session.remove_ability(function, true, &mut self.names);
        let cant_do = ToFunctions::CantDo { worker: id, function: Bytes::copy_from_slice(function) };
        out.send(owner, Message::ToFunctions(cant_do));
    }

    pub(super) fn reset_abilities(&mut self, id: SessionId, out: &mut Outbox) {
        let Some(session) = self.table.get_mut(id) else { return };
        self.unfinished.let_go(session.take_abilities(), &mut self.names, &self.policy);
        for owner in session.take_owners() {
            out.send(owner.shard, Message::ToFunctions(ToFunctions::ResetAbilities { worker: id }));
        }
    }

    fn set_client_id(&mut self, id: SessionId, client_id: &[u8], out: &mut Outbox) {
        let client_id = until_nul(client_id);
        let Some(session) = self.table.get_mut(id) else { return };
        session.client_id = Bytes::copy_from_slice(&client_id[..client_id.len().min(CLIENT_ID_MAX)]);
        for at in 0..session.owners.len() {
            let introduction = session.introduction(&self.board);
            out.send(session.owners[at].shard, Message::ToFunctions(introduction));
        }
    }

    fn get_status(&mut self, id: SessionId, handle: &[u8], out: &mut Outbox) -> Result<(), Hopeless> {
        if handle.len() > HANDLE_MAX {
            return Err(Hopeless);
        }
        if !self.may_ask_after_jobs(id) {
            self.deny_packet(id, Right::Read, b"", out);
            return Ok(());
        }
        let handle = until_nul(handle);
        let Some(job) = self.policy.handle_prefix.parse(handle) else {
            self.tell(id, Reply::StatusUnknown(Bytes::copy_from_slice(handle)), out);
            return Ok(());
        };
        let owner = self.topology.owner(job.slot());
        let own = self.policy.handle_prefix.is_of(handle);
        let asked = if own { Bytes::new() } else { Bytes::copy_from_slice(handle) };
        let Some(session) = self.table.get_mut(id) else { return Ok(()) };
        let place = session.replies.take_place();
        out.send(owner, Message::ToFunctions(ToFunctions::GetStatus { from: id, place, job, asked }));
        Ok(())
    }

    fn get_status_unique(&mut self, id: SessionId, unique: &[u8], out: &mut Outbox) -> Result<(), Hopeless> {
        if unique.len() > UNIQUE_MAX {
            return Err(Hopeless);
        }
        if !self.may_ask_after_jobs(id) {
            self.deny_packet(id, Right::Read, b"", out);
            return Ok(());
        }
        let unique = Bytes::copy_from_slice(until_nul(unique));
        self.survey(id, Query::UniqueStatus { unique }.into(), (None, Rights::ALL), out);
        Ok(())
    }

    fn option(&mut self, id: SessionId, option: &[u8], out: &mut Outbox) {
        let Some(session) = self.table.get_mut(id) else { return };
        // The only option there is; it cannot be turned off (gearmand 1.1.20).
        let known = option.eq_ignore_ascii_case(b"exceptions");
        session.exceptions |= known;
        let reply = if known {
            Reply::Option(Bytes::copy_from_slice(option))
        } else {
            Reply::Error(Refusal::UnknownOption)
        };
        session.tell(reply, out);
    }
}

/// Whether the owner of a function that it is sent to gives it exactly one answer.
#[inline]
fn is_answered(request: &Request<'_>) -> bool {
    matches!(
        request,
        Request::Submit(_)
            | Request::Grab(_)
            | Request::WorkComplete { .. }
            | Request::WorkData { .. }
            | Request::WorkStatus { .. }
    )
}

/// Function, NUL, unique, NUL, workload: the end of a large packet, or the one copy that is made of a submission.
fn body(submit: &Submit<'_>, packet: Option<&Bytes>) -> Body {
    let len = submit.function.len() + submit.unique.len() + submit.workload.len() + 2;
    // SUBMIT_JOB_EPOCH and the reduce forms have something else between unique and workload.
    if let Some(packet) = packet
        && packet.len() == HEADER_LEN + len
    {
        return Body::shared(packet.slice(HEADER_LEN..));
    }
    let mut body = Vec::with_capacity(len);
    body.extend_from_slice(submit.function);
    body.push(0);
    body.extend_from_slice(submit.unique);
    body.push(0);
    body.extend_from_slice(submit.workload);
    Body::from(body)
}

fn until_nul(text: &[u8]) -> &[u8] {
    text.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// A number as C's `strtoll` reads it: what is no number is 0; one that does not fit is hopeless.
fn number(text: &[u8]) -> Result<i64, Hopeless> {
    let (negative, mut digits) = sign_and_digits(text);
    let value = digits.try_fold(0_i64, |value, digit| value.checked_mul(10)?.checked_add(digit));
    let value = value.ok_or(Hopeless)?;
    Ok(if negative { -value } else { value })
}

/// The milliseconds that CAN_DO_TIMEOUT asks for; 0 is no limit.
fn asked_ms(text: &[u8], unit: TimeoutUnit) -> Result<u64, Hopeless> {
    if text.len() > NUMBER_MAX {
        return Err(Hopeless);
    }
    let value = u64::try_from(number(text)?).unwrap_or(0);
    Ok(match unit {
        TimeoutUnit::Milliseconds => value,
        TimeoutUnit::Seconds => value.saturating_mul(1000),
    })
}

/// The time of SUBMIT_JOB_EPOCH; times before 1970 are past like all others.
fn due(text: &[u8]) -> Result<Option<Epoch>, Hopeless> {
    let seconds = u64::try_from(number(text)?).unwrap_or(0);
    Ok((seconds > 0).then(|| Epoch::from_seconds(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_limits_are_milliseconds_or_seconds() {
        let asked = |text: &str, unit| asked_ms(text.as_bytes(), unit).ok();
        for (text, value) in [("1500", 1500), ("1", 1), ("0", 0), ("-5", 0), ("abc", 0), ("", 0)] {
            assert_eq!(asked(text, TimeoutUnit::Milliseconds), Some(value), "{text:?}");
            assert_eq!(asked(text, TimeoutUnit::Seconds), Some(1000 * value), "{text:?}");
        }
        assert_eq!(asked("9223372036854775807", TimeoutUnit::Seconds), Some(u64::MAX));
        assert_eq!(asked("9223372036854775808", TimeoutUnit::Milliseconds), None);
        assert_eq!(asked("000000000000000000001", TimeoutUnit::Milliseconds), None);
    }

    #[test]
    fn times_are_seconds() {
        assert_eq!(due(b"12345").ok().flatten(), Some(Epoch(12_345_000)));
        assert_eq!(due(b"abc").ok().flatten(), None);
        assert!(due(b"92233720368547758080").is_err());
    }
}
