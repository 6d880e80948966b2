//! Where to listen: what port, address, host name and path mean. What the machine says of them is asked in `machine.rs`, the
//! sockets are made in `shard/listen/`.
use super::called::CalledAs;
use super::flags::{DEFAULT_PORT, Flags};
use super::machine::{self, NameAddresses};
use super::mistake::Mistake;
use super::origins::{Caution, Origins, ValueOrigin};
use crate::shard::options::Endpoint;
use std::ffi::{OsStr, OsString};
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
        None => named_port(flag).ok_or_else(|| Mistake::Port(flag.to_owned())),
        Some(address) if address.contains("://") => {
            notices.push(format!(
                "{VARIABLE}={address} in the environment is passed over: it is the address of a service, as container \
                 managers set it, and no port"
            ));
            named_port(flag).ok_or_else(|| Mistake::Port(flag.to_owned()))
        }
        Some(port) => {
            origins.note("port", &port, ValueOrigin::Variable(VARIABLE));
            named_port(&port).ok_or_else(|| Mistake::PortVariable(port.into_owned()))
        }
    }
}

/// The port of gearmand's HTTP, if it is asked for.
pub(super) fn gateway_port(
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
        (Some(_), None) => Ok(Some(GATEWAY_PORT)),
        (Some(_), Some(port)) => match named_port(port).filter(|_| !port.is_empty()) {
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

/// gearmand's own.
const GATEWAY_PORT: u16 = 8080;

/// A number, or the name of a service.
fn named_port(port: &str) -> Option<u16> {
    if port.is_empty() {
        return Some(machine::service("gearman").unwrap_or(4730));
    }
    match port.bytes().all(|byte| byte.is_ascii_digit()) {
        true => port.parse().ok(),
        false => machine::service(port),
    }
}

/// Everything that was named, once. A host name stands for those of its addresses that this machine has.
pub(super) fn endpoints(
    flags: &Flags,
    port: u16,
    warnings: &mut Vec<Caution>,
) -> Result<Vec<Endpoint>, Mistake> {
    let everywhere = [OsString::new()];
    let asked = if flags.listen.is_empty() { &everywhere[..] } else { &flags.listen };
    let (mut addresses, mut paths) = (Vec::new(), Vec::new());
    for name in asked {
        if let Some(path) = name.as_bytes().strip_prefix(b"unix:") {
            if path.is_empty() || path.len() > machine::UNIX_PATH_MAX || path.contains(&0) {
                return Err(Mistake::UnixPath(String::from_utf8_lossy(path).into_owned()));
            }
            let path = PathBuf::from(OsStr::from_bytes(path));
            if !paths.contains(&path) {
                paths.push(path);
            }
            continue;
        }
        let name = name.to_string_lossy();
        let found = machine::addresses(&name, port);
        let NameAddresses { here, elsewhere } =
            found.map_err(|error| Mistake::Listen(name.clone().into_owned(), error))?;
        warnings.extend(elsewhere.iter().map(|address| {
            let address = address.ip();
            let text = format!(
                "--listen {name} is {address} as well, which this machine does not have: it is not served there"
            );
            Caution { option: "listen", text }
        }));
        addresses.extend(here);
    }
    let tcp = machine::distinct(addresses).into_iter().map(Endpoint::Tcp);
    let unix = paths.into_iter().map(|path| Endpoint::Unix { path, mode: flags.unix_mode });
    Ok(tcp.chain(unix).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
