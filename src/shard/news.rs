//! News from the thread of the store: what it has kept or refused, what it cannot read any more, and at the start the jobs that
//! it has. What goes to it is `commit.rs`.
use super::Shard;
use super::commit::{Commit, Told};
use crate::engine::{Event, Input, JobId, NotRestored};
use crate::log_at;
use crate::logging::Level;
use crate::store::channel::{Errand, Piece};
use crate::store::replay;

/// Pieces of what the store has answered of which the engine is told in one round: a thousand or two puts.
const TOLD_PER_ROUND: usize = 8;

impl Shard {
    /// Tells the engine what the store has kept or refused, and hands it jobs that were kept before. True if there was
    /// something.
    pub(super) fn hear_store(&mut self) -> bool {
        if self.pump.restoring && self.restore() {
            return true;
        }
        let mut heard = false;
        for _ in 0..TOLD_PER_ROUND {
            let Some(told) = self.pump.commit.as_mut().and_then(Commit::tell) else { break };
            heard = true;
            let input = match told {
                Told::Commit => Input::Count(Event::Commit),
                Told::Kept(upto) => Input::Stored(upto),
                Told::Refused(upto) => Input::StoreFailed(upto),
            };
            self.pump.feed(&mut self.table, input);
        }
        while let Some(errand) = self.pump.commit.as_ref().and_then(|commit| commit.desk().errand(self.id)) {
            heard = true;
            self.do_errand(errand);
        }
        heard
    }

    #[cold]
    fn do_errand(&mut self, errand: Errand) {
        let input = match &errand {
            Errand::PutAgain(jobs) => Input::PutAgain(jobs),
            Errand::Repaired => Input::Count(Event::StoreRepaired),
            Errand::Lost(job) => {
                let handle = self.handle(*job);
                log_at!(Level::Alert, "a stored job is lost, which the store cannot read any more: {handle}");
                Input::Count(Event::StoredJobLost)
            }
        };
        self.pump.feed(&mut self.table, input);
    }

    fn handle(&self, job: JobId) -> String {
        String::from_utf8_lossy(&self.pump.handle_prefix.handle(job)).into_owned()
    }

    /// Takes one piece of the jobs that were kept. Once every shard has all of its own, requests are welcome.
    fn restore(&mut self) -> bool {
        let Some(commit) = &self.pump.commit else { return false };
        let (engine, now) = (&mut self.pump.engine, self.pump.now);
        match commit.desk().piece(self.id) {
            Some(Piece::Records(records)) => {
                let mut aside = Vec::new();
                for job in replay::jobs_in(&records) {
                    if let Err(why) = engine.restore(now, &job) {
                        aside.push((job.id, why));
                    }
                }
                self.pump.feed(&mut self.table, Input::Tick);
                aside.into_iter().for_each(|(id, why)| self.set_aside(id, why));
            }
            Some(Piece::SetAside(id, why)) => {
                engine.keep_clear_of(id);
                self.set_aside(id, why);
            }
            Some(Piece::End { sequence }) => {
                engine.sequence_at_least(sequence);
                self.shared.restored();
            }
            None if self.shared.all_restored() => {
                self.pump.restoring = false;
                let waiting = std::mem::take(&mut self.table.waiting);
                for token in waiting {
                    if let Some(connection) = self.table.get(token) {
                        connection.paused = false;
                        self.table.resumed.push(token);
                    }
                }
            }
            None => return false,
        }
        true
    }

    /// A job of the store cannot be one of ours. It stays there, for somebody to look at, and is no reason not to start.
    #[cold]
    fn set_aside(&mut self, id: JobId, why: NotRestored) {
        let handle = self.handle(id);
        log_at!(Level::Alert, "a stored job is set aside, kept and not run: {handle}: {why}");
        self.pump.feed(&mut self.table, Input::Count(Event::SetAside));
    }
}
