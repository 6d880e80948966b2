//! The stage without sockets, threads and clocks: engines and the front end in pretend time. Connections are dealt to
//! the shards in turn, so that with several shards nearly everything crosses the border of a shard.
use crate::player::{Arrival, Stage};
use crate::script::Audience;
use crate::support::cluster::Cluster;
use ringgear::engine::{
    CloseReason, Compat, HandlePrefix, Policy, Reply, SessionId, ShardId, TimeoutUnit, Wakeup,
};
use ringgear::frontend::{Decoded, Incoming, SharedPort, version};
use ringgear::protocol::Refusal;
use std::collections::BTreeMap;
use std::num::NonZeroU8;
use std::time::Duration;

pub(crate) struct Pretend {
    cluster: Cluster,
    frontend: SharedPort,
    peers: BTreeMap<String, Peer>,
    /// Connections ever made.
    connected: u16,
}

/// What a shard's shell would know of a connection.
struct Peer {
    session: SessionId,
    /// Sent by the peer and not yet read.
    unread: Vec<u8>,
    /// No more will be read: the peer has sent FIN, or what makes no sense.
    last: Option<CloseReason>,
}

/// How much room there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// As much as by default.
    Plenty,
    /// For one message in each channel and one request of each session at a time: whatever comes more has to wait, and
    /// nobody may notice.
    Scarce,
}

impl Pretend {
    pub(crate) fn start(shards: u16, room: Room, options: &[String]) -> Result<Pretend, String> {
        let mut policy = policy(options)?;
        let mut capacity = usize::MAX;
        if room == Room::Scarce {
            policy.requests_in_flight = 1;
            policy.outbox_bytes = 1;
            capacity = 1;
        }
        let frontend = SharedPort {
            packet_max: 1 << 20,
            version: version(policy.compat),
            verbosity: "INFO",
            pid: std::process::id(),
            handle_prefix: policy.handle_prefix.clone(),
            compat: policy.compat,
        };
        let cluster = Cluster::new(shards, policy).with_capacity(capacity);
        Ok(Pretend { cluster, frontend, peers: BTreeMap::new(), connected: 0 })
    }

    fn peer(&mut self, name: &str) -> &mut Peer {
        self.peers.get_mut(name).expect("the player connects first")
    }

    /// Lets everything happen that needs no time.
    fn run(&mut self) {
        loop {
            // All that can be read is read before any message arrives, as on a busy shard.
            let read = self
                .peers
                .values_mut()
                .fold(false, |read, p| p.read(&self.frontend, &mut self.cluster) | read);
            self.cluster.run_until_quiet();
            if !read {
                break;
            }
        }
        self.cluster.check();
    }
}

impl Peer {
    /// Hands in what the engine wants to have; whether there was anything.
    fn read(&mut self, frontend: &SharedPort, cluster: &mut Cluster) -> bool {
        let mut start = 0;
        while cluster.is_welcome(self.session) && self.last.is_none_or(|reason| reason == CloseReason::Peer) {
            match frontend.decode(&self.unread[start..]) {
                Decoded::Incomplete { .. } => break,
                Decoded::One { item, consumed } => {
                    start += consumed;
                    match item {
                        Incoming::Request(request) => cluster.request(self.session, request),
                        Incoming::Ask(ask) => cluster.query(self.session, ask),
                        Incoming::Answer(reply) => cluster.answer(self.session, reply),
                        // Nobody shares a store here.
                        Incoming::Servers => cluster.answer(self.session, Reply::Text(".\n".into())),
                        // Nor is there a list of who may do what.
                        Incoming::Acl { .. } => cluster.answer(self.session, Reply::Text(".\n".into())),
                    }
                }
                Decoded::TooLarge => {
                    cluster.answer(self.session, Reply::Error(Refusal::PacketTooLarge));
                    self.last = Some(CloseReason::Malformed);
                }
                Decoded::Malformed(_) => self.last = Some(CloseReason::Malformed),
            }
        }
        self.unread.drain(..start);
        if let Some(reason) = self.last.filter(|_| cluster.is_welcome(self.session)) {
            cluster.finish(self.session, reason);
            self.unread.clear();
            return true;
        }
        start > 0
    }
}

impl Stage for Pretend {
    fn audience(&self) -> Audience {
        Audience::Pretend
    }

    fn is_prompt(&self) -> bool {
        true
    }

    fn pid(&self) -> u32 {
        self.frontend.pid
    }

    fn now(&self) -> u64 {
        self.cluster.now().epoch.0 / 1000
    }

    fn connect(&mut self, name: &str) -> Result<(), String> {
        let shard = ShardId(self.connected % self.cluster.topology().owners().len() as u16);
        self.connected += 1;
        let session = self.cluster.open(shard);
        self.peers.insert(name.to_owned(), Peer { session, unread: Vec::new(), last: None });
        self.run();
        Ok(())
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), String> {
        self.peer(name).unread.extend(bytes);
        self.run();
        Ok(())
    }

    fn read(&mut self, name: &str, patience: Duration, inbox: &mut Vec<u8>) -> Result<Arrival, String> {
        let session = self.peer(name).session;
        let end = self.cluster.now().instant.after(patience);
        loop {
            let replies = self.cluster.replies(session);
            if !replies.is_empty() {
                for reply in &replies {
                    let payload = self.frontend.encode(reply, inbox);
                    inbox.extend_from_slice(&payload.unwrap_or_default());
                }
                return Ok(Arrival::Something);
            }
            if self.cluster.is_closed(session) {
                return Ok(Arrival::End);
            }
            let now = self.cluster.now().instant;
            if now == end {
                return Ok(Arrival::Nothing);
            }
            let next = self.cluster.next_deadline().map_or(end, |(_, at)| at.clamp(now, end));
            self.cluster.advance(Duration::from_nanos(next.0 - now.0));
            self.run();
        }
    }

    fn close(&mut self, name: &str) -> Result<(), String> {
        if let Some(peer) = self.peers.remove(name) {
            self.cluster.close(peer.session, CloseReason::Peer);
            self.run();
        }
        Ok(())
    }

    fn finish(&mut self, name: &str) -> Result<(), String> {
        self.peer(name).last = Some(CloseReason::Peer);
        self.run();
        Ok(())
    }

    fn wait(&mut self, duration: Duration) {
        self.cluster.advance(duration);
        self.run();
    }

    fn signal(&mut self, _: &str) -> Result<(), String> {
        Err("nobody takes signals in pretend time".to_owned())
    }

    fn wait_for_exit(&mut self) -> Result<(), String> {
        Err("nobody exits in pretend time".to_owned())
    }
}

/// The command line's options about the engine, as far as scripts use them. How they are really read is tested
/// on sockets, with the same scripts.
fn policy(options: &[String]) -> Result<Policy, String> {
    let mut prefix = "H:pretend".to_owned();
    let mut words = options.iter().map(String::as_str);
    let mut policy = Policy::new(HandlePrefix::new(b"").map_err(|error| error.to_string())?);
    let mut retries = None;
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word {
            "-R" => policy.round_robin = true,
            "--timeout-unit" => {
                policy.timeout_unit = match value()? {
                    "s" => TimeoutUnit::Seconds,
                    other => return Err(format!("no unit {other}")),
                }
            }
            "--exceptions" => policy.exceptions = true,
            "--job-handle-prefix" => prefix = value()?.to_owned(),
            "-j" => retries = Some(number(value()?)?),
            "-w" => policy.wakeup = NonZeroU8::new(number(value()?)?).map_or(Wakeup::All, Wakeup::AtMost),
            "--compat" => policy.compat = compat(value()?)?,
            _ => return Err(format!("no script used {word} before: teach it to `pretend.rs`")),
        }
    }
    policy.attempts = match retries {
        // From 2.1 on, no second attempt; before, no limit.
        Some(0) if policy.compat >= Compat::V2_1 => NonZeroU8::new(1),
        Some(retries) => NonZeroU8::new(retries),
        None => None,
    };
    policy.handle_prefix = HandlePrefix::new(prefix.as_bytes()).map_err(|error| error.to_string())?;
    Ok(policy)
}

fn number(text: &str) -> Result<u8, String> {
    text.parse().map_err(|_| format!("{text} is not a number up to 255"))
}

fn compat(text: &str) -> Result<Compat, String> {
    Ok(match text {
        "1.1" => Compat::V1_1,
        "2.0" => Compat::V2_0,
        "2.1" => Compat::V2_1,
        "2.2" => Compat::V2_2,
        _ => return Err(format!("there is no --compat {text}")),
    })
}
