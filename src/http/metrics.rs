//! `/metrics`: Prometheus' text, or OpenMetrics. The names of gearman-exporter, text for text, so that boards and alerts made for it go
//! on; and ours, which begin with `ringgear_`: the engine's counters, what functions have, the process. A function is a value
//! of a label, and peers choose names: so many are told one by one, the others together.
use super::answer::HttpAnswer;
use super::bounds::CONNECTIONS_MAX;
use super::desk::{Desk, ServerState};
use super::exposition::{Families, Form, Seconds};
use super::names::readable;
use super::overview::Overview;
use crate::engine::outline::FunctionSums;
use crate::engine::report::{Counters, FunctionNumbers};
use crate::engine::stats::{BOUNDS_MS, FunctionStats, Histogram};
use crate::frontend::{VERSION, followed};
use crate::mesh::clock;
use crate::store::times::COMMIT_BOUNDS_US;
use std::collections::BTreeSet;
use std::time::{Duration, UNIX_EPOCH};

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
    let mut families = Families::new(form);
    let whole = desk.is_whole();
    write_about(&mut families, desk, whole);
    if whole {
        let overview = desk.overview().await;
        write_functions(&mut families, &overview);
        write_counters(&mut families, &overview.counters);
    }
    write_shards(&mut families, desk);
    write_store(&mut families, desk);
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
    sums: FunctionSums,
    row: Option<&'a FunctionNumbers>,
    stats: Option<&'a FunctionStats>,
}

/// No label twice: what a scraper would refuse is told with the others.
fn label_all(overview: &Overview) -> (Vec<ToldFunction<'_>>, FunctionSums, FunctionStats) {
    let mut labels = BTreeSet::from([OTHERS.to_owned()]);
    let mut told = Vec::new();
    let mut others = overview.others.clone();
    for row in &overview.told {
        let label = readable(&row.function);
        let stats = row.stats.as_deref();
        if labels.insert(label.clone()) {
            let sums = FunctionSums::of([row].into_iter());
            told.push(ToldFunction { label, sums, row: Some(row), stats });
        } else {
            stats.iter().for_each(|stats| others.merge(stats));
        }
    }
    let sums = overview.sums.without(&FunctionSums::of(told.iter().filter_map(|told| told.row)));
    (told, sums, others)
}

/// How much there is of a function.
type Amount = (&'static str, &'static str, fn(&FunctionSums) -> u64);

/// What is told of each function as gearman-exporter does, and what else there is of it.
const AMOUNTS: [Amount; 8] = [
    ("gearman_jobs", "number of jobs queued or running", |sums| sums.waiting() + sums.running),
    ("gearman_jobs_running", "number of running jobs", |sums| sums.running),
    ("gearman_jobs_waiting", "number of jobs waiting for an available worker", FunctionSums::waiting),
    ("gearman_workers", "number of capable workers", |sums| sums.workers),
    ("ringgear_function_scheduled_jobs", "Jobs that wait for their time.", |sums| sums.scheduled),
    ("ringgear_function_storing_jobs", "Jobs that wait for the store to keep them.", |sums| sums.storing),
    ("ringgear_function_abandoned_jobs", "Jobs that nobody wants any more.", |sums| sums.abandoned),
    ("ringgear_function_dead_jobs", "Jobs that are out of attempts, and kept.", |sums| sums.dead),
];

fn write_functions(families: &mut Families, overview: &Overview) {
    let (mut told, others, other_stats) = label_all(overview);
    let unlisted = others.functions;
    if unlisted > 0 || other_stats != FunctionStats::default() {
        let label = OTHERS.to_owned();
        told.push(ToldFunction { label, sums: others, row: None, stats: Some(&other_stats) });
    }
    for (name, help, value) in AMOUNTS {
        families.gauge(name, help);
        for told in &told {
            families.sample(&[("function", &told.label)], value(&told.sums));
        }
    }
    families.gauge("ringgear_function_waiting_jobs", "Jobs that wait for a worker, and for nothing else.");
    for told in &told {
        for (priority, queued) in ["high", "normal", "low"].into_iter().zip(told.sums.queued) {
            families.sample(&[("function", &told.label), ("priority", priority)], queued);
        }
    }
    families.gauge(
        "ringgear_function_oldest_waiting_seconds",
        "For how long the job has waited that is next and has waited longest; 0 if none waits.",
    );
    for (told, row) in told.iter().filter_map(|told| Some((told, told.row?))) {
        families.sample(&[("function", &told.label)], Seconds(row.oldest_ms.unwrap_or(0)));
    }
    write_stats(families, &told);
    let sums = &overview.sums;
    families.gauge("ringgear_functions", "Functions that there are.");
    families.sample(&[], sums.functions);
    families.gauge("ringgear_functions_unlisted", "Functions that are told together, as (other).");
    families.sample(&[], unlisted);
    families.gauge("ringgear_functions_unattended", "Functions that have queued jobs and no workers.");
    families.sample(&[], sums.unattended);
}

/// A counter of functions: its name and what it counts.
type CountOf = (&'static str, &'static str, fn(&FunctionStats) -> u64);

const COUNTS: [CountOf; 5] = [
    ("ringgear_function_jobs_accepted_total", "Jobs accepted as new.", |stats| stats.accepted),
    ("ringgear_function_jobs_coalesced_total", "Submissions that joined a job.", |stats| stats.coalesced),
    ("ringgear_function_jobs_refused_total", "Submissions refused.", |stats| stats.refused),
    ("ringgear_function_jobs_requeued_total", "Jobs that went back to their queue.", |stats| stats.requeued),
    ("ringgear_function_jobs_timed_out_total", "Jobs whose worker took too long.", |stats| stats.timed_out),
];

/// A number of a function.
type StatsNumber = fn(&FunctionStats) -> u64;

/// Results, as labels.
const RESULTS: [(&str, StatsNumber); 6] = [
    ("complete", |stats| stats.completed),
    ("fail", |stats| stats.failed),
    ("exception", |stats| stats.exceptions),
    ("out_of_attempts", |stats| stats.out_of_attempts),
    ("cancelled", |stats| stats.cancelled),
    ("abandoned", |stats| stats.abandoned),
];

/// A histogram of functions: its name and what it measures.
type TimesOf = (&'static str, &'static str, fn(&FunctionStats) -> &Histogram);

const TIMES: [TimesOf; 2] = [
    ("ringgear_function_wait_seconds", "How long jobs waited for a worker.", |stats| &stats.wait),
    ("ringgear_function_run_seconds", "How long workers took for jobs that they ended.", |stats| &stats.run),
];

fn write_stats(families: &mut Families, told: &[ToldFunction<'_>]) {
    let told = || told.iter().filter_map(|told| Some((&told.label[..], told.stats?)));
    for (name, help, value) in COUNTS {
        families.counter(name, help);
        for (label, stats) in told() {
            families.sample(&[("function", label)], value(stats));
        }
    }
    families.counter("ringgear_function_jobs_ended_total", "Jobs that came to an end, by which it was.");
    for (label, stats) in told() {
        for (result, value) in RESULTS {
            families.sample(&[("function", label), ("result", result)], value(stats));
        }
    }
    for (name, help, value) in TIMES {
        families.histogram(name, help);
        for (label, stats) in told() {
            let (times, bounds) = (value(stats), BOUNDS_MS.iter().map(|&ms| Seconds(ms).to_string()));
            families.buckets(&[("function", label)], bounds, &times.counts, Seconds(times.sum_ms));
        }
    }
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

/// What shards do with their time, and what comes and goes.
fn write_shards(families: &mut Families, desk: &Desk) {
    let shared = &desk.setup.shared;
    let (times, up) = (shared.times(clock::instant()), desk.started.elapsed());
    families.counter(
        "ringgear_shard_busy_seconds_total",
        "What shards worked; waiting for work is none, with or without sleep.",
    );
    for (shard, times) in times.iter().enumerate() {
        let busy = up.saturating_sub(Duration::from_nanos(times.idle));
        families.sample(&[("shard", &shard.to_string())], format_args!("{:.6}", busy.as_secs_f64()));
    }
    families.counter("ringgear_shard_rounds_total", "Rounds of shards in which there was something to do.");
    for (shard, times) in times.iter().enumerate() {
        families.sample(&[("shard", &shard.to_string())], times.rounds);
    }
    let traffic = shared.traffic_sums();
    families.counter(
        "ringgear_packets_total",
        "Requests, by the name of their packet; TEXT are lines of administrators.",
    );
    families.sample(&[("command", "TEXT")], traffic.lines);
    for (kind, count) in &traffic.requests {
        families.sample(&[("command", kind.name())], count);
    }
    families.counter("ringgear_received_bytes_total", "Bytes that came on connections.");
    families.sample(&[], traffic.received);
    families.counter("ringgear_sent_bytes_total", "Bytes that went on connections.");
    families.sample(&[], traffic.sent);
}

/// How long the store takes.
fn write_store(families: &mut Families, desk: &Desk) {
    let Some(store) = &desk.setup.store else { return };
    let times = store.times.read();
    families.histogram("ringgear_store_commit_seconds", "How long commits of the store took.");
    let bounds = COMMIT_BOUNDS_US.iter().map(|&us| format!("{}", us as f64 / 1e6));
    families.buckets(&[], bounds, &times.counts, format_args!("{:.6}", times.sum_us as f64 / 1e6));
    families.counter("ringgear_store_written_bytes_total", "Bytes of records that the store was given.");
    families.sample(&[], times.bytes);
    families.gauge(
        "ringgear_store_oldest_unanswered_seconds",
        "For how long the commit has been under way that is; 0 if none is.",
    );
    families.sample(&[], format_args!("{:.6}", times.under_way_us as f64 / 1e6));
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

#[cfg(test)]
mod tests {
    use super::super::overview::numbers;
    use super::*;

    /// A counter that is added to the engine must be found here, with a kind; one that goes must go here.
    #[test]
    fn every_counter_has_a_metric() {
        let mut written = Families::new(Form::Text);
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
    fn no_label_is_there_twice() {
        let row = |name: &[u8], queued| numbers(name, queued, 1, 2);
        let told = vec![row(b"(other)", 1), row(b"\\xff", 2), row(b"\xff", 4), row(b"f", 8)];
        let mut sums = FunctionSums::of(told.iter());
        sums.functions += 5;
        let overview = Overview { sums, told, ..Overview::default() };
        let mut some = Families::new(Form::Text);
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
