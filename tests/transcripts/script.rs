//! The script format, both ways: text to steps, and received bytes to the text that would expect them.
//! `README.md` beside this file explains it to whoever writes scripts. Nothing here knows a server.
use ringgear::protocol::{HEADER_LEN, Header, Magic, PacketType};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Who plays a line, or a whole script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// gearmand 1.1.20.
    Gearmand,
    /// Ringgear, on sockets and in pretend time.
    Ringgear,
    /// Ringgear's engines in pretend time, where milliseconds are exact.
    Pretend,
    /// Ringgear on sockets.
    Sockets,
}

impl Audience {
    fn parse(word: &str) -> Result<Audience, String> {
        Ok(match word {
            "gearmand" => Audience::Gearmand,
            "ringgear" => Audience::Ringgear,
            "pretend" => Audience::Pretend,
            "sockets" => Audience::Sockets,
            _ => return Err(format!("`{word}` is neither gearmand, ringgear, pretend nor sockets")),
        })
    }

    /// Whether something for `self` concerns a stage, which is never `Ringgear`.
    pub(crate) fn includes(self, stage: Audience) -> bool {
        self == stage || self == Audience::Ringgear && stage != Audience::Gearmand
    }
}

/// A file of `tests/transcripts` or `tests/replays`.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// The file's name without `.txt`.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) path: PathBuf,
    /// The file's lines as they stand, for rewriting.
    pub(crate) text: Vec<String>,
    /// `only:`
    pub(crate) only: Option<Audience>,
    /// `server:`, each with the audience it is for.
    pub(crate) options: Vec<(Option<Audience>, Vec<String>)>,
    pub(crate) lines: Vec<Line>,
}

/// A line that does something.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Counted from 1.
    pub(crate) number: usize,
    /// What stands before the bar.
    pub(crate) audience: Option<Audience>,
    pub(crate) step: Step,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// `c> ...` and, with `more`, `c+ ...`: the bytes leave with those of the next line.
    Send { name: String, template: Template, more: bool },
    /// `c< PACKET ...`
    Packet { name: String, expected: Expected },
    /// `c< "..."`
    Text { name: String, template: Template },
    /// `c< unordered "..."`: the lines before the last may come in any order.
    Lines { name: String, templates: Vec<Template> },
    /// `c< ?`: to be found out by rewriting.
    Unknown { name: String },
    /// `c silent 200ms`
    Silent { name: String, duration: Duration },
    /// `c closes`
    Closes { name: String },
    /// `c finishes`: sends FIN, still reads.
    Finishes { name: String },
    /// `c is closed`, by the server.
    IsClosed { name: String },
    /// `wait 50ms`
    Wait { duration: Duration },
    /// `signal SIGTERM`, to the server.
    Signal { signal: String },
    /// `exits`: the server ends by itself, with status 0.
    Exits,
}

/// One packet to be received.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) packet: PacketType,
    pub(crate) data: Template,
}

/// Bytes with holes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Bytes(Vec<u8>),
    /// `$1`, `$job`: bound where it is first received.
    Variable(String),
    /// `$NUMBER`: a decimal number.
    Number,
    /// `$VERSION`: printable characters up to what follows.
    Version,
    /// `$PID`: the process id of the server.
    Pid,
    /// `$NOW`, `$NOW+2`: the wall clock in seconds, when it is sent.
    Now(u64),
    /// The length of a packet's data and the data: only for sending.
    Sized(Template),
}

/// What variables stand for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bindings {
    pub(crate) variables: BTreeMap<String, Vec<u8>>,
    pub(crate) pid: u32,
}

impl Script {
    pub(crate) fn parse(name: &str, path: &Path, text: &str) -> Result<Script, String> {
        let mut script = Script {
            name: name.to_owned(),
            path: path.to_owned(),
            text: text.lines().map(str::to_owned).collect(),
            only: None,
            options: Vec::new(),
            lines: Vec::new(),
        };
        for (index, line) in text.lines().enumerate() {
            script
                .parse_line(index + 1, line)
                .map_err(|error| format!("{name}.txt:{}: {error}", index + 1))?;
        }
        Ok(script)
    }

    fn parse_line(&mut self, number: usize, line: &str) -> Result<(), String> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        let (audience, line) = split_audience(line)?;
        if let Some(options) = line.strip_prefix("server:") {
            self.options.push((audience, options.split_whitespace().map(str::to_owned).collect()));
        } else if let Some(only) = line.strip_prefix("only:") {
            self.only = Some(Audience::parse(only.trim())?);
        } else {
            self.lines.push(Line { number, audience, step: parse_step(line)? });
        }
        Ok(())
    }

    /// The options of the server on a stage.
    pub(crate) fn options(&self, stage: Audience) -> Vec<String> {
        let ours = self.options.iter().filter(|(audience, _)| audience.is_none_or(|a| a.includes(stage)));
        ours.flat_map(|(_, words)| words.iter().cloned()).collect()
    }

    /// Whether it is to be played on a stage.
    pub(crate) fn is_for(&self, stage: Audience) -> bool {
        self.only.is_none_or(|only| only.includes(stage))
    }

    /// The steps for a stage.
    pub(crate) fn lines(&self, stage: Audience) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(move |line| line.audience.is_none_or(|a| a.includes(stage)))
    }

    /// Whether it needs a process that takes signals.
    pub(crate) fn needs_process(&self) -> bool {
        self.lines.iter().any(|line| matches!(line.step, Step::Signal { .. } | Step::Exits))
    }
}

/// `gearmand| rest`; a bar further right is the business of `rest`.
fn split_audience(line: &str) -> Result<(Option<Audience>, &str), String> {
    match line.split_once('|') {
        Some((word, rest)) if word.bytes().all(|b| b.is_ascii_lowercase()) => {
            Ok((Some(Audience::parse(word)?), rest.trim_start()))
        }
        _ => Ok((None, line)),
    }
}

fn parse_step(line: &str) -> Result<Step, String> {
    let end = line.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    if name.is_empty() {
        return Err("a line begins with the name of a connection".to_owned());
    }
    let name = name.to_owned();
    let (mark, content) = rest.split_at(rest.len().min(1));
    match mark {
        ">" | "+" => Ok(Step::Send { name, template: parse_sent(content.trim())?, more: mark == "+" }),
        "<" => parse_received(name, content.trim()),
        _ => parse_deed(name, rest.trim()),
    }
}

fn parse_deed(name: String, rest: &str) -> Result<Step, String> {
    let words: Vec<&str> = rest.split_whitespace().collect();
    match (name.as_str(), words.as_slice()) {
        ("wait", [duration]) => Ok(Step::Wait { duration: parse_duration(duration)? }),
        ("signal", [signal]) => Ok(Step::Signal { signal: (*signal).to_owned() }),
        ("exits", []) => Ok(Step::Exits),
        (_, ["silent", duration]) => Ok(Step::Silent { name, duration: parse_duration(duration)? }),
        (_, ["closes"]) => Ok(Step::Closes { name }),
        (_, ["finishes"]) => Ok(Step::Finishes { name }),
        (_, ["is", "closed"]) => Ok(Step::IsClosed { name }),
        _ => Err(format!("nobody knows what `{name} {rest}` is")),
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let millis = text.strip_suffix("ms").and_then(|digits| digits.parse().ok());
    millis.map(Duration::from_millis).ok_or_else(|| format!("`{text}` is no duration such as 200ms"))
}

/// What a peer sends: bytes in quotes, or a packet.
fn parse_sent(text: &str) -> Result<Template, String> {
    if text.starts_with('"') {
        return Ok(words(text)?.into_iter().fold(Template::default(), Template::then));
    }
    let (magic, text) = match text.strip_prefix("response ") {
        Some(rest) => (Magic::Response, rest),
        None => (Magic::Request, text),
    };
    let (number, data) = match text.strip_prefix("command ") {
        Some(rest) => parse_unchecked(rest)?,
        None => parse_packet(text).map(|expected| (expected.packet.number(), expected.data))?,
    };
    let mut header = magic.bytes().to_vec();
    header.extend(number.to_be_bytes());
    Ok(Template(vec![Piece::Bytes(header), Piece::Sized(data)]))
}

/// `command 43 "data"`, `command SUBMIT_JOB "data"`: the data as it is, for packets that no peer should send.
fn parse_unchecked(text: &str) -> Result<(u32, Template), String> {
    let (command, rest) = text.split_once(' ').unwrap_or((text, ""));
    let number = match command.parse() {
        Ok(number) => number,
        Err(_) => packet_named(command)?.number(),
    };
    Ok((number, words(rest)?.into_iter().fold(Template::default(), Template::then)))
}

/// `NAME argument ... payload`, as many words as the table says.
fn parse_packet(text: &str) -> Result<Expected, String> {
    let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
    let packet = packet_named(name)?;
    let words = words(rest)?;
    let wanted = packet.arguments().len() + usize::from(packet.has_payload());
    if words.len() != wanted {
        let mut names = packet.arguments().to_vec();
        names.extend(packet.payload());
        return Err(format!("{name} has {wanted} words ({}), here are {}", names.join(", "), words.len()));
    }
    let data = words.into_iter().enumerate().fold(Template::default(), |data, (index, word)| {
        let data = if index == 0 { data } else { data.then(Template(vec![Piece::Bytes(vec![0])])) };
        data.then(word)
    });
    Ok(Expected { packet, data })
}

fn packet_named(name: &str) -> Result<PacketType, String> {
    let found = PacketType::ALL.iter().find(|packet| packet.name() == name);
    found.copied().ok_or_else(|| format!("there is no packet {name}"))
}

fn parse_received(name: String, text: &str) -> Result<Step, String> {
    if text == "?" {
        return Ok(Step::Unknown { name });
    }
    if let Some(text) = text.strip_prefix("unordered ") {
        let whole = words(text)?.into_iter().fold(Template::default(), Template::then);
        return Ok(Step::Lines { name, templates: whole.lines() });
    }
    if text.starts_with('"') {
        let template = words(text)?.into_iter().fold(Template::default(), Template::then);
        return Ok(Step::Text { name, template });
    }
    Ok(Step::Packet { name, expected: parse_packet(text)? })
}

/// The words of a line. A word is pieces without blanks between: `plain`, `"quoted"`, `$1`, each perhaps `*64`.
fn words(text: &str) -> Result<Vec<Template>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let mut word = Template::default();
        while !rest.is_empty() && !rest.starts_with(' ') {
            let (piece, after) = parse_piece(rest)?;
            let (times, after) = parse_times(after)?;
            for _ in 0..times {
                word = word.then(piece.clone());
            }
            rest = after;
        }
        words.push(word);
        rest = rest.trim_start();
    }
    Ok(words)
}

fn parse_piece(text: &str) -> Result<(Template, &str), String> {
    if let Some(quoted) = text.strip_prefix('"') {
        return parse_quoted(quoted);
    }
    if let Some(variable) = text.strip_prefix('$') {
        let (piece, rest) = parse_variable(variable)?;
        return Ok((Template(vec![piece]), rest));
    }
    let end = text.find([' ', '"', '$', '*']).unwrap_or(text.len());
    if end == 0 {
        return Err(format!("`{text}` needs quotes"));
    }
    Ok((Template(vec![Piece::Bytes(text.as_bytes()[..end].to_vec())]), &text[end..]))
}

/// `*64` after a piece.
fn parse_times(text: &str) -> Result<(usize, &str), String> {
    let Some(digits) = text.strip_prefix('*') else { return Ok((1, text)) };
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let times = digits[..end].parse().map_err(|_| "a number follows `*`".to_owned())?;
    Ok((times, &digits[end..]))
}

/// `1 rest`: small letters and digits are a variable, capitals say what may stand there.
fn parse_variable(text: &str) -> Result<(Piece, &str), String> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let piece = match name {
        "" => return Err("a `$` needs a name".to_owned()),
        "NUMBER" => Piece::Number,
        "VERSION" => Piece::Version,
        "PID" => Piece::Pid,
        "NOW" => {
            let Some(digits) = rest.strip_prefix('+') else { return Ok((Piece::Now(0), rest)) };
            let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            let seconds = digits[..end].parse().map_err(|_| "seconds follow `$NOW+`".to_owned())?;
            return Ok((Piece::Now(seconds), &digits[end..]));
        }
        name if name.starts_with(|c: char| c.is_ascii_uppercase()) => {
            return Err(format!("there is no ${name}; variables have small letters"));
        }
        name => Piece::Variable(name.to_owned()),
    };
    Ok((piece, rest))
}

/// After the opening quote: up to the closing one.
fn parse_quoted(text: &str) -> Result<(Template, &str), String> {
    let mut template = Template::default();
    let mut rest = text;
    loop {
        let mut chars = rest.chars();
        let next = chars.next().ok_or("a quote is missing")?;
        rest = chars.as_str();
        match next {
            '"' => return Ok((template, rest)),
            '$' => {
                let (piece, after) = parse_variable(rest)?;
                template = template.then(Template(vec![piece]));
                rest = after;
            }
            '\\' => {
                let (byte, after) = parse_escape(rest)?;
                template = template.then(Template(vec![Piece::Bytes(vec![byte])]));
                rest = after;
            }
            plain => {
                let bytes = plain.to_string().into_bytes();
                template = template.then(Template(vec![Piece::Bytes(bytes)]));
            }
        }
    }
}

fn parse_escape(text: &str) -> Result<(u8, &str), String> {
    let byte = match text.bytes().next() {
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b't') => b'\t',
        Some(b'0') => 0,
        Some(byte @ (b'\\' | b'"' | b'$')) => byte,
        Some(b'x') => {
            let digits = text.get(1..3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
            return digits.map(|byte| (byte, &text[3..])).ok_or_else(|| "\\x needs two digits".to_owned());
        }
        _ => return Err(format!("there is no escape `\\{text}`")),
    };
    Ok((byte, &text[1..]))
}

impl Template {
    fn then(mut self, more: Template) -> Template {
        for piece in more.0 {
            match (self.0.last_mut(), piece) {
                (Some(Piece::Bytes(bytes)), Piece::Bytes(more)) => bytes.extend(more),
                (_, piece) => self.0.push(piece),
            }
        }
        self
    }

    /// Cut after each line feed.
    fn lines(self) -> Vec<Template> {
        let mut lines = vec![Template::default()];
        for piece in self.0 {
            let Piece::Bytes(bytes) = piece else {
                lines.last_mut().expect("never empty").0.push(piece);
                continue;
            };
            for part in bytes.split_inclusive(|&byte| byte == b'\n') {
                let line =
                    lines.pop().expect("never empty").then(Template(vec![Piece::Bytes(part.to_vec())]));
                lines.push(line);
                if part.ends_with(b"\n") {
                    lines.push(Template::default());
                }
            }
        }
        lines.retain(|line| !line.0.is_empty());
        lines
    }

    /// How many line feeds are in it: so many lines are read for it.
    pub(crate) fn line_feeds(&self) -> usize {
        let feeds = |piece: &Piece| match piece {
            Piece::Bytes(bytes) => bytes.iter().filter(|&&byte| byte == b'\n').count(),
            _ => 0,
        };
        self.0.iter().map(feeds).sum()
    }

    /// The bytes to send.
    pub(crate) fn fill(&self, bindings: &Bindings, now: u64) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Bytes(literal) => bytes.extend(literal),
                Piece::Variable(name) => {
                    let value = bindings.variables.get(name);
                    bytes.extend(value.ok_or_else(|| format!("${name} was not received yet"))?);
                }
                Piece::Now(seconds) => bytes.extend((now + seconds).to_string().bytes()),
                Piece::Sized(data) => {
                    let data = data.fill(bindings, now)?;
                    bytes.extend(u32::try_from(data.len()).expect("a script is short").to_be_bytes());
                    bytes.extend(data);
                }
                Piece::Number | Piece::Version | Piece::Pid => {
                    return Err("what is sent must be known".to_owned());
                }
            }
        }
        Ok(bytes)
    }

    /// Whether the bytes are these; binds variables if so. A variable seen for the first time takes what
    /// stands before the next byte that the template gives, but no NUL, tab or line feed, and nothing that
    /// another variable stands for: two jobs have two handles.
    pub(crate) fn matches(&self, bytes: &[u8], bindings: &mut Bindings) -> bool {
        let mut found = bindings.clone();
        let mut rest = bytes;
        for (index, piece) in self.0.iter().enumerate() {
            let after = match piece {
                Piece::Bytes(literal) => rest.strip_prefix(literal.as_slice()),
                Piece::Variable(name) => match found.variables.get(name) {
                    Some(value) => rest.strip_prefix(value.as_slice()),
                    None => {
                        let end = self.hole_end(index, rest, |byte| !matches!(byte, 0 | b'\t' | b'\n'));
                        let (value, after) = rest.split_at(end);
                        let is_new = found.variables.values().all(|other| other != value);
                        found.variables.insert(name.clone(), value.to_vec());
                        (end > 0 && is_new).then_some(after)
                    }
                },
                Piece::Number => {
                    let end = self.hole_end(index, rest, |byte| byte.is_ascii_digit());
                    (end > 0).then(|| &rest[end..])
                }
                Piece::Version => {
                    let end = self.hole_end(index, rest, |byte| byte.is_ascii_graphic());
                    (end > 0).then(|| &rest[end..])
                }
                Piece::Pid => rest.strip_prefix(found.pid.to_string().as_bytes()),
                Piece::Now(_) | Piece::Sized(_) => None,
            };
            let Some(after) = after else { return false };
            rest = after;
        }
        if !rest.is_empty() {
            return false;
        }
        *bindings = found;
        true
    }

    /// How many of the bytes belong to the hole at `index`.
    fn hole_end(&self, index: usize, bytes: &[u8], fits: impl Fn(u8) -> bool) -> usize {
        let stop = match self.0.get(index + 1) {
            Some(Piece::Bytes(literal)) => literal.first().copied(),
            _ => None,
        };
        bytes.iter().position(|&byte| Some(byte) == stop || !fits(byte)).unwrap_or(bytes.len())
    }
}

impl Expected {
    /// Whether this is the packet, header included.
    pub(crate) fn matches(&self, packet: &[u8], bindings: &mut Bindings) -> bool {
        let Some((header, data)) = packet.split_first_chunk::<HEADER_LEN>() else { return false };
        let length = u32::try_from(data.len()).expect("a packet is no longer");
        let expected = Header { magic: Magic::Response, number: self.packet.number(), length };
        expected.encode() == *header && self.data.matches(data, bindings)
    }
}

/// Received bytes as a script would expect them; handles that are not yet bound get the next free number.
pub(crate) fn describe(bytes: &[u8], bindings: &mut Bindings) -> String {
    match described_packet(bytes, bindings) {
        Some(text) => text,
        None => quote(bytes, bindings, true),
    }
}

fn described_packet(bytes: &[u8], bindings: &mut Bindings) -> Option<String> {
    let (header, data) = bytes.split_first_chunk::<HEADER_LEN>()?;
    let header = Header::decode(header).ok().filter(|header| header.magic == Magic::Response)?;
    let packet = header.packet_type().ok().filter(|_| header.length as usize == data.len())?;
    let wanted = packet.arguments().len() + usize::from(packet.has_payload());
    let arguments: Vec<&[u8]> = match wanted {
        0 => Vec::new(),
        _ => data.splitn(wanted, |&byte| byte == 0).collect(),
    };
    let bears_handle = matches!(packet.arguments().first(), Some(&"handle"));
    if let Some(handle) = arguments.first().filter(|_| bears_handle) {
        bind_next(handle, bindings);
    }
    let words = arguments.iter().map(|argument| quote(argument, bindings, false));
    Some(std::iter::once(packet.name().to_owned()).chain(words).collect::<Vec<_>>().join(" "))
}

/// Gives a handle the next free number, if it looks like one and has none.
fn bind_next(argument: &[u8], bindings: &mut Bindings) {
    // gearmand sometimes sends a NUL with it.
    let handle = argument.strip_suffix(b"\0").unwrap_or(argument);
    if handle.contains(&b':') && !bindings.variables.values().any(|value| value == handle) {
        let free = (1..).map(|n: u32| n.to_string()).find(|name| !bindings.variables.contains_key(name));
        bindings.variables.insert(free.expect("numbers do not end"), handle.to_vec());
    }
}

/// Bytes as a word. Plain if possible and not `always` in quotes.
fn quote(bytes: &[u8], bindings: &Bindings, always: bool) -> String {
    let known = bindings.variables.iter().find(|(_, value)| value.as_slice() == bytes);
    if let Some((name, _)) = known.filter(|_| !always) {
        return format!("${name}");
    }
    let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'$' | b'*' | b'\\' | b'#');
    if !always && !bytes.is_empty() && bytes.iter().all(plain) {
        return match bytes.iter().all(|byte| *byte == bytes[0]) && bytes.len() > 16 {
            true => format!("{}*{}", char::from(bytes[0]), bytes.len()),
            false => String::from_utf8_lossy(bytes).into_owned(),
        };
    }
    let mut text = String::from("\"");
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        let value = bindings.variables.iter().find(|(_, value)| rest.starts_with(value));
        if let Some((name, value)) = value {
            text.push('$');
            text.push_str(name);
            rest = &rest[value.len()..];
            continue;
        }
        match byte {
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            0 => text.push_str("\\0"),
            b'"' | b'\\' | b'$' => text.extend(['\\', char::from(byte)]),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
        rest = after;
    }
    text + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(line: &str, bindings: &Bindings) -> Vec<u8> {
        match parse_step(line) {
            Ok(Step::Send { template, .. }) => template.fill(bindings, 100).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn packets_are_written() {
        let bindings = Bindings { variables: [("1".to_owned(), b"H:x:1".to_vec())].into(), pid: 7 };
        assert_eq!(
            sent("c> SUBMIT_JOB f \"\" a*2\"\\0b\"", &bindings),
            b"\0REQ\0\0\0\x07\0\0\0\x07f\0\0aa\0b"
        );
        assert_eq!(sent("c> WORK_FAIL $1", &bindings), b"\0REQ\0\0\0\x0e\0\0\0\x05H:x:1");
        assert_eq!(
            sent("c> SUBMIT_JOB_EPOCH f u $NOW+2 w", &bindings),
            b"\0REQ\0\0\0\x24\0\0\0\x09f\0u\x00102\0w"
        );
        assert_eq!(sent("c> response command 43 \"a\\0\"", &bindings), b"\0RES\0\0\0\x2b\0\0\0\x02a\0");
        assert_eq!(sent("c> \"cancel job $1\\r\\n\"", &bindings), b"cancel job H:x:1\r\n");
    }

    #[test]
    fn variables_are_bound_once() {
        let expected = parse_packet("JOB_ASSIGN $1 f \"\"").unwrap();
        let mut bindings = Bindings::default();
        assert!(expected.matches(b"\0RES\0\0\0\x0b\0\0\0\x08H:x:1\0f\0", &mut bindings));
        assert_eq!(bindings.variables["1"], b"H:x:1");
        let another = parse_packet("JOB_CREATED $2").unwrap();
        assert!(!another.matches(b"\0RES\0\0\0\x08\0\0\0\x05H:x:1", &mut bindings));
        assert!(another.matches(b"\0RES\0\0\0\x08\0\0\0\x05H:x:3", &mut bindings));
        assert!(!expected.matches(b"\0RES\0\0\0\x0b\0\0\0\x08H:x:2\0f\0", &mut bindings));
    }

    #[test]
    fn what_is_described_is_expected() {
        let packet = b"\0RES\0\0\0\x0b\0\0\0\x0aH:x:1\0f\0\"$";
        let mut bindings = Bindings::default();
        let text = describe(packet, &mut bindings);
        assert_eq!(text, "JOB_ASSIGN $1 f \"\\\"\\$\"");
        assert!(parse_packet(&text).unwrap().matches(packet, &mut bindings));
    }

    #[test]
    fn mistakes_are_told() {
        for line in
            ["c> SUBMIT_JOB f", "c> NOPE", "c> \"open", "c silent 5", "gearmend| exits", "c< ECHO_RES $X"]
        {
            assert!(Script::parse("s", Path::new("s.txt"), line).is_err(), "{line}");
        }
    }
}
