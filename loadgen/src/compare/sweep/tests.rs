use super::*;

/// Job servers that keep the bound up to a rate each, and what they were asked for.
fn asked(ends: &[f64]) -> (Vec<(usize, f64)>, Vec<Search>) {
    let mut asked = vec![];
    let searches = search(ends.len(), 1000.0, |which, rate| {
        asked.push((which, rate));
        Ok(rate <= ends[which])
    });
    (asked, searches.unwrap())
}

#[test]
fn one_is_found_by_halving() {
    let (asked, searches) = asked(&[5000.0]);
    let kept = searches[0].kept.unwrap();
    assert!(kept <= 5000.0 && kept * FINE > 5000.0, "{kept}");
    // 1000, 2000, 4000, 8000 and five halves.
    assert_eq!(asked.len(), 9);
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
    assert!(rates(0).all(|rate| rate < 8000.0 * BEYOND && rates(1).any(|other| other == rate)));
    assert!(rates(1).any(|rate| rate > 8000.0 * BEYOND));
    assert!(rates(0).count() < rates(1).count());
}

#[test]
fn a_miss_by_chance_below_a_rate_that_was_kept_ends_nothing() {
    let mut search = Search::default();
    for (rate, kept) in [(8000.0, true), (16_000.0, true), (11_000.0, false)] {
        search.learn(rate, kept);
    }
    assert_eq!(search.next(1000.0), Some(32_000.0));
    search.learn(32_000.0, false);
    assert_eq!(search.end(), Some(32_000.0));
}

fn swept(label: &str, best: f64) -> Sweep {
    let plan = toml::from_str(crate::plan::library::PLANS[0].1).unwrap();
    let mut sweep = Sweep::new(label, &plan, 5000.0);
    for asked in [1000.0, 4000.0, 2000.0] {
        let p99 = asked;
        let latency = Percentiles { count: 9, mean: p99, p50: p99 / 2.0, p90: p99, p99, p999: p99, max: p99 };
        sweep.steps.push(Step {
            asked,
            rate: asked,
            latency: Some(latency),
            cores_used: None,
            cpu_per_job: None,
            timer_error: 0.0,
            kept: asked <= best,
            limit: Limit::Rate,
        });
    }
    sweep.end(&Search { kept: Some(best), missed: vec![] });
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
    let json: serde_json::Value = serde_json::from_str(&read("sweep.json")).unwrap();
    assert_eq!((&json[0]["label"], &json[1]["label"]), (&"ours".into(), &"theirs".into()));
    assert!(read("sweep.md").contains("ours kept the bound up to 2.00 times the rate of theirs"));

    // Of one it is written as before.
    write(&[swept("ours", 4000.0)], folder.path()).unwrap();
    let json: serde_json::Value = serde_json::from_str(&read("sweep.json")).unwrap();
    assert_eq!(json["best"], 4000.0);
    assert!(read("sweep.svg").contains("p99.9"));
}
