//! Rows of a comparison: when a difference is named, and when it is not.
use super::*;
use crate::job::check::Tally;
use crate::machine::identity::Machine;
use crate::result::outcome::{Counted, GeneratorUse, GroupOutcome, Limit, Percentiles, Server, ServerUse};

fn outcome(rate: f64, cpu_per_job: f64) -> Outcome {
    let plan = toml::from_str(crate::plan::library::PLANS[0].1).unwrap();
    let server = ServerUse {
        cpu_per_job,
        kernel_share: 0.5,
        cores_used: 1.0,
        busiest_thread: 1.0,
        waits_per_job: 0.0,
        preemptions_per_job: 0.0,
        threads: 1,
        rss_before: 1_000_000,
        rss_connected: 1_000_000,
        rss_peak: 2_000_000,
        rss_after: 2_000_000,
    };
    let phase = PhaseOutcome {
        name: "p".to_owned(),
        measured: true,
        finished: true,
        interrupted: false,
        kills: vec![],
        counted: Counted::Results,
        jobs: 1000,
        seconds: 1.0,
        rate,
        asked: None,
        connections: 2,
        groups: vec![],
        timer_error: None,
        receive_lag: None,
        probe: None,
        fates: None,
        stall: None,
        server: Some(server),
        generator: GeneratorUse { cpu_per_job: 1.0, busiest_thread: 0.1, spun: 0.0 },
        others: 0.0,
        stolen: 0.0,
        limit: Limit::Server,
        series: vec![],
    };
    Outcome {
        ledger: None,
        label: "x".to_owned(),
        plan,
        command: vec![],
        generator: String::new(),
        commit: None,
        began: 0.0,
        machine: Machine {
            cpu: "c".to_owned(),
            cores: 2,
            memory: 3,
            kernel: "k".to_owned(),
            virtual_machine: true,
        },
        server: Server::default(),
        threads: 1,
        cores: vec![],
        agents: vec![],
        phases: vec![phase],
        tally: Tally::default(),
        memory: vec![],
        cpu: vec![],
        left: 0,
        thresholds: vec![],
    }
}

fn rounds(rates: &[f64]) -> Vec<Outcome> {
    rates.iter().map(|&rate| outcome(rate, 1e6 / rate)).collect()
}

fn verdict_on_rate(a: &[f64], b: &[f64]) -> Row {
    compare(&rounds(a), &rounds(b)).unwrap().into_iter().find(|row| row.figure == "jobs/s").unwrap()
}

#[test]
fn a_clear_difference_is_told_with_its_spread() {
    let row = verdict_on_rate(&[400.0, 410.0, 390.0, 400.0, 400.0], &[100.0, 102.0, 101.0, 101.0, 101.0]);
    assert_eq!(row.verdict, Difference::Better);
    assert_eq!((row.a, row.b), (400.0, 101.0));
    assert!(row.factor[0] < row.factor[1] && row.factor[1] < row.factor[2]);
    assert_eq!(
        verdict_on_rate(&[100.0, 101.0, 100.0, 101.0, 100.0], &[400.0, 401.0, 400.0, 401.0, 400.0]).verdict,
        Difference::Worse
    );
}

#[test]
fn inside_the_noise_there_is_no_verdict() {
    let verdict = |a: &[f64], b: &[f64]| verdict_on_rate(a, b).verdict;
    let (noisy, other) = ([100.0, 130.0, 90.0, 100.0, 110.0], [95.0, 99.0, 80.0, 90.0, 97.0]);
    assert_eq!(verdict(&noisy, &other), Difference::CannotTell);
    assert_eq!(verdict(&[100.0; 5], &[101.0, 99.0, 100.0, 100.5, 99.5]), Difference::Equal);
    // Four rounds that agree are not enough.
    assert_eq!(verdict(&[400.0; 4], &[100.0; 4]), Difference::FewRounds);
    assert_eq!(verdict(&[100.0], &[90.0]), Difference::FewRounds);
}

/// The noise was once that of the first only, so that the order of the names decided.
#[test]
fn it_does_not_matter_who_is_named_first() {
    let (quiet, noisy) = ([103.0, 104.0, 105.0, 104.0, 104.0], [100.0, 70.0, 102.0, 95.0, 90.0]);
    assert_eq!(verdict_on_rate(&quiet, &noisy).verdict, verdict_on_rate(&noisy, &quiet).verdict);
    assert_eq!(verdict_on_rate(&quiet, &noisy).noise, verdict_on_rate(&noisy, &quiet).noise);
}

/// Of an even number of rounds the middle lies between two: on the scale of factors, or it is another one when the names are
/// swapped.
#[test]
fn an_even_number_of_rounds_is_mirrored_too() {
    let mut random = crate::job::random::Random::new(5);
    let figure = Compared {
        name: String::new(),
        more_is_better: true,
        closed: false,
        pick: Box::new(|_| None),
        at_least: Box::new(|_| false),
    };
    for at in 0..50_000 {
        let sigma = [0.005, 0.02, 0.05, 0.1][at % 4];
        let mut rounds = |middle: f64| -> Vec<f64> {
            let mut normal = || (0..12).map(|_| crate::job::random::unit(random.next())).sum::<f64>() - 6.0;
            (0..6).map(|_| middle * (sigma * normal()).exp()).collect()
        };
        let (a, b) = (rounds(100.0 * (1.0 + 4.0 * sigma)), rounds(100.0));
        let verdict = |a: &[f64], b: &[f64]| row("p", &figure, a, b).unwrap().verdict;
        let mirrored = match verdict(&b, &a) {
            Difference::Better => Difference::Worse,
            Difference::Worse => Difference::Better,
            other => other,
        };
        assert_eq!(verdict(&a, &b), mirrored, "{a:?} {b:?}");
    }
}

/// The same server on both sides: tables of 48 rows, noise as machines have it. At the default number of rounds nothing is named;
/// at the least number it is rare.
#[test]
fn the_same_server_is_never_better_than_itself_at_the_default() {
    assert!(tables_that_name_one(500, ROUNDS_LEAST) <= 5);
    assert_eq!(tables_that_name_one(500, crate::args::ROUNDS), 0);
    assert!(tables_that_name_one(500, crate::args::ROUNDS_MOST) <= 1);
}

fn tables_that_name_one(tables: usize, count: usize) -> usize {
    let mut random = crate::job::random::Random::new(11);
    let mut rounds = |sigma: f64| -> Vec<f64> {
        let mut normal = || (0..12).map(|_| crate::job::random::unit(random.next())).sum::<f64>() - 6.0;
        (0..count).map(|_| 100.0 * (sigma * normal()).exp()).collect()
    };
    let figure = Compared {
        name: String::new(),
        more_is_better: true,
        closed: false,
        pick: Box::new(|_| None),
        at_least: Box::new(|_| false),
    };
    let mut tables_with_one = 0;
    for _ in 0..tables {
        let wrong = (0..48).filter(|at| {
            let sigma = [0.01, 0.05, 0.2, 0.5][at % 4];
            let row = row("p", &figure, &rounds(sigma), &rounds(sigma)).unwrap();
            matches!(row.verdict, Difference::Better | Difference::Worse)
        });
        tables_with_one += usize::from(wrong.count() > 0);
    }
    tables_with_one
}

/// With many rounds the outermost tell nothing: one hiccup must not take the verdict from twenty.
#[test]
fn the_interval_is_that_of_the_median() {
    assert_eq!([5, 6, 8, 9, 12, 20].map(reach), [1, 1, 1, 2, 3, 6]);
    assert!((confidence(5) - 0.9375).abs() < 1e-9 && (confidence(6) - 0.96875).abs() < 1e-9);
    assert_eq!([1, 2].map(reach), [1, 1]);
    let mut ours = [400.0; 12];
    ours[3] = 20.0;
    let row = verdict_on_rate(&ours, &[100.0; 12]);
    assert_eq!((row.verdict, row.factor[0]), (Difference::Better, 4.0));
    assert_eq!(row.rounds[3], 0.2);
    assert!(settled(&[row]));
    let open = verdict_on_rate(&[100.0, 130.0, 90.0, 100.0, 110.0], &[95.0, 99.0, 80.0, 90.0, 97.0]);
    assert!(!settled(&[open]));
}

/// What was not answered took at least so long: that cannot make its side the better one.
#[test]
fn a_bound_wins_nothing() {
    let with = |p99: f64, at_least: Option<f64>, open: bool| {
        let mut outcome = outcome(100.0, 1.0);
        let latency =
            Percentiles { count: 5000, p50: p99, p99, p999: p99, max: p99, ..Percentiles::default() };
        let span = SpanOutcome {
            span: "result".to_owned(),
            response: latency,
            service: None,
            unanswered: 0,
            at_least,
        };
        outcome.phases[0].groups = vec![GroupOutcome { name: "g".to_owned(), open, spans: vec![span] }];
        vec![outcome; 5]
    };
    let verdict = |a: &[Outcome], b: &[Outcome]| {
        let row = compare(a, b).unwrap().into_iter().find(|row| row.figure.contains("p99,")).unwrap();
        row.verdict
    };
    assert_eq!(verdict(&with(10.0, None, true), &with(100.0, None, true)), Difference::Better);
    assert_eq!(verdict(&with(10.0, Some(5.0), true), &with(100.0, None, true)), Difference::CannotTell);
    assert_eq!(verdict(&with(10.0, None, true), &with(100.0, Some(5.0), true)), Difference::Better);
    assert_eq!(verdict(&with(10.0, None, false), &with(100.0, None, false)), Difference::Closed);
}

#[test]
fn less_cpu_is_better() {
    let rows = compare(&rounds(&[400.0; 5]), &rounds(&[100.0; 5])).unwrap();
    let cpu = rows.iter().find(|row| row.figure.contains("CPU")).unwrap();
    assert!((cpu.factor[1] - 4.0).abs() < 1e-9);
    let text = table(&rows, "ours", "theirs", 5);
    assert!(text.contains("ours is better"), "{text}");
}

#[test]
fn other_plans_machines_and_threads_are_refused_with_a_sentence() {
    let a = rounds(&[100.0]);
    let mut b = a.clone();
    b[0].plan.about = "another".to_owned();
    let refusal = compare(&a, &b).unwrap_err();
    assert!(refusal.contains("different plans") && refusal.contains("another"), "{refusal}");

    let mut b = a.clone();
    b[0].machine.kernel = "other".to_owned();
    let refusal = compare(&a, &b).unwrap_err();
    assert!(refusal.contains("different machines") && refusal.contains("other"), "{refusal}");

    let mut b = a.clone();
    b[0].threads = 2;
    assert!(compare(&a, &b).unwrap_err().contains("ran differently"));
    assert!(compare(&a, &[]).is_err());
}

#[test]
fn memory_after_the_work_is_compared_where_it_was_watched() {
    let watched = |after: u64| {
        let mut outcome = outcome(100.0, 1.0);
        let mut phase = outcome.phases[0].clone();
        (phase.name, phase.measured) = ("afterwards".to_owned(), false);
        (phase.counted, phase.connections) = (Counted::Nothing, 0);
        phase.server.as_mut().unwrap().rss_after = after;
        outcome.phases.push(phase);
        outcome
    };
    let rows = compare(&[watched(10_000_000)], &[watched(50_000_000)]).unwrap();
    let after: Vec<&Row> = rows.iter().filter(|row| row.phase == "afterwards").collect();
    assert_eq!(after.len(), 1, "nothing else of a phase that is not measured");
    assert_eq!((after[0].figure.as_str(), after[0].factor[1]), ("server resident after, MB", 5.0));
}

#[test]
fn a_result_is_read_as_it_was_written() {
    let written = serde_json::to_string(&outcome(1.0, 2.0)).unwrap();
    assert_eq!(serde_json::from_str::<Outcome>(&written).unwrap(), outcome(1.0, 2.0));
    // Also one that was written before memory was kept over time.
    let older = written.replace("\"memory\":[],", "");
    assert!(older.len() < written.len());
    assert_eq!(serde_json::from_str::<Outcome>(&older).unwrap(), outcome(1.0, 2.0));
}
