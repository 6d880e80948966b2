//! What an acknowledgement is worth with this database as it is set: its settings are read at the start, and what weakens the
//! promise is said, or refused where the operator has asked for the whole of it.
use super::fault::PgFault;
use super::options::CommitLevel;
use super::session::PgSession;
use super::shape::TableShape;
use crate::log_at;
use crate::logging::Level;

/// Reads the settings, and says what they mean.
pub(super) async fn check(
    session: &PgSession,
    shape: &TableShape,
    level: CommitLevel,
) -> Result<(), PgFault> {
    let sql = "SELECT current_setting('synchronous_commit'), current_setting('fsync'), current_setting('full_page_writes'), \
               current_setting('synchronous_standby_names')";
    let row = session.one_row(sql, &[]).await?;
    let setting = |column: usize| row.try_get::<_, String>(column);
    let (commits, fsync, pages, standbys) = (setting(0)?, setting(1)?, setting(2)?, setting(3)?);
    let mut weak = Vec::new();
    if fsync == "off" {
        weak.push("fsync is off there, so a power failure may lose or damage everything".to_owned());
    }
    if pages == "off" {
        weak.push("full_page_writes is off there, so a power failure may damage jobs".to_owned());
    }
    if shape.unlogged {
        weak.push(format!("table {} is unlogged, so a crash of the database empties it", shape.shown));
    }
    if commits == "off" && level != CommitLevel::Written {
        weak.push("synchronous_commit is off there, so a crash of the database loses the last jobs that were acknowledged".to_owned());
    }
    if !standbys.is_empty() && commits == "local" {
        weak.push("synchronous_commit is local there, so a failover may lose the last jobs".to_owned());
    }
    let Some(first) = weak.first() else { return Ok(()) };
    if level == CommitLevel::Synced {
        return Err(PgFault::Other(format!(
            "--durability synced cannot be kept: {first}; set that, or leave --durability out to go on with a warning"
        )));
    }
    for what in weak {
        log_at!(Level::Warning, "the store: {what}");
    }
    Ok(())
}
