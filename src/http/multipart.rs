//! Bodies of forms with a file (multipart/form-data), taken apart: names and bytes, each a share of the body. Values in, values out; what
//! they mean is said by who asks for them. Looking for the ends of parts takes a time that grows with the body, whatever stands in it.
use super::bodies::is_kind;
use bytes::Bytes;
use hyper::header::{self, HeaderMap};

/// What such a body is sent as.
const MULTIPART: &str = "multipart/form-data";
/// Parts of a form, and bytes of what stands above each; more are refused.
const PARTS_MAX: usize = 64;
const HEAD_MAX: usize = 4 << 10;
/// Bytes of what stands between the parts.
const BOUNDARY_MAX: usize = 70;

/// A part of a form.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FormPart {
    pub(super) name: Vec<u8>,
    /// The name of the file, empty where none was chosen; `None` if it is a field that was filled in.
    pub(super) file: Option<Vec<u8>>,
    pub(super) bytes: Bytes,
}

/// What stands between the parts, if a body says that it has some.
pub(super) fn boundary(headers: &HeaderMap) -> Option<Result<Vec<u8>, String>> {
    if !is_kind(headers, MULTIPART) {
        return None;
    }
    let said = headers.get(header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    let boundary = parameter(said, b"boundary");
    let boundary = boundary.filter(|boundary| (1..=BOUNDARY_MAX).contains(&boundary.len()));
    let wrong = || format!("{MULTIPART} names its boundary, of 1 to {BOUNDARY_MAX} bytes");
    Some(boundary.ok_or_else(wrong))
}

/// The parts, in their order. An error is one sentence.
pub(super) fn split(body: &Bytes, boundary: &[u8]) -> Result<Vec<FormPart>, String> {
    const ENDLESS: &str = "the form ends before its end: send all of it";
    let between = [b"\r\n--", boundary].concat();
    // The first boundary has no line before it, or one that means nothing.
    let mut rest = if body.starts_with(&between[2..]) {
        body.slice(between.len() - 2..)
    } else {
        let at = find(body, &between).ok_or("the form does not begin with its boundary")?;
        body.slice(at + between.len()..)
    };
    let mut parts = Vec::new();
    loop {
        if rest.starts_with(b"--") {
            return Ok(parts);
        }
        if parts.len() == PARTS_MAX {
            return Err(format!("the form has more than {PARTS_MAX} parts"));
        }
        let begins = rest.starts_with(b"\r\n");
        let above = &rest[..rest.len().min(HEAD_MAX)];
        let Some(head) = find(above, b"\r\n\r\n").filter(|_| begins) else {
            return Err(format!("each part of the form has a head of {HEAD_MAX} bytes at the most"));
        };
        let (name, file) = describe(&above[..head]).ok_or("each part of the form has a name")?;
        let data = rest.slice(head + 4..);
        let end = find(&data, &between).ok_or(ENDLESS)?;
        parts.push(FormPart { name, file, bytes: data.slice(..end) });
        rest = data.slice(end + between.len()..);
    }
}

/// Where this stands first. It begins with the end of a line and has no other, so no byte is compared often.
fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += text[at..].iter().position(|&byte| byte == b'\r')?;
        if text[at..].starts_with(wanted) {
            return Some(at);
        }
        at += 1;
    }
}

/// The name of a part and that of its file, by what stands above it.
fn describe(head: &[u8]) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    const ABOUT: &[u8] = b"content-disposition:";
    let mut lines = head.split(|&byte| byte == b'\n');
    let line =
        lines.find(|line| line.get(..ABOUT.len()).is_some_and(|word| word.eq_ignore_ascii_case(ABOUT)))?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Some((parameter(line, b"name")?, parameter(line, b"filename")))
}

/// The value of a parameter: a word, or anything between quotes, in which a backslash stands for what follows only before a quote.
fn parameter(text: &[u8], wanted: &[u8]) -> Option<Vec<u8>> {
    let mut rest = &text[text.iter().position(|&byte| byte == b';')?..];
    while let Some(after) = rest.strip_prefix(b";") {
        let after = after.trim_ascii_start();
        let equals = after.iter().position(|&byte| byte == b'=' || byte == b';')?;
        let (name, value) = (after[..equals].trim_ascii(), after[equals..].strip_prefix(b"="));
        let Some(value) = value else {
            rest = &after[equals..];
            continue;
        };
        let (value, behind) = match value.strip_prefix(b"\"") {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = value.iter().position(|&byte| byte == b';').unwrap_or(value.len());
                (value[..end].trim_ascii().to_vec(), &value[end..])
            }
        };
        if name.eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = behind.trim_ascii_start();
    }
    None
}

/// What stands before the closing quote, and what behind it.
fn unquote(quoted: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut value = Vec::new();
    let mut at = 0;
    loop {
        match (quoted.get(at)?, quoted.get(at + 1)) {
            (b'"', _) => return Some((value, &quoted[at + 1..])),
            (b'\\', Some(b'"')) => {
                value.push(b'"');
                at += 2;
            }
            (&byte, _) => {
                value.push(byte);
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(body: &str) -> Result<Vec<FormPart>, String> {
        split(&Bytes::copy_from_slice(body.as_bytes()), b"B")
    }

    #[test]
    fn a_form_is_taken_apart() {
        let body = "--B\r\nContent-Disposition: form-data; name=\"function\"\r\n\r\nf\r\n--B\r\ncontent-type: text/plain\r\n\
                    CONTENT-DISPOSITION: form-data; name=\"file\"; filename=\"a;b=\\\"c\"\r\n\r\n\r\n--A\r\n\r\n--B--\r\nmore";
        let part = |name: &str, file: Option<&str>, bytes: &'static str| FormPart {
            name: name.into(),
            file: file.map(Into::into),
            bytes: bytes.into(),
        };
        let all = [part("function", None, "f"), part("file", Some("a;b=\"c"), "\r\n--A\r\n")];
        assert_eq!(parts(body).unwrap(), all);
        assert_eq!(parts(&format!("a line\r\n{body}")).unwrap(), all);
        assert_eq!(parts("--B--").unwrap(), []);
        let empty = "--B\r\nContent-Disposition: form-data; name=x; filename=\"\"\r\n\r\n\r\n--B--";
        assert_eq!(parts(empty).unwrap(), [part("x", Some(""), "")]);
    }

    #[test]
    fn what_is_no_form_is_told() {
        let one = "--B\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\nx\r\n";
        for (body, said) in [
            ("".to_owned(), "does not begin with its boundary"),
            ("x".to_owned(), "does not begin with its boundary"),
            ("--B".to_owned(), "has a head"),
            ("--Bx\r\n\r\n".to_owned(), "has a head"),
            (one.to_owned(), "ends before its end"),
            (format!("{one}--B"), "has a head"),
            (format!("--B\r\n{}\r\n\r\n", "x".repeat(HEAD_MAX)), "has a head"),
            ("--B\r\nContent-Disposition: form-data\r\n\r\nx\r\n--B--".to_owned(), "has a name"),
            ("--B\r\nContent-Disposition: form-data; name=\"x\r\n\r\nx\r\n--B--".to_owned(), "has a name"),
            (one.repeat(PARTS_MAX + 1), "more than 64 parts"),
        ] {
            let why = parts(&body).unwrap_err();
            assert!(why.contains(said), "{body}: {why}");
        }
    }

    #[test]
    fn a_boundary_is_named() {
        let of = |kind: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
            boundary(&headers)
        };
        assert_eq!(of("text/plain; boundary=B"), None);
        assert_eq!(of("multipart/form-data; boundary=B"), Some(Ok(b"B".to_vec())));
        assert_eq!(of("Multipart/Form-Data; charset=x; Boundary=\"a b\""), Some(Ok(b"a b".to_vec())));
        for wrong in ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; x; y"] {
            assert!(of(wrong).unwrap().unwrap_err().contains("names its boundary"), "{wrong}");
        }
        let long = format!("multipart/form-data; boundary={}", "b".repeat(BOUNDARY_MAX + 1));
        assert!(of(&long).unwrap().is_err());
    }
}
