//! Why a store cannot do what it should, each in one sentence that says what to do. What follows from it is decided elsewhere.
use std::fmt;
use std::path::PathBuf;

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
    /// A database refused something.
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
