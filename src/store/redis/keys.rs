//! What keys are called and what stands in them.
//!
//! gearmand's, one for each job, `<prefix>-<function>-<unique>`: a hash with the fields `data` and `priority`, and nothing else, for
//! gearmand does not start with any other (`priority` is 0, 1 or 2 as text). Beside them, where gearmand does not look, `P` being the prefix:
//!
//! | key | what |
//! |---|---|
//! | `ringgear:{P}:servers` | a set: numbers of servers |
//! | `ringgear:{P}:server:ID` | one of them: a hash with `name`, `beat`, `state`, `taken_by`, `started`, `jobs`, `bytes`, `version` |
//! | `ringgear:{P}:numbers` | a hash: `next`, the first sequence that nobody has; `birth`, which tells this Redis from one in its place |
//! | `ringgear:{P}:owned:ID` | a hash: number of a job → gearmand's key of it. ID is the server that runs it, 0 if that is nobody yet |
//! | `ringgear:{P}:keys` | gearmand's key → number: so keys that others have made are found, and who has a function and unique |
//! | `ringgear:{P}:extra` | number → what that key does not tell: a checksum of it (8 bytes), and the record without the workload |
//! | `ringgear:{P}:attempts` | number → lost attempts, where they are more than the record says |
//! | `ringgear:{P}:alone:ID` | number → the record of a job that gearmand cannot have: with a time, or a dash in its function; without the ID if that is nobody's |
//! | `ringgear:{P}:dead:ID` | number → the record of a dead job; likewise |
//! | `ringgear:{P}:aside` | number → the key or record of a job that nobody can read |
//! | `ringgear:{P}:lease` | of version 0.2: which server has all of this |
use crate::engine::{JobId, StoredJob};
use crate::store::record;
use crate::store::remote::fault::RemoteFault;
use crate::store::sql::key::{self, Origin};
use crate::store::sql::numbers::row_of;
use crate::store::sql::row::Columns;
use crate::store::sql::rows::JobRows;

/// gearmand reads a function into so many bytes.
const FUNCTION_MAX: usize = 511;

/// What keys are called.
#[derive(Clone, Debug)]
pub(super) struct KeyNames {
    /// What gearmand's begin with.
    pub(super) prefix: Vec<u8>,
    /// What ours begin with.
    pub(super) base: String,
}

/// What stands in a hash of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kept {
    /// Keys of gearmand's.
    Owned,
    /// Records of living jobs.
    Alone,
    /// Records of dead ones.
    Dead,
}

impl Kept {
    pub(super) const ALL: [Kept; 3] = [Kept::Owned, Kept::Alone, Kept::Dead];

    pub(super) fn word(self) -> &'static str {
        match self {
            Kept::Owned => "owned",
            Kept::Alone => "alone",
            Kept::Dead => "dead",
        }
    }
}

impl KeyNames {
    pub(super) fn of(prefix: &str) -> KeyNames {
        KeyNames { prefix: format!("{prefix}-").into_bytes(), base: format!("ringgear:{{{prefix}}}:") }
    }

    /// One of ours.
    pub(super) fn own(&self, name: &str) -> String {
        format!("{}{name}", self.base)
    }

    /// The hash of what this server has.
    pub(super) fn kept(&self, what: Kept, owner: i32) -> String {
        match (what, owner) {
            (Kept::Alone | Kept::Dead, 0) => self.own(what.word()),
            _ => self.own(&format!("{}:{owner}", what.word())),
        }
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
    pub(super) job: StoredJob<'a>,
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
        assert_eq!(names.own("lease"), "ringgear:{_gear_}:lease");
        assert_eq!(names.kept(Kept::Owned, 0), "ringgear:{_gear_}:owned:0");
        assert_eq!(names.kept(Kept::Dead, 0), "ringgear:{_gear_}:dead");
        assert_eq!(names.kept(Kept::Dead, 7), "ringgear:{_gear_}:dead:7");
    }

    #[test]
    fn numbers_are_those_of_jobs() {
        assert_eq!(number_in(b"5120"), Some(5120));
        assert_eq!((number_in(b"x"), number_in(b"-1"), number_in(b"0")), (None, None, None));
    }
}
