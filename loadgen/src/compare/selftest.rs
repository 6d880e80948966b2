//! The load generator's own ceiling: the measuring loads against a stand-in that does next to nothing. No job
//! server can be measured beyond it.
use crate::machine::standin::{Fault, StandIn};
use crate::plan::terms::Plan;
use crate::result::numbers::count;
use crate::result::outcome::{Limit, PhaseOutcome};
use crate::run::conduct::{Setting, conduct};
use crate::run::progress::Progress;

/// What is tried: a title, and the phase.
const LOADS: [(&str, &str); 3] = [
    (
        "background, 16 connections, 32 deep",
        "[[phases.clients]]\ncount = 16\nclosed = 32\njobs = 20_000_000\nbackground = true",
    ),
    (
        "waited for, 16 clients 16 deep, 16 workers",
        "[[phases.clients]]\ncount = 16\nclosed = 16\n[[phases.workers]]\ncount = 16",
    ),
    (
        "open loop, 5,000 a second",
        "[[phases.clients]]\ncount = 16\nrate = 5000\n[[phases.workers]]\ncount = 16",
    ),
];

/// Runs all of it, each load for `seconds`.
pub(crate) fn self_test(seconds: f64) -> Result<String, String> {
    let mut text = String::from(
        "The load generator against a stand-in in its own process, which does next to nothing with a job:\n",
    );
    for (title, phase) in LOADS {
        let plan = format!(
            "name = 'self-test'\nabout = 'x.'\n[[phases]]\nname = 'x'\nseconds = {seconds:?}\n{phase}\n"
        );
        let plan: Plan = toml::from_str(&plan).map_err(|error| error.to_string())?;
        let stand_in = StandIn::start(Fault::Discard).map_err(|error| error.to_string())?;
        let setting = Setting {
            label: "stand-in".to_owned(),
            server: stand_in.address(),
            pid: None,
            commit: None,
            threads: 1,
            cores: vec![],
            spin: 50_000,
            patience: 5.0,
            probe: false,
            agents: vec![],
        };
        let mut progress = Progress::new("self-test", true);
        let finding = conduct(&plan, &setting, None, &mut progress).map_err(|error| error.to_string())?;
        let Some(phase) = finding.outcome.measured().next() else { continue };
        let busy = stand_in.cpu() as f64 / 1e9 / phase.seconds;
        text.push_str(&format!("  {title}: {}\n", line(phase, busy)));
        if !finding.outcome.tally.is_clean() {
            return Err(format!("{title}: the checks failed: {:?}", finding.outcome.tally));
        }
    }
    text.push_str(
        "The ceiling is what one busy load thread could do if it had a core for itself and nobody made it wait.\n",
    );
    Ok(text)
}

fn line(phase: &PhaseOutcome, stand_in: f64) -> String {
    let own = phase.generator.cpu_per_job;
    let limit = match phase.limit {
        Limit::Rate => "the rate asked for",
        _ if phase.generator.busiest_thread >= 0.9 => "the load generator",
        _ if stand_in >= 0.9 => "the stand-in",
        _ => "waiting for each other",
    };
    let rate = count(phase.rate);
    let found = format!("{rate} jobs/s (limited by {limit}), {own:.2} µs of own CPU a job");
    // A load that does not saturate says nothing of a ceiling: batches grow with load.
    match phase.generator.busiest_thread {
        busy if busy >= 0.9 => format!("{found}: a ceiling of {} jobs/s a thread", count(1e6 / own)),
        _ => found,
    }
}
