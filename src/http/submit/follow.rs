//! A job that somebody waits for: from its submission to its end, or until nobody waits any more. Then its session is closed, and the job
//! is given up unless others wait for it, as with any client.
use super::super::answer::{EVENTS, HttpAnswer, JSON};
use super::super::bounds::COMMENT_TIME;
use super::super::desk::Desk;
use super::super::guard::Visitor;
use super::super::hangups::first;
use super::super::home::{HttpClient, JobNews};
use super::super::limited::LimitedPlace;
use super::super::streams::AnswerBody;
use super::refusal::{refused, unanswered};
use super::told::{self, BYTES, JobEnd, JobStory};
use super::wanted::WantedJob;
use crate::engine::JobId;
use crate::protocol::Refusal;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::HeaderName;
use serde_json::json;
use std::time::Duration;
use tokio::sync::mpsc::Sender;
use tokio::task::spawn_local;
use tokio::time::{Instant, timeout, timeout_at};

/// What came of a job.
pub(in super::super) enum JobOutcome {
    /// It has ended, with all that was told of it.
    Ended { handle: String, end: JobEnd, story: JobStory },
    /// More was told of it than can be kept, and it was given up.
    TooMuch { handle: String },
    /// It had not ended in the time that was to be waited.
    TooLate { handle: String },
    /// It is none.
    Refused(Refusal),
    /// Nobody knows whether it is one.
    Unanswered,
    /// Nobody wants to know any more.
    Gone,
}

/// Submits it and hears which job it is.
pub(super) async fn begin(
    desk: &Desk,
    job: &WantedJob,
    until: Instant,
) -> Result<(HttpClient, JobId), JobOutcome> {
    let client = desk.observer.client(true);
    let begun = async {
        if !client.submit(job.submit()).await {
            return None;
        }
        client.next().await
    };
    match timeout_at(until, begun).await {
        Ok(Some(JobNews::Created(id))) => Ok((client, id)),
        Ok(Some(JobNews::Refused(refusal))) => Err(JobOutcome::Refused(refusal)),
        _ => Err(JobOutcome::Unanswered),
    }
}

/// Submits it, and waits until it has ended.
pub(super) async fn outcome(desk: &Desk, job: WantedJob, wait: Duration, visitor: &Visitor) -> JobOutcome {
    let until = Instant::now() + wait;
    let (client, id) = match begin(desk, &job, until).await {
        Ok(begun) => begun,
        Err(outcome) => return outcome,
    };
    drop(job);
    let handle = told::handle(desk, id);
    let mut story = JobStory::default();
    // What is collected counts until it is answered.
    let mut held = Vec::new();
    let ended = async {
        while let Some(news) = client.next().await {
            let JobNews::Work(work, bytes) = news else { continue };
            held.push(bytes);
            if let Some(end) = story.note(work) {
                return Some(end);
            }
        }
        None
    };
    match first(timeout_at(until, ended), visitor.end.gone()).await {
        Ok(Ok(Some(end))) => JobOutcome::Ended { handle, end, story },
        Ok(Ok(None)) if client.is_overrun() => JobOutcome::TooMuch { handle },
        Ok(Ok(None)) => JobOutcome::Unanswered,
        Ok(Err(_)) => JobOutcome::TooLate { handle },
        Err(()) => JobOutcome::Gone,
    }
}

/// Waits for the result. `bytes`: it is wanted alone.
pub(super) async fn result(
    desk: &Desk,
    job: WantedJob,
    wait: Duration,
    visitor: &Visitor,
    bytes: bool,
) -> HttpAnswer {
    tell_outcome(outcome(desk, job, wait, visitor).await, wait, bytes)
}

fn tell_outcome(outcome: JobOutcome, wait: Duration, bytes: bool) -> HttpAnswer {
    match outcome {
        JobOutcome::Ended { handle, end, story } => tell(story, &handle, end, bytes),
        JobOutcome::TooMuch { handle } => {
            let hint = "have its events streamed (Accept: text/event-stream), or the result put elsewhere by the worker";
            let said = "the result is larger than can be kept for answers, and the job was given up";
            HttpAnswer::problem(StatusCode::BAD_GATEWAY, said, hint, json!({ "handle": handle }))
        }
        JobOutcome::TooLate { handle } => {
            let said = format!(
                "the job had not ended after {} s, and is given up unless others wait for it",
                wait.as_secs()
            );
            let hint =
                "wait for longer with Prefer: wait=N, or submit it in the background (background=true)";
            HttpAnswer::problem(StatusCode::GATEWAY_TIMEOUT, &said, hint, json!({ "handle": handle }))
        }
        JobOutcome::Refused(refusal) => refused(refusal),
        JobOutcome::Unanswered => unanswered(),
        // Nobody reads this.
        JobOutcome::Gone => HttpAnswer::error(StatusCode::REQUEST_TIMEOUT, "the peer has gone"),
    }
}

fn tell(story: JobStory, handle: &str, end: JobEnd, bytes: bool) -> HttpAnswer {
    let name = HeaderName::from_static("x-gearman-job-handle");
    if !bytes {
        return HttpAnswer::ok(JSON, story.told(handle, end).to_string() + "\n").with(name, handle);
    }
    let hint = "look at the log of the worker";
    match end {
        JobEnd::Complete => HttpAnswer::ok(BYTES, story.into_bytes()).with(name, handle),
        JobEnd::Fail => HttpAnswer::problem(
            StatusCode::BAD_GATEWAY,
            "the job has failed",
            hint,
            json!({ "handle": handle }),
        ),
        JobEnd::Exception => {
            let said = format!("the job has failed: {}", story.complaint());
            HttpAnswer::problem(StatusCode::BAD_GATEWAY, &said, hint, json!({ "handle": handle }))
        }
    }
}

/// Has everything that is told of it sent as it comes.
pub(super) async fn stream(
    desk: &Desk,
    job: WantedJob,
    wait: Duration,
    visitor: &Visitor,
    place: LimitedPlace,
) -> HttpAnswer {
    let until = Instant::now() + wait;
    let (client, id) = match begin(desk, &job, until).await {
        Ok(begun) => begun,
        Err(outcome) => return tell_outcome(outcome, wait, false),
    };
    let handle = told::handle(desk, id);
    let (sender, body) = AnswerBody::pieces();
    let end = visitor.end.clone();
    let created = told::event("created", &json!({ "handle": handle }));
    spawn_local(async move {
        let _place = place;
        let _ = first(pump(client, created, sender, until), end.gone()).await;
    });
    HttpAnswer::stream(EVENTS, body)
}

/// Sends what comes, until it is over or nobody takes it any more.
async fn pump(client: HttpClient, created: Bytes, sender: Sender<Bytes>, until: Instant) {
    const ALIVE: &[u8] = b": still waiting\n\n";
    if sender.send(created).await.is_err() {
        return;
    }
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let (piece, last) = match timeout(COMMENT_TIME.min(left), client.next()).await {
            Ok(Some(JobNews::Work(work, _held))) => {
                let last = work.is_final();
                let sent = sender.send(told::work_event(&work)).await;
                if sent.is_err() || last {
                    return;
                }
                continue;
            }
            Ok(Some(_)) => continue,
            Ok(None) => (told::event("gone", &json!({ "detail": why_gone(&client) })), true),
            Err(_) if Instant::now() >= until => {
                let said = "it has not ended in the time to wait, and is given up unless others wait for it";
                (told::event("gone", &json!({ "detail": said })), true)
            }
            Err(_) => (Bytes::from_static(ALIVE), false),
        };
        if sender.send(piece).await.is_err() || last {
            return;
        }
    }
}

fn why_gone(client: &HttpClient) -> &'static str {
    match client.is_overrun() {
        true => "more was told of it than was read in time",
        false => "the server ends",
    }
}
