//! Where lines go: standard error or a file, and syslog. Used by the thread that writes; it may wait.
use super::level::Level;
use super::options::Target;
use super::syslog::{self, Syslog};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// Where lines go.
#[derive(Debug)]
pub(super) struct Sinks {
    /// The file that they are to go to, if they are.
    file: Option<LogFile>,
    main: Sink,
    /// Lines that went to standard error because that file could not be opened.
    strayed: u64,
    syslog: Option<Syslog>,
}

/// A file that somebody wants, who is named where it cannot be opened.
#[derive(Debug)]
struct LogFile {
    path: PathBuf,
    from: String,
}

#[derive(Debug)]
enum Sink {
    Stderr,
    Nowhere,
    File(File),
}

impl Sinks {
    /// A file that cannot be opened leaves standard error, which says so.
    pub(super) fn open(target: &Target, from: &str, syslog: Option<&str>) -> Sinks {
        let (file, main) = match target {
            Target::Stderr => (None, Sink::Stderr),
            Target::Nowhere => (None, Sink::Nowhere),
            Target::File(path) => {
                let file = LogFile { path: path.clone(), from: from.to_owned() };
                let main = file.open();
                (Some(file), main)
            }
        };
        let syslog = syslog.map(|name| {
            let mut syslog = Syslog::new(name);
            if let Err(error) = syslog.connect() {
                let text = format!(
                    "cannot reach syslog at {} (--syslog): {error}; trying again later\n",
                    syslog::SOCKET
                );
                Sink::Stderr.write(&text);
            }
            syslog
        });
        Sinks { file, main, strayed: 0, syslog }
    }

    /// Writes whole lines. False if they, or some of them, are lost.
    pub(super) fn write(&mut self, lines: &str) -> bool {
        if self.file.is_some() && matches!(self.main, Sink::Stderr) {
            self.strayed += lines.lines().count() as u64;
        }
        self.main.write(lines)
    }

    /// Hands a line to syslog, if that is wanted.
    pub(super) fn tell_syslog(&mut self, level: Level, line: &str) {
        if let Some(syslog) = &mut self.syslog {
            syslog.write(level, line);
        }
    }

    /// Opens the file again by its name, if there is to be one, also where it could not be opened before. Returns how many
    /// lines it lacks because of that.
    pub(super) fn reopen(&mut self) -> u64 {
        let Some(file) = &self.file else { return 0 };
        self.main = file.open();
        if matches!(self.main, Sink::Stderr) { 0 } else { std::mem::take(&mut self.strayed) }
    }
}

impl LogFile {
    fn open(&self) -> Sink {
        let LogFile { path, from } = self;
        match OpenOptions::new().append(true).create(true).mode(0o644).open(path) {
            Ok(file) => Sink::File(file),
            Err(error) => {
                let message = format!(
                    "cannot open log file {} ({from}): {error}; logging to stderr until a SIGHUP finds that it can be opened\n",
                    path.display()
                );
                Sink::Stderr.write(&message);
                Sink::Stderr
            }
        }
    }
}

impl Sink {
    fn write(&mut self, lines: &str) -> bool {
        let written = match self {
            Sink::Stderr => io::stderr().write_all(lines.as_bytes()),
            Sink::Nowhere => Ok(()),
            Sink::File(file) => file.write_all(lines.as_bytes()),
        };
        written.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_rotated_file_is_opened_again_by_its_name() {
        let folder = std::env::temp_dir().join(format!("ringgear-log-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (path, rotated) = (folder.join("log"), folder.join("log.1"));
        fs::write(&path, "there before\n").unwrap();
        let mut sinks = Sinks::open(&Target::File(path.clone()), "", None);
        sinks.write("one\n");
        fs::rename(&path, &rotated).unwrap();
        sinks.write("two\n");
        sinks.reopen();
        sinks.write("three\n");
        assert_eq!(fs::read_to_string(&rotated).unwrap(), "there before\none\ntwo\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_file_that_cannot_be_opened_leaves_stderr() {
        let mut sinks = Sinks::open(&Target::File("/nonexistent/ringgear/log".into()), "", None);
        assert!(matches!(sinks.main, Sink::Stderr));
        sinks.reopen();
        assert!(matches!(sinks.main, Sink::Stderr));
    }

    #[test]
    fn a_file_that_could_not_be_opened_is_tried_again() {
        let folder = std::env::temp_dir().join(format!("ringgear-log-later-{}", std::process::id()));
        let path = folder.join("log");
        let mut sinks = Sinks::open(&Target::File(path.clone()), "", None);
        sinks.write("one\ntwo\n");
        assert_eq!(sinks.reopen(), 0);
        fs::create_dir_all(&folder).unwrap();
        assert_eq!(sinks.reopen(), 2);
        sinks.write("three\n");
        assert_eq!(sinks.reopen(), 0);
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
        fs::remove_dir_all(&folder).unwrap();
    }
}
