//! A function: why its jobs do not move, how it went, who works for it and what each holds, its jobs.
use super::super::api::cursor;
use super::super::case;
use super::super::desk::Desk;
use super::super::names::percent;
use super::super::overview::waiting;
use super::super::standing::standing;
use super::super::target::RequestTarget;
use super::super::trails::{TrailNote, TrailPoint};
use super::super::why;
use super::super::words::{lasting, time};
use super::fault::{PageFault, is_whole, wrong};
use super::frame::PageBody;
use super::rights::PageRights;
use super::rows::{PageRows, RowsWanted, rows};
use super::shown::{
    bar, function_path, handle, job_link, name, num, pager, state, took, verdicts, with_name,
};
use crate::engine::report::{FunctionNumbers, FunctionWorker, InvolvedJob, Report, WorkerState};
use crate::engine::stats::FunctionStats;
use crate::engine::{JobsWanted, Query};
use crate::frontend::json;
use bytes::Bytes;
use maud::{Markup, html};
use std::time::Instant;

/// Rows of a list on the page.
const ROWS: usize = 50;
/// Pages of a report that are looked through for them, each of which has one at least.
const LOOKS: usize = 24;

/// The page.
pub(super) async fn page(
    desk: &Desk,
    rights: PageRights,
    target: &RequestTarget,
) -> Result<PageBody, PageFault> {
    target.takes(&["name", "tab", "after", "told"]).map_err(wrong)?;
    let Some(function) = target.word("name").map(Bytes::copy_from_slice) else { return Ok(which()) };
    is_whole(desk)?;
    let jobs = match target.word("tab") {
        None | Some(b"workers") => false,
        Some(b"jobs") => true,
        Some(_) => return Err(wrong("tab is workers or jobs")),
    };
    let after = target.word("after");
    let place = if jobs { cursor::job } else { cursor::session_place };
    let after = after.map(place).transpose().map_err(wrong)?;
    let is_first = after.is_none();
    let _turn = desk.turn().await;
    let Some(row) = desk.function(&function).await else {
        let near = case::near(desk, &function).await;
        let main = html! {
            h1 { (name(&function)) }
            (verdicts(&[why::of_nothing(&near)]))
            @if !near.is_empty() { ul { @for near in &near { li { a href=(function_path(near)) { (name(near)) } } } } }
        };
        return Ok(body(&function, main, false));
    };
    let case = case::of_function(desk, row).await;
    let said = why::of_function(&case);
    let row = &case.row;
    let wanted = RowsWanted { after, limit: ROWS, pages: LOOKS };
    let list = match jobs {
        true => job_rows(desk, &function, jobs_of(desk, &function, wanted).await, is_first),
        false => worker_rows(desk, rights, &function, workers_of(desk, &function, wanted).await, is_first),
    };
    let points = desk.remembered.trails.of_function(Instant::now(), &function, note(row));
    let (word, class) = standing(row, case.rates);
    let main = html! {
        p class="up" { a rel="up" href="/" { "Now" } }
        h1 { (name(&function)) " " (state(word, class)) }
        (verdicts(&said))
        @if rights.operate { (orders(row)) }
        (amounts(row))
        (chart(&points))
        (times(desk, row))
        nav class="tabs" aria-label="Lists" {
            a href=(function_path(&function)) aria-current=[(!jobs).then_some("page")] { "Workers" }
            a href=(format!("{}&tab=jobs", function_path(&function))) aria-current=[jobs.then_some("page")] { "Jobs" }
            a href=(format!("/dead?function={}", percent(&function))) { "Dead (" (num(row.dead)) ")" }
        }
        (list)
    };
    Ok(body(&function, main, true))
}

fn body(function: &[u8], main: Markup, draws: bool) -> PageBody {
    PageBody { title: name(function), place: 2, live: true, draws, main }
}

fn which() -> PageBody {
    let main = html! {
        h1 { "Function" }
        form class="filter" method="get" action="/function" {
            label { "Its exact name " input type="search" name="name" required maxlength="8191" aria-keyshortcuts="/"; }
            button { "Open" }
        }
        form class="filter" method="get" action="/" {
            label { "or a part of it " input type="search" name="filter" maxlength="200"; }
            button { "Find" }
        }
    };
    PageBody { title: "Function".to_owned(), place: 2, live: false, draws: false, main }
}

fn note(row: &FunctionNumbers) -> TrailNote {
    let none = FunctionStats::default();
    let stats = row.stats.as_deref().unwrap_or(&none);
    TrailNote {
        waiting: waiting(row),
        running: row.running.into(),
        dead: row.dead.into(),
        oldest_ms: row.oldest_ms.unwrap_or(0),
        accepted: stats.accepted,
        completed: stats.completed,
        failed: stats.failed + stats.exceptions,
    }
}

/// What may be ordered. Each is asked for once more.
fn orders(row: &FunctionNumbers) -> Markup {
    let to = |what: &str| with_name(&format!("/order/{what}"), &row.function);
    html! {
        p class="orders" {
            @if row.paused.is_some() { a href=(to("resume")) aria-keyshortcuts="R" { "Resume…" } }
            @else { a href=(to("pause")) aria-keyshortcuts="P" { "Pause…" } }
            a href=(to("limits")) aria-keyshortcuts="L" { "Limits…" }
            @if row.dead > 0 {
                a href=(to("retry-dead")) aria-keyshortcuts=[row.paused.is_none().then_some("R")] { "Retry " (num(row.dead)) " dead…" }
            }
            @if waiting(row) > 0 { a href=(to("purge")) aria-keyshortcuts="X" { "Purge…" } }
        }
    }
}

fn amounts(row: &FunctionNumbers) -> Markup {
    let [high, normal, low] = row.queued;
    html! {
        dl class="facts" {
            div { dt { "waiting" } dd { (num(high)) " high, " (num(normal)) " normal, " (num(low)) " low " (bar(row.queued)) } }
            div { dt { "oldest" } dd { (row.oldest_ms.map_or("–".to_owned(), lasting)) } }
            div { dt { "running" } dd { (num(row.running)) } }
            div { dt { "workers" } dd { (num(row.workers)) } }
            @if row.scheduled > 0 { div { dt { "for later" } dd { (num(row.scheduled)) } } }
            @if row.storing > 0 { div { dt { "with the store" } dd { (num(row.storing)) } } }
            @if row.abandoned > 0 { div { dt { "left by all" } dd { (num(row.abandoned)) } } }
            div { dt { "dead" } dd { (num(row.dead)) } }
            div { dt { "limits" } dd {
                @if row.limits == [0; 3] { "none" }
                @else { @for (word, limit) in ["high", "normal", "low"].into_iter().zip(row.limits) { (word) " " (limited(limit)) " " } }
            } }
            @if let Some(pause) = &row.paused {
                div { dt { "paused" } dd {
                    "since " (time(pause.since))
                    @if let Some(until) = pause.until { ", until " (time(until)) }
                    " by " (name(&pause.by)) @if !pause.reason.is_empty() { ": " (name(&pause.reason)) }
                } }
            }
        }
    }
}

fn limited(limit: u32) -> String {
    if limit == 0 { "none".to_owned() } else { num(limit) }
}

/// What came and ended a second, and what waited. A script draws it; the last numbers stand there as text.
fn chart(points: &[TrailPoint]) -> Markup {
    let series = |of: fn(&TrailPoint) -> f64| {
        points.iter().map(|point| format!("{:.2}", of(point))).collect::<Vec<_>>().join(",")
    };
    html! {
        figure class="chart" hidden[points.len() < 2] {
            figcaption { "In, done and failed a second (left), waiting (right): the last quarter of an hour in UTC, as far as somebody looked." }
            div id="chart" hx-morph-skip data-ago=(series(|point| point.ago)) data-in=(series(|point| point.accepted))
                data-done=(series(|point| point.completed)) data-failed=(series(|point| point.failed))
                data-waiting=(series(|point| point.note.waiting as f64)) {}
            output id="chart-now" hidden data-ago=(series(|point| point.ago)) data-in=(series(|point| point.accepted))
                data-done=(series(|point| point.completed)) data-failed=(series(|point| point.failed))
                data-waiting=(series(|point| point.note.waiting as f64)) {}
        }
    }
}

/// How long jobs waited and ran.
fn times(desk: &Desk, row: &FunctionNumbers) -> Markup {
    let Some(stats) = &row.stats else {
        return html! { p { "This function has no counts of its own: more than " code { "--function-stats" } " allows have." } };
    };
    let (recent, window) = desk.recent(&row.function, stats);
    let late = format!("last {}", lasting(u64::try_from(window.as_millis()).unwrap_or(u64::MAX)));
    let columns = [(&late[..], &recent), ("since the start", &**stats)];
    html! {
        div class="scroll" role="region" aria-label="Wait and run times" tabindex="0" { table class="times" {
            caption { "How long jobs waited for a worker, and ran" }
            thead { tr {
                td {} th scope="col" class="n" { "jobs" }
                @for what in ["wait p50", "p95", "p99", "run p50", "p95", "p99"] { th scope="col" class="n" { (what) } }
                th scope="col" class="n" { "failed" }
            } }
            tbody { @for (when, stats) in columns {
                tr {
                    th scope="row" { (when) }
                    td class="n" { (num(stats.wait.count())) }
                    @for histogram in [&stats.wait, &stats.run] {
                        @for permille in [500, 950, 990] { td class="n" { (took(histogram.quantile(permille))) } }
                    }
                    td class="n" { (num(stats.failed + stats.exceptions)) }
                }
            } }
        } }
    }
}

async fn workers_of(desk: &Desk, function: &Bytes, wanted: RowsWanted) -> PageRows<FunctionWorker> {
    let query = Query::FunctionWorkers { function: function.clone() };
    let sort = |page| match page {
        Report::FunctionWorkers(rows) => {
            rows.into_iter().map(|row| (cursor::of_session(row.session), Some(row))).collect()
        }
        _ => Vec::new(),
    };
    let mut part = rows(desk, query, wanted, sort).await;
    // Who has held something longest comes first.
    part.items.sort_by_key(|row| std::cmp::Reverse(row.oldest.map_or(0, |held| held.ran_ms + 1)));
    part
}

fn worker_rows(
    desk: &Desk,
    rights: PageRights,
    function: &[u8],
    part: PageRows<FunctionWorker>,
    is_first: bool,
) -> Markup {
    html! {
        h2 { "Workers" }
        @if part.items.is_empty() { p { "No worker knows this function." } }
        @else {
            table class="cards" {
                thead { tr {
                    th scope="col" { "Worker" } th scope="col" { "State" } th scope="col" { "Holds" } th scope="col" class="n" { "For" }
                    @if rights.operate { th scope="col" { "Order" } }
                } }
                tbody { @for row in &part.items {
                    @let (word, class) = doing(row.state);
                    @let session = json::session_name(row.session);
                    tr data-row {
                        th scope="row" {
                            a href=(format!("/connections?session={session}")) {
                                (row.address.map_or("on this machine".to_owned(), |address| address.to_string()))
                                @if !row.id.is_empty() { " " (name(&row.id)) }
                            }
                        }
                        td { (state(word, class)) }
                        td data-label="holds" {
                            @match row.oldest {
                                Some(held) => { (job_link(&handle(&desk.setup.frontend, held.job))) @if row.holds > 1 { " and " (num(row.holds - 1)) " more" } }
                                None => { "nothing" }
                            }
                        }
                        td class="n" data-label="for" { (row.oldest.map_or("–".to_owned(), |held| lasting(held.ran_ms))) }
                        @if rights.operate { td { a href=(format!("/order/close?session={session}")) { "Close…" } } }
                    }
                } }
            }
        }
        (pager(&function_path(function), part.next.as_deref(), is_first))
    }
}

fn doing(state: WorkerState) -> (&'static str, &'static str) {
    match state {
        WorkerState::Busy => ("busy", "ok"),
        WorkerState::Asleep => ("asleep", "ok"),
        WorkerState::Woken => ("woken", "ok"),
        WorkerState::Awake => ("awake, holds none", "warn"),
    }
}

async fn jobs_of(desk: &Desk, function: &Bytes, wanted: RowsWanted) -> PageRows<InvolvedJob> {
    let mine = JobsWanted { function: Some(function.clone()), ..JobsWanted::default() };
    rows(desk, Query::JobsLike(Box::new(mine)), wanted, |page| match page {
        Report::Involved(rows) => rows.into_iter().map(|row| (cursor::of_job(row.job), Some(row))).collect(),
        _ => Vec::new(),
    })
    .await
}

fn job_rows(desk: &Desk, function: &[u8], part: PageRows<InvolvedJob>, is_first: bool) -> Markup {
    html! {
        h2 { "Jobs" }
        @if part.items.is_empty() {
            p { "No job waits or runs." }
        } @else {
            table class="cards" {
                thead { tr {
                    th scope="col" { "Job" } th scope="col" { "Unique" } th scope="col" { "State" } th scope="col" class="n" { "Clients" }
                } }
                tbody { @for row in &part.items {
                    tr data-row {
                        th scope="row" { (job_link(&handle(&desk.setup.frontend, row.job))) }
                        td data-label="unique" { (name(&row.unique)) }
                        td { @match row.worker { Some(worker) => { (state("running", "ok")) " at " (worker) } None => { (state("waiting", "warn")) } } }
                        td class="n" data-label="clients" { (num(row.clients)) }
                    }
                } }
            }
        }
        (pager(&format!("{}&tab=jobs", function_path(function)), part.next.as_deref(), is_first))
    }
}
