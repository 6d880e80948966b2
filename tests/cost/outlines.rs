//! Very many functions are summed up in steps, each of which looks at so many; of their rows only those are told that are wanted, and what
//! comes of all steps is what a list of all functions says.
use crate::alone::{NOW, engine, submit};
use crate::cluster::Cluster;
use ringgear_engine::outline::{
    FunctionBest, FunctionFilter, FunctionSort, FunctionSums, NEEDLE_MAX, OutlineAsk, OutlinePage,
};
use ringgear_engine::{
    Engine, HandlePrefix, Input, Order, Output, Policy, Query, Reply, Report, SessionId, ShardId,
};

/// The default of `rows_at_once`, and what is looked at for as many rows.
const ROWS: usize = 256;
const LOOKS: u64 = 1024;

fn ask(sort: FunctionSort, least: Option<([u64; 2], &'static str)>) -> OutlineAsk {
    let least = least.map(|(rank, name)| (rank, name.into()));
    OutlineAsk {
        owner: ShardId(0),
        after: None,
        needle: "".into(),
        only: FunctionFilter::All,
        best: vec![FunctionBest { sort, least }],
        named: [].into(),
    }
}

/// Asks on and on. How many steps it took.
fn all(mut ask: OutlineAsk, mut step: impl FnMut(OutlineAsk) -> OutlinePage) -> (OutlinePage, usize) {
    let mut all = OutlinePage::default();
    for steps in 1.. {
        let page = step(ask.clone());
        assert!(page.rows.len() <= ROWS && page.sums.functions <= LOOKS);
        all.sums.merge(&page.sums);
        all.counted.merge(&page.counted);
        all.rows.extend(page.rows);
        ask.after = page.until;
        if ask.after.is_none() {
            return (all, steps);
        }
    }
    unreachable!("a list has an end")
}

/// One event answers.
fn one(engine: &mut Engine, admin: SessionId, ask: OutlineAsk) -> OutlinePage {
    let query = Query::Outline(Box::new(ask));
    engine.handle(NOW, Input::Ask(admin, query.into()));
    let told: Vec<Output> = std::iter::from_fn(|| Some(engine.output()?.0)).collect();
    match told.into_iter().next() {
        Some(Output::Reply(to, Reply::Report(report))) if to == admin => match report.1 {
            Report::Outline(page) => *page,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn names(page: &OutlinePage) -> Vec<&[u8]> {
    page.rows.iter().map(|row| &row.function[..]).collect()
}

#[test]
fn so_many_functions_are_looked_at_in_one_event() {
    let (mut engine, admin) = engine(1, |_| {});
    for number in 0..10_000 {
        let function = format!("f{number:04}").into();
        engine.handle(NOW, Input::Ask(admin, Order::CreateFunction { function }.into()));
    }
    for function in ["f0007", "f5000", "f5000", "f9999"] {
        engine.handle(NOW, Input::Request(admin, submit(function.as_bytes(), function.as_bytes(), true)));
        engine.handle(NOW, Input::Request(admin, submit(function.as_bytes(), b"", false)));
    }
    while engine.output().is_some() {}
    let mut step = |ask| one(&mut engine, admin, ask);
    // Nobody is wanted but those that have something.
    let (found, steps) = all(ask(FunctionSort::Waiting, Some(([1, u64::MAX], ""))), &mut step);
    assert_eq!(names(&found), [b"f0007", b"f5000", b"f9999"]);
    assert_eq!((found.sums.functions, found.sums.waiting(), found.sums.unattended), (10_000, 7, 3));
    assert_eq!(found.counted.accepted, 7);
    assert_eq!(steps, 10_000_usize.div_ceil(LOOKS as usize));
    // All are wanted: no event tells more than a page.
    let (found, steps) = all(ask(FunctionSort::Name, None), &mut step);
    assert!(found.rows.len() == 10_000 && steps > 10_000 / ROWS, "{steps}");
    // Of equals those come first whose names do.
    let (found, _) = all(ask(FunctionSort::Name, Some(([0, 0], "f0002"))), &mut step);
    assert_eq!(names(&found), [b"f0000", b"f0001"]);
    let named = OutlineAsk {
        named: ["a", "f0001", "f0001x", "f1025", "f9998", "g"].map(bytes::Bytes::from).into(),
        ..ask(FunctionSort::Waiting, Some(([u64::MAX; 2], "")))
    };
    assert_eq!(names(&all(named, &mut step).0), [b"f0001", b"f1025", b"f9998"]);
    let some = OutlineAsk { needle: "F99".into(), ..ask(FunctionSort::Name, None) };
    let (found, _) = all(some, &mut step);
    assert_eq!((found.rows.len(), found.sums.functions), (100, 100));
    let some = OutlineAsk { only: FunctionFilter::Unattended, ..ask(FunctionSort::Name, None) };
    assert_eq!(all(some, &mut step).0.sums.functions, 3);
}

/// Long names cost more to look through than short ones.
#[test]
fn a_part_of_long_names_is_looked_for_in_smaller_steps() {
    let (mut engine, admin) = engine(1, |_| {});
    for number in 0..100 {
        let function = format!("{}{number:03}", "x".repeat(8000)).into();
        engine.handle(NOW, Input::Ask(admin, Order::CreateFunction { function }.into()));
    }
    while engine.output().is_some() {}
    let needle = format!("{}y", "x".repeat(NEEDLE_MAX - 1)).into();
    let (found, steps) =
        all(OutlineAsk { needle, ..ask(FunctionSort::Name, None) }, |ask| one(&mut engine, admin, ask));
    assert!(found.rows.is_empty() && steps >= 100, "{steps}");
}

/// What the owners say one after the other is what a list of all functions says.
#[test]
fn steps_of_all_owners_are_the_whole_list() {
    for shards in [1, 3] {
        let mut cluster = Cluster::new(shards, Policy::new(HandlePrefix::new(b"H").unwrap()));
        let admin = cluster.open(ShardId(0));
        for number in 0..3000_u32 {
            let function = format!("f{:04}", number * 7919 % 1500);
            cluster.request(admin, submit(function.as_bytes(), number.to_string().as_bytes(), true));
            cluster.run_until_quiet();
        }
        cluster.replies(admin);
        let mut told = |query: Query| {
            cluster.query(admin, query);
            cluster.run_until_quiet();
            let Some(Reply::Report(report)) = cluster.replies(admin).pop() else { panic!("a report") };
            report.1
        };
        let Report::Numbers(list) = told(Query::Numbers) else { panic!("numbers") };
        let (mut found, mut none) = (OutlinePage::default(), 0);
        for owner in (0..shards + 1).map(ShardId) {
            let ask = OutlineAsk { owner, ..ask(FunctionSort::Oldest, None) };
            let (page, _) = all(ask, |ask| match told(Query::Outline(Box::new(ask))) {
                Report::Outline(page) => *page,
                other => panic!("{other:?}"),
            });
            none += usize::from(page.sums.functions == 0);
            found.sums.merge(&page.sums);
            found.counted.merge(&page.counted);
            found.rows.extend(page.rows);
        }
        assert_eq!(none, 1, "there is no such owner");
        found.rows.sort_by(|one, other| one.function.cmp(&other.function));
        assert_eq!(found.rows, list.rows);
        assert_eq!(found.sums, FunctionSums::of(list.rows.iter()));
        let mut counted = list.others.clone();
        list.rows.iter().filter_map(|row| row.stats.as_ref()).for_each(|stats| counted.merge(stats));
        assert_eq!(found.counted, counted);
        cluster.check();
    }
}
