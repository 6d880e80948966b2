//! `ringgear-load`: a load generator for Gearman job servers.
//!
//! ```text
//! args, library, overrides -> plan -> bounds           what is to happen
//!            target, server -> conduct -> cast         against whom; who plays; phase by phase
//!            drive -> client, worker -> link           one loop per load thread
//!       record -> gather, meter, probe -> outcome      what was measured
//!                report, files, plot, compare          what is said about it
//! ```
//! It knows Gearman's packets and nothing of any job server, so that all are measured alike.
mod amount;
mod args;
mod bounds;
mod cast;
mod check;
mod client;
mod conduct;
mod drive;
mod gather;
mod library;
mod link;
mod machine;
mod meter;
mod outcome;
mod overrides;
mod payload;
mod plan;
mod probe;
mod progress;
mod random;
mod record;
mod report;
mod schedule;
mod server;
mod stage;
mod target;
mod worker;

use std::process::ExitCode;

use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::args::{Arguments, Run, Verb};
use crate::outcome::Outcome;
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
        Some(_) => Err("not yet".to_owned()),
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
        drive::pin(&run.load_core).map_err(|error| format!("--load-core: {error}"))?;
    }
    let target = Target::of(run)?;
    let finding = target.run(&plan)?;
    print!("{}", report::block(&finding.outcome));
    Ok(code(&finding.outcome))
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
