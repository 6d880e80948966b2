//! Whole runs against a stand-in that behaves, and against every way in which it does not. No test asks how
//! fast anything is.
mod agents;
mod breaks;
mod replays;

use crate::machine::standin::{Fault, StandIn};
use crate::plan::terms::Plan;
use crate::result::outcome::{Limit, Outcome};
use crate::result::span::Kind;
use crate::result::span::Span;
use crate::run::conduct::{Finding, Setting, conduct};
use crate::run::progress::Progress;

const FOREGROUND: &str = "
    [[phases]]
    name = 'foreground'
    limit = 30
    [[phases.clients]]
    count = 4
    closed = 8
    jobs = 2000
    unique = 'uuid'
    functions = 3
    payload = { uniform = { min = 40, max = 4000 } }
    [[phases.workers]]
    count = 3
    functions = 3
    grabs = 2
    result = { choice = [[40, 9], [100_000, 1]] }
";

const BACKGROUND: &str = "
    [[phases]]
    name = 'fill'
    limit = 30
    [[phases.clients]]
    count = 4
    closed = 8
    jobs = 2000
    background = true
    [[phases]]
    name = 'drain'
    drain = true
    limit = 30
    [[phases.workers]]
    count = 3
    grabs = 4
";

fn run(fault: Fault, phases: &str) -> Finding {
    run_on(fault, phases, 1)
}

fn setting(server: std::net::SocketAddr) -> Setting {
    Setting {
        label: "stand-in".to_owned(),
        server,
        pid: Some(std::process::id()),
        commit: None,
        threads: 1,
        cores: vec![],
        spin: 0,
        patience: 0.5,
        probe: true,
        agents: vec![],
    }
}

fn run_on(fault: Fault, phases: &str, threads: usize) -> Finding {
    let stand_in = StandIn::start(fault).unwrap();
    let plan: Plan = toml::from_str(&format!("name = 'test'\nabout = 'A test.'\n{phases}")).unwrap();
    assert_eq!(crate::plan::bounds::flaw(&plan), None);
    let setting = Setting { threads, ..setting(stand_in.address()) };
    conduct(&plan, &setting, None, &mut Progress::new("test", true)).unwrap()
}

/// An open loop of a second, and less than a thousand jobs.
pub(crate) fn open() -> Outcome {
    run(Fault::None, OPEN).outcome
}

/// A run whose first phase fills queues and whose second empties them.
pub(crate) fn background() -> Finding {
    run(Fault::None, BACKGROUND)
}

/// A run of these phases against a job server that behaves.
pub(crate) fn behaved(phases: &str) -> Finding {
    run(Fault::None, phases)
}

#[test]
fn a_job_server_that_behaves_is_found_to() {
    for threads in [1, 2] {
        let outcome = run_on(Fault::None, FOREGROUND, threads).outcome;
        assert!(outcome.tally.is_clean(), "{:?}", outcome.tally);
        assert!(outcome.finished());
        assert_eq!(outcome.phases[0].jobs, 2000);
        assert_eq!(outcome.server.version.as_deref(), Some("stand-in"));
        let spans: Vec<&str> =
            outcome.phases[0].groups[0].spans.iter().map(|span| span.span.as_str()).collect();
        assert_eq!(spans, ["created", "worker", "result"]);
        for span in &outcome.phases[0].groups[0].spans {
            assert_eq!(span.response.count, 2000);
        }

        let outcome = run_on(Fault::None, BACKGROUND, threads).outcome;
        assert!(outcome.tally.is_clean(), "{:?}", outcome.tally);
        assert_eq!((outcome.phases[0].jobs, outcome.phases[1].jobs, outcome.left), (2000, 2000, 0));
    }
}

#[test]
fn every_fault_is_seen() {
    let tally = |fault, phases| run(fault, phases).outcome.tally;
    let lost = tally(Fault::Lose, BACKGROUND);
    assert_eq!(lost.lost, 40, "{lost:?}");
    assert!(tally(Fault::Lose, FOREGROUND).lost > 0);

    let doubled = tally(Fault::Double, BACKGROUND);
    assert_eq!(doubled.doubled, 40, "{doubled:?}");
    assert!(tally(Fault::Double, FOREGROUND).doubled > 0);

    let altered = tally(Fault::AlterWorkload, BACKGROUND);
    assert_eq!(altered.altered, 40, "{altered:?}");
    let altered = tally(Fault::AlterResult, FOREGROUND);
    assert_eq!((altered.altered, altered.lost), (40, 0), "{altered:?}");

    assert_eq!(tally(Fault::Misname, BACKGROUND).misdelivered, 40);
    let misdelivered = tally(Fault::Misdeliver, FOREGROUND);
    assert!(misdelivered.misdelivered > 0 && misdelivered.lost > 0, "{misdelivered:?}");

    assert!(tally(Fault::Reorder, BACKGROUND).out_of_order > 0);
    assert_eq!(tally(Fault::Refuse, FOREGROUND).refused, 40);
    let closed = tally(Fault::Close, FOREGROUND);
    assert_eq!(closed.closed, 1, "{closed:?}");
}

#[test]
fn a_job_server_that_dies_ends_the_run() {
    let outcome = run(Fault::Die, FOREGROUND).outcome;
    assert_eq!(outcome.tally.closed, 7, "{:?}", outcome.tally);
    assert!(outcome.tally.unknown > 0 && outcome.tally.lost == 0 && !outcome.finished());
}

/// An open loop of a second on one job server that does something wrong after 50 jobs.
const OPEN: &str = "
    [[phases]]
    name = 'open'
    seconds = 1
    limit = 3
    [[phases.clients]]
    count = 4
    rate = 500
    arrivals = 'constant'
    [[phases.workers]]
    count = 2
";

/// A killed job server once was one that could do more, with the percentiles of the survivors.
#[test]
fn what_a_job_server_that_dies_does_not_answer_is_counted() {
    let outcome = run(Fault::Die, OPEN).outcome;
    let phase = &outcome.phases[0];
    let fates = phase.fates.unwrap();
    assert!((499..=501).contains(&fates.due), "{fates:?}");
    assert!(fates.unanswered() > 400 && fates.sent < 100, "{fates:?}");
    // The planned window, not the life of the server.
    assert_eq!(phase.seconds, 1.0);
    assert!(phase.rate < 100.0, "{}", phase.rate);
    assert_eq!(phase.limit, Limit::Gone);
    let felt = phase.groups[0].felt().unwrap();
    assert_eq!((felt.response.count, felt.unanswered), (fates.due, fates.unanswered()));
    // JOB_CREATED never came for those that could not be sent, either.
    assert!(phase.groups[0].spans[0].unanswered > 400);
    // Half of them would have waited for half a second at least.
    assert!(felt.response.p50 > 300_000.0 && felt.at_least.is_some(), "{felt:?}");
    let report = crate::result::report::block(&outcome);
    assert!(report.contains("the job server: it went away"), "{report}");
    let result = report.lines().find(|line| line.contains("submit→result")).unwrap();
    assert!(result.contains('>') && !report.contains("could do more"), "{report}");
}

/// One that never answers again is not finished, and has no good percentiles either.
#[test]
fn what_a_job_server_that_hangs_does_not_answer_is_counted() {
    let outcome = run(Fault::Hang, OPEN).outcome;
    let phase = &outcome.phases[0];
    let fates = phase.fates.unwrap();
    assert!(!outcome.finished() && fates.unanswered() > 400, "{fates:?}");
    assert_eq!(phase.limit, Limit::Stalled);
    assert!(phase.stall.unwrap().seconds > 1.0, "{:?}", phase.stall);
    // It was broken off after three seconds: who was due in the first waited two at least.
    let felt = phase.groups[0].felt().unwrap();
    assert!(felt.response.p50 > 2_000_000.0, "{felt:?}");
    let report = crate::result::report::block(&outcome);
    assert!(
        report.contains("the job server: it stood still") && report.contains("stood still for"),
        "{report}"
    );
}

#[test]
fn a_job_server_that_stood_still_is_told_when_and_for_how_long() {
    let outcome = run(Fault::Stall, OPEN).outcome;
    let phase = &outcome.phases[0];
    let stall = phase.stall.unwrap();
    assert!((0.25..0.6).contains(&stall.seconds) && stall.waiting > 50, "{stall:?}");
    assert_eq!((phase.limit.clone(), phase.fates.unwrap().unanswered()), (Limit::Stalled, 0));
}

/// Two runs at one job server once called each other's jobs altered, 9,000 times each.
#[test]
fn two_runs_at_one_job_server_keep_apart() {
    let stand_in = StandIn::start(Fault::None).unwrap();
    let play = |function: &str| {
        let phases = OPEN.replace("count = ", &format!("{function}\ncount = "));
        let plan: Plan = toml::from_str(&format!("name = 'test'\nabout = 'A test.'\n{phases}")).unwrap();
        conduct(&plan, &setting(stand_in.address()), None, &mut Progress::new("test", true)).unwrap().outcome
    };
    std::thread::scope(|scope| {
        let [a, b] = [scope.spawn(|| play("")), scope.spawn(|| play(""))].map(|run| run.join().unwrap());
        for tally in [a.tally, b.tally] {
            assert!(tally.is_clean() && tally.strangers == 0, "{tally:?}");
        }
        // Under a name that both know each fails what is not its own, and says so.
        let runs = [scope.spawn(|| play("function = 'x'")), scope.spawn(|| play("function = 'x'"))];
        let [a, b] = runs.map(|run| run.join().unwrap().tally);
        assert!(a.strangers + b.strangers > 0 && a.altered + b.altered == 0, "{a:?} {b:?}");
    });
}

#[test]
fn a_phase_in_which_no_job_was_done_is_a_failure() {
    let used_up = OPEN.replace("count = 4", "count = 4\njobs = 4").replace("limit = 3", "warm_up = 0.5");
    let outcome = run(Fault::None, &used_up).outcome;
    assert!(outcome.phases[0].finished && !outcome.finished());
    let report = crate::result::report::block(&outcome);
    assert!(report.contains("did no job in its measured time"), "{report}");
}

#[test]
fn quantiles_of_few_jobs_are_not_told() {
    let few = FOREGROUND.replace("jobs = 2000", "jobs = 200");
    let report = crate::result::report::block(&run(Fault::None, &few).outcome);
    let result = report.lines().find(|line| line.contains("submit→result")).unwrap();
    // p99.99 and p99.9 of 200 jobs, and their p99, are the largest by chance.
    assert_eq!(result.split_whitespace().filter(|cell| *cell == "-").count(), 3, "{result}");
}

/// The open loop: who waits is not asked whether he likes to.
#[test]
fn a_stall_shows_in_response_time_and_not_in_service_time() {
    let plan = "
        [[phases]]
        name = 'open'
        seconds = 1
        limit = 30
        [[phases.clients]]
        count = 1
        rate = 500
        arrivals = 'constant'
        outstanding = 1
        background = true
    ";
    let finding = run(Fault::Stall, plan);
    assert!(finding.outcome.tally.is_clean());
    let spans = finding.recorders[0].groups[0].as_ref().unwrap();
    let created = &spans[Span::Created as usize];
    assert_eq!(created.response.len(), 500);
    // 300 ms of 1000 stand still, and what was due then waits up to that long. One job alone saw it.
    let slow = |histogram: &hdrhistogram::Histogram<u64>| histogram.count_between(100_000_000, u64::MAX);
    assert!(slow(&created.response) > 80, "{}", slow(&created.response));
    assert_eq!(slow(&created.service), 1);
}

#[test]
fn a_job_server_that_is_not_there_is_an_error() {
    let stand_in = StandIn::start(Fault::None).unwrap();
    let server = stand_in.address();
    drop(stand_in);
    let plan: Plan = toml::from_str(&format!("name = 'test'\nabout = 'A test.'\n{FOREGROUND}")).unwrap();
    let setting = Setting {
        label: String::new(),
        server,
        pid: None,
        commit: None,
        threads: 1,
        cores: vec![],
        spin: 0,
        patience: 0.5,
        probe: true,
        agents: vec![],
    };
    assert!(conduct(&plan, &setting, None, &mut Progress::new("test", true)).is_err());
}

#[test]
fn large_jobs_service_times_and_idle_connections() {
    let plan = "
        [[phases]]
        name = 'large'
        seconds = 1
        idle = 50
        limit = 30
        [[phases.clients]]
        count = 2
        rate = 20
        payload = 1_000_000
        outstanding = 4
        [[phases.clients]]
        name = 'late'
        count = 1
        closed = 2
        jobs = 20
        start = 0.3
        priority = 'high'
        [[phases.workers]]
        count = 4
        service = { uniform = { min = 1, max = 20 } }
        result = 300_000
    ";
    let outcome = run(Fault::None, plan).outcome;
    assert!(outcome.tally.is_clean(), "{:?}", outcome.tally);
    assert!(outcome.finished());
    assert_eq!(outcome.phases[0].connections, 57);
    let late = outcome.phases[0].groups.iter().find(|group| group.name == "late").unwrap();
    assert_eq!(late.felt().unwrap().response.count, 20);
    // Each of its jobs took its service time at least.
    assert!(late.felt().unwrap().response.p50 >= 1000.0);
    // That time is not the job server's.
    let added = late.spans.last().unwrap();
    assert_eq!((added.span.as_str(), added.response.count), ("added", 20));
    assert!(late.felt().unwrap().response.mean - added.response.mean >= 1000.0);
    let report = crate::result::report::block(&outcome);
    assert!(report.contains("added by the job server"), "{report}");
    let rows = crate::compare::rows::compare(std::slice::from_ref(&outcome), std::slice::from_ref(&outcome))
        .unwrap();
    assert!(
        rows.iter().any(|row| row.figure == "late, added by the job server p50, µs (closed loop)"),
        "{rows:?}"
    );
    assert!(
        !rows.iter().any(|row| row.figure.starts_with("late, added by the job server p99")),
        "of twenty jobs"
    );
}

#[test]
fn a_result_is_a_folder_that_can_be_read_again() {
    let finding = run(Fault::None, FOREGROUND);
    let folder = tempfile::tempdir().unwrap();
    crate::compare::files::write(folder.path(), &finding).unwrap();
    let read = crate::compare::files::read_side(folder.path()).unwrap();
    assert_eq!(read.outcomes, std::slice::from_ref(&finding.outcome));
    let svg = std::fs::read_to_string(folder.path().join("plot.svg")).unwrap();
    assert!(svg.contains("submit→result") && !svg.contains("NaN"));
    let hgrm = std::fs::read_to_string(folder.path().join("1-foreground-clients-result.hgrm")).unwrap();
    assert!(hgrm.contains("Total count    =         2000"), "{hgrm}");
    // The lines of a tag are the intervals, and together the whole.
    let log = std::fs::read(folder.path().join("histograms.hlog")).unwrap();
    assert!(String::from_utf8_lossy(&log).contains("Tag=1-foreground-clients-result,"));
    let intervals = &finding.recorders[0].intervals;
    let of = |span| intervals.iter().filter(move |interval| interval.kind == span);
    let result = Kind::Latency { group: 0, span: Span::Result, service: false };
    let mut sum = crate::result::record::histogram();
    of(result).for_each(|interval| sum.add(interval.histogram().unwrap()).unwrap());
    assert_eq!(sum, finding.recorders[0].groups[0].as_ref().unwrap()[Span::Result as usize].response);
    let report = std::fs::read_to_string(folder.path().join("report.md")).unwrap();
    assert!(report.contains("| test | foreground |") && report.contains("all jobs accounted for"));
}

#[test]
fn a_phase_with_nobody_in_it_watches() {
    let plan = format!("{BACKGROUND}\n[[phases]]\nname = 'afterwards'\nmeasure = false\nseconds = 0.3\n");
    let finding = run(Fault::None, &plan);
    let outcome = &finding.outcome;
    assert!(outcome.tally.is_clean() && outcome.finished());
    let after = &outcome.phases[2];
    assert!(after.only_watched() && after.server.unwrap().rss_after > 0);
    assert!(!outcome.memory.is_empty() && outcome.most_memory() > 0);
    assert!(outcome.memory.windows(2).all(|pair| pair[0].0 < pair[1].0));
    let report = crate::result::report::block(outcome);
    assert!(report.contains("afterwards: watched for") && report.contains(" after\n"), "{report}");
    let charts = crate::compare::plot::of_run(&finding);
    for title in ["resident memory over time", "server CPU over time"] {
        assert!(charts.iter().any(|chart| chart.title == title), "{title}");
    }
}

/// What `compare` ends with, of folders.
pub(crate) fn in_folders(a: &std::path::Path, b: Option<&std::path::Path>) -> Result<u8, String> {
    let again = crate::compare::again::Again::read(a, b)?;
    Ok(crate::worst(again.sides.iter().flat_map(|side| &side.outcomes), true))
}

/// Groups without a name once shared their files and their series; and so did those of an earlier phase.
#[test]
fn every_group_has_its_own_files_and_series() {
    let group = "[[phases.clients]]\ncount = 2\nclosed = 2\njobs = 20\n";
    let workers = "[[phases.workers]]\ncount = 2\n";
    let phase = |name: &str, rest: &str| format!("[[phases]]\nname = '{name}'\nlimit = 30\n{rest}");
    let queued = format!("{group}background = true\n");
    let [first, second] = ["fill", "more"].map(|name| phase(name, &format!("{queued}{queued}")));
    let third = phase("drain", &format!("drain = true\n{workers}"));
    let finding = run(Fault::None, &format!("{first}{second}{third}"));
    assert!(finding.outcome.tally.is_clean(), "{:?}", finding.outcome.tally);
    let all = ["clients-1 of fill", "clients-1 of more", "clients-2 of fill", "clients-2 of more"];
    let drain = &finding.outcome.phases[2];
    let mut groups: Vec<&str> = drain.groups.iter().map(|group| group.name.as_str()).collect();
    groups.sort_unstable();
    assert_eq!(groups, all);
    let worker = |name: &str| {
        drain.series.iter().filter(|series| series.group == name && series.span == "worker").count()
    };
    assert_eq!(all.map(worker), [1; 4]);

    let folder = tempfile::tempdir().unwrap();
    crate::compare::files::write(folder.path(), &finding).unwrap();
    let names = [
        "1-fill-clients-1-created",
        "1-fill-clients-2-created",
        "3-drain-clients-1-of-fill-worker",
        "3-drain-clients-2-of-fill-worker",
        "3-drain-clients-2-of-more-worker",
    ];
    for name in names {
        let hgrm = std::fs::read_to_string(folder.path().join(format!("{name}.hgrm"))).unwrap();
        assert!(hgrm.contains("Total count    =           20"), "{name}: {hgrm}");
    }
    let log = std::fs::read_to_string(folder.path().join("histograms.hlog")).unwrap();
    let mut tags: Vec<&str> =
        log.lines().filter_map(|line| line.strip_prefix("Tag=")?.split(',').next()).collect();
    let lines = tags.len();
    tags.sort_unstable();
    tags.dedup();
    assert!(tags.len() >= 8 && lines >= tags.len(), "{log}");
}

/// A rate that changes is one schedule for all: what is asked is its mean over the measured time.
#[test]
fn a_rate_that_changes_is_kept_to() {
    let burst = "{ burst = { rate = 1000, on = 0.2, off = 0.3, base = 100 } }";
    let plan = OPEN
        .replace("rate = 500", &format!("rate = {burst}"))
        .replace("limit = 3", "limit = 9\nwarm_up = 0.5");
    let outcome = run(Fault::None, &plan).outcome;
    assert!(outcome.tally.is_clean(), "{:?}", outcome.tally);
    let phase = &outcome.phases[0];
    // 200 and 30 of each half second, of which the second is measured.
    assert!((460.0 - phase.asked.unwrap()).abs() < 1e-6, "{:?}", phase.asked);
    let fates = phase.fates.unwrap();
    assert!((229..=231).contains(&fates.due) && fates.answered == fates.due, "{fates:?}");
}

/// What a build server goes by: the worst that happened has the say.
#[test]
fn a_failed_threshold_is_a_status_of_its_own_and_the_least() {
    let mut outcome = run(Fault::None, FOREGROUND).outcome;
    let judge = |outcome: &mut Outcome, text: &str| {
        let own = crate::result::expect::read(&[text.to_owned()]).unwrap();
        outcome.thresholds = crate::result::expect::judge(&outcome.plan, &own, &[outcome], &[]);
    };
    judge(&mut outcome, "max > 100s");
    assert_eq!(crate::code(&outcome), 0);
    judge(&mut outcome, "max > 1ns");
    let report = crate::result::report::block(&outcome);
    assert!(report.contains("thresholds:\nFAILED: foreground: max > 1ns: "), "{report}");
    assert_eq!(crate::code(&outcome), 4);
    // A comparison has thresholds of its own.
    assert_eq!(crate::worst([&outcome].into_iter(), true), 0);
    assert_eq!(crate::worst([&outcome].into_iter(), false), 4);
    outcome.phases[0].finished = false;
    assert_eq!((crate::code(&outcome), crate::worst([&outcome].into_iter(), false)), (3, 3));
    outcome.tally.lost = 1;
    assert_eq!((crate::code(&outcome), crate::worst([&outcome].into_iter(), false)), (1, 1));
}

/// A client and a worker that do not share the load's threads.
#[test]
fn an_open_loop_has_a_probe_beside_it() {
    let plan = OPEN.replace("seconds = 1", "seconds = 2");
    let outcome = run(Fault::None, &plan).outcome;
    let probe = outcome.phases[0].probe.unwrap();
    // One job in a hundred, by chance.
    assert!((2..=25).contains(&probe.count), "{probe:?}");
    assert_eq!(outcome.phases[0].fates.unwrap().due, 1000);
    assert!(crate::result::report::block(&outcome).contains("probe, on its own thread"));
    // Where a closed loop sets the pace, or the job server dies, there is none to be held against.
    assert_eq!(run(Fault::None, FOREGROUND).outcome.phases[0].probe, None);
    assert!(run(Fault::Die, OPEN).outcome.phases[0].probe.is_none_or(|probe| probe.count < 10));
}
