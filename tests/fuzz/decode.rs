//! Fuzzes what reads packets. What must hold stands in `checks/decode.rs`.
//! Run: `cargo +nightly fuzz run --fuzz-dir tests/fuzz decode`
#![no_main]

#[path = "checks/decode.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::run(bytes));
