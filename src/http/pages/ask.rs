//! Questions before something is changed: what, and how much of it, with the number in the question and the way back at hand. Asking changes
//! nothing; what the answer sends is carried out in `act.rs`.
use super::super::api;
use super::super::desk::Desk;
use super::super::names::percent;
use super::super::target::RequestTarget;
use super::fault::{PageFault, is_whole, wrong};
use super::frame::PageBody;
use super::rights::PageRights;
use super::shown::{counted, function_path, job_path, name, num, with_name};
use crate::engine::{BatchAction, BatchOrder, BatchState};
use crate::logging::Level;
use bytes::Bytes;
use hyper::StatusCode;
use maud::{Markup, html};

/// For more jobs than this the name is typed.
pub(super) const TYPED_FROM: u64 = 1000;

/// What is asked.
pub(super) struct Question {
    pub(super) ask: String,
    pub(super) remark: &'static str,
    /// What the button says that does it.
    pub(super) button: String,
    /// Where the answer is sent.
    pub(super) path: String,
    pub(super) fields: Markup,
    /// What must be typed.
    pub(super) typed: Option<String>,
    pub(super) back: String,
}

impl Question {
    pub(super) fn page(self) -> PageBody {
        let title = self.ask.clone();
        let main = html! {
            h1 { (self.ask) }
            @if !self.remark.is_empty() { p { (self.remark) } }
            form class="sheet" method="post" action=(self.path) {
                (self.fields)
                @if let Some(typed) = &self.typed {
                    label { "Type " code { (typed) } " to go on " input name="typed" required autocomplete="off" spellcheck="false"; }
                }
                p class="answers" {
                    a class="button" rel="up" href=(self.back) autofocus { "Cancel" } " "
                    button class="act" { (self.button) }
                }
            }
        };
        PageBody { title, place: 0, live: false, draws: false, main }
    }
}

/// The question before an order.
pub(super) async fn page(
    desk: &Desk,
    rights: PageRights,
    what: &[u8],
    target: &RequestTarget,
) -> Result<PageBody, PageFault> {
    may(rights)?;
    target.takes(&["name", "handle", "session", "state"]).map_err(wrong)?;
    let question = match what {
        b"drain" => drain(),
        b"level" => level(),
        b"close" => close(target)?,
        b"retry" | b"cancel" => one_job(what == b"retry", target)?,
        b"pause" => pause(function(target)?),
        b"resume" => resume(function(target)?),
        b"limits" => limits(desk, function(target)?).await?,
        b"retry-dead" => retry_dead(desk, function(target)?).await?,
        b"purge" => purge(desk, function(target)?, target).await?,
        _ => return Err((StatusCode::NOT_FOUND, "There is no such order.".to_owned())),
    };
    Ok(question.page())
}

/// Whoever may not order is not even asked.
pub(super) fn may(rights: PageRights) -> Result<(), PageFault> {
    if rights.operate {
        return Ok(());
    }
    let said = "You may only look: orders need the role operate (--control-tokens), or the unix socket of the server.";
    Err((StatusCode::FORBIDDEN, said.to_owned()))
}

pub(super) fn function(target: &RequestTarget) -> Result<&[u8], PageFault> {
    target.word("name").ok_or_else(|| wrong("name is the function that is meant"))
}

pub(super) fn handle(target: &RequestTarget) -> Result<&[u8], PageFault> {
    target.word("handle").ok_or_else(|| wrong("handle is the job that is meant"))
}

fn pause(function: &[u8]) -> Question {
    Question {
        ask: format!("Pause {}?", name(function)),
        remark: "Its jobs stay where they are and more are accepted, but no worker is given one. What runs goes on.",
        button: "Pause".to_owned(),
        path: with_name("/order/pause", function),
        fields: html! {
            label { "Why " input name="reason" maxlength="200"; }
            label { "For how long " select name="minutes" {
                option value="" { "until it is resumed" }
                @for (minutes, text) in [("10", "10 minutes"), ("30", "30 minutes"), ("60", "1 hour"), ("240", "4 hours"), ("1440", "a day")] {
                    option value=(minutes) selected[minutes == "30"] { (text) }
                }
            } }
        },
        typed: None,
        back: function_path(function),
    }
}

fn resume(function: &[u8]) -> Question {
    Question {
        ask: format!("Resume {}?", name(function)),
        remark: "Its jobs are given to workers again.",
        button: "Resume".to_owned(),
        path: with_name("/order/resume", function),
        fields: html! {},
        typed: None,
        back: function_path(function),
    }
}

async fn limits(desk: &Desk, function: &[u8]) -> Result<Question, PageFault> {
    is_whole(desk)?;
    let _turn = desk.turn().await;
    let row = desk.function(function).await;
    let limits = row.map(|row| row.limits).ok_or_else(no_function)?;
    Ok(Question {
        ask: format!("How many jobs may wait for {}?", name(function)),
        remark: "A submission is refused where its priority has a limit and the function has as many jobs. 0 is no limit. It holds until the server ends.",
        button: "Set the limits".to_owned(),
        path: with_name("/order/limits", function),
        fields: html! {
            @for (word, limit) in ["high", "normal", "low"].into_iter().zip(limits) {
                label { (word) " " input type="number" name=(word) min="0" max=(u32::MAX) value=(limit); }
            }
        },
        typed: None,
        back: function_path(function),
    })
}

fn no_function() -> PageFault {
    (StatusCode::NOT_FOUND, "There is no function of this name.".to_owned())
}

async fn retry_dead(desk: &Desk, function: &[u8]) -> Result<Question, PageFault> {
    let count = count(desk, function, BatchAction::Retry, BatchState::Dead).await?;
    Ok(Question {
        ask: format!("Retry {} of {}?", counted(count, "dead job", "dead jobs"), name(function)),
        remark: "They go back to their queue and have all their attempts again.",
        button: format!("Retry {}", num(count)),
        path: with_name("/order/retry-dead", function),
        fields: html! { input type="hidden" name="at_most" value=(count); },
        typed: (count > TYPED_FROM).then(|| name(function)),
        back: function_path(function),
    })
}

/// Jobs that may be purged, by where they stand.
pub(super) const PURGED: [(&str, &str, BatchState); 3] = [
    ("queued", "waiting", BatchState::Queued),
    ("scheduled", "scheduled", BatchState::Scheduled),
    ("dead", "dead", BatchState::Dead),
];

async fn purge(desk: &Desk, function: &[u8], target: &RequestTarget) -> Result<Question, PageFault> {
    let word = target.word("state").unwrap_or(b"queued");
    let known = PURGED.iter().find(|(known, ..)| known.as_bytes() == word);
    let Some((word, text, state)) = known else { return Err(wrong("state is queued, scheduled or dead")) };
    let count = count(desk, function, BatchAction::Cancel, *state).await?;
    Ok(Question {
        ask: format!(
            "Purge {} of {}?",
            counted(count, &format!("{text} job"), &format!("{text} jobs")),
            name(function)
        ),
        remark: "They are gone: this cannot be undone. Whoever waits for one is told that it has failed.",
        button: format!("Purge {}", num(count)),
        path: with_name("/order/purge", function),
        fields: html! {
            input type="hidden" name="at_most" value=(count);
            input type="hidden" name="state" value=(word);
            p { "Or those that are "
                @for (other, text, _) in PURGED { @if other != *word {
                    a href=(format!("{}&state={other}", with_name("/order/purge", function))) { (text) } " "
                } }
            }
        },
        typed: Some(name(function)),
        back: function_path(function),
    })
}

/// How many jobs an order would be about: nothing is done.
async fn count(
    desk: &Desk,
    function: &[u8],
    action: BatchAction,
    state: BatchState,
) -> Result<u64, PageFault> {
    is_whole(desk)?;
    let order = BatchOrder {
        function: Bytes::copy_from_slice(function),
        action,
        state,
        older_ms: 0,
        unique: None,
        after: None,
        at_most: u32::MAX,
        dry_run: true,
    };
    api::count(desk, order).await
}

fn one_job(retry: bool, target: &RequestTarget) -> Result<Question, PageFault> {
    let handle = handle(target)?;
    let called = name(handle);
    let (verb, remark) = match retry {
        true => ("Retry", "It goes back to its queue and has all its attempts again."),
        false => (
            "Cancel",
            "It ends: this cannot be undone. Whoever waits for it is told that it has failed; a worker that runs it goes on, and nobody hears the result.",
        ),
    };
    let word = verb.to_ascii_lowercase();
    Ok(Question {
        ask: format!("{verb} 1 job, {called}?"),
        remark,
        button: format!("{verb} 1 job"),
        path: format!("/order/{word}?handle={}", percent(handle)),
        fields: html! {},
        typed: None,
        back: job_path(&String::from_utf8_lossy(handle)),
    })
}

fn close(target: &RequestTarget) -> Result<Question, PageFault> {
    let session = target.word("session").ok_or_else(|| wrong("session is the connection that is meant"))?;
    Ok(Question {
        ask: format!("Close 1 connection, {}?", name(session)),
        remark: "Jobs that its worker holds go back to their queues, and one attempt of each is counted. Jobs that only it waits for are given up.",
        button: "Close 1 connection".to_owned(),
        path: format!("/order/close?session={}", percent(session)),
        fields: html! {},
        typed: None,
        back: format!("/connections?session={}", percent(session)),
    })
}

fn level() -> Question {
    Question {
        ask: "What is to be logged, for a while?".to_owned(),
        remark: "The level goes back by itself.",
        button: "Set the level".to_owned(),
        path: "/order/level".to_owned(),
        fields: html! {
            label { "Level " select name="level" {
                @for level in Level::ALL { option value=(level.name()) selected[level == Level::Info] { (level.name()) } }
            } }
            label { "For how many minutes " input type="number" name="minutes" min="1" max="1440" value="10"; }
        },
        typed: None,
        back: "/server".to_owned(),
    }
}

fn drain() -> Question {
    Question {
        ask: "Drain this server?".to_owned(),
        remark: "Nobody is accepted any more, and the server ends when its queues are empty. This cannot be undone.",
        button: "Drain".to_owned(),
        path: "/order/drain".to_owned(),
        fields: html! {},
        typed: Some("drain".to_owned()),
        back: "/server".to_owned(),
    }
}

/// The question before something is done with jobs that were chosen one by one.
pub(super) fn chosen(what: &str, jobs: &[&[u8]]) -> Question {
    let verb = if what == "retry" { "Retry" } else { "Cancel" };
    let many = counted(jobs.len() as u64, "chosen job", "chosen jobs");
    Question {
        ask: format!("{verb} {many}?"),
        remark: if what == "retry" {
            "They go back to their queues and have all their attempts again."
        } else {
            "They are gone: this cannot be undone."
        },
        button: format!("{verb} {}", num(jobs.len() as u64)),
        path: "/order/chosen".to_owned(),
        fields: html! {
            input type="hidden" name="what" value=(what);
            input type="hidden" name="sure" value="yes";
            @for job in jobs { input type="hidden" name="job" value=(String::from_utf8_lossy(job)); }
            ul class="chosen" { @for job in jobs.iter().take(10) { li { code { (name(job)) } } } @if jobs.len() > 10 { li { "and " (num(jobs.len() as u64 - 10)) " more" } } }
        },
        typed: None,
        back: "/dead".to_owned(),
    }
}

/// Whether what had to be typed was typed.
pub(super) fn is_typed(form: &super::form::PageForm, wanted: &str) -> Result<(), PageFault> {
    match form.text("typed") {
        Some(typed) if typed == wanted.trim() => Ok(()),
        _ => Err(wrong(format!(
            "Nothing was done: {wanted} was to be typed, so that nobody does this by mistake."
        ))),
    }
}
