//! The file of paused functions, by which pauses outlive the server. How it is spelled is in `frontend/json/pauses.rs`, and it is read in
//! `server/pauses.rs`.
use super::desk::Desk;
use crate::engine::{Query, Report};
use crate::frontend::json::pauses;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Writes which functions are paused now, so that it outlives the server. False if there is no place for that. Only in one's turn.
pub(super) async fn pauses(desk: &Desk) -> io::Result<bool> {
    let Some(path) = &desk.setup.pauses else { return Ok(false) };
    let Some(Report::Pauses(mut all)) = desk.observer.ask(Query::Pauses, None).next().await else {
        return Err(io::Error::other("the shards did not answer"));
    };
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    replace(path, pauses::write(&all).as_bytes())?;
    Ok(true)
}

/// Puts a file in the place of another, all of it or nothing, also where the power fails.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    let dir = path.parent().unwrap_or(Path::new("/"));
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let dir = std::env::temp_dir().join(format!("ringgear-keep-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("paused-functions");
        for text in ["one\n", "", "two\nthree\n"] {
            replace(&path, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        fs::remove_dir_all(&dir).unwrap();
        assert!(replace(&path, b"").is_err());
    }
}
