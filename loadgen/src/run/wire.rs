//! What a conductor and its agents say to each other: messages, how they are packed, and their transport. Who says what when stands
//! in `remote.rs` and `agent.rs`. A frame is its length (4 bytes, little endian) and a message in postcard's format.
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::job::check::{Fate, Tally};
use crate::machine::identity::Machine;
use crate::result::record::Recorder;
use crate::result::span::Span;
use crate::run::stage::Counts;

/// Another when a message changes.
pub(crate) const VERSION: u32 = 1;

/// The largest frame: ledgers of many millions of jobs.
const FRAME_MAX: usize = 256 << 20;

/// How long a read waits.
pub(crate) const LOOK: Duration = Duration::from_millis(5);

/// What the conductor wants.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// A run begins.
    Run(Box<Task>),
    /// The agent's clock is asked for.
    Clock,
    /// The agent's clock is ahead of the conductor's by so many nanoseconds, and is to be set back by them: times in jobs are read
    /// on other machines than they were written on.
    SetBack(i64),
    /// The connections of this phase are to be made.
    Phase(usize),
    /// Clients submit from the first time until the third, what is due from the second on is measured.
    Begin(u64, u64, u64),
    /// Clients stop at this time.
    Interrupt(u64),
    /// The phase goes on to quiet (false) or to its end (true).
    Advance(bool),
    /// All ledgers are asked for.
    Fates,
}

/// A run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    /// See [`VERSION`].
    pub(crate) version: u32,
    /// The plan in TOML.
    pub(crate) plan: String,
    /// The run's number.
    pub(crate) run: u32,
    /// The job server.
    pub(crate) server: SocketAddr,
    /// Which of so many agents it is.
    pub(crate) share: (usize, usize),
    /// Nanoseconds before a timer from which on a load thread does not sleep.
    pub(crate) spin: u64,
}

/// What an agent tells.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Told {
    /// It takes the run with so many load threads, on this machine.
    Ready(usize, Machine),
    /// It does not, or gave up.
    Refused(String),
    /// Its clock.
    Clock(u64),
    /// What its threads counted, and the CPU time of each in nanoseconds.
    Counts(Counts, Vec<u64>),
    /// What they measured.
    Tick(Box<PackedTick>),
    /// The phase is over.
    End(Tally),
    /// The ledgers of all client connections that have one.
    Fates(Vec<(u32, Fate)>),
}

/// What was measured in one interval.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PackedTick {
    /// Counts them from the beginning of the phase.
    pub(crate) index: u64,
    /// From when, and until when.
    pub(crate) from: u64,
    /// See `from`.
    pub(crate) to: u64,
    histograms: Vec<(Packed, Vec<u8>)>,
    /// Group, span, unanswered and at_least.
    bounds: Vec<(usize, usize, u64, u64)>,
    /// Sent, answered, unsent.
    fates: (u64, u64, u64),
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Packed {
    TimerError,
    ReceiveLag,
    /// Group, span, from sending.
    Latency(usize, usize, bool),
}

impl PackedTick {
    /// Packs what a recorder has.
    pub(crate) fn pack(index: u64, from: u64, to: u64, recorder: &Recorder) -> PackedTick {
        let mut serializer = V2Serializer::new();
        let mut histograms = vec![];
        let mut pack = |part, histogram: &Histogram<u64>| {
            let mut bytes = vec![];
            if !histogram.is_empty() && serializer.serialize(histogram, &mut bytes).is_ok() {
                histograms.push((part, bytes));
            }
        };
        pack(Packed::TimerError, &recorder.timer_error);
        pack(Packed::ReceiveLag, &recorder.receive_lag);
        let mut bounds = vec![];
        for (group, spans) in recorder.groups.iter().enumerate() {
            for (span, pair) in spans.iter().flat_map(|spans| spans.iter()).enumerate() {
                pack(Packed::Latency(group, span, false), &pair.response);
                pack(Packed::Latency(group, span, true), &pair.service);
                if pair.unanswered > 0 {
                    bounds.push((group, span, pair.unanswered, pair.at_least));
                }
            }
        }
        let fates = (recorder.sent, recorder.answered, recorder.unsent);
        PackedTick { index, from, to, histograms, bounds, fates }
    }

    /// The recorder again, for a plan with so many groups.
    pub(crate) fn unpack(&self, groups: usize) -> io::Result<Recorder> {
        let mut recorder = Recorder::new(groups);
        let mut deserializer = Deserializer::new();
        let wrong = |what: &str| io::Error::other(format!("an agent sent {what} that cannot be read"));
        for (part, bytes) in &self.histograms {
            let histogram: Histogram<u64> =
                deserializer.deserialize(&mut bytes.as_slice()).map_err(|_| wrong("a histogram"))?;
            let to = match *part {
                Packed::TimerError => &mut recorder.timer_error,
                Packed::ReceiveLag => &mut recorder.receive_lag,
                Packed::Latency(group, span, service) => {
                    let span =
                        *Span::ALL.get(span).filter(|_| group < groups).ok_or_else(|| wrong("a latency"))?;
                    let pair = recorder.pair(group, span);
                    if service { &mut pair.service } else { &mut pair.response }
                }
            };
            to.add(&histogram).map_err(|_| wrong("a histogram"))?;
        }
        for &(group, span, unanswered, at_least) in &self.bounds {
            let span = *Span::ALL.get(span).filter(|_| group < groups).ok_or_else(|| wrong("a bound"))?;
            let pair = recorder.pair(group, span);
            (pair.unanswered, pair.at_least) = (unanswered, at_least);
        }
        (recorder.sent, recorder.answered, recorder.unsent) = self.fates;
        Ok(recorder)
    }
}

/// One end of the connection.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Wire {
    /// Takes a connection.
    pub(crate) fn new(stream: TcpStream) -> io::Result<Wire> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LOOK))?;
        // Who does not read for so long is gone.
        stream.set_write_timeout(Some(Duration::from_secs(30)))?;
        Ok(Wire { stream, bytes: vec![] })
    }

    /// Sends a message.
    pub(crate) fn send(&mut self, message: &impl Serialize) -> io::Result<()> {
        let body = postcard::to_allocvec(message).map_err(io::Error::other)?;
        let length = u32::try_from(body.len()).map_err(io::Error::other)?;
        self.stream.write_all(&[&length.to_le_bytes()[..], &body].concat())
    }

    /// The next message, if one comes within [`LOOK`].
    pub(crate) fn receive<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let mut scratch = [0; 65536];
        loop {
            if let Some((length, rest)) = self.bytes.split_first_chunk::<4>() {
                let length = u32::from_le_bytes(*length) as usize;
                if length > FRAME_MAX {
                    return Err(io::Error::other("what came is no message of a load generator"));
                }
                if let Some(body) = rest.get(..length) {
                    let message = postcard::from_bytes(body)
                        .map_err(|_| io::Error::other("what came is no message of this version"))?;
                    self.bytes.drain(..4 + length);
                    return Ok(Some(message));
                }
            }
            match self.stream.read(&mut scratch) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.bytes.extend_from_slice(&scratch[..read]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Ok(None);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_arrives_as_it_was() {
        let mut recorder = Recorder::new(2);
        recorder.record(1, Span::Result, true, 5000, 1000, 2000);
        recorder.record_unanswered(1, Span::Created, 77);
        recorder.timer_error.record(9).unwrap();
        (recorder.sent, recorder.answered, recorder.unsent) = (3, 2, 1);
        let packed = postcard::to_allocvec(&PackedTick::pack(4, 1, 2, &recorder)).unwrap();
        let tick: PackedTick = postcard::from_bytes(&packed).unwrap();
        assert_eq!((tick.index, tick.from, tick.to), (4, 1, 2));
        let read = tick.unpack(2).unwrap();
        assert_eq!(read.timer_error, recorder.timer_error);
        let pair =
            |recorder: &Recorder, span: Span| recorder.groups[1].as_ref().unwrap()[span as usize].clone();
        for span in Span::ALL {
            let (read, written) = (pair(&read, span), pair(&recorder, span));
            assert_eq!((read.response, read.service), (written.response, written.service));
            assert_eq!((read.unanswered, read.at_least), (written.unanswered, written.at_least));
        }
        assert_eq!((read.sent, read.answered, read.unsent), (3, 2, 1));
        // Of another plan.
        assert!(tick.unpack(1).is_err());
    }
}
