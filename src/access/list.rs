//! The list: what is granted to whom. How it is read is in `file.rs`.
use super::door::{AdminLines, Door};
use super::entry::Entry;
use super::granted::Granted;
use super::pattern::Pattern;
use super::selector::SelectorIndex;
use crate::engine::{Rights, Subject};
use std::fmt::Write as _;
use std::sync::Arc;

/// What is granted to whom; nothing to those whom no entry means.
#[derive(Debug, Default)]
pub(super) struct AccessList {
    pub(super) entries: Vec<Arc<Entry>>,
    pub(super) index: SelectorIndex,
}

impl AccessList {
    /// What somebody may do who came in by this door.
    pub(super) fn rights(&self, subject: &Subject, door: Door, lines: AdminLines) -> Rights {
        let entries = self.index.of(subject).into_iter().map(|at| self.entries[at].clone()).collect();
        Rights::of(Arc::new(Granted { door, lines, entries: Some(entries) }))
    }

    /// The answer to `acl list`: `geard`'s columns, by name, and behind them what it does not know where it is granted.
    pub(super) fn told(&self) -> String {
        let mut entries: Vec<&Entry> = self.entries.iter().map(|entry| &**entry).collect();
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        let mut text = String::new();
        for Entry { name, work, submit, read, admin, grant } in entries {
            let pattern =
                |pattern: &Option<Pattern>| pattern.as_ref().map_or("None".to_owned(), Pattern::to_string);
            let yes = |yes: bool| if yes { "True" } else { "False" };
            // Writing to memory cannot fail.
            let _ = write!(
                text,
                "{name}\tregister={}\tinvoke={}\tgrant={}",
                pattern(work),
                pattern(submit),
                yes(*grant)
            );
            for (word, granted) in [("read", read), ("admin", admin)] {
                if *granted {
                    let _ = write!(text, "\t{word}=True");
                }
            }
            text.push('\n');
        }
        text.push_str(".\n");
        text
    }
}
