//! The thread at rest: on a pretended store.
use super::*;
use crate::engine::{JobId, StoredJob};
use crate::store::gathered::Gathered;
use crate::store::{Committed, Progress};
use std::sync::atomic::{AtomicU32, Ordering};

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
        Committed::of(Ok(()), Err(StoreError::Sealed))
    }

    fn maintain(&mut self) -> Result<bool, StoreError> {
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
    let shard = topology.owners().next().unwrap();
    let (channel, seen) = (Arc::new(StoreChannel::new(topology, u64::MAX)), Arc::new(Seen::default()));
    let store = Box::new(Owing { seen: seen.clone(), left: 0 });
    thread::scope(|scope| {
        let running = scope.spawn(|| run(store, channel.clone(), topology, Box::new(|_| {}), &|_| {}));
        let mut records = Gathered::default();
        records.done(JobId::from_number(1 << 40).unwrap());
        let (from, upto) = (StoreSeq::default(), StoreSeq::default());
        channel
            .hand_over(shard, Batch { records, era: 0, from, upto, gaps: Vec::new(), unknown: Vec::new() });
        let wanted = (ACTIVE.as_millis() / LOOK.as_millis()) as u32 + 3;
        let begin = Instant::now();
        while seen.tries.load(Ordering::SeqCst) < wanted {
            assert!(begin.elapsed() < Duration::from_secs(60), "it is not tried any more: {seen:?}");
            thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(seen.commits.load(Ordering::SeqCst), 1);
        channel.stop(true);
        running.join().unwrap().unwrap();
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
fn puts_are_named_by_their_numbers() {
    let seqs = |numbers: &[u64]| numbers.iter().map(|&number| StoreSeq(number)).collect::<Vec<_>>();
    let gaps = seqs(&[11, 14, 15]);
    let batch = Batch {
        records: Gathered::default(),
        era: 0,
        from: StoreSeq(10),
        upto: StoreSeq(17),
        gaps,
        unknown: Vec::new(),
    };
    assert_eq!((0..4).map(|put| batch.seq(put)).collect::<Vec<_>>(), seqs(&[12, 13, 16, 17]));
    let mut ranges = Vec::new();
    seqs(&[3, 4, 5, 7, 9, 10]).into_iter().for_each(|seq| add_to_ranges(&mut ranges, seq));
    let ranges: Vec<(u64, u64)> = ranges.into_iter().map(|(from, to)| (from.0, to.0)).collect();
    assert_eq!(ranges, [(3, 5), (7, 7), (9, 10)]);
}
