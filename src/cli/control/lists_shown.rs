//! How things are printed that the HTTP side tells: names, times, and tables without borders. Values in, text out.
use crate::cli::words::shown;
use serde_json::Value;
use std::fmt::Write as _;

/// A name of something that is told, which may stand as hexadecimal digits.
pub(in crate::cli) fn name(told: &Value, key: &str) -> String {
    match told[key].as_str() {
        Some(text) => shown(text.as_bytes()),
        None => shown(&bytes(told, key)),
    }
}

/// The same, as bytes.
pub(in crate::cli) fn bytes(told: &Value, key: &str) -> Vec<u8> {
    if let Some(text) = told[key].as_str() {
        return text.as_bytes().to_vec();
    }
    let digits = told[&format!("{key}_hex")].as_str().unwrap_or("");
    crate::frontend::json::bytes_of(digits).unwrap_or_default()
}

/// A number.
pub(in crate::cli) fn number(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        value => value.to_string(),
    }
}

/// A text, or nothing.
pub(in crate::cli) fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| "-".to_owned(), |text| shown(text.as_bytes()))
}

/// Seconds, as one says them.
pub(in crate::cli) fn lasting(value: &Value) -> String {
    let Some(seconds) = value.as_f64() else { return "-".to_owned() };
    let whole = seconds as u64;
    match whole {
        0 => format!("{} ms", (seconds * 1000.0) as u64),
        1..60 => format!("{whole} s"),
        60..3600 => format!("{}m{:02}s", whole / 60, whole % 60),
        3600..86400 => format!("{}h{:02}m", whole / 3600, whole / 60 % 60),
        _ => format!("{}d{:02}h", whole / 86400, whole / 3600 % 24),
    }
}

/// How long ago a time in milliseconds since 1970 was.
pub(in crate::cli) fn ago(value: &Value) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let ago = value.as_u64().map(|at| now.saturating_sub(at) as f64 / 1000.0);
    ago.map_or_else(|| "-".to_owned(), |ago| lasting(&ago.into()))
}

/// A table: names of columns, of which those that begin with `>` are for numbers; and rows.
pub(in crate::cli) fn table(columns: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    let width = |at: usize, column: &str| {
        let cells = rows.iter().map(|row| row[at].chars().count());
        cells.max().unwrap_or(0).max(column.trim_start_matches('>').len())
    };
    let widths: Vec<usize> = columns.iter().enumerate().map(|(at, column)| width(at, column)).collect();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut row = String::new();
        for ((cell, column), &width) in cells.zip(columns).zip(&widths) {
            // A string takes everything.
            let _ = match column.starts_with('>') {
                true => write!(row, "{cell:>width$}  "),
                false => write!(row, "{cell:width$}  "),
            };
        }
        let _ = writeln!(text, "{}", row.trim_end());
    };
    line(&mut columns.iter().map(|column| column.trim_start_matches('>')));
    rows.iter().for_each(|row| line(&mut row.iter().map(String::as_str)));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let rows = [["a", "10"], ["longer", "7"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&["NAME", ">N"], &rows), "NAME     N\na       10\nlonger   7\n");
        assert_eq!(table(&["NAME"], &[]), "NAME\n");
    }

    #[test]
    fn what_is_told_is_shown() {
        let told = json!({ "function_hex": "ff61", "unique": "u\t" });
        assert_eq!(
            (name(&told, "function"), name(&told, "unique")),
            ("\\xffa".to_owned(), "u\\x09".to_owned())
        );
        let lasting = [0.04, 7.5, 61.0, 7300.0, 200_000.0].map(|seconds: f64| lasting(&seconds.into()));
        assert_eq!(lasting, ["40 ms", "7 s", "1m01s", "2h01m", "2d07h"]);
        assert_eq!((ago(&Value::Null), number(&Value::Null)), ("-".to_owned(), "-".to_owned()));
    }
}
