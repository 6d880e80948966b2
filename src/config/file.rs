//! Words before they are parsed: those of gearmand's configuration file, which wins over nothing, and `@FILE`. What the
//! options are stands in `flags.rs`.
use clap::Command;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// Read where no other file is named, if it is there: gearmand's, as Debian builds it.
pub(super) const DEFAULT_FILE: &str = "/etc/gearmand.conf";

/// A configuration file with more bytes is none.
const FILE_MAX: u64 = 1 << 20;

/// Options of gearmand that an abbreviation in its configuration file can mean: ours must not make one ambiguous that
/// worked with gearmand.
pub(super) const GEARMANDS: &[&str] = &[
    "backlog",
    "config-file",
    "coredump",
    "daemon",
    "exceptions",
    "file-descriptors",
    "hashtable-buckets",
    "help",
    "http-port",
    "job-handle-prefix",
    "job-retries",
    "keepalive",
    "keepalive-count",
    "keepalive-idle",
    "keepalive-interval",
    "libmemcached-prefix",
    "libmemcached-servers",
    "libpq-conninfo",
    "libpq-table",
    "libsqlite3-db",
    "libsqlite3-table",
    "listen",
    "log-file",
    "mysql-db",
    "mysql-host",
    "mysql-password",
    "mysql-port",
    "mysql-table",
    "mysql-user",
    "pid-file",
    "port",
    "protocol",
    "queue-type",
    "redis-password",
    "redis-port",
    "redis-prefix",
    "redis-server",
    "round-robin",
    "ssl",
    "ssl-ca-file",
    "ssl-certificate",
    "ssl-key",
    "store-queue-on-shutdown",
    "syslog",
    "threads",
    "user",
    "verbose",
    "version",
    "worker-wakeup",
];

/// An option as it is written, with its value if that is a word of its own.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OptionWords {
    /// clap's name of it; `None` if there is no such option.
    pub(super) id: Option<String>,
    pub(super) words: Vec<OsString>,
    /// Where it begins: the number of words before it.
    pub(super) at: usize,
}

impl OptionWords {
    /// The value, where one is given.
    pub(super) fn value(&self) -> Option<&OsStr> {
        let written = self.words.first()?.as_bytes();
        match self.words.get(1) {
            Some(value) => Some(value),
            None if written.starts_with(b"--") => {
                let equals = written.iter().position(|byte| *byte == b'=')?;
                Some(OsStr::from_bytes(&written[equals + 1..]))
            }
            // A letter, and the value at once.
            None => written.get(2..).filter(|value| !value.is_empty()).map(OsStr::from_bytes),
        }
    }
}

/// The words of a configuration file, and the line of each, counted from 1.
#[derive(Debug, Default)]
pub(super) struct FileWords {
    pub(super) words: Vec<OsString>,
    pub(super) lines: Vec<usize>,
}

/// A word of another kind than the options and their values.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Word {
    Option(OptionWords),
    /// Neither an option nor the value of one.
    Stray(OsString),
}

/// Tells options from other words. `abbreviated` is whether long names may be cut short.
pub(super) fn read(words: impl Iterator<Item = OsString>, command: &Command, abbreviated: bool) -> Vec<Word> {
    let mut words = words.enumerate();
    let mut read = Vec::new();
    while let Some((at, word)) = words.next() {
        let bytes = word.as_bytes();
        if bytes == b"--" {
            read.extend(words.by_ref().map(|(_, word)| Word::Stray(word)));
        } else if let Some(long) = bytes.strip_prefix(b"--") {
            let (name, value) = match long.iter().position(|&byte| byte == b'=') {
                Some(at) => (&long[..at], Some(&long[at..])),
                None => (long, None),
            };
            let name = full_name(&String::from_utf8_lossy(name), command, abbreviated);
            let option = command.get_arguments().find(|arg| arg.get_long() == Some(&name));
            let mut written = OsString::from(format!("--{name}"));
            written.push(OsStr::from_bytes(value.unwrap_or_default()));
            let mut item =
                OptionWords { id: option.map(|arg| arg.get_id().to_string()), words: vec![written], at };
            if option.is_some_and(|arg| arg.get_action().takes_values()) && value.is_none() {
                item.words.extend(words.next().map(|(_, value)| value));
            }
            read.push(Word::Option(item));
        } else if bytes.len() > 1 && bytes[0] == b'-' {
            short((at, &word), command, &mut words.by_ref().map(|(_, value)| value), &mut read);
        } else {
            read.push(Word::Stray(word));
        }
    }
    read
}

/// `-d`, `-dR`, `-p 1`, `-p1`, `-dp1`: each option by itself.
fn short(
    (at, word): (usize, &OsStr),
    command: &Command,
    rest: &mut impl Iterator<Item = OsString>,
    read: &mut Vec<Word>,
) {
    let mut letters = &word.as_bytes()[1..];
    while let Some((&letter, behind)) = letters.split_first() {
        let letter = char::from(letter);
        let option = command.get_arguments().find(|arg| arg.get_short() == Some(letter));
        let Some(option) = option else {
            // The parser says what is wrong with it.
            let words = vec![OsString::from_vec([b"-", letters].concat())];
            return read.push(Word::Option(OptionWords { id: None, words, at }));
        };
        let id = Some(option.get_id().to_string());
        let mut words = vec![OsString::from(format!("-{letter}"))];
        if !option.get_action().takes_values() {
            read.push(Word::Option(OptionWords { id, words, at }));
            letters = behind;
            continue;
        }
        match behind.is_empty() {
            true => words.extend(rest.next()),
            false => words[0].push(OsStr::from_bytes(behind)),
        }
        return read.push(Word::Option(OptionWords { id, words, at }));
    }
}

/// The one name that begins like this; as it is if there is none, or more than one.
fn full_name(name: &str, command: &Command, abbreviated: bool) -> String {
    let known = || command.get_arguments().filter_map(|arg| arg.get_long());
    if !abbreviated || known().any(|long| long == name) {
        return name.to_owned();
    }
    let only = |names: &mut dyn Iterator<Item = &str>| match (names.next(), names.next()) {
        (Some(one), None) => Some(Some(one.to_owned())),
        (Some(_), Some(_)) => Some(None),
        (None, _) => None,
    };
    let begins = |long: &&str| long.starts_with(name);
    let found =
        only(&mut GEARMANDS.iter().copied().filter(begins)).or_else(|| only(&mut known().filter(begins)));
    found.flatten().unwrap_or_else(|| name.to_owned())
}

/// The words of a configuration file: separated by blanks, carriage returns and line feeds, not by tabs, as gearmand does.
pub(super) fn of_file(path: &Path) -> io::Result<FileWords> {
    Ok(words_of(&bytes_of(path)?))
}

/// What stands in a file that is to be read as a whole.
pub(super) fn bytes_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it has more than a million bytes"));
    }
    Ok(bytes)
}

/// The words of these bytes.
pub(super) fn words_of(bytes: &[u8]) -> FileWords {
    let mut read = FileWords::default();
    for (line, text) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        for word in text.split(|byte| matches!(byte, b' ' | b'\r')).filter(|word| !word.is_empty()) {
            read.words.push(OsString::from_vec(word.to_vec()));
            read.lines.push(line);
        }
    }
    read
}
