//! A query or an order on its way: which halves of which engines may have something to tell, what has come of the next page, and
//! how far the list has come. Who asks when is in `ask.rs`.
use crate::access::Rights;
use crate::message::{Message, Place, ToFunctions, ToSessions};
use crate::outbox::Outbox;
use crate::page::{Half, ListMark, PagePart, PageRequest, ReportPage};
use crate::query::Ask;
use crate::report::{Report, Waits};
use crate::slot::{SessionId, ShardId, ShardSet, Topology};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// With many shards, each is asked for so many rows all the same.
const ROWS_MIN: u32 = 16;

/// Halves of shards.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Halves {
    pub(super) sessions: ShardSet,
    pub(super) functions: ShardSet,
}

impl Halves {
    pub(super) fn owner(owner: ShardId) -> Halves {
        Halves { functions: ShardSet::of([owner]), ..Halves::default() }
    }

    pub(super) fn owners(topology: Topology) -> Halves {
        Halves { functions: ShardSet::of(topology.owners()), ..Halves::default() }
    }

    /// The sessions of one home.
    pub(super) fn home(home: ShardId) -> Halves {
        Halves { sessions: ShardSet::of([home]), ..Halves::default() }
    }

    /// The sessions of every home that reports tell of.
    pub(super) fn homes(topology: Topology) -> Halves {
        Halves { sessions: ShardSet::of(topology.told_of()), ..Halves::default() }
    }

    /// Every engine once that reports tell of; a guest has a half for functions, too, which owns none.
    pub(super) fn engines(topology: Topology) -> Halves {
        Halves { functions: ShardSet::of(topology.told_of()), ..Halves::default() }
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
pub(super) enum SurveyStep {
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
    pub(super) what: Ask,
    /// For [`crate::Order::DropFunction`]: only the owner of the exact name was asked so far.
    exact: bool,
    /// Who may have something to tell.
    left: Halves,
    pub(super) step: SurveyStep,
    /// What the owner of a job is to look at, see [`PageRequest::by`].
    by: Rights,
    /// How far the list has come.
    after: Option<ListMark>,
    /// What has come of the next page.
    parts: Vec<PagePart>,
    /// The client whose line was told last: what others wait for is not told.
    client: Option<SessionId>,
    /// For [`crate::Order::DropFunction`]: rows that are held back until it is known whether they are the last.
    pub(super) held: Option<Report>,
}

impl Survey {
    /// A list begins behind `after`, if that is a place of it.
    pub(super) fn new(what: Ask, left: Halves, after: Option<ListMark>, by: Rights) -> Survey {
        let exact = what.begins_exact();
        let (parts, step) = (Vec::new(), SurveyStep::Behind);
        Survey { what, exact, left, by, step, after, parts, client: None, held: None }
    }

    /// Asks whoever may have something to tell.
    pub(super) fn ask(&mut self, from: SessionId, place: Place, rows: u32, out: &mut Outbox) {
        let halves = self.left.count();
        self.step = SurveyStep::Asked(halves);
        let most = (rows / halves.max(1)).max(rows.min(ROWS_MIN));
        let request = || {
            let (ask, after, by) = (self.what.clone(), self.after.clone(), self.by.clone());
            Box::new(PageRequest { ask, exact: self.exact, after, by, most })
        };
        for to in self.left.sessions.iter() {
            out.send(to, Message::ToSessions(ToSessions::Ask { from, place, request: request() }));
        }
        for to in self.left.functions.iter() {
            out.send(to, Message::ToFunctions(ToFunctions::Ask { from, place, request: request() }));
        }
    }

    /// A part has come. True if it was the last one of its page.
    pub(super) fn take(&mut self, part: PagePart) -> bool {
        let SurveyStep::Asked(missing) = self.step else {
            panic!("a part of a report for which nobody was asked")
        };
        self.parts.push(part);
        self.step = SurveyStep::Asked(missing - 1);
        missing == 1
    }

    /// Makes a page of the parts. True if it is the last one.
    pub(super) fn turn(&mut self) -> (Report, bool) {
        let joined = ReportPage::of(&self.what, core::mem::take(&mut self.parts));
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
    pub(super) fn hold_back(&mut self, report: Report) -> Option<Report> {
        match report {
            report if report.is_empty() => None,
            Report::Dropped(_) => self.held.replace(report),
            report => Some(report),
        }
    }

    /// Whether no function has exactly this name, so that all others must be looked at.
    pub(super) fn is_inexact(&mut self, report: &Report, topology: Topology) -> bool {
        let inexact = self.exact && report.is_empty();
        if inexact {
            self.exact = false;
            self.left = Halves::owners(topology);
        }
        inexact
    }
}
