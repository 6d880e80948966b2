//! What stands above a table of functions, and which of them stand in it. Values in, text out.
use crate::cli::control::lists_shown::lasting;
use crate::cli::functions::ServerTold;
use crate::cli::functions::row::FunctionLoad;
use crate::cli::words;
use crate::frontend::thousands;

/// Characters of a function's name in a table.
pub(super) const NAME_MAX: usize = 48;

/// Whether a name has this in it, in small letters or large ones.
pub(super) fn passes(function: &[u8], filter: &str) -> bool {
    filter.is_empty() || words::shown(function).to_lowercase().contains(&filter.to_lowercase())
}

/// The lines above the table.
pub(super) fn summary(server: Option<&ServerTold>, place: &str, rows: &[FunctionLoad]) -> Vec<String> {
    let sum = |of: fn(&FunctionLoad) -> u64| thousands(rows.iter().map(of).sum());
    let dead = |row: &FunctionLoad| row.told.as_ref().map_or(0, |told| told.dead);
    let (waiting, running) = (sum(|row| row.waiting), sum(|row| row.running));
    let unattended = rows.iter().filter(|row| row.unattended()).count();
    let mut first = match server {
        Some(server) => format!(
            "ringgear {}  {place}  {}  up {}  shards {}",
            server.version,
            server.phase,
            lasting(&server.uptime.into()),
            server.shards
        ),
        None if place.is_empty() => "asking …".to_owned(),
        None => format!("job server at {place}"),
    };
    let more = server.map_or(0, |server| server.functions.saturating_sub(rows.len() as u64));
    if more > 0 {
        first += &format!(
            "  (the first {} of {} functions)",
            rows.len(),
            thousands(server.map_or(0, |told| told.functions))
        );
    }
    let mut second = format!(
        "functions {}  waiting {waiting}  running {running}  without worker {unattended}",
        thousands(rows.len() as u64)
    );
    if server.is_some() {
        second += &format!("  dead {}", sum(dead));
    }
    vec![first, second]
}
