//! Where a list goes on: a place in it as a word, which an answer gives and the next request brings. Nothing is kept here in between.
//! Whatever word a peer makes up, it is a place or it is refused.
use crate::engine::page::ListMark;
use crate::engine::{JobId, SessionId, ShardId};
use crate::frontend::json;
use std::cmp::Reverse;

pub(super) const WRONG: &str = "after is what an answer gave as next, or left out";

/// The word for a function's place: digits, so that whoever decodes or encodes it, or does not, has the same.
pub(in super::super) fn of_function(name: &[u8]) -> String {
    name.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(in super::super) fn function(word: &[u8]) -> Result<ListMark, String> {
    let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(WRONG);
    let (pairs, []) = word.as_chunks::<2>() else { return Err(WRONG.to_owned()) };
    // Two digits are a byte.
    let byte = |&[high, low]: &[u8; 2]| Ok((digit(high)? * 16 + digit(low)?) as u8);
    let name = pairs.iter().map(byte).collect::<Result<Vec<u8>, &str>>()?;
    Ok(ListMark::Function(name.into()))
}

pub(in super::super) fn of_job(job: JobId) -> String {
    job.number().to_string()
}

pub(in super::super) fn job(word: &[u8]) -> Result<ListMark, String> {
    let number = numbers::<1>(word)?[0];
    JobId::from_number(number).map(ListMark::Job).ok_or_else(|| WRONG.to_owned())
}

pub(in super::super) fn of_worker(descriptor: u32, session: SessionId) -> String {
    format!("{descriptor}-{}", of_session(session))
}

/// Behind all that is told of it.
pub(in super::super) fn worker(word: &[u8]) -> Result<ListMark, String> {
    let [descriptor, shard, index, generation] = numbers(word)?;
    let session = session([shard, index, generation])?;
    let descriptor = u32::try_from(descriptor).map_err(|_| WRONG)?;
    Ok(ListMark::Worker { descriptor, session, left: Reverse(0) })
}

pub(in super::super) fn of_session(session: SessionId) -> String {
    json::session_name(session)
}

/// Behind the last job that it waits for.
pub(in super::super) fn connection(word: &[u8]) -> Result<ListMark, String> {
    let session = session(numbers(word)?)?;
    Ok(ListMark::Waiting { session, job: JobId::from_number(u64::MAX), times: u32::MAX })
}

/// Behind a session.
pub(in super::super) fn session_place(word: &[u8]) -> Result<ListMark, String> {
    session(numbers(word)?).map(ListMark::Session)
}

/// A session by its name.
pub(in super::super) fn session_named(word: &[u8]) -> Option<SessionId> {
    session(numbers(word).ok()?).ok()
}

fn session([shard, index, generation]: [u64; 3]) -> Result<SessionId, String> {
    let shard = u8::try_from(shard).map_err(|_| WRONG)?;
    let index = u32::try_from(index).ok().filter(|&index| index <= SessionId::INDEX_MAX).ok_or(WRONG)?;
    let generation = u32::try_from(generation).ok().filter(|&generation| generation > 0).ok_or(WRONG)?;
    Ok(SessionId::new(ShardId(shard.into()), index, generation))
}

/// So many numbers with `-` between them.
fn numbers<const N: usize>(word: &[u8]) -> Result<[u64; N], String> {
    let text = std::str::from_utf8(word).map_err(|_| WRONG)?;
    let all = text.split('-').map(str::parse).collect::<Result<Vec<u64>, _>>().map_err(|_| WRONG)?;
    all.try_into().map_err(|_| WRONG.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_back() {
        let session = SessionId::new(ShardId(3), SessionId::INDEX_MAX, u32::MAX);
        let left = Reverse(0);
        assert_eq!(
            worker(of_worker(7, session).as_bytes()),
            Ok(ListMark::Worker { descriptor: 7, session, left })
        );
        let Ok(ListMark::Waiting { session: read, .. }) = connection(of_session(session).as_bytes()) else {
            panic!("no place")
        };
        assert_eq!(read, session);
        let id = JobId::from_number(5000).unwrap();
        assert_eq!(job(of_job(id).as_bytes()), Ok(ListMark::Job(id)));
        assert_eq!(of_function(b"a&b\xff"), "612662ff");
        assert_eq!(function(b"612662FF"), Ok(ListMark::Function(b"a&b\xff"[..].into())));
        assert!(function(b"6").is_err() && function(b"6x").is_err());
    }

    #[test]
    fn whatever_else_stands_there_is_refused() {
        for word in ["", "x", "-", "1023", "-1", "1-2", "18446744073709551616", "\u{fffd}"] {
            assert!(job(word.as_bytes()).is_err(), "{word}");
        }
        for word in ["", "0-0-0", "256-0-1", "0-16777216-1", "0-0-4294967296", "0-0", "0-0-1-1"] {
            assert!(connection(word.as_bytes()).is_err(), "{word}");
        }
        assert!(
            worker(b"4294967296-0-0-1").is_err() && worker(b"0-0-1").is_err() && worker(b"\xff").is_err()
        );
    }
}
