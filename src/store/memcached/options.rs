//! What an operator decides about a memcached store. Values only.
use std::time::Duration;

/// gearmand's usual prefix.
pub const MEMCACHED_PREFIX: &str = "gear_";
const PORT: u16 = 11211;

/// Which items of which servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemcachedOptions {
    /// The servers (`--libmemcached-servers`): hosts with ports, commas in between.
    pub servers: String,
    /// What gearmand's keys begin with (`--libmemcached-prefix`).
    pub prefix: String,
    /// How long a start waits for servers that are not there (`--store-wait`).
    pub wait: Duration,
}

impl MemcachedOptions {
    /// These servers, and this prefix or the usual one; nobody waits for them.
    pub fn of(servers: impl Into<String>, prefix: Option<String>) -> MemcachedOptions {
        MemcachedOptions {
            servers: servers.into(),
            prefix: prefix.unwrap_or_else(|| MEMCACHED_PREFIX.to_owned()),
            wait: Duration::ZERO,
        }
    }

    /// What is wrong with the words of it, beginning with the name of the option.
    pub fn check(&self) -> Result<(), String> {
        self.places().map(|_| ())?;
        let prefix = &self.prefix;
        if prefix.is_empty() || "ringgear:".starts_with(prefix) || prefix.starts_with("ringgear:") {
            return Err(format!(
                "--libmemcached-prefix cannot be {prefix:?}: Ringgear's own keys begin with ringgear: and must not be among gearmand's"
            ));
        }
        if prefix.len() > 100 || prefix.bytes().any(|byte| byte <= b' ' || byte == 127) {
            return Err(format!(
                "--libmemcached-prefix cannot be {prefix:?}: keys have no blanks, and 250 bytes at the most; 100 of them are for it"
            ));
        }
        Ok(())
    }

    /// Hosts and ports.
    pub(super) fn places(&self) -> Result<Vec<(String, u16)>, String> {
        let mut places = Vec::new();
        for word in self.servers.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let (host, port) = match word.strip_prefix('[').and_then(|word| word.split_once(']')) {
                Some((host, port)) => (host, port.strip_prefix(':').unwrap_or("")),
                None => word.split_once(':').unwrap_or((word, "")),
            };
            let port = if port.is_empty() { Ok(PORT) } else { port.parse() };
            match port {
                Ok(port) if !host.is_empty() => places.push((host.to_owned(), port)),
                _ => return Err(format!("--libmemcached-servers: {word} is no server; write HOST:PORT")),
            }
        }
        match places.is_empty() {
            true => Err("--libmemcached-servers names no server; write HOST:PORT".to_owned()),
            false => Ok(places),
        }
    }
}
