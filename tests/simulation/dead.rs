//! Short stories of dead jobs: one limit for all shards, and nothing that was acknowledged goes but for another death.
use crate::directed::{Story, policy, submission};
use crate::kept::Kept;
use crate::stored::{answer, background, kept, report};
use ringgear_engine::report::Counters;
use ringgear_engine::{DeathReason, Epoch, JobId, Policy, Query, Reply, Report, SessionId, Topology};
use ringgear_protocol::{Refusal, Request, Submit};
use std::net::Ipv4Addr;
use std::num::NonZeroU8;

fn the_submit(function: &[u8]) -> Submit<'_> {
    let Request::Submit(submit) = submission(function, b"") else { unreachable!("a submission") };
    submit
}

fn report_counters(story: &mut Story, admin: SessionId) -> Counters {
    let Report::Counters(counters) = report(story, admin, Query::Counters) else { panic!("counters") };
    *counters
}

/// A worker grabs a background job and gives it up, which is its death.
fn die(story: &mut Story, [client, worker]: [SessionId; 2], function: &[u8]) -> JobId {
    let told = story.ask(client, background(function, b""));
    let [Reply::JobCreated(job)] = told[..] else { panic!("told {told:?}") };
    story.ask(worker, Request::CanDo { function });
    assert_eq!(story.assigned(worker).job, job);
    story.ask(worker, Request::CantDo { function });
    job
}

fn dead(story: &mut Story, admin: SessionId) -> Vec<JobId> {
    let Report::DeadJobs(rows) = report(story, admin, Query::DeadJobs) else { panic!("dead jobs") };
    rows.iter().map(|row| row.job).collect()
}

/// What is acknowledged stays, whatever somebody else wants to submit.
#[test]
fn a_submission_that_finds_no_room_ends_no_dead_job() {
    let attempts = NonZeroU8::new(1);
    let mut story = Story::new(1, Policy { queued_bytes: 2000, attempts, ..policy() });
    let [client, worker, admin] = [0; 3].map(|shard| story.open(shard));
    // Far more than may be queued.
    let all: Vec<JobId> = (0..50).map(|_| die(&mut story, [client, worker], b"f")).collect();
    let large = Submit { workload: &[b'x'; 3000], ..the_submit(b"f") };
    assert_eq!(story.ask(client, Request::Submit(large)), [Reply::Error(Refusal::QueuedBytesFull)]);
    assert_eq!(dead(&mut story, admin), all);
    // The dead take no room from the living.
    story.ask(client, background(b"f", b""));
    assert_eq!(report_counters(&mut story, admin).refused_queued_bytes, 1);
}

/// One function, which one shard owns, may have all the room there is; one that dies elsewhere takes the oldest's place.
#[test]
fn dead_jobs_have_one_limit_for_all_shards() {
    let attempts = NonZeroU8::new(1);
    for shards in [1, 4] {
        let mut story = Story::new(shards, Policy { dead_jobs: 20, attempts, ..policy() });
        let [client, worker, admin] = [0; 3].map(|shard| story.open(shard));
        let all: Vec<JobId> = (0..20)
            .map(|_| {
                story.0.pass(std::time::Duration::from_millis(1));
                die(&mut story, [client, worker], b"f")
            })
            .collect();
        assert_eq!(dead(&mut story, admin), all, "{shards} shards");
        for (gone, function) in ["g", "h", "i", "j", "k"].into_iter().enumerate() {
            let new = die(&mut story, [client, worker], function.as_bytes());
            let left = dead(&mut story, admin);
            assert!(left.len() == 20 && left.contains(&new), "{shards} shards: {left:?}");
            assert!(all[gone + 1..].iter().all(|job| left.contains(job)), "{shards} shards: {left:?}");
        }
    }
}

/// The same for bytes: as many of the oldest go as the new one needs, and one that is too large for all is not kept.
#[test]
fn dead_jobs_have_a_limit_in_bytes() {
    let attempts = NonZeroU8::new(1);
    let mut story = Story::new(1, Policy { dead_bytes: 6000, attempts, ..policy() });
    let [client, worker, admin] = [0; 3].map(|shard| story.open(shard));
    let large = |story: &mut Story, bytes: usize| {
        let workload = vec![b'x'; bytes];
        let submit = Submit { workload: &workload, background: true, ..the_submit(b"g") };
        story.ask(client, Request::Submit(submit));
        story.ask(worker, Request::CanDo { function: b"g" });
        story.assigned(worker);
        story.ask(worker, Request::CantDo { function: b"g" });
    };
    let small: Vec<JobId> = (0..8).map(|_| die(&mut story, [client, worker], b"f")).collect();
    assert_eq!(dead(&mut story, admin), small);
    large(&mut story, 3500);
    let left = dead(&mut story, admin);
    assert!((2..9).contains(&left.len()), "{left:?}");
    assert!(left[..left.len() - 1] == small[small.len() + 1 - left.len()..], "{left:?}");
    let bytes = report_counters(&mut story, admin).dead_bytes;
    assert!((4000..=6000).contains(&bytes), "{bytes}");
    large(&mut story, 7000);
    assert_eq!(dead(&mut story, admin), left);
}

/// The start keeps all, with however many shards and whatever the limit; only one that dies then makes another go.
#[test]
fn a_start_with_more_shards_drops_no_dead_job() {
    let attempts = NonZeroU8::new(1);
    let mut story = Story::new(1, Policy { store: true, dead_jobs: 10, attempts, ..policy() });
    let death = Some((DeathReason::WorkerGone, Epoch(1), Ipv4Addr::LOCALHOST.into(), Vec::new()));
    story.0.restart(Topology::new(4));
    let jobs: Vec<Kept> =
        (1..=30).map(|sequence| Kept { death: death.clone(), attempts: 1, ..kept(sequence, "f") }).collect();
    jobs.iter().for_each(|job| assert_eq!(story.0.restore(job), Ok(())));
    let [client, worker, admin] = [0; 3].map(|shard| story.open(shard));
    assert_eq!(dead(&mut story, admin).len(), 30);
    story.ask(client, background(b"g", b""));
    answer(&mut story, true);
    story.ask(worker, Request::CanDo { function: b"g" });
    story.assigned(worker);
    story.ask(worker, Request::CantDo { function: b"g" });
    let left = dead(&mut story, admin);
    assert!(left.len() == 30 && !left.contains(&jobs[0].id), "{left:?}");
}
