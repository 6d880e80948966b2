//! Agents as their conductor sees them: each takes the place of a load thread. It tells them where a phase stands, and passes on what
//! they count and measure, in its own time. What an agent does stands in `agent.rs`.
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use crate::job::check::{Fate, Tally};
use crate::machine::identity::Machine;
use crate::machine::server::addresses_with;
use crate::run::orders::Tick;
use crate::run::stage::{Clock, Stage, Stand};
use crate::run::wire::{Order, Task, Told, VERSION, Wire};

/// Where agents listen, if nobody says.
pub(crate) const PORT: u16 = 4740;

/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a clock is asked for: the answer that came fastest counts.
const ASKED: usize = 20;

/// An agent.
#[derive(Debug)]
pub(crate) struct Remote {
    wire: Wire,
    /// As the command line names it.
    pub(crate) name: String,
    /// Its load threads.
    pub(crate) threads: usize,
    /// Its machine.
    pub(crate) machine: Machine,
    /// Nanoseconds there and back: so far its clock may be from ours at most.
    pub(crate) far: u64,
}

/// What all agents of a run are told alike.
pub(crate) struct Call<'a> {
    /// The plan in TOML.
    pub(crate) plan: &'a str,
    /// The run's number.
    pub(crate) run: u32,
    /// The job server.
    pub(crate) server: SocketAddr,
    /// As in a run without agents.
    pub(crate) spin: u64,
    /// The conductor's clock.
    pub(crate) clock: Clock,
}

/// Calls all agents.
///
/// # Errors
/// When one is not there, is busy, is of another version, or cannot reach the job server by its address.
pub(crate) fn call(names: &[String], call: &Call<'_>) -> io::Result<Vec<Remote>> {
    let each = names.iter().enumerate();
    each.map(|(index, name)| {
        Remote::call(name, (index, names.len()), call)
            .map_err(|error| io::Error::new(error.kind(), format!("the agent {name}: {error}")))
    })
    .collect()
}

impl Remote {
    fn call(name: &str, share: (usize, usize), call: &Call<'_>) -> io::Result<Remote> {
        let addresses = addresses_with(name, PORT).map_err(io::Error::other)?;
        let mut stream = Err(io::Error::other("it has no address"));
        for address in addresses {
            stream = TcpStream::connect_timeout(&address, Duration::from_secs(5));
            if stream.is_ok() {
                break;
            }
        }
        let stream = stream.map_err(|error| {
            io::Error::new(error.kind(), format!("{error}; start it there with `ringgear-load agent`"))
        })?;
        if call.server.ip().is_loopback() && !stream.peer_addr()?.ip().is_loopback() {
            return Err(io::Error::other(format!(
                "it cannot reach the job server at {}: name that with --server by an address that it can",
                call.server
            )));
        }
        let mut wire = Wire::new(stream)?;
        let task = Task {
            version: VERSION,
            plan: call.plan.to_owned(),
            run: call.run,
            server: call.server,
            share,
            spin: call.spin,
        };
        wire.send(&Order::Run(Box::new(task)))?;
        let (threads, machine) = match next(&mut wire)? {
            Told::Ready(threads, machine) => (threads, machine),
            Told::Refused(why) => return Err(io::Error::other(why)),
            _ => return Err(unexpected()),
        };
        let (ahead, far) = clock(&mut wire, call.clock)?;
        wire.send(&Order::SetBack(ahead))?;
        Ok(Remote { wire, name: name.to_owned(), threads, machine, far })
    }

    /// Its part of a phase, as load thread `slot`; gives what went wrong in it.
    pub(crate) fn play(
        &mut self,
        index: usize,
        slot: usize,
        stand: &Stand,
        groups: usize,
        ticks: &Sender<Tick>,
    ) -> io::Result<Tally> {
        self.wire.send(&Order::Phase(index))?;
        let mut stage = Stage::Connect;
        let mut ended: Option<Instant> = None;
        loop {
            match self.wire.receive::<Told>()? {
                Some(Told::Counts(counts, used)) => {
                    stand.publish(slot, &counts);
                    stand.used(slot, used);
                }
                Some(Told::Tick(tick)) => {
                    let recorder = Box::new(tick.unpack(groups)?);
                    let (from, to) = (tick.from, tick.to);
                    // Nobody listens any more when the run was given up.
                    let _ = ticks.send(Tick { index: tick.index, thread: slot, from, to, recorder });
                }
                Some(Told::End(tally)) => return Ok(tally),
                Some(Told::Refused(why)) => {
                    return Err(io::Error::other(format!("the agent {}: {why}", self.name)));
                }
                Some(_) => return Err(unexpected()),
                None => {}
            }
            let now = stand.stage();
            if now > stage {
                stage = now;
                self.tell(stage, stand)?;
                ended = (stage == Stage::End).then(Instant::now);
            }
            if ended.is_some_and(|ended| ended.elapsed() > PATIENCE) {
                return Err(io::Error::other(format!("the agent {} does not end its phase", self.name)));
            }
        }
    }

    fn tell(&mut self, stage: Stage, stand: &Stand) -> io::Result<()> {
        let (start, from, stop) = stand.times();
        match stage {
            Stage::Connect => Ok(()),
            Stage::Run => self.wire.send(&Order::Begin(start, from, stop)),
            Stage::Stop => self.wire.send(&Order::Interrupt(stop)),
            Stage::Quiet => self.wire.send(&Order::Advance(false)),
            Stage::End => self.wire.send(&Order::Advance(true)),
        }
    }

    /// The ledgers of all clients whose jobs its workers had.
    pub(crate) fn fates(&mut self) -> io::Result<Vec<(u32, Fate)>> {
        self.wire.send(&Order::Fates)?;
        match next(&mut self.wire)? {
            Told::Fates(fates) => Ok(fates),
            Told::Refused(why) => Err(io::Error::other(why)),
            _ => Err(unexpected()),
        }
    }
}

fn unexpected() -> io::Error {
    io::Error::other("it said something that was not asked for")
}

/// The next message, within [`PATIENCE`].
fn next(wire: &mut Wire) -> io::Result<Told> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(told) = wire.receive()? {
            return Ok(told);
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// By how much its clock is ahead of ours, and how long the answer that tells it took.
fn clock(wire: &mut Wire, clock: Clock) -> io::Result<(i64, u64)> {
    let mut best = (0, u64::MAX);
    for _ in 0..ASKED {
        let asked = clock.now();
        wire.send(&Order::Clock)?;
        let Told::Clock(theirs) = next(wire)? else { return Err(unexpected()) };
        let took = clock.now() - asked;
        if took < best.1 {
            best = (theirs as i64 - (asked + took / 2) as i64, took);
        }
    }
    Ok(best)
}
