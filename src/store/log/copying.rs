//! How far copying has come in the oldest segment, and reading there: what is kept of it is picked, to be written elsewhere.
//! When segments are emptied, and where the copies go, is `compact.rs`.
use super::block::{self, BLOCK_MAX, BlockBody, BlockHead};
use super::damage::Damage;
use super::disk::Disk;
use super::live::Live;
use super::planted::{Bug, PlantedBug};
use super::recover::{self, LogSegment, RecordsError};
use super::sector::{Home, PAGE, SECTOR};
use super::window::{Window, corrupt, segment_name};
use crate::engine::StoredJob;
use crate::store::StoreError;
use crate::store::record::{self, Record};
use std::collections::HashMap;

/// How often a block is read that cannot be read, before it is given up.
const TRIES: u32 = 3;

/// How far copying has come.
#[derive(Debug, Default)]
pub(super) struct Copying {
    /// The segment that is read.
    segment: u32,
    offset: u64,
    window: Option<Window>,
    contents: Vec<u8>,
    /// Records to be copied: jobs, order numbers, bytes in `bytes`.
    picked: Vec<(u64, u64, usize)>,
    bytes: Vec<u8>,
    /// How often the block at `offset` could not be read.
    tries: u32,
    /// Where the next block begins is not known: it is looked for.
    seeking: bool,
    /// Order numbers: of the first record of the block where copying is, and of the last one that was read in this
    /// segment, if they are known.
    first_order: Option<u64>,
    last_order: Option<u64>,
    /// Emptying segments freed nothing when jobs took so many bytes.
    pub(super) futile: Option<u64>,
    /// For want of room: the newest segment when it began.
    pub(super) round: Option<u32>,
    /// Bytes that the segments took which have gone since, and that the copies of their jobs take.
    pub(super) freed: u64,
    pub(super) copied: u64,
}

/// What is read: the disk, and what is known of the jobs that stand there.
#[derive(Debug)]
pub(super) struct Source<'a, D> {
    pub(super) disk: &'a mut D,
    /// Which log it is.
    pub(super) log: u32,
    pub(super) live: &'a Live,
    /// Attempts that jobs have lost since their last put.
    pub(super) attempts: &'a HashMap<u64, u8>,
    pub(super) bug: Bug,
}

/// Jobs with their order numbers and the lengths of their records, and the records one behind the other.
pub(super) type Picked = (Vec<(u64, u64, usize)>, Vec<u8>);

impl Copying {
    /// Goes on in this segment, or begins with it.
    pub(super) fn begin(&mut self, segment: u32) {
        if self.segment != segment {
            self.segment = segment;
            self.offset = PAGE as u64;
            self.window = None;
            self.last_order = None;
            (self.tries, self.seeking) = (0, false);
        }
    }

    /// Whether the segment, which ends there, was read as a whole.
    pub(super) fn is_through(&self, end: u64) -> bool {
        self.offset >= end
    }

    /// What was picked is to be written; the buffers come back with [`Copying::wrote`].
    pub(super) fn take_picked(&mut self) -> Picked {
        (std::mem::take(&mut self.picked), std::mem::take(&mut self.bytes))
    }

    /// What was picked is written, or some of it. Then it is picked from the segment's beginning, if it is tried again: what was
    /// copied does not stand there any more.
    pub(super) fn wrote(&mut self, (picked, bytes): Picked, all: bool) {
        self.picked = picked;
        self.bytes = bytes;
        if !all {
            self.segment = 0;
        }
        self.bytes.shrink_to(2 * BLOCK_MAX as usize);
        self.contents.shrink_to(2 * BLOCK_MAX as usize);
    }

    /// The segment is done with.
    pub(super) fn end(&mut self) {
        self.segment = 0;
        self.window = None;
    }

    /// Reads blocks, until there is enough to write or the segment ends, and picks what is kept there.
    pub(super) fn pick<D: Disk>(
        &mut self,
        oldest: LogSegment,
        from: &mut Source<'_, D>,
        damage: &mut Damage,
    ) {
        self.picked.clear();
        self.bytes.clear();
        let begin = self.offset;
        while self.offset < oldest.end
            && self.offset - begin < BLOCK_MAX
            && (self.bytes.len() as u64) < BLOCK_MAX / 2
        {
            let at = self.offset;
            let picked = self.picked.len();
            let length = match self.pick_block(oldest, from) {
                Ok(length) => {
                    (self.tries, self.seeking) = (0, false);
                    damage.passed(self.first_order);
                    length
                }
                Err(_) if self.seeking => PAGE as u64,
                // It may be read the next time.
                Err(_) if self.tries + 1 < TRIES => {
                    self.tries += 1;
                    self.window = None;
                    0
                }
                Err((error, length)) => {
                    self.tries = 0;
                    self.seeking = length.is_none();
                    let order = self.first_order.or(self.last_order);
                    damage.found(from.disk, oldest.number, at, order, &error);
                    length.unwrap_or(PAGE as u64)
                }
            };
            if length == 0 {
                // What was picked of it is picked again.
                let kept: usize = self.picked[..picked].iter().map(|&(.., length)| length).sum();
                self.picked.truncate(picked);
                self.bytes.truncate(kept);
            }
            self.offset += length;
        }
    }

    /// Picks what is kept of the block where copying is; returns how long the block is. An error comes with that length
    /// if the block's beginning is whole.
    fn pick_block<D: Disk>(
        &mut self,
        oldest: LogSegment,
        from: &mut Source<'_, D>,
    ) -> Result<u64, (StoreError, Option<u64>)> {
        let LogSegment { number, size, end, .. } = oldest;
        let Copying { offset, window, contents, picked, bytes, first_order, last_order, .. } = self;
        let disk = &mut *from.disk;
        let Source { live, attempts, bug, .. } = *from;
        *first_order = None;
        let window = window.get_or_insert_with(|| Window::new(segment_name(number), size));
        let (at, home) = (*offset, Home { log: from.log, segment: number });
        let unreadable =
            |disk: &D, name: &str, at| corrupt(disk, name, at, "a block cannot be read any more");
        let sector = window.get(disk, at, SECTOR).map_err(|error| (error, None))?;
        let BlockHead::Block { header, copies } = block::head(sector, at, end, home, Bug::NONE) else {
            return Err((unreadable(disk, window.name(), at), None));
        };
        *first_order = (!copies).then_some(header.order);
        let length = header.on_disk();
        let whole = window.get(disk, at, length as usize).map_err(|error| (error, Some(length)))?;
        if block::body(whole, at, home, Bug::NONE) != BlockBody::Whole {
            return Err((unreadable(disk, window.name(), at), Some(length)));
        }
        block::contents(whole, &header, contents);
        let mut order = header.order;
        let read = recover::records(contents, copies, |record, whole, copied, distance| {
            let this = copied.unwrap_or(order);
            order += 1;
            *last_order = Some(this);
            first_order.get_or_insert(this);
            if let Record::Put(job) = record {
                let id = job.id.number();
                let here = |place: super::live::Location| {
                    place.segment == number as u16 && u64::from(place.at) == at + distance
                };
                let dropped = bug.is(PlantedBug::DropUnsound) && job.sound().is_err();
                if live.get(id).is_some_and(here) && !dropped {
                    let begin = bytes.len();
                    if bug.is(PlantedBug::LoseEpoch) {
                        record::put(&StoredJob { epoch: None, ..job }, bytes);
                    } else {
                        bytes.extend_from_slice(whole);
                    }
                    if let Some(&lost) = attempts.get(&id) {
                        // What says so may go before the copy does.
                        record::set_attempts(&mut bytes[begin..], lost);
                    }
                    picked.push((id, this, bytes.len() - begin));
                }
            }
            Ok::<(), ()>(())
        });
        match read {
            Ok(_) | Err(RecordsError::Each(())) => Ok(length),
            Err(RecordsError::Record(distance, error)) => {
                Err((corrupt(disk, window.name(), at + distance, error.to_string()), Some(length)))
            }
        }
    }
}
