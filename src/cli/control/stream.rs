//! Server-sent events, as they come over a connection: each with its name and its JSON. Asked for by HTTP/1.0, whose answers end with their
//! connection and have no other form.
use crate::cli::reach::ServerStream;
use serde_json::Value;
use std::io::{self, BufRead, BufReader, Read};
use std::ops::ControlFlow;

/// The longest line: events of fifty functions have some ten thousand bytes.
const LINE_MAX: u64 = 16 << 20;

/// What came of it.
#[derive(Debug)]
pub(super) enum StreamEnd {
    /// Enough was heard.
    Enough,
    /// The server has ended it.
    Over,
    /// Another status than 200, and what was said with it.
    Refused(u16, String),
    /// This is no answer over HTTP.
    Otherwise,
}

/// Hears events until `hear` has heard enough, or there are no more.
pub(super) fn hear_all(
    stream: &ServerStream,
    mut hear: impl FnMut(&str, Value) -> ControlFlow<()>,
) -> io::Result<StreamEnd> {
    let mut reader = BufReader::new(stream);
    let Some(first) = line(&mut reader)? else { return Ok(StreamEnd::Otherwise) };
    let status = first.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
    let Some(status) = status else { return Ok(StreamEnd::Otherwise) };
    while line(&mut reader)?.is_some_and(|header| !header.is_empty()) {}
    if status != 200 {
        let mut text = String::new();
        reader.take(LINE_MAX).read_to_string(&mut text)?;
        return Ok(StreamEnd::Refused(status, text));
    }
    let mut event = String::new();
    while let Some(line) = line(&mut reader)? {
        if let Some(name) = line.strip_prefix("event: ") {
            event = name.to_owned();
        } else if let Some(data) = line.strip_prefix("data: ") {
            let Ok(told) = serde_json::from_str(data) else { return Ok(StreamEnd::Otherwise) };
            if hear(&event, told).is_break() {
                return Ok(StreamEnd::Enough);
            }
        }
    }
    Ok(StreamEnd::Over)
}

/// A line without its end; `None` at the end, which may come within one.
fn line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    reader.take(LINE_MAX).read_until(b'\n', &mut bytes)?;
    if bytes.pop() != Some(b'\n') {
        return Ok(None);
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}
