//! Recorded mixes, replayed against the stand-in as the command line would, and what must be refused about them.
use super::setting;
use crate::args::{PlanArguments, ReplayArguments};
use crate::machine::standin::{Fault, StandIn};
use crate::plan::overrides;
use crate::run::conduct::{Finding, conduct};
use crate::run::progress::Progress;

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/plans/mix.csv");

fn arguments(file: &str, speed: f64, as_named: bool) -> PlanArguments {
    let replay = ReplayArguments { speed, clients: 6, workers: None, as_named };
    PlanArguments { plan: Some(file.to_owned()), replay: Some(replay), ..PlanArguments::default() }
}

fn replay(fault: Fault, arguments: &PlanArguments) -> Finding {
    let stand_in = StandIn::start(fault).unwrap();
    let plan = overrides::plan(arguments).unwrap();
    conduct(&plan, &setting(stand_in.address()), None, &mut Progress::new("test", true)).unwrap()
}

#[test]
fn a_recorded_mix_is_replayed_and_checked() {
    for as_named in [false, true] {
        let outcome = replay(Fault::None, &arguments(SAMPLE, 6.0, as_named)).outcome;
        assert!(outcome.tally.is_clean() && outcome.finished(), "{:?}", outcome.tally);
        assert_eq!((outcome.plan.name.as_str(), outcome.left, outcome.tally.strangers), ("mix", 0, 0));
        let phase = &outcome.phases[0];
        let fates = phase.fates.unwrap();
        assert_eq!((fates.due, fates.answered), (482, 482));
        let mut groups: Vec<(&str, u64)> = phase
            .groups
            .iter()
            .map(|group| {
                (group.name.as_str(), group.spans.iter().find(|span| span.span == "worker").unwrap())
            })
            .map(|(name, span)| (name, span.response.count))
            .collect();
        groups.sort_unstable();
        assert_eq!(
            groups,
            [("high", 186), ("low background", 80), ("normal", 70), ("normal background", 146)]
        );
        // What a page, and an image, takes at least in the file.
        let p50 = |name: &str| {
            let group = phase.groups.iter().find(|group| group.name == name).unwrap();
            group.felt().unwrap().response.p50
        };
        assert!(p50("high") >= 2_000.0 && p50("normal") >= 10_000.0);
        // Six seconds became one.
        let asked = phase.asked.unwrap();
        assert!((asked - 482.0 / phase.seconds).abs() < 10.0, "{asked}");
    }
}

/// Each job takes as long as its line says, whichever worker gets it.
#[test]
fn a_job_takes_as_long_as_its_line_says() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("two.csv");
    let lines: String =
        (0..40).map(|at| format!("0,{},100,{}\n", ["a", "b"][at % 2], [0, 60][at % 2])).collect();
    std::fs::write(&file, format!("time,function,size,service\n{lines}")).unwrap();
    let finding = replay(Fault::None, &arguments(file.to_str().unwrap(), 1.0, false));
    assert!(finding.outcome.tally.is_clean(), "{:?}", finding.outcome.tally);
    let spans = finding.recorders[0].groups[0].as_ref().unwrap();
    let results = &spans[crate::result::span::Span::Result as usize].response;
    assert_eq!(results.len(), 40);
    assert!(results.count_between(60_000_000, u64::MAX) >= 20, "{}", results.value_at_quantile(0.5));
    let added = &spans[crate::result::span::Span::Added as usize].response;
    assert!(added.min() < 60_000_000);
}

#[test]
fn faults_are_seen_in_a_replay_too() {
    let tally = |fault| replay(fault, &arguments(SAMPLE, 6.0, false)).outcome.tally;
    assert!(tally(Fault::Misname).misdelivered > 0);
    assert!(tally(Fault::AlterWorkload).altered > 0);
    assert!(tally(Fault::Double).doubled > 0);
}

#[test]
fn a_plan_may_name_a_file_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(SAMPLE, folder.path().join("mix.csv")).unwrap();
    let plan = folder.path().join("mine.toml");
    std::fs::write(
        &plan,
        "name = 'mine'\nabout = 'x.'\n[[phases]]\nname = 'a'\nreplay = { file = 'mix.csv', speed = 6 }\nmeasure = false\ndrain = true\n\
         [[phases]]\nname = 'b'\nreplay = 'mix.csv'\nwarm_up = 0.5\nseconds = 1\ndrain = true\n",
    )
    .unwrap();
    let arguments =
        PlanArguments { plan: Some(plan.to_str().unwrap().to_owned()), ..PlanArguments::default() };
    let finding = replay(Fault::None, &arguments);
    let outcome = &finding.outcome;
    assert!(outcome.tally.is_clean() && outcome.finished(), "{:?}", outcome.tally);
    // The whole once, and the first second of it.
    assert_eq!(outcome.phases[0].fates.unwrap().due, 482);
    let text = std::fs::read_to_string(SAMPLE).unwrap();
    let early = |line: &str| {
        line.split(',')
            .next()
            .and_then(|time| time.parse().ok())
            .is_some_and(|time: f64| (0.5..1.0).contains(&time))
    };
    assert_eq!(outcome.phases[1].fates.unwrap().due, text.lines().filter(|line| early(line)).count() as u64);
    let out = tempfile::tempdir().unwrap();
    crate::compare::files::write(out.path(), &finding).unwrap();
    assert!(out.path().join("2-b-normal-background-worker.hgrm").is_file());
    crate::compare::files::read_side(out.path()).unwrap();
}

#[test]
fn what_a_replay_cannot_do_is_refused() {
    let refused = |change: &dyn Fn(&mut PlanArguments)| {
        let mut arguments = arguments(SAMPLE, 1.0, false);
        change(&mut arguments);
        overrides::plan(&arguments).unwrap_err()
    };
    assert!(refused(&|arguments| arguments.rate = Some(5.0)).contains("--speed"));
    assert!(refused(&|arguments| arguments.closed = true).contains("--speed"));
    assert!(refused(&|arguments| arguments.plan = None).contains("replay FILE.csv"));
    assert!(refused(&|arguments| arguments.plan = Some("none.csv".to_owned())).starts_with("none.csv: "));
    let slow = ReplayArguments { speed: 0.001, clients: 1, workers: None, as_named: false };
    let long = refused(&|arguments| arguments.replay = Some(slow.clone()));
    assert!(long.contains("--long"), "{long}");
}
