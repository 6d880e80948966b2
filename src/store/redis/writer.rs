//! Writes changes by a script (`commit.lua`): one round of Redis, and so one write of its log, for thousands of jobs. It looks first whether the
//! keys are still ours. Most of what jobs need is in `keys.rs`.
use super::keys::{KeyNames, RedisPut};
use super::session::LEASE;
use crate::store::book::Book;
use crate::store::latest::LatestWords;
use crate::store::remote::fault::RemoteFault;
use crate::store::sql::numbers::row_of;
use redis::{Cmd, ConnectionLike, cmd};
use std::collections::HashSet;

const SCRIPT: &str = include_str!("commit.lua");
/// Jobs and bytes of one call.
const JOBS: usize = 5_000;
const BYTES: usize = 8 << 20;

/// Calls of the script, one for so much.
struct Calls<'n> {
    names: &'n KeyNames,
    me: &'n str,
    /// Whether something is to be kept.
    puts: bool,
    done: Vec<Cmd>,
    now: Cmd,
    jobs: usize,
    bytes: usize,
}

impl<'n> Calls<'n> {
    fn of(names: &'n KeyNames, me: &'n str, puts: bool) -> Calls<'n> {
        Calls { names, me, puts, done: Vec::new(), now: call(names, me, puts), jobs: 0, bytes: 0 }
    }

    /// Room for what takes so many bytes.
    fn next(&mut self, bytes: usize) -> &mut Cmd {
        if self.jobs > 0 && (self.jobs >= JOBS || self.bytes + bytes > BYTES) {
            self.done.push(std::mem::replace(&mut self.now, call(self.names, self.me, self.puts)));
            (self.jobs, self.bytes) = (0, 0);
        }
        self.jobs += 1;
        self.bytes += bytes;
        &mut self.now
    }

    fn put(&mut self, put: &RedisPut<'_>) {
        let now = self.next(put.bytes());
        match put {
            RedisPut::Theirs(theirs) => {
                let columns = &theirs.columns;
                now.arg("P").arg(theirs.number).arg(&theirs.key[..]).arg(columns.workload);
                now.arg(columns.priority as u8).arg(&theirs.extra[..]);
            }
            RedisPut::Ours { number, dead, record } => {
                now.arg(if *dead { "X" } else { "A" }).arg(*number).arg(&record[..]);
            }
        }
    }

    /// Carries them out: the numbers of jobs whose key another one has.
    fn run(mut self, connection: &mut dyn ConnectionLike) -> Result<HashSet<i64>, RemoteFault> {
        let mut met = HashSet::new();
        if self.jobs > 0 || self.done.is_empty() {
            self.done.push(self.now);
        }
        for call in self.done {
            met.extend(call.query::<Vec<i64>>(connection)?);
        }
        Ok(met)
    }
}

fn call(names: &KeyNames, me: &str, puts: bool) -> Cmd {
    let mut call = cmd("EVAL");
    call.arg(SCRIPT).arg(names.all().len());
    names.all().iter().for_each(|name| _ = call.arg(*name));
    call.arg(me).arg(LEASE).arg(u8::from(puts));
    call
}

/// Shows that we are there.
pub(super) fn renew(
    connection: &mut dyn ConnectionLike,
    names: &KeyNames,
    me: &str,
) -> Result<(), RemoteFault> {
    Calls::of(names, me, false).run(connection).map(|_| ())
}

/// Ends these.
pub(super) fn end(
    connection: &mut dyn ConnectionLike,
    names: &KeyNames,
    me: &str,
    numbers: &[i64],
) -> Result<(), RemoteFault> {
    let mut calls = Calls::of(names, me, false);
    for &number in numbers {
        calls.next(32).arg("D").arg(number);
    }
    calls.run(connection).map(|_| ())
}

/// Writes changes.
pub(super) fn write(
    connection: &mut dyn ConnectionLike,
    names: &KeyNames,
    me: &str,
    latest: &LatestWords<'_>,
    book: &mut Book,
) -> Result<(), RemoteFault> {
    let mut puts = latest.puts.iter().map(|job| RedisPut::of(job, names)).collect::<Result<Vec<_>, _>>()?;
    let mut calls = Calls::of(names, me, !puts.is_empty());
    for &id in &latest.ended {
        calls.next(32).arg("D").arg(row_of(id)?);
    }
    puts.iter().for_each(|put| calls.put(put));
    for &(id, lost) in &latest.attempts {
        calls.next(32).arg("T").arg(row_of(id)?).arg(lost);
    }
    let met = calls.run(connection)?;
    if !met.is_empty() {
        let mut again = Calls::of(names, me, true);
        for put in puts.iter_mut().filter(|put| met.contains(&put.number())) {
            if let RedisPut::Theirs(theirs) = put {
                theirs.take_own_key(names);
            }
            again.put(put);
        }
        if !again.run(connection)?.is_empty() {
            return Err(RemoteFault::other("there are keys that only one of these jobs can have already"));
        }
    }
    for put in &puts {
        book.note(put.number(), matches!(put, RedisPut::Ours { .. }), true);
    }
    for &id in &latest.ended {
        book.forget(row_of(id)?);
    }
    Ok(())
}
