//! The flags of the memcached store, and what they mean. They are known without the store, too: then none of them can be used.
use super::choice::{Choice, StoreFlags};
#[cfg(feature = "memcached")]
use {super::super::mistake::Mistake, super::remote::wait, crate::store::memcached::MemcachedOptions};

/// What can be said of gearmand's items in memcached.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Store")]
pub(crate) struct MemcachedFlags {
    /// The servers of `-q libmemcached`, with commas in between; keys are spread over them. Jobs are lost when one ends
    #[arg(long, value_name = "HOST:PORT,...")]
    pub(crate) libmemcached_servers: Option<String>,

    /// What keys of jobs begin with [default: gear_]
    #[arg(long, value_name = "PREFIX")]
    pub(crate) libmemcached_prefix: Option<String>,
}

/// The names under which the store is known: gearmand's, and what else people call it.
#[cfg(feature = "memcached")]
pub(crate) fn is_name(store: &str) -> bool {
    ["libmemcached", "memcached", "memcache"].contains(&store)
}

#[cfg(feature = "memcached")]
impl MemcachedFlags {
    /// The items, where an acknowledgement is to promise this, and a start may wait for so many seconds.
    pub(crate) fn options(
        &self,
        durability: Option<&str>,
        seconds: Option<i64>,
    ) -> Result<MemcachedOptions, Mistake> {
        if let Some(level @ ("synced" | "written")) = durability {
            return Err(Mistake::Store(format!(
                "--durability {level} cannot be kept by -q libmemcached, which has jobs in memory only; choose another store, or leave it out"
            )));
        }
        let Some(servers) = &self.libmemcached_servers else {
            return Err(Mistake::Store(
                "-q libmemcached keeps jobs in servers; name them with --libmemcached-servers HOST:PORT"
                    .to_owned(),
            ));
        };
        let options = MemcachedOptions {
            wait: wait(seconds),
            ..MemcachedOptions::of(servers.clone(), self.libmemcached_prefix.clone())
        };
        options.check().map_err(Mistake::Store)?;
        Ok(options)
    }
}

impl StoreFlags for MemcachedFlags {
    const STORE: Choice = Choice::Memcached;
    const GEARMANDS: bool = true;

    fn given(&self) -> Option<&'static str> {
        match self {
            MemcachedFlags { libmemcached_servers: Some(_), .. } => Some("--libmemcached-servers"),
            MemcachedFlags { libmemcached_prefix: Some(_), .. } => Some("--libmemcached-prefix"),
            _ => None,
        }
    }

    fn misplaced(flag: &'static str, _: Choice) -> String {
        format!("{flag} is about a memcached that nothing uses: add -q libmemcached")
    }
}
