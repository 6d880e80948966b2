//! What a log must hold: per job the states that are allowed, and the order of all of them. Says what a log that was
//! read has lost, invented, altered, brought back or mixed up.
use ringgear::engine::slot::{JobId, Slot};
use ringgear::engine::{Epoch, StoredJob};
use ringgear::protocol::Priority;
use ringgear::store::record;
use std::collections::BTreeMap;

/// A job as it was put: when, which attempt it is, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    /// When it was put; later ones come later, and no two are equal. It is in the record, as its time and in its workload, so
    /// that what is read is told apart from what was put there before.
    pub(crate) stamp: u64,
    pub(crate) attempts: u8,
    pub(crate) length: usize,
}

/// A record that is to be committed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    Put(u64, Version),
    Done(u64),
}

impl Op {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Op::Put(job, version) => {
                let workload = workload(job, version.stamp, version.length);
                record::put(&stored(job, version, &workload), out);
            }
            Op::Done(job) => record::done(id(job), out),
        }
    }

    /// The same as shards hand it over, the last slice being the one that is added to: a long workload has its own.
    pub(crate) fn hand_over(&self, slices: &mut Vec<Vec<u8>>) {
        let out = slices.last_mut().unwrap();
        match *self {
            Op::Put(job, version) if version.length >= APART => {
                let workload = workload(job, version.stamp, version.length);
                let from = out.len();
                record::put_beginning(&stored(job, version, &workload), out);
                record::seal_apart(&mut out[from..], &workload);
                slices.extend([workload, Vec::new()]);
            }
            _ => self.encode(out),
        }
    }
}

/// From this length on.
const APART: usize = 600;

fn stored(job: u64, version: Version, workload: &[u8]) -> StoredJob<'_> {
    StoredJob {
        id: id(job),
        priority: Priority::Normal,
        epoch: Some(Epoch(version.stamp)),
        attempts: version.attempts,
        function: b"f",
        unique: b"u",
        workload,
        reducer: None,
        death: None,
        accepted: Some(accepted(version.stamp)),
        more: MORE,
    }
}

/// Some time before it was put.
fn accepted(stamp: u64) -> Epoch {
    Epoch(stamp / 2)
}

/// Two fields that nobody knows.
const MORE: &[u8] = b"\x60\x03any\x61\0";

/// A job whose number of 19 digits none of ours has, nor one of its function: stores keep it, shards do not take it.
pub(crate) const UNSOUND: u64 = 5_000_000_000_000_000_000 >> 10;

pub(crate) fn id(job: u64) -> JobId {
    if job == UNSOUND { JobId::from_number(job << 10).unwrap() } else { JobId::new(job, Slot::of(b"f")) }
}

/// Looks a little like sectors of the log, with zeros and repetitions.
fn workload(job: u64, stamp: u64, length: usize) -> Vec<u8> {
    (0..length).map(|at| (job as u8).wrapping_mul(31) ^ stamp as u8 ^ ((at / 512) as u8)).collect()
}

/// What the auditor counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Audit {
    pub(crate) images: u64,
    pub(crate) refused: u64,
    pub(crate) lost: u64,
    pub(crate) phantoms: u64,
    pub(crate) altered: u64,
    pub(crate) repeats: u64,
    pub(crate) disordered: u64,
}

impl Audit {
    pub(crate) fn is_clean(&self) -> bool {
        let Audit { refused, lost, phantoms, altered, repeats, disordered, .. } = *self;
        [refused, lost, phantoms, altered, repeats, disordered] == [0; 6]
    }
}

/// What may be there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    /// Per job that ever was: all states that are allowed now.
    jobs: BTreeMap<u64, Vec<State>>,
}

/// A state of a job.
#[derive(Clone, Copy, Debug)]
struct State {
    version: Option<Version>,
    /// Whether somebody was told so.
    acknowledged: bool,
}

impl Model {
    /// These records may be kept or not.
    pub(crate) fn maybe(&mut self, ops: &[Op], acknowledged: bool) {
        for op in ops {
            let (job, version) = after(op);
            let never = State { version: None, acknowledged: true };
            self.jobs.entry(job).or_insert_with(|| vec![never]).push(State { version, acknowledged });
        }
    }

    /// These records are kept.
    pub(crate) fn surely(&mut self, ops: &[Op]) {
        for op in ops {
            let (job, version) = after(op);
            self.jobs.insert(job, vec![State { version, acknowledged: true }]);
        }
    }

    /// What was found is what is there, from now on.
    pub(crate) fn settle(&mut self, found: &[(u64, Version)]) {
        let state = |version| State { version: Some(version), acknowledged: true };
        self.jobs = found.iter().map(|&(job, version)| (job, vec![state(version)])).collect();
    }

    /// What was acknowledged is kept, nothing that came before it.
    pub(crate) fn latest(&mut self) {
        for states in self.jobs.values_mut() {
            let last = states.iter().rposition(|state| state.acknowledged).unwrap_or(0);
            states.drain(..last);
        }
    }

    /// Compares what was read, in order, and counts what is wrong.
    pub(crate) fn audit(&self, found: &[Found], audit: &mut Audit) -> Vec<(u64, Version)> {
        let mut seen = BTreeMap::new();
        let mut last = 0;
        for job in found {
            let Some(states) = self.jobs.get(&job.id) else {
                audit.phantoms += 1;
                continue;
            };
            let same = |version: &&Version| **version == job.version;
            let Some(version) = states.iter().rev().filter_map(|state| state.version.as_ref()).find(same)
            else {
                let ended = states.iter().all(|state| state.version.is_none());
                if ended {
                    audit.repeats += 1;
                } else {
                    audit.altered += 1;
                }
                continue;
            };
            if !job.intact {
                audit.altered += 1;
            }
            if seen.insert(job.id, *version).is_some() {
                audit.phantoms += 1;
            }
            if version.stamp < last {
                audit.disordered += 1;
            }
            last = version.stamp;
        }
        for (job, states) in &self.jobs {
            if !seen.contains_key(job) && states.iter().all(|state| state.version.is_some()) {
                audit.lost += 1;
            }
        }
        seen.into_iter().collect()
    }

    /// Jobs that are surely there.
    pub(crate) fn present(&self) -> Vec<u64> {
        let there = |states: &[State]| states.last().is_some_and(|state| state.version.is_some());
        self.jobs.iter().filter(|(_, states)| there(states)).map(|(&job, _)| job).collect()
    }
}

fn after(op: &Op) -> (u64, Option<Version>) {
    match *op {
        Op::Put(job, version) => (job, Some(version)),
        Op::Done(job) => (job, None),
    }
}

/// A job that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) id: u64,
    pub(crate) version: Version,
    /// Whether everything else is as it should be.
    pub(crate) intact: bool,
}

impl Found {
    pub(crate) fn from(job: &StoredJob<'_>) -> Found {
        let number = job.id.sequence();
        let stamp = job.epoch.map_or(0, |epoch| epoch.0);
        let version = Version { stamp, attempts: job.attempts, length: job.workload.len() };
        let intact = job.function == b"f"
            && job.unique == b"u"
            && job.accepted == Some(accepted(stamp))
            && job.more == MORE
            && job.workload == workload(number, stamp, job.workload.len());
        Found { id: number, version, intact }
    }
}
