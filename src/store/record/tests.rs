//! Records are read as they were written, with whatever fields, and nothing else is.
use super::*;
use crate::engine::slot::Slot;
use proptest::prelude::*;
use std::net::Ipv4Addr;

fn job() -> StoredJob<'static> {
    StoredJob {
        id: JobId::new(77, Slot::of(b"rev")),
        priority: Priority::Low,
        epoch: Some(Epoch(1_800_000_000_123)),
        attempts: 3,
        function: b"rev",
        unique: b"u",
        workload: b"any \0 bytes",
        reducer: Some(b""),
        death: Some(Death {
            reason: DeathReason::AbilityDropped,
            at: Epoch(5),
            address: Ipv4Addr::LOCALHOST.into(),
            worker: b"w1",
        }),
        accepted: Some(Epoch(1_700_000_000_001)),
        more: b"\x02\x03any\x7f\0",
    }
}

/// The same without what not every job has.
fn bare() -> StoredJob<'static> {
    StoredJob { epoch: None, reducer: None, death: None, accepted: None, more: b"", ..job() }
}

#[test]
fn what_is_written_is_read() {
    let plain = StoredJob { unique: b"", workload: b"", ..bare() };
    let mut bytes = Vec::new();
    put(&job(), &mut bytes);
    let first = bytes.len();
    put(&plain, &mut bytes);
    done(job().id, &mut bytes);
    assert_eq!(read(&bytes), Ok((Record::Put(job()), first)));
    let (record, second) = read(&bytes[first..]).unwrap();
    assert_eq!(record, Record::Put(plain));
    assert_eq!(read(&bytes[first + second..]), Ok((Record::Done(job().id), DONE)));
    set_attempts(&mut bytes[..first], 200);
    set_attempts(&mut bytes[first..first + second], 200);
    attempts(job().id, 7, &mut bytes);
    assert_eq!(read(&bytes), Ok((Record::Put(job()), first)), "the dead stay as they are");
    let changed = Record::Put(StoredJob { attempts: 200, ..plain });
    assert_eq!(read(&bytes[first..]), Ok((changed, second)));
    let seven = &bytes[first + second + DONE..];
    assert_eq!(read(seven), Ok((Record::Attempts(job().id, 7), seven.len())));
    let kinds: Vec<RecordKind> = spans(&[&bytes]).map(|span| span.head.kind).collect();
    assert_eq!(kinds, [RecordKind::Put, RecordKind::Put, RecordKind::Done, RecordKind::Attempts]);
}

#[test]
fn a_workload_may_stand_elsewhere() {
    let (mut beginning, mut whole, mut end) = (Vec::new(), Vec::new(), Vec::new());
    attempts(job().id, 7, &mut beginning);
    let from = beginning.len();
    put_beginning(&job(), &mut beginning);
    seal_apart(&mut beginning[from..], job().workload);
    put(&job(), &mut whole);
    assert_eq!([&beginning[from..], job().workload].concat(), whole);
    done(job().id, &mut end);
    let slices = [&beginning[..], job().workload, &[], &end];
    let spans: Vec<Span> = spans(&slices).collect();
    let places: Vec<_> = spans.iter().map(|span| (span.slice, span.from, span.head.length)).collect();
    assert_eq!(places, [(0, 0, from), (0, from, whole.len()), (3, 0, DONE)]);
    assert_eq!(spans[1].parts(&slices), [&beginning[from..], job().workload]);
    assert_eq!(spans[1].read(&slices), Ok(Record::Put(job())));
    assert_eq!(spans[2].read(&slices), Ok(Record::Done(job().id)));
    let changed = [&beginning[..], b"any \0 bytez", &[], &end];
    assert_eq!(spans[1].read(&changed), Err(RecordError::Checksum));
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let mut bytes = Vec::new();
    put(&job(), &mut bytes);
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(read(&flipped).is_err(), "bit {bit}");
    }
    for cut in 0..bytes.len() {
        assert_eq!(read(&bytes[..cut]), Err(RecordError::Short), "cut at {cut}");
    }
}

#[test]
fn contents_that_make_no_sense_are_refused() {
    let mut bytes = vec![0; HEADER];
    bytes.extend([9; 40]);
    seal(0, &mut bytes);
    assert_eq!(read(&bytes), Err(RecordError::Nonsense));
    assert_eq!(read(&[0; 64]), Err(RecordError::Length(0)));
}

/// Before there were fields, a put looked so, and it still does without any.
#[test]
fn a_put_without_fields_is_as_it_always_was() {
    let mut bytes = Vec::new();
    put(&bare(), &mut bytes);
    let mut expected = vec![1];
    expected.extend(bare().id.number().to_le_bytes());
    expected.extend([2, 3, 1, 0, 3, 0, 0]);
    expected.extend([0; 8]);
    expected.extend(b"rev\0u\0any \0 bytes");
    assert_eq!(&bytes[HEADER..], expected);
    assert_eq!(read(&bytes), Ok((Record::Put(bare()), bytes.len())));
}

#[test]
fn a_field_that_must_be_understood_has_an_error_of_its_own() {
    let mut bytes = Vec::new();
    put(&StoredJob { more: &[MUST | 2, 1, 7], ..job() }, &mut bytes);
    assert_eq!(read(&bytes), Err(RecordError::Field(130)));
    assert_eq!(length(&bytes), Ok(bytes.len()), "what is behind it can be read");
    // Without its checksum nothing is known.
    bytes[20] ^= 1;
    assert_eq!(read(&bytes), Err(RecordError::Checksum));
}

/// Whole fields with numbers from 2 on that need not be understood.
fn more() -> impl Strategy<Value = Vec<u8>> {
    let value = proptest::collection::vec(any::<u8>(), 0..80);
    proptest::collection::btree_map(2_u8..0x80, value, 0..6).prop_map(|fields| {
        let field = |(tag, value): (u8, Vec<u8>)| [vec![tag, value.len() as u8], value].concat();
        fields.into_iter().flat_map(field).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_written_is_read(
        accepted in proptest::option::of(any::<u64>()),
        more in more(),
        workload in proptest::collection::vec(any::<u8>(), 0..100),
        plain in any::<bool>(),
        apart in any::<bool>(),
    ) {
        let job = StoredJob {
            accepted: accepted.map(Epoch),
            more: &more,
            workload: &workload,
            ..if plain { bare() } else { job() }
        };
        let mut bytes = Vec::new();
        put(&job, &mut bytes);
        prop_assert_eq!(read(&bytes), Ok((Record::Put(job), bytes.len())));
        set_attempts(&mut bytes, 9);
        let attempts = if plain { 9 } else { job.attempts };
        prop_assert_eq!(read(&bytes), Ok((Record::Put(StoredJob { attempts, ..job }), bytes.len())));
        if apart {
            let mut beginning = Vec::new();
            put_beginning(&job, &mut beginning);
            seal_apart(&mut beginning, &workload);
            prop_assert_eq!(read_apart(&beginning, &workload), Ok(Record::Put(job)));
        }
    }

    /// There is one way to write a record: whatever is read is written as it was.
    #[test]
    fn whatever_is_read_is_written_so(
        kind in 0_u8..6,
        mut rest in proptest::collection::vec(prop_oneof![3 => 0_u8..5, 1 => any::<u8>()], 8..80),
        shaped in any::<bool>(),
    ) {
        if shaped && rest.len() > 40 {
            // Names and fields that are short enough to be there.
            for at in [10, 11, 12, 14] {
                rest[at] %= 3;
            }
            (rest[8], rest[13]) = (rest[8] % 3, 0);
            (rest[23], rest[24]) = (2, 0);
            (rest[25], rest[26]) = (2 + rest[25] % 0x7e, 0);
        }
        let mut bytes = vec![0; HEADER];
        bytes.push(kind);
        bytes.append(&mut rest);
        seal(0, &mut bytes);
        if let Ok((record, length)) = read(&bytes) {
            let mut again = Vec::new();
            match record {
                Record::Put(job) => put(&job, &mut again),
                Record::Done(id) => done(id, &mut again),
                Record::Attempts(id, lost) => attempts(id, lost, &mut again),
            }
            prop_assert_eq!(&again, &bytes[..length]);
        }
    }
}
