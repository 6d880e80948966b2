//! The chapter on submitting and registering: who makes a job, who joins it, who is refused, and what it means that
//! a session leaves.
use super::job::{ABANDONED, CANCELLED, DROPPED, Due, Entry, Job, Key, Moment, OUT_OF_ATTEMPTS, Open, SubId};
use super::peer::{Asked, Verdict, bit};
use super::{Auditor, OpenGrab, Sub, audit};
use crate::act::{Function, Submission};
use bytes::Bytes;
use ringgear_engine::{Ask, JobId, SessionId};
use ringgear_protocol::Refusal;

/// More than a job costs beside its name, unique and workload.
const JOB_COST_MAX: usize = 500;
/// What one more client costs that waits for a job.
const ATTACHMENT_COST: usize = 24;

impl Auditor {
    pub(super) fn submit(&mut self, session: SessionId, what: Submission) {
        if Auditor::too_long(&what) {
            return self.ask(session, Asked::TooLong);
        }
        self.use_function(what.function);
        let key = Key::of(&what.unique, &what.workload);
        let sub = self.subs.len();
        let (at, instant) = (self.moment, self.now.instant);
        self.subs.push(Sub { session, at, instant, what, key, job: None });
        self.open_subs.insert(sub);
        self.ask(session, Asked::Submit(sub));
    }

    /// A submission is answered JOB_CREATED.
    pub(super) fn created(&mut self, sub: SubId, id: JobId) {
        self.open_subs.remove(&sub);
        self.tally.created += 1;
        self.subs[sub].job = Some(id);
        if !self.jobs.contains_key(&id) {
            let makers = self.possible_makers(sub);
            if makers.len() == 1 {
                self.fits_in(sub);
            }
            let (function, unique) = (self.subs[sub].what.function, self.subs[sub].what.unique.clone());
            self.first_sight(id, function, unique, makers);
        }
        let (now, stamp, subs) = (self.moment, self.stamp(), &self.subs);
        let (submitted, key) = (&subs[sub], &subs[sub].key);
        let job = self.jobs.get_mut(&id).expect("just seen");
        let what = &submitted.what;
        audit!(self, "a job has one function", job.function == what.function, "{what:?} joined {job:?}");
        if key.is_none() {
            audit!(
                self,
                "what has no unique joins nothing",
                job.candidates.contains(&sub),
                "{what:?} joined {job:?}"
            );
            job.candidates = vec![sub];
        } else {
            let alike = match &job.key {
                Open::Known(own) => own == key,
                Open::Unknown => job.unique == what.unique,
            };
            audit!(self, "equal uniques join, others do not", alike, "{what:?} joined {job:?}");
            job.key = Open::Known(key.clone());
        }
        let lives = job.gone.is_none_or(|gone| gone > submitted.at);
        audit!(self, "what has ended is not joined", lives, "{what:?} joined {job:?}");
        // Whoever is told JOB_CREATED is there, so the job was wanted from then on.
        if job.ends & ABANDONED != 0 {
            job.ends &= !ABANDONED;
            job.wanted_again = Some(stamp);
            // What was abandoned stands where a new job would.
            if let Some(entry) = job.waiting.as_mut() {
                (entry.from, entry.hi) = (now, Some(stamp).filter(|_| !entry.fuzzy));
            }
        }
        if what.background {
            // A cancel order that came later has been answered already.
            job.background = !job.cancel_done;
            // It joined before the job died.
            let kept = job.cancel_sent.is_none() && self.functions[job.function].drops == 0;
            job.dead_surely |= job.dead_maybe && job.background && kept;
            let kept = !self.policy.store || self.ever_kept.contains(&id);
            audit!(self, "answered only when it is stored", kept, "{what:?}: {job:?}");
        } else {
            let stream = job.streams.entry(submitted.session).or_default();
            stream.open = true;
            stream.attached.push(now);
        }
        self.learn_maker(id);
        self.one_of_a_kind(id);
    }

    pub(super) fn not_created(&mut self, sub: SubId, refusal: Refusal) {
        self.open_subs.remove(&sub);
        let (at, function) = (self.subs[sub].at, self.subs[sub].what.function);
        match refusal {
            Refusal::QueueFull => {
                self.tally.queue_full += 1;
                let priority = self.subs[sub].what.priority as usize;
                let limits = self.functions[function].limits_ever.iter().map(|limits| limits[priority]);
                let limit = limits.filter(|&limit| limit > 0).min();
                let most = self.jobs_at_most(at, Some(function)).count() as u32;
                let full = limit.is_some_and(|limit| most >= limit);
                audit!(self, "maxqueue refuses what is too much", full, "{most} jobs, limit {limit:?}");
            }
            Refusal::StoreFailed => {
                self.tally.unstored += 1;
                let what = &self.subs[sub].what;
                let alone = self.refused.iter().rev().take_while(|&&(moment, ..)| moment >= at);
                let mut alone =
                    alone.filter(|(_, of, unique)| *of == what.function && *unique == what.unique);
                let refused = self.failed_at >= at || alone.next().is_some();
                let waited = self.now.instant.0 - self.subs[sub].instant.0;
                let late = u128::from(waited) >= self.policy.store_timeout.as_nanos();
                let full = self.full || self.full_at >= at;
                // A late job stays until the store has answered.
                self.unstored.insert(sub, if late { Moment::MAX } else { self.moment });
                let failed = self.subs[sub].what.background && (refused || late || full);
                let why = format_args!(
                    "it waited {waited} ns, failed at {}, full at {}",
                    self.failed_at, self.full_at
                );
                audit!(self, "refused only when the store has failed", failed, "{:?}: {why}", self.subs[sub]);
            }
            _ => {
                self.tally.queued_bytes += 1;
                let limit = self.policy.queued_bytes as usize;
                // What other shards say of their jobs may be as old as the last quiet moment, and not exact.
                let quiets = self.quiets.partition_point(|&(quiet, _)| quiet <= at);
                let since = self.quiets[quiets.saturating_sub(2)].0;
                let bytes: usize = self.jobs_at_most(since, None).map(|sub| self.cost(sub)).sum();
                let streams = self.jobs.values().flat_map(|job| job.streams.values());
                let joined: usize = streams.map(|stream| stream.attached.len()).sum();
                let bytes = bytes + ATTACHMENT_COST * joined;
                let full = limit < usize::MAX && bytes + self.cost(sub) + limit / 16 > limit;
                audit!(self, "bytes are refused when there are too many", full, "{bytes} of {limit}");
            }
        }
    }

    /// A new job was let in: there was room for it.
    fn fits_in(&self, sub: SubId) {
        let Sub { at, what, .. } = &self.subs[sub];
        let Some((limits, since)) = self.functions[what.function].limits else { return };
        let limit = limits[what.priority as usize];
        // Those that were there all the time.
        let jobs = self.alive.iter().map(|id| &self.jobs[id]).filter(|job| job.function == what.function);
        let least = jobs.filter(|job| job.surely_alive() && job.known <= *at).count() as u32;
        let fits = since > *at || limit == 0 || least < limit;
        audit!(self, "maxqueue lets in what fits", fits, "{least} jobs, limit {limit}");
    }

    fn cost(&self, sub: SubId) -> usize {
        let what = &self.subs[sub].what;
        self.names[what.function].len() + what.unique.len() + what.workload.len() + JOB_COST_MAX
    }

    /// One submission of each job that may have been there at some time since a moment.
    fn jobs_at_most(&self, since: Moment, of: Option<Function>) -> impl Iterator<Item = SubId> {
        let jobs = self.jobs.values();
        let jobs = jobs.filter(move |job| job.dead_maybe || job.gone.is_none_or(|gone| gone > since));
        let known = jobs.map(|job| job.candidates[0]);
        let unstored = self.unstored.iter().filter(move |&(_, &told)| told > since).map(|(sub, _)| sub);
        let open = self.open_subs.iter().chain(&self.orphans).chain(unstored).copied();
        known.chain(open).filter(move |&sub| of.is_none_or(|of| self.subs[sub].what.function == of))
    }

    /// The submissions that may have made the job that one of them was told of.
    fn possible_makers(&self, sub: SubId) -> Vec<SubId> {
        let Sub { key, what, .. } = &self.subs[sub];
        let mut makers = vec![sub];
        if key.is_some() {
            let others = self.open_subs.iter().chain(&self.orphans).chain(self.unstored.keys()).copied();
            let equal = |other: &SubId| {
                self.subs[*other].key == *key && self.subs[*other].what.function == what.function
            };
            makers.extend(others.filter(equal));
        }
        makers
    }

    /// A job is heard of for the first time.
    pub(super) fn first_sight(
        &mut self,
        id: JobId,
        function: Function,
        unique: Bytes,
        candidates: Vec<SubId>,
    ) {
        let haunted = self.ghosts.iter().filter(|ghost| ghost.functions & bit(function) != 0).count() as u32;
        let hi = (haunted == 0).then(|| self.stamp());
        // Before it was heard of, others may have come and gone.
        let orphan = candidates.iter().any(|sub| self.orphans.contains(sub));
        let lost_most = if orphan { u32::from(u8::MAX) } else { haunted };
        let lo = candidates.iter().map(|&sub| self.subs[sub].at).min().expect("somebody made it");
        let background_maybe = self.orphans.iter().any(|&sub| {
            let what = &self.subs[sub].what;
            what.background && what.function == function && what.unique == unique
        });
        let job = Job {
            id,
            function,
            unique,
            key: Open::Unknown,
            candidates,
            priority: None,
            due: Due::Unknown,
            known: self.moment,
            known_at: self.now.instant,
            background: false,
            background_maybe,
            waiting: Some(Entry { lo, from: self.moment, hi, fuzzy: haunted > 0 || orphan }),
            held: None,
            ends: 0,
            gone: None,
            wanted_again: None,
            ending: None,
            leaving: None,
            lost: (0, lost_most),
            runs: Vec::new(),
            streams: Default::default(),
            cancel_sent: None,
            cancel_plain: false,
            cancel_done: false,
            noted: false,
            dead_surely: false,
            dead_maybe: false,
            limited: Default::default(),
            twin: false,
            passed_over: None,
            fresh: false,
        };
        self.jobs.insert(id, job);
        self.alive.insert(id);
        self.may_be_out_of_attempts(id);
        self.may_be_abandoned(id);
        self.learn_maker(id);
        for note in self.early_notes.remove(&id).unwrap_or_default() {
            self.apply_note(id, note, lo);
        }
    }

    /// What follows from what is known of who made a job.
    pub(super) fn learn_maker(&mut self, id: JobId) {
        let job = self.jobs.get_mut(&id).expect("a known job");
        if job.priority.is_some() && job.due != Due::Unknown && job.key != Open::Unknown {
            return;
        }
        let mut makers = job.candidates.iter().map(|&sub| &self.subs[sub]);
        let first = makers.next().expect("somebody made it");
        let epoch = |sub: &Sub| sub.what.epoch.map_or(0, |seconds| seconds * 1000);
        if job.key == Open::Unknown && makers.clone().all(|sub| sub.key == first.key) {
            job.key = Open::Known(first.key.clone());
        }
        let alike = makers.clone().all(|sub| sub.what.priority == first.what.priority);
        job.priority = alike.then_some(first.what.priority);
        if makers.all(|sub| epoch(sub) == epoch(first)) {
            // What was past in all that time was not held back.
            let past = |&&(at, wall): &&(Moment, u64)| at > first.at && wall < epoch(first);
            let wall = self.walls[self.walls.partition_point(|&(at, _)| at <= first.at) - 1].1;
            let at_once = epoch(first) <= wall && self.walls.iter().filter(past).count() == 0;
            job.due = if at_once { Due::Always } else { Due::At(epoch(first), None) };
        }
    }

    /// Two jobs of one function and unique are never there at the same time.
    pub(super) fn one_of_a_kind(&mut self, id: JobId) {
        let job = &self.jobs[&id];
        let keyed = matches!(job.key, Open::Known(Some(_)));
        if !keyed || !job.surely_alive() || job.cancel_sent.is_some() || job.twin {
            return;
        }
        let twins = self.alive.iter().map(|other| &self.jobs[other]);
        for twin in twins.filter(|twin| twin.id != id && twin.function == job.function) {
            let alike =
                twin.key == job.key && twin.surely_alive() && twin.cancel_sent.is_none() && !twin.twin;
            audit!(self, "one function and unique, one job", !alike, "{twin:?} beside {job:?}");
        }
    }

    // Registering.

    pub(super) fn can_do(&mut self, session: SessionId, function: Function, timeout: u64) {
        let (most, at) = (self.policy.abilities as usize, self.moment);
        let peer = self.peers.get_mut(&session).expect("whoever registers is there");
        if peer.abilities.len() >= most {
            return self.ask(session, Asked::TooManyAbilities);
        }
        peer.learn(function, timeout, at);
        self.use_function(function);
    }

    pub(super) fn unlearn(&mut self, session: SessionId, set: u32) {
        let at = self.moment;
        let peer = self.peers.get_mut(&session).expect("whoever unregisters is there");
        let set = set & peer.functions();
        peer.unlearn(set, at);
        self.lose_jobs(session, set);
        // A grab under way may have a job already, which goes back before the worker is told that it had it.
        let grabs = self.grabs.iter().filter(|grab| grab.session == session && grab.functions & set != 0);
        for grab in grabs.copied().collect::<Vec<_>>() {
            let functions = grab.functions & set;
            self.ghosts.push(OpenGrab { functions, limited: grab.limited & set, ..grab });
            self.haunt(functions);
        }
    }

    /// A function comes into being when its name is first used.
    pub(super) fn use_function(&mut self, function: Function) {
        let model = &mut self.functions[function];
        if model.exists == Some(false) {
            (model.exists, model.used) = (Some(true), self.moment);
        }
    }

    // Leaving.

    /// The session is gone: what it asked may have been carried out or not.
    pub(super) fn left(&mut self, session: SessionId) {
        let Some(peer) = self.peers.remove(&session) else { return };
        self.disturbed = self.moment;
        // The names of its last MASS_DO may not all have been registered.
        for ability in &peer.abilities {
            let used = self.functions[ability.function].used;
            if used >= ability.at && self.quiet_after(used).is_none() {
                self.functions[ability.function].exists = None;
            }
        }
        self.tally.left += 1;
        self.tally.orphans += peer.pending.len() as u64;
        for pending in peer.pending {
            match pending.asked {
                Asked::Submit(sub) => self.orphan(sub),
                Asked::Grab { order, .. } => {
                    let functions = order.iter().fold(0, |set, &(function, _)| set | bit(function));
                    let open = self.grabs.iter().position(|g| (g.session, g.at) == (session, pending.at));
                    let ghost = self.grabs.remove(open.expect("it was not answered"));
                    self.ghosts.push(ghost);
                    self.haunt(functions);
                }
                // It comes before the news that the session is gone; only a time-out can come first.
                Asked::Work { job: Some(job), update: Some(update), verdict: Verdict::Taken, .. }
                    if !self.is_limited(job) =>
                {
                    self.work_taken(job, update);
                }
                Asked::Ask(Ask::Order(order)) => self.order_forgotten(&order),
                _ => {}
            }
        }
        let alive: Vec<JobId> = self.alive.iter().copied().collect();
        for id in alive {
            if let Some(stream) = self.jobs.get_mut(&id).and_then(|job| job.streams.get_mut(&session)) {
                stream.open = false;
                self.may_be_abandoned(id);
            }
        }
        self.lose_jobs(session, u32::MAX);
    }

    /// Whether a submission was accepted will never be told.
    fn orphan(&mut self, sub: SubId) {
        self.open_subs.remove(&sub);
        self.orphans.insert(sub);
        let Sub { what, key, .. } = &self.subs[sub];
        for id in self.alive.iter().filter(|_| what.background) {
            let job = self.jobs.get_mut(id).expect("alive");
            let joins = key.is_some() && job.function == what.function && job.unique == what.unique;
            job.background_maybe |= joins || job.candidates.contains(&sub);
        }
    }

    /// A grab of somebody who is gone may take a job of these functions and give it back.
    fn haunt(&mut self, functions: u32) {
        let now = self.moment;
        let alive: Vec<JobId> = self.alive.iter().copied().collect();
        for id in alive {
            let job = self.jobs.get_mut(&id).expect("alive");
            if functions & bit(job.function) == 0 {
                continue;
            }
            if let Some(entry) = job.waiting.as_mut() {
                (entry.from, entry.hi, entry.fuzzy) = (now, None, true);
                job.lost.1 += 1;
                job.passed_over = None;
                self.may_be_out_of_attempts(id);
            }
        }
    }

    /// If its last attempt may be lost, a job may have ended.
    pub(super) fn may_be_out_of_attempts(&mut self, id: JobId) {
        let job = self.jobs.get_mut(&id).expect("a known job");
        if self.policy.attempts.is_some_and(|most| job.lost.1 >= u32::from(most.get())) {
            job.ends |= OUT_OF_ATTEMPTS;
        }
    }

    /// A job that waits and that nobody may want can be discarded at any time; and there may be an order to end it.
    pub(super) fn may_be_abandoned(&mut self, id: JobId) {
        let job = self.jobs.get_mut(&id).expect("a known job");
        if job.waiting.is_some() && self.functions[job.function].drops > 0 {
            job.ends |= DROPPED;
            job.passed_over = None;
        }
        if job.waiting.is_some() && !job.surely_wanted() {
            job.ends |= ABANDONED;
            job.passed_over = None;
        }
        if job.waiting.is_some() && job.cancel_sent.is_some() {
            job.ends |= CANCELLED;
        }
    }
}
