//! Several servers on one PostgreSQL: what any store that servers share is to stand (`support/sharing.rs`), and what only it can do.
use super::*;
use rustix::process::Signal;
use std::cell::RefCell;
use std::thread;
use std::time::{Duration, Instant};
use support::server::{Server, wait_until};
use support::sharing::{self, SharedPlace, queued, words, work_off};

/// A server of this name, which others take over after so many seconds.
#[track_caller]
pub(crate) fn start(conninfo: &str, name: &str, after: &str) -> Server {
    let options = ["-q", "postgres", "--libpq-conninfo", conninfo];
    SharedPlace { options: &options, is_empty: &|| false }.start(name, after)
}

/// Does this on a database `d`.
fn on_database(what: impl FnOnce(&SharedPlace<'_>, &RefCell<PostgresCluster>)) {
    let cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    let cluster = RefCell::new(cluster);
    let is_empty = || cluster.borrow().sql("d", "SELECT count(*) FROM queue") == "0";
    let options = ["-q", "postgres", "--libpq-conninfo", &conninfo];
    what(&SharedPlace { options: &options, is_empty: &is_empty }, &cluster);
}

#[test]
fn a_killed_server_is_taken_over_in_time_and_the_heir_answers_for_its_handles() {
    on_database(|place, _| sharing::killed(place));
}

#[test]
fn an_orderly_end_hands_over_in_a_second_or_two_and_a_lone_server_keeps_its_own() {
    on_database(|place, _| sharing::orderly_end(place));
}

#[test]
fn whoever_ends_while_it_reads_says_so() {
    on_database(|place, _| sharing::short_lives(place));
}

#[test]
fn a_drain_leaves_what_waits_to_others_at_once_and_finishes_what_runs() {
    on_database(|place, cluster| {
        sharing::drained(place);
        assert_eq!(cluster.borrow().sql("d", "SELECT count(*) FROM queue_ringgear WHERE kind <> 0"), "0");
    });
}

#[test]
fn a_drain_alone_works_off_what_waits() {
    on_database(|place, _| sharing::drained_alone(place));
}

#[test]
fn a_server_of_the_same_name_is_waited_for_three_seconds_and_refused_if_it_runs() {
    on_database(|place, _| sharing::same_name(place));
}

#[test]
fn who_wakes_from_a_long_sleep_gives_out_nothing_that_another_has_taken_over() {
    on_database(|place, _| sharing::long_sleep(place));
}

#[test]
fn uniques_hold_for_all_servers() {
    on_database(|place, _| sharing::uniques(place));
}

#[test]
fn an_application_enqueues_with_an_insert_of_its_own() {
    let cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    let (one, two) = (start(&conninfo, "one", "10"), start(&conninfo, "two", "10"));
    let insert = "INSERT INTO queue (unique_key, function_name, priority, data, when_to_run)";
    cluster.sql("d", &format!("BEGIN; {insert} VALUES ('gone', 'f', 1, 'gone', 0); ROLLBACK"));
    cluster.sql("d", &format!("{insert} SELECT 'w' || n, 'f', 1, convert_to('w' || n, 'UTF8'), 0 FROM generate_series(0, 2499) n"));
    let begin = Instant::now();
    wait_until("they are there", || queued(&one) + queued(&two) == 2500);
    println!("2500 rows of an application after {:?}", begin.elapsed());
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
    cluster.sql("d", &format!("{insert} VALUES ('last', 'f', 1, 'w2500', 0), ('bad', NULL, 1, 'bad', 0)"));
    let begin = Instant::now();
    wait_until("it is there", || queued(&one) + queued(&two) == 2501);
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    let (first, second) = (queued(&one) as usize, queued(&two) as usize);
    let mut done = work_off(&one, first);
    done.extend(work_off(&two, second));
    done.sort();
    assert_eq!(done, words(0..2501));
    let left = "SELECT count(*), min(unique_key), min(ringgear_owner) FROM queue";
    wait_until("what cannot be read is kept", || cluster.sql("d", left) == "1|bad|0");
}

/// Ends all sessions again and again, and then the whole database at once, under two servers: nothing is lost, nobody is taken over.
#[test]
fn a_database_that_restarts_makes_nobody_dead() {
    on_database(|place, cluster| {
        sharing::restarts(place, &mut |round| match round {
            5 => {
                cluster.borrow_mut().stop(Signal::QUIT);
                thread::sleep(Duration::from_secs(6));
                cluster.borrow_mut().launch();
            }
            _ => _ = cluster.borrow().end_sessions("d"),
        });
    });
}

/// `RINGGEAR_KILLS=60 cargo test --test postgres -- takeover::what_was_acknowledged` is the long one.
#[test]
fn what_was_acknowledged_is_run_whichever_servers_die() {
    on_database(|place, _| sharing::kills(place));
}
