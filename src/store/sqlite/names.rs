//! What the tables of a store are called in statements. Which tables there are is `sql/scheme.rs`.
use crate::store::sql::scheme::ours_beside;

/// What the tables are called, quoted.
#[derive(Debug)]
pub(super) struct TableNames {
    /// gearmand's table.
    pub(super) theirs: String,
    /// Our own.
    pub(super) ours: String,
    /// The trigger of `guard.rs`.
    pub(super) guard: String,
}

impl TableNames {
    /// For gearmand's table of this name.
    pub(super) fn of(table: &str) -> TableNames {
        let ours = ours_beside(table);
        TableNames { theirs: quoted(table), guard: quoted(&format!("{ours}_guard")), ours: quoted(&ours) }
    }
}

/// A name as SQL.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
