//! `kill -9` at random moments under load: what was answered is there, unaltered, and little runs twice.
use super::ledger::Ledger;
use super::support::server::*;
use super::{folder, stores};
use rustix::process::Signal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const SUBMITTERS: usize = 6;
const WORKERS: usize = 2;
/// Kills of each store: together more than sixty, if RINGGEAR_KILLS says nothing else.
const KILLS: u32 = 24;
/// Longer than a commit takes: completions sent within this time before a kill may be lost.
const WINDOW: Duration = Duration::from_millis(100);

#[test]
fn nothing_that_was_answered_is_lost_by_a_kill() {
    let kills = std::env::var("RINGGEAR_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let folder = folder();
    for (name, options) in stores(&folder) {
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let ledger = Ledger::default();
        let mut excused = 0;
        for round in 0..kills {
            // The number of shards changes from start to start.
            let threads = ["1", "2", "3"][round as usize % 3];
            excused += kill_one(&ledger, &[&["--threads", threads], &options[..]].concat(), round);
        }
        let mut server = Server::start(&[&["--threads", "2"], &options[..]].concat());
        let never = AtomicBool::new(false);
        ledger.work(server.address(), true, &never);
        server.signal(Signal::TERM);
        server.wait();
        let sums = ledger.sums();
        println!(
            "{name}: {kills} kills, {} jobs answered, {} runs; lost {}, phantoms {}, altered {}, repeats {} (at most {excused})",
            sums.answered,
            sums.runs,
            sums.lost.len(),
            sums.phantoms.len(),
            sums.altered.len(),
            sums.repeats
        );
        assert!(sums.answered > 100 * kills as usize, "so few jobs prove nothing: {sums:?}");
        assert!(
            sums.lost.is_empty() && sums.phantoms.is_empty() && sums.altered.is_empty(),
            "{name}: {sums:?}"
        );
        assert!(sums.repeats <= excused, "{name}: {} repeats, {excused} excused", sums.repeats);
    }
}

/// Starts a server, uses it, and kills it at some moment. Returns how many jobs may run again because of that.
fn kill_one(ledger: &Ledger, options: &[&str], round: u32) -> u32 {
    let mut server = Server::start(options);
    // Not random, so that a failure can be repeated; the machine adds chance of its own.
    let moment = Duration::from_millis(30 + u64::from(round * 37 % 120));
    let mut killed = Instant::now();
    ledger.under_load(server.address(), round, SUBMITTERS, WORKERS, || {
        thread::sleep(moment);
        killed = Instant::now();
        server.signal(Signal::KILL);
        server.wait();
    });
    WORKERS as u32 + ledger.completed_since(killed, WINDOW)
}

#[test]
fn an_orderly_stop_loses_and_repeats_nothing() {
    let folder = folder();
    let on_shutdown =
        ["-q", "libsqlite3", "--libsqlite3-db", &folder.path("shutdown.db"), "--store-queue-on-shutdown"]
            .map(str::to_owned)
            .to_vec();
    for (name, options) in stores(&folder).into_iter().chain([("on shutdown", on_shutdown)]) {
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let ledger = Ledger::default();
        for round in 0..4 {
            let mut server = Server::start(&[&["--threads", "2"], &options[..]].concat());
            let (address, stop) = (server.address(), AtomicBool::new(false));
            thread::scope(|scope| {
                let submitters: Vec<_> = (0..SUBMITTERS)
                    .map(|submitter| {
                        let (name, stop, ledger) = (format!("r{round}s{submitter}"), &stop, &ledger);
                        scope.spawn(move || ledger.submit(address, &name, stop))
                    })
                    .collect();
                let answered = ledger.answered();
                wait_until("jobs are answered", || ledger.answered() >= answered + 200);
                stop.store(true, Ordering::Relaxed);
                submitters.into_iter().for_each(|submitter| submitter.join().unwrap());
            });
            if round == 2 {
                ledger.work(address, true, &AtomicBool::new(false));
            }
            server.signal(Signal::TERM);
            assert!(server.wait().success(), "{name}");
        }
        let mut server = Server::start(&options);
        ledger.work(server.address(), true, &AtomicBool::new(false));
        server.signal(Signal::TERM);
        server.wait();
        let sums = ledger.sums();
        assert!(sums.answered > 500 && sums.answered == ledger.answered(), "{name}: {sums:?}");
        assert!(
            sums.lost.is_empty() && sums.phantoms.is_empty() && sums.altered.is_empty(),
            "{name}: {sums:?}"
        );
        assert_eq!(sums.repeats, 0, "{name}");
    }
}
