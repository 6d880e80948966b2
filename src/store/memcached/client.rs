//! A connection to one memcached: the lines of its protocol that we need. No library that is kept knows the list of all keys
//! (`lru_crawler metadump`) and lets keys be bytes and flags be numbers.
use crate::store::remote::fault::{RemoteFault, RemoteTrouble};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::thread;
use std::time::{Duration, Instant};

/// How long it may take to connect, and how long an answer may.
const CONNECTING: Duration = Duration::from_secs(3);
const ANSWER: Duration = Duration::from_secs(10);
/// The longest line that is read: a key is 250 bytes, three letters each in a list.
const LINE: u64 = 4096;
/// Somebody else may have a list made.
const BUSY: Duration = Duration::from_secs(5);
/// Requests and bytes of which the answers are not read yet.
const REQUESTS: usize = 500;
const BYTES: usize = 1 << 20;
/// Keys of one request.
const KEYS: usize = 100;

/// A request that changes something.
#[derive(Clone, Copy, Debug)]
pub(super) enum McRequest<'a> {
    /// Keeps this, unless there is something.
    Add { key: &'a [u8], flags: u32, value: &'a [u8] },
    /// Keeps this.
    Set { key: &'a [u8], flags: u32, value: &'a [u8] },
    /// Drops what is there.
    Delete { key: &'a [u8] },
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum McAnswer {
    /// It is done; deleting what is not there is.
    Done,
    /// There is something already.
    Taken,
}

/// An item of a list: when it was last used, in seconds since 1970.
#[derive(Debug)]
pub(super) struct McListed {
    pub(super) key: Vec<u8>,
    pub(super) used: u64,
}

/// Hears of an item: key, flags, value.
pub(super) type McListener<'l> = &'l mut dyn FnMut(&[u8], u32, &[u8]) -> Result<(), RemoteFault>;

/// A connection.
pub(super) struct McConnection {
    stream: BufReader<TcpStream>,
    name: String,
}

impl McConnection {
    pub(super) fn open((host, port): &(String, u16)) -> Result<McConnection, RemoteFault> {
        let name = format!("{host}:{port}");
        let away = |error: std::io::Error| RemoteFault::away(format!("{name}: {error}"));
        let mut last = RemoteFault::away(format!("{name}: the name has no address"));
        for address in (host.as_str(), *port).to_socket_addrs().map_err(away)? {
            match TcpStream::connect_timeout(&address, CONNECTING) {
                Ok(stream) => {
                    stream.set_nodelay(true).map_err(away)?;
                    stream.set_read_timeout(Some(ANSWER)).map_err(away)?;
                    stream.set_write_timeout(Some(ANSWER)).map_err(away)?;
                    return Ok(McConnection { stream: BufReader::new(stream), name });
                }
                Err(error) => last = away(error),
            }
        }
        Err(last)
    }

    fn fault(&self, error: &std::io::Error) -> RemoteFault {
        RemoteFault::away(format!("{}: {error}", self.name))
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), RemoteFault> {
        self.stream.get_mut().write_all(bytes).map_err(|error| self.fault(&error))
    }

    /// A line without its end.
    fn line(&mut self) -> Result<Vec<u8>, RemoteFault> {
        let mut line = Vec::new();
        let read = (&mut self.stream).take(LINE).read_until(b'\n', &mut line);
        read.map_err(|error| self.fault(&error))?;
        if line.pop() != Some(b'\n') {
            return Err(RemoteFault::away(format!("{}: the connection was closed", self.name)));
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(line)
    }

    /// What is wrong, if this line says so. The server may go on with what it had not read; it is not to be used any more.
    fn refusal(&self, line: &[u8]) -> RemoteFault {
        let said = String::from_utf8_lossy(line).into_owned();
        let trouble = match said.as_str() {
            _ if said.contains("out of memory") => RemoteTrouble::Full,
            _ if said.contains("too large") => RemoteTrouble::Unfit,
            _ if said.contains("unauthenticated") || said.contains("auth") => RemoteTrouble::Refused,
            _ => RemoteTrouble::Away,
        };
        RemoteFault::new(trouble, format!("{}: {said}", self.name))
    }

    /// What it says of itself under this name (`stats`, `stats settings`).
    pub(super) fn stats(&mut self, request: &str) -> Result<Vec<(String, String)>, RemoteFault> {
        self.send(format!("{request}\r\n").as_bytes())?;
        let mut stats = Vec::new();
        loop {
            let line = self.line()?;
            let text = String::from_utf8_lossy(&line).into_owned();
            let mut words = text.splitn(3, ' ');
            match (words.next(), words.next(), words.next()) {
                (Some("STAT"), Some(name), value) => {
                    stats.push((name.to_owned(), value.unwrap_or("").to_owned()));
                }
                (Some("END"), ..) => return Ok(stats),
                _ => return Err(self.refusal(&line)),
            }
        }
    }

    /// All keys.
    pub(super) fn list(&mut self) -> Result<Vec<McListed>, RemoteFault> {
        let begin = Instant::now();
        'again: loop {
            self.send(b"lru_crawler metadump all\r\n")?;
            let mut all = Vec::new();
            loop {
                let line = self.line()?;
                if line == b"END" {
                    return Ok(all);
                }
                if line.starts_with(b"BUSY") && begin.elapsed() < BUSY {
                    thread::sleep(Duration::from_millis(50));
                    continue 'again;
                }
                match listed(&line) {
                    Some(item) => all.push(item),
                    None => {
                        let said = String::from_utf8_lossy(&line).into_owned();
                        let what = format!(
                            "{}: {said}: it does not list its keys (lru_crawler metadump, 1.4.31 and later): upgrade it, or start it \
                             with -o lru_crawler",
                            self.name
                        );
                        return Err(RemoteFault::refused(what));
                    }
                }
            }
        }
    }

    /// Carries these out, in their order: what became of each.
    pub(super) fn change(&mut self, requests: &[McRequest<'_>]) -> Result<Vec<McAnswer>, RemoteFault> {
        let (mut answers, mut bytes, mut waiting) = (Vec::with_capacity(requests.len()), Vec::new(), 0);
        for (at, request) in requests.iter().enumerate() {
            request.write(&mut bytes);
            waiting += 1;
            if waiting < REQUESTS && bytes.len() < BYTES && at + 1 < requests.len() {
                continue;
            }
            self.send(&bytes)?;
            bytes.clear();
            let mut first = None;
            for _ in 0..std::mem::take(&mut waiting) {
                let line = self.line()?;
                match &line[..] {
                    b"STORED" | b"DELETED" | b"NOT_FOUND" => answers.push(McAnswer::Done),
                    b"NOT_STORED" => answers.push(McAnswer::Taken),
                    _ => {
                        let fault = self.refusal(&line);
                        // Behind it nobody knows which answer is whose.
                        if fault.trouble == RemoteTrouble::Away {
                            return Err(fault);
                        }
                        first.get_or_insert(fault);
                    }
                }
            }
            if let Some(fault) = first {
                return Err(fault);
            }
        }
        Ok(answers)
    }

    /// Tells what stands under these keys: key, flags, value.
    pub(super) fn get(&mut self, keys: &[&[u8]], each: McListener<'_>) -> Result<(), RemoteFault> {
        for keys in keys.chunks(KEYS) {
            self.send(&[b"get ", &keys.join(&b' ')[..], b"\r\n"].concat())?;
            loop {
                let line = self.line()?;
                if line == b"END" {
                    break;
                }
                let Some((key, flags, length)) = value(&line) else { return Err(self.refusal(&line)) };
                let mut bytes = vec![0; length + 2];
                self.stream.read_exact(&mut bytes).map_err(|error| self.fault(&error))?;
                each(key, flags, &bytes[..length])?;
            }
        }
        Ok(())
    }
}

impl McRequest<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let (word, key, flags, value) = match *self {
            McRequest::Delete { key } => {
                out.extend_from_slice(&[b"delete ", key, b"\r\n"].concat());
                return;
            }
            McRequest::Add { key, flags, value } => (&b"add "[..], key, flags, value),
            McRequest::Set { key, flags, value } => (&b"set "[..], key, flags, value),
        };
        out.extend_from_slice(word);
        out.extend_from_slice(key);
        out.extend_from_slice(format!(" {flags} 0 {}\r\n", value.len()).as_bytes());
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
}

/// `VALUE key flags length`.
fn value(line: &[u8]) -> Option<(&[u8], u32, usize)> {
    let mut words = line.strip_prefix(b"VALUE ")?.split(|&byte| byte == b' ');
    let key = words.next()?;
    let mut number = || std::str::from_utf8(words.next()?).ok()?.parse::<u32>().ok();
    let (flags, length) = (number()?, number()?);
    // Nothing that we keep is longer, and a server may say anything.
    (length <= crate::store::record::LENGTH_MAX).then_some((key, flags, length as usize))
}

/// `key=... exp=-1 la=1700000000 ...`: letters of a key may be written as `%20`.
fn listed(line: &[u8]) -> Option<McListed> {
    let mut words = line.split(|&byte| byte == b' ');
    let mut rest = words.next()?.strip_prefix(b"key=")?;
    let mut key = Vec::with_capacity(rest.len());
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        if byte == b'%' {
            let (digits, behind) = rest.split_at_checked(2)?;
            key.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = behind;
        } else {
            key.push(byte);
        }
    }
    let used = words.find_map(|word| std::str::from_utf8(word.strip_prefix(b"la=")?).ok()?.parse().ok());
    Some(McListed { key, used: used.unwrap_or(0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let item = listed(b"key=gear_rev%2Du%20 exp=-1 la=1700000000 cas=1 fetch=no cls=1 size=70").unwrap();
        assert_eq!((&item.key[..], item.used), (&b"gear_rev-u "[..], 1_700_000_000));
        assert!(listed(b"ERROR").is_none() && listed(b"key=%f").is_none());
        assert_eq!(value(b"VALUE k 2 10"), Some((&b"k"[..], 2, 10)));
        assert_eq!((value(b"VALUE k 2"), value(b"VALUE k 0 4294967295"), value(b"END")), (None, None, None));
    }
}
