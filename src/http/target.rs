//! What a request asks for: the segments of its path and the words of its query, decoded; and which words are taken.
use hyper::Uri;

/// Words of a query; more are refused.
const WORDS_MAX: usize = 16;

/// Where a request goes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RequestTarget {
    /// Decoded: any bytes. `/` has none.
    pub(super) path: Vec<Vec<u8>>,
    /// Decoded names and values.
    words: Vec<(Vec<u8>, Vec<u8>)>,
}

impl RequestTarget {
    /// An error is one sentence.
    pub(super) fn of(uri: &Uri) -> Result<RequestTarget, String> {
        let path = uri.path().strip_prefix('/').ok_or("a path begins with /")?;
        let segments = if path.is_empty() { None } else { Some(path.split('/')) };
        let segments = segments.into_iter().flatten();
        let path = segments.map(|segment| decode(segment, false)).collect::<Result<_, _>>()?;
        let mut words = Vec::new();
        for word in uri.query().unwrap_or("").split('&').filter(|word| !word.is_empty()) {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            let (name, value) = (decode(name, true)?, decode(value, true)?);
            if words.iter().any(|(other, _)| *other == name) {
                return Err(format!("{} stands in the query twice; say it once", shown(&name)));
            }
            if words.len() == WORDS_MAX {
                return Err(format!("the query has more than {WORDS_MAX} words"));
            }
            words.push((name, value));
        }
        Ok(RequestTarget { path, words })
    }

    /// Refuses words that mean nothing here.
    pub(super) fn takes(&self, known: &[&str]) -> Result<(), String> {
        let strange =
            self.words.iter().find(|(name, _)| !known.iter().any(|known| known.as_bytes() == &name[..]));
        match strange {
            None => Ok(()),
            Some((name, _)) if known.is_empty() => {
                Err(format!("{} means nothing in this query, which has no words", shown(name)))
            }
            Some((name, _)) => Err(format!(
                "{} means nothing in this query; its words are {}",
                shown(name),
                known.join(", ")
            )),
        }
    }

    /// The value of a word.
    pub(super) fn word(&self, name: &str) -> Option<&[u8]> {
        let named = self.words.iter().find(|(given, _)| given == name.as_bytes());
        named.map(|(_, value)| &value[..])
    }

    /// A number of bytes.
    pub(super) fn bytes(&self, name: &str) -> Result<Option<u64>, String> {
        let Some(text) = self.word(name) else { return Ok(None) };
        let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
        number.map(Some).ok_or_else(|| format!("{name} is a number of bytes"))
    }

    /// A number of this range.
    pub(super) fn number(&self, name: &str, most: usize) -> Result<Option<usize>, String> {
        let Some(text) = self.word(name) else { return Ok(None) };
        let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
        let number = number.filter(|number| (1..=most).contains(number));
        number.map(Some).ok_or_else(|| format!("{name} is a number from 1 to {most}"))
    }
}

/// Bytes that a peer sent, for a sentence.
fn shown(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(40)];
    format!("'{}'", String::from_utf8_lossy(cut).escape_default())
}

/// `%XX`; in a query `+` is a blank.
pub(super) fn decode(text: &str, plus: bool) -> Result<Vec<u8>, String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => match (digit(bytes.next()), digit(bytes.next())) {
                // Two digits are a byte.
                (Some(high), Some(low)) => (high * 16 + low) as u8,
                _ => return Err("behind % stand two hexadecimal digits".to_owned()),
            },
            b'+' if plus => b' ',
            byte => byte,
        });
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Result<RequestTarget, String> {
        RequestTarget::of(&text.parse().unwrap())
    }

    #[test]
    fn paths_and_queries_are_decoded() {
        let of = target("/api/v1/functions/a%2Fb%FF?limit=7&after=x%20+y&empty").unwrap();
        assert_eq!(of.path, [&b"api"[..], b"v1", b"functions", b"a/b\xff"]);
        assert_eq!(of.number("limit", 10), Ok(Some(7)));
        assert_eq!(of.number("limit", 6), Err("limit is a number from 1 to 6".to_owned()));
        assert_eq!((of.bytes("limit"), of.bytes("none")), (Ok(Some(7)), Ok(None)));
        assert_eq!(of.bytes("after"), Err("after is a number of bytes".to_owned()));
        assert_eq!(
            (of.word("after"), of.word("empty"), of.word("none")),
            (Some(&b"x  y"[..]), Some(&b""[..]), None)
        );
        assert_eq!(of.takes(&["limit", "after", "empty"]), Ok(()));
        assert_eq!(target("/").unwrap().path, [b""; 0]);
        assert_eq!(target("/a/").unwrap().path, [&b"a"[..], b""]);
        assert_eq!(target("http://localhost:1/a?").unwrap().path, [b"a"]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, said) in [
            ("/%", "behind % stand two hexadecimal digits"),
            ("/?a=%f", "behind % stand two hexadecimal digits"),
            ("/?a=1&a=2", "'a' stands in the query twice; say it once"),
        ] {
            assert_eq!(target(text).unwrap_err(), said, "{text}");
        }
        assert_eq!(target("*").unwrap_err(), "a path begins with /");
        let said = target("/?%3Cx=1").unwrap().takes(&["limit"]).unwrap_err();
        assert_eq!(said, "'<x' means nothing in this query; its words are limit");
    }
}
