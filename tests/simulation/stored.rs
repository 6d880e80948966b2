//! Short stories of background jobs and a store that answers when it is told to: what is said when, what outlives whom.
use crate::cluster::ToStore;
use crate::directed::{Story, policy, submission};
use crate::kept::Kept;
use crate::workload::handle;
use ringgear_engine::slot::Slot;
use ringgear_engine::{
    Ask, DeathReason, Epoch, JobId, NotRestored, Order, Policy, Query, Reply, Report, SessionId, ShardId,
    StoreSeq, Topology, Work,
};
use ringgear_protocol::{GrabKind, Refusal, Request, Submit};
use std::num::NonZeroU8;
use std::time::Duration;

fn story(shards: u16) -> Story {
    Story::new(shards, Policy { store: true, attempts: NonZeroU8::new(1), ..policy() })
}

pub(crate) fn background<'a>(function: &'a [u8], unique: &'a [u8]) -> Request<'a> {
    let Request::Submit(submit) = submission(function, unique) else { unreachable!("a submission") };
    Request::Submit(Submit { background: true, ..submit })
}

/// What the shards want stored, in short.
fn asked(story: &mut Story) -> Vec<(char, JobId)> {
    let asked = story.0.take_asked().into_iter().map(|(_, asked)| match asked {
        ToStore::Put(_, job) => ('+', job.expect("it lives").id),
        ToStore::Attempts(id, _) => ('#', id),
        ToStore::Done(id) => ('-', id),
        ToStore::Unknown(id) => ('?', id),
    });
    asked.collect()
}

/// The store answers everything that it was asked so far.
pub(crate) fn answer(story: &mut Story, kept: bool) -> Vec<Kept> {
    let mut jobs = Vec::new();
    for (shard, asked) in story.0.take_asked() {
        if let ToStore::Put(seq, job) = asked {
            jobs.extend(job);
            story.0.store_answers(shard, seq, kept);
        }
    }
    story.0.run_until_quiet();
    story.0.check();
    jobs
}

pub(crate) fn report(story: &mut Story, session: SessionId, ask: impl Into<Ask>) -> Report {
    story.report(session, ask)
}

#[test]
fn a_background_job_is_answered_and_found_once_it_is_stored() {
    for shards in [1, 2, 7] {
        let mut story = story(shards);
        let [client, other, worker] = [0; 3].map(|shard| story.open(shard));
        story.ask(worker, Request::CanDo { function: b"f" });
        assert_eq!(story.ask(worker, Request::PreSleep), []);
        assert_eq!(story.ask(client, background(b"f", b"u")), []);
        assert_eq!(story.ask(other, submission(b"f", b"u")), [], "it joins what is not stored");
        assert_eq!(story.told(worker), []);
        let [job] = &answer(&mut story, true)[..] else { panic!("one job") };
        assert_eq!(
            (&job.function[..], &job.unique[..], &job.workload[..]),
            (&b"f"[..], &b"u"[..], &b"w"[..])
        );
        assert_eq!(story.told(client), [Reply::JobCreated(job.id)]);
        assert_eq!(story.told(other), [Reply::JobCreated(job.id)]);
        assert_eq!(story.told(worker), [Reply::Noop]);
        assert_eq!(story.ask(client, background(b"f", b"u")), [Reply::JobCreated(job.id)], "it is stored");
        assert_eq!(story.assigned(worker).job, job.id);
        assert_eq!(asked(&mut story), [], "an assignment ends nothing");
        story.ask(worker, Request::WorkComplete { handle: &handle(job.id), result: b"r" });
        assert_eq!(asked(&mut story), [('-', job.id)]);
    }
}

/// gearmand drops the job: a foreground client that leaves takes it along, whoever else was promised it.
#[test]
fn a_background_submission_joins_a_foreground_job_whose_client_leaves() {
    let mut story = story(2);
    let [client, other, worker] = [0; 3].map(|shard| story.open(shard));
    let job = story.submit(client, b"f", b"u");
    assert_eq!(asked(&mut story), []);
    assert_eq!(story.ask(other, background(b"f", b"u")), [], "it is to be stored first");
    story.close(client);
    story.ask(worker, Request::CanDo { function: b"f" });
    assert_eq!(story.assigned(worker).job, job, "it was wanted all the time");
    assert_eq!(answer(&mut story, true).iter().map(|kept| kept.id).collect::<Vec<_>>(), [job]);
    assert_eq!(story.told(other), [Reply::JobCreated(job)]);
}

/// It ends before the store has answered: the store hears of the end later, and the submitter is answered all the same.
#[test]
fn a_job_may_end_before_it_is_stored() {
    let mut story = story(1);
    let [client, other, worker] = [0; 3].map(|shard| story.open(shard));
    let job = story.submit(client, b"f", b"u");
    story.ask(other, background(b"f", b"u"));
    story.ask(worker, Request::CanDo { function: b"f" });
    assert_eq!(story.assigned(worker).job, job);
    story.ask(worker, Request::WorkFail { handle: &handle(job) });
    assert_eq!(story.told(client), [Reply::Work(job, Work::Fail)]);
    let ops = story.0.take_asked();
    assert!(matches!(&ops[..], [(_, ToStore::Put(..)), (_, ToStore::Done(done))] if *done == job), "{ops:?}");
    story.0.store_answers(ShardId(0), StoreSeq(1), true);
    assert_eq!(story.told(other), [Reply::JobCreated(job)]);
}

#[test]
fn a_store_that_fails_refuses_and_leaves_nothing_behind() {
    for shards in [1, 2, 7] {
        let mut story = story(shards);
        let [client, worker, admin] = [0; 3].map(|shard| story.open(shard));
        story.ask(worker, Request::CanDo { function: b"f" });
        story.ask(client, background(b"f", b"u"));
        let refused = answer(&mut story, false);
        assert_eq!(story.told(client), [Reply::Error(Refusal::StoreFailed)]);
        assert_eq!(asked(&mut story), [('-', refused[0].id)], "it may be there at the next start");
        assert_eq!(story.ask(worker, Request::Grab(GrabKind::Plain)), [Reply::NoJob]);
        assert_eq!(report(&mut story, admin, Query::Jobs), Report::Jobs(vec![]));
        let job = story.submit(client, b"f", b"u");
        assert_eq!(story.assigned(worker).job, job, "what needs no store goes on");
        let Report::Counters(counters) = report(&mut story, admin, Query::Counters) else {
            panic!("counters")
        };
        assert_eq!((counters.store_refusals, counters.jobs_stored, counters.jobs_unstored), (1, 0, 1));
    }
}

/// Whoever waits for the result is not sent away because the store fails.
#[test]
fn a_job_that_is_not_stored_goes_on_for_foreground_clients() {
    let mut story = story(2);
    let [client, other, worker] = [0; 3].map(|shard| story.open(shard));
    story.ask(worker, Request::CanDo { function: b"f" });
    story.ask(client, background(b"f", b"u"));
    story.ask(other, submission(b"f", b"u"));
    let refused = answer(&mut story, false);
    assert_eq!(story.told(client), [Reply::Error(Refusal::StoreFailed)]);
    assert_eq!(story.told(other), [Reply::JobCreated(refused[0].id)]);
    assert_eq!(story.assigned(worker).job, refused[0].id);
    story.ask(worker, Request::WorkComplete { handle: &handle(refused[0].id), result: b"r" });
    assert_eq!(story.told(other), [Reply::Work(refused[0].id, Work::Complete("r".into()))]);
}

/// `-j 1`, and the worker is lost: gearmand drops the job.
#[test]
fn a_dead_job_outlives_a_restart_and_can_be_put_back() {
    let mut story = story(2);
    let [client, worker] = [0, 1].map(|shard| story.open(shard));
    story.ask(worker, Request::CanDo { function: b"f" });
    story.ask(worker, Request::SetClientId { id: b"worker 7" });
    story.ask(client, background(b"f", b"u"));
    let job = answer(&mut story, true)[0].id;
    assert_eq!(story.assigned(worker).job, job);
    story.close(worker);
    let kept = answer(&mut story, true);
    let [dead] = &kept[..] else { panic!("one job: {kept:?}") };
    let death = dead.death.as_ref().expect("it is dead");
    assert_eq!((dead.attempts, death.0, &death.3[..]), (1, DeathReason::WorkerGone, &b"worker 7"[..]));

    story.0.restart(Topology::new(5));
    assert_eq!(story.0.restore(dead), Ok(()));
    let [admin, worker] = [0, 3].map(|shard| story.open(shard));
    let Report::DeadJobs(rows) = report(&mut story, admin, Query::DeadJobs) else { panic!("dead jobs") };
    assert_eq!((rows[0].job, &rows[0].worker[..]), (job, &b"worker 7"[..]));
    story.ask(worker, Request::CanDo { function: b"f" });
    assert_eq!(story.ask(worker, Request::PreSleep), []);
    assert_eq!(report(&mut story, admin, Order::RetryJob { handle: handle(job) }), Report::Done);
    assert_eq!(story.told(worker), [Reply::Noop]);
    let kept = answer(&mut story, true);
    assert!(kept[0].death.is_none() && kept[0].attempts == 0, "{kept:?}");
    assert_eq!(story.assigned(worker).job, job);
    story.ask(worker, Request::WorkComplete { handle: &handle(job), result: b"" });
    assert_eq!(asked(&mut story), [('-', job)]);
}

#[test]
fn the_oldest_dead_job_is_dropped_when_there_are_too_many() {
    let mut story =
        Story::new(1, Policy { dead_jobs: 2, store: true, attempts: NonZeroU8::new(1), ..policy() });
    let [client, worker, admin] = [0; 3].map(|shard| story.open(shard));
    let mut jobs = Vec::new();
    for _ in 0..3 {
        story.ask(client, background(b"f", b""));
        // Behind the death of the one before.
        jobs.extend(answer(&mut story, true).last().map(|kept| kept.id));
        story.ask(worker, Request::CanDo { function: b"f" });
        story.assigned(worker);
        story.ask(worker, Request::CantDo { function: b"f" });
    }
    assert_eq!(asked(&mut story).last(), Some(&('-', jobs[0])));
    let Report::DeadJobs(rows) = report(&mut story, admin, Query::DeadJobs) else { panic!("dead jobs") };
    assert_eq!(rows.iter().map(|row| row.job).collect::<Vec<_>>(), jobs[1..]);
    assert!(rows.iter().all(|row| row.reason == DeathReason::AbilityDropped));
    let Report::Counters(counters) = report(&mut story, admin, Query::Counters) else { panic!("counters") };
    assert_eq!((counters.dead_jobs, counters.dead_jobs_dropped, counters.jobs), (2, 1, 0));
}

pub(crate) fn kept(sequence: u64, function: &str) -> Kept {
    Kept {
        id: JobId::new(sequence, Slot::of(function.as_bytes())),
        priority: ringgear_protocol::Priority::Normal,
        epoch: None,
        attempts: 0,
        function: function.into(),
        unique: b"u".to_vec(),
        workload: b"w".to_vec(),
        reducer: None,
        death: None,
        accepted: None,
        more: Vec::new(),
    }
}

/// When it was accepted, and what a later version wrote with it, however little of that means anything here.
#[test]
fn a_restored_job_keeps_what_only_the_store_wants_to_know() {
    let mut story = story(1);
    let now = story.0.now().epoch.0;
    let times = [None, Some(now), Some(now - 86_400_000), Some(now - 31_536_000_000), Some(now + 5), Some(0)];
    let mut jobs = Vec::new();
    for (sequence, accepted) in (1..).zip(times) {
        for more in [&b""[..], b"\x05\x02hi"] {
            let function = if more.is_empty() { "f" } else { "g" };
            let job = Kept { accepted: accepted.map(Epoch), more: more.to_vec(), ..kept(sequence, function) };
            assert_eq!(story.0.restore(&job), Ok(()));
            jobs.push(job);
        }
    }
    story.0.sequence_at_least(90);
    let client = story.open(0);
    story.ask(client, background(b"h", b"u"));
    let [new] = &answer(&mut story, true)[..] else { panic!("one job") };
    assert_eq!((new.accepted, &new.more[..]), (Some(Epoch(now)), &b""[..]));
    // Whatever time it is meanwhile, on either clock.
    for (hours, epoch) in [(0, now), (1, now + 3_600_000), (2000, 5), (3000, now * 2)] {
        story.0.advance(Duration::from_secs(hours * 3600));
        story.0.set_epoch(Epoch(epoch));
        story.ask(client, background(b"h", b""));
        answer(&mut story, true);
        for job in jobs.iter().chain([new]) {
            let stored = story.0.engine(ShardId(0)).jobs_to_keep().find(job.id).map(|job| Kept::of(&job));
            assert_eq!(stored.as_ref(), Some(job), "after {hours} hours, at {epoch}");
        }
    }
}

/// Two shards counted apart; one shard has all their jobs now.
#[test]
fn jobs_of_several_shards_may_have_one_sequence() {
    let mut story = story(1);
    let jobs = [kept(7, "f"), kept(7, "g"), kept(7, "h")];
    jobs.iter().for_each(|job| assert_eq!(story.0.restore(job), Ok(())));
    story.0.sequence_at_least(90);
    story.0.check();
    let worker = story.open(0);
    for (name, job) in [b"f", b"g", b"h"].iter().zip(&jobs) {
        story.ask(worker, Request::CanDo { function: &name[..] });
        assert_eq!(story.assigned(worker).job, job.id);
    }
    assert_eq!(story.submit(worker, b"f", b"").sequence(), 90);
}

#[test]
fn jobs_that_share_a_unique_are_both_restored() {
    let mut story = story(1);
    let jobs = [kept(1, "f"), kept(2, "f")];
    jobs.iter().for_each(|job| assert_eq!(story.0.restore(job), Ok(())));
    let [client, worker] = [0; 2].map(|shard| story.open(shard));
    assert_eq!(story.submit(client, b"f", b"u"), jobs[0].id);
    story.ask(worker, Request::CanDo { function: b"f" });
    assert_eq!([story.assigned(worker).job, story.assigned(worker).job], [jobs[0].id, jobs[1].id]);
}

#[test]
fn what_no_job_can_be_is_not_restored() {
    let mut story = story(1);
    assert_eq!(story.0.restore(&kept(1, "f")), Ok(()));
    assert_eq!(story.0.restore(&kept(1, "f")), Err(NotRestored::Twice));
    let slot_of_another = Kept { id: kept(2, "g").id, ..kept(2, "f") };
    assert_eq!(story.0.restore(&slot_of_another), Err(NotRestored::Number));
    assert_eq!(story.0.restore(&kept(1 << 50, "f")), Err(NotRestored::Number));
    for broken in [
        Kept { unique: vec![b'u'; 65], ..kept(3, "f") },
        Kept { unique: b"u\0".to_vec(), ..kept(3, "f") },
        Kept { reducer: Some(vec![b'r'; 65]), ..kept(3, "f") },
        kept(3, "f\0"),
    ] {
        assert_eq!(story.0.restore(&broken), Err(NotRestored::Name));
    }
    story.0.check();
}

/// A job whose time has not come is not run before it, whatever happened meanwhile.
#[test]
fn a_restart_forgets_no_time() {
    let mut story = story(3);
    let due = Epoch(story.0.now().epoch.0 + 5000);
    assert_eq!(story.0.restore(&Kept { epoch: Some(due), ..kept(1, "f") }), Ok(()));
    let worker = story.open(0);
    story.ask(worker, Request::CanDo { function: b"f" });
    assert_eq!(story.ask(worker, Request::Grab(GrabKind::Plain)), [Reply::NoJob]);
    assert_eq!(story.ask(worker, Request::PreSleep), []);
    story.0.advance(std::time::Duration::from_secs(5));
    assert_eq!(story.told(worker), [Reply::Noop]);
    assert_eq!(story.assigned(worker).job, kept(1, "f").id);
}

fn counters(story: &mut Story, session: SessionId) -> ringgear_engine::report::Counters {
    let Report::Counters(counters) = report(story, session, Query::Counters) else { panic!("counters") };
    *counters
}

/// Time for a submission to be refused.
fn wait(story: &mut Story) {
    story.0.advance(policy().store_timeout);
    story.0.check();
}

/// The store takes its time: it answers when it is told to, up to this number.
fn late(story: &mut Story, upto: u64, kept: bool) {
    story.0.store_answers(ShardId(0), StoreSeq(upto), kept);
    story.0.run_until_quiet();
    story.0.check();
}

const REFUSED: [Reply; 1] = [Reply::Error(Refusal::StoreFailed)];

/// Whoever was refused for the time that the store took is not surprised later.
#[test]
fn a_submission_waits_so_long_for_the_store() {
    for kept in [true, false] {
        let mut story = story(1);
        let [client, worker, admin] = [0; 3].map(|shard| story.open(shard));
        story.ask(worker, Request::CanDo { function: b"f" });
        assert_eq!(story.ask(client, background(b"f", b"u")), []);
        story.0.advance(policy().store_timeout - std::time::Duration::from_millis(1));
        assert_eq!(story.told(client), []);
        wait(&mut story);
        assert_eq!(story.told(client), REFUSED);
        let job = story.submit(client, b"f", b"other");
        assert_eq!(story.assigned(worker).job, job, "what needs no store goes on");
        story.ask(worker, Request::WorkComplete { handle: &handle(job), result: b"r" });
        assert_eq!(story.told(client), [Reply::Work(job, Work::Complete("r".into()))]);
        let [('+', stored)] = asked(&mut story)[..] else { panic!("one put") };

        late(&mut story, 1, kept);
        assert_eq!(asked(&mut story), [('-', stored)], "it ends there, too");
        assert_eq!(report(&mut story, admin, Query::Jobs), Report::Jobs(vec![]));
        assert_eq!(story.ask(worker, Request::Grab(GrabKind::Plain)), [Reply::NoJob]);
        assert_eq!(story.told(client), []);
        let counters = counters(&mut story, admin);
        assert_eq!((counters.store_timeouts, counters.store_kept_late), (1, u64::from(kept)));
        assert_eq!((counters.jobs_unstored, counters.jobs, counters.jobs_bytes), (1, 0, 0));
    }
}

#[test]
fn submitted_again_it_waits_for_the_put_that_is_under_way() {
    let mut story = story(1);
    let [client, other, worker] = [0; 3].map(|shard| story.open(shard));
    story.ask(worker, Request::CanDo { function: b"f" });
    story.ask(client, background(b"f", b"u"));
    for _ in 0..3 {
        wait(&mut story);
        assert_eq!(story.told(client), REFUSED);
        assert_eq!(story.ask(client, background(b"f", b"u")), []);
    }
    let [('+', job)] = asked(&mut story)[..] else { panic!("one put, and no more") };
    assert_eq!(story.ask(other, background(b"f", b"u")), []);
    assert_eq!(story.ask(worker, Request::Grab(GrabKind::Plain)), [Reply::NoJob], "it is not stored");
    late(&mut story, 1, true);
    assert_eq!([story.told(client), story.told(other)], [[Reply::JobCreated(job)], [Reply::JobCreated(job)]]);
    assert_eq!(story.assigned(worker).job, job, "kept after all, and wanted");
    assert_eq!(asked(&mut story), []);
}

/// Who joined later waits as long as everybody.
#[test]
fn each_submission_has_its_own_time() {
    let mut story = story(1);
    let [client, other] = [0; 2].map(|shard| story.open(shard));
    story.ask(client, background(b"f", b"u"));
    story.0.advance(policy().store_timeout / 2);
    story.ask(other, background(b"f", b"u"));
    story.0.advance(policy().store_timeout / 2);
    assert_eq!((story.told(client), story.told(other)), (REFUSED.to_vec(), vec![]));
    story.0.advance(policy().store_timeout / 2);
    assert_eq!(story.told(other), REFUSED);
    story.0.check();
    assert_eq!(story.0.next_deadline(), None, "nobody waits for anything");
}

#[test]
fn whoever_waits_for_the_result_does_not_wait_for_the_store() {
    for before in [true, false] {
        let mut story = story(1);
        let [client, other, worker] = [0; 3].map(|shard| story.open(shard));
        story.ask(worker, Request::CanDo { function: b"f" });
        story.ask(worker, Request::PreSleep);
        story.ask(client, background(b"f", b"u"));
        if before {
            assert_eq!(story.ask(other, submission(b"f", b"u")), []);
        }
        wait(&mut story);
        let told = if before { story.told(other) } else { story.ask(other, submission(b"f", b"u")) };
        let [Reply::JobCreated(job)] = told[..] else { panic!("told {told:?}") };
        assert_eq!(story.told(client), REFUSED);
        assert_eq!(story.told(worker), [Reply::Noop]);
        assert_eq!(story.assigned(worker).job, job);
        story.ask(worker, Request::WorkComplete { handle: &handle(job), result: b"r" });
        assert_eq!(story.told(other), [Reply::Work(job, Work::Complete("r".into()))]);
        assert_eq!(asked(&mut story), [('+', job), ('-', job)], "its end comes behind its put");
        late(&mut story, 1, true);
        assert_eq!(asked(&mut story), []);
    }
}

#[test]
fn what_is_kept_after_all_while_it_runs_is_not_kept_for_nobody() {
    let mut story = story(1);
    let [client, other, worker] = [0; 3].map(|shard| story.open(shard));
    story.ask(worker, Request::CanDo { function: b"f" });
    let job = story.submit(other, b"f", b"u");
    assert_eq!(story.assigned(worker).job, job);
    story.ask(client, background(b"f", b"u"));
    wait(&mut story);
    assert_eq!(story.told(client), REFUSED);
    late(&mut story, 1, true);
    assert_eq!(asked(&mut story), [('+', job), ('-', job)]);
    // Asked for once more, it is put once more.
    story.ask(client, background(b"f", b"u"));
    assert_eq!(answer(&mut story, true).len(), 1);
    assert_eq!(story.told(client), [Reply::JobCreated(job)]);
    story.ask(worker, Request::WorkFail { handle: &handle(job) });
    assert_eq!(asked(&mut story), [('-', job)]);
}

#[test]
fn a_late_job_can_be_cancelled() {
    let mut story = story(1);
    let [client, admin] = [0; 2].map(|shard| story.open(shard));
    story.ask(client, background(b"f", b"u"));
    wait(&mut story);
    let [('+', job)] = asked(&mut story)[..] else { panic!("one put") };
    assert_eq!(report(&mut story, admin, Order::CancelJob { handle: handle(job) }), Report::Done);
    assert_eq!(asked(&mut story), [('-', job)]);
    late(&mut story, 1, true);
    assert_eq!(asked(&mut story), []);
    assert_eq!(counters(&mut story, admin).jobs, 0);
}

#[test]
fn a_refusal_is_of_the_puts_that_it_names() {
    let mut story = story(1);
    let clients = [0; 3].map(|shard| story.open(shard));
    clients.iter().for_each(|&client| assert_eq!(story.ask(client, background(b"f", b"")), []));
    late(&mut story, 1, true);
    late(&mut story, 2, false);
    late(&mut story, 3, true);
    let told = clients.map(|client| story.told(client));
    assert!(matches!(told[0][..], [Reply::JobCreated(_)]), "{told:?}");
    assert_eq!(told[1], REFUSED);
    assert!(matches!(told[2][..], [Reply::JobCreated(_)]), "{told:?}");
}

#[test]
fn a_full_store_refuses_what_would_need_it_and_nothing_else() {
    let mut story = story(1);
    let [client, worker, admin] = [0; 3].map(|shard| story.open(shard));
    story.ask(worker, Request::CanDo { function: b"f" });
    story.ask(client, background(b"f", b"stored"));
    let stored = answer(&mut story, true)[0].id;
    story.ask(client, background(b"f", b"storing"));
    let foreground = story.submit(admin, b"f", b"foreground");
    story.told(client);
    story.0.store_full(ShardId(0), true);
    for unique in [&b"new"[..], b"", b"foreground"] {
        assert_eq!(story.ask(admin, background(b"f", unique)), REFUSED, "{unique:?}");
    }
    assert_eq!(story.ask(admin, background(b"f", b"stored")), [Reply::JobCreated(stored)]);
    assert_eq!(story.assigned(worker).job, stored);
    assert_eq!(story.assigned(worker).job, foreground);
    story.ask(worker, Request::WorkComplete { handle: &handle(stored), result: b"" });
    story.ask(worker, Request::WorkComplete { handle: &handle(foreground), result: b"r" });
    assert_eq!(story.told(admin), [Reply::Work(foreground, Work::Complete("r".into()))]);
    assert!(matches!(asked(&mut story)[..], [('+', _), ('-', done)] if done == stored));
    let counters = counters(&mut story, admin);
    assert_eq!((counters.store_refusals, counters.store_full_refusals), (3, 3));
    story.0.store_full(ShardId(0), false);
    assert_eq!(story.ask(admin, background(b"f", b"new")), []);
    story.0.check();
}

#[test]
fn lost_attempts_are_told_where_they_count() {
    for (attempts, told) in [(2, 1), (0, 0)] {
        let mut story = Story::new(1, Policy { store: true, attempts: NonZeroU8::new(attempts), ..policy() });
        let [client, worker] = [0; 2].map(|shard| story.open(shard));
        story.ask(client, background(b"f", b"u"));
        let job = answer(&mut story, true)[0].id;
        story.ask(worker, Request::CanDo { function: b"f" });
        assert_eq!(story.assigned(worker).job, job);
        story.ask(worker, Request::CantDo { function: b"f" });
        assert_eq!(asked(&mut story), vec![('#', job); told]);
    }
}

/// Many puts are overdue at one moment: what is done of that in one event has a bound.
#[test]
fn many_are_refused_in_pieces() {
    let mut story = story(1);
    let clients: Vec<SessionId> = (0..1000).map(|_| story.open(0)).collect();
    clients.iter().for_each(|&client| assert_eq!(story.ask(client, background(b"f", b"")), []));
    story.0.pass(policy().store_timeout);
    let mut before = 0;
    while let Some((shard, _)) = story.0.next_deadline().filter(|&(_, at)| at <= story.0.now().instant) {
        story.0.tick(shard);
        let told = story.0.with_news().len();
        assert!(told > before && told - before <= 256, "{told} after {before}");
        before = told;
    }
    assert_eq!(before, clients.len());
}
