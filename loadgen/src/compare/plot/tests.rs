//! Pictures: what is drawn where, and what must not be joined.
use super::*;
use crate::result::outcome::Moment;
use crate::tests::background;

fn side(label: &str) -> Side {
    let mut finding = background();
    label.clone_into(&mut finding.outcome.label);
    Side { outcomes: vec![finding.outcome], recorders: finding.recorders }
}

fn titles(charts: &[Chart]) -> Vec<&str> {
    charts.iter().map(|chart| chart.title.as_str()).collect()
}

#[test]
fn two_job_servers_share_every_chart() {
    let (a, b) = (side("ours"), side("theirs"));
    let charts = of_both([&a, &b]);
    let titles = titles(&charts);
    // Nobody waits in the one phase, nobody submits in the other.
    for title in [
        "fill: submit→JOB_CREATED by percentile, closed loop",
        "fill: submit→JOB_CREATED over time, closed loop",
        "drain: submit→worker by percentile, closed loop",
        "resident memory over time",
    ] {
        assert!(titles.contains(&title), "{title}: {titles:?}");
    }
    for chart in &charts {
        let of = |label: &str| chart.lines.iter().filter(|line| line.name.starts_with(label)).count();
        assert_eq!(of("ours"), of("theirs"), "{}", chart.title);
    }
    assert!(of_both([&Side::default(), &b]).is_empty());
}

#[test]
fn every_group_of_clients_is_drawn() {
    let two = "
        [[phases]]
        name = 'two'
        limit = 30
        [[phases.clients]]
        name = 'first'
        count = 1
        closed = 4
        jobs = 200
        [[phases.clients]]
        name = 'second'
        count = 1
        closed = 4
        jobs = 200
        [[phases.workers]]
        count = 1
    ";
    let side = |finding: Finding| Side { outcomes: vec![finding.outcome], recorders: finding.recorders };
    let [a, b] = [(); 2].map(|()| side(crate::tests::behaved(two)));
    let charts = of_both([&a, &b]);
    for group in ["first", "second"] {
        let title = format!("two, {group}: submit→result by percentile, closed loop");
        assert!(titles(&charts).contains(&title.as_str()), "{:?}", titles(&charts));
    }
}

#[test]
fn percentiles_end_where_values_do_and_stand_at_their_marks() {
    let mut values = crate::result::record::histogram();
    for value in 1..=1000u64 {
        values.record(value * 1000).unwrap();
    }
    let points = curve(&values);
    let at = |x: f64| points.iter().find(|point| point.0 == x).map(|point| point.1.round());
    assert_eq!([1.0, 2.0, 10.0, 100.0, 1000.0].map(at), [1.0, 500.0, 900.0, 990.0, 1000.0].map(Some));
    assert_eq!(points.last().unwrap().0, 1000.0);
    assert!(points.windows(2).all(|pair| pair[0].0 < pair[1].0));
}

fn series(points: &[(f64, u64, u64)]) -> Series {
    let latency =
        |count| Percentiles { count, mean: 1.0, p50: 1.0, p99: 1.0, max: 1.0, ..Percentiles::default() };
    let point = |&(at, count, unanswered): &(f64, u64, u64)| Moment {
        at,
        seconds: 0.5,
        latency: latency(count),
        unanswered,
    };
    Series { group: "g".to_owned(), span: "result".to_owned(), points: points.iter().map(point).collect() }
}

#[test]
fn a_stall_is_a_gap_in_latency_and_zero_in_the_rate() {
    let mut phase = background().outcome.phases.remove(0);
    phase.series = vec![series(&[(1.0, 9, 0), (1.5, 10, 0), (3.0, 20, 0), (3.5, 7, 7), (4.5, 3, 3)])];
    let mut terms: Phase = toml::from_str("name = 'x'\nseconds = 4").unwrap();
    terms.warm_up = 1.0;
    let rate = rate(&phase, &terms);
    let expected = [(1.5, 20.0), (2.0, 0.0), (2.5, 0.0), (3.0, 40.0), (3.5, 0.0), (4.0, 0.0)];
    assert_eq!(rate, expected);
    let points = with_gaps(&phase.series[0], |latency| latency.p50);
    let gaps: Vec<f64> = points.iter().filter(|point| point.1.is_none()).map(|point| point.0).collect();
    assert_eq!(gaps, [2.0, 4.0]);
}

#[test]
fn an_interval_that_no_result_has_does_not_draw_for_ever() {
    let mut phase = background().outcome.phases.remove(0);
    phase.series = vec![series(&[(1.0, 9, 0), (1e300, 10, 0)])];
    let terms: Phase = toml::from_str("name = 'x'").unwrap();
    assert!(rate(&phase, &terms).is_empty());
}
