//! The thread at rest: on a pretended store.
use super::*;
use crate::store::{Committed, Progress};
use std::sync::atomic::AtomicU32;

/// What a test sees of its store.
#[derive(Debug, Default)]
struct Seen {
    commits: AtomicU32,
    tries: AtomicU32,
}

/// Keeps no ends of jobs when they are committed; it succeeds after some tries.
#[derive(Debug)]
struct Owing {
    seen: Arc<Seen>,
    left: u32,
}

impl Store for Owing {
    fn replay_telling(
        &mut self,
        _: &mut dyn FnMut(StoredJob<'_>),
        _: &mut dyn FnMut(Progress),
    ) -> Result<(), StoreError> {
        Ok(())
    }

    fn commit(&mut self, _: &[&[u8]]) -> Committed {
        self.seen.commits.fetch_add(1, Ordering::SeqCst);
        // More tries than there are while it is active.
        self.left = (ACTIVE.as_millis() / LOOK.as_millis()) as u32 + 3;
        Committed { puts: Ok(()), dones: Err(StoreError::Sealed) }
    }

    fn tidy(&mut self) -> Result<bool, StoreError> {
        if self.left > 0 {
            self.left -= 1;
            self.seen.tries.fetch_add(1, Ordering::SeqCst);
        }
        Ok(false)
    }

    fn owes(&self) -> bool {
        self.left > 0
    }

    fn close(&mut self) -> Result<(), StoreError> {
        assert_eq!(self.left, 0, "nothing is owed any more");
        Ok(())
    }
}

#[test]
fn what_is_owed_is_tried_without_another_commit() {
    let topology = Topology::new(1);
    let shard = topology.all().next().unwrap();
    let (desk, seen) = (Arc::new(Desk::new(topology)), Arc::new(Seen::default()));
    let store = Box::new(Owing { seen: seen.clone(), left: 0 });
    thread::scope(|scope| {
        let keeper = scope.spawn(|| run(store, desk.clone(), topology, Box::new(|_| {}), &|_| {}));
        desk.hand_over(shard, Batch { records: Vec::new(), upto: StoreSeq::default(), unknown: Vec::new() });
        let wanted = (ACTIVE.as_millis() / LOOK.as_millis()) as u32 + 3;
        let begin = Instant::now();
        while seen.tries.load(Ordering::SeqCst) < wanted {
            assert!(begin.elapsed() < Duration::from_secs(60), "it is not tried any more: {seen:?}");
            thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(seen.commits.load(Ordering::SeqCst), 1);
        desk.stop();
        keeper.join().unwrap().unwrap();
    });
}

#[test]
fn it_sleeps_for_good_when_nothing_is_owed() {
    assert_eq!(rest(Duration::ZERO, false), Some(LOOK));
    assert_eq!(rest(Duration::ZERO, true), Some(LOOK));
    assert_eq!(rest(ACTIVE, true), Some(LOOK_OWING));
    assert_eq!(rest(ACTIVE, false), None);
}

#[test]
fn a_clock_that_cannot_be_right_does_not_use_up_the_numbers() {
    // January 2026, 2052, 2060, and as late as a clock can say.
    let floors = [1_767_225_600, 2_580_000_000, 2_840_140_800, u64::MAX].map(floor_at);
    assert_eq!(floors, [Some(31_536_000_000_000), Some(844_310_400_000_000), None, None]);
}
