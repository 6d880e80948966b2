//! Sweeps over job servers that are made up, with an end that is known.
use super::*;

/// Job servers that keep the bound up to a rate each, and what they were asked for.
fn asked(ends: &[f64]) -> (Vec<(usize, f64)>, Vec<Search>) {
    let mut asked = vec![];
    let mut searches = vec![Search::default(); ends.len()];
    search(&mut searches, 1000.0, |which, rate| {
        asked.push((which, rate));
        Ok(if rate <= ends[which] { Found::Kept } else { Found::Missed })
    })
    .unwrap();
    (asked, searches)
}

fn search_one(mut found: impl FnMut(f64) -> Found) -> Search {
    let mut searches = vec![Search::default()];
    search(&mut searches, 1000.0, |_, rate| Ok(found(rate))).unwrap();
    searches.remove(0)
}

#[test]
fn one_is_found_by_halving() {
    let (asked, searches) = asked(&[5000.0]);
    let kept = searches[0].kept.unwrap();
    assert!(kept <= 5000.0 && kept * FINE > 5000.0, "{kept}");
    // 1000, 2000, 4000, 8000 and five halves.
    // Each of the six misses is tried again, and two rates above the end, which are missed twice.
    let mut rates: Vec<f64> = asked.iter().map(|(_, rate)| *rate).collect();
    rates.dedup();
    assert_eq!(rates.len(), 9 + 2);
    assert!(searches[0].is_measured() && searches[0].above.is_none());
    let (_, searches) = self::asked(&[300.0]);
    assert!((280.0..=300.0).contains(&searches[0].kept.unwrap()));
    assert_eq!(self::asked(&[0.0]).1[0].kept, None);
}

#[test]
fn two_are_asked_for_the_same_rates_in_turn() {
    let (asked, searches) = asked(&[5000.0, 40_000.0]);
    for (search, end) in searches.iter().zip([5000.0, 40_000.0]) {
        let kept = search.kept.unwrap();
        assert!(kept <= end && kept * FINE > end, "{kept}");
    }
    assert_eq!(asked[..4], [(0, 1000.0), (1, 1000.0), (1, 2000.0), (0, 2000.0)]);
    let rates = |which| asked.iter().filter(move |(whose, _)| *whose == which).map(|(_, rate)| *rate);
    // The slower is spared what it is far from, the faster answers all.
    // But for what each is asked for above its own end.
    let own = |rate: f64| ABOVE.iter().any(|factor| searches[0].end() == Some(rate / factor));
    assert!(rates(0).all(|rate| rate < 8000.0 * BEYOND));
    assert!(rates(0).all(|rate| own(rate) || rates(1).any(|other| other == rate)));
    assert!(rates(1).any(|rate| rate > 8000.0 * BEYOND));
    assert!(rates(0).count() < rates(1).count());
}

#[test]
fn a_miss_by_chance_below_a_rate_that_was_kept_ends_nothing() {
    let mut search = Search::default();
    for (rate, found) in [(8000.0, Found::Kept), (16_000.0, Found::Kept), (11_000.0, Found::Missed)] {
        search.learn(rate, found);
    }
    assert_eq!(search.next(1000.0), Some(32_000.0));
    search.learn(32_000.0, Found::Missed);
    assert_eq!(search.end(), Some(32_000.0));
}

#[test]
fn one_miss_by_chance_is_tried_again_and_ends_nothing() {
    let mut misses = 0;
    let kept = search_one(|rate| {
        // A pause of the machine, once.
        if rate == 2000.0 && misses == 0 {
            misses += 1;
            return Found::Missed;
        }
        if rate <= 5000.0 { Found::Kept } else { Found::Missed }
    });
    let kept = kept.kept.unwrap();
    assert!(kept * FINE > 5000.0, "{kept}");
}

#[test]
fn what_the_load_generator_could_not_measure_is_no_end() {
    let search = &search_one(|rate| if rate <= 5000.0 { Found::Kept } else { Found::NotMeasurable });
    assert!(!search.is_measured() && search.end().is_some());
    let plan = toml::from_str(crate::plan::library::PLANS[0].1).unwrap();
    let mut sweep = Sweep::new("ours", 1, &plan, 5000.0);
    sweep.end(search);
    let text = text(&[sweep]);
    assert!(text.contains("at least: at") && text.contains("the job server may do more"), "{text}");
}

#[test]
fn a_rate_above_the_end_that_is_kept_makes_the_end_a_range() {
    let search = search_one(|rate| match rate {
        rate if rate <= 3000.0 || (3750.0..3800.0).contains(&rate) => Found::Kept,
        _ => Found::Missed,
    });
    assert!(search.kept.unwrap() <= 3000.0 && search.above.is_some(), "{search:?}");
}

fn swept(label: &str, best: f64) -> Sweep {
    let plan = toml::from_str(crate::plan::library::PLANS[0].1).unwrap();
    let mut sweep = Sweep::new(label, 1, &plan, 5000.0);
    for asked in [1000.0, 4000.0, 2000.0] {
        let p99 = asked;
        let latency = Percentiles {
            count: 9,
            mean: p99,
            p50: p99 / 2.0,
            p90: p99,
            p95: p99,
            p99,
            p999: p99,
            p9999: p99,
            max: p99,
        };
        sweep.steps.push(Step {
            asked,
            rate: asked,
            latency: Some(latency),
            cores_used: None,
            cpu_per_job: None,
            timer_error: 0.0,
            found: if asked <= best { Found::Kept } else { Found::Missed },
            limit: Limit::Rate,
        });
    }
    sweep.end(&Search { kept: Some(best), missed: vec![best * 1.02], ..Search::default() });
    sweep
}

#[test]
fn two_share_one_picture_and_one_file() {
    let folder = tempfile::tempdir().unwrap();
    write(&[swept("ours", 4000.0), swept("theirs", 2000.0)], folder.path()).unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let svg = read("sweep.svg");
    for line in ["ours, p99", "ours, p50", "theirs, p99", "theirs, p50", "bound on p99"] {
        assert!(svg.contains(line), "{line}");
    }
    assert!(!svg.contains("NaN"));
    let csv = read("sweep.csv");
    let rows: Vec<&str> = csv.lines().collect();
    assert!(rows.len() == 7 && rows[0].starts_with("server,sweep,asked,rate,jobs,mean_us,p50_us"), "{csv}");
    assert!(
        rows[5].starts_with("theirs,1,4000.000,4000.000,9,") && rows[5].contains(",not kept,rate"),
        "{csv}"
    );
    let json: serde_json::Value = serde_json::from_str(&read("sweep.json")).unwrap();
    assert_eq!((&json[0]["label"], &json[1]["label"]), (&"ours".into(), &"theirs".into()));
    let said = read("sweep.md");
    assert!(said.contains("ours kept the bound up to 2.0 - 2.0 - 2.0 times the rate of theirs"), "{said}");

    // Of one it is written as before.
    write(&[swept("ours", 4000.0)], folder.path()).unwrap();
    let json: serde_json::Value = serde_json::from_str(&read("sweep.json")).unwrap();
    assert_eq!(json["best"], 4000.0);
    assert!(read("sweep.svg").contains("p99.9"));
}

/// Once one sweep was all, and its second digit chance.
#[test]
fn several_sweeps_give_a_range_and_the_ratio_of_each() {
    let round = |label: &str, round: usize, best: f64, measured: bool| {
        let mut sweep = swept(label, best);
        (sweep.round, sweep.measured, sweep.end) = (round, measured, Some(best * 1.02));
        sweep
    };
    let sweeps = |measured| {
        [(1, 72_882.0, 36_441.0), (2, 90_510.0, 43_336.0), (3, 77_776.0, 34_000.0)]
            .into_iter()
            .flat_map(|(at, a, b)| [round("ours", at, a, measured), round("theirs", at, b, true)])
            .collect::<Vec<_>>()
    };
    let said = text(&sweeps(true));
    assert!(said.contains("ours: within the bound up to 73,000 - 91,000 jobs/s (3 sweeps)"), "{said}");
    assert!(said.contains("theirs: within the bound up to 34,000 - 43,000 jobs/s (3 sweeps)"), "{said}");
    assert!(
        said.contains("2.0 - 2.1 - 2.3 times the rate of theirs (the worst, the middle and the best"),
        "{said}"
    );
    let mut interrupted = sweeps(true);
    interrupted[4].whole = false;
    assert!(text(&interrupted).contains("ours: within the bound up to 73,000 - 91,000 jobs/s (2 sweeps)"));
    let said = text(&sweeps(false));
    assert!(said.contains("the end of the first was not found, so it may be more"), "{said}");
    assert!(said.contains("3 of them found no end of the job server"), "{said}");
}

/// Of few jobs a percentile is chance.
#[test]
fn a_step_with_too_few_jobs_tells_nothing() {
    let mut outcome = crate::tests::open();
    let latency = |outcome: &Outcome| outcome.phases[0].groups[0].felt().unwrap().response;
    assert!(latency(&outcome).count < 1000);
    assert_eq!(step(&outcome, 500.0, 1e9).unwrap().found, Found::NotMeasurable);
    for span in outcome.phases[0].groups[0].spans.iter_mut() {
        span.response.count = 1000;
    }
    outcome.phases[0].others = 0.0;
    assert_eq!(step(&outcome, 500.0, 1e9).unwrap().found, Found::Kept);
}
