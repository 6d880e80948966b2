//! The chapter on stores: what is promised of background jobs when the power goes, when the store fails, and when all
//! attempts are used up.
use super::job::{ABANDONED, CANCELLED, DROPPED, Due, Entry, FINAL, Job, Moment, OUT_OF_ATTEMPTS};
use super::peer::Asked;
use super::{Auditor, FunctionModel, Tally, audit};
use crate::kept::Kept;
use crate::store::Remains;
use bytes::Bytes;
use ringgear_engine::JobId;
use ringgear_engine::report::DeadRow;
use std::collections::BTreeSet;

/// The most shards of a world; a start may change how many there are.
const SHARDS_MAX: u32 = 7;

impl Auditor {
    /// The store has these jobs now.
    pub(crate) fn kept(&mut self, jobs: &[JobId]) {
        self.ever_kept.extend(jobs);
    }

    /// A shard is told what became of a batch, or that a put alone was refused.
    pub(crate) fn store_answers(&mut self, kept: bool, alone: Option<&Kept>) {
        self.step(None);
        match alone {
            Some(job) => {
                let function = self.function(&job.function).expect("one of ours");
                self.refused.push((self.moment, function, Bytes::copy_from_slice(&job.unique)));
            }
            None if !kept => self.failed_at = self.moment,
            None => {}
        }
    }

    /// Whether too much waits for the store, on some shard.
    pub(crate) fn store_full(&mut self, full: bool) {
        self.step(None);
        self.full_at = self.moment;
        self.full = full;
    }

    /// What the observer asks next need not be told exactly.
    pub(crate) fn not_exactly(&mut self) {
        self.step(None);
    }

    /// The store hangs, every message has been delivered and every shard knows the time.
    pub(crate) fn only_the_store_is_awaited(&mut self) {
        let now = self.now.instant;
        for (session, peer) in &self.peers {
            let first = peer.pending.iter().find(|pending| !pending.asked.may_be_silent());
            let Some(first) = first else { continue };
            let waits = match first.asked {
                // Since it has surely arrived.
                Asked::Submit(sub) => {
                    let since = *self.storing.entry(sub).or_insert(now);
                    since.after(self.policy.store_timeout) > now
                }
                _ => false,
            };
            audit!(self, "while the store hangs, everything else goes on", waits, "{session:?}: {first:?}");
        }
    }

    /// The largest sequence of a job that anybody has heard of.
    pub(crate) fn sequence(&self) -> u64 {
        self.jobs.keys().map(|id| id.sequence()).max().unwrap_or(0)
    }

    // Crashes.

    /// The power went. This is what the next start finds.
    pub(crate) fn restarted(&mut self, shards: u16, remains: &Remains) {
        self.step(None);
        self.shards = shards;
        let kept: BTreeSet<JobId> = remains.jobs.iter().map(|job| job.id).collect();
        audit!(self, "a job is kept once", kept.len() == remains.jobs.len(), "{remains:?}");
        for (id, job) in &self.jobs {
            if job.must_be_kept() {
                audit!(self, "no acknowledged job is lost in a crash", kept.contains(id), "{job:?}");
            }
        }
        for (id, job) in self.jobs.iter().filter(|(id, _)| kept.contains(id)) {
            let over = job.gone.is_some() && !job.dead_maybe;
            // Jobs end one by one, and the answer that their function is dropped does not wait for them.
            let dropped = job.ends & DROPPED != 0;
            let excused = !over || dropped || remains.undone.contains(id);
            audit!(self, "only what had just ended runs again", excused, "{job:?}");
        }
        let sessions: Vec<_> = self.peers.keys().copied().collect();
        sessions.into_iter().for_each(|session| self.left(session));
        self.forget_everybody();
        for job in &remains.jobs {
            self.moment += 1;
            self.revive(job);
        }
        let now = self.moment;
        for (_, job) in self.jobs.iter_mut().filter(|(id, _)| !kept.contains(id)) {
            job.end(now);
            job.ends |= FINAL;
            (job.dead_surely, job.dead_maybe) = (false, false);
        }
        self.alive.retain(|id| kept.contains(id));
        self.mark_twins();
        self.orphans.clear();
        self.unstored.clear();
        self.jobs_before = self.jobs.len();
        self.started = now;
        for function in 0..self.names.len() {
            let used = remains.jobs.iter().any(|job| job.function == self.names[function]);
            self.functions[function] =
                FunctionModel { exists: Some(used), used: now, ..FunctionModel::fresh(now) };
        }
        (self.grabbed, self.disturbed, self.changed) = (now, now, now);
        self.quiets.push(self.stamp());
    }

    /// What was known of those who were there.
    fn forget_everybody(&mut self) {
        self.grabs.clear();
        self.ghosts.clear();
        self.early_notes.clear();
        self.dropped.clear();
        self.sleepers.clear();
        self.woken.clear();
        self.payloads.clear();
        self.tally = Tally::default();
        self.odd_cancels = 0;
        self.observer = None;
    }

    /// A job that the store had lives again, or is dead as it was.
    fn revive(&mut self, kept: &Kept) {
        let id = kept.id;
        let known = self.jobs.get(&id).map(|job| job.candidates.clone());
        let unanswered = || (0..self.subs.len()).filter(|&sub| self.subs[sub].job.is_none()).collect();
        let makers: Vec<usize> = known
            .unwrap_or_else(unanswered)
            .into_iter()
            .filter(|&sub| self.is_as_submitted(sub, kept))
            .collect();
        audit!(self, "what is kept was submitted, word for word", !makers.is_empty(), "{kept:?}");
        if !self.jobs.contains_key(&id) {
            let what = &self.subs[makers[0]].what;
            self.first_sight(id, what.function, what.unique.clone(), makers.clone());
        }
        let (now, stamp, wall) = (self.moment, self.stamp(), self.now.epoch.0);
        let job = self.jobs.get_mut(&id).expect("just seen");
        job.candidates = makers;
        job.live_again(now, stamp, u32::from(kept.attempts));
        job.due = match kept.epoch {
            Some(epoch) if epoch.0 > wall => Due::At(epoch.0, None),
            _ => Due::Always,
        };
        job.priority = Some(kept.priority);
        (job.known, job.known_at) = stamp;
        job.background = true;
        self.ever_kept.insert(id);
        self.alive.insert(id);
        if kept.death.is_some() {
            self.alive.remove(&id);
            let job = self.jobs.get_mut(&id).expect("just seen");
            job.end(now);
            job.ends = OUT_OF_ATTEMPTS;
            (job.noted, job.dead_surely, job.dead_maybe) = (true, true, true);
        }
        self.learn_maker(id);
    }

    /// Whether a kept job is what a submission asked for.
    fn is_as_submitted(&self, sub: usize, kept: &Kept) -> bool {
        let sub = &self.subs[sub];
        let what = &sub.what;
        let asked = what.epoch.map(|seconds| seconds * 1000);
        // What was due when it was accepted needs no time.
        let since = self.walls.partition_point(|&(at, _)| at <= sub.at) - 1;
        let walls = || self.walls[since..].iter().map(|&(_, wall)| wall);
        let latest = walls().max().expect("at least one");
        let earliest = walls().min().expect("at least one");
        // The engine takes what is less for no news of the clock.
        let about = earliest.saturating_sub(100)..=latest.saturating_add(100);
        let dated = kept.accepted.is_some_and(|accepted| about.contains(&accepted.0));
        let in_time = match kept.epoch {
            Some(epoch) => asked == Some(epoch.0),
            None => asked.is_none_or(|asked| asked <= latest),
        };
        self.names[what.function] == kept.function
            && what.unique == kept.unique
            && what.workload == kept.workload
            && what.reducer.as_deref() == kept.reducer.as_deref()
            && what.priority == kept.priority
            && in_time
            && dated
    }

    /// Jobs with the same unique that have both come back: neither may be lost.
    fn mark_twins(&mut self) {
        let key = |job: &Job| (job.function, format!("{:?}", job.key));
        let mut seen = BTreeSet::new();
        let keys: Vec<_> = self.alive.iter().map(|id| key(&self.jobs[id])).collect();
        let double: BTreeSet<_> = keys.into_iter().filter(|key| !seen.insert(key.clone())).collect();
        for id in &self.alive {
            let job = self.jobs.get_mut(id).expect("alive");
            job.twin |= double.contains(&key(job));
        }
    }

    // Dead jobs.

    /// The log says that a dead job was dropped for want of room.
    pub(super) fn dead_dropped(&mut self, id: JobId) {
        self.dropped.insert(id);
        // The one that is dropped is among them, and the one that takes its place.
        let most = self.policy.dead_jobs;
        let dead = self.jobs.values().filter(|job| job.dead_maybe).count() as u32;
        let early = self.early_notes.len() as u32;
        let full = dead + early >= most || self.policy.dead_bytes < 1 << 30;
        audit!(self, "dead jobs are dropped when there are too many", full, "{id:?}: {dead} of {most}");
        self.no_longer_dead(id);
    }

    pub(super) fn no_longer_dead(&mut self, id: JobId) {
        let now = self.moment;
        if let Some(job) = self.jobs.get_mut(&id).filter(|job| job.dead_maybe) {
            (job.dead_surely, job.dead_maybe, job.gone) = (false, false, Some(now));
        }
    }

    /// The answer to `show dead jobs`.
    pub(super) fn dead_rows(&mut self, rows: &[DeadRow], exact: bool) {
        let sorted = rows.is_sorted_by(|one, next| one.job.number() < next.job.number());
        audit!(self, "dead jobs are sorted, each is there once", sorted, "{rows:?}");
        if !exact {
            return;
        }
        // Those that die at once on several shards may all find the same room.
        let most = self.policy.dead_jobs.saturating_mul(SHARDS_MAX);
        audit!(
            self,
            "only so many dead jobs are kept",
            rows.len() as u32 <= most,
            "{} of {most}",
            rows.len()
        );
        rows.iter().for_each(|row| self.dead_row(row));
        let listed: BTreeSet<JobId> = rows.iter().map(|row| row.job).collect();
        let doubtful: Vec<JobId> =
            self.jobs.iter().filter(|(_, job)| job.dead_maybe).map(|(&id, _)| id).collect();
        for id in doubtful.into_iter().filter(|id| !listed.contains(id)) {
            let job = &self.jobs[&id];
            audit!(self, "a job out of attempts is kept", !job.dead_surely, "{job:?}");
            self.no_longer_dead(id);
        }
    }

    fn dead_row(&mut self, row: &DeadRow) {
        let id = row.job;
        if !self.jobs.contains_key(&id) {
            self.first_sight_of_orphan(id, &row.unique, row);
        }
        let localhost = self.peers.values().next().map(|peer| peer.address);
        let job = &self.jobs[&id];
        let died = job.noted && job.gone.is_some() && self.names[job.function] == row.function;
        audit!(self, "the dead are those that were out of attempts", died, "{row:?}, but {job:?}");
        let told = job.unique == row.unique && localhost.is_none_or(|address| address == row.address);
        audit!(self, "what is told of the dead is true", told, "{row:?}, but {job:?}");
        let spent = self.policy.attempts.is_some_and(|most| row.attempts == most.get());
        audit!(self, "the dead have used their attempts", spent, "{row:?}");
        let job = self.jobs.get_mut(&id).expect("just seen");
        (job.dead_surely, job.dead_maybe) = (true, true);
    }

    /// A dead job was put back, or there was none. Only the observer orders that, when nothing is under way.
    pub(super) fn retried(&mut self, handle: &[u8], done: bool) {
        let id = self.policy.handle_prefix.parse(handle).filter(|id| self.jobs.contains_key(id));
        let dead = id.is_some_and(|id| self.jobs[&id].dead_surely);
        audit!(self, "what is dead can be put back, and nothing else", dead == done, "{handle:?}: {done}");
        let Some(id) = id.filter(|_| done) else { return };
        (self.changed, self.disturbed) = (self.moment, self.moment);
        let (now, stamp) = (self.moment, self.stamp());
        let job = self.jobs.get_mut(&id).expect("known");
        job.live_again(now, stamp, 0);
        job.due = Due::Always;
        // Only background jobs are kept when they die.
        (job.known, job.twin, job.background) = (now, true, true);
        self.alive.insert(id);
    }
}

impl Job {
    /// Somebody was told that the job is kept, and it cannot have ended.
    fn must_be_kept(&self) -> bool {
        let over = self.ends & (FINAL | CANCELLED | ABANDONED | DROPPED) != 0 || self.cancel_sent.is_some();
        let lives = self.gone.is_none() && self.background && !over;
        lives || self.dead_surely
    }

    /// It stands in its queue, and nobody has been told anything of it.
    fn live_again(&mut self, now: Moment, stamp: super::job::Stamp, lost: u32) {
        self.waiting = Some(Entry { lo: now, from: now, hi: Some(stamp), fuzzy: false });
        (self.held, self.ending, self.leaving, self.passed_over) = (None, None, None, None);
        (self.ends, self.gone, self.wanted_again, self.lost) = (0, None, None, (lost, lost));
        (self.cancel_sent, self.cancel_plain, self.cancel_done) = (None, false, false);
        (self.noted, self.dead_surely, self.dead_maybe) = (false, false, false);
        (self.background_maybe, self.fresh) = (false, false);
        for stream in self.streams.values_mut() {
            *stream = super::job::Stream::default();
        }
        self.runs.clear();
    }
}
