//! Whether the stored jobs of this shard are this server's to give out, and how far what follows from a change of that has come.
//! What follows is in `lease.rs` and `fence.rs`.
use crate::persist::StoreSeq;
use crate::slot::JobId;
use crate::time::Instant;
use alloc::vec::Vec;

/// See the top of the file.
#[derive(Debug)]
pub(crate) struct Tenure {
    /// Until when they may be given out.
    pub(super) until: Instant,
    /// They may not: that time is over, or some of them are another server's and not forgotten yet.
    pub(super) lapsed: bool,
    /// A change is gone through function by function, from the last one that has something in a queue to the first.
    pub(super) is_changing: bool,
    pub(super) functions_left: usize,
    /// What another server has taken over is being forgotten: puts up to this one, then jobs from this place on.
    pub(super) is_forgetting: bool,
    pub(super) puts: StoreSeq,
    pub(super) place: u32,
    /// What is forgotten is handed over: what runs or has clients stays this server's, and is noted.
    pub(super) hands_over: bool,
    pub(super) kept: Vec<JobId>,
}

impl Default for Tenure {
    fn default() -> Tenure {
        Tenure {
            until: Instant(u64::MAX),
            lapsed: false,
            is_changing: false,
            functions_left: 0,
            is_forgetting: false,
            puts: StoreSeq(0),
            place: 0,
            hands_over: false,
            kept: Vec::new(),
        }
    }
}

impl Tenure {
    /// When it ends, if it does.
    pub(super) fn deadline(&self) -> Option<Instant> {
        Some(self.until).filter(|&until| !self.lapsed && until < Instant(u64::MAX))
    }
}
