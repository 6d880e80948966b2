//! The operator's log: gearmand's line, levels and words, on standard error or in a file. Nothing here decides what is
//! worth a line. A level that is off costs one load of an atomic.
use crate::engine::{HandlePrefix, Note};
use jiff::Zoned;
use std::cell::Cell;
use std::fmt::{self, Arguments, Write as _};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

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
    /// The least grave level that is written.
    pub level: Level,
}

/// Levels below this number are on. Before [`init`]: up to ERROR.
static LEVELS_ON: AtomicU8 = AtomicU8::new(Level::Error as u8 + 1);

/// Where lines go. Before [`init`]: standard error.
static SINK: Mutex<Sink> = Mutex::new(Sink::Stderr);

thread_local! {
    /// The shard that this thread runs, if any.
    static SHARD: Cell<Option<u16>> = const { Cell::new(None) };
}

/// Starts logging as the operator wants. If the file cannot be opened, says so and uses standard error.
pub fn init(options: &LogOptions) {
    let levels_on = match options.target {
        Target::Nowhere => 0,
        _ => options.level as u8 + 1,
    };
    LEVELS_ON.store(levels_on, Ordering::Relaxed);
    *sink() = Sink::open(&options.target);
}

/// Opens the log file again by its name, for log rotation (SIGHUP). Does nothing where there is no file: gearmand
/// 1.1.20 opens a file called `stderr` then.
pub fn reopen() {
    crate::log_at!(Level::Notice, "SIGHUP, reopening log file");
    sink().reopen();
}

/// Says that the calling thread runs this shard; its lines carry the number. Other threads are `main`.
pub fn on_shard(number: u16) {
    SHARD.set(Some(number));
}

/// Whether lines of this level are written.
#[inline]
pub fn enabled(level: Level) -> bool {
    (level as u8) < LEVELS_ON.load(Ordering::Relaxed)
}

/// Writes a line if its level is on: `log_at!(Level::Notice, "{n} jobs")`. The arguments are evaluated only then.
#[macro_export]
macro_rules! log_at {
    ($level:expr, $($message:tt)+) => {
        if $crate::logging::enabled($level) {
            $crate::logging::write($level, format_args!($($message)+), file!(), line!());
        }
    };
}

/// Writes a line. What [`log_at!`](crate::log_at) becomes.
#[cold]
pub fn write(level: Level, message: Arguments<'_>, file: &str, line: u32) {
    let microseconds = enabled(Level::Debug);
    let text = Line { level, time: &Zoned::now(), microseconds, shard: SHARD.get(), message, file, line };
    sink().write(&text.to_string());
}

/// Writes what the engine wants the operator to know, in gearmand's words, for which scripts search.
pub fn note(note: &Note, prefix: &HandlePrefix) {
    match note {
        Note::Accepted { function, unique, epoch } => {
            crate::log_at!(Level::Notice, "accepted,{},{},{epoch}", Visible(function), Visible(unique));
        }
        Note::OutOfAttempts { job, unique, kept } => {
            let handle = prefix.handle(*job);
            let (handle, unique) = (Visible(&handle), Visible(unique));
            let fate = if *kept { " (kept: see `show dead jobs`)" } else { "" };
            crate::log_at!(Level::Notice, "Dropped job due to max retry count: {handle} {unique}{fate}");
        }
        Note::DeadJobDropped { job, unique } => {
            let handle = prefix.handle(*job);
            let (handle, unique) = (Visible(&handle), Visible(unique));
            crate::log_at!(
                Level::Warning,
                "Dead job dropped for want of room (--dead-jobs): {handle} {unique}"
            );
        }
        Note::TimedOut { job, unique } => {
            let handle = prefix.handle(*job);
            let (handle, unique) = (Visible(&handle), Visible(unique));
            crate::log_at!(Level::Warning, "Worker timeout reached on job, requeueing: {handle} {unique}");
        }
    }
}

/// Bytes of a peer on their way into a line: control characters become `_`, so that nobody writes lines for us.
struct Visible<'a>(&'a [u8]);

impl fmt::Display for Visible<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                f.write_char(if character.is_control() { '_' } else { character })?;
            }
            if !chunk.invalid().is_empty() {
                f.write_char(char::REPLACEMENT_CHARACTER)?;
            }
        }
        Ok(())
    }
}

/// One line: level, local time, thread, message; then, but for INFO, the place in the source.
struct Line<'a> {
    level: Level,
    time: &'a Zoned,
    /// Without, the time has zeros in their place, as gearmand's.
    microseconds: bool,
    shard: Option<u16>,
    message: Arguments<'a>,
    file: &'a str,
    line: u32,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line { time, message, file, line, .. } = self;
        let microsecond = if self.microseconds { time.subsec_nanosecond() / 1000 } else { 0 };
        write!(f, "{:>7} {}.{microsecond:06} ", self.level.name(), time.strftime("%Y-%m-%d %H:%M:%S"))?;
        match self.shard {
            None => write!(f, "[  main ] ")?,
            Some(shard) => write!(f, "[{shard:>6} ] ")?,
        }
        write!(f, "{message}")?;
        if self.level != Level::Info {
            write!(f, " -> {file}:{line}")?;
        }
        f.write_char('\n')
    }
}

/// Where lines go.
#[derive(Debug)]
enum Sink {
    Stderr,
    Nowhere,
    File { path: PathBuf, file: File },
}

fn sink() -> MutexGuard<'static, Sink> {
    // A sink is whole between any two steps, so a panic elsewhere while it was locked does no harm.
    SINK.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sink {
    fn open(target: &Target) -> Sink {
        match target {
            Target::Stderr => Sink::Stderr,
            Target::Nowhere => Sink::Nowhere,
            Target::File(path) => Sink::open_file(path),
        }
    }

    fn open_file(path: &Path) -> Sink {
        match OpenOptions::new().append(true).create(true).mode(0o644).open(path) {
            Ok(file) => Sink::File { path: path.to_owned(), file },
            Err(error) => {
                let message =
                    format!("cannot open log file {}: {error}; logging to stderr\n", path.display());
                Sink::Stderr.write(&message);
                Sink::Stderr
            }
        }
    }

    fn reopen(&mut self) {
        if let Sink::File { path, .. } = self {
            *self = Sink::open_file(path);
        }
    }

    /// A line that cannot be written is lost: there is nobody left to tell.
    fn write(&mut self, line: &str) {
        let _ = match self {
            Sink::Stderr => io::stderr().write_all(line.as_bytes()),
            Sink::Nowhere => Ok(()),
            Sink::File { file, .. } => file.write_all(line.as_bytes()),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn line(level: Level, microseconds: bool, shard: Option<u16>) -> String {
        let time: Zoned = "2026-08-21T07:08:09.012345678+02:00[+02:00]".parse().unwrap();
        let message = format_args!("hello");
        Line { level, time: &time, microseconds, shard, message, file: "src/x.rs", line: 7 }.to_string()
    }

    #[test]
    fn lines_look_like_gearmands() {
        let error = "  ERROR 2026-08-21 07:08:09.000000 [  main ] hello -> src/x.rs:7\n";
        assert_eq!(line(Level::Error, false, None), error);
        let info = "   INFO 2026-08-21 07:08:09.012345 [     3 ] hello\n";
        assert_eq!(line(Level::Info, true, Some(3)), info);
        assert!(line(Level::Critical, false, Some(255)).starts_with("CRITICAL 2026-08-21 "));
        assert!(line(Level::Warning, false, Some(255)).contains(" [   255 ] hello -> "));
    }

    #[test]
    fn levels_have_names_in_capitals() {
        for level in Level::ALL {
            assert_eq!(Level::from_name(level.name()), Some(level));
            assert_eq!(Level::from_name(&level.name().to_lowercase()), None);
        }
        assert!(Level::ALL.is_sorted());
    }

    #[test]
    fn peers_cannot_write_lines() {
        assert_eq!(Visible(b"a\nb\x1b[2J\xffc \xc3\xbc").to_string(), "a_b_[2J\u{fffd}c ü");
    }

    #[test]
    fn a_rotated_file_is_opened_again_by_its_name() {
        let folder = std::env::temp_dir().join(format!("ringgear-log-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (path, rotated) = (folder.join("log"), folder.join("log.1"));
        fs::write(&path, "there before\n").unwrap();
        let mut sink = Sink::open(&Target::File(path.clone()));
        sink.write("one\n");
        fs::rename(&path, &rotated).unwrap();
        sink.write("two\n");
        sink.reopen();
        sink.write("three\n");
        assert_eq!(fs::read_to_string(&rotated).unwrap(), "there before\none\ntwo\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_file_that_cannot_be_opened_leaves_stderr() {
        let mut sink = Sink::open(&Target::File("/nonexistent/ringgear/log".into()));
        assert!(matches!(sink, Sink::Stderr));
        sink.reopen();
        assert!(matches!(sink, Sink::Stderr));
    }
}
