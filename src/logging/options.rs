//! What an operator may decide about the log.
use super::level::Level;
use std::path::PathBuf;

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
pub struct LoggingOptions {
    /// Where lines go.
    pub target: Target,
    /// Who wants them there, for what is said where it cannot be: an option, and its place if that is not the command line.
    pub target_from: String,
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

impl LoggingOptions {
    /// Whether lines of this level are written anywhere.
    pub fn writes(&self, level: Level) -> bool {
        let nowhere = self.target == Target::Nowhere && self.syslog.is_none();
        !nowhere && level <= self.level
    }
}

impl Default for LoggingOptions {
    fn default() -> LoggingOptions {
        LoggingOptions {
            target: Target::default(),
            target_from: "--log-file".to_owned(),
            syslog: None,
            level: Level::Error,
            queue_bytes: 4 << 20,
            repeats: 10,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_nowhere_is_not_written() {
        let nowhere = LoggingOptions { target: Target::Nowhere, ..LoggingOptions::default() };
        assert!(!nowhere.writes(Level::Fatal));
        let syslog = LoggingOptions { syslog: Some("x".to_owned()), ..nowhere };
        assert!(syslog.writes(Level::Error) && !syslog.writes(Level::Warning));
    }
}
