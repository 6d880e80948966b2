//! An order for many jobs looks at so many of them in a step, whichever are meant; dead ones are found without a look at the living.
use crate::alone::{NOW, engine, open, outputs, stored};
use ringgear_engine::report::BatchResult;
use ringgear_engine::slot::Slot;
use ringgear_engine::{
    BatchAction, BatchOrder, BatchState, Death, DeathReason, Engine, Epoch, Input, JobId, Order, Output,
    Reply, Report, SessionId, StoredJob,
};

/// More than a step looks at, and what one looks at.
const MANY: u64 = 10_000;
const LOOKS: u64 = 4096;
const DEAD: u64 = 3;

/// An engine with many jobs of `f` that wait, and some of the same function behind them that are dead.
fn full() -> (Engine, SessionId) {
    let (mut engine, _) = engine(1, |policy| policy.store = true);
    let death =
        Death { reason: DeathReason::WorkerGone, at: Epoch(1), address: [127, 0, 0, 1].into(), worker: b"" };
    for sequence in 1..=MANY + DEAD {
        let job = stored(JobId::new(sequence, Slot::of(b"f")));
        let death = (sequence > MANY).then_some(death);
        engine.restore(NOW, &StoredJob { death, ..job }).unwrap();
    }
    outputs(&mut engine);
    let admin = open(&mut engine, 5);
    (engine, admin)
}

/// One step of an order: what came of it.
fn step(engine: &mut Engine, admin: SessionId, order: BatchOrder) -> BatchResult {
    engine.handle(NOW, Input::Ask(admin, Order::Batch(Box::new(order)).into()));
    let report = outputs(engine).into_iter().find_map(|output| match output {
        Output::Reply(_, Reply::Report(report)) => Some(report.1),
        _ => None,
    });
    engine.check();
    match report {
        Some(Report::Batch(result)) => result,
        other => panic!("{other:?}"),
    }
}

fn order(state: BatchState) -> BatchOrder {
    BatchOrder {
        function: "f".into(),
        action: BatchAction::Cancel,
        state,
        older_ms: 0,
        unique: None,
        after: None,
        at_most: 10,
        dry_run: true,
    }
}

#[test]
fn dead_jobs_are_found_at_once_and_put_back_or_ended() {
    let (mut engine, admin) = full();
    let found = BatchResult { matched: DEAD as u32, ..BatchResult::default() };
    assert_eq!(step(&mut engine, admin, order(BatchState::Dead)), found);
    let retry =
        BatchOrder { action: BatchAction::Retry, at_most: 1, dry_run: false, ..order(BatchState::Dead) };
    let first = JobId::new(MANY + 1, Slot::of(b"f"));
    let done = BatchResult { matched: 1, done: 1, next: Some(first), ..BatchResult::default() };
    assert_eq!(step(&mut engine, admin, retry), done);
    let rest = BatchOrder { dry_run: false, ..order(BatchState::Dead) };
    let done = BatchResult { matched: 2, done: 2, ..BatchResult::default() };
    assert_eq!(step(&mut engine, admin, rest), done);
    assert_eq!(engine.jobs(), MANY + 1);
}

#[test]
fn a_step_looks_at_so_many_and_says_where_it_stopped() {
    let (mut engine, admin) = full();
    let nobodys = BatchOrder { unique: Some("nobody's".into()), ..order(BatchState::Queued) };
    let (mut after, mut steps) = (None, Vec::new());
    loop {
        let result = step(&mut engine, admin, BatchOrder { after, ..nobodys.clone() });
        assert_eq!(result.matched, 0);
        steps.push(result.next.map(JobId::sequence));
        after = result.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(steps, [Some(LOOKS), Some(2 * LOOKS), None]);
    let some = step(&mut engine, admin, order(BatchState::Queued));
    assert_eq!((some.matched, some.next.map(JobId::sequence)), (10, Some(10)));
}
