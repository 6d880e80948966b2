//! Where the database is, and as whom: gearmand's options, then option files, then what its client library takes for granted. Words
//! become the driver's options here.
use super::files::{self, FileSystem};
use super::options::{MYSQL_HOST, MysqlOptions};
use crate::store::remote::fault::RemoteFault;
use mysql::{ClientIdentity, Opts, OptsBuilder, SslOpts};
use nix::unistd::{Uid, User};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long it may take to connect, and how long an answer may.
const CONNECTING: Duration = Duration::from_secs(3);
const ANSWER: Duration = Duration::from_secs(20);
/// Where servers of this machine have their sockets: Debian's, Red Hat's, and those that were built by hand.
const SOCKETS: [&str; 3] = ["/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/tmp/mysql.sock"];

/// Where it is.
#[derive(Clone)]
pub(super) struct MyTarget {
    pub(super) opts: Opts,
    /// For messages.
    pub(super) server: String,
}

/// Where these options lead, on this machine.
pub(super) fn target(options: &MysqlOptions) -> Result<MyTarget, RemoteFault> {
    let system = FileSystem {
        file: &|path| fs::read_to_string(path),
        folder: &|path| {
            fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
        },
    };
    let words = files::read(&option_files(), &system).map_err(RemoteFault::other)?;
    Ok(made_of(options, &words, std::env::var("MYSQL_UNIX_PORT").ok()))
}

/// The files that gearmand's client library reads.
fn option_files() -> Vec<PathBuf> {
    let user = User::from_uid(Uid::effective()).ok().flatten();
    let home = std::env::var_os("HOME").map(PathBuf::from).or_else(|| Some(user?.dir));
    let mut files = vec![PathBuf::from("/etc/my.cnf"), PathBuf::from("/etc/mysql/my.cnf")];
    files.extend(std::env::var_os("MYSQL_HOME").map(|home| Path::new(&home).join("my.cnf")));
    files.extend(home.map(|home| home.join(".my.cnf")));
    files
}

fn made_of(
    options: &MysqlOptions,
    words: &BTreeMap<String, Option<String>>,
    socket: Option<String>,
) -> MyTarget {
    let said = |option: &Option<String>, word: &str| {
        let option = option.clone().filter(|value| !value.is_empty());
        option.or_else(|| words.get(word)?.clone()).filter(|value| !value.is_empty())
    };
    let user =
        said(&options.user, "user").or_else(|| Some(User::from_uid(Uid::effective()).ok().flatten()?.name));
    let password = said(&options.password, "password");
    let database = said(&options.database, "database");
    let by_socket = options.host.is_empty() || options.host == MYSQL_HOST || options.host.starts_with('/');
    let base = OptsBuilder::new()
        .prefer_socket(false)
        .user(user)
        .pass(password)
        .db_name(database.clone())
        .stmt_cache_size(0)
        .tcp_connect_timeout(Some(CONNECTING))
        .read_timeout(Some(ANSWER))
        .write_timeout(Some(ANSWER));
    let (base, place) = if by_socket {
        let path = if options.host.starts_with('/') {
            options.host.clone()
        } else {
            let usual = || SOCKETS.iter().find(|path| Path::new(path).exists()).unwrap_or(&SOCKETS[0]);
            socket.or_else(|| words.get("socket")?.clone()).unwrap_or_else(|| (*usual()).to_owned())
        };
        (base.socket(Some(path.clone())), path)
    } else {
        let tcp = base
            .ip_or_hostname(Some(options.host.clone()))
            .tcp_port(options.port)
            .tcp_keepalive_time_ms(Some(15_000))
            .tcp_user_timeout_ms(Some(20_000))
            .ssl_opts(encryption(words));
        let host =
            if options.host.contains(':') { format!("[{}]", options.host) } else { options.host.clone() };
        (tcp, format!("{host}:{}", options.port))
    };
    let database = database.map_or_else(String::new, |database| format!(", database {database}"));
    MyTarget { opts: base.into(), server: format!("MySQL at {place}{database}") }
}

/// Whether the connection is to be secret, and whom we believe: only option files say so, as with gearmand.
fn encryption(words: &BTreeMap<String, Option<String>>) -> Option<SslOpts> {
    let value = |word: &str| words.get(word).cloned().flatten();
    let is_on = |word: &str| match words.get(word) {
        None => false,
        Some(None) => true,
        Some(Some(value)) => !["0", "off", "false", "no"].contains(&value.to_ascii_lowercase().as_str()),
    };
    let mode = value("ssl-mode").unwrap_or_default().to_ascii_uppercase();
    let (roots, certificate, key) = (value("ssl-ca"), value("ssl-cert"), value("ssl-key"));
    let wanted = is_on("ssl")
        || is_on("ssl-verify-server-cert")
        || roots.is_some()
        || certificate.is_some()
        || ["REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"].contains(&mode.as_str());
    if !wanted
        || mode == "DISABLED"
        || words.contains_key("skip-ssl")
        || (words.contains_key("ssl") && !is_on("ssl"))
    {
        return None;
    }
    let name = is_on("ssl-verify-server-cert") || mode == "VERIFY_IDENTITY";
    let chain = name || mode == "VERIFY_CA" || roots.is_some();
    let opts = SslOpts::default()
        .with_root_cert_path(roots.map(PathBuf::from))
        .with_danger_skip_domain_validation(!name)
        .with_danger_accept_invalid_certs(!chain);
    let identity = certificate
        .zip(key)
        .map(|(certificate, key)| ClientIdentity::new(PathBuf::from(certificate), PathBuf::from(key)));
    Some(opts.with_client_identity(identity))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(of: &[(&str, &str)]) -> BTreeMap<String, Option<String>> {
        of.iter().map(|(word, value)| ((*word).to_owned(), Some((*value).to_owned()))).collect()
    }

    #[test]
    fn options_come_before_files_and_localhost_is_a_socket() {
        let files = words(&[("user", "u"), ("database", "d"), ("socket", "/s"), ("host", "elsewhere")]);
        let target = made_of(&MysqlOptions::default(), &files, None);
        assert_eq!(target.server, "MySQL at /s, database d");
        assert_eq!((target.opts.get_user(), target.opts.get_socket()), (Some("u"), Some("/s")));
        let options = MysqlOptions {
            host: "db".to_owned(),
            user: Some("me".to_owned()),
            database: Some("mine".to_owned()),
            ..MysqlOptions::default()
        };
        let target = made_of(&options, &files, Some("/t".to_owned()));
        assert_eq!(target.server, "MySQL at db:3306, database mine");
        assert_eq!((target.opts.get_user(), target.opts.get_socket()), (Some("me"), None));
        let target = made_of(&MysqlOptions::default(), &files, Some("/t".to_owned()));
        assert_eq!(target.server, "MySQL at /t, database d");
    }

    #[test]
    fn files_ask_for_encryption() {
        let of = |pairs: &[(&str, &str)]| encryption(&words(pairs));
        assert!(of(&[]).is_none() && of(&[("ssl-mode", "DISABLED"), ("ssl-ca", "/c")]).is_none());
        assert!(of(&[("ssl", "0"), ("ssl-ca", "/c")]).is_none());
        let opts = of(&[("ssl-mode", "REQUIRED")]).unwrap();
        assert!(opts.accept_invalid_certs());
        let opts = of(&[("ssl-ca", "/c")]).unwrap();
        assert!(!opts.accept_invalid_certs() && opts.skip_domain_validation());
        let opts = of(&[("ssl-ca", "/c"), ("ssl-verify-server-cert", "1")]).unwrap();
        assert!(!opts.accept_invalid_certs() && !opts.skip_domain_validation());
    }
}
