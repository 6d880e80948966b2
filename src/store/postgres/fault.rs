//! What can go wrong with a database server, and of which kind it is: what follows is decided by who asked.
use super::surroundings::TargetMistake;
use crate::store::StoreError;
use crate::store::sql::error::RowError;
use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use tokio_postgres::error::SqlState;

/// Why something failed.
#[derive(Debug)]
pub(super) enum PgFault {
    /// The driver or the server said so.
    Sql(tokio_postgres::Error),
    /// A row cannot be read or written.
    Row(RowError),
    /// There is no connection: this is why not.
    Away(String),
    /// The server does not let us do what we must.
    Refused(String),
    /// Another server has the table, which is called so, and does not share it.
    Locked(String),
    /// We were taken over: nothing was added or changed.
    Fenced,
    /// What says where the database is makes no sense.
    Target(TargetMistake),
    /// A job that this database cannot keep.
    Unfit(String),
    /// Anything else that is not as it must be.
    Other(String),
}

/// What sort of trouble it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PgTrouble {
    /// The server is not there, or not for us now; another time it may be. What was sent may have been done.
    Away,
    /// It does not let us.
    Refused,
    /// There is no room.
    Full,
    /// It refuses what one of the jobs is made of.
    Unfit,
    /// We are not who we were.
    Fenced,
    /// Others were in the way: the same may succeed at once.
    InTheWay,
    /// Anything else.
    Other,
}

impl From<tokio_postgres::Error> for PgFault {
    fn from(error: tokio_postgres::Error) -> PgFault {
        PgFault::Sql(error)
    }
}

impl From<RowError> for PgFault {
    fn from(error: RowError) -> PgFault {
        PgFault::Row(error)
    }
}

impl From<TargetMistake> for PgFault {
    fn from(mistake: TargetMistake) -> PgFault {
        PgFault::Target(mistake)
    }
}

impl fmt::Display for PgFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PgFault::Sql(error) => f.write_str(&told(error)),
            PgFault::Row(error) => error.fmt(f),
            PgFault::Target(mistake) => mistake.fmt(f),
            PgFault::Locked(table) => write!(f, "table {table} is used by another server"),
            PgFault::Fenced => f.write_str("another server has taken over"),
            PgFault::Away(what) | PgFault::Refused(what) | PgFault::Unfit(what) | PgFault::Other(what) => {
                f.write_str(what)
            }
        }
    }
}

impl PgFault {
    /// What sort of trouble it is.
    pub(super) fn trouble(&self) -> PgTrouble {
        match self {
            PgFault::Sql(error) => trouble_of(error),
            PgFault::Away(_) => PgTrouble::Away,
            PgFault::Refused(_) | PgFault::Locked(_) => PgTrouble::Refused,
            PgFault::Unfit(_) => PgTrouble::Unfit,
            PgFault::Fenced => PgTrouble::Fenced,
            PgFault::Row(_) | PgFault::Target(_) | PgFault::Other(_) => PgTrouble::Other,
        }
    }

    /// Whether the server says so.
    pub(super) fn is(&self, state: &SqlState) -> bool {
        matches!(self, PgFault::Sql(error) if error.code() == Some(state))
    }

    /// The same, of this server, which was away for so long before.
    pub(super) fn of(self, server: &str, since: Option<Duration>) -> StoreError {
        let (name, what) = (server.to_owned(), self.to_string());
        match (self.trouble(), self) {
            (_, PgFault::Row(RowError::Field { place, tag })) => {
                StoreError::Field { path: PathBuf::from(name), place, tag }
            }
            (_, PgFault::Locked(table)) => {
                StoreError::Locked { path: PathBuf::from(format!("{name}: table {table}")) }
            }
            (_, PgFault::Target(mistake)) => {
                StoreError::Database { name: mistake.origin, what: mistake.what }
            }
            (PgTrouble::Fenced, _) => StoreError::TakenOver { server: name },
            (PgTrouble::Away, _) => StoreError::Unreachable { server: name, since, what },
            (PgTrouble::Refused, _) => StoreError::Refused { server: name, what },
            (PgTrouble::Full, _) => StoreError::Full { path: PathBuf::from(format!("{name} ({what})")) },
            (PgTrouble::Unfit, _) => StoreError::Unfit { name, what },
            (PgTrouble::InTheWay | PgTrouble::Other, _) => StoreError::Database { name, what },
        }
    }
}

fn trouble_of(error: &tokio_postgres::Error) -> PgTrouble {
    let Some(state) = error.code() else {
        // Nothing that a server says: the connection is gone, or there was none, or what was agreed on made it impossible. The
        // last cannot be told from the others but by the driver's words.
        let said = error.to_string();
        let kinds = ["invalid configuration", "authentication error", "error performing TLS handshake"];
        let agreed = kinds.iter().any(|kind| said.starts_with(kind)) && !is_broken_off(error);
        return if agreed { PgTrouble::Refused } else { PgTrouble::Away };
    };
    let refused = [
        SqlState::INSUFFICIENT_PRIVILEGE,
        SqlState::INVALID_CATALOG_NAME,
        SqlState::INVALID_PASSWORD,
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
    ];
    let away = [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::TOO_MANY_CONNECTIONS,
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        // It is a replica now: another host is the one to write to, or this one later.
        SqlState::READ_ONLY_SQL_TRANSACTION,
    ];
    let full = [SqlState::DISK_FULL, SqlState::OUT_OF_MEMORY, SqlState::INSUFFICIENT_RESOURCES];
    // A lock that was waited for in vain is none of these: the next wait would be as long.
    let in_the_way = [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED];
    match state.code().get(..2) {
        _ if refused.contains(state) => PgTrouble::Refused,
        _ if away.contains(state) => PgTrouble::Away,
        _ if full.contains(state) => PgTrouble::Full,
        _ if in_the_way.contains(state) => PgTrouble::InTheWay,
        Some("08") => PgTrouble::Away,
        // What is wrong with a value, a rule that a row breaks, a limit of the program, what a trigger says.
        Some("22" | "23" | "54" | "P0") => PgTrouble::Unfit,
        _ => PgTrouble::Other,
    }
}

/// Whether somebody has closed the connection in the middle of it.
fn is_broken_off(error: &tokio_postgres::Error) -> bool {
    use std::io::ErrorKind;
    let source = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    let kinds = [
        ErrorKind::BrokenPipe,
        ErrorKind::ConnectionAborted,
        ErrorKind::ConnectionReset,
        ErrorKind::TimedOut,
        ErrorKind::UnexpectedEof,
    ];
    source.is_some_and(|source| kinds.contains(&source.kind()))
}

/// What went wrong, with what is behind it. The driver itself says little.
fn told(error: &tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        let detail = said.detail().map_or_else(String::new, |detail| format!(" ({detail})"));
        return format!("{}{detail}", said.message());
    }
    let mut text = error.to_string();
    let mut behind = error.source();
    while let Some(error) = behind {
        text += &format!(": {error}");
        behind = error.source();
    }
    text
}
