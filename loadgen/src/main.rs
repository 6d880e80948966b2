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

use crate::args::{Arguments, Gates, Run, Verb};
use crate::compare::again::Again;
use crate::compare::gate::Gate;
use crate::compare::sweep::Sweep;
use crate::compare::target::Target;
use crate::compare::{files, rounds, selftest, sweep, versus};
use crate::job::cover;
use crate::machine::{cores, interrupt, server, standin};
use crate::plan::terms::Plan;
use crate::plan::{library, overrides};
use crate::result::expect;
use crate::result::outcome::Outcome;
use crate::result::report::{self, say};
use crate::run::{agent, remote};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A job server did what it must not do.
const FAILED: u8 = 1;
/// The command line, a plan or a file is wrong, or there is no job server.
const WRONG: u8 = 2;
/// Nothing wrong was seen, but not everything was done in time.
const UNFINISHED: u8 = 3;
/// All was done and nothing wrong was seen, but a threshold failed or could not be told.
const THRESHOLD: u8 = 4;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    raise_descriptors();
    if let Err(error) = interrupt::watch() {
        eprintln!("ringgear-load: signals: {error}");
        return ExitCode::from(WRONG);
    }
    let done = match arguments.command {
        None => run(arguments.run),
        Some(Verb::Plans) => {
            say(&library::list());
            Ok(0)
        }
        Some(Verb::Show { plan }) => show(&plan),
        Some(Verb::Replay { replay, run: mut of }) => {
            of.plan.replay = Some(replay);
            run(*of)
        }
        Some(Verb::Versus { other, run: of }) => {
            versus::fill_in(&other, *of, |run| overrides::plan(&run.plan)).and_then(run)
        }
        Some(Verb::Agent { listen, threads, load_core }) => agent(&listen, threads, &load_core),
        Some(Verb::Become { parent, command }) => Err(server::become_server(parent, &command)),
        Some(Verb::StandIn { address, port, fault }) => standin::stand_in((address, port), &fault),
        Some(Verb::Compare { a, b, out, gates }) => compare_folders(&a, b.as_deref(), out.as_deref(), &gates),
        Some(Verb::SelfTest { seconds, threads }) => {
            selftest::self_test(seconds, usize::from(threads)).map(|text| {
                say(&text);
                0
            })
        }
    };
    if let (Some(signal), Err(error)) = (interrupt::caught(), &done) {
        eprintln!("ringgear-load: {error}");
        return ExitCode::from(128 + signal as u8);
    }
    match done {
        Ok(_) if interrupt::caught().is_some() => {
            ExitCode::from(128 + interrupt::caught().unwrap_or(0) as u8)
        }
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("ringgear-load: {error}");
            ExitCode::from(WRONG)
        }
    }
}

fn run(mut run: Run) -> Result<u8, String> {
    let mut plan = overrides::plan(&run.plan)?;
    if let Some(every) = run.kill_every {
        overrides::set_kills(&mut plan, every)?;
    }
    let gate = Gate::new(&run.gates)?;
    let has_base = run.sweep || run.against.is_some() || run.against_command.is_some();
    gate.check(&plan, has_base)?;
    if !run.load_core.is_empty() {
        // Also what only reports: it must not disturb the job server's core.
        cores::pin(&run.load_core).map_err(|error| format!("--load-core: {error}"))?;
    }
    if let (true, Some(ca)) = (run.tls, &run.ca) {
        cover::switch_on(ca, &run.tls_name)?;
    }
    descriptors(&plan)?;
    if let Some(folder) = &run.out {
        files::prepare(folder, run.force)?;
    }
    let target = Target::of(&run, &plan)?;
    let against = Target::against(&run)?;
    if run.rounds.is_some() && against.is_none() && !run.sweep {
        return Err(
            "--rounds is for two job servers or a sweep: it needs --against, --against-command or --sweep"
                .to_owned(),
        );
    }
    if run.out.is_none() && !run.no_out {
        run.out = files::usual(&plan.name);
    }
    if run.sweep {
        let targets: Vec<&Target> = std::iter::once(&target).chain(&against).collect();
        return sweep(&run, &targets, &plan);
    }
    if let Some(against) = against {
        return compare_two(&run, &target, &against, &plan, &gate);
    }
    let mut finding = target.run(&plan)?;
    gate.judge(&mut finding.outcome);
    say(&report::block(&finding.outcome));
    if let Some(folder) = &run.out {
        files::write(folder, &finding).map_err(|error| format!("{}: {error}", folder.display()))?;
        say(&format!("written to {}\n", folder.join(files::PAGE).display()));
    }
    gate.tell(&finding.outcome)?;
    Ok(code(&finding.outcome))
}

fn sweep(run: &Run, targets: &[&Target], plan: &Plan) -> Result<u8, String> {
    let wish =
        sweep::Wish { bound: run.p99, first: run.plan.rate, seconds: run.plan.seconds, rounds: run.rounds };
    let sweeps = sweep::sweep(targets, plan, wish, run.out.as_deref())?;
    say(&sweep::text(&sweeps));
    if let Some(folder) = &run.out {
        sweep::write(&sweeps, folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        say(&format!("written to {}\n", folder.display()));
    }
    Ok(if sweeps.iter().all(Sweep::clean) { 0 } else { FAILED })
}

fn compare_two(run: &Run, target: &Target, against: &Target, plan: &Plan, gate: &Gate) -> Result<u8, String> {
    let [a, b] = rounds::compare_two(run, [target, against], plan)?;
    let kept = gate.two([&a.outcomes, &b.outcomes], run.out.as_deref())?;
    Ok(worst(a.outcomes.iter().chain(&b.outcomes), kept))
}

fn compare_folders(a: &Path, b: Option<&Path>, out: Option<&Path>, gates: &Gates) -> Result<u8, String> {
    let gate = Gate::new(gates)?;
    let again = Again::read(a, b)?;
    say(&again.text);
    let folder = out.or(b.is_none().then_some(a));
    if let Some(folder) = folder {
        say(&format!("written to {}\n", again.write(folder)?.display()));
    }
    let [a, b] = &again.sides;
    let kept = gate.two([&a.outcomes, &b.outcomes], folder)?;
    Ok(worst(a.outcomes.iter().chain(&b.outcomes), kept))
}

/// A comparison is only as good as both of its sides.
fn worst<'a>(outcomes: impl Iterator<Item = &'a Outcome>, kept: bool) -> u8 {
    // What single runs were held against does not bind the comparison of their results.
    let mut codes: Vec<u8> = outcomes.map(code).filter(|code| *code != THRESHOLD).collect();
    if !kept {
        codes.push(THRESHOLD);
    }
    [FAILED, UNFINISHED, THRESHOLD].into_iter().find(|worst| codes.contains(worst)).unwrap_or(0)
}

fn agent(listen: &str, threads: Option<u16>, load_cores: &[usize]) -> Result<u8, String> {
    let listen = server::addresses_with(listen, remote::PORT)?;
    let threads = match (threads, load_cores.len()) {
        (Some(threads), _) => usize::from(threads),
        (None, 0) => cores::allowed().len().max(1),
        (None, cores) => cores,
    };
    agent::serve(&listen, threads, load_cores)
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
        (true, true) if !expect::kept(&outcome.thresholds) => THRESHOLD,
        (true, true) => 0,
    }
}

/// Says before anything runs that connections need more descriptors than may be opened.
fn descriptors(plan: &Plan) -> Result<(), String> {
    /// Of the load threads, files, the terminal.
    const BESIDES: u64 = 100;
    let Some(limit) = getrlimit(Resource::Nofile).current else { return Ok(()) };
    let most = plan.phases.iter().max_by_key(|phase| phase.connections());
    match most.map(|phase| (phase, phase.connections() + BESIDES)) {
        Some((phase, needed)) if needed > limit => Err(format!(
            "phase {} has {} connections and needs {needed} descriptors, and the limit is {limit}: raise it with `ulimit -n \
             {needed}` (as root, or in limits.conf), or use fewer connections",
            phase.name,
            phase.connections()
        )),
        _ => Ok(()),
    }
}

/// Ten thousand connections need as many descriptors; the soft limit is often 1024.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    // Where it cannot be raised, connecting will say so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
