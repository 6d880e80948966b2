//! TLS on the job port and for the HTTP side: what its flags (`securing.rs`) mean, and gearmand's variables, which go before them. The files are read in `tls/certificates.rs`, by a server that
//! starts.
use super::called::CalledAs;
use super::listening::ListenPlace;
use super::machine;
use super::mistake::Mistake;
use super::origins::{Caution, Origins, ValueOrigin};
use super::securing::Securing;
use crate::shard::options::Endpoint;
use crate::tls::{ClientCertificates, TlsOptions};
use std::ffi::{OsStr, OsString};

/// gearmand's variables, as the environment has them.
#[derive(Debug, Default)]
pub(super) struct TlsVariables {
    pub(super) certificate: Option<OsString>,
    pub(super) key: Option<OsString>,
    pub(super) ca: Option<OsString>,
}

const CERTIFICATE: &str = "GEARMAND_SERVER_PEM";
const KEY: &str = "GEARMAND_SERVER_KEY";
const CA: &str = "GEARMAND_CA_CERTIFICATE";

impl TlsVariables {
    /// Those of this process. An empty one is none.
    pub(super) fn ask() -> TlsVariables {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        TlsVariables { certificate: variable(CERTIFICATE), key: variable(KEY), ca: variable(CA) }
    }
}

/// Where TLS is spoken, and with what.
#[derive(Debug, Default)]
pub(super) struct Secured {
    pub(super) options: Option<TlsOptions>,
    /// Whether clients and workers speak it.
    jobs: bool,
    /// Whether it is spoken wherever nothing else is said.
    all: bool,
    /// The port of its own that it has.
    port: Option<u16>,
}

/// What the flags and variables mean; `door` is whether an address to listen on is for TLS. For the HTTP side see [`for_http`].
pub(super) fn options(
    flags: &Securing,
    door: bool,
    port: u16,
    variables: &TlsVariables,
    (called, warnings, origins): (CalledAs, &mut Vec<Caution>, &mut Origins),
) -> Result<Secured, Mistake> {
    let jobs = flags.ssl || flags.ssl_port.is_some() || door;
    if !jobs && !flags.control_tls && !flags.http_tls {
        return idle(flags, called, warnings).map(|()| Secured::default());
    }
    if !cfg!(feature = "tls") {
        let option = match (flags.ssl, &flags.ssl_port) {
            (false, Some(_)) => "ssl-port",
            (false, None) if door => "listen",
            (false, None) if flags.control_tls => "control-tls",
            (false, None) => "http-tls",
            (true, _) => "ssl",
        };
        let why = "this program was built without TLS (the feature tls); leave it out, or build it with";
        return Err(Mistake::Tls(option, why.to_owned()));
    }
    let mut file = |option, flag: &Option<OsString>, name, variable: &Option<OsString>| {
        if let Some(value) = variable {
            origins.note(option, &value.to_string_lossy(), ValueOrigin::Variable(name));
        }
        variable.clone().or_else(|| flag.clone().filter(|path| !path.is_empty()))
    };
    let certificate = file("ssl-certificate", &flags.ssl_certificate, CERTIFICATE, &variables.certificate);
    let key = file("ssl-key", &flags.ssl_key, KEY, &variables.key);
    let ca = file("ssl-ca-file", &flags.ssl_ca_file, CA, &variables.ca);
    let client = match (flags.ssl_client, &ca) {
        (Some(ClientCertificates::Required | ClientCertificates::Optional), None) => {
            let why = "certificates can be asked for only where it is known who signs them; name the CA with --ssl-ca-file FILE";
            return Err(Mistake::Tls("ssl-client", why.to_owned()));
        }
        (Some(client), _) => client,
        (None, Some(_)) => ClientCertificates::Optional,
        (None, None) => ClientCertificates::NotAsked,
    };
    let own = match &flags.ssl_port {
        None => None,
        Some(text) => match machine::named_port(text) {
            Some(own) if own != 0 && own == port => {
                let why =
                    format!("{text}: --port has the same; choose another, or leave it out and say --ssl");
                return Err(Mistake::Tls("ssl-port", why));
            }
            Some(own) => Some(own),
            None => {
                let why = format!(
                    "{text} is neither a number up to 65535 nor a service in /etc/services; name one of these"
                );
                return Err(Mistake::Tls("ssl-port", why));
            }
        },
    };
    let or =
        |path: Option<OsString>, usual: &str| path.unwrap_or_else(|| OsStr::new(usual).to_owned()).into();
    let options = TlsOptions {
        certificate: or(certificate, "/etc/ssl/certs/gearmand.pem"),
        key: or(key, "/etc/ssl/certs/gearmand.key"),
        ca: ca.map(Into::into),
        client,
    };
    Ok(Secured { options: Some(options), jobs, all: flags.ssl, port: own })
}

/// Looks whether what is to speak TLS over HTTP is there: with `control`, where that listens, and `gateway`, the port of gearmand's.
pub(super) fn for_http(flags: &Securing, control: &[Endpoint], gateway: Option<u16>) -> Result<(), Mistake> {
    let by_address = control.iter().any(|endpoint| matches!(endpoint, Endpoint::Tcp(_)));
    if flags.control_tls && !by_address {
        let why = "TLS is spoken on addresses, and --control names none; name one, or leave it out";
        return Err(Mistake::Tls("control-tls", why.to_owned()));
    }
    if flags.http_tls && gateway.is_none() {
        let why = "has no effect without --protocol http; add --protocol http, or leave it out";
        return Err(Mistake::Tls("http-tls", why.to_owned()));
    }
    Ok(())
}

/// Options about TLS where there is none. Under the name of gearmand that is no mistake: it would ignore them, too.
fn idle(flags: &Securing, called: CalledAs, warnings: &mut Vec<Caution>) -> Result<(), Mistake> {
    let given = [
        ("ssl-certificate", flags.ssl_certificate.is_some()),
        ("ssl-key", flags.ssl_key.is_some()),
        ("ssl-ca-file", flags.ssl_ca_file.is_some()),
        ("ssl-client", flags.ssl_client.is_some()),
    ];
    for (option, _) in given.into_iter().filter(|(_, given)| *given) {
        match called {
            CalledAs::Gearmand if option != "ssl-client" => {
                let text = format!("--{option} has no effect without --ssl, as with gearmand");
                warnings.push(Caution { option, text });
            }
            _ => {
                let why =
                    "has no effect without TLS; add --ssl or --ssl-port PORT, or leave it out".to_owned();
                return Err(Mistake::Tls(option, why));
            }
        }
    }
    Ok(())
}

impl Secured {
    /// Parts places: those where clients speak plainly, and those where they speak TLS.
    pub(super) fn part(
        &self,
        places: Vec<ListenPlace>,
    ) -> Result<(Vec<ListenPlace>, Vec<ListenPlace>), Mistake> {
        let (mut plain, mut secured) = (Vec::new(), Vec::new());
        for place in places {
            let own = match place.endpoint {
                Endpoint::Tcp(address) if place.tls.is_none() && !place.own_port => {
                    self.port.map(|port| Endpoint::Tcp((address.ip(), port).into()))
                }
                _ => None,
            };
            let always = self.all && self.port.is_none() && matches!(place.endpoint, Endpoint::Tcp(_));
            match place.tls.unwrap_or(always) {
                true => secured.push(place),
                false => {
                    secured.extend(own.map(|endpoint| ListenPlace { endpoint, ..place.clone() }));
                    plain.push(place);
                }
            }
        }
        if self.jobs && secured.is_empty() && !plain.is_empty() {
            let option = if self.port.is_some() { "ssl-port" } else { "ssl" };
            let why = "TLS is spoken on addresses, and all that is named with --listen are unix sockets; name an address, or leave it out";
            return Err(Mistake::Tls(option, why.to_owned()));
        }
        Ok((plain, secured))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{config_of, read_as, read_line, refused};
    use crate::config::{Config, Invocation, Surroundings, invocation};
    use std::path::Path;

    fn files(config: &Config) -> (String, String, Option<String>, ClientCertificates) {
        let tls = config.server.tls.as_ref().unwrap();
        let text = |path: &Path| path.display().to_string();
        (text(&tls.certificate), text(&tls.key), tls.ca.as_deref().map(text), tls.client)
    }

    #[test]
    fn gearmands_options_and_what_they_leave_open() {
        use ClientCertificates::{NotAsked, Optional, Required};
        let plain = config_of(&[]);
        assert!(plain.server.tls.is_none() && plain.server.tls_endpoints.is_empty());
        let config = config_of(&["--ssl"]);
        let usual = ("/etc/ssl/certs/gearmand.pem".to_owned(), "/etc/ssl/certs/gearmand.key".to_owned());
        assert_eq!(files(&config), (usual.0, usual.1, None, NotAsked));
        assert!(config.server.endpoints.is_empty() && !config.server.tls_endpoints.is_empty());
        let line = ["--ssl", "--ssl-certificate=c", "--ssl-key", "k", "--ssl-ca-file=a"];
        let of = |more: &[&str]| files(&config_of(&[&line[..], more].concat())).3;
        assert_eq!(
            (of(&[]), of(&["--ssl-client=none"]), of(&["--ssl-client", "required"])),
            (Optional, NotAsked, Required)
        );
        refused(
            &["--ssl", "--ssl-client", "required"],
            "--ssl-client: certificates can be asked for only where it is known who signs them; name the CA with --ssl-ca-file FILE",
        );
        refused(
            &["--ssl", "--ssl-client", "maybe"],
            "invalid value 'maybe' for '--ssl-client <HOW>': must be required, optional or none",
        );
    }

    #[test]
    fn a_port_of_its_own_leaves_the_other_plain() {
        let config = config_of(&["-L", "127.0.0.1", "-L", "unix:/s", "--ssl-port", "4731"]);
        let text = |endpoints: &[Endpoint]| endpoints.iter().map(Endpoint::to_string).collect::<Vec<_>>();
        assert_eq!(text(&config.server.endpoints), ["127.0.0.1:4730", "unix:/s"]);
        assert_eq!(text(&config.server.tls_endpoints), ["127.0.0.1:4731"]);
        let config = config_of(&["-L", "127.0.0.1", "-L", "unix:/s", "--ssl"]);
        assert_eq!(text(&config.server.endpoints), ["unix:/s"]);
        assert_eq!(text(&config.server.tls_endpoints), ["127.0.0.1:4730"]);
        refused(
            &["--ssl-port", "4730"],
            "--ssl-port: 4730: --port has the same; choose another, or leave it out and say --ssl",
        );
        assert!(read_line(&["--ssl-port", "no such"]).is_err());
        assert!(read_line(&["--ssl", "-L", "unix:/s"]).is_err());
    }

    #[test]
    fn the_http_side_has_it_if_it_is_asked_for() {
        let line = ["--ssl-certificate=c", "--ssl-key=k"];
        let config = config_of(&[&line[..], &["--control-tls"]].concat());
        assert!(config.server.control.tls && !config.server.control.gateway_tls);
        assert!(config.server.tls.is_some() && config.server.tls_endpoints.is_empty());
        let config = config_of(&["--ssl", "-r", "http", "--http-tls", "-L", "127.0.0.1"]);
        assert!(!config.server.control.tls && config.server.control.gateway_tls);
        refused(
            &["--control-tls", "--control=unix:/c"],
            "--control-tls: TLS is spoken on addresses, and --control names none; name one, or leave it out",
        );
        refused(
            &["--http-tls"],
            "--http-tls: has no effect without --protocol http; add --protocol http, or leave it out",
        );
    }

    #[test]
    fn the_environment_goes_before_the_command_line() {
        let variables =
            TlsVariables { certificate: Some("env.pem".into()), key: None, ca: Some("env-ca.pem".into()) };
        let line = ["--ssl", "--ssl-certificate=c", "--ssl-key=k", "--ssl-ca-file=a"];
        let file = Path::new("/nonexistent/gearmand.conf");
        let surroundings =
            Surroundings { called: CalledAs::Ringgear, port: None, tls: variables, runtime: None, file };
        let Invocation::Serve(config) = invocation(line.into_iter().map(Into::into), &surroundings).unwrap()
        else {
            panic!()
        };
        let expected = ("env.pem".to_owned(), "k".to_owned(), Some("env-ca.pem".to_owned()));
        let (certificate, key, ca, _) = files(&config);
        assert_eq!((certificate, key, ca), expected);
        assert_eq!(
            config.origins.told(&["ssl-certificate", "ssl-key"]),
            " (--ssl-certificate is from GEARMAND_SERVER_PEM in the environment)"
        );
    }

    #[test]
    fn files_without_tls_are_a_mistake_but_for_gearmand() {
        refused(
            &["--ssl-key", "x"],
            "--ssl-key: has no effect without TLS; add --ssl or --ssl-port PORT, or leave it out",
        );
        let gearmand = read_as(CalledAs::Gearmand, &["--ssl-key=x"], Path::new("/nonexistent")).unwrap();
        let Invocation::Serve(config) = gearmand else { panic!() };
        assert_eq!(config.warnings, ["--ssl-key has no effect without --ssl, as with gearmand"]);
    }
}
