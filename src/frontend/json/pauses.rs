//! The file of paused functions, which outlives the server: one JSON object a line, as a function's pause is told. Text only: who reads
//! and writes it is elsewhere.
use super::{bytes_of, pause, put_bytes};
use crate::engine::Epoch;
use crate::engine::report::Pause;
use bytes::Bytes;
use serde_json::Value;

/// The file's text.
pub fn write(pauses: &[(Bytes, Pause)]) -> String {
    let line = |(function, kept): &(Bytes, Pause)| {
        let mut told = pause(kept);
        if let Value::Object(object) = &mut told {
            put_bytes(object, "function", function);
        }
        told.to_string() + "\n"
    };
    pauses.iter().map(line).collect()
}

/// What stands in the file. An error names the line.
pub fn read(text: &str) -> Result<Vec<(Bytes, Pause)>, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(at, line)| read_line(line).ok_or_else(|| format!("line {} is no paused function", at + 1)))
        .collect()
}

fn read_line(line: &str) -> Option<(Bytes, Pause)> {
    let value: Value = serde_json::from_str(line).ok()?;
    let until = match &value["until_ms"] {
        Value::Null => None,
        until => Some(Epoch(until.as_u64()?)),
    };
    let since = Epoch(value["since_ms"].as_u64()?);
    let (reason, by) = (read_bytes(&value, "reason")?, read_bytes(&value, "by")?);
    Some((read_bytes(&value, "function")?, Pause { since, until, reason, by }))
}

/// Bytes that stand as text, or as digits under a name of their own.
fn read_bytes(value: &Value, name: &str) -> Option<Bytes> {
    if let Some(text) = value[name].as_str() {
        return Some(Bytes::copy_from_slice(text.as_bytes()));
    }
    let digits = value[&format!("{name}_hex")].as_str()?;
    bytes_of(digits).map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let some = |function: &'static [u8], until| {
            let pause = Pause {
                since: Epoch(5),
                until,
                reason: Bytes::from_static(b"the database\n is \"down\""),
                by: Bytes::from_static(b"uid 0 \xff"),
            };
            (Bytes::from_static(function), pause)
        };
        let pauses = vec![some(b"mail", None), some(b"a\nb\xff", Some(Epoch(u64::MAX)))];
        let text = write(&pauses);
        assert_eq!(text.lines().count(), 2);
        assert_eq!(read(&text), Ok(pauses));
        assert_eq!(read("\n"), Ok(Vec::new()));
        for wrong in ["x", "{}", "{\"function\":\"f\"}", "{\"function_hex\":\"6\"}"] {
            assert_eq!(
                read(&format!("\n{wrong}\n")),
                Err("line 2 is no paused function".to_owned()),
                "{wrong}"
            );
        }
    }
}
