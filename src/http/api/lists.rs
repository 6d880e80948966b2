//! Lists in parts: so many items behind a place, and where the list goes on. A part ends early where much was looked through, or much
//! is to be sent: then it has fewer items than were asked for, and a place to go on all the same.
use super::super::bounds::{ITEMS_BYTES, LIMIT, LIMIT_MAX, PAGES_MAX, REGISTRATIONS_MAX};
use super::super::desk::Desk;
use super::super::target::RequestTarget;
use super::cursor;
use super::fault::ApiFault;
use super::told::{tell_function, with_handle};
use crate::engine::outline::FunctionFilter;
use crate::engine::page::ListMark;
use crate::engine::report::{WaitingRow, Waits, WorkerRow};
use crate::engine::{JobsWanted, Query, Report, SessionId};
use crate::frontend::json;
use bytes::Bytes;
use serde_json::Value;

/// A row: the place behind it, and what is told of it, if it is wanted.
struct ListItem {
    next: String,
    item: Option<Value>,
}

/// What makes items of a page of a report. It may keep the last row, of which more may come.
trait Lister {
    fn take(&mut self, page: Report, told: &mut Vec<ListItem>);

    /// The list is at its end, or this part of it.
    fn finish(&mut self, told: &mut Vec<ListItem>) {
        let _ = told;
    }
}

/// Where the list begins, and how many items are wanted.
struct Part {
    after: Option<ListMark>,
    limit: usize,
}

impl Part {
    fn of(
        target: &RequestTarget,
        words: &[&str],
        place: impl FnOnce(&[u8]) -> Result<ListMark, String>,
    ) -> Result<Part, ApiFault> {
        target.takes(&[&["limit", "after"], words].concat())?;
        let limit = target.number("limit", LIMIT_MAX)?.unwrap_or(LIMIT);
        let after = target.word("after").map(place).transpose()?;
        Ok(Part { after, limit })
    }
}

/// Asks for a part of a list, and writes it.
async fn list(desk: &Desk, query: Query, part: Part, mut lister: impl Lister) -> String {
    let mut items = Items { text: String::from("{\"items\":["), count: 0, limit: part.limit, next: None };
    let mut told = Vec::new();
    let mut complete = false;
    let _turn = desk.turn().await;
    let mut answer = desk.observer.ask(query, part.after);
    for _ in 0..PAGES_MAX {
        match answer.next().await {
            Some(page) => lister.take(page, &mut told),
            None => {
                lister.finish(&mut told);
                complete = true;
            }
        }
        if !items.add(&mut told) {
            return items.end(true);
        }
        if complete {
            return items.end(false);
        }
    }
    lister.finish(&mut told);
    let _ = items.add(&mut told);
    items.end(true)
}

/// Items as text.
struct Items {
    text: String,
    count: usize,
    limit: usize,
    /// The place behind the last row that was looked at.
    next: Option<String>,
}

impl Items {
    /// Adds rows. False if one had no room: the list goes on with it.
    fn add(&mut self, rows: &mut Vec<ListItem>) -> bool {
        for ListItem { next, item } in rows.drain(..) {
            if self.count == self.limit || self.text.len() > ITEMS_BYTES {
                return false;
            }
            if let Some(item) = item {
                let comma = if self.count > 0 { "," } else { "" };
                self.text += &format!("{comma}\n{item}");
                self.count += 1;
            }
            self.next = Some(next);
        }
        true
    }

    fn end(mut self, goes_on: bool) -> String {
        let next = self.next.take().filter(|_| goes_on);
        self.text + &format!("\n],\"next\":{}}}\n", Value::from(next))
    }
}

pub(super) async fn functions(desk: &Desk, target: &RequestTarget) -> Result<String, ApiFault> {
    let part = Part::of(target, &["state"], cursor::function)?;
    let wanted = match target.word("state") {
        None => FunctionFilter::All,
        Some(b"waiting") => FunctionFilter::Waiting,
        Some(b"running") => FunctionFilter::Running,
        Some(b"unattended") => FunctionFilter::Unattended,
        Some(b"dead") => FunctionFilter::Dead,
        Some(_) => return Err("state is waiting, running, unattended or dead".to_owned().into()),
    };
    let lister = Rows(|page, told: &mut Vec<ListItem>| {
        let Report::Numbers(page) = page else { return };
        told.extend(page.rows.iter().map(|row| ListItem {
            next: cursor::of_function(&row.function),
            item: wanted.includes(&row.glance()).then(|| tell_function(desk, row)),
        }));
    });
    Ok(list(desk, Query::Numbers, part, lister).await)
}

pub(super) async fn jobs(desk: &Desk, target: &RequestTarget) -> Result<String, ApiFault> {
    let part = Part::of(target, &["function", "unique", "state"], cursor::job)?;
    let running = match target.word("state") {
        None => None,
        Some(b"running") => Some(true),
        Some(b"waiting") => Some(false),
        Some(_) => {
            return Err("state is waiting or running; dead jobs are in /api/v1/dead".to_owned().into());
        }
    };
    let word = |name| target.word(name).map(Bytes::copy_from_slice);
    let wanted = JobsWanted { function: word("function"), unique: word("unique"), running };
    let query = match wanted == JobsWanted::default() {
        true => Query::JobsWithWorkers,
        false => Query::JobsLike(Box::new(wanted)),
    };
    let lister = Rows(|page, told: &mut Vec<ListItem>| {
        let Report::Involved(rows) = page else { return };
        told.extend(rows.iter().map(|row| {
            let item = Some(with_handle(desk, row.job, json::involved(row)));
            ListItem { next: cursor::of_job(row.job), item }
        }));
    });
    Ok(list(desk, query, part, lister).await)
}

pub(super) async fn dead(desk: &Desk, target: &RequestTarget) -> Result<String, ApiFault> {
    let part = Part::of(target, &["function"], cursor::job)?;
    let query = match target.word("function") {
        None => Query::DeadJobs,
        Some(name) => Query::DeadJobsOf { function: Bytes::copy_from_slice(name) },
    };
    let lister = Rows(|page, told: &mut Vec<ListItem>| {
        let Report::DeadJobs(rows) = page else { return };
        told.extend(rows.iter().map(|row| {
            let item = Some(with_handle(desk, row.job, json::dead_job(row)));
            ListItem { next: cursor::of_job(row.job), item }
        }));
    });
    Ok(list(desk, query, part, lister).await)
}

/// The workers of one function.
pub(super) async fn function_workers(
    desk: &Desk,
    name: &[u8],
    target: &RequestTarget,
) -> Result<String, ApiFault> {
    let part = Part::of(target, &[], cursor::session_place)?;
    let lister = Rows(|page, told: &mut Vec<ListItem>| {
        let Report::FunctionWorkers(rows) = page else { return };
        told.extend(rows.iter().map(|row| {
            let mut item = json::function_worker(row);
            if let Some(held) = row.oldest {
                let handle = desk.setup.frontend.handle_prefix.handle(held.job);
                item["oldest_job"] = Value::from(String::from_utf8_lossy(&handle));
            }
            ListItem { next: cursor::of_session(row.session), item: Some(item) }
        }));
    });
    let function = Bytes::copy_from_slice(name);
    Ok(list(desk, Query::FunctionWorkers { function }, part, lister).await)
}

pub(super) async fn workers(desk: &Desk, target: &RequestTarget) -> Result<String, ApiFault> {
    let part = Part::of(target, &[], cursor::worker)?;
    Ok(list(desk, Query::Workers, part, WorkerPieces(None)).await)
}

pub(super) async fn connections(desk: &Desk, target: &RequestTarget) -> Result<String, ApiFault> {
    let part = Part::of(target, &["role"], cursor::connection)?;
    let worker = match target.word("role") {
        None => None,
        Some(b"worker") => Some(true),
        Some(b"client") => Some(false),
        Some(_) => return Err("role is worker or client".to_owned().into()),
    };
    Ok(list(desk, Query::ClientsWithJobs, part, ConnectionLines { last: None, worker }).await)
}

/// What was done, the latest first.
pub(super) fn audit(desk: &Desk, target: &RequestTarget) -> Result<String, ApiFault> {
    target.takes(&["limit", "after"])?;
    let limit = target.number("limit", LIMIT_MAX)?.unwrap_or(LIMIT);
    let before = match target.word("after") {
        None => None,
        Some(word) => Some(
            std::str::from_utf8(word)
                .ok()
                .and_then(|word| word.parse().ok())
                .ok_or_else(|| cursor::WRONG.to_owned())?,
        ),
    };
    Ok(desk.audit.page(before, limit).to_string() + "\n")
}

/// Rows that come whole.
struct Rows<F>(F);

impl<F: FnMut(Report, &mut Vec<ListItem>)> Lister for Rows<F> {
    fn take(&mut self, page: Report, told: &mut Vec<ListItem>) {
        (self.0)(page, told);
    }
}

/// Workers: sessions with registrations. One with many comes in pieces, which are joined up to a bound.
struct WorkerPieces(Option<(WorkerRow, bool)>);

impl Lister for WorkerPieces {
    fn take(&mut self, page: Report, told: &mut Vec<ListItem>) {
        let Report::Workers(rows) = page else { return };
        for row in rows {
            match &mut self.0 {
                Some((last, truncated)) if !row.begins && last.session == row.session => {
                    let room = REGISTRATIONS_MAX.saturating_sub(last.functions.len());
                    *truncated |= row.functions.len() > room;
                    last.functions.extend(row.functions.into_iter().take(room));
                }
                _ => {
                    self.finish(told);
                    self.0 = Some((row, false));
                }
            }
        }
    }

    fn finish(&mut self, told: &mut Vec<ListItem>) {
        let Some((row, truncated)) = self.0.take() else { return };
        let item = (!row.functions.is_empty()).then(|| {
            let mut item = json::worker(&row);
            item["truncated"] = truncated.into();
            item
        });
        told.push(ListItem { next: cursor::of_worker(row.descriptor, row.session), item });
    }
}

/// Connections, each with how many jobs it waits for.
struct ConnectionLines {
    /// The last one, whether it is wanted, and for how many it waits as far as that has come.
    last: Option<(SessionId, Option<Value>, u64)>,
    /// Only workers, or only others.
    worker: Option<bool>,
}

impl Lister for ConnectionLines {
    fn take(&mut self, page: Report, told: &mut Vec<ListItem>) {
        let Report::Waiting(rows) = page else { return };
        for WaitingRow { session, what } in rows {
            match what {
                Waits::Session(row) => {
                    self.finish(told);
                    let wanted = self.worker.is_none_or(|worker| worker == (row.functions > 0));
                    self.last = Some((session, wanted.then(|| json::connection(&row)), 0));
                }
                Waits::Job { times, .. } => {
                    if let Some((_, _, jobs)) = &mut self.last {
                        *jobs += u64::from(times);
                    }
                }
            }
        }
    }

    fn finish(&mut self, told: &mut Vec<ListItem>) {
        let Some((session, mut item, jobs)) = self.last.take() else { return };
        if let Some(item) = &mut item {
            item["waits_for"] = jobs.into();
        }
        told.push(ListItem { next: cursor::of_session(session), item });
    }
}
