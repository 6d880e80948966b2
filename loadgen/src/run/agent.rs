//! An agent: load threads for a conductor on another machine. It does what the load threads of a run do, and is told when. How both
//! talk stands in `wire.rs`.
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::job::check::{Fate, Tally};
use crate::machine::identity::Machine;
use crate::machine::{interrupt, probe};
use crate::plan::bounds;
use crate::plan::cast::Cast;
use crate::plan::terms::Plan;
use crate::result::record::Recorder;
use crate::run::deal::{self, Deal, Dealt};
use crate::run::drive::drive;
use crate::run::gather;
use crate::run::marks;
use crate::run::orders::{Orders, Tick};
use crate::run::stage::{Clock, Stage, Stand, lock};
use crate::run::wire::{LOOK, Order, PackedTick, Task, Told, VERSION, Wire};

/// Between two counts that it sends.
const TELL: Duration = Duration::from_millis(10);

/// How long a conductor may say nothing between two phases.
const SILENT: Duration = Duration::from_secs(600);

/// Serves one conductor after the other until somebody interrupts it.
///
/// # Errors
/// When it cannot listen.
pub(crate) fn serve(listen: &[SocketAddr], threads: usize, load_cores: &[usize]) -> Result<u8, String> {
    let listener = TcpListener::bind(listen).map_err(|error| format!("--listen {listen:?}: {error}"))?;
    listener.set_nonblocking(true).map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    eprintln!(
        "waits for runs at {address} with {threads} load threads; it puts load on whatever job server they name"
    );
    while interrupt::caught().is_none() {
        match listener.accept() {
            Ok((stream, peer)) => match serve_one(stream, threads, load_cores) {
                Ok(()) => eprintln!("{peer}: the run is over"),
                Err(error) => eprintln!("{peer}: {error}"),
            },
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(LOOK),
            // One that was gone before it was taken.
            Err(error) => eprintln!("{error}"),
        }
    }
    Ok(0)
}

/// One run.
struct AgentRun<'a> {
    wire: Wire,
    plan: Plan,
    cast: Cast,
    task: Task,
    clock: Clock,
    threads: usize,
    cores: &'a [usize],
}

/// Serves one conductor: a run.
pub(crate) fn serve_one(stream: TcpStream, threads: usize, cores: &[usize]) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    let mut wire = Wire::new(stream)?;
    let Some(Order::Run(task)) = wait(&mut wire)? else {
        return Err(io::Error::other("it is no conductor"));
    };
    let plan = match read(&task) {
        Ok(plan) => plan,
        Err(why) => {
            wire.send(&Told::Refused(why.clone()))?;
            return Err(io::Error::other(why));
        }
    };
    wire.send(&Told::Ready(threads, Machine::here()))?;
    let cast = Cast::new(&plan, task.run);
    let mut agent = AgentRun { wire, plan, cast, task: *task, clock: Clock::start(), threads, cores };
    loop {
        match wait(&mut agent.wire) {
            Ok(Some(Order::Clock)) => agent.wire.send(&Told::Clock(agent.clock.now()))?,
            Ok(Some(Order::SetBack(ahead))) => agent.clock = agent.clock.set_back(ahead),
            Ok(Some(Order::Phase(index))) if index < agent.plan.phases.len() => agent.phase(index)?,
            Ok(Some(Order::Fates)) => agent.fates()?,
            Ok(Some(_)) => return Err(io::Error::other("an order that was not expected")),
            Ok(None) => return Err(ErrorKind::TimedOut.into()),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// The plan, if this agent can do it.
fn read(task: &Task) -> Result<Plan, String> {
    if task.version != VERSION {
        return Err(format!("it is of another version ({VERSION}, not {})", task.version));
    }
    let (index, count) = task.share;
    if index >= count {
        return Err("there are fewer agents than its number".to_owned());
    }
    let plan: Plan = toml::from_str(&task.plan).map_err(|error| format!("the plan: {error}"))?;
    match bounds::flaw(&plan) {
        Some(flaw) => Err(format!("the plan: {flaw}")),
        None => Ok(plan),
    }
}

/// The next order; `None` when none comes.
fn wait(wire: &mut Wire) -> io::Result<Option<Order>> {
    let deadline = Instant::now() + SILENT;
    while Instant::now() < deadline {
        if interrupt::caught().is_some() {
            return Err(io::Error::other("interrupted"));
        }
        if let Some(order) = wire.receive()? {
            return Ok(Some(order));
        }
    }
    Ok(None)
}

impl AgentRun<'_> {
    fn phase(&mut self, index: usize) -> io::Result<()> {
        let AgentRun { plan, cast, task, clock, threads, cores, wire } = self;
        let phase = &plan.phases[index];
        let deal = Deal { cast, phase, index, server: task.server, run: task.run };
        let (share, count) = task.share;
        let share = deal.among(count).swap_remove(share);
        let parts = deal::again(share, *threads);
        let connections: Vec<u64> = parts.iter().map(|parts| parts.len() as u64).collect();
        let stand = Stand::new(*clock, &connections);
        let (sender, ticks) = channel();
        let mut spares = vec![];
        let orders = parts.into_iter().enumerate().map(|(thread, parts): (usize, Vec<Dealt>)| {
            let (spare, spares_of) = channel();
            spares.push(spare);
            Orders {
                thread,
                server: task.server,
                parts,
                cast,
                stand: &stand,
                has_clients: !phase.clients.is_empty(),
                has_service: phase.workers.iter().any(|workers| workers.service.largest() > 0.0),
                reconnect: phase.reconnect,
                tick: gather::tick(phase),
                spin: task.spin,
                core: match cores.len() {
                    0 => None,
                    count => Some(cores[thread % count]),
                },
                ticks: sender.clone(),
                spares: spares_of,
            }
        });
        let orders: Vec<Orders<'_>> = orders.collect();
        drop(sender);
        let mut merge = Merge { threads: *threads, open: BTreeMap::new(), spares };
        thread::scope(|scope| {
            let marks = marks::marks(orders.len());
            let handles: Vec<_> = orders
                .into_iter()
                .zip(marks)
                .map(|(orders, marks)| scope.spawn(move || drive(orders, marks)))
                .collect();
            let gone = || handles.iter().any(thread::ScopedJoinHandle::is_finished);
            let led = lead(wire, &stand, *clock, &ticks, &mut merge, &gone);
            // Whatever happened, the threads must end.
            if stand.stage() < Stage::End {
                stand.advance(Stage::End);
            }
            let mut tally = Tally::default();
            let mut ended = vec![];
            let mut failure = led.err();
            for handle in handles {
                match handle.join().expect("a load thread does not panic, or the process is over") {
                    Ok((flaws, marks)) => {
                        tally += flaws;
                        ended.push(marks);
                    }
                    // Of its own errors it tells; one of the connection to the conductor is there already.
                    Err(error) => failure = Some(error),
                }
            }
            if let Some(error) = failure {
                let _ = wire.send(&Told::Refused(error.to_string()));
                return Err(error);
            }
            while let Ok(tick) = ticks.recv() {
                merge.take(tick, wire)?;
            }
            merge.end(wire)?;
            let mut counts = stand.counts();
            ended.iter_mut().for_each(|marks| marks.take(cast, &mut counts, &mut tally));
            wire.send(&Told::Counts(counts, vec![]))?;
            wire.send(&Told::End(tally))
        })
    }

    /// Tells what became of jobs that its workers had.
    fn fates(&mut self) -> io::Result<()> {
        let mut told: Vec<(u32, Fate)> = vec![];
        for (conn, fate) in self.cast.fates.iter().enumerate() {
            let fate = std::mem::take(&mut *lock(fate));
            if fate.delivered.count() > 0 {
                told.push((conn as u32, fate));
            }
        }
        self.wire.send(&Told::Fates(told))
    }
}

/// Obeys the conductor until the phase is over.
fn lead(
    wire: &mut Wire,
    stand: &Stand,
    clock: Clock,
    ticks: &Receiver<Tick>,
    merge: &mut Merge,
    gone: &dyn Fn() -> bool,
) -> io::Result<()> {
    let mut told = Instant::now();
    loop {
        while let Ok(tick) = ticks.try_recv() {
            merge.take(tick, wire)?;
        }
        if told.elapsed() >= TELL {
            told = Instant::now();
            let used = stand.tids().map(probe::own_thread).collect();
            wire.send(&Told::Counts(stand.counts(), used))?;
        }
        let advance = |stage: Stage| {
            if stage > stand.stage() {
                stand.advance(stage);
            }
        };
        match wire.receive()? {
            Some(Order::Begin(start, from, stop)) if stand.stage() == Stage::Connect => {
                stand.begin(start, from, stop);
            }
            Some(Order::Interrupt(stop)) if stand.stage() < Stage::Stop => stand.interrupt(stop),
            Some(Order::Advance(false)) => advance(Stage::Quiet),
            Some(Order::Advance(true)) => {
                advance(Stage::End);
                return Ok(());
            }
            Some(Order::Clock) => wire.send(&Told::Clock(clock.now()))?,
            Some(_) => return Err(io::Error::other("an order that was not expected")),
            None => {}
        }
        if gone() {
            return Err(io::Error::other("a load thread gave up"));
        }
    }
}

/// Puts the ticks of all threads together, so that the conductor sees one.
struct Merge {
    threads: usize,
    /// By tick: how many threads told of it, from when until when, and what.
    open: BTreeMap<u64, (usize, u64, u64, Box<Recorder>)>,
    spares: Vec<Sender<Box<Recorder>>>,
}

impl Merge {
    fn take(&mut self, tick: Tick, wire: &mut Wire) -> io::Result<()> {
        let Tick { index, thread, from, to, mut recorder } = tick;
        let whole = match self.open.get_mut(&index) {
            None => {
                self.open.insert(index, (1, from, to, recorder));
                self.threads == 1
            }
            Some((threads, first, last, merged)) => {
                merged.merge(&recorder);
                recorder.clear();
                // A thread that is over needs none.
                let _ = self.spares[thread].send(recorder);
                (*threads, *first, *last) = (*threads + 1, from.min(*first), to.max(*last));
                *threads == self.threads
            }
        };
        match whole.then(|| self.open.remove(&index)).flatten() {
            Some((_, from, to, mut recorder)) => {
                wire.send(&Told::Tick(Box::new(PackedTick::pack(index, from, to, &recorder))))?;
                recorder.clear();
                let _ = self.spares[thread].send(recorder);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn end(&mut self, wire: &mut Wire) -> io::Result<()> {
        while let Some((index, (_, from, to, recorder))) = self.open.pop_first() {
            wire.send(&Told::Tick(Box::new(PackedTick::pack(index, from, to, &recorder))))?;
        }
        Ok(())
    }
}
