//! The file with the number of the process. It says where the server is to those who want to send it signals; it locks
//! nothing: two servers on one port or one store are kept apart by these.
use crate::log_at;
use crate::logging::Level;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf, absolute};

/// A pid file, removed with its handle.
#[derive(Debug)]
pub(super) struct PidFile {
    path: PathBuf,
    text: String,
}

impl PidFile {
    /// Writes it. One that is there is replaced, as by gearmand: after a crash it is still there.
    pub(super) fn write(path: &Path) -> io::Result<PidFile> {
        let path = absolute(path)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let text = format!("{}\n", std::process::id());
        // A new file, so that a link which somebody puts there leads nowhere.
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&path)?;
        file.write_all(text.as_bytes())?;
        Ok(PidFile { path, text })
    }
}

impl Drop for PidFile {
    /// Unless another server has written its own there since.
    fn drop(&mut self) {
        let ours = fs::read_to_string(&self.path).is_ok_and(|text| text == self.text);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            log_at!(Level::Warning, "cannot remove the pid file {}: {error}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_belongs_to_the_last_who_wrote_it() {
        let folder = std::env::temp_dir().join(format!("ringgear-pid-file-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("pid");
        fs::write(&path, "from a crash").unwrap();
        let file = PidFile::write(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        fs::write(&path, "1\n").unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n");
        drop(PidFile::write(&path).unwrap());
        assert!(!path.exists());
        assert!(PidFile::write(&folder).is_err());
        fs::remove_dir_all(&folder).unwrap();
    }
}
