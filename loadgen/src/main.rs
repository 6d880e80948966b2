//! `ringgear-load`: a load generator for Gearman job servers.
//!
//! ```text
//! args                     the command line
//! job                      payloads, submissions, checks, packets
//! plan       machine       what is to happen; what it happens on
//! result                   what was measured, and how one run is told
//! run                      the conductor, the loop of a load thread, clients and workers
//! compare                  more than one run: rounds, sweeps, folders, pictures
//! main
//! ```
//! A wing names those above it in this list, and none below.
//! It knows Gearman's packets and nothing of any job server, so that all are measured alike.
mod args;
mod compare;
mod job;
mod machine;
mod plan;
mod result;
mod run;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::args::{Arguments, Run, Verb};
use crate::compare::again::Again;
use crate::compare::sweep::Sweep;
use crate::compare::target::Target;
use crate::compare::{files, rounds, selftest, sweep};
use crate::machine::cores;
use crate::plan::terms::Plan;
use crate::plan::{library, overrides};
use crate::result::outcome::Outcome;
use crate::result::report::{self, say};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A job server did what it must not do.
const FAILED: u8 = 1;
/// The command line, a plan or a file is wrong, or there is no job server.
const WRONG: u8 = 2;
/// Nothing wrong was seen, but not everything was done in time.
const UNFINISHED: u8 = 3;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    raise_descriptors();
    let done = match arguments.command {
        None => run(&arguments.run),
        Some(Verb::Plans) => {
            say(&library::list());
            Ok(0)
        }
        Some(Verb::Show { plan }) => show(&plan),
        Some(Verb::Compare { a, b, out }) => compare_folders(&a, b.as_deref(), out.as_deref()),
        Some(Verb::SelfTest { seconds }) => selftest::self_test(seconds).map(|text| {
            say(&text);
            0
        }),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("ringgear-load: {error}");
            ExitCode::from(WRONG)
        }
    }
}

fn run(run: &Run) -> Result<u8, String> {
    let plan = overrides::plan(&run.plan)?;
    if !run.load_core.is_empty() {
        // Also what only reports: it must not disturb the job server's core.
        cores::pin(&run.load_core).map_err(|error| format!("--load-core: {error}"))?;
    }
    if let Some(folder) = &run.out {
        files::prepare(folder)?;
    }
    let target = Target::of(run)?;
    let against = Target::against(run)?;
    if run.sweep {
        let targets: Vec<&Target> = std::iter::once(&target).chain(&against).collect();
        return sweep(run, &targets, &plan);
    }
    if let Some(against) = against {
        return compare_two(run, &target, &against, &plan);
    }
    let finding = target.run(&plan)?;
    say(&report::block(&finding.outcome));
    if let Some(folder) = &run.out {
        files::write(folder, &finding).map_err(|error| format!("{}: {error}", folder.display()))?;
        say(&format!("written to {}\n", folder.join(files::PAGE).display()));
    }
    Ok(code(&finding.outcome))
}

fn sweep(run: &Run, targets: &[&Target], plan: &Plan) -> Result<u8, String> {
    let wish = sweep::Wish { bound: run.p99, first: run.plan.rate, seconds: run.plan.seconds };
    let sweeps = sweep::sweep(targets, plan, wish)?;
    say(&sweep::text(&sweeps));
    if let Some(folder) = &run.out {
        sweep::write(&sweeps, folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        say(&format!("written to {}\n", folder.display()));
    }
    Ok(if sweeps.iter().all(Sweep::clean) { 0 } else { FAILED })
}

fn compare_two(run: &Run, target: &Target, against: &Target, plan: &Plan) -> Result<u8, String> {
    let sides = rounds::compare_two(run, [target, against], plan)?;
    Ok(worst(sides.iter().flat_map(|side| &side.outcomes)))
}

fn compare_folders(a: &Path, b: Option<&Path>, out: Option<&Path>) -> Result<u8, String> {
    let again = Again::read(a, b)?;
    say(&again.text);
    if let Some(folder) = out.or(b.is_none().then_some(a)) {
        say(&format!("written to {}\n", again.write(folder)?.display()));
    }
    Ok(worst(again.sides.iter().flat_map(|side| &side.outcomes)))
}

/// A comparison is only as good as both of its sides.
fn worst<'a>(outcomes: impl Iterator<Item = &'a Outcome>) -> u8 {
    let codes: Vec<u8> = outcomes.map(code).collect();
    [FAILED, UNFINISHED].into_iter().find(|worst| codes.contains(worst)).unwrap_or(0)
}

fn show(plan: &args::PlanArguments) -> Result<u8, String> {
    let plan = overrides::plan(plan)?;
    say(&toml::to_string(&plan).map_err(|error| error.to_string())?);
    Ok(0)
}

fn code(outcome: &Outcome) -> u8 {
    match (outcome.tally.is_clean(), outcome.finished()) {
        (false, _) => FAILED,
        (true, false) => UNFINISHED,
        (true, true) => 0,
    }
}

/// Ten thousand connections need as many descriptors; the soft limit is often 1024.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    // Where it cannot be raised, connecting will say so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
