//! Pieces that stand on several pages: numbers, names, verdicts, small curves. Every name that a peer chose comes through here or `names.rs`,
//! and maud escapes what it is given.
use super::super::names::{percent, readable};
use super::super::why::{Verdict, VerdictLevel};
use super::super::words::lasting;
use crate::engine::JobId;
pub(super) use crate::frontend::rate;
use crate::frontend::{SharedPort, thousands};
use maud::{Markup, html};
use std::fmt::Write;

/// A number with commas between thousands.
pub(super) fn num(number: impl Into<u64>) -> String {
    thousands(number.into())
}

/// So many of something, with commas.
pub(super) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", num(number), if number == 1 { one } else { many })
}

/// A time from a histogram: false beside it where it may have been longer.
pub(super) fn took(quantile: Option<(u64, bool)>) -> String {
    match quantile {
        None => "–".to_owned(),
        Some((ms, true)) if (1000..60_000).contains(&ms) => format!("{:.1} s", ms as f64 / 1000.0),
        Some((ms, true)) => lasting(ms),
        Some((ms, false)) => format!("over {}", lasting(ms)),
    }
}

/// Bytes.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, word)) => format!("{:.1} {word}", bytes as f64 / *unit as f64),
        None => counted(bytes, "byte", "bytes"),
    }
}

/// The name of a function, or of whatever else has one.
pub(super) fn name(bytes: &[u8]) -> String {
    match readable(bytes) {
        name if name.is_empty() => "(no name)".to_owned(),
        name => name,
    }
}

/// A path with the name of a function: in the query, where any bytes can stand, and dots mean nothing.
pub(super) fn with_name(path: &str, function: &[u8]) -> String {
    format!("{path}?name={}", percent(function))
}

/// The page of a function.
pub(super) fn function_path(function: &[u8]) -> String {
    with_name("/function", function)
}

pub(super) fn handle(port: &SharedPort, job: JobId) -> String {
    String::from_utf8_lossy(&port.handle_prefix.handle(job)).into_owned()
}

/// The page of a job.
pub(super) fn job_path(handle: &str) -> String {
    format!("/job?handle={}", percent(handle.as_bytes()))
}

/// A job, to be opened.
pub(super) fn job_link(handle: &str) -> Markup {
    html! { a href=(job_path(handle)) { code { (handle) } } }
}

/// Why something does not move: the reason that matters most first, with what may be done.
pub(super) fn verdicts(all: &[Verdict]) -> Markup {
    html! {
        ul class="verdicts" aria-live="polite" {
            @for verdict in all {
                @let (class, word) = told(verdict.level);
                li class=(class) {
                    strong { (word) ": " } (verdict.text)
                    @for hint in &verdict.hints { p class="hint" { "Try: " code { (hint) } } }
                }
            }
        }
    }
}

/// How bad it is: a colour, and a word beside it.
pub(super) fn told(level: VerdictLevel) -> (&'static str, &'static str) {
    match level {
        VerdictLevel::Ok => ("ok", "Fine"),
        VerdictLevel::Wait => ("warn", "Waits"),
        VerdictLevel::Bad => ("bad", "Bad"),
    }
}

/// A state: a dot and a word.
pub(super) fn state(word: &str, class: &str) -> Markup {
    html! { span class={ "state " (class) } { (word) } }
}

/// Waiting jobs by priority, as one bar: its parts tell themselves in words.
pub(super) fn bar(queued: [u32; 3]) -> Markup {
    let all: u64 = queued.iter().copied().map(u64::from).sum();
    let label = format!("{} high, {} normal, {} low", num(queued[0]), num(queued[1]), num(queued[2]));
    let width = |jobs: u64| jobs as f64 / all as f64 * 60.0;
    let mut before = 0_u64;
    let parts = ["high", "normal", "low"].into_iter().zip(queued).map(|(class, jobs)| {
        let x = width(before);
        before += u64::from(jobs);
        (class, x, width(jobs.into()))
    });
    let parts: Vec<_> = parts.filter(|(.., width)| *width > 0.0).collect();
    html! {
        @if all > 0 {
            svg class="bar" viewBox="0 0 60 6" role="img" aria-label=(label) {
                title { (label) }
                @for (class, x, width) in parts {
                    rect class=(class) x=(format!("{x:.1}")) y="0" height="6" width=(format!("{width:.1}")) {}
                }
            }
        }
    }
}

/// A small curve, without words of its own: the number beside it says how much.
pub(super) fn curve(values: impl Iterator<Item = f64>) -> Markup {
    let values: Vec<f64> = values.collect();
    let top = values.iter().copied().fold(1e-9, f64::max);
    let mut points = String::new();
    for (at, value) in values.iter().enumerate() {
        let x = at as f64 / (values.len() - 1).max(1) as f64 * 100.0;
        // Writing to memory cannot fail.
        let _ = write!(points, "{x:.1},{:.1} ", 19.0 - value / top * 18.0);
    }
    html! {
        @if values.len() > 1 {
            svg class="curve" viewBox="0 0 100 20" preserveAspectRatio="none" aria-hidden="true" focusable="false" {
                polyline points=(points.trim_end()) {}
            }
        }
    }
}

/// Where a list goes on, and where it begins.
pub(super) fn pager(path: &str, next: Option<&str>, is_first: bool) -> Markup {
    let mark = if path.contains('?') { '&' } else { '?' };
    html! {
        @if next.is_some() || !is_first {
            p class="pager" {
                @if !is_first { a href=(path) { "from the beginning" } " " }
                @if let Some(next) = next { a rel="next" href=(format!("{path}{mark}after={next}")) { "more" } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_as_one_reads_them() {
        let of = |number: u64| num(number);
        assert_eq!([0, 12, 999, 1000, 1_234_567].map(of), ["0", "12", "999", "1,000", "1,234,567"]);
        assert_eq!([0.0, 0.04, 3.13, 9.99, 1234.5].map(rate), ["0", "0.0", "3.1", "10", "1,235"]);
        assert_eq!(took(Some((1500, true))), "1.5 s");
        assert_eq!(took(Some((3_600_000, false))), "over 1 h 0 min");
        assert_eq!((size(1), size(1536)), ("1 byte".to_owned(), "1.5 KiB".to_owned()));
    }

    #[test]
    fn names_of_peers_are_text_and_nothing_else() {
        let hostile = b"<script>alert('&\"')</script>\n\xff";
        let text =
            html! { a href=(function_path(hostile)) title=(name(hostile)) { (name(hostile)) } }.into_string();
        assert!(!text.contains("<script") && !text.contains('\n'), "{text}");
        assert!(text.contains("&lt;script&gt;alert('&amp;&quot;')&lt;/script&gt;\\x0a\\xff"), "{text}");
        assert!(text.contains("/function?name=%3Cscript%3E"), "{text}");
        assert!(name(&vec![b'x'; 64 << 10]).len() < 200);
    }
}
