//! The real disk: a directory of a Linux file system. Direct synced writes where the file system has them, else writes
//! through the page cache and `fdatasync`. Knows no log.
use super::disk::Disk;
use crate::store::filelock::FileLock;
use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The file whose lock says that the directory is in use.
const LOCK: &str = "lock";
/// The most files kept open. One is written at a time.
const OPEN_MAX: usize = 64;

/// How files are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// For reading only: nothing is made or changed.
    Read,
    /// Every write is durable when it returns, if the file system can.
    Durable,
    /// By way of the page cache.
    Cached,
}

/// A directory.
#[derive(Debug)]
pub struct Files {
    dir: PathBuf,
    access: Access,
    /// Whether O_DIRECT was refused: it will be again.
    cached: bool,
    open: HashMap<String, Handle>,
    lock: Option<FileLock>,
    started: Instant,
}

#[derive(Debug)]
struct Handle {
    file: File,
    direct: bool,
}

impl Files {
    /// The directory, which is made if it is to be written.
    pub(super) fn open(dir: &Path, access: Access) -> io::Result<Files> {
        if access != Access::Read {
            make_dir(dir)?;
        }
        // So that a wrong path is noticed here.
        fs::read_dir(dir)?;
        Ok(Files {
            dir: dir.to_owned(),
            access,
            cached: access != Access::Durable,
            open: HashMap::new(),
            lock: None,
            started: Instant::now(),
        })
    }

    /// Bytes that the log could have: what is free for us on the file system, and what it has already. `None` if the
    /// system does not say.
    pub(super) fn room(&self) -> Option<u64> {
        let system = rustix::fs::statvfs(&self.dir).ok()?;
        let files = std::fs::read_dir(&self.dir).ok()?.flatten();
        let used: u64 = files.filter_map(|file| Some(file.metadata().ok()?.len())).sum();
        Some(used + system.f_bavail * system.f_frsize)
    }

    fn handle(&mut self, name: &str) -> io::Result<&Handle> {
        if !self.open.contains_key(name) {
            if self.open.len() >= OPEN_MAX {
                self.open.clear();
            }
            let handle = self.opened(name)?;
            self.open.insert(name.to_owned(), handle);
        }
        self.open.get(name).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn opened(&mut self, name: &str) -> io::Result<Handle> {
        let path = self.dir.join(name);
        let mut options = OpenOptions::new();
        options.read(true).write(self.access != Access::Read);
        if !self.cached {
            match options.clone().custom_flags(libc::O_DIRECT | libc::O_DSYNC).open(&path) {
                Ok(file) => return Ok(Handle { file, direct: true }),
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => self.cached = true,
                Err(error) => return Err(error),
            }
        }
        Ok(Handle { file: options.open(path)?, direct: false })
    }

    /// Does it, and once more without O_DIRECT if that is what was refused. Nothing was written then.
    fn attempt(&mut self, name: &str, mut act: impl FnMut(&File) -> io::Result<usize>) -> io::Result<usize> {
        let handle = self.handle(name)?;
        match act(&handle.file) {
            Err(error) if handle.direct && error.raw_os_error() == Some(libc::EINVAL) => {
                self.cached = true;
                self.open.remove(name);
                act(&self.handle(name)?.file)
            }
            done => done,
        }
    }
}

/// Makes the directory and whatever is missing above it, durably.
fn make_dir(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let above = match dir.parent() {
        Some(above) if above.as_os_str().is_empty() => Path::new("."),
        Some(above) => above,
        None => return Err(io::ErrorKind::NotFound.into()),
    };
    make_dir(above)?;
    match fs::create_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    File::open(above)?.sync_all()
}

impl Disk for Files {
    fn lock(&mut self) -> io::Result<bool> {
        let path = self.dir.join(LOCK);
        let file = match self.access {
            Access::Read => match File::open(path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
                Err(error) => return Err(error),
            },
            _ => OpenOptions::new().write(true).create(true).truncate(false).open(path)?,
        };
        self.lock = FileLock::of(file)?;
        Ok(self.lock.is_some())
    }

    fn list(&mut self) -> io::Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            // A name that is not UTF-8 is not one of ours.
            if let Ok(name) = entry.file_name().into_string() {
                files.push((name, entry.metadata()?.len()));
            }
        }
        Ok(files)
    }

    fn create(&mut self, name: &str) -> io::Result<()> {
        self.open.remove(name);
        File::create(self.dir.join(name)).map(drop)
    }

    fn allocate(&mut self, name: &str, length: u64) -> io::Result<bool> {
        let file = &self.handle(name)?.file;
        match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, length) {
            Ok(()) => file.sync_all().map(|()| true),
            Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG | Errno::IO)) => Err(error.into()),
            // File systems that cannot, and filters of system calls: zeros do as well.
            Err(_) => Ok(false),
        }
    }

    fn read_at(&mut self, name: &str, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        self.attempt(name, |file| file.read_at(bytes, offset))
    }

    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.attempt(name, |file| file.write_at(bytes, offset))
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let handle = self.handle(name)?;
        // With O_DSYNC every write was durable when it returned.
        if handle.direct { Ok(()) } else { handle.file.sync_data() }
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.dir.join(from), self.dir.join(to))?;
        self.open.remove(to);
        if let Some(handle) = self.open.remove(from) {
            self.open.insert(to.to_owned(), handle);
        }
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.open.remove(name);
        fs::remove_file(self.dir.join(name))
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn now(&mut self) -> Duration {
        self.started.elapsed()
    }

    fn random(&mut self) -> u64 {
        RandomState::new().hash_one(self.dir.as_path())
    }
}
