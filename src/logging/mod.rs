//! The operator's log: gearmand's line, levels and words, by way of `tracing`. Nothing here decides what is worth a line.
//! A level that is off costs one load of an atomic. A line is made on the thread that has something to say and written by
//! a thread of the log's own (`logging/writer.rs`), so nobody waits for a disk, a pipe or syslog.
//!
//! The subscriber is our own, a page long: there is one format and one sink, which is less than the least of
//! `tracing-subscriber`; and what dependencies say through `tracing` comes out in gearmand's form, too.
mod line;
mod once;
mod repeats;
mod sink;
mod subscriber;
mod syslog;
mod writer;

use crate::engine::{Compat, HandlePrefix, Note, SessionId};
use crate::log_at;
use crate::protocol::Refusal;
pub(crate) use line::Visible;
use once::Once;
pub use repeats::Repeats;
use sink::Sinks;
use std::cell::Cell;
use std::panic::Location;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
#[doc(hidden)] // for `log_at!`
pub use tracing;

/// How grave a line is, and how much an operator wants to hear (`--verbose`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The job server cannot go on.
    Fatal,
    /// Somebody must act at once.
    Alert,
    /// Something essential is broken.
    Critical,
    /// Something failed. The default.
    Error,
    /// Something is not as it should be.
    Warning,
    /// Something rare but normal; also every accepted submission.
    Notice,
    /// Connections that come and go.
    Info,
    /// Everything, with microseconds.
    Debug,
}

impl Level {
    /// All levels, the gravest first.
    pub const ALL: [Level; 8] = [
        Level::Fatal,
        Level::Alert,
        Level::Critical,
        Level::Error,
        Level::Warning,
        Level::Notice,
        Level::Info,
        Level::Debug,
    ];

    /// The name, as in `--verbose` and in the answer to `verbose`.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Fatal => "FATAL",
            Level::Alert => "ALERT",
            Level::Critical => "CRITICAL",
            Level::Error => "ERROR",
            Level::Warning => "WARNING",
            Level::Notice => "NOTICE",
            Level::Info => "INFO",
            Level::Debug => "DEBUG",
        }
    }

    /// The level of this name, which is in capitals.
    pub fn from_name(name: &str) -> Option<Level> {
        Level::ALL.into_iter().find(|level| level.name() == name)
    }

    /// The level of `tracing` that lines of this level have. It has fewer; a field carries ours.
    pub const fn in_tracing(self) -> tracing::Level {
        match self {
            Level::Fatal | Level::Alert | Level::Critical | Level::Error => tracing::Level::ERROR,
            Level::Warning => tracing::Level::WARN,
            Level::Notice | Level::Info => tracing::Level::INFO,
            Level::Debug => tracing::Level::DEBUG,
        }
    }
}

/// Where lines go (`--log-file`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// Standard error.
    #[default]
    Stderr,
    /// Nowhere.
    Nowhere,
    /// The end of this file.
    File(PathBuf),
}

/// What an operator may decide about the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// Where lines go.
    pub target: Target,
    /// The name under which lines go to syslog as well, if they do.
    pub syslog: Option<String>,
    /// The least grave level that is written.
    pub level: Level,
    /// Bytes of lines that may wait to be written; what finds no room is dropped and counted. Default: 4 MiB.
    pub queue_bytes: usize,
    /// Lines from one place in the source that are written in ten seconds, where they are warnings or worse; 0: all.
    /// Default: 10.
    pub repeats: u32,
}

impl LogOptions {
    /// Whether lines of this level are written anywhere.
    pub fn writes(&self, level: Level) -> bool {
        let nowhere = self.target == Target::Nowhere && self.syslog.is_none();
        !nowhere && level <= self.level
    }
}

impl Default for LogOptions {
    fn default() -> LogOptions {
        LogOptions {
            target: Target::default(),
            syslog: None,
            level: Level::Error,
            queue_bytes: 4 << 20,
            repeats: 10,
        }
    }
}

/// Levels below this number are on. None before [`start`]: there is nowhere to write to.
static LEVELS_ON: AtomicU8 = AtomicU8::new(0);

/// Lines that were never written: dropped for want of room, and withheld because they repeat others. Since
/// [`take_lost`] was last asked.
static DROPPED: AtomicU64 = AtomicU64::new(0);
static WITHHELD: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The shard that this thread runs, if any.
    static SHARD: Cell<Option<u16>> = const { Cell::new(None) };
}

/// Starts logging as the operator wants, once, with a thread: so not before the process has forked for the last time.
/// If the file cannot be opened, says so and uses standard error until [`reopen`].
pub fn start(options: &LogOptions) {
    let Some(least) = Level::ALL.into_iter().rfind(|&level| options.writes(level)) else { return };
    repeats::set_limit(options.repeats);
    writer::start(Sinks::open(&options.target, options.syslog.as_deref()), options.queue_bytes);
    subscriber::install(least);
    LEVELS_ON.store(least as u8 + 1, Ordering::Relaxed);
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

/// Says that the calling thread runs this shard; its lines carry the number. Other threads are `main`.
pub fn on_shard(number: u16) {
    SHARD.set(Some(number));
}

/// How many lines were dropped for want of room, and how many withheld because they repeat others, since this was last
/// asked. For the counters.
pub fn take_lost() -> (u64, u64) {
    (DROPPED.swap(0, Ordering::Relaxed), WITHHELD.swap(0, Ordering::Relaxed))
}

/// Whether lines of this level are written.
#[inline]
pub fn enabled(level: Level) -> bool {
    (level as u8) < LEVELS_ON.load(Ordering::Relaxed)
}

/// Writes a line if its level, a constant, is on: `log_at!(Level::Notice, "{n} jobs")`. The arguments are evaluated only
/// then. Warnings and worse are withheld where the same place has said many lately, see [`LogOptions::repeats`]. With
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_names_in_capitals() {
        for level in Level::ALL {
            assert_eq!(Level::from_name(level.name()), Some(level));
            assert_eq!(Level::from_name(&level.name().to_lowercase()), None);
        }
        assert!(Level::ALL.is_sorted());
    }

    #[test]
    fn what_goes_nowhere_is_not_written() {
        let nowhere = LogOptions { target: Target::Nowhere, ..LogOptions::default() };
        assert!(!nowhere.writes(Level::Fatal));
        let syslog = LogOptions { syslog: Some("x".to_owned()), ..nowhere };
        assert!(syslog.writes(Level::Error) && !syslog.writes(Level::Warning));
    }
}
