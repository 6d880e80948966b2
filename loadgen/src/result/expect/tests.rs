//! Thresholds held against outcomes that are made up.
use super::*;
use crate::result::outcome::{Fates, ServerUse, Stall};

fn percentiles(count: u64, p99: f64) -> Percentiles {
    let p50 = p99 / 2.0;
    Percentiles {
        count,
        mean: p50,
        p50,
        p90: p99,
        p95: p99,
        p99,
        p999: p99 * 2.0,
        p9999: p99 * 3.0,
        max: p99 * 4.0,
    }
}

fn group(name: &str, count: u64, p99: f64) -> GroupOutcome {
    let span = |span: &str, p99| SpanOutcome {
        span: span.to_owned(),
        response: percentiles(count, p99),
        service: None,
        unanswered: 0,
        at_least: None,
    };
    let spans = vec![span("created", p99 / 10.0), span("result", p99), span("added", p99 / 5.0)];
    GroupOutcome { name: name.to_owned(), open: true, spans }
}

/// A run of one phase with 1000 jobs/s asked for and done and a p99 of 4 ms, in which nothing stood still.
fn outcome() -> Outcome {
    let mut outcome = crate::tests::background().outcome;
    outcome.phases.truncate(1);
    outcome.plan.phases.truncate(1);
    let phase = &mut outcome.phases[0];
    phase.groups = vec![group("clients", 100_000, 4000.0)];
    (phase.rate, phase.asked, phase.stall) = (1000.0, Some(1000.0), None);
    (phase.timer_error, phase.receive_lag) = (None, None);
    phase.fates = Some(Fates { due: 10, sent: 10, answered: 10 });
    let server = phase.server.expect("the test is the server");
    phase.server = Some(ServerUse { cpu_per_job: 12.5, rss_peak: 150_000_000, ..server });
    outcome
}

fn threshold(text: &str) -> Threshold {
    Threshold::parse(text).unwrap()
}

fn judged(text: &str, rounds: &[&Outcome], base: &[&Outcome]) -> Judged {
    let all = judge(&rounds[0].plan, &[threshold(text)], rounds, base);
    assert_eq!(all.len(), 1);
    all.into_iter().next().unwrap()
}

fn verdict(text: &str, outcome: &Outcome) -> (Verdict, String) {
    let judged = judged(text, &[outcome], &[]);
    (judged.verdict, judged.said)
}

#[test]
fn spans_have_the_same_names_as_in_results() {
    use crate::result::span::Span;
    assert_eq!(crate::plan::threshold::SPANS, Span::ALL.map(Span::name));
}

#[test]
fn figures_are_held_against_bounds() {
    let outcome = outcome();
    for text in [
        "p99 > 4ms",
        "p99.9 > 8ms",
        "created.p99 > 0.4ms",
        "added.max > 3.2ms",
        "mean > 2ms",
        "p99 < 4ms",
        "rate < 1000",
        "rate < 1 x asked",
        "stall > 50ms",
        "lost > 0",
        "doubled > 0",
        "unanswered > 0",
        "cpu > 12.5us",
        "memory > 150MB",
    ] {
        assert_eq!(verdict(text, &outcome).0, Verdict::Ok, "{text}");
    }
    for text in [
        "p99 > 3.9ms",
        "p99.9 > 7ms",
        "created.p99 > 0.3ms",
        "p99 < 5ms",
        "rate < 1001",
        "rate < 1.1 x asked",
        "cpu > 12us",
        "memory > 149MB",
    ] {
        assert_eq!(verdict(text, &outcome).0, Verdict::Failed, "{text}");
    }
    let judged = judged("p99 > 3.9ms", &[&outcome], &[]);
    assert_eq!((judged.value, judged.bound), (Some(4000.0), Some(3900.0)));
    assert_eq!(judged.line(), "FAILED: fill: p99 > 3.9ms: 4.00 ms was seen");
}

#[test]
fn what_went_wrong_fails() {
    let mut outcome = outcome();
    (outcome.tally.lost, outcome.tally.doubled) = (3, 1);
    outcome.phases[0].fates = Some(Fates { due: 10, sent: 9, answered: 8 });
    outcome.phases[0].stall = Some(Stall { seconds: 0.3, at: 1.0, waiting: 5 });
    for (text, value) in
        [("lost > 2", 3.0), ("doubled > 0", 1.0), ("unanswered > 1", 2.0), ("stall > 100ms", 3e5)]
    {
        let judged = judged(text, &[&outcome], &[]);
        assert_eq!((judged.verdict, judged.value), (Verdict::Failed, Some(value)), "{text}");
    }
}

/// A check that cannot see must not be green, and says what it would need.
#[test]
fn what_is_not_known_cannot_be_told_and_fails() {
    let mut outcome = outcome();
    let stall = verdict("stall > 20ms", &outcome);
    assert_eq!(stall.0, Verdict::CannotTell);
    assert!(stall.1.contains("less than 50.0 ms"), "{}", stall.1);
    outcome.phases[0].server = None;
    outcome.phases[0].asked = None;
    outcome.phases[0].groups = vec![group("clients", 200, 4000.0)];
    for (text, why) in [
        ("cpu > 1s", "--server-pid"),
        ("memory > 1GB", "--server-pid"),
        ("rate < 0.5 x asked", "open loops"),
        ("p99.9 > 1s", "fewer than ten"),
        ("worker.p50 > 1s", "ended with worker"),
    ] {
        let (verdict, said) = verdict(text, &outcome);
        assert!(verdict == Verdict::CannotTell && said.contains(why), "{text}: {said}");
    }
    // The largest and the mean need no ten beyond them.
    assert_eq!(verdict("max > 16ms", &outcome).0, Verdict::Ok);
    outcome.phases[0].groups.clear();
    assert_eq!(verdict("p50 > 1s", &outcome).0, Verdict::CannotTell);
}

#[test]
fn a_lower_bound_fails_above_and_says_nothing_below() {
    let mut outcome = outcome();
    let span = &mut outcome.phases[0].groups[0].spans[1];
    (span.unanswered, span.at_least) = (1500, Some(3500.0));
    assert_eq!(verdict("p99 > 3ms", &outcome).0, Verdict::Failed);
    let (unknown, said) = verdict("p99 > 5ms", &outcome);
    assert_eq!(unknown, Verdict::CannotTell);
    assert!(said.contains("at least 4.00 ms") && said.contains("1500 jobs were not answered"), "{said}");
    // Half were faster than the first that was not answered, and what may be more is not below.
    assert_eq!(verdict("p50 > 2ms", &outcome).0, Verdict::Ok);
    assert_eq!(verdict("p99 < 3ms", &outcome).0, Verdict::Ok);
    assert_eq!(verdict("p99 < 5ms", &outcome).0, Verdict::CannotTell);
    assert_eq!(verdict("mean > 1s", &outcome).0, Verdict::CannotTell);
}

#[test]
fn of_several_groups_the_worst_counts() {
    let mut outcome = outcome();
    outcome.phases[0].groups.push(group("slow", 100_000, 9000.0));
    assert_eq!(judged("p99 > 5ms", &[&outcome], &[]).value, Some(9000.0));
    assert_eq!(judged("p99 < 5ms", &[&outcome], &[]).value, Some(4000.0));
    outcome.phases[0].groups[1] = group("few", 50, 9000.0);
    assert_eq!(verdict("p99 > 3ms", &outcome).0, Verdict::Failed);
    let (unknown, said) = verdict("p99 > 5ms", &outcome);
    assert_eq!(unknown, Verdict::CannotTell);
    assert!(said.contains("few: of 50 jobs fewer than ten"), "{said}");
}

#[test]
fn rounds_are_held_by_their_median_and_against_the_other_side() {
    let with = |p99: f64| {
        let mut outcome = outcome();
        outcome.phases[0].groups = vec![group("clients", 100_000, p99)];
        outcome
    };
    let [a, b, c] = [with(1000.0), with(9000.0), with(2000.0)];
    let base = with(1900.0);
    let rounds = [&a, &b, &c];
    assert_eq!(judged("p99 > 2ms", &rounds, &[]).verdict, Verdict::Ok);
    assert_eq!(judged("p99 > 1.1 x base", &rounds, &[&base, &base]).verdict, Verdict::Ok);
    let judged_base = judged("p99 > 1.05 x base", &rounds, &[&base]);
    assert_eq!((judged_base.verdict, judged_base.value), (Verdict::Failed, Some(2000.0)));
    assert_eq!(judged("p99 > 1 x base", &rounds, &[]).verdict, Verdict::CannotTell);
    // One round that is only bounded below lies above the middle anyway; two of three do not.
    let mut unsure = b.clone();
    unsure.phases[0].groups[0].spans[1].at_least = Some(8000.0);
    assert_eq!(judged("p99 > 2ms", &[&a, &unsure, &c], &[]).verdict, Verdict::Ok);
    assert_eq!(judged("p99 > 9ms", &[&a, &unsure, &unsure], &[]).verdict, Verdict::CannotTell);
    // What must never happen is not outvoted.
    let mut lost = a.clone();
    lost.tally.lost = 1;
    assert_eq!(judged("lost > 0", &[&a, &lost, &c], &[]).verdict, Verdict::Failed);
}

#[test]
fn a_multiple_of_nobody_is_refused_before_anything_runs() {
    let mut plan = outcome().plan;
    let base = [threshold("p99 > 1.1 x base")];
    assert!(flaw(&plan, &base, false).unwrap().contains("--fail-if \"p99 > 1.1 x base\""));
    assert_eq!(flaw(&plan, &base, true), None);
    assert_eq!(flaw(&plan, &[threshold("p99 > 1ms")], false), None);
    plan.phases[0].fail_if = base.to_vec();
    assert!(flaw(&plan, &[], false).unwrap().contains("phase fill: fail_if"));
    assert!(read(&["p99".to_owned()]).unwrap_err().starts_with("--fail-if \"p99\""));
}

#[test]
fn those_of_a_plan_are_for_their_phase_and_others_for_every_measured_one() {
    let mut outcome = crate::tests::background().outcome;
    outcome.plan.phases[1].fail_if = vec![threshold("rate < 1")];
    outcome.plan.phases[0].measure = false;
    // One that only watches has no rate to be held against anything.
    let mut watch = outcome.plan.phases[1].clone();
    (watch.name, watch.fail_if) = ("afterwards".to_owned(), vec![]);
    watch.workers.clear();
    outcome.plan.phases.push(watch);
    outcome.phases.push(outcome.phases[1].clone());
    let judged = judge(&outcome.plan, &[threshold("lost > 0")], &[&outcome], &[]);
    let told: Vec<_> =
        judged.iter().map(|judged| (judged.phase.as_str(), judged.threshold.as_str())).collect();
    assert_eq!(told, [("drain", "rate < 1"), ("drain", "lost > 0")]);
    assert!(kept(&judged), "{}", lines(&judged));
}
