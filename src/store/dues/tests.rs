//! What is owed to a pretended store, and commits in parts to the same.
use super::*;
use crate::engine::slot::Slot;
use crate::protocol::Priority;
use crate::store::parts;
use crate::store::record::Record;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// What a test sees of its store, and how it has it behave.
#[derive(Debug, Default)]
struct Books {
    /// Jobs that are kept, with their lost attempts.
    jobs: BTreeMap<JobId, u8>,
    /// Jobs for which there is room.
    room: usize,
    /// Whether ends of jobs find room.
    stuck: bool,
    /// Jobs that cannot be kept, whatever room there is.
    unfit: BTreeSet<JobId>,
    alone: usize,
    /// How many records each commit had.
    commits: Vec<usize>,
    closed: bool,
}

struct Pretend(Arc<Mutex<Books>>);

impl Store for Pretend {
    fn replay_telling(
        &mut self,
        _: &mut dyn FnMut(StoredJob<'_>),
        _: &mut dyn FnMut(Progress),
    ) -> Result<(), StoreError> {
        Ok(())
    }

    fn commit(&mut self, slices: &[&[u8]]) -> Committed {
        let mut books = self.0.lock().unwrap();
        let heads: Vec<_> = record::spans(slices).map(|span| span.head).collect();
        books.commits.push(heads.len());
        let full = || Err(StoreError::Full { path: PathBuf::new() });
        let puts = heads.iter().filter(|head| head.kind == RecordKind::Put).count();
        let puts_of = || {
            heads
                .iter()
                .filter(|head| head.kind == RecordKind::Put)
                .filter_map(|head| JobId::from_number(head.id))
        };
        let unfit = puts_of().any(|id| books.unfit.contains(&id));
        let fits = !unfit && books.jobs.len() + puts <= books.room;
        for span in record::spans(slices) {
            match span.read(slices).unwrap() {
                Record::Put(job) if fits => _ = books.jobs.insert(job.id, job.attempts),
                Record::Done(id) if !books.stuck => _ = books.jobs.remove(&id),
                Record::Attempts(id, lost) => {
                    books.jobs.get_mut(&id).into_iter().for_each(|attempts| *attempts = lost);
                }
                _ => {}
            }
        }
        let dones = heads.iter().any(|head| head.kind == RecordKind::Done);
        let puts = match fits || puts == 0 {
            true => Ok(()),
            false if unfit => Err(StoreError::Unfit { name: String::new(), what: String::new() }),
            false => full(),
        };
        Committed::of(puts, if dones && books.stuck { full() } else { Ok(()) })
    }

    fn alone(&self) -> usize {
        self.0.lock().unwrap().alone
    }

    fn maintain(&mut self) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn owes(&self) -> bool {
        false
    }

    fn close(&mut self) -> Result<(), StoreError> {
        self.0.lock().unwrap().closed = true;
        Ok(())
    }
}

fn pretend() -> (Dues, Arc<Mutex<Books>>) {
    let books = Arc::new(Mutex::new(Books { room: 100, alone: usize::MAX, ..Books::default() }));
    (Dues::of(Box::new(Pretend(books.clone()))), books)
}

fn id(number: u64) -> JobId {
    JobId::new(number, Slot::of(b"f"))
}

fn put(number: u64, workload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let job = StoredJob {
        id: id(number),
        priority: Priority::Normal,
        epoch: None,
        attempts: 0,
        function: b"f",
        unique: b"",
        workload,
        reducer: None,
        death: None,
        accepted: None,
        more: b"",
    };
    record::put(&job, &mut bytes);
    bytes
}

fn done(number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    record::done(id(number), &mut bytes);
    bytes
}

fn attempts(number: u64, lost: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    record::attempts(id(number), lost, &mut bytes);
    bytes
}

fn kept(books: &Mutex<Books>) -> Vec<u64> {
    books.lock().unwrap().jobs.keys().map(|id| id.sequence()).collect()
}

/// No second has to pass.
fn hurry(dues: &mut Dues) {
    dues.next_try = None;
    dues.attempts_since = dues.attempts_since.and_then(|since| since.checked_sub(PAUSE));
}

#[test]
fn ends_that_found_no_room_are_tried_again() {
    let (mut dues, books) = pretend();
    dues.commit(&[&put(1, b""), &put(2, b"")]).puts.unwrap();
    books.lock().unwrap().stuck = true;
    dues.commit(&[&done(1)]).dones.unwrap_err();
    assert!(dues.owes() && !dues.maintain().unwrap(), "not at once");
    hurry(&mut dues);
    dues.maintain().unwrap_err();
    assert_eq!(kept(&books), [1, 2]);
    books.lock().unwrap().stuck = false;
    hurry(&mut dues);
    assert!(!dues.maintain().unwrap() && !dues.owes());
    assert_eq!(kept(&books), [2], "without another commit");
}

#[test]
fn what_is_owed_goes_before_what_needs_room() {
    let (mut dues, books) = pretend();
    dues.commit(&[&put(1, b"")]).puts.unwrap();
    (books.lock().unwrap().stuck, books.lock().unwrap().room) = (true, 1);
    dues.commit(&[&done(1)]).dones.unwrap_err();
    books.lock().unwrap().stuck = false;
    hurry(&mut dues);
    dues.commit(&[&put(2, b"")]).puts.unwrap();
    assert_eq!(kept(&books), [2]);
}

#[test]
fn what_is_put_again_is_not_owed_an_end() {
    let (mut dues, books) = pretend();
    dues.commit(&[&put(1, b"")]).puts.unwrap();
    books.lock().unwrap().stuck = true;
    dues.commit(&[&done(1)]).dones.unwrap_err();
    dues.commit(&[&put(1, b"")]).puts.unwrap();
    books.lock().unwrap().stuck = false;
    assert!(!dues.owes());
    dues.close().unwrap();
    assert_eq!(kept(&books), [1]);
}

#[test]
fn what_is_owed_is_paid_before_the_end() {
    let (mut dues, books) = pretend();
    dues.commit(&[&put(1, b""), &put(2, b"")]).puts.unwrap();
    books.lock().unwrap().stuck = true;
    dues.commit(&[&done(1)]).dones.unwrap_err();
    books.lock().unwrap().stuck = false;
    dues.commit(&[&attempts(2, 3)]).dones.unwrap();
    dues.close().unwrap();
    assert_eq!((kept(&books), books.lock().unwrap().jobs[&id(2)]), (vec![2], 3));
    assert!(books.lock().unwrap().closed);
}

#[test]
fn lost_attempts_ride_along() {
    let (mut dues, books) = pretend();
    dues.commit(&[&put(1, b""), &put(2, b""), &put(3, b"")]).puts.unwrap();
    for lost in 1..=3 {
        dues.commit(&[&attempts(1, lost), &attempts(2, lost), &attempts(3, lost)]).puts.unwrap();
    }
    assert_eq!(books.lock().unwrap().commits.len(), 1, "not worth a commit");
    // One is put again, and one ends.
    dues.commit(&[&put(2, b""), &done(3)]).puts.unwrap();
    let jobs = books.lock().unwrap().jobs.clone();
    assert_eq!(jobs.values().collect::<Vec<_>>(), [&3, &0]);
    assert_eq!(books.lock().unwrap().commits, [3, 3]);
    assert!(!dues.owes());

    dues.commit(&[&attempts(1, 4)]).puts.unwrap();
    assert!(dues.owes());
    hurry(&mut dues);
    dues.maintain().unwrap();
    assert_eq!(books.lock().unwrap().jobs[&id(1)], 4, "nothing came along");
    assert_eq!(books.lock().unwrap().commits, [3, 3, 1]);
}

#[test]
fn what_is_long_is_committed_alone_and_refused_alone() {
    let (mut dues, books) = pretend();
    books.lock().unwrap().alone = 1000;
    let long = put(3, &[0; 1000]);
    let first = [put(1, b""), put(2, b""), long, put(4, b"")].concat();
    let outcome = parts::commit(&mut dues, &[vec![&first], vec![&put(5, b"")]]);
    assert!(outcome.refused.is_empty() && outcome.errors.is_empty());
    assert_eq!(books.lock().unwrap().commits, [2, 1, 2]);
    assert_eq!(kept(&books), [1, 2, 3, 4, 5]);
}

#[test]
fn where_there_is_not_room_for_all_there_is_for_some() {
    let (mut dues, books) = pretend();
    books.lock().unwrap().room = 5;
    let first = (1..=4).flat_map(|number| put(number, b"")).collect::<Vec<u8>>();
    let second = [put(5, b""), done(5), put(6, b""), put(7, b""), put(8, b"")].concat();
    let outcome = parts::commit(&mut dues, &[vec![&first], vec![&second]]);
    assert_eq!(outcome.refused, [(1, 0), (1, 2), (1, 3)], "what has ended already, and what found no room");
    assert_eq!(kept(&books), [1, 2, 3, 4, 6]);
    assert_eq!(outcome.errors.len(), 1);
}

/// What a shard hands over: a short job, two large ones whose workloads stand elsewhere, and a short one.
#[test]
fn what_stands_elsewhere_is_committed_and_refused_like_the_rest() {
    let large = [8; 5000];
    let beginning = |number| {
        let whole = put(number, &large);
        whole[..whole.len() - large.len()].to_vec()
    };
    for (alone, room, commits, refused) in [
        (usize::MAX, 9, vec![5], vec![]),
        (1000, 9, vec![1, 1, 1, 2], vec![]),
        // Of five there is room for three: two, then one of the others, but not the last.
        (usize::MAX, 3, vec![5, 2, 3, 1, 2, 1, 1], vec![(1, 1), (1, 2)]),
    ] {
        let (mut dues, books) = pretend();
        (books.lock().unwrap().alone, books.lock().unwrap().room) = (alone, room);
        let (first, second) = ([put(1, b""), beginning(2)].concat(), beginning(3));
        let (rest, other) = (put(4, b""), put(5, b""));
        let rest = [rest, other].concat();
        let batches = [vec![&first[..], &large], vec![&second, &large, &rest]];
        let outcome = parts::commit(&mut dues, &batches);
        assert_eq!(outcome.refused, refused);
        assert_eq!(books.lock().unwrap().commits, commits);
        assert_eq!(kept(&books).len(), 5 - refused.len());
    }
}

#[test]
fn who_cannot_be_kept_is_found_among_many() {
    let many: Vec<u8> = (1..=300).flat_map(|number| put(number, b"")).collect();
    let (mut dues, books) = pretend();
    books.lock().unwrap().room = 1000;
    books.lock().unwrap().unfit = [7, 8, 250].map(id).into();
    let outcome = parts::commit(&mut dues, &[vec![&many]]);
    assert_eq!(outcome.refused, [(0, 6), (0, 7), (0, 249)]);
    assert_eq!((kept(&books).len(), outcome.errors.len()), (297, 1));
    // If it is everybody, that is found out after so many tries.
    let (mut dues, books) = pretend();
    books.lock().unwrap().unfit = (1..=300).map(id).collect();
    let outcome = parts::commit(&mut dues, &[vec![&many]]);
    assert_eq!((outcome.refused.len(), kept(&books).len()), (300, 0));
    assert!(books.lock().unwrap().commits.len() < 200, "{:?}", books.lock().unwrap().commits.len());
}
