//! `GET /api/v1/events`: what changes, told as it changes, once a second at the most (server-sent events). What is told of all functions
//! is what everybody else is told within that second; nothing runs when nobody looks.
use super::answer::{EVENTS, HttpAnswer};
use super::bounds::{COMMENT_TIME, TICK, TOPICS_MAX};
use super::clients::ClientWatch;
use super::desk::Desk;
use super::guard::Visitor;
use super::hangups::first;
use super::limited::LimitedPlace;
use super::names::readable;
use super::overview::{Overview, waiting};
use super::streams::AnswerBody;
use super::target::RequestTarget;
use crate::engine::report::FunctionNumbers;
use crate::frontend::json;
use bytes::Bytes;
use hyper::StatusCode;
use serde_json::{Value, json};
use std::fmt::Write;
use std::rc::Rc;
use tokio::sync::mpsc::Sender;
use tokio::task::spawn_local;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Functions that are told of with all together: those that the page tells of first.
const FIRST_ROWS: usize = 50;

/// Something that is looked at.
#[derive(Debug, PartialEq, Eq)]
enum EventTopic {
    Overview,
    Function(Vec<u8>),
    Job(Vec<u8>),
    Client(ClientWatch),
}

/// What topics are.
const TOPICS: &str =
    "topics are overview, function:NAME, job:HANDLE and client:ADDRESS, with commas between them";

impl EventTopic {
    /// See [`TOPICS`]; a name with a comma in it cannot be told.
    fn read(word: Option<&[u8]>) -> Result<Vec<EventTopic>, String> {
        let Some(word) = word else { return Ok(vec![EventTopic::Overview]) };
        let mut topics = Vec::new();
        for part in word.split(|byte| *byte == b',') {
            let (kind, of) = match part.iter().position(|byte| *byte == b':') {
                Some(colon) => (&part[..colon], &part[colon + 1..]),
                None => (part, &b""[..]),
            };
            let topic = match (kind, of) {
                (b"overview", _) if part == b"overview" => EventTopic::Overview,
                (b"function", name @ [_, ..]) => EventTopic::Function(name.to_vec()),
                (b"job", handle @ [_, ..]) => EventTopic::Job(handle.to_vec()),
                (b"client", address) => {
                    let said = "client:ADDRESS has an address as numbers, with a port or without: client:10.0.0.1 or client:[::1]:5000";
                    EventTopic::Client(ClientWatch::read(address).ok_or(said)?)
                }
                _ => return Err(TOPICS.to_owned()),
            };
            // Each looks for connections among all.
            let is_client = matches!(topic, EventTopic::Client(_));
            if is_client
                && topics.iter().any(|other| *other != topic && matches!(other, EventTopic::Client(_)))
            {
                return Err("one client is followed by a stream; open another one for others".to_owned());
            }
            if !topics.contains(&topic) {
                topics.push(topic);
            }
        }
        match topics.len() > TOPICS_MAX {
            true => Err(format!("there are {TOPICS_MAX} topics at the most; open another stream for others")),
            false => Ok(topics),
        }
    }

    fn event(&self) -> &'static str {
        match self {
            EventTopic::Overview => "overview",
            EventTopic::Function(_) => "function",
            EventTopic::Job(_) => "job",
            EventTopic::Client(_) => "client",
        }
    }

    /// Why it can be about nothing here, a sentence.
    fn mistake(&self, desk: &Desk) -> Option<String> {
        let EventTopic::Job(handle) = self else { return None };
        let is_one = desk.setup.frontend.handle_prefix.parse(handle).is_some();
        let said = || format!("job:{} names no handle that this server gives", readable(handle));
        (!is_one).then(said)
    }
}

/// Begins to tell.
pub(super) fn answer(desk: &Rc<Desk>, target: &RequestTarget, visitor: &Visitor) -> HttpAnswer {
    let topics = target.takes(&["topics"]).and_then(|()| EventTopic::read(target.word("topics")));
    let topics = topics.and_then(|topics| match topics.iter().find_map(|topic| topic.mistake(desk)) {
        Some(why) => Err(why),
        None => Ok(topics),
    });
    let topics = match topics {
        Ok(topics) => topics,
        Err(why) => return HttpAnswer::error(StatusCode::BAD_REQUEST, &why),
    };
    let Some(place) = desk.viewers.take() else {
        let hint = "close one of the others, or ask again from time to time";
        let said = "so many are told of what changes already that there is no place for another";
        return HttpAnswer::problem(StatusCode::SERVICE_UNAVAILABLE, said, hint, json!({}));
    };
    let (sender, body) = AnswerBody::pieces();
    let (desk, end) = (desk.clone(), visitor.end.clone());
    spawn_local(async move {
        let _ = first(watch(desk, topics, sender, place), end.gone()).await;
    });
    HttpAnswer::stream(EVENTS, body)
}

/// Tells until nobody hears it any more.
async fn watch(desk: Rc<Desk>, mut topics: Vec<EventTopic>, sender: Sender<Bytes>, _place: LimitedPlace) {
    let mut last: Vec<Option<Value>> = topics.iter().map(|_| None).collect();
    let mut number: u64 = 0;
    let mut told = Instant::now();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    if sender.send(Bytes::from_static(b"retry: 3000\n\n")).await.is_err() {
        return;
    }
    while !sender.is_closed() {
        ticks.tick().await;
        let mut text = String::new();
        for (topic, last) in topics.iter_mut().zip(&mut last) {
            let value = Some(look(&desk, topic).await);
            if *last != value {
                number += 1;
                let value_text = value.as_ref().map(Value::to_string).unwrap_or_default();
                // Writing to memory cannot fail.
                let _ = write!(text, "id: {number}\nevent: {}\ndata: {value_text}\n\n", topic.event());
                *last = value;
            }
        }
        if text.is_empty() && told.elapsed() >= COMMENT_TIME {
            text.push_str(": nothing has changed\n\n");
        }
        if !text.is_empty() {
            told = Instant::now();
            if sender.send(text.into()).await.is_err() {
                return;
            }
        }
    }
}

async fn look(desk: &Desk, topic: &mut EventTopic) -> Value {
    if !desk.is_whole() {
        return json!({ "phase": desk.state().word() });
    }
    match topic {
        EventTopic::Overview => summary(desk, &*desk.overview().await),
        EventTopic::Job(handle) => job(desk, handle).await,
        EventTopic::Client(client) => client.look(desk).await,
        EventTopic::Function(name) => {
            let overview = desk.overview().await;
            if let Ok(at) = overview.told.binary_search_by(|row| row.function[..].cmp(name)) {
                return tell(&overview.told[at]);
            }
            // One that is not told of one by one, or is not there.
            let _turn = desk.turn().await;
            let gone = || json!({ "function": String::from_utf8_lossy(name), "gone": true });
            desk.function(name).await.as_ref().map_or_else(gone, tell)
        }
    }
}

/// A job, without what changes with time alone.
async fn job(desk: &Desk, handle: &[u8]) -> Value {
    const TIMES: [&str; 5] =
        ["age_seconds", "waiting_seconds", "storing_seconds", "running_seconds", "left_seconds"];
    let _turn = desk.turn().await;
    let mut told = match desk.job(handle).await {
        Some(facts) => json::job_facts(&facts),
        None => json!({ "gone": true }),
    };
    told["handle"] = String::from_utf8_lossy(handle).into();
    if let Some(object) = told.as_object_mut() {
        object.retain(|name, _| !TIMES.contains(&&name[..]));
    }
    told
}

/// A function, without what changes with time alone: how long something has waited is no event.
fn tell(row: &FunctionNumbers) -> Value {
    let mut told = json::numbers(row);
    if let Some(object) = told.as_object_mut() {
        object.retain(|name, _| name != "oldest_waiting_seconds" && name != "unattended_seconds");
    }
    told
}

/// What the page says first.
fn summary(desk: &Desk, overview: &Overview) -> Value {
    let [high, normal, low] = overview.sums.queued;
    let mut first: Vec<_> = overview.first.iter().take(FIRST_ROWS).collect();
    first.sort_by_key(|row| std::cmp::Reverse(waiting(row)));
    json!({
        "phase": desk.state().word(),
        "functions": overview.sums.functions,
        "queued": { "high": high, "normal": normal, "low": low },
        "running": overview.sums.running,
        "workers": overview.sums.workers,
        "unattended": overview.sums.unattended,
        "dead": overview.counters.dead_jobs,
        "first": first.into_iter().map(tell).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_named() {
        let read = |word: &str| EventTopic::read(Some(word.as_bytes()));
        assert_eq!(EventTopic::read(None), Ok(vec![EventTopic::Overview]));
        assert_eq!(
            read("overview,function:a:b,overview"),
            Ok(vec![EventTopic::Overview, EventTopic::Function(b"a:b".to_vec())])
        );
        assert_eq!(read("job:H:a:1").unwrap(), [EventTopic::Job(b"H:a:1".to_vec())]);
        assert!(matches!(read("client:10.0.0.1,client:10.0.0.1").unwrap()[..], [EventTopic::Client(_)]));
        for wrong in ["", "all", "function:", "job:", "overview,", "overview:", "x:y"] {
            assert!(read(wrong).unwrap_err().contains("topics are"), "{wrong}");
        }
        assert!(read("client:localhost").unwrap_err().contains("an address as numbers"));
        assert!(read("client:10.0.0.1,client:10.0.0.2").unwrap_err().contains("one client"));
        let many: Vec<String> = (0..=TOPICS_MAX).map(|at| format!("function:{at}")).collect();
        assert!(read(&many.join(",")).unwrap_err().contains("at the most"));
    }
}
