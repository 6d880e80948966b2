//! What of the oldest segment cannot be read any more, and how far its repair is. How it is repaired is `repair.rs`.
use super::disk::Disk;
use super::live::Location;
use super::window::segment_name;
use crate::log_at;
use crate::logging::Level;
use crate::store::{Repaired, StoreError};
use std::time::Duration;

/// What is damaged, and what is done about it.
#[derive(Debug, Default)]
pub(super) struct Damage {
    /// The oldest segment, when everything that can be read was copied.
    pub(super) segment: Option<u32>,
    /// The last segments in which damage was found.
    pub(super) damaged: Option<u32>,
    /// Where it was found in the oldest segment, and the order number of a record there, or of one nearby.
    pub(super) places: Vec<(u64, Option<u64>)>,
    /// Jobs that stand there and are yet to be asked for, and which table of jobs was looked through last.
    pub(super) left: Vec<(u64, Location)>,
    pub(super) table: usize,
    /// Jobs that are asked for, and since when.
    pub(super) asked: Vec<u64>,
    pub(super) asked_at: Duration,
    /// How many jobs were put again, and lost, in this segment.
    pub(super) again: u64,
    pub(super) lost: u64,
    pub(super) done: Repaired,
}

impl Damage {
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

    /// A piece of the oldest segment cannot be read, and not because the disk was busy with something else.
    pub(super) fn found<D: Disk>(
        &mut self,
        disk: &D,
        segment: u32,
        at: u64,
        order: Option<u64>,
        error: &StoreError,
    ) {
        if self.damaged != Some(segment) {
            self.damaged = Some(segment);
            self.places.clear();
            (self.again, self.lost) = (0, 0);
            let path = disk.path(&segment_name(segment));
            let path = path.display();
            log_at!(
                Level::Alert,
                "{path} cannot be read at byte {at}: {error}; jobs that stand there are written again from memory"
            );
        }
        self.places.push((at, order));
    }
}
