//! What a latency is of, and a piece of a phase's latencies over time. Whole phases stand in `record.rs`, what is written of
//! the pieces in `intervals.rs`.
use std::io;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;

/// What a latency is of. It begins with the submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    /// JOB_CREATED at the client.
    Created,
    /// JOB_ASSIGN at our worker.
    Worker,
    /// The result at the client.
    Result,
    /// The same, less the time that the worker had the job. Only where workers take time at all.
    Added,
}

impl Span {
    /// All of them, in the order in which they happen, and what is reckoned from them.
    pub(crate) const ALL: [Span; 4] = [Span::Created, Span::Worker, Span::Result, Span::Added];

    /// The one that a name is of.
    pub(crate) fn named(name: &str) -> Option<Span> {
        Span::ALL.into_iter().find(|span| span.name() == name)
    }

    /// As a person reads it.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Span::Created => "submit→JOB_CREATED",
            Span::Worker => "submit→worker",
            Span::Result => "submit→result",
            Span::Added => "added by the job server",
        }
    }

    /// As a file is called.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Span::Created => "created",
            Span::Worker => "worker",
            Span::Result => "result",
            Span::Added => "added",
        }
    }
}

/// What was measured of one kind in one interval.
#[derive(Clone, Debug)]
pub(crate) struct Interval {
    /// Of which kind.
    pub(crate) kind: Kind,
    /// When it began, in nanoseconds since the run did.
    pub(crate) start: u64,
    /// How long it was, in nanoseconds.
    pub(crate) length: u64,
    /// The histogram, which takes 180 kB when it is not packed.
    pub(super) packed: Vec<u8>,
}

/// Which histogram of a recorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// How late the load generator's timers were.
    TimerError,
    /// A latency of a group of clients, by number.
    Latency {
        /// The group, counted over the whole plan.
        group: usize,
        /// What it ends with.
        span: Span,
        /// True if it begins with the sending, false if with the intended time.
        service: bool,
    },
}

impl Interval {
    /// The histogram, as it was.
    pub(crate) fn histogram(&self) -> io::Result<Histogram<u64>> {
        let unpacked = Deserializer::new().deserialize(&mut self.packed.as_slice());
        unpacked.map_err(|error| io::Error::other(format!("an interval cannot be unpacked: {error}")))
    }
}
