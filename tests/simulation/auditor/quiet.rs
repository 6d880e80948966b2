//! What must be true when nothing is under way: everything that was sent has had its effect, and whatever is to be
//! answered is answered.
use super::job::{Due, Job, OUT_OF_ATTEMPTS};
use super::{Auditor, audit};
use ringgear_engine::JobId;

impl Auditor {
    /// Every message has been delivered. If `settled`, also nothing is due on any shard.
    pub(crate) fn quiet(&mut self, settled: bool) {
        self.moment += 1;
        self.quiets.push(self.stamp());
        self.all_is_answered();
        self.ghosts.clear();
        self.pauses_settle();
        self.functions.iter_mut().for_each(|model| model.drops = 0);
        let alive: Vec<JobId> = self.alive.iter().copied().collect();
        for id in alive {
            self.quiet_job(id, settled);
        }
        self.audit_sleep(settled);
    }

    fn all_is_answered(&mut self) {
        let sessions: Vec<_> =
            self.peers.iter().filter(|(_, peer)| !peer.pending.is_empty()).map(|(&id, _)| id).collect();
        for session in sessions {
            while let Some(pending) = self.peers.get_mut(&session).and_then(|p| p.pending.pop_front()) {
                let sound = pending.asked.may_be_silent();
                audit!(self, "no request stays without its answer", sound, "{session:?}: {pending:?}");
                self.met_with_silence(pending.asked);
            }
        }
        audit!(self, "no request stays without its answer", self.grabs.is_empty(), "{:?}", self.grabs);
        let finished = self.peers.values().all(|peer| !peer.finishing);
        audit!(self, "who sends no more is closed", finished, "somebody is still here");
    }

    fn quiet_job(&mut self, id: JobId, settled: bool) {
        let stamp = self.stamp();
        let job = self.jobs.get_mut(&id).expect("alive");
        (job.ending, job.leaving) = (None, None);
        if let Some(passed) = job.passed_over.take() {
            audit!(self, passed.rule, false, "{}", passed.text);
        }
        if job.cancel_done && job.held.is_none() {
            job.end(stamp.0);
        }
        if settled {
            if let Due::At(epoch, since @ None) = &mut job.due
                && *epoch <= self.now.epoch.0
            {
                *since = Some(stamp);
            }
            let late = job.held.as_ref().and_then(|hold| hold.limit).is_some_and(|(_, up)| up <= stamp.1);
            audit!(self, "time limits are kept", !late, "{job:?}");
        }
        self.audit_streams(id);
        let job = self.jobs.get_mut(&id).expect("alive");
        if job.surely_gone() {
            job.end(stamp.0);
            let noted = job.noted || job.ends != OUT_OF_ATTEMPTS;
            audit!(self, "the last lost attempt is noted", noted, "{job:?}");
            self.alive.remove(&id);
        }
    }

    /// What the clients of a job must have heard by now.
    fn audit_streams(&mut self, id: JobId) {
        let job = self.jobs.get_mut(&id).expect("alive");
        let fresh = std::mem::take(&mut job.fresh);
        let job = &self.jobs[&id];
        if fresh && job.cancel_sent.is_none() {
            self.audit_updates(job);
        }
        if job.surely_gone() || job.cancel_done {
            for (client, stream) in job.streams.iter().filter(|(_, stream)| stream.open) {
                let one_each = stream.finals == stream.attached.len();
                audit!(self, "one final packet each", one_each, "{client:?}: {stream:?} of {job:?}");
            }
        } else if job.surely_alive() && job.cancel_sent.is_none() {
            let told = job.streams.values().any(|stream| stream.finals > 0);
            audit!(self, "no final packet before the end", !told, "{job:?}");
        }
    }

    fn audit_updates(&self, job: &Job) {
        for (client, stream) in job.streams.iter().filter(|(_, stream)| stream.open) {
            for (run, attempt) in job.runs.iter().enumerate() {
                for (number, update) in attempt.updates.iter().enumerate() {
                    if update.taken == Some(true) {
                        let least = stream.attached.iter().filter(|&&at| at < update.at).count();
                        let heard = stream.heard.get(&(run, number)).copied().unwrap_or(0);
                        let enough = heard >= least;
                        audit!(self, "no update is lost", enough, "{client:?} misses {update:?} of {job:?}");
                    }
                }
            }
        }
    }

    /// The wall clock was set back: what was due may no longer be.
    pub(super) fn clock_set_back(&mut self, wall: u64) {
        for id in &self.alive {
            let job = self.jobs.get_mut(id).expect("alive");
            if let Due::At(epoch, since) = &mut job.due
                && *epoch > wall
            {
                *since = None;
            }
        }
    }

    // The end of a world.

    /// Whether jobs are left that a worker could have had.
    pub(crate) fn jobs_left(&self) -> usize {
        self.alive.len()
    }

    /// Jobs that may be timed out though no worker holds them, as far as can be seen: a grab is under way, or the
    /// news that the worker left.
    pub(crate) fn slow_grabs(&self) -> usize {
        let leaving = self.alive.iter().filter(|id| self.jobs[id].leaving.is_some()).count();
        leaving + self.grabs.iter().chain(&self.ghosts).filter(|grab| grab.limited != 0).count()
    }

    /// Nothing is due and everybody sleeps: nobody waits for the jobs that are left.
    pub(crate) fn all_may_sleep(&self) {
        for id in &self.alive {
            let job = &self.jobs[id];
            audit!(self, "no wake-up is ever lost", !job.surely_wanted() || job.ends != 0, "{job:?}");
        }
    }

    /// All workers were there, honest, and had all the time: no job is left over, and each client has heard the end.
    pub(crate) fn all_is_done(&self) {
        for id in &self.alive {
            let job = &self.jobs[id];
            let done = !job.surely_wanted() || job.ends != 0;
            audit!(self, "every accepted job ends", done, "{job:?}");
        }
        for sub in
            self.subs.iter().filter(|sub| !sub.what.background && self.peers.contains_key(&sub.session))
        {
            let Some(id) = sub.job else { continue };
            let stream = &self.jobs[&id].streams[&sub.session];
            let one_each = stream.finals == stream.attached.len();
            audit!(self, "one final packet each", one_each, "{:?}: {stream:?}", sub.session);
        }
    }
}
