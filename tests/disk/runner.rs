//! Runs histories: a log on a pretended disk, what it answers, and what it must hold then.
use super::model::{Audit, Found, Model, Op, Version};
use super::sim::{Crash, Random, Sim, World};
use ringgear::store::log::{Durability, LogOptions, LogStore, PlantedBug};
use ringgear::store::{Store, StoreError};
use std::time::Duration;

/// Bytes of a segment: three pages for blocks.
pub(crate) const SEGMENT: u64 = 16 << 10;

pub(crate) fn options(durability: Durability, planted: Option<PlantedBug>) -> LogOptions {
    LogOptions { durability, segment_bytes: SEGMENT, planted, ..LogOptions::new("/pretended") }
}

/// Opens what is on the disk and reads it.
pub(crate) fn open(sim: &Sim, options: &LogOptions) -> Result<(LogStore<Sim>, Vec<Found>), StoreError> {
    let mut store = LogStore::over(sim.clone(), options.clone())?;
    let mut found = Vec::new();
    store.replay(&mut |job| found.push(Found::from(&job)))?;
    Ok((store, found))
}

/// Bytes of a huge job: one piece and a little more.
const HUGE: usize = (4 << 20) + 100_000;

/// What is done to a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A short job.
    Short,
    /// A job that takes more than a page.
    Long,
    /// A job that has a segment of its own and is written in pieces. Not among all.
    Huge,
    /// Three jobs in two batches.
    Three,
    /// The oldest job is put again.
    Again,
    /// The oldest job ends.
    End,
    /// A job comes and another ends, at once.
    Both,
    /// A job comes and ends at once.
    Flash,
    /// Room is made, as much as possible.
    Tidy,
    /// The server ends and starts.
    Restart,
}

impl Step {
    pub(crate) const ALL: [Step; 9] = [
        Step::Short,
        Step::Long,
        Step::Three,
        Step::Again,
        Step::End,
        Step::Both,
        Step::Flash,
        Step::Tidy,
        Step::Restart,
    ];
}

/// A log at work.
pub(crate) struct Runner {
    pub(crate) sim: Sim,
    pub(crate) options: LogOptions,
    pub(crate) store: Option<LogStore<Sim>>,
    pub(crate) model: Model,
    next: u64,
    stamp: u64,
    /// Whether something was refused or failed.
    pub(crate) refused: u64,
    pub(crate) accepted: u64,
}

impl Runner {
    /// Begins with what is there.
    pub(crate) fn new(world: World, options: LogOptions, model: Model, next: u64) -> Runner {
        let sim = Sim::new(world);
        Runner { sim, options, store: None, model, next, stamp: next * 1000, refused: 0, accepted: 0 }
    }

    /// Opens it. Whatever is found is compared.
    pub(crate) fn open(&mut self, audit: &mut Audit) -> Result<(), StoreError> {
        let (store, found) = open(&self.sim, &self.options)?;
        let found = self.model.audit(&found, audit);
        self.model.settle(&found);
        self.store = Some(store);
        Ok(())
    }

    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    fn put(&mut self, length: usize) -> Op {
        self.next += 1;
        self.stamp += 1;
        Op::Put(self.next, Version { stamp: self.stamp, attempts: 0, length })
    }

    /// The batches of a step.
    pub(crate) fn batches(&mut self, step: Step) -> Vec<Vec<Op>> {
        let oldest = self.model.present().first().copied();
        match step {
            Step::Short => vec![vec![self.put(100)]],
            Step::Long => vec![vec![self.put(5000)]],
            Step::Huge => vec![vec![self.put(1), self.put(HUGE), self.put(2)]],
            Step::Three => vec![vec![self.put(700), self.put(1)], vec![self.put(900)]],
            Step::Again => {
                let job = oldest.unwrap_or(1);
                self.stamp += 1;
                let attempts = (self.stamp % 250) as u8 + 1;
                vec![vec![Op::Put(job, Version { stamp: self.stamp, attempts, length: 300 })]]
            }
            Step::End => vec![vec![Op::Done(oldest.unwrap_or(1))]],
            Step::Both => vec![vec![self.put(50)], vec![Op::Done(oldest.unwrap_or(1))]],
            Step::Flash => {
                let put = self.put(60);
                vec![vec![put, Op::Done(self.next)]]
            }
            Step::Tidy | Step::Restart => Vec::new(),
        }
    }

    /// Does a step; whatever fails is refused.
    pub(crate) fn step(&mut self, step: Step, audit: &mut Audit) {
        match step {
            Step::Tidy => {
                for _ in 0..200 {
                    match self.store.as_mut().map(LogStore::maintain) {
                        Some(Ok(true)) => {}
                        _ => break,
                    }
                }
            }
            Step::Restart => {
                if let Some(mut store) = self.store.take()
                    && store.close().is_ok()
                    && self.options.durability == Durability::Written
                {
                    self.model.latest();
                }
                if let Err(error) = self.open(audit) {
                    println!("it does not start: {error}");
                    self.refused += 1;
                }
            }
            _ => {
                let batches = self.batches(step);
                self.commit(&batches);
            }
        }
    }

    /// Lets so much time pass that everything is synced.
    pub(crate) fn wait(&mut self) {
        self.sim.change(|world| world.pass(Duration::from_secs(1)));
        if let Some(store) = &mut self.store {
            assert!(store.maintain().is_ok(), "nothing fails here");
        }
        self.model.latest();
    }

    pub(crate) fn commit(&mut self, batches: &[Vec<Op>]) {
        let Some(store) = &mut self.store else { return };
        let mut handed = Vec::new();
        for batch in batches {
            handed.push(Vec::new());
            batch.iter().for_each(|op| op.hand_over(&mut handed));
        }
        let slices: Vec<&[u8]> = handed.iter().map(Vec::as_slice).collect();
        let committed = store.commit(&slices);
        let ops = batches.concat();
        let synced = self.options.durability == Durability::Synced;
        match (committed.puts, committed.dones) {
            (Ok(()), Ok(())) if synced => self.model.surely(&ops),
            (Ok(()), Ok(())) => self.model.maybe(&ops, true),
            (Err(_), Ok(())) => {
                self.refused += 1;
                let (puts, dones): (Vec<Op>, Vec<Op>) = ops.iter().partition(|op| matches!(op, Op::Put(..)));
                self.model.maybe(&puts, false);
                // The end of a job that was refused is kept, too.
                if synced {
                    self.model.surely(&dones)
                } else {
                    self.model.maybe(&dones, true)
                }
                return;
            }
            _ => {
                self.refused += 1;
                self.model.maybe(&ops, false);
                return;
            }
        }
        self.accepted += 1;
    }
}

/// What was known when a crash came: what the log had to hold, and what was being committed.
pub(crate) struct Moment<'a> {
    pub(crate) options: &'a LogOptions,
    pub(crate) before: &'a Model,
    pub(crate) at_work: &'a [Op],
    pub(crate) next: u64,
}

/// Reads what a crash left, and once more after another job and another crash. Counts what is wrong.
pub(crate) fn audit_crash(world: &World, crash: Crash, moment: &Moment<'_>, audit: &mut Audit) {
    audit.images += 1;
    let mut model = moment.before.clone();
    if crash == Crash::Process && moment.options.durability == Durability::Written {
        model.latest();
    }
    model.maybe(moment.at_work, false);
    let mut runner = Runner::new(world.crashed(crash), moment.options.clone(), model, moment.next + 10);
    if let Err(error) = runner.open(audit) {
        if audit.refused == 0 && moment.options.planted.is_none() {
            println!("refused after {crash:?}: {error}");
        }
        audit.refused += 1;
        return;
    }
    // What was told is kept from now on, whatever becomes of it.
    runner.step(Step::Short, audit);
    assert_eq!(runner.refused, 0, "a log that was opened takes jobs");
    if runner.options.durability == Durability::Written {
        runner.wait();
    }
    let world = runner.sim.world().crashed(Crash::Nothing);
    let mut runner = Runner::new(world, moment.options.clone(), runner.model, moment.next + 20);
    if let Err(error) = runner.open(audit) {
        if audit.refused == 0 && moment.options.planted.is_none() {
            println!("refused after {crash:?}, another job and another crash: {error}");
        }
        audit.refused += 1;
    }
}

/// The crashes to try where something is pending.
pub(crate) fn crashes(random: &mut Random, some: usize) -> Vec<Crash> {
    let mut crashes = vec![Crash::Process, Crash::Nothing, Crash::Everything];
    crashes.extend((0..some).map(|_| Crash::Some(random.next())));
    crashes
}
