//! The scheme: gearmand's table, and our own beside it. Types and statements are each database's own.
//!
//! gearmand's table is left as it is, so that gearmand can have it again:
//!
//! | column | what |
//! |---|---|
//! | `unique_key` | mostly the job's unique: see `key.rs`. With `function_name` it is the table's key |
//! | `function_name` | the function |
//! | `priority` | 0 is high, 1 normal, 2 low |
//! | `data` | the workload |
//! | `when_to_run` | seconds since 1970, 0 for at once |
//!
//! What has no column there goes into our own table, which gearmand ignores. It is named after gearmand's, and has
//! `number` (the key), `unique_key` and `function_name` (a key, too), `digest` and `record`:
//!
//! * A living job that has a reducer, lost attempts, a time between seconds, a unique that its key does not tell or fields
//!   of a later version (when it was accepted alone is not worth a second row, and gets lost): the
//!   key of its row, a checksum of that row, and its record (`record/mod.rs`) without the workload. If gearmand has ended
//!   the job meanwhile, there is no such row, or another one, and this one is dropped.
//! * A dead job, which gearmand must not run: its record; the key is NULL, and gearmand's table has no row of it.

/// The columns of gearmand's table, in the order in which [`super::row::Columns::read`] wants them.
pub(crate) const THEIRS: &str = "unique_key, function_name, priority, data, when_to_run";

/// The columns of our own table, in the order of [`super::rows::OurRow`].
pub(crate) const OURS: &str = "number, unique_key, function_name, digest, record";

/// The name of our own table beside this one of gearmand's.
pub(crate) fn ours_beside(theirs: &str) -> String {
    format!("{theirs}_ringgear")
}
