//! Pausing a function and resuming it. A paused function takes jobs in, but gives none out and wakes nobody; what runs goes on. That
//! nothing of it is ready is all that others see of it.
use super::Functions;
use super::index::FunctionIx;
use super::timers::CLOCK_CHECK;
use crate::event::Note;
use crate::outbox::Outbox;
use crate::policy::Planted;
use crate::report::{Pause, Report};
use crate::time::Instant;
use bytes::Bytes;
use core::time::Duration;
use ringgear_protocol::{Priority, Refusal};

impl Functions {
    pub(super) fn pause_function(&mut self, name: &Bytes, pause: &Pause) -> Report {
        if self.functions.pauses.add(name, pause.clone()).is_err() {
            return Report::NotCreated(Refusal::TooManyFunctions);
        }
        if let Some(ix) = self.functions.find(name) {
            self.set_paused(ix, true);
        }
        Report::Done
    }

    /// Nothing is reported where the function was not paused.
    pub(super) fn resume_function(&mut self, name: &[u8]) -> Report {
        if self.functions.pauses.remove(name).is_none() {
            return Report::Unchanged;
        }
        if let Some(ix) = self.functions.find(name) {
            self.set_paused(ix, false);
            if self.open(ix) != 0 && !self.policy.plants(Planted::ForgetsResumed) {
                // Nobody was woken for what has come meanwhile.
                self.wake_all(ix);
            }
        }
        Report::Done
    }

    fn set_paused(&mut self, ix: FunctionIx, paused: bool) {
        self.functions.get_mut(ix).paused = paused && !self.policy.plants(Planted::GivesWhilePaused);
        for priority in Priority::ALL {
            self.functions.note_ready(ix, priority);
        }
    }

    /// When the next pause ends, at the latest.
    pub(super) fn next_resume(&self) -> Option<Instant> {
        let until = self.functions.pauses.next_end()?;
        let wait = Duration::from_millis(until.0.saturating_sub(self.now.epoch.0));
        Some(self.now.instant.after(wait.min(CLOCK_CHECK)))
    }

    /// Pauses whose time is over end. There are few.
    #[cold]
    pub(super) fn end_pauses(&mut self, out: &mut Outbox) {
        while let Some(function) = self.functions.pauses.ended(self.now.epoch) {
            self.resume_function(&function);
            out.note(Note::PauseEnded { function });
        }
    }

    /// Asserts that exactly what is to be paused is.
    pub(super) fn check_pauses(&self) {
        for (ix, function) in self.functions.iter().filter(|(_, function)| !function.dropped) {
            let planted = self.policy.plants(Planted::GivesWhilePaused);
            let wanted = self.functions.pauses.get(&function.name).is_some();
            assert!(planted || function.paused == wanted);
            assert!(!function.paused || self.functions.ready(ix) == 0);
        }
    }
}
