//! Fuzzes what reads access lists. What must hold stands in `checks/acl.rs`.
//! Run: `cargo +nightly fuzz run --fuzz-dir tests/fuzz acl`
#![no_main]

#[path = "checks/acl.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::run(bytes));
