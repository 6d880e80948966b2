//! What libpq takes from its surroundings where a connection string says nothing: `PG*` variables, service files, password
//! files. Words and values in, words and values out; what they mean to the driver is `target.rs`.
use super::conninfo;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Variables, and the words that they stand for.
const VARIABLES: &[(&str, &str)] = &[
    ("PGHOST", "host"),
    ("PGHOSTADDR", "hostaddr"),
    ("PGPORT", "port"),
    ("PGDATABASE", "dbname"),
    ("PGUSER", "user"),
    ("PGPASSWORD", "password"),
    ("PGPASSFILE", "passfile"),
    ("PGOPTIONS", "options"),
    ("PGAPPNAME", "application_name"),
    ("PGCONNECT_TIMEOUT", "connect_timeout"),
    ("PGCLIENTENCODING", "client_encoding"),
    ("PGTARGETSESSIONATTRS", "target_session_attrs"),
    ("PGLOADBALANCEHOSTS", "load_balance_hosts"),
    ("PGCHANNELBINDING", "channel_binding"),
    ("PGGSSENCMODE", "gssencmode"),
    ("PGREQUIREPEER", "requirepeer"),
    ("PGREQUIREAUTH", "require_auth"),
    ("PGSSLMODE", "sslmode"),
    ("PGSSLNEGOTIATION", "sslnegotiation"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGSSLCERT", "sslcert"),
    ("PGSSLKEY", "sslkey"),
    ("PGSSLCRL", "sslcrl"),
    ("PGSSLCRLDIR", "sslcrldir"),
    ("PGSSLMINPROTOCOLVERSION", "ssl_min_protocol_version"),
    ("PGSSLMAXPROTOCOLVERSION", "ssl_max_protocol_version"),
];

/// Where Debian's libpq has its files.
const SYSTEM_FOLDER: &str = "/etc/postgresql-common";

/// What is wrong with what says where the database is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TargetMistake {
    /// The option, variable or file, and the word in it.
    pub(super) origin: String,
    /// What is wrong, and what to do.
    pub(super) what: String,
}

impl fmt::Display for TargetMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.what)
    }
}

/// A value, and where it is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GivenWord {
    pub(super) value: String,
    /// For messages: the option, variable or file.
    pub(super) origin: String,
}

/// The machine that we are on, as far as it counts.
pub(super) struct Machine<'a> {
    /// A variable of the environment.
    pub(super) variable: &'a dyn Fn(&str) -> Option<String>,
    /// The text of a file; not there is not an error for those that need not be there.
    pub(super) file: &'a dyn Fn(&Path) -> io::Result<String>,
    /// Where this user has files of its own.
    pub(super) home: Option<PathBuf>,
}

/// All that is said of the database: by the words of a connection string, then by the service that they name, then by
/// variables.
pub(super) fn settle(
    conninfo: &str,
    machine: &Machine<'_>,
) -> Result<BTreeMap<String, GivenWord>, TargetMistake> {
    let option = || "--libpq-conninfo".to_owned();
    let words = conninfo::read(conninfo).map_err(|what| TargetMistake { origin: option(), what })?;
    let mut given = BTreeMap::new();
    for (key, value) in words {
        // Empty is as if it was not there, as in libpq.
        let origin = format!("--libpq-conninfo, {key}");
        if value.is_empty() {
            given.remove(&key)
        } else {
            given.insert(key, GivenWord { value, origin })
        };
    }
    let service = given.remove("service");
    let variable = || (machine.variable)("PGSERVICE").filter(|value| !value.is_empty());
    let service = service.or_else(|| {
        Some(GivenWord { value: variable()?, origin: "PGSERVICE in the environment".to_owned() })
    });
    if let Some(service) = service {
        add_service(&service, machine, &mut given)?;
    }
    for (name, key) in VARIABLES {
        if let Some(value) = (machine.variable)(name).filter(|value| !value.is_empty()) {
            let origin = format!("{name} in the environment");
            given.entry((*key).to_owned()).or_insert(GivenWord { value, origin });
        }
    }
    Ok(given)
}

/// Adds what a service file says, where nothing was said yet.
fn add_service(
    service: &GivenWord,
    machine: &Machine<'_>,
    given: &mut BTreeMap<String, GivenWord>,
) -> Result<(), TargetMistake> {
    let named = (machine.variable)("PGSERVICEFILE").map(PathBuf::from);
    let own = named.or_else(|| Some(machine.home.as_ref()?.join(".pg_service.conf")));
    let folder = (machine.variable)("PGSYSCONFDIR").unwrap_or_else(|| SYSTEM_FOLDER.to_owned());
    let files = own.into_iter().chain([Path::new(&folder).join("pg_service.conf")]);
    for path in files {
        let Ok(text) = (machine.file)(&path) else { continue };
        let header = format!("[{}]", service.value);
        let mut lines = text.lines().map(str::trim).skip_while(|line| *line != header);
        if lines.next().is_none() {
            continue;
        }
        for line in lines.take_while(|line| !line.starts_with('[')) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let origin = format!("{}, service {}", path.display(), service.value);
            let Some((key, value)) = line.split_once('=') else {
                return Err(TargetMistake { origin, what: format!("there is no = in the line {line}") });
            };
            let given_here =
                GivenWord { value: value.trim().to_owned(), origin: format!("{origin}, {}", key.trim()) };
            given.entry(key.trim().to_owned()).or_insert(given_here);
        }
        return Ok(());
    }
    let what = format!("there is no service {} in any service file; see PGSERVICEFILE", service.value);
    Err(TargetMistake { origin: service.origin.clone(), what })
}

/// The password that a password file has for this place, if there is such a file and such a line.
pub(super) fn password(text: &str, host: &str, port: u16, database: &str, user: &str) -> Option<String> {
    let wanted = [host.to_owned(), port.to_string(), database.to_owned(), user.to_owned()];
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut fields = fields(line).into_iter();
        let fits = wanted.iter().all(|wanted| {
            fields.next().is_some_and(|(field, escaped)| (field == "*" && !escaped) || field == *wanted)
        });
        fits.then(|| fields.next().map(|(password, _)| password)).flatten()
    })
}

/// The fields of a line of a password file, each with whether something in it was taken as it is.
fn fields(line: &str) -> Vec<(String, bool)> {
    let mut fields = vec![(String::new(), false)];
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        let more = fields.len() < 5;
        // There is always a last one.
        let Some((field, escaped)) = fields.last_mut() else { break };
        match letter {
            '\\' => {
                field.extend(letters.next());
                *escaped = true;
            }
            ':' if more => fields.push((String::new(), false)),
            letter => field.push(letter),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(
        conninfo: &str,
        variables: &[(&str, &str)],
        files: &[(&str, &str)],
    ) -> Result<String, TargetMistake> {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let file = |path: &Path| {
            let found = files.iter().find(|(known, _)| Path::new(known) == path);
            found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| io::ErrorKind::NotFound.into())
        };
        let machine = Machine { variable: &variable, file: &file, home: Some("/home/me".into()) };
        let words: Vec<String> = settle(conninfo, &machine)?
            .into_iter()
            .map(|(key, given)| format!("{key}={}", given.value))
            .collect();
        Ok(words.join(" "))
    }

    #[test]
    fn the_string_comes_before_the_service_and_that_before_variables() {
        let variables = [("PGHOST", "v"), ("PGUSER", "v"), ("PGSERVICE", "jobs"), ("PGPORT", "")];
        let files =
            [("/home/me/.pg_service.conf", "# mine\n[other]\nhost=o\n[jobs]\nhost=s\n dbname = s\n[x]\n")];
        assert_eq!(settled("dbname=c", &variables, &files).unwrap(), "dbname=c host=s user=v");
        assert_eq!(settled("dbname=c", &variables[..2], &[]).unwrap(), "dbname=c host=v user=v");
        assert_eq!(settled("host=''", &variables[..1], &[]).unwrap(), "host=v");
        let system = [("/etc/postgresql-common/pg_service.conf", "[jobs]\nhost=system")];
        assert_eq!(settled("service=jobs", &[], &system).unwrap(), "host=system");
        let named = [("/f", "[jobs]\nhost=f")];
        assert_eq!(settled("service=jobs", &[("PGSERVICEFILE", "/f")], &named).unwrap(), "host=f");
    }

    #[test]
    fn mistakes_name_where_they_stand() {
        for (conninfo, variables, files, said) in [
            ("host", &[][..], &[][..], "--libpq-conninfo: there is no = behind host"),
            (
                "",
                &[("PGSERVICE", "s")],
                &[],
                "PGSERVICE in the environment: there is no service s in any service file; see PGSERVICEFILE",
            ),
            (
                "service=s",
                &[],
                &[("/home/me/.pg_service.conf", "[s]\nhost")],
                "/home/me/.pg_service.conf, service s: there is no = in the line host",
            ),
        ] {
            assert_eq!(settled(conninfo, variables, files).unwrap_err().to_string(), said);
        }
    }

    #[test]
    fn password_files_have_the_first_line_that_fits() {
        let text = "# h:*:*:*:no\nother:5432:d:u:no\nh:5432:d:u:one\\:two:three\n*:*:*:*:any\n";
        assert_eq!(password(text, "h", 5432, "d", "u").as_deref(), Some("one:two:three"));
        assert_eq!(password(text, "h", 5433, "d", "u").as_deref(), Some("any"));
        assert_eq!(password("h:1:d:u", "h", 1, "d", "u"), None);
        assert_eq!(password("\\*:*:*:*:x", "h", 1, "d", "u"), None);
    }
}
