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

/// Runs all of it, each load for `seconds`; the first also with up to `threads` load threads.
pub(crate) fn self_test(seconds: f64, threads: usize) -> Result<String, String> {
    let mut text = String::from(
        "The load generator against a stand-in in its own process, which does next to nothing with a job:\n",
    );
    for (title, phase) in LOADS {
        text.push_str(&format!("  {title}: {}\n", load(title, phase, seconds, 1)?));
    }
    let counts = std::iter::successors(Some(2), |count| Some(count * 2)).take_while(|count| *count < threads);
    for count in counts.chain((threads > 1).then_some(threads)) {
        let (title, phase) = LOADS[0];
        text.push_str(&format!(
            "  {title}, {count} load threads and stand-ins: {}\n",
            load(title, phase, seconds, count)?
        ));
    }
    text.push_str(
        "The ceiling is what one busy load thread could do if it had a core for itself and nobody made it wait.\n",
    );
    Ok(text)
}

/// One load with so many threads.
fn load(title: &str, phase: &str, seconds: f64, threads: usize) -> Result<String, String> {
    let plan =
        format!("name = 'self-test'\nabout = 'x.'\n[[phases]]\nname = 'x'\nseconds = {seconds:?}\n{phase}\n");
    let mut plan: Plan = toml::from_str(&plan).map_err(|error| error.to_string())?;
    for clients in plan.phases.iter_mut().flat_map(|phase| &mut phase.clients) {
        (clients.count, clients.jobs) =
            (clients.count * threads as u32, clients.jobs.map(|jobs| jobs * threads as u64));
    }
    let stand_ins = StandIn::start_several(threads, Fault::Discard).map_err(|error| error.to_string())?;
    let setting = Setting {
        label: "stand-in".to_owned(),
        server: stand_ins[0].address(),
        pid: None,
        commit: None,
        threads,
        cores: vec![],
        spin: 50_000,
        patience: 5.0,
        probe: false,
        agents: vec![],
    };
    let mut progress = Progress::new("self-test", true);
    let finding = conduct(&plan, &setting, None, &mut progress).map_err(|error| error.to_string())?;
    if !finding.outcome.tally.is_clean() {
        return Err(format!("{title}: the checks failed: {:?}", finding.outcome.tally));
    }
    let phase = finding.outcome.measured().next().ok_or("nothing was measured")?;
    let busiest = stand_ins.iter().map(StandIn::cpu).max().unwrap_or(0);
    Ok(line(phase, busiest as f64 / 1e9 / phase.seconds))
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
    let found = format!(
        "{rate} jobs/s (limited by {limit}), {own:.2} µs of own CPU a job, busiest thread {:.0} %",
        phase.generator.busiest_thread * 100.0
    );
    // A load that does not saturate says nothing of a ceiling: batches grow with load.
    match phase.generator.busiest_thread {
        busy if busy >= 0.9 => format!("{found}: a ceiling of {} jobs/s a thread", count(1e6 / own)),
        _ => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_threads_are_tried_with_a_stand_in_each() {
        let text = self_test(0.2, 3).unwrap();
        for line in ["2 load threads and stand-ins", "3 load threads and stand-ins", "waited for"] {
            assert!(text.contains(line), "{text}");
        }
    }
}
