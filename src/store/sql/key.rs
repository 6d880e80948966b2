//! What stands in the column `unique_key`: mostly the job's unique, as gearmand writes it. Where that would lose jobs,
//! because gearmand's key is (unique, function) and jobs without a unique share one, a key is generated.
use crate::engine::JobId;
use crate::engine::slot::Slot;
use crate::protocol::UNIQUE_MAX;
use std::borrow::Cow;

/// What generated keys begin with. A client's unique that begins so is stored under a generated key, too, so none of
/// ours can be met by a client's. They stay below the 63 bytes that gearmand 1.1.20 can delete again.
const GENERATED: &[u8] = b"ringgear:";

/// How a key came to be, and so what the job's unique is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The job has no unique.
    Empty,
    /// Its unique is `-`, which coalesces by workload.
    Dash,
    /// Its unique stands in our own table.
    Elsewhere,
}

impl Origin {
    const ALL: [Origin; 3] = [Origin::Empty, Origin::Dash, Origin::Elsewhere];

    fn letter(self) -> char {
        match self {
            Origin::Empty => 'e',
            Origin::Dash => 'd',
            Origin::Elsewhere => 'x',
        }
    }

    /// The unique, if the key tells it.
    pub(crate) fn unique(self) -> Option<&'static [u8]> {
        match self {
            Origin::Empty => Some(b""),
            Origin::Dash => Some(b"-"),
            Origin::Elsewhere => None,
        }
    }
}

/// The key for a job with this unique, and whether reading it gives the unique back.
pub(crate) fn of(id: JobId, unique: &[u8]) -> (Cow<'_, [u8]>, bool) {
    match unique {
        b"" => (generated(id, Origin::Empty).into(), true),
        b"-" => (generated(id, Origin::Dash).into(), true),
        _ if unique.starts_with(GENERATED) => (generated(id, Origin::Elsewhere).into(), false),
        // gearmand 1.1.20 reads a key of 64 bytes but never deletes it; with 63 and a NUL, which it writes itself, it
        // sends the NUL to workers as if the workload began with it.
        _ if unique.len() >= UNIQUE_MAX => (unique[..UNIQUE_MAX - 1].into(), false),
        _ => (unique.into(), true),
    }
}

/// A key that only this job can have.
pub(crate) fn generated(id: JobId, origin: Origin) -> Vec<u8> {
    let mut key = GENERATED.to_vec();
    key.extend_from_slice(format!("{}:{}", id.number(), origin.letter()).as_bytes());
    key
}

/// Reads a generated key of a job of this function; `None` for any other key.
pub(crate) fn read_generated(key: &[u8], function: &[u8]) -> Option<(JobId, Origin)> {
    let rest = std::str::from_utf8(key.strip_prefix(GENERATED)?).ok()?;
    let (number, letter) = rest.split_once(':')?;
    let id = JobId::from_number(number.parse().ok()?)?;
    let origin = Origin::ALL.into_iter().find(|origin| letter.chars().eq([origin.letter()]))?;
    // Only what we would have written ourselves: a client of gearmand may have a unique that looks similar.
    (id.slot() == Slot::of(function) && generated(id, origin) == key).then_some((id, origin))
}

/// The unique in a key that was not generated, without the NUL of gearmand's 64-byte keys. `None` if it cannot be one.
pub(crate) fn unique(key: &[u8]) -> Option<&[u8]> {
    let unique = key.strip_suffix(b"\0").unwrap_or(key);
    (unique.len() <= UNIQUE_MAX && !unique.contains(&0)).then_some(unique)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> JobId {
        JobId::new(77, Slot::of(b"rev"))
    }

    #[test]
    fn uniques_come_back_from_keys() {
        for bytes in [&b""[..], b"-", b"u", b"\xff \n", &[b'u'; 63]] {
            let (key, tells) = of(id(), bytes);
            assert!(tells && key.len() < UNIQUE_MAX);
            let read = read_generated(&key, b"rev").and_then(|(_, origin)| origin.unique()).or(unique(&key));
            assert_eq!(read, Some(bytes));
        }
        let generated = generated(id(), Origin::Empty);
        for bytes in [&generated[..], &[b'u'; 64]] {
            assert!(!of(id(), bytes).1, "{bytes:?}");
        }
    }

    #[test]
    fn only_our_own_keys_are_generated_ones() {
        let number = id().number();
        assert_eq!(
            read_generated(format!("ringgear:{number}:e").as_bytes(), b"rev"),
            Some((id(), Origin::Empty))
        );
        for key in ["ringgear:", "ringgear:5:e", "ringgear:+2048:e", "x", ""] {
            assert_eq!(read_generated(key.as_bytes(), b"rev"), None, "{key}");
        }
        for tail in ["", ":", ":f", ":ee", ":e "] {
            let key = format!("ringgear:{number}{tail}");
            assert_eq!(read_generated(key.as_bytes(), b"rev"), None, "{key}");
        }
        assert_eq!(read_generated(format!("ringgear:0{number}:e").as_bytes(), b"rev"), None);
        assert_eq!(read_generated(format!("ringgear:{number}:e").as_bytes(), b"other"), None);
    }

    #[test]
    fn a_key_with_a_nul_inside_is_no_unique() {
        assert_eq!(unique(b"abc\0"), Some(&b"abc"[..]));
        assert_eq!(unique(b"a\0c"), None);
        assert_eq!(unique(&[b'u'; 65]), None);
    }
}
