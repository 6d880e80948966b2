//! Which job became what, told from the load thread that saw it to the one that keeps the client's ledger: each ledger is kept by one
//! thread, so that none waits for another. Batches travel once a round. What a ledger is stands in `job/check.rs`.
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::job::check::Tally;
use crate::plan::cast::Cast;
use crate::run::stage::{Counts, lock};

/// What happened to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A worker got it; in plans that reconnect, a worker has done it.
    Delivered,
    /// JOB_CREATED came for it, in plans that reconnect.
    Acknowledged,
}

/// A job by its client connection and number, and what happened to it.
type Mark = (u32, u64, Event);

/// The marks of one load thread.
#[derive(Debug)]
pub(crate) struct Marks {
    thread: usize,
    /// By the thread that keeps the ledger.
    made: Vec<Vec<Mark>>,
    out: Vec<Sender<Vec<Mark>>>,
    come: Receiver<Vec<Mark>>,
}

/// Marks for so many threads that tell each other.
pub(crate) fn marks(threads: usize) -> Vec<Marks> {
    let (out, come): (Vec<_>, Vec<_>) = (0..threads).map(|_| channel()).unzip();
    let each = come.into_iter().enumerate();
    each.map(|(thread, come)| Marks { thread, made: vec![vec![]; threads], out: out.clone(), come }).collect()
}

impl Marks {
    /// Notes that something happened to a job.
    #[inline]
    pub(crate) fn note(&mut self, conn: u32, seq: u64, event: Event) {
        let keeper = conn as usize % self.made.len();
        self.made[keeper].push((conn, seq, event));
    }

    /// Enters what belongs here, and sends the rest to where it does.
    pub(crate) fn exchange(&mut self, cast: &Cast, counts: &mut Counts, tally: &mut Tally) {
        for (keeper, made) in self.made.iter_mut().enumerate() {
            if made.is_empty() {
                continue;
            }
            if keeper == self.thread {
                enter(made, cast, counts, tally);
                made.clear();
            } else {
                // A thread that is over left its end to the conductor.
                let _ = self.out[keeper].send(std::mem::take(made));
            }
        }
        self.take(cast, counts, tally);
    }

    /// Enters what others sent.
    pub(crate) fn take(&mut self, cast: &Cast, counts: &mut Counts, tally: &mut Tally) {
        while let Ok(marks) = self.come.try_recv() {
            enter(&marks, cast, counts, tally);
        }
    }
}

/// The locks are never waited for: each is the keeper's alone while a phase goes on.
fn enter(marks: &[Mark], cast: &Cast, counts: &mut Counts, tally: &mut Tally) {
    for &(conn, seq, event) in marks {
        let background = cast.groups[cast.clients[conn as usize].group as usize].plan.background;
        let mut fate = lock(&cast.fates[conn as usize]);
        match event {
            Event::Delivered if fate.delivered.mark(seq) => {
                counts.delivered += 1;
                // Where answers can get lost, those count of which we know that the job server accepted them.
                let counts_too = background && (!cast.ledger || fate.acknowledged.has(seq));
                counts.delivered_background += u64::from(counts_too);
            }
            Event::Delivered if cast.ledger => tally.repeated += 1,
            Event::Delivered => tally.doubled += 1,
            Event::Acknowledged => {
                fate.acknowledged.mark(seq);
                // A worker may have been faster.
                counts.delivered_background += u64::from(fate.delivered.has(seq));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ledger_is_kept_by_one_thread_and_every_job_is_entered_once() {
        let plan = "name = 'x'\nabout = 'x.'\n[[phases]]\nname = 'x'\n[[phases.clients]]\ncount = 5\nclosed = 1\njobs = 10\n\
                    background = true\n";
        let cast = Cast::new(&toml::from_str(plan).unwrap(), 1);
        let mut threads = marks(3);
        let mut sums = vec![(Counts::default(), Tally::default()); 3];
        for (thread, marks) in threads.iter_mut().enumerate() {
            for conn in 0..5 {
                marks.note(conn, thread as u64, Event::Delivered);
            }
        }
        // Given out twice, to workers of two threads.
        threads[1].note(4, 0, Event::Delivered);
        for _ in 0..2 {
            for (marks, (counts, tally)) in threads.iter_mut().zip(&mut sums) {
                marks.exchange(&cast, counts, tally);
            }
        }
        let delivered: Vec<u64> = sums.iter().map(|(counts, _)| counts.delivered).collect();
        assert_eq!(delivered, [6, 6, 3], "connections 0 and 3, 1 and 4, 2");
        let doubled: Vec<u64> = sums.iter().map(|(_, tally)| tally.doubled).collect();
        assert_eq!(doubled, [0, 1, 0]);
        assert!(sums.iter().all(|(counts, _)| counts.delivered == counts.delivered_background));
    }
}
