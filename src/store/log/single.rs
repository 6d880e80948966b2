//! Reading records one by one, wherever they stand: the jobs of a log that was read, in the order in which they were
//! accepted, and those that a salvage has found. Where records stand is known; `recover.rs` and `tools.rs` find out.
use super::disk::Disk;
use super::live::Location;
use super::recover::{LogSegment, Recovered};
use super::sector::{ROOM, SECTOR};
use super::window::{Window, corrupt, segment_name, unusable};
use crate::engine::StoredJob;
use crate::store::StoreError;
use crate::store::record::{self, Record};
use std::collections::HashMap;

/// Files that are open at a time: each has a window of [`PIECE`] bytes, or as much as the longest record takes.
const WINDOWS: usize = 64;
const PIECE: u64 = 1 << 18;
/// A window that has grown beyond this is given back at once.
const GROWN: usize = 1 << 20;

/// Reads records of a few files at a time.
#[derive(Debug, Default)]
pub(super) struct Singles {
    windows: HashMap<u32, Window>,
    bytes: Vec<u8>,
}

impl Singles {
    /// The record that begins at byte `at` of a file; `file` is any number that tells it from others. `named` gives the
    /// file's name and length.
    pub(super) fn get<D: Disk>(
        &mut self,
        disk: &mut D,
        file: u32,
        named: impl FnOnce() -> (String, u64),
        at: u64,
    ) -> Result<&[u8], StoreError> {
        if !self.windows.contains_key(&file) && self.windows.len() >= WINDOWS {
            self.windows.clear();
        }
        let window = self.windows.entry(file).or_insert_with(|| {
            let (name, size) = named();
            Window::with_piece(name, size, PIECE)
        });
        self.bytes.clear();
        self.bytes.shrink_to(GROWN);
        gather(disk, window, at, record::HEADER, &mut self.bytes)?;
        let length = record::length(&self.bytes);
        let length = length.map_err(|error| corrupt(disk, window.name(), at, error.to_string()))?;
        let gathered = gather(disk, window, at, length, &mut self.bytes);
        if length > GROWN {
            self.windows.remove(&file);
        }
        gathered.map(|()| &self.bytes[..])
    }
}

/// Tells the jobs that were found.
pub(super) fn tell<D: Disk>(
    disk: &mut D,
    recovered: &Recovered,
    each: &mut dyn FnMut(StoredJob<'_>),
) -> Result<(), StoreError> {
    let mut singles = Singles::default();
    let first = recovered.segments.front().map_or(0, |segment| segment.number);
    for kept in &recovered.kept {
        let Location { segment, at, .. } = kept.place;
        // They stand in a row, and there are fewer than 65536.
        let index = usize::from(segment.wrapping_sub(first as u16));
        let Some(&LogSegment { number, size, .. }) = recovered.segments.get(index) else { continue };
        let name = || segment_name(number);
        let bytes = singles.get(disk, number, || (name(), size), at.into())?;
        match record::read(bytes) {
            Ok((Record::Put(job), _)) => {
                // Those of a dead job are in its put.
                let lost = recovered.attempts.get(&kept.id).filter(|_| job.death.is_none());
                each(StoredJob { attempts: lost.copied().unwrap_or(job.attempts), ..job });
            }
            Ok(_) => return Err(corrupt(disk, &name(), at.into(), "a put has become a done")),
            Err(error) => return Err(unusable(disk, &name(), at.into(), error)),
        }
    }
    Ok(())
}

/// Reads bytes of records, across sectors.
fn gather<D: Disk>(
    disk: &mut D,
    window: &mut Window,
    at: u64,
    length: usize,
    out: &mut Vec<u8>,
) -> Result<(), StoreError> {
    out.clear();
    let within = at as usize % SECTOR;
    let sectors = (within + length).div_ceil(ROOM).max(1) * SECTOR;
    let begin = at - within as u64;
    let size = window.size();
    let bytes = window.get(disk, begin, sectors.min(size.saturating_sub(begin) as usize))?;
    for (index, sector) in bytes.chunks_exact(SECTOR).enumerate() {
        let from = if index == 0 { within.min(ROOM) } else { 0 };
        let until = (from + length - out.len()).min(ROOM);
        out.extend_from_slice(&sector[from..until]);
    }
    Ok(())
}
