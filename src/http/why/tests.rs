//! Each reason, by what is known: the cases that no running server can be brought into within a test are here only.
use super::super::overview::numbers;
use super::*;
use crate::engine::report::Pause;
use crate::engine::slot::Slot;
use crate::engine::{DeathReason, Epoch, JobId, SessionId, ShardId};
use crate::protocol::Priority;
use bytes::Bytes;
use std::net::Ipv4Addr;

fn case(waiting: u32, workers: u32) -> FunctionCase {
    let mut row = numbers(b"mail", waiting, 0, workers);
    row.oldest_ms = (waiting > 0).then_some(612_000);
    FunctionCase { row, crew: Crew::default(), near: Vec::new(), rates: None, store_ms: 0 }
}

fn odd_worker(for_ms: u64) -> OddWorker {
    OddWorker {
        session: "0-7-1".to_owned(),
        address: Some((Ipv4Addr::new(10, 0, 3, 7), 51144).into()),
        id: b"mailer-5".to_vec(),
        for_ms,
        handle: "H:db1:88123".to_owned(),
    }
}

#[track_caller]
fn first(case: &FunctionCase) -> Verdict {
    of_function(case).remove(0)
}

#[test]
fn nothing_is_wrong() {
    let verdict = first(&case(0, 0));
    assert_eq!((verdict.level, verdict.code), (VerdictLevel::Ok, "no_jobs"));
    let mut running = case(0, 1);
    (running.row.running, running.row.shut) = (2, Some(ShutReason::Running));
    let verdict = first(&running);
    assert_eq!((verdict.code, &verdict.text[..]), ("running", "No job waits; 2 jobs are with workers."));
}

#[test]
fn the_lease_has_run_out() {
    let mut held = case(3, 1);
    held.row.shut = Some(ShutReason::Withheld);
    let verdict = first(&held);
    assert_eq!((verdict.level, verdict.code), (VerdictLevel::Bad, "held"));
    assert!(
        verdict.text.starts_with("3 jobs wait, the oldest for 10 min. This server cannot reach the store")
    );
}

#[test]
fn somebody_has_paused_it() {
    let mut paused = case(1, 1);
    paused.row.shut = Some(ShutReason::Paused);
    let (reason, by) = (Bytes::from_static(b"relay\n"), Bytes::from_static(b"user 0"));
    let (since, until) = (Epoch(1_800_000_000_000), Some(Epoch(1_800_000_060_000)));
    paused.row.paused = Some(Pause { since, until, reason, by });
    let said = "1 job waits, the oldest for 10 min. The function is paused by user 0 since 2027-01-15T08:00:00Z, \
                until 2027-01-15T08:01:00Z: relay\\x0a.";
    let verdict = first(&paused);
    assert_eq!((verdict.code, &verdict.text[..]), ("paused", said));
    // Also where nothing waits.
    paused.row.queued = [0; 3];
    assert_eq!(first(&paused).code, "paused");
}

#[test]
fn nobody_is_there() {
    let mut alone = case(212, 0);
    assert_eq!(first(&alone).code, "no_worker_ever");
    alone.near = vec![b"Mail".to_vec()];
    assert!(
        first(&alone)
            .text
            .ends_with("No worker has ever registered this name. There are workers for \"Mail\".")
    );
    alone.row.unattended_ms = Some(7_200_000);
    let verdict = first(&alone);
    assert_eq!(verdict.code, "workers_left");
    assert!(verdict.text.contains("the last one left 2 h 0 min ago"), "{verdict:?}");
}

#[test]
fn workers_are_there() {
    let mut some = case(5, 4);
    some.crew = Crew { busy: 4, longest: Some(odd_worker(41 * 60_000)), ..Crew::default() };
    some.rates = Some((9.84, 3.12));
    let verdict = first(&some);
    let said = "5 jobs wait, the oldest for 10 min. All 4 workers are busy. 9.8 jobs come and 3.1 are done each second. \
                10.0.3.7:51144 \"mailer-5\" has held H:db1:88123 for 41 min.";
    assert_eq!((verdict.code, &verdict.text[..]), ("all_busy", said));
    assert!(verdict.hints[0].starts_with("ringgear close 0-7-1"), "{verdict:?}");
    some.crew = Crew { busy: 3, awake: 1, silent: vec![odd_worker(2_460_000)], ..Crew::default() };
    let verdict = first(&some);
    assert_eq!((verdict.level, verdict.code), (VerdictLevel::Bad, "silent"));
    assert!(verdict.text.contains("10.0.3.7:51144 \"mailer-5\" for 41 min"), "{verdict:?}");
    assert_eq!(verdict.hints, ["ringgear close 0-7-1"]);
    some.crew = Crew { busy: 3, awake: 1, ..Crew::default() };
    assert_eq!(first(&some).code, "slower_than_inflow");
    some.crew = Crew { woken: 1, ..Crew::default() };
    assert_eq!(first(&some).code, "woken");
    some.crew = Crew { busy: 1, asleep: 1, ..Crew::default() };
    assert_eq!((first(&some).level, first(&some).code), (VerdictLevel::Ok, "moving"));
}

#[test]
fn jobs_wait_for_something_else() {
    let mut other = case(0, 1);
    (other.row.storing, other.store_ms) = (2, 48_000);
    let verdict = first(&other);
    assert_eq!((verdict.level, verdict.code), (VerdictLevel::Bad, "storing"));
    assert!(verdict.text.ends_with("it has been busy with one commit for 48 s."), "{verdict:?}");
    (other.row.storing, other.row.scheduled, other.row.abandoned, other.row.dead) = (0, 1, 1, 2);
    let codes: Vec<&str> = of_function(&other).iter().map(|verdict| verdict.code).collect();
    assert_eq!(codes, ["scheduled", "abandoned", "dead"]);
    let mut full = case(10, 1);
    full.row.limits = [0, 10, 0];
    assert!(of_function(&full).iter().any(|verdict| verdict.code == "queue_full"));
}

#[test]
fn names_are_near_that_are_easily_mistaken() {
    for near in [
        "resize-image",
        "Resize_Image",
        "resize_image ",
        "resize_image\r",
        "a:resize_image",
        "resize_imag",
        "erize_image",
    ] {
        let other = if near == "erize_image" { &b"reize_image"[..] } else { b"resize_image" };
        assert!(are_near(other, near.as_bytes()) && are_near(near.as_bytes(), other), "{near}");
    }
    for far in ["resize_image", "resize", "image", "", "a", "mail", "resize_video"] {
        assert!(!are_near(b"resize_image", far.as_bytes()), "{far}");
    }
    assert!(!are_near(b"a", b"b"), "short names are no mistakes");
}

fn job(phase: JobPhase) -> JobFacts {
    JobFacts {
        job: JobId::new(1, Slot::of(b"mail")),
        function: Bytes::from_static(b"mail"),
        unique: Bytes::new(),
        priority: Priority::Normal,
        background: true,
        attempts: 3,
        clients: 0,
        bytes: 0,
        accepted: None,
        age_ms: 0,
        numerator: 0,
        denominator: 0,
        cancelled: false,
        disowned: false,
        phase,
    }
}

#[track_caller]
fn job_says(facts: &JobFacts, code: &str, some: &str) {
    let verdicts = of_job(facts, "H:x:1", &[]);
    assert_eq!(verdicts[0].code, code, "{verdicts:?}");
    assert!(verdicts[0].text.contains(some), "{verdicts:?}");
}

#[test]
fn jobs_stand_where_they_stand() {
    job_says(&job(JobPhase::Storing { late: true, asked_ms: 7000 }), "storing", "was asked 7 s ago");
    job_says(&job(JobPhase::Withheld { waited_ms: 7000 }), "held", "cannot reach the store");
    job_says(&job(JobPhase::Abandoned), "abandoned", "All its clients have left");
    job_says(&job(JobPhase::Scheduled { due: Epoch(1_800_000_000_000) }), "scheduled", "before 2027-01-15");
    let (address, worker) = (Ipv4Addr::LOCALHOST.into(), Bytes::from_static(b"w"));
    for (reason, said) in [
        (DeathReason::WorkerGone, "its worker left"),
        (DeathReason::AbilityDropped, "gave up the function"),
        (DeathReason::TimedOut, "took too long"),
    ] {
        let dead = job(JobPhase::Dead { reason, at: Epoch(0), address, worker: worker.clone() });
        job_says(&dead, "dead", said);
        job_says(&dead, "dead", "3 attempts were lost");
    }
    let running = |lost, ran_ms| {
        let session = SessionId::new(ShardId(0), 7, 1);
        job(JobPhase::Running {
            session,
            address: None,
            worker: worker.clone(),
            ran_ms,
            left_ms: Some(5000),
            lost,
        })
    };
    job_says(&running(false, 1000), "running", "its time is up in 5 s");
    job_says(&running(true, 1000), "worker_lost", "goes back to its queue");
    assert_eq!(of_job(&running(false, 2_460_000), "", &[])[0].level, VerdictLevel::Wait);
    let mut other = running(false, 1000);
    other.disowned = true;
    job_says(&other, "taken_over", "Another server");
    (other.disowned, other.cancelled) = (false, true);
    job_says(&other, "cancelled", "cancelled while it ran");
}

#[test]
fn what_holds_up_the_function_comes_before_the_place_in_its_queue() {
    let queued = |before, more_urgent| job(JobPhase::Queued { waited_ms: 60_000, before, more_urgent });
    let nobody = of_function(&case(2, 0));
    let verdicts = of_job(&queued(Some(1), 0), "", &nobody);
    let codes: Vec<&str> = verdicts.iter().map(|verdict| verdict.code).collect();
    assert_eq!(codes, ["no_worker_ever", "in_queue"]);
    let mut moving = case(2, 1);
    moving.crew = Crew { asleep: 1, ..Crew::default() };
    let verdicts = of_job(&queued(Some(0), 4), "", &of_function(&moving));
    assert_eq!(verdicts[0].code, "higher_priority_first");
    assert!(of_job(&queued(None, 0), "", &[])[0].text.contains("very many jobs"));
}
