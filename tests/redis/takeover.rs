//! Several servers on one Redis: what any store that servers share is to stand (`support/sharing.rs`), and what only it can do.
use super::*;
use std::thread;
use std::time::Duration;
use support::sharing::{self, SharedPlace, put_jobs, queued, submit, words, work_off};

/// Does this on an empty Redis.
fn on_redis(what: impl FnOnce(&SharedPlace<'_>, &RefCell<CacheServer>)) {
    on_redis_with(DURABLE, what);
}

fn on_redis_with(settings: &[&str], what: impl FnOnce(&SharedPlace<'_>, &RefCell<CacheServer>)) {
    let server = RefCell::new(CacheServer::redis(settings));
    let port = server.borrow().port();
    let is_empty = || left(&server.borrow()) == "0";
    what(&SharedPlace { options: &["-q", "redis", "--redis-port", &port], is_empty: &is_empty }, &server);
}

#[test]
fn a_killed_server_is_taken_over_in_time_and_the_heir_answers_for_its_handles() {
    on_redis(|place, _| sharing::killed(place));
}

#[test]
fn an_orderly_end_hands_over_in_a_second_or_two_and_a_lone_server_keeps_its_own() {
    on_redis(|place, _| sharing::orderly_end(place));
}

#[test]
fn whoever_ends_while_it_reads_says_so() {
    on_redis(|place, _| sharing::short_lives(place));
}

#[test]
fn a_drain_leaves_what_waits_to_others_at_once_and_finishes_what_runs() {
    on_redis(|place, _| sharing::drained(place));
}

#[test]
fn a_drain_alone_works_off_what_waits() {
    on_redis(|place, _| sharing::drained_alone(place));
}

#[test]
fn a_server_of_the_same_name_is_waited_for_three_seconds_and_refused_if_it_runs() {
    on_redis(|place, _| sharing::same_name(place));
}

#[test]
fn who_wakes_from_a_long_sleep_gives_out_nothing_that_another_has_taken_over() {
    on_redis(|place, _| sharing::long_sleep(place));
}

#[test]
fn uniques_hold_for_all_servers() {
    on_redis(|place, _| sharing::uniques(place));
}

#[test]
fn an_application_enqueues_with_a_hash_of_its_own() {
    on_redis(|place, server| {
        sharing::enqueued(place, &|numbers| {
            let script = "for n = ARGV[1], ARGV[2] - 1 do local w = 'w' .. string.format('%d', n) \
                          redis.call('HSET', '_gear_-f-' .. w, 'data', w, 'priority', '1') end";
            let (from, until) = (numbers.start.to_string(), numbers.end.to_string());
            server.borrow().cli(&["EVAL", script, "0", &from, &until]);
        });
    });
}

/// What cannot be a job is left where it is, and said once.
#[test]
fn what_is_none_of_ours_stays() {
    on_redis(|place, server| {
        server.borrow().cli(&["SET", "somebody's", "else"]);
        let one = place.start("one", "10");
        for words in [
            &["HSET", "_gear_-f-w0", "data", "w0", "priority", "1"][..],
            &["SET", "_gear_-f-w1", "w1"],
            &["ZADD", "_gear_-f-sorted", "1", "x"],
            &["SET", "_gear_none", "x"],
        ] {
            server.borrow().cli(words);
        }
        assert_eq!(work_off(&one, 2), words(0..2));
        wait_until("it is said", || one.log().contains("key _gear_-f-sorted is passed over: it is a zset"));
        wait_until("only that is left", || left(&server.borrow()) == "3");
        assert_eq!(one.log().matches("is passed over").count(), 1, "{}", one.log());
    });
}

/// A Redis that keeps nothing comes back empty: what its servers know they write again, and go on as they were.
#[test]
fn a_redis_that_has_lost_everything_is_written_again() {
    on_redis_with(&[], |place, server| {
        let (one, two) = (place.start("one", "4"), place.start("two", "4"));
        put_jobs(&one, 0..20);
        put_jobs(&two, 20..30);
        server.borrow_mut().stop();
        server.borrow_mut().launch();
        wait_until("they write again what they know", || {
            [&one, &two].iter().all(|server| server.log().contains("they were written again from memory"))
        });
        assert_eq!((queued(&one), queued(&two)), (20, 10));
        // Nobody gets a number that another job has.
        let (answer, _) = submit(&mut two.connect(), b"w0", b"other");
        assert_eq!(answer, JOB_CREATED);
        assert_eq!(work_off(&one, 20), words(0..20));
        assert_eq!(work_off(&two, 10), words(20..30));
        wait_until("no row is left", || (place.is_empty)());
        assert_eq!((one.counter("times_fenced"), two.counter("times_fenced")), (0, 0));
    });
}

/// When Redis is full nobody is silent, and ends are written; it takes jobs again when there is room.
#[test]
fn a_full_redis_makes_nobody_dead() {
    on_redis_with(&["--appendonly", "yes", "--appendfsync", "always", "--maxmemory", "4mb"], |place, _| {
        let (one, two) = (place.start("one", "4"), place.start("two", "4"));
        let large = vec![7; 400_000];
        let mut client = one.connect();
        let mut kept = 0;
        while submit(&mut client, format!("u{kept}").as_bytes(), &large).0 == JOB_CREATED {
            kept += 1;
            assert!(kept < 100, "it is not full");
        }
        // Longer than it takes to be thought dead.
        thread::sleep(Duration::from_secs(6));
        assert_eq!((queued(&one), queued(&two)), (kept, 0));
        let mut stream = sharing::worker(&one);
        for _ in 0..kept {
            let (handle, _) = sharing::grab(&mut stream).unwrap();
            sharing::finish(&mut stream, &handle);
        }
        wait_until("no row is left", || (place.is_empty)());
        put_jobs(&two, 0..1);
        for server in [&one, &two] {
            assert_eq!((server.counter("times_fenced"), server.counter("jobs_taken_over")), (0, 0));
        }
    });
}

/// What an earlier version has kept is nobody's: whoever starts has it. While such a server is there, none starts beside it.
#[test]
fn keys_of_an_earlier_version_are_taken_as_they_are() {
    on_redis(|place, server| {
        let jobs = odd_jobs();
        let mut store = open(&server.borrow());
        replayed(&mut *store);
        put(&mut *store, &jobs);
        store.close().unwrap();
        server.borrow().cli(&["DEL", "ringgear:{_gear_}:keys", "ringgear:{_gear_}:numbers"]);
        let one = place.start("one", "10");
        let two = place.start("two", "10");
        wait_until("one has them", || one.log().contains(&format!("read {} stored jobs", jobs.len())));
        wait_until("the other has none", || two.log().contains("read 0 stored jobs"));
        drop((one, two));
        server.borrow().cli(&["SET", "ringgear:{_gear_}:lease", "somebody", "PX", "60000"]);
        let refused = redis::open(options(&server.borrow())).err().unwrap();
        assert!(matches!(refused, StoreError::Locked { .. }), "{refused:?}");
        assert!(
            refused.to_string().contains("ringgear:{_gear_}:lease is used by another server"),
            "{refused}"
        );
    });
}

/// A tool that copies does not do so beside a server that runs.
#[test]
fn tools_are_refused_beside_a_server() {
    on_redis(|place, server| {
        let one = place.start("one", "10");
        let mut store = open(&server.borrow());
        let refused = store.replay(&mut |_| {}).unwrap_err();
        assert!(matches!(refused, StoreError::Locked { .. }), "{refused:?}");
        drop(one);
    });
}

/// Scripts that Redis has forgotten are sent again.
#[test]
fn scripts_are_sent_again() {
    on_redis(|place, server| {
        let one = place.start("one", "10");
        put_jobs(&one, 0..5);
        server.borrow().cli(&["SCRIPT", "FLUSH"]);
        put_jobs(&one, 5..10);
        assert_eq!(work_off(&one, 10), words(0..10));
        wait_until("no row is left", || (place.is_empty)());
        // The script that reads jobs, too, with those of several pages.
        let enqueue = |from: &str, until: &str| {
            let script = "for n = ARGV[1], ARGV[2] - 1 do local w = 'w' .. string.format('%d', n) \
                          redis.call('HSET', '_gear_-f-' .. w, 'data', w, 'priority', '1') end";
            server.borrow().cli(&["EVAL", script, "0", from, until]);
        };
        enqueue("10", "20");
        assert_eq!(work_off(&one, 10), words(10..20));
        server.borrow().cli(&["SCRIPT", "FLUSH"]);
        enqueue("20", "3020");
        let mut done = work_off(&one, 3000);
        done.sort_unstable();
        let mut wanted = words(20..3020);
        wanted.sort_unstable();
        assert_eq!(done, wanted);
        wait_until("no row is left", || (place.is_empty)());
        assert!(!one.log().contains(" is away"), "{}", one.log());
    });
}

/// Ends all connections again and again, and then Redis itself, under two servers: nothing is lost, nobody is taken over.
#[test]
fn a_redis_that_restarts_makes_nobody_dead() {
    on_redis(|place, server| {
        sharing::restarts(place, &mut |round| match round {
            5 => {
                server.borrow_mut().stop();
                thread::sleep(Duration::from_secs(6));
                server.borrow_mut().launch();
            }
            _ => _ = server.borrow().cli(&["CLIENT", "KILL", "TYPE", "normal"]),
        });
    });
}

/// `RINGGEAR_KILLS=60 cargo test --test redis -- takeover::what_was_acknowledged` is the long one.
#[test]
fn what_was_acknowledged_is_run_whichever_servers_die() {
    on_redis(|place, _| sharing::kills(place));
}
