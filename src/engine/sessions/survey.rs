//! A query or an order goes to the shards that know something of it; their answers come back and are joined.
//!
//! Long answers come in pages. One page is fetched at a time, when all earlier replies have left and the shell has said that
//! there is room; between pages nothing is kept but how far the list has come. A session has one such survey at a
//! time and is paused meanwhile. This shard's own rows are in `rows.rs`.
use super::Sessions;
use crate::event::{Output, Reply};
use crate::message::{Message, Place, ToFunctions, ToSessions};
use crate::outbox::Outbox;
use crate::page::{Half, Joined, Mark, PageRequest, Part};
use crate::policy::Planted;
use crate::query::{Ask, Scope};
use crate::report::{Report, Waits};
use crate::slot::{SessionId, ShardId, ShardSet, Slot, Topology};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// With many shards, each is asked for so many rows all the same.
const ROWS_MIN: u32 = 16;

/// Halves of shards.
#[derive(Clone, Copy, Debug, Default)]
struct Halves {
    sessions: ShardSet,
    functions: ShardSet,
}

impl Halves {
    fn owner(owner: ShardId) -> Halves {
        Halves { functions: ShardSet::of([owner]), ..Halves::default() }
    }

    fn owners(topology: Topology) -> Halves {
        Halves { functions: ShardSet::of(topology.owners()), ..Halves::default() }
    }

    /// The sessions of every home.
    fn homes(topology: Topology) -> Halves {
        Halves { sessions: ShardSet::of(topology.homes()), ..Halves::default() }
    }

    /// Every engine once; a guest has a half for functions, too, which owns none.
    fn engines(topology: Topology) -> Halves {
        Halves { functions: ShardSet::of(topology.homes()), ..Halves::default() }
    }

    fn count(self) -> u32 {
        self.sessions.count() + self.functions.count()
    }

    fn remove(&mut self, half: Half, shard: ShardId) {
        match half {
            Half::Sessions => self.sessions.remove(shard),
            Half::Functions => self.functions.remove(shard),
        }
    }
}

/// Where a survey stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Replies to earlier requests have not left.
    Behind,
    /// The shell was asked for room.
    WantsRoom,
    /// So many halves of shards have been asked and have not answered.
    Asked(u32),
}

/// A query or an order on its way.
#[derive(Debug)]
pub(crate) struct Survey {
    what: Ask,
    /// For [`crate::Order::DropFunction`]: only the owner of the exact name was asked so far.
    exact: bool,
    /// Who may have something to tell.
    left: Halves,
    step: Step,
    /// How far the list has come.
    after: Option<Mark>,
    /// What has come of the next page.
    parts: Vec<Part>,
    /// The client whose line was told last: what others wait for is not told.
    client: Option<SessionId>,
    /// For [`crate::Order::DropFunction`]: rows that are held back until it is known whether they are the last.
    held: Option<Report>,
}

impl Survey {
    fn new(what: Ask, left: Halves) -> Survey {
        let exact = what.begins_exact();
        let (parts, step) = (Vec::new(), Step::Behind);
        Survey { what, exact, left, step, after: None, parts, client: None, held: None }
    }

    /// Asks whoever may have something to tell.
    fn ask(&mut self, from: SessionId, place: Place, rows: u32, out: &mut Outbox) {
        let halves = self.left.count();
        self.step = Step::Asked(halves);
        let most = (rows / halves.max(1)).max(rows.min(ROWS_MIN));
        let request = || {
            let (ask, after) = (self.what.clone(), self.after.clone());
            Box::new(PageRequest { ask, exact: self.exact, after, most })
        };
        for to in self.left.sessions.iter() {
            out.send(to, Message::ToSessions(ToSessions::Ask { from, place, request: request() }));
        }
        for to in self.left.functions.iter() {
            out.send(to, Message::ToFunctions(ToFunctions::Ask { from, place, request: request() }));
        }
    }

    /// A part has come. True if it was the last one of its page.
    fn take(&mut self, part: Part) -> bool {
        let Step::Asked(missing) = self.step else { panic!("a part of a report for which nobody was asked") };
        self.parts.push(part);
        self.step = Step::Asked(missing - 1);
        missing == 1
    }

    /// Makes a page of the parts. True if it is the last one.
    fn turn(&mut self) -> (Report, bool) {
        let joined = Joined::of(&self.what, core::mem::take(&mut self.parts));
        joined.done.into_iter().for_each(|(half, shard)| self.left.remove(half, shard));
        self.after = joined.stop;
        let mut report = joined.report;
        if let Report::Waiting(rows) = &mut report {
            // Who waits and is not listed has left meanwhile.
            rows.retain(|row| {
                if let Waits::Session(_) = row.what {
                    self.client = Some(row.session);
                }
                self.client == Some(row.session)
            });
        }
        (report, self.after.is_none())
    }

    /// Holds back the rows of a `drop function`, whose last page must tell whether there were any. What can be told.
    fn hold_back(&mut self, report: Report) -> Option<Report> {
        match report {
            report if report.is_empty() => None,
            Report::Dropped(_) => self.held.replace(report),
            report => Some(report),
        }
    }

    /// Whether no function has exactly this name, so that all others must be looked at.
    fn is_inexact(&mut self, report: &Report, topology: Topology) -> bool {
        let inexact = self.exact && report.is_empty();
        if inexact {
            self.exact = false;
            self.left = Halves::owners(topology);
        }
        inexact
    }
}

impl Sessions {
    /// Somebody asks for something.
    pub(super) fn survey(&mut self, id: SessionId, ask: Ask, out: &mut Outbox) {
        let topology = self.topology;
        let left = match ask.scope() {
            Scope::Function(function) => Halves::owner(topology.owner(Slot::of(function))),
            Scope::Job(handle) => match self.policy.handle_prefix.parse(handle) {
                Some(job) => Halves::owner(topology.owner(job.slot())),
                None => return self.answer_at_once(id, ask, out),
            },
            Scope::Sessions => Halves::homes(topology),
            Scope::Functions => Halves::owners(topology),
            Scope::Both => Halves { sessions: ShardSet::of(topology.homes()), ..Halves::owners(topology) },
            Scope::Engines => Halves::engines(topology),
        };
        let rows = self.policy.rows_at_once;
        let Some(session) = self.table.get_mut(id) else { return };
        let long = ask.is_long();
        let place = session.replies.take_survey(Survey::new(ask, left));
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
            && survey.step == Step::Behind
        {
            survey.step = Step::WantsRoom;
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
            && survey.step == Step::WantsRoom
        {
            survey.ask(id, place, rows, out);
        }
    }

    /// A part of a report has come.
    pub(super) fn answer(&mut self, id: SessionId, place: Place, part: Part, out: &mut Outbox) {
        let topology = self.topology;
        let Some(session) = self.table.get_mut(id) else { return };
        let survey = session.replies.survey(place).expect("an answer belongs to a survey");
        if !survey.take(part) {
            return;
        }
        let (report, last) = survey.turn();
        if !last || survey.is_inexact(&report, topology) {
            survey.step = Step::WantsRoom;
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
