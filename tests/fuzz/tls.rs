//! Fuzzes what opens records of TLS, in whatever pieces they arrive. What must hold stands in `checks/tls.rs`.
//! Run: `cargo +nightly fuzz run --fuzz-dir tests/fuzz tls`
#![no_main]

#[path = "checks/tls.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::run(bytes));
