//! The flags of the Redis store, and what they mean. They are known without the store, too: then none of them can be used.
use super::super::value::number;
use super::choice::{Choice, StoreFlags};
#[cfg(feature = "redis")]
use {
    super::super::mistake::Mistake,
    super::super::value::fit,
    super::remote::{level, wait},
    crate::store::redis::RedisOptions,
};

/// What can be said of gearmand's keys in Redis.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Store")]
pub(crate) struct RedisFlags {
    /// The host of `-q redis`, or the path of its unix socket; `rediss://HOST` is with TLS [default: 127.0.0.1]
    #[arg(long, value_name = "HOST")]
    pub(crate) redis_server: Option<String>,

    /// Its port [default: 6379]
    #[arg(long, value_name = "PORT", value_parser = number(1..=i64::from(u16::MAX)))]
    pub(crate) redis_port: Option<i64>,

    /// Its password
    #[arg(long, value_name = "PASSWORD")]
    pub(crate) redis_password: Option<String>,

    /// What keys of jobs begin with [default: _gear_]
    #[arg(long, value_name = "PREFIX")]
    pub(crate) redis_prefix: Option<String>,
}

/// The names under which the store is known: gearmand's, and what else people call it.
#[cfg(feature = "redis")]
pub(crate) fn is_name(store: &str) -> bool {
    ["redis", "hiredis", "libhiredis", "valkey"].contains(&store)
}

#[cfg(feature = "redis")]
impl RedisFlags {
    /// The keys, where an acknowledgement is to promise this, and a start may wait for so many seconds.
    pub(crate) fn options(
        &self,
        durability: Option<&str>,
        seconds: Option<i64>,
    ) -> Result<RedisOptions, Mistake> {
        let usual = RedisOptions::default();
        let options = RedisOptions {
            server: self.redis_server.clone().unwrap_or(usual.server),
            port: self.redis_port.map_or(usual.port, fit),
            password: self.redis_password.clone(),
            prefix: self.redis_prefix.clone().unwrap_or(usual.prefix),
            level: level(durability, "redis")?,
            wait: wait(seconds),
            sharing: None,
        };
        options.check().map_err(Mistake::Store)?;
        Ok(options)
    }
}

impl StoreFlags for RedisFlags {
    const STORE: Choice = Choice::Redis;
    const GEARMANDS: bool = true;

    fn given(&self) -> Option<&'static str> {
        match self {
            RedisFlags { redis_server: Some(_), .. } => Some("--redis-server"),
            RedisFlags { redis_port: Some(_), .. } => Some("--redis-port"),
            RedisFlags { redis_password: Some(_), .. } => Some("--redis-password"),
            RedisFlags { redis_prefix: Some(_), .. } => Some("--redis-prefix"),
            _ => None,
        }
    }

    fn misplaced(flag: &'static str, _: Choice) -> String {
        format!("{flag} is about a Redis that nothing uses: add -q redis")
    }
}
