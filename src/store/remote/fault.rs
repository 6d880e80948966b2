//! What can go wrong with a server that keeps jobs for us, and of which kind it is: what follows is decided by who asked. The words of
//! each driver are read where the driver is.
use crate::store::StoreError;
use crate::store::sql::error::RowError;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Why something failed.
#[derive(Debug)]
pub(crate) struct RemoteFault {
    pub(crate) trouble: RemoteTrouble,
    /// In words, without the name of the server.
    pub(crate) what: String,
    /// Where a job has a field that must be understood, and its tag.
    field: Option<(String, u8)>,
}

/// What sort of trouble it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RemoteTrouble {
    /// The server is not there, or not for us now; another time it may be. What was sent may have been done.
    Away,
    /// It does not let us.
    Refused,
    /// Another server of ours has what we want to have.
    Locked,
    /// There is no room.
    Full,
    /// It refuses what one of the jobs is made of.
    Unfit,
    /// We were taken over: nothing was added or changed.
    Fenced,
    /// Others were in the way: the same may succeed at once.
    InTheWay,
    /// Anything else.
    Other,
}

impl RemoteFault {
    pub(crate) fn new(trouble: RemoteTrouble, what: impl Into<String>) -> RemoteFault {
        RemoteFault { trouble, what: what.into(), field: None }
    }

    pub(crate) fn away(what: impl Into<String>) -> RemoteFault {
        RemoteFault::new(RemoteTrouble::Away, what)
    }

    pub(crate) fn refused(what: impl Into<String>) -> RemoteFault {
        RemoteFault::new(RemoteTrouble::Refused, what)
    }

    pub(crate) fn other(what: impl Into<String>) -> RemoteFault {
        RemoteFault::new(RemoteTrouble::Other, what)
    }

    /// The same, of this server, which was away for so long before.
    pub(crate) fn of(self, server: &str, since: Option<Duration>) -> StoreError {
        let RemoteFault { trouble, what, field } = self;
        let name = server.to_owned();
        if let Some((place, tag)) = field {
            return StoreError::Field { path: PathBuf::from(name), place, tag };
        }
        match trouble {
            RemoteTrouble::Away => StoreError::Unreachable { server: name, since, what },
            RemoteTrouble::Refused => StoreError::Refused { server: name, what },
            RemoteTrouble::Locked => StoreError::Locked { path: PathBuf::from(format!("{name}: {what}")) },
            RemoteTrouble::Full => StoreError::Full { path: PathBuf::from(format!("{name} ({what})")) },
            RemoteTrouble::Unfit => StoreError::Unfit { name, what },
            RemoteTrouble::Fenced => StoreError::TakenOver { server: name },
            RemoteTrouble::InTheWay | RemoteTrouble::Other => StoreError::Database { name, what },
        }
    }
}

impl From<RowError> for RemoteFault {
    fn from(error: RowError) -> RemoteFault {
        let what = error.to_string();
        let field = match error {
            RowError::Field { place, tag } => Some((place, tag)),
            _ => None,
        };
        RemoteFault { trouble: RemoteTrouble::Other, what, field }
    }
}

impl fmt::Display for RemoteFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}
