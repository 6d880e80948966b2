//! The chapter on sleeping and waking: a wake may be spurious, never lost.
use super::job::{Due, Job, Moment, Stamp};
use super::peer::{Peer, bit};
use super::{Auditor, audit};
use ringgear_engine::{SessionId, Wakeup};

impl Auditor {
    pub(super) fn noop(&mut self, session: SessionId) {
        let peer = self.peers.get_mut(&session).expect("whoever is woken is there");
        let asked = peer.naps.pop_front().is_some();
        audit!(self, "NOOP only for PRE_SLEEP, and once", asked, "{session:?} is woken");
        (peer.nap, peer.coming) = (None, peer.functions());
        peer.drowsy = !peer.naps.is_empty() && !peer.pending.is_empty();
        self.tally.noops += 1;
        self.woken.push(peer.functions());
    }

    /// Nothing is under way. If `settled`, nothing is due either.
    pub(super) fn audit_sleep(&mut self, settled: bool) {
        let ready: Vec<(&Job, Stamp)> = self
            .alive
            .iter()
            .filter_map(|id| Some((&self.jobs[id], self.ready_since(&self.jobs[id])?)))
            .collect();
        for &(job, since) in &ready {
            for (session, peer) in &self.peers {
                self.audit_sleeper(job, since, *session, peer, settled);
            }
        }
        self.audit_wakes(&ready);
        // Who has been woken and has not said PRE_SLEEP again is not woken again.
        for peer in self.peers.values_mut().filter(|peer| peer.nap.is_none() && !peer.drowsy) {
            peer.naps.clear();
        }
        self.woken.clear();
        let sleepers = self.peers.iter().filter_map(|(&id, peer)| Some((id, peer.nap?, peer.functions())));
        self.sleepers = sleepers.collect();
    }

    /// One job that is ready, beside one worker.
    fn audit_sleeper(&self, job: &Job, since: Stamp, session: SessionId, peer: &Peer, settled: bool) {
        let Some((nap, known)) = peer.nap.zip(peer.ability(job.function).map(|ability| ability.at)) else {
            return;
        };
        let entered = job.waiting.as_ref().expect("it is ready").lo;
        let seen = since.0 < nap && known < nap;
        audit!(
            self,
            "PRE_SLEEP beside a job is answered NOOP",
            !seen,
            "{session:?} sleeps since {nap}: {job:?}"
        );
        // Who registers while asleep is woken for later jobs only, as with gearmand.
        let early = known < nap || self.quiet_after(known).is_some_and(|(quiet, _)| quiet < entered);
        let woken = match self.policy.wakeup {
            Wakeup::All => early,
            Wakeup::Paced => {
                // Patience begins again with somebody who wants an abandoned job.
                let from = job.wanted_again.map_or(since.1, |(_, again)| again.max(since.1));
                let patient_until = from.after(self.policy.wake_patience);
                settled && early && patient_until <= self.now.instant
            }
            // Whoever was woken and takes something else is replaced.
            Wakeup::AtMost(_) => {
                early && !self.peers.values().any(|peer| peer.coming & bit(job.function) != 0)
            }
        };
        audit!(self, "nobody sleeps beside a job", !woken, "{session:?} sleeps since {nap}: {job:?}");
    }

    /// Each job that entered a queue since all was last quiet, and is still there, woke as many as the policy says of
    /// those who slept then.
    fn audit_wakes(&self, ready: &[(&Job, Stamp)]) {
        let before = self.quiets[self.quiets.len().saturating_sub(2)].0;
        let per_job = match self.policy.wakeup {
            Wakeup::All => usize::MAX,
            Wakeup::AtMost(most) => usize::from(most.get()),
            Wakeup::Paced => 1,
        };
        for function in 0..self.names.len() {
            let entered = ready.iter().filter(|(job, since)| {
                // When exactly the time of an epoch job came cannot be seen.
                // Where a pause has ended by itself, sleepers were woken when it did, which cannot be seen.
                let queued = self.queued_since(job).is_some_and(|(queued, _)| queued > before);
                job.function == function
                    && since.0 > before
                    && (queued || self.is_woken_since(before, function))
                    && job.due == Due::Always
                    && !job.waiting.as_ref().is_some_and(|entry| entry.fuzzy)
            });
            let count = entered.count();
            if count == 0 {
                continue;
            }
            let slept = self.sleepers.iter().filter(|&&(id, nap, set)| self.slept_on(id, nap, set, function));
            let woken = self.woken.iter().filter(|&&set| set & bit(function) != 0).count();
            let candidates = slept.count() + woken;
            let least = per_job.saturating_mul(count).min(candidates);
            let name = &self.names[function];
            audit!(
                self,
                "a job that is queued wakes sleepers",
                woken >= least,
                "{count} jobs of {name:?} entered since {before}: {woken} of {candidates} sleepers were woken"
            );
        }
    }

    /// Whether a session slept beside a function before and still does.
    fn slept_on(&self, session: SessionId, nap: Moment, functions: u32, function: usize) -> bool {
        functions & bit(function) != 0
            && self.peers.get(&session).is_some_and(|peer| {
                let kept = peer.ability(function).is_some() && !peer.unlearned_since(function, nap);
                peer.nap == Some(nap) && kept
            })
    }
}
