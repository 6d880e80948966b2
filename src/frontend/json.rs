//! JSON: the one spelling of a job, a function and a worker, whoever tells of them: a store's jobs, and the rows of reports.
//! Who prints or sends it is elsewhere. Names and workloads may be any bytes: what is no UTF-8 stands as hexadecimal digits
//! under a name of its own, which ends with `_hex`.
use crate::engine::report::{Counters, DeadRow, FunctionRow, InvolvedJob, JobRow, WorkerRow};
use crate::engine::{DeathReason, Epoch, StoredJob};
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

/// A connection of `clients`.
pub fn connection(address: SocketAddr) -> Value {
    let mut object = Map::new();
    put(&mut object, "address", address.ip().to_canonical().to_string());
    put(&mut object, "port", address.port());
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

fn put_bytes(object: &mut Map<String, Value>, name: &str, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => put(object, name, text),
        Err(_) => put(object, &format!("{name}_hex"), digits(bytes)),
    }
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::slot::Slot;
    use crate::engine::{Death, JobId, SessionId, ShardId};
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
