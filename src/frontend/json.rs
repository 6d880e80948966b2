//! JSON: the one spelling of a job, a function and a worker, whoever tells of them: a store's jobs, and the rows of reports.
//! Who prints or sends it is elsewhere. Names and workloads may be any bytes: what is no UTF-8 stands as hexadecimal digits
//! under a name of its own, which ends with `_hex`.
pub mod pauses;

use crate::engine::report::{
    Counters, DeadRow, FunctionNumbers, FunctionRow, FunctionWorker, InvolvedJob, JobFacts, JobPhase, JobRow,
    Pause, SessionRow, WorkerRow, WorkerState,
};
use crate::engine::stats::{FunctionStats, Histogram};
use crate::engine::{DeathReason, Epoch, SessionId, StoredJob};
use crate::protocol::Priority;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::net::{IpAddr, SocketAddr};

/// A job as a store keeps it.
pub fn stored_job(job: &StoredJob<'_>) -> Value {
    let mut object = Map::new();
    put(&mut object, "job", job.id.number());
    put_bytes(&mut object, "function", job.function);
    put_bytes(&mut object, "unique", job.unique);
    put(&mut object, "priority", priority(job.priority));
    put(&mut object, "attempts", job.attempts);
    if let Some(accepted) = job.accepted {
        put(&mut object, "accepted_ms", accepted.0);
    }
    if let Some(epoch) = job.epoch {
        put(&mut object, "not_before_ms", epoch.0);
    }
    if let Some(reducer) = job.reducer {
        put_bytes(&mut object, "reducer", reducer);
    }
    if let Some(death) = job.death {
        put_death(&mut object, death.reason, death.at, death.address, death.worker);
    }
    put_bytes(&mut object, "workload", job.workload);
    Value::Object(object)
}

/// A job of `show jobs` and `show unique jobs`.
pub fn job(row: &JobRow) -> Value {
    let mut object = Map::new();
    put(&mut object, "job", row.job.number());
    put_bytes(&mut object, "unique", &row.unique);
    put(&mut object, "attempts", row.retries);
    put(&mut object, "ignored", row.ignored);
    put(&mut object, "stored", row.stored);
    Value::Object(object)
}

/// A job of `show dead jobs`.
pub fn dead_job(row: &DeadRow) -> Value {
    let mut object = Map::new();
    put(&mut object, "job", row.job.number());
    put_bytes(&mut object, "function", &row.function);
    put_bytes(&mut object, "unique", &row.unique);
    put(&mut object, "attempts", row.attempts);
    put_death(&mut object, row.reason, row.at, row.address, &row.worker);
    Value::Object(object)
}

/// A function of `status` and `prioritystatus`.
pub fn function(row: &FunctionRow) -> Value {
    let mut object = Map::new();
    put_bytes(&mut object, "function", &row.function);
    let queued =
        Priority::ALL.map(|urgency| (priority(urgency).to_owned(), json!(row.queued[urgency as usize])));
    put(&mut object, "queued", Value::Object(queued.into_iter().collect()));
    put(&mut object, "running", row.running);
    put(&mut object, "workers", row.workers);
    Value::Object(object)
}

/// What is known of a function. What is counted of it is told apart: see [`stats`].
pub fn numbers(row: &FunctionNumbers) -> Value {
    let mut object = Map::new();
    put_bytes(&mut object, "function", &row.function);
    put(&mut object, "queued", by_priority(row.queued));
    put(&mut object, "scheduled", row.scheduled);
    put(&mut object, "storing", row.storing);
    put(&mut object, "abandoned", row.abandoned);
    put(&mut object, "running", row.running);
    put(&mut object, "dead", row.dead);
    put(&mut object, "workers", row.workers);
    put(&mut object, "limits", by_priority(row.limits));
    put(&mut object, "oldest_waiting_seconds", row.oldest_ms.map(seconds));
    put(&mut object, "unattended_seconds", row.unattended_ms.map(seconds));
    put(&mut object, "paused", row.paused.as_ref().map(pause));
    Value::Object(object)
}

/// A pause, as it is told and kept.
pub fn pause(pause: &Pause) -> Value {
    let mut object = Map::new();
    put(&mut object, "since_ms", pause.since.0);
    put(&mut object, "until_ms", pause.until.map(|until| until.0));
    put_bytes(&mut object, "reason", &pause.reason);
    put_bytes(&mut object, "by", &pause.by);
    Value::Object(object)
}

fn by_priority(numbers: [u32; 3]) -> Value {
    let each = Priority::ALL.map(|urgency| (priority(urgency).to_owned(), json!(numbers[urgency as usize])));
    Value::Object(each.into_iter().collect())
}

/// Milliseconds, as seconds.
pub fn seconds(ms: u64) -> f64 {
    // Exact for longer than anything here lasts.
    ms as f64 / 1000.0
}

/// What was counted of a function.
pub fn stats(stats: &FunctionStats) -> Value {
    Value::Object(stats.rows().map(|(name, value)| (name.to_owned(), value.into())).collect())
}

/// How long something took: of so many, half, 95 and 99 of a hundred, and the mean. Where it may have been longer than the last bound,
/// `longer` says so.
pub fn times(times: &Histogram) -> Value {
    let mut object = Map::new();
    let count = times.count();
    put(&mut object, "count", count);
    for (name, permille) in [("p50", 500), ("p95", 950), ("p99", 990)] {
        let found = times.quantile(permille);
        put(&mut object, name, found.map(|(ms, _)| seconds(ms)));
        if found.is_some_and(|(_, exact)| !exact) {
            put(&mut object, "longer", true);
        }
    }
    let mean = (count > 0).then(|| seconds(times.sum_ms) / count as f64);
    put(&mut object, "mean", mean.map(|mean| (mean * 1e6).round() / 1e6));
    Value::Object(object)
}

/// A worker of a function.
pub fn function_worker(row: &FunctionWorker) -> Value {
    let mut object = Map::new();
    put(&mut object, "session", session_name(row.session));
    put(&mut object, "address", row.address.map(place));
    put_bytes(&mut object, "id", &row.id);
    let state = match row.state {
        WorkerState::Busy => "busy",
        WorkerState::Asleep => "asleep",
        WorkerState::Woken => "woken",
        WorkerState::Awake => "awake",
    };
    put(&mut object, "state", state);
    put(&mut object, "holds", row.holds);
    put(&mut object, "oldest_job", row.oldest.map(|held| held.job.number()));
    put(&mut object, "holds_for_seconds", row.oldest.map(|held| seconds(held.ran_ms)));
    Value::Object(object)
}

/// What a session is called: its home, its place there, and the how manieth it is there.
pub fn session_name(session: SessionId) -> String {
    format!("{}-{}-{}", session.shard().0, session.index(), session.generation())
}

/// All that is known of a job but its workload.
pub fn job_facts(facts: &JobFacts) -> Value {
    let mut object = Map::new();
    put(&mut object, "job", facts.job.number());
    put_bytes(&mut object, "function", &facts.function);
    put_bytes(&mut object, "unique", &facts.unique);
    put(&mut object, "priority", priority(facts.priority));
    put(&mut object, "stored", facts.background);
    put(&mut object, "ignored", facts.phase == JobPhase::Abandoned);
    put(&mut object, "attempts", facts.attempts);
    put(&mut object, "clients", facts.clients);
    put(&mut object, "workload_bytes", facts.bytes);
    put(&mut object, "accepted_ms", facts.accepted.map(|epoch| epoch.0));
    put(&mut object, "age_seconds", seconds(facts.age_ms));
    put(&mut object, "cancelled", facts.cancelled);
    put(&mut object, "taken_over", facts.disowned);
    put(&mut object, "running", matches!(facts.phase, JobPhase::Running { .. }));
    put(&mut object, "dead", matches!(facts.phase, JobPhase::Dead { .. }));
    put(&mut object, "worker", Value::Null);
    put_phase(&mut object, facts);
    Value::Object(object)
}

fn put_phase(object: &mut Map<String, Value>, facts: &JobFacts) {
    let state = match &facts.phase {
        JobPhase::Queued { waited_ms, before, more_urgent } => {
            put(object, "waiting_seconds", seconds(*waited_ms));
            put(object, "jobs_before", *before);
            put(object, "more_urgent_jobs", *more_urgent);
            "queued"
        }
        JobPhase::Withheld { waited_ms } => {
            put(object, "waiting_seconds", seconds(*waited_ms));
            "held"
        }
        JobPhase::Scheduled { due } => {
            put(object, "due_ms", due.0);
            "scheduled"
        }
        JobPhase::Abandoned => "abandoned",
        JobPhase::Storing { late, asked_ms } => {
            put(object, "storing_seconds", seconds(*asked_ms));
            put(object, "late", *late);
            "storing"
        }
        JobPhase::Running { session, address, worker, ran_ms, left_ms, .. } => {
            put(object, "session", session_name(*session));
            put(object, "worker", address.map(place));
            put_bytes(object, "worker_id", worker);
            put(object, "running_seconds", seconds(*ran_ms));
            put(object, "left_seconds", left_ms.map(seconds));
            put(object, "numerator", facts.numerator);
            put(object, "denominator", facts.denominator);
            "running"
        }
        JobPhase::Dead { reason, at, address, worker } => {
            put_death(object, *reason, *at, *address, worker);
            "dead"
        }
    };
    put(object, "state", state);
}

/// A session of `workers`, or a piece of one. Registrations whose names are no UTF-8 stand apart.
pub fn worker(row: &WorkerRow) -> Value {
    let mut object = Map::new();
    put(&mut object, "descriptor", row.descriptor);
    put(&mut object, "address", row.address.to_canonical().to_string());
    put_bytes(&mut object, "id", &row.id);
    let is_text = |name: &&Bytes| std::str::from_utf8(name).is_ok();
    let (texts, others): (Vec<&Bytes>, Vec<&Bytes>) = row.functions.iter().partition(is_text);
    let texts: Vec<_> = texts.iter().map(|name| String::from_utf8_lossy(name)).collect();
    put(&mut object, "functions", json!(texts));
    if !others.is_empty() {
        let others: Vec<String> = others.iter().map(|name| digits(name)).collect();
        put(&mut object, "functions_hex", others);
    }
    Value::Object(object)
}

/// A job of `jobs`, and who has to do with it.
pub fn involved(row: &InvolvedJob) -> Value {
    let mut object = Map::new();
    put(&mut object, "job", row.job.number());
    put_bytes(&mut object, "function", &row.function);
    put_bytes(&mut object, "unique", &row.unique);
    put(&mut object, "running", row.worker.is_some());
    put(&mut object, "worker", row.worker.map(place));
    put(&mut object, "clients", row.clients);
    Value::Object(object)
}

/// A connection of `clients`, with what it did last.
pub fn connection(row: &SessionRow) -> Value {
    let mut object = Map::new();
    put(&mut object, "session", session_name(row.session));
    put(&mut object, "descriptor", row.descriptor);
    put(&mut object, "address", row.address.ip().to_canonical().to_string());
    put(&mut object, "port", row.address.port());
    put_bytes(&mut object, "id", &row.id);
    put(&mut object, "functions", row.functions);
    put(&mut object, "asleep", row.asleep);
    put(&mut object, "since_seconds", seconds(row.since_ms));
    put(&mut object, "silent_seconds", seconds(row.heard_ms));
    put(&mut object, "asked_seconds", row.asked_ms.map(seconds));
    Value::Object(object)
}

/// What `show counters` tells.
pub fn counters(counters: &Counters) -> Value {
    Value::Object(counters.rows().map(|(name, value)| (name.to_owned(), value.into())).collect())
}

fn place(address: SocketAddr) -> String {
    SocketAddr::new(address.ip().to_canonical(), address.port()).to_string()
}

fn priority(priority: Priority) -> &'static str {
    match priority {
        Priority::High => "high",
        Priority::Normal => "normal",
        Priority::Low => "low",
    }
}

/// How a job ran out of attempts.
fn put_death(
    object: &mut Map<String, Value>,
    reason: DeathReason,
    at: Epoch,
    address: IpAddr,
    worker: &[u8],
) {
    let reason = match reason {
        DeathReason::WorkerGone => "WorkerGone",
        DeathReason::AbilityDropped => "AbilityDropped",
        DeathReason::TimedOut => "TimedOut",
    };
    put(object, "dead_since_ms", at.0);
    put(object, "dead_because", reason);
    put(object, "last_worker_address", address.to_string());
    put_bytes(object, "last_worker_id", worker);
}

fn put(object: &mut Map<String, Value>, name: &str, value: impl Into<Value>) {
    object.insert(name.to_owned(), value.into());
}

/// Adds a name that may be any bytes to something that is told.
pub fn put_name(told: &mut Value, name: &str, bytes: &[u8]) {
    if let Value::Object(object) = told {
        put_bytes(object, name, bytes);
    }
}

fn put_bytes(object: &mut Map<String, Value>, name: &str, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => put(object, name, text),
        Err(_) => put(object, &format!("{name}_hex"), digits(bytes)),
    }
}

/// Bytes that stand as hexadecimal digits.
pub fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    // Two digits are a byte.
    pairs.iter().map(|&[high, low]| Some((digit(high)? * 16 + digit(low)?) as u8)).collect()
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::slot::Slot;
    use crate::engine::{Death, JobId, ShardId};
    use std::net::Ipv4Addr;

    fn id() -> JobId {
        JobId::new(3, Slot::of(b"f"))
    }

    #[test]
    fn a_stored_job() {
        let job = StoredJob {
            id: id(),
            priority: Priority::High,
            epoch: Some(Epoch(5)),
            attempts: 2,
            function: b"f",
            unique: b"u\"",
            workload: b"\xff\0",
            reducer: None,
            death: None,
            accepted: Some(Epoch(4)),
            more: b"",
        };
        let expected = json!({
            "job": id().number(), "function": "f", "unique": "u\"", "priority": "high", "attempts": 2,
            "accepted_ms": 4, "not_before_ms": 5, "workload_hex": "ff00"
        });
        assert_eq!(stored_job(&job), expected);
    }

    /// A dead job says the same of its death, whether it is read from a store or told by a server.
    #[test]
    fn a_dead_job() {
        let (reason, at, address) = (DeathReason::TimedOut, Epoch(9), Ipv4Addr::LOCALHOST.into());
        let row = DeadRow {
            job: id(),
            function: Bytes::from_static(b"f"),
            unique: Bytes::from_static(b"u"),
            attempts: 3,
            reason,
            at,
            address,
            worker: Bytes::from_static(b"\xc3"),
        };
        let told = dead_job(&row);
        let expected = json!({
            "job": id().number(), "function": "f", "unique": "u", "attempts": 3, "dead_since_ms": 9,
            "dead_because": "TimedOut", "last_worker_address": "127.0.0.1", "last_worker_id_hex": "c3"
        });
        assert_eq!(told, expected);
        let kept = stored_job(&StoredJob {
            id: id(),
            priority: Priority::Normal,
            epoch: None,
            attempts: 3,
            function: b"f",
            unique: b"u",
            workload: b"",
            reducer: Some(b"r"),
            death: Some(Death { reason, at, address, worker: b"\xc3" }),
            accepted: None,
            more: b"",
        });
        assert!(told.as_object().unwrap().iter().all(|(name, value)| kept[name] == *value), "{kept}");
        assert_eq!(kept["reducer"], "r");
    }

    #[test]
    fn a_job_that_is_listed() {
        let unique = Bytes::from_static(b"u");
        let row = JobRow { job: id(), unique, retries: 1, ignored: false, stored: true };
        let expected = json!({
            "job": id().number(), "unique": "u", "attempts": 1, "ignored": false, "stored": true
        });
        assert_eq!(job(&row), expected);
    }

    #[test]
    fn a_job_with_its_worker() {
        let (function, unique) = (Bytes::from_static(b"f"), Bytes::from_static(b"\xff"));
        let worker = Some(SocketAddr::new(Ipv4Addr::LOCALHOST.to_ipv6_mapped().into(), 7));
        let row = InvolvedJob { job: id(), function, unique, worker, clients: 2 };
        let expected = json!({
            "job": id().number(), "function": "f", "unique_hex": "ff", "running": true, "worker": "127.0.0.1:7", "clients": 2
        });
        assert_eq!(involved(&row), expected);
        assert_eq!(involved(&InvolvedJob { worker: None, ..row })["worker"], Value::Null);
    }

    #[test]
    fn a_function() {
        let name = Bytes::from_static(b"resize \xff");
        let row = FunctionRow { function: name, queued: [1, 2, 3], running: 4, workers: 5 };
        let expected = json!({
            "function_hex": "726573697a6520ff", "queued": { "high": 1, "normal": 2, "low": 3 },
            "running": 4, "workers": 5
        });
        assert_eq!(function(&row), expected);
    }

    #[test]
    fn a_worker() {
        let row = WorkerRow {
            descriptor: 12,
            session: SessionId::new(ShardId(0), 0, 1),
            address: Ipv4Addr::LOCALHOST.to_ipv6_mapped().into(),
            id: Bytes::from_static(b"-"),
            functions: vec![Bytes::from_static(b"f"), Bytes::from_static(b"\xff"), Bytes::from_static(b"g")],
            begins: true,
            left: 0,
        };
        let expected = json!({
            "descriptor": 12, "address": "127.0.0.1", "id": "-", "functions": ["f", "g"], "functions_hex": ["ff"]
        });
        assert_eq!(worker(&row), expected);
    }
}
