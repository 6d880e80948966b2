//! Administrators' lines: what they ask, and the columns and words that answer. Byte for byte as gearmand 1.1.20, line
//! ends included: lists end their lines with LF and finish with a dot, `OK` and errors end with CR LF, `version`,
//! `verbose` and `getpid` with LF. Where we differ on purpose a comment says so.
use crate::engine::report::{
    Counters, DeadRow, DropRow, FunctionRow, InvolvedJob, JobRow, WaitingRow, Waits, WorkerRow,
};
use crate::engine::{Ask, Compat, DeathReason, Order, Query, Reply, Report};
use crate::protocol::Refusal;
use bytes::Bytes;
use std::fmt::Arguments;
use std::io::Write;
use std::net::SocketAddr;

use super::port::{Decoded, Incoming, LINE_MAX, SharedPort, WORDS_MAX, WireError, until_nul};

const OK: &str = "OK\r\n";
const UNKNOWN_SHOW: &str = "ERR UNKNOWN_SHOW_ARGUMENTS\r\n";
const UNKNOWN_ERROR: &str = "ERR UNKNOWN_ERROR\r\n";
const UNKNOWN_JOB: &str = "ERR UNKNOWN_JOB\r\n";
const STILL_CONNECTED: &str = "ERR there are still connected workers or executing clients\r\n";
/// In gearmand's form, with `geard`'s word.
const DENIED: &str = "ERR PERMISSION_DENIED This+connection+may+not+do+that\r\n";
const NOT_FOUND: &str = "ERR function not found\r\n";
/// Ours: gearmand has no limit on functions.
const TOO_MANY_FUNCTIONS: &str = "ERR TOO_MANY_FUNCTIONS\r\n";
const FUNCTION_BYTES_FULL: &str = "ERR FUNCTION_BYTES_FULL\r\n";

/// Reads a line at the beginning of `bytes`.
pub(super) fn line<'a>(frontend: &SharedPort, bytes: &'a [u8]) -> Decoded<'a> {
    let window = &bytes[..bytes.len().min(LINE_MAX + 1)];
    let Some(end) = window.iter().position(|&byte| byte == b'\n') else {
        return match bytes.len() {
            0..=LINE_MAX => Decoded::Incomplete { needed: bytes.len() + 1 },
            _ => Decoded::Malformed(WireError::LongLine),
        };
    };
    let line = &bytes[..end];
    match Words::split(line.strip_suffix(b"\r").unwrap_or(line)) {
        Some(words) => Decoded::One { item: command(frontend, words.all()), consumed: end + 1 },
        None => Decoded::Malformed(WireError::ManyWords),
    }
}

/// The words of a line, at least one.
struct Words<'a> {
    words: [&'a [u8]; WORDS_MAX],
    count: usize,
}

impl<'a> Words<'a> {
    /// Splits at runs of blanks and at nothing else. A blank at either end makes an empty word there. Each word ends
    /// at its first NUL. `None` if there are too many.
    fn split(line: &'a [u8]) -> Option<Words<'a>> {
        let mut split = Words { words: [b""; WORDS_MAX], count: 0 };
        let mut rest = line;
        loop {
            let end = rest.iter().position(|&byte| byte == b' ');
            let word = &rest[..end.unwrap_or(rest.len())];
            *split.words.get_mut(split.count)? = until_nul(word);
            split.count += 1;
            if end.is_none() {
                return Some(split);
            }
            rest = without_blanks(&rest[word.len()..]);
        }
    }

    fn all(&self) -> &[&'a [u8]] {
        &self.words[..self.count]
    }
}

fn without_blanks(bytes: &[u8]) -> &[u8] {
    let blanks = bytes.iter().take_while(|&&byte| byte == b' ').count();
    &bytes[blanks..]
}

/// What a line asks. The first word and the fixed words after it are matched in any case.
fn command(frontend: &SharedPort, words: &[&[u8]]) -> Incoming<'static> {
    let first = words.first().copied().unwrap_or_default();
    let (is, argument) =
        (|word: &str| first.eq_ignore_ascii_case(word.as_bytes()), words.get(1..).unwrap_or(&[]));
    if is("status") {
        ask(Query::Status)
    } else if is("prioritystatus") {
        ask(Query::PriorityStatus)
    } else if is("workers") {
        ask(Query::Workers)
    } else if is("jobs") {
        ask(Query::JobsWithWorkers)
    } else if is("clients") {
        ask(Query::ClientsWithJobs)
    } else if is("show") && !argument.is_empty() {
        show(argument)
    } else if is("maxqueue") {
        max_queue(argument)
    } else if is("create") {
        on_function("create", argument, |function| Order::CreateFunction { function })
    } else if is("drop") {
        on_function("drop", argument, |function| Order::DropFunction { function })
    } else if is("cancel") && argument.len() >= 2 {
        on_job(argument, |handle| Order::CancelJob { handle })
    } else if is("retry") && argument.len() >= 2 {
        on_job(argument, |handle| Order::RetryJob { handle })
    } else if is("acl") && !argument.is_empty() {
        Incoming::Acl { list: argument.first().is_some_and(|verb| verb.eq_ignore_ascii_case(b"list")) }
    } else if is("version") {
        answer(format!("OK {}\n", frontend.version))
    } else if is("verbose") {
        answer(format!("OK {}\n", frontend.verbosity))
    } else if is("getpid") {
        answer(format!("OK {}\n", frontend.pid))
    } else {
        unknown(first)
    }
}

/// `show jobs`, `show unique jobs`, and ours: `show dead jobs`, `show counters`, `show servers`. No words more, unlike after other commands.
fn show(argument: &[&[u8]]) -> Incoming<'static> {
    let is = |words: &[&str]| {
        argument.len() == words.len()
            && argument.iter().zip(words).all(|(given, word)| given.eq_ignore_ascii_case(word.as_bytes()))
    };
    if is(&["jobs"]) {
        ask(Query::Jobs)
    } else if is(&["unique", "jobs"]) {
        ask(Query::UniqueJobs)
    } else if is(&["dead", "jobs"]) {
        ask(Query::DeadJobs)
    } else if is(&["counters"]) {
        ask(Query::Counters)
    } else if is(&["servers"]) {
        Incoming::Servers
    } else {
        answer(UNKNOWN_SHOW)
    }
}

/// `create function` and `drop function`, which take one name and nothing else. (gearmand 1.1.20 cuts the last
/// letter of a name to create if the line ends with a bare LF; we take it as given.)
fn on_function(command: &str, argument: &[&[u8]], order: impl Fn(Bytes) -> Order) -> Incoming<'static> {
    match argument {
        [word, function] if word.eq_ignore_ascii_case(b"function") => {
            ask(order(Bytes::copy_from_slice(function)))
        }
        _ => invalid_arguments(command),
    }
}

/// `cancel job`, and ours: `retry job`. With fewer words `cancel` is an unknown command.
fn on_job(argument: &[&[u8]], order: impl Fn(Bytes) -> Order) -> Incoming<'static> {
    match argument {
        [word, handle] if word.eq_ignore_ascii_case(b"job") => ask(order(Bytes::copy_from_slice(handle))),
        _ => answer(UNKNOWN_ERROR),
    }
}

/// `maxqueue`: no number lifts the limits, one is for all priorities, two or three are high, normal, low.
fn max_queue(argument: &[&[u8]]) -> Incoming<'static> {
    let limits = match argument {
        [] => return invalid_arguments("maxqueue"),
        [_] => [0; 3],
        [_, all] => [limit(all); 3],
        [_, high, normal, rest @ ..] => {
            [limit(high), limit(normal), rest.first().map_or(0, |low| limit(low))]
        }
    };
    ask(Order::MaxQueue { function: Bytes::copy_from_slice(argument[0]), limits })
}

/// A number as C's `atoi` reads it: space, a sign, digits, and whatever follows is nothing; what is no number is 0.
/// Below 0 is 0, which is no limit. (Where `atoi` overflows into any number, we take the largest.)
fn limit(word: &[u8]) -> u32 {
    let spaces = word.iter().take_while(|byte| byte.is_ascii_whitespace() || **byte == 0x0b).count();
    let word = &word[spaces..];
    let digits = word.strip_prefix(b"+").unwrap_or(word);
    digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0_u32, |number, digit| number.saturating_mul(10).saturating_add(u32::from(digit - b'0')))
}

fn ask(what: impl Into<Ask>) -> Incoming<'static> {
    Incoming::Ask(what.into())
}

fn answer(text: impl Into<Bytes>) -> Incoming<'static> {
    Incoming::Answer(Reply::Text(text.into()))
}

fn invalid_arguments(command: &str) -> Incoming<'static> {
    answer(format!(
        "ERR INVALID_ARGUMENTS An+incomplete+set+of+arguments+was+sent+to+this+command+{command}\r\n"
    ))
}

/// The word stands in the answer as it was sent, without a blank before it.
fn unknown(word: &[u8]) -> Incoming<'static> {
    answer([b"ERR UNKNOWN_COMMAND Unknown+server+command", word, b"\r\n"].concat())
}

/// Appends the answer to what came as a line, or a page of it.
pub(super) fn render(frontend: &SharedPort, ask: &Ask, report: &Report, last: bool, out: &mut Vec<u8>) {
    let asked = |query: Query| *ask == Ask::Query(query);
    match report {
        Report::Functions(rows) if asked(Query::PriorityStatus) => list(out, rows, last, priority_status),
        Report::Functions(rows) => list(out, rows, last, status),
        Report::Workers(rows) => list(out, rows, last, worker),
        Report::Involved(rows) => list(out, rows, last, involved),
        Report::Waiting(rows) => list(out, rows, last, waiting),
        Report::Jobs(rows) if asked(Query::UniqueJobs) => {
            list(out, rows, last, |out, row| unique_job(frontend, out, row));
        }
        Report::Jobs(rows) => list(out, rows, last, |out, row| job(frontend, out, row)),
        Report::DeadJobs(rows) => list(out, rows, last, |out, row| dead_job(frontend, out, row)),
        Report::Counters(counters) => render_counters(out, counters),
        Report::Done => out.extend_from_slice(OK.as_bytes()),
        Report::Dropped(rows) => render_dropped(out, rows),
        Report::UnknownJob => out.extend_from_slice(UNKNOWN_JOB.as_bytes()),
        Report::NotCreated(Refusal::FunctionBytesFull) => {
            out.extend_from_slice(FUNCTION_BYTES_FULL.as_bytes())
        }
        Report::Denied => out.extend_from_slice(DENIED.as_bytes()),
        Report::NotCreated(_) => out.extend_from_slice(TOO_MANY_FUNCTIONS.as_bytes()),
        // Asked for by a packet and answered by one, in `gear.rs`, or over HTTP: a line never asks.
        Report::UniqueStatus(_)
        | Report::Numbers(_)
        | Report::FunctionWorkers(_)
        | Report::Sessions(_)
        | Report::Job(_)
        | Report::Workload(_)
        | Report::Pauses(_)
        | Report::Outline(_)
        | Report::Batch(_)
        | Report::Unchanged => {}
    }
}

/// The rows of one page; a dot ends the last one.
fn list<R>(out: &mut Vec<u8>, rows: &[R], last: bool, mut line: impl FnMut(&mut Vec<u8>, &R)) {
    for row in rows {
        line(out, row);
    }
    if last {
        out.extend_from_slice(b".\n");
    }
}

/// The first column counts queued and running jobs.
fn status(out: &mut Vec<u8>, row: &FunctionRow) {
    let queued: u64 = row.queued.iter().copied().map(u64::from).sum();
    let total = queued + u64::from(row.running);
    name(out, &row.function, Blanks::Stay);
    put(out, format_args!("\t{total}\t{}\t{}\n", row.running, row.workers));
}

/// Only queued jobs count.
fn priority_status(out: &mut Vec<u8>, row: &FunctionRow) {
    let [high, normal, low] = row.queued;
    name(out, &row.function, Blanks::Stay);
    put(out, format_args!("\t{high}\t{normal}\t{low}\t{}\n", row.workers));
}

/// The columns are separated by blanks: none may stand inside one, or readers see other columns than we meant.
/// One with many registrations comes in pieces.
fn worker(out: &mut Vec<u8>, row: &WorkerRow) {
    if row.begins {
        put(out, format_args!("{} {} ", row.descriptor, row.address.to_canonical()));
        let id = until_nul(&row.id);
        name(out, if id.is_empty() { b"-" } else { id }, Blanks::Go);
        out.extend_from_slice(b" :");
    }
    for function in &row.functions {
        out.push(b' ');
        name(out, function, Blanks::Go);
    }
    if row.left == 0 {
        out.push(b'\n');
    }
}

/// As the Perl server does: a connection, or below it a job that it waits for.
fn waiting(out: &mut Vec<u8>, row: &WaitingRow) {
    match &row.what {
        Waits::Session(session) => {
            peer(out, Some(session.address));
            out.push(b'\n');
        }
        Waits::Job { job, times, .. } => {
            for _ in 0..*times {
                out.push(b'\t');
                job_and_worker(out, job);
                out.push(b'\n');
            }
        }
    }
}

fn involved(out: &mut Vec<u8>, row: &InvolvedJob) {
    job_and_worker(out, row);
    put(out, format_args!("\t{}\n", row.clients));
}

/// As the Perl server does: function, unique, the worker's address and port.
fn job_and_worker(out: &mut Vec<u8>, row: &InvolvedJob) {
    name(out, &row.function, Blanks::Stay);
    out.push(b'\t');
    name(out, &row.unique, Blanks::Stay);
    out.push(b'\t');
    peer(out, row.worker);
}

fn peer(out: &mut Vec<u8>, peer: Option<SocketAddr>) {
    match peer {
        Some(peer) => put(out, format_args!("{}", SocketAddr::new(peer.ip().to_canonical(), peer.port()))),
        None => out.push(b'-'),
    }
}

fn job(frontend: &SharedPort, out: &mut Vec<u8>, row: &JobRow) {
    out.extend_from_slice(&frontend.handle_prefix.handle(row.job));
    let (ignored, stored) = (u8::from(row.ignored), u8::from(row.stored));
    put(out, format_args!("\t{}\t{ignored}\t{stored}\n", row.retries));
}

/// gearmand 2.2 put the handle in front.
fn unique_job(frontend: &SharedPort, out: &mut Vec<u8>, row: &JobRow) {
    if frontend.compat >= Compat::V2_2 {
        out.extend_from_slice(&frontend.handle_prefix.handle(row.job));
        out.push(b'\t');
    }
    name(out, &row.unique, Blanks::Stay);
    out.push(b'\n');
}

/// Handle, function, unique, lost attempts, how the last one was lost, when (in milliseconds since 1970), and the
/// address and the id of the worker that had it.
fn dead_job(frontend: &SharedPort, out: &mut Vec<u8>, row: &DeadRow) {
    out.extend_from_slice(&frontend.handle_prefix.handle(row.job));
    out.push(b'\t');
    name(out, &row.function, Blanks::Stay);
    out.push(b'\t');
    name(out, &row.unique, Blanks::Stay);
    let reason = match row.reason {
        DeathReason::WorkerGone => "worker_gone",
        DeathReason::AbilityDropped => "ability_dropped",
        DeathReason::TimedOut => "timed_out",
    };
    put(out, format_args!("\t{}\t{reason}\t{}\t{}\t", row.attempts, row.at.0, row.address.to_canonical()));
    let id = until_nul(&row.worker);
    name(out, if id.is_empty() { b"-" } else { id }, Blanks::Stay);
    out.push(b'\n');
}

fn render_counters(out: &mut Vec<u8>, counters: &Counters) {
    for (name, value) in counters.rows() {
        put(out, format_args!("{name}\t{value}\n"));
    }
    out.extend_from_slice(b".\n");
}

/// One line for each function whose name matched.
fn render_dropped(out: &mut Vec<u8>, rows: &[DropRow]) {
    // Only the last page can be empty, and only if it is the only one.
    if rows.is_empty() {
        out.extend_from_slice(NOT_FOUND.as_bytes());
    }
    for row in rows {
        let line = if row.dropped { OK } else { STILL_CONNECTED };
        out.extend_from_slice(line.as_bytes());
    }
}

/// What becomes of blanks in a name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Blanks {
    /// They stay: the columns are separated by tabs.
    Stay,
    /// They become `_`: the columns are separated by blanks.
    Go,
}

/// Appends a name that a peer chose, up to its first NUL. Control characters become `_`, so that no name can make
/// lines or columns of its own; gearmand prints them as they are.
fn name(out: &mut Vec<u8>, name: &[u8], blanks: Blanks) {
    let visible = |byte: u8| !byte.is_ascii_control() && (byte != b' ' || blanks == Blanks::Stay);
    out.extend(until_nul(name).iter().map(|&byte| if visible(byte) { byte } else { b'_' }));
}

fn put(out: &mut Vec<u8>, text: Arguments<'_>) {
    // Writing to memory cannot fail.
    let _ = out.write_fmt(text);
}
