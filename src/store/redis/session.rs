//! One connection to Redis that may be used: a primary, not part of a cluster, that evicts nothing. What is done with
//! it is known elsewhere.
use super::keys::KeyNames;
use super::options::RedisOptions;
use crate::log_at;
use crate::logging::Level;
use crate::store::remote::fault::{RemoteFault, RemoteTrouble};
use crate::store::remote::level::PromiseLevel;
use redis::{
    Client, Connection, ConnectionAddr, ConnectionLike, IntoConnectionInfo, RedisConnectionInfo, cmd,
};
use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

/// How long it may take to connect, and how long an answer may.
const CONNECTING: Duration = Duration::from_secs(3);
const ANSWER: Duration = Duration::from_secs(20);
/// How long a server of version 0.2 has the keys after it was last heard of, and a second more.
const LEAVING: Duration = Duration::from_secs(7);

/// Connects, and looks at what is there.
pub(super) fn connect(options: &RedisOptions) -> Result<Connection, RemoteFault> {
    let address = match options.server.strip_prefix("rediss://") {
        Some(host) => ConnectionAddr::TcpTls {
            host: host.to_owned(),
            port: options.port,
            insecure: false,
            tls_params: None,
        },
        None if options.server.starts_with('/') => ConnectionAddr::Unix(options.server.clone().into()),
        None => ConnectionAddr::Tcp(options.server.clone(), options.port),
    };
    let mut who = RedisConnectionInfo::default().set_skip_set_lib_name();
    if let Some(password) = options.password.as_ref().filter(|password| !password.is_empty()) {
        who = who.set_password(password);
    }
    let info = address.into_connection_info()?.set_redis_settings(who);
    let connection = Client::open(info)?.get_connection_with_timeout(CONNECTING)?;
    connection.set_read_timeout(Some(ANSWER))?;
    connection.set_write_timeout(Some(ANSWER))?;
    Ok(connection)
}

/// What the server says of itself.
struct RedisFacts {
    info: HashMap<String, String>,
    /// `None` where it does not let us ask.
    config: Option<HashMap<String, String>>,
}

impl RedisFacts {
    fn read(connection: &mut dyn ConnectionLike) -> Result<RedisFacts, RemoteFault> {
        let text: String = cmd("INFO").query(connection)?;
        let pairs = text.lines().filter_map(|line| line.split_once(':'));
        let info = pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
        let mut config = HashMap::new();
        for pattern in ["append*", "maxmemory*"] {
            // Many of those that are rented out do not know this command.
            match cmd("CONFIG").arg("GET").arg(pattern).query::<HashMap<String, String>>(connection) {
                Ok(found) => config.extend(found),
                Err(error) if error.is_io_error() => return Err(error.into()),
                Err(_) => return Ok(RedisFacts { info, config: None }),
            }
        }
        Ok(RedisFacts { info, config: Some(config) })
    }

    fn info(&self, name: &str) -> &str {
        self.info.get(name).map_or("", String::as_str)
    }

    fn config(&self, name: &str) -> Option<&str> {
        self.config.as_ref()?.get(name).map(String::as_str)
    }
}

/// Whether jobs can be kept there, and what an acknowledgement is worth: what weakens it is said, or refused where the operator has
/// asked for the whole of it.
pub(super) fn check(connection: &mut dyn ConnectionLike, level: PromiseLevel) -> Result<(), RemoteFault> {
    let facts = RedisFacts::read(connection)?;
    let version = facts.info("redis_version");
    let major = version.split('.').next().and_then(|number| number.parse::<u32>().ok());
    if major.is_some_and(|major| major < 5) {
        return Err(RemoteFault::refused(format!(
            "it is Redis {version}, and 5 or later is needed: upgrade it"
        )));
    }
    if ["slave", "replica"].contains(&facts.info("role")) {
        let what = "it is a replica, where nothing can be written; name the primary";
        return Err(RemoteFault::refused(what));
    }
    if facts.info("redis_mode") == "cluster" {
        let what = "it is part of a Redis Cluster, which puts keys of one job on several servers; name one that stands alone";
        return Err(RemoteFault::refused(what));
    }
    let limit = facts.config("maxmemory").unwrap_or(facts.info("maxmemory"));
    let policy = facts.config("maxmemory-policy").unwrap_or(facts.info("maxmemory_policy"));
    let evicts = policy.starts_with("allkeys");
    if evicts && limit != "0" {
        return Err(RemoteFault::other(format!(
            "it evicts keys when its memory is full, and jobs with them (maxmemory-policy {policy}): CONFIG SET maxmemory-policy \
             noeviction, and in its configuration; or name a Redis that is not a cache"
        )));
    }
    let mut weak = Vec::new();
    if evicts {
        weak.push(format!("maxmemory-policy is {policy} there, so jobs are lost as soon as somebody sets maxmemory: noeviction keeps them"));
    }
    let is_on = facts.config("appendonly").map_or(facts.info("aof_enabled") == "1", |set| set == "yes");
    let sync = facts.config("appendfsync");
    match (is_on, sync) {
        (false, _) => weak.push(
            "appendonly is no there, so a crash or a restart of Redis loses what came after its last snapshot: CONFIG SET appendonly yes, \
             CONFIG SET appendfsync always"
                .to_owned(),
        ),
        (true, Some("always")) => {}
        (true, Some(sync)) if level != PromiseLevel::Written => weak.push(format!(
            "appendfsync is {sync} there, so a power failure loses the last second of jobs or more: CONFIG SET appendfsync always"
        )),
        (true, Some(_)) => {}
        (true, None) => weak.push("it does not say what appendfsync is, so nobody knows what a power failure loses".to_owned()),
    }
    let Some(first) = weak.first() else { return Ok(()) };
    if level == PromiseLevel::Synced {
        return Err(RemoteFault::other(format!(
            "--durability synced cannot be kept: {first}; or leave --durability out to go on with a warning"
        )));
    }
    for what in weak {
        log_at!(Level::Warning, "the store: {what}");
    }
    Ok(())
}

/// A server of version 0.2, which shares no keys, must not be there: it would run every job again. One that was killed has them for a few
/// seconds still.
pub(super) fn no_old_server(
    connection: &mut dyn ConnectionLike,
    names: &KeyNames,
) -> Result<(), RemoteFault> {
    let (begin, lease) = (Instant::now(), names.own("lease"));
    while cmd("EXISTS").arg(&lease).query::<bool>(connection)? {
        if begin.elapsed() >= LEAVING {
            let what = format!("keys with the prefix of {lease}");
            return Err(RemoteFault::new(RemoteTrouble::Locked, what));
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
