//! `GET /api/v1/events`: what changes, told as it changes, once a second at the most (server-sent events). What is told of all functions
//! is what everybody else is told within that second; nothing runs when nobody looks.
use super::answer::{EVENTS, HttpAnswer};
use super::bounds::{COMMENT_TIME, TICK, TOPICS_MAX};
use super::desk::Desk;
use super::guard::Visitor;
use super::hangups::first;
use super::limited::LimitedPlace;
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
}

impl EventTopic {
    /// `overview` and `function:NAME`, with commas between them; a name with a comma in it cannot be told.
    fn read(word: Option<&[u8]>) -> Result<Vec<EventTopic>, String> {
        let Some(word) = word else { return Ok(vec![EventTopic::Overview]) };
        let mut topics = Vec::new();
        for part in word.split(|byte| *byte == b',') {
            let topic = match part.strip_prefix(b"function:") {
                Some(name) if !name.is_empty() => EventTopic::Function(name.to_vec()),
                _ if part == b"overview" => EventTopic::Overview,
                _ => return Err("topics are overview and function:NAME, with commas between them".to_owned()),
            };
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
        }
    }
}

/// Begins to tell.
pub(super) fn answer(desk: &Rc<Desk>, target: &RequestTarget, visitor: &Visitor) -> HttpAnswer {
    let topics = target.takes(&["topics"]).and_then(|()| EventTopic::read(target.word("topics")));
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
async fn watch(desk: Rc<Desk>, topics: Vec<EventTopic>, sender: Sender<Bytes>, _place: LimitedPlace) {
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
        for (topic, last) in topics.iter().zip(&mut last) {
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

async fn look(desk: &Desk, topic: &EventTopic) -> Value {
    if !desk.is_whole() {
        return json!({ "phase": desk.state().word() });
    }
    let overview = desk.overview().await;
    match topic {
        EventTopic::Overview => summary(desk, &overview),
        EventTopic::Function(name) => {
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
        for wrong in ["", "all", "function:", "overview,"] {
            assert!(read(wrong).unwrap_err().contains("topics are"), "{wrong}");
        }
        let many: Vec<String> = (0..=TOPICS_MAX).map(|at| format!("function:{at}")).collect();
        assert!(read(&many.join(",")).unwrap_err().contains("at the most"));
    }
}
