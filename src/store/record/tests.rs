//! Records are read as they were written and nothing else is.
use super::*;
use crate::engine::slot::Slot;
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
    }
}

#[test]
fn what_is_written_is_read() {
    let plain = StoredJob { epoch: None, reducer: None, death: None, unique: b"", workload: b"", ..job() };
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
    let kinds: Vec<Kind> = spans(&[&bytes]).map(|span| span.head.kind).collect();
    assert_eq!(kinds, [Kind::Put, Kind::Put, Kind::Done, Kind::Attempts]);
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
