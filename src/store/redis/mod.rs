//! The Redis store: background jobs in gearmand's keys, one script per commit. What keys there are is `keys.rs`, what a commit comes to
//! `writer.rs` and `commit.lua`; how the server comes and goes is `remote/`.
//!
//! **A trial of Ringgear can be undone**: gearmand's keys (`-q redis`) are read and written as gearmand does it, and nothing else stands
//! among them, so after an orderly end gearmand runs what is left. It then sees jobs without a unique under generated
//! uniques, runs reduce jobs as plain ones, forgets lost attempts, cuts workloads at their first NUL as it does with its own, and does
//! not see what it cannot have: dead jobs, those with a time, those whose function has a dash or is long.
//!
//! **Durability** is Redis's: its settings are read at the start (`session.rs`). One that evicts is refused.
//!
//! **Servers share a prefix**: each job has the server as its owner that runs it (`store/sharing.rs`, `servers.rs`). A server that is silent
//! for too long is taken over, and can add nothing from then on; keys that others make are adopted (`adopt.rs`). Tools that copy have no number
//! there and are refused while a server runs. gearmand knows nothing of all that, and runs what it reads.
mod adopt;
mod fault;
mod keys;
mod options;
mod pages;
mod scripts;
mod servers;
mod session;
mod writer;

pub use options::{REDIS_PORT, REDIS_PREFIX, REDIS_SERVER, RedisOptions};

use super::book::Book;
use super::latest::LatestWords;
use super::remote::fault::{RemoteFault, RemoteTrouble};
use super::remote::line::Connector;
use super::remote::{Remote, RemoteStore};
use super::servers::{Fence, Legacy, ServerEntry, ServersLook, TellJob, Unreadable};
use super::{ServerLoad, Store, StoreError};
use crate::engine::{JobId, StoredJob};
use crate::store::sql::rows::JobRows;
use adopt::KeyScan;
use keys::{Kept, KeyNames};
use pages::RedisReading;
use scripts::RedisLink;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Records of more bytes are committed alone: others are not to wait for them, nor be refused with them.
const LARGE: usize = 4 << 20;
/// A connection that is gone shows when it is used.
const BEAT: Duration = Duration::from_secs(5);

/// Connects to Redis. One that does not answer is waited for by [`Store::replay`], if it is to be waited for at all; what an operator
/// must mend is an error here.
pub fn open(options: RedisOptions) -> Result<Box<dyn Store>, StoreError> {
    options.check().map_err(|what| StoreError::Database { name: "Redis".to_owned(), what })?;
    let place = if options.server.starts_with('/') {
        options.server.clone()
    } else {
        format!("{}:{}", options.server, options.port)
    };
    let redis = Redis {
        server: format!("Redis at {place}"),
        names: KeyNames::of(&options.prefix),
        scan: Mutex::default(),
        options,
    };
    let (wait, sharing) = (redis.options.wait, redis.options.sharing.clone());
    Ok(Box::new(RemoteStore::open(redis, wait, sharing.as_deref())?))
}

/// What makes connections to it, and what is done with them.
struct Redis {
    server: String,
    names: KeyNames,
    options: RedisOptions,
    /// How far keys of others are looked for.
    scan: Mutex<KeyScan>,
}

impl Redis {
    fn scan(&self) -> MutexGuard<'_, KeyScan> {
        self.scan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connector for Redis {
    type Link = RedisLink;

    fn server(&self) -> &str {
        &self.server
    }

    fn connect(&self) -> Result<RedisLink, RemoteFault> {
        let mut connection = session::connect(&self.options)?;
        session::check(&mut connection, self.options.level)?;
        session::no_old_server(&mut connection, &self.names)?;
        Ok(RedisLink::of(connection))
    }

    fn leave(&self, _: RedisLink) {}
}

impl Remote for Redis {
    type Reading = RedisReading;

    fn reading(owners: Option<Vec<i32>>, only: Option<Vec<i64>>, unreadable: Unreadable) -> RedisReading {
        RedisReading::of(owners, only, unreadable)
    }

    fn count(&self, link: &mut RedisLink, reading: &mut RedisReading) -> Result<u64, RemoteFault> {
        Ok(reading.list_all(link, &self.names)?.len() as u64)
    }

    fn page(
        &self,
        link: &mut RedisLink,
        reading: &mut RedisReading,
        told: TellJob<'_, RemoteFault>,
    ) -> Result<bool, RemoteFault> {
        reading.page(link, &self.names, told)
    }

    fn write(
        &self,
        link: &mut RedisLink,
        latest: &LatestWords<'_>,
        book: &mut Book,
        fence: Fence<'_>,
    ) -> Result<Vec<(JobId, JobId)>, RemoteFault> {
        writer::write(link, &self.names, latest, book, fence)
    }

    /// All at once: Redis has no order of numbers in which pieces could be told apart.
    fn compare(
        &self,
        link: &mut RedisLink,
        book: &mut Book,
        _: i64,
        fence: Fence<'_>,
    ) -> Result<Vec<i64>, RemoteFault> {
        let owners = fence.me.map(|_| fence.family.to_vec());
        let mut there = RedisReading::of(owners, None, Unreadable::Error);
        let there = there.list_all(link, &self.names)?;
        let numbers = |owned| -> Vec<i64> {
            let these = there.iter().filter(|(what, _)| (*what == Kept::Owned) == owned);
            these.map(|&(_, number)| number).collect()
        };
        let too_much = book.compare(&numbers(true), &numbers(false), i64::MAX);
        writer::end_unless_joined(link, &self.names, &too_much.theirs, &too_much.ours, book, fence)
    }

    fn tend(&self, link: &mut RedisLink) -> Result<(), RemoteFault> {
        let answered = redis::cmd("PING").exec(&mut link.connection);
        answered.map_err(|error| RemoteFault::new(RemoteTrouble::Away, RemoteFault::from(error).what))
    }

    fn tend_every(&self) -> Duration {
        BEAT
    }

    fn alone(&self) -> usize {
        LARGE
    }

    fn keeps_accepted(&self, job: &StoredJob<'_>) -> bool {
        // What stands alone is kept whole.
        !JobRows::of(job).is_plain() || job.epoch.is_some() || job.function.contains(&b'-')
    }

    fn shown(&self) -> String {
        format!("keys that begin with {}", self.options.prefix)
    }

    fn how_to_strike(&self, id: i32) -> String {
        let (servers, server) = (self.names.own("servers"), self.names.own(&format!("server:{id}")));
        format!("SREM {servers} {id}, DEL {server}")
    }

    fn look(
        &self,
        link: &mut RedisLink,
        me: Option<i32>,
        jobs: usize,
        load: ServerLoad,
    ) -> Result<ServersLook, RemoteFault> {
        let (look, strange) = servers::look(link, &self.names, me, jobs, load)?;
        let unowned = self.scan().looked(strange) || look.unowned;
        Ok(ServersLook { unowned, ..look })
    }

    fn register(&self, link: &mut RedisLink, name: &str) -> Result<i32, RemoteFault> {
        servers::register(link, &self.names, name)
    }

    fn take(&self, link: &mut RedisLink, me: i32, other: &ServerEntry) -> Result<bool, RemoteFault> {
        servers::take(link, &self.names, me, other)
    }

    fn claim(&self, link: &mut RedisLink, me: Option<i32>) -> Result<(), RemoteFault> {
        adopt::claim(link, &self.names, me, &mut self.scan())
    }

    fn bequeath(&self, link: &mut RedisLink, legacy: Legacy<'_>) -> Result<bool, RemoteFault> {
        servers::bequeath(link, &self.names, legacy)
    }

    fn adopt(&self, link: &mut RedisLink, me: i32) -> Result<(Vec<i64>, bool), RemoteFault> {
        adopt::adopt(link, &self.names, me, &mut self.scan())
    }

    fn leave_others(
        &self,
        link: &mut RedisLink,
        me: i32,
        family: &[i32],
        empty: bool,
    ) -> Result<(), RemoteFault> {
        servers::leave(link, &self.names, me, family, empty)
    }

    fn birth(&self, link: &mut RedisLink) -> Result<u64, RemoteFault> {
        servers::birth(link, &self.names)
    }

    fn numbers(&self, link: &mut RedisLink, count: u64, at_least: u64) -> Result<Range<u64>, RemoteFault> {
        servers::numbers(link, &self.names, count, at_least)
    }
}
