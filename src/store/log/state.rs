//! The file `state`: which log this is, and whether its end is known. What is in the segments is not here.
use super::aligned::Aligned;
use super::disk::Disk;
use super::sector::PAGE;
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
}

/// Reads the file; `None` if there is none.
pub(super) fn read<D: Disk>(disk: &mut D, files: &[(String, u64)]) -> Result<Option<State>, StoreError> {
    let Some(&(_, size)) = files.iter().find(|(name, _)| name == NAME) else {
        return Ok(None);
    };
    if size != PAGE as u64 {
        return Err(corrupt(disk, NAME, size.min(PAGE as u64), "its length is wrong"));
    }
    let mut window = Window::new(NAME.to_owned(), size);
    let bytes = window.get(disk, 0, PAGE)?.to_vec();
    version(disk, NAME, &bytes)?;
    let short = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    if short(PAGE - 4) != crc32c::crc32c(&bytes[..PAGE - 4]) {
        return Err(corrupt(disk, NAME, 0, "its checksum is wrong"));
    }
    let last = u64::from(short(28)) | u64::from(short(32)) << 32;
    Ok(Some(State { log: short(20), closed: short(24) == 1, last }))
}

/// Says whether `bytes` begin as a file of this version does.
pub(super) fn version<D: Disk>(disk: &D, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
    if bytes[..16] != *MAGIC {
        return Err(corrupt(disk, name, 0, "it does not begin as a file of a log does"));
    }
    let version = u32::from_le_bytes([bytes[16], bytes[17], bytes[18], bytes[19]]);
    if version != VERSION {
        let found = format!("its version is {version}, this one reads {VERSION}");
        return Err(StoreError::Version { path: disk.path(name), found });
    }
    Ok(())
}

/// Replaces the file, durably.
pub(super) fn write<D: Disk>(disk: &mut D, state: State) -> Result<(), StoreError> {
    let mut bytes = Aligned::new(PAGE);
    bytes[..16].copy_from_slice(MAGIC);
    bytes[16..20].copy_from_slice(&VERSION.to_le_bytes());
    bytes[20..24].copy_from_slice(&state.log.to_le_bytes());
    bytes[24..28].copy_from_slice(&u32::from(state.closed).to_le_bytes());
    bytes[28..36].copy_from_slice(&state.last.to_le_bytes());
    let checksum = crc32c::crc32c(&bytes[..PAGE - 4]);
    bytes[PAGE - 4..].copy_from_slice(&checksum.to_le_bytes());
    disk.create(NEW).map_err(|error| failed(disk, "create", NEW, error))?;
    write_all(disk, NEW, 0, &bytes)?;
    disk.sync(NEW).map_err(|error| failed(disk, "sync", NEW, error))?;
    disk.rename(NEW, NAME).map_err(|error| failed(disk, "rename", NEW, error))?;
    disk.sync_dir().map_err(|error| failed(disk, "sync the directory of", NAME, error))
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
