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
//! **One server has a prefix**, as long as it is heard of: each commit looks for that first, so another one that has taken its place
//! cannot be disturbed. gearmand knows no such thing, and runs what it reads. Keys that others make while the server runs are
//! found at its next start.
mod fault;
mod keys;
mod options;
mod replay;
mod session;
mod writer;

pub use options::{REDIS_PORT, REDIS_PREFIX, REDIS_SERVER, RedisOptions};

use super::book::Book;
use super::latest::LatestWords;
use super::remote::fault::{RemoteFault, RemoteTrouble};
use super::remote::line::Connector;
use super::remote::{Remote, RemoteListener, RemoteStore};
use super::{Store, StoreError};
use crate::engine::StoredJob;
use crate::store::sql::rows::JobRows;
use keys::KeyNames;
use redis::Connection;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Records of more bytes are committed alone: others are not to wait for them, nor be refused with them.
const LARGE: usize = 4 << 20;
/// Whoever is silent for six seconds has left.
const BEAT: Duration = Duration::from_millis(900);
/// How often connecting is tried again when a signal has come in between, and how that shows.
const TRIES: u32 = 3;
const INTERRUPTED: &str = "Interrupted system call";

/// Connects to Redis. One that does not answer is waited for by [`Store::replay`], if it is to be waited for at all; what an operator
/// must mend is an error here.
pub fn open(options: RedisOptions) -> Result<Box<dyn Store>, StoreError> {
    options.check().map_err(|what| StoreError::Database { name: "Redis".to_owned(), what })?;
    let place = if options.server.starts_with('/') {
        options.server.clone()
    } else {
        format!("{}:{}", options.server, options.port)
    };
    // Who we are, among all that ever were: this process, started then.
    let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    let redis = Redis {
        server: format!("Redis at {place}"),
        names: KeyNames::of(&options.prefix),
        me: format!("{}-{started}", std::process::id()),
        options,
    };
    let wait = redis.options.wait;
    Ok(Box::new(RemoteStore::open(redis, wait)?))
}

/// What makes connections to it, and what is done with them.
struct Redis {
    server: String,
    names: KeyNames,
    me: String,
    options: RedisOptions,
}

impl Redis {
    fn connect_once(&self) -> Result<Connection, RemoteFault> {
        let mut connection = session::connect(&self.options)?;
        session::check(&mut connection, self.options.level)?;
        session::take_lease(&mut connection, &self.names, &self.me)?;
        Ok(connection)
    }
}

impl Connector for Redis {
    type Link = Connection;

    fn server(&self) -> &str {
        &self.server
    }

    fn connect(&self) -> Result<Connection, RemoteFault> {
        let mut tries = 0;
        loop {
            match self.connect_once() {
                // A signal came, which is no answer: the driver does not try again.
                Err(fault) if tries < TRIES && fault.to_string().contains(INTERRUPTED) => tries += 1,
                done => return done,
            }
        }
    }

    fn leave(&self, mut link: Connection) {
        session::leave(&mut link, &self.names, &self.me);
    }
}

impl Remote for Redis {
    fn replay(&self, link: &mut Connection, listener: RemoteListener<'_>) -> Result<Book, RemoteFault> {
        replay::replay(link, &self.names, &self.me, listener)
    }

    fn write(
        &self,
        link: &mut Connection,
        latest: &LatestWords<'_>,
        book: &mut Book,
    ) -> Result<(), RemoteFault> {
        writer::write(link, &self.names, &self.me, latest, book)
    }

    /// All at once: Redis has no order of numbers in which pieces could be told apart.
    fn compare(&self, link: &mut Connection, book: &mut Book, _: i64) -> Result<(), RemoteFault> {
        let numbers = |link: &mut Connection, hashes: &[&String]| -> Result<Vec<i64>, RemoteFault> {
            let mut all = Vec::new();
            for hash in hashes {
                all.extend(replay::scan(link, hash)?.into_keys());
            }
            Ok(all)
        };
        let theirs = numbers(link, &[&self.names.owned])?;
        let ours = numbers(link, &[&self.names.alone, &self.names.dead])?;
        let too_much = book.compare(&theirs, &ours, i64::MAX);
        writer::end(link, &self.names, &self.me, &[too_much.theirs, too_much.ours].concat())
    }

    fn tend(&self, link: &mut Connection) -> Result<(), RemoteFault> {
        let renewed = writer::renew(link, &self.names, &self.me);
        renewed.map_err(|fault| RemoteFault::new(RemoteTrouble::Away, fault.what))
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
}
