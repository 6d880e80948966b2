//! `/api/v1`: lists and single things as JSON, and orders (`orders.rs`). What is a list, and how it comes in parts, is in `lists.rs`, where a list
//! goes on in `cursor.rs`; the document that tells of all paths is `openapi.json`. No payloads: these are in `../workload.rs`.
pub(super) mod cursor;
mod fault;
mod lists;
mod orders;
mod single;
mod told;
mod why;

use super::answer::{HttpAnswer, JSON};
use super::desk::Desk;
use super::roles::HttpCaller;
use super::target::RequestTarget;
use crate::engine::BatchOrder;
use crate::frontend::json;
use bytes::Bytes;
use fault::ApiFault;
use hyper::StatusCode;
use serde_json::Value;

/// What there is, written by hand; a test walks all paths of it.
const DOCUMENT: &str = include_str!("openapi.json");

/// Answers below `/api/v1`.
pub(super) async fn answer(desk: &Desk, path: &[&[u8]], target: &RequestTarget) -> HttpAnswer {
    match find(desk, path, target).await {
        Ok(body) => HttpAnswer::ok(JSON, body),
        Err(ApiFault(status, sentence)) => HttpAnswer::error(status, &sentence),
    }
}

/// Carries out what was ordered below `/api/v1`, if whoever orders it may.
pub(super) async fn order(
    desk: &Desk,
    caller: &HttpCaller,
    path: &[&[u8]],
    target: &RequestTarget,
    body: &Bytes,
) -> HttpAnswer {
    let done = async {
        target.takes(&[])?;
        is_whole(desk)?;
        orders::carry_out(desk, caller, path, body).await.map(line)
    };
    match done.await {
        Ok(body) => HttpAnswer::ok(JSON, body),
        Err(ApiFault(status, sentence)) => HttpAnswer::error(status, &sentence),
    }
}

/// Carries out for a page what such a path and such words say, if whoever orders it may. What is wrong is a status and a sentence.
pub(super) async fn carry_out(
    desk: &Desk,
    caller: &HttpCaller,
    path: &[&[u8]],
    words: &Value,
) -> Result<Value, (StatusCode, String)> {
    let done = async {
        is_whole(desk)?;
        orders::carry_out(desk, caller, path, &Bytes::from(words.to_string())).await
    };
    done.await.map_err(|ApiFault(status, sentence)| (status, sentence))
}

/// How many jobs an order for many would be about, for a page. Nothing is done.
pub(super) async fn count(desk: &Desk, order: BatchOrder) -> Result<u64, (StatusCode, String)> {
    orders::count(desk, order).await.map_err(|ApiFault(status, sentence)| (status, sentence))
}

/// While stored jobs are read, shards cannot be asked.
fn is_whole(desk: &Desk) -> Result<(), ApiFault> {
    if desk.is_whole() {
        return Ok(());
    }
    let sentence = "stored jobs are being read: ask again when /readyz says ok";
    Err(ApiFault(StatusCode::SERVICE_UNAVAILABLE, sentence.to_owned()))
}

async fn find(desk: &Desk, path: &[&[u8]], target: &RequestTarget) -> Result<String, ApiFault> {
    match path {
        [b"openapi.json"] => {
            target.takes(&[])?;
            return Ok(DOCUMENT.to_owned());
        }
        [b"server"] => {
            target.takes(&[])?;
            return Ok(line(single::server(desk)));
        }
        [b"audit"] => return lists::audit(desk, target),
        _ => {}
    }
    is_whole(desk)?;
    match path {
        [b"overview"] => {
            target.takes(&[])?;
            Ok(line(single::overview(desk).await))
        }
        [b"functions"] => lists::functions(desk, target).await,
        [b"functions", name] => {
            target.takes(&[])?;
            single::function(desk, name).await.map(line)
        }
        [b"functions", name, b"why"] => {
            target.takes(&[])?;
            why::function(desk, name).await.map(line)
        }
        [b"functions", name, b"workers"] => lists::function_workers(desk, name, target).await,
        [b"workers"] => lists::workers(desk, target).await,
        [b"connections"] => lists::connections(desk, target).await,
        [b"jobs"] => lists::jobs(desk, target).await,
        [b"jobs", handle] => {
            target.takes(&[])?;
            single::job(desk, handle).await.map(line)
        }
        [b"jobs", handle, b"why"] => {
            target.takes(&[])?;
            why::job(desk, handle).await.map(line)
        }
        [b"dead"] => lists::dead(desk, target).await,
        [b"counters"] => {
            target.takes(&[])?;
            let _turn = desk.turn().await;
            Ok(line(json::counters(&desk.counters().await)))
        }
        _ => {
            let sentence = "there is nothing here: /api/v1/openapi.json says what there is";
            Err(ApiFault(StatusCode::NOT_FOUND, sentence.to_owned()))
        }
    }
}

fn line(value: Value) -> String {
    value.to_string() + "\n"
}
