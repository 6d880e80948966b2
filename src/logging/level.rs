//! How grave lines are, and which are written at all.
use std::sync::atomic::{AtomicU8, Ordering};

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

/// Levels below this number are on. None before [`super::start`]: there is nowhere to write to.
static LEVELS_ON: AtomicU8 = AtomicU8::new(0);

/// Whether lines of this level are written.
#[inline]
pub fn enabled(level: Level) -> bool {
    (level as u8) < LEVELS_ON.load(Ordering::Relaxed)
}

/// The level down to which lines are written; the gravest, if none are.
pub fn least() -> Level {
    let on = usize::from(LEVELS_ON.load(Ordering::Relaxed));
    Level::ALL[on.saturating_sub(1).min(Level::ALL.len() - 1)]
}

/// Has lines be written from now on, down to this level.
pub fn turn_on(least: Level) {
    LEVELS_ON.store(least as u8 + 1, Ordering::Relaxed);
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
}
