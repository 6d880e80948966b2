//! The dashboard: pages for people, made here as a whole, with every name escaped. They work as links and forms; a small script adds keys,
//! curves and a look every few seconds. What is changed is asked for first (`ask.rs`), and carried out by the API's own orders
//! (`act.rs`). What pages show comes from the desk; colours, scripts and their names are in `assets.rs`.
mod act;
mod ask;
mod assets;
mod connections;
mod dead;
mod fault;
mod form;
mod frame;
mod function;
mod job;
mod now;
mod payload;
mod rights;
mod rows;
mod server;
mod shown;
mod submit;

use super::answer::{HTML, HttpAnswer};
use super::desk::Desk;
use super::guard::Visitor;
use super::remembered::WhatWasDone;
use super::roles::HttpCaller;
use super::target::RequestTarget;
use fault::PageFault;
use frame::PageBody;
use hyper::header;
use maud::html;

pub(super) use assets::STYLE;
pub(super) use form::SentForm;
pub(super) use rights::PageRights;

/// A page that is asked for; `None` if there is none of this path.
pub(super) async fn see(
    desk: &Desk,
    caller: &HttpCaller,
    rights: PageRights,
    path: &[&[u8]],
    target: &RequestTarget,
) -> Option<HttpAnswer> {
    let made = match path {
        [] => now::page(desk, target).await,
        [b"function"] => function::page(desk, rights, target).await,
        [b"job"] => job::page(desk, caller, rights, target).await,
        [b"dead"] => dead::page(desk, rights, target).await,
        [b"connections"] => connections::page(desk, rights, target).await,
        [b"server"] => server::page(desk, rights, target).await,
        [b"submit"] => submit::page(desk, caller, rights, target).await,
        [b"order", what] => ask::page(desk, rights, what, target).await,
        _ => return None,
    };
    let told = target.number("told", usize::MAX).ok().flatten();
    let told = told.and_then(|number| desk.remembered.told(number as u64));
    Some(match made {
        Ok(page) => HttpAnswer::ok(HTML, frame::write(desk, rights, told.as_ref(), page)),
        Err(fault) => fault_page(desk, rights, fault),
    })
}

/// What pages need, under a name for ever: other bytes have another name. `None` if there is nothing of this name.
pub(super) fn asset(name: &[u8]) -> Option<HttpAnswer> {
    let (kind, text) = assets::find(name)?;
    Some(HttpAnswer::ok(kind, text).with(header::CACHE_CONTROL, "public, max-age=31536000, immutable"))
}

/// A job that was submitted with the form. Whose page it came from was looked at before.
pub(super) async fn submit(
    desk: &Desk,
    caller: &HttpCaller,
    rights: PageRights,
    sent: &SentForm,
    visitor: &Visitor,
) -> HttpAnswer {
    match submit::carry_out(desk, caller, rights, sent, visitor).await {
        Ok(submit::Submitted::Page(status, page)) => {
            HttpAnswer::of(status, HTML, frame::write(desk, rights, None, page))
        }
        Ok(submit::Submitted::Told { told, back }) => told_at(desk, told, &back),
        Err(fault) => fault_page(desk, rights, fault),
    }
}

/// Has a browser look at a page that says what was done.
fn told_at(desk: &Desk, told: WhatWasDone, back: &str) -> HttpAnswer {
    let number = desk.remembered.tell(told);
    let mark = if back.contains('?') { '&' } else { '?' };
    HttpAnswer::elsewhere(&format!("{back}{mark}told={number}"))
}

/// A form that was sent. Whose page it came from was looked at before.
pub(super) async fn act(
    desk: &Desk,
    caller: &HttpCaller,
    rights: PageRights,
    target: &RequestTarget,
    body: &[u8],
) -> HttpAnswer {
    match act::carry_out(desk, caller, rights, target, body).await {
        Ok(act::Done::Page(page)) => HttpAnswer::ok(HTML, frame::write(desk, rights, None, page)),
        Ok(act::Done::Told { told, back }) => told_at(desk, told, &back),
        Err(fault) => fault_page(desk, rights, fault),
    }
}

/// Says what is wrong as a page, for those who look with a browser.
fn fault_page(desk: &Desk, rights: PageRights, (status, sentence): PageFault) -> HttpAnswer {
    let title = status.canonical_reason().unwrap_or("Error");
    let main = html! {
        h1 { (title) }
        p class="told bad" role="alert" { (sentence) }
        @if rights.read { p { a rel="up" href="/" { "Back to Now" } } }
        @else if rights.submit { p { a rel="up" href="/submit" { "Back to Submit" } } }
    };
    let page = PageBody { title: title.to_owned(), place: 0, live: false, draws: false, main };
    let page = frame::write(desk, rights, None, page);
    HttpAnswer::of(status, HTML, page)
}
