//! What is told of the state of one job: as STATUS_RES and STATUS_RES_UNIQUE do. Rows of lists are in `report.rs`.

/// The state of a job, as STATUS_RES and STATUS_RES_UNIQUE tell it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobStatus {
    /// Whether the job exists.
    pub known: bool,
    /// Whether a worker holds it.
    pub running: bool,
    /// From the last WORK_STATUS of this attempt.
    pub numerator: u32,
    /// From the last WORK_STATUS of this attempt.
    pub denominator: u32,
}

/// Answer to GET_STATUS_UNIQUE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UniqueStatus {
    /// The state.
    pub status: JobStatus,
    /// Attached foreground clients.
    pub clients: u32,
    /// When the job was accepted, in milliseconds of the engines' clock, to tell which of several came last. Wraps.
    pub accepted_ms: u32,
}

impl UniqueStatus {
    /// Of several jobs with one unique, the one that came last is told.
    pub(crate) fn merge(&mut self, other: UniqueStatus) {
        let later = other.accepted_ms.wrapping_sub(self.accepted_ms) as i32 > 0;
        if other.status.known && (!self.status.known || later) {
            *self = other;
        }
    }
}
