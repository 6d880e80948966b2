//! Repairing a segment that cannot be read any more while the server runs: the shards have every job in memory, and put
//! again what only stands where the damage is. Then nothing in the segment is needed, and its file is moved aside. Which
//! jobs these are is known without reading. How far a segment can be read is found out in `compact.rs`, when it is the
//! oldest: a start reads everything and refuses what is damaged.
use super::damage::Damage;
use super::disk::Disk;
use super::live::{Location, TABLES};
use super::planted::PlantedBug;
use super::recover;
use super::segments::Segments;
use super::window::{aside_name, aside_number, failed, segment_name};
use crate::engine::JobId;
use crate::log_at;
use crate::logging::Level;
use crate::store::record::{RecordKind, Span};
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

impl<D: Disk> Segments<D> {
    /// Everything of the oldest segment was copied that could be read, and something is left.
    pub(super) fn begin_repair(&mut self, segment: u32) {
        let Damage { places, damaged, done, .. } = std::mem::take(&mut self.damage);
        // Without a place, it is not what was written.
        let places = if damaged == Some(segment) { places } else { Vec::new() };
        self.damage =
            Damage { segment: Some(segment), damaged: Some(segment), places, done, ..Damage::default() };
        if self.options.bug().is(PlantedBug::ForgetUnread) {
            for table in 0..TABLES {
                self.live.in_segment(table, segment as u16, &mut self.damage.left);
            }
            for (id, place) in std::mem::take(&mut self.damage.left) {
                self.forget(id, place);
            }
        }
    }

    /// Whether jobs are to be put again.
    pub(super) fn repairs(&self) -> bool {
        self.damage.segment.is_some()
    }

    fn stands_in_damage(&self, id: u64) -> Option<Location> {
        let segment = self.damage.segment?;
        self.live.get(id).filter(|place| place.segment == segment as u16)
    }

    fn forget(&mut self, id: u64, place: Location) {
        if self.live.remove(id).is_some() {
            self.live_bytes -= place.size.bytes();
            recover::release(&mut self.segments, place);
        }
    }

    /// See [`crate::store::Store::wanted`].
    pub(super) fn wanted(&mut self) -> Vec<JobId> {
        let Some(segment) = self.damage.segment.filter(|_| !self.sealed) else { return Vec::new() };
        let now = self.disk.now();
        let mut asked = std::mem::take(&mut self.damage.asked);
        asked.retain(|&id| self.stands_in_damage(id).is_some());
        if !asked.is_empty() && now.saturating_sub(self.damage.asked_at) < PATIENCE {
            self.damage.asked = asked;
            return Vec::new();
        }
        let (mut bytes, mut looked, mut tables) = (0, 0, 0);
        while asked.len() < ASK && bytes < ASK_BYTES {
            match self.damage.left.pop() {
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
                    looked += self.live.in_segment(self.damage.table, segment as u16, &mut self.damage.left);
                    self.damage.table = (self.damage.table + 1) % TABLES;
                }
                None => break,
            }
        }
        self.damage.asked_at = now;
        self.damage.asked = asked;
        self.damage.asked.iter().filter_map(|&id| JobId::from_number(id)).collect()
    }

    /// Writes the jobs of a commit that stand where the damage is as copies, which keep their place in the order of all
    /// jobs and may use what is kept free for copying, and takes them out of it. What there is no room for stays.
    pub(super) fn put_again(&mut self, slices: &[&[u8]], items: &mut Vec<Span>) {
        let (mut picked, mut bytes) = (Vec::new(), Vec::new());
        let mut costs = Vec::new();
        for item in items.iter().filter(|item| item.head.kind == RecordKind::Put) {
            let Some(place) = self.stands_in_damage(item.head.id) else { continue };
            let known = self.damage.places.iter().rev().find(|&&(at, _)| at <= place.at.into());
            let order = known.and_then(|&(_, order)| order).unwrap_or(0);
            picked.push((item.head.id, order, item.head.length));
            item.parts(slices).iter().for_each(|part| bytes.extend_from_slice(part));
            costs.push(*item);
        }
        let planted = self.options.bug().is(PlantedBug::RepairAtEnd);
        if picked.is_empty() || planted || self.room_for_dones(self.cost(&costs)).is_err() {
            return;
        }
        let mut written = picked.len();
        if self.write_copies(&picked, &bytes).is_err() {
            // Those that were written do not stand there any more.
            written = picked.iter().take_while(|&&(id, ..)| self.stands_in_damage(id).is_none()).count();
        }
        picked.truncate(written);
        self.damage.again += written as u64;
        items.retain(|item| {
            !(item.head.kind == RecordKind::Put && picked.iter().any(|&(id, ..)| id == item.head.id))
        });
    }

    /// See [`crate::store::Store::unknown`].
    pub(super) fn unknown(&mut self, jobs: &[JobId]) {
        for &job in jobs {
            if let Some(place) = self.stands_in_damage(job.number()) {
                self.forget(job.number(), place);
                self.damage.lost += 1;
                self.damage.done.lost.push(job);
            }
        }
    }

    /// Ends the repair if nothing is left to be put again.
    pub(super) fn end_repair(&mut self) {
        let Some(segment) = self.damage.segment else { return };
        if self.segments.front().is_some_and(|oldest| oldest.number == segment && oldest.live > 0) {
            return;
        }
        self.damage.segment = None;
    }

    /// What was repaired since the last call.
    pub(super) fn repaired(&mut self) -> Repaired {
        std::mem::take(&mut self.damage.done)
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
        let Damage { again, lost, .. } = self.damage;
        let (path, to) = (self.disk.path(&name), self.disk.path(&aside));
        let (path, to) = (path.display(), to.display());
        log_at!(
            Level::Alert,
            "{path} is not needed any more: {again} jobs were written again from memory, {lost} are lost; it is {to} now, \
             which may be removed"
        );
        self.damage.done.pieces += 1;
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
