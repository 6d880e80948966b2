//! Where to listen: what port, address, host name and path mean. What the machine says of them is asked in `machine.rs`, the
//! sockets are made in `shard/listen/`.
use super::called::CalledAs;
use super::doors::{self, AskedDoor};
use super::flags::{DEFAULT_PORT, Flags};
use super::machine::{self, NameAddresses};
use super::mistake::Mistake;
use super::origins::{Caution, Origins, ValueOrigin};
use crate::access::Door;
use crate::shard::options::Endpoint;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The variable that moves the default port.
pub(super) const VARIABLE: &str = "GEARMAND_PORT";

/// The port. GEARMAND_PORT counts where the flag has its default value, given or not, as with gearmand. Where a service is called
/// `gearmand`, container managers set that variable, too, but to an address: nobody who started a server meant that.
pub(super) fn port_number(
    flag: &str,
    variable: Option<&OsStr>,
    notices: &mut Vec<String>,
    origins: &mut Origins,
) -> Result<u16, Mistake> {
    match variable.filter(|_| flag == DEFAULT_PORT).map(OsStr::to_string_lossy) {
        None => machine::named_port(flag).ok_or_else(|| Mistake::Port(flag.to_owned())),
        Some(address) if address.contains("://") => {
            notices.push(format!(
                "{VARIABLE}={address} in the environment is passed over: it is the address of a service, as container \
                 managers set it, and no port"
            ));
            machine::named_port(flag).ok_or_else(|| Mistake::Port(flag.to_owned()))
        }
        Some(port) => {
            origins.note("port", &port, ValueOrigin::Variable(VARIABLE));
            machine::named_port(&port).ok_or_else(|| Mistake::PortVariable(port.into_owned()))
        }
    }
}

/// The port of gearmand's HTTP, if it is asked for and there is an address to open it at. A line that is only looked at has no addresses yet.
pub(super) fn gateway(
    flags: &Flags,
    (plain, secured): (&[ListenPlace], &[ListenPlace]),
    called: CalledAs,
    warnings: &mut Vec<Caution>,
) -> Result<Option<u16>, Mistake> {
    let port = gateway_port(flags, called, warnings)?;
    if flags.process.check_args {
        return Ok(port);
    }
    let by_tls = secured.iter().filter(|_| flags.tls.http_tls);
    gateway_place(port, plain.iter().chain(by_tls), called, warnings)
}

/// The port, if it is asked for.
fn gateway_port(
    flags: &Flags,
    called: CalledAs,
    warnings: &mut Vec<Caution>,
) -> Result<Option<u16>, Mistake> {
    let refused = |option, said: String| Err(Mistake::Unsupported(option, said));
    match (&flags.protocol, &flags.http_port) {
        (None, None) => Ok(None),
        (None, Some(_)) => {
            const IDLE: &str =
                "--http-port has no effect without --protocol http; add --protocol http, or leave it out";
            match called {
                CalledAs::Gearmand => {
                    warnings.push(Caution { option: "http-port", text: IDLE.to_owned() });
                    Ok(None)
                }
                CalledAs::Ringgear => refused("http-port", IDLE.to_owned()),
            }
        }
        (Some(name), _) if !name.eq_ignore_ascii_case("http") => {
            let said = format!(
                "--protocol {name}: the only protocol beside Gearman's own is http; say http, or leave it out"
            );
            refused("protocol", said)
        }
        _ if !cfg!(feature = "http") => {
            let said = "--protocol http: this program was built without its HTTP side (the feature http); leave it out, or build it with";
            refused("protocol", said.to_owned())
        }
        _ if flags.granting.acl.as_ref().is_some_and(|path| !path.is_empty()) => {
            let said = "--protocol http: gearmand's HTTP asks nobody who he is, and --acl says who may what; leave one of them out, and submit \
                        over HTTP with tokens (--control-tokens)";
            refused("protocol", said.to_owned())
        }
        (Some(_), None) => Ok(Some(GATEWAY_PORT)),
        (Some(_), Some(port)) => match machine::named_port(port).filter(|_| !port.is_empty()) {
            Some(port) => Ok(Some(port)),
            None => {
                let said = format!(
                    "--http-port {port} is neither a number up to 65535 nor a service in /etc/services; name one of these"
                );
                refused("http-port", said)
            }
        },
    }
}

/// The same, if there is a place for it: it is plain HTTP at the addresses by TCP where jobs are taken without TLS, or, with `--http-tls`,
/// by TLS at all where jobs are taken.
fn gateway_place<'p>(
    port: Option<u16>,
    mut places: impl Iterator<Item = &'p ListenPlace>,
    called: CalledAs,
    warnings: &mut Vec<Caution>,
) -> Result<Option<u16>, Mistake> {
    const NOWHERE: &str = "--protocol http opens nothing: it is HTTP without TLS at the addresses where jobs are taken without TLS, and there is \
                           none; add one, as in --listen localhost?plain, say --http-tls, or leave --protocol http out and submit over HTTP \
                           with --control";
    let serves = |place: &ListenPlace| place.door == Door::Jobs && matches!(place.endpoint, Endpoint::Tcp(_));
    match (port, called) {
        (None, _) => Ok(None),
        (Some(port), _) if places.any(serves) => Ok(Some(port)),
        (Some(_), CalledAs::Gearmand) => {
            warnings.push(Caution { option: "protocol", text: NOWHERE.to_owned() });
            Ok(None)
        }
        (Some(_), CalledAs::Ringgear) => Err(Mistake::Unsupported("protocol", NOWHERE.to_owned())),
    }
}

/// gearmand's own.
const GATEWAY_PORT: u16 = 8080;

/// Where to listen, and what is expected there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListenPlace {
    pub(super) endpoint: Endpoint,
    pub(super) door: Door,
    /// Whether TLS is spoken there, if that is said.
    pub(super) tls: Option<bool>,
    /// Whether it has a port of its own.
    pub(super) own_port: bool,
}

impl ListenPlace {
    /// Whether it is the same for whoever comes there.
    fn is_like(&self, other: &ListenPlace) -> bool {
        (self.door, self.tls, self.own_port) == (other.door, other.tls, other.own_port)
    }
}

/// What was asked for, with the words behind each address.
pub(super) fn doors(flags: &Flags) -> Result<Vec<AskedDoor>, Mistake> {
    flags.listen.iter().map(|value| doors::read(value, machine::named_port)).collect()
}

/// Everything that was named, once. A host name stands for those of its addresses that this machine has.
pub(super) fn places(
    flags: &Flags,
    port: u16,
    warnings: &mut Vec<Caution>,
) -> Result<Vec<ListenPlace>, Mistake> {
    let everywhere = [doors::read(OsStr::new(""), machine::named_port)?];
    let asked = doors(flags)?;
    let asked = if asked.is_empty() { &everywhere[..] } else { &asked };
    let (mut tcp, mut unix): (Vec<ListenPlace>, Vec<ListenPlace>) = (Vec::new(), Vec::new());
    for asked in asked {
        if let Some(path) = asked.name.as_bytes().strip_prefix(b"unix:") {
            if path.is_empty() || path.len() > machine::UNIX_PATH_MAX || path.contains(&0) {
                return Err(Mistake::UnixPath(String::from_utf8_lossy(path).into_owned()));
            }
            let path = PathBuf::from(OsStr::from_bytes(path));
            let endpoint = Endpoint::Unix { path: path.clone(), mode: asked.mode.unwrap_or(flags.unix_mode) };
            let place = ListenPlace { endpoint, door: asked.door, tls: None, own_port: false };
            let same = |other: &&ListenPlace| matches!(&other.endpoint, Endpoint::Unix { path: other, .. } if *other == path);
            match unix.iter().find(same) {
                Some(other) if *other != place => return Err(asked.wrong(DIFFERS)),
                Some(_) => {}
                None => unix.push(place),
            }
            continue;
        }
        let name = asked.name.to_string_lossy();
        let found = machine::addresses(&name, asked.port.unwrap_or(port));
        let NameAddresses { here, elsewhere } =
            found.map_err(|error| Mistake::Listen(name.clone().into_owned(), error))?;
        warnings.extend(elsewhere.iter().map(|address| {
            let address = address.ip();
            let text = format!(
                "--listen {name} is {address} as well, which this machine does not have: it is not served there"
            );
            Caution { option: "listen", text }
        }));
        for address in here {
            let endpoint = Endpoint::Tcp(address);
            let place =
                ListenPlace { endpoint, door: asked.door, tls: asked.tls, own_port: asked.port.is_some() };
            let meets = |other: &&ListenPlace| !other.is_like(&place) && meet(&other.endpoint, address);
            if tcp.iter().any(|other| meets(&other)) {
                return Err(asked.wrong(DIFFERS));
            }
            tcp.push(place);
        }
    }
    // Those of the one port first: one that is free is looked for before others are taken.
    tcp.sort_by_key(|place| place.own_port);
    Ok(distinct(tcp).into_iter().chain(unix).collect())
}

const DIFFERS: &str = "another --listen says something else of this address and port; say it once, or give one of them a port of \
                       its own with ?port=PORT";

/// Whether two sockets would have the same connections.
fn meet(one: &Endpoint, other: SocketAddr) -> bool {
    let Endpoint::Tcp(one) = one else { return false };
    let same = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.is_ipv4() == other.is_ipv4() && same
}

/// Each place once, and none that goes without saying where all addresses of its family are the same.
fn distinct(places: Vec<ListenPlace>) -> Vec<ListenPlace> {
    let mut kept: Vec<ListenPlace> = Vec::new();
    for place in &places {
        let Endpoint::Tcp(address) = place.endpoint else { continue };
        let alike = places.iter().filter(|other| other.is_like(place));
        let of_port = alike.filter_map(|other| match other.endpoint {
            Endpoint::Tcp(other) if other.port() == address.port() => Some(other),
            _ => None,
        });
        if machine::distinct(of_port.collect()).contains(&address) && !kept.contains(place) {
            kept.push(place.clone());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{config_of, read_line, refused};

    fn port(flag: &str, variable: Option<&str>) -> (Result<u16, String>, Vec<String>) {
        let (mut notices, mut origins) = (Vec::new(), Origins::default());
        let port = port_number(flag, variable.map(OsStr::new), &mut notices, &mut origins);
        (port.map_err(|mistake| mistake.to_string()), notices)
    }

    #[test]
    fn ports_by_number_name_and_environment() {
        let port = |flag, variable| port(flag, variable).0.ok();
        assert_eq!(port("4730", None), Some(4730));
        assert_eq!(port("0", None), Some(0));
        assert_eq!(port("4730", Some("5000")), Some(5000));
        assert_eq!(port("4731", Some("5000")), Some(4731));
        assert_eq!(port("", None), Some(machine::service("gearman").unwrap_or(4730)));
        assert_eq!(port("4730", Some("")), Some(machine::service("gearman").unwrap_or(4730)));
        assert_eq!(port("65536", None), None);
        assert_eq!(port("-1", None), None);
        assert_eq!(port("no such service", None), None);
        assert_eq!(port("4730", Some("no such service")), None);
        // What is not used need not be right.
        assert_eq!(port("4731", Some("no such service")), Some(4731));
    }

    #[test]
    fn a_wrong_port_is_blamed_on_its_variable() {
        let said = "GEARMAND_PORT=80x in the environment is neither a number up to 65535 nor a service in /etc/services; \
                    set it to one of these, or unset it";
        assert_eq!(port("4730", Some("80x")), (Err(said.to_owned()), Vec::new()));
    }

    #[test]
    fn what_a_container_manager_sets_is_no_port() {
        for address in ["tcp://10.96.0.17:4730", "udp://10.96.0.17:53", "tcp://[fd00::1]:4730"] {
            let (number, notices) = port("4730", Some(address));
            assert_eq!(number, Ok(4730), "{address}");
            let [notice] = &notices[..] else { panic!("{notices:?}") };
            assert!(
                notice.starts_with(&format!("GEARMAND_PORT={address} in the environment is passed over")),
                "{notice}"
            );
            assert_eq!(port("99", Some(address)), (Ok(99), Vec::new()));
        }
    }

    fn places(line: &[&str]) -> Vec<(String, Door, Option<u32>)> {
        let server = config_of(line).server;
        let one = |(endpoint, door): (&Endpoint, &Door)| match endpoint {
            Endpoint::Tcp(_) => (endpoint.to_string(), *door, None),
            Endpoint::Unix { mode, .. } => (endpoint.to_string(), *door, Some(*mode)),
        };
        let plain = server.endpoints.iter().zip(&server.doors).map(one);
        plain.chain(server.tls_endpoints.iter().zip(&server.tls_doors).map(one)).collect()
    }

    #[test]
    fn addresses_that_are_for_less() {
        let own =
            ["--unix-mode=0660", "-L", "127.0.0.1?admin,port=4731", "-L", "127.0.0.1", "-L", "127.0.0.1"];
        let unix = ["-L", "unix:/a?read-only,mode=0600", "-L", "unix:/b", "-L", "unix:/b"];
        let expected = [
            ("127.0.0.1:4730".to_owned(), Door::Jobs, None),
            ("127.0.0.1:4731".to_owned(), Door::Admin, None),
            ("unix:/a".to_owned(), Door::ReadOnly, Some(0o600)),
            ("unix:/b".to_owned(), Door::Jobs, Some(0o660)),
        ];
        assert_eq!(places(&[&own[..], &unix].concat()), expected);
        for other in [
            ["127.0.0.1", "127.0.0.1?admin"],
            ["0.0.0.0", "127.0.0.1?read-only"],
            ["unix:/a", "unix:/a?mode=0600"],
        ] {
            refused(&["-L", other[0], "-L", other[1]], &format!("--listen {}: {DIFFERS}", other[1]));
        }
        let looked_at = read_line(&["--check-args", "-L", "127.0.0.1?adm"]).unwrap_err().to_string();
        assert!(looked_at.starts_with("--listen 127.0.0.1?adm: behind ? stand plain, tls,"), "{looked_at}");
    }

    #[cfg(feature = "tls")]
    #[test]
    fn addresses_with_tls_and_without() {
        let tls = |line: &[&str]| {
            let server = config_of(line).server;
            let text = |endpoints: &[Endpoint]| {
                endpoints.iter().map(Endpoint::to_string).collect::<Vec<_>>().join(" ")
            };
            (text(&server.endpoints), text(&server.tls_endpoints), server.tls.is_some())
        };
        let of = |plain: &str, secured: &str, some| (plain.to_owned(), secured.to_owned(), some);
        let two = |first, second| ["-L", first, "-L", second];
        let said = two("127.0.0.1", "127.0.0.1?tls,port=4731");
        assert_eq!(tls(&said), of("127.0.0.1:4730", "127.0.0.1:4731", true));
        let said = two("127.0.0.1", "127.0.0.1?plain,admin,port=4731");
        assert_eq!(tls(&[&["--ssl"], &said[..]].concat()), of("127.0.0.1:4731", "127.0.0.1:4730", true));
        // A port of its own is none of those beside which TLS has another.
        assert_eq!(
            tls(&[&["--ssl-port=9"], &said[..]].concat()),
            of("127.0.0.1:4730 127.0.0.1:4731", "127.0.0.1:9", true)
        );
        let said = two("127.0.0.1?plain", "127.0.0.2");
        assert_eq!(
            tls(&[&["--ssl-port=9"], &said[..]].concat()),
            of("127.0.0.1:4730 127.0.0.2:4730", "127.0.0.2:9", true)
        );
    }
}
