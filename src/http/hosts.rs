//! Which `Host` a request may name: a page of somebody else, whose name leads to this machine (DNS rebinding), must not be told
//! anything. Loopback names, the addresses that are listened on, and what the operator says it is called (`--control-name`); a unix
//! socket is out of a browser's reach.
use std::net::{IpAddr, SocketAddr};

/// The addresses that are listened on, and names.
#[derive(Debug)]
pub(super) struct Hosts {
    addresses: Vec<IpAddr>,
    names: Vec<String>,
}

impl Hosts {
    pub(super) fn of(addresses: impl Iterator<Item = SocketAddr>, names: Vec<String>) -> Hosts {
        Hosts { addresses: addresses.map(|address| address.ip().to_canonical()).collect(), names }
    }

    /// Whether a request to this host, with a port or without, is one to this server. The port may be another one's, who passes it on.
    /// `own` is the address that the connection has come to, where all are listened on.
    pub(super) fn include(&self, host: &str, own: Option<IpAddr>) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        let is_it = |known: &str| name.eq_ignore_ascii_case(known);
        if is_it("localhost") || self.names.iter().any(|known| is_it(known)) {
            return true;
        }
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        bare.parse().is_ok_and(|address: IpAddr| {
            let address = address.to_canonical();
            let own = own.map(|own| own.to_canonical());
            address.is_loopback() || own == Some(address) || self.addresses.contains(&address)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine() {
        let names = vec!["jobs.example".to_owned()];
        let hosts = Hosts::of(["192.0.2.7:4780".parse().unwrap()].into_iter(), names);
        let own = Some("::ffff:192.0.2.9".parse().unwrap());
        for host in [
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1:4780",
            "127.9.9.9",
            "[::1]:4780",
            "[::1]",
            "192.0.2.7:80",
            "192.0.2.9",
            "Jobs.example:443",
        ] {
            assert!(hosts.include(host, own), "{host}");
        }
        assert!(!hosts.include("192.0.2.9", None));
        for host in [
            "",
            ":",
            "evil.example",
            "x.jobs.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:4780",
            "192.0.2.8",
            "[::2]",
            "127.0.0.1:x",
            "0.0.0.0",
        ] {
            assert!(!hosts.include(host, own), "{host}");
        }
    }
}
