//! Orders over HTTP: what a path and its JSON ask for, carried out by the engines, and told in the list of what was done; from those who may
//! give them.
use super::super::bounds::{BATCH_TIME, HELD_UP, REASON_BYTES};
use super::super::denial;
use super::super::desk::Desk;
use super::super::keep;
use super::super::roles::{HttpCaller, HttpRole};
use super::cursor;
use super::fault::ApiFault;
use super::told::no_job;
use crate::engine::report::{BatchResult, Pause};
use crate::engine::{BatchAction, BatchOrder, BatchState, Epoch, Order, Report};
use crate::frontend::json;
use crate::logging::Level;
use crate::mesh::clock;
use bytes::Bytes;
use hyper::StatusCode;
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// The longest time that may be asked for, in seconds: a year.
const SECONDS_MAX: u64 = 366 * 86400;

/// Somebody has ordered what this path says: it is done if he may.
pub(super) async fn carry_out(
    desk: &Desk,
    caller: &HttpCaller,
    path: &[&[u8]],
    body: &Bytes,
) -> Result<Value, ApiFault> {
    let words = OrderWords::of(body)?;
    may(desk, caller, path, &words).await?;
    let (what, outcome) = match path {
        [b"functions", name, b"pause"] => pause(desk, caller, name, &words).await,
        [b"functions", name, b"resume"] => resume(desk, name, &words).await,
        [b"functions", name, b"limits"] => limits(desk, name, &words).await,
        [b"jobs", b"batch"] => batch(desk, &words).await,
        [b"jobs", handle, b"cancel"] => one_job(desk, handle, &words, BatchAction::Cancel).await,
        [b"jobs", handle, b"retry"] => one_job(desk, handle, &words, BatchAction::Retry).await,
        [b"connections", session, b"close"] => close(desk, session, &words).await,
        [b"server", b"log-level"] => log_level(desk, &words),
        [b"server", b"drain"] => drain(desk, &words),
        _ => {
            let sentence = "nothing can be ordered here: /api/v1/openapi.json says what can";
            return Err(ApiFault(StatusCode::NOT_FOUND, sentence.to_owned()));
        }
    }?;
    let told = match &outcome {
        Ok(value) => value.to_string(),
        Err(ApiFault(_, sentence)) => sentence.clone(),
    };
    desk.audit.record(caller, &what, &told);
    outcome
}

/// Whether somebody may order this. Whoever may order something of some functions only may not order what is about others, or about all.
async fn may(desk: &Desk, caller: &HttpCaller, path: &[&[u8]], words: &OrderWords) -> Result<(), ApiFault> {
    let role = HttpRole::Operate;
    let fine = caller.may(role)
        || caller.roles.has(role)
            && match path {
                [b"functions", name, _] => caller.may_with(role, name),
                [b"jobs", b"batch"] => {
                    words.bytes("function")?.is_some_and(|function| caller.may_with(role, &function))
                }
                [b"jobs", handle, _] => {
                    let _turn = desk.turn().await;
                    // Of a job that is not there nothing is told.
                    desk.job(handle).await.is_some_and(|job| caller.may_with(role, &job.function))
                }
                _ => false,
            };
    if fine { Ok(()) } else { Err(ApiFault(denial::status(caller), caller.lacks(role))) }
}

/// What was ordered, in words, and what came of it; or why it is no order.
type Ordered = Result<(String, Result<Value, ApiFault>), ApiFault>;

/// The words of an order's JSON.
struct OrderWords(Map<String, Value>);

impl OrderWords {
    fn of(body: &Bytes) -> Result<OrderWords, ApiFault> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(OrderWords(Map::new()));
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(words)) => Ok(OrderWords(words)),
            Ok(_) => Err("the body is a JSON object, or empty".to_owned().into()),
            Err(error) => Err(format!("the body is no JSON: {error}").into()),
        }
    }

    /// Refuses words that mean nothing here.
    fn take(&self, known: &[&str]) -> Result<(), ApiFault> {
        let strange = self.0.keys().find(|name| !known.contains(&name.as_str()));
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        strange
            .map_or(Ok(()), |name| Err(format!("{name:?} means nothing here; the words are: {known}").into()))
    }

    fn number(&self, name: &str, most: u64) -> Result<Option<u64>, ApiFault> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_u64().filter(|&number| number <= most) {
                Some(number) => Ok(Some(number)),
                None => Err(format!("{name} is a whole number from 0 to {most}").into()),
            },
        }
    }

    fn text(&self, name: &str) -> Result<Option<&str>, ApiFault> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(format!("{name} is text").into()),
        }
    }

    fn flag(&self, name: &str) -> Result<bool, ApiFault> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(format!("{name} is true or false").into()),
        }
    }

    /// Bytes: as text, or as digits under a name of their own.
    fn bytes(&self, name: &str) -> Result<Option<Bytes>, ApiFault> {
        if let Some(text) = self.text(name)? {
            return Ok(Some(Bytes::copy_from_slice(text.as_bytes())));
        }
        let hex = format!("{name}_hex");
        let Some(digits) = self.text(&hex)? else { return Ok(None) };
        match json::bytes_of(digits) {
            Some(bytes) => Ok(Some(bytes.into())),
            None => Err(format!("{hex} is an even number of hexadecimal digits").into()),
        }
    }
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

fn silent() -> ApiFault {
    ApiFault(StatusCode::SERVICE_UNAVAILABLE, "the shards did not answer: ask again".to_owned())
}

async fn pause(desk: &Desk, caller: &HttpCaller, name: &[u8], words: &OrderWords) -> Ordered {
    words.take(&["reason", "for_seconds"])?;
    let reason = words.text("reason")?.unwrap_or("");
    if reason.len() > REASON_BYTES {
        return Err(format!("a reason has at most {REASON_BYTES} bytes").into());
    }
    let now = clock::now().epoch;
    let until = words.number("for_seconds", SECONDS_MAX)?.map(|seconds| Epoch(now.0 + seconds * 1000));
    let pause = Pause {
        since: now,
        until,
        reason: Bytes::copy_from_slice(reason.as_bytes()),
        by: Bytes::from(caller.name.clone()),
    };
    let told = json::pause(&pause);
    let _turn = desk.turn().await;
    let order = Order::Pause { function: Bytes::copy_from_slice(name), pause: Box::new(pause) };
    let outcome = match desk.order(order).await {
        Some(Report::Done) => Ok(kept(desk, json!({ "paused": told })).await),
        Some(Report::NotCreated(_)) => {
            let sentence = "too many functions are paused: resume some that need not be";
            Err(ApiFault(StatusCode::CONFLICT, sentence.to_owned()))
        }
        _ => Err(silent()),
    };
    Ok((format!("pause {}", shown(name)), outcome))
}

async fn resume(desk: &Desk, name: &[u8], words: &OrderWords) -> Ordered {
    words.take(&[])?;
    let _turn = desk.turn().await;
    let outcome = match desk.order(Order::Resume { function: Bytes::copy_from_slice(name) }).await {
        Some(Report::Done) => {
            let mut told = kept(desk, json!({ "paused": null })).await;
            // Without a place to keep it there was nothing that could outlive the server.
            if let (None, Some(told)) = (&desk.setup.pauses, told.as_object_mut()) {
                told.remove("remark");
            }
            Ok(told)
        }
        Some(Report::Unchanged) => {
            let sentence = "this function is not paused";
            Err(ApiFault(StatusCode::CONFLICT, sentence.to_owned()))
        }
        _ => Err(silent()),
    };
    Ok((format!("resume {}", shown(name)), outcome))
}

/// Says whether a pause outlives the server.
async fn kept(desk: &Desk, mut told: Value) -> Value {
    let (kept, remark) = match keep::pauses(desk).await {
        Ok(true) => (true, None),
        Ok(false) => {
            (false, Some("it is over when the server ends: there is no --data-dir to keep it in".to_owned()))
        }
        Err(error) => {
            (false, Some(format!("it is over when the server ends: it could not be kept: {error}")))
        }
    };
    told["kept"] = kept.into();
    if let Some(remark) = remark {
        told["remark"] = remark.into();
    }
    told
}

async fn limits(desk: &Desk, name: &[u8], words: &OrderWords) -> Ordered {
    words.take(&["high", "normal", "low"])?;
    let _turn = desk.turn().await;
    let what = format!("limits of {}", shown(name));
    let Some(row) = desk.function(name).await else {
        let sentence =
            "there is no function of this name, and limits are kept with a function: create it first";
        return Ok((what, Err(ApiFault(StatusCode::NOT_FOUND, sentence.to_owned()))));
    };
    let mut limits = row.limits;
    for (limit, word) in limits.iter_mut().zip(["high", "normal", "low"]) {
        if let Some(number) = words.number(word, u32::MAX.into())? {
            *limit = u32::try_from(number).unwrap_or(u32::MAX);
        }
    }
    let outcome = match desk.order(Order::MaxQueue { function: Bytes::copy_from_slice(name), limits }).await {
        Some(Report::Done) => {
            let [high, normal, low] = limits;
            Ok(json!({ "limits": { "high": high, "normal": normal, "low": low } }))
        }
        _ => Err(silent()),
    };
    Ok((what, outcome))
}

async fn one_job(desk: &Desk, handle: &[u8], words: &OrderWords, action: BatchAction) -> Ordered {
    words.take(&[])?;
    let _turn = desk.turn().await;
    let handle_bytes = Bytes::copy_from_slice(handle);
    let (word, order) = match action {
        BatchAction::Cancel => ("cancel", Order::CancelJob { handle: handle_bytes }),
        BatchAction::Retry => ("retry", Order::RetryJob { handle: handle_bytes }),
    };
    let outcome = match desk.order(order).await {
        Some(Report::Done) => Ok(json!({ "done": 1 })),
        Some(Report::UnknownJob) if action == BatchAction::Retry && desk.job(handle).await.is_some() => {
            let sentence = "this job is not dead: only dead jobs can be put back";
            Err(ApiFault(StatusCode::CONFLICT, sentence.to_owned()))
        }
        Some(Report::UnknownJob) => Err(no_job()),
        _ => Err(silent()),
    };
    Ok((format!("{word} {}", shown(handle)), outcome))
}

/// Many jobs of a function. Without a number nothing is done: whoever orders it says how many he expects.
async fn batch(desk: &Desk, words: &OrderWords) -> Ordered {
    words.take(&[
        "action",
        "function",
        "function_hex",
        "state",
        "older_seconds",
        "unique",
        "unique_hex",
        "at_most",
        "dry_run",
    ])?;
    let action = match words.text("action")? {
        Some("cancel") => BatchAction::Cancel,
        Some("retry") => BatchAction::Retry,
        _ => return Err("action is cancel or retry".to_owned().into()),
    };
    let Some(function) = words.bytes("function")? else {
        return Err("function is the name of the one whose jobs are meant".to_owned().into());
    };
    let state = match (action, words.text("state")?) {
        (_, Some("dead")) | (BatchAction::Retry, None) => BatchState::Dead,
        (BatchAction::Retry, Some(_)) => {
            return Err("only dead jobs can be put back: state is dead".to_owned().into());
        }
        (_, Some("queued")) => BatchState::Queued,
        (_, Some("scheduled")) => BatchState::Scheduled,
        (_, Some("running")) => BatchState::Running,
        _ => return Err("state is queued, scheduled, running or dead".to_owned().into()),
    };
    let dry_run = words.flag("dry_run")?;
    let at_most = words.number("at_most", u32::MAX.into())?;
    let Some(at_most) = at_most.or(dry_run.then_some(u32::MAX.into())) else {
        return Err("at_most is missing: say how many jobs you expect; a dry_run tells how many there are"
            .to_owned()
            .into());
    };
    let order = BatchOrder {
        function: function.clone(),
        action,
        state,
        older_ms: words.number("older_seconds", SECONDS_MAX)?.unwrap_or(0) * 1000,
        unique: words.bytes("unique")?,
        after: None,
        at_most: u32::try_from(at_most).unwrap_or(u32::MAX),
        dry_run,
    };
    let what = format!(
        "{}{} at most {at_most} jobs of {}",
        if dry_run { "count, to " } else { "" },
        if action == BatchAction::Cancel { "cancel" } else { "retry" },
        shown(&function)
    );
    let outcome = carry_out_batch(desk, order).await;
    Ok((what, outcome))
}

/// How many jobs an order would be about.
pub(super) async fn count(desk: &Desk, mut order: BatchOrder) -> Result<u64, ApiFault> {
    let _turn = desk.turn().await;
    order.dry_run = true;
    steps(desk, &mut order, Instant::now() + BATCH_TIME).await.map(|sums| sums.matched)
}

/// A step at a time, so that nobody waits for it. What takes too long stops in between, and says so.
async fn carry_out_batch(desk: &Desk, mut order: BatchOrder) -> Result<Value, ApiFault> {
    let _turn = desk.turn().await;
    let until = Instant::now() + BATCH_TIME;
    let first = steps(desk, &mut order, until).await?;
    if order.dry_run {
        return Ok(json!({ "matches": first.matched, "stopped": first.stopped }));
    }
    // What is left is counted: nothing is done for it.
    let mut rest = BatchSums::default();
    if !first.complete {
        (order.dry_run, order.at_most) = (true, u32::MAX);
        rest = steps(desk, &mut order, until).await?;
    }
    Ok(json!({ "done": first.done, "left": rest.matched, "stopped": first.stopped || rest.stopped }))
}

/// What several steps came to.
#[derive(Default)]
struct BatchSums {
    matched: u64,
    done: u64,
    /// There are no more jobs to look at.
    complete: bool,
    /// It took too long.
    stopped: bool,
}

async fn steps(desk: &Desk, order: &mut BatchOrder, until: Instant) -> Result<BatchSums, ApiFault> {
    let mut sums = BatchSums::default();
    while order.at_most > 0 && !sums.complete {
        if Instant::now() >= until {
            sums.stopped = true;
            break;
        }
        let Some(Report::Batch(step)) = desk.order(Order::Batch(Box::new(order.clone()))).await else {
            return Err(silent());
        };
        let BatchResult { matched, done, next, held_up } = step;
        sums.matched += u64::from(matched);
        sums.done += u64::from(done);
        order.at_most = order.at_most.saturating_sub(matched);
        sums.complete = next.is_none();
        order.after = next.or(order.after);
        if held_up {
            sleep(HELD_UP).await;
        }
    }
    Ok(sums)
}

async fn close(desk: &Desk, session: &[u8], words: &OrderWords) -> Ordered {
    words.take(&[])?;
    let what = format!("close connection {}", shown(session));
    let Some(session) = cursor::session_named(session) else {
        return Err("a connection has a name like 0-12-3: see /api/v1/connections".to_owned().into());
    };
    let _turn = desk.turn().await;
    let outcome = match desk.order(Order::Dismiss { session }).await {
        Some(Report::Done) => Ok(json!({ "closed": json::session_name(session) })),
        Some(Report::Unchanged) => {
            let sentence = "there is no such connection: it has gone, or never was";
            Err(ApiFault(StatusCode::NOT_FOUND, sentence.to_owned()))
        }
        _ => Err(silent()),
    };
    Ok((what, outcome))
}

fn log_level(desk: &Desk, words: &OrderWords) -> Ordered {
    words.take(&["level", "for_seconds"])?;
    let level = words.text("level")?.and_then(|name| Level::from_name(&name.to_ascii_uppercase()));
    let Some(level) = level else {
        let names: Vec<&str> = Level::ALL.iter().map(|level| level.name()).collect();
        return Err(format!("level is one of {}", names.join(", ")).into());
    };
    let seconds = words.number("for_seconds", SECONDS_MAX)?.unwrap_or(600);
    desk.level.set(level, Duration::from_secs(seconds));
    let told = json!({ "level": level.name(), "for_seconds": seconds });
    Ok((format!("log level {} for {seconds} s", level.name()), Ok(told)))
}

fn drain(desk: &Desk, words: &OrderWords) -> Ordered {
    words.take(&[])?;
    (desk.setup.drain)();
    Ok(("drain".to_owned(), Ok(json!({ "draining": true }))))
}
