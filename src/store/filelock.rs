//! The lock on a file that says that a store is in use: one way to hold it and to let go of it, for all stores that are files.
use std::fs::{File, TryLockError};
use std::io;

/// A file that is locked against others (flock(2)), until this is dropped.
#[derive(Debug)]
pub(crate) struct FileLock(File);

impl FileLock {
    /// Locks this file, which others name, too. `None` if somebody else has it.
    pub(crate) fn of(file: File) -> io::Result<Option<FileLock>> {
        match file.try_lock() {
            Ok(()) => Ok(Some(FileLock(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl Drop for FileLock {
    /// By a word, and not by closing it: a child that has not become another program yet has a copy, and with that the lock.
    fn drop(&mut self) {
        // It is as good as gone: nobody closes it later than we end.
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::scratch::Scratch;

    #[test]
    fn who_has_a_copy_of_the_file_does_not_keep_the_lock() {
        let scratch = Scratch::new();
        let open =
            || File::options().write(true).create(true).truncate(false).open(scratch.path("lock")).unwrap();
        let file = open();
        let copy = file.try_clone().unwrap();
        let lock = FileLock::of(file).unwrap().unwrap();
        assert!(FileLock::of(open()).unwrap().is_none());
        drop(lock);
        assert!(FileLock::of(open()).unwrap().is_some());
        drop(copy);
    }
}
