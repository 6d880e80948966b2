//! What must be known to say why something does not move: asked of the shards, a few questions for each case. What is made of it is `why.rs`.
use super::bounds::{NEAR_MAX, PAGES_MAX, RATES_MIN, SILENT_MAX};
use super::desk::Desk;
use super::why::{Crew, FunctionCase, OddWorker, SILENT_MS, are_near};
use crate::engine::page::ListMark;
use crate::engine::report::{FunctionNumbers, FunctionWorker, WorkerState};
use crate::engine::{Query, Report};
use crate::frontend::json;
use bytes::Bytes;

/// What is known of a function that there is. Only in one's turn.
pub(super) async fn of_function(desk: &Desk, row: FunctionNumbers) -> FunctionCase {
    let crew = crew(desk, &row.function).await;
    let waits = row.queued.iter().any(|&jobs| jobs > 0);
    let near = if row.workers == 0 && waits { near(desk, &row.function).await } else { Vec::new() };
    let rates = row.stats.as_ref().and_then(|stats| {
        let (recent, window) = desk.recent(&row.function, stats);
        let seconds = window.as_secs_f64();
        let ended = recent.completed + recent.failed + recent.exceptions;
        // A rate of a moment says nothing.
        (window >= RATES_MIN).then(|| (recent.accepted as f64 / seconds, ended as f64 / seconds))
    });
    let store_ms = desk.setup.store.as_ref().map_or(0, |store| store.times.read().under_way_us / 1000);
    FunctionCase { row, crew, near, rates, store_ms }
}

async fn crew(desk: &Desk, function: &Bytes) -> Crew {
    let (mut crew, mut awake) = (Crew::default(), Vec::new());
    let mut answer = desk.observer.ask(Query::FunctionWorkers { function: function.clone() }, None);
    for page in 0.. {
        let Some(Report::FunctionWorkers(rows)) = answer.next().await else { break };
        if page == PAGES_MAX {
            crew.more = true;
            break;
        }
        for row in rows {
            match row.state {
                WorkerState::Busy => crew.busy += 1,
                WorkerState::Asleep => crew.asleep += 1,
                WorkerState::Woken => crew.woken += 1,
                WorkerState::Awake => crew.awake += 1,
            }
            let longest = crew.longest.as_ref().map_or(0, |worker| worker.for_ms);
            if row.oldest.is_some_and(|held| held.ran_ms >= longest) {
                crew.longest = Some(odd(desk, &row));
            }
            if row.state == WorkerState::Awake && awake.len() < SILENT_MAX {
                awake.push(row);
            }
        }
    }
    drop(answer);
    for row in awake {
        let query = Query::Session { session: row.session };
        let Some(Report::Sessions(sessions)) = desk.observer.ask(query, None).next().await else { continue };
        let Some(session) = sessions.first().filter(|session| !session.asleep) else { continue };
        // Who never asked has been silent since it came.
        let asked = session.asked_ms.unwrap_or(session.since_ms);
        if asked >= SILENT_MS {
            crew.silent.push(OddWorker { for_ms: asked, ..odd(desk, &row) });
        }
    }
    crew
}

fn odd(desk: &Desk, row: &FunctionWorker) -> OddWorker {
    let handle = row.oldest.map(|held| desk.setup.frontend.handle_prefix.handle(held.job));
    OddWorker {
        session: json::session_name(row.session),
        address: row.address,
        id: row.id.to_vec(),
        for_ms: row.oldest.map_or(0, |held| held.ran_ms),
        handle: handle.map(|handle| String::from_utf8_lossy(&handle).into_owned()).unwrap_or_default(),
    }
}

/// Names like this one that have workers; of very many functions not all are looked at.
pub(super) async fn near(desk: &Desk, name: &[u8]) -> Vec<Vec<u8>> {
    let mut near = Vec::new();
    let mut answer = desk.observer.ask(Query::Status, None::<ListMark>);
    for _ in 0..PAGES_MAX {
        let Some(Report::Functions(rows)) = answer.next().await else { break };
        let alike = rows.iter().filter(|row| row.workers > 0 && are_near(name, &row.function));
        near.extend(alike.map(|row| row.function.to_vec()));
        if near.len() >= NEAR_MAX {
            near.truncate(NEAR_MAX);
            break;
        }
    }
    near
}
