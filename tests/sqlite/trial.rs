//! From gearmand's table into another store, and back.
use super::*;
use ringgear::store::transfer::{Onto, Transferred, transfer};
use ringgear::store::{Progress, StoreError};
use std::collections::BTreeMap;

/// A store that keeps jobs in memory.
#[derive(Debug, Default)]
struct Memory(BTreeMap<JobId, Vec<u8>>);

impl Store for Memory {
    fn replay_telling(
        &mut self,
        each: &mut dyn FnMut(StoredJob<'_>),
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), StoreError> {
        progress(Progress::Telling { jobs: self.0.len() as u64 });
        for bytes in self.0.values() {
            match record::read(bytes) {
                Ok((record::Record::Put(job), _)) => each(job),
                other => panic!("{other:?}"),
            }
        }
        Ok(())
    }

    fn commit(&mut self, batches: &[&[u8]]) -> ringgear::store::Committed {
        for batch in batches {
            let mut rest = *batch;
            while !rest.is_empty() {
                let (record, length) = record::read(rest).unwrap();
                match record {
                    record::Record::Put(job) => self.0.insert(job.id, rest[..length].to_vec()),
                    record::Record::Done(id) => self.0.remove(&id),
                    record::Record::Attempts(..) => None,
                };
                rest = &rest[length..];
            }
        }
        ringgear::store::Committed::all()
    }

    fn maintain(&mut self) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn owes(&self) -> bool {
        false
    }

    fn close(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[test]
fn a_trial_of_ringgear_can_be_undone() {
    let folder = Folder::new();
    let mut server = folder.gearmand();
    let mut client = connect(&mut server);
    for (number, unique, workload) in
        [(SUBMIT_JOB_BG, "a", "1"), (SUBMIT_JOB_HIGH_BG, "b", "2"), (SUBMIT_JOB_BG, "c", "")]
    {
        submit(&mut client, number, &[b"f", unique.as_bytes(), workload.as_bytes()]);
    }
    drop(client);
    stop(server);

    let mut store = Memory::default();
    let mut import = || {
        let mut table = folder.store();
        let done = transfer(&mut table, &mut store, Onto::Others).unwrap();
        table.close().unwrap();
        done
    };
    assert_eq!(import(), Transferred { jobs: 3, ..Transferred::default() });
    // Again: they are there.
    assert_eq!(import(), Transferred { joined: 3, ..Transferred::default() });
    let highest = store.0.keys().next_back().unwrap().sequence();
    let more = [
        job(highest + 1, b"", b"4"),
        StoredJob { reducer: Some(b"sum"), attempts: 1, ..job(highest + 2, b"r", b"5") },
        dead(highest + 3, b"d", b"6"),
    ];
    put(&mut store, &more);

    let back = folder.0.file("back.db");
    let mut export = || {
        let mut table = SqliteStore::open(SqliteOptions::of(&back)).unwrap();
        let done = transfer(&mut store, &mut table, Onto::Nothing);
        table.close().unwrap();
        done
    };
    let wanted = Transferred {
        jobs: 6,
        dead: 1,
        reduce: 1,
        attempts: 1,
        generated_uniques: 1,
        ..Transferred::default()
    };
    assert_eq!(export().unwrap(), wanted);
    let refused = export().unwrap_err();
    assert!(refused.to_string().contains("has 6 jobs already"), "{refused}");
    assert_eq!(replayed(&mut SqliteStore::open(SqliteOptions::of(&back)).unwrap()), {
        let mut told = replayed(&mut store);
        told.sort_by_key(|job| job.dead);
        told
    });

    let mut server = start(&back).unwrap_or_else(|error| panic!("{error}"));
    let workloads: Vec<Vec<u8>> =
        work_off(&mut server, b"f").into_iter().map(|(_, workload)| workload).collect();
    assert_eq!(workloads, [&b"2"[..], b"1", b"", b"4", b"5"]);
    stop(server);
}
