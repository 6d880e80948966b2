//! The page at `/`: what is wrong first, then functions. Made here, whole, with every name escaped; nothing runs in the browser, and
//! nothing is fetched from elsewhere. Its colours are in `style.css`.
use super::bounds::PAGE_ROWS;
use super::desk::Desk;
use super::names::{percent, readable};
use super::overview::{Overview, is_unattended, waiting};
use super::words::{count, lasting};
use crate::engine::report::FunctionNumbers;
use crate::frontend::VERSION;
use maud::{DOCTYPE, Markup, html};

/// How it looks.
pub(super) const STYLE: &str = include_str!("style.css");

/// Functions that are named among what is wrong.
const VERDICTS_MAX: usize = 20;

/// The page.
pub(super) async fn write(desk: &Desk) -> String {
    let state = desk.state();
    let overview = match desk.is_whole() {
        true => Some(desk.overview().await),
        false => None,
    };
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Ringgear" }
                link rel="stylesheet" href="/style.css";
            }
            body {
                header {
                    h1 { "Ringgear" }
                    p {
                        (VERSION) ", " (state.word()) ", up " (lasting(desk.started.elapsed().as_secs() * 1000)) ", "
                        (desk.setup.shards) " threads, process " (desk.setup.frontend.pid)
                    }
                }
                main {
                    h2 { "Verdict" }
                    ul class="verdicts" {
                        @if let Some(obstacle) = state.obstacle() { li class="bad" { (obstacle) } }
                        @if let Some(overview) = &overview { (verdicts(overview)) }
                    }
                    @if let Some(overview) = &overview {
                        (sums(overview))
                        (functions(overview))
                    }
                }
                footer {
                    p {
                        a href="/metrics" { "metrics" } " · " a href="/api/v1/functions" { "functions" } " · "
                        a href="/api/v1/workers" { "workers" } " · " a href="/api/v1/jobs" { "jobs" } " · "
                        a href="/api/v1/dead" { "dead jobs" } " · " a href="/api/v1/connections" { "connections" } " · "
                        a href="/api/v1/counters" { "counters" } " · " a href="/api/v1/server" { "server" } " · "
                        a href="/api/v1/openapi.json" { "API" }
                    }
                }
            }
        }
    }
    .into_string()
}

/// What somebody should know who has been woken for it.
fn verdicts(overview: &Overview) -> Markup {
    let unattended: Vec<&FunctionNumbers> =
        overview.first.iter().filter(|row| is_unattended(row)).take(VERDICTS_MAX).collect();
    let more = overview.sums.unattended.saturating_sub(unattended.len() as u64);
    let counters = &overview.counters;
    let refused = counters.refused_queue_full + counters.refused_queued_bytes + counters.store_refusals;
    let fine = unattended.is_empty() && counters.dead_jobs == 0 && refused == 0;
    html! {
        @for row in unattended {
            li class="bad" {
                strong { (name(row)) } ": " (count(waiting(row), "job waits", "jobs wait"))
                @if let Some(oldest) = row.oldest_ms { ", the oldest for " (lasting(oldest)) }
                ", and no worker knows this function."
            }
        }
        @if more > 0 {
            li class="bad" { (count(more, "function more has", "functions more have")) " jobs and no workers." }
        }
        @if counters.dead_jobs > 0 {
            li class="bad" {
                (count(counters.dead_jobs, "job is", "jobs are")) " dead: they have used up their attempts ("
                a href="/api/v1/dead" { "which" } "; " code { "retry job HANDLE" } " on the port puts one back)."
            }
        }
        @if refused > 0 {
            li class="warn" {
                (count(refused, "submission was", "submissions were")) " refused since the start, for full queues or by the store."
            }
        }
        @if fine { li class="ok" { "Every function with jobs has workers, and no job is dead." } }
    }
}

fn sums(overview: &Overview) -> Markup {
    let sums = &overview.sums;
    html! {
        p class="sums" {
            (count(sums.waiting(), "job waits", "jobs wait")) ", " (count(sums.running, "runs", "run")) ", "
            (count(sums.functions, "function", "functions")) ", "
            (count(overview.counters.sessions, "connection", "connections")) "."
        }
    }
}

fn functions(overview: &Overview) -> Markup {
    let left = overview.sums.functions.saturating_sub(overview.first.len() as u64);
    html! {
        h2 { "Functions" }
        table {
            thead {
                tr {
                    th scope="col" { "Function" } th scope="col" { "State" } th scope="col" class="n" { "High" }
                    th scope="col" class="n" { "Normal" } th scope="col" class="n" { "Low" }
                    th scope="col" class="n" { "Oldest" } th scope="col" class="n" { "Running" }
                    th scope="col" class="n" { "Workers" } th scope="col" class="n" { "Dead" }
                }
            }
            tbody {
                @for row in &overview.first {
                    @let (word, class) = state(row);
                    tr class=(class) {
                        th scope="row" {
                            a href=(format!("/api/v1/functions/{}", percent(&row.function))) { (name(row)) }
                        }
                        td { (word) }
                        @for queued in row.queued { td class="n" { (queued) } }
                        td class="n" { @if let Some(oldest) = row.oldest_ms { (lasting(oldest)) } }
                        td class="n" { (row.running) }
                        td class="n" { (row.workers) }
                        td class="n" { (row.dead) }
                    }
                }
            }
        }
        @if left > 0 {
            p {
                "The first " (PAGE_ROWS) ", longest queues first; " (left) " more in " a href="/api/v1/functions" { "the list" } "."
            }
        }
        @if overview.sums.functions == 0 {
            p { "No function yet: a function is there when a worker registers for it or a job is submitted." }
        }
    }
}

/// A word beside the colour.
fn state(row: &FunctionNumbers) -> (&'static str, &'static str) {
    match (waiting(row), row.workers, row.running) {
        (1.., 0, _) => ("no worker", "bad"),
        (1.., ..) => ("jobs wait", "warn"),
        (0, _, 1..) => ("running", "ok"),
        _ => ("idle", "ok"),
    }
}

fn name(row: &FunctionNumbers) -> String {
    match readable(&row.function) {
        name if name.is_empty() => "(no name)".to_owned(),
        name => name,
    }
}

#[cfg(test)]
mod tests {
    use super::super::overview::numbers;
    use super::*;

    #[test]
    fn names_of_peers_are_text_and_nothing_else() {
        let row = numbers(b"<script>alert('&\"')</script>\n\xff", 1, 0, 0);
        let overview = Overview { first: vec![row], ..Overview::default() };
        let text = verdicts(&overview).into_string() + &functions(&overview).into_string();
        assert!(!text.contains("<script") && !text.contains("alert('&\""), "{text}");
        assert!(text.contains("&lt;script&gt;alert('&amp;&quot;')&lt;/script&gt;\\x0a\\xff"), "{text}");
        assert!(text.contains("/api/v1/functions/%3Cscript%3E"), "{text}");
        assert!(text.contains("no worker"));
    }
}
