//! Writes changes by a script (`commit.lua`): one round of Redis, and so one write of its log, for thousands of jobs. It looks first whether
//! nobody has taken us over. Most of what jobs need is in `keys.rs`.
use super::keys::{KeyNames, RedisPut, TheirKey, number_in};
use super::scripts::{RedisLink, Script, ScriptCall};
use super::servers::numbers;
use crate::engine::JobId;
use crate::engine::slot::Slot;
use crate::store::book::Book;
use crate::store::latest::LatestWords;
use crate::store::remote::fault::RemoteFault;
use crate::store::servers::Fence;
use crate::store::sql::numbers::row_of;
use crate::store::sql::rows::job_in;
use crate::store::sql::value::ColumnValue;
use redis::cmd;
use std::collections::HashMap;

/// Jobs and bytes of one call.
const JOBS: usize = 5_000;
const BYTES: usize = 8 << 20;

/// What puts met: number, that of the job whose key it is, and what is known of that one.
type Met = (i64, Vec<u8>, Vec<u8>);

/// Calls of the script, one for so much.
struct Calls<'n> {
    names: &'n KeyNames,
    fence: Fence<'n>,
    /// Whether something is to be kept.
    puts: bool,
    done: Vec<ScriptCall>,
    now: ScriptCall,
    jobs: usize,
    bytes: usize,
}

impl<'n> Calls<'n> {
    fn of(
        link: &mut RedisLink,
        names: &'n KeyNames,
        fence: Fence<'n>,
        puts: bool,
    ) -> Result<Calls<'n>, RemoteFault> {
        let now = call(link, names, fence, puts)?;
        Ok(Calls { names, fence, puts, done: Vec::new(), now, jobs: 0, bytes: 0 })
    }

    /// Room for what takes so many bytes.
    fn next(&mut self, link: &mut RedisLink, bytes: usize) -> Result<&mut ScriptCall, RemoteFault> {
        if self.jobs > 0 && (self.jobs >= JOBS || self.bytes + bytes > BYTES) {
            let next = call(link, self.names, self.fence, self.puts)?;
            self.done.push(std::mem::replace(&mut self.now, next));
            (self.jobs, self.bytes) = (0, 0);
        }
        self.jobs += 1;
        self.bytes += bytes;
        Ok(&mut self.now)
    }

    /// `known` is a job that was kept before, in whatever form.
    fn put(&mut self, link: &mut RedisLink, put: &RedisPut<'_>, known: bool) -> Result<(), RemoteFault> {
        let now = self.next(link, put.bytes())?;
        match put {
            RedisPut::Theirs(theirs) => {
                let columns = &theirs.columns;
                now.arg(if known { "P" } else { "N" }).arg(theirs.number).arg(&theirs.key[..]);
                now.arg(columns.workload).arg(columns.priority as u8).arg(&theirs.extra[..]);
            }
            RedisPut::Ours { number, dead, record } => {
                now.arg(if *dead { "X" } else { "A" }).arg(*number).arg(&record[..]);
            }
        }
        Ok(())
    }

    /// Carries them out: which puts met the key of another job, and of what was doubtful what stays.
    fn run(mut self, link: &mut RedisLink) -> Result<(Vec<Met>, Vec<i64>), RemoteFault> {
        let (mut met, mut kept) = (Vec::new(), Vec::new());
        if self.jobs > 0 || self.done.is_empty() {
            self.done.push(self.now);
        }
        for call in self.done {
            let (more_met, more_kept): (Vec<Met>, Vec<i64>) = call.run(link)?;
            met.extend(more_met);
            kept.extend(more_kept);
        }
        Ok((met, kept))
    }
}

fn call(
    link: &mut RedisLink,
    names: &KeyNames,
    fence: Fence<'_>,
    puts: bool,
) -> Result<ScriptCall, RemoteFault> {
    let mut call = ScriptCall::of(link, names, Script::Commit, fence.me)?;
    let family = if fence.family.is_empty() { &[0] } else { fence.family };
    call.list(family).arg(u8::from(puts)).arg(&names.prefix[..]);
    Ok(call)
}

/// Ends these, of these owners, whoever we are.
pub(super) fn end(
    link: &mut RedisLink,
    names: &KeyNames,
    family: &[i32],
    numbers: &[i64],
) -> Result<(), RemoteFault> {
    let mut calls = Calls::of(link, names, Fence { me: None, family }, false)?;
    for &number in numbers {
        calls.next(link, 32)?.arg("D").arg(number);
    }
    calls.run(link).map(|_| ())
}

/// Deletes what ought not to be there: of jobs that have ended, that stand in another place, and of puts that were refused. Returns those
/// that stay: a refused put with a unique may have been written all the same, and a client of another server may have been told that it has
/// joined that job.
pub(super) fn end_unless_joined(
    link: &mut RedisLink,
    names: &KeyNames,
    theirs: &[i64],
    ours: &[i64],
    book: &Book,
    fence: Fence<'_>,
) -> Result<Vec<i64>, RemoteFault> {
    if theirs.is_empty() && ours.is_empty() {
        return Ok(Vec::new());
    }
    let (known, unknown): (Vec<i64>, Vec<i64>) = theirs.iter().partition(|number| book.knows(**number));
    let ended = book.ended_of(&unknown);
    let mut calls = Calls::of(link, names, fence, false)?;
    for number in known.iter().chain(&ended).chain(ours) {
        calls.next(link, 32)?.arg("D").arg(*number);
    }
    for number in &unknown {
        calls.next(link, 32)?.arg(if fence.me.is_some() { "U" } else { "D" }).arg(*number);
    }
    Ok(calls.run(link)?.1)
}

/// Writes changes. Returns puts that are not written because a job of another server has their function and unique, and which.
pub(super) fn write(
    link: &mut RedisLink,
    names: &KeyNames,
    latest: &LatestWords<'_>,
    book: &mut Book,
    fence: Fence<'_>,
) -> Result<Vec<(JobId, JobId)>, RemoteFault> {
    let mut puts = latest.puts.iter().map(|job| RedisPut::of(job, names)).collect::<Result<Vec<_>, _>>()?;
    let mut calls = Calls::of(link, names, fence, !puts.is_empty())?;
    for &id in &latest.ended {
        calls.next(link, 32)?.arg("D").arg(row_of(id)?);
    }
    for put in &puts {
        calls.put(link, put, book.knows(put.number()))?;
    }
    for &(id, lost) in &latest.attempts {
        calls.next(link, 32)?.arg("T").arg(row_of(id)?).arg(lost);
    }
    let (met, _) = calls.run(link)?;
    let mut elsewhere = HashMap::new();
    if !met.is_empty() {
        let met: HashMap<i64, (Vec<u8>, Vec<u8>)> =
            met.into_iter().map(|(number, there, extra)| (number, (there, extra))).collect();
        let mut again = Calls::of(link, names, fence, true)?;
        for put in &mut puts {
            let RedisPut::Theirs(theirs) = put else { continue };
            let Some((there, extra)) = met.get(&theirs.number) else { continue };
            let shared = fence.me.is_some() && !book.knows(theirs.number);
            let other = if shared { other_job(link, names, theirs, there, extra, book)? } else { None };
            match other {
                Some(other) => _ = elsewhere.insert(theirs.number, (theirs.job.id, other)),
                None => {
                    theirs.take_own_key(names);
                    again.put(link, put, true)?;
                }
            }
        }
        if !again.run(link)?.0.is_empty() {
            return Err(RemoteFault::other("there are keys that only one of these jobs can have already"));
        }
    }
    for put in puts.iter().filter(|put| !elsewhere.contains_key(&put.number())) {
        book.note(put.number(), matches!(put, RedisPut::Ours { .. }), true);
    }
    for &id in &latest.ended {
        book.forget(row_of(id)?);
    }
    Ok(elsewhere.into_values().collect())
}

/// Which job of another server has the function and unique of this one, if it is that by whose key it was met. A key that nobody has given
/// a number gets one here, by which whoever adopts it goes.
fn other_job(
    link: &mut RedisLink,
    names: &KeyNames,
    put: &TheirKey<'_>,
    there: &[u8],
    extra: &[u8],
    book: &Book,
) -> Result<Option<JobId>, RemoteFault> {
    let number = if there.is_empty() { None } else { number_in(there) };
    // What a key tells is not all of some uniques.
    let same = match (number, extra.split_at_checked(8)) {
        (Some(number), Some((_, record))) => {
            job_in(number, ColumnValue::Blob(record), "").is_ok_and(|known| known.unique == put.job.unique)
        }
        _ => *put.columns.key == *put.job.unique,
    };
    let number = match number {
        _ if !same => return Ok(None),
        Some(number) if book.knows(number) => return Ok(None),
        Some(number) => number,
        None => match give_number(link, names, put)? {
            Some(number) => number,
            None => return Ok(None),
        },
    };
    Ok(JobId::from_number(number.unsigned_abs()))
}

/// Gives a number to a key that another has made: nobody's, for whoever adopts it. None if it is no job's.
fn give_number(
    link: &mut RedisLink,
    names: &KeyNames,
    put: &TheirKey<'_>,
) -> Result<Option<i64>, RemoteFault> {
    let sequence = numbers(link, names, 1, 0)?.start;
    let number = row_of(JobId::new(sequence, Slot::of(put.job.function)))?;
    let mut call = ScriptCall::of(link, names, Script::Adopt, None)?;
    let passed: Vec<(Vec<u8>, String)> = call.arg(&put.key[..]).arg(number).run(link)?;
    if !passed.is_empty() {
        return Ok(None);
    }
    // Another one may have been quicker.
    let given: Option<i64> =
        cmd("HGET").arg(names.own("keys")).arg(&put.key[..]).query(&mut link.connection)?;
    Ok(given)
}
