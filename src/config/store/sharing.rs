//! The flags of servers that share a store, whichever database it is in.
use super::super::mistake::Mistake;
use super::super::value::number;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "redis"))]
use {
    super::super::value::fit,
    crate::store::{SharingOptions, StoreLost},
    std::time::Duration,
};

/// What can be said of how servers share a store.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Store")]
pub(crate) struct SharingFlags {
    /// What this server is called among those that share its database (-q mysql, postgres or redis): each has another name, and a server that is
    /// started again keeps its own [default: the host name and the port]
    #[arg(long, value_name = "NAME")]
    pub(crate) server_name: Option<String>,

    /// A server that shares its database and is not heard of for so long is taken over by another one, which runs its jobs. The same
    /// on all of them [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = number(4..=86_400))]
    pub(crate) take_over_after: Option<i64>,

    /// What becomes of stored jobs while the database cannot be reached and another server may take them over: hold (they wait) or
    /// go-on (workers get them, and jobs may run twice) [default: hold, and go-on while no other server shares the database]
    #[arg(long, value_name = "WHAT", value_parser = ["hold", "go-on"])]
    pub(crate) store_lost: Option<String>,
}

impl SharingFlags {
    /// Refuses them where the store cannot be shared.
    pub(crate) fn refuse(&self) -> Result<(), Mistake> {
        let given = [
            (self.server_name.is_some(), "--server-name"),
            (self.take_over_after.is_some(), "--take-over-after"),
            (self.store_lost.is_some(), "--store-lost"),
        ];
        match given.into_iter().find(|(is, _)| *is) {
            Some((_, flag)) => Err(Mistake::Store(format!(
                "{flag} is for servers that share a database: add -q mysql, postgres or redis"
            ))),
            None => Ok(()),
        }
    }

    /// What they mean, where the server has this name if it is not given one.
    #[cfg(any(feature = "mysql", feature = "postgres", feature = "redis"))]
    pub(crate) fn options(&self, usual_name: &str) -> Result<SharingOptions, Mistake> {
        let name = self.server_name.as_deref().unwrap_or(usual_name);
        if name.is_empty() || name.len() > 255 || name.chars().any(char::is_control) {
            return Err(Mistake::Store(
                "--server-name is a word of 1 to 255 bytes without control characters".to_owned(),
            ));
        }
        Ok(SharingOptions {
            take_over_after: self
                .take_over_after
                .map_or(SharingOptions::TAKE_OVER_AFTER, |seconds| Duration::from_secs(fit(seconds))),
            lost: match self.store_lost.as_deref() {
                None => StoreLost::Auto,
                Some("hold") => StoreLost::Hold,
                Some(_) => StoreLost::GoOn,
            },
            ..SharingOptions::of(name)
        })
    }
}
