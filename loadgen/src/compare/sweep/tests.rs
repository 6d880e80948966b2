use super::*;

/// Job servers that keep the bound up to a rate each, and what they were asked for.
fn asked(ends: &[f64]) -> (Vec<(usize, f64)>, Vec<Search>) {
    let mut asked = vec![];
    let searches = search(ends.len(), 1000.0, |which, rate| {
        asked.push((which, rate));
        Ok(if rate <= ends[which] { Found::Kept } else { Found::Missed })
    });
    (asked, searches.unwrap())
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
    let searches = search(1, 1000.0, |_, rate| {
        // A pause of the machine, once.
        if rate == 2000.0 && misses == 0 {
            misses += 1;
            return Ok(Found::Missed);
        }
        Ok(if rate <= 5000.0 { Found::Kept } else { Found::Missed })
    });
    let kept = searches.unwrap()[0].kept.unwrap();
    assert!(kept * FINE > 5000.0, "{kept}");
}

#[test]
fn what_the_load_generator_could_not_measure_is_no_end() {
    let searches =
        search(1, 1000.0, |_, rate| Ok(if rate <= 5000.0 { Found::Kept } else { Found::NotMeasurable }));
    let search = &searches.unwrap()[0];
    assert!(!search.is_measured() && search.end().is_some());
    let plan = toml::from_str(crate::plan::library::PLANS[0].1).unwrap();
    let mut sweep = Sweep::new("ours", &plan, 5000.0);
    sweep.end(search);
    let text = text(&[sweep]);
    assert!(text.contains("at least: at") && text.contains("the job server may do more"), "{text}");
}

#[test]
fn a_rate_above_the_end_that_is_kept_makes_the_end_a_range() {
    let searches = search(1, 1000.0, |_, rate| {
        Ok(if rate <= 3000.0 || (3750.0..3800.0).contains(&rate) { Found::Kept } else { Found::Missed })
    });
    let search = &searches.unwrap()[0];
    assert!(search.kept.unwrap() <= 3000.0 && search.above.is_some(), "{search:?}");
}

fn swept(label: &str, best: f64) -> Sweep {
    let plan = toml::from_str(crate::plan::library::PLANS[0].1).unwrap();
    let mut sweep = Sweep::new(label, &plan, 5000.0);
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
    assert!(rows.len() == 7 && rows[0].starts_with("server,asked,rate,jobs,mean_us,p50_us"), "{csv}");
    assert!(
        rows[5].starts_with("theirs,4000.000,4000.000,9,") && rows[5].contains(",not kept,rate"),
        "{csv}"
    );
    let json: serde_json::Value = serde_json::from_str(&read("sweep.json")).unwrap();
    assert_eq!((&json[0]["label"], &json[1]["label"]), (&"ours".into(), &"theirs".into()));
    assert!(
        read("sweep.md")
            .contains("ours kept the bound up to 2.0 - 2.0 times the rate of theirs, in this one sweep")
    );

    // Of one it is written as before.
    write(&[swept("ours", 4000.0)], folder.path()).unwrap();
    let json: serde_json::Value = serde_json::from_str(&read("sweep.json")).unwrap();
    assert_eq!(json["best"], 4000.0);
    assert!(read("sweep.svg").contains("p99.9"));
}
