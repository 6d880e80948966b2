//! Now: what is wrong, the oldest first; how much there is of everything; functions as a table that can be sorted and filtered.
use super::super::bounds::PAGE_ROWS;
use super::super::desk::Desk;
use super::super::names::percent;
use super::super::outline::{self, FunctionSearch};
use super::super::overview::{BestRows, Overview, row_rank};
use super::super::standing::{rates, standing};
use super::super::target::RequestTarget;
use super::super::trails::{TrailNote, TrailPoint};
use super::super::words::lasting;
use super::super::{case, why};
use super::fault::{PageFault, is_whole, wrong};
use super::frame::PageBody;
use super::shown::{bar, counted, curve, function_path, name, num, rate, state, took};
use crate::engine::outline::{FunctionFilter, FunctionSort, NEEDLE_MAX};
use crate::engine::report::FunctionNumbers;
use bytes::Bytes;
use maud::{Markup, html};
use std::sync::Arc;
use std::time::Instant;

/// Functions of which it is said what is wrong.
const VERDICTS_MAX: usize = 8;
/// Of these, those whose workers are looked at.
const CASES_MAX: usize = 3;
/// Parts of a sorted list that can be turned to.
const PARTS_MAX: usize = 50;

/// What of the functions is wanted, in which order.
struct NowView {
    filter: Bytes,
    sort: FunctionSort,
    only: FunctionFilter,
    part: usize,
}

/// The words for orders.
const SORTS: [(&str, FunctionSort); 7] = [
    ("worst", FunctionSort::Worst),
    ("oldest", FunctionSort::Oldest),
    ("waiting", FunctionSort::Waiting),
    ("running", FunctionSort::Running),
    ("workers", FunctionSort::Workers),
    ("dead", FunctionSort::Dead),
    ("name", FunctionSort::Name),
];

/// The words for some of the functions, and what they mean.
const FILTERS: [(&str, &str, FunctionFilter); 6] = [
    ("all", "all functions", FunctionFilter::All),
    ("waiting", "with jobs that wait", FunctionFilter::Waiting),
    ("running", "with running jobs", FunctionFilter::Running),
    ("unattended", "without a worker", FunctionFilter::Unattended),
    ("paused", "paused", FunctionFilter::Paused),
    ("dead", "with dead jobs", FunctionFilter::Dead),
];

impl NowView {
    fn of(target: &RequestTarget) -> Result<NowView, PageFault> {
        target.takes(&["filter", "sort", "state", "part", "told"]).map_err(wrong)?;
        let filter = target.word("filter").unwrap_or(b"").trim_ascii();
        if filter.len() > NEEDLE_MAX {
            return Err(wrong(format!("a filter has at most {NEEDLE_MAX} bytes")));
        }
        let word = |name: &str| target.word(name).filter(|word| !word.is_empty());
        let sort = word("sort").unwrap_or(b"worst");
        let sort = SORTS.iter().find(|(word, _)| word.as_bytes() == sort);
        let only = word("state").unwrap_or(b"all");
        let only = FILTERS.iter().find(|(word, ..)| word.as_bytes() == only);
        let (Some((_, sort)), Some((.., only))) = (sort, only) else {
            return Err(wrong(
                "sort is worst, oldest, waiting, running, workers, dead or name; state is all, waiting, running, unattended, paused or dead",
            ));
        };
        let part = target.number("part", PARTS_MAX).map_err(wrong)?.unwrap_or(1);
        Ok(NowView { filter: filter.to_ascii_lowercase().into(), sort: *sort, only: *only, part })
    }

    fn is_plain(&self) -> bool {
        self.filter.is_empty()
            && self.sort == FunctionSort::Worst
            && self.only == FunctionFilter::All
            && self.part == 1
    }

    fn path(&self, part: usize) -> String {
        let sort = SORTS.iter().find(|(_, sort)| *sort == self.sort).map_or("", |(word, _)| word);
        let only = FILTERS.iter().find(|(.., only)| *only == self.only).map_or("", |(word, ..)| word);
        format!("/?filter={}&sort={sort}&state={only}&part={part}", percent(&self.filter))
    }
}

/// The rows of a view, and how many there are in all.
struct NowRows {
    rows: Vec<FunctionNumbers>,
    matched: u64,
}

/// The page.
pub(super) async fn page(desk: &Desk, target: &RequestTarget) -> Result<PageBody, PageFault> {
    let view = NowView::of(target)?;
    if is_whole(desk).is_err() {
        let main = html! { h1 { "Now" } };
        return Ok(PageBody { title: "Now".to_owned(), place: 1, live: true, draws: false, main });
    }
    let overview = desk.overview().await;
    let rows = match view.is_plain() {
        true => NowRows { rows: overview.first.clone(), matched: overview.sums.functions },
        false => find(desk, &view).await,
    };
    let worst = worst(desk, &overview).await;
    let points = desk.remembered.trails.of_all(Instant::now(), note(&overview));
    let main = html! {
        h1 { "Now" }
        (worst)
        (tiles(&overview, &points))
        (asked(&view))
        (table(desk, &rows.rows))
        (turning(&view, &rows))
    };
    Ok(PageBody { title: "Now".to_owned(), place: 1, live: true, draws: false, main })
}

/// Looks at all functions, and keeps what is shown.
async fn find(desk: &Desk, view: &NowView) -> NowRows {
    let search = FunctionSearch { needle: view.filter.clone(), only: view.only, named: Arc::default() };
    let best = BestRows::new(view.sort, view.part * PAGE_ROWS);
    let _turn = desk.turn().await;
    let found = outline::look(&desk.observer, desk.setup.shards, &search, vec![best]).await;
    let rows = found.best.into_iter().flatten().skip((view.part - 1) * PAGE_ROWS).collect();
    NowRows { rows, matched: found.sums.functions }
}

fn note(overview: &Overview) -> TrailNote {
    let (sums, counters) = (&overview.sums, &overview.counters);
    TrailNote {
        waiting: sums.waiting(),
        running: sums.running,
        dead: sums.dead,
        oldest_ms: 0,
        accepted: counters.jobs_accepted,
        completed: counters.jobs_completed,
        failed: counters.jobs_failed + counters.jobs_exceptions,
    }
}

/// What somebody should know who has been woken for it: what is wrong, and of the worst of it why.
async fn worst(desk: &Desk, overview: &Overview) -> Markup {
    let mut said = Vec::new();
    let mut cases = 0;
    for row in overview.first.iter().take_while(|row| row_rank(row)[0] >= 3).take(VERDICTS_MAX) {
        let (word, class) = standing(row, rates(desk, row));
        let mut text = short(row);
        // Workers are asked for where there are some, and where jobs have waited for a while.
        let slow = row.workers > 0 && row.paused.is_none() && row.oldest_ms.is_some_and(|ms| ms >= SLOW_MS);
        if slow && cases < CASES_MAX {
            cases += 1;
            let _turn = desk.turn().await;
            let verdicts = why::of_function(&case::of_function(desk, row.clone()).await);
            text = verdicts.into_iter().next().map_or(text, |verdict| verdict.text);
        }
        said.push((row, word, class, text));
    }
    let more = overview.sums.unattended.saturating_sub(said.len() as u64);
    let counters = &overview.counters;
    let refused = counters.refused_queue_full + counters.refused_queued_bytes + counters.store_refusals;
    html! {
        ul class="verdicts" aria-live="polite" {
            @for (row, word, class, text) in &said {
                li class=(class) {
                    a href=(function_path(&row.function)) { strong { (name(&row.function)) } }
                    " " (state(word, class)) " " (text)
                }
            }
            @if more > 0 && said.len() == VERDICTS_MAX {
                li class="bad" {
                    a href="/?state=unattended" { (counted(overview.sums.unattended, "function has", "functions have")) " jobs and no worker." }
                }
            }
            @if refused > 0 {
                li class="warn" {
                    (counted(refused, "submission was", "submissions were")) " refused since the start, for full queues or by the store."
                }
            }
            @if said.is_empty() && refused == 0 {
                li class="ok" { strong { "All well. " } "No job waits without a worker, and none is dead." }
            }
        }
    }
}

/// From when on it is worth asking what the workers of a function do.
const SLOW_MS: u64 = 10_000;

/// What a function's numbers say, in few words.
fn short(row: &FunctionNumbers) -> String {
    let queued: u64 = row.queued.iter().copied().map(u64::from).sum();
    let mut text = String::new();
    if queued > 0 {
        text += &counted(queued, "job waits", "jobs wait");
        if let Some(ms) = row.oldest_ms {
            text += &format!(", the oldest for {}", lasting(ms));
        }
        text += match (row.workers, row.unattended_ms) {
            (0, Some(_)) => "; its last worker has left. ",
            (0, None) => "; no worker has ever registered this name. ",
            _ => ". ",
        };
    }
    if row.dead > 0 {
        text += &format!("{} dead.", counted(row.dead.into(), "job is", "jobs are"));
    }
    text
}

fn tiles(overview: &Overview, points: &[TrailPoint]) -> Markup {
    let sums = &overview.sums;
    let last = points.last();
    let now = |of: fn(&TrailPoint) -> f64| last.map_or("–".to_owned(), |point| rate(of(point)));
    let all = |of: fn(&TrailPoint) -> f64| curve(points.iter().map(of));
    html! {
        dl class="tiles" {
            div { dt { "waiting" } dd { (num(sums.waiting())) (all(|point| point.note.waiting as f64)) } }
            div { dt { "running" } dd { (num(sums.running)) (all(|point| point.note.running as f64)) } }
            div { dt { a href="/dead" { "dead" } } dd { (num(sums.dead)) (all(|point| point.note.dead as f64)) } }
            div { dt { "registrations" } dd { (num(sums.workers)) } }
            div { dt { "in /s" } dd { (now(|point| point.accepted)) (all(|point| point.accepted)) } }
            div { dt { "done /s" } dd { (now(|point| point.completed + point.failed)) (all(|point| point.completed + point.failed)) } }
        }
    }
}

/// The form by which the table is asked for: its words are those of the address.
fn asked(view: &NowView) -> Markup {
    html! {
        h2 { "Functions" }
        form class="filter" method="get" action="/" role="search" {
            label { "Name contains " input type="search" name="filter" value=(String::from_utf8_lossy(&view.filter)) maxlength=(NEEDLE_MAX) aria-keyshortcuts="/"; }
            label { "Show " select name="state" {
                @for (word, text, only) in FILTERS { option value=(word) selected[only == view.only] { (text) } }
            } }
            label { "Sort by " select name="sort" {
                @for (word, sort) in SORTS { option value=(word) selected[sort == view.sort] { (word) } }
            } }
            button { "Show" }
        }
    }
}

fn table(desk: &Desk, rows: &[FunctionNumbers]) -> Markup {
    const HEADS: [&str; 10] = [
        "Function", "State", "Waiting", "Oldest", "Running", "Workers", "In /s", "Done /s", "Run p95", "Dead",
    ];
    html! {
        @if rows.is_empty() { p { "No function here: one is there when a worker registers for it or a job is submitted." } }
        @else {
            table class="cards" {
                thead { tr { @for (at, head) in HEADS.into_iter().enumerate() { th scope="col" class=[(at > 1).then_some("n")] { (head) } } } }
                tbody { @for row in rows { (line(desk, row)) } }
            }
        }
    }
}

fn line(desk: &Desk, row: &FunctionNumbers) -> Markup {
    let rates = rates(desk, row);
    let (word, class) = standing(row, rates);
    let run = row.stats.as_ref().and_then(|stats| desk.recent(&row.function, stats).0.run.quantile(950));
    let queued: u64 = row.queued.iter().copied().map(u64::from).sum();
    let in_rate = rates.map_or("–".to_owned(), |(came, _)| rate(came));
    let out_rate = rates.map_or("–".to_owned(), |(_, ended)| rate(ended));
    html! {
        tr class=(class) data-row {
            th scope="row" { a href=(function_path(&row.function)) { (name(&row.function)) } }
            td { (state(word, class)) }
            td class="n" data-label="waiting" { (num(queued)) (bar(row.queued)) }
            td class="n" data-label="oldest" { (row.oldest_ms.map_or("–".to_owned(), lasting)) }
            td class="n" data-label="running" { (num(row.running)) }
            td class="n" data-label="workers" { (num(row.workers)) }
            td class="n" data-label="in /s" { (in_rate) }
            td class="n" data-label="done /s" { (out_rate) }
            td class="n" data-label="run p95" { (took(run)) }
            td class="n" data-label="dead" { (num(row.dead)) }
        }
    }
}

fn turning(view: &NowView, rows: &NowRows) -> Markup {
    let first = (view.part - 1) * PAGE_ROWS;
    let last = first + rows.rows.len();
    let goes_on = (last as u64) < rows.matched;
    html! {
        @if goes_on || view.part > 1 {
            p class="pager" {
                (num(first as u64 + 1)) " to " (num(last as u64)) " of " (num(rows.matched)) ". "
                @if view.part > 1 { a rel="prev" href=(view.path(view.part - 1)) { "before" } " " }
                @if goes_on && view.part < PARTS_MAX { a rel="next" href=(view.path(view.part + 1)) { "more" } }
                @else if goes_on { "Filter by name to see others." }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::overview::numbers;
    use super::*;

    fn view(text: &str) -> Result<NowView, PageFault> {
        NowView::of(&RequestTarget::of(&text.parse().unwrap()).unwrap())
    }

    #[test]
    fn what_is_wanted_stands_in_the_address() {
        let plain = view("/").ok().unwrap();
        assert!(plain.is_plain());
        let some = view("/?filter=MaIl&sort=oldest&state=waiting&part=2").ok().unwrap();
        assert!(!some.is_plain() && some.filter == "mail" && some.only == FunctionFilter::Waiting);
        assert_eq!(some.path(3), "/?filter=mail&sort=oldest&state=waiting&part=3");
        for text in ["/?sort=x", "/?state=x", "/?part=0", "/?part=51", "/?x=1"] {
            assert!(view(text).is_err(), "{text}");
        }
        assert!(view(&format!("/?filter={}", "x".repeat(201))).is_err());
    }

    #[test]
    fn what_is_wrong_comes_first_and_of_that_the_oldest() {
        let mut old = numbers(b"old", 1, 0, 0);
        old.oldest_ms = Some(9000);
        let new = numbers(b"new", 50, 0, 0);
        let served = numbers(b"served", 5000, 0, 3);
        let idle = numbers(b"idle", 0, 0, 3);
        let mut rows = [&idle, &served, &new, &old];
        rows.sort_by_key(|row| std::cmp::Reverse(row_rank(row)));
        let names: Vec<_> = rows.iter().map(|row| &row.function[..]).collect();
        assert_eq!(names, [&b"old"[..], b"new", b"served", b"idle"]);
    }
}
