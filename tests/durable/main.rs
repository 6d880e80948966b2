//! Real servers with a store that are killed, stopped and filled up, and an outside ledger of what they had answered. How a
//! store survives a disk that loses what was not synced is tested over a simulated one (`tests/disk/`).
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod commands;
mod killed;
mod ledger;
mod room;
mod start;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder that goes with its handle.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("durable-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The options of each store, with what it keeps in this folder.
fn stores(folder: &Folder) -> Vec<(&'static str, Vec<String>)> {
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    vec![
        ("log", words(&["--data-dir", &folder.path("log")])),
        ("log, written", words(&["--data-dir", &folder.path("written"), "--durability", "written"])),
        ("sqlite", words(&["-q", "libsqlite3", "--libsqlite3-db", &folder.path("queue.db")])),
    ]
}
