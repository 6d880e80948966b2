//! Connections: who is there, since when, how long each has said nothing, and for how many jobs it waits.
use super::super::api::cursor;
use super::super::desk::Desk;
use super::super::target::RequestTarget;
use super::super::words::lasting;
use super::fault::{PageFault, is_whole, wrong};
use super::frame::PageBody;
use super::rights::PageRights;
use super::shown::{name, num, pager, state};
use crate::engine::page::ListMark;
use crate::engine::report::{SessionRow, Waits};
use crate::engine::{Query, Report};
use crate::frontend::json;
use maud::{Markup, html};

/// Connections on the page.
const ROWS: usize = 100;
/// Pages of the report that are looked through for them.
const LOOKS: usize = 48;
/// A worker that has not asked for a job for so long is worth a colour, in milliseconds.
const SILENT_MS: u64 = 60_000;

struct ConnectionLine {
    row: SessionRow,
    waits: u64,
}

/// The page.
pub(super) async fn page(
    desk: &Desk,
    rights: PageRights,
    target: &RequestTarget,
) -> Result<PageBody, PageFault> {
    target.takes(&["role", "session", "after", "told"]).map_err(wrong)?;
    is_whole(desk)?;
    let role = match target.word("role") {
        None | Some(b"" | b"all") => None,
        Some(b"worker") => Some(true),
        Some(b"client") => Some(false),
        Some(_) => return Err(wrong("role is all, worker or client")),
    };
    let after = target.word("after").map(cursor::connection).transpose().map_err(wrong)?;
    let is_first = after.is_none();
    let _turn = desk.turn().await;
    let (lines, next) = match target.word("session") {
        Some(word) => (one(desk, word).await?, None),
        None => list(desk, role, after).await,
    };
    let only = target.word("session").is_some();
    let path = match role {
        None => "/connections",
        Some(true) => "/connections?role=worker",
        Some(false) => "/connections?role=client",
    };
    let main = html! {
        p class="up" { a rel="up" href=(if only { "/connections" } else { "/" }) { (if only { "Connections" } else { "Now" }) } }
        h1 { "Connections" }
        @if !only { (asked(role)) }
        @if lines.is_empty() {
            p { @if only { "This connection has gone." } @else if next.is_some() { "None among those that were looked through; there are more." } @else { "Nobody is connected." } }
        } @else { (table(rights, &lines)) }
        (pager(path, next.as_deref(), is_first))
    };
    Ok(PageBody { title: "Connections".to_owned(), place: 5, live: true, draws: false, main })
}

fn asked(role: Option<bool>) -> Markup {
    html! {
        form class="filter" method="get" action="/connections" {
            label { "Show " select name="role" aria-keyshortcuts="/" {
                @for (word, text, is) in [("all", "all", None), ("worker", "workers", Some(true)), ("client", "clients", Some(false))] {
                    option value=(word) selected[is == role] { (text) }
                }
            } }
            button { "Show" }
        }
    }
}

async fn one(desk: &Desk, word: &[u8]) -> Result<Vec<ConnectionLine>, PageFault> {
    let session = cursor::session_named(word).ok_or_else(|| wrong("a connection has a name like 0-12-3"))?;
    Ok(match desk.observer.ask(Query::Session { session }, None).next().await {
        Some(Report::Sessions(rows)) => {
            rows.into_iter().map(|row| ConnectionLine { row, waits: 0 }).collect()
        }
        _ => Vec::new(),
    })
}

async fn list(
    desk: &Desk,
    role: Option<bool>,
    after: Option<ListMark>,
) -> (Vec<ConnectionLine>, Option<String>) {
    let mut lines: Vec<ConnectionLine> = Vec::new();
    let mut last: Option<(String, bool)> = None;
    let mut answer = desk.observer.ask(Query::ClientsWithJobs, after);
    for _ in 0..LOOKS {
        let Some(Report::Waiting(rows)) = answer.next().await else { return (lines, None) };
        for row in rows {
            match row.what {
                Waits::Session(session) => {
                    if lines.len() == ROWS {
                        return (lines, last.map(|(place, _)| place));
                    }
                    let wanted = role.is_none_or(|worker| worker == (session.functions > 0));
                    last = Some((cursor::of_session(row.session), wanted));
                    if wanted {
                        lines.push(ConnectionLine { row: *session, waits: 0 });
                    }
                }
                Waits::Job { times, .. } => {
                    let wanted = last.as_ref().is_some_and(|(_, wanted)| *wanted);
                    if let Some(line) = lines.last_mut().filter(|_| wanted) {
                        line.waits += u64::from(times);
                    }
                }
            }
        }
    }
    (lines, last.map(|(place, _)| place))
}

fn table(rights: PageRights, lines: &[ConnectionLine]) -> Markup {
    html! {
        table class="cards" {
            thead { tr {
                th scope="col" { "Peer" } th scope="col" { "State" } th scope="col" class="n" { "Functions" } th scope="col" class="n" { "Waits for jobs" }
                th scope="col" class="n" { "Connected for" } th scope="col" class="n" { "Silent for" } th scope="col" class="n" { "Asked for a job" }
                @if rights.operate { th scope="col" { "Order" } }
            } }
            tbody { @for line in lines {
                @let row = &line.row;
                @let session = json::session_name(row.session);
                @let (word, class) = doing(row);
                tr class=(class) data-row {
                    th scope="row" {
                        a href=(format!("/connections?session={session}")) {
                            (row.address.ip().to_canonical()) ":" (row.address.port()) @if !row.id.is_empty() { " " (name(&row.id)) }
                        }
                    }
                    td { (state(word, class)) }
                    td class="n" data-label="functions" { (num(row.functions)) }
                    td class="n" data-label="waits for jobs" { (num(line.waits)) }
                    td class="n" data-label="connected for" { (lasting(row.since_ms)) }
                    td class="n" data-label="silent for" { (lasting(row.heard_ms)) }
                    td class="n" data-label="asked for a job" { (row.asked_ms.map_or("never".to_owned(), |ms| lasting(ms) + " ago")) }
                    @if rights.operate { td { a href=(format!("/order/close?session={session}")) { "Close…" } } }
                }
            } }
        }
    }
}

fn doing(row: &SessionRow) -> (&'static str, &'static str) {
    match (row.functions > 0, row.asleep, row.asked_ms.unwrap_or(row.since_ms)) {
        (false, ..) => ("client", "ok"),
        (true, true, _) => ("worker, asleep", "ok"),
        (true, false, SILENT_MS..) => ("worker, busy or silent", "warn"),
        (true, false, _) => ("worker, awake", "ok"),
    }
}
