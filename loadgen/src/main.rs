//! `ringgear-load`: a load generator for Gearman job servers.
//!
//! ```text
//! args, library, overrides -> plan -> bounds           what is to happen
//!            target, server -> conduct -> cast         against whom; who plays; phase by phase
//!            drive -> conn -> client, worker, link     one loop per load thread
//!       record -> gather, meter, probe -> outcome      what was measured
//!                report, files, plot, compare          what is said about it
//! ```
//! It knows Gearman's packets and nothing of any job server, so that all are measured alike.
mod amount;
mod args;
mod bounds;
mod cast;
mod chart;
mod check;
mod client;
mod compare;
mod conduct;
mod conn;
mod cores;
mod drive;
mod files;
mod gather;
mod hgrm;
mod library;
mod link;
mod machine;
mod meter;
mod orders;
mod outcome;
mod overrides;
mod payload;
mod plan;
mod plot;
mod probe;
mod progress;
mod random;
mod record;
mod report;
mod schedule;
mod selftest;
mod server;
mod stage;
mod standin;
mod submissions;
mod sweep;
mod target;
#[cfg(test)]
mod tests;
mod worker;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::args::{Arguments, Run, Verb};
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::target::Target;

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
            print!("{}", library::list());
            Ok(0)
        }
        Some(Verb::Show { plan }) => show(&plan),
        Some(Verb::Compare { a, b }) => compare_folders(&a, &b),
        Some(Verb::SelfTest { seconds }) => selftest::self_test(seconds).map(|text| {
            print!("{text}");
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
    let target = Target::of(run)?;
    if run.sweep {
        return sweep_one(run, &target, &plan);
    }
    if let Some(against) = Target::against(run)? {
        return compare_two(run, &target, &against, &plan);
    }
    let finding = target.run(&plan)?;
    print!("{}", report::block(&finding.outcome));
    if let Some(folder) = &run.out {
        files::write(folder, &finding).map_err(|error| format!("{}: {error}", folder.display()))?;
        println!("written to {}", folder.display());
    }
    Ok(code(&finding.outcome))
}

fn sweep_one(run: &Run, target: &Target, plan: &Plan) -> Result<u8, String> {
    let sweep = sweep::sweep(target, plan, run.p99, run.plan.rate, run.plan.seconds)?;
    print!("{}", sweep.text());
    if let Some(folder) = &run.out {
        sweep.write(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        println!("written to {}", folder.display());
    }
    Ok(if sweep.clean() { 0 } else { FAILED })
}

/// The plan on both job servers in turn, so that a machine that drifts does so under both.
fn compare_two(run: &Run, target: &Target, against: &Target, plan: &Plan) -> Result<u8, String> {
    let (mut ours, mut theirs) = (vec![], vec![]);
    for round in 1..=run.rounds {
        for (target, outcomes) in [(target, &mut ours), (against, &mut theirs)] {
            let finding = target.run(plan)?;
            eprintln!("round {round} of {}, {}", run.rounds, report::line(&finding.outcome));
            if let Some(folder) = &run.out {
                let folder = folder.join(files::slug(target.label())).join(format!("{round:03}"));
                files::write(&folder, &finding).map_err(|error| format!("{}: {error}", folder.display()))?;
            }
            outcomes.push(finding.outcome);
        }
    }
    let table = said(&ours, &theirs)?;
    print!("{table}");
    if let Some(folder) = &run.out {
        let file = folder.join("compare.md");
        std::fs::write(&file, table).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    // A comparison is only as good as both of its sides.
    let codes: Vec<u8> = ours.iter().chain(&theirs).map(code).collect();
    let worst = [FAILED, UNFINISHED].into_iter().find(|worst| codes.contains(worst));
    Ok(worst.unwrap_or(0))
}

fn compare_folders(a: &Path, b: &Path) -> Result<u8, String> {
    print!("{}", said(&files::read_rounds(a)?, &files::read_rounds(b)?)?);
    Ok(0)
}

/// The comparison, and what must be known besides.
fn said(a: &[Outcome], b: &[Outcome]) -> Result<String, String> {
    let rows = compare::compare(a, b)?;
    let [first, second] =
        [a, b].map(|outcomes| outcomes.first().map_or("", |outcome| outcome.label.as_str()));
    let mut text = compare::table(&rows, first, second, a.len().min(b.len()));
    for outcome in a.iter().chain(b) {
        if !outcome.tally.is_clean() {
            text.push_str(&format!(
                "\nFAILED: {} did what a job server must not do: {:?}\n",
                outcome.label, outcome.tally
            ));
        }
        if !outcome.finished() {
            text.push_str(&format!(
                "\n{} did not finish in time: its figures are of what it did.\n",
                outcome.label
            ));
        }
    }
    Ok(text)
}

fn show(plan: &args::PlanArguments) -> Result<u8, String> {
    let plan = overrides::plan(plan)?;
    print!("{}", toml::to_string(&plan).map_err(|error| error.to_string())?);
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
