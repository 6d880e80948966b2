//! Fuzzes what reads the configuration file. What must hold stands in `checks/config_file.rs`.
//! Run: `cargo +nightly fuzz run --fuzz-dir tests/fuzz config_file`
#![no_main]

// What is tested is compiled here, because nobody else may call it; it finds these at the root of its crate.
use ringgear::{access, engine, frontend, logging, process, protocol, shard, store, tls};

#[allow(dead_code)]
#[path = "checks/config_file.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::run(bytes));
