//! Dead jobs: of which functions, why, by which workers, and which; some or all can be put back or given up.
use super::super::api::cursor;
use super::super::desk::Desk;
use super::super::names::percent;
use super::super::target::RequestTarget;
use super::super::words::time;
use super::fault::{PageFault, is_whole, wrong};
use super::frame::PageBody;
use super::rights::PageRights;
use super::rows::{PageRows, RowsWanted, rows};
use super::shown::{counted, function_path, handle, job_link, name, num, pager, with_name};
use crate::engine::report::{DeadRow, Report};
use crate::engine::{DeathReason, Epoch, Query};
use bytes::Bytes;
use maud::{Markup, html};
use std::collections::BTreeMap;

/// Jobs on the page.
const ROWS: usize = 100;
/// Pages of the report that are looked through, for groups and for rows.
const LOOKS: usize = 48;
/// Groups on the page.
const GROUPS_MAX: usize = 50;
/// Groups that are told apart while looking.
const GROUPS_LOOK: usize = 2000;

/// What dead jobs have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct DeadKind {
    function: Bytes,
    reason: &'static str,
    worker: Bytes,
}

#[derive(Clone, Debug)]
struct DeadGroup {
    count: u64,
    first: Epoch,
    last: Epoch,
}

/// How the last attempt was lost, in words.
pub(super) fn because(reason: DeathReason) -> &'static str {
    match reason {
        DeathReason::WorkerGone => "its worker left",
        DeathReason::AbilityDropped => "its worker gave up the function",
        DeathReason::TimedOut => "its worker took too long",
    }
}

/// What is asked for.
struct DeadView {
    function: Option<Bytes>,
    reason: Option<&'static str>,
    worker: Option<Bytes>,
}

impl DeadView {
    fn of(target: &RequestTarget) -> Result<DeadView, PageFault> {
        let word = |name| target.word(name).map(Bytes::copy_from_slice);
        let reason = match target.word("reason") {
            None => None,
            Some(b"left") => Some("left"),
            Some(b"dropped") => Some("dropped"),
            Some(b"late") => Some("late"),
            Some(_) => return Err(wrong("reason is left, dropped or late")),
        };
        Ok(DeadView { function: word("function"), reason, worker: word("worker") })
    }

    fn includes(&self, row: &DeadRow) -> bool {
        self.function.as_ref().is_none_or(|function| *function == row.function)
            && self.reason.is_none_or(|reason| reason == short(row.reason))
            && self.worker.as_ref().is_none_or(|worker| *worker == who(row))
    }

    fn path(&self) -> String {
        let mut words = Vec::new();
        self.function.iter().for_each(|function| words.push(format!("function={}", percent(function))));
        self.reason.iter().for_each(|reason| words.push(format!("reason={reason}")));
        self.worker.iter().for_each(|worker| words.push(format!("worker={}", percent(worker))));
        if words.is_empty() { "/dead".to_owned() } else { format!("/dead?{}", words.join("&")) }
    }
}

fn short(reason: DeathReason) -> &'static str {
    match reason {
        DeathReason::WorkerGone => "left",
        DeathReason::AbilityDropped => "dropped",
        DeathReason::TimedOut => "late",
    }
}

/// The last worker: what it called itself, or where it was.
fn who(row: &DeadRow) -> Bytes {
    if row.worker.is_empty() { row.address.to_canonical().to_string().into() } else { row.worker.clone() }
}

/// The page.
pub(super) async fn page(
    desk: &Desk,
    rights: PageRights,
    target: &RequestTarget,
) -> Result<PageBody, PageFault> {
    target.takes(&["function", "reason", "worker", "after", "told"]).map_err(wrong)?;
    is_whole(desk)?;
    let view = DeadView::of(target)?;
    let after = target.word("after").map(cursor::job).transpose().map_err(wrong)?;
    let is_first = after.is_none();
    let _turn = desk.turn().await;
    let query = match view.function.clone() {
        None => Query::DeadJobs,
        Some(function) => Query::DeadJobsOf { function },
    };
    let part = rows(desk, query, RowsWanted { after, limit: ROWS, pages: LOOKS }, |page| match page {
        Report::DeadJobs(rows) => {
            let mine = |row: DeadRow| (cursor::of_job(row.job), view.includes(&row).then_some(row));
            rows.into_iter().map(mine).collect()
        }
        _ => Vec::new(),
    })
    .await;
    let (groups, all) = groups(desk).await;
    let main = html! {
        p class="up" { a rel="up" href="/" { "Now" } }
        h1 { "Dead jobs" }
        p { "Background jobs that have lost all their attempts. They are kept until somebody puts them back or gives them up." }
        (group_table(rights, &groups, all))
        (job_table(desk, rights, &view, part, is_first))
    };
    Ok(PageBody { title: "Dead".to_owned(), place: 4, live: true, draws: false, main })
}

/// Groups with the most jobs first, and how many jobs were looked at; true beside it if those are not all.
async fn groups(desk: &Desk) -> (Vec<(DeadKind, DeadGroup)>, (u64, bool)) {
    let mut groups: BTreeMap<DeadKind, DeadGroup> = BTreeMap::new();
    let wanted = RowsWanted { after: None, limit: usize::MAX, pages: LOOKS };
    let part: PageRows<DeadRow> = rows(desk, Query::DeadJobs, wanted, |page| {
        let Report::DeadJobs(rows) = page else { return Vec::new() };
        for row in &rows {
            let kind =
                DeadKind { function: row.function.clone(), reason: short(row.reason), worker: who(row) };
            if groups.len() == GROUPS_LOOK && !groups.contains_key(&kind) {
                continue;
            }
            let group = groups.entry(kind).or_insert(DeadGroup { count: 0, first: row.at, last: row.at });
            group.count += 1;
            (group.first, group.last) = (group.first.min(row.at), group.last.max(row.at));
        }
        rows.iter().map(|row| (cursor::of_job(row.job), None)).collect()
    })
    .await;
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.count));
    groups.truncate(GROUPS_MAX);
    (groups, (part.looked, part.next.is_some()))
}

fn group_table(rights: PageRights, groups: &[(DeadKind, DeadGroup)], (looked, more): (u64, bool)) -> Markup {
    html! {
        h2 { "By function, reason and worker" }
        @if groups.is_empty() { p class="told ok" { "No job is dead." } }
        @else {
            table class="cards" {
                thead { tr {
                    th scope="col" { "Function" } th scope="col" { "Because" } th scope="col" { "Worker" } th scope="col" class="n" { "Jobs" }
                    th scope="col" { "First" } th scope="col" { "Last" } @if rights.operate { th scope="col" { "Order" } }
                } }
                tbody { @for (kind, group) in groups {
                    @let view = DeadView { function: Some(kind.function.clone()), reason: Some(kind.reason), worker: Some(kind.worker.clone()) };
                    tr data-row {
                        th scope="row" { a href=(view.path()) { (name(&kind.function)) } }
                        td data-label="because" { (told(kind.reason)) }
                        td data-label="worker" { (name(&kind.worker)) }
                        td class="n" data-label="jobs" { (num(group.count)) }
                        td data-label="first" { (time(group.first)) }
                        td data-label="last" { (time(group.last)) }
                        @if rights.operate { td { a href=(with_name("/order/retry-dead", &kind.function)) { "Retry all of this function…" } } }
                    }
                } }
            }
            @if more { p { "Of the first " (counted(looked, "dead job", "dead jobs")) "; there are more." } }
        }
    }
}

fn told(reason: &str) -> &'static str {
    match reason {
        "left" => because(DeathReason::WorkerGone),
        "dropped" => because(DeathReason::AbilityDropped),
        _ => because(DeathReason::TimedOut),
    }
}

fn job_table(
    desk: &Desk,
    rights: PageRights,
    view: &DeadView,
    part: PageRows<DeadRow>,
    is_first: bool,
) -> Markup {
    let is_all = view.function.is_none() && view.reason.is_none() && view.worker.is_none();
    let table = html! {
        table class="cards" {
            thead { tr {
                @if rights.operate { th scope="col" { "Choose" } }
                th scope="col" { "Job" } th scope="col" { "Function" } th scope="col" { "Unique" } th scope="col" class="n" { "Lost" }
                th scope="col" { "Because" } th scope="col" { "When" } th scope="col" { "Worker" }
            } }
            tbody { @for row in &part.items {
                @let called = handle(&desk.setup.frontend, row.job);
                tr data-row {
                    @if rights.operate { td { input type="checkbox" name="job" value=(called) aria-label={ "choose " (called) }; } }
                    th scope="row" { (job_link(&called)) }
                    td data-label="function" { a href=(function_path(&row.function)) { (name(&row.function)) } }
                    td data-label="unique" { (name(&row.unique)) }
                    td class="n" data-label="lost attempts" { (num(row.attempts)) }
                    td data-label="because" { (because(row.reason)) }
                    td data-label="when" { (time(row.at)) }
                    td data-label="worker" { (name(&who(row))) }
                }
            } }
        }
    };
    html! {
        h2 { "Jobs" }
        @if !is_all { p { "Of one group only. " a href="/dead" { "Show all" } } }
        @if part.items.is_empty() { p { "None here." } }
        @else if rights.operate {
            form method="post" action="/order/chosen" {
                (table)
                p class="orders" {
                    button name="what" value="retry" aria-keyshortcuts="R" { "Retry the chosen…" }
                    button name="what" value="cancel" aria-keyshortcuts="C" { "Cancel the chosen…" }
                }
            }
        } @else { (table) }
        (pager(&view.path(), part.next.as_deref(), is_first))
    }
}
