//! Any history of jobs against a model of the store, with sessions that end, stores that are closed or dropped, and rows that a
//! failover takes away. A failure names its seed.
use super::*;
use std::collections::BTreeMap;

/// A little generator of numbers: the same for a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, many: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % many
    }

    fn one_of<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize].clone()
    }

    fn job(&mut self, sequence: u64) -> Kept {
        let functions = [b"f".to_vec(), b"f".to_vec(), b"g h".to_vec(), b"\xfe".to_vec(), vec![b'l'; 256]];
        let uniques = [
            Vec::new(),
            b"-".to_vec(),
            b"same".to_vec(),
            b"same".to_vec(),
            b"it's".to_vec(),
            b"\xff".to_vec(),
            vec![b'u'; 64],
            b"ringgear:1:e".to_vec(),
            format!("u{sequence}").into_bytes(),
        ];
        let function = self.one_of(&functions);
        let epochs = [None, None, Some(Epoch(1)), Some(Epoch(7000)), Some(Epoch(1 << 44))];
        Kept {
            id: JobId::new(sequence, Slot::of(&function)),
            priority: self.one_of(&Priority::ALL),
            epoch: self.one_of(&epochs),
            attempts: self.one_of(&[0, 0, 0, 3]),
            unique: self.one_of(&uniques),
            workload: vec![7; self.below(40) as usize],
            reducer: self.one_of(&[None, None, None, Some(b"r".to_vec())]),
            death: None,
            accepted: None,
            more: self.one_of(&[Vec::new(), Vec::new(), Vec::new(), b"\x02\x01a".to_vec()]),
            function,
        }
    }
}

fn stands_alone(job: &Kept) -> bool {
    job.death.is_some() || std::str::from_utf8(&job.function).is_err() || job.function.len() > 255
}

/// In the order of a replay.
fn in_order(model: &BTreeMap<JobId, Kept>) -> Vec<Kept> {
    let (alone, others): (Vec<Kept>, Vec<Kept>) = model.values().cloned().partition(stands_alone);
    [others, alone].concat()
}

/// Reconnects, compares, and puts again what is wanted.
#[track_caller]
fn settle(store: &mut dyn Store, model: &BTreeMap<JobId, Kept>) {
    while store.owes() {
        store.maintain().unwrap_or_else(|error| panic!("{error}"));
        let wanted = store.wanted();
        let jobs: Vec<StoredJob<'_>> =
            wanted.iter().filter_map(|id| model.get(id)).map(Kept::stored).collect();
        if !jobs.is_empty() {
            put(store, &jobs);
        }
    }
}

#[test]
fn histories_come_back() {
    let cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    for seed in 1..=12_u64 {
        println!("seed {seed}");
        let options = PostgresOptions { table: format!("t{seed}"), ..PostgresOptions::of(&conninfo) };
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (mut model, mut batch) = (BTreeMap::<JobId, Kept>::new(), Vec::new());
        let mut store = PostgresStore::open(options.clone()).unwrap();
        assert_eq!(replayed(&mut store), []);
        for sequence in 1..=60 {
            let known: Vec<JobId> = model.keys().copied().collect();
            match dice.below(20) {
                0..8 => {
                    let job = dice.job(sequence);
                    record::put(&job.stored(), &mut batch);
                    model.insert(job.id, job);
                }
                8..11 if !known.is_empty() => {
                    let id = dice.one_of(&known);
                    record::done(id, &mut batch);
                    model.remove(&id);
                }
                11..13 if !known.is_empty() => {
                    let job = model.get_mut(&dice.one_of(&known)).unwrap();
                    job.death = match job.death {
                        None => {
                            Some((DeathReason::TimedOut, Epoch(5), Ipv4Addr::LOCALHOST.into(), b"w".to_vec()))
                        }
                        Some(_) => None,
                    };
                    record::put(&job.stored(), &mut batch);
                }
                13..14 if !known.is_empty() => {
                    let job = model.get_mut(&dice.one_of(&known)).unwrap();
                    if job.death.is_none() {
                        job.attempts += 1;
                        record::attempts(job.id, job.attempts, &mut batch);
                    }
                }
                14 => {
                    commit(&mut store, &std::mem::take(&mut batch));
                    store.close().unwrap();
                    store = PostgresStore::open(options.clone()).unwrap();
                    assert_eq!(replayed(&mut store), in_order(&model), "seed {seed}");
                }
                15 => _ = cluster.end_sessions("d"),
                16 => {
                    // The store has nothing to write, and a failover takes rows away.
                    commit(&mut store, &std::mem::take(&mut batch));
                    let sql = format!(
                        "DELETE FROM t{seed} WHERE ringgear_number / 1024 % 3 = 0; \
                         DELETE FROM t{seed}_ringgear WHERE number / 1024 % 3 = 0"
                    );
                    cluster.sql("d", &sql);
                    cluster.end_sessions("d");
                    commit(&mut store, b"");
                    settle(&mut store, &model);
                }
                _ => commit(&mut store, &std::mem::take(&mut batch)),
            }
        }
        commit(&mut store, &batch);
        drop(store);
        let mut store = PostgresStore::open(options).unwrap();
        assert_eq!(replayed(&mut store), in_order(&model), "seed {seed}");
        done(&mut store, &model.keys().copied().collect::<Vec<_>>());
        let left = format!("SELECT (SELECT count(*) FROM t{seed}) + (SELECT count(*) FROM t{seed}_ringgear)");
        assert_eq!(cluster.sql("d", &left), "0", "seed {seed}");
    }
}
