//! Fuzzes what reads stored jobs: whatever is a record is written again as it was, and ends where it says.
//! Run: `cargo +nightly fuzz run --fuzz-dir tests/fuzz record`
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringgear::store::record::{self, HEADER, Record, RecordError};

fuzz_target!(|body: &[u8]| {
    // No checksum is ever guessed.
    let mut bytes = [&(body.len() as u32).to_le_bytes()[..], &[0; 4], body].concat();
    record::seal_apart(&mut bytes, &[]);
    bytes.push(0);
    match record::read(&bytes) {
        Ok((record, length)) => {
            assert_eq!(length, HEADER + body.len());
            let mut again = Vec::new();
            match record {
                Record::Put(job) => {
                    // It may be none of ours, but whether it is can be told.
                    let _ = job.sound();
                    record::put(&job, &mut again);
                }
                Record::Done(id) => record::done(id, &mut again),
                Record::Attempts(id, lost) => record::attempts(id, lost, &mut again),
            }
            assert_eq!(again, bytes[..length]);
        }
        Err(RecordError::Short | RecordError::Checksum) => panic!("it is whole"),
        Err(RecordError::Length(_) | RecordError::Nonsense) => {}
        Err(RecordError::Field(tag)) => assert!(tag & record::MUST != 0),
    }
});
