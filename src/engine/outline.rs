//! What is to be said of very many functions together: sums over those that are meant, and of these the few that rank first. What is asked
//! for, what is answered, and how functions are ranked; who looks at them is `functions/outline.rs`.
//!
//! One step of one owner looks at so many functions and says where it stopped; whoever wants more asks for the next, and says
//! what would now have to rank higher than what he has found. So of a hundred thousand functions a few hundred rows travel. Owners are
//! asked one after the other: their sums are of what they have looked at, which is not cut where a list of all is.
use crate::facts::FunctionNumbers;
use crate::slot::ShardId;
use crate::stats::FunctionStats;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

/// Bytes of a part of a name that can be looked for.
pub const NEEDLE_MAX: usize = 200;

/// What is seen of a function at a glance: all that it takes to sum it up and to rank it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FunctionGlance {
    /// As in [`FunctionNumbers`].
    pub queued: [u32; 3],
    /// The same.
    pub scheduled: u32,
    /// The same.
    pub abandoned: u32,
    /// The same.
    pub storing: u32,
    /// The same.
    pub running: u32,
    /// The same.
    pub dead: u32,
    /// The same.
    pub workers: u32,
    /// The same.
    pub oldest_ms: Option<u64>,
    /// Whether an operator has paused it.
    pub paused: bool,
}

impl FunctionGlance {
    /// Jobs that do not run, as gearmand counts them: those that wait for something else than a worker, too.
    pub fn waiting(&self) -> u64 {
        let aside = [self.scheduled, self.storing, self.abandoned];
        self.queued.iter().copied().chain(aside).map(u64::from).sum()
    }

    /// Whether it has jobs and no workers.
    pub fn is_unattended(&self) -> bool {
        self.workers == 0 && self.waiting() > 0
    }

    /// How much it is worth a look: something is wrong, somebody waits, somebody works; and of equals the oldest.
    fn worth(&self) -> [u64; 2] {
        let queued = self.queued.iter().any(|&jobs| jobs > 0);
        let weight = match () {
            () if queued && self.workers == 0 => 5,
            () if queued => 4,
            () if self.dead > 0 => 3,
            () if self.waiting() > 0 => 2,
            () if self.running > 0 => 1,
            () => 0,
        };
        [weight, self.oldest_ms.unwrap_or(0).max(self.waiting())]
    }
}

impl FunctionNumbers {
    /// What of it is seen at a glance.
    pub fn glance(&self) -> FunctionGlance {
        FunctionGlance {
            queued: self.queued,
            scheduled: self.scheduled,
            abandoned: self.abandoned,
            storing: self.storing,
            running: self.running,
            dead: self.dead,
            workers: self.workers,
            oldest_ms: self.oldest_ms,
            paused: self.paused.is_some(),
        }
    }
}

/// Which functions come first; of equals those whose names do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionSort {
    /// Those with which something is wrong, then those whose jobs have waited longest.
    Worst,
    /// Those whose jobs have waited longest.
    Oldest,
    /// Those with the most jobs that wait.
    Waiting,
    /// Those with the most running jobs.
    Running,
    /// Those with the most registrations.
    Workers,
    /// Those with the most dead jobs.
    Dead,
    /// Those with the most jobs, dead ones aside.
    Jobs,
    /// By name.
    Name,
}

impl FunctionSort {
    /// The place of a function: the greater, the earlier.
    pub fn rank(self, glance: &FunctionGlance) -> [u64; 2] {
        let (oldest, waiting) = (glance.oldest_ms.unwrap_or(0), glance.waiting());
        match self {
            FunctionSort::Worst => glance.worth(),
            FunctionSort::Oldest => [oldest, waiting],
            FunctionSort::Waiting => [waiting, oldest],
            FunctionSort::Running => [glance.running.into(), oldest],
            FunctionSort::Workers => [glance.workers.into(), oldest],
            FunctionSort::Dead => [glance.dead.into(), oldest],
            FunctionSort::Jobs => [0, waiting + u64::from(glance.running)],
            FunctionSort::Name => [0, 0],
        }
    }
}

/// Which functions are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionFilter {
    /// All.
    All,
    /// Those with jobs that wait.
    Waiting,
    /// Those with running jobs.
    Running,
    /// Those with jobs and without workers.
    Unattended,
    /// Those that an operator has paused.
    Paused,
    /// Those with dead jobs.
    Dead,
}

impl FunctionFilter {
    /// Whether this one is.
    pub fn includes(self, glance: &FunctionGlance) -> bool {
        match self {
            FunctionFilter::All => true,
            FunctionFilter::Waiting => glance.waiting() > 0,
            FunctionFilter::Running => glance.running > 0,
            FunctionFilter::Unattended => glance.is_unattended(),
            FunctionFilter::Paused => glance.paused,
            FunctionFilter::Dead => glance.dead > 0,
        }
    }
}

/// Functions that are wanted one by one: those that rank higher than the least of those that were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionBest {
    /// How they are ranked.
    pub sort: FunctionSort,
    /// The rank and name of the last of those that were found, once these are as many as are wanted.
    pub least: Option<([u64; 2], Bytes)>,
}

impl FunctionBest {
    fn wants(&self, name: &[u8], glance: &FunctionGlance) -> bool {
        let Some((least, last)) = &self.least else { return true };
        let rank = self.sort.rank(glance);
        rank > *least || rank == *least && *name < **last
    }
}

/// What is asked of an owner of functions. It is answered a step at a time: see the top of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutlineAsk {
    /// Who is asked.
    pub owner: ShardId,
    /// Only those behind this name are looked at.
    pub after: Option<Bytes>,
    /// Only those are meant in whose names this is to be found, in any case; at most [`NEEDLE_MAX`] bytes.
    pub needle: Bytes,
    /// Which of them are meant.
    pub only: FunctionFilter,
    /// Which of those are wanted one by one.
    pub best: Vec<FunctionBest>,
    /// These are, too, whatever their rank; in order.
    pub named: Arc<[Bytes]>,
}

impl OutlineAsk {
    /// Whether a function is wanted for its rank.
    pub(crate) fn wants(&self, name: &[u8], glance: &FunctionGlance) -> bool {
        self.best.iter().any(|best| best.wants(name, glance))
    }

    /// Whether the name is one of those that are meant.
    pub(crate) fn fits(&self, name: &[u8]) -> bool {
        let needle = &*self.needle;
        needle.is_empty() || name.windows(needle.len()).any(|part| part.eq_ignore_ascii_case(needle))
    }

    /// What it costs at the most to find that out, in functions that are looked at.
    pub(crate) fn looks(&self, name: &[u8]) -> usize {
        const BYTES: usize = 512;
        1 + name.len() * self.needle.len() / BYTES
    }

    /// The named ones behind the place from which on functions are looked at.
    pub(crate) fn named_behind(&self) -> &[Bytes] {
        let told = |after: &Bytes| self.named.partition_point(|name| name <= after);
        &self.named[self.after.as_ref().map_or(0, told)..]
    }
}

/// What an owner answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutlinePage {
    /// Those that are wanted one by one, by name.
    pub rows: Vec<FunctionNumbers>,
    /// Over all that are meant.
    pub sums: FunctionSums,
    /// What is counted of these; with the first step, what is counted of those together that have no counts of their own.
    pub counted: FunctionStats,
    /// The last that was looked at, if there may be more behind it.
    pub until: Option<Bytes>,
}

/// Sums over functions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunctionSums {
    /// How many these are.
    pub functions: u64,
    /// Jobs that wait for a worker, by priority.
    pub queued: [u64; 3],
    /// As in [`FunctionNumbers`].
    pub scheduled: u64,
    /// The same.
    pub storing: u64,
    /// The same.
    pub abandoned: u64,
    /// The same.
    pub dead: u64,
    /// The same.
    pub running: u64,
    /// Registrations.
    pub workers: u64,
    /// Functions that have jobs and no workers.
    pub unattended: u64,
}

impl FunctionSums {
    /// One function more.
    pub fn add(&mut self, row: &FunctionGlance) {
        self.functions += 1;
        self.queued.iter_mut().zip(row.queued).for_each(|(sum, more)| *sum += u64::from(more));
        self.scheduled += u64::from(row.scheduled);
        self.storing += u64::from(row.storing);
        self.abandoned += u64::from(row.abandoned);
        self.dead += u64::from(row.dead);
        self.running += u64::from(row.running);
        self.workers += u64::from(row.workers);
        self.unattended += u64::from(row.is_unattended());
    }

    /// Those of others.
    pub fn merge(&mut self, other: &FunctionSums) {
        self.functions += other.functions;
        self.queued.iter_mut().zip(other.queued).for_each(|(sum, more)| *sum += more);
        self.scheduled += other.scheduled;
        self.storing += other.storing;
        self.abandoned += other.abandoned;
        self.dead += other.dead;
        self.running += other.running;
        self.workers += other.workers;
        self.unattended += other.unattended;
    }

    /// As gearmand counts them: those that wait for something else than a worker, too.
    pub fn waiting(&self) -> u64 {
        self.queued.iter().sum::<u64>() + self.scheduled + self.storing + self.abandoned
    }

    /// Over some functions.
    pub fn of<'a>(rows: impl Iterator<Item = &'a FunctionNumbers>) -> FunctionSums {
        let mut sums = FunctionSums::default();
        rows.for_each(|row| sums.add(&row.glance()));
        sums
    }

    /// Without some of those that were added.
    #[must_use]
    pub fn without(&self, told: &FunctionSums) -> FunctionSums {
        let less = |at: usize| self.queued[at].saturating_sub(told.queued[at]);
        FunctionSums {
            functions: self.functions.saturating_sub(told.functions),
            queued: [less(0), less(1), less(2)],
            scheduled: self.scheduled.saturating_sub(told.scheduled),
            storing: self.storing.saturating_sub(told.storing),
            abandoned: self.abandoned.saturating_sub(told.abandoned),
            dead: self.dead.saturating_sub(told.dead),
            running: self.running.saturating_sub(told.running),
            workers: self.workers.saturating_sub(told.workers),
            unattended: self.unattended.saturating_sub(told.unattended),
        }
    }
}
