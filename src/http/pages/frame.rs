//! What stands around every page: the head, the way to the other pages, what was just done, the feet.
use super::super::desk::Desk;
use super::super::remembered::WhatWasDone;
use super::super::words::lasting;
use super::assets::{AssetName, path};
use super::rights::PageRights;
use crate::frontend::VERSION;
use maud::{DOCTYPE, Markup, html};

/// A page without its frame.
pub(super) struct PageBody {
    /// What it is about; stands in the title of the window.
    pub(super) title: String,
    /// Its place among the pages, if it is one of them.
    pub(super) place: usize,
    /// Whether it is looked at again every few seconds.
    pub(super) live: bool,
    /// Whether there is something to draw.
    pub(super) draws: bool,
    pub(super) main: Markup,
}

/// The pages, by the keys that open them: 1 and up.
const PAGES: [(&str, &str); 7] = [
    ("Now", "/"),
    ("Function", "/function"),
    ("Job", "/job"),
    ("Dead", "/dead"),
    ("Connections", "/connections"),
    ("Server", "/server"),
    ("Submit", "/submit"),
];

/// The last of the pages is for who may submit, the others for who may read.
fn may_see(rights: PageRights, at: usize) -> bool {
    if at + 1 == PAGES.len() { rights.submit } else { rights.read }
}

/// htmx evaluates nothing, writes no styles into the page, and keeps what a reader has opened.
const SWAPS: &str =
    r#"{"includeIndicatorCSS":false,"history":false,"morphIgnore":["data-htmx-powered","open"]}"#;

/// Puts a frame around a page.
pub(super) fn write(desk: &Desk, rights: PageRights, told: Option<&WhatWasDone>, page: PageBody) -> String {
    let state = desk.state();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="htmx-config" content=(SWAPS);
                title { (page.title) " – Ringgear" }
                link rel="icon" href="data:,";
                link rel="stylesheet" href=(path(AssetName::Style));
                @if page.draws {
                    link rel="stylesheet" href=(path(AssetName::ChartStyle));
                    script src=(path(AssetName::Chart)) defer {}
                }
                @if page.live { script src=(path(AssetName::Swaps)) defer {} }
                script src=(path(AssetName::Own)) defer {}
            }
            body {
                a class="skip" href="#live" { "To the content" }
                header class="top" {
                    nav aria-label="Pages" {
                        @for (at, (word, href)) in PAGES.into_iter().enumerate() {
                            @let key = (at + 1).to_string();
                            @if may_see(rights, at) {
                                a href=(href) aria-keyshortcuts=(key) aria-current=[(at + 1 == page.place).then_some("page")] {
                                    kbd aria-hidden="true" { (key) } (word)
                                }
                            }
                        }
                    }
                    p class="about" {
                        "Ringgear " (VERSION) ", " (state.word()) ", up " (lasting(desk.started.elapsed().as_secs() * 1000))
                        @if !rights.operate && !rights.submit { ", " strong { "read-only" } }
                        span id="pulse" hidden {}
                    }
                }
                main id="live" tabindex="-1" data-live=[page.live.then_some("3")] {
                    @if let Some(told) = told { (said(told)) }
                    @if let Some(obstacle) = state.obstacle() { p class="told bad" role="status" { (obstacle) } }
                    (page.main)
                }
                (feet(rights))
            }
        }
    }
    .into_string()
}

fn said(told: &WhatWasDone) -> Markup {
    html! {
        p class="told ok" role="status" {
            (told.text)
            @if let Some((word, href)) = &told.undo { " " a href=(href) { (word) } }
        }
    }
}

fn feet(rights: PageRights) -> Markup {
    html! {
        footer {
            p {
                @if rights.read {
                    a href="/metrics" { "metrics" } " · " a href="/api/v1/openapi.json" { "API" } " · "
                    a href="/server#orders" { "what was ordered" } " · "
                }
                @if rights.known { form method="post" action="/logout" class="inline" { button class="link" { "log out" } } " · " }
                @else if rights.logs_in { a href="/login" { "log in" } " · " }
                a href="#keys" aria-keyshortcuts="?" { "keys (?)" }
            }
            (keys())
        }
    }
}

/// What keys do: always there, so that it can be read without a script.
fn keys() -> Markup {
    const KEYS: [(&str, &str); 11] = [
        ("1 – 7", "the pages"),
        ("/", "filter, or find"),
        ("j k", "next and previous row"),
        ("Enter", "open the row"),
        ("u", "up, to where it belongs"),
        ("x", "choose the row"),
        ("space", "freeze the page, and let it go on"),
        ("n", "more of a list"),
        ("P R L", "pause; resume or retry; limits (each asks first)"),
        ("C X D", "cancel or close; purge; drain (each asks first)"),
        ("?", "this list"),
    ];
    html! {
        details id="keys" class="keys" {
            summary { "Keys" }
            dl { @for (key, what) in KEYS { dt { kbd { (key) } } dd { (what) } } }
        }
    }
}
