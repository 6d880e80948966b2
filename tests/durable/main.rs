//! Real servers with a store that are killed, stopped and filled up, and an outside ledger of what they had answered. How a
//! store survives a disk that loses what was not synced is tested over a simulated one (`tests/disk/`).
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod aside;
mod commands;
mod fallen;
mod frozen;
mod killed;
mod large;
mod ledger;
mod mount;
#[cfg(feature = "sqlite")]
mod old;
mod room;
mod rot;
mod start;

use std::path::Path;
use support::scratch::Scratch;

/// A folder on the disk on which things are built: temporary files may be in memory.
fn folder() -> Scratch {
    Scratch::within(Path::new(env!("CARGO_TARGET_TMPDIR")))
}

/// The options of each store, with what it keeps in this folder.
fn stores(folder: &Scratch) -> Vec<(&'static str, Vec<String>)> {
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    vec![
        ("log", words(&["--data-dir", &folder.path("log")])),
        ("log, written", words(&["--data-dir", &folder.path("written"), "--durability", "written"])),
        ("sqlite", words(&["-q", "libsqlite3", "--libsqlite3-db", &folder.path("queue.db")])),
    ]
}
