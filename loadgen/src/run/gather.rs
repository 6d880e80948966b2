//! Puts together what the load threads of one phase send with each tick: the whole, and its course over time.
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};

use hdrhistogram::serialization::V2Serializer;

use crate::plan::cast::Cast;
use crate::plan::terms::Phase;
use crate::result::intervals;
use crate::result::outcome::{Moment, Percentiles, Series};
use crate::result::record::Recorder;
use crate::result::span::Span;
use crate::run::orders::Tick;

/// The most intervals of a phase: a day in steps of 24 seconds.
const INTERVALS_MAX: u64 = 3600;

/// Nanoseconds between two ticks of a phase: a hundredth of it, so that a course can be seen, but never so short that
/// there are too many, even if it goes on until its limit.
pub(crate) fn tick(phase: &Phase) -> u64 {
    let usual = phase.seconds.map_or(0.25, |seconds| (seconds / 100.0).clamp(0.1, 1.0));
    // The quiet time after the limit needs some, too.
    (usual.max(phase.limit / (INTERVALS_MAX as f64 * 0.9)) * 1e9) as u64
}

/// What was measured so far.
#[derive(Debug)]
pub(crate) struct Gather {
    threads: usize,
    total: Recorder,
    /// When the phase began, in nanoseconds since the run's epoch.
    start: u64,
    /// Intervals that not all threads have told of.
    open: BTreeMap<u64, Open>,
    /// Names of the groups.
    groups: Vec<String>,
    /// By group and span.
    series: Vec<[Vec<Moment>; Span::ALL.len()]>,
    /// Recorders go back to their threads, to be used again.
    spares: Vec<Sender<Box<Recorder>>>,
    serializer: Serializer,
    /// Of the last interval that was closed.
    latest: Option<Percentiles>,
}

/// An interval that is not closed yet.
#[derive(Debug)]
struct Open {
    /// How many threads told of it.
    threads: usize,
    from: u64,
    to: u64,
    recorder: Box<Recorder>,
}

/// Packs histograms. It has nothing to show.
struct Serializer(V2Serializer);

impl std::fmt::Debug for Serializer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Serializer")
    }
}

impl Gather {
    /// For one phase.
    pub(crate) fn new(phase: usize, cast: &Cast, threads: usize) -> Gather {
        let groups: Vec<String> = cast.groups.iter().map(|group| cast.called(group, phase)).collect();
        Gather {
            threads,
            total: Recorder::new(groups.len()),
            start: u64::MAX,
            open: BTreeMap::new(),
            series: groups.iter().map(|_| Default::default()).collect(),
            groups,
            spares: vec![],
            serializer: Serializer(V2Serializer::new()),
            latest: None,
        }
    }

    /// Where the next thread gets its recorders back.
    pub(crate) fn spares(&mut self) -> Receiver<Box<Recorder>> {
        let (sender, receiver) = channel();
        self.spares.push(sender);
        receiver
    }

    /// Takes one tick.
    pub(crate) fn take(&mut self, tick: Tick) {
        let Tick { index, thread, from, to, mut recorder } = tick;
        self.total.merge(&recorder);
        self.start = self.start.min(from);
        // What goes on for longer than was foreseen is one last interval.
        let index = index.min(INTERVALS_MAX - 1);
        match self.open.get_mut(&index) {
            None => {
                self.open.insert(index, Open { threads: 1, from, to, recorder });
            }
            Some(open) => {
                (open.threads, open.from, open.to) = (open.threads + 1, open.from.min(from), open.to.max(to));
                open.recorder.merge(&recorder);
                recorder.clear();
                self.give_back(thread, recorder);
            }
        }
        // The last of a thread may be another number than that of the next: what is open then is closed at the end.
        if self.open.get(&index).is_some_and(|open| open.threads == self.threads)
            && index < INTERVALS_MAX - 1
            && let Some(open) = self.open.remove(&index)
        {
            self.close(thread, open);
        }
    }

    /// The latency that ends last in the last interval, of the worst group.
    pub(crate) fn latest(&self) -> Option<Percentiles> {
        self.latest
    }

    /// The total, with its intervals, and the series.
    pub(crate) fn end(mut self) -> (Recorder, Vec<Series>) {
        while let Some((_, open)) = self.open.pop_first() {
            self.close(0, open);
        }
        let mut series = vec![];
        for (group, spans) in self.groups.iter().zip(self.series) {
            for (span, mut points) in Span::ALL.into_iter().zip(spans) {
                if !points.is_empty() {
                    points.sort_by(|a, b| a.at.total_cmp(&b.at));
                    series.push(Series { group: group.clone(), span: span.name().to_owned(), points });
                }
            }
        }
        (self.total, series)
    }

    fn close(&mut self, thread: usize, open: Open) {
        let Open { from, to, mut recorder, .. } = open;
        let (at, seconds) =
            (to.saturating_sub(self.start) as f64 / 1e9, to.saturating_sub(from) as f64 / 1e9);
        self.latest = None;
        for (spans, series) in recorder.groups.iter().zip(&mut self.series) {
            let Some(spans) = spans else { continue };
            let mut felt = None;
            for ((pair, points), span) in spans.iter().zip(series).zip(Span::ALL) {
                let Some(latency) = Percentiles::of(&pair.response) else { continue };
                points.push(Moment { at, seconds, latency, unanswered: pair.unanswered });
                if span != Span::Added {
                    felt = Some(latency);
                }
            }
            self.latest = [self.latest, felt].into_iter().flatten().max_by(|a, b| a.p99.total_cmp(&b.p99));
        }
        self.total.intervals.extend(intervals::pack(&recorder, from, to, &mut self.serializer.0));
        recorder.clear();
        self.give_back(thread, recorder);
    }

    fn give_back(&mut self, thread: usize, recorder: Box<Recorder>) {
        // A thread that is over needs none, and an agent keeps its own.
        if let Some(spares) = self.spares.get(thread) {
            let _ = spares.send(recorder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::terms::Plan;

    fn phase(text: &str) -> Phase {
        let plan = format!("name = 'x'\nabout = 'x'\n[[phases]]\nname = 'p'\n{text}");
        toml::from_str::<Plan>(&plan).unwrap().phases.remove(0)
    }

    #[test]
    fn no_phase_has_too_many_intervals() {
        assert_eq!(tick(&phase("seconds = 20")), 200_000_000);
        assert_eq!(tick(&phase("drain = true")), 250_000_000);
        for text in ["seconds = 86400\nlimit = 90000", "limit = 86400", "seconds = 1\nlimit = 100000"] {
            let phase = phase(text);
            let intervals = phase.limit * 1e9 / tick(&phase) as f64;
            assert!(intervals < INTERVALS_MAX as f64, "{text}: {intervals}");
        }
    }

    /// An interval of two threads was once closed when the first of them ended, and again with the second.
    #[test]
    fn what_threads_measured_in_one_interval_is_one_interval() {
        let cast = Cast::new(&toml::from_str(crate::plan::library::PLANS[0].1).unwrap(), 1);
        let mut gather = Gather::new(0, &cast, 2);
        let _spares = [gather.spares(), gather.spares()];
        let groups = cast.groups.len();
        let tick = |index, thread, from, to| {
            let mut recorder = Box::new(Recorder::new(groups));
            recorder.record(0, Span::Result, false, 1000, 0, 0);
            Tick { index, thread, from, to, recorder }
        };
        for (index, thread, from, to) in
            [(0, 0, 10, 20), (0, 1, 10, 21), (1, 0, 20, 25), (1, 1, 21, 31), (2, 1, 31, 33)]
        {
            gather.take(tick(index, thread, from, to));
        }
        assert_eq!(gather.latest().unwrap().count, 2);
        // However long it goes on.
        for index in INTERVALS_MAX..INTERVALS_MAX + 5 {
            gather.take(tick(index, 0, index, index + 1));
        }
        let (total, series) = gather.end();
        let times: Vec<_> =
            total.intervals.iter().map(|interval| (interval.start, interval.length)).collect();
        assert_eq!(times, [(10, 11), (20, 11), (31, 2), (3600, 5)]);
        let counts: Vec<_> =
            total.intervals.iter().map(|interval| interval.histogram().unwrap().len()).collect();
        assert_eq!(counts, [2, 2, 1, 5]);
        assert_eq!(series[0].points.iter().map(|point| point.latency.count).collect::<Vec<_>>(), counts);
        assert_eq!(series[0].points[1].at, 21e-9);
    }
}
