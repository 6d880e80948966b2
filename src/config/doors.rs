//! What stands behind an address of `--listen`: `?` and words that say what the address is for. What the address itself means is in
//! `listening.rs`.
use super::mistake::Mistake;
use super::value;
use crate::access::Door;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// An address as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AskedDoor {
    /// The whole value, for whoever has to mend it.
    pub(super) value: OsString,
    /// What stands before the words.
    pub(super) name: OsString,
    pub(super) door: Door,
    /// Whether TLS is spoken there, if that is said.
    pub(super) tls: Option<bool>,
    /// Who may connect to a unix socket.
    pub(super) mode: Option<u32>,
    /// A port of its own.
    pub(super) port: Option<u16>,
}

const WORDS: &str = "behind ? stand plain, tls, admin, read-only, port=PORT or, for a unix socket, mode=MODE, with commas between them";

/// Finds the number of a port.
pub(super) type PortNumber = fn(&str) -> Option<u16>;

/// Reads the words.
pub(super) fn read(value: &OsStr, port: PortNumber) -> Result<AskedDoor, Mistake> {
    let (name, words) = match value.as_bytes().iter().position(|&byte| byte == b'?') {
        None => (value.as_bytes(), None),
        Some(at) => (&value.as_bytes()[..at], Some(&value.as_bytes()[at + 1..])),
    };
    let name = OsStr::from_bytes(name).to_owned();
    let mut asked =
        AskedDoor { value: value.to_owned(), name, door: Door::Jobs, tls: None, mode: None, port: None };
    if let Some(words) = words {
        let words = str::from_utf8(words).map_err(|_| asked.wrong(WORDS))?;
        let mut said = false;
        for word in words.split(',') {
            asked.take(word, &mut said, port).map_err(|why| asked.wrong(why))?;
        }
    }
    Ok(asked)
}

impl AskedDoor {
    /// What is wrong with it.
    pub(super) fn wrong(&self, why: &str) -> Mistake {
        Mistake::Door(self.value.to_string_lossy().into_owned(), why.to_owned())
    }

    pub(super) fn is_unix(&self) -> bool {
        self.name.as_bytes().starts_with(b"unix:")
    }

    /// `said` is whether it was said what the address is for.
    fn take(&mut self, word: &str, said: &mut bool, number: PortNumber) -> Result<(), &'static str> {
        let unix = self.is_unix();
        match word.split_once('=') {
            None => {
                let door = match word {
                    "admin" => Some(Door::Admin),
                    "read-only" => Some(Door::ReadOnly),
                    "plain" | "tls" => None,
                    _ => return Err(WORDS),
                };
                match door {
                    Some(_) if std::mem::replace(said, true) => {
                        return Err("an address is for one thing; say admin or read-only");
                    }
                    Some(door) => self.door = door,
                    None if self.tls.is_some() => return Err("say plain or tls, and that once"),
                    None if unix => return Err("a unix socket is always plain; leave that word out"),
                    None => self.tls = Some(word == "tls"),
                }
            }
            Some(("mode", _)) if !unix => {
                return Err("only the file of a unix socket has a mode; leave it out, or write unix:PATH");
            }
            Some(("mode", mode)) => {
                self.mode =
                    Some(value::mode(mode).map_err(|_| "a mode is an octal number up to 777; write one")?)
            }
            Some(("port", _)) if unix => return Err("a unix socket has no port; leave it out"),
            Some(("port", port)) => {
                let port = number(port).filter(|&number| number != 0 && !port.is_empty());
                self.port =
                    Some(port.ok_or(
                        "a port is a number from 1 to 65535 or a service in /etc/services; write one",
                    )?);
            }
            Some(_) => return Err(WORDS),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: &str) -> Result<AskedDoor, String> {
        read(OsStr::new(value), |port| port.parse().ok()).map_err(|mistake| mistake.to_string())
    }

    #[test]
    fn words_behind_an_address() {
        let plain = AskedDoor {
            value: "127.0.0.1".into(),
            name: "127.0.0.1".into(),
            door: Door::Jobs,
            tls: None,
            mode: None,
            port: None,
        };
        assert_eq!(of("127.0.0.1"), Ok(plain.clone()));
        let value = "127.0.0.1?admin,port=4731,tls";
        let admin = AskedDoor {
            value: value.into(),
            door: Door::Admin,
            tls: Some(true),
            port: Some(4731),
            ..plain.clone()
        };
        assert_eq!(of(value), Ok(admin));
        let value = "unix:/run/a,b?mode=0600,read-only";
        let unix = AskedDoor {
            value: value.into(),
            name: "unix:/run/a,b".into(),
            door: Door::ReadOnly,
            mode: Some(0o600),
            ..plain
        };
        assert_eq!(of(value), Ok(unix));
        assert_eq!(of("?read-only").unwrap().name, "", "all addresses");
    }

    #[test]
    fn words_that_mean_nothing() {
        for (value, said) in [
            ("host?", WORDS),
            ("host?admn", WORDS),
            ("host?a=b", WORDS),
            ("host?admin,read-only", "an address is for one thing; say admin or read-only"),
            ("host?plain,tls", "say plain or tls, and that once"),
            ("host?mode=600", "only the file of a unix socket has a mode; leave it out, or write unix:PATH"),
            ("unix:/s?mode=9", "a mode is an octal number up to 777; write one"),
            ("unix:/s?tls", "a unix socket is always plain; leave that word out"),
            ("unix:/s?port=1", "a unix socket has no port; leave it out"),
            ("host?port=0", "a port is a number from 1 to 65535 or a service in /etc/services; write one"),
            ("host?port=", "a port is a number from 1 to 65535 or a service in /etc/services; write one"),
        ] {
            assert_eq!(of(value), Err(format!("--listen {value}: {said}")));
        }
    }
}
