//! Why a store cannot do what it should, each in one sentence that says what to do. What follows from it is decided elsewhere.
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Why a store cannot do what it should. Printed as one sentence that names the remedy.
#[derive(Debug)]
pub enum StoreError {
    /// The disk or the file system refused something.
    Io {
        /// What was being done, as in "cannot write to".
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// There is no room: on the disk, or within what an option allows.
    Full {
        /// Where.
        path: PathBuf,
    },
    /// Another server uses it.
    Locked {
        /// What.
        path: PathBuf,
    },
    /// What is there is not as it was written.
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// Where in the file, in bytes.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// It was written by another version of this program, or by another program.
    Version {
        /// Which file.
        path: PathBuf,
        /// What it says it is.
        found: String,
    },
    /// A job has a field that a later version wrote and that must be understood (`fields.rs`).
    Field {
        /// Which file.
        path: PathBuf,
        /// Where in it.
        place: String,
        /// The tag of the field.
        tag: u8,
    },
    /// A server that keeps jobs for us does not answer.
    Unreachable {
        /// Which: host, port, and what it is asked for; no password.
        server: String,
        /// For how long, if it has answered before.
        since: Option<Duration>,
        /// What the last try came to.
        what: String,
    },
    /// A server that keeps jobs for us does not let us: name, password, rights, or a mode in which nothing is written.
    Refused {
        /// Which: host, port, and what it is asked for; no password.
        server: String,
        /// What it said.
        what: String,
    },
    /// A server that keeps jobs for us cannot keep one of these.
    Unfit {
        /// Which: host, port, and what it is asked for; no password.
        name: String,
        /// What it said.
        what: String,
    },
    /// This server was silent for so long that another one has taken over its jobs.
    TakenOver {
        /// Where they are kept: host, port, and what it is asked for; no password.
        server: String,
    },
    /// A database said anything else.
    Database {
        /// Which file or server.
        name: String,
        /// What it said.
        what: String,
    },
    /// A write failed earlier: nothing is kept any more until the server is started again.
    Sealed,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Io { doing, path, source } => {
                write!(f, "cannot {doing} {}: {source}", path.display())
            }
            StoreError::Full { path } => {
                write!(
                    f,
                    "{} is full: background jobs are refused until jobs end or there is more room",
                    path.display()
                )
            }
            StoreError::Locked { path } => {
                write!(
                    f,
                    "{} is used by another server; stop that one, or choose another place",
                    path.display()
                )
            }
            StoreError::Corrupt { path, offset, what } => write!(
                f,
                "{} is damaged at byte {offset}: {what}; `ringgear store salvage` writes what is intact to a new place",
                path.display()
            ),
            StoreError::Version { path, found } => {
                write!(f, "{} was not written by this version of ringgear: {found}", path.display())
            }
            StoreError::Field { path, place, tag } => write!(
                f,
                "{}, {place}: a job has field {tag}, which this version of ringgear does not know and must not pass over; \
                 start the version that wrote it, or a later one",
                path.display()
            ),
            StoreError::Unreachable { server, since, what } => {
                write!(f, "{server} cannot be reached")?;
                if let Some(since) = since {
                    write!(f, " since {} s", since.as_secs())?;
                }
                write!(
                    f,
                    ": {what}; background jobs are refused until it answers: start it, or see to the network in between"
                )
            }
            StoreError::Refused { server, what } => write!(
                f,
                "{server} does not let this server keep jobs there: {what}; see to the name, the password and the rights that \
                 it has there, or name another place"
            ),
            StoreError::Unfit { name, what } => {
                write!(f, "{name} cannot keep a job, which is refused: {what}")
            }
            StoreError::TakenOver { server } => write!(
                f,
                "this server was not heard of at {server} for so long that another one has taken over its jobs; submissions that \
                 were waiting are refused, and it goes on with none: see why it or the network stood still, or raise \
                 --take-over-after on all servers"
            ),
            StoreError::Database { name, what } => write!(f, "{name}: {what}"),
            StoreError::Sealed => {
                f.write_str("a write has failed earlier; start the server again when the disk is well")
            }
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StoreError::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn each_error_is_a_sentence_that_says_what_to_do() {
        let server = || "postgres at db:5432".to_owned();
        let path = || PathBuf::from("/data");
        let (what, since) = ("connection refused".to_owned(), Some(Duration::from_millis(12_900)));
        let refused = "permission denied for table queue".to_owned();
        let unfit = "value too long for type character varying(64)".to_owned();
        for (error, sentence) in [
            (
                StoreError::Unreachable { server: server(), since: None, what: what.clone() },
                "postgres at db:5432 cannot be reached: connection refused; background jobs are refused until it answers: \
                 start it, or see to the network in between",
            ),
            (
                StoreError::Unreachable { server: server(), since, what },
                "postgres at db:5432 cannot be reached since 12 s: connection refused; background jobs are refused until it \
                 answers: start it, or see to the network in between",
            ),
            (
                StoreError::Refused { server: server(), what: refused },
                "postgres at db:5432 does not let this server keep jobs there: permission denied for table queue; see to the \
                 name, the password and the rights that it has there, or name another place",
            ),
            (
                StoreError::Unfit { name: server(), what: unfit },
                "postgres at db:5432 cannot keep a job, which is refused: value too long for type character varying(64)",
            ),
            (
                StoreError::Full { path: path() },
                "/data is full: background jobs are refused until jobs end or there is more room",
            ),
            (
                StoreError::Locked { path: path() },
                "/data is used by another server; stop that one, or choose another place",
            ),
            (StoreError::Sealed, "a write has failed earlier; start the server again when the disk is well"),
        ] {
            assert_eq!(error.to_string(), sentence);
            assert!(error.source().is_none());
        }
    }
}
