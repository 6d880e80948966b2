//! Repairing a segment that cannot be read any more while the server runs: the shards have every job in memory, and put
//! again what only stands where the damage is. Then nothing in the segment is needed, and its file is moved aside. Which
//! jobs these are is known without reading. How far a segment can be read is found out in `compact.rs`, when it is the
//! oldest: a start reads everything and refuses what is damaged.
use super::disk::Disk;
use super::live::{Place, TABLES};
use super::planted::Planted;
use super::recover;
use super::segments::Segments;
use super::window::{aside_name, aside_number, failed, segment_name};
use crate::engine::JobId;
use crate::log_at;
use crate::logging::Level;
use crate::store::record::{Kind, Span};
use crate::store::{Repaired, StoreError};
use std::time::Duration;

/// Jobs, and bytes of them, that are asked for at a time: what shards put, and what one commit takes.
const ASK: usize = 128;
const ASK_BYTES: u64 = 1 << 20;
/// Jobs that are looked at in a row to find some that stand there: a millisecond.
const LOOK: usize = 100_000;
/// What was asked for and has not come is asked for again.
const PATIENCE: Duration = Duration::from_secs(5);
/// Files that were moved aside and are kept.
const ASIDE: usize = 4;

/// What is damaged, and what is done about it.
#[derive(Debug, Default)]
pub(super) struct Repair {
    /// The oldest segment, when everything that can be read was copied.
    segment: Option<u32>,
    /// The last segments in which damage was found.
    damaged: Option<u32>,
    /// Where it was found in the oldest segment, and the order number of a record there, or of one nearby.
    places: Vec<(u64, Option<u64>)>,
    /// Jobs that stand there and are yet to be asked for, and which table of jobs was looked through last.
    left: Vec<(u64, Place)>,
    table: usize,
    /// Jobs that are asked for, and since when.
    asked: Vec<u64>,
    asked_at: Duration,
    /// How many jobs were put again, and lost, in this segment.
    again: u64,
    lost: u64,
    done: Repaired,
}

impl Repair {
    /// Whether damage was found in this segment.
    pub(super) fn is_damaged(&self, segment: u32) -> bool {
        self.damaged == Some(segment)
    }

    /// A block was read that begins with this order number.
    pub(super) fn passed(&mut self, order: Option<u64>) {
        if let Some((_, before @ None)) = self.places.last_mut() {
            *before = order;
        }
    }
}

impl<D: Disk> Segments<D> {
    /// A piece of the oldest segment cannot be read, and not because the disk was busy with something else.
    pub(super) fn found_damage(&mut self, segment: u32, at: u64, order: Option<u64>, error: &StoreError) {
        if self.repair.damaged != Some(segment) {
            self.repair.damaged = Some(segment);
            self.repair.places.clear();
            (self.repair.again, self.repair.lost) = (0, 0);
            let path = self.disk.path(&segment_name(segment));
            let path = path.display();
            log_at!(
                Level::Alert,
                "{path} cannot be read at byte {at}: {error}; jobs that stand there are written again from memory"
            );
        }
        self.repair.places.push((at, order));
    }

    /// Everything of the oldest segment was copied that could be read, and something is left.
    pub(super) fn begin_repair(&mut self, segment: u32) {
        let Repair { places, damaged, done, .. } = std::mem::take(&mut self.repair);
        // Without a place, it is not what was written.
        let places = if damaged == Some(segment) { places } else { Vec::new() };
        self.repair =
            Repair { segment: Some(segment), damaged: Some(segment), places, done, ..Repair::default() };
        if self.options.bug().is(Planted::ForgetUnread) {
            for table in 0..TABLES {
                self.live.in_segment(table, segment as u16, &mut self.repair.left);
            }
            for (id, place) in std::mem::take(&mut self.repair.left) {
                self.forget(id, place);
            }
        }
    }

    /// Whether jobs are to be put again.
    pub(super) fn repairs(&self) -> bool {
        self.repair.segment.is_some()
    }

    fn stands_in_damage(&self, id: u64) -> Option<Place> {
        let segment = self.repair.segment?;
        self.live.get(id).filter(|place| place.segment == segment as u16)
    }

    fn forget(&mut self, id: u64, place: Place) {
        if self.live.remove(id).is_some() {
            self.live_bytes -= place.size.bytes();
            recover::release(&mut self.segments, place);
        }
    }

    /// See [`crate::store::Store::wanted`].
    pub(super) fn wanted(&mut self) -> Vec<JobId> {
        let Some(segment) = self.repair.segment.filter(|_| !self.sealed) else { return Vec::new() };
        let now = self.disk.now();
        let mut asked = std::mem::take(&mut self.repair.asked);
        asked.retain(|&id| self.stands_in_damage(id).is_some());
        if !asked.is_empty() && now.saturating_sub(self.repair.asked_at) < PATIENCE {
            self.repair.asked = asked;
            return Vec::new();
        }
        let (mut bytes, mut looked, mut tables) = (0, 0, 0);
        while asked.len() < ASK && bytes < ASK_BYTES {
            match self.repair.left.pop() {
                Some((id, _)) => {
                    if let Some(place) = self.stands_in_damage(id)
                        && !asked.contains(&id)
                    {
                        bytes += place.size.bytes();
                        asked.push(id);
                    }
                }
                None if looked < LOOK && tables < TABLES => {
                    tables += 1;
                    looked += self.live.in_segment(self.repair.table, segment as u16, &mut self.repair.left);
                    self.repair.table = (self.repair.table + 1) % TABLES;
                }
                None => break,
            }
        }
        self.repair.asked_at = now;
        self.repair.asked = asked;
        self.repair.asked.iter().filter_map(|&id| JobId::from_number(id)).collect()
    }

    /// Writes the jobs of a commit that stand where the damage is as copies, which keep their place in the order of all
    /// jobs and may use what is kept free for copying, and takes them out of it. What there is no room for stays.
    pub(super) fn put_again(&mut self, slices: &[&[u8]], items: &mut Vec<Span>) {
        let (mut picked, mut bytes) = (Vec::new(), Vec::new());
        let mut costs = Vec::new();
        for item in items.iter().filter(|item| item.head.kind == Kind::Put) {
            let Some(place) = self.stands_in_damage(item.head.id) else { continue };
            let known = self.repair.places.iter().rev().find(|&&(at, _)| at <= place.at.into());
            let order = known.and_then(|&(_, order)| order).unwrap_or(0);
            picked.push((item.head.id, order, item.head.length));
            item.parts(slices).iter().for_each(|part| bytes.extend_from_slice(part));
            costs.push(*item);
        }
        let planted = self.options.bug().is(Planted::RepairAtEnd);
        if picked.is_empty() || planted || self.room_for_dones(self.cost(&costs)).is_err() {
            return;
        }
        let mut written = picked.len();
        if self.write_copies(&picked, &bytes).is_err() {
            // Those that were written do not stand there any more.
            written = picked.iter().take_while(|&&(id, ..)| self.stands_in_damage(id).is_none()).count();
        }
        picked.truncate(written);
        self.repair.again += written as u64;
        items.retain(|item| {
            !(item.head.kind == Kind::Put && picked.iter().any(|&(id, ..)| id == item.head.id))
        });
    }

    /// See [`crate::store::Store::unknown`].
    pub(super) fn unknown(&mut self, jobs: &[JobId]) {
        for &job in jobs {
            if let Some(place) = self.stands_in_damage(job.number()) {
                self.forget(job.number(), place);
                self.repair.lost += 1;
                self.repair.done.lost.push(job);
            }
        }
    }

    /// Ends the repair if nothing is left to be put again.
    pub(super) fn end_repair(&mut self) {
        let Some(segment) = self.repair.segment else { return };
        if self.segments.front().is_some_and(|oldest| oldest.number == segment && oldest.live > 0) {
            return;
        }
        self.repair.segment = None;
    }

    /// What was repaired since the last call.
    pub(super) fn repaired(&mut self) -> Repaired {
        std::mem::take(&mut self.repair.done)
    }

    /// Takes the file of a damaged segment out of the log. It is not used again, and while it is there nobody else uses
    /// these sectors; the oldest of too many goes.
    pub(super) fn move_aside(&mut self, segment: u32) -> Result<(), StoreError> {
        let (name, aside) = (segment_name(segment), aside_name(segment));
        if let Err(error) = self.disk.rename(&name, &aside) {
            self.sealed = true;
            return Err(failed(&self.disk, "rename", &name, error));
        }
        self.sync_dir(&name)?;
        let Repair { again, lost, .. } = self.repair;
        let (path, to) = (self.disk.path(&name), self.disk.path(&aside));
        let (path, to) = (path.display(), to.display());
        log_at!(
            Level::Alert,
            "{path} is not needed any more: {again} jobs were written again from memory, {lost} are lost; it is {to} now, \
             which may be removed"
        );
        self.repair.done.pieces += 1;
        let files = self.disk.list().unwrap_or_default();
        let mut numbers: Vec<u32> = files.iter().filter_map(|(name, _)| aside_number(name)).collect();
        numbers.sort_unstable();
        for &number in numbers.iter().rev().skip(ASIDE) {
            // It is in nobody's way if it stays.
            let _ = self.disk.remove(&aside_name(number));
        }
        Ok(())
    }
}
