//! A client and a worker on a thread of their own, with a job now and then: what a user sees who does not wait in the load
//! generator's own queue. One job at a time, on blocking sockets; what it does is checked by its handle alone.
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use hdrhistogram::Histogram;
use ringgear_protocol::{Frame, GrabKind, Priority, Request, Response, Submit, frame};

use crate::plan::schedule::{Schedule, Timing};
use crate::plan::terms::Phase;
use crate::result::record::histogram;
use crate::run::stage::{Stage, Stand};

/// The most jobs a second, and the part of the jobs asked for that they may be.
const RATE: f64 = 250.0;
const SHARE: f64 = 0.01;

/// Between two looks whether the phase is over, while nothing comes.
const LOOK: Duration = Duration::from_millis(5);

/// The largest packet that it takes.
const PACKET_MAX: u32 = 1 << 20;

/// How many jobs a second are a phase's probe: where it is an open loop whose jobs somebody does. Others have no schedule that a
/// probe could be held against.
pub(crate) fn rate(phase: &Phase) -> Option<f64> {
    let open = !phase.clients.is_empty() && phase.clients.iter().all(|clients| clients.closed.is_none());
    let end =
        phase.seconds.filter(|_| open && phase.measure && !phase.workers.is_empty() && !phase.reconnect)?;
    let due: f64 = phase.clients.iter().filter_map(|clients| clients.due(0.0, end)).sum();
    Some((due / end * SHARE).min(RATE)).filter(|rate| *rate * end >= 1.0)
}

/// Latencies of jobs that were due in the measured time, from when they were due. What went wrong ends it: the load itself tells of
/// a job server that fails.
pub(crate) fn probe(server: SocketAddr, function: &str, rate: f64, stand: &Stand) -> Histogram<u64> {
    let mut found = histogram();
    if let Ok(mut probe) = Probe::connect(server, function, stand) {
        // The first error is the end.
        let _ = probe.run(rate, &mut found);
    }
    found
}

struct Probe<'a> {
    client: ProbeLink,
    worker: ProbeLink,
    function: &'a str,
    stand: &'a Stand,
}

impl Probe<'_> {
    fn connect<'a>(server: SocketAddr, function: &'a str, stand: &'a Stand) -> io::Result<Probe<'a>> {
        let (client, mut worker) = (ProbeLink::connect(server)?, ProbeLink::connect(server)?);
        worker.send(&[Request::CanDo { function: function.as_bytes() }, Request::Grab(GrabKind::Unique)])?;
        Ok(Probe { client, worker, function, stand })
    }

    fn run(&mut self, rate: f64, found: &mut Histogram<u64>) -> io::Result<()> {
        while self.stand.stage() == Stage::Connect {
            thread::sleep(LOOK);
        }
        let (start, from, stop) = self.stand.times();
        let timing = Timing::poisson(rate);
        let mut schedule = Schedule::new(&timing, 0, 1, start, start);
        loop {
            let due = schedule.due();
            schedule.advance();
            if due >= stop {
                return Ok(());
            }
            while let Some(wait) = due.checked_sub(self.stand.clock.now()).filter(|wait| *wait > 0) {
                if self.stand.stage() != Stage::Run {
                    return Ok(());
                }
                thread::sleep(Duration::from_nanos(wait).min(LOOK));
            }
            self.job()?;
            if due >= from {
                found.saturating_record(self.stand.clock.now() - due);
            }
        }
    }

    /// One job from its submission to its result.
    fn job(&mut self) -> io::Result<()> {
        let submit = Submit {
            function: self.function.as_bytes(),
            unique: b"",
            workload: b"probe",
            priority: Priority::Normal,
            background: false,
            epoch: None,
            reducer: None,
        };
        self.client.send(&[Request::Submit(submit)])?;
        loop {
            match self.worker.next(self.stand)? {
                Came::NoJob => self.worker.send(&[Request::PreSleep])?,
                Came::Noop => self.worker.send(&[Request::Grab(GrabKind::Unique)])?,
                Came::Job(handle) => {
                    let done = Request::WorkComplete { handle: &handle, result: b"probe" };
                    self.worker.send(&[done, Request::Grab(GrabKind::Unique)])?;
                    break;
                }
                Came::Created | Came::Result | Came::Other => {}
            }
        }
        loop {
            match self.client.next(self.stand)? {
                Came::Result => return Ok(()),
                Came::Other => return Err(io::Error::other("the job was refused")),
                _ => {}
            }
        }
    }
}

/// What came, as far as it matters.
enum Came {
    Created,
    Result,
    NoJob,
    Noop,
    /// With its handle.
    Job(Vec<u8>),
    Other,
}

/// A blocking connection.
struct ProbeLink {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl ProbeLink {
    fn connect(server: SocketAddr) -> io::Result<ProbeLink> {
        let stream = TcpStream::connect_timeout(&server, Duration::from_secs(2))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LOOK))?;
        stream.set_write_timeout(Some(Duration::from_secs(2)))?;
        Ok(ProbeLink { stream, bytes: vec![] })
    }

    fn send(&mut self, requests: &[Request<'_>]) -> io::Result<()> {
        let mut out = vec![];
        for request in requests {
            request.encode(&mut out);
        }
        self.stream.write_all(&out)
    }

    /// The next packet; an error once the phase is over.
    fn next(&mut self, stand: &Stand) -> io::Result<Came> {
        let mut scratch = [0; 4096];
        loop {
            if let Frame::Packet { header, data, consumed } =
                frame(&self.bytes, PACKET_MAX).map_err(io::Error::other)?
            {
                let told = match Response::decode(&header, data).map_err(io::Error::other)? {
                    Response::JobCreated { .. } => Came::Created,
                    Response::WorkComplete { .. } => Came::Result,
                    Response::NoJob => Came::NoJob,
                    Response::Noop => Came::Noop,
                    Response::JobAssignUniq { handle, .. } => Came::Job(handle.to_vec()),
                    _ => Came::Other,
                };
                self.bytes.drain(..consumed);
                return Ok(told);
            }
            match self.stream.read(&mut scratch) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.bytes.extend_from_slice(&scratch[..read]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(error),
            }
            if stand.stage() != Stage::Run {
                return Err(io::Error::other("the phase is over"));
            }
        }
    }
}
