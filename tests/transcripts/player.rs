//! Plays a script on a stage and says at which line it went otherwise. What a stage is stands at [`Stage`].
use crate::script::{Audience, Bindings, Expected, Line, Script, Step, Template, describe};
use ringgear::protocol::{HEADER_LEN, Header, Response};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a reply may take on sockets. Long, because a busy machine is no failure.
const PATIENCE: Duration = Duration::from_secs(10);

/// The same while expectations are rewritten, where silence is an answer.
const REWRITE_PATIENCE: Duration = Duration::from_secs(3);

/// How long to wait for what nobody expects, after all that was sent has taken effect.
const UNKNOWN_PATIENCE: Duration = Duration::from_millis(100);

/// A unique that no script uses, for asking whether everything sent before has taken effect.
const BARRIER: &[u8] = b"transcript-barrier-5f1d9c7a";

/// A job server to which a script can be played.
pub(crate) trait Stage {
    /// Which lines are for it.
    fn audience(&self) -> Audience;

    /// Whether what is sent has taken effect when `write` returns. Else the player asks.
    fn is_prompt(&self) -> bool;

    /// The process id that `getpid` tells.
    fn pid(&self) -> u32;

    /// The wall clock in seconds.
    fn now(&self) -> u64;

    fn connect(&mut self, name: &str) -> Result<(), String>;

    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), String>;

    /// Appends to `inbox` what arrives within `patience`, returning as soon as something has. If nothing does,
    /// all of `patience` has passed.
    fn read(&mut self, name: &str, patience: Duration, inbox: &mut Vec<u8>) -> Result<Arrival, String>;

    /// Closes, and returns when the server has noticed.
    fn close(&mut self, name: &str) -> Result<(), String>;

    /// Sends FIN.
    fn finish(&mut self, name: &str) -> Result<(), String>;

    fn wait(&mut self, duration: Duration);

    fn signal(&mut self, signal: &str) -> Result<(), String>;

    /// Waits for the server to end, and says how if not well.
    fn wait_for_exit(&mut self) -> Result<(), String>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    Something,
    Nothing,
    /// The server has closed the connection.
    End,
}

/// Where a script and a server differ.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The line's number; 0 for what belongs to none.
    pub(crate) line: usize,
    pub(crate) expected: String,
    pub(crate) got: String,
}

/// Lines that stand for a line, found by playing.
pub(crate) type Rewrites = BTreeMap<usize, Vec<String>>;

/// One connection as the peer sees it.
#[derive(Debug, Default)]
struct Peer {
    /// Received and not yet expected.
    inbox: Vec<u8>,
    /// To be written together with what comes next.
    unwritten: Vec<u8>,
    /// The beginning of a packet or line whose end was not yet sent.
    begun: Vec<u8>,
    /// What was sent may still be on its way to where it takes effect.
    unsettled: bool,
    /// The server has closed.
    ended: bool,
}

struct Player<'a> {
    script: &'a Script,
    stage: &'a mut dyn Stage,
    bindings: Bindings,
    peers: BTreeMap<String, Peer>,
    /// Where differences are noted instead of reported.
    rewrites: Option<Rewrites>,
}

/// Plays a script; the first difference ends it.
pub(crate) fn play(script: &Script, stage: &mut dyn Stage) -> Result<(), Failure> {
    Player::new(script, stage, None).play().map(|_| ())
}

/// Plays a script and takes differences as the truth.
pub(crate) fn rewrite(script: &Script, stage: &mut dyn Stage) -> Result<Rewrites, Failure> {
    Player::new(script, stage, Some(Rewrites::new())).play()
}

impl<'a> Player<'a> {
    fn new(script: &'a Script, stage: &'a mut dyn Stage, rewrites: Option<Rewrites>) -> Player<'a> {
        let bindings = Bindings { pid: stage.pid(), ..Bindings::default() };
        Player { script, stage, bindings, peers: BTreeMap::new(), rewrites }
    }

    fn play(mut self) -> Result<Rewrites, Failure> {
        for line in self.script.lines(self.stage.audience()) {
            self.step(line).or_else(|got| self.differs(line, got))?;
        }
        // Whether a server that ends answers what came last is nobody's business.
        if !matches!(self.script.lines.last(), Some(Line { step: Step::Exits, .. })) {
            self.nothing_is_left()?;
        }
        Ok(self.rewrites.unwrap_or_default())
    }

    fn step(&mut self, line: &Line) -> Result<(), String> {
        match &line.step {
            Step::Send { name, template, more } => self.send(name, template, *more),
            Step::Packet { name, expected } => self.expect_packet(name, expected),
            Step::Text { name, template } => self.expect_text(name, template),
            Step::Lines { name, templates } => self.expect_lines(name, templates),
            Step::Unknown { name } => {
                self.turn_to(name)?;
                self.settle(name)?;
                while self.read(name, UNKNOWN_PATIENCE) == Ok(Arrival::Something) {}
                Err(self.got(name))
            }
            Step::Silent { name, duration } => self.expect_silence(name, *duration),
            Step::Closes { name } => {
                self.turn_to(name)?;
                self.peers.remove(name);
                self.stage.close(name)
            }
            Step::Finishes { name } => {
                self.turn_to(name)?;
                // Asking whether it took effect is no longer possible.
                self.peer(name).begun = vec![0];
                self.stage.finish(name)
            }
            Step::IsClosed { name } => self.expect_end(name),
            Step::Wait { duration } => {
                self.stage.wait(*duration);
                Ok(())
            }
            Step::Signal { signal } => {
                self.settle_all_but("")?;
                self.stage.signal(signal)
            }
            Step::Exits => self.stage.wait_for_exit(),
        }
    }

    fn send(&mut self, name: &str, template: &Template, more: bool) -> Result<(), String> {
        self.turn_to(name)?;
        let bytes = template.fill(&self.bindings, self.stage.now())?;
        let peer = self.peer(name);
        peer.unwritten.extend(bytes);
        if more {
            return Ok(());
        }
        let bytes = std::mem::take(&mut peer.unwritten);
        peer.begun.extend(&bytes);
        peer.begun.drain(..whole_len(&peer.begun));
        peer.unsettled = true;
        self.stage.write(name, &bytes)
    }

    fn expect_packet(&mut self, name: &str, expected: &Expected) -> Result<(), String> {
        self.turn_to(name)?;
        self.fill_inbox(name, |inbox| packet_len(inbox).is_some());
        let Some(length) = packet_len(&self.peer(name).inbox) else { return Err(self.got(name)) };
        let packet = self.peer(name).inbox[..length].to_vec();
        if !expected.matches(&packet, &mut self.bindings) {
            return Err(self.got(name));
        }
        self.peer(name).inbox.drain(..length);
        check_codec(&packet)
    }

    fn expect_text(&mut self, name: &str, template: &Template) -> Result<(), String> {
        let length = self.read_lines(name, template.line_feeds())?;
        let text = self.peer(name).inbox[..length].to_vec();
        if !template.matches(&text, &mut self.bindings) {
            return Err(self.got(name));
        }
        self.peer(name).inbox.drain(..length);
        Ok(())
    }

    fn expect_lines(&mut self, name: &str, templates: &[Template]) -> Result<(), String> {
        let length = self.read_lines(name, templates.len())?;
        let text = self.peer(name).inbox[..length].to_vec();
        let mut lines: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
        let (last, others) = templates.split_last().ok_or("no lines")?;
        for template in others {
            let bindings = &mut self.bindings;
            let found = lines
                .split_last()
                .and_then(|(_, lines)| lines.iter().position(|l| template.matches(l, bindings)));
            let Some(index) = found else { return Err(self.got(name)) };
            lines.remove(index);
        }
        if lines.len() != 1 || !last.matches(lines[0], &mut self.bindings) {
            return Err(self.got(name));
        }
        self.peer(name).inbox.drain(..length);
        Ok(())
    }

    /// Reads until so many lines are there; their length in bytes.
    fn read_lines(&mut self, name: &str, count: usize) -> Result<usize, String> {
        self.turn_to(name)?;
        self.fill_inbox(name, |inbox| lines_len(inbox, count).is_some());
        lines_len(&self.peer(name).inbox, count).ok_or_else(|| self.got(name))
    }

    fn expect_silence(&mut self, name: &str, duration: Duration) -> Result<(), String> {
        self.turn_to(name)?;
        self.settle(name)?;
        if self.peer(name).inbox.is_empty() {
            self.read(name, duration)?;
        }
        match self.peer(name) {
            Peer { inbox, ended: false, .. } if inbox.is_empty() => Ok(()),
            _ => Err(self.got(name)),
        }
    }

    fn expect_end(&mut self, name: &str) -> Result<(), String> {
        self.turn_to(name)?;
        self.fill_inbox(name, |inbox| !inbox.is_empty());
        let peer = self.peer(name);
        if peer.inbox.is_empty() && peer.ended { Ok(()) } else { Err(self.got(name)) }
    }

    /// At the end: whatever arrived was expected.
    fn nothing_is_left(&mut self) -> Result<(), Failure> {
        let failure = |expected: String, got| Failure { line: 0, expected, got };
        self.settle_all_but("").map_err(|got| failure("the server answers".to_owned(), got))?;
        for name in self.peers.keys().cloned().collect::<Vec<_>>() {
            let read = self.read(&name, Duration::ZERO);
            read.map_err(|got| failure(format!("{name} can be read"), got))?;
            if !self.peer(&name).inbox.is_empty() {
                return Err(failure(format!("nothing more for {name}"), self.got(&name)));
            }
        }
        Ok(())
    }

    /// Before a connection acts, what the others have sent shall have taken effect: no server promises an
    /// order between connections, and a script has one.
    fn turn_to(&mut self, name: &str) -> Result<(), String> {
        self.settle_all_but(name)?;
        if !self.peers.contains_key(name) {
            self.stage.connect(name)?;
            self.peers.insert(name.to_owned(), Peer::default());
        }
        Ok(())
    }

    fn settle_all_but(&mut self, name: &str) -> Result<(), String> {
        let others: Vec<String> = self.peers.keys().filter(|other| *other != name).cloned().collect();
        others.iter().try_for_each(|other| self.settle(other))
    }

    /// Asks for the status of a job that nobody has and waits for the answer: all that was sent before on this
    /// connection has then taken effect. What else arrives meanwhile stays in the inbox.
    fn settle(&mut self, name: &str) -> Result<(), String> {
        let prompt = self.stage.is_prompt();
        let peer = self.peer(name);
        let unsettled = std::mem::take(&mut peer.unsettled);
        if prompt || !unsettled || peer.ended || !peer.begun.is_empty() {
            return Ok(());
        }
        let mut question = b"\0REQ\0\0\0\x29\0\0\0\0".to_vec();
        let mut answer = b"\0RES\0\0\0\x2a\0\0\0\0".to_vec();
        question.extend(BARRIER);
        answer.extend(BARRIER);
        answer.extend(b"\x000\x000\x000\x000\x000");
        for packet in [&mut question, &mut answer] {
            packet[HEADER_LEN - 1] = u8::try_from(packet.len() - HEADER_LEN).expect("the barrier is short");
        }
        self.stage.write(name, &question)?;
        let position = |inbox: &[u8]| inbox.windows(answer.len()).position(|window| window == answer);
        self.fill_inbox(name, |inbox| position(inbox).is_some());
        let peer = self.peer(name);
        match position(&peer.inbox) {
            Some(start) => drop(peer.inbox.drain(start..start + answer.len())),
            None if peer.ended => {}
            None => return Err(format!("{name} gets no answer to GET_STATUS_UNIQUE")),
        }
        Ok(())
    }

    /// Reads until the inbox is as wanted, the connection ends, or nothing comes any more.
    fn fill_inbox(&mut self, name: &str, wanted: impl Fn(&[u8]) -> bool) {
        let patience = if self.rewrites.is_some() { REWRITE_PATIENCE } else { PATIENCE };
        while !wanted(&self.peer(name).inbox) && !self.peer(name).ended {
            if self.read(name, patience) != Ok(Arrival::Something) {
                return;
            }
        }
    }

    fn read(&mut self, name: &str, patience: Duration) -> Result<Arrival, String> {
        let peer = self.peers.get_mut(name).expect("it is connected");
        if peer.ended {
            return Ok(Arrival::End);
        }
        let arrival = self.stage.read(name, patience, &mut peer.inbox)?;
        peer.ended |= arrival == Arrival::End;
        Ok(arrival)
    }

    fn peer(&mut self, name: &str) -> &mut Peer {
        self.peers.get_mut(name).expect("it is connected")
    }

    /// What is in an inbox, in the words of a script.
    fn got(&mut self, name: &str) -> String {
        let mut bindings = self.bindings.clone();
        let items: Vec<String> = take_items(&mut self.peer(name).inbox.clone())
            .iter()
            .map(|item| format!("{name}< {}", describe(item, &mut bindings)))
            .collect();
        let end = self.peer(name).ended.then(|| format!("{name} is closed"));
        let all: Vec<String> = items.into_iter().chain(end).collect();
        if all.is_empty() { "nothing".to_owned() } else { all.join("\n") }
    }

    /// A difference: the end, or a note if expectations are rewritten.
    fn differs(&mut self, line: &Line, got: String) -> Result<(), Failure> {
        let text = &self.script.text[line.number - 1];
        // What holds for gearmand, too, is gearmand's to tell.
        let ours = line.audience.is_some() || self.script.only.is_some();
        if self.rewrites.is_none() || !ours && self.stage.audience() != Audience::Gearmand {
            return Err(Failure { line: line.number, expected: text.clone(), got });
        }
        let lines = self.truth(line);
        let bar = text.find('|').filter(|_| line.audience.is_some());
        let indent = bar
            .map_or("", |bar| &text[..bar + 1 + text[bar + 1..].len() - text[bar + 1..].trim_start().len()]);
        let lines = lines.iter().map(|truth| format!("{indent}{truth}")).collect();
        self.rewrites.as_mut().expect("checked above").insert(line.number, lines);
        Ok(())
    }

    /// What to write instead of a line that is not so.
    fn truth(&mut self, line: &Line) -> Vec<String> {
        let text = self.script.text[line.number - 1].trim().to_owned();
        match &line.step {
            Step::Packet { name, .. } | Step::Text { name, .. } | Step::Lines { name, .. } => {
                self.truths(name, 1)
            }
            Step::Unknown { name } | Step::IsClosed { name } => self.truths(name, usize::MAX),
            Step::Silent { name, .. } => {
                let mut lines = self.truths(name, usize::MAX);
                lines.push(text);
                lines
            }
            _ => vec![text],
        }
    }

    /// Takes what arrived, as lines.
    fn truths(&mut self, name: &str, most: usize) -> Vec<String> {
        let mut items = take_items(&mut self.peer(name).inbox);
        let rest = items.split_off(items.len().min(most));
        self.peer(name).inbox = rest.concat();
        let described = items.iter().map(|item| format!("{name}< {}", describe(item, &mut self.bindings)));
        described.collect()
    }
}

/// The length of the packet at the beginning, if all of it is there.
fn packet_len(bytes: &[u8]) -> Option<usize> {
    let (header, data) = bytes.split_first_chunk::<HEADER_LEN>()?;
    let length = u32::from_be_bytes([header[8], header[9], header[10], header[11]]) as usize;
    (header[0] == 0 && data.len() >= length).then_some(HEADER_LEN + length)
}

/// The length of so many lines, if they are there.
fn lines_len(bytes: &[u8], count: usize) -> Option<usize> {
    let mut feeds = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(index, _)| index + 1);
    feeds.nth(count.checked_sub(1)?)
}

/// The length of all whole packets and lines at the beginning.
fn whole_len(bytes: &[u8]) -> usize {
    let mut whole = 0;
    while whole < bytes.len() {
        let rest = &bytes[whole..];
        let next = if rest[0] == 0 { packet_len(rest) } else { lines_len(rest, 1) };
        let Some(next) = next else { break };
        whole += next;
    }
    whole
}

/// Takes an inbox apart: packets, and text between them.
fn take_items(inbox: &mut Vec<u8>) -> Vec<Vec<u8>> {
    let mut items = Vec::new();
    while !inbox.is_empty() {
        let text = inbox.iter().position(|&byte| byte == 0).unwrap_or(inbox.len());
        let length = if text > 0 { text } else { packet_len(inbox).unwrap_or(inbox.len()) };
        items.push(inbox.drain(..length).collect());
    }
    items
}

/// Whether our codec reads the packet and writes it back.
fn check_codec(packet: &[u8]) -> Result<(), String> {
    let (header, data) = packet.split_first_chunk::<HEADER_LEN>().ok_or("a short packet")?;
    let header = Header::decode(header).map_err(|error| error.to_string())?;
    let response = Response::decode(&header, data).map_err(|error| error.to_string())?;
    let mut again = Vec::new();
    response.encode(&mut again);
    if again == packet { Ok(()) } else { Err(format!("{response:?}, which is written otherwise")) }
}
