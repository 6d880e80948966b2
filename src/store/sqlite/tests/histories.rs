//! Any history of jobs against a model of the store.
use super::*;

/// What happens to jobs, one thing after the other.
#[derive(Clone, Debug)]
enum Step {
    Put(Job),
    /// The job with this place among the living and dead.
    Done(usize),
    /// It dies, or is put back.
    Turn(usize),
    /// What was gathered is committed.
    Commit,
    Close,
    /// As far as a crash of the process goes.
    Drop,
}

fn job() -> impl Strategy<Value = Job> {
    let unique = prop_oneof![
        Just(b"".to_vec()),
        Just(b"-".to_vec()),
        Just(b"same".to_vec()),
        Just(vec![b'u'; 64]),
        Just([b"u".repeat(63), b"v".to_vec()].concat()),
        Just(b"ringgear:1:e".to_vec()),
        proptest::collection::vec(1_u8.., 1..=64),
    ];
    let epoch = prop_oneof![Just(None), (1_u64..1 << 50).prop_map(|time| Some(Epoch(time)))];
    let reducer = proptest::option::of(proptest::collection::vec(1_u8.., 0..=64));
    let workload = proptest::collection::vec(any::<u8>(), 0..40);
    let more = prop_oneof![4 => Just(Vec::new()), 1 => Just(b"\x02\x01a\x03\0".to_vec())];
    let function = prop_oneof![Just("f"), Just("g"), Just("a function")];
    (0..3_usize, epoch, 0..4_u8, function, unique, workload, reducer, more).prop_map(
        |(priority, epoch, attempts, function, unique, workload, reducer, more)| Job {
            more,
            priority: Priority::ALL[priority],
            epoch,
            // Mostly none, as in life.
            attempts: attempts.saturating_sub(2),
            workload,
            reducer: reducer.filter(|name| name.len() % 2 == 0),
            ..Job::new(1, function, &unique)
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => job().prop_map(Step::Put),
        3 => any::<usize>().prop_map(Step::Done),
        2 => any::<usize>().prop_map(Step::Turn),
        3 => Just(Step::Commit),
        1 => Just(Step::Close),
        1 => Just(Step::Drop),
    ]
}

/// Records in two batches, as from two shards.
fn halves(batch: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 0;
    while at < batch.len() / 2 {
        at += record::length(&batch[at..]).unwrap();
    }
    batch.split_at(at)
}

/// Replays: the living by number, then the dead by number.
fn in_order(model: &BTreeMap<JobId, Job>) -> Vec<Job> {
    let (dead, living): (Vec<Job>, Vec<Job>) = model.values().cloned().partition(|job| job.dead);
    [living, dead].concat()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn histories_come_back(steps in proptest::collection::vec(step(), 1..60), at_shutdown in any::<bool>()) {
        let folder = Folder::new();
        let options = SqliteOptions { on_shutdown_only: at_shutdown, ..SqliteOptions::of(folder.file()) };
        let open = || SqliteStore::open(options.clone()).unwrap();
        let mut store = open();
        prop_assert_eq!(replayed(&mut store), []);
        // As the engine sees it; as the store has been told; as the file has it.
        let mut model: BTreeMap<JobId, Job> = BTreeMap::new();
        let (mut told, mut file) = (model.clone(), model.clone());
        let mut batch = Vec::new();
        let mut sequence = 0;
        for step in steps.into_iter().chain([Step::Commit, Step::Close]) {
            match step {
                Step::Put(job) => {
                    sequence += 1;
                    let job = Job { id: JobId::new(sequence, Slot::of(&job.function)), ..job };
                    record::put(&job.stored(), &mut batch);
                    model.insert(job.id, job);
                }
                Step::Done(which) if !model.is_empty() => {
                    let id = *model.keys().nth(which % model.len()).unwrap();
                    record::done(id, &mut batch);
                    model.remove(&id);
                }
                Step::Turn(which) if !model.is_empty() => {
                    let at = which % model.len();
                    let job = model.values_mut().nth(at).unwrap();
                    *job = Job { dead: !job.dead, ..job.clone() };
                    record::put(&job.stored(), &mut batch);
                }
                Step::Done(_) | Step::Turn(_) => {}
                Step::Commit => {
                    let (first, second) = halves(&batch);
                    let committed = store.commit(&[first, second]);
                    prop_assert!(committed.puts.is_ok() && committed.dones.is_ok(), "{committed:?}");
                    batch.clear();
                    told.clone_from(&model);
                    if at_shutdown {
                        file.retain(|id, _| told.contains_key(id));
                    } else {
                        file.clone_from(&told);
                    }
                }
                Step::Close | Step::Drop => {
                    // What was not committed is lost.
                    batch.clear();
                    if let Step::Close = step {
                        store.close().unwrap();
                        file = told;
                    }
                    drop(store);
                    store = open();
                    prop_assert_eq!(replayed(&mut store), in_order(&file));
                    model.clone_from(&file);
                    told = file.clone();
                }
            }
        }
    }
}
