//! A query goes to the shards that know something of it; their reports come back and merge.
use super::Sessions;
use super::replies::Survey;
use crate::event::Reply;
use crate::message::{Message, Place, ToFunctions, ToSessions};
use crate::outbox::Outbox;
use crate::report::{Involved, Query, Report, WorkerRow};
use crate::slot::{SessionId, ShardId, Slot};
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;

impl Sessions {
    pub(super) fn query(&mut self, id: SessionId, query: Query, out: &mut Outbox) {
        let owner = match &query {
            Query::MaxQueue { function, .. }
            | Query::CreateFunction { function }
            // The function of exactly this name first: only if there is none does case not matter.
            | Query::DropFunction { function } => Some(self.topology.owner(Slot::of(function))),
            Query::CancelJob { handle } | Query::RetryJob { handle } => match self.policy.handle_prefix.parse(handle) {
                Some(job) => Some(self.topology.owner(job.slot())),
                None => return self.answer_at_once(id, query, out),
            },
            _ => None,
        };
        let Some(session) = self.table.get_mut(id) else { return };
        let report = query.empty_report();
        let exact = matches!(query, Query::DropFunction { .. });
        let missing = match owner {
            Some(_) => 1,
            None => u32::from(self.topology.shards()) * answers_of_a_shard(&query),
        };
        let survey = Survey { query: query.clone(), report, missing, exact };
        let place = session.replies.take_survey(survey);
        match owner {
            Some(owner) => ask(owner, id, place, query, exact, out),
            None => self.topology.all().for_each(|to| ask(to, id, place, query.clone(), exact, out)),
        }
    }

    /// A query to which no shard has anything to say.
    fn answer_at_once(&mut self, id: SessionId, query: Query, out: &mut Outbox) {
        let Some(session) = self.table.get_mut(id) else { return };
        let report = query.empty_report();
        session.tell(Reply::Report(Box::new((query, report))), out);
    }

    pub(super) fn answer(&mut self, id: SessionId, place: Place, report: Report, out: &mut Outbox) {
        let shards = self.topology.shards();
        let Some(session) = self.table.get_mut(id) else { return };
        let survey = session.replies.survey(place);
        survey.report.merge(report);
        survey.missing -= 1;
        if survey.missing > 0 {
            return;
        }
        if survey.exact && matches!(&survey.report, Report::Dropped(rows) if rows.is_empty()) {
            survey.exact = false;
            survey.missing = u32::from(shards);
            let query = survey.query.clone();
            return self.topology.all().for_each(|to| ask(to, id, place, query.clone(), false, out));
        }
        survey.report.sort();
        let empty = survey.query.empty_report();
        let report = core::mem::replace(&mut survey.report, empty);
        let reply = Reply::Report(Box::new((survey.query.clone(), report)));
        session.answer(place, Some(reply), out);
    }

    /// This shard's part of a report on sessions.
    pub(super) fn report(&self, from: SessionId, place: Place, query: &Query, out: &mut Outbox) {
        let report = match query {
            Query::Workers => self.report_workers(),
            Query::JobsWithWorkers | Query::ClientsWithJobs => {
                let sessions = self.table.iter().map(|session| (session.id, session.peer)).collect();
                Report::Involved(Involved { jobs: Vec::new(), sessions })
            }
            query => panic!("functions report on {query:?}"),
        };
        let report = Box::new(report);
        out.send(from.shard(), Message::ToSessions(ToSessions::Answer { to: from, place, report }));
    }

    fn report_workers(&self) -> Report {
        let rows = self.table.iter().map(|session| WorkerRow {
            descriptor: session.peer.descriptor,
            address: session.peer.address,
            id: if session.client_id.is_empty() {
                Bytes::from_static(b"-")
            } else {
                session.client_id.clone()
            },
            functions: session.abilities.iter().map(|name| self.names.get(name).clone()).collect(),
        });
        Report::Workers(rows.collect())
    }
}

/// How often each shard answers a query: its sessions, its functions, or both.
fn answers_of_a_shard(query: &Query) -> u32 {
    u32::from(concerns_sessions(query)) + u32::from(concerns_functions(query))
}

fn concerns_sessions(query: &Query) -> bool {
    matches!(query, Query::Workers | Query::JobsWithWorkers | Query::ClientsWithJobs)
}

fn concerns_functions(query: &Query) -> bool {
    !matches!(query, Query::Workers)
}

fn ask(to: ShardId, from: SessionId, place: Place, query: Query, exact: bool, out: &mut Outbox) {
    let query = Box::new(query);
    if concerns_sessions(&query) {
        let query = query.clone();
        out.send(to, Message::ToSessions(ToSessions::Ask { from, place, query }));
    }
    if concerns_functions(&query) {
        out.send(to, Message::ToFunctions(ToFunctions::Ask { from, place, query, exact }));
    }
}
