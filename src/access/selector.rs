//! Whom an entry means: its name as it stands in the file, and who somebody is.
use crate::engine::Subject;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::IpAddr;

/// Whom an entry means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Selector {
    /// The common name of a certificate.
    CommonName(String),
    /// A DNS name in a certificate, in small letters.
    DnsName(String),
    /// The user of a process at a unix socket.
    Uid(u32),
    /// Its group.
    Gid(u32),
    /// An address, by its first bits.
    Network(Network),
    /// Everybody.
    Anybody,
}

/// Addresses that begin with the same bits. IPv4 stands in IPv6 here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Network {
    bits: u128,
    length: u8,
}

/// How the numbers of users and groups are found.
#[derive(Clone, Copy)]
pub(super) struct UserNames {
    pub(super) user: fn(&str) -> Option<u32>,
    pub(super) group: fn(&str) -> Option<u32>,
}

impl UserNames {
    /// Those of this machine.
    pub(super) fn of_machine() -> UserNames {
        use nix::unistd::{Group, User};
        UserNames {
            user: |name| User::from_name(name).ok().flatten().map(|user| user.uid.as_raw()),
            group: |name| Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw()),
        }
    }
}

impl Selector {
    /// What a name in brackets means. Without a word and a colon it is a common name, as with `geard`.
    pub(super) fn read(name: &str, names: UserNames) -> Result<Selector, String> {
        if name == "*" {
            return Ok(Selector::Anybody);
        }
        let Some((kind, value)) = name.split_once(':') else {
            return Ok(Selector::CommonName(name.to_owned()));
        };
        let number = |what: &str| {
            value
                .parse()
                .map_err(|_| format!("{kind}: wants the number of a {what}; write one, or {what}:NAME"))
        };
        match kind {
            "cn" if !value.is_empty() => Ok(Selector::CommonName(value.to_owned())),
            "san" if !value.is_empty() => Ok(Selector::DnsName(value.to_ascii_lowercase())),
            "uid" => number("user").map(Selector::Uid),
            "gid" => number("group").map(Selector::Gid),
            "user" => (names.user)(value).map(Selector::Uid).ok_or_else(|| {
                format!("this machine has no user {value:?}; name one that it has, or write uid:NUMBER")
            }),
            "group" => (names.group)(value).map(Selector::Gid).ok_or_else(|| {
                format!("this machine has no group {value:?}; name one that it has, or write gid:NUMBER")
            }),
            "address" => Network::read(value).map(Selector::Network),
            _ => Err(format!(
                "[{name}] names nobody: before a colon stands cn, san, uid, gid, user, group or address; for a common name \
                 with a colon write [cn:{name}]"
            )),
        }
    }
}

impl Network {
    fn read(text: &str) -> Result<Network, String> {
        let wrong = || {
            format!(
                "{text:?} is no address; write one like 192.0.2.7 or 2001:db8::1, or the first bits of some like 10.0.0.0/8"
            )
        };
        let (address, length) = match text.split_once('/') {
            None => (text, None),
            Some((address, length)) => (address, Some(length.parse::<u8>().map_err(|_| wrong())?)),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = length.unwrap_or(most);
        if length > most {
            return Err(wrong());
        }
        let (bits, length) = (bits(address), 128 - most + length);
        let network = Network { bits: bits & mask(length), length };
        match network.bits == bits {
            true => Ok(network),
            false => {
                Err(format!("{text:?} has bits behind those that count; write them as 0, or count more"))
            }
        }
    }

    pub(super) fn contains(self, address: IpAddr) -> bool {
        bits(address) & mask(self.length) == self.bits
    }
}

fn mask(length: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// Entries by whom they mean.
#[derive(Debug, Default)]
pub(super) struct SelectorIndex {
    exact: HashMap<Selector, usize>,
    networks: Vec<(Network, usize)>,
}

impl SelectorIndex {
    /// Adds an entry; the one that means the same, if there is one already.
    pub(super) fn add(&mut self, selector: Selector, entry: usize) -> Option<usize> {
        if let Selector::Network(network) = &selector {
            self.networks.push((*network, entry));
        }
        self.exact.insert(selector, entry)
    }

    /// The entries that mean somebody.
    pub(super) fn of(&self, subject: &Subject) -> Vec<usize> {
        let mut selectors = vec![Selector::Anybody];
        if let Some(names) = &subject.certificate {
            selectors.extend(names.common_name.iter().map(|name| Selector::CommonName(name.to_string())));
            let dns_names = names.dns_names.iter().map(|name| Selector::DnsName(name.to_ascii_lowercase()));
            selectors.extend(dns_names);
        }
        if let Some(user) = subject.user {
            selectors.extend([Selector::Uid(user.uid), Selector::Gid(user.gid)]);
        }
        let mut found: Vec<usize> =
            selectors.iter().filter_map(|selector| self.exact.get(selector).copied()).collect();
        // Whoever comes by a unix socket has no address, and is meant by none.
        if subject.user.is_none() {
            let here = self.networks.iter().filter(|(network, _)| network.contains(subject.address));
            found.extend(here.map(|(_, entry)| *entry));
        }
        found
    }
}

/// Who somebody is as far as rights go, for the log: what would have to stand in the file.
pub(crate) fn called(subject: &Subject) -> String {
    let mut text = String::new();
    if let Some(names) = &subject.certificate {
        let common = names.common_name.as_deref().unwrap_or("without a common name");
        let _ = write!(text, "certificate {common:?}");
        if let Some(first) = names.dns_names.first() {
            let more = if names.dns_names.len() > 1 { " and others" } else { "" };
            let _ = write!(text, ", san {first:?}{more}");
        }
    }
    if let Some(user) = subject.user {
        let _ = write!(text, "uid {}, gid {}", user.uid, user.gid);
    }
    if text.is_empty() {
        let _ = write!(text, "address {}", subject.address);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{CertificateNames, LocalUser};
    use std::sync::Arc;

    const NAMES: UserNames = UserNames {
        user: |name| (name == "zuul").then_some(1001),
        group: |name| (name == "ci").then_some(2002),
    };

    fn read(name: &str) -> Result<Selector, String> {
        Selector::read(name, NAMES)
    }

    #[test]
    fn whom_a_name_in_brackets_means() {
        let network = |text| Selector::Network(Network::read(text).unwrap());
        for (name, selector) in [
            ("my_worker", Selector::CommonName("my_worker".into())),
            ("cn:urn:x", Selector::CommonName("urn:x".into())),
            ("san:Host.Example", Selector::DnsName("host.example".into())),
            ("uid:0", Selector::Uid(0)),
            ("gid:33", Selector::Gid(33)),
            ("user:zuul", Selector::Uid(1001)),
            ("group:ci", Selector::Gid(2002)),
            ("address:10.0.0.0/8", network("10.0.0.0/8")),
            ("address:::1", network("::1")),
            ("*", Selector::Anybody),
        ] {
            assert_eq!(read(name), Ok(selector), "{name}");
        }
        for (name, said) in [
            ("adress:1", "[adress:1] names nobody"),
            ("uid:root", "write one, or user:NAME"),
            ("gid:-1", "write one, or group:NAME"),
            ("user:nobody-here", "has no user \"nobody-here\""),
            ("group:", "has no group \"\""),
            ("address:host", "\"host\" is no address"),
            ("address:10.0.0.0/33", "is no address"),
            ("address:10.0.0.1/8", "has bits behind those that count"),
            ("cn:", "names nobody"),
            ("san:", "names nobody"),
        ] {
            assert!(read(name).unwrap_err().contains(said), "{name}: {:?}", read(name));
        }
    }

    #[test]
    fn addresses_by_their_first_bits() {
        let holds =
            |network: &str, address: &str| Network::read(network).unwrap().contains(address.parse().unwrap());
        assert!(holds("10.0.0.0/8", "10.255.1.2") && !holds("10.0.0.0/8", "11.0.0.0"));
        assert!(holds("0.0.0.0/0", "1.2.3.4") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("::/0", "1.2.3.4") && holds("::/0", "2001:db8::1"), "IPv4 stands in IPv6");
        assert!(holds("127.0.0.1", "127.0.0.1") && !holds("127.0.0.1", "127.0.0.2"));
        assert!(holds("127.0.0.1", "::ffff:127.0.0.1") && holds("2001:db8::/32", "2001:db8:1::"));
    }

    #[test]
    fn somebody_may_be_meant_by_several() {
        let mut index = SelectorIndex::default();
        let all = ["*", "cn:a", "san:b", "uid:1", "gid:2", "address:10.0.0.0/8", "address:10.1.0.0/16"];
        for (entry, name) in all.iter().enumerate() {
            assert_eq!(index.add(read(name).unwrap(), entry), None);
        }
        assert_eq!(index.add(Selector::Uid(1), 9), Some(3));
        index.add(Selector::Uid(1), 3);
        let at = |address: &str| Subject::at(address.parse().unwrap());
        assert_eq!(index.of(&at("10.1.2.3")), [0, 5, 6]);
        assert_eq!(index.of(&at("192.0.2.1")), [0]);
        assert_eq!(called(&at("192.0.2.1")), "address 192.0.2.1");
        let names =
            CertificateNames { common_name: Some("a".into()), dns_names: vec!["B".into(), "c".into()] };
        let known = Subject { certificate: Some(Arc::new(names)), ..at("10.2.0.0") };
        assert_eq!(index.of(&known), [0, 1, 2, 5]);
        assert_eq!(called(&known), "certificate \"a\", san \"B\" and others");
        let local = Subject { user: Some(LocalUser { uid: 1, gid: 2 }), ..at("10.1.2.3") };
        assert_eq!((index.of(&local), called(&local).as_str()), (vec![0, 3, 4], "uid 1, gid 2"));
    }
}
