//! Latencies of one load thread, between two ticks. Whole histograms travel to the reporter, so that the
//! loop that measures neither merges nor allocates.
use hdrhistogram::Histogram;

use crate::result::span::{Interval, Span};

/// The largest latency that is told apart from others, in nanoseconds: an hour.
pub(crate) const LATENCY_MAX: u64 = 3_600_000_000_000;

/// A histogram of nanoseconds with three significant digits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_MAX, 3).expect("the bounds are sound")
}

/// The same latencies, counted twice.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    /// From the time that the schedule intended: what a user would have felt.
    pub(crate) response: Histogram<u64>,
    /// From the time that it was really sent: what the job server can see. Empty in a closed loop,
    /// where both are the same.
    pub(crate) service: Histogram<u64>,
    /// How many of `response` are of jobs that were not answered when the phase ended: at least so long.
    pub(crate) unanswered: u64,
    /// The shortest of those, in nanoseconds; `u64::MAX` without any. What is below it is exact.
    pub(crate) at_least: u64,
}

impl Pair {
    fn new() -> Pair {
        Pair { response: histogram(), service: histogram(), unanswered: 0, at_least: u64::MAX }
    }
}

/// The latencies of one group of clients, by [`Span`].
pub(crate) type Spans = [Pair; Span::ALL.len()];

fn spans() -> Box<Spans> {
    Box::new(std::array::from_fn(|_| Pair::new()))
}

/// Everything that one thread measured since the last tick.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    /// By group of clients; made when the first latency of a group comes.
    pub(crate) groups: Vec<Option<Box<Spans>>>,
    /// How long after the intended time an open loop sent, the job server not being the cause.
    pub(crate) timer_error: Histogram<u64>,
    /// How long, at most, what was read had waited for the load thread to read it.
    pub(crate) receive_lag: Histogram<u64>,
    /// Latencies of the probe, from when its jobs were due; empty where there was none.
    pub(crate) probe: Histogram<u64>,
    /// Jobs of the measured time that were sent.
    pub(crate) sent: u64,
    /// Of those, the ones that were fully answered.
    pub(crate) answered: u64,
    /// Jobs of the measured time that were due and never sent.
    pub(crate) unsent: u64,
    /// The same by interval: only of the whole of a phase, and of one round.
    pub(crate) intervals: Vec<Interval>,
}

impl Recorder {
    /// An empty one for so many groups.
    pub(crate) fn new(groups: usize) -> Recorder {
        Recorder {
            groups: vec![None; groups],
            timer_error: histogram(),
            receive_lag: histogram(),
            probe: histogram(),
            sent: 0,
            answered: 0,
            unsent: 0,
            intervals: vec![],
        }
    }

    /// One latency of a group, to put in what was read again.
    pub(crate) fn pair(&mut self, group: usize, span: Span) -> &mut Pair {
        &mut self.groups[group].get_or_insert_with(spans)[span as usize]
    }

    /// A latency of a closed loop, or of an open one if `open`.
    #[inline]
    pub(crate) fn record(
        &mut self,
        group: usize,
        span: Span,
        open: bool,
        now: u64,
        intended: u64,
        sent: u64,
    ) {
        let pair = &mut self.groups[group].get_or_insert_with(spans)[span as usize];
        pair.response.saturating_record(now.saturating_sub(intended));
        if open {
            pair.service.saturating_record(now.saturating_sub(sent));
        }
    }

    /// A job that was not answered when the phase ended, `waited` nanoseconds after it was intended.
    #[cold]
    pub(crate) fn record_unanswered(&mut self, group: usize, span: Span, waited: u64) {
        let pair = &mut self.groups[group].get_or_insert_with(spans)[span as usize];
        pair.response.saturating_record(waited);
        pair.unanswered += 1;
        pair.at_least = pair.at_least.min(waited);
    }

    /// Adds what another recorder has.
    pub(crate) fn merge(&mut self, other: &Recorder) {
        add(&mut self.timer_error, &other.timer_error);
        add(&mut self.receive_lag, &other.receive_lag);
        add(&mut self.probe, &other.probe);
        self.sent += other.sent;
        self.answered += other.answered;
        self.unsent += other.unsent;
        for (mine, theirs) in self.groups.iter_mut().zip(&other.groups) {
            let Some(theirs) = theirs else { continue };
            for (mine, theirs) in mine.get_or_insert_with(spans).iter_mut().zip(theirs.iter()) {
                add(&mut mine.response, &theirs.response);
                add(&mut mine.service, &theirs.service);
                mine.unanswered += theirs.unanswered;
                mine.at_least = mine.at_least.min(theirs.at_least);
            }
        }
    }

    /// Empties it and keeps its memory.
    pub(crate) fn clear(&mut self) {
        reset(&mut self.timer_error);
        reset(&mut self.receive_lag);
        reset(&mut self.probe);
        (self.sent, self.answered, self.unsent) = (0, 0, 0);
        for pair in self.groups.iter_mut().flatten().flat_map(|spans| spans.iter_mut()) {
            reset(&mut pair.response);
            reset(&mut pair.service);
            (pair.unanswered, pair.at_least) = (0, u64::MAX);
        }
    }
}

/// Adds one histogram to another with the same bounds; most are empty, and adding costs their full length.
pub(crate) fn add(to: &mut Histogram<u64>, from: &Histogram<u64>) {
    if !from.is_empty() {
        to.add(from).expect("all histograms have the same bounds");
    }
}

fn reset(histogram: &mut Histogram<u64>) {
    if !histogram.is_empty() {
        histogram.reset();
    }
}
