//! Puts together what the load threads of one phase send with each tick: the whole, and its course over time.
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::plan::cast::Cast;
use crate::result::outcome::{Percentiles, Point, Series};
use crate::result::record::{Recorder, Span};
use crate::run::orders::Tick;

/// What was measured so far.
#[derive(Debug)]
pub(crate) struct Gather {
    threads: usize,
    /// Nanoseconds between two ticks.
    tick: u64,
    total: Recorder,
    /// Intervals that not all threads have told of.
    open: BTreeMap<u64, (usize, Box<Recorder>)>,
    /// Names of the groups.
    groups: Vec<String>,
    /// By group and span.
    series: Vec<[Vec<Point>; Span::ALL.len()]>,
    /// Recorders go back to their threads, to be used again.
    spares: Vec<Sender<Box<Recorder>>>,
}

impl Gather {
    /// For one phase.
    pub(crate) fn new(_phase: usize, cast: &Cast, threads: usize, tick: u64) -> Gather {
        let groups: Vec<String> = cast.groups.iter().map(|group| group.plan.name.clone()).collect();
        Gather {
            threads,
            tick,
            total: Recorder::new(groups.len()),
            open: BTreeMap::new(),
            series: groups.iter().map(|_| Default::default()).collect(),
            groups,
            spares: vec![],
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
        let Tick { index, thread, mut recorder, last } = tick;
        self.total.merge(&recorder);
        match self.open.get_mut(&index) {
            None => {
                self.open.insert(index, (1, recorder));
            }
            Some((threads, merged)) => {
                *threads += 1;
                merged.merge(&recorder);
                recorder.clear();
                self.give_back(thread, recorder);
            }
        }
        if let Some((threads, _)) = self.open.get(&index)
            && (*threads == self.threads || last)
            && let Some((_, recorder)) = self.open.remove(&index)
        {
            self.close(index, thread, recorder);
        }
    }

    /// The total and the series.
    pub(crate) fn end(mut self) -> (Recorder, Vec<Series>) {
        while let Some((index, (_, recorder))) = self.open.pop_first() {
            self.close(index, 0, recorder);
        }
        let mut series = vec![];
        let interval = self.tick as f64 / 1e9;
        for (group, spans) in self.groups.iter().zip(self.series) {
            for (span, mut points) in Span::ALL.into_iter().zip(spans) {
                if !points.is_empty() {
                    points.sort_by(|a, b| a.at.total_cmp(&b.at));
                    let (group, span) = (group.clone(), span.name().to_owned());
                    series.push(Series { group, span, interval, points });
                }
            }
        }
        (self.total, series)
    }

    fn close(&mut self, index: u64, thread: usize, mut recorder: Box<Recorder>) {
        let at = ((index + 1) * self.tick) as f64 / 1e9;
        for (spans, series) in recorder.groups.iter().zip(&mut self.series) {
            let Some(spans) = spans else { continue };
            for (pair, points) in spans.iter().zip(series) {
                if let Some(latency) = Percentiles::of(&pair.response) {
                    points.push(Point { at, latency, unanswered: pair.unanswered });
                }
            }
        }
        recorder.clear();
        self.give_back(thread, recorder);
    }

    fn give_back(&mut self, thread: usize, recorder: Box<Recorder>) {
        // A thread that is over needs none.
        let _ = self.spares[thread].send(recorder);
    }
}
