//! What a job becomes: gearmand's item where that says all of it, and one of our own where it does not.
//!
//! gearmand's: key `<prefix><function>-<unique>`, the workload, the priority as flags. Ours: key `ringgear:<prefix>:<number>`, the whole record
//! (`record/mod.rs`), which gearmand does not look at. What gearmand's cannot tell is there: times, reducers, lost attempts, the dead,
//! jobs without a unique (of which gearmand keeps one), functions with a dash, keys with blanks or longer than 250 bytes.
use crate::engine::{JobId, StoredJob};
use crate::protocol::Priority;
use crate::store::record;
use crate::store::remote::fault::RemoteFault;
use crate::store::sql::key;
use crate::store::sql::numbers::row_of;
use crate::store::sql::rows::JobRows;

const KEY_MAX: usize = 250;

/// An item.
#[derive(Debug)]
pub(super) struct McItem<'a> {
    pub(super) number: i64,
    pub(super) key: Vec<u8>,
    pub(super) flags: u32,
    pub(super) value: std::borrow::Cow<'a, [u8]>,
    /// Whether it is one of ours.
    pub(super) alone: bool,
}

/// Names of keys.
#[derive(Clone, Debug)]
pub(super) struct McKeys {
    prefix: Vec<u8>,
    ours: Vec<u8>,
}

impl McKeys {
    pub(super) fn of(prefix: &str) -> McKeys {
        McKeys { prefix: prefix.as_bytes().to_vec(), ours: format!("ringgear:{prefix}:").into_bytes() }
    }

    /// The number of the job whose own key this is.
    pub(super) fn number(&self, key: &[u8]) -> Option<i64> {
        let number = std::str::from_utf8(key.strip_prefix(&self.ours[..])?).ok()?.parse::<u64>().ok()?;
        row_of(JobId::from_number(number)?).ok()
    }

    /// Function and unique in a key of gearmand's.
    pub(super) fn parts<'k>(&self, key: &'k [u8]) -> Option<(&'k [u8], &'k [u8])> {
        let rest = key.strip_prefix(&self.prefix[..])?;
        let dash = rest.iter().position(|&byte| byte == b'-')?;
        let (function, unique) = (&rest[..dash], &rest[dash + 1..]);
        (!function.is_empty() && unique.len() <= 64).then_some((function, unique))
    }

    /// The item of this job.
    pub(super) fn item<'a>(&self, job: &StoredJob<'a>) -> Result<McItem<'a>, RemoteFault> {
        let rows = JobRows::of(job);
        let key = [&self.prefix[..], job.function, b"-", job.unique].concat();
        let fits = key.len() <= KEY_MAX
            && !key.iter().any(|&byte| byte <= b' ' || byte == 127)
            && !job.function.is_empty()
            && !job.function.contains(&b'-');
        let own = job.unique.is_empty()
            || job.unique == b"-"
            || key::read_generated(job.unique, job.function).is_some();
        if rows.is_plain() && fits && !own && job.epoch.is_none() {
            let (flags, value) = (job.priority as u32, job.workload.into());
            return Ok(McItem { number: row_of(job.id)?, key, flags, value, alone: false });
        }
        self.own(job)
    }

    /// The item of this job that nothing can stand in the way of.
    pub(super) fn own<'a>(&self, job: &StoredJob<'_>) -> Result<McItem<'a>, RemoteFault> {
        let mut value = Vec::new();
        record::put(job, &mut value);
        let key = [&self.ours[..], job.id.number().to_string().as_bytes()].concat();
        Ok(McItem { number: row_of(job.id)?, key, flags: 0, value: value.into(), alone: true })
    }
}

/// A job of gearmand's item.
pub(super) fn job_of<'k>(
    id: JobId,
    function: &'k [u8],
    unique: &'k [u8],
    flags: u32,
    workload: &'k [u8],
) -> StoredJob<'k> {
    let priority = match flags {
        0 => Priority::High,
        2 => Priority::Low,
        _ => Priority::Normal,
    };
    StoredJob {
        id,
        priority,
        epoch: None,
        attempts: 0,
        function,
        unique,
        workload,
        reducer: None,
        death: None,
        accepted: None,
        more: b"",
    }
}

/// Which of so many servers has this key: as libmemcached spreads them, by Jenkins' hash of letters with a sign.
pub(super) fn server_of(key: &[u8], servers: usize) -> usize {
    let mut hash = 0_u32;
    for &byte in key {
        hash = hash.wrapping_add(byte as i8 as u32);
        hash = hash.wrapping_add(hash << 10);
        hash ^= hash >> 6;
    }
    hash = hash.wrapping_add(hash << 3);
    hash ^= hash >> 11;
    hash = hash.wrapping_add(hash << 15);
    hash as usize % servers.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_gearmands_or_ours() {
        let keys = McKeys::of("gear_");
        assert_eq!(keys.parts(b"gear_rev-u1"), Some((&b"rev"[..], &b"u1"[..])));
        assert_eq!(keys.parts(b"gear_rev--"), Some((&b"rev"[..], &b"-"[..])));
        assert_eq!(
            (keys.parts(b"gear_rev"), keys.parts(b"other"), keys.parts(b"gear_-u")),
            (None, None, None)
        );
        assert_eq!(keys.number(b"ringgear:gear_:5120"), Some(5120));
        assert_eq!((keys.number(b"ringgear:gear_:x"), keys.number(b"gear_rev-u")), (None, None));
    }
}
