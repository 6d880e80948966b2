//! What the machine says: its name, the numbers of services, the addresses of names. Asked once, at boot.
use nix::sys::utsname::uname;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::os::unix::ffi::OsStrExt;

/// The host name as `uname` gives it, without any domain added; where that is refused, what every machine calls itself.
pub(super) fn host_name() -> Vec<u8> {
    uname().map_or_else(|_| b"localhost".to_vec(), |names| names.nodename().as_bytes().to_vec())
}

/// What a server of this machine is called that listens on this port. Of a port that is not known yet the process has to do.
pub(super) fn server_name(port: u16) -> String {
    let host = String::from_utf8_lossy(&host_name()).into_owned();
    match port {
        0 => format!("{host}:pid-{}", std::process::id()),
        port => format!("{host}:{port}"),
    }
}

/// The TCP port of a service, from the system's list.
pub(super) fn service(name: &str) -> Option<u16> {
    let list = fs::read("/etc/services").ok()?;
    service_in(&String::from_utf8_lossy(&list), name)
}

/// What a port is, by its number or as the name of a service. Empty: gearmand's.
pub(super) fn named_port(port: &str) -> Option<u16> {
    if port.is_empty() {
        return Some(service("gearman").unwrap_or(4730));
    }
    match port.bytes().all(|byte| byte.is_ascii_digit()) {
        true => port.parse().ok(),
        false => service(port),
    }
}

/// `name port/protocol aliases # comment` on each line.
fn service_in(list: &str, name: &str) -> Option<u16> {
    list.lines().find_map(|line| {
        let line = line.split('#').next()?;
        let mut words = line.split_whitespace();
        let (official, port) = (words.next()?, words.next()?.strip_suffix("/tcp")?);
        if official == name || words.any(|alias| alias == name) { port.parse().ok() } else { None }
    })
}

/// The longest path of a unix socket in bytes (unix(7): 108 with a NUL).
pub(super) const UNIX_PATH_MAX: usize = 107;

/// What addresses a name has.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NameAddresses {
    /// Those to listen on.
    pub(super) here: Vec<SocketAddr>,
    /// Those that other machines have, where there are some of both kinds.
    pub(super) elsewhere: Vec<SocketAddr>,
}

/// Every address that a host name or address has; all addresses of this machine if it is empty.
pub(super) fn addresses(host: &str, port: u16) -> io::Result<NameAddresses> {
    if host.is_empty() {
        return Ok(NameAddresses { here: everywhere(port), elsewhere: Vec::new() });
    }
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Ok(sorted((host, port).to_socket_addrs()?.collect()))
}

/// Which of the addresses of a name this machine has. If it has none, whoever listens there says so.
fn sorted(all: Vec<SocketAddr>) -> NameAddresses {
    // An IPv4 address in IPv6 clothes cannot be bound by a socket that is for IPv6 only.
    let canonical = |address: SocketAddr| match address.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
        IpAddr::V6(_) => address,
    };
    let all = distinct(all.into_iter().map(canonical).collect());
    let (here, elsewhere): (Vec<_>, Vec<_>) = all.iter().partition(|address| is_here(address));
    match here.is_empty() {
        true => NameAddresses { here: all, elsewhere: Vec::new() },
        false => NameAddresses { here, elsewhere },
    }
}

/// Whether this machine has an address, and its family. What else may be wrong with it is found when it is used.
fn is_here(address: &SocketAddr) -> bool {
    let mut any_port = *address;
    any_port.set_port(0);
    match UdpSocket::bind(any_port) {
        Ok(_) => true,
        Err(error) => {
            error.kind() != io::ErrorKind::AddrNotAvailable
                && error.raw_os_error() != Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
        }
    }
}

/// Each address once, and none that goes without saying where all of its family are there.
pub(super) fn distinct(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let covered = |address: &SocketAddr| {
        let same = |other: &&SocketAddr| other.is_ipv4() == address.is_ipv4();
        !address.ip().is_unspecified()
            && addresses.iter().filter(same).any(|other| other.ip().is_unspecified())
    };
    let mut distinct = Vec::new();
    for address in &addresses {
        if !covered(address) && !distinct.contains(address) {
            distinct.push(*address);
        }
    }
    distinct
}

/// Both families, but IPv6 only where the system has it.
fn everywhere(port: u16) -> Vec<SocketAddr> {
    let mut addresses = vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)];
    if UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok() {
        addresses.push(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port));
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_found_by_name_and_alias() {
        let list =
            "# comment\nhttp\t80/tcp\twww # WorldWideWeb\n\nbroken\ngearman 4730/udp\ngearman 4731/tcp g\n";
        assert_eq!(service_in(list, "http"), Some(80));
        assert_eq!(service_in(list, "www"), Some(80));
        assert_eq!(service_in(list, "gearman"), Some(4731));
        assert_eq!(service_in(list, "WorldWideWeb"), None);
        assert_eq!(service_in(list, "broken"), None);
        assert_eq!(service_in(list, ""), None);
    }

    #[test]
    fn addresses_of_names_and_addresses() {
        let one = |text: &str| vec![text.parse::<SocketAddr>().unwrap()];
        let addresses = |host: &str, port| addresses(host, port).map(|found| found.here);
        assert_eq!(addresses("127.0.0.1", 7).unwrap(), one("127.0.0.1:7"));
        assert_eq!(addresses("::1", 7).unwrap(), one("[::1]:7"));
        assert_eq!(addresses("[::1]", 7).unwrap(), one("[::1]:7"));
        assert_eq!(addresses("::ffff:127.0.0.1", 7).unwrap(), one("127.0.0.1:7"));
        assert!(addresses("localhost", 7).unwrap().iter().all(|address| address.ip().is_loopback()));
        assert_eq!(addresses("", 7).unwrap()[0], "0.0.0.0:7".parse().unwrap());
        assert!(addresses("no such host", 7).is_err());
    }

    /// What a resolver may say, the blocks for documentation among it.
    #[test]
    fn a_name_stands_for_the_addresses_that_are_here() {
        let read =
            |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let of = |texts: &[&str]| {
            let found = sorted(read(texts));
            (found.here, found.elsewhere)
        };
        let both = ["198.51.100.1:7", "127.0.0.1:7", "[2001:db8::1]:7", "127.0.0.1:7"];
        assert_eq!(of(&both), (read(&["127.0.0.1:7"]), read(&["198.51.100.1:7", "[2001:db8::1]:7"])));
        // Nothing is here: the error is that of listening.
        assert_eq!(
            of(&["198.51.100.1:7", "203.0.113.2:7"]),
            (read(&["198.51.100.1:7", "203.0.113.2:7"]), Vec::new())
        );
        assert_eq!(of(&["127.0.0.1:7", "127.0.0.2:7"]).1, Vec::new());
    }

    #[test]
    fn no_address_is_there_twice() {
        let read = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>();
        let some = ["127.0.0.1:7", "[::1]:7", "127.0.0.1:7", "0.0.0.0:7", "127.0.0.2:7"];
        assert_eq!(distinct(read(&some)), read(&["[::1]:7", "0.0.0.0:7"]));
        assert_eq!(distinct(read(&some[..3])), read(&some[..2]));
    }

    #[test]
    fn a_machine_has_a_name() {
        assert!(!host_name().is_empty());
    }
}
