//! Names that peers chose, as text that can stand on a page or in a label: valid, without control characters, of bounded length.
//! Escaping for where they stand is done there.
use super::bounds::NAME_BYTES;
pub(super) use crate::frontend::percent;
use std::fmt::Write;

/// A name as text. Bytes that are no UTF-8, and control characters, stand as `\xNN`; what is too long is cut, and ends with an ellipsis.
pub(super) fn readable(name: &[u8]) -> String {
    let mut text = String::new();
    for chunk in name.utf8_chunks() {
        for character in chunk.valid().chars() {
            if text.len() >= NAME_BYTES {
                return text + "…";
            }
            match character.is_control() {
                // Writing to memory cannot fail.
                true => drop(write!(text, "\\x{:02x}", u32::from(character))),
                false => text.push(character),
            }
        }
        for byte in chunk.invalid() {
            if text.len() >= NAME_BYTES {
                return text + "…";
            }
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_name_is_it_can_be_shown() {
        assert_eq!(readable(b"resize"), "resize");
        assert_eq!(readable("größe\n\u{7f}\u{85}".as_bytes()), "größe\\x0a\\x7f\\x85");
        assert_eq!(readable(b"a\xffb\xc3"), "a\\xffb\\xc3");
        assert_eq!(readable(&[b'x'; NAME_BYTES]), "x".repeat(NAME_BYTES));
        assert_eq!(readable(&[b'x'; 5000]), "x".repeat(NAME_BYTES) + "…");
        assert!(readable(&[0xff; 5000]).len() < 2 * NAME_BYTES);
    }
}
