//! Keeps gearmand away from a table that a server of ours works on, while anybody may read it.
//!
//! gearmand only reads when it starts, so no lock tells it from a reader; but it prepares the insert that it will need, and
//! ends if that cannot be. So there is a trigger on the table that calls a function which only our connection knows.
//! It goes with an orderly end. After a crash it is still there; gearmand then says its name, which is a sentence.
use super::fault::Fault;
use super::names::TableNames;
use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;

/// The name of the function, which is what others are told: "no such function: in use by Ringgear ...".
const FUNCTION: &str = "in use by Ringgear; if that has crashed, start and stop it once";

/// Lets this connection insert where a guard stands.
pub(super) fn know(connection: &Connection) -> Result<(), Fault> {
    let flags =
        FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    // The trigger has nothing to do.
    Ok(connection.create_scalar_function(FUNCTION, 0, flags, |_| Ok(false))?)
}

/// From now on only a connection that knows the guard can insert into gearmand's table.
pub(super) fn stand(connection: &Connection, names: &TableNames) -> Result<(), Fault> {
    let TableNames { theirs, guard, .. } = names;
    Ok(connection.execute_batch(&format!(
        "CREATE TRIGGER IF NOT EXISTS {guard} BEFORE INSERT ON {theirs} WHEN \"{FUNCTION}\"() BEGIN SELECT 1; END"
    ))?)
}

/// Everybody can again.
pub(super) fn leave(connection: &Connection, names: &TableNames) -> Result<(), Fault> {
    Ok(connection.execute_batch(&format!("DROP TRIGGER IF EXISTS {}", names.guard))?)
}
