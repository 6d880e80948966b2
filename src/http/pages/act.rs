//! Forms that change something, carried out as orders of the API: the same bounds, the same line in the list of orders. What is said
//! afterwards, and how it is undone where it can be.
use super::super::api;
use super::super::desk::Desk;
use super::super::remembered::WhatWasDone;
use super::super::roles::HttpCaller;
use super::super::target::RequestTarget;
use super::ask::{self, TYPED_FROM};
use super::fault::{PageFault, wrong};
use super::form::PageForm;
use super::frame::PageBody;
use super::rights::PageRights;
use super::shown::{counted, function_path, job_path, name, with_name};
use crate::frontend::json;
use hyper::StatusCode;
use serde_json::{Value, json};

/// What came of a form.
pub(super) enum Done {
    /// A page, for there is more to ask.
    Page(PageBody),
    /// It was done: what is said, and on which page.
    Told { told: WhatWasDone, back: String },
}

/// Carries out what a form says.
pub(super) async fn carry_out(
    desk: &Desk,
    caller: &HttpCaller,
    rights: PageRights,
    target: &RequestTarget,
    body: &[u8],
) -> Result<Done, PageFault> {
    ask::may(rights)?;
    let form = PageForm::read(body).map_err(wrong)?;
    let path: Vec<&[u8]> = target.path.iter().map(|segment| &segment[..]).collect();
    let order = PageOrders { desk, caller, form: &form };
    match &path[..] {
        [b"order", b"drain"] => order.drain().await,
        [b"order", b"level"] => order.level().await,
        [b"order", b"close"] => order.close(target.word("session").unwrap_or(b"")).await,
        [b"order", b"chosen"] => order.chosen().await,
        [b"order", what @ (b"retry" | b"cancel")] => order.one_job(what, ask::handle(target)?).await,
        [b"order", b"pause"] => order.pause(ask::function(target)?).await,
        [b"order", b"resume"] => order.resume(ask::function(target)?).await,
        [b"order", b"limits"] => order.limits(ask::function(target)?).await,
        [b"order", b"retry-dead"] => order.batch(ask::function(target)?, "retry", "dead").await,
        [b"order", b"purge"] => order.purge(ask::function(target)?).await,
        _ => Err((StatusCode::NOT_FOUND, "There is no such order.".to_owned())),
    }
}

struct PageOrders<'a> {
    desk: &'a Desk,
    caller: &'a HttpCaller,
    form: &'a PageForm,
}

fn done(text: String, undo: Option<(&'static str, String)>, back: String) -> Result<Done, PageFault> {
    Ok(Done::Told { told: WhatWasDone { text, undo }, back })
}

impl PageOrders<'_> {
    async fn give(&self, path: &[&[u8]], words: &Value) -> Result<Value, PageFault> {
        api::carry_out(self.desk, self.caller, path, words).await
    }

    fn number(&self, name: &str) -> Result<Option<u64>, PageFault> {
        self.form.number(name).map_err(wrong)
    }

    async fn pause(&self, function: &[u8]) -> Result<Done, PageFault> {
        let mut words = json!({});
        if let Some(reason) = self.form.text("reason") {
            words["reason"] = reason.into();
        }
        let minutes = self.number("minutes")?;
        if let Some(minutes) = minutes {
            words["for_seconds"] = minutes.saturating_mul(60).into();
        }
        let told = self.give(&[b"functions", function, b"pause"], &words).await?;
        let remark = told["remark"].as_str().map(|remark| format!(" ({remark})")).unwrap_or_default();
        let text = format!("{} is paused{remark}.", name(function));
        done(text, Some(("Resume…", with_name("/order/resume", function))), function_path(function))
    }

    async fn resume(&self, function: &[u8]) -> Result<Done, PageFault> {
        self.give(&[b"functions", function, b"resume"], &json!({})).await?;
        let text = format!("{} goes on.", name(function));
        done(text, Some(("Pause…", with_name("/order/pause", function))), function_path(function))
    }

    async fn limits(&self, function: &[u8]) -> Result<Done, PageFault> {
        let mut words = json!({});
        for word in ["high", "normal", "low"] {
            if let Some(number) = self.number(word)? {
                words[word] = number.into();
            }
        }
        self.give(&[b"functions", function, b"limits"], &words).await?;
        let text = format!("The limits of {} are set.", name(function));
        done(text, Some(("Change…", with_name("/order/limits", function))), function_path(function))
    }

    async fn purge(&self, function: &[u8]) -> Result<Done, PageFault> {
        ask::is_typed(self.form, &name(function))?;
        let state = self.form.text("state").unwrap_or_else(|| "queued".to_owned());
        if !ask::PURGED.iter().any(|(known, ..)| *known == state) {
            return Err(wrong("state is queued, scheduled or dead"));
        }
        self.batch(function, "cancel", &state).await
    }

    async fn batch(&self, function: &[u8], action: &str, state: &str) -> Result<Done, PageFault> {
        let at_most =
            self.number("at_most")?.ok_or_else(|| wrong("at_most is how many jobs are expected"))?;
        if at_most > TYPED_FROM && action == "retry" {
            ask::is_typed(self.form, &name(function))?;
        }
        let mut words = json!({ "action": action, "state": state, "at_most": at_most });
        json::put_name(&mut words, "function", function);
        let told = self.give(&[b"jobs", b"batch"], &words).await?;
        let count = told["done"].as_u64().unwrap_or(0);
        let verb = if action == "retry" { "put back" } else { "purged" };
        let mut text = format!("{} of {} {verb}.", counted(count, "job", "jobs"), name(function));
        if let Some(left) = told["left"].as_u64().filter(|&left| left > 0) {
            text += &format!(" {} left.", counted(left, "is", "are"));
        }
        let undo =
            (action == "retry" && count > 0).then(|| ("Pause it…", with_name("/order/pause", function)));
        done(text, undo, function_path(function))
    }

    async fn one_job(&self, what: &[u8], handle: &[u8]) -> Result<Done, PageFault> {
        self.give(&[b"jobs", handle, what], &json!({})).await?;
        let called = name(handle);
        let path = job_path(&String::from_utf8_lossy(handle));
        match what {
            b"retry" => done(
                format!("{called} was put back into its queue."),
                Some((
                    "Cancel it…",
                    format!("/order/cancel?handle={}", super::super::names::percent(handle)),
                )),
                path,
            ),
            _ => done(format!("{called} was cancelled."), None, path),
        }
    }

    /// Some were chosen: asks first, and does it then.
    async fn chosen(&self) -> Result<Done, PageFault> {
        let what = self.form.text("what").filter(|what| what == "retry" || what == "cancel");
        let what = what.ok_or_else(|| wrong("what is retry or cancel"))?;
        let jobs: Vec<&[u8]> = self.form.all("job").collect();
        if jobs.is_empty() {
            return Err(wrong("No job was chosen: mark some, with the box or with x."));
        }
        if self.form.text("sure").is_none() {
            return Ok(Done::Page(ask::chosen(&what, &jobs).page()));
        }
        let (mut count, mut fault) = (0_u64, None);
        for job in &jobs {
            match self.give(&[b"jobs", job, what.as_bytes()], &json!({})).await {
                Ok(_) => count += 1,
                Err((_, sentence)) => fault = Some(sentence),
            }
        }
        let verb = if what == "retry" { "put back" } else { "cancelled" };
        let mut text = format!("{} {verb}.", counted(count, "job", "jobs"));
        if let Some(sentence) = fault {
            text += &format!(" {} not: {sentence}.", counted(jobs.len() as u64 - count, "was", "were"));
        }
        done(text, None, "/dead".to_owned())
    }

    async fn close(&self, session: &[u8]) -> Result<Done, PageFault> {
        self.give(&[b"connections", session, b"close"], &json!({})).await?;
        done(format!("Connection {} is closed.", name(session)), None, "/connections".to_owned())
    }

    async fn level(&self) -> Result<Done, PageFault> {
        let level = self.form.text("level").unwrap_or_default();
        let minutes = self.number("minutes")?.unwrap_or(10);
        let words = json!({ "level": level, "for_seconds": minutes.saturating_mul(60) });
        self.give(&[b"server", b"log-level"], &words).await?;
        let text =
            format!("The log has lines down to {level} for {}.", counted(minutes, "minute", "minutes"));
        done(text, Some(("Change…", "/order/level".to_owned())), "/server".to_owned())
    }

    async fn drain(&self) -> Result<Done, PageFault> {
        ask::is_typed(self.form, "drain")?;
        self.give(&[b"server", b"drain"], &json!({})).await?;
        done("The server drains: it ends when its queues are empty.".to_owned(), None, "/server".to_owned())
    }
}
