//! The file `state`: which log this is, and whether its end is known. What is in the segments is not here.
use super::aligned::Aligned;
use super::disk::Disk;
use super::sector::{PAGE, SECTOR};
use super::window::{Window, corrupt, failed};
use crate::store::StoreError;
use std::io;

/// The version of everything in the directory.
pub(super) const VERSION: u32 = 1;
/// Its name.
pub(super) const NAME: &str = "state";
/// Its name while it is written.
pub(super) const NEW: &str = "state.new";
/// How it begins.
pub(super) const MAGIC: &[u8; 16] = b"ringgear log \0\0\0";

/// How often a write in a row may fail to finish a page.
const STUCK_MAX: u32 = 16;

/// What it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// The log: a random number made with it.
    pub(super) log: u32,
    /// Whether the log was closed in order: then it ends with block `last`. Otherwise it goes at least so far.
    pub(super) closed: bool,
    /// A block.
    pub(super) last: u64,
    /// Counts the changes of the file. They are written to its two pages in turn, so that one is always whole.
    pub(super) turn: u64,
}

/// Reads the file; `None` if there is none.
pub(super) fn read<D: Disk>(disk: &mut D, files: &[(String, u64)]) -> Result<Option<State>, StoreError> {
    let Some(&(_, size)) = files.iter().find(|(name, _)| name == NAME) else {
        return Ok(None);
    };
    if size != 2 * PAGE as u64 {
        return Err(corrupt(disk, NAME, size.min(2 * PAGE as u64), "its length is wrong"));
    }
    let mut window = Window::new(NAME.to_owned(), size);
    let bytes = window.get(disk, 0, 2 * PAGE)?.to_vec();
    let mut newest: Option<State> = None;
    for (slot, page) in bytes.chunks_exact(PAGE).enumerate() {
        let at = (slot * PAGE) as u64;
        let short = |at: usize| u32::from_le_bytes([page[at], page[at + 1], page[at + 2], page[at + 3]]);
        let long = |at: usize| u64::from(short(at)) | u64::from(short(at + 4)) << 32;
        version(disk, NAME, at, page)?;
        let padded = page[SECTOR..].iter().all(|&byte| byte == 0);
        if !padded || short(SECTOR - 4) != checksum(slot as u64, page) {
            return Err(corrupt(disk, NAME, at, "a checksum is wrong"));
        }
        let state = State { log: short(20), closed: short(24) == 1, last: long(28), turn: long(36) };
        if state.turn % 2 != slot as u64 || newest.is_some_and(|newest| newest.log != state.log) {
            return Err(corrupt(disk, NAME, at, "its halves do not belong together"));
        }
        newest = newest.filter(|newest| newest.turn > state.turn).or(Some(state));
    }
    Ok(newest)
}

/// The place is part of it.
fn checksum(slot: u64, page: &[u8]) -> u32 {
    crc32c::crc32c_append(slot as u32, &page[..SECTOR - 4])
}

fn page(state: &State) -> Aligned {
    let mut page = Aligned::new(PAGE);
    page[..16].copy_from_slice(MAGIC);
    page[16..20].copy_from_slice(&VERSION.to_le_bytes());
    page[20..24].copy_from_slice(&state.log.to_le_bytes());
    page[24..28].copy_from_slice(&u32::from(state.closed).to_le_bytes());
    page[28..36].copy_from_slice(&state.last.to_le_bytes());
    page[36..44].copy_from_slice(&state.turn.to_le_bytes());
    let checksum = checksum(state.turn % 2, &page);
    page[SECTOR - 4..SECTOR].copy_from_slice(&checksum.to_le_bytes());
    page
}

/// Makes the file, durably.
pub(super) fn create<D: Disk>(disk: &mut D, state: State) -> Result<(), StoreError> {
    disk.create(NEW).map_err(|error| failed(disk, "create", NEW, error))?;
    for turn in [0, 1] {
        write_all(disk, NEW, turn * PAGE as u64, &page(&State { turn, ..state }))?;
    }
    disk.sync(NEW).map_err(|error| failed(disk, "sync", NEW, error))?;
    disk.rename(NEW, NAME).map_err(|error| failed(disk, "rename", NEW, error))?;
    disk.sync_dir().map_err(|error| failed(disk, "sync the directory of", NAME, error))
}

/// Changes the file, durably. `state.turn` is one more than it was.
pub(super) fn write<D: Disk>(disk: &mut D, state: State) -> Result<(), StoreError> {
    write_all(disk, NAME, state.turn % 2 * PAGE as u64, &page(&state))?;
    disk.sync(NAME).map_err(|error| failed(disk, "sync", NAME, error))
}

/// Says whether `bytes` begin as a file of this version does.
pub(super) fn version<D: Disk>(disk: &D, name: &str, at: u64, bytes: &[u8]) -> Result<(), StoreError> {
    if bytes[..16] != *MAGIC {
        return Err(corrupt(disk, name, at, "it does not begin as a file of a log does"));
    }
    let version = u32::from_le_bytes([bytes[16], bytes[17], bytes[18], bytes[19]]);
    if version != VERSION {
        let found = format!("its version is {version}, this one reads {VERSION}");
        return Err(StoreError::Version { path: disk.path(name), found });
    }
    Ok(())
}

/// Writes all of it, in as many writes as the disk wants.
pub(super) fn write_all<D: Disk>(
    disk: &mut D,
    name: &str,
    offset: u64,
    bytes: &[u8],
) -> Result<(), StoreError> {
    write_whole(disk, name, offset, bytes).map_err(|error| failed(disk, "write to", name, error))
}

/// The same, with the disk's own error.
pub(super) fn write_whole<D: Disk>(
    disk: &mut D,
    name: &str,
    mut offset: u64,
    mut bytes: &[u8],
) -> io::Result<()> {
    let mut stuck = 0;
    while !bytes.is_empty() {
        let written = disk.write_at(name, offset, bytes)?;
        // Direct writes go on at pages only; what was written of a page is written again.
        let whole = if written < bytes.len() { written - written % PAGE } else { bytes.len() };
        stuck = if whole == 0 { stuck + 1 } else { 0 };
        if written == 0 || stuck > STUCK_MAX {
            return Err(io::ErrorKind::WriteZero.into());
        }
        offset += whole as u64;
        bytes = &bytes[whole..];
    }
    Ok(())
}
