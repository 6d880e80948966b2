//! Records on their way from a shard to a store: small ones stand in one buffer; the workload of a large one stays where
//! it is, shared with the job, until the thread of the store copies it. How a record looks is `record/mod.rs`.
use super::record;
use crate::engine::{JobId, StoredJob};
use bytes::Bytes;

/// Records, one behind the other.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    bytes: Vec<u8>,
    large: Vec<LargeRecord>,
    /// Bytes of all workloads that stand elsewhere.
    apart: usize,
}

/// A record whose workload stands elsewhere.
#[derive(Debug)]
struct LargeRecord {
    /// Where the record begins among the bytes, and where its workload belongs.
    from: usize,
    until: usize,
    workload: Bytes,
}

impl Gathered {
    /// None, in a buffer that was used before.
    pub(crate) fn within(mut buffer: Vec<u8>) -> Gathered {
        buffer.clear();
        Gathered { bytes: buffer, ..Gathered::default() }
    }

    /// Adds a put; `workload` is the job's, if it is to be shared instead of copied.
    pub(crate) fn put(&mut self, job: &StoredJob<'_>, workload: Option<Bytes>) {
        let Some(workload) = workload.filter(|workload| !workload.is_empty()) else {
            return record::put(job, &mut self.bytes);
        };
        let from = self.bytes.len();
        record::put_beginning(job, &mut self.bytes);
        self.apart += workload.len();
        self.large.push(LargeRecord { from, until: self.bytes.len(), workload });
    }

    /// Adds the end of a job.
    pub(crate) fn done(&mut self, id: JobId) {
        record::done(id, &mut self.bytes);
    }

    /// Adds lost attempts of a job.
    pub(crate) fn attempts(&mut self, id: JobId, lost: u8) {
        record::attempts(id, lost, &mut self.bytes);
    }

    /// Adds all of the others behind these.
    pub(crate) fn append(&mut self, others: &mut Gathered) {
        let before = self.bytes.len();
        self.bytes.append(&mut others.bytes);
        self.large.extend(others.large.drain(..).map(|large| LargeRecord {
            from: large.from + before,
            until: large.until + before,
            ..large
        }));
        self.apart += std::mem::take(&mut others.apart);
    }

    /// Bytes, those that are shared with jobs included.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() + self.apart
    }

    /// Completes the records: a checksum reads all of a workload, which a shard has no time for. To be called once.
    pub(crate) fn seal(&mut self) {
        for large in &self.large {
            record::seal_apart(&mut self.bytes[large.from..large.until], &large.workload);
        }
    }

    /// The records as a commit has them: see [`record::spans`].
    pub(crate) fn slices(&self) -> Vec<&[u8]> {
        let (mut slices, mut from) = (Vec::with_capacity(2 * self.large.len() + 1), 0);
        for large in &self.large {
            slices.extend([&self.bytes[from..large.until], &large.workload]);
            from = large.until;
        }
        slices.push(&self.bytes[from..]);
        slices
    }

    /// Lets go of the records. The buffer can be used again.
    pub(crate) fn into_buffer(mut self) -> Vec<u8> {
        self.bytes.clear();
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::slot::Slot;
    use crate::protocol::Priority;

    fn job(number: u64, workload: &[u8]) -> StoredJob<'_> {
        StoredJob {
            id: JobId::new(number, Slot::of(b"f")),
            priority: Priority::Normal,
            epoch: None,
            attempts: 0,
            function: b"f",
            unique: b"u",
            workload,
            reducer: None,
            death: None,
            accepted: None,
            more: b"",
        }
    }

    /// Adds some records, with workloads that are shared or copied.
    fn some(gathered: &mut Gathered, large: &Bytes, shared: bool) {
        let share = || shared.then(|| large.clone());
        gathered.done(job(1, b"").id);
        gathered.put(&job(2, large), share());
        gathered.put(&job(3, b"small"), None);
        gathered.put(&job(4, large), share());
        gathered.put(&job(5, large), share());
        gathered.attempts(job(4, b"").id, 1);
    }

    #[test]
    fn what_is_shared_is_what_would_have_been_copied() {
        let large = Bytes::from(vec![7; 100_000]);
        let (mut shared, mut copied) = (Gathered::default(), Gathered::default());
        for _ in 0..2 {
            let (mut more, mut same) = (Gathered::default(), Gathered::default());
            some(&mut more, &large, true);
            some(&mut same, &large, false);
            shared.append(&mut more);
            copied.append(&mut same);
            assert_eq!((more.len(), same.len()), (0, 0));
        }
        shared.seal();
        copied.seal();
        let slices = shared.slices();
        assert_eq!(slices.concat(), copied.slices().concat());
        assert_eq!(shared.len(), copied.len());
        assert!(slices.iter().any(|slice| slice.as_ptr() == large.as_ptr()), "it is where it was");
        let numbers: Vec<u64> =
            record::spans(&slices).map(|span| span.head.id / u64::from(crate::engine::slot::SLOTS)).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 4, 1, 2, 3, 4, 5, 4]);
        assert!(record::spans(&slices).all(|span| span.read(&slices).is_ok()));
        assert!(shared.bytes.capacity() < 1000 && shared.into_buffer().is_empty());
        assert_eq!(copied.slices().len(), 1);
    }
}
