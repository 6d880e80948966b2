//! What the command line changes in a plan. The result keeps the plan as it was carried out.
use std::path::Path;

use toml::{Table, Value};

use crate::args::{PlanArguments, ReplayArguments};
use crate::plan::bounds::{Bounds, flaw_within};
use crate::plan::expand;
use crate::plan::library;
use crate::plan::rate::Rate;
use crate::plan::terms::{Phase, Plan};

/// The plan that the command line means.
pub(crate) fn plan(arguments: &PlanArguments) -> Result<Plan, String> {
    let name = arguments.plan.as_deref().unwrap_or(library::DEFAULT);
    let mut table = match &arguments.replay {
        Some(replay) => replayed(arguments.plan.as_deref(), replay)?,
        None => toml::from_str(&library::text(name)?).map_err(|error| format!("{name}: {error}"))?,
    };
    for setting in &arguments.set {
        set(&mut table, setting)?;
    }
    let mut plan: Plan = table.try_into().map_err(|error| format!("{name}: {error}"))?;
    // What a plan names is beside it; what the command line names is where that is.
    let beside = Path::new(name).parent().filter(|_| arguments.replay.is_none() && name.contains(['.', '/']));
    expand::expand(&mut plan, beside.unwrap_or(Path::new(""))).map_err(|error| match &arguments.replay {
        Some(_) => error,
        None => format!("{name}: {error}"),
    })?;
    let changes = arguments.rate.is_some() || arguments.closed || arguments.jobs.is_some();
    if changes && plan.phases.iter().any(|phase| phase.replay.is_some()) {
        return Err(format!(
            "{name}: a replay has its own times and jobs: --speed changes them, and not --rate, --closed or --jobs"
        ));
    }
    scale(&mut plan, arguments);
    let bounds = if arguments.long { Bounds::LONG } else { Bounds::USUAL };
    if let Some(flaw) = flaw_within(&plan, bounds) {
        return Err(format!("{name}: {flaw}"));
    }
    Ok(plan)
}

/// The plan that replays a file.
fn replayed(file: Option<&str>, replay: &ReplayArguments) -> Result<Table, String> {
    let file = file.ok_or("replay needs a file: `ringgear-load replay FILE.csv`")?;
    let ReplayArguments { speed, clients, workers, as_named } = replay;
    let mut mix = Table::new();
    mix.insert("file".to_owned(), file.into());
    mix.insert("speed".to_owned(), (*speed).into());
    mix.insert("clients".to_owned(), i64::from(*clients).into());
    mix.insert("as_named".to_owned(), (*as_named).into());
    if let Some(workers) = workers {
        mix.insert("workers".to_owned(), i64::from(*workers).into());
    }
    let mut phase = Table::new();
    phase.insert("name".to_owned(), "replay".into());
    phase.insert("drain".to_owned(), (*workers != Some(0)).into());
    phase.insert("replay".to_owned(), mix.into());
    let stem = Path::new(file).file_stem().map_or(file.into(), |stem| stem.to_string_lossy());
    let mut plan = Table::new();
    plan.insert("name".to_owned(), stem.as_ref().into());
    plan.insert("about".to_owned(), format!("The recorded mix of {file}, {speed} times as fast.").into());
    plan.insert("phases".to_owned(), vec![Value::Table(phase)].into());
    Ok(plan)
}

fn scale(plan: &mut Plan, arguments: &PlanArguments) {
    if let Some(seed) = arguments.seed {
        plan.seed = seed;
    }
    for phase in &mut plan.phases {
        if let (Some(seconds), Some(length), true) = (arguments.seconds, &mut phase.seconds, phase.measure) {
            *length = seconds;
            phase.warm_up = phase.warm_up.min(seconds / 4.0);
            phase.limit = phase.limit.max((seconds * 2.0).min(seconds + 600.0) + 10.0);
        }
        if !phase.measure {
            continue;
        }
        if let Some(jobs) = arguments.jobs {
            for clients in &mut phase.clients {
                clients.jobs = clients.jobs.map(|_| jobs);
            }
        }
        if arguments.closed {
            for clients in &mut phase.clients {
                (clients.rate, clients.closed) = (None, Some(arguments.depth));
            }
        }
        if let Some(rate) = arguments.rate {
            set_rate(phase, rate);
        }
    }
}

/// Kills the job server every so many seconds in the phases that reconnect and have a time.
pub(crate) fn set_kills(plan: &mut Plan, every: f64) -> Result<(), String> {
    let phases = plan.phases.iter_mut().filter(|phase| phase.reconnect && phase.seconds.is_some());
    let changed = phases.map(|phase| phase.kill_every = Some(every)).count();
    match crate::plan::bounds::flaw(plan) {
        _ if changed == 0 => Err(format!(
            "--kill-every: the plan {} has no phase with seconds and `reconnect = true`; try the plan `crash`",
            plan.name
        )),
        Some(flaw) => Err(format!("--kill-every {every}: {flaw}")),
        None => Ok(()),
    }
}

/// Shares `rate`, the mean over the phase, among open loops as the plan does. If there are none, closed loops become open
/// ones.
pub(crate) fn set_rate(phase: &mut Phase, rate: f64) {
    let means: Vec<Option<f64>> = phase.clients.iter().map(|clients| phase.mean_rate(clients)).collect();
    let (sum, number) = (means.iter().flatten().sum::<f64>(), means.len() as f64);
    for (clients, mean) in phase.clients.iter_mut().zip(means) {
        match (&clients.rate, mean) {
            (Some(old), Some(_)) => clients.rate = Some(old.scaled(rate / sum)),
            _ if sum == 0.0 => {
                (clients.rate, clients.closed) = (Some(Rate::Steady(rate / number)), None);
            }
            _ => {}
        }
    }
}

/// Carries out one `--set`.
fn set(table: &mut Table, setting: &str) -> Result<(), String> {
    let (path, value) = setting.split_once('=').ok_or_else(|| format!("--set {setting}: needs KEY=VALUE"))?;
    let value = parse(value);
    let keys: Vec<&str> = path.split('.').collect();
    // What is neither of the plan itself nor begins with a phase is meant for all phases.
    let everywhere = ["phases", "name", "about", "seed"].contains(&keys[0]);
    let keys = if everywhere { keys } else { [&["phases"], &keys[..]].concat() };
    let mut root = Value::Table(std::mem::take(table));
    let changed = put(&mut root, &keys, &value);
    if let Value::Table(changed) = root {
        *table = changed;
    }
    match changed {
        0 => Err(format!("--set {setting}: the plan has nothing there")),
        _ => Ok(()),
    }
}

/// A value of TOML, or else a text.
fn parse(text: &str) -> Value {
    let parsed = toml::from_str::<Table>(&format!("value = {text}"));
    let value = parsed.ok().and_then(|mut table| table.remove("value"));
    value.unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Puts the value at every place that the keys mean; gives how many there were.
fn put(at: &mut Value, keys: &[&str], value: &Value) -> usize {
    let Some((key, rest)) = keys.split_first() else {
        *at = value.clone();
        return 1;
    };
    match at {
        Value::Array(items) => match key.parse::<usize>() {
            Ok(index) => items.get_mut(index).map_or(0, |item| put(item, rest, value)),
            Err(_) => items.iter_mut().map(|item| put(item, keys, value)).sum(),
        },
        Value::Table(table) => match table.get_mut(*key) {
            Some(inner) => put(inner, rest, value),
            None if rest.is_empty() => {
                table.insert((*key).to_owned(), value.clone());
                1
            }
            None => 0,
        },
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::amount::Amount;

    fn changed(plan: &str, settings: &[&str]) -> Result<Plan, String> {
        let set = settings.iter().map(|&setting| setting.to_owned()).collect();
        super::plan(&PlanArguments { plan: Some(plan.to_owned()), set, ..PlanArguments::default() })
    }

    #[test]
    fn everything_can_be_set() {
        let plan = changed(
            "foreground",
            &["clients.payload=1000", "phases.0.seconds=3", "seed=9", "workers.0.abilities=split"],
        )
        .unwrap();
        assert_eq!(plan.phases[0].clients[0].payload, Amount::Fixed(1000.0));
        assert_eq!(plan.phases[0].seconds, Some(3.0));
        assert_eq!(plan.seed, 9);
        assert_eq!(plan.phases[0].workers[0].abilities, crate::plan::choices::Abilities::Split);
    }

    #[test]
    fn what_cannot_be_set_is_named() {
        assert!(changed("foreground", &["clients.colour=1"]).unwrap_err().contains("colour"));
        assert!(changed("foreground", &["nobody.count=1"]).unwrap_err().contains("nothing there"));
        assert!(changed("foreground", &["seed"]).unwrap_err().contains("KEY=VALUE"));
        assert!(changed("none-such", &[]).unwrap_err().contains("no plan"));
    }

    #[test]
    fn a_course_is_scaled_to_the_mean_that_is_asked_for() {
        let course = "clients.rate={ course = [[0, 0], [10, 100]] }";
        let set = vec![course.to_owned(), "phases.0.clients.0.start=10".to_owned()];
        let plan = Some("steady".to_owned());
        let arguments =
            PlanArguments { plan, set, seconds: Some(20.0), rate: Some(500.0), ..PlanArguments::default() };
        let plan = super::plan(&arguments).unwrap();
        let clients = &plan.phases[0].clients[0];
        assert_eq!(clients.due(10.0, 20.0), Some(5000.0));
        assert_eq!(clients.due(0.0, 15.0), Some(1250.0));
        let none =
            changed("steady", &["clients.rate={ course = [[0, 0], [100, 0], [101, 9]] }"]).unwrap_err();
        assert!(none.contains("never submits"), "{none}");
        let set = vec!["clients.rate={ course = [] }".to_owned()];
        let plan = Some("steady".to_owned());
        let empty = PlanArguments { plan, set, rate: Some(5.0), ..PlanArguments::default() };
        assert!(super::plan(&empty).unwrap_err().contains("points"));
    }

    #[test]
    fn rates_keep_their_shares() {
        let rate = Some(300.0);
        let plan = PlanArguments { plan: Some("batch".to_owned()), rate, ..PlanArguments::default() };
        let plan = super::plan(&plan).unwrap();
        let phase = plan.phases.iter().find(|phase| phase.measure).unwrap();
        let sum: f64 = phase.clients.iter().filter_map(|clients| phase.mean_rate(clients)).sum();
        assert!((sum - 300.0).abs() < 1e-9);
        assert!(phase.clients.iter().any(|clients| clients.closed.is_some()));

        let closed = PlanArguments {
            plan: Some("steady".to_owned()),
            closed: true,
            depth: 3,
            ..PlanArguments::default()
        };
        let plan = super::plan(&closed).unwrap();
        assert_eq!((plan.phases[0].clients[0].closed, &plan.phases[0].clients[0].rate), (Some(3), &None));
    }
}
