//! What an operator may ask of a server that keeps jobs.

/// What an acknowledgement is to be worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromiseLevel {
    /// What the server is set to; if that is less than stable storage, it is said.
    AsSet,
    /// On stable storage (`--durability synced`): a server that is set to less is refused.
    Synced,
    /// The server has it, and syncs when it does (`--durability written`).
    Written,
}
