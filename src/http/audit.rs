//! What was done over HTTP: the latest, kept here for whoever asks, each told in the log as well. Who may do it is asked before.
use super::bounds::{AUDIT_MAX, AUDIT_TEXT_BYTES};
use super::roles::HttpCaller;
use crate::engine::Epoch;
use crate::log_at;
use crate::logging::{Level, Visible};
use crate::mesh::clock;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::VecDeque;

/// Something that was done.
#[derive(Debug)]
struct AuditEntry {
    number: u64,
    at: Epoch,
    who: String,
    from: String,
    what: String,
    outcome: String,
}

/// What was done, the latest last.
#[derive(Debug, Default)]
pub(super) struct AuditList {
    entries: RefCell<VecDeque<AuditEntry>>,
}

impl AuditList {
    /// Somebody has done something: `what` says what and to what, `outcome` what came of it. Both are cut where they are long.
    pub(super) fn record(&self, caller: &HttpCaller, what: &str, outcome: &str) {
        let (what, outcome) = (cut(what), cut(outcome));
        let (who, from) = (caller.name.clone(), caller.place());
        let shown = Visible(what.as_bytes());
        log_at!(Level::Notice, "{who} from {from} over HTTP: {shown}: {}", Visible(outcome.as_bytes()));
        let mut entries = self.entries.borrow_mut();
        let number = entries.back().map_or(1, |last| last.number + 1);
        if entries.len() >= AUDIT_MAX {
            entries.pop_front();
        }
        entries.push_back(AuditEntry { number, at: clock::now().epoch, who, from, what, outcome });
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
        let AuditEntry { number, at, who, from, what, outcome } = self;
        json!({ "number": number, "at_ms": at.0, "who": who, "from": from, "what": what, "outcome": outcome })
    }
}

fn cut(text: &str) -> String {
    let mut end = text.len().min(AUDIT_TEXT_BYTES);
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
        for _ in 0..AUDIT_MAX + 2 {
            list.record(&caller, &"ä".repeat(AUDIT_TEXT_BYTES), "done");
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
