//! A job, submitted from a page: the form, and what came of it.
use super::super::target::RequestTarget;
use super::fault::{PageFault, wrong};
use super::frame::PageBody;
use super::rights::PageRights;
use hyper::StatusCode;
use maud::{Markup, html};

/// The page; with what came of what was submitted before.
pub(super) fn page(
    rights: PageRights,
    target: &RequestTarget,
    outcome: Option<Markup>,
) -> Result<PageBody, PageFault> {
    target.takes(&["name", "told"]).map_err(wrong)?;
    if !rights.submit {
        let said = "You may not submit jobs here: that needs the role submit (--control-tokens).";
        return Err((StatusCode::FORBIDDEN, said.to_owned()));
    }
    let name = target.word("name").map(|name| String::from_utf8_lossy(name).into_owned()).unwrap_or_default();
    let main = html! {
        p class="up" { a rel="up" href="/" { "Now" } }
        h1 { "Submit a job" }
        @if let Some(outcome) = outcome { (outcome) }
        form class="sheet" method="post" action="/submit" {
            label { "Function " input name="function" value=(name) required maxlength="8191" autofocus aria-keyshortcuts="/"; }
            label { "Unique (may be left empty) " input name="unique" maxlength="64"; }
            label { "Priority " select name="priority" {
                option value="high" { "high" } option value="normal" selected { "normal" } option value="low" { "low" }
            } }
            label { "Wait for the result " select name="background" {
                option value="true" { "no: in the background" } option value="false" { "yes, for 15 s at the most" }
            } }
            label { "Workload " textarea name="workload" rows="8" maxlength="60000" {} }
            button { "Submit" }
        }
    };
    Ok(PageBody { title: "Submit".to_owned(), place: 7, live: false, draws: false, main })
}
