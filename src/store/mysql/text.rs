//! Values as SQL: statements of many rows are text, for a prepared one has its number of rows fixed, and many different ones would have to
//! be kept on the server. The session's mode, which `session.rs` sets, has backslashes escape. No statements.

/// Appends text of a column: bytes that are UTF-8, or any where the column has bytes.
pub(super) fn text(bytes: &[u8], binary: bool, out: &mut String) {
    match std::str::from_utf8(bytes) {
        Ok(text) if !binary => {
            out.push_str("_utf8mb4");
            quoted(text, out);
        }
        _ => hex(bytes, out),
    }
}

/// Appends bytes: as they are where they are letters, since that is half as long.
pub(super) fn bytes(bytes: &[u8], out: &mut String) {
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            out.push_str("_binary");
            quoted(text, out);
        }
        Err(_) => hex(bytes, out),
    }
}

/// Appends text in quotes. What ends it, or escapes, is doubled.
pub(super) fn quoted(text: &str, out: &mut String) {
    out.reserve(text.len() + 2);
    out.push('\'');
    let mut rest = text;
    while let Some(at) = rest.find(['\'', '\\']) {
        let (before, behind) = rest.split_at(at);
        out.push_str(before);
        out.push_str(if behind.starts_with('\'') { "''" } else { "\\\\" });
        rest = &behind[1..];
    }
    out.push_str(rest);
    out.push('\'');
}

fn hex(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(2 * bytes.len() + 3);
    out.push_str("X'");
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)].into());
        out.push(DIGITS[usize::from(byte & 15)].into());
    }
    out.push('\'');
}

/// Numbers with commas in between; for none of them something that no list has.
pub(super) fn list(numbers: &[impl std::fmt::Display]) -> String {
    let words: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    if words.is_empty() { "NULL".to_owned() } else { words.join(",") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(write: impl FnOnce(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    #[test]
    fn values_are_written_as_sql() {
        assert_eq!(of(|out| text(b"it's \\ \n", false, out)), "_utf8mb4'it''s \\\\ \n'");
        assert_eq!(of(|out| text(b"a'", true, out)), "X'6127'");
        assert_eq!(of(|out| bytes(b"\0w'", out)), "_binary'\0w'''");
        assert_eq!(of(|out| bytes(b"\xff'", out)), "X'ff27'");
        assert_eq!(of(|out| bytes(b"", out)), "_binary''");
        assert_eq!((list(&[1, -2]).as_str(), list(&[0; 0]).as_str()), ("1,-2", "NULL"));
    }

    proptest::proptest! {
        /// Read as MySQL reads it, it is what it was, and it ends where it ends.
        #[test]
        fn nothing_ends_a_quoted_text(text in ".*") {
            let written = of(|out| quoted(&text, out));
            let inside = written.strip_prefix('\'').unwrap();
            let (mut read, mut letters) = (String::new(), inside.chars().peekable());
            while let Some(letter) = letters.next() {
                match letter {
                    '\\' => read.extend(letters.next()),
                    '\'' if letters.next_if_eq(&'\'').is_some() => read.push('\''),
                    '\'' => break,
                    other => read.push(other),
                }
            }
            proptest::prop_assert_eq!((read, letters.next()), (text, None));
        }
    }
}
