//! A query or an order goes to the shards that know something of it; their answers come back and are joined.
//!
//! Long answers come in pages. One page is fetched at a time, when all earlier replies have left and the shell has said that
//! there is room; between pages nothing is kept but how far the list has come. A session has one such survey at a
//! time and is paused meanwhile. This shard's own rows are in `rows.rs`, what is kept of a survey is in `survey.rs`.
use super::Sessions;
use super::survey::{Halves, Survey, SurveyStep};
use crate::access::{Right, Rights};
use crate::event::{Output, Reply};
use crate::message::Place;
use crate::outbox::Outbox;
use crate::page::{ListMark, PagePart};
use crate::policy::Planted;
use crate::query::{Ask, Scope};
use crate::report::Report;
use crate::slot::{SessionId, ShardSet, Slot};
use alloc::boxed::Box;

impl Sessions {
    /// Somebody asks for something; for a list from behind a place on, where one is given; and with the rights that an owner is to
    /// look at.
    pub(super) fn survey(
        &mut self,
        id: SessionId,
        ask: Ask,
        (after, by): (Option<ListMark>, Rights),
        out: &mut Outbox,
    ) {
        let topology = self.topology;
        let left = match ask.scope() {
            Scope::Function(function) => Halves::owner(topology.owner(Slot::of(function))),
            Scope::Job(handle) => match self.policy.handle_prefix.parse(handle) {
                Some(job) => Halves::owner(topology.owner(job.slot())),
                None => return self.answer_at_once(id, ask, out),
            },
            // An observer is not asked, and who does not exist cannot be.
            Scope::Home(home) if topology.told_of().any(|other| other == home) => Halves::home(home),
            Scope::Owner(owner) if topology.owners().any(|other| other == owner) => Halves::owner(owner),
            Scope::Home(_) | Scope::Owner(_) => return self.answer_at_once(id, ask, out),
            Scope::Sessions => Halves::homes(topology),
            Scope::Functions => Halves::owners(topology),
            Scope::Both => Halves { sessions: ShardSet::of(topology.told_of()), ..Halves::owners(topology) },
            Scope::Engines => Halves::engines(topology),
        };
        let rows = self.policy.rows_at_once;
        let Some(session) = self.table.get_mut(id) else { return };
        let long = ask.is_long();
        let place = session.replies.take_survey(Survey::new(ask, left, after, by));
        if long {
            session.survey = Some(place);
        } else if let Some(survey) = session.replies.survey(place) {
            survey.ask(id, place, rows, out);
        }
    }

    /// Something to which no shard has anything to say.
    fn answer_at_once(&mut self, id: SessionId, ask: Ask, out: &mut Outbox) {
        let Some(session) = self.table.get_mut(id) else { return };
        let report = ask.empty_report();
        session.tell(Reply::Report(Box::new((ask, report))), out);
    }

    /// The turn of a session's survey may have come: earlier replies have left.
    #[cold]
    pub(super) fn begin_survey(&mut self, id: SessionId, out: &mut Outbox) {
        let Some(session) = self.table.get_mut(id) else { return };
        let Some(place) = session.survey.filter(|&place| session.replies.is_next(place)) else { return };
        if let Some(survey) = session.replies.survey(place)
            && survey.step == SurveyStep::Behind
        {
            survey.step = SurveyStep::WantsRoom;
            out.outputs.push_back(Output::WantsRoom(id));
        }
    }

    /// There is room for a page.
    pub(crate) fn room(&mut self, id: SessionId, out: &mut Outbox) {
        let rows = match self.policy.plants(Planted::EndlessPages) {
            true => u32::MAX,
            false => self.policy.rows_at_once,
        };
        let Some(session) = self.table.get_mut(id) else { return };
        let Some(place) = session.survey else { return };
        if let Some(survey) = session.replies.survey(place)
            && survey.step == SurveyStep::WantsRoom
        {
            survey.ask(id, place, rows, out);
        }
    }

    /// A part of a report has come.
    pub(super) fn answer(&mut self, id: SessionId, place: Place, part: PagePart, out: &mut Outbox) {
        let topology = self.topology;
        if part.report == Report::Denied {
            self.deny(id, Right::Admin, b"", out);
        }
        let Some(session) = self.table.get_mut(id) else { return };
        let survey = session.replies.survey(place).expect("an answer belongs to a survey");
        if !survey.take(part) {
            return;
        }
        let (report, last) = survey.turn();
        if !last || survey.is_inexact(&report, topology) {
            survey.step = SurveyStep::WantsRoom;
            if let Some(report) = survey.hold_back(report) {
                out.reply(id, Reply::Rows(Box::new((survey.what.clone(), report))));
            }
            if !self.policy.plants(Planted::SurveyForgotten) {
                out.outputs.push_back(Output::WantsRoom(id));
            }
            return;
        }
        let mut all = survey.held.take().unwrap_or_else(|| survey.what.empty_report());
        all.merge(report);
        let reply = Reply::Report(Box::new((survey.what.clone(), all)));
        if session.survey == Some(place) {
            session.survey = None;
        }
        session.answer(place, Some(reply), out);
    }
}
