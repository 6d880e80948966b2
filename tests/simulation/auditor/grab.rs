//! The chapter on taking jobs: who gets which, in which order, and that nothing is overlooked.
use super::job::{Due, Hold, Job, Moment, PassedOver, Run, Stamp, SubId};
use super::peer::{Asked, bit};
use super::{Auditor, OpenGrab, audit};
use crate::act::Function;
use ringgear_engine::{Assignment, Compat, JobId, SessionId};
use ringgear_protocol::GrabKind;
use std::time::Duration;

impl Auditor {
    pub(super) fn grab(&mut self, session: SessionId, kind: GrabKind) {
        let at = self.moment;
        let calm = self.quiet_after(self.disturbed).is_some_and(|(quiet, _)| quiet < at);
        let alone = calm && self.grabs.is_empty() && self.ghosts.is_empty();
        self.grabbed = at;
        let peer = self.peers.get_mut(&session).expect("whoever grabs is there");
        (peer.nap, peer.coming) = (None, 0);
        let limit = |function| peer.ability(function).map_or(0, |ability| ability.timeout);
        let order: Vec<_> = peer.order.iter().map(|&function| (function, limit(function))).collect();
        let limited = order.iter().filter(|(_, limit)| *limit > 0);
        self.grabs.push(OpenGrab {
            session,
            at,
            instant: self.now.instant,
            functions: order.iter().fold(0, |set, &(function, _)| set | bit(function)),
            limited: limited.fold(0, |set, &(function, _)| set | bit(function)),
            timed_out: None,
        });
        self.ask(session, Asked::Grab { kind, order, alone });
    }

    pub(super) fn no_job(&mut self, session: SessionId, at: Moment, order: &[(Function, u64)]) {
        self.grab_answered(session, at);
        self.look_for_better(session, at, order, false, None);
        audit!(self, "a grab finds what is there", true, "");
    }

    pub(super) fn assigned(
        &mut self,
        session: SessionId,
        at: Moment,
        kind: GrabKind,
        order: &[(Function, u64)],
        alone: bool,
        assignment: &Assignment,
    ) {
        let grab = self.grab_answered(session, at);
        let id = assignment.job;
        audit!(self, "GRAB_JOB is answered in kind", assignment.kind == kind, "{kind:?}: {assignment:?}");
        let wanted = self.function(assignment.function());
        let known = order.iter().find(|&&(function, _)| Some(function) == wanted);
        audit!(self, "a worker gets what it knows", known.is_some(), "{session:?} got {assignment:?}");
        let &(function, limit) = known.expect("just asserted");
        self.recognise(function, assignment);
        self.is_not_paused(at, function);
        let job = &self.jobs[&id];
        self.is_due(job);
        if grab.timed_out == Some(id) || self.peers[&session].unlearned_since(function, at) {
            // It had it, and lost it before it knew.
            let job = self.jobs.get_mut(&id).expect("just recognised");
            if grab.timed_out == Some(id) {
                job.limited.insert(session, job.runs.len());
                job.runs.push(Run::default());
            }
            self.turn_to_back(session, function, at);
            return;
        }
        let free = job.waiting.is_some();
        audit!(self, "one holder at a time, and none after the end", free, "{session:?} got {job:?}");
        self.look_for_better(session, at, order, alone, Some(id));
        let (now, instant) = self.stamp();
        let job = self.jobs.get_mut(&id).expect("just recognised");
        if let Some(passed) = job.passed_over.take() {
            let excused = at < passed.at;
            audit!(self, passed.rule, excused, "{}", passed.text);
        }
        (job.waiting, job.ends) = (None, 0);
        let limit = (limit > 0).then_some(Duration::from_millis(limit));
        let limit = limit.map(|limit| (grab.instant.after(limit), instant.after(limit)));
        if limit.is_some() {
            job.limited.insert(session, job.runs.len());
        }
        job.held = Some(Hold { worker: session, got: now, run: job.runs.len(), limit });
        job.runs.push(Run::default());
        self.turn_to_back(session, function, at);
        self.one_of_a_kind(id);
    }

    fn grab_answered(&mut self, session: SessionId, at: Moment) -> OpenGrab {
        // A NOOP for an earlier PRE_SLEEP would have come before the answer.
        let peer = self.peers.get_mut(&session).expect("whoever is answered is there");
        peer.naps.retain(|&nap| nap > at);
        let open = self.grabs.iter().position(|grab| (grab.session, grab.at) == (session, at));
        self.grabs.remove(open.expect("it was not answered before"))
    }

    /// The job is one that was submitted, word for word.
    fn recognise(&mut self, function: Function, assignment: &Assignment) {
        let id = assignment.job;
        let fits = |sub: &SubId| {
            let what = &self.subs[*sub].what;
            what.function == function
                && what.unique == assignment.unique()
                && what.workload == assignment.workload()
                && what.reducer.as_deref() == assignment.reducer.as_deref()
        };
        let known = self.jobs.get(&id).map(|job| job.candidates.clone());
        let fresh =
            || self.open_subs.iter().chain(&self.orphans).chain(self.unstored.keys()).copied().collect();
        let makers: Vec<SubId> = known.clone().unwrap_or_else(fresh).into_iter().filter(fits).collect();
        audit!(self, "a worker gets what was submitted", !makers.is_empty(), "{assignment:?} of {known:?}");
        if known.is_none() {
            let unique = self.subs[makers[0]].what.unique.clone();
            return self.first_sight(id, function, unique, makers);
        }
        self.jobs.get_mut(&id).expect("known").candidates = makers;
        self.learn_maker(id);
    }

    fn is_due(&self, job: &Job) {
        let Due::At(epoch, _) = job.due else { return };
        let since = job.candidates.iter().map(|&sub| self.subs[sub].at).min().expect("somebody made it");
        let first = self.walls.partition_point(|&(at, _)| at <= since) - 1;
        let latest = self.walls[first..].iter().map(|&(_, wall)| wall).max().expect("at least one");
        audit!(self, "no job before its time", latest >= epoch, "it was never later than {latest}: {job:?}");
    }

    /// Where functions take turns, the one that had its turn goes behind the others.
    fn turn_to_back(&mut self, session: SessionId, function: Function, at: Moment) {
        let turns = self.policy.round_robin || self.policy.compat >= Compat::V2_0;
        let peer = self.peers.get_mut(&session).expect("whoever is answered is there");
        let same = peer.ability(function).is_some_and(|ability| ability.at < at);
        if turns && same {
            peer.order.retain(|&other| other != function);
            peer.order.push(function);
        }
    }

    /// Since when a job stands in its queue for sure, and still does unless a grab under way has it.
    pub(super) fn queued_since(&self, job: &Job) -> Option<Stamp> {
        let entry = job.only_waits()?;
        entry.hi.or_else(|| self.quiet_after(entry.from))
    }

    /// Since when a job stands ready in its queue for sure, and still does unless a grab under way has it.
    pub(super) fn ready_since(&self, job: &Job) -> Option<Stamp> {
        let queued = self.queued_since(job)?.max(self.unpaused_since(job)?);
        match job.due {
            Due::Always => Some(queued),
            Due::At(_, Some(due)) => Some(due.max(queued)),
            Due::At(_, None) | Due::Unknown => None,
        }
    }

    /// A grab got a job, or none: no other job that stood ready all the time goes before it.
    fn look_for_better(
        &mut self,
        session: SessionId,
        at: Moment,
        order: &[(Function, u64)],
        alone: bool,
        winner: Option<JobId>,
    ) {
        let order: Vec<Function> = order.iter().map(|&(function, _)| function).collect();
        let repeated = self.peers[&session].repeated;
        let alone = alone && self.grabbed == at && self.disturbed < at;
        let mut passed_over = Vec::new();
        for &id in self.alive.iter().filter(|&&id| Some(id) != winner) {
            let job = &self.jobs[&id];
            let Some(place) = order.iter().position(|&function| function == job.function) else { continue };
            let Some((since, _)) = self.ready_since(job).filter(|&(since, _)| since <= at) else { continue };
            let verdict = match winner.map(|id| &self.jobs[&id]) {
                None => Some(("a grab finds what is there", true)),
                Some(winner) if winner.function == job.function => self.goes_first_within(job, since, winner),
                Some(winner) if alone && repeated & (bit(job.function) | bit(winner.function)) == 0 => {
                    let other = order.iter().position(|&function| function == winner.function);
                    self.goes_first_across((job, place), (winner, other.expect("it got it")))
                }
                Some(_) => None,
            };
            let Some((rule, broken)) = verdict else { continue };
            if !broken {
                audit!(self, rule, true, "");
                continue;
            }
            let text =
                format!("{session:?} grabbed at {at} and got {winner:?}, not {job:?}, ready since {since}");
            if self.ghosts.iter().any(|ghost| ghost.functions & bit(job.function) != 0) {
                continue;
            }
            let excused = self.grabs.iter().any(|grab| grab.functions & bit(job.function) != 0);
            audit!(self, rule, excused, "{text}");
            passed_over.push((id, PassedOver { at: self.moment, rule, text }));
        }
        for (id, passed) in passed_over {
            self.jobs.get_mut(&id).expect("alive").passed_over.get_or_insert(passed);
        }
    }

    /// The rule that says which of two jobs of one function is taken, and whether it was broken.
    fn goes_first_within(&self, job: &Job, since: Moment, winner: &Job) -> Option<(&'static str, bool)> {
        let began = winner.waiting.as_ref().map(|entry| entry.lo)?;
        if job.same_priority(winner) {
            Some(("first in, first out", since < began))
        } else {
            Some(("higher priority first", job.outranks(winner)))
        }
    }

    /// Of two functions, each with its place in the worker's order.
    fn goes_first_across(
        &self,
        (job, place): (&Job, usize),
        (winner, other): (&Job, usize),
    ) -> Option<(&'static str, bool)> {
        if self.policy.compat < Compat::V2_0 {
            Some(("functions in their order", place < other))
        } else if job.same_priority(winner) {
            Some(("functions take turns", place < other))
        } else {
            Some(("higher priority first, whatever the function", job.outranks(winner)))
        }
    }
}
