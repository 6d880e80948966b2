//! Functions that an operator has paused before the server was started anew: read from a file beside the jobs. It is written by the HTTP
//! side, over which pauses are ordered.
use super::error::ServerError;
use super::options::ServerOptions;
use crate::engine::Epoch;
use crate::engine::report::Pause;
use crate::frontend::json::pauses;
use crate::log_at;
use crate::logging::{Level, Visible};
use crate::mesh::clock;
use crate::store::StoreOptions;
use bytes::Bytes;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

/// The file, if there is a folder for it.
pub(super) fn file(options: &ServerOptions) -> Option<PathBuf> {
    options.store.as_ref().and_then(StoreOptions::data_dir).map(|dir| dir.join("paused-functions"))
}

/// What stands in it and is not over. A file that cannot be read stops the start: jobs would run that somebody has held back.
pub(super) fn read(options: &ServerOptions) -> Result<Vec<(Bytes, Pause)>, ServerError> {
    let Some(path) = file(options) else { return Ok(Vec::new()) };
    let wrong = |what: String| {
        let remedy = "repair it, or remove it if no function is to be paused any more";
        ServerError::Pauses(format!("{}: {what}; {remedy}", path.display()))
    };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(wrong(error.to_string())),
    };
    let now: Epoch = clock::now().epoch;
    let mut found = pauses::read(&text).map_err(wrong)?;
    found.retain(|(_, pause)| pause.until.is_none_or(|until| until > now));
    for (function, pause) in &found {
        log_at!(
            Level::Notice,
            "{} is paused by {}: {}",
            Visible(function),
            Visible(&pause.by),
            Visible(&pause.reason)
        );
    }
    Ok(found)
}
