//! An answer over HTTP, as it comes: its status and its body. Pure: bytes in, text out.
use super::super::reach::NoAnswer;

/// The longest answer.
const ANSWER_MAX: usize = 64 << 20;

/// What has come so far.
#[derive(Debug, Default)]
pub(super) struct HttpReply {
    bytes: Vec<u8>,
}

impl HttpReply {
    /// More has come. The status and the body, when all of it is there.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<Option<(u16, String)>, NoAnswer> {
        if self.bytes.len() + bytes.len() > ANSWER_MAX {
            return Err(NoAnswer::Endless(ANSWER_MAX));
        }
        self.bytes.extend_from_slice(bytes);
        let Some(end) = self.bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
        let head = str::from_utf8(&self.bytes[..end]).map_err(|_| NoAnswer::Otherwise)?;
        let mut lines = head.split("\r\n");
        let status =
            lines.next().and_then(|line| line.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok());
        let status: u16 = status.ok_or(NoAnswer::Otherwise)?;
        let length = lines.find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok()).flatten()
        });
        let length = length.ok_or(NoAnswer::Otherwise)?;
        let body = &self.bytes[end + 4..];
        if body.len() < length {
            return Ok(None);
        }
        Ok(Some((status, String::from_utf8_lossy(&body[..length]).into_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_however_it_is_split() {
        let whole = b"HTTP/1.1 404 Not Found\r\ncontent-length: 5\r\nx: y\r\n\r\nhello";
        for at in 1..whole.len() {
            let mut reply = HttpReply::default();
            assert!(matches!(reply.read(&whole[..at]), Ok(None)), "{at}");
            let read = reply.read(&whole[at..]).unwrap();
            assert_eq!(read, Some((404, "hello".to_owned())), "{at}");
        }
        for other in [&b"OK 1.1.20\r\n\r\n"[..], b"HTTP/1.1 200 OK\r\n\r\n", b"\xff\r\n\r\n"] {
            assert!(HttpReply::default().read(other).is_err());
        }
    }
}
