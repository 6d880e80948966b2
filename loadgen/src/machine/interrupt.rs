//! Signals that end a run. The first lets it end in order, so that what was measured is told and kept; the second does not
//! wait. How a phase is ended stands in `run/conduct.rs`.
use std::io;
use std::sync::Once;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// The first signal that came; 0 without any.
static CAUGHT: AtomicI32 = AtomicI32::new(0);

/// The process of the job server that was started here, 0 if there is none. It must not outlive the load generator.
static STARTED: AtomicU32 = AtomicU32::new(0);

/// Begins to watch for SIGINT, SIGTERM and SIGHUP.
///
/// # Errors
/// The kernel's, when no handler can be set.
pub(crate) fn watch() -> io::Result<()> {
    static WATCH: Once = Once::new();
    let mut watched = Ok(());
    WATCH.call_once(|| {
        watched = Signals::new([SIGINT, SIGTERM, SIGHUP]).map(|mut signals| {
            thread::spawn(move || {
                for signal in signals.forever() {
                    if CAUGHT.swap(signal, Ordering::Relaxed) != 0 {
                        ask_to_end(STARTED.load(Ordering::Relaxed));
                        std::process::exit(128 + signal);
                    }
                    eprintln!("interrupted: what was measured so far is told; once more leaves at once");
                }
            });
        });
    });
    watched
}

/// The signal that asked for an end, if one came.
pub(crate) fn caught() -> Option<i32> {
    Some(CAUGHT.load(Ordering::Relaxed)).filter(|signal| *signal != 0)
}

/// Tells which process to end before leaving at once; `None` when there is none any more.
pub(crate) fn end_also(child: Option<u32>) {
    STARTED.store(child.unwrap_or(0), Ordering::Relaxed);
}

/// Asks a process to end.
pub(crate) fn ask_to_end(child: u32) {
    if let Some(pid) = Pid::from_raw(child.cast_signed()) {
        let _ = kill_process(pid, Signal::TERM);
    }
}
