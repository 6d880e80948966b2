//! What must hold for a plan before it runs: it makes sense, and it ends, in time, in jobs and in memory.
use crate::job::check::STREAMS_MAX;
use crate::job::payload::HEADER;
use crate::plan::groups::{Clients, Workers};
use crate::plan::most::{BYTES_MAX, CONNECTIONS_MAX, FUNCTIONS_MAX, JOBS_MAX, PAYLOAD_MAX};
use crate::plan::names;
use crate::plan::terms::{Phase, Plan};

/// How long a plan may take, and how much it may do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Seconds, the limits of its phases added.
    seconds: f64,
    /// Jobs.
    jobs: f64,
    /// True for a soak: background jobs count as queued only where nobody works.
    soak: bool,
}

impl Bounds {
    /// Nobody wants more by mistake.
    pub(crate) const USUAL: Bounds = Bounds { seconds: 3600.0, jobs: JOBS_MAX, soak: false };

    /// With `--long`: a week and a day.
    pub(crate) const LONG: Bounds = Bounds { seconds: 8.0 * 24.0 * 3600.0, jobs: 20e9, soak: true };

    /// What to do about a plan that is beyond.
    fn hint(self) -> &'static str {
        if self.soak { "" } else { "; `--long` allows 8 days and 20 billion jobs" }
    }
}

/// More jobs in a second than any job server takes from one load generator: what bounds a closed loop that
/// only has a time.
const FASTEST: f64 = 5e6;

/// What is wrong with a plan, if anything.
pub(crate) fn flaw(plan: &Plan) -> Option<String> {
    flaw_within(plan, Bounds::USUAL)
}

/// What is wrong with a plan under these bounds, if anything.
pub(crate) fn flaw_within(plan: &Plan, bounds: Bounds) -> Option<String> {
    if plan.phases.is_empty() {
        return Some("it has no phases".to_owned());
    }
    for phase in &plan.phases {
        if let Some(flaw) = phase_flaw(phase) {
            return Some(format!("phase {}: {flaw}", phase.name));
        }
    }
    if let Some(flaw) = names::flaw(plan) {
        return Some(flaw);
    }
    let seconds: f64 = plan.phases.iter().map(|phase| phase.limit).sum();
    let Bounds { seconds: longest, jobs: most, soak } = bounds;
    if seconds > longest {
        return Some(format!("its limits add up to {seconds} seconds, more than {longest}{}", bounds.hint()));
    }
    let jobs = |phase: &Phase| phase.clients.iter().map(|clients| counted(phase, clients)).sum::<f64>();
    let all: f64 = plan.phases.iter().map(jobs).sum();
    if all > most {
        return Some(format!("it may submit {all:.0} jobs, more than {most}{}", bounds.hint()));
    }
    let queued = |phase: &Phase| {
        let background = phase.clients.iter().filter(|clients| clients.background);
        let bytes = |clients: &Clients| match &clients.lines {
            Some(lines) => lines.bytes(),
            None => counted(phase, clients) * clients.payload.largest(),
        };
        background.map(bytes).sum::<f64>()
    };
    let bytes: f64 = plan.phases.iter().filter(|phase| !soak || phase.workers.is_empty()).map(queued).sum();
    if bytes > BYTES_MAX {
        return Some(format!("it may queue {bytes:.0} bytes, more than {BYTES_MAX}"));
    }
    None
}

/// The most jobs that a group can submit. Foreground jobs of a closed loop with a time only are not counted:
/// no more than its depth ever exist.
fn counted(phase: &Phase, clients: &Clients) -> f64 {
    let seconds = phase.seconds.unwrap_or(phase.limit);
    let by_time = match clients.due(0.0, seconds) {
        // A Poisson schedule may have a few more than it should.
        Some(jobs) => jobs * 1.1,
        None if clients.background => FASTEST * seconds,
        None => 0.0,
    };
    clients.jobs.map_or(by_time, |jobs| jobs as f64)
}

fn phase_flaw(phase: &Phase) -> Option<String> {
    let Phase { seconds, warm_up, limit, clients, workers, idle, drain, .. } = phase;
    let say = |text: &str| Some(text.to_owned());
    if !(limit.is_finite() && *limit > 0.0) {
        return say("its limit must be a number of seconds");
    }
    if let Some(seconds) = seconds {
        if !(seconds.is_finite() && *seconds > 0.0 && *warm_up >= 0.0 && warm_up < seconds) {
            return say("it needs seconds above 0 and a warm_up below that");
        }
        if seconds > limit {
            return say("its seconds are more than its limit");
        }
    } else if clients.is_empty() && workers.is_empty() && *idle == 0 {
        return say("it has no end: nobody does anything in it, so it only watches, and needs seconds");
    } else if *warm_up != 0.0 {
        return say("it has a warm_up but no seconds");
    } else if clients.iter().any(|clients| clients.jobs.is_none()) || (clients.is_empty() && !drain) {
        return say("it has no end: neither seconds nor jobs for every group of clients, nor a drain");
    }
    if let Some(every) = phase.kill_every {
        if !(every.is_finite() && every >= 0.2) {
            return say("kill_every must be 0.2 seconds or more");
        }
        if seconds.is_none() || !phase.reconnect {
            return say("it kills the job server, and needs seconds and `reconnect = true`");
        }
    }
    if *drain && workers.is_empty() {
        return say("it is to drain, but nobody works");
    }
    let connections = phase.connections();
    // Without any it only watches the job server.
    if connections > CONNECTIONS_MAX {
        return Some(format!("it has {connections} connections; at most {CONNECTIONS_MAX} are possible"));
    }
    // A replay that is cut short may leave a kind of its jobs out.
    let never = |group: &Clients| {
        let submits =
            group.due(0.0, seconds.unwrap_or(*limit)).is_none_or(|jobs| jobs > 0.0) || group.lines.is_some();
        (!submits).then(|| {
            "it never submits: its rate is 0 until the phase ends, or it starts after that".to_owned()
        })
    };
    let flaw = |group| clients_flaw(group).or_else(|| never(group));
    let clients = clients.iter().find_map(|group| Some((&group.name, flaw(group)?)));
    let workers = workers.iter().find_map(|group| Some((&group.name, workers_flaw(group)?)));
    clients.or(workers).map(|(name, flaw)| format!("{name}: {flaw}"))
}

fn clients_flaw(clients: &Clients) -> Option<String> {
    let Clients { count, rate, closed, outstanding, start, payload, .. } = clients;
    if let Some(flaw) = group_flaw(*count, &clients.function, clients.functions) {
        return Some(flaw);
    }
    if clients.lines.is_none() && rate.is_some() == closed.is_some() {
        return Some("it needs a rate, or a depth in `closed`, and not both".to_owned());
    }
    if let Some(flaw) = rate.as_ref().and_then(|rate| rate.flaw(FASTEST)) {
        return Some(flaw);
    }
    if *closed == Some(0) || *outstanding == 0 {
        return Some("closed and outstanding must be above 0".to_owned());
    }
    if !(*start >= 0.0 && start.is_finite()) {
        return Some("start must not be negative".to_owned());
    }
    if u64::from(*count) * u64::from(clients.functions) > STREAMS_MAX as u64 {
        return Some("too many connections for so many functions".to_owned());
    }
    let in_flight = f64::from(closed.unwrap_or(*outstanding)) * f64::from(*count) * payload.largest();
    if in_flight > BYTES_MAX {
        return Some(format!("{in_flight} bytes may be in flight, more than {BYTES_MAX}"));
    }
    payload_flaw("payload", payload)
}

fn workers_flaw(workers: &Workers) -> Option<String> {
    let Workers { count, grabs, service, result, functions, .. } = workers;
    if let Some(flaw) = group_flaw(*count, &workers.function, *functions) {
        return Some(flaw);
    }
    if *grabs == 0 || *grabs > 10_000 {
        return Some("grabs must be 1 to 10,000".to_owned());
    }
    if let Some(flaw) = service.flaw() {
        return Some(format!("service {flaw}"));
    }
    payload_flaw("result", result)
}

fn group_flaw(count: u32, function: &str, functions: u32) -> Option<String> {
    if count == 0 || functions == 0 || functions > FUNCTIONS_MAX {
        return Some(format!("count must be above 0, functions 1 to {FUNCTIONS_MAX}"));
    }
    if function.is_empty() || function.len() > 100 || function.contains('\0') {
        return Some("the function's name must have 1 to 100 bytes and no NUL".to_owned());
    }
    None
}

fn payload_flaw(what: &str, amount: &crate::plan::amount::Amount) -> Option<String> {
    if let Some(flaw) = amount.flaw() {
        return Some(format!("{what} {flaw}"));
    }
    if amount.largest() > PAYLOAD_MAX {
        return Some(format!("{what} may be at most {PAYLOAD_MAX} bytes"));
    }
    // A lognormal is raised to the header's length where it falls below.
    if amount.smallest() < HEADER as f64 && amount.smallest() != 0.0 {
        return Some(format!("{what} must have at least {HEADER} bytes, the job's number and checksum"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::library::PLANS;

    #[test]
    fn every_plan_parses_and_is_bounded() {
        for (name, text) in PLANS {
            let plan: Plan = toml::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(flaw(&plan), None, "{name}");
            assert_eq!(plan.name, *name);
            assert!(plan.about.ends_with('.'), "{name}");
            assert!(plan.phases.iter().any(|phase| phase.measure), "{name}");
            // It is written into the result and read again.
            let written = toml::to_string(&plan).unwrap();
            assert_eq!(toml::from_str::<Plan>(&written).unwrap(), plan, "{name}");
        }
    }

    #[test]
    fn a_phase_may_only_watch() {
        let plan = "name = 'x'\nabout = 'x'\n[[phases]]\nname = 'afterwards'\nmeasure = false\nseconds = 6\n";
        assert_eq!(flaw(&toml::from_str(plan).unwrap()), None);
    }

    #[test]
    fn a_soak_must_be_asked_for() {
        let plan = |seconds: u64, rate: u64, workers: &str| -> Plan {
            let phase = format!("[[phases]]\nname = 'p'\nseconds = {seconds}\nlimit = {seconds}\n");
            let clients = format!("[[phases.clients]]\ncount = 1\nrate = {rate}\nbackground = true\n");
            toml::from_str(&format!("name = 'x'\nabout = 'x'\n{phase}{clients}{workers}")).unwrap()
        };
        let workers = "[[phases.workers]]\ncount = 1\n";
        for (seconds, rate, what) in [(691_200, 20_000, "seconds"), (3000, 20_000, "jobs")] {
            let refused = flaw(&plan(seconds, rate, workers)).unwrap();
            assert!(refused.contains(what) && refused.contains("--long"), "{refused}");
            assert_eq!(flaw_within(&plan(seconds, rate, workers), Bounds::LONG), None);
        }
        let beyond = |plan| flaw_within(&plan, Bounds::LONG).unwrap();
        assert!(beyond(plan(691_201, 1, workers)).contains("more than 691200"));
        assert!(beyond(plan(691_200, 30_000, workers)).contains("more than 20000000000"));
        // Nobody takes these.
        assert!(beyond(plan(3000, 20_000, "")).contains("bytes"));
    }

    #[test]
    fn what_has_no_end_is_refused() {
        let refused = |text: &str| {
            let plan: Plan = toml::from_str(&format!("name = 'x'\nabout = 'x'\n{text}")).unwrap();
            flaw(&plan).expect("it has a flaw")
        };
        let phase = "[[phases]]\nname = 'p'\n";
        assert!(refused("phases = []").contains("no phases"));
        assert!(refused(phase).contains("no end"));
        let endless = "[[phases.clients]]\ncount = 1\nclosed = 1\n";
        assert!(refused(&format!("{phase}{endless}")).contains("no end"));
        let flood = format!("{phase}seconds = 30\n{endless}background = true\n");
        assert!(refused(&flood).contains("jobs"));
        let large = format!("{phase}{endless}jobs = 1_000_000\nbackground = true\npayload = 10_000\n");
        assert!(refused(&large).contains("bytes"));
        let small = format!("{phase}{endless}jobs = 1\npayload = 10\n");
        assert!(refused(&small).contains("at least 40"));
        let both = format!("{phase}{endless}rate = 3\njobs = 1\n");
        assert!(refused(&both).contains("not both"));
        assert!(refused(&format!("{phase}seconds = 1\nidle = 1_000_000\n")).contains("connections"));
        assert!(refused(&format!("{phase}drain = true\n")).contains("needs seconds"));
        assert!(refused(&format!("{phase}seconds = 1\ndrain = true\nidle = 1\n")).contains("nobody works"));
    }
}
