//! What a commit comes to: of each job the last that was said. What it becomes in a database is each store's affair.
use crate::engine::{JobId, StoredJob};
use crate::store::record::{self, Record, Span};
use std::collections::HashMap;

/// The last that was said of jobs; each of them is in one of these once.
#[derive(Debug, Default)]
pub(crate) struct LatestWords<'a> {
    /// In the order in which they came.
    pub(crate) puts: Vec<StoredJob<'a>>,
    pub(crate) ended: Vec<JobId>,
    /// Jobs that lost attempts, and so many.
    pub(crate) attempts: Vec<(JobId, u8)>,
}

enum LastWord<'a> {
    Put(StoredJob<'a>),
    Ended,
    Attempts(u8),
}

impl<'a> LatestWords<'a> {
    /// Of these slices of records; without puts, if those are not to be kept.
    pub(crate) fn of(slices: &[&'a [u8]], puts: bool) -> LatestWords<'a> {
        let (mut words, mut order) = (HashMap::new(), Vec::new());
        for span in record::spans(slices) {
            let (id, word) = match read(span, slices) {
                Record::Put(_) if !puts => continue,
                Record::Put(job) => (job.id, LastWord::Put(job)),
                Record::Done(id) => (id, LastWord::Ended),
                Record::Attempts(id, lost) => (id, LastWord::Attempts(lost)),
            };
            match (words.get_mut(&id), word) {
                (None, word) => {
                    order.push(id);
                    words.insert(id, word);
                }
                (Some(LastWord::Put(job)), LastWord::Attempts(lost)) => {
                    // What a dead job had lost was said with its death.
                    if job.death.is_none() {
                        job.attempts = lost;
                    }
                }
                (Some(LastWord::Ended), LastWord::Attempts(_)) => {}
                (Some(before), word) => *before = word,
            }
        }
        let mut latest = LatestWords::default();
        for id in order {
            match words.remove(&id) {
                Some(LastWord::Put(job)) => latest.puts.push(job),
                Some(LastWord::Ended) => latest.ended.push(id),
                Some(LastWord::Attempts(lost)) => latest.attempts.push((id, lost)),
                None => {}
            }
        }
        latest
    }
}

/// A record of a commit.
fn read<'a>(span: Span, slices: &[&'a [u8]]) -> Record<'a> {
    // Our own shards wrote them a moment ago.
    span.read(slices).unwrap_or_else(|error| panic!("a commit consists of whole records: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::slot::Slot;
    use crate::protocol::Priority;

    fn job(sequence: u64) -> StoredJob<'static> {
        StoredJob {
            id: JobId::new(sequence, Slot::of(b"f")),
            priority: Priority::Normal,
            epoch: None,
            attempts: 0,
            function: b"f",
            unique: b"u",
            workload: b"w",
            reducer: None,
            death: None,
            accepted: None,
            more: b"",
        }
    }

    #[test]
    fn each_job_is_there_once_as_it_was_last() {
        let jobs: Vec<StoredJob<'_>> = (1..=6).map(job).collect();
        let mut bytes = Vec::new();
        record::put(&jobs[0], &mut bytes);
        record::done(jobs[0].id, &mut bytes);
        record::done(jobs[1].id, &mut bytes);
        record::put(&jobs[1], &mut bytes);
        record::put(&jobs[2], &mut bytes);
        record::attempts(jobs[2].id, 3, &mut bytes);
        record::attempts(jobs[3].id, 1, &mut bytes);
        record::attempts(jobs[3].id, 2, &mut bytes);
        record::attempts(jobs[4].id, 2, &mut bytes);
        record::done(jobs[4].id, &mut bytes);
        let latest = LatestWords::of(&[&bytes], true);
        assert_eq!(latest.puts, [jobs[1], StoredJob { attempts: 3, ..jobs[2] }]);
        assert_eq!(latest.ended, [jobs[0].id, jobs[4].id]);
        assert_eq!(latest.attempts, [(jobs[3].id, 2)]);
        let latest = LatestWords::of(&[&bytes], false);
        assert_eq!(
            (latest.puts.len(), latest.ended.len()),
            (0, 3),
            "jobs of which puts were refused end, too"
        );
    }
}
