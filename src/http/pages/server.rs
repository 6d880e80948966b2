//! The server itself: what its threads and its store do, how full it is, what was counted, and what was ordered.
use super::super::desk::Desk;
use super::super::target::RequestTarget;
use super::super::words::{lasting, time};
use super::fault::{PageFault, wrong};
use super::frame::PageBody;
use super::rights::PageRights;
use super::shown::{num, size};
use crate::engine::Epoch;
use crate::engine::report::Counters;
use crate::frontend::followed;
use crate::logging;
use crate::mesh::clock;
use crate::store::times::COMMIT_BOUNDS_US;
use maud::{Markup, html};
use serde_json::Value;
use std::time::Duration;

/// Orders that are shown.
const ORDERS_MAX: usize = 50;

/// The page.
pub(super) async fn page(
    desk: &Desk,
    rights: PageRights,
    target: &RequestTarget,
) -> Result<PageBody, PageFault> {
    target.takes(&["told"]).map_err(wrong)?;
    let counters = match desk.is_whole() {
        true => {
            let _turn = desk.turn().await;
            Some(desk.counters().await)
        }
        false => None,
    };
    let main = html! {
        p class="up" { a rel="up" href="/" { "Now" } }
        h1 { "Server" }
        @if rights.operate {
            p class="orders" {
                a href="/order/level" aria-keyshortcuts="L" { "Log level…" }
                a href="/order/drain" aria-keyshortcuts="D" { "Drain…" }
            }
        }
        (about(desk, counters.as_ref()))
        (shards(desk))
        (store(desk))
        (ordered(desk))
        @if let Some(counters) = &counters { (counted(counters)) }
    };
    Ok(PageBody { title: "Server".to_owned(), place: 6, live: true, draws: false, main })
}

fn about(desk: &Desk, counters: Option<&Counters>) -> Markup {
    let port = &desk.setup.frontend;
    html! {
        dl class="facts" {
            div { dt { "follows gearmand" } dd { (followed(port.compat)) } }
            div { dt { "process" } dd { (port.pid) } }
            div { dt { "threads" } dd { (desk.setup.shards) } }
            div { dt { "up" } dd { (lasting(millis(desk.started.elapsed()))) } }
            div { dt { "log level" } dd { (logging::least().name()) } }
            @if let Some(counters) = counters {
                div { dt { "connections" } dd { (num(counters.sessions)) } }
                div { dt { "jobs" } dd { (num(counters.jobs)) ", " (size(counters.jobs_bytes)) } }
                div { dt { "memory accounted for" } dd { (size(counters.memory_accounted)) } }
            }
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn shards(desk: &Desk) -> Markup {
    let (times, up) = (desk.setup.shared.times(clock::instant()), desk.started.elapsed());
    html! {
        h2 { "Threads" }
        table {
            thead { tr { th scope="col" { "Thread" } th scope="col" class="n" { "Busy since the start" } th scope="col" { "Share" } th scope="col" class="n" { "Rounds" } } }
            tbody { @for (shard, times) in times.iter().enumerate() {
                @let busy = up.saturating_sub(Duration::from_nanos(times.idle)).as_secs_f64() / up.as_secs_f64().max(0.001);
                @let share = format!("{:.1} %", busy.clamp(0.0, 1.0) * 100.0);
                tr {
                    th scope="row" { (shard) }
                    td class="n" { (share) }
                    td { meter min="0" max="1" value=(format!("{busy:.3}")) aria-label={ "thread " (shard) " busy" } { (share) } }
                    td class="n" { (num(times.rounds)) }
                }
            } }
        }
    }
}

fn store(desk: &Desk) -> Markup {
    let Some(store) = &desk.setup.store else {
        return html! { h2 { "Store" } p { "None: jobs are kept in memory only, and lost when the server ends." } };
    };
    let times = store.times.read();
    let all: u64 = times.counts.iter().sum();
    let quantile = |permille: u64| {
        let rank = (all * permille).div_ceil(1000).max(1);
        let mut below = 0;
        let at = times.counts.iter().position(|count| {
            below += count;
            below >= rank
        });
        match at.and_then(|at| COMMIT_BOUNDS_US.get(at)) {
            Some(us) => format!("at most {} ms", *us as f64 / 1000.0),
            None if all == 0 => "–".to_owned(),
            None => "over 1 s".to_owned(),
        }
    };
    html! {
        h2 { "Store" }
        dl class="facts" {
            div { dt { "commits" } dd { (num(all)) } }
            div { dt { "half of them took" } dd { (quantile(500)) } }
            div { dt { "99 of 100 took" } dd { (quantile(990)) } }
            div { dt { "written" } dd { (size(times.bytes)) } }
            div { dt { "one is under way for" } dd { @if times.under_way_us == 0 { "none is" } @else { (lasting(times.under_way_us / 1000)) } } }
        }
    }
}

/// What was done over HTTP, the last first.
fn ordered(desk: &Desk) -> Markup {
    let told = desk.audit.page(None, ORDERS_MAX);
    let items = told["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    html! {
        h2 id="orders" { "What was done over HTTP" }
        @if items.is_empty() { p { "Nothing yet." } }
        @else {
            table class="cards" {
                thead { tr { th scope="col" { "When" } th scope="col" { "Who" } th scope="col" { "From" } th scope="col" { "What" } th scope="col" { "Outcome" } } }
                tbody { @for item in items {
                    tr {
                        th scope="row" { (time(Epoch(item["at_ms"].as_u64().unwrap_or(0)))) }
                        td data-label="who" { (text(&item["who"])) }
                        td data-label="from" { (text(&item["from"])) }
                        td data-label="what" { (text(&item["what"])) }
                        td data-label="outcome" { (text(&item["outcome"])) }
                    }
                } }
            }
        }
    }
}

fn text(value: &Value) -> String {
    super::super::names::readable(value.as_str().unwrap_or("").as_bytes())
}

fn counted(counters: &Counters) -> Markup {
    html! {
        details {
            summary { "All counters" }
            table {
                thead { tr { th scope="col" { "Counter" } th scope="col" class="n" { "Since the start, or now" } } }
                tbody { @for (name, value) in counters.rows() { tr { th scope="row" { (name) } td class="n" { (num(value)) } } } }
            }
        }
    }
}
