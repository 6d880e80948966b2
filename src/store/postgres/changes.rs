//! What a commit comes to in rows: of each job the last that was said (`store/latest.rs`), as columns for a few statements of many rows
//! each. Which statements is `writer.rs`; what of a job becomes which row is `sql/rows.rs`, but for what only PostgreSQL cannot have.
use super::fault::PgFault;
use super::shape::TableShape;
use crate::engine::{JobId, StoredJob};
use crate::store::latest::LatestWords;
use crate::store::record;
use crate::store::sql::key::{self, Origin};
use crate::store::sql::numbers::row_of;
use crate::store::sql::row::Columns;
use crate::store::sql::rows::JobRows;

/// Kinds of rows of our own table: beside one of gearmand's, or alone.
pub(super) const BESIDE: i16 = 0;
pub(super) const ALONE: i16 = 1;
pub(super) const DEAD: i16 = 2;

/// Bytes of a workload that PostgreSQL keeps, and can still dump: text of it has two letters a byte, and there can be a gigabyte.
const WORKLOAD_MAX: usize = 500 << 20;

/// A job that is to be kept.
#[derive(Debug)]
pub(super) struct JobPut<'a> {
    pub(super) id: JobId,
    pub(super) number: i64,
    /// gearmand's row, if there is to be one.
    pub(super) theirs: Option<Columns<'a>>,
    /// Our own, if there is to be one.
    pub(super) ours: Option<OurPgRow>,
    job: StoredJob<'a>,
}

/// A row of our own table.
#[derive(Debug)]
pub(super) struct OurPgRow {
    pub(super) kind: i16,
    pub(super) attempts: i16,
    pub(super) record: Vec<u8>,
}

/// What is to be changed, in no order: each job is there once.
#[derive(Debug, Default)]
pub(super) struct Changes<'a> {
    /// In the order in which they came.
    pub(super) puts: Vec<JobPut<'a>>,
    pub(super) ended: Vec<i64>,
    /// Jobs that lost attempts, and so many.
    pub(super) attempts: Vec<(i64, i16)>,
}

impl<'a> Changes<'a> {
    /// Of these slices of records; without puts, if those are not to be kept.
    pub(super) fn of(slices: &[&'a [u8]], shape: &TableShape, puts: bool) -> Result<Changes<'a>, PgFault> {
        let LatestWords { puts, ended, attempts } = LatestWords::of(slices, puts);
        Ok(Changes {
            puts: puts.into_iter().map(|job| JobPut::of(job, shape)).collect::<Result<_, _>>()?,
            ended: ended.into_iter().map(row_of).collect::<Result<_, _>>()?,
            attempts: attempts
                .into_iter()
                .map(|(id, lost)| row_of(id).map(|number| (number, lost.into())))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Puts them into an order in which every server has them: that of their keys.
    pub(super) fn sort(&mut self) {
        let key = |put: &JobPut<'_>| {
            put.theirs.as_ref().map(|columns| (columns.function.to_vec(), columns.key.to_vec()))
        };
        self.puts.sort_by_cached_key(key);
    }
}

impl<'a> JobPut<'a> {
    fn of(job: StoredJob<'a>, shape: &TableShape) -> Result<JobPut<'a>, PgFault> {
        if job.workload.len() > WORKLOAD_MAX {
            return Err(PgFault::Unfit(format!(
                "a workload of {} bytes is too long for PostgreSQL, which keeps {WORKLOAD_MAX}",
                job.workload.len()
            )));
        }
        let mut rows = JobRows::of(&job);
        let number = row_of(job.id)?;
        if let Some(columns) = &rows.theirs
            && !fits(&columns.key, shape.key_max, shape.utf8)
        {
            rows.take_own_key(job.id);
        }
        let mut plain = rows.is_plain();
        let mut theirs = rows.theirs.take().filter(|_| fits(job.function, shape.function_max, shape.utf8));
        if let Some(columns) = &mut theirs
            && columns.when_to_run > shape.latest
        {
            (columns.when_to_run, plain) = (shape.latest, false);
        }
        let ours = match (&theirs, job.death) {
            (Some(_), _) if plain => None,
            (Some(_), _) => Some(OurPgRow::of(&job, BESIDE)),
            (None, Some(_)) => Some(OurPgRow::of(&job, DEAD)),
            (None, None) => Some(OurPgRow::of(&job, ALONE)),
        };
        Ok(JobPut { id: job.id, number, theirs, ours, job })
    }

    /// Another row has its key: from now on it has one that nobody else can have.
    pub(super) fn take_own_key(&mut self) {
        if let Some(columns) = &mut self.theirs {
            columns.key = key::generated(self.id, Origin::Elsewhere).into();
            self.ours = Some(OurPgRow::of(&self.job, BESIDE));
        }
    }

    /// Whether all of it stands in our own table.
    pub(super) fn is_alone(&self) -> bool {
        self.theirs.is_none()
    }

    /// Bytes that it takes on its way, about.
    pub(super) fn bytes(&self) -> usize {
        let ours = self.ours.as_ref().map_or(0, |ours| ours.record.len());
        self.job.workload.len() + self.job.function.len() + ours + 128
    }
}

impl OurPgRow {
    fn of(job: &StoredJob<'_>, kind: i16) -> OurPgRow {
        let mut record = Vec::new();
        let workload = if kind == BESIDE { &[] } else { job.workload };
        record::put(&StoredJob { workload, ..*job }, &mut record);
        OurPgRow { kind, attempts: job.attempts.into(), record }
    }
}

/// Whether a column of so many letters can have this as text.
fn fits(bytes: &[u8], letters: usize, utf8: bool) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            !bytes.contains(&0)
                && (utf8 || text.is_ascii())
                && (bytes.len() <= letters || text.chars().count() <= letters)
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::names::PgTables;
    use super::*;
    use crate::engine::slot::Slot;
    use crate::engine::{Death, DeathReason, Epoch};
    use crate::protocol::Priority;
    use std::net::Ipv4Addr;

    fn shape() -> TableShape {
        let names = PgTables::of("s", "t");
        TableShape {
            names,
            shown: String::new(),
            oid: 1,
            utf8: true,
            key_max: 64,
            function_max: 255,
            latest: i32::MAX.into(),
            unlogged: false,
        }
    }

    fn job<'a>(sequence: u64, function: &'a [u8], unique: &'a [u8]) -> StoredJob<'a> {
        StoredJob {
            id: JobId::new(sequence, Slot::of(function)),
            priority: Priority::Normal,
            epoch: None,
            attempts: 0,
            function,
            unique,
            workload: b"w",
            reducer: None,
            death: None,
            accepted: None,
            more: b"",
        }
    }

    fn put_of(job: StoredJob<'_>) -> JobPut<'_> {
        JobPut::of(job, &shape()).unwrap()
    }

    #[test]
    fn each_job_is_there_once_as_it_was_last() {
        let jobs: Vec<StoredJob<'_>> = (1..=6).map(|sequence| job(sequence, b"f", b"u")).collect();
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
        let changes = Changes::of(&[&bytes], &shape(), true).unwrap();
        let numbers =
            |ids: &[usize]| -> Vec<i64> { ids.iter().map(|&at| row_of(jobs[at].id).unwrap()).collect() };
        let puts: Vec<i64> = changes.puts.iter().map(|put| put.number).collect();
        assert_eq!((puts, changes.ended), (numbers(&[1, 2]), numbers(&[0, 4])));
        assert_eq!(changes.attempts, [(numbers(&[3])[0], 2)]);
        assert_eq!(changes.puts[1].ours.as_ref().map(|ours| (ours.kind, ours.attempts)), Some((BESIDE, 3)));
        let changes = Changes::of(&[&bytes], &shape(), false).unwrap();
        assert!(changes.puts.is_empty());
        assert_eq!(changes.ended.len(), 3, "jobs of which puts were refused end, too");
    }

    #[test]
    fn what_gearmands_table_cannot_have_stands_beside_it_or_alone() {
        let unique = "\u{e9}".repeat(31);
        let plain = put_of(job(1, "f\u{e9}".as_bytes(), unique.as_bytes()));
        assert!(plain.ours.is_none() && plain.theirs.is_some());
        // The 63 bytes that gearmand can delete again end within a letter.
        let cut = "\u{e9}".repeat(32);
        for (unique, own) in [(&b"\xff"[..], true), (b"a\xc3", true), (cut.as_bytes(), true), (b"u", false)] {
            let put = put_of(job(1, b"f", unique));
            let columns = put.theirs.as_ref().unwrap();
            assert_eq!((columns.key.starts_with(b"ringgear:"), put.ours.is_some()), (own, own), "{unique:?}");
        }
        let late =
            put_of(StoredJob { epoch: Some(Epoch::from_seconds(5_000_000_000)), ..job(1, b"f", b"u") });
        assert_eq!(late.theirs.unwrap().when_to_run, i64::from(i32::MAX));
        assert_eq!(late.ours.unwrap().kind, BESIDE);
        for function in [&b"\xff"[..], &[b'f'; 256]] {
            let put = put_of(job(1, function, b"u"));
            assert!(put.is_alone());
            assert_eq!(put.ours.unwrap().kind, ALONE);
        }
        assert!(
            !put_of(job(1, "\u{e9}".repeat(200).as_bytes(), b"u")).is_alone(),
            "letters count, not bytes"
        );
        let (reason, address) = (DeathReason::WorkerGone, Ipv4Addr::LOCALHOST.into());
        let death = Some(Death { reason, at: Epoch(1), address, worker: b"" });
        assert_eq!(put_of(StoredJob { death, ..job(1, b"f", b"u") }).ours.unwrap().kind, DEAD);
    }

    #[test]
    fn a_database_that_is_not_utf8_keeps_other_letters_beside() {
        let latin = TableShape { utf8: false, ..shape() };
        let put = JobPut::of(job(1, b"f", "\u{e9}".as_bytes()), &latin).unwrap();
        assert!(put.theirs.unwrap().key.starts_with(b"ringgear:"));
        assert!(JobPut::of(job(1, "\u{e9}".as_bytes(), b"u"), &latin).unwrap().is_alone());
    }
}
