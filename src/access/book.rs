//! The list that counts now, and how it is read again: shards look it up when somebody comes, and look at all who are there when it is
//! another one.
use super::door::Door;
use super::error::AccessError;
use super::file::{self, FILE_MAX};
use super::granted::Granted;
use super::list::AccessList;
use super::options::AccessOptions;
use super::selector::UserNames;
use crate::engine::{Rights, Subject};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// The rights of everybody, for all shards.
#[derive(Debug)]
pub struct AccessBook {
    options: AccessOptions,
    /// `None` without a file.
    list: RwLock<Option<Arc<AccessList>>>,
    /// Counts the lists, from 1.
    edition: AtomicU64,
}

impl AccessBook {
    /// Reads the file, if there is to be one.
    pub fn open(options: AccessOptions) -> Result<AccessBook, AccessError> {
        let list = options.file.as_deref().map(load).transpose()?;
        Ok(AccessBook { options, list: RwLock::new(list), edition: AtomicU64::new(1) })
    }

    /// Reads the file again. After an error everything stays as it was. How many entries there are; `None` without a file.
    pub fn renew(&self) -> Result<Option<usize>, AccessError> {
        let Some(file) = &self.options.file else { return Ok(None) };
        let list = load(file)?;
        let entries = list.entries.len();
        *self.list.write().unwrap_or_else(PoisonError::into_inner) = Some(list);
        self.edition.fetch_add(1, Ordering::Release);
        Ok(Some(entries))
    }

    /// Which list counts: another number, another list. To be looked at before the list itself.
    #[inline]
    pub(crate) fn edition(&self) -> u64 {
        self.edition.load(Ordering::Acquire)
    }

    /// Whether a file says who may do what.
    pub fn has_list(&self) -> bool {
        self.options.file.is_some()
    }

    /// Whether there is something that somebody who came in by one of these doors may not do: by a list, or by what a door is for.
    pub fn holds_back(&self, mut doors: impl Iterator<Item = Door>) -> bool {
        self.has_list() || doors.any(|door| !door.is_open(self.options.admin_lines))
    }

    /// What somebody may do now who came in by this door.
    pub(crate) fn rights(&self, subject: &Subject, door: Door) -> Rights {
        let lines = self.options.admin_lines;
        match &*self.list.read().unwrap_or_else(PoisonError::into_inner) {
            Some(list) => list.rights(subject, door, lines),
            None if door.is_open(lines) => Rights::ALL,
            None => Rights::of(Arc::new(Granted { door, lines, entries: None })),
        }
    }

    /// The answer to `acl list`; `None` without a file.
    pub(crate) fn told(&self) -> Option<String> {
        let list = self.list.read().unwrap_or_else(PoisonError::into_inner).clone();
        list.map(|list| list.told())
    }
}

fn load(path: &Path) -> Result<Arc<AccessList>, AccessError> {
    let wrong = |line, what| AccessError { file: path.to_owned(), line, what };
    let unread = |error: io::Error| {
        wrong(None, format!("cannot be read: {error}; name a file that the server's user can read, or none"))
    };
    let mut text = Vec::new();
    File::open(path).map_err(unread)?.take(FILE_MAX as u64 + 1).read_to_end(&mut text).map_err(unread)?;
    if text.len() > FILE_MAX {
        return Err(wrong(
            None,
            format!("has more than {FILE_MAX} bytes; write fewer entries, for more subjects each"),
        ));
    }
    let list = file::read(&text, UserNames::of_machine());
    list.map(Arc::new).map_err(|error| wrong(Some(error.line), error.what))
}

/// For `tests/fuzz`: whatever the bytes are, they are a list or one error.
#[doc(hidden)]
pub fn fuzz(text: &[u8]) {
    let names = UserNames { user: |name| name.len().try_into().ok(), group: |_| None };
    match file::read(text, names) {
        Ok(list) => {
            let lines = list.told().lines().count();
            assert_eq!(lines, list.entries.len() + 1, "a line for each entry");
        }
        Err(wrong) => assert!(wrong.line > 0 && !wrong.what.contains('\n'), "{wrong:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::AdminLines;
    use crate::engine::Right;

    #[test]
    fn a_bad_file_leaves_the_old_list() {
        let folder = std::env::temp_dir().join(format!("ringgear-access-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("acl");
        let options = AccessOptions { file: Some(file.clone()), admin_lines: AdminLines::All };
        let error = AccessBook::open(options.clone()).unwrap_err();
        assert!(error.to_string().contains("acl: cannot be read: No such file"), "{error}");
        std::fs::write(&file, "[*]\nsubmit=a\n").unwrap();
        let book = AccessBook::open(options).unwrap();
        let somebody = Subject::at([127, 0, 0, 1].into());
        let may = |function: &[u8]| book.rights(&somebody, Door::Jobs).covers(Right::Submit, function);
        assert!(may(b"a") && !may(b"b") && book.edition() == 1);
        std::fs::write(&file, "[*]\nsubmit=b\nsubmit=c\n").unwrap();
        let error = book.renew().unwrap_err();
        assert_eq!((error.file.as_path(), error.line), (file.as_path(), Some(3)));
        assert!(may(b"a") && !may(b"b") && book.edition() == 1);
        std::fs::write(&file, "[*]\nsubmit=b\n").unwrap();
        assert_eq!(book.renew(), Ok(Some(1)));
        assert!(!may(b"a") && may(b"b") && book.edition() == 2);
        std::fs::write(&file, vec![b'#'; FILE_MAX + 1]).unwrap();
        assert_eq!(book.renew().unwrap_err().line, None);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn without_a_file_doors_alone_say_what_may_be() {
        let options = AccessOptions { file: None, admin_lines: AdminLines::None };
        let book = AccessBook::open(options).unwrap();
        let somebody = Subject::at([127, 0, 0, 1].into());
        let jobs = book.rights(&somebody, Door::Jobs);
        assert!(jobs.covers(Right::Submit, b"x") && !jobs.has(Right::Read) && book.told().is_none());
        assert!(book.rights(&somebody, Door::Admin).has(Right::Admin));
        assert!(book.holds_back([Door::Jobs].into_iter()));
        let open = AccessBook::open(AccessOptions::default()).unwrap();
        assert!(!open.holds_back([Door::Jobs].into_iter()));
        assert!(open.holds_back([Door::Jobs, Door::ReadOnly].into_iter()));
        assert_eq!(open.rights(&somebody, Door::Jobs), Rights::ALL);
        assert!((open.renew(), open.has_list()) == (Ok(None), false));
    }
}
