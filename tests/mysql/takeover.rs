//! Several servers on one MariaDB: what any store that servers share is to stand (`support/sharing.rs`), and what only it can do.
use super::*;
use rustix::process::Signal;
use std::cell::RefCell;
use std::thread;
use std::time::Duration;
use support::packets::JOB_CREATED;
use support::server::wait_until;
use support::sharing::{self, SharedPlace, put_jobs, queued, submit, words, work_off};

/// Does this on an empty database `d`.
fn on_database(what: impl FnOnce(&SharedPlace<'_>, &RefCell<MariaServer>)) {
    let server = RefCell::new(database());
    let socket = server.borrow().socket();
    let is_empty = || left(&server.borrow(), mysql::MYSQL_TABLE) == "0";
    let options = ["-q", "mysql", "--mysql-host", &socket, "--mysql-user", "root", "--mysql-db", "d"];
    what(&SharedPlace { options: &options, is_empty: &is_empty }, &server);
}

#[test]
fn a_killed_server_is_taken_over_in_time_and_the_heir_answers_for_its_handles() {
    on_database(|place, _| sharing::killed(place));
}

#[test]
fn an_orderly_end_hands_over_in_a_second_or_two_and_a_lone_server_keeps_its_own() {
    on_database(|place, server| {
        sharing::orderly_end(place);
        // Whoever has nothing left is struck off, but the one that was killed at the end of the test.
        let servers = server
            .borrow()
            .sql("d", "SELECT name FROM gearman_queue_ringgear_servers WHERE taken_by IS NULL");
        assert_eq!(servers, "three");
    });
}

#[test]
fn whoever_ends_while_it_reads_says_so() {
    on_database(|place, _| sharing::short_lives(place));
}

#[test]
fn a_drain_leaves_what_waits_to_others_at_once_and_finishes_what_runs() {
    on_database(|place, _| sharing::drained(place));
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

/// By its collation a table of gearmand's takes several words for one. They are other jobs all the same, and none joins another.
#[test]
fn what_only_the_collation_takes_for_one_is_not_joined() {
    on_database(|place, server| {
        gearmands_table(
            &server.borrow(),
            mysql::MYSQL_TABLE,
            "CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
        );
        let (one, two) = (place.start("one", "10"), place.start("two", "10"));
        let mut handles = Vec::new();
        for (server, unique) in
            [(&one, &b"word"[..]), (&two, b"WORD"), (&two, b"word"), (&one, &[b'k'; 63]), (&two, &[b'k'; 64])]
        {
            let (answer, handle) = submit(&mut server.connect(), unique, unique);
            assert_eq!(answer, JOB_CREATED);
            handles.push(handle);
        }
        assert_eq!(handles[0], handles[2], "the same job");
        let mut others = handles.clone();
        others.sort();
        others.dedup();
        assert_eq!(others.len(), 4, "{handles:?}");
        assert_eq!((queued(&one), queued(&two)), (2, 2));
        work_off(&one, 2);
        work_off(&two, 2);
        wait_until("no row is left", || (place.is_empty)());
    });
}

#[test]
fn an_application_enqueues_with_an_insert_of_its_own() {
    let insert = |server: &RefCell<MariaServer>, numbers: std::ops::Range<u32>| {
        let rows: Vec<String> =
            numbers.map(|number| format!("('w{number}', 'f', 1, 'w{number}', 0)")).collect();
        let sql = format!(
            "INSERT INTO gearman_queue (unique_key, function_name, priority, data, when_to_run) VALUES {}",
            rows.join(",")
        );
        server.borrow().sql("d", &sql);
    };
    on_database(|place, server| sharing::enqueued(place, &|numbers| insert(server, numbers)));
    // The same in a table of gearmand's, and what has no key, or no function.
    on_database(|place, server| {
        gearmands_table(&server.borrow(), mysql::MYSQL_TABLE, "CHARACTER SET latin1");
        let one = place.start("one", "10");
        insert(server, 0..20);
        let odd = "INSERT INTO gearman_queue VALUES (NULL, 'f', NULL, 'w20', NULL, NULL, NULL), (NULL, 'f', 1, 'w21', 0, NULL, NULL), \
                   ('\u{e9}', 'f', 1, 'w22', 0, NULL, NULL), ('bad', NULL, 1, 'bad', 0, NULL, NULL)";
        server.borrow().sql("d", odd);
        assert_eq!(work_off(&one, 23), words(0..23));
        let left = "SELECT COUNT(*), MIN(unique_key), MIN(ringgear_owner) FROM gearman_queue";
        wait_until("what cannot be read is kept", || server.borrow().sql("d", left) == "1\tbad\t0");
    });
}

/// Rows of a version that shared no table are nobody's: whoever starts has them.
#[test]
fn a_table_of_an_earlier_version_is_taken_as_it_is() {
    on_database(|place, server| {
        server.borrow().sql(
            "d",
            "CREATE TABLE gearman_queue (unique_key VARBINARY(64), function_name VARBINARY(255), priority INT, data LONGBLOB, \
             when_to_run INT, ringgear_number BIGINT, ringgear_owner INT, ringgear_row BIGINT UNSIGNED NOT NULL AUTO_INCREMENT \
             PRIMARY KEY, UNIQUE KEY (unique_key, function_name), UNIQUE KEY ringgear_number (ringgear_number)) ENGINE=InnoDB; \
             CREATE TABLE gearman_queue_ringgear (number BIGINT PRIMARY KEY, owner INT, kind SMALLINT NOT NULL, attempts SMALLINT \
             NOT NULL, record LONGBLOB) ENGINE=InnoDB",
        );
        let jobs: Vec<(String, u64)> =
            (0..20).map(|number| (format!("w{number}"), 1000 + u64::from(number as u32))).collect();
        for (word, sequence) in &jobs {
            let number = JobId::new(*sequence, Slot::of(b"f")).number();
            server.borrow().sql(
                "d",
                &format!(
                    "INSERT INTO gearman_queue VALUES ('{word}', 'f', 1, '{word}', 0, {number}, NULL, NULL)"
                ),
            );
        }
        let (one, two) = (place.start("one", "10"), place.start("two", "10"));
        assert_eq!((queued(&one), queued(&two)), (20, 0));
        assert_eq!(work_off(&one, 20), words(0..20));
        let handles = put_jobs(&one, 0..1);
        let prefix = String::from_utf8(handles[0].clone()).unwrap();
        assert!(
            prefix.rsplit(':').next().unwrap().parse::<u64>().unwrap()
                > JobId::new(1020, Slot::of(b"f")).number()
        );
    });
}

/// Ends all sessions again and again, and then the whole database at once, under two servers: nothing is lost, nobody is taken over.
#[test]
fn a_database_that_restarts_makes_nobody_dead() {
    on_database(|place, server| {
        sharing::restarts(place, &mut |round| match round {
            5 => {
                server.borrow_mut().stop(Signal::KILL);
                thread::sleep(Duration::from_secs(6));
                server.borrow_mut().launch();
            }
            _ => server.borrow().end_sessions("d"),
        });
    });
}

/// `RINGGEAR_KILLS=60 cargo test --test mysql -- takeover::what_was_acknowledged` is the long one.
#[test]
fn what_was_acknowledged_is_run_whichever_servers_die() {
    on_database(|place, _| sharing::kills(place));
}
