//! What a plan makes of a recorded mix: groups of clients, one for each priority and for jobs in the background, and
//! workers that know every function. How the file is read stands in `trace.rs`.
use std::collections::HashSet;
use std::path::{self, Path};
use std::sync::Arc;

use crate::plan::amount::{Amount, Spread};
use crate::plan::choices::Urgency;
use crate::plan::groups::{Clients, FUNCTION, Workers};
use crate::plan::most::BYTES_MAX;
use crate::plan::replay::Replay;
use crate::plan::terms::{Phase, Plan};
use crate::plan::trace::{self, Functions, Lines, Trace};

/// Workers that nobody asked for otherwise.
const WORKERS: f64 = 64.0;

/// Reads the files that a plan replays, and gives its phases the clients and workers for them. Paths are relative to
/// `folder`.
pub(crate) fn expand(plan: &mut Plan, folder: &Path) -> Result<(), String> {
    let mut known: Vec<Arc<Functions>> = vec![];
    for phase in &mut plan.phases {
        let Some(mut replay) = phase.replay.take() else { continue };
        let flaw = |flaw: &str| Err(format!("phase {}: replay: {flaw}", phase.name));
        if !(replay.speed.is_finite() && replay.speed >= 0.001 && replay.speed <= 1e6) {
            return flaw("speed must be 0.001 to 1,000,000");
        }
        if replay.clients == 0 {
            return flaw("clients must be above 0");
        }
        // The result's plan lies elsewhere.
        let file = folder.join(&replay.file);
        replay.file = path::absolute(&file).unwrap_or(file.clone());
        let trace = trace::read(&file, replay.speed, replay.as_named)?;
        let sum = format!("{:016x}", trace.sum);
        if replay.sum.as_ref().is_some_and(|known| *known != sum) {
            return flaw(&format!(
                "{} is not the file that it was, its sum is {sum}; take `sum` out of the plan to use it all the same",
                file.display()
            ));
        }
        replay.sum = Some(sum);
        if let Some(name) = known.iter().find_map(|other| shared(other, &trace.functions)) {
            return flaw(&format!(
                "function {name} is in the file of an earlier phase too; rename it in one of them"
            ));
        }
        known.push(Arc::clone(&trace.functions));
        fill(phase, &replay, trace);
        phase.replay = Some(replay);
    }
    as_named_twice(plan, &known)
}

/// Different files must not have a function in common: a function's name tells its number.
fn shared<'a>(a: &Functions, b: &'a Functions) -> Option<&'a str> {
    if a == b || a.as_named != b.as_named {
        return None;
    }
    let known: HashSet<&str> = a.names.iter().map(String::as_str).collect();
    b.names.iter().map(String::as_str).find(|name| known.contains(name))
}

fn as_named_twice(plan: &Plan, known: &[Arc<Functions>]) -> Result<(), String> {
    let mut others: HashSet<String> = HashSet::new();
    for phase in &plan.phases {
        let clients = phase.clients.iter().filter(|group| group.lines.is_none());
        let workers = phase.workers.iter().filter(|group| group.replayed.is_none());
        let clients = clients.map(|group| (&group.function, group.functions));
        for (name, count) in clients.chain(workers.map(|group| (&group.function, group.functions))) {
            match count {
                1 => drop(others.insert(name.clone())),
                _ => others.extend((0..count).map(|at| format!("{name}-{at}"))),
            }
        }
    }
    let mut names =
        known.iter().filter(|functions| functions.as_named).flat_map(|functions| &functions.names);
    match names.find(|name| others.contains(*name)) {
        Some(name) => {
            Err(format!("function {name} is replayed as_named and a group's too; rename one of them"))
        }
        None => Ok(()),
    }
}

/// Gives a phase the clients and workers of a mix.
fn fill(phase: &mut Phase, replay: &Replay, trace: Trace) {
    let lines: usize = trace.kinds.iter().map(Lines::len).sum();
    let last = trace.kinds.iter().map(Lines::seconds).fold(0.0, f64::max);
    // The last job must be due before the time is over.
    let seconds = *phase.seconds.get_or_insert((last * 1000.0).floor() / 1000.0 + 0.001);
    phase.limit = phase.limit.max(seconds + 60.0);
    let busy = trace.kinds.iter().map(Lines::service).sum::<f64>() / last.max(1.0);
    let range = |of: fn(&trace::What) -> u32| {
        let ranges = trace.kinds.iter().map(|kind| kind.range(of));
        ranges.fold((f64::MAX, 0.0f64), |all, one| (all.0.min(one.0), all.1.max(one.1)))
    };
    let (shortest, longest) = range(|what| what.service);
    let functions = trace.functions.names.len() as u32;
    let count = replay.workers.unwrap_or((2.0 * busy).ceil().max(WORKERS) as u32);
    if count > 0 {
        phase.workers.push(Workers {
            name: "replay workers".to_owned(),
            function: of(replay),
            functions,
            service: between(shortest / 1000.0, longest / 1000.0),
            replayed: Some(trace.functions),
            ..Workers::of(count)
        });
    }
    for kind in trace.kinds {
        let share = f64::from(replay.clients) * kind.len() as f64 / lines as f64;
        let count = (share.round() as u32).max(1);
        let (smallest, largest) = kind.range(|what| what.size);
        let most = BYTES_MAX / f64::from(count) / largest;
        phase.clients.push(Clients {
            name: name(&kind),
            outstanding: most.clamp(1.0, 1000.0) as u32,
            jobs: Some(kind.len() as u64),
            function: of(replay),
            functions,
            priority: kind.priority,
            background: kind.background,
            payload: between(smallest, largest),
            lines: Some(Arc::new(kind)),
            ..Clients::of(count)
        });
    }
}

/// Only where no name carries the run's number others may know the functions.
fn of(replay: &Replay) -> String {
    if replay.as_named { "replay".to_owned() } else { FUNCTION.to_owned() }
}

fn between(min: f64, max: f64) -> Amount {
    if min == max { Amount::Fixed(min) } else { Amount::Spread(Spread::Uniform { min, max }) }
}

fn name(kind: &Lines) -> String {
    let priority = match kind.priority {
        Urgency::High => "high",
        Urgency::Normal => "normal",
        Urgency::Low => "low",
    };
    format!("{priority}{}", if kind.background { " background" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::bounds::flaw;

    fn plan(replay: &str) -> Plan {
        let text = format!("name = 'x'\nabout = 'x'\n[[phases]]\nname = 'p'\nreplay = {replay}\n");
        toml::from_str(&text).unwrap()
    }

    fn expanded(replay: &str, lines: &str) -> Result<Plan, String> {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("time,function,size,service,priority,background\n{lines}");
        std::fs::write(folder.path().join("x.csv"), text).unwrap();
        let mut plan = plan(replay);
        expand(&mut plan, folder.path())?;
        Ok(plan)
    }

    #[test]
    fn a_file_becomes_clients_and_workers() {
        let lines: String =
            (0..90).map(|at| format!("{at},a,100,2000,,\n{at},b,3000000,100,high,true\n")).collect();
        let plan = expanded("'x.csv'", &lines).unwrap();
        assert_eq!(flaw(&plan), None);
        let phase = &plan.phases[0];
        assert_eq!(phase.seconds, Some(89.001));
        let groups: Vec<_> =
            phase.clients.iter().map(|group| (group.name.as_str(), group.count, group.jobs)).collect();
        assert_eq!(groups, [("normal", 8, Some(90)), ("high background", 8, Some(90))]);
        // 8 connections with a thousand of 3 MB each would be 24 GB.
        assert_eq!(phase.clients[1].outstanding, 166);
        assert_eq!((phase.workers[0].count, phase.workers[0].functions), (64, 2));
        assert_eq!(phase.clients[0].due(10.0, 20.0), Some(10.0));
        // 400 s of work in one second.
        let busy = expanded("{ file = 'x.csv', speed = 100 }", &lines).unwrap();
        assert_eq!(busy.phases[0].workers[0].count, 378);
        let none = expanded("{ file = 'x.csv', workers = 0, clients = 4 }", &lines).unwrap();
        assert!(none.phases[0].workers.is_empty() && none.phases[0].clients[0].count == 2);
    }

    /// The result keeps the plan as it was written, with a sum of the file, and not what the file became.
    #[test]
    fn what_is_written_is_the_replay() {
        let written = toml::to_string(&expanded("'x.csv'", "0,a,100,1,,\n").unwrap()).unwrap();
        assert!(
            written.contains("sum = ") && !written.contains("clients]]") && !written.contains("workers]]"),
            "{written}"
        );
        let again: Plan = toml::from_str(&written).unwrap();
        assert_eq!(toml::to_string(&again).unwrap(), written);
        let other = expanded("{ file = 'x.csv', sum = '0' }", "0,a,100,1,,\n").unwrap_err();
        assert!(other.contains("is not the file that it was"), "{other}");
    }

    #[test]
    fn replays_that_make_no_sense_are_refused() {
        let refused = |replay: &str| expanded(replay, "0,a,100,1,,\n").unwrap_err();
        assert!(refused("{ file = 'x.csv', speed = 0 }").contains("phase p: replay: speed"));
        assert!(refused("{ file = 'x.csv', clients = 0 }").contains("clients"));
        assert!(refused("'none.csv'").contains("none.csv: No such file"));
        let unknown =
            toml::from_str::<Plan>("name='x'\nabout='x'\n[[phases]]\nname='p'\nreplay={ file='x', spee=3 }");
        assert!(unknown.unwrap_err().to_string().contains("spee"));
        let text = "name='x'\nabout='x'\n[[phases]]\nname='p'\nreplay={ file='x.csv', as_named=true }\n\
                    [[phases.clients]]\ncount=1\nrate=1\nfunction='a'\n";
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("x.csv"), "time,function,size,service\n0,a,40,0\n").unwrap();
        let twice = expand(&mut toml::from_str(text).unwrap(), folder.path()).unwrap_err();
        assert!(twice.contains("function a is replayed as_named"), "{twice}");
    }
}
