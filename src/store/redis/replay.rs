//! Reads all keys at the start, and gives numbers to those that have none. What a key means is `keys.rs`.
use super::keys::{KeyNames, extra_of, number_in};
use super::writer::renew;
use crate::engine::StoredJob;
use crate::log_at;
use crate::logging::Level;
use crate::store::Progress;
use crate::store::book::Book;
use crate::store::remote::RemoteListener;
use crate::store::remote::fault::RemoteFault;
use crate::store::sql::numbers::{NewNumbers, job_of, row_of};
use crate::store::sql::row::Columns;
use crate::store::sql::rows::{dead_job_in, job_in};
use crate::store::sql::value::ColumnValue;
use redis::{ConnectionLike, Value, cmd, pipe};
use std::collections::{BTreeMap, HashSet};

/// Fields of a hash, and keys, that come at a time; and jobs.
const COUNT: usize = 2_000;
const JOBS: usize = 200;

/// A hash of ours: number → what stands there.
pub(super) fn scan(
    connection: &mut dyn ConnectionLike,
    hash: &str,
) -> Result<BTreeMap<i64, Vec<u8>>, RemoteFault> {
    let (mut all, mut cursor) = (BTreeMap::new(), 0_u64);
    loop {
        let (next, fields): (u64, Vec<Vec<u8>>) =
            cmd("HSCAN").arg(hash).arg(cursor).arg("COUNT").arg(COUNT).query(connection)?;
        let mut fields = fields.into_iter();
        while let (Some(field), Some(value)) = (fields.next(), fields.next()) {
            let number = number_in(&field).ok_or_else(|| {
                RemoteFault::other(format!("{hash} has a field that is no number of a job; delete it"))
            })?;
            all.insert(number, value);
        }
        cursor = next;
        if cursor == 0 {
            return Ok(all);
        }
    }
}

/// Keys of gearmand's that none of ours names.
fn strangers(
    connection: &mut dyn ConnectionLike,
    names: &KeyNames,
    known: &HashSet<&[u8]>,
) -> Result<Vec<Vec<u8>>, RemoteFault> {
    let (mut found, mut cursor) = (HashSet::new(), 0_u64);
    loop {
        let (next, keys): (u64, Vec<Vec<u8>>) = cmd("SCAN")
            .arg(cursor)
            .arg("MATCH")
            .arg(names.pattern())
            .arg("COUNT")
            .arg(COUNT)
            .query(connection)?;
        found.extend(keys.into_iter().filter(|key| !known.contains(&key[..])));
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    let mut found: Vec<Vec<u8>> = found.into_iter().collect();
    found.sort();
    Ok(found)
}

/// All that is ours there.
struct RedisContents {
    owned: BTreeMap<i64, Vec<u8>>,
    alone: BTreeMap<i64, Vec<u8>>,
    dead: BTreeMap<i64, Vec<u8>>,
    extra: BTreeMap<i64, Vec<u8>>,
    attempts: BTreeMap<i64, Vec<u8>>,
}

impl RedisContents {
    fn read(connection: &mut dyn ConnectionLike, names: &KeyNames) -> Result<RedisContents, RemoteFault> {
        Ok(RedisContents {
            owned: scan(connection, &names.owned)?,
            alone: scan(connection, &names.alone)?,
            dead: scan(connection, &names.dead)?,
            extra: scan(connection, &names.extra)?,
            attempts: scan(connection, &names.attempts)?,
        })
    }

    fn highest(&self) -> i64 {
        let all = [&self.owned, &self.alone, &self.dead];
        all.iter().filter_map(|hash| hash.last_key_value()).map(|(&number, _)| number).max().unwrap_or(0)
    }

    /// Attempts that a job has lost, of which its record says so many.
    fn lost(&self, number: i64, before: u8) -> u8 {
        let text = self.attempts.get(&number).and_then(|text| std::str::from_utf8(text).ok());
        text.and_then(|text| text.parse().ok()).unwrap_or(before)
    }
}

/// Workload and priority in a key, where they are.
type KeyFields = (Option<Vec<u8>>, Option<Vec<u8>>);

type Teller<'t> = &'t mut dyn FnMut(StoredJob<'_>, bool, bool) -> Result<(), RemoteFault>;

/// Tells every job: those of gearmand's keys in the order of their numbers, then those that have none yet, then those that
/// stand alone, then the dead. Returns what is there now.
pub(super) fn replay(
    connection: &mut dyn ConnectionLike,
    names: &KeyNames,
    me: &str,
    listener: RemoteListener<'_>,
) -> Result<Book, RemoteFault> {
    let RemoteListener { each, progress } = listener;
    let there = RedisContents::read(connection, names)?;
    let known: HashSet<&[u8]> = there.owned.values().map(Vec::as_slice).collect();
    let strange = strangers(connection, names, &known)?;
    let jobs = there.owned.len() + strange.len() + there.alone.len() + there.dead.len();
    progress(Progress::Telling { jobs: jobs as u64 });
    let mut numbers = NewNumbers::above(there.highest())?;
    let mut book = Book::default();
    let mut told = |job: StoredJob<'_>, alone: bool, beside: bool| -> Result<(), RemoteFault> {
        book.note(row_of(job.id)?, alone, beside);
        each(job);
        Ok(())
    };
    let gone = tell_owned(connection, names, me, &there, &mut told)?;
    tell_strangers(connection, names, &strange, &mut numbers, &mut told)?;
    for (&number, record) in &there.alone {
        let job = job_in(number, ColumnValue::Blob(record), &names.alone)?;
        told(StoredJob { attempts: there.lost(number, job.attempts), ..job }, true, true)?;
    }
    for (&number, record) in &there.dead {
        told(dead_job_in(number, ColumnValue::Blob(record), &names.dead)?, true, true)?;
    }
    for piece in gone.chunks(JOBS) {
        for hash in [&names.owned, &names.extra, &names.attempts] {
            let mut delete = cmd("HDEL");
            delete.arg(hash);
            piece.iter().for_each(|number| _ = delete.arg(*number));
            delete.exec(connection)?;
        }
    }
    Ok(book)
}

/// Tells the jobs of keys that have numbers. Returns the numbers of those that are not there any more.
fn tell_owned(
    connection: &mut dyn ConnectionLike,
    names: &KeyNames,
    me: &str,
    there: &RedisContents,
    told: Teller<'_>,
) -> Result<Vec<i64>, RemoteFault> {
    let mut gone = Vec::new();
    let all: Vec<(i64, &Vec<u8>)> = there.owned.iter().map(|(&number, key)| (number, key)).collect();
    for piece in all.chunks(JOBS) {
        renew(connection, names, me)?;
        let mut ask = pipe();
        piece.iter().for_each(|(_, key)| _ = ask.cmd("HMGET").arg(key).arg("data").arg("priority"));
        let answers: Vec<KeyFields> = ask.query(connection)?;
        for (&(number, key), (data, priority)) in piece.iter().zip(&answers) {
            let (Some(data), Some((function, unique))) = (data, names.parts(key)) else {
                // gearmand has ended it.
                gone.push(number);
                continue;
            };
            let columns = columns(function, unique, data, priority.as_deref())?;
            let Some(id) = job_of(number, function) else {
                gone.push(number);
                continue;
            };
            let record = there.extra.get(&number).and_then(|extra| extra_of(extra, &columns));
            let job = match record {
                None => StoredJob { attempts: there.lost(number, 0), ..columns.job(number, id)? },
                Some(record) => {
                    let known = job_in(number, ColumnValue::Blob(record), &names.extra)?;
                    let attempts = there.lost(number, known.attempts);
                    StoredJob { workload: data, priority: columns.priority, attempts, ..known }
                }
            };
            told(job, false, true)?;
        }
    }
    Ok(gone)
}

/// Tells the jobs of keys that have no number, and gives them one.
fn tell_strangers(
    connection: &mut dyn ConnectionLike,
    names: &KeyNames,
    strange: &[Vec<u8>],
    numbers: &mut NewNumbers,
    told: Teller<'_>,
) -> Result<(), RemoteFault> {
    let mut set = pipe();
    for key in strange {
        let Some((function, unique)) = names.parts(key) else {
            passed_over(key, "its name is none that gearmand gives");
            continue;
        };
        let Some((data, priority, is_text)) = stranger(connection, key)? else { continue };
        let columns = columns(function, unique, &data, priority.as_deref())?;
        let id = numbers.job(function);
        let number = row_of(id)?;
        if is_text {
            // From now on as gearmand writes it since 1.1.16.
            set.cmd("DEL").arg(key).ignore();
            set.cmd("HSET").arg(key).arg("data").arg(&data).arg("priority").arg(1).ignore();
        }
        set.cmd("HSET").arg(&names.owned).arg(number).arg(key).ignore();
        if set.len() >= JOBS {
            set.atomic().exec(connection)?;
            set.clear();
        }
        told(columns.job(number, id)?, false, false)?;
    }
    if !set.is_empty() {
        set.atomic().exec(connection)?;
    }
    Ok(())
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

/// Workload, priority, and whether it is text.
type StrangerFields = (Vec<u8>, Option<Vec<u8>>, bool);

/// Workload and priority in a key of gearmand's, a hash; before 1.1.16 text, which is told.
fn stranger(connection: &mut dyn ConnectionLike, key: &[u8]) -> Result<Option<StrangerFields>, RemoteFault> {
    let kind: String = cmd("TYPE").arg(key).query(connection)?;
    match kind.as_str() {
        "hash" => {
            let (data, priority): (Value, Option<Vec<u8>>) =
                cmd("HMGET").arg(key).arg("data").arg("priority").query(connection)?;
            let Value::BulkString(data) = data else {
                passed_over(key, "it has no field data");
                return Ok(None);
            };
            Ok(Some((data, priority, false)))
        }
        "string" => Ok(Some((cmd("GET").arg(key).query(connection)?, None, true))),
        "none" => Ok(None),
        other => {
            passed_over(key, &format!("it is a {other}"));
            Ok(None)
        }
    }
}

fn passed_over(key: &[u8], why: &str) {
    log_at!(
        Level::Warning,
        "the store: key {} is passed over: {why}; gearmand does not start with it",
        key.escape_ascii()
    );
}
