//! The file of tokens (`--control-tokens`): who may do what over HTTP. A line for each: `NAME ROLES sha256:HEX [functions=PATTERN]
//! [from=NETWORK]`. Read at the start, where what is wrong with it is a reason not to start, and again at SIGHUP, where it is not.
//! Who brings which token is in `guard.rs`.
use super::roles::{FunctionPatterns, RoleSet};
use super::secrets::{SecretDigest, chance};
use crate::log_at;
use crate::logging::Level;
use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// What every token begins with, so that it is known for what it is wherever it turns up.
const PREFIX: &str = "rg_";
/// Whoever brings no token.
const ANONYMOUS: &str = "anonymous";
/// Bytes of a file; more is none of these.
const FILE_BYTES: u64 = 1 << 20;
/// Tokens in it. All of them are compared with each that is brought.
const TOKENS_MAX: usize = 1024;
/// Bytes of a name.
const NAME_BYTES: usize = 64;
/// Why a line is none.
const FORM: &str = "a line is NAME ROLES sha256:HEX, and behind it functions=PATTERN and from=NETWORK where wanted; `ringgear token new \
                    NAME` makes one";

/// What the holder of a token may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ControlToken {
    pub(super) name: String,
    pub(super) roles: RoleSet,
    pub(super) digest: SecretDigest,
    pub(super) functions: Option<Arc<FunctionPatterns>>,
    from: Option<Vec<TokenNetwork>>,
}

/// What whoever brings no token may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Anonymous {
    roles: RoleSet,
    from: Option<Vec<TokenNetwork>>,
}

/// All that stands in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TokenList {
    tokens: Vec<ControlToken>,
    anonymous: Anonymous,
}

/// Addresses that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TokenNetwork {
    address: IpAddr,
    bits: u32,
}

impl TokenNetwork {
    fn read(text: &str) -> Option<TokenNetwork> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().ok().filter(|&bits| bits <= most)?,
            None => most,
        };
        Some(TokenNetwork { address, bits })
    }

    fn includes(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).leading_zeros() >= self.bits
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).leading_zeros() >= self.bits
            }
            _ => false,
        }
    }
}

/// Whether somebody may come from there; by a unix socket everybody may.
fn is_near(from: Option<&Vec<TokenNetwork>>, address: Option<IpAddr>) -> bool {
    match (from, address) {
        (Some(networks), Some(address)) => networks.iter().any(|network| network.includes(address)),
        _ => true,
    }
}

impl TokenList {
    /// What stands in the file, of which an error names the line.
    fn read(text: &str) -> Result<TokenList, String> {
        let mut list = TokenList::default();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                list.add(line).map_err(|why| format!("line {}: {why}", at + 1))?;
            }
        }
        Ok(list)
    }

    fn add(&mut self, line: &str) -> Result<(), String> {
        let mut words = line.split_whitespace();
        let (Some(name), Some(roles)) = (words.next(), words.next()) else { return Err(FORM.to_owned()) };
        if name.len() > NAME_BYTES || name.chars().any(char::is_control) {
            return Err(format!("a name has at most {NAME_BYTES} bytes and no control characters"));
        }
        let roles = RoleSet::read(roles)?;
        let (mut digest, mut functions, mut from) = (None, None, None);
        for word in words {
            let twice = match word.split_once(['=', ':']) {
                Some(("sha256", hex)) => {
                    let read = SecretDigest::read(hex).ok_or("behind sha256: stand 64 hexadecimal digits")?;
                    digest.replace(read).is_some()
                }
                Some(("functions", text)) => {
                    functions.replace(Arc::new(FunctionPatterns::read(text)?)).is_some()
                }
                Some(("from", text)) => {
                    let networks: Option<Vec<TokenNetwork>> =
                        text.split(',').map(TokenNetwork::read).collect();
                    let networks = networks.ok_or(
                        "from= wants addresses or networks like 10.0.0.0/8, with commas between them",
                    )?;
                    from.replace(networks).is_some()
                }
                _ => return Err(FORM.to_owned()),
            };
            if twice {
                return Err(format!("{word} says again what stands before; say it once"));
            }
        }
        if name == ANONYMOUS {
            if digest.is_some() || functions.is_some() {
                return Err(
                    "anonymous is who brings no token: it has roles, and from= where wanted".to_owned()
                );
            }
            self.anonymous = Anonymous { roles, from };
            return Ok(());
        }
        let digest = digest.ok_or(FORM)?;
        if self.tokens.iter().any(|token| token.name == name) {
            return Err(format!(
                "{name} stands in it twice; names are told in the log, so that each is of one token"
            ));
        }
        if self.tokens.len() == TOKENS_MAX {
            return Err(format!("there are more than {TOKENS_MAX} tokens; take out those that nobody uses"));
        }
        self.tokens.push(ControlToken { name: name.to_owned(), roles, digest, functions, from });
        Ok(())
    }

    /// Whose token this is, if it may be used from there. All are compared, whichever it is.
    pub(super) fn find(&self, digest: &SecretDigest, address: Option<IpAddr>) -> Option<&ControlToken> {
        let found = self
            .tokens
            .iter()
            .fold(None, |found, token| if token.digest.is(digest) { Some(token) } else { found });
        found.filter(|token| is_near(token.from.as_ref(), address))
    }

    /// What whoever brings no token may from there.
    pub(super) fn anonymous(&self, address: Option<IpAddr>) -> RoleSet {
        match is_near(self.anonymous.from.as_ref(), address) {
            true => self.anonymous.roles,
            false => RoleSet::NONE,
        }
    }
}

/// The file, and what stood in it when it was last read.
#[derive(Debug)]
pub(crate) struct TokenFile {
    path: PathBuf,
    list: RwLock<Arc<TokenList>>,
}

impl TokenFile {
    /// Reads it. An error is a sentence.
    pub(crate) fn open(path: &Path) -> Result<TokenFile, String> {
        Ok(TokenFile { path: path.to_owned(), list: RwLock::new(Arc::new(load(path)?)) })
    }

    /// Reads it again; if that cannot be, what was read before stays.
    pub(crate) fn renew(&self) {
        match load(&self.path) {
            Ok(list) => {
                log_at!(Level::Notice, "{}: {} tokens", self.path.display(), list.tokens.len());
                *self.list.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(list);
            }
            Err(why) => log_at!(Level::Error, "{why}; the tokens from before stay as they are"),
        }
    }

    pub(super) fn list(&self) -> Arc<TokenList> {
        self.list.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn load(path: &Path) -> Result<TokenList, String> {
    let shown = path.display();
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES + 1).read_to_string(&mut text));
    match read {
        Err(error) => Err(format!(
            "cannot read the tokens in {shown}: {error}; name a file that the user of the server may read"
        )),
        Ok(bytes) if bytes as u64 > FILE_BYTES => {
            Err(format!("{shown} is no list of tokens: it has more than {FILE_BYTES} bytes"))
        }
        Ok(_) => TokenList::read(&text).map_err(|why| format!("{shown}, {why}")),
    }
}

/// A new token, and the line for the file. What is wrong is a sentence.
pub(crate) fn make(name: &str, roles: RoleSet, more: &[String]) -> Result<(String, String), String> {
    let token = format!(
        "{PREFIX}{}",
        chance().map_err(|error: io::Error| format!("the system gives no chance: {error}"))?
    );
    let mut line = format!("{name} {roles} sha256:{}", SecretDigest::of(token.as_bytes()).hex());
    more.iter().for_each(|word| line.extend([" ", word]));
    if name.split_whitespace().count() != 1 || name.starts_with('#') || name == ANONYMOUS {
        return Err("the name of a token is one word, which tells in the log whose it is".to_owned());
    }
    TokenList::read(&line).map_err(|why| why.trim_start_matches("line 1: ").to_owned())?;
    Ok((token, line))
}

#[cfg(test)]
mod tests {
    use super::super::roles::HttpRole;
    use super::*;

    fn digest(of: &str) -> String {
        format!("sha256:{}", SecretDigest::of(of.as_bytes()).hex())
    }

    #[test]
    fn a_line_is_a_token() {
        let text = format!(
            "# who may what\n\nops read,operate {}\nmailer s {} functions=mail,mail-* from=10.0.0.0/8,::1\nanonymous read from=127.0.0.1\n",
            digest("one"),
            digest("two")
        );
        let list = TokenList::read(&text).unwrap();
        let find = |secret: &str, from: Option<&str>| {
            list.find(&SecretDigest::of(secret.as_bytes()), from.map(|from| from.parse().unwrap()))
        };
        let ops = find("one", Some("192.0.2.1")).unwrap();
        assert!(ops.name == "ops" && ops.roles.has(HttpRole::Operate) && !ops.roles.has(HttpRole::Submit));
        let mailer = find("two", Some("10.3.2.1")).unwrap();
        assert!(mailer.functions.as_ref().unwrap().include(b"mail-a"));
        assert!(find("two", None).is_some() && find("two", Some("::1")).is_some());
        assert!(find("two", Some("::ffff:10.0.0.1")).is_some());
        assert!(find("two", Some("11.0.0.1")).is_none() && find("two", Some("::2")).is_none());
        assert!(find("three", None).is_none());
        assert!(list.anonymous(Some("127.0.0.1".parse().unwrap())).has(HttpRole::Read));
        assert_eq!(list.anonymous(Some("127.0.0.2".parse().unwrap())), RoleSet::NONE);
        assert_eq!(TokenList::read("").unwrap().anonymous(None), RoleSet::NONE);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let right = digest("x");
        for (line, said) in [
            ("ops".to_owned(), "a line is NAME"),
            ("ops read".to_owned(), "a line is NAME"),
            (format!("ops all {right}"), "'all' is no role"),
            ("ops read sha256:12".to_owned(), "64 hexadecimal digits"),
            (format!("ops read {right} from=10.0.0.0/33"), "networks like"),
            (format!("ops read {right} {right}"), "say it once"),
            (format!("ops read {right} until=1"), "a line is NAME"),
            (format!("ops read {right}\nops read {right}"), "twice"),
            (format!("anonymous read {right}"), "who brings no token"),
        ] {
            let why = TokenList::read(&format!("\n{line}")).unwrap_err();
            assert!(why.starts_with("line ") && why.contains(said), "{line}: {why}");
        }
    }

    #[test]
    fn what_is_made_is_what_is_read() {
        let more = ["functions=a*".to_owned()];
        let (token, line) = make("ci", RoleSet::read("submit").unwrap(), &more).unwrap();
        assert!(token.starts_with(PREFIX) && token.len() == PREFIX.len() + 43);
        let list = TokenList::read(&line).unwrap();
        assert_eq!(list.find(&SecretDigest::of(token.as_bytes()), None).unwrap().name, "ci");
        assert!(
            make("two words", RoleSet::ALL, &[]).is_err() && make("anonymous", RoleSet::ALL, &[]).is_err()
        );
        assert!(make("x", RoleSet::ALL, &["from=x".to_owned()]).is_err());
    }
}
