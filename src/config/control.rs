//! Where the server is reached over HTTP: what `--control` means. Without tokens addresses of loopback and unix sockets only: whoever
//! reaches the HTTP side is told names of functions, workers and jobs, and nobody is asked who he is.
use super::called::CalledAs;
use super::flags::Flags;
use super::machine;
use super::mistake::Mistake;
use super::value::fit;
use crate::server::ControlOptions;
use crate::shard::options::Endpoint;
use std::ffi::{OsStr, OsString};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where nobody says anything: for whoever has just started a server.
const DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 4780);

/// The socket beside it, over which the server's user and root give orders: where a service has it, and tools look for it.
pub(crate) const USUAL_SOCKET: &str = "/run/ringgear/control.sock";

/// The variable in which systemd names the runtime directory of a service; several stand with colons between them.
pub(super) const RUNTIME: &str = "RUNTIME_DIRECTORY";

/// Who may use a unix socket: the user of the server, and root.
const MODE: u32 = 0o600;

const FORM: &str = "say an address with a port like 127.0.0.1:4780, unix:PATH, or none";
const ALONE: &str = "none stands alone; leave it out, or the others";
const FOREIGN: &str = "whoever reaches this address would be told names of functions, workers and jobs, so that it must be one of \
                       this machine alone; say 127.0.0.1, [::1] or unix:PATH, or with --control-tokens FILE who may do what";

/// All of it: with gearmand's HTTP on this port, if it is wanted; `from` says where `--control` was said.
pub(super) fn options(
    flags: &Flags,
    called: CalledAs,
    runtime: Option<&OsStr>,
    gateway: Option<u16>,
    from: String,
) -> Result<ControlOptions, Mistake> {
    Ok(ControlOptions {
        endpoints: endpoints(&flags.control, called, flags.control_tokens.is_some())?,
        usual_socket: usual_socket(&flags.control, called, runtime),
        tokens: flags.control_tokens.clone(),
        names: flags.control_name.clone(),
        gateway,
        tls: flags.tls.control_tls,
        gateway_tls: flags.tls.http_tls,
        from,
        metrics_functions: fit(flags.metrics_functions),
    })
}

/// Everything that was named, once.
fn endpoints(asked: &[OsString], called: CalledAs, tokens: bool) -> Result<Vec<Endpoint>, Mistake> {
    let endpoints = match (asked, called) {
        ([], CalledAs::Gearmand) => Vec::new(),
        ([], CalledAs::Ringgear) if !cfg!(feature = "http") => Vec::new(),
        ([], CalledAs::Ringgear) => vec![Endpoint::Tcp(DEFAULT)],
        ([none], _) if none == "none" => Vec::new(),
        _ => {
            let mut endpoints = Vec::new();
            for value in asked {
                let endpoint = endpoint(value, tokens)
                    .map_err(|why| Mistake::Control(value.to_string_lossy().into_owned(), why))?;
                if !endpoints.contains(&endpoint) {
                    endpoints.push(endpoint);
                }
            }
            endpoints
        }
    };
    match asked.first() {
        Some(value) if !endpoints.is_empty() && !cfg!(feature = "http") => {
            let why = "this program was built without its HTTP side (the feature http); leave it out, or build it with";
            Err(Mistake::Control(value.to_string_lossy().into_owned(), why))
        }
        _ => Ok(endpoints),
    }
}

/// The socket that a server has where nobody says anything, if it can be had: in its runtime directory.
fn usual_socket(asked: &[OsString], called: CalledAs, runtime: Option<&OsStr>) -> Option<Endpoint> {
    if !asked.is_empty() || called == CalledAs::Gearmand || !cfg!(feature = "http") {
        return None;
    }
    let usual = Path::new(USUAL_SOCKET);
    let first = runtime.and_then(|folders| folders.as_bytes().split(|byte| *byte == b':').next());
    let folder =
        first.map(|folder| Path::new(OsStr::from_bytes(folder))).filter(|folder| folder.is_absolute());
    let path = match (folder, usual.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => PathBuf::from(usual),
    };
    let fits = path.as_os_str().len() <= machine::UNIX_PATH_MAX;
    fits.then_some(Endpoint::Unix { path, mode: MODE })
}

fn endpoint(value: &OsStr, tokens: bool) -> Result<Endpoint, &'static str> {
    if let Some(path) = value.as_bytes().strip_prefix(b"unix:") {
        if path.is_empty() || path.len() > machine::UNIX_PATH_MAX || path.contains(&0) {
            return Err("the path of a unix socket has 1 to 107 bytes, none of them 0; choose such a path");
        }
        return Ok(Endpoint::Unix { path: OsStr::from_bytes(path).into(), mode: MODE });
    }
    let text = value.to_str().ok_or(FORM)?;
    if text == "none" {
        return Err(ALONE);
    }
    let port = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
    let address = match port {
        Some(port) => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port),
        None => text.parse().map_err(|_| FORM)?,
    };
    if !tokens && !address.ip().to_canonical().is_loopback() {
        return Err(FOREIGN);
    }
    Ok(Endpoint::Tcp(SocketAddr::new(address.ip().to_canonical(), address.port())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(asked: &[&str], called: CalledAs) -> Result<Vec<String>, String> {
        let asked: Vec<OsString> = asked.iter().map(Into::into).collect();
        let endpoints = endpoints(&asked, called, false).map_err(|mistake| mistake.to_string())?;
        Ok(endpoints.iter().map(Endpoint::to_string).collect())
    }

    #[test]
    fn only_this_machine_can_look() {
        use CalledAs::{Gearmand, Ringgear};
        let of = |asked: &[&str]| read(asked, Ringgear);
        assert_eq!(of(&[]).unwrap(), ["127.0.0.1:4780"]);
        assert_eq!((of(&["none"]).unwrap(), read(&[], Gearmand).unwrap()), (vec![], vec![]));
        assert_eq!(read(&["127.0.0.1:1"], Gearmand).unwrap(), ["127.0.0.1:1"]);
        let several = ["[::1]:7", "localhost:8", "unix:/run/c.sock", "127.0.0.1:8", "127.3.2.1:0"];
        assert_eq!(of(&several).unwrap(), ["[::1]:7", "127.0.0.1:8", "unix:/run/c.sock", "127.3.2.1:0"]);
        assert_eq!(of(&["[::ffff:127.0.0.1]:9"]).unwrap(), ["127.0.0.1:9"]);
        for (asked, said) in [
            ("0.0.0.0:4780", FOREIGN),
            ("192.0.2.1:4780", FOREIGN),
            ("[::]:4780", FOREIGN),
            ("4780", FORM),
            ("localhost", FORM),
            ("localhost:x", FORM),
            ("example.org:1", FORM),
            ("", FORM),
        ] {
            assert_eq!(of(&[asked]), Err(format!("--control {asked}: {said}")));
        }
        assert_eq!(of(&["127.0.0.1:1", "none"]), Err(format!("--control none: {ALONE}")));
        assert!(of(&["unix:"]).is_err());
    }

    #[test]
    fn a_socket_for_orders_is_in_the_runtime_directory() {
        use CalledAs::{Gearmand, Ringgear};
        let of = |asked: &[&str], called, runtime: Option<&str>| {
            let asked: Vec<OsString> = asked.iter().map(Into::into).collect();
            usual_socket(&asked, called, runtime.map(OsStr::new)).map(|endpoint| endpoint.to_string())
        };
        assert_eq!(of(&[], Ringgear, None).unwrap(), "unix:/run/ringgear/control.sock");
        assert_eq!(of(&[], Ringgear, Some("/run/a:/run/b")).unwrap(), "unix:/run/a/control.sock");
        for odd in ["", "relative", ":"] {
            assert_eq!(of(&[], Ringgear, Some(odd)).unwrap(), "unix:/run/ringgear/control.sock", "{odd}");
        }
        assert_eq!(of(&[], Ringgear, Some(&format!("/{}", "x".repeat(100)))), None);
        for (asked, called) in [(&["none"][..], Ringgear), (&["127.0.0.1:1"], Ringgear), (&[], Gearmand)] {
            assert_eq!(of(asked, called, None), None, "{asked:?}");
        }
    }

    #[test]
    fn with_tokens_others_may_come() {
        let asked = ["0.0.0.0:4780", "[2001:db8::1]:1"].map(OsString::from);
        let endpoints = endpoints(&asked, CalledAs::Ringgear, true).unwrap();
        assert_eq!(
            endpoints.iter().map(Endpoint::to_string).collect::<Vec<_>>(),
            ["0.0.0.0:4780", "[2001:db8::1]:1"]
        );
    }
}
