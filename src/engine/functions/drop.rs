//! `drop function`: a function that no worker knows and of which no job runs goes, and all its jobs with it. It is hidden at once:
//! a submission with its name makes a new one. Its jobs end one by one, which is a chore; until then nobody is told
//! of them.
use super::Functions;
use super::chores::{Chore, Ending};
use super::index::JobIx;
use crate::event::Note;
use crate::message::Work;
use crate::outbox::Outbox;
use crate::persist::StoreSeq;
use crate::policy::Planted;
use crate::report::{DropRow, Report};
use alloc::vec::Vec;

impl Functions {
    /// Drops the function of this name, unless it is in use; then the operator is told by how many.
    pub(super) fn drop_function(&mut self, name: &[u8], out: &mut Outbox) -> Report {
        let Some(ix) = self.functions.find(name) else { return Report::Dropped(Vec::new()) };
        let function = self.functions.get(ix);
        let (workers, running) = (function.workers, function.running);
        let row = DropRow { function: function.name.clone(), dropped: !function.in_use() };
        if !row.dropped {
            out.note(Note::FunctionKept { function: row.function.clone(), workers, running });
        } else {
            self.not_stale(ix);
            self.functions.hide(ix);
            self.chores.push(Chore::EndFunction(Ending {
                function: ix,
                next: StoreSeq(0),
                queued: 0,
                scheduled: 0,
                dead: 0,
            }));
        }
        Report::Dropped([row].into())
    }

    /// Whether the function of a job was dropped: nobody is told of the job any more.
    #[inline]
    pub(super) fn is_hidden(&self, ix: JobIx) -> bool {
        self.functions.get(self.jobs.get(ix).function).dropped
    }

    /// One job of a function that was dropped ends.
    pub(super) fn end_one(&mut self, mut ending: Ending, out: &mut Outbox) -> Option<Chore> {
        let function = self.functions.get(ending.function);
        let queues = function.withheld.iter().chain(&function.queues).chain([&function.abandoned]);
        let job = if let Some(job) = queues.filter_map(|queue| queue.head()).next() {
            ending.queued += 1;
            job
        } else if let Some(job) = function.scheduled.head().filter(|_| !self.forgets_scheduled()) {
            ending.scheduled += 1;
            job
        } else if let Some(&id) = function.dead.first() {
            ending.dead += 1;
            self.jobs.find(id).expect("a dead job exists")
        } else if function.total() > 0 && !self.forgets_scheduled() {
            let asked = self.puts.next_asked(ending.next);
            let (seq, id) = asked.expect("what is neither queued nor scheduled waits for the store");
            ending.next = StoreSeq(seq.0 + 1);
            let found = self.jobs.find(id).filter(|&ix| self.jobs.get(ix).function == ending.function);
            let Some(job) = found else { return Some(Chore::EndFunction(ending)) };
            ending.queued += 1;
            job
        } else {
            self.end_of(ending, out);
            return None;
        };
        if !self.jobs.get(job).is_dead() {
            out.counters.jobs_dropped += 1;
        }
        self.tell_clients(job, Work::Fail, None, out);
        self.end(job, out);
        Some(Chore::EndFunction(ending))
    }

    fn forgets_scheduled(&self) -> bool {
        self.policy.plants(Planted::ForgetsScheduled)
    }

    /// A function that was dropped has no jobs any more.
    fn end_of(&mut self, ending: Ending, out: &mut Outbox) {
        let Ending { function, queued, scheduled, dead, .. } = ending;
        let name = self.functions.get(function).name.clone();
        if !self.forgets_scheduled() || self.functions.get(function).total() == 0 {
            self.functions.drop(function);
        }
        if queued + scheduled + dead > 0 {
            let note = Note::FunctionDropped { function: name, queued, scheduled, dead };
            out.note(note);
        }
    }
}
