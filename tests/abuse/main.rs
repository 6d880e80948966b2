//! Peers that mean ill, or mean well and are many. In each test somebody else does jobs all the while and checks each
//! answer (`bystander.rs`), the server's memory stays below a bound that stands there, and what is refused is counted and
//! told in the log, once. Half-open peers are elsewhere: they need a network of their own.
#![allow(clippy::unwrap_used)]

mod bystander;
mod bytes;
mod connections;
mod events;
mod functions;
mod payloads;
mod readers;
mod strangers;
#[path = "../support/mod.rs"]
mod support;

#[allow(dead_code, reason = "its other half is for playing the scripts")]
#[path = "../transcripts/script.rs"]
mod script;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::time::Instant;
use support::packets::*;
use support::server::{Server, wait_until};

/// Whether a tunnel that speaks TLS stands before the servers. It is in this process, and has two threads and two descriptors for
/// each connection.
fn is_tunneled() -> bool {
    #[cfg(feature = "tls")]
    return support::tunnel::is_wanted();
    #[cfg(not(feature = "tls"))]
    false
}

/// Lets this process have descriptors for so many connections.
#[track_caller]
fn need_descriptors(connections: u64) {
    let count = connections * if is_tunneled() { 3 } else { 1 };
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= count) {
        return;
    }
    let maximum = limit.maximum.map(|maximum| maximum.max(count));
    setrlimit(Resource::Nofile, Rlimit { current: Some(count), maximum }).unwrap_or_else(|error| {
        panic!("{count} descriptors are needed ({error}): raise them with `ulimit -n`")
    });
}

/// How many lines of a server's log say this.
fn lines_with(log: &str, text: &str) -> usize {
    log.lines().filter(|line| line.contains(text)).count()
}

/// Lines of a kind that the log has in ten seconds (`--max-log-repeats`).
const LINES: usize = 10;

/// Waits until the log says this, and sees that it does not say it as often as it happened.
#[track_caller]
fn told(server: &Server, text: &str, since: Instant) {
    wait_until(&format!("the log tells: {text}"), || lines_with(&server.log(), text) > 0);
    // A stretch of ten seconds begins anywhere.
    let most = LINES * (2 + since.elapsed().as_secs() as usize / 10);
    let lines = lines_with(&server.log(), text);
    assert!(lines <= most, "told {lines} times: {text}");
}
