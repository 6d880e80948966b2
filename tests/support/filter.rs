//! Programs started under a filter of system calls, as containers and service managers set them: some calls are refused, all
//! others go through. (A filter belongs to a thread and to what it starts, so each is set on a thread of its own.)
#![allow(clippy::unwrap_used)] // helpers of tests

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};
use std::thread;

/// Starts something on a thread to which the kernel refuses these calls with this error, as to everything that it starts.
pub(crate) fn refused<T: Send>(calls: &[i64], error: i32, start: impl FnOnce() -> T + Send) -> T {
    let rules = calls.iter().map(|&call| (call, Vec::new())).collect();
    let architecture = std::env::consts::ARCH.try_into().unwrap();
    let refuse = SeccompAction::Errno(error as u32);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, architecture).unwrap();
    let program: BpfProgram = filter.try_into().unwrap();
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            apply_filter(&program).unwrap();
            start()
        });
        thread.join().unwrap()
    })
}
