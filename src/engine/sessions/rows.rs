//! This shard's rows of lists of sessions, a page at a time. Who asks for them is in `survey.rs`.
use super::Sessions;
use super::session::Session;
use crate::message::{Message, Place, ToSessions};
use crate::outbox::Outbox;
use crate::page::{Budget, Half, ListMark, ListRow, PagePart, PageRequest};
use crate::query::{Ask, Query};
use crate::report::{Report, WaitingRow, Waits, WorkerRow};
use crate::slot::{SessionId, ShardId};
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
            Ask::Query(Query::ClientsWithJobs) => self.list_clients(after, &mut budget),
            // Everything else is about functions: this half has no part in it.
            Ask::Query(_) | Ask::Order(_) => (request.ask.empty_report(), None),
        };
        let part = Box::new(PagePart { from: shard, half: Half::Sessions, report, stop });
        out.send(from.shard(), Message::ToSessions(ToSessions::Answer { to: from, place, part }));
    }

    fn list_clients(&self, after: Option<&ListMark>, budget: &mut Budget) -> (Report, Option<ListMark>) {
        let after = match after {
            Some(&ListMark::Waiting { session, .. }) => Some(session),
            _ => None,
        };
        let mut rows = Vec::new();
        for session in self.table.in_order(after) {
            let peer = SocketAddr::new(session.peer.address, session.peer.port);
            let row = WaitingRow { session: session.id, what: Waits::Session(peer) };
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
