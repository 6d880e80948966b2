//! Fuzzes the engine behind its front end, in pretend time: who says what, and when. What an input is stands in `checks/engine.rs`.
//! Run: `cargo +nightly fuzz run --fuzz-dir tests/fuzz engine`
#![no_main]

#[allow(dead_code)]
#[path = "checks/engine.rs"]
mod check;
#[allow(dead_code)]
#[path = "../transcripts/player.rs"]
mod player;
#[path = "../transcripts/pretend.rs"]
mod pretend;
#[allow(dead_code)]
#[path = "../transcripts/script.rs"]
mod script;
#[allow(dead_code)]
mod support;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::run(bytes));
