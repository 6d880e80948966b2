//! A job: where it stands and why, what is known of it, what may be done with it. And the way to find one by its handle or unique.
use super::super::api::cursor;
use super::super::bounds::SHOWN_BYTES;
use super::super::case;
use super::super::desk::Desk;
use super::super::names::percent;
use super::super::roles::{HttpCaller, HttpRole};
use super::super::target::RequestTarget;
use super::super::why;
use super::super::words::{lasting, time};
use super::super::workload::note;
use super::fault::{PageFault, is_whole, wrong};
use super::frame::PageBody;
use super::payload::{PayloadForm, payload};
use super::rights::PageRights;
use super::rows::{RowsWanted, rows};
use super::shown::{counted, function_path, handle, job_link, name, num, pager, size, verdicts};
use crate::engine::report::{JobFacts, JobPayload, JobPhase, Report};
use crate::engine::{JobsWanted, Query};
use crate::frontend::json;
use crate::protocol::Priority;
use bytes::Bytes;
use maud::{Markup, html};

/// Jobs with a unique that are shown.
const FOUND_MAX: usize = 20;
/// Pages of a report that are looked through for them.
const LOOKS: usize = 64;

/// The page.
pub(super) async fn page(
    desk: &Desk,
    caller: &HttpCaller,
    rights: PageRights,
    target: &RequestTarget,
) -> Result<PageBody, PageFault> {
    target.takes(&["handle", "find", "after", "told", "as"]).map_err(wrong)?;
    let text = target.word("handle").or(target.word("find")).map(<[u8]>::trim_ascii).unwrap_or(b"");
    let form = target.word("as").map(PayloadForm::read).transpose().map_err(wrong)?;
    let main = match text {
        b"" => html! { h1 { "Job" } (finder(text)) },
        _ => {
            is_whole(desk)?;
            match desk.setup.frontend.handle_prefix.parse(text) {
                Some(_) => one(desk, caller, rights, text, form).await,
                None if target.word("handle").is_some() => html! {
                    h1 { "Job" }
                    p class="told warn" { "This is no handle that this server gives: another server's, or cut short." }
                    (finder(text))
                },
                None => by_unique(desk, text, target).await?,
            }
        }
    };
    Ok(PageBody { title: "Job".to_owned(), place: 3, live: !text.is_empty(), draws: false, main })
}

fn finder(text: &[u8]) -> Markup {
    html! {
        form class="filter" method="get" action="/job" role="search" {
            label { "Handle or unique " input type="search" name="find" value=(name_or_nothing(text)) required maxlength="200" aria-keyshortcuts="/"; }
            button { "Find" }
        }
    }
}

fn name_or_nothing(text: &[u8]) -> String {
    if text.is_empty() { String::new() } else { name(text) }
}

async fn one(
    desk: &Desk,
    caller: &HttpCaller,
    rights: PageRights,
    text: &[u8],
    form: Option<PayloadForm>,
) -> Markup {
    let _turn = desk.turn().await;
    let Some(job) = desk.job(text).await else {
        return html! {
            h1 { "Job " code { (name(text)) } }
            p class="told warn" { "There is no such job: it has ended, or never was. What has ended is not kept." }
            (finder(b""))
        };
    };
    let function = match desk.function(&job.function).await {
        Some(row) => why::of_function(&case::of_function(desk, row).await),
        None => Vec::new(),
    };
    // Whoever may not see it does not have it asked for.
    let peeked = match caller.may_with(HttpRole::Peek, &job.function) {
        true => desk.workload(text, 0, SHOWN_BYTES).await,
        false => None,
    };
    if let Some(peeked) = &peeked {
        note(desk, caller, text, 0, peeked);
    }
    let called = String::from_utf8_lossy(text);
    html! {
        p class="up" { a rel="up" href=(function_path(&job.function)) { (name(&job.function)) } }
        h1 { "Job " code { (called) } " " button type="button" class="copy" data-copy=(called) hidden { "Copy" } }
        (verdicts(&why::of_job(&job, &called, &function)))
        @if rights.operate { (orders(&job, text)) }
        (facts(&job))
        @if let Some(peeked) = &peeked { (workload(peeked, text, form)) }
        (story(desk, &job))
    }
}

/// The beginning of a workload, in the form that was asked for or suits it, and the way to all of it.
fn workload(peeked: &JobPayload, handle: &[u8], form: Option<PayloadForm>) -> Markup {
    let is_whole = peeked.part.len() as u64 == peeked.whole;
    let form = form.unwrap_or_else(|| PayloadForm::fitting(&peeked.part, is_whole));
    let handle = percent(handle);
    html! {
        h2 id="workload" { "Workload" }
        p class="tabs" {
            @for other in PayloadForm::ALL {
                a href=(format!("/job?handle={handle}&as={}", other.word())) aria-current=[(other == form).then_some("true")] { "as " (other.word()) } " "
            }
            a href=(format!("/api/v1/jobs/{handle}/workload")) download="workload" { "download" }
        }
        (payload(&peeked.part, peeked.whole, form))
    }
}

fn orders(job: &JobFacts, text: &[u8]) -> Markup {
    let to = |what: &str| format!("/order/{what}?handle={}", percent(text));
    html! {
        p class="orders" {
            @if matches!(job.phase, JobPhase::Dead { .. }) { a href=(to("retry")) aria-keyshortcuts="R" { "Retry…" } }
            @if !job.cancelled { a href=(to("cancel")) aria-keyshortcuts="C" { "Cancel…" } }
        }
    }
}

fn facts(job: &JobFacts) -> Markup {
    let priority = match job.priority {
        Priority::High => "high",
        Priority::Normal => "normal",
        Priority::Low => "low",
    };
    html! {
        dl class="facts" {
            div { dt { "function" } dd { a href=(function_path(&job.function)) { (name(&job.function)) } } }
            div { dt { "unique" } dd { code { (name(&job.unique)) } } }
            div { dt { "priority" } dd { (priority) } }
            div { dt { "kind" } dd { @if job.background { "background" } @else { "foreground" } } }
            div { dt { "age" } dd { (lasting(job.age_ms)) } }
            div { dt { "workload" } dd { (size(job.bytes)) } }
            div { dt { "lost attempts" } dd { (num(job.attempts)) } }
            div { dt { "clients that wait" } dd { (num(job.clients)) } }
        }
    }
}

/// What happened to it, as far as that is known.
fn story(desk: &Desk, job: &JobFacts) -> Markup {
    let accepted = job.accepted.map(time);
    html! {
        h2 { "What happened" }
        ol class="story" {
            li {
                @match accepted { Some(at) => { (at) ": accepted" } None => { "accepted, " (lasting(job.age_ms)) " ago or longer" } }
                @if job.background { ", to be kept" }
            }
            @if job.attempts > 0 && !matches!(job.phase, JobPhase::Dead { .. }) {
                li { (counted(job.attempts.into(), "attempt was", "attempts were")) " lost: it went back to its queue" }
            }
            @match &job.phase {
                JobPhase::Queued { waited_ms, before, more_urgent } => {
                    li { "waits in its queue for " (lasting(*waited_ms)) ", "
                        @match before { Some(before) => { "behind " (counted((*before).into(), "job", "jobs")) } None => { "behind very many jobs" } }
                        @if *more_urgent > 0 { " and " (num(*more_urgent)) " of higher priority" }
                    }
                }
                JobPhase::Withheld { waited_ms } => { li { "is held back for " (lasting(*waited_ms)) } }
                JobPhase::Scheduled { due } => { li { "waits for its time: " (time(*due)) } }
                JobPhase::Abandoned => { li { "all clients have left" } }
                JobPhase::Storing { asked_ms, .. } => { li { "was handed to the store " (lasting(*asked_ms)) " ago" } }
                JobPhase::Running { session, address, worker, ran_ms, .. } => {
                    li { (lasting(*ran_ms)) " ago: given to "
                        a href=(format!("/connections?session={}", json::session_name(*session))) {
                            (address.map_or("a worker".to_owned(), |address| address.to_string()))
                            @if !worker.is_empty() { " " (name(worker)) }
                        }
                        @if job.denominator > 0 { ", " (num(job.numerator)) " of " (num(job.denominator)) " done" }
                    }
                    @if job.cancelled { li { "was cancelled while it ran" } }
                }
                JobPhase::Dead { at, address, worker, reason } => {
                    li { (time(*at)) ": out of attempts after " (counted(job.attempts.into(), "was", "were")) " lost, the last one by "
                        (address.to_canonical()) @if !worker.is_empty() { " " (name(worker)) } ": " (super::dead::because(*reason)) }
                }
            }
        }
        @if desk.setup.store.is_none() && job.background {
            p { "This server keeps jobs in memory only: it is lost when the server ends." }
        }
    }
}

async fn by_unique(desk: &Desk, unique: &[u8], target: &RequestTarget) -> Result<Markup, PageFault> {
    let after = target.word("after").map(cursor::job).transpose().map_err(wrong)?;
    let is_first = after.is_none();
    let _turn = desk.turn().await;
    let wanted = RowsWanted { after, limit: FOUND_MAX, pages: LOOKS };
    let sought = JobsWanted { unique: Some(Bytes::copy_from_slice(unique)), ..JobsWanted::default() };
    let part = rows(desk, Query::JobsLike(Box::new(sought)), wanted, |page| match page {
        Report::Involved(rows) => rows.into_iter().map(|row| (cursor::of_job(row.job), Some(row))).collect(),
        _ => Vec::new(),
    })
    .await;
    Ok(html! {
        h1 { "Jobs with the unique " code { (name(unique)) } }
        (finder(unique))
        @if part.items.is_empty() {
            p { "None of the jobs that wait or run has it. Dead ones are under " a href="/dead" { "Dead" } "." }
        } @else {
            table class="cards" {
                thead { tr { th scope="col" { "Job" } th scope="col" { "Function" } th scope="col" { "State" } } }
                tbody { @for row in &part.items {
                    tr data-row {
                        th scope="row" { (job_link(&handle(&desk.setup.frontend, row.job))) }
                        td data-label="function" { a href=(function_path(&row.function)) { (name(&row.function)) } }
                        td { @if row.worker.is_some() { "running" } @else { "waiting" } }
                    }
                } }
            }
        }
        (pager(&format!("/job?find={}", percent(unique)), part.next.as_deref(), is_first))
    })
}
