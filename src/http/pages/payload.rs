//! Payloads of jobs on a page: as text, as JSON with a line for each thing in it, or as hex. Whatever is in them is text for the page; what
//! cannot be seen, or would change how the rest is read, stands as its number.
use super::super::bounds::SHOWN_BYTES;
use super::shown::{num, size};
use maud::{Markup, html};
use serde_json::Value;
use std::fmt::Write;

/// How a payload is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PayloadForm {
    Text,
    Json,
    Hex,
}

impl PayloadForm {
    pub(super) const ALL: [PayloadForm; 3] = [PayloadForm::Text, PayloadForm::Json, PayloadForm::Hex];

    /// Its name in links.
    pub(super) fn word(self) -> &'static str {
        match self {
            PayloadForm::Text => "text",
            PayloadForm::Json => "json",
            PayloadForm::Hex => "hex",
        }
    }

    /// By its name. An error is one sentence.
    pub(super) fn read(word: &[u8]) -> Result<PayloadForm, &'static str> {
        let known = PayloadForm::ALL.into_iter().find(|form| form.word().as_bytes() == word);
        known.ok_or("as is text, json or hex")
    }

    /// What suits the beginning of a payload, which is all of it or not.
    pub(super) fn fitting(bytes: &[u8], is_whole: bool) -> PayloadForm {
        match () {
            () if is_whole && matches!(bytes.trim_ascii().first(), Some(b'{' | b'[')) && is_json(bytes) => {
                PayloadForm::Json
            }
            () if is_text(bytes, is_whole) => PayloadForm::Text,
            () => PayloadForm::Hex,
        }
    }
}

fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<Value>(bytes).is_ok()
}

/// Whether a reader would call it text. Where it is cut, a character may be cut, too.
fn is_text(bytes: &[u8], is_whole: bool) -> bool {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if !is_whole && error.error_len().is_none() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.chars().any(|character| character.is_control() && !matches!(character, '\n' | '\r' | '\t'))
}

/// The beginning of a payload of so many bytes.
pub(super) fn payload(bytes: &[u8], whole: u64, form: PayloadForm) -> Markup {
    let bytes = &bytes[..bytes.len().min(SHOWN_BYTES)];
    let left = whole.saturating_sub(bytes.len() as u64);
    let text = match form {
        PayloadForm::Json if left == 0 && is_json(bytes) => json(bytes),
        PayloadForm::Text | PayloadForm::Json => plain(bytes),
        PayloadForm::Hex => hex(bytes),
    };
    html! {
        @if whole == 0 { p { "It is empty." } } @else {
            pre class="payload" tabindex="0" { (text) }
            p class="hint" {
                (size(whole)) ", as " (form.word())
                @if left > 0 { "; " (num(left)) " more are not shown" }
                @if form == PayloadForm::Json && !(left == 0 && is_json(bytes)) { "; it is no JSON, or not all of it is here, and stands as it is" }
            }
        }
    }
}

/// As text. Bytes that are none stand as `\xNN`, characters that cannot be seen or turn the direction as `\u{..}`.
fn plain(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|character| put(&mut text, character));
        for byte in chunk.invalid() {
            // Writing to memory cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

fn put(text: &mut String, character: char) {
    match character {
        '\n' | '\t' => text.push(character),
        // What ends lines elsewhere, and what turns the direction of what is read.
        '\u{2028}'
        | '\u{2029}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{feff}' => drop(write!(text, "\\u{{{:x}}}", u32::from(character))),
        character if character.is_control() => drop(write!(text, "\\x{:02x}", u32::from(character))),
        character => text.push(character),
    }
}

/// Sixteen bytes a line: where, which, and what of them can be seen.
fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (at, line) in bytes.chunks(16).enumerate() {
        let _ = write!(text, "{:04x} ", at * 16);
        for place in 0..16 {
            let gap = if place == 8 { "  " } else { " " };
            match line.get(place) {
                Some(byte) => drop(write!(text, "{gap}{byte:02x}")),
                None => drop(write!(text, "{gap}  ")),
            }
        }
        text.push_str("  ");
        text.extend(
            line.iter()
                .map(|&byte| if byte.is_ascii_graphic() || byte == b' ' { char::from(byte) } else { '.' }),
        );
        text.push('\n');
    }
    text
}

/// Steps to the right that are shown of what stands in what.
const DEPTH_SHOWN: usize = 16;

/// JSON with a line for each thing in it. Numbers and texts stay as they were written: nothing is read and written anew.
fn json(bytes: &[u8]) -> String {
    let mut text = String::new();
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    let source = String::from_utf8_lossy(bytes);
    let mut characters = source.chars().peekable();
    let line = |text: &mut String, depth: usize| {
        text.push('\n');
        text.extend(std::iter::repeat_n("  ", depth.min(DEPTH_SHOWN)));
    };
    while let Some(character) = characters.next() {
        if quoted {
            put(&mut text, character);
            quoted = escaped || character != '"';
            escaped = !escaped && character == '\\';
            continue;
        }
        match character {
            ' ' | '\n' | '\r' | '\t' => {}
            '{' | '[' => {
                text.push(character);
                while characters.next_if(|next| next.is_ascii_whitespace()).is_some() {}
                match characters.next_if(|&next| next == '}' || next == ']') {
                    Some(end) => text.push(end),
                    None => {
                        depth += 1;
                        line(&mut text, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut text, depth);
                text.push(character);
            }
            ',' => {
                text.push(character);
                line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            '"' => {
                quoted = true;
                text.push(character);
            }
            character => put(&mut text, character),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_shown_in_the_form_that_suits_it() {
        let fitting = |bytes: &[u8]| PayloadForm::fitting(bytes, true);
        assert_eq!(fitting(b" {\"a\": [1]}\n"), PayloadForm::Json);
        assert_eq!((fitting(b"{\"a\": "), fitting(b"12")), (PayloadForm::Text, PayloadForm::Text));
        assert_eq!(
            (fitting("größe\n".as_bytes()), fitting(b"\x00\x01")),
            (PayloadForm::Text, PayloadForm::Hex)
        );
        assert_eq!(fitting(b"a\xc3"), PayloadForm::Hex);
        assert_eq!(PayloadForm::fitting(b"a\xc3", false), PayloadForm::Text);
        assert_eq!(PayloadForm::fitting(b"{}", false), PayloadForm::Text);
        assert!(PayloadForm::read(b"hex") == Ok(PayloadForm::Hex) && PayloadForm::read(b"x").is_err());
    }

    #[test]
    fn what_cannot_be_seen_stands_as_its_number() {
        assert_eq!(plain("a\tb\r\n\u{1b}[1m\u{202e}ß".as_bytes()), "a\tb\\x0d\n\\x1b[1m\\u{202e}ß");
        assert_eq!(plain(b"a\xff\0"), "a\\xff\\x00");
        let shown = payload(b"<script>&", 9, PayloadForm::Text).into_string();
        assert!(shown.contains("&lt;script&gt;&amp;") && !shown.contains("<script"), "{shown}");
        assert!(payload(b"", 0, PayloadForm::Text).into_string().contains("It is empty"));
        let cut = payload(&[b'x'; 5000], 1 << 20, PayloadForm::Text).into_string();
        assert!(cut.len() < 5000 && cut.contains("1,044,480 more are not shown"), "{cut}");
    }

    #[test]
    fn hex_has_places_bytes_and_letters() {
        let text = hex(b"Hello, world\0\xff+++");
        assert_eq!(
            text,
            "0000  48 65 6c 6c 6f 2c 20 77  6f 72 6c 64 00 ff 2b 2b  Hello, world..++\n\
             0010  2b                                                +\n"
        );
    }

    #[test]
    fn json_keeps_every_number_and_text() {
        let source = br#"{"big":12345678901234567890123,"a":[1.50,{}, []],"t":"\"{,}\\"}"#;
        let told = json(source);
        assert_eq!(
            told,
            "{\n  \"big\": 12345678901234567890123,\n  \"a\": [\n    1.50,\n    {},\n    []\n  ],\n  \"t\": \"\\\"{,}\\\\\"\n}"
        );
        // However deep it is, it stays small.
        let deep = format!("{}{}1{}", "[".repeat(100), "1,".repeat(1900), "]".repeat(100));
        assert!(is_json(deep.as_bytes()) && json(deep.as_bytes()).len() < 100_000);
    }
}
