//! Bytes in addresses of HTTP, where most of them stand as `%NN`. Reading them is the affair of whoever takes such an address.
use std::fmt::Write;

/// Bytes as a segment of a path, or a value of a query.
pub(crate) fn percent(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(byte))
            }
            // A string takes everything.
            _ => drop(write!(text, "%{byte:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_bytes_are_they_can_stand_in_an_address() {
        assert_eq!(percent(b"a/b c%\xff?"), "a%2Fb%20c%25%FF%3F");
    }
}
