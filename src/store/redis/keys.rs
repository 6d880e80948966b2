//! What keys are called and what stands in them.
//!
//! gearmand's, one for each job, `<prefix>-<function>-<unique>`: a hash with the fields `data` and `priority`, and nothing else, for
//! gearmand does not start with any other (`priority` is 0, 1 or 2 as text). Beside them, where gearmand does not look, `P` being the prefix:
//!
//! | key | what |
//! |---|---|
//! | `ringgear:{P}:lease` | which server has all of this, for as long as it is heard of |
//! | `ringgear:{P}:owned:0` | a hash: number of a job → gearmand's key of it. The 0 is for an owner, when there can be several |
//! | `ringgear:{P}:extra` | number → what that key does not tell: a checksum of it (8 bytes), and the record without the workload |
//! | `ringgear:{P}:attempts` | number → lost attempts, where they are more than the record says |
//! | `ringgear:{P}:alone` | number → the record of a job that gearmand cannot have: with a time, or a dash in its function |
//! | `ringgear:{P}:dead` | number → the record of a dead job |
use crate::engine::{JobId, StoredJob};
use crate::store::record;
use crate::store::remote::fault::RemoteFault;
use crate::store::sql::key::{self, Origin};
use crate::store::sql::numbers::row_of;
use crate::store::sql::row::Columns;
use crate::store::sql::rows::JobRows;

/// gearmand reads a function into so many bytes.
const FUNCTION_MAX: usize = 511;

/// Names of all keys.
#[derive(Clone, Debug)]
pub(super) struct KeyNames {
    pub(super) prefix: Vec<u8>,
    pub(super) lease: String,
    pub(super) owned: String,
    pub(super) extra: String,
    pub(super) attempts: String,
    pub(super) alone: String,
    pub(super) dead: String,
}

impl KeyNames {
    pub(super) fn of(prefix: &str) -> KeyNames {
        let name = |what: &str| format!("ringgear:{{{prefix}}}:{what}");
        KeyNames {
            prefix: format!("{prefix}-").into_bytes(),
            lease: name("lease"),
            owned: name("owned:0"),
            extra: name("extra"),
            attempts: name("attempts"),
            alone: name("alone"),
            dead: name("dead"),
        }
    }

    /// All of them, in the order in which the script wants them.
    pub(super) fn all(&self) -> [&str; 6] {
        [&self.lease, &self.owned, &self.extra, &self.attempts, &self.alone, &self.dead]
    }

    /// A pattern that gearmand's keys match, and no others.
    pub(super) fn pattern(&self) -> Vec<u8> {
        let mut pattern = Vec::new();
        for &byte in &self.prefix {
            if b"*?[]\\^".contains(&byte) {
                pattern.push(b'\\');
            }
            pattern.push(byte);
        }
        pattern.push(b'*');
        pattern
    }

    /// Function and unique in a key of gearmand's.
    pub(super) fn parts<'k>(&self, key: &'k [u8]) -> Option<(&'k [u8], &'k [u8])> {
        let rest = key.strip_prefix(&self.prefix[..])?;
        let dash = rest.iter().position(|&byte| byte == b'-')?;
        let (function, unique) = (&rest[..dash], &rest[dash + 1..]);
        // gearmand pads a unique of 64 bytes with a blank, and cuts it to 63.
        let unique = if unique.len() == 64 { unique.strip_prefix(b" ").unwrap_or(unique) } else { unique };
        (!function.is_empty() && unique.len() <= 64).then_some((function, unique))
    }
}

/// What a job becomes.
#[derive(Debug)]
pub(super) enum RedisPut<'a> {
    /// gearmand's key, and what it does not tell.
    Theirs(Box<TheirKey<'a>>),
    /// A record of our own.
    Ours { number: i64, dead: bool, record: Vec<u8> },
}

/// A key of gearmand's.
#[derive(Debug)]
pub(super) struct TheirKey<'a> {
    pub(super) number: i64,
    pub(super) key: Vec<u8>,
    pub(super) columns: Columns<'a>,
    pub(super) extra: Vec<u8>,
    job: StoredJob<'a>,
}

impl<'a> RedisPut<'a> {
    pub(super) fn of(job: &StoredJob<'a>, names: &KeyNames) -> Result<RedisPut<'a>, RemoteFault> {
        let number = row_of(job.id)?;
        let mut rows = JobRows::of(job);
        // A pattern in a unique is cut there, and a key with another end is never deleted.
        if rows.theirs.as_ref().is_some_and(|columns| columns.key.contains(&b'*')) {
            rows.take_own_key(job.id);
        }
        let plain = rows.is_plain();
        let fits = !job.function.contains(&b'-') && job.function.len() <= FUNCTION_MAX && job.epoch.is_none();
        match rows.theirs.take().filter(|_| fits && !job.function.is_empty()) {
            Some(columns) => {
                let extra = if plain { Vec::new() } else { extra(job, &columns) };
                let key = key_of(names, &columns);
                Ok(RedisPut::Theirs(Box::new(TheirKey { number, key, columns, extra, job: *job })))
            }
            None => {
                let mut record = Vec::new();
                record::put(job, &mut record);
                Ok(RedisPut::Ours { number, dead: job.death.is_some(), record })
            }
        }
    }

    pub(super) fn number(&self) -> i64 {
        match self {
            RedisPut::Theirs(key) => key.number,
            RedisPut::Ours { number, .. } => *number,
        }
    }

    /// Bytes that it takes on its way, about.
    pub(super) fn bytes(&self) -> usize {
        match self {
            RedisPut::Theirs(key) => key.columns.workload.len() + key.key.len() + key.extra.len() + 64,
            RedisPut::Ours { record, .. } => record.len() + 64,
        }
    }
}

impl TheirKey<'_> {
    /// Another job has its key: from now on it has one that nobody else can have.
    pub(super) fn take_own_key(&mut self, names: &KeyNames) {
        self.columns.key = key::generated(self.job.id, Origin::Elsewhere).into();
        self.key = key_of(names, &self.columns);
        self.extra = extra(&self.job, &self.columns);
    }
}

fn key_of(names: &KeyNames, columns: &Columns<'_>) -> Vec<u8> {
    [&names.prefix[..], &columns.function, b"-", &columns.key].concat()
}

/// What stands in `extra` beside this key.
fn extra(job: &StoredJob<'_>, columns: &Columns<'_>) -> Vec<u8> {
    let mut bytes = columns.digest().to_le_bytes().to_vec();
    record::put(&StoredJob { workload: &[], ..*job }, &mut bytes);
    bytes
}

/// The record in `extra`, if it is about this key and not about an earlier one that gearmand has ended meanwhile.
pub(super) fn extra_of<'e>(extra: &'e [u8], columns: &Columns<'_>) -> Option<&'e [u8]> {
    let (digest, record) = extra.split_first_chunk::<8>()?;
    (i64::from_le_bytes(*digest) == columns.digest()).then_some(record)
}

/// The number in a field.
pub(super) fn number_in(field: &[u8]) -> Option<i64> {
    let number = std::str::from_utf8(field).ok()?.parse().ok()?;
    JobId::from_number(u64::try_from(number).ok()?).map(|_| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_gearmands() {
        let names = KeyNames::of("_gear_");
        assert_eq!(names.parts(b"_gear_-rev-u1"), Some((&b"rev"[..], &b"u1"[..])));
        assert_eq!(names.parts(b"_gear_-rev-"), Some((&b"rev"[..], &b""[..])));
        assert_eq!(names.parts(b"_gear_-rev--"), Some((&b"rev"[..], &b"-"[..])));
        assert_eq!(names.parts(b"_gear_-my-func-x"), Some((&b"my"[..], &b"func-x"[..])));
        let padded = [b"_gear_-rev- ", &[b'k'; 63][..]].concat();
        assert_eq!(names.parts(&padded), Some((&b"rev"[..], &[b'k'; 63][..])));
        for key in [
            &b"_gear_"[..],
            b"_gear_-rev",
            b"_gear_--u",
            b"other-rev-u",
            &[b"_gear_-f-", &[b'u'; 65][..]].concat(),
        ] {
            assert_eq!(names.parts(key), None, "{key:?}");
        }
        assert_eq!(KeyNames::of("a*[b").pattern(), b"a\\*\\[b-*");
        assert_eq!(names.lease, "ringgear:{_gear_}:lease");
    }

    #[test]
    fn numbers_are_those_of_jobs() {
        assert_eq!(number_in(b"5120"), Some(5120));
        assert_eq!((number_in(b"x"), number_in(b"-1"), number_in(b"0")), (None, None, None));
    }
}
