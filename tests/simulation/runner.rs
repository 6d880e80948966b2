//! Runs seeds: one with a transcript if it fails, or many on two threads.
use crate::auditor::Coverage;
use crate::world::{Outcome, World};
use ringgear_engine::Planted;
use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, Once};

const THREADS: usize = 2;

/// What to run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) seed: u64,
    pub(crate) steps: u64,
    pub(crate) planted: Option<Planted>,
}

/// A world in which something was wrong.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) run: Run,
    /// The assertion and where it stands.
    pub(crate) message: String,
    pub(crate) world: String,
    /// The last events.
    pub(crate) transcript: Vec<String>,
}

impl Failure {
    /// The assertion in brief.
    pub(crate) fn rule(&self) -> &str {
        let line = self.message.lines().next().unwrap_or_default();
        line.split_once(']').map_or(line, |(rule, _)| &rule[1..])
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Run { seed, steps, planted } = self.run;
        writeln!(f, "seed {seed} fails: {}", self.message)?;
        writeln!(f, "{}", self.world)?;
        self.transcript.iter().try_for_each(|line| writeln!(f, "    {line}"))?;
        match planted {
            None => write!(
                f,
                "again: SIM_SEED={seed} SIM_STEPS={steps} cargo test -p ringgear-engine --features planted --test simulation replay"
            ),
            Some(planted) => write!(f, "with {planted:?} planted"),
        }
    }
}

thread_local! {
    /// The last panic of this thread, while it runs a world; other panics are reported as ever.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Makes panics inside worlds silent: most are expected, and the others are reported with their seed.
fn keep_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let kept = PANIC.with_borrow_mut(|last| {
                let running = last.is_some();
                if running {
                    let text = info.payload_as_str().unwrap_or("a panic without words");
                    let place = info.location().map_or(String::new(), |at| format!(" ({at})"));
                    *last = Some(format!("{text}{place}"));
                }
                running
            });
            if !kept {
                loud(info);
            }
        }));
    });
}

/// Runs a world; an error is the message of the panic.
fn guard<T>(world: impl FnOnce() -> T) -> Result<T, String> {
    keep_quiet();
    PANIC.set(Some(String::new()));
    let result = panic::catch_unwind(AssertUnwindSafe(world));
    let message = PANIC.take();
    result.map_err(|_| message.unwrap_or_default())
}

/// Runs one seed. If it fails, it is run again for the transcript.
pub(crate) fn run_one(run: &Run) -> Result<Outcome, Box<Failure>> {
    guard(|| World::new(run.seed, run.planted, false).run(run.steps)).map_err(|_| {
        let mut readable = guard(|| World::new(run.seed, run.planted, true)).expect("it began before");
        let message = guard(|| readable.run(run.steps)).expect_err("a seed gives the same world again");
        let transcript = readable.transcript().cloned().collect();
        Box::new(Failure { run: *run, message, world: readable.describe(), transcript })
    })
}

/// Runs many seeds on two threads; the first failure ends it, unless all are wanted.
pub(crate) fn run_all(seeds: Range<u64>, steps: u64, go_on: bool) -> Result<Coverage, Vec<Failure>> {
    let next = AtomicU64::new(seeds.start);
    let stop = AtomicBool::new(false);
    let failures = Mutex::new(Vec::new());
    let coverage = Mutex::new(Coverage::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    match run_one(&Run { seed, steps, planted: None }) {
                        Ok(outcome) => {
                            let mut sum = coverage.lock().expect("nobody panics with it");
                            for (rule, count) in outcome.coverage {
                                *sum.entry(rule).or_default() += count;
                            }
                        }
                        Err(failure) => {
                            stop.store(!go_on, Ordering::Relaxed);
                            failures.lock().expect("nobody panics with it").push(*failure);
                        }
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().expect("nobody panicked with it");
    failures.sort_by_key(|failure| failure.run.seed);
    match failures.is_empty() {
        true => Ok(coverage.into_inner().expect("nobody panicked with it")),
        false => Err(failures),
    }
}
