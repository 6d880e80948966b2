//! Fuzzes what reads a stored job. What must hold stands in `checks/record.rs`.
//! Run: `cargo +nightly fuzz run --fuzz-dir tests/fuzz record`
#![no_main]

#[path = "checks/record.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::run(bytes));
