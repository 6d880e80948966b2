//! From what was said of the database (`surroundings.rs`) to hosts that can be tried one after the other, each with the
//! driver's own options. Words that nothing here can do are refused, so that nobody believes that they have an effect.
use super::surroundings::{GivenWord, TargetMistake, password};
use super::tls::{TlsWish, Trust};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, SslMode};

/// Where Debian's servers have their unix sockets, and where all others have.
const SOCKET_FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];
const PORT: u16 = 5432;
/// How long one host may take until it is there, where nothing else is said. (libpq would wait for ever.)
const CONNECT: Duration = Duration::from_secs(3);
/// How long the system may try to get something to the host before the connection counts as lost.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);

/// Words that change nothing here, whatever they say.
const IDLE: &[&str] =
    &["fallback_application_name", "krbsrvname", "gsslib", "gssdelegation", "sslcompression", "sslsni"];

/// Where the database is.
#[derive(Clone, Debug)]
pub(super) struct PgTarget {
    /// To be tried in this order.
    pub(super) hosts: Vec<HostTarget>,
    /// In any order instead.
    pub(super) random: bool,
    /// How long one of them may take until it is there.
    pub(super) patience: Duration,
    /// What is secret, where anything is.
    pub(super) tls: TlsWish,
    /// For messages: hosts and database, no password.
    pub(super) server: String,
}

/// One host.
#[derive(Clone, Debug)]
pub(super) struct HostTarget {
    /// For messages.
    pub(super) name: String,
    /// All that the driver is to know.
    pub(super) config: Config,
}

/// What may be asked of the machine.
pub(super) struct TargetFacts<'a> {
    /// The name of this user, if it has one.
    pub(super) user: Option<String>,
    /// Where this user has files of its own.
    pub(super) home: Option<PathBuf>,
    /// The text of a file that only its owner can read; `None` without one.
    pub(super) private_file: &'a dyn Fn(&Path) -> Option<String>,
    /// Whether there is such a file.
    pub(super) is_file: &'a dyn Fn(&Path) -> bool,
    /// Whether there is such a folder.
    pub(super) is_folder: &'a dyn Fn(&Path) -> bool,
}

/// The words, as they are taken one after the other.
struct TargetWords(BTreeMap<String, GivenWord>);

impl TargetWords {
    fn take(&mut self, key: &str) -> Option<GivenWord> {
        self.0.remove(key)
    }

    fn text(&mut self, key: &str) -> Option<String> {
        self.take(key).map(|given| given.value)
    }

    /// A number of whole seconds or the like; 0 and less is as if nothing was said.
    fn number(&mut self, key: &str) -> Result<Option<u64>, TargetMistake> {
        let Some(given) = self.take(key) else { return Ok(None) };
        match given.value.trim().parse::<i64>() {
            Ok(number) => Ok(u64::try_from(number).ok().filter(|&number| number > 0)),
            Err(_) => Err(given.mistake(format!("{} is no whole number", given.value))),
        }
    }

    /// One of these words.
    fn one_of<'w>(&mut self, key: &str, words: &[&'w str]) -> Result<Option<&'w str>, TargetMistake> {
        let Some(given) = self.take(key) else { return Ok(None) };
        match words.iter().find(|word| **word == given.value) {
            Some(word) => Ok(Some(word)),
            None => Err(given.mistake(format!(
                "{} cannot be had here; it is one of {}",
                given.value,
                words.join(", ")
            ))),
        }
    }

    /// The parts of a list with commas; none if nothing was said.
    fn list(&mut self, key: &str) -> (Vec<String>, Option<GivenWord>) {
        let given = self.take(key);
        let parts = |given: &GivenWord| given.value.split(',').map(|part| part.trim().to_owned()).collect();
        (given.as_ref().map(parts).unwrap_or_default(), given)
    }
}

impl GivenWord {
    fn mistake(&self, what: String) -> TargetMistake {
        TargetMistake { origin: self.origin.clone(), what }
    }
}

/// Makes sense of the words.
pub(super) fn target(
    words: BTreeMap<String, GivenWord>,
    facts: &TargetFacts<'_>,
) -> Result<PgTarget, TargetMistake> {
    let mut words = TargetWords(words);
    let mut common = Config::new();
    let user = words.text("user").or_else(|| facts.user.clone()).ok_or_else(|| TargetMistake {
        origin: "--libpq-conninfo".to_owned(),
        what: "this user has no name on this machine: say user=NAME".to_owned(),
    })?;
    let database = words.text("dbname").unwrap_or_else(|| user.clone());
    common.user(&user).dbname(&database);
    common.application_name(words.text("application_name").unwrap_or_else(|| "ringgear".to_owned()));
    if let Some(options) = words.text("options") {
        common.options(options);
    }
    sockets(&mut words, &mut common)?;
    let tls = secrecy(&mut words, &mut common, facts)?;
    let patience = words.number("connect_timeout")?.map_or(CONNECT, Duration::from_secs);
    common.connect_timeout(patience);
    let random = words.one_of("load_balance_hosts", &["disable", "random"])? == Some("random");
    // Jobs can only be kept where one can write, so the others say the same.
    words.one_of("target_session_attrs", &["any", "read-write", "primary", "prefer-standby"])?;
    let (plain, passfile) = (words.text("password"), words.text("passfile"));
    let passfile = passfile.map(PathBuf::from).or_else(|| Some(facts.home.as_ref()?.join(".pgpass")));
    let passwords = match plain {
        None => passfile.and_then(|path| (facts.private_file)(&path)),
        Some(_) => None,
    };
    let mut hosts = places(&mut words, facts)?;
    IDLE.iter().for_each(|word| _ = words.take(word));
    if let Some((key, given)) = words.0.into_iter().next() {
        return Err(given.mistake(format!("{key} is nothing that this server can do; leave it out")));
    }
    for HostTarget { config, .. } in &mut hosts {
        let place = std::mem::replace(config, common.clone());
        let (host, port) =
            (place.get_hosts().first().cloned(), place.get_ports().first().copied().unwrap_or(PORT));
        place.get_hostaddrs().iter().for_each(|&address| _ = config.hostaddr(address));
        let known_as = match host {
            Some(tokio_postgres::config::Host::Tcp(host)) => {
                config.host(&host);
                host
            }
            Some(tokio_postgres::config::Host::Unix(folder)) => {
                // What does not leave the machine is not read on its way.
                config.host_path(&folder).ssl_mode(SslMode::Disable);
                let usual = SOCKET_FOLDERS.iter().any(|usual| folder == Path::new(usual));
                if usual { "localhost".to_owned() } else { folder.display().to_string() }
            }
            // Certificates have the name of the host, or its address.
            None => {
                let address = place.get_hostaddrs().first().map_or_else(String::new, ToString::to_string);
                config.host(&address);
                address
            }
        };
        config.port(port);
        let found = || password(passwords.as_ref()?, &known_as, port, &database, &user);
        if let Some(password) = plain.clone().or_else(found) {
            config.password(password);
        }
    }
    let names: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
    let server = format!("PostgreSQL at {}, database {database}", names.join(","));
    Ok(PgTarget { hosts, random, patience, tls, server })
}

/// How connections are held.
fn sockets(words: &mut TargetWords, config: &mut Config) -> Result<(), TargetMistake> {
    config.keepalives(words.one_of("keepalives", &["0", "1"])? != Some("0"));
    // A server that is gone is noticed in half a minute, also if nothing is sent to it.
    config.keepalives_idle(Duration::from_secs(words.number("keepalives_idle")?.unwrap_or(15)));
    config.keepalives_interval(Duration::from_secs(words.number("keepalives_interval")?.unwrap_or(5)));
    let retries = words.number("keepalives_count")?.unwrap_or(3);
    config.keepalives_retries(u32::try_from(retries).unwrap_or(u32::MAX));
    let unacknowledged = words.number("tcp_user_timeout")?.map_or(UNACKNOWLEDGED, Duration::from_millis);
    config.tcp_user_timeout(unacknowledged);
    Ok(())
}

/// Who may read what is sent.
fn secrecy(
    words: &mut TargetWords,
    config: &mut Config,
    facts: &TargetFacts<'_>,
) -> Result<TlsWish, TargetMistake> {
    let own_file = |name: &str| {
        Some(facts.home.as_ref()?.join(".postgresql").join(name)).filter(|path| (facts.is_file)(path))
    };
    let modes = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
    let origin = words.0.get("sslmode").map_or_else(|| "sslmode".to_owned(), |given| given.origin.clone());
    let mode = words.one_of("sslmode", &modes)?.unwrap_or("prefer");
    config.ssl_mode(match mode {
        "disable" => SslMode::Disable,
        "allow" | "prefer" => SslMode::Prefer,
        _ => SslMode::Require,
    });
    let root = words.take("sslrootcert").or_else(|| {
        let value = own_file("root.crt")?.display().to_string();
        Some(GivenWord { value, origin: "sslrootcert".to_owned() })
    });
    // With require, a root that is there is asked, as by libpq.
    let verifies = mode.starts_with("verify") || mode == "require" && root.is_some();
    let trust = match root {
        Some(GivenWord { value, origin }) if verifies => {
            let file = (value != "system").then(|| PathBuf::from(value));
            // Names are all that certificates of the whole world differ in.
            Trust::Roots { name: mode == "verify-full" || file.is_none(), file, origin }
        }
        None if verifies => {
            let what = "there is no file of certificates to believe: name one with sslrootcert, or say sslrootcert=system";
            return Err(TargetMistake { origin, what: what.to_owned() });
        }
        _ => Trust::Anybody,
    };
    let certificate = words.take("sslcert");
    let origin = certificate.as_ref().map_or_else(|| "sslcert".to_owned(), |given| given.origin.clone());
    let certificate =
        certificate.map(|given| PathBuf::from(given.value)).or_else(|| own_file("postgresql.crt"));
    let key = words.text("sslkey").map(PathBuf::from).or_else(|| own_file("postgresql.key"));
    let own = certificate
        .zip(key)
        .map(|(certificate, key)| (certificate, key, origin))
        .filter(|_| mode != "disable");
    config.channel_binding(match words.one_of("channel_binding", &["disable", "prefer", "require"])? {
        Some("disable") => ChannelBinding::Disable,
        Some("require") => ChannelBinding::Require,
        _ => ChannelBinding::Prefer,
    });
    words.one_of("gssencmode", &["disable", "prefer"])?;
    words.one_of("sslnegotiation", &["postgres"])?;
    if let Some(given) = words.take("client_encoding")
        && !["utf8", "utf-8", "unicode", "auto"].contains(&given.value.to_ascii_lowercase().as_str())
    {
        return Err(
            given.mistake(format!("{}: this server speaks UTF8 with databases; leave it out", given.value))
        );
    }
    Ok(TlsWish { trust, own })
}

/// The hosts, each with its place and nothing else.
fn places(words: &mut TargetWords, facts: &TargetFacts<'_>) -> Result<Vec<HostTarget>, TargetMistake> {
    let (mut names, host_given) = words.list("host");
    let (addresses, addresses_given) = words.list("hostaddr");
    let (ports, ports_given) = words.list("port");
    if names.is_empty() && addresses.is_empty() {
        names.push(String::new());
    }
    let count = names.len().max(addresses.len());
    if let (Some(_), Some(given)) = (&host_given, &addresses_given)
        && names.len() != addresses.len()
    {
        return Err(given.mistake(format!(
            "there are {} of them for {} hosts",
            addresses.len(),
            names.len()
        )));
    }
    if let Some(given) = &ports_given
        && ports.len() > 1
        && ports.len() != count
    {
        return Err(given.mistake(format!("there are {} of them for {count} hosts", ports.len())));
    }
    let mut hosts = Vec::new();
    for at in 0..count {
        let mut config = Config::new();
        let port = match ports.get(at).or_else(|| ports.first()).map(String::as_str) {
            None | Some("") => PORT,
            Some(text) => {
                let wrong = || {
                    let origin = ports_given.as_ref().map_or_else(String::new, |given| given.origin.clone());
                    TargetMistake { origin, what: format!("{text} is no port") }
                };
                text.parse().ok().filter(|&port: &u16| port > 0).ok_or_else(wrong)?
            }
        };
        config.port(port);
        let name = match names.get(at).map(String::as_str) {
            None | Some("") if addresses.is_empty() => {
                let folder = SOCKET_FOLDERS.iter().find(|folder| (facts.is_folder)(Path::new(folder)));
                folder.map_or_else(|| "localhost".to_owned(), |folder| (*folder).to_owned())
            }
            name => name.unwrap_or_default().to_owned(),
        };
        if let Some(address) = addresses.get(at).filter(|address| !address.is_empty()) {
            let wrong = |given: &GivenWord| given.mistake(format!("{address} is no address"));
            let parsed: Option<IpAddr> = address.parse().ok();
            let Some(parsed) = parsed else {
                return Err(addresses_given
                    .as_ref()
                    .map_or_else(|| TargetMistake { origin: String::new(), what: String::new() }, wrong));
            };
            config.hostaddr(parsed);
        }
        match name.as_str() {
            "" => {}
            name => _ = config.host(name),
        }
        let shown = if name.is_empty() { addresses.get(at).cloned().unwrap_or_default() } else { name };
        hosts.push(HostTarget { name: format!("{shown}:{port}"), config });
    }
    Ok(hosts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target_of(words: &[(&str, &str)]) -> Result<PgTarget, TargetMistake> {
        let given = |&(key, value): &(&str, &str)| {
            (key.to_owned(), GivenWord { value: value.to_owned(), origin: format!("here, {key}") })
        };
        let facts = TargetFacts {
            user: Some("me".to_owned()),
            home: Some("/home/me".into()),
            private_file: &|path| {
                (path == Path::new("/home/me/.pgpass"))
                    .then(|| "a:*:*:*:secret\nlocalhost:*:*:*:s".to_owned())
            },
            is_file: &|path| path == Path::new("/home/me/.postgresql/root.crt"),
            is_folder: &|path| path == Path::new("/tmp"),
        };
        target(words.iter().map(given).collect(), &facts)
    }

    #[test]
    fn what_is_not_said_is_as_with_libpq() {
        let found = target_of(&[]).unwrap();
        assert_eq!(found.server, "PostgreSQL at /tmp:5432, database me");
        let config = &found.hosts[0].config;
        assert_eq!((config.get_user(), config.get_dbname()), (Some("me"), Some("me")));
        assert_eq!((config.get_ports(), config.get_password()), (&[5432][..], Some(&b"s"[..])));
    }

    #[test]
    fn each_host_has_its_own() {
        let words = [
            ("host", "a,b"),
            ("port", "1,2"),
            ("dbname", "d"),
            ("user", "u"),
            ("load_balance_hosts", "random"),
        ];
        let found = target_of(&words).unwrap();
        assert_eq!((found.server.as_str(), found.random), ("PostgreSQL at a:1,b:2, database d", true));
        let passwords: Vec<_> = found.hosts.iter().map(|host| host.config.get_password()).collect();
        assert_eq!(passwords, [Some(&b"secret"[..]), None]);
        let found = target_of(&[("hostaddr", "::1"), ("port", "7"), ("password", "p")]).unwrap();
        assert_eq!(
            (found.server.as_str(), found.hosts[0].config.get_hosts().len()),
            ("PostgreSQL at ::1:7, database me", 1)
        );
        assert_eq!(found.hosts[0].config.get_password(), Some(&b"p"[..]));
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        for (words, said) in [
            (&[("port", "x")][..], "here, port: x is no port"),
            (&[("host", "a,b"), ("port", "1,2,3")], "here, port: there are 3 of them for 2 hosts"),
            (&[("hostaddr", "a")], "here, hostaddr: a is no address"),
            (&[("connect_timeout", "soon")], "here, connect_timeout: soon is no whole number"),
            (
                &[("requirepeer", "x")],
                "here, requirepeer: requirepeer is nothing that this server can do; leave it out",
            ),
            (
                &[("target_session_attrs", "standby")],
                "here, target_session_attrs: standby cannot be had here; it is one of any, read-write, primary, prefer-standby",
            ),
            (
                &[("client_encoding", "latin1")],
                "here, client_encoding: latin1: this server speaks UTF8 with databases; leave it out",
            ),
        ] {
            assert_eq!(target_of(words).unwrap_err().to_string(), said);
        }
        assert!(target_of(&[("sslmode", "prefer"), ("sslsni", "1"), ("client_encoding", "UTF8")]).is_ok());
    }

    #[test]
    fn what_is_secret_is_as_with_libpq() {
        let roots = |file: Option<&str>, origin: &str, name| Trust::Roots {
            file: file.map(PathBuf::from),
            origin: origin.to_owned(),
            name,
        };
        let own = "/home/me/.postgresql/root.crt";
        for (words, mode, trust) in [
            (&[][..], SslMode::Prefer, Trust::Anybody),
            (&[("sslmode", "disable")], SslMode::Disable, Trust::Anybody),
            (&[("sslmode", "allow"), ("sslrootcert", "r")], SslMode::Prefer, Trust::Anybody),
            (&[("sslmode", "require")], SslMode::Require, roots(Some(own), "sslrootcert", false)),
            (
                &[("sslmode", "verify-ca"), ("sslrootcert", "r")],
                SslMode::Require,
                roots(Some("r"), "here, sslrootcert", false),
            ),
            (&[("sslmode", "verify-full")], SslMode::Require, roots(Some(own), "sslrootcert", true)),
            (
                &[("sslmode", "verify-ca"), ("sslrootcert", "system")],
                SslMode::Require,
                roots(None, "here, sslrootcert", true),
            ),
        ] {
            let found = target_of(&[words, &[("host", "h")]].concat()).unwrap();
            assert_eq!((found.hosts[0].config.get_ssl_mode(), found.tls.trust), (mode, trust), "{words:?}");
            let socket = target_of(&[words, &[("host", "/tmp")]].concat()).unwrap();
            assert_eq!(socket.hosts[0].config.get_ssl_mode(), SslMode::Disable);
        }
        let found = target_of(&[("sslcert", "c"), ("sslkey", "k")]).unwrap();
        assert_eq!(found.tls.own, Some(("c".into(), "k".into(), "here, sslcert".to_owned())));
    }
}
