//! What those who joined a job are still to hear of it, in order. Telling them is in `tell.rs`.
use super::attachments::Attachments;
use crate::message::Work;
use crate::slot::SessionId;
use alloc::collections::VecDeque;

/// What those who joined a job are still to hear.
#[derive(Debug)]
pub(crate) struct Telling {
    /// Updates in order.
    pub(super) updates: VecDeque<WaitingUpdate>,
    /// The mark before the next client that hears the first one.
    pub(super) cursor: u32,
    /// What the updates take.
    pub(super) bytes: usize,
}

/// An update that stands in line.
#[derive(Debug)]
pub(super) struct WaitingUpdate {
    pub(super) update: Work,
    /// The mark behind the last client that hears it.
    pub(super) mark: u32,
    /// The worker that is not read until all have heard it.
    pub(super) slowed: Option<SessionId>,
}

impl Telling {
    /// Bytes that it takes, its marks included.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Telling>() + 16 + Attachments::BYTES + self.bytes
    }

    /// Marks among those who joined.
    pub(super) fn marks(&self) -> usize {
        self.updates.len() + 1
    }

    /// What the updates take.
    pub(super) fn pending(&self) -> usize {
        self.bytes
    }
}

/// Bytes that an update takes while it stands in line, its mark included. The line may have room for twice as many.
pub(super) fn weight(update: &Work) -> usize {
    update.len() + 2 * size_of::<WaitingUpdate>() + Attachments::BYTES
}
