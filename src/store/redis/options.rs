//! What an operator decides about a Redis store. Values only.
use crate::store::SharingOptions;
use crate::store::remote::level::PromiseLevel;
use std::time::Duration;

/// gearmand's usual host, port and prefix.
pub const REDIS_SERVER: &str = "127.0.0.1";
/// See [`REDIS_SERVER`].
pub const REDIS_PORT: u16 = 6379;
/// See [`REDIS_SERVER`].
pub const REDIS_PREFIX: &str = "_gear_";

/// Which keys of which Redis, and how they are used.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisOptions {
    /// The host (`--redis-server`), or the path of a unix socket; `rediss://HOST` is with TLS.
    pub server: String,
    /// The port (`--redis-port`).
    pub port: u16,
    /// The password (`--redis-password`).
    pub password: Option<String>,
    /// What gearmand's keys begin with (`--redis-prefix`).
    pub prefix: String,
    /// What an acknowledgement is to be worth.
    pub level: PromiseLevel,
    /// How long a start waits for a server that is not there (`--store-wait`).
    pub wait: Duration,
    /// For a server, which shares the keys with others. Without it nobody may serve meanwhile, and jobs are nobody's until a server
    /// starts: for tools that copy.
    pub sharing: Option<Box<SharingOptions>>,
}

impl std::fmt::Debug for RedisOptions {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let RedisOptions { server, port, password: _, prefix, level, wait, sharing } = self;
        f.debug_struct("RedisOptions")
            .field("server", server)
            .field("port", port)
            .field("prefix", prefix)
            .field("level", level)
            .field("wait", wait)
            .field("sharing", sharing)
            .finish_non_exhaustive()
    }
}

impl Default for RedisOptions {
    /// What gearmand does without options; nobody waits for it.
    fn default() -> RedisOptions {
        RedisOptions {
            server: REDIS_SERVER.to_owned(),
            port: REDIS_PORT,
            password: None,
            prefix: REDIS_PREFIX.to_owned(),
            level: PromiseLevel::AsSet,
            wait: Duration::ZERO,
            sharing: None,
        }
    }
}

impl RedisOptions {
    /// What is wrong with the words of it, beginning with the name of the option.
    pub fn check(&self) -> Result<(), String> {
        // Our own keys must not be among gearmand's, which takes everything that begins with the prefix.
        match self.prefix.is_empty()
            || "ringgear:{".starts_with(&self.prefix)
            || self.prefix.starts_with("ringgear:{")
        {
            true => Err(format!(
                "--redis-prefix cannot be {:?}: Ringgear's own keys begin with ringgear:{{ and must not be among gearmand's",
                self.prefix
            )),
            false => Ok(()),
        }
    }
}
