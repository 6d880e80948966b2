//! Short stories of one server among several that share a store: until when it may give out stored jobs, what it takes over, what
//! it has to forget, how it numbers jobs. Whole worlds of such servers are in `shared/`.
use crate::cluster::ToStore;
use crate::directed::{Story, policy, submission};
use crate::kept::Kept;
use crate::stored::{answer, background, kept, report};
use crate::workload::handle;
use bytes::Bytes;
use ringgear_engine::report::Counters;
use ringgear_engine::{
    DeathReason, Instant, JobId, NotRestored, Order, Policy, Query, Reply, Report, SessionId, ShardId, Work,
};
use ringgear_protocol::{GrabKind, Refusal, Request};
use std::num::NonZeroU8;
use std::time::Duration;

fn story(shards: u16) -> Story {
    let mut policy = Policy { attempts: NonZeroU8::new(3), work_at_once: 8, ..policy() };
    policy.share_store();
    let mut story = Story::new(shards, policy);
    (0..shards).for_each(|shard| story.0.numbers(ShardId(shard), 1000..2000));
    story
}

/// Every shard may give out stored jobs for so long from now on.
fn lease(story: &mut Story, ahead: Duration) {
    let until = story.0.now().instant.after(ahead);
    each(story, |story, shard| story.0.lease(shard, until));
}

fn fenced(story: &mut Story) {
    each(story, |story, shard| story.0.fenced(shard));
    while story.0.topology().owners().any(|shard| story.0.engine(shard).is_forgetting()) {
        each(story, |story, shard| story.0.tick(shard));
    }
}

fn each(story: &mut Story, does: impl Fn(&mut Story, ShardId)) {
    story.0.topology().owners().for_each(|shard| does(story, shard));
    story.0.run_until_quiet();
    story.0.check();
}

fn counters(story: &mut Story, session: SessionId) -> Counters {
    match report(story, session, Query::Counters) {
        Report::Counters(counters) => *counters,
        other => panic!("counters: {other:?}"),
    }
}

/// A background job that the store has kept.
fn store(story: &mut Story, session: SessionId, function: &[u8], unique: &[u8]) -> JobId {
    assert_eq!(story.ask(session, background(function, unique)), []);
    let job = answer(story, true)[0].id;
    assert_eq!(story.told(session), [Reply::JobCreated(job)]);
    job
}

fn grab(story: &mut Story, worker: SessionId) -> Option<JobId> {
    match &story.ask(worker, Request::Grab(GrabKind::Plain))[..] {
        [Reply::Assigned(assignment)] => Some(assignment.job),
        [Reply::NoJob] => None,
        other => panic!("told {other:?}"),
    }
}

fn complete(story: &mut Story, worker: SessionId, job: JobId) -> Vec<Reply> {
    story.ask(worker, Request::WorkComplete { handle: &handle(job), result: b"r" })
}

fn dones(story: &mut Story) -> Vec<JobId> {
    let asked = story.0.take_asked().into_iter();
    asked.filter_map(|(_, asked)| if let ToStore::Done(id) = asked { Some(id) } else { None }).collect()
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn stored_jobs_wait_while_it_is_not_known_whose_they_are_and_others_do_not() {
    for shards in [1, 2, 7] {
        let mut story = story(shards);
        let [client, worker] = [0, 1].map(|shard| story.open(shard % shards));
        story.ask(worker, Request::CanDo { function: b"f" });
        let stored: Vec<JobId> = (0..20).map(|_| store(&mut story, client, b"f", b"")).collect();
        let first = story.submit(client, b"f", b"");
        let last = store(&mut story, client, b"f", b"");
        lease(&mut story, SECOND);
        assert_eq!(grab(&mut story, worker), Some(stored[0]), "the time is not over");
        story.0.advance(SECOND);
        story.0.check();
        assert_eq!(grab(&mut story, worker), Some(first), "it stands behind what may not be given out");
        assert_eq!(grab(&mut story, worker), None);
        assert_eq!(story.ask(worker, Request::PreSleep), []);
        // What comes while it is so: stored jobs wake nobody, others do.
        let late = store(&mut story, client, b"f", b"");
        assert_eq!(story.told(worker), []);
        let second = story.submit(client, b"f", b"");
        assert_eq!(story.told(worker), [Reply::Noop]);
        assert_eq!(grab(&mut story, worker), Some(second));
        assert_eq!(story.ask(worker, Request::PreSleep), []);
        let Report::Jobs(rows) = report(&mut story, client, Query::Jobs) else { panic!("jobs") };
        assert_eq!(rows.len(), 24, "they are all to be seen");

        lease(&mut story, SECOND);
        assert_eq!(story.told(worker), [Reply::Noop], "{shards}: whoever sleeps is woken");
        for &job in stored[1..].iter().chain([&last, &late]) {
            assert_eq!(grab(&mut story, worker), Some(job), "in the order in which they came");
        }
        assert_eq!(grab(&mut story, worker), None);
    }
}

/// The clock says so, not that somebody has been told.
#[test]
fn a_server_that_was_stopped_gives_out_nothing_when_it_goes_on() {
    let mut story = story(2);
    let [client, worker] = [0, 1].map(|shard| story.open(shard));
    story.ask(worker, Request::CanDo { function: b"f" });
    store(&mut story, client, b"f", b"u");
    lease(&mut story, SECOND);
    story.0.pass(SECOND);
    assert_eq!(grab(&mut story, worker), None);
    lease(&mut story, Duration::ZERO);
    assert_eq!(grab(&mut story, worker), None, "that is over already");
}

/// Several priorities, ends in the middle, joins: whatever becomes of a job that is withheld.
#[test]
fn what_is_withheld_can_be_joined_cancelled_and_wanted_by_others() {
    let mut story = story(1);
    let [client, other, worker, admin] = [0; 4].map(|shard| story.open(shard));
    story.ask(worker, Request::CanDo { function: b"f" });
    let jobs = [b"a", b"b", b"c"].map(|unique| store(&mut story, client, b"f", unique));
    story.0.lease(ShardId(0), Instant(0));
    story.0.check();
    assert_eq!(story.submit(other, b"f", b"b"), jobs[1]);
    assert_eq!(grab(&mut story, worker), None, "it is stored all the same");
    assert_eq!(report(&mut story, admin, Order::CancelJob { handle: handle(jobs[0]) }), Report::Done);
    // A foreground job that becomes a stored one in the queue is in nobody's way; if it is not kept, it goes on.
    let mine = story.submit(other, b"f", b"m");
    let next = story.submit(other, b"f", b"n");
    assert_eq!(story.ask(client, background(b"f", b"m")), []);
    assert_eq!(grab(&mut story, worker), Some(next));
    assert_eq!(grab(&mut story, worker), None);
    answer(&mut story, false);
    assert_eq!(story.told(client), [Reply::Error(Refusal::StoreFailed)]);
    assert_eq!(grab(&mut story, worker), Some(mine));
    lease(&mut story, SECOND);
    assert_eq!([grab(&mut story, worker), grab(&mut story, worker)], [Some(jobs[1]), Some(jobs[2])]);
}

#[test]
fn what_another_server_has_taken_over_is_forgotten() {
    for shards in [1, 2, 7] {
        let mut story = story(shards);
        let [client, other, worker, lazy] = [0, 1, 2, 3].map(|shard| story.open(shard % shards));
        for worker in [worker, lazy] {
            story.ask(worker, Request::CanDo { function: b"f" });
        }
        let [runs, lost, joined] = [b"r", b"l", b"j"].map(|unique| store(&mut story, client, b"f", unique));
        let more: Vec<JobId> = (0..30).map(|_| store(&mut story, client, b"f", b"")).collect();
        assert_eq!((grab(&mut story, worker), grab(&mut story, lazy)), (Some(runs), Some(lost)));
        assert_eq!(story.submit(other, b"f", b"j"), joined);
        assert_eq!(story.submit(other, b"f", b"r"), runs);
        let foreground = story.submit(other, b"f", b"");
        for unique in [&b""[..], b"w"] {
            assert_eq!(story.ask(client, background(b"f", unique)), []);
        }

        fenced(&mut story);
        let refused = Reply::Error(Refusal::StoreFailed);
        assert_eq!(story.told(client), [refused.clone(), refused], "puts that wait");
        let waited = dones(&mut story);
        assert_eq!(waited.len(), 1, "what may have been kept, and nobody can have joined: {waited:?}");
        let Report::Jobs(rows) = report(&mut story, client, Query::Jobs) else { panic!("jobs") };
        let left: Vec<JobId> = rows.iter().map(|row| row.job).collect();
        assert_eq!(left, [runs, lost, joined, foreground]);
        assert!(rows.iter().all(|row| !row.stored));
        let taken = [grab(&mut story, worker), grab(&mut story, worker)];
        assert!(taken.contains(&Some(joined)) && taken.contains(&Some(foreground)), "{taken:?}");
        // What runs is finished; if it is lost, it is another server's to run.
        story.close(lazy);
        assert_eq!(grab(&mut story, worker), None, "{shards}");
        complete(&mut story, worker, runs);
        complete(&mut story, worker, joined);
        assert_eq!(story.told(other), [runs, joined].map(|job| Reply::Work(job, Work::Complete("r".into()))));
        assert_eq!(dones(&mut story), [], "they are another server's, which will run them in any case");
        let counters = counters(&mut story, client);
        assert_eq!((counters.times_fenced, counters.jobs_disowned), (1, 33));
        assert_eq!(counters.jobs, 1);

        // It begins anew, with what it is given.
        lease(&mut story, SECOND);
        let new = store(&mut story, client, b"f", b"l");
        assert!(!more.contains(&new) && new != lost, "what was forgotten is not joined");
        assert_eq!(grab(&mut story, worker), Some(new));
    }
}

/// Its new jobs must not be taken for those that are to be forgotten.
#[test]
fn while_it_forgets_nothing_is_stored() {
    let mut story = story(1);
    let [client, worker] = [0; 2].map(|shard| story.open(shard));
    story.ask(worker, Request::CanDo { function: b"f" });
    let jobs: Vec<JobId> = (0..40).map(|_| store(&mut story, client, b"f", b"")).collect();
    story.0.fenced(ShardId(0));
    assert!(story.0.engine(ShardId(0)).is_forgetting());
    assert_eq!(story.ask(client, background(b"f", b"")), [Reply::Error(Refusal::StoreFailed)]);
    story.0.lease(ShardId(0), Instant(u64::MAX));
    assert_eq!(grab(&mut story, worker), None, "it is a lease of those to come");
    let foreground = story.submit(client, b"f", b"");
    assert_eq!(story.ask(worker, Request::PreSleep), []);
    story.0.advance(SECOND);
    story.0.check();
    assert_eq!(story.told(worker), [Reply::Noop], "it was behind what is forgotten");
    assert!(!story.0.engine(ShardId(0)).is_forgetting());
    assert_eq!(grab(&mut story, worker), Some(foreground));
    assert_eq!(counters(&mut story, client).jobs_disowned, jobs.len() as u64);
    let new = store(&mut story, client, b"f", b"");
    assert_eq!(grab(&mut story, worker), Some(new));
}

#[test]
fn dead_and_scheduled_jobs_are_forgotten_too() {
    let mut policy = Policy { attempts: NonZeroU8::new(1), ..policy() };
    policy.share_store();
    let mut story = Story::new(1, policy);
    story.0.numbers(ShardId(0), 1..9);
    let client = story.open(0);
    let worker = story.open(0);
    story.ask(worker, Request::CanDo { function: b"f" });
    let dead = store(&mut story, client, b"f", b"d");
    assert_eq!(grab(&mut story, worker), Some(dead));
    story.close(worker);
    answer(&mut story, true);
    let later = story.0.now().epoch;
    let scheduled = Kept { epoch: Some(ringgear_engine::Epoch(later.0 + 90_000)), ..kept(70, "f") };
    assert_eq!(story.0.take_over(&scheduled), Ok(()));
    fenced(&mut story);
    assert_eq!(dones(&mut story), []);
    assert_eq!(report(&mut story, client, Query::Jobs), Report::Jobs(vec![]));
    assert_eq!(report(&mut story, client, Query::DeadJobs), Report::DeadJobs(vec![]));
    story.0.advance(Duration::from_secs(100));
    story.0.check();
}

#[test]
fn a_job_is_taken_over_while_workers_sleep() {
    for shards in [1, 2, 7] {
        let mut story = story(shards);
        let [client, worker] = [0, 1].map(|shard| story.open(shard % shards));
        story.ask(worker, Request::CanDo { function: b"f" });
        let there = story.submit(client, b"f", b"u");
        let job = Kept { attempts: 1, ..kept(5, "f") };
        assert_eq!(story.0.take_over(&job), Ok(()));
        story.0.run_until_quiet();
        assert_eq!(story.0.take_over(&job), Ok(()), "it is there already");
        story.0.check();
        assert_eq!([grab(&mut story, worker), grab(&mut story, worker)], [Some(there), Some(job.id)]);
        assert_eq!(grab(&mut story, worker), None);
        assert_eq!(story.ask(worker, Request::PreSleep), []);
        let dead = Kept {
            death: Some((DeathReason::TimedOut, story.0.now().epoch, [127, 0, 0, 1].into(), vec![])),
            ..kept(6, "f")
        };
        assert_eq!(story.0.take_over(&dead), Ok(()));
        assert_eq!(story.told(worker), []);
        assert_eq!(story.0.take_over(&Kept { unique: b"v".to_vec(), ..kept(7, "f") }), Ok(()));
        story.0.run_until_quiet();
        assert_eq!(story.told(worker), [Reply::Noop]);
        let wrong = Kept { id: kept(8, "g").id, ..kept(8, "f") };
        assert_eq!(story.0.take_over(&wrong), Err(NotRestored::Number));
        let counters = counters(&mut story, client);
        assert_eq!((counters.jobs_taken_over, counters.dead_jobs), (3, 1));
        // Numbers of others move ours nowhere.
        let next = story.submit(client, b"f", b"");
        assert_eq!(next.sequence(), 1001);
    }
}

/// It was disowned, and its new owner has died: it comes back while it runs, or while somebody waits for it.
#[test]
fn what_was_taken_over_may_come_back() {
    let mut story = story(1);
    let [client, other, worker] = [0; 3].map(|shard| story.open(shard));
    story.ask(worker, Request::CanDo { function: b"f" });
    let [runs, waits] = [b"r", b"w"].map(|unique| store(&mut story, client, b"f", unique));
    assert_eq!(grab(&mut story, worker), Some(runs));
    assert_eq!(story.submit(other, b"f", b"w"), waits);
    let [runs, waits] = [runs, waits].map(|job| {
        let stored = story.0.engine(ShardId(0)).jobs_to_keep().find(job).map(|job| Kept::of(&job));
        stored.expect("it is stored")
    });
    fenced(&mut story);
    assert_eq!((story.0.take_over(&runs), story.0.take_over(&waits)), (Ok(()), Ok(())));
    story.0.check();
    assert_eq!(grab(&mut story, worker), None, "it is a stored job again");
    lease(&mut story, SECOND);
    assert_eq!(story.ask(client, background(b"f", b"r")), [Reply::JobCreated(runs.id)]);
    assert_eq!(grab(&mut story, worker), Some(waits.id));
    story.close(worker);
    let worker = story.open(0);
    story.ask(worker, Request::CanDo { function: b"f" });
    let again = [grab(&mut story, worker), grab(&mut story, worker)];
    assert!(again.contains(&Some(runs.id)) && again.contains(&Some(waits.id)), "{again:?}");
}

#[test]
fn a_unique_that_another_server_has_stored_is_joined_there() {
    for shards in [1, 2, 7] {
        let mut story = story(shards);
        let [client, second, other, worker] = [0, 1, 2, 3].map(|shard| story.open(shard % shards));
        story.ask(worker, Request::CanDo { function: b"f" });
        assert_eq!(story.ask(client, background(b"f", b"u")), []);
        assert_eq!(story.ask(second, background(b"f", b"u")), []);
        let foreign = kept(5, "f").id;
        let elsewhere = |story: &mut Story| {
            for (shard, asked) in story.0.take_asked() {
                let ToStore::Put(seq, _) = asked else { panic!("{asked:?}") };
                story.0.stored_elsewhere(shard, seq, foreign);
            }
            story.0.run_until_quiet();
            story.0.check();
        };
        elsewhere(&mut story);
        assert_eq!(story.told(client), [Reply::JobCreated(foreign)]);
        assert_eq!(
            story.told(second),
            [],
            "the other job may have ended before it came: it is asked once more"
        );
        elsewhere(&mut story);
        assert_eq!(story.told(second), [Reply::JobCreated(foreign)]);
        assert_eq!(grab(&mut story, worker), None, "it is not kept here");
        assert_eq!(dones(&mut story), []);

        // Somebody waits for it: it goes on for them.
        assert_eq!(story.ask(client, background(b"f", b"u")), []);
        assert_eq!(story.ask(other, submission(b"f", b"u")), []);
        elsewhere(&mut story);
        assert_eq!(story.told(client), [Reply::JobCreated(foreign)]);
        let Reply::JobCreated(mine) = story.told(other)[0] else { panic!("its own") };
        assert_ne!(mine, foreign);
        // One that runs already is joined in the background: that is stored elsewhere, too.
        assert_eq!(grab(&mut story, worker), Some(mine));
        assert_eq!(story.ask(client, background(b"f", b"u")), []);
        elsewhere(&mut story);
        assert_eq!(story.told(client), [Reply::JobCreated(foreign)]);
        complete(&mut story, worker, mine);
        assert_eq!(story.told(other), [Reply::Work(mine, Work::Complete("r".into()))]);
        assert_eq!(dones(&mut story), []);
        assert_eq!(counters(&mut story, client).jobs_coalesced_elsewhere, 4);
    }
}

/// The stored job is here, behind a foreground one with its unique: once that has ended, it can be joined.
#[test]
fn what_is_stored_here_under_another_number_is_joined_later() {
    let mut story = story(1);
    let [client, worker] = [0; 2].map(|shard| story.open(shard));
    story.ask(worker, Request::CanDo { function: b"f" });
    let mine = story.submit(client, b"f", b"u");
    let taken = kept(5, "f");
    assert_eq!(story.0.take_over(&taken), Ok(()));
    assert_eq!(grab(&mut story, worker), Some(mine));
    complete(&mut story, worker, mine);
    story.told(client);
    assert_eq!(story.ask(client, background(b"f", b"u")), []);
    let asked = story.0.take_asked();
    let [(shard, ToStore::Put(seq, _))] = &asked[..] else { panic!("{asked:?}") };
    story.0.stored_elsewhere(*shard, *seq, taken.id);
    story.0.check();
    assert_eq!(story.told(client), [Reply::JobCreated(taken.id)]);
    assert_eq!(story.ask(client, background(b"f", b"u")), [Reply::JobCreated(taken.id)]);
}

#[test]
fn without_a_number_no_background_job_is_accepted_and_foreground_jobs_have_spare_ones() {
    let mut policy = Policy { spare_from: JobId::spare_by(7), ..policy() };
    policy.share_store();
    let mut story = Story::new(1, policy);
    let client = story.open(0);
    let wants = |story: &Story| story.0.engine(ShardId(0)).wants_numbers();
    assert!(wants(&story));
    let refused = [Reply::Error(Refusal::StoreFailed)];
    assert_eq!(story.ask(client, background(b"f", b"")), refused);
    assert_eq!(story.submit(client, b"f", b"").sequence(), JobId::SPARE_MIN + 7);
    story.0.numbers(ShardId(0), 40..44);
    let sequences: Vec<(u64, bool)> =
        (0..4).map(|_| (story.submit(client, b"f", b"").sequence(), wants(&story))).collect();
    assert_eq!(sequences, [(40, false), (41, true), (42, true), (43, true)]);
    assert_eq!(story.ask(client, background(b"f", b"")), refused);
    assert_eq!(story.submit(client, b"f", b"").sequence(), JobId::SPARE_MIN + 8);
    story.0.numbers(ShardId(0), 80..90);
    assert_eq!(story.submit(client, b"f", b"").sequence(), 80);
    assert_eq!(counters(&mut story, client).refused_numbers, 2);
}

/// As at a start without the database. What is read then is told as at any start.
#[test]
fn while_the_store_is_away_foreground_jobs_are_done_and_none_of_them_is_ever_stored() {
    for (shards, shared) in [(1, true), (2, true), (7, true), (1, false), (7, false)] {
        let mut policy = Policy { store: true, ..policy() };
        if shared {
            policy.share_store();
        }
        let mut story = Story::new(shards, policy);
        let [client, other, worker] = [0, 1, 2].map(|shard| story.open(shard % shards));
        each(&mut story, |story, shard| story.0.store_away(shard, true));
        story.ask(worker, Request::CanDo { function: b"f" });
        let refused = [Reply::Error(Refusal::StoreFailed)];
        assert_eq!(story.ask(other, background(b"f", b"u")), refused);
        let jobs = [&b"u"[..], b"w", b""].map(|unique| story.submit(client, b"f", unique));
        assert!(jobs.iter().all(|job| job.is_spare()));
        assert_eq!(story.submit(other, b"f", b"u"), jobs[0], "foreground submissions join");
        for unique in [&b"u"[..], b"-", b"new"] {
            assert_eq!(story.ask(other, background(b"f", unique)), refused, "no number and nothing to join");
        }
        assert_eq!(grab(&mut story, worker), Some(jobs[0]));
        complete(&mut story, worker, jobs[0]);
        let result = Reply::Work(jobs[0], Work::Complete("r".into()));
        assert_eq!((story.told(client), story.told(other)), (vec![result.clone()], vec![result]));
        // It comes, with a job whose unique is taken by a foreground one, and with one that somebody has given such a number.
        let stored = Kept { unique: b"w".to_vec(), ..kept(5, "f") };
        let odd = Kept { id: jobs[2], ..kept(6, "f") };
        assert_eq!(story.0.restore(&stored), Ok(()));
        assert_eq!(story.0.restore(&odd), Err(NotRestored::Twice), "that job goes on");
        match shared {
            true => each(&mut story, |story, shard| story.0.numbers(shard, 1000..2000)),
            false => story.0.sequence_at_least(1000),
        }
        each(&mut story, |story, shard| story.0.store_away(shard, false));
        // A background submission does not make a foreground job of these a stored one: it is one of its own.
        assert_eq!(story.ask(other, background(b"f", b"w")), []);
        let new = answer(&mut story, true)[0].id;
        assert_eq!(story.told(other), [Reply::JobCreated(new)]);
        assert!(!new.is_spare() && new.sequence() >= 1000);
        assert_eq!(story.submit(other, b"f", b"w"), new, "and that one is joined from now on");
        for job in [jobs[1], jobs[2], stored.id, new] {
            assert_eq!(grab(&mut story, worker), Some(job), "{shards} {shared}");
            complete(&mut story, worker, job);
        }
        let ends: Vec<Reply> =
            jobs[1..].iter().map(|&job| Reply::Work(job, Work::Complete("r".into()))).collect();
        assert_eq!(story.told(client), ends);
        assert_eq!(dones(&mut story), [stored.id, new]);
    }
}

#[test]
fn the_handle_of_another_server_is_a_handle() {
    for shards in [1, 2, 7] {
        let mut story = story(shards);
        let [client, worker] = [0, 1].map(|shard| story.open(shard % shards));
        story.ask(worker, Request::CanDo { function: b"f" });
        let job = store(&mut story, client, b"f", b"u");
        assert_eq!(grab(&mut story, worker), Some(job));
        let foreign = Bytes::from(format!("H:dead:{}", job.number()));
        let [Reply::StatusAs(status)] = &story.ask(client, Request::GetStatus { handle: &foreign })[..]
        else {
            panic!("a status")
        };
        let (asked, status) = &**status;
        assert_eq!((asked, status.known, status.running), (&foreign, true, true));
        let status = story.ask(client, Request::GetStatus { handle: &handle(job) });
        assert!(matches!(status[..], [Reply::Status(id, _)] if id == job), "{status:?}");
        story.ask(worker, Request::WorkComplete { handle: &foreign, result: b"" });
        assert_eq!(dones(&mut story), [job]);
    }
}

/// The store has kept after all what was refused for being late. Another server may have joined it, if it has a unique.
#[test]
fn what_is_kept_late_lives_on_if_others_may_have_joined_it() {
    let mut story = story(1);
    let [client, worker] = [0; 2].map(|shard| story.open(shard));
    story.ask(worker, Request::CanDo { function: b"f" });
    for unique in [&b""[..], b"-", b"u"] {
        assert_eq!(story.ask(client, background(b"f", unique)), []);
    }
    story.0.advance(Duration::from_secs(6));
    assert_eq!(story.told(client), vec![Reply::Error(Refusal::StoreFailed); 3]);
    let jobs = answer(&mut story, true);
    assert_eq!(dones(&mut story), [jobs[0].id, jobs[1].id]);
    assert_eq!((grab(&mut story, worker), grab(&mut story, worker)), (Some(jobs[2].id), None));
}

/// A stored job is not joined while it may have ended at another server.
#[test]
fn what_may_be_another_servers_is_not_joined() {
    let mut story = story(1);
    let [client, worker] = [0; 2].map(|shard| story.open(shard));
    story.ask(worker, Request::CanDo { function: b"f" });
    let job = store(&mut story, client, b"f", b"u");
    lease(&mut story, Duration::ZERO);
    assert_eq!(story.ask(client, background(b"f", b"u")), [Reply::Error(Refusal::StoreFailed)]);
    lease(&mut story, SECOND);
    assert_eq!(story.ask(client, background(b"f", b"u")), [Reply::JobCreated(job)]);
}
