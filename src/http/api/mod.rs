//! `/api/v1`: lists and single things as JSON, for looking only. What is a list, and how it comes in parts, is in `lists.rs`, where a list
//! goes on in `cursor.rs`; the document that tells of all paths is `openapi.json`. No payloads.
mod cursor;
mod fault;
mod lists;
mod single;

use super::answer::{HttpAnswer, JSON};
use super::desk::Desk;
use super::target::RequestTarget;
use crate::frontend::json;
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
    if !desk.is_whole() {
        let sentence = "stored jobs are being read: ask again when /readyz says ok";
        return Err(ApiFault(StatusCode::SERVICE_UNAVAILABLE, sentence.to_owned()));
    }
    match path {
        [b"functions"] => lists::functions(desk, target).await,
        [b"functions", name] => {
            target.takes(&[])?;
            single::function(desk, name).await.map(line)
        }
        [b"workers"] => lists::workers(desk, target).await,
        [b"connections"] => lists::connections(desk, target).await,
        [b"jobs"] => lists::jobs(desk, target).await,
        [b"jobs", handle] => {
            target.takes(&[])?;
            single::job(desk, handle).await.map(line)
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

/// A function by its exact name, if it is there.
pub(super) async fn function(desk: &Desk, name: &[u8]) -> Option<Value> {
    single::function(desk, name).await.ok()
}

fn line(value: Value) -> String {
    value.to_string() + "\n"
}
