//! This shard's rows of lists of sessions, a page at a time. Who asks for them is in `survey.rs`.
use super::Sessions;
use super::session::Session;
use crate::event::Output;
use crate::message::{Message, Place, ToSessions};
use crate::outbox::Outbox;
use crate::page::{Budget, Half, ListMark, ListRow, PagePart, PageRequest};
use crate::query::{Ask, Order, Query};
use crate::report::{Report, SessionRow, WaitingRow, Waits, WorkerRow};
use crate::slot::{SessionId, ShardId};
use crate::time::Instant;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

impl Sessions {
    /// This shard's part of a report on sessions.
    pub(super) fn report(
        &self,
        from: SessionId,
        place: Place,
        request: &PageRequest,
        shard: ShardId,
        out: &mut Outbox,
    ) {
        let (after, mut budget) = (request.after.as_ref(), Budget::new(request.most));
        let (report, stop) = match &request.ask {
            Ask::Query(Query::Workers) => self.list_workers(shard, after, &mut budget),
            Ask::Query(Query::ClientsWithJobs) => self.list_clients(after, &mut budget, out.now),
            Ask::Query(Query::Session { session }) => {
                let found = self.table.get(*session).map(|session| session_row(session, out.now));
                (Report::Sessions(found.into_iter().collect()), None)
            }
            Ask::Order(Order::Dismiss { session }) => (self.dismiss(*session, out), None),
            // Everything else is about functions: this half has no part in it.
            Ask::Query(_) | Ask::Order(_) => (request.ask.empty_report(), None),
        };
        let part = Box::new(PagePart { from: shard, half: Half::Sessions, report, stop });
        out.send(from.shard(), Message::ToSessions(ToSessions::Answer { to: from, place, part }));
    }

    fn list_clients(
        &self,
        after: Option<&ListMark>,
        budget: &mut Budget,
        now: Instant,
    ) -> (Report, Option<ListMark>) {
        let after = match after {
            Some(&ListMark::Waiting { session, .. }) => Some(session),
            _ => None,
        };
        let mut rows = Vec::new();
        for session in self.table.in_order(after) {
            let what = Waits::Session(Box::new(session_row(session, now)));
            let row = WaitingRow { session: session.id, what };
            budget.look(1);
            budget.row(row.weight());
            let mark = row.mark();
            rows.push(row);
            if budget.is_spent() {
                return (Report::Waiting(rows), Some(mark));
            }
        }
        (Report::Waiting(rows), None)
    }

    /// The connection of a session is to be closed, if it is there.
    fn dismiss(&self, session: SessionId, out: &mut Outbox) -> Report {
        if self.table.get(session).is_none() {
            return Report::Unchanged;
        }
        out.outputs.push_back(Output::Dismiss(session));
        Report::Done
    }

    fn list_workers(
        &self,
        shard: ShardId,
        after: Option<&ListMark>,
        budget: &mut Budget,
    ) -> (Report, Option<ListMark>) {
        let mut rows = Vec::new();
        let after = match after {
            Some(&ListMark::Worker { descriptor, session, left }) => Some((descriptor, session, left.0)),
            _ => None,
        };
        if let Some((descriptor, session, left @ 1..)) =
            after.filter(|&(_, session, _)| session.shard() == shard)
        {
            rows.push(self.piece(descriptor, session, Some(left), budget));
        }
        let behind = after.map(|(descriptor, session, _)| (descriptor, session));
        let mut next = self.table.by_descriptor(behind);
        while !budget.is_spent() {
            let Some((descriptor, session)) = next.next() else { return (Report::Workers(rows), None) };
            rows.push(self.piece(descriptor, session, None, budget));
        }
        let stop = rows.last().map(ListRow::mark);
        (Report::Workers(rows), stop)
    }

    /// A worker's row, or a piece of it: registrations before `left`, as many as the budget allows.
    fn piece(&self, descriptor: u32, id: SessionId, left: Option<u32>, budget: &mut Budget) -> WorkerRow {
        let begins = left.is_none();
        let Some(session) = self.table.get(id) else {
            // It has left meanwhile: its row ends.
            let address = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
            let functions = Vec::new();
            return WorkerRow {
                descriptor,
                session: id,
                address,
                id: Bytes::new(),
                functions,
                begins,
                left: 0,
            };
        };
        let (functions, left) = self.registrations(session, left, budget);
        let mut row = WorkerRow {
            descriptor,
            session: id,
            address: session.peer.address,
            id: session.client_id.clone(),
            functions,
            begins,
            left,
        };
        if row.id.is_empty() {
            row.id = Bytes::from_static(b"-");
        }
        budget.row(row.weight());
        row
    }

    fn registrations(&self, session: &Session, left: Option<u32>, budget: &mut Budget) -> (Vec<Bytes>, u32) {
        let mut functions = Vec::new();
        budget.look(1);
        for (at, name) in session.abilities.before(left) {
            if budget.is_spent() {
                return (functions, at + 1);
            }
            budget.look(1);
            functions.push(self.names.get(name).clone());
        }
        (functions, 0)
    }
}

fn session_row(session: &Session, now: Instant) -> SessionRow {
    let ago = |instant: Instant| now.0.saturating_sub(instant.0) / 1_000_000;
    SessionRow {
        session: session.id,
        descriptor: session.peer.descriptor,
        address: SocketAddr::new(session.peer.address, session.peer.port),
        id: session.client_id.clone(),
        functions: session.abilities.len() as u32,
        asleep: session.asleep,
        since_ms: ago(session.since),
        heard_ms: ago(session.heard),
        asked_ms: (session.asked > Instant(0)).then(|| ago(session.asked)),
    }
}
