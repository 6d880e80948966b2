//! One function: its queues, counts and limits, and the workers that may sleep beside it.
use super::index::FunctionIx;
use super::looks::Looks;
use super::pauses::Pauses;
use super::queue::Queue;
use super::slab::Chain;
use super::sleepers::Waking;
use crate::board::{Board, BoardSpot};
use crate::page::ListMark;
use crate::policy::Policy;
use crate::report::Pause;
use crate::slot::{JobId, ShardId, Slot};
use crate::stats::FunctionStats;
use crate::time::Instant;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use bytes::Bytes;
use core::hash::BuildHasher;
use core::ops::Bound;
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use ringgear_protocol::{Priority, Refusal};

/// A function. It comes into being when its name is first used and stays until `drop function`.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: Bytes,
    pub(crate) slot: Slot,
    /// Where it is to be seen on the board.
    spot: BoardSpot,
    /// By priority.
    pub(crate) queues: [Queue; 3],
    /// By priority, stored jobs that stand before these: see `lease.rs`.
    pub(crate) withheld: [Queue; 3],
    /// There is a chore that takes stored jobs out of the way of others.
    pub(crate) is_sifting: bool,
    /// Jobs that wait outside the queues, for their time, for the store or for somebody who wants them, by priority.
    pub(crate) aside: [u32; 3],
    /// Those of them that wait for their time.
    pub(crate) scheduled: Queue,
    /// Those that nobody wants, and the number by which workers find them, or 0; whether they are being discarded.
    pub(crate) abandoned: Queue,
    pub(crate) stale: u64,
    pub(crate) is_discarding: bool,
    pub(crate) running: u32,
    /// Dead jobs: they count for nothing else.
    pub(crate) dead: BTreeSet<JobId>,
    /// `maxqueue` by priority; 0 is none.
    pub(crate) limits: [u32; 3],
    /// Registrations.
    pub(crate) workers: u32,
    /// Workers to wake, the one that has slept longest first; see `wake.rs`.
    pub(crate) sleepers: Chain,
    pub(crate) waking: Waking,
    /// Since when no worker knows it; `None` while one does, or if none ever did.
    pub(crate) unattended_since: Option<Instant>,
    /// Where it is counted.
    stats: u32,
    /// An operator has paused it.
    pub(crate) paused: bool,
    /// It was dropped, and only waits for the end of its jobs.
    pub(crate) dropped: bool,
}

impl Function {
    fn new(name: Bytes, spot: BoardSpot) -> Function {
        Function {
            slot: Slot::of(&name),
            spot,
            name,
            queues: [Queue::default(); 3],
            withheld: [Queue::default(); 3],
            is_sifting: false,
            aside: [0; 3],
            scheduled: Queue::default(),
            abandoned: Queue::default(),
            stale: 0,
            is_discarding: false,
            running: 0,
            dead: BTreeSet::new(),
            limits: [0; 3],
            workers: 0,
            sleepers: Chain::default(),
            waking: Waking::default(),
            unattended_since: None,
            stats: NO_STATS,
            paused: false,
            dropped: false,
        }
    }

    /// Jobs, queued by priority, those that wait outside the queues included.
    pub(crate) fn queued(&self) -> [u32; 3] {
        [0, 1, 2].map(|p| self.queues[p].len() + self.withheld[p].len() + self.aside[p])
    }

    /// Jobs, queued and running.
    pub(crate) fn total(&self) -> u32 {
        self.queued().iter().sum::<u32>() + self.running
    }

    /// Whether a submission of this priority is one too many: `maxqueue` counts all jobs of the function, running
    /// ones and other priorities included (gearmand 1.1.20).
    pub(crate) fn full(&self, priority: Priority) -> bool {
        let limit = self.limits[priority as usize];
        limit > 0 && self.total() >= limit
    }

    /// Whether `drop function` must leave it.
    pub(crate) fn in_use(&self) -> bool {
        self.workers > 0 || self.running > 0
    }
}

/// The place of what is counted of many together; and of nothing, as long as nothing was counted.
const OTHERS: u32 = 0;
const NO_STATS: u32 = u32::MAX;

/// All functions of a shard.
#[derive(Debug)]
pub(crate) struct FunctionTable {
    functions: Vec<Option<Function>>,
    /// Per function a bit per priority whose queue is not empty, withheld jobs included: what a worker with many functions looks through.
    ready: Vec<u8>,
    /// Functions with such a bit, in no order that matters: what a worker with very many functions looks through.
    ready_list: Vec<FunctionIx>,
    /// Where each of these stands in `ready_list`.
    ready_at: Vec<u32>,
    /// In which slots something is to be found, for other shards.
    looks: Looks,
    names: HashTable<u32>,
    /// By name, for lists.
    order: BTreeMap<Bytes, FunctionIx>,
    hasher: FixedState,
    vacant: Vec<u32>,
    most: u32,
    /// Bytes that all take.
    bytes: u64,
    bytes_most: u64,
    /// What is counted: first of those that have no room of their own for it and of those that were dropped, then of others one by one.
    stats: Vec<FunctionStats>,
    vacant_stats: Vec<u32>,
    /// So many may have room of their own.
    stats_most: usize,
    pub(crate) pauses: Pauses,
}

impl FunctionTable {
    pub(crate) fn new(shard: ShardId, policy: &Policy, board: Board) -> FunctionTable {
        let topology = board.topology();
        let owners = topology.owners().len() as u32;
        let own = |(name, _): &&(Bytes, Pause)| topology.owner(Slot::of(name)) == shard;
        // Who owns no functions counts nothing. As much room as there may be need for: nothing moves when one more comes, and room that
        // is not used is no memory.
        let owns = shard.index() < topology.owners().len();
        let stats_most = if owns { policy.function_stats.div_ceil(owners) as usize } else { 0 };
        let mut stats = Vec::with_capacity(stats_most + 1);
        stats.push(FunctionStats::default());
        let paused = policy.paused.iter().filter(own).cloned();
        FunctionTable {
            functions: Vec::new(),
            ready: Vec::new(),
            ready_list: Vec::new(),
            ready_at: Vec::new(),
            looks: Looks::new(board, policy),
            names: HashTable::new(),
            order: BTreeMap::new(),
            hasher: FixedState::with_seed(policy.hash_seed),
            vacant: Vec::new(),
            most: policy.functions,
            bytes: 0,
            bytes_most: policy.function_bytes,
            stats,
            vacant_stats: Vec::new(),
            stats_most,
            pauses: Pauses::new(paused),
        }
    }

    /// Functions now.
    pub(crate) fn count(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn find(&self, name: &[u8]) -> Option<FunctionIx> {
        let hash = self.hasher.hash_one(name);
        self.names.find(hash, |&ix| self.get(FunctionIx(ix)).name == name).map(|&ix| FunctionIx(ix))
    }

    /// Bytes that a function takes besides its name: itself, its places in the tables, what the allocator adds.
    const EACH: usize = size_of::<Function>() + 64;

    /// Bytes that what is counted of one takes.
    const STATS: u64 = size_of::<FunctionStats>() as u64 + 16;

    /// Where something of a function is counted.
    #[inline(always)]
    pub(crate) fn stats(&mut self, ix: FunctionIx) -> &mut FunctionStats {
        self.get_with_stats(ix).1
    }

    /// A function, and where something of it is counted.
    #[inline(always)]
    pub(crate) fn get_with_stats(&mut self, ix: FunctionIx) -> (&mut Function, &mut FunctionStats) {
        if self.get(ix).stats as usize >= self.stats.len() {
            // It is not counted yet.
            return self.make_stats(ix);
        }
        let function = self.functions[ix.0 as usize].as_mut().expect("a function in use exists");
        let stats = &mut self.stats[function.stats as usize];
        (function, stats)
    }

    /// The first time that something is counted of a function: it gets room of its own, or is among the others.
    #[cold]
    #[inline(never)]
    fn make_stats(&mut self, ix: FunctionIx) -> (&mut Function, &mut FunctionStats) {
        let place = match self.vacant_stats.pop() {
            Some(place) => place,
            None if self.stats.len() <= self.stats_most => {
                self.stats.push(FunctionStats::default());
                self.stats.len() as u32 - 1
            }
            None => OTHERS,
        };
        if place != OTHERS {
            self.bytes += Self::STATS;
        }
        let function = self.functions[ix.0 as usize].as_mut().expect("a function in use exists");
        function.stats = place;
        (function, &mut self.stats[place as usize])
    }

    /// What is counted of a function alone; `None` if that is among the others, or nothing was counted.
    pub(crate) fn stats_of(&self, function: &Function) -> Option<&FunctionStats> {
        let own = function.stats != NO_STATS && function.stats != OTHERS;
        own.then(|| &self.stats[function.stats as usize])
    }

    /// What is counted of those that have no room of their own for it, and of those that were dropped.
    pub(crate) fn others(&self) -> &FunctionStats {
        &self.stats[OTHERS as usize]
    }

    /// Bytes that all functions take.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether there may be one more, of this name.
    fn has_room(&self, name: &[u8]) -> Result<(), Refusal> {
        if self.count() >= self.most as usize {
            return Err(Refusal::TooManyFunctions);
        }
        let more = (name.len() + Self::EACH) as u64;
        if self.bytes + more > self.bytes_most { Err(Refusal::FunctionBytesFull) } else { Ok(()) }
    }

    /// The function with this name, new if need be and if there may be one more.
    pub(crate) fn find_or_create(&mut self, name: &[u8]) -> Result<FunctionIx, Refusal> {
        if let Some(found) = self.find(name) {
            return Ok(found);
        }
        self.has_room(name)?;
        Ok(self.create(Bytes::copy_from_slice(name)))
    }

    /// The same; a new one shares the name.
    pub(crate) fn find_or_share(&mut self, name: &Bytes) -> Result<FunctionIx, Refusal> {
        if let Some(found) = self.find(name) {
            return Ok(found);
        }
        self.has_room(name)?;
        Ok(self.create(name.clone()))
    }

    /// A function of a name that none has, whatever the limit.
    pub(crate) fn create(&mut self, name: Bytes) -> FunctionIx {
        self.bytes += (name.len() + Self::EACH) as u64;
        let hash = self.hasher.hash_one(&name[..]);
        let spot = self.looks.spot(&name);
        let mut function = Function::new(name, spot);
        function.paused = self.pauses.get(&function.name).is_some();
        let function = Some(function);
        let ix = match self.vacant.pop() {
            Some(ix) => {
                self.functions[ix as usize] = function;
                ix
            }
            None => {
                self.functions.push(function);
                self.ready.push(0);
                self.ready_at.push(0);
                self.functions.len() as u32 - 1
            }
        };
        let FunctionTable { names, functions, hasher, .. } = self;
        let name_of = |&ix: &u32| functions[ix as usize].as_ref().map_or(&[][..], |f| &f.name[..]);
        names.insert_unique(hash, ix, |ix| hasher.hash_one(name_of(ix)));
        self.order.insert(self.get(FunctionIx(ix)).name.clone(), FunctionIx(ix));
        FunctionIx(ix)
    }

    /// Takes a function that is not in use out of what can be found and listed. It keeps its place until it is forgotten.
    pub(crate) fn hide(&mut self, ix: FunctionIx) {
        let function = self.functions[ix.0 as usize].as_mut().expect("the function exists");
        assert!(!function.in_use() && !function.dropped, "a function in use is not dropped");
        function.dropped = true;
        if let Ok(entry) = self.names.find_entry(self.hasher.hash_one(&function.name[..]), |&at| at == ix.0) {
            entry.remove();
        }
        self.order.remove(&function.name);
    }

    /// Forgets a function that is hidden, and of which no jobs are left.
    pub(crate) fn drop(&mut self, ix: FunctionIx) {
        let function = self.functions[ix.0 as usize].take().expect("the function exists");
        let is_empty = function.total() == 0 && function.dead.is_empty() && function.sleepers.is_empty();
        assert!(
            function.dropped && is_empty && self.ready[ix.0 as usize] == 0,
            "a function in use is not dropped"
        );
        self.bytes -= (function.name.len() + Self::EACH) as u64;
        if function.stats != NO_STATS && function.stats != OTHERS {
            // So that what is counted of all together never becomes less.
            let stats = core::mem::take(&mut self.stats[function.stats as usize]);
            self.stats[OTHERS as usize].merge(&stats);
            self.vacant_stats.push(function.stats);
            self.bytes -= Self::STATS;
        }
        self.vacant.push(ix.0);
    }

    pub(crate) fn exists(&self, ix: FunctionIx) -> bool {
        self.functions.get(ix.0 as usize).is_some_and(Option::is_some)
    }

    pub(crate) fn get(&self, ix: FunctionIx) -> &Function {
        self.functions[ix.0 as usize].as_ref().expect("a function in use exists")
    }

    pub(crate) fn get_mut(&mut self, ix: FunctionIx) -> &mut Function {
        self.functions[ix.0 as usize].as_mut().expect("a function in use exists")
    }

    /// A bit per priority (bit 0 is high) whose queue holds something.
    #[inline]
    pub(crate) fn ready(&self, ix: FunctionIx) -> u8 {
        // Of no function nothing is ready.
        self.ready.get(ix.0 as usize).copied().unwrap_or(0)
    }

    /// To be called after each change of a queue.
    #[inline]
    pub(crate) fn note_ready(&mut self, ix: FunctionIx, priority: Priority) {
        let bit = 1 << priority as u8;
        let function = self.get(ix);
        let jobs = function.queues[priority as usize].len() + function.withheld[priority as usize].len();
        let some = jobs > 0 && !function.paused;
        let ready = &mut self.ready[ix.0 as usize];
        let before = *ready;
        *ready = if some { before | bit } else { before & !bit };
        match (before, *ready) {
            (0, 1..) => {
                self.ready_at[ix.0 as usize] = self.ready_list.len() as u32;
                self.ready_list.push(ix);
                self.look(ix, true);
            }
            (1.., 0) => {
                let at = self.ready_at[ix.0 as usize];
                self.ready_list.swap_remove(at as usize);
                if let Some(&moved) = self.ready_list.get(at as usize) {
                    self.ready_at[moved.0 as usize] = at;
                }
                self.look(ix, false);
            }
            _ => {}
        }
    }

    /// A queue of a function has become worth a look, or no queue is any more.
    #[inline]
    fn look(&mut self, ix: FunctionIx, worth: bool) {
        if self.looks.are_shared() {
            self.look_together(ix, worth);
        }
    }

    #[inline(never)]
    fn look_together(&mut self, ix: FunctionIx, worth: bool) {
        if self.get(ix).stale == 0 {
            self.looks.count(self.get(ix).spot, worth);
        }
    }

    /// Gives a function with abandoned jobs the number by which workers find it, or 0 when nobody need look.
    pub(crate) fn set_stale(&mut self, ix: FunctionIx, number: u64) {
        let before = core::mem::replace(&mut self.get_mut(ix).stale, number);
        if self.looks.are_shared() && (before == 0) != (number == 0) && self.ready(ix) == 0 {
            self.looks.count(self.get(ix).spot, number != 0);
        }
    }

    /// Panics unless other shards see what there is.
    pub(crate) fn check_looks(&self, here: ShardId) {
        let worth = |(ix, function): (FunctionIx, &Function)| self.ready(ix) != 0 || function.stale != 0;
        let spots = self.iter().filter(|&found| worth(found)).map(|(_, function)| function.spot);
        self.looks.check(here, spots);
    }

    /// Functions that have something in a queue.
    pub(crate) fn ready_list(&self) -> &[FunctionIx] {
        &self.ready_list
    }

    /// Functions by name, behind a mark.
    pub(crate) fn in_order(&self, after: Option<&ListMark>) -> impl Iterator<Item = FunctionIx> + '_ {
        let from = match after {
            Some(ListMark::Function(name)) => Bound::Excluded(&name[..]),
            _ => Bound::Unbounded,
        };
        self.order.range::<[u8], _>((from, Bound::Unbounded)).map(|(_, &ix)| ix)
    }

    /// Every function, in no order that may be shown.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (FunctionIx, &Function)> {
        let numbered = self.functions.iter().enumerate();
        numbered.filter_map(|(ix, function)| Some((FunctionIx(ix as u32), function.as_ref()?)))
    }
}
