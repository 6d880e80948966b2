//! What was done over HTTP: the latest, kept here for whoever asks, each told in the log as well. Who may do it is asked before.
use super::roles::HttpCaller;
use crate::log_at;
use crate::logging::Level;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};

/// Actions that are remembered.
const ACTIONS_MAX: usize = 1000;
/// Bytes of what is said of one.
const TEXT_BYTES: usize = 512;

/// Something that was done.
#[derive(Debug)]
struct AuditEntry {
    number: u64,
    when: SystemTime,
    who: String,
    from: String,
    action: &'static str,
    what: String,
    count: Option<u64>,
}

/// What was done, the latest last.
#[derive(Debug, Default)]
pub(super) struct AuditList {
    entries: RefCell<VecDeque<AuditEntry>>,
}

impl AuditList {
    /// Somebody has done something: `action` is a word like `pause`, `what` says to what, readable (`names.rs`), `count` how many things
    /// were done, where there may be several.
    pub(super) fn record(&self, caller: &HttpCaller, action: &'static str, what: &str, count: Option<u64>) {
        let what = cut(what);
        let from = caller.place();
        let many = count.map(|count| format!(" ({count})")).unwrap_or_default();
        let blank = if what.is_empty() { "" } else { " " };
        log_at!(Level::Notice, "{} from {from} over HTTP: {action}{blank}{what}{many}", caller.name);
        let mut entries = self.entries.borrow_mut();
        let number = entries.back().map_or(1, |last| last.number + 1);
        if entries.len() >= ACTIONS_MAX {
            entries.pop_front();
        }
        let who = caller.name.clone();
        entries.push_back(AuditEntry { number, when: SystemTime::now(), who, from, action, what, count });
    }

    /// The latest before a number, the latest first; and where it goes on.
    pub(super) fn page(&self, before: Option<u64>, limit: usize) -> Value {
        let entries = self.entries.borrow();
        let mut older =
            entries.iter().rev().filter(|entry| before.is_none_or(|before| entry.number < before));
        let page: Vec<&AuditEntry> = older.by_ref().take(limit).collect();
        let next = page.last().filter(|_| older.next().is_some()).map(|entry| entry.number.to_string());
        let items: Vec<Value> = page.into_iter().map(AuditEntry::told).collect();
        json!({ "items": items, "next": next })
    }
}

impl AuditEntry {
    fn told(&self) -> Value {
        let when = self.when.duration_since(UNIX_EPOCH).unwrap_or_default();
        json!({
            "number": self.number,
            "when_ms": u64::try_from(when.as_millis()).unwrap_or(u64::MAX),
            "who": self.who,
            "from": self.from,
            "action": self.action,
            "what": self.what,
            "count": self.count,
        })
    }
}

fn cut(text: &str) -> String {
    let mut end = text.len().min(TEXT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    match end == text.len() {
        true => text.to_owned(),
        false => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::super::roles::{RoleSet, Shown};
    use super::*;

    #[test]
    fn the_latest_are_kept() {
        let list = AuditList::default();
        let caller = HttpCaller {
            name: "ops".into(),
            address: None,
            shown: Shown::Token,
            roles: RoleSet::ALL,
            functions: None,
        };
        for _ in 0..ACTIONS_MAX + 2 {
            list.record(&caller, "pause", &"ä".repeat(TEXT_BYTES), Some(2));
        }
        let page = list.page(None, 2);
        assert_eq!((&page["items"][0]["number"], &page["items"][1]["number"]), (&json!(1002), &json!(1001)));
        assert_eq!((&page["next"], &page["items"][0]["from"]), (&json!("1001"), &json!("the unix socket")));
        assert!(page["items"][0]["what"].as_str().unwrap().ends_with("ä…"));
        let rest = list.page(Some(1001), 1000);
        assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next"]), (998, &json!(null)));
        assert_eq!(rest["items"][997]["number"], 3);
    }
}
