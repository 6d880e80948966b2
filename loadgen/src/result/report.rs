//! A result as a person reads it: the block at the end of a run, and its row in a Markdown table.
use std::fmt::Write;
use std::io::Write as _;

use crate::result::checks::checks;
use crate::result::expect;
use crate::result::numbers::{bytes, count, list, time, whole};
use crate::result::outcome::{
    Counted, Fates, GroupOutcome, Limit, Outcome, Percentiles, PhaseOutcome, Quantile, ServerUse, Stall,
};
use crate::result::span::Span;

/// Prints a text. Whoever read it may have gone, as `head` does: that is an end of reading, and no error of the run.
pub(crate) fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// The block at the end of a run.
pub(crate) fn block(outcome: &Outcome) -> String {
    let mut text = String::new();
    let server = &outcome.server;
    let version = server.version.as_deref().unwrap_or("does not tell its version");
    // Writing into a String does not fail.
    let _ = writeln!(text, "\n{} · {} · {}", outcome.plan.name, server.address, version);
    let machine = &outcome.machine;
    let kind = if machine.virtual_machine { " (virtual)" } else { "" };
    let _ = writeln!(
        text,
        "{}{kind}, {} cores, Linux {}, {} load {}{}",
        machine.cpu,
        machine.cores,
        machine.kernel,
        outcome.threads,
        if outcome.threads == 1 { "thread" } else { "threads" },
        match outcome.cores.is_empty() {
            true => String::new(),
            false => format!(" on core {}", list(&outcome.cores)),
        }
    );
    for phase in &outcome.phases {
        if phase.only_watched() {
            text.push_str(&watched(phase));
        } else if phase.measured {
            text.push_str(&self::phase(phase));
        }
    }
    text.push_str(&checks(outcome));
    if !outcome.thresholds.is_empty() {
        text.push_str(&format!("\nthresholds:\n{}", expect::lines(&outcome.thresholds)));
    }
    text
}

/// A run in one line.
pub(crate) fn line(outcome: &Outcome) -> String {
    let phases = outcome.measured().map(|phase| {
        let cpu =
            phase.server.map_or(String::new(), |server| format!(", {:.2} µs CPU a job", server.cpu_per_job));
        format!("{}: {} jobs/s{cpu}", phase.name, count(phase.rate))
    });
    let failed = if outcome.tally.is_clean() { "" } else { " FAILED" };
    format!("{}: {}{failed}", outcome.label, phases.collect::<Vec<_>>().join("; "))
}

/// The result as a Markdown page: a row for each measured phase, and the block below it.
pub(crate) fn markdown(outcome: &Outcome) -> String {
    format!("# {}: {}\n\n{}\n```text{}```\n", outcome.plan.name, outcome.label, rows(outcome), block(outcome))
}

/// A Markdown table with a row for each measured phase.
pub(crate) fn rows(outcome: &Outcome) -> String {
    let mut text = "| plan | phase | server | jobs/s | CPU µs a job | switches a job | resident peak | latency | p50 µs | p90 | p99 \
                    | p99.9 | max | limited by |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for phase in outcome.measured() {
        let server = phase.server.as_ref();
        let cell = |cell: Option<String>| cell.unwrap_or_else(|| "?".to_owned());
        // Of the first group the latency that ends last.
        let span = phase.groups.first().and_then(GroupOutcome::felt);
        let latency = span.map(|span| span.response);
        let micros =
            |pick: fn(&Percentiles) -> f64| latency.as_ref().map_or("-".to_owned(), |all| count(pick(all)));
        let kind = match phase.groups.first() {
            Some(group) if group.open => "open",
            _ => "closed",
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} {} | {} | {} | {} | {} | {} ({kind}) | {} | {} | {} | {} | {} | {:?} |",
            outcome.plan.name,
            phase.name,
            outcome.label,
            outcome.server.version.as_deref().unwrap_or(""),
            count(phase.rate),
            cell(server.map(|server| format!("{:.2}", server.cpu_per_job))),
            cell(server.map(|server| format!("{:.3}", server.waits_per_job + server.preemptions_per_job))),
            cell(server.map(|server| bytes(server.rss_peak))),
            span.map_or("-", |span| span.span.as_str()),
            micros(|all| all.p50),
            micros(|all| all.p90),
            micros(|all| all.p99),
            micros(|all| all.p999),
            micros(|all| all.max),
            phase.limit,
        );
    }
    text
}

fn phase(phase: &PhaseOutcome) -> String {
    let mut text = format!("\n{}", phase.name);
    let what = match phase.counted {
        Counted::Results => "jobs/s, submitted, worked and answered",
        Counted::Completed => "jobs/s, completed by workers",
        Counted::Accepted => "jobs/s, accepted into the queue",
        Counted::Nothing => "jobs/s",
    };
    let _ = write!(text, ": {} {what} ({} jobs in {:.2} s", count(phase.rate), phase.jobs, phase.seconds);
    match phase.asked {
        Some(asked) => {
            let _ = writeln!(text, "; {}/s asked for)", count(asked));
        }
        None => text.push_str(")\n"),
    }
    if let Some(fates) = &phase.fates {
        let Fates { due, sent, answered } = *fates;
        let cells = [due, sent, answered, fates.unanswered()].map(whole);
        let [due, sent, answered, unanswered] = cells;
        let _ = writeln!(text, "  {due} due, {sent} sent, {answered} answered, {unanswered} unanswered");
    }
    if phase.interrupted {
        text.push_str("  interrupted: the figures are of the time until then\n");
    } else if !phase.finished {
        text.push_str("  broken off before all was done: what was due by then counts as unanswered\n");
    }
    if let Some(Stall { seconds, at, waiting }) = phase.stall {
        let _ = writeln!(
            text,
            "  stood still for {seconds:.2} s, {at:.1} s after the beginning: {} jobs waited, and nobody was answered",
            count(waiting as f64)
        );
    }
    if phase.groups.iter().any(|group| !group.spans.is_empty()) {
        let _ = writeln!(
            text,
            "  {:<TITLE$}{:>CELL$}{:>CELL$}{:>CELL$}{:>CELL$}{:>CELL$}{:>CELL$}{:>CELL$}{:>CELL$}",
            "latency, microseconds", "p50", "p90", "p99", "p99.9", "p99.99", "max", "mean", "n"
        );
    }
    for group in &phase.groups {
        text.push_str(&latencies(phase, group));
    }
    if let Some(error) = &phase.timer_error {
        text.push_str(&row("timer error", error, |_, _| Trust::Exact));
    }
    if let Some(probe) = &phase.probe {
        text.push_str(&row("probe, on its own thread", probe, |_, _| Trust::Exact));
    }
    if let Some(lag) = &phase.receive_lag {
        text.push_str(&row("receive lag, at most", lag, |_, _| Trust::Exact));
    }
    if let Some(server) = &phase.server {
        text.push_str(&used(phase, server));
    }
    let _ = writeln!(
        text,
        "  generator  {:.2} µs CPU a job, busiest thread {:.0} % busy, {:.0} % spinning; others used {:.0} % of the machine{}",
        phase.generator.cpu_per_job,
        phase.generator.busiest_thread * 100.0,
        phase.generator.spun * 100.0,
        phase.others * 100.0,
        match phase.stolen {
            stolen if stolen >= 0.01 => format!(", the hypervisor took {:.0} %", stolen * 100.0),
            _ => String::new(),
        }
    );
    let _ = writeln!(text, "  limited by {}", limit(phase));
    for doubt in doubts(phase) {
        let _ = writeln!(text, "  doubt: {doubt}");
    }
    text
}

/// What the job server used.
fn used(phase: &PhaseOutcome, server: &ServerUse) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "  server     {:.2} µs CPU a job ({:.0} % in the kernel), {:.2} cores used, {} threads; {:.3} waits and {:.3} \
         preemptions a job",
        server.cpu_per_job,
        server.kernel_share * 100.0,
        server.cores_used,
        server.threads,
        server.waits_per_job,
        server.preemptions_per_job,
    );
    let _ = writeln!(
        text,
        "             resident {} before, {} connected, {} peak, {} after",
        bytes(server.rss_before),
        bytes(server.rss_connected),
        bytes(server.rss_peak),
        bytes(server.rss_after)
    );
    if let Some(job) = phase.bytes_per_job() {
        let _ = writeln!(text, "             {job:.0} bytes resident for each queued job");
    }
    if let Some(connection) = phase.bytes_per_connection() {
        let _ = writeln!(text, "             {connection:.0} bytes resident for each connection");
    }
    text
}

/// A phase in which nobody did anything: what the job server still held.
fn watched(phase: &PhaseOutcome) -> String {
    let seen = match &phase.server {
        Some(server) => format!(
            "resident {} before, {} peak, {} after",
            bytes(server.rss_before),
            bytes(server.rss_peak),
            bytes(server.rss_after)
        ),
        None => "the job server's process is not known".to_owned(),
    };
    format!("\n{}: watched for {:.2} s, nobody connected\n  server     {seen}\n", phase.name, phase.seconds)
}

/// Why the figures of a phase may say less than they seem to.
pub(crate) fn doubts(phase: &PhaseOutcome) -> Vec<String> {
    let mut doubts = vec![];
    if phase.is_disturbed() {
        doubts.push(
            "other processes took much of the machine: compare CPU a job rather than rates or latencies"
                .to_owned(),
        );
    }
    let mut responses = phase.groups.iter().filter_map(|group| Some(group.felt()?.response));
    let tells = |all: &Percentiles, quantile: Option<f64>| quantile.is_none_or(|at| all.tells(at));
    let own = |all: &Percentiles| {
        COLUMNS.iter().any(|&(pick, at)| tells(all, at) && trust(phase, None, pick, pick(all)) == Trust::Own)
    };
    if responses.any(|all| own(&all)) {
        doubts.push(
            "the load generator itself was late (timer error) or slow to read (receive lag) by more than a quarter of what \
             stands in parentheses"
                .to_owned(),
        );
    }
    if let Some(probe) = phase.probe.filter(|probe| probe.tells(0.99) && phase.own_queue()) {
        let worst =
            phase.groups.iter().filter_map(|group| Some(group.felt()?.response.p99)).fold(0.0, f64::max);
        if worst > 2.0 * probe.p99 {
            doubts.push(format!(
                "the probe, which does not wait in the load generator's queue, had a p99 of {}: the rest may be the load generator's",
                time(probe.p99)
            ));
        }
    }
    if phase.asked.is_some_and(|asked| phase.rate < asked * 0.95) && !phase.interrupted {
        doubts.push(
            "fewer jobs were done than were due, so the queue grew all the time: latencies only tell how long that went on"
                .to_owned(),
        );
    }
    if phase.limit != Limit::Rate && phase.seconds < 0.5 && phase.jobs > 0 {
        doubts.push("it was over in less than half a second: give it more jobs".to_owned());
    }
    doubts
}

/// How far a percentile may be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// As it stands.
    Exact,
    /// Jobs that were not answered lie there: it may be more.
    AtLeast,
    /// The load generator's own delay at this quantile is above a quarter of it.
    Own,
}

/// What a quantile of a latency is worth; `value` in microseconds.
fn trust(phase: &PhaseOutcome, at_least: Option<f64>, quantile: Quantile, value: f64) -> Trust {
    match at_least {
        Some(least) if value >= least * 0.999 => Trust::AtLeast,
        _ if phase.is_own(quantile, value) => Trust::Own,
        _ => Trust::Exact,
    }
}

fn latencies(phase: &PhaseOutcome, group: &GroupOutcome) -> String {
    let several = phase.groups.len() > 1;
    let mut text = String::new();
    for (at, span) in group.spans.iter().enumerate() {
        let title = Span::named(&span.span).map_or("", Span::title);
        if at == 0 && several {
            let _ = writeln!(text, "  {}", group.name);
        }
        let response = |quantile: Quantile, value| match span.at_least {
            // In the mean everybody counts, also who was not answered.
            Some(_) if value == span.response.mean => Trust::AtLeast,
            _ => trust(phase, span.at_least, quantile, value),
        };
        let sent = |quantile, value| trust(phase, None, quantile, value);
        match &span.service {
            None if title == Span::Added.title() => {
                text.push_str(&row("added by job server, closed", &span.response, response));
            }
            None => text.push_str(&row(&format!("{title}, closed"), &span.response, response)),
            Some(service) => {
                text.push_str(&row(title, &span.response, response));
                text.push_str(&row("    from sending", service, sent));
            }
        }
    }
    text
}

/// The columns, and the quantile of each; of the largest and the mean none.
const COLUMNS: [(Quantile, Option<f64>); 7] = [
    (|all| all.p50, Some(0.5)),
    (|all| all.p90, Some(0.9)),
    (|all| all.p99, Some(0.99)),
    (|all| all.p999, Some(0.999)),
    (|all| all.p9999, Some(0.9999)),
    (|all| all.max, None),
    (|all| all.mean, None),
];

/// The width of the titles, and of each column: 110 in all, with two spaces before them.
const TITLE: usize = 28;
const CELL: usize = 10;

/// A line of percentiles, with their mean and number. `>` stands before one that may be more, parentheses around one that may be the load
/// generator's own, and `-` for one beyond which there are fewer than ten values.
fn row(title: &str, percentiles: &Percentiles, trust: impl Fn(Quantile, f64) -> Trust) -> String {
    let cell = |(pick, quantile): (Quantile, Option<f64>)| {
        let value = pick(percentiles);
        let cell = match trust(pick, value) {
            _ if quantile.is_some_and(|quantile| !percentiles.tells(quantile)) => "-".to_owned(),
            // Those of an older result.
            _ if value == 0.0 && percentiles.max > 0.0 && quantile == Some(0.9999) => "-".to_owned(),
            Trust::Exact => short(value),
            Trust::AtLeast => format!(">{}", short(value)),
            Trust::Own => format!("({})", short(value)),
        };
        format!("{cell:>CELL$}")
    };
    let cells: String = COLUMNS.map(cell).concat();
    let n = match percentiles.count {
        all if all >= 10_000_000 => format!("{} M", count(all as f64 / 1e6)),
        all => whole(all),
    };
    // Arrows are one column wide, but formatting counts letters and not bytes, so this stays aligned.
    format!("  {title:<TITLE$}{cells}{n:>CELL$}\n")
}

/// Microseconds, or seconds where those would need more than seven digits: a column has no room for them.
fn short(micros: f64) -> String {
    if micros < 1e6 { count(micros) } else { format!("{} s", count(micros / 1e6)) }
}

/// What kept the rate from being higher, as a sentence.
pub(crate) fn limit(phase: &PhaseOutcome) -> String {
    let busiest = phase.server.map_or(0.0, |server| server.busiest_thread * 100.0);
    let own = phase.generator.busiest_thread * 100.0;
    match phase.limit {
        Limit::Rate if busiest >= 90.0 => {
            format!("the rate asked for; the job server was {busiest:.0} % busy, which proves no end")
        }
        Limit::Rate if own >= 90.0 => {
            format!("the rate asked for; the load generator was {own:.0} % busy")
        }
        Limit::Rate => "the rate asked for: the job server could do more".to_owned(),
        Limit::Gone => "the job server: it went away".to_owned(),
        Limit::Stalled => "the job server: it stood still".to_owned(),
        Limit::Server => format!("the job server: its busiest thread was {busiest:.0} % busy"),
        Limit::Generator => {
            format!("the load generator, {own:.0} % busy: the job server may be faster than this")
        }
        Limit::Both => format!(
            "nothing that can be told: both were busy (job server {busiest:.0} %, load generator {own:.0} %); neither end was found"
        ),
        Limit::Waiting => {
            format!(
                "waiting: job server {busiest:.0} % busy, load generator {own:.0} % (wake-ups, service times, other processes)"
            )
        }
        Limit::Unknown => format!(
            "what cannot be seen from here (the job server's process is not known); load generator {own:.0} % busy"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_no_more_than_110_columns() {
        let all = |micros| Percentiles {
            count: 123_456_789,
            mean: micros,
            p50: micros,
            p90: micros,
            p95: micros,
            p99: micros,
            p999: micros,
            p9999: micros,
            max: micros,
        };
        for micros in [0.123, 12.3, 999_999.4, 1_234_567.0, 3_600_000_000.0] {
            let row = row("added by the job server", &all(micros), |_, _| Trust::Own);
            assert_eq!(row.trim_end().chars().count(), 110, "{row}");
            assert!(row[30..].split_inclusive(')').all(|cell| cell.starts_with(' ')), "{row}");
        }
        assert_eq!(short(1_234_567.0), "1.23 s");
    }
}
