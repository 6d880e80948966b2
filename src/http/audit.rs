//! What was done over HTTP: the latest, kept here for whoever asks, each told in the log as well. Who may do it is asked before. Who has
//! looked at payloads stands there, too, but not instead of what was ordered: so many of either are kept.
use super::bounds::{AUDIT_LOOK_AGAIN, AUDIT_MAX, AUDIT_TEXT_BYTES};
use super::roles::HttpCaller;
use crate::engine::Epoch;
use crate::log_at;
use crate::logging::{Level, Visible};
use crate::mesh::clock;
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::IpAddr;

/// Something that was done.
#[derive(Debug)]
struct AuditEntry {
    number: u64,
    at: Epoch,
    who: String,
    from: String,
    what: String,
    outcome: String,
    /// Whether somebody has only looked; and from which host, whatever the connection.
    look: Option<Option<IpAddr>>,
}

/// What was done, the latest last.
#[derive(Debug, Default)]
pub(super) struct AuditList {
    entries: RefCell<VecDeque<AuditEntry>>,
    /// How many of these are looks.
    looks: Cell<usize>,
}

impl AuditList {
    /// Somebody has done something: `what` says what and to what, `outcome` what came of it. Both are cut where they are long.
    pub(super) fn record(&self, caller: &HttpCaller, what: &str, outcome: &str) {
        self.add(caller, cut(what), cut(outcome), None);
    }

    /// Somebody has looked at a payload. Who has the same page open, and looks every few seconds, is told of once in a while.
    pub(super) fn record_look(&self, caller: &HttpCaller, what: &str, outcome: &str) {
        let (what, outcome) = (cut(what), cut(outcome));
        let (now, look) = (clock::now().epoch.0, Some(caller.address.map(|address| address.ip())));
        let again = self.entries.borrow().iter().rev().any(|entry| {
            entry.look == look
                && now.saturating_sub(entry.at.0) < AUDIT_LOOK_AGAIN
                && (&entry.who, &entry.what, &entry.outcome) == (&caller.name, &what, &outcome)
        });
        if !again {
            self.add(caller, what, outcome, look);
        }
    }

    fn add(&self, caller: &HttpCaller, what: String, outcome: String, look: Option<Option<IpAddr>>) {
        let (who, from) = (caller.name.clone(), caller.place());
        let shown = Visible(what.as_bytes());
        log_at!(Level::Notice, "{who} from {from} over HTTP: {shown}: {}", Visible(outcome.as_bytes()));
        let mut entries = self.entries.borrow_mut();
        let number = entries.back().map_or(1, |last| last.number + 1);
        let looks = self.looks.get();
        let (is_look, alike) = (look.is_some(), if look.is_some() { looks } else { entries.len() - looks });
        if alike >= AUDIT_MAX
            && let Some(first) = entries.iter().position(|entry| entry.look.is_some() == is_look)
        {
            entries.remove(first);
        } else if is_look {
            self.looks.set(looks + 1);
        }
        entries.push_back(AuditEntry { number, at: clock::now().epoch, who, from, what, outcome, look });
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
        let AuditEntry { number, at, who, from, what, outcome, look: _ } = self;
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

    fn caller(name: &str, address: Option<&str>) -> HttpCaller {
        HttpCaller {
            name: name.into(),
            address: address.map(|address| address.parse().unwrap()),
            shown: Shown::Token,
            roles: RoleSet::ALL,
            functions: None,
        }
    }

    #[test]
    fn looks_are_told_once_in_a_while_and_drive_nothing_else_out() {
        let list = AuditList::default();
        list.record(&caller("ops", None), "drain", "done");
        for port in 1..100 {
            let eyes = caller("eyes", Some(&format!("10.0.0.1:{port}")));
            list.record_look(&eyes, "see H:a:1", "all");
        }
        assert_eq!(list.page(None, 1000)["items"].as_array().unwrap().len(), 2);
        list.record_look(&caller("eyes", Some("10.0.0.2:1")), "see H:a:1", "all");
        list.record_look(&caller("eyes", Some("10.0.0.1:1")), "see H:a:1", "a part");
        list.record_look(&caller("others", Some("10.0.0.1:1")), "see H:a:1", "all");
        assert_eq!(list.page(None, 1000)["items"].as_array().unwrap().len(), 5);
        for job in 0..2 * AUDIT_MAX {
            list.record_look(&caller("eyes", None), &format!("see {job}"), "all");
        }
        let rest = list.page(Some(AUDIT_MAX as u64), 1000);
        assert_eq!(
            (rest["items"].as_array().unwrap().len(), &rest["items"][0]["what"]),
            (1, &json!("drain"))
        );
        (0..AUDIT_MAX).for_each(|_| list.record(&caller("ops", None), "pause", "done"));
        assert_eq!(list.entries.borrow().len(), 2 * AUDIT_MAX);
        assert_eq!(list.looks.get(), AUDIT_MAX);
    }

    #[test]
    fn the_latest_are_kept() {
        let (list, caller) = (AuditList::default(), caller("ops", None));
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
