//! Which `Host` a request may name: a page of somebody else, whose name leads to this machine (DNS rebinding), must not be told
//! anything. Loopback names and the addresses that are listened on; a unix socket is out of a browser's reach.
use std::net::{IpAddr, SocketAddr};

/// The addresses that are listened on.
#[derive(Debug)]
pub(super) struct Hosts(Vec<IpAddr>);

impl Hosts {
    pub(super) fn of(addresses: impl Iterator<Item = SocketAddr>) -> Hosts {
        Hosts(addresses.map(|address| address.ip()).collect())
    }

    /// Whether a request to this host, with a port or without, is one to this server. The port may be another one's, who passes it on.
    pub(super) fn include(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        if name.eq_ignore_ascii_case("localhost") {
            return true;
        }
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        bare.parse().is_ok_and(|address: IpAddr| {
            let address = address.to_canonical();
            address.is_loopback() || self.0.contains(&address)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine() {
        let hosts = Hosts::of(["192.0.2.7:4780".parse().unwrap()].into_iter());
        for host in
            ["localhost", "LOCALHOST:1", "127.0.0.1:4780", "127.9.9.9", "[::1]:4780", "[::1]", "192.0.2.7:80"]
        {
            assert!(hosts.include(host), "{host}");
        }
        for host in [
            "",
            ":",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:4780",
            "192.0.2.8",
            "[::2]",
            "127.0.0.1:x",
            "0.0.0.0",
        ] {
            assert!(!hosts.include(host), "{host}");
        }
    }
}
