//! `POST /api/v1/jobs`: jobs, submitted over HTTP. What is wanted is read in `wanted.rs`; one job that is waited for is followed in
//! `follow.rs`, and told in `told.rs`; background jobs, one or many, are submitted here, and those of a page. A request is a session like any other: one whose
//! peer goes is closed. Submissions are no orders, and in no list of what was done: there may be thousands in a second.
mod follow;
mod refusal;
mod told;
mod wanted;

use super::answer::{EVENTS, HttpAnswer, JSON, accepts};
use super::bodies;
use super::bounds::{JSON_BYTES, SUBMITS_TIME};
use super::denial;
use super::desk::Desk;
use super::guard::Visitor;
use super::home::JobNews;
use super::roles::{HttpCaller, HttpRole};
use super::target::RequestTarget;
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::{Request, StatusCode};
use refusal::{refused, unanswered};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use wanted::WantedJobs;

pub(super) use follow::JobOutcome;
pub(super) use told::{JobEnd, JobStory};
pub(super) use wanted::WantedJob;

/// Submits what a request brings.
pub(super) async fn answer(
    desk: &Desk,
    target: &RequestTarget,
    request: Request<Incoming>,
    caller: &HttpCaller,
    visitor: &Visitor,
) -> HttpAnswer {
    if !caller.roles.has(HttpRole::Submit) {
        return denial::of_role(caller, HttpRole::Submit);
    }
    if let Some(why) = obstacle(desk) {
        return HttpAnswer::problem(
            StatusCode::SERVICE_UNAVAILABLE,
            why,
            "submit again when /readyz says ok",
            json!({}),
        );
    }
    let (head, body) = request.into_parts();
    let raw = target.word("function").is_some();
    if !raw && !bodies::is_kind(&head.headers, JSON) {
        let hint = "name it in the query (?function=NAME) and send the workload as the body, or send all of it as application/json";
        return HttpAnswer::problem(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "no function is named",
            hint,
            json!({}),
        );
    }
    let packet = desk.setup.frontend.packet_max as usize;
    let most = if raw { packet } else { JSON_BYTES };
    let body = match bodies::collect(&desk.bodies, body, most).await {
        Ok(body) => body,
        Err(fault) => return fault.answer(),
    };
    let wanted =
        if raw { wanted::of_query(target, &body.bytes) } else { wanted::of_json(target, &body.bytes) };
    let wanted = match wanted {
        Ok(wanted) => wanted,
        Err(why) => return HttpAnswer::error(StatusCode::BAD_REQUEST, &why),
    };
    let strange = wanted.jobs().iter().find(|job| !caller.may_with(HttpRole::Submit, &job.function));
    if strange.is_some() {
        return denial::of_role(caller, HttpRole::Submit);
    }
    if wanted.jobs().iter().any(|job| job.len() > packet) {
        let hint = "send a smaller workload, or start the server with a larger --max-packet-size";
        let said = format!("a job may have {packet} bytes with its function and unique");
        return HttpAnswer::problem(StatusCode::PAYLOAD_TOO_LARGE, &said, hint, json!({}));
    }
    match wanted {
        WantedJobs::Many(jobs) => many(desk, jobs).await,
        WantedJobs::One(job) if job.background => one(desk, job).await,
        WantedJobs::One(job) => foreground(desk, job, &head.headers, visitor).await,
    }
}

/// Why a page's job is not submitted: a status and a sentence.
fn obstacle_of(desk: &Desk, caller: &HttpCaller, job: &WantedJob) -> Option<(StatusCode, String)> {
    let packet = desk.setup.frontend.packet_max as usize;
    match () {
        () if !caller.may_with(HttpRole::Submit, &job.function) => {
            Some((denial::status(caller), caller.lacks(HttpRole::Submit)))
        }
        () if obstacle(desk).is_some() => {
            obstacle(desk).map(|why| (StatusCode::SERVICE_UNAVAILABLE, why.to_owned()))
        }
        () if job.len() > packet => {
            let said = format!(
                "a job may have {packet} bytes with its function and unique: send a smaller workload"
            );
            Some((StatusCode::PAYLOAD_TOO_LARGE, said))
        }
        () => None,
    }
}

/// Submits a job for a page, which waits so long at the most for the answer or the result. An error is a status and a sentence.
pub(super) async fn for_page(
    desk: &Desk,
    caller: &HttpCaller,
    job: WantedJob,
    wait: Duration,
    visitor: &Visitor,
) -> Result<PageJob, (StatusCode, String)> {
    if let Some(fault) = obstacle_of(desk, caller, &job) {
        return Err(fault);
    }
    if job.background {
        let begun = follow::begin(desk, &job, Instant::now() + wait).await;
        return Ok(match begun {
            Ok((_, id)) => PageJob::Accepted(told::handle(desk, id)),
            Err(outcome) => PageJob::Over(outcome),
        });
    }
    let Some(_place) = desk.waits.take() else {
        let said = "so many requests wait for jobs already that there is no place for another: submit it in the background, or again later";
        return Err((StatusCode::SERVICE_UNAVAILABLE, said.to_owned()));
    };
    Ok(PageJob::Over(follow::outcome(desk, job, wait, visitor).await))
}

/// What came of a page's job.
pub(super) enum PageJob {
    /// It is there, in the background, and this is its handle.
    Accepted(String),
    /// It was waited for, or there was none.
    Over(JobOutcome),
}

/// Why nothing is submitted just now.
fn obstacle(desk: &Desk) -> Option<&'static str> {
    desk.state().obstacle()
}

/// Jobs that nobody waits for, in one session: the answers come in their order. `None` for those that were not answered in time.
async fn submit(desk: &Desk, jobs: &[WantedJob]) -> Vec<Option<JobNews>> {
    let client = desk.observer.client(false);
    let mut answers = Vec::with_capacity(jobs.len());
    let all = async {
        let mut sent = 0;
        // What is answered makes room for more.
        while answers.len() < jobs.len() {
            while sent < jobs.len() && sent - answers.len() < AT_ONCE {
                if !client.submit(jobs[sent].submit()).await {
                    return;
                }
                sent += 1;
            }
            match client.next().await {
                Some(news) => answers.push(Some(news)),
                None => return,
            }
        }
    };
    // Those that were not answered may have been accepted all the same, as when a connection is lost.
    let _ = timeout(SUBMITS_TIME, all).await;
    answers.resize_with(jobs.len(), || None);
    answers
}

/// Submissions of one request that wait for their answers.
const AT_ONCE: usize = 64;

async fn one(desk: &Desk, job: WantedJob) -> HttpAnswer {
    let answers = submit(desk, std::slice::from_ref(&job)).await;
    match answers.into_iter().next().flatten() {
        Some(JobNews::Created(id)) => {
            let handle = told::handle(desk, id);
            let body = json!({ "handle": handle }).to_string() + "\n";
            HttpAnswer::of(StatusCode::CREATED, JSON, body)
        }
        Some(JobNews::Refused(refusal)) => refused(refusal),
        _ => unanswered(),
    }
}

async fn many(desk: &Desk, jobs: Vec<WantedJob>) -> HttpAnswer {
    let answers = submit(desk, &jobs).await;
    let mut accepted: u64 = 0;
    let items: Vec<Value> = answers
        .iter()
        .map(|answer| match answer {
            Some(JobNews::Created(id)) => {
                accepted += 1;
                json!({ "handle": told::handle(desk, *id) })
            }
            Some(JobNews::Refused(refusal)) => json!({ "code": refusal.code(), "error": refusal.text() }),
            _ => json!({ "code": "NO_ANSWER", "error": "there was no answer in time: it may have been accepted" }),
        })
        .collect();
    let left = jobs.len() as u64 - accepted;
    HttpAnswer::ok(JSON, json!({ "accepted": accepted, "refused": left, "items": items }).to_string() + "\n")
}

async fn foreground(desk: &Desk, job: WantedJob, headers: &HeaderMap, visitor: &Visitor) -> HttpAnswer {
    let Some(place) = desk.waits.take() else {
        let hint = "submit it in the background (background=true), or again later";
        let said = "so many requests wait for jobs already that there is no place for another";
        return HttpAnswer::problem(StatusCode::SERVICE_UNAVAILABLE, said, hint, json!({}));
    };
    let stream = accepts(headers, EVENTS);
    let wait = match (patience(headers), stream) {
        (Ok(Some(wait)), _) => wait,
        (Ok(None), true) => WAIT_MAX,
        (Ok(None), false) => WAIT,
        (Err(why), _) => return HttpAnswer::error(StatusCode::BAD_REQUEST, &why),
    };
    match stream {
        true => follow::stream(desk, job, wait, visitor, place).await,
        false => follow::result(desk, job, wait, visitor, accepts(headers, told::BYTES)).await,
    }
}

/// How long somebody waits who does not say.
const WAIT: Duration = Duration::from_secs(30);
/// The longest that anybody does.
const WAIT_MAX: Duration = Duration::from_secs(3600);

/// `Prefer: wait=N`, as in RFC 7240.
fn patience(headers: &HeaderMap) -> Result<Option<Duration>, String> {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let mut words = values.flat_map(|value| value.split([',', ';'])).map(str::trim);
    let Some(word) = words.find_map(|word| {
        let (name, number) = word.split_once('=')?;
        name.trim().eq_ignore_ascii_case("wait").then(|| number.trim().trim_matches('"'))
    }) else {
        return Ok(None);
    };
    let seconds = word.parse().ok().filter(|seconds| (1..=WAIT_MAX.as_secs()).contains(seconds));
    let said = || format!("Prefer: wait= wants seconds, 1 to {}", WAIT_MAX.as_secs());
    seconds.map(|seconds| Some(Duration::from_secs(seconds))).ok_or_else(said)
}
