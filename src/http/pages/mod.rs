//! The dashboard: pages for people, made here as a whole, with every name escaped. They work as links and forms; a small script adds keys,
//! curves and a look every few seconds. What is changed is asked for first (`ask.rs`), and carried out by the API's own orders
//! (`act.rs`). What pages show comes from the desk; colours, scripts and their names are in `assets.rs`.
mod act;
mod ask;
mod assets;
mod connections;
mod dead;
mod form;
mod frame;
mod function;
mod job;
mod now;
mod rows;
mod server;
mod shown;
mod submit;
mod trail;

use super::answer::{HTML, HttpAnswer};
use super::caller::Caller;
use super::desk::Desk;
use super::target::RequestTarget;
use frame::PageBody;
use hyper::{StatusCode, header};
use maud::html;
use std::cell::RefCell;
use std::collections::VecDeque;

pub(super) use assets::STYLE;
pub(super) use now::row_rank;

/// What a visitor may do, as far as pages show it: what he may not is not there, and is refused where it is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PageRights {
    pub(super) submit: bool,
    pub(super) operate: bool,
    /// Whether he has logged in.
    pub(super) known: bool,
    /// Whether one can log in here.
    pub(super) logs_in: bool,
}

/// What was just done, for the page that is shown next.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) text: String,
    /// How it is undone, if it can be: a word and a path.
    pub(super) undo: Option<(&'static str, String)>,
}

/// So many of them are kept, for as many visitors.
const TOLD_MAX: usize = 64;

/// What pages remember.
#[derive(Debug, Default)]
pub(super) struct PageMemory {
    trails: trail::Trails,
    told: RefCell<(u64, VecDeque<Told>)>,
}

impl PageMemory {
    /// Keeps what is to be said on the next page, and tells its number.
    fn tell(&self, told: Told) -> u64 {
        let (count, list) = &mut *self.told.borrow_mut();
        if list.len() == TOLD_MAX {
            list.pop_front();
        }
        list.push_back(told);
        *count += 1;
        *count
    }

    fn told(&self, number: u64) -> Option<Told> {
        let (count, list) = &*self.told.borrow();
        let ago = usize::try_from(count.checked_sub(number)?).ok()?;
        list.len().checked_sub(ago + 1).and_then(|at| list.get(at)).cloned()
    }
}

/// Why there is no page: a status, and a sentence.
pub(super) type PageFault = (StatusCode, String);

fn wrong(sentence: impl Into<String>) -> PageFault {
    (StatusCode::BAD_REQUEST, sentence.into())
}

/// A page that is asked for; `None` if there is none of this path.
pub(super) async fn see(
    desk: &Desk,
    rights: PageRights,
    path: &[&[u8]],
    target: &RequestTarget,
) -> Option<HttpAnswer> {
    let made = match path {
        [] => now::page(desk, target).await,
        [b"function"] => function::page(desk, rights, target).await,
        [b"job"] => job::page(desk, rights, target).await,
        [b"dead"] => dead::page(desk, rights, target).await,
        [b"connections"] => connections::page(desk, rights, target).await,
        [b"server"] => server::page(desk, rights, target).await,
        [b"submit"] => submit::page(rights, target, None),
        [b"order", what] => ask::page(desk, rights, what, target).await,
        [b"assets", name] => return assets::find(name).map(|(kind, text)| asset(kind, text)),
        _ => return None,
    };
    let told = target.number("told", usize::MAX).ok().flatten();
    let told = told.and_then(|number| desk.pages.told(number as u64));
    Some(match made {
        Ok(page) => HttpAnswer::ok(HTML, frame::write(desk, rights, told.as_ref(), page)),
        Err(fault) => fault_page(desk, rights, fault),
    })
}

/// What is there under a name for ever: other bytes have another name.
fn asset(kind: &'static str, text: &'static str) -> HttpAnswer {
    HttpAnswer::ok(kind, text).with(header::CACHE_CONTROL, "public, max-age=31536000, immutable")
}

/// A form that was sent. Whose page it came from was looked at before.
pub(super) async fn act(
    desk: &Desk,
    caller: &Caller,
    rights: PageRights,
    target: &RequestTarget,
    body: &[u8],
) -> HttpAnswer {
    match act::carry_out(desk, caller, rights, target, body).await {
        Ok(act::Done::Page(page)) => HttpAnswer::ok(HTML, frame::write(desk, rights, None, page)),
        Ok(act::Done::Told { told, back }) => {
            let number = desk.pages.tell(told);
            let mark = if back.contains('?') { '&' } else { '?' };
            HttpAnswer::elsewhere_to(&format!("{back}{mark}told={number}"))
        }
        Err(fault) => fault_page(desk, rights, fault),
    }
}

/// Says what is wrong as a page, for those who look with a browser.
fn fault_page(desk: &Desk, rights: PageRights, (status, sentence): PageFault) -> HttpAnswer {
    let title = status.canonical_reason().unwrap_or("Error");
    let main = html! {
        h1 { (title) }
        p class="told bad" role="alert" { (sentence) }
        p { a rel="up" href="/" { "Back to Now" } }
    };
    let page = PageBody { title: title.to_owned(), place: 0, live: false, draws: false, main };
    let page = frame::write(desk, rights, None, page);
    HttpAnswer::of(status, HTML, page)
}

/// While stored jobs are read, shards cannot be asked.
fn is_whole(desk: &Desk) -> Result<(), PageFault> {
    if desk.is_whole() {
        return Ok(());
    }
    Err((StatusCode::SERVICE_UNAVAILABLE, "Stored jobs are being read: look again in a moment.".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_told_for_a_while() {
        let memory = PageMemory::default();
        let told = |text: &str| Told { text: text.to_owned(), undo: None };
        let numbers: Vec<u64> = (0..100).map(|at| memory.tell(told(&at.to_string()))).collect();
        assert_eq!(memory.told(numbers[99]).unwrap().text, "99");
        assert_eq!(memory.told(numbers[36]).unwrap().text, "36");
        assert!(memory.told(numbers[35]).is_none() && memory.told(0).is_none() && memory.told(101).is_none());
    }
}
