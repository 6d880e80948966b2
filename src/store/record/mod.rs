//! Records: what shards hand to a store, as bytes. The log writes them as they are, other stores read them. How many
//! make a write, and where they stand, is the store's affair.
//!
//! A record, all numbers little-endian:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 4 | `length` of what follows the checksum: 9 and more, at most [`LENGTH_MAX`] |
//! | 4 | 4 | CRC-32C of these `length` bytes |
//! | 8 | 1 | kind: 1 is put, 2 is done, 3 is attempts, 4 is put with fields |
//! | 9 | 8 | the job's number; not 0 |
//!
//! A done record ends here. An attempts record ends with one more byte: the attempts that the job has lost, which counts
//! until the job's next put, unless the job is kept as dead: then it was put back and run, and the put of that was
//! refused. A put goes on:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 17 | 1 | priority: 0 high, 1 normal, 2 low |
//! | 18 | 1 | lost attempts |
//! | 19 | 1 | length of the unique, 0 to 64 |
//! | 20 | 1 | length of the reducer and 1; 0 if there is none |
//! | 21 | 2 | length of the function's name |
//! | 23 | 1 | cause of death, 0 if the job lives |
//! | 24 | 8 | not before: milliseconds since 1970, 0 if there is no such time |
//! | 32 | | with fields: 2 bytes length of the fields, not 0; the fields (`fields.rs`) |
//! | | | function, NUL, unique, NUL, reducer |
//! | | | if dead: 8 bytes time of death in milliseconds since 1970, 16 bytes address as IPv6 (IPv4 mapped), 1 byte length of the worker's id, the id |
//! | | | workload, to the end |
//!
//! How this may be changed is said in `log/FORMAT.md`.
pub use super::fields::{FIELDS_MAX, MUST};
use super::fields::{Fields, FieldsError};
use crate::engine::slot::JobId;
use crate::engine::{Death, DeathReason, Epoch, StoredJob};
use crate::protocol::{CLIENT_ID_MAX, PACKET_MAX, Priority, REDUCER_MAX, UNIQUE_MAX};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// Bytes of a record before what its length counts.
pub const HEADER: usize = 8;
/// Bytes of a whole done record.
pub const DONE: usize = HEADER + 9;
/// The most that a record's length may be: the longest packet, and what surrounds a workload.
pub const LENGTH_MAX: u32 = PACKET_MAX + 1024;

const PUT_KIND: u8 = 1;
const DONE_KIND: u8 = 2;
const ATTEMPTS_KIND: u8 = 3;
const PUT_WITH_FIELDS_KIND: u8 = 4;
/// Where a put says how many attempts are lost.
const ATTEMPTS_AT: usize = HEADER + 10;
/// Where it says of what the job has died.
const CAUSE_AT: usize = HEADER + 15;
const FIXED: usize = 24;
/// Bytes of a death before the worker's id.
const DEATH: usize = 25;

// Whatever a peer may send fits into a record: a packet holds function, unique, reducer and workload, the rest is ours.
const _: () =
    assert!(FIXED + 2 + FIELDS_MAX + 2 + DEATH + CLIENT_ID_MAX + PACKET_MAX as usize <= LENGTH_MAX as usize);
const _: () = assert!(UNIQUE_MAX < u8::MAX as usize);
const _: () = assert!(REDUCER_MAX < u8::MAX as usize);
const _: () = assert!(CLIENT_ID_MAX <= u8::MAX as usize);

/// A record, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// The job is kept from now on, as it is here.
    Put(StoredJob<'a>),
    /// The job is not kept any more.
    Done(JobId),
    /// The job, if it is kept, has lost so many attempts.
    Attempts(JobId, u8),
}

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// There are fewer bytes than the record says.
    Short,
    /// The length is one that no record has.
    Length(u32),
    /// The checksum is not that of the bytes.
    Checksum,
    /// The checksum is right, but the contents make no sense: written by another version, or by a bug.
    Nonsense,
    /// The job has a field with this tag, which a later version wrote, and which must be understood.
    Field(u8),
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordError::Short => f.write_str("a record is cut off"),
            RecordError::Length(length) => write!(f, "a record claims a length of {length}"),
            RecordError::Checksum => f.write_str("the checksum of a record is wrong"),
            RecordError::Nonsense => f.write_str("a record makes no sense"),
            RecordError::Field(tag) => {
                write!(f, "a job has field {tag} of a later version, which must be understood")
            }
        }
    }
}

impl std::error::Error for RecordError {}

/// Appends a put record.
pub fn put(job: &StoredJob<'_>, out: &mut Vec<u8>) {
    let begin = out.len();
    put_beginning(job, out);
    out.extend_from_slice(job.workload);
    seal(begin, out);
}

/// Appends a put record without its workload, which is to stand behind it, and without its checksum: [`seal_apart`] is
/// to complete it.
pub fn put_beginning(job: &StoredJob<'_>, out: &mut Vec<u8>) {
    let begin = out.len();
    out.extend_from_slice(&[0; HEADER]);
    let fields = Fields { accepted: job.accepted, more: job.more };
    let has_fields = fields.len() > 0;
    out.push(if has_fields { PUT_WITH_FIELDS_KIND } else { PUT_KIND });
    out.extend_from_slice(&job.id.number().to_le_bytes());
    // The lengths fit: they are Gearman's limits.
    let reducer = job.reducer.map_or(0, |reducer| reducer.len() as u8 + 1);
    out.extend_from_slice(&[job.priority as u8, job.attempts, job.unique.len() as u8, reducer]);
    out.extend_from_slice(&(job.function.len() as u16).to_le_bytes());
    out.push(job.death.map_or(0, |death| death.reason as u8));
    out.extend_from_slice(&job.epoch.map_or(0, |epoch| epoch.0).to_le_bytes());
    if has_fields {
        // It fits: see FIELDS_MAX.
        out.extend_from_slice(&(fields.len() as u16).to_le_bytes());
        fields.write(out);
    }
    for part in [job.function, b"\0", job.unique, b"\0", job.reducer.unwrap_or_default()] {
        out.extend_from_slice(part);
    }
    if let Some(death) = job.death {
        let address = match death.address {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        out.extend_from_slice(&death.at.0.to_le_bytes());
        out.extend_from_slice(&address.octets());
        out.push(death.worker.len() as u8);
        out.extend_from_slice(death.worker);
    }
    let length = out.len() - begin - HEADER + job.workload.len();
    // It fits: see LENGTH_MAX.
    out[begin..begin + 4].copy_from_slice(&(length as u32).to_le_bytes());
}

/// Completes a put record whose workload stands elsewhere.
pub fn seal_apart(beginning: &mut [u8], workload: &[u8]) {
    let checksum = checksum(&beginning[HEADER..], workload);
    beginning[4..HEADER].copy_from_slice(&checksum);
}

fn checksum(body: &[u8], workload: &[u8]) -> [u8; 4] {
    crc32c::crc32c_append(crc32c::crc32c(body), workload).to_le_bytes()
}

/// Appends a done record.
pub fn done(id: JobId, out: &mut Vec<u8>) {
    let begin = out.len();
    out.extend_from_slice(&[0; HEADER]);
    out.push(DONE_KIND);
    out.extend_from_slice(&id.number().to_le_bytes());
    seal(begin, out);
}

/// Appends an attempts record.
pub fn attempts(id: JobId, lost: u8, out: &mut Vec<u8>) {
    let begin = out.len();
    out.extend_from_slice(&[0; HEADER]);
    out.push(ATTEMPTS_KIND);
    out.extend_from_slice(&id.number().to_le_bytes());
    out.push(lost);
    seal(begin, out);
}

/// Changes a put record, which is whole: the job has lost so many attempts, if it lives.
pub fn set_attempts(put: &mut [u8], lost: u8) {
    if put[CAUSE_AT] == 0 {
        put[ATTEMPTS_AT] = lost;
        seal(0, put);
    }
}

fn seal(begin: usize, out: &mut [u8]) {
    let (header, body) = out[begin..].split_at_mut(HEADER);
    // It fits: see LENGTH_MAX.
    header[..4].copy_from_slice(&(body.len() as u32).to_le_bytes());
    header[4..].copy_from_slice(&checksum(body, &[]));
}

/// How long the record at the beginning of `bytes` is, all of it.
pub fn length(bytes: &[u8]) -> Result<usize, RecordError> {
    let length = u32::from_le_bytes(*bytes.first_chunk().ok_or(RecordError::Short)?);
    if !(9..=LENGTH_MAX).contains(&length) {
        return Err(RecordError::Length(length));
    }
    Ok(HEADER + length as usize)
}

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// A job is kept.
    Put,
    /// A job is not kept any more.
    Done,
    /// A job has lost attempts.
    Attempts,
}

/// What a store needs to know of a record that one of our own parts made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHead {
    /// What it is.
    pub kind: RecordKind,
    /// The job's number.
    pub id: u64,
    /// Bytes of the whole record.
    pub length: usize,
}

/// A record of a commit, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// In which slice it begins.
    pub slice: usize,
    /// At which byte of that slice.
    pub from: usize,
    /// What it is.
    pub head: RecordHead,
}

impl Span {
    /// Its bytes: all of them, and nothing; or all but its workload, and its workload.
    pub fn parts<'a>(&self, slices: &[&'a [u8]]) -> [&'a [u8]; 2] {
        let here = &slices[self.slice][self.from..];
        match here.get(..self.head.length) {
            Some(whole) => [whole, &[]],
            None => [here, slices[self.slice + 1]],
        }
    }

    /// Reads it.
    pub fn read<'a>(&self, slices: &[&'a [u8]]) -> Result<Record<'a>, RecordError> {
        match self.parts(slices) {
            [whole, []] => read(whole).map(|(record, _)| record),
            [beginning, workload] => read_apart(beginning, workload),
        }
    }
}

/// The records of a commit that our own parts made. They stand in slices, one behind the other: each in one; or a put
/// without its workload at the end of one, and its workload, alone, in the next.
pub fn spans(slices: &[&[u8]]) -> impl Iterator<Item = Span> {
    let (mut slice, mut from) = (0, 0);
    std::iter::from_fn(move || {
        while slices.get(slice)?.len() == from {
            (slice, from) = (slice + 1, 0);
        }
        let here = &slices[slice][from..];
        let head = head(here);
        let span = head.map(|head| Span { slice, from, head });
        let length = head.map_or(0, |head| head.length);
        if length <= here.len() {
            from += length;
        } else {
            let there = slices.get(slice + 1).map_or(0, |workload| workload.len());
            assert!(here.len() + there == length, "a commit consists of whole records");
            (slice, from) = (slice + 2, 0);
        }
        assert!(span.is_some(), "a commit consists of whole records");
        span
    })
}

/// Looks at the record at the beginning of `bytes` without checking it; `None` if there is none.
pub(super) fn head(bytes: &[u8]) -> Option<RecordHead> {
    let length = length(bytes).ok()?;
    let id = u64::from_le_bytes(*bytes.get(HEADER + 1..)?.first_chunk()?);
    let kind = match bytes[HEADER] {
        PUT_KIND | PUT_WITH_FIELDS_KIND => RecordKind::Put,
        ATTEMPTS_KIND => RecordKind::Attempts,
        _ => RecordKind::Done,
    };
    Some(RecordHead { kind, id, length })
}

/// Reads the record at the beginning of `bytes`, and says how long it was.
pub fn read(bytes: &[u8]) -> Result<(Record<'_>, usize), RecordError> {
    let length = length(bytes)?;
    let whole = bytes.get(..length).ok_or(RecordError::Short)?;
    let (header, body) = whole.split_at(HEADER);
    if header[4..] != checksum(body, &[]) {
        return Err(RecordError::Checksum);
    }
    Ok((contents(body)?, length))
}

/// Reads a put record whose workload stands elsewhere.
fn read_apart<'a>(beginning: &'a [u8], workload: &'a [u8]) -> Result<Record<'a>, RecordError> {
    let (header, body) = beginning.split_at_checked(HEADER).ok_or(RecordError::Short)?;
    if length(beginning)? != beginning.len() + workload.len() {
        return Err(RecordError::Short);
    }
    if header[4..] != checksum(body, workload) {
        return Err(RecordError::Checksum);
    }
    match contents(body)? {
        Record::Put(job) if job.workload.is_empty() => Ok(Record::Put(StoredJob { workload, ..job })),
        _ => Err(RecordError::Nonsense),
    }
}

fn contents(body: &[u8]) -> Result<Record<'_>, RecordError> {
    let (kind, id, rest) = beginning(body).ok_or(RecordError::Nonsense)?;
    let record = match kind {
        DONE_KIND if rest.is_empty() => Some(Record::Done(id)),
        ATTEMPTS_KIND if rest.len() == 1 => Some(Record::Attempts(id, rest[0])),
        PUT_KIND => rest
            .split_first_chunk()
            .and_then(|(fixed, rest)| put_contents(id, fixed, Fields::default(), rest))
            .map(Record::Put),
        PUT_WITH_FIELDS_KIND => {
            let (fixed, fields, rest) = with_fields(rest).ok_or(RecordError::Nonsense)?;
            let fields = Fields::read(fields).map_err(|error| match error {
                FieldsError::Nonsense => RecordError::Nonsense,
                FieldsError::Unknown(tag) => RecordError::Field(tag),
            })?;
            put_contents(id, fixed, fields, rest).map(Record::Put)
        }
        _ => None,
    };
    record.ok_or(RecordError::Nonsense)
}

/// Kind and job, which every record has, and the rest.
fn beginning(body: &[u8]) -> Option<(u8, JobId, &[u8])> {
    let (&kind, rest) = body.split_first()?;
    let (id, rest) = rest.split_first_chunk()?;
    Some((kind, JobId::from_number(u64::from_le_bytes(*id))?, rest))
}

/// The rest of the fixed part of a put.
type Fixed = [u8; FIXED - 9];

/// The fixed part of a put, its fields, of which there are some, and the rest.
fn with_fields(rest: &[u8]) -> Option<(&Fixed, &[u8], &[u8])> {
    let (fixed, rest) = rest.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (fields, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    (!fields.is_empty()).then_some((fixed, fields, rest))
}

fn put_contents<'a>(id: JobId, fixed: &Fixed, fields: Fields<'a>, rest: &'a [u8]) -> Option<StoredJob<'a>> {
    let [priority, attempts, unique_len, reducer_len, low, high, cause, epoch @ ..] = *fixed;
    let (function, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([low, high])))?;
    let (unique, rest) = rest.strip_prefix(b"\0")?.split_at_checked(usize::from(unique_len))?;
    let rest = rest.strip_prefix(b"\0")?;
    let (reducer, rest) = rest.split_at_checked(usize::from(reducer_len.saturating_sub(1)))?;
    let (death, workload) = match cause {
        0 => (None, rest),
        1 => death(DeathReason::WorkerGone, rest)?,
        2 => death(DeathReason::AbilityDropped, rest)?,
        3 => death(DeathReason::TimedOut, rest)?,
        _ => return None,
    };
    let epoch = u64::from_le_bytes(epoch);
    Some(StoredJob {
        id,
        priority: Priority::ALL.into_iter().find(|&known| known as u8 == priority)?,
        epoch: (epoch > 0).then_some(Epoch(epoch)),
        attempts,
        function,
        unique,
        workload,
        reducer: (reducer_len > 0).then_some(reducer),
        death,
        accepted: fields.accepted,
        more: fields.more,
    })
}

fn death(reason: DeathReason, rest: &[u8]) -> Option<(Option<Death<'_>>, &[u8])> {
    let (at, rest) = rest.split_first_chunk()?;
    let (address, rest) = rest.split_first_chunk::<16>()?;
    let (&[worker_len], rest) = rest.split_first_chunk()?;
    let (worker, rest) = rest.split_at_checked(usize::from(worker_len))?;
    let address = Ipv6Addr::from(*address).to_canonical();
    Some((Some(Death { reason, at: Epoch(u64::from_le_bytes(*at)), address, worker }), rest))
}

#[cfg(test)]
mod tests;
