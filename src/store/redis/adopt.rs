//! Jobs that nobody owns become ours: keys that gearmand or an application has made, what a tool has copied, what an earlier version has
//! kept, and what is left of a server that is not there any more. Reading them is `pages.rs`.
//!
//! Nothing tells which keys are new, so all are looked through, a piece at a time: when there are more keys, or fewer, than are known, and now
//! and then, but never for more than a part of the time.
use super::keys::{Kept, KeyNames, number_in};
use super::scripts::{RedisLink, Script, ScriptCall};
use super::servers::numbers;
use crate::engine::JobId;
use crate::engine::slot::{SLOTS, Slot};
use crate::log_at;
use crate::logging::Level;
use crate::store::remote::fault::{RemoteFault, RemoteTrouble};
use crate::store::sql::numbers::row_of;
use redis::cmd;
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// Keys, and fields of a hash, of one call.
const COUNT: usize = 1_000;
/// Jobs that are moved at a time.
const PIECE: usize = 1_000;
/// Calls in a row while the server serves.
const CALLS: u32 = 10;
/// After a pass that took so long, the next one begins so many times later; and after so long in any case.
const REST: u32 = 3;
const AGAIN: Duration = Duration::from_secs(60);
/// So many keys that are passed over are said.
const PASSED_MAX: usize = 1_000;

/// How far all keys are looked through.
#[derive(Debug, Default)]
pub(super) struct KeyScan {
    /// Within a pass: where, since when, how much of that was spent, and how many keys were unknown when it began.
    under_way: Option<Pass>,
    /// How many keys were unknown at the last look.
    strange: i64,
    /// The last pass: when it ended, how long it took, how many keys were unknown, which is what it left.
    last: Option<(Instant, Duration, i64)>,
    /// Servers that are not there any more, of which jobs are left.
    orphans: Vec<i32>,
    passed: HashSet<Vec<u8>>,
}

#[derive(Clone, Copy, Debug)]
struct Pass {
    cursor: u64,
    spent: Duration,
    found: bool,
}

impl KeyScan {
    /// Takes a look into account: whether there may be something to adopt.
    pub(super) fn looked(&mut self, strange: i64) -> bool {
        self.strange = strange;
        self.under_way.is_some() || !self.orphans.is_empty() || self.is_due(Instant::now())
    }

    fn is_due(&self, now: Instant) -> bool {
        match self.last {
            None => true,
            Some((at, took, strange)) => {
                let rested = now.saturating_duration_since(at);
                rested >= AGAIN.max(took * REST) || strange != self.strange && rested >= took * REST
            }
        }
    }

    /// One call. Returns keys that have no number.
    fn step(&mut self, link: &mut RedisLink, names: &KeyNames) -> Result<Vec<Vec<u8>>, RemoteFault> {
        let pass = self.under_way.unwrap_or(Pass { cursor: 0, spent: Duration::ZERO, found: false });
        let begin = Instant::now();
        let mut call = ScriptCall::of(link, names, Script::Scan, None)?;
        let (cursor, strange, orphans): (u64, Vec<Vec<u8>>, Vec<i32>) =
            call.arg(pass.cursor).arg(COUNT).arg(&names.prefix[..]).run(link)?;
        for orphan in orphans {
            if !self.orphans.contains(&orphan) {
                self.orphans.push(orphan);
            }
        }
        let strange: Vec<Vec<u8>> = strange.into_iter().filter(|key| !self.passed.contains(key)).collect();
        let spent = pass.spent + begin.elapsed();
        let found = pass.found || !strange.is_empty();
        self.under_way = (cursor != 0).then_some(Pass { cursor, spent, found });
        if cursor == 0 {
            // What was found is not unknown any more, so after that it is looked once more.
            let left = if found { i64::MAX } else { self.strange };
            self.last = Some((Instant::now(), spent, left));
        }
        Ok(strange)
    }

    fn pass_over(&mut self, key: &[u8], why: &str) {
        if self.passed.len() < PASSED_MAX && self.passed.insert(key.to_vec()) {
            log_at!(
                Level::Warning,
                "the store: key {} is passed over: {why}; gearmand does not start with it",
                key.escape_ascii()
            );
        }
    }
}

/// At a start: makes ours what nobody owns, or has an owner that is no server. Without a server of our own jobs only get numbers.
pub(super) fn claim(
    link: &mut RedisLink,
    names: &KeyNames,
    me: Option<i32>,
    scan: &mut KeyScan,
) -> Result<(), RemoteFault> {
    move_all(link, names, me, 0)?;
    *scan = KeyScan::default();
    loop {
        let strange = scan.step(link, names)?;
        adopt_keys(link, names, me, strange, scan)?;
        for orphan in std::mem::take(&mut scan.orphans) {
            move_all(link, names, me, orphan)?;
        }
        if scan.under_way.is_none() {
            return Ok(());
        }
    }
}

/// Everything of an owner becomes ours.
fn move_all(link: &mut RedisLink, names: &KeyNames, me: Option<i32>, owner: i32) -> Result<(), RemoteFault> {
    for what in Kept::ALL {
        let mut cursor = 0;
        loop {
            let (next, numbers) = fields(link, names, what, owner, cursor)?;
            move_some(link, names, me, owner, &numbers)?;
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
    }
    Ok(())
}

/// Numbers in a hash of ours, some of them, and where we are then.
pub(super) fn fields(
    link: &mut RedisLink,
    names: &KeyNames,
    what: Kept,
    owner: i32,
    cursor: u64,
) -> Result<(u64, Vec<i64>), RemoteFault> {
    let hash = names.kept(what, owner);
    let (next, pairs): (u64, Vec<Vec<u8>>) =
        cmd("HSCAN").arg(&hash).arg(cursor).arg("COUNT").arg(COUNT).query(&mut link.connection)?;
    let number = |field: &Vec<u8>| {
        number_in(field).ok_or_else(|| {
            RemoteFault::other(format!("{hash} has a field that is no number of a job; delete it"))
        })
    };
    Ok((next, pairs.iter().step_by(2).map(number).collect::<Result<_, _>>()?))
}

fn move_some(
    link: &mut RedisLink,
    names: &KeyNames,
    me: Option<i32>,
    owner: i32,
    moved: &[i64],
) -> Result<(), RemoteFault> {
    let Some(highest) = moved.iter().copied().max() else { return Ok(()) };
    // No job is to get a number that one of these has. What is far beyond all others sets no mark.
    let above = highest.unsigned_abs() / u64::from(SLOTS) + 1;
    if above <= JobId::SEQUENCE_HINT_MAX {
        numbers(link, names, 0, above)?;
    }
    for piece in moved.chunks(PIECE) {
        let mut call = ScriptCall::of(link, names, Script::Move, me)?;
        call.arg(owner).arg(piece).run::<i64>(link)?;
    }
    Ok(())
}

/// Makes ours some of the jobs that nobody owns: their numbers, and whether there may be more. What another server has adopted at the
/// same moment is among the numbers, and not ours.
pub(super) fn adopt(
    link: &mut RedisLink,
    names: &KeyNames,
    me: i32,
    scan: &mut KeyScan,
) -> Result<(Vec<i64>, bool), RemoteFault> {
    for owner in std::iter::once(0).chain(scan.orphans.clone()) {
        for what in Kept::ALL {
            let (_, numbers) = fields(link, names, what, owner, 0)?;
            if !numbers.is_empty() {
                return match move_some(link, names, Some(me), owner, &numbers) {
                    // Nobody knows whether they are ours: that shows when they are read.
                    Err(fault) if fault.trouble != RemoteTrouble::Away => Err(fault),
                    _ => Ok((numbers, true)),
                };
            }
        }
        scan.orphans.retain(|orphan| *orphan != owner);
    }
    for _ in 0..CALLS {
        if scan.under_way.is_none() && !scan.is_due(Instant::now()) {
            return Ok((Vec::new(), false));
        }
        let strange = scan.step(link, names)?;
        let numbers = adopt_keys(link, names, Some(me), strange, scan)?;
        if !numbers.is_empty() {
            return Ok((numbers, scan.under_way.is_some()));
        }
    }
    Ok((Vec::new(), scan.under_way.is_some()))
}

/// Gives these keys numbers: which.
fn adopt_keys(
    link: &mut RedisLink,
    names: &KeyNames,
    me: Option<i32>,
    strange: Vec<Vec<u8>>,
    scan: &mut KeyScan,
) -> Result<Vec<i64>, RemoteFault> {
    let mut keys: Vec<Vec<u8>> = Vec::new();
    for key in strange {
        match names.parts(&key) {
            Some(_) => keys.push(key),
            None => scan.pass_over(&key, "its name is none that gearmand gives"),
        }
    }
    keys.sort();
    keys.dedup();
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let sequences = numbers(link, names, keys.len() as u64, 0)?;
    let mut call = ScriptCall::of(link, names, Script::Adopt, me)?;
    let mut given = Vec::with_capacity(keys.len());
    for (key, sequence) in keys.iter().zip(sequences) {
        let function = names.parts(key).map_or(&b""[..], |(function, _)| function);
        let number = row_of(JobId::new(sequence, Slot::of(function)))?;
        call.arg(&key[..]).arg(number);
        given.push(number);
    }
    match call.run::<Vec<(Vec<u8>, String)>>(link) {
        Ok(passed) => {
            for (key, kind) in passed {
                let why = if kind == "hash" {
                    "it has no field data".to_owned()
                } else {
                    format!("it is a {kind}")
                };
                scan.pass_over(&key, &why);
            }
            Ok(given)
        }
        Err(fault) if fault.trouble != RemoteTrouble::Away || me.is_none() => Err(fault),
        // Nobody knows whether they are ours: that shows when they are read.
        Err(_) => Ok(given),
    }
}
