//! What was ordered over HTTP: when, by whom, what, and what came of it; the last of them. Each is a line of the log as well.
use super::bounds::AUDIT_MAX;
use crate::engine::Epoch;
use crate::log_at;
use crate::logging::{Level, Visible};
use serde_json::{Value, json};
use std::collections::VecDeque;

/// See the top of the file.
#[derive(Debug, Default)]
pub(super) struct AuditList {
    /// The last one at the back.
    entries: VecDeque<AuditEntry>,
    /// Entries ever.
    count: u64,
}

/// One order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AuditEntry {
    pub(super) at: Epoch,
    pub(super) who: String,
    pub(super) what: String,
    pub(super) outcome: String,
}

impl AuditList {
    pub(super) fn add(&mut self, entry: AuditEntry) {
        let AuditEntry { who, what, outcome, .. } = &entry;
        let (who, what) = (Visible(who.as_bytes()), Visible(what.as_bytes()));
        log_at!(Level::Notice, "{who} ordered over HTTP: {what}: {outcome}");
        if self.entries.len() == AUDIT_MAX {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
        self.count += 1;
    }

    /// All that are kept, the last one first.
    pub(super) fn tell(&self) -> Value {
        let first = self.count - self.entries.len() as u64;
        let one = |(number, entry): (u64, &AuditEntry)| {
            let AuditEntry { at, who, what, outcome } = entry;
            json!({ "number": number, "at_ms": at.0, "who": who, "what": what, "outcome": outcome })
        };
        let mut entries: Vec<Value> = (first + 1..).zip(&self.entries).map(one).collect();
        entries.reverse();
        json!({ "items": entries, "next": null })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_kept() {
        let mut list = AuditList::default();
        for at in 0..2 * AUDIT_MAX as u64 {
            let (who, what) = ("uid 0".to_owned(), format!("pause f{at}"));
            list.add(AuditEntry { at: Epoch(at), who, what, outcome: "done".to_owned() });
        }
        let told = list.tell();
        let items = told["items"].as_array().unwrap();
        assert_eq!(items.len(), AUDIT_MAX);
        assert_eq!(
            (&items[0]["number"], &items[0]["at_ms"]),
            (&json!(2 * AUDIT_MAX), &json!(2 * AUDIT_MAX - 1))
        );
        assert_eq!(items[AUDIT_MAX - 1]["what"], format!("pause f{AUDIT_MAX}"));
    }
}
