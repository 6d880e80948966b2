//! The servers that share the keys, each a hash of its own, and the numbers that they give. Calls of scripts only; what a server is, and what
//! keeps two from having the same job, is `store/servers.rs`.
use super::keys::KeyNames;
use super::scripts::{RedisLink, Script, ScriptCall};
use crate::store::remote::fault::RemoteFault;
use crate::store::servers::{Legacy, ServerEntry, ServersLook, drawn_id, own_version};
use crate::store::{ServerLoad, replay};
use redis::cmd;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

/// What a look answers: whether we were counted, whether something is nobody's, how many keys are unknown, the time, and the servers.
type Looked = (i64, i64, i64, i64, Vec<ServerFields>);
/// Number, name, beat, state, who has taken it over, jobs, bytes, version, since when it is there.
type ServerFields = (
    i32,
    Option<Vec<u8>>,
    Option<i64>,
    Option<i16>,
    Option<i32>,
    Option<i64>,
    Option<i64>,
    Option<Vec<u8>>,
    Option<i64>,
);

/// Adds to our own count, if we are one of them, and looks at all. Also tells how many keys are none of what is known.
pub(super) fn look(
    link: &mut RedisLink,
    names: &KeyNames,
    me: Option<i32>,
    jobs: usize,
    load: ServerLoad,
) -> Result<(ServersLook, i64), RemoteFault> {
    let mut call = ScriptCall::of(link, names, Script::Look, me)?;
    let (counted, nobodys, strange, now, rows): Looked = call.arg(jobs).arg(load.bytes).run(link)?;
    let word = |bytes: Option<Vec<u8>>| String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned();
    let entry =
        |(id, name, beat, state, taken_by, jobs, bytes, version, started): ServerFields| ServerEntry {
            id,
            name: word(name),
            beat: beat.unwrap_or(0),
            state: state.unwrap_or(0),
            taken_by,
            jobs: jobs.unwrap_or(0),
            bytes: bytes.unwrap_or(0),
            version: word(version),
            seconds: started.map_or(0, |started| now.saturating_sub(started).max(0)),
        };
    let mut servers: Vec<ServerEntry> = rows.into_iter().map(entry).collect();
    servers.sort_by_key(|server| server.id);
    Ok((ServersLook { counted: counted != 0, unowned: nobodys != 0, servers }, strange))
}

/// A new server of this name.
pub(super) fn register(link: &mut RedisLink, names: &KeyNames, name: &str) -> Result<i32, RemoteFault> {
    loop {
        let id = drawn_id();
        let mut call = ScriptCall::of(link, names, Script::Register, Some(id))?;
        let birth = (RandomState::new().hash_one(id) >> 1) | 1;
        let free: i64 = call.arg(name).arg(own_version()).arg(birth).arg(first_number()).run(link)?;
        if free == 1 {
            return Ok(id);
        }
    }
}

/// Where numbers begin in a Redis that has none yet: see `replay.rs`.
fn first_number() -> u64 {
    replay::floor().max(1)
}

/// What tells this Redis from one in its place; 0 if nothing does yet.
pub(super) fn birth(link: &mut RedisLink, names: &KeyNames) -> Result<u64, RemoteFault> {
    let birth: Option<u64> =
        cmd("HGET").arg(names.own("numbers")).arg("birth").query(&mut link.connection)?;
    Ok(birth.unwrap_or(0))
}

/// Takes over a server whose count is still this one.
pub(super) fn take(
    link: &mut RedisLink,
    names: &KeyNames,
    me: i32,
    other: &ServerEntry,
) -> Result<bool, RemoteFault> {
    let mut call = ScriptCall::of(link, names, Script::Take, Some(me))?;
    Ok(call.arg(other.id).arg(other.beat).run::<i64>(link)? == 1)
}

/// Says that this server has ended; and where nothing is left of it and of those that it took over, strikes them off.
pub(super) fn leave(
    link: &mut RedisLink,
    names: &KeyNames,
    me: i32,
    family: &[i32],
    empty: bool,
) -> Result<(), RemoteFault> {
    let mut call = ScriptCall::of(link, names, Script::Leave, Some(me))?;
    call.arg(u8::from(empty)).list(family).run::<i64>(link).map(|_| ())
}

/// A server leaves all that it has to others but some jobs, with which it goes on as another one. False if there is one of that
/// number already, and nothing has changed.
pub(super) fn bequeath(
    link: &mut RedisLink,
    names: &KeyNames,
    legacy: Legacy<'_>,
) -> Result<bool, RemoteFault> {
    let mut call = ScriptCall::of(link, names, Script::Bequeath, Some(legacy.me))?;
    call.arg(legacy.next).arg(legacy.name).arg(own_version()).list(legacy.family).list(legacy.kept);
    Ok(call.run::<i64>(link)? == 1)
}

/// So many sequences, none of them below this one, which nobody else gets.
pub(super) fn numbers(
    link: &mut RedisLink,
    names: &KeyNames,
    count: u64,
    at_least: u64,
) -> Result<Range<u64>, RemoteFault> {
    let mut call = ScriptCall::of(link, names, Script::Numbers, None)?;
    let from: u64 = call.arg(count).arg(at_least).arg(first_number()).run(link)?;
    Ok(from..from + count)
}
