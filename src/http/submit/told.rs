//! How news of a job are written: as events, as one object, or as the result alone.
use super::super::desk::Desk;
use crate::engine::{JobId, Work};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use serde_json::{Map, Value, json};

/// What a result alone is.
pub(super) const BYTES: &str = "application/octet-stream";

pub(super) fn handle(desk: &Desk, job: JobId) -> String {
    String::from_utf8_lossy(&desk.setup.frontend.handle_prefix.handle(job)).into_owned()
}

/// How a job has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum JobEnd {
    Complete,
    Fail,
    Exception,
}

impl JobEnd {
    fn word(self) -> &'static str {
        match self {
            JobEnd::Complete => "complete",
            JobEnd::Fail => "fail",
            JobEnd::Exception => "exception",
        }
    }
}

/// All that was told of a job so far.
#[derive(Debug, Default)]
pub(in super::super) struct JobStory {
    pub(in super::super) data: BytesMut,
    pub(in super::super) warnings: Vec<Bytes>,
    status: Option<Bytes>,
    pub(in super::super) exception: Option<Bytes>,
}

/// Warnings that are kept; more are counted.
const WARNINGS_MAX: usize = 100;

impl JobStory {
    /// Notes what is told. The last thing says how it has ended.
    pub(super) fn note(&mut self, work: Work) -> Option<JobEnd> {
        match work {
            Work::Data(data) => self.data.extend_from_slice(&data),
            Work::Warning(warning) if self.warnings.len() < WARNINGS_MAX => self.warnings.push(warning),
            Work::Warning(_) => {}
            Work::Status(status) => self.status = Some(status),
            Work::Complete(data) => {
                self.data.extend_from_slice(&data);
                return Some(JobEnd::Complete);
            }
            Work::Fail => return Some(JobEnd::Fail),
            Work::Exception(text) => {
                self.exception = Some(text);
                return Some(JobEnd::Exception);
            }
        }
        None
    }

    /// The result alone.
    pub(super) fn into_bytes(self) -> Bytes {
        self.data.freeze()
    }

    /// What went wrong, as far as it is text.
    pub(super) fn complaint(&self) -> String {
        String::from_utf8_lossy(self.exception.as_deref().unwrap_or_default()).into_owned()
    }

    /// All of it, as an object.
    pub(super) fn told(self, handle: &str, end: JobEnd) -> Value {
        let mut object = Map::new();
        object.insert("handle".to_owned(), handle.into());
        object.insert("result".to_owned(), end.word().into());
        put(&mut object, "data", &self.data);
        if let Some(text) = &self.exception {
            put(&mut object, "exception", text);
        }
        let warnings = self.warnings.iter().map(|warning| {
            let mut object = Map::new();
            put(&mut object, "data", warning);
            Value::Object(object)
        });
        object.insert("warnings".to_owned(), warnings.collect());
        if let Some(status) = &self.status {
            object.insert("status".to_owned(), progress(status));
        }
        Value::Object(object)
    }
}

/// Bytes under a name: as text, or under another one as base64.
fn put(object: &mut Map<String, Value>, name: &str, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => object.insert(name.to_owned(), text.into()),
        Err(_) => object.insert(format!("{name}_base64"), STANDARD.encode(bytes).into()),
    };
}

/// Numerator and denominator are text, usually of numbers.
fn progress(status: &[u8]) -> Value {
    let mut parts = status.split(|byte| *byte == 0);
    let mut part = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    json!({ "numerator": part(), "denominator": part() })
}

/// An event, as a page or a program hears it.
pub(super) fn event(name: &str, value: &Value) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {value}\n\n"))
}

/// What is told of a job, as an event.
pub(super) fn work_event(work: &Work) -> Bytes {
    let data = |bytes: &[u8]| {
        let mut object = Map::new();
        put(&mut object, "data", bytes);
        Value::Object(object)
    };
    match work {
        Work::Data(bytes) => event("data", &data(bytes)),
        Work::Warning(bytes) => event("warning", &data(bytes)),
        Work::Status(status) => event("status", &progress(status)),
        Work::Complete(bytes) => event("complete", &data(bytes)),
        Work::Fail => event("fail", &json!({})),
        Work::Exception(bytes) => event("exception", &data(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_one_result() {
        let mut story = JobStory::default();
        for work in [Work::Data("a".into()), Work::Warning("w".into()), Work::Status("1\x002".into())] {
            assert_eq!(story.note(work), None);
        }
        assert_eq!(story.note(Work::Complete(Bytes::from_static(b"b\xff"))), Some(JobEnd::Complete));
        let told = story.told("H:x:1", JobEnd::Complete);
        assert_eq!(
            told,
            json!({"handle": "H:x:1", "result": "complete", "data_base64": "YWL/", "warnings": [{"data": "w"}],
                "status": {"numerator": "1", "denominator": "2"}})
        );
    }

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        let bytes = work_event(&Work::Data("a\nb\r\n\nevent: x".into()));
        assert_eq!(bytes, "event: data\ndata: {\"data\":\"a\\nb\\r\\n\\nevent: x\"}\n\n");
        assert_eq!(work_event(&Work::Fail), "event: fail\ndata: {}\n\n");
    }
}
