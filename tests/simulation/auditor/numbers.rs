//! The chapter on what is counted and measured of functions, by what was seen at the edges: how many jobs came to which end by their
//! worker's word, how many were taken, and since when the one waits that is next.
use super::{Auditor, Job, Moment, audit};
use ringgear_engine::report::{FunctionNumbers, NumbersPage};
use ringgear_engine::stats::FunctionStats;
use ringgear_engine::{Query, Work};
use std::collections::BTreeMap;

/// The clocks are read at different moments, and times are told in milliseconds.
const BLUR_MS: u64 = 250;

/// Words of workers that end a job: those that were taken for sure, and others that may have been.
#[derive(Clone, Copy, Debug, Default)]
struct Words {
    sure: u64,
    open: u64,
}

impl Auditor {
    /// The answer to `Numbers` or `Function`.
    pub(super) fn numbers(&self, at: Moment, query: &Query, page: &NumbersPage, exact: bool) {
        let rows: BTreeMap<_, _> = page.rows.iter().map(|row| (self.function(&row.function), row)).collect();
        audit!(self, "numbers are of functions", !rows.contains_key(&None), "{rows:?}");
        let sorted = page.rows.is_sorted_by(|one, next| one.function < next.function);
        audit!(self, "functions are sorted, each is there once", sorted, "{:?}", page.rows);
        for (function, row) in &rows {
            let function = function.expect("just asserted");
            let sums = |row: &FunctionNumbers| {
                row.queued.iter().sum::<u32>() + row.scheduled + row.storing + row.abandoned + row.running
            };
            let jobs = self.alive.iter().map(|id| &self.jobs[id]).filter(|job| job.function == function);
            let alive = jobs.clone().filter(|job| job.surely_alive() && job.known <= at).count() as u32;
            audit!(self, "numbers count every job", sums(row) >= alive, "{row:?}, but {alive} live");
            let waits = row.oldest_ms.is_some() == (row.queued != [0; 3]);
            audit!(self, "something has waited longest where something waits", waits, "{row:?}");
            if exact {
                audit!(self, "numbers add up", sums(row) == jobs.count() as u32, "{row:?}");
                self.age(function, row);
            }
        }
        if exact && *query == Query::Numbers {
            self.ends(page);
        }
    }

    /// Nobody has waited longer than since somebody said it first, nor less than since somebody heard of it.
    fn age(&self, function: usize, row: &FunctionNumbers) {
        let Some(oldest) = row.oldest_ms.filter(|_| self.jobs_before == 0) else { return };
        let now = self.now.instant.0;
        let since = |instant: u64| now.saturating_sub(instant) / 1_000_000;
        let jobs = || self.alive.iter().map(|id| &self.jobs[id]).filter(|job| job.function == function);
        let first = |job: &Job| job.candidates.iter().map(|&sub| self.subs[sub].instant.0).min();
        let most = jobs().filter_map(first).min().map_or(0, since) + BLUR_MS;
        audit!(self, "nobody waits for longer than it is there", oldest <= most, "{row:?}, but {most} ms");
        // Of one that stands there alone, since it came to its queue for sure.
        let only = jobs().next().filter(|_| jobs().count() == 1);
        if let Some((_, ready)) = only.and_then(|job| self.ready_since(job)) {
            let least = since(ready.0).saturating_sub(BLUR_MS);
            audit!(
                self,
                "the age of the only job is told",
                oldest >= least,
                "{row:?}, but {least} ms: {only:?}"
            );
        }
    }

    /// Ends that workers told of, and jobs that they were given.
    fn ends(&self, page: &NumbersPage) {
        let mut told = page.others.clone();
        page.rows.iter().filter_map(|row| row.stats.as_ref()).for_each(|stats| told.merge(stats));
        let all = |work: &Work| matches!(work, Work::Complete(_) | Work::Fail | Work::Exception(_));
        self.words(&told, "completed", told.completed, None, |work| matches!(work, Work::Complete(_)));
        self.words(&told, "exceptions", told.exceptions, None, |work| matches!(work, Work::Exception(_)));
        self.words(&told, "ended", told.completed + told.failed + told.exceptions, None, all);
        let times = told.run.count() <= told.completed + told.failed + told.exceptions;
        audit!(self, "who has ended has run", times, "{told:?}");
        let seen: u64 = self.jobs.values().map(|job| job.runs.len() as u64).sum();
        if self.jobs_before == 0 {
            audit!(
                self,
                "every job that is given out has waited",
                told.wait.count() >= seen,
                "{told:?}, {seen}"
            );
        }
        if self.tally.dropped == 0 && !self.functions.iter().any(|function| function.drops > 0) {
            for row in &page.rows {
                let (Some(stats), function) = (&row.stats, self.function(&row.function)) else { continue };
                if function.is_some_and(|function| self.functions[function].begun_again) {
                    continue;
                }
                self.words(stats, "ended", stats.completed + stats.failed + stats.exceptions, function, all);
            }
        }
    }

    fn words(
        &self,
        stats: &FunctionStats,
        what: &str,
        told: u64,
        function: Option<usize>,
        is_one: impl Fn(&Work) -> bool,
    ) {
        let jobs = self.jobs.values().filter(|job| function.is_none_or(|function| job.function == function));
        let mut words = Words::default();
        for update in jobs.flat_map(|job| &job.runs).flat_map(|run| &run.updates) {
            if update.at > self.started && !update.vain && is_one(&update.work) {
                match update.taken {
                    Some(true) => words.sure += 1,
                    Some(false) => {}
                    None => words.open += 1,
                }
            }
        }
        // Who left before the answer may have said it, too, of what nobody knew that it had.
        let Words { sure, open } = words;
        let sound = told >= sure && (told <= sure + open || self.tally.left > 0);
        audit!(self, "what workers say is counted", sound, "{told} {what}, but {words:?}: {stats:?}");
    }
}
