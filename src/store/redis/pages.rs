//! Reads jobs a page at a time: all that certain owners have, in the order of their numbers, those last that stand alone. Redis has no order of
//! numbers, so first all of these are listed. What a key means is `keys.rs`.
use super::adopt::fields;
use super::keys::{Kept, KeyNames, extra_of};
use super::scripts::{RedisLink, Script, ScriptCall};
use crate::engine::StoredJob;
use crate::log_at;
use crate::logging::Level;
use crate::store::remote::fault::RemoteFault;
use crate::store::servers::{SET_ASIDE, TellJob, Unreadable};
use crate::store::sql::numbers::job_of;
use crate::store::sql::row::Columns;
use crate::store::sql::rows::{dead_job_in, job_in};
use crate::store::sql::value::ColumnValue;
use redis::cmd;

/// Jobs and bytes of what is asked for at once.
const JOBS: usize = 500;
const BYTES: usize = 4 << 20;
/// How often that is asked for in a page before the first is answered, where jobs are small.
const AHEAD: usize = 4;

/// Jobs that are being read.
#[derive(Debug)]
pub(super) struct RedisReading {
    /// Whose they are; anybody's, if it is not said.
    owners: Option<Vec<i32>>,
    unreadable: Unreadable,
    /// What is listed already, and the hashes that are not.
    numbers: Vec<(Kept, i64)>,
    to_list: Option<Vec<(Kept, i32)>>,
    /// Where in the first of these.
    cursor: u64,
    /// How many were told.
    told: usize,
    /// How often the next page asks: once behind jobs that had no room, for Redis keeps what is not received yet.
    ahead: usize,
}

/// A job as the script reads it: its number, what it is, and the rest of it.
type RedisFields = Vec<Option<Vec<u8>>>;

impl RedisReading {
    /// Of all jobs of these owners, or only of these numbers of them.
    pub(super) fn of(
        owners: Option<Vec<i32>>,
        only: Option<Vec<i64>>,
        unreadable: Unreadable,
    ) -> RedisReading {
        let to_list = only.as_ref().map(|_| Vec::new());
        let mut numbers: Vec<(Kept, i64)> =
            only.unwrap_or_default().into_iter().map(|number| (Kept::Owned, number)).collect();
        numbers.sort_unstable();
        RedisReading { owners, unreadable, numbers, to_list, cursor: 0, told: 0, ahead: 1 }
    }

    /// Lists some. True if there are more to be listed.
    fn list(&mut self, link: &mut RedisLink, names: &KeyNames) -> Result<bool, RemoteFault> {
        if self.to_list.is_none() {
            if self.owners.is_none() {
                let mut all: Vec<i32> =
                    cmd("SMEMBERS").arg(names.own("servers")).query(&mut link.connection)?;
                all.push(SET_ASIDE);
                self.owners = Some(all);
            }
            let owners = self.owners.as_deref().unwrap_or_default();
            let all = owners.iter().flat_map(|&owner| Kept::ALL.map(|what| (what, owner)));
            self.to_list = Some(all.collect());
        }
        let Some(to_list) = &mut self.to_list else { return Ok(false) };
        let Some(&(what, owner)) = to_list.last() else { return Ok(false) };
        let (next, numbers) = fields(link, names, what, owner, self.cursor)?;
        self.numbers.extend(numbers.into_iter().map(|number| (what, number)));
        self.cursor = next;
        if next == 0 {
            to_list.pop();
        }
        if to_list.is_empty() {
            self.numbers.sort_unstable();
            self.numbers.dedup();
        }
        Ok(!to_list.is_empty())
    }

    /// All of them at once: how many.
    pub(super) fn list_all(
        &mut self,
        link: &mut RedisLink,
        names: &KeyNames,
    ) -> Result<&[(Kept, i64)], RemoteFault> {
        while self.list(link, names)? {}
        Ok(&self.numbers)
    }

    /// Tells the next page. True if there are more.
    pub(super) fn page(
        &mut self,
        link: &mut RedisLink,
        names: &KeyNames,
        told: TellJob<'_, RemoteFault>,
    ) -> Result<bool, RemoteFault> {
        if self.to_list.as_ref().is_none_or(|left| !left.is_empty()) {
            self.list(link, names)?;
            return Ok(true);
        }
        let rest = &self.numbers[self.told..];
        if rest.is_empty() {
            return Ok(false);
        }
        let owners = self.owners.as_deref().unwrap_or_default();
        let mut calls = Vec::with_capacity(self.ahead);
        for numbers in rest.chunks(JOBS).take(self.ahead) {
            let mut call = ScriptCall::of(link, names, Script::Page, None)?;
            call.list(owners).arg(BYTES);
            numbers.iter().for_each(|(_, number)| _ = call.arg(*number));
            calls.push(call);
        }
        let (mut gone, mut aside) = (Vec::new(), Vec::new());
        let (mut asked, mut past) = (rest.chunks(JOBS), 0);
        // Of so many of the numbers as there was room for; what is behind such a gap comes with the next page.
        let mut whole = true;
        ScriptCall::run_each(&calls, link, |jobs: Vec<RedisFields>| {
            let numbers = asked.next().unwrap_or_default();
            if !whole {
                return Ok(());
            }
            for (fields, &(_, number)) in jobs.iter().zip(numbers) {
                match tell(fields, number, names, told) {
                    Ok(true) => {}
                    Ok(false) => gone.push(number),
                    Err(fault) if self.unreadable == Unreadable::Error => return Err(fault),
                    Err(fault) => {
                        let place = names.own("aside");
                        log_at!(
                            Level::Error,
                            "the store: a job is set aside, kept and not run, in {place}: {fault}"
                        );
                        aside.push(number);
                    }
                }
            }
            past += jobs.len();
            whole = jobs.len() >= numbers.len();
            Ok(())
        })?;
        if !gone.is_empty() {
            super::writer::end(link, names, owners, &gone)?;
        }
        if !aside.is_empty() {
            let mut call = ScriptCall::of(link, names, Script::Aside, None)?;
            call.list(owners).arg(&aside).run::<i64>(link)?;
        }
        self.told += past.max(1);
        self.ahead = if whole { AHEAD } else { 1 };
        Ok(self.told < self.numbers.len())
    }
}

/// Tells a job. False if gearmand has ended it.
fn tell(
    fields: &RedisFields,
    number: i64,
    names: &KeyNames,
    told: TellJob<'_, RemoteFault>,
) -> Result<bool, RemoteFault> {
    let part = |at: usize| fields.get(at).and_then(Option::as_deref);
    let what = part(1).unwrap_or_default();
    let value = part(2).unwrap_or_default();
    let lost = |before: u8| {
        let text = part(6).and_then(|text| std::str::from_utf8(text).ok());
        text.and_then(|text| text.parse().ok()).unwrap_or(before)
    };
    match what {
        b"owned" => {
            let (Some(data), Some((function, unique))) = (part(3), names.parts(value)) else {
                return Ok(false);
            };
            let columns = columns(function, unique, data, part(4))?;
            let Some(id) = job_of(number, function) else { return Ok(false) };
            let record = part(5).and_then(|extra| extra_of(extra, &columns));
            let job = match record {
                None => StoredJob { attempts: lost(0), ..columns.job(number, id)? },
                Some(record) => {
                    let known = job_in(number, ColumnValue::Blob(record), &names.own("extra"))?;
                    let attempts = lost(known.attempts);
                    StoredJob { workload: data, priority: columns.priority, attempts, ..known }
                }
            };
            told(job, false, true)?;
        }
        b"alone" => {
            let job = job_in(number, ColumnValue::Blob(value), &names.own("alone"))?;
            told(StoredJob { attempts: lost(job.attempts), ..job }, true, true)?;
        }
        b"dead" => told(dead_job_in(number, ColumnValue::Blob(value), &names.own("dead"))?, true, true)?,
        b"wrong" => {
            return Err(RemoteFault::other(format!("key {} is no hash", value.escape_ascii())));
        }
        // Another one has it, or nobody any more.
        _ => {}
    }
    Ok(true)
}

/// What a key is about, as columns: none of a time.
fn columns<'k>(
    function: &'k [u8],
    unique: &'k [u8],
    data: &'k [u8],
    priority: Option<&[u8]>,
) -> Result<Columns<'k>, RemoteFault> {
    let priority = match priority {
        Some(b"0") => ColumnValue::Integer(0),
        Some(b"2") => ColumnValue::Integer(2),
        _ => ColumnValue::Integer(1),
    };
    let values = [
        ColumnValue::Blob(unique),
        ColumnValue::Blob(function),
        priority,
        ColumnValue::Blob(data),
        ColumnValue::Null,
    ];
    Ok(Columns::read(-1, values)?)
}
