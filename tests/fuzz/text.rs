//! Fuzzes what reads the shared port. What must hold stands in `checks/text.rs`.
//! Run: `cargo +nightly fuzz run --fuzz-dir tests/fuzz text`
#![no_main]

#[path = "checks/text.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::run(bytes));
