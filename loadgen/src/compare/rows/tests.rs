use super::*;
use crate::job::check::Tally;
use crate::machine::identity::Machine;
use crate::result::outcome::{Counted, GeneratorUse, Limit, Server, ServerUse};

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
        counted: Counted::Results,
        jobs: 1000,
        seconds: 1.0,
        rate,
        asked: None,
        connections: 2,
        groups: vec![],
        timer_error: None,
        receive_lag: None,
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
        label: "x".to_owned(),
        plan,
        command: vec![],
        generator: String::new(),
        commit: None,
        began: 0,
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
        phases: vec![phase],
        tally: Tally::default(),
        memory: vec![],
        cpu: vec![],
        left: 0,
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
    assert_eq!(row.verdict, Verdict::Better);
    assert_eq!((row.a, row.b), (400.0, 101.0));
    assert!(row.factor[0] < row.factor[1] && row.factor[1] < row.factor[2]);
    assert_eq!(
        verdict_on_rate(&[100.0, 101.0, 100.0, 101.0, 100.0], &[400.0, 401.0, 400.0, 401.0, 400.0]).verdict,
        Verdict::Worse
    );
}

#[test]
fn inside_the_noise_there_is_no_verdict() {
    let verdict = |a: &[f64], b: &[f64]| verdict_on_rate(a, b).verdict;
    let (noisy, other) = ([100.0, 130.0, 90.0, 100.0, 110.0], [95.0, 99.0, 80.0, 90.0, 97.0]);
    assert_eq!(verdict(&noisy, &other), Verdict::CannotTell);
    assert_eq!(verdict(&[100.0; 5], &[101.0, 99.0, 100.0, 100.5, 99.5]), Verdict::Equal);
    // Four rounds that agree are not enough.
    assert_eq!(verdict(&[400.0; 4], &[100.0; 4]), Verdict::FewRounds);
    assert_eq!(verdict(&[100.0], &[90.0]), Verdict::FewRounds);
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
    let figure = Figure { name: String::new(), more_is_better: true, pick: Box::new(|_| None) };
    for at in 0..50_000 {
        let sigma = [0.005, 0.02, 0.05, 0.1][at % 4];
        let mut rounds = |middle: f64| -> Vec<f64> {
            let mut normal = || (0..12).map(|_| crate::job::random::unit(random.next())).sum::<f64>() - 6.0;
            (0..6).map(|_| middle * (sigma * normal()).exp()).collect()
        };
        let (a, b) = (rounds(100.0 * (1.0 + 4.0 * sigma)), rounds(100.0));
        let verdict = |a: &[f64], b: &[f64]| row("p", &figure, a, b).unwrap().verdict;
        let mirrored = match verdict(&b, &a) {
            Verdict::Better => Verdict::Worse,
            Verdict::Worse => Verdict::Better,
            other => other,
        };
        assert_eq!(verdict(&a, &b), mirrored, "{a:?} {b:?}");
    }
}

/// The same server on both sides: tables of 48 rows, five rounds, noise as machines have it.
#[test]
fn the_same_server_is_hardly_ever_better_than_itself() {
    let mut random = crate::job::random::Random::new(11);
    let mut rounds = |sigma: f64| -> Vec<f64> {
        let mut normal = || (0..12).map(|_| crate::job::random::unit(random.next())).sum::<f64>() - 6.0;
        (0..ROUNDS_LEAST).map(|_| 100.0 * (sigma * normal()).exp()).collect()
    };
    let figure = Figure { name: String::new(), more_is_better: true, pick: Box::new(|_| None) };
    let mut tables_with_one = 0;
    for _ in 0..500 {
        let wrong = (0..48).filter(|at| {
            let sigma = [0.01, 0.05, 0.2, 0.5][at % 4];
            let row = row("p", &figure, &rounds(sigma), &rounds(sigma)).unwrap();
            matches!(row.verdict, Verdict::Better | Verdict::Worse)
        });
        tables_with_one += usize::from(wrong.count() > 0);
    }
    assert!(tables_with_one <= 5, "{tables_with_one} of 500 tables name one as better");
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
    b[0].plan.seed = 2;
    let refusal = compare(&a, &b).unwrap_err();
    assert!(refusal.contains("different plans") && refusal.contains("seed = 2"), "{refusal}");

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
