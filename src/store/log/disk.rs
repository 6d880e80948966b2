//! What the log needs of a file system, as a trait, so that the shipped code also runs over a simulated disk. Files of one
//! directory, by name. What the log decides is not here; the real thing is `files.rs`.
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// A directory of files. Offsets and lengths of reads and writes are multiples of 4096, and so are the buffers'
/// addresses. Nothing is durable before [`Disk::sync`] (contents) or [`Disk::sync_dir`] (names) has succeeded.
pub trait Disk: Send {
    /// Makes sure that nobody else uses the directory, now and until this value is dropped. False if somebody does.
    fn lock(&mut self) -> io::Result<bool>;

    /// The files with their lengths in bytes, in any order.
    fn list(&mut self) -> io::Result<Vec<(String, u64)>>;

    /// Makes an empty file, or empties the one that has this name.
    fn create(&mut self, name: &str) -> io::Result<()>;

    /// Gives an empty file, or one that is shorter, this length, durably: what is new of it reads as zeros, and its space is the
    /// file's own, though nothing is written. False if that cannot be had here.
    fn allocate(&mut self, name: &str, length: u64) -> io::Result<bool>;

    /// Reads from `offset`; returns how much, 0 at the end of the file.
    fn read_at(&mut self, name: &str, offset: u64, bytes: &mut [u8]) -> io::Result<usize>;

    /// Writes at `offset`; returns how much, which may be less than asked for.
    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<usize>;

    /// Makes durable what was written to the file. After a failure nobody knows what is durable.
    fn sync(&mut self, name: &str) -> io::Result<()>;

    /// Gives a file another name, and takes it from whatever had it.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&mut self, name: &str) -> io::Result<()>;

    /// Makes durable which files there are, and their names.
    fn sync_dir(&mut self) -> io::Result<()>;

    /// What messages call a file.
    fn path(&self, name: &str) -> PathBuf;

    /// Time since some start.
    fn now(&mut self) -> Duration;

    /// Any number, another one each time.
    fn random(&mut self) -> u64;
}
