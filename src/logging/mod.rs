//! The operator's log: gearmand's line, levels and words, by way of `tracing`. Nothing here decides what is worth a line.
//! A level that is off costs one load of an atomic. A line is made on the thread that has something to say and written by
//! a thread of the log's own (`logging/writer.rs`), so nobody waits for a disk, a pipe or syslog.
//!
//! The subscriber is our own, a page long: there is one format and one sink, which is less than the least of
//! `tracing-subscriber`; and what dependencies say through `tracing` comes out in gearmand's form, too.
mod level;
mod line;
mod lost;
mod once;
mod options;
mod repeats;
mod sink;
mod subscriber;
mod syslog;
mod writer;

use crate::engine::{Compat, HandlePrefix, Note, Right, SessionId};
use crate::log_at;
use crate::protocol::Refusal;
pub use level::{Level, enabled, least, turn_on};
pub(crate) use line::Visible;
pub use line::on_shard;
pub use lost::take_lost;
use once::Once;
pub use options::{LoggingOptions, Target};
pub use repeats::Repeats;
use sink::Sinks;
use std::panic::Location;
#[doc(hidden)] // for `log_at!`
pub use tracing;

/// Starts logging as the operator wants, once, with a thread: so not before the process has forked for the last time.
/// If the file cannot be opened, says so and uses standard error until [`reopen`].
pub fn start(options: &LoggingOptions) {
    let Some(lowest) = Level::ALL.into_iter().rfind(|&level| options.writes(level)) else { return };
    repeats::set_limit(options.repeats);
    let sinks = Sinks::open(&options.target, &options.target_from, options.syslog.as_deref());
    writer::start(sinks, options.queue_bytes);
    subscriber::install(lowest);
    turn_on(lowest);
    let says_panics = options.target == Target::Stderr;
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !says_panics {
            log_at!(Level::Fatal, "{}", panic.to_string().replace('\n', " "));
        }
        flush();
        hook(panic);
    }));
}

/// Waits until everything that was said so far is written; not for long, where it cannot be written. To be called before
/// the process ends.
pub fn flush() {
    writer::flush();
}

/// Opens the log file again by its name, for log rotation (SIGHUP), also where it could not be opened before. Does nothing
/// where there is to be no file: gearmand 1.1.20 opens a file called `stderr` then.
pub fn reopen() {
    log_at!(Level::Notice, "SIGHUP, reopening log file");
    writer::reopen();
}

/// Writes a line if its level, a constant, is on: `log_at!(Level::Notice, "{n} jobs")`. The arguments are evaluated only
/// then. Warnings and worse are withheld where the same place has said many lately, see [`LoggingOptions::repeats`]. With
/// `@from place,` in front the line ends with that place, a [`std::panic::Location`], instead of the one where it is made.
#[macro_export]
macro_rules! log_at {
    (@said $said:expr, [$($field:tt)*], $level:expr, $($message:tt)+) => {
        if $crate::logging::enabled($level) {
            $crate::logging::aside(|| {
                const LEVEL: $crate::logging::Level = $level;
                if let Some(times) = $said.admit(LEVEL) {
                    $crate::logging::tracing::event!(
                        target: "ringgear",
                        LEVEL.in_tracing(),
                        rank = LEVEL as u64,
                        times,
                        $($field)*
                        $($message)+
                    );
                }
            });
        }
    };
    (@said $said:expr, @from $place:expr, $level:expr, $($message:tt)+) => {
        $crate::log_at!(
            @said $said,
            [place_file = $place.file(), place_line = u64::from($place.line()),],
            $level,
            $($message)+
        );
    };
    (@from $place:expr, $level:expr, $($message:tt)+) => {{
        static SAID: $crate::logging::Repeats = $crate::logging::Repeats::new();
        $crate::log_at!(@said SAID, @from $place, $level, $($message)+);
    }};
    ($level:expr, $($message:tt)+) => {{
        static SAID: $crate::logging::Repeats = $crate::logging::Repeats::new();
        $crate::log_at!(@said SAID, [], $level, $($message)+);
    }};
}

/// Writes that a request was answered ERROR, in gearmand's words and at its level, a warning, from 2.0 on an error; then
/// which request it was, and whose. The place is the caller's.
#[cold]
#[track_caller]
pub fn refused(refusal: Refusal, compat: Compat, what: &str, who: &dyn Fn() -> String) {
    let place = Location::caller();
    static SAID: [Repeats; Refusal::ALL.len()] = [const { Repeats::new() }; Refusal::ALL.len()];
    let said = &SAID[refusal as usize % SAID.len()];
    let (code, text) = (refusal.code(), refusal.text());
    if compat < Compat::V2_0 {
        log_at!(@said said, @from place, Level::Warning, "GEARMAN_{code}:{text} ({what} of {})", who());
    } else {
        log_at!(@said said, @from place, Level::Error, "GEARMAN_{code}:{text} ({what} of {})", who());
    }
}

/// Keeps what [`log_at!`](crate::log_at) becomes out of the way of what is hot.
#[doc(hidden)]
#[cold]
#[inline(never)]
pub fn aside(say: impl FnOnce()) {
    say();
}

/// Writes what the engine wants the operator to know, in gearmand's words, for which scripts search. `who` tells of a
/// session who it is. The place is the caller's.
#[track_caller]
pub fn note(note: &Note, prefix: &HandlePrefix, who: &mut dyn FnMut(SessionId) -> String) {
    let place = Location::caller();
    match note {
        Note::Accepted { function, unique, epoch } => {
            log_at!(@from place, Level::Notice, "accepted,{},{},{epoch}", Visible(function), Visible(unique));
        }
        Note::PauseEnded { function } => {
            log_at!(@from place, Level::Notice, "the pause of {} is over", Visible(function));
        }
        Note::OutOfAttempts { job, unique, kept } => {
            let handle = prefix.handle(*job);
            let (handle, unique) = (Visible(&handle), Visible(unique));
            let fate = if *kept { " (kept: see `show dead jobs`)" } else { "" };
            log_at!(@from place, Level::Notice, "Dropped job due to max retry count: {handle} {unique}{fate}");
        }
        Note::DeadJobDropped { job, unique } => {
            let handle = prefix.handle(*job);
            let (handle, unique) = (Visible(&handle), Visible(unique));
            log_at!(
                @from place,
                Level::Warning,
                "Dead job dropped for want of room (--dead-jobs, --max-dead-bytes): {handle} {unique}"
            );
        }
        Note::FunctionDropped { function, queued, scheduled, dead } => {
            let function = Visible(function);
            log_at!(
                @from place,
                Level::Notice,
                "Function dropped: {function} (jobs that ended with it: {queued} queued, {scheduled} scheduled, {dead} dead)"
            );
        }
        Note::FunctionKept { function, workers, running } => {
            let function = Visible(function);
            log_at!(
                @from place,
                Level::Notice,
                "Function not dropped: {function} (in use: known to {workers} workers, {running} jobs run)"
            );
        }
        Note::TimedOut { job, unique, address, worker } => {
            let handle = prefix.handle(*job);
            let (handle, unique) = (Visible(&handle), Visible(unique));
            let worker = if worker.is_empty() { b"-" } else { &worker[..] };
            let worker = Visible(worker);
            log_at!(
                @from place,
                Level::Warning,
                "Worker timeout reached on job, requeueing: {handle} {unique} ({address} {worker})"
            );
        }
        Note::Denied { session, right, function } => denied(*session, *right, function, who),
        Note::StruckOff { session, function, registrations } => {
            log_at!(
                @from place,
                Level::Warning,
                "{} may not work on {} any more: {registrations} registrations have ended, jobs that run are finished (--acl)",
                who(*session),
                Visible(function)
            );
        }
        Note::ShortTimeout { session, function, milliseconds } => {
            static HINTED: Once = Once::new();
            if enabled(Level::Warning) && HINTED.is_first(function) {
                log_at!(
                    @from place,
                    Level::Warning,
                    "a worker wants a time limit of {milliseconds} ms for {}, which becomes 1000 ms: if it means seconds, \
                     start with --timeout-unit s ({})",
                    Visible(function),
                    who(*session)
                );
            }
        }
    }
}

/// Writes that a request was refused for want of a right: once for each who, what and function, for whoever is refused tries again.
#[track_caller]
fn denied(session: SessionId, right: Right, function: &[u8], who: &mut dyn FnMut(SessionId) -> String) {
    static SAID: Once = Once::new();
    if !enabled(Level::Warning) {
        return;
    }
    let place = Location::caller();
    let (who, function) = (who(session), Visible(function));
    let what = match right {
        Right::Submit => format!("submit jobs of {function}"),
        Right::Work => format!("work on {function}"),
        Right::Read => "ask what administrators ask".to_owned(),
        Right::Admin => "give administrators' orders".to_owned(),
    };
    // Of one peer each connection has another port.
    let subject = who.rsplit_once(" as ").map_or(who.as_str(), |(_, subject)| subject);
    if SAID.is_first(format!("{what}\n{subject}").as_bytes()) {
        log_at!(@from place, Level::Warning, "refused: {who} may not {what} (said once; --acl, --admin-lines, --listen)");
    }
}
