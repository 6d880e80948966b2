//! The highest rate at which latency is still bearable, and the curve on the way there: doubling until it
//! is not, then halving the distance between the best rate that was and the worst that was not; and all of that several times. Two
//! job servers are asked for the same rates in turn. What is said and drawn of it stands in `sweep/show.rs`.
use std::path::Path;

use serde::Serialize;

use crate::args::Rounds;
use crate::compare::files;
use crate::compare::rounds::order;
use crate::compare::target::Target;
use crate::job::names::slug;
use crate::machine::interrupt;
use crate::plan::overrides::set_rate;
use crate::plan::terms::Plan;
use crate::result::numbers::count;
use crate::result::outcome::{Limit, Outcome, Percentiles};

mod show;

pub(crate) use show::{text, write};

/// The rate of the first step, if the command line names none.
const FIRST: f64 = 1000.0;

/// The length of a step in seconds, if the command line names none.
const SECONDS: f64 = 5.0;

/// The least jobs of a step: a hundred beyond the 99th percentile. Slow rates take longer for them, up to a minute.
const JOBS: f64 = 10_000.0;
const SECONDS_MOST: f64 = 60.0;

/// How often a sweep is repeated, if the command line does not say.
const ROUNDS: usize = 3;

/// How far apart the rates are, as a factor, at which the search ends: a doubling, halved five times.
const FINE: f64 = 1.0222;

/// A job server is not asked for rates above so many times the lowest that it missed, which only the other
/// needs: its curve has ended.
const BEYOND: f64 = 3.0;

/// The most steps at one rate.
const TRIES: usize = 3;

/// So many times the lowest rate that was missed is tried at the end.
const ABOVE: [f64; 2] = [1.1, 1.25];

/// The most rates in all.
const STEPS_MAX: usize = 30;

/// One step of a sweep.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Step {
    /// Jobs per second asked for.
    asked: f64,
    /// Jobs per second that were done.
    rate: f64,
    /// The latency that ends last, from the intended time, in microseconds.
    latency: Option<Percentiles>,
    /// CPU seconds per second that the job server used, and what a job cost in microseconds.
    cores_used: Option<f64>,
    cpu_per_job: Option<f64>,
    /// The 99th percentile of timer error in microseconds.
    timer_error: f64,
    /// What it says of the bound.
    found: Found,
    /// What limited the step.
    limit: Limit,
}

/// What a step, or several at one rate, say of the bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Found {
    /// It was kept.
    Kept,
    /// It was not, and the job server is the reason.
    Missed,
    /// It was not, but the load generator or other processes had a part in that.
    NotMeasurable,
}

/// A sweep.
#[derive(Debug, Serialize)]
pub(crate) struct Sweep {
    label: String,
    /// Which of several at one job server, from 1 on.
    round: usize,
    plan: Plan,
    /// The bound on the 99th percentile, in microseconds.
    bound: f64,
    /// The highest rate that kept it.
    best: Option<f64>,
    /// The lowest rate above that which was missed, or could not be measured.
    end: Option<f64>,
    /// True if the end is a rate that was missed. If not, the job server may do more.
    measured: bool,
    /// A rate above the end that was kept all the same: chance has a part in it.
    above: Option<f64>,
    steps: Vec<Step>,
    /// False if somebody interrupted it before its end was found: it says nothing then.
    whole: bool,
    /// What went wrong, if anything.
    clean: bool,
}

/// What a sweep looks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    /// The bound on the 99th percentile of response time, in milliseconds.
    pub(crate) bound: f64,
    /// The first rate, if not the usual one.
    pub(crate) first: Option<f64>,
    /// The length of a step, if not the usual one.
    pub(crate) seconds: Option<f64>,
    /// How often, if not as usual.
    pub(crate) rounds: Option<Rounds>,
}

/// Where the bound lies, as far as is known.
#[derive(Clone, Debug, Default)]
struct Search {
    /// The highest rate that kept it.
    kept: Option<f64>,
    /// All that did not, or that could not be measured.
    missed: Vec<f64>,
    /// Those of them that could not be measured.
    unmeasured: Vec<f64>,
    /// A rate above the end that was kept all the same.
    above: Option<f64>,
}

impl Search {
    fn learn(&mut self, rate: f64, found: Found) {
        if found == Found::Kept {
            self.kept = Some(self.kept.map_or(rate, |best| best.max(rate)));
        } else {
            self.missed.push(rate);
        }
        if found == Found::NotMeasurable {
            self.unmeasured.push(rate);
        }
    }

    /// True if the end is a rate that the job server missed.
    fn is_measured(&self) -> bool {
        self.end().is_some_and(|end| !self.unmeasured.contains(&end))
    }

    /// The lowest rate that did not keep the bound. Not one below a rate that did: what another job server
    /// is asked for may fail here by chance, and must not end the search.
    fn end(&self) -> Option<f64> {
        let above = self.missed.iter().copied().filter(|rate| self.kept.is_none_or(|kept| *rate > kept));
        above.min_by(f64::total_cmp)
    }

    /// The rate that would tell most; `None` at the end.
    fn next(&self, first: f64) -> Option<f64> {
        match (self.kept, self.end()) {
            (None, None) => Some(first),
            (Some(kept), Some(missed)) => (missed / kept > FINE).then(|| (kept * missed).sqrt()),
            (Some(kept), None) => Some(kept * 2.0),
            (None, Some(missed)) => (missed > 10.0).then_some(missed / 4.0),
        }
    }

    fn is_beyond(&self, rate: f64) -> bool {
        self.end().is_some_and(|missed| rate > missed * BEYOND)
    }
}

/// Runs a plan at rising rates on one job server, or on two in turn, several times. Every step is kept in `out`, if there is such
/// a folder. When somebody interrupts, it gives what there is.
pub(crate) fn sweep(
    targets: &[&Target],
    plan: &Plan,
    wish: Wish,
    out: Option<&Path>,
) -> Result<Vec<Sweep>, String> {
    let rounds = match wish.rounds {
        None => ROUNDS,
        Some(Rounds::Number(rounds)) => rounds,
        Some(Rounds::Auto) => {
            return Err("--rounds auto is for comparisons; a sweep needs a number".to_owned());
        }
    };
    let bound = wish.bound * 1000.0;
    let mut all: Vec<Sweep> = vec![];
    let mut first = wish.first.unwrap_or(FIRST);
    for round in 1..=rounds {
        let mut sweeps: Vec<Sweep> =
            targets.iter().map(|target| Sweep::new(target.label(), round, plan, bound)).collect();
        let mut searches = vec![Search::default(); targets.len()];
        let done = search(&mut searches, first, |which, rate| {
            if interrupt::caught().is_some() {
                return Err("interrupted".to_owned());
            }
            let step = sweeps[which].step(targets[which], rate, wish.seconds.unwrap_or(SECONDS), out)?;
            let found = step.found;
            eprintln!("sweep {round} of {rounds}, {}: {}", sweeps[which].label, step.line());
            sweeps[which].steps.push(step);
            Ok(found)
        });
        for (sweep, search) in sweeps.iter_mut().zip(&searches) {
            sweep.end(search);
            sweep.whole = done.is_ok();
        }
        // The way up is known by now.
        let lowest = sweeps.iter().filter_map(|sweep| sweep.best).fold(f64::INFINITY, f64::min);
        first = if lowest.is_finite() { lowest / 2.0 } else { first };
        all.extend(sweeps);
        match done {
            Err(_) if interrupt::caught().is_some() => break,
            done => done?,
        }
    }
    Ok(all)
}

/// Asks each job server for the rates that any of them still needs; `run` tells whether one kept the bound.
fn search(
    searches: &mut [Search],
    first: f64,
    mut run: impl FnMut(usize, f64) -> Result<Found, String>,
) -> Result<(), String> {
    let mut run = |which, rate| tries(|| run(which, rate));
    let count = searches.len();
    for turn in 0..STEPS_MAX {
        let in_turn = order(turn).into_iter().filter(|&which| which < count);
        let Some(rate) = in_turn.clone().find_map(|which| searches[which].next(first)) else { break };
        for which in in_turn {
            if !searches[which].is_beyond(rate) {
                let found = run(which, rate)?;
                searches[which].learn(rate, found);
            }
        }
    }
    for (which, search) in searches.iter_mut().enumerate() {
        // A miss in between, a pause of the machine for instance, would look like the end.
        let end = search.end().filter(|_| search.kept.is_some() && search.is_measured());
        for factor in ABOVE {
            let Some(rate) = end.map(|end| end * factor) else { break };
            if run(which, rate)? == Found::Kept {
                search.above = Some(rate);
            }
        }
    }
    Ok(())
}

/// Asks for a rate until it was kept once, or missed twice; a step that was disturbed tells nothing and is repeated.
fn tries(mut run: impl FnMut() -> Result<Found, String>) -> Result<Found, String> {
    let mut missed = 0;
    for _ in 0..TRIES {
        match run()? {
            Found::Kept => return Ok(Found::Kept),
            Found::Missed => missed += 1,
            Found::NotMeasurable => {}
        }
        if missed == 2 {
            return Ok(Found::Missed);
        }
    }
    Ok(Found::NotMeasurable)
}

impl Sweep {
    fn new(label: &str, round: usize, plan: &Plan, bound: f64) -> Sweep {
        Sweep {
            label: label.to_owned(),
            round,
            plan: plan.clone(),
            bound,
            best: None,
            end: None,
            measured: false,
            above: None,
            steps: vec![],
            whole: true,
            clean: true,
        }
    }

    fn end(&mut self, search: &Search) {
        (self.best, self.end, self.above) = (search.kept, search.end(), search.above);
        self.measured = search.is_measured();
    }

    fn step(&mut self, target: &Target, rate: f64, seconds: f64, out: Option<&Path>) -> Result<Step, String> {
        let mut plan = self.plan.clone();
        let seconds = seconds.max((JOBS / rate).min(SECONDS_MOST));
        for phase in plan.phases.iter_mut().filter(|phase| phase.measure && !phase.clients.is_empty()) {
            phase.seconds = Some(seconds);
            phase.warm_up = (seconds / 5.0).min(1.0);
            // What was due must be sent, but a server that is far behind need not be waited for.
            phase.limit = seconds * 2.0 + 5.0;
            set_rate(phase, rate);
        }
        if let Some(flaw) = crate::plan::bounds::flaw(&plan) {
            return Err(format!("at {rate:.0} jobs a second: {flaw}"));
        }
        let finding = target.run(&plan)?;
        if let Some(out) = out {
            let step = format!("{:03}-{rate:.0}", self.steps.len() + 1);
            let folder = out.join(slug(&self.label)).join(format!("sweep-{}", self.round)).join(step);
            files::write(&folder, &finding).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        let outcome = finding.outcome;
        self.clean &= outcome.tally.is_clean();
        step(&outcome, rate, self.bound).ok_or_else(|| "the plan has no phase with an open loop".to_owned())
    }

    /// True if no job went wrong.
    pub(crate) fn clean(&self) -> bool {
        self.clean
    }

    fn sorted(&self) -> Vec<&Step> {
        let mut steps: Vec<&Step> = self.steps.iter().collect();
        steps.sort_by(|a, b| a.asked.total_cmp(&b.asked));
        steps
    }
}

impl Step {
    fn line(&self) -> String {
        let p99 = self.latency.map_or("-".to_owned(), |latency| count(latency.p99));
        let found = self.found.said();
        format!("{}/s asked, {}/s done, p99 {p99} µs: {found}", count(self.asked), count(self.rate))
    }
}

/// What a run says about its open phase; of several the first.
fn step(outcome: &Outcome, asked: f64, bound: f64) -> Option<Step> {
    let phase = outcome.measured().find(|phase| phase.groups.iter().any(|group| group.open))?;
    let open = phase.groups.iter().filter(|group| group.open);
    let worst = open.filter_map(|group| Some(group.felt()?.response));
    let latency = worst.max_by(|a, b| a.p99.total_cmp(&b.p99));
    // Where there are closed groups beside the open ones, their jobs are no measure of the rate.
    let kept_up = phase.asked.is_none_or(|asked| phase.rate >= asked * 0.95);
    let enough = latency.is_some_and(|latency| latency.tells(0.99));
    let kept = phase.finished && kept_up && latency.is_some_and(|latency| latency.p99 <= bound);
    let disturbed = phase.is_disturbed();
    let own = latency.is_some_and(|latency| phase.is_own(|all| all.p99, latency.p99));
    // Who does not wait in the load generator's own queue was served in time.
    let probe = phase.probe.is_some_and(|probe| probe.tells(0.99) && probe.p99 <= bound);
    let generator = probe && phase.own_queue() || matches!(phase.limit, Limit::Generator | Limit::Both);
    let found = match kept {
        true if enough => Found::Kept,
        // One that went away or stood still did that itself.
        _ if matches!(phase.limit, Limit::Gone | Limit::Stalled) => Found::Missed,
        _ if !enough || disturbed || own || generator => Found::NotMeasurable,
        _ => Found::Missed,
    };
    Some(Step {
        asked,
        rate: phase.rate,
        latency,
        cores_used: phase.server.map(|server| server.cores_used),
        cpu_per_job: phase.server.map(|server| server.cpu_per_job),
        timer_error: phase.timer_error.map_or(0.0, |error| error.p99),
        found,
        limit: phase.limit.clone(),
    })
}

impl Found {
    const fn said(self) -> &'static str {
        match self {
            Found::Kept => "kept",
            Found::Missed => "not kept",
            Found::NotMeasurable => "not measurable",
        }
    }
}

#[cfg(test)]
mod tests;
