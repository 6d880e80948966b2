//! The memcached store: background jobs as gearmand's items, as long as the servers run and do not evict. What items there are is
//! `items.rs`, the protocol `client.rs`; how the servers come and go is `remote/`.
//!
//! **It promises what memory does**: jobs are lost when a memcached ends or needs the room, which is said at each start. What it is good for is
//! that jobs outlive this server; and when a memcached has lost them while we live, they are written again from memory (`book.rs`).
//!
//! **A trial of Ringgear can be undone**: gearmand runs what stands in its items. Numbers, and so handles, of these are not kept.
//! Nothing keeps a second server away.
mod client;
mod items;
mod options;

pub use options::{MEMCACHED_PREFIX, MemcachedOptions};

use super::book::Book;
use super::latest::LatestWords;
use super::record::{self, Record};
use super::remote::fault::{RemoteFault, RemoteTrouble};
use super::remote::line::Connector;
use super::remote::{Remote, RemoteStore};
use super::servers::{Fence, Told, Unreadable};
use super::{Store, StoreError};
use crate::engine::{JobId, StoredJob};
use crate::log_at;
use crate::logging::Level;
use crate::store::sql::numbers::{NewNumbers, row_of};
use client::{McAnswer, McConnection, McRequest};
use items::{McItem, McKeys, job_of, server_of};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The usual most of an item, and what is not the workload in it, about.
const ITEM: usize = 1 << 20;
const AROUND: usize = 1024;
const BEAT: Duration = Duration::from_secs(1);

/// Connects to the servers. What does not answer is waited for by [`Store::replay`], if it is to be waited for at all; what an
/// operator must mend is an error here.
pub fn open(options: MemcachedOptions) -> Result<Box<dyn Store>, StoreError> {
    let mistake = |what| StoreError::Database { name: "memcached".to_owned(), what };
    options.check().map_err(mistake)?;
    let memcached = Memcached {
        places: options.places().map_err(mistake)?,
        server: format!("memcached at {}", options.servers),
        keys: McKeys::of(&options.prefix),
        item_max: AtomicUsize::new(ITEM),
        known: Mutex::default(),
    };
    Ok(Box::new(RemoteStore::open(memcached, options.wait, None)?))
}

/// Where the item of a job is.
#[derive(Clone, Debug)]
struct ItemPlace {
    server: usize,
    key: Vec<u8>,
}

/// What was listed: of ours by number, in their order, then gearmand's, in that in which they were used last, which is to the second.
#[derive(Default)]
struct McItems {
    ours: Vec<(i64, usize, Vec<u8>)>,
    theirs: Vec<(u64, usize, Vec<u8>)>,
}

/// What makes connections to them, and what is done with them.
struct Memcached {
    places: Vec<(String, u16)>,
    server: String,
    keys: McKeys,
    /// Bytes of an item, as far as is known.
    item_max: AtomicUsize,
    /// Where items of jobs are, or may be: nothing there tells a job's number.
    known: Mutex<HashMap<i64, ItemPlace>>,
}

impl Connector for Memcached {
    type Link = Vec<McConnection>;

    fn server(&self) -> &str {
        &self.server
    }

    fn connect(&self) -> Result<Vec<McConnection>, RemoteFault> {
        let mut link = self.places.iter().map(McConnection::open).collect::<Result<Vec<_>, _>>()?;
        let mut evicts = false;
        for connection in &mut link {
            let settings: HashMap<String, String> = connection.stats("stats settings")?.into_iter().collect();
            let most = settings.get("item_size_max").and_then(|most| most.parse().ok()).unwrap_or(ITEM);
            self.item_max.fetch_min(most, Ordering::Relaxed);
            evicts |= settings.get("evictions").is_none_or(|set| set == "on");
            // Whether it can be listed at all is to be known now.
            connection.list()?;
        }
        let how = if evicts { "ends, or needs the room for others" } else { "ends" };
        log_at!(
            Level::Warning,
            "the store: {} keeps jobs in memory only: they are lost when it {how}; --data-dir DIR keeps them",
            self.server
        );
        Ok(link)
    }

    fn leave(&self, _: Vec<McConnection>) {}
}

impl Memcached {
    fn known(&self) -> MutexGuard<'_, HashMap<i64, ItemPlace>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self, key: &[u8]) -> ItemPlace {
        ItemPlace { server: server_of(key, self.places.len()), key: key.to_vec() }
    }

    /// Carries requests out, each at the server where it belongs: those that met something.
    fn change(
        &self,
        link: &mut [McConnection],
        requests: &[(usize, McRequest<'_>)],
    ) -> Result<HashSet<usize>, RemoteFault> {
        let mut taken = HashSet::new();
        for (server, connection) in link.iter_mut().enumerate() {
            let (at, here): (Vec<usize>, Vec<McRequest<'_>>) = requests
                .iter()
                .enumerate()
                .filter(|(_, (place, _))| *place == server)
                .map(|(at, (_, request))| (at, *request))
                .unzip();
            let answers = connection.change(&here)?;
            taken.extend(
                at.into_iter()
                    .zip(answers)
                    .filter(|(_, answer)| *answer == McAnswer::Taken)
                    .map(|(at, _)| at),
            );
        }
        Ok(taken)
    }

    /// Deletes the items of these jobs.
    fn delete(&self, link: &mut [McConnection], numbers: &[i64]) -> Result<(), RemoteFault> {
        let mut known = self.known();
        let places: Vec<ItemPlace> = numbers.iter().filter_map(|number| known.get(number).cloned()).collect();
        let requests: Vec<(usize, McRequest<'_>)> =
            places.iter().map(|place| (place.server, McRequest::Delete { key: &place.key })).collect();
        self.change(link, &requests)?;
        numbers.iter().for_each(|number| _ = known.remove(number));
        Ok(())
    }

    fn put(
        &self,
        link: &mut [McConnection],
        jobs: &[StoredJob<'_>],
        book: &mut Book,
    ) -> Result<(), RemoteFault> {
        let most = self.item_max.load(Ordering::Relaxed);
        let mut items = jobs.iter().map(|job| self.keys.item(job)).collect::<Result<Vec<McItem<'_>>, _>>()?;
        if let Some(item) = items.iter().find(|item| item.value.len() + item.key.len() + AROUND > most) {
            let what = format!(
                "a job takes {} bytes, and items have {most} at the most: start memcached with a larger -I",
                item.value.len()
            );
            return Err(RemoteFault::new(RemoteTrouble::Unfit, what));
        }
        let places: Vec<ItemPlace> = items.iter().map(|item| self.place(&item.key)).collect();
        let mut known = self.known();
        let (mut requests, mut before) = (Vec::new(), Vec::new());
        for (item, place) in items.iter().zip(&places) {
            match known.insert(item.number, place.clone()) {
                Some(old) if old.key != place.key => before.push(old),
                _ => {}
            }
        }
        // Not known before this: whatever is there is of somebody else.
        let fresh: Vec<bool> = items.iter().map(|item| !item.alone && !book.knows(item.number)).collect();
        requests.extend(before.iter().map(|old| (old.server, McRequest::Delete { key: &old.key })));
        let first = requests.len();
        for ((item, place), fresh) in items.iter().zip(&places).zip(&fresh) {
            let (key, flags, value) = (&place.key[..], item.flags, &item.value[..]);
            let request = if *fresh {
                McRequest::Add { key, flags, value }
            } else {
                McRequest::Set { key, flags, value }
            };
            requests.push((place.server, request));
        }
        let mut taken: Vec<usize> =
            self.change(link, &requests)?.into_iter().filter_map(|at| at.checked_sub(first)).collect();
        taken.sort_unstable();
        for at in taken {
            let own = self.keys.own(&jobs[at])?;
            let place = self.place(&own.key);
            let (key, value) = (&place.key[..], &own.value[..]);
            self.change(link, &[(place.server, McRequest::Set { key, flags: 0, value })])?;
            known.insert(own.number, place.clone());
            items[at] = own;
        }
        items.iter().for_each(|item| book.note(item.number, item.alone, false));
        Ok(())
    }

    /// Notes lost attempts: from then on it is an item of ours.
    fn note_attempts(
        &self,
        link: &mut [McConnection],
        id: JobId,
        lost: u8,
        book: &mut Book,
    ) -> Result<(), RemoteFault> {
        let number = row_of(id)?;
        let Some(place) = self.known().get(&number).cloned() else { return Ok(()) };
        let mut found = None;
        link[place.server].get(&[&place.key], &mut |_, flags, value| {
            found = Some((flags, value.to_vec()));
            Ok(())
        })?;
        let Some((flags, value)) = found else { return Ok(()) };
        let job = if self.keys.number(&place.key).is_some() {
            match record::read(&value) {
                Ok((Record::Put(job), _)) if job.death.is_none() => job,
                _ => return Ok(()),
            }
        } else {
            let Some((function, unique)) = self.keys.parts(&place.key) else { return Ok(()) };
            job_of(id, function, unique, flags, &value)
        };
        self.put(link, &[StoredJob { attempts: lost, ..job }], book)
    }
}

impl Remote for Memcached {
    type Reading = McItems;

    fn reading(_: Option<Vec<i32>>, _: Option<Vec<i64>>, _: Unreadable) -> McItems {
        McItems::default()
    }

    fn count(&self, link: &mut Vec<McConnection>, reading: &mut McItems) -> Result<u64, RemoteFault> {
        let McItems { ours, theirs } = reading;
        for (server, connection) in link.iter_mut().enumerate() {
            for item in connection.list()? {
                match (self.keys.number(&item.key), self.keys.parts(&item.key)) {
                    (Some(number), _) => ours.push((number, server, item.key)),
                    (None, Some(_)) => theirs.push((item.used, server, item.key)),
                    (None, None) => {}
                }
            }
        }
        ours.sort();
        theirs.sort();
        Ok((ours.len() + theirs.len()) as u64)
    }

    /// All at once.
    fn page(
        &self,
        link: &mut Vec<McConnection>,
        reading: &mut McItems,
        told: Told<'_, RemoteFault>,
    ) -> Result<bool, RemoteFault> {
        let McItems { ours, theirs } = std::mem::take(reading);
        let mut numbers = NewNumbers::above(ours.last().map_or(0, |(number, ..)| *number))?;
        let mut known = HashMap::new();
        for (number, server, key) in ours {
            let damaged = |what: &str| RemoteFault::other(format!("item {}{what}", key.escape_ascii()));
            link[server].get(&[&key], &mut |_, _, value| match record::read(value) {
                Ok((Record::Put(job), length)) if length == value.len() && row_of(job.id) == Ok(number) => {
                    told(job, true, false)
                }
                Ok(_) => Err(damaged(" is none of ours")),
                Err(error) => Err(damaged(&format!(": {error}"))),
            })?;
            known.insert(number, ItemPlace { server, key });
        }
        for (_, server, key) in theirs {
            let Some((function, unique)) = self.keys.parts(&key) else { continue };
            let id = numbers.job(function);
            link[server].get(&[&key], &mut |_, flags, value| {
                told(job_of(id, function, unique, flags, value), false, false)
            })?;
            known.insert(row_of(id)?, ItemPlace { server, key });
        }
        *self.known() = known;
        Ok(false)
    }

    fn write(
        &self,
        link: &mut Vec<McConnection>,
        latest: &LatestWords<'_>,
        book: &mut Book,
        _: Fence<'_>,
    ) -> Result<Vec<(JobId, JobId)>, RemoteFault> {
        let ended = latest.ended.iter().map(|&id| row_of(id)).collect::<Result<Vec<i64>, _>>()?;
        self.delete(link, &ended)?;
        ended.iter().for_each(|&number| book.forget(number));
        self.put(link, &latest.puts, book)?;
        for &(id, lost) in &latest.attempts {
            self.note_attempts(link, id, lost, book)?;
        }
        Ok(Vec::new())
    }

    /// All at once: there is no order of numbers in which pieces could be told apart.
    fn compare(
        &self,
        link: &mut Vec<McConnection>,
        book: &mut Book,
        _: i64,
        _: Fence<'_>,
    ) -> Result<Vec<i64>, RemoteFault> {
        let mut there = HashSet::new();
        for connection in link.iter_mut() {
            there.extend(connection.list()?.into_iter().map(|item| item.key));
        }
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for (&number, place) in self.known().iter().filter(|(_, place)| there.contains(&place.key)) {
            let alone = self.keys.number(&place.key).is_some();
            if alone {
                ours.push(number)
            } else {
                theirs.push(number)
            };
        }
        let too_much = book.compare(&theirs, &ours, i64::MAX);
        self.delete(link, &[too_much.theirs, too_much.ours].concat())?;
        Ok(Vec::new())
    }

    fn tend(&self, link: &mut Vec<McConnection>) -> Result<(), RemoteFault> {
        // Notices that one has ended, and with it its jobs.
        link.iter_mut().try_for_each(|connection| {
            connection.change(&[McRequest::Delete { key: b"ringgear:" }]).map(|_| ())
        })
    }

    fn tend_every(&self) -> Duration {
        BEAT
    }

    fn alone(&self) -> usize {
        self.item_max.load(Ordering::Relaxed) / 2
    }

    fn keeps_accepted(&self, job: &StoredJob<'_>) -> bool {
        self.keys.item(job).is_ok_and(|item| item.alone)
    }
}
