//! The two job servers of a check, which it can have killed and started again.
use crate::support::gearmand::{Server, gearmand};
use crate::support::postgres::PostgresCluster;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// How long the port of a server that is gone may stay taken.
const PATIENCE: Duration = Duration::from_secs(10);

/// Below the ports that Linux gives to whoever connects. There, a client that tries to reach a server that is down may
/// be given the very port that it tries, and connects to itself.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// Which job server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ours,
    /// Ours, the two of them on one PostgreSQL.
    Shared,
    Gearmand,
}

impl Kind {
    fn program(self) -> Result<PathBuf, String> {
        match self {
            Kind::Ours | Kind::Shared => Ok(Path::new(env!("CARGO_BIN_EXE_ringgear")).to_owned()),
            Kind::Gearmand => gearmand(),
        }
    }

    fn options(self) -> Vec<String> {
        match self {
            // More than one shard, however few cores there are.
            Kind::Ours | Kind::Shared => ["--threads", "2"].map(str::to_owned).to_vec(),
            Kind::Gearmand => Vec::new(),
        }
    }
}

/// Server A and server B, each at a port of its own.
#[derive(Debug)]
pub(crate) struct Pair {
    kind: Kind,
    ports: [u16; 2],
    servers: [Option<Server>; 2],
    /// What they share, behind them: it ends when they have.
    store: Option<PostgresCluster>,
}

impl Pair {
    /// Both run.
    pub(crate) fn start(kind: Kind) -> Result<Pair, String> {
        let store = (kind == Kind::Shared).then(PostgresCluster::start);
        let mut pair = Pair { kind, ports: [free_port()?, free_port()?], servers: [None, None], store };
        pair.run(0)?;
        pair.run(1)?;
        Ok(pair)
    }

    /// Where they listen.
    pub(crate) fn ports(&self) -> [u16; 2] {
        self.ports
    }

    /// Does what a check asks for, as in `kill A`.
    pub(crate) fn obey(&mut self, wish: &str) -> Result<(), String> {
        let (verb, name) = wish.split_once(' ').unwrap_or((wish, ""));
        let index = match name {
            "A" => 0,
            "B" => 1,
            _ => return Err(format!("no server {name:?}")),
        };
        match verb {
            "start" => self.run(index),
            "kill" => self.end(index, "SIGKILL"),
            "stop" => self.end(index, "SIGTERM"),
            _ => Err(format!("nobody can {verb:?} a server")),
        }
    }

    /// The logs.
    pub(crate) fn last_words(&self) -> String {
        let logs = self.servers.iter().flatten().map(Server::last_words);
        logs.collect::<Vec<_>>().join("\n---\n")
    }

    fn run(&mut self, index: usize) -> Result<(), String> {
        if self.servers[index].is_some() {
            return Err("it runs already".to_owned());
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.ports[index]));
        let start = Instant::now();
        let mut options = self.kind.options();
        if let Some(store) = &self.store {
            let (name, conninfo) = (format!("server-{index}"), store.conninfo("postgres"));
            let sharing = ["-q", "Postgres", "--libpq-conninfo", &conninfo, "--server-name", &name];
            options.extend(sharing.into_iter().chain(["--take-over-after", "4"]).map(str::to_owned));
        }
        let mut server = loop {
            match Server::start_at(&self.kind.program()?, address, &options) {
                Ok(server) => break server,
                Err(error) if start.elapsed() > PATIENCE => return Err(error),
                Err(_) => {}
            }
        };
        // The connection that found it ready is not one of the check's.
        drop(server.connect());
        self.servers[index] = Some(server);
        Ok(())
    }

    fn end(&mut self, index: usize, signal: &str) -> Result<(), String> {
        let mut server = self.servers[index].take().ok_or("it does not run")?;
        server.signal(signal)?;
        server.wait().map(|_| ()).ok_or_else(|| format!("it does not end on {signal}"))
    }
}

/// A port that nobody has now, and no other check in this process gets. Somebody else may take it first.
fn free_port() -> Result<u16, String> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let from = std::process::id() as usize * 61;
    for _ in PORTS {
        let at = from + usize::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + (at % PORTS.len()) as u16;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err("no free port".to_owned())
}
