//! `/metrics`: Prometheus' text, or OpenMetrics. The names of gearman-exporter, text for text, so that boards and alerts made for it go
//! on; and ours, which begin with `ringgear_`: the engine's counters, what functions have, the process. A function is a value
//! of a label, and peers choose names: so many are told one by one, the others together.
use super::answer::HttpAnswer;
use super::bounds::CONNECTIONS_MAX;
use super::desk::{Desk, ServerState};
use super::names::readable;
use super::overview::{FunctionSums, Overview};
use crate::engine::report::{Counters, FunctionRow};
use crate::frontend::{VERSION, followed};
use std::collections::BTreeSet;
use std::fmt::{Display, Write};
use std::time::UNIX_EPOCH;

/// How the numbers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Prometheus' own, which everything reads.
    Text,
    /// Its standard.
    OpenMetrics,
}

impl Form {
    fn kind(self) -> &'static str {
        match self {
            Form::Text => "text/plain; version=0.0.4; charset=utf-8",
            Form::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The counters that say how much there is now; all others only grow.
const PRESENT: &[&str] = &[
    "sessions",
    "jobs",
    "jobs_bytes",
    "dead_jobs",
    "dead_bytes",
    "memory_accounted",
    "functions_bytes",
    "registrations_bytes",
    "replies_bytes",
    "outbox_bytes",
    "connections_bytes",
];

/// What stands in place of the names of the functions that are told together.
const OTHERS: &str = "(other)";

/// The metrics. While stored jobs are read there is nothing to tell of functions: the server is not up, for clients.
pub(super) async fn answer(desk: &Desk, form: Form) -> HttpAnswer {
    let mut families = Families { form, text: String::with_capacity(16 << 10), family: String::new() };
    let whole = desk.is_whole();
    write_about(&mut families, desk, whole);
    if whole {
        let overview = desk.overview().await;
        write_functions(&mut families, &overview);
        write_counters(&mut families, &overview.counters);
    }
    write_http(&mut families, desk);
    write_process(&mut families, desk);
    HttpAnswer::ok(form.kind(), families.end())
}

fn write_about(families: &mut Families, desk: &Desk, whole: bool) {
    families.gauge("gearman_up", "is gearman up");
    families.sample(&[], u8::from(whole));
    families.gauge("gearman_version_info", "gearman version");
    families.sample(&[("version", desk.setup.frontend.version)], 1);
    families.gauge("ringgear_build_info", "The version of Ringgear, and of the gearmand that it follows.");
    families.sample(&[("version", VERSION), ("compat", followed(desk.setup.frontend.compat))], 1);
    families.gauge("ringgear_phase", "What the server is doing: 1 for the phase that it is in.");
    let state = desk.state();
    for phase in ServerState::ALL {
        families.sample(&[("phase", phase.word())], u8::from(phase == state));
    }
    if let Some(certificates) = &desk.setup.certificates {
        families.gauge(
            "ringgear_certificate_expires_timestamp_seconds",
            "When the certificate of the job port expires, in seconds since 1970.",
        );
        families.sample(&[], certificates.expires());
    }
    families.gauge("ringgear_shards", "Threads that serve connections and own functions.");
    families.sample(&[], desk.setup.shards);
}

/// A function as it is told, or what many are together.
struct ToldFunction<'a> {
    label: String,
    queued: [u64; 3],
    running: u64,
    workers: u64,
    row: Option<&'a FunctionRow>,
}

/// No label twice: what a scraper would refuse is told with the others.
fn label_all(overview: &Overview) -> (Vec<ToldFunction<'_>>, FunctionSums) {
    let mut labels = BTreeSet::from([OTHERS.to_owned()]);
    let mut told = Vec::new();
    for row in &overview.told {
        let label = readable(&row.function);
        if labels.insert(label.clone()) {
            told.push(ToldFunction {
                label,
                queued: row.queued.map(u64::from),
                running: row.running.into(),
                workers: row.workers.into(),
                row: Some(row),
            });
        }
    }
    let others = overview.sums.without(&FunctionSums::of(told.iter().filter_map(|told| told.row)));
    (told, others)
}

fn write_functions(families: &mut Families, overview: &Overview) {
    let (mut told, others) = label_all(overview);
    if others.functions > 0 {
        let FunctionSums { queued, running, workers, .. } = others;
        told.push(ToldFunction { label: OTHERS.to_owned(), queued, running, workers, row: None });
    }
    let waiting = |told: &ToldFunction<'_>| told.queued.iter().sum::<u64>();
    type Value<'a> = &'a dyn Fn(&ToldFunction<'_>) -> u64;
    let exported: [(&'static str, &'static str, Value<'_>); 4] = [
        ("gearman_jobs", "number of jobs queued or running", &|told| waiting(told) + told.running),
        ("gearman_jobs_running", "number of running jobs", &|told| told.running),
        ("gearman_jobs_waiting", "number of jobs waiting for an available worker", &waiting),
        ("gearman_workers", "number of capable workers", &|told| told.workers),
    ];
    for (name, help, value) in exported {
        families.gauge(name, help);
        for told in &told {
            families.sample(&[("function", &told.label)], value(told));
        }
    }
    families
        .gauge("ringgear_function_queued_jobs", "Queued jobs, those among them that wait for their time.");
    for told in &told {
        for (priority, queued) in ["high", "normal", "low"].into_iter().zip(told.queued) {
            families.sample(&[("function", &told.label), ("priority", priority)], queued);
        }
    }
    let sums = &overview.sums;
    families.gauge("ringgear_functions", "Functions that there are.");
    families.sample(&[], sums.functions);
    families.gauge("ringgear_functions_unlisted", "Functions that are told together, as (other).");
    families.sample(&[], others.functions);
    families.gauge("ringgear_functions_unattended", "Functions that have queued jobs and no workers.");
    families.sample(&[], sums.unattended);
}

fn write_counters(families: &mut Families, counters: &Counters) {
    for ((name, value), meaning) in counters.rows().zip(Counters::meanings()) {
        let name = counter_name(name);
        match name.ends_with("_total") {
            true => families.counter(name, meaning),
            false => families.gauge(name, meaning),
        }
        families.sample(&[], value);
    }
}

/// What a counter of the engine is called.
fn counter_name(name: &str) -> String {
    match PRESENT.contains(&name) {
        true => format!("ringgear_{name}"),
        false => format!("ringgear_{name}_total"),
    }
}

fn write_http(families: &mut Families, desk: &Desk) {
    let counts = &desk.counts;
    families.gauge("ringgear_http_connections", "Connections to this HTTP side.");
    families.sample(&[], counts.connections.get());
    families.gauge("ringgear_http_connections_limit", "The most of them that there may be.");
    families.sample(&[], CONNECTIONS_MAX);
    families.counter("ringgear_http_connections_refused_total", "Those that were closed at once.");
    families.sample(&[], counts.refused.get());
    families.counter("ringgear_http_requests_total", "Requests that were answered over HTTP.");
    families.sample(&[], counts.requests.get());
}

/// As Prometheus' client libraries tell of a process. What the system does not tell is left out.
fn write_process(families: &mut Families, desk: &Desk) {
    /// Hundredths of a second, which is what Linux counts for programs, whatever it counts itself.
    const TICKS: u64 = 100;
    if let Ok(since) = desk.started_at.duration_since(UNIX_EPOCH) {
        families
            .gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.");
        families.sample(&[], since.as_secs());
    }
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which stands in parentheses.
    let fields: Vec<u64> = stat.rsplit(')').next().map(numbers).unwrap_or_default();
    if let (Some(user), Some(system)) = (fields.get(11), fields.get(12)) {
        let ticks = user + system;
        families.counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.");
        families.sample(&[], format_args!("{}.{:02}", ticks / TICKS, ticks % TICKS));
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    if let Some(kilobytes) = resident.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()) {
        families.gauge("process_resident_memory_bytes", "Resident memory size in bytes.");
        families.sample(&[], kilobytes.saturating_mul(1024));
    }
}

/// Numbers between blanks; what is none counts as 0.
fn numbers(text: &str) -> Vec<u64> {
    text.split_whitespace().map(|word| word.parse().unwrap_or(0)).collect()
}

/// Metrics, one behind the other: each with what it is, then its samples.
struct Families {
    form: Form,
    text: String,
    family: String,
}

impl Families {
    fn gauge(&mut self, name: impl Into<String>, help: &str) {
        let name = name.into();
        self.begin(&name, "gauge", help);
        self.family = name;
    }

    /// The name ends with `_total`, which OpenMetrics has in samples only.
    fn counter(&mut self, name: impl Into<String>, help: &str) {
        let name = name.into();
        let told = match self.form {
            Form::Text => &name[..],
            Form::OpenMetrics => name.strip_suffix("_total").unwrap_or(&name),
        };
        let told = told.to_owned();
        self.begin(&told, "counter", help);
        self.family = name;
    }

    fn begin(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.text, "# HELP {name} ");
        escape(&mut self.text, help, self.form == Form::OpenMetrics);
        let _ = write!(self.text, "\n# TYPE {name} {kind}\n");
    }

    /// Writing to memory cannot fail.
    fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(&self.family);
        for (at, (label, text)) in labels.iter().enumerate() {
            self.text.push(if at == 0 { '{' } else { ',' });
            self.text.push_str(label);
            self.text.push_str("=\"");
            escape(&mut self.text, text, true);
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }

    fn end(mut self) -> String {
        if self.form == Form::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

/// Appends text as it must stand in a help line or, with its quotes, in a label.
fn escape(out: &mut String, text: &str, quotes: bool) {
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn families(form: Form) -> Families {
        Families { form, text: String::new(), family: String::new() }
    }

    /// A counter that is added to the engine must be found here, with a kind; one that goes must go here.
    #[test]
    fn every_counter_has_a_metric() {
        let mut written = families(Form::Text);
        write_counters(&mut written, &Counters::default());
        let text = written.end();
        for (name, _) in Counters::default().rows() {
            let metric = counter_name(name);
            assert!(text.contains(&format!("# HELP {metric} ")), "{metric} has no help");
            assert!(text.contains(&format!("\n{metric} 0\n")), "{metric} has no sample");
        }
        assert_eq!(Counters::meanings().count(), Counters::default().rows().count());
        let known: BTreeSet<&str> = Counters::default().rows().map(|(name, _)| name).collect();
        assert!(PRESENT.iter().all(|name| known.contains(name)));
        // What is said to be there now is no counter, and the other way round.
        for (name, meaning) in Counters::default().rows().map(|(name, _)| name).zip(Counters::meanings()) {
            let present = PRESENT.contains(&name);
            assert_eq!(
                present,
                meaning.contains(" now")
                    || name.ends_with("_bytes") && !name.starts_with("refused")
                    || name == "memory_accounted",
                "{name}: {meaning}"
            );
        }
    }

    #[test]
    fn both_forms_are_escaped() {
        let write = |form| {
            let mut some = families(form);
            some.counter("a_total", "say \"a\\b\"\n.");
            some.sample(&[("f", "\"x\\\n"), ("g", "y")], 7);
            some.end()
        };
        assert_eq!(
            write(Form::Text),
            "# HELP a_total say \"a\\\\b\"\\n.\n# TYPE a_total counter\na_total{f=\"\\\"x\\\\\\n\",g=\"y\"} 7\n"
        );
        assert_eq!(
            write(Form::OpenMetrics),
            "# HELP a say \\\"a\\\\b\\\"\\n.\n# TYPE a counter\na_total{f=\"\\\"x\\\\\\n\",g=\"y\"} 7\n# EOF\n"
        );
    }

    #[test]
    fn no_label_is_there_twice() {
        let row = |name: &[u8], queued| FunctionRow {
            function: Bytes::copy_from_slice(name),
            queued: [0, queued, 0],
            running: 1,
            workers: 2,
        };
        let told = vec![row(b"(other)", 1), row(b"\\xff", 2), row(b"\xff", 4), row(b"f", 8)];
        let mut sums = FunctionSums::of(told.iter());
        sums.functions += 5;
        let overview = Overview { sums, told, ..Overview::default() };
        let mut some = families(Form::Text);
        write_functions(&mut some, &overview);
        let text = some.end();
        for line in [
            "gearman_jobs_waiting{function=\"\\\\xff\"} 2",
            "gearman_jobs_waiting{function=\"f\"} 8",
            "gearman_jobs_waiting{function=\"(other)\"} 5",
            "gearman_jobs{function=\"(other)\"} 7",
            "ringgear_functions 9",
            "ringgear_functions_unlisted 7",
        ] {
            assert_eq!(text.lines().filter(|other| *other == line).count(), 1, "{line}\n{text}");
        }
    }
}
