//! What must hold of any bytes that are read as records of stored jobs: nothing is read that would not be written like this, and
//! no bit may change unseen.
use ringgear::engine::StoredJob;
use ringgear::store::record::{self, HEADER, Record, RecordError};

pub(crate) fn run(bytes: &[u8]) {
    stream(bytes);
    if let [choice, lost, contents @ ..] = bytes {
        let whole = sealed(contents);
        match record::read(&whole) {
            Ok((record, length)) => {
                assert_eq!(length, whole.len());
                assert_eq!(written(&record), whole, "what is read is written the same: {record:?}");
                with_a_wrong_bit(&whole, *choice);
                if let Record::Put(job) = record {
                    apart(&job, &whole);
                    attempts(&job, &whole, *lost);
                }
            }
            Err(RecordError::Nonsense) => {}
            Err(RecordError::Field(tag)) => assert!(tag & record::MUST != 0, "others are carried along"),
            Err(error) => assert!(contents.len() < 9 && error == RecordError::Length(contents.len() as u32)),
        }
    }
}

/// Records one behind the other, until the rest is none.
fn stream(mut rest: &[u8]) {
    while let Ok((_, length)) = record::read(rest) {
        rest = &rest[length..];
    }
}

/// These contents with a length and a checksum that are right, so that no time is spent on finding them.
pub(crate) fn sealed(contents: &[u8]) -> Vec<u8> {
    let mut whole = vec![0; HEADER];
    whole[..4].copy_from_slice(&(contents.len() as u32).to_le_bytes());
    whole.extend_from_slice(contents);
    record::seal_apart(&mut whole, &[]);
    whole
}

fn written(record: &Record<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    match record {
        Record::Put(job) => record::put(job, &mut bytes),
        Record::Done(id) => record::done(*id, &mut bytes),
        Record::Attempts(id, lost) => record::attempts(*id, *lost, &mut bytes),
    }
    bytes
}

fn with_a_wrong_bit(whole: &[u8], choice: u8) {
    let mut wrong = whole.to_vec();
    let at = usize::from(choice >> 3) * whole.len() / 32;
    wrong[at] ^= 1 << (choice & 7);
    assert!(record::read(&wrong).is_err(), "bit {} of byte {at} may be wrong", choice & 7);
}

/// A commit may have the workload in a slice of its own.
fn apart(job: &StoredJob<'_>, whole: &[u8]) {
    let mut beginning = Vec::new();
    record::put_beginning(job, &mut beginning);
    record::seal_apart(&mut beginning, job.workload);
    let slices = [&beginning[..], job.workload];
    assert_eq!(slices.concat(), whole);
    let mut spans = record::spans(&slices);
    let span = spans.next().expect("there is a record");
    assert!(spans.next().is_none());
    assert_eq!(span.head.length, whole.len());
    assert_eq!(span.read(&slices), Ok(Record::Put(*job)));
}

fn attempts(job: &StoredJob<'_>, whole: &[u8], lost: u8) {
    let mut changed = whole.to_vec();
    record::set_attempts(&mut changed, lost);
    let attempts = if job.death.is_some() { job.attempts } else { lost };
    assert_eq!(record::read(&changed), Ok((Record::Put(StoredJob { attempts, ..*job }), whole.len())));
}
