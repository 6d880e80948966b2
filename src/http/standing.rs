//! How a function is, in a word: the same on pages, in lists and in `ringgear top`.
use super::desk::Desk;
use crate::engine::report::FunctionNumbers;

/// Jobs that came and ended a second, of late.
pub(super) fn rates(desk: &Desk, row: &FunctionNumbers) -> Option<(f64, f64)> {
    let (recent, window) = desk.recent(&row.function, row.stats.as_ref()?);
    let seconds = window.as_secs_f64().max(1.0);
    let ended = recent.completed + recent.failed + recent.exceptions;
    Some((recent.accepted as f64 / seconds, ended as f64 / seconds))
}

/// How a function is, by its numbers alone: a word, a colour, and how much it matters.
pub(super) fn standing(row: &FunctionNumbers, rates: Option<(f64, f64)>) -> (&'static str, &'static str) {
    let queued: u64 = row.queued.iter().copied().map(u64::from).sum();
    let grows = rates.is_some_and(|(came, ended)| came > 0.1 && came > ended * 1.05);
    match () {
        () if row.paused.is_some() => ("paused", "warn"),
        () if queued > 0 && row.workers == 0 => ("no worker", "bad"),
        () if queued > 0 && grows => ("growing", "bad"),
        () if queued > 0 => ("waiting", "warn"),
        () if row.dead > 0 => ("dead jobs", "warn"),
        () if row.running > 0 => ("busy", "ok"),
        () => ("idle", "ok"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::overview::numbers;
    use super::*;

    #[test]
    fn a_function_has_a_word_for_how_it_is() {
        let is =
            |queued, running, workers, rates| standing(&numbers(b"f", queued, running, workers), rates).0;
        assert_eq!(is(0, 0, 0, None), "idle");
        assert_eq!(is(0, 1, 1, None), "busy");
        assert_eq!(is(5, 1, 1, Some((2.0, 2.0))), "waiting");
        assert_eq!(is(5, 1, 1, Some((4.0, 2.0))), "growing");
        assert_eq!(is(5, 0, 0, None), "no worker");
    }
}
