//! The shared port: whether a packet or an administrator's line begins is seen from its first byte, and seen anew for
//! each, so one connection may mix both. Packets are read and written by the protocol; lines in `text.rs`.
use crate::engine::{Ask, Assignment, JobId, Query, Reply, Report, SHARED_MIN, Work};
use crate::protocol::{DecodeError, Frame, GrabKind, Request, RequestError, Response, frame};

use super::port::{Decoded, Incoming, SharedPort, WireError, until_nul};
use super::text;
use bytes::Bytes;

impl SharedPort {
    /// Reads one packet or line at the beginning of `bytes`. A pure function: call it again with the same bytes and
    /// more behind them.
    #[inline]
    pub fn decode<'a>(&self, bytes: &'a [u8]) -> Decoded<'a> {
        decode(self, bytes)
    }

    /// Appends what the peer is to be sent, but for a payload of at least [`crate::engine::SHARED_MIN`] bytes: that is given back,
    /// shared with the reply, and comes next on the wire.
    #[inline]
    #[must_use = "the peer waits for the payload"]
    pub fn encode(&self, reply: &Reply, out: &mut Vec<u8>) -> Option<Bytes> {
        encode(self, reply, out)
    }
}

#[inline]
fn decode<'a>(frontend: &SharedPort, bytes: &'a [u8]) -> Decoded<'a> {
    match bytes.first() {
        Some(0) => packet(frontend, bytes),
        // No line begins so: a record of TLS with a handshake, whose peer would wait for an answer for ever.
        Some(0x16) if bytes.get(1) == Some(&3) => Decoded::Malformed(WireError::Tls),
        Some(_) => text::line(frontend, bytes),
        None => Decoded::Incomplete { needed: 1 },
    }
}

#[inline]
fn packet<'a>(frontend: &SharedPort, bytes: &'a [u8]) -> Decoded<'a> {
    let (header, data, consumed) = match frame(bytes, frontend.packet_max) {
        Ok(Frame::Packet { header, data, consumed }) => (header, data, consumed),
        Ok(Frame::Incomplete { needed }) => return Decoded::Incomplete { needed: bytes.len() + needed },
        Err(DecodeError::TooLarge { .. }) => return Decoded::TooLarge,
        Err(error) => return Decoded::Malformed(WireError::Packet(error)),
    };
    let item = match Request::decode(&header, data) {
        Ok(request) => Incoming::Request(request),
        Err(RequestError::Refused(refusal)) => Incoming::Answer(Reply::Error(refusal)),
        Err(RequestError::Malformed(error)) => return Decoded::Malformed(WireError::Packet(error)),
    };
    Decoded::One { item, consumed }
}

#[inline]
fn encode(frontend: &SharedPort, reply: &Reply, out: &mut Vec<u8>) -> Option<Bytes> {
    let handle = |job: &JobId| frontend.handle_prefix.handle(*job);
    match reply {
        Reply::JobCreated(job) => Response::JobCreated { handle: &handle(job) }.encode(out),
        Reply::Noop => Response::Noop.encode(out),
        Reply::NoJob => Response::NoJob.encode(out),
        Reply::Assigned(assignment) => {
            let handle = handle(&assignment.job);
            return write(assigned(assignment, &handle), &assignment.body, out);
        }
        Reply::Work(job, update) => {
            let none = Bytes::new();
            let payload = match update {
                Work::Complete(payload)
                | Work::Data(payload)
                | Work::Warning(payload)
                | Work::Exception(payload) => payload,
                Work::Status(_) | Work::Fail => &none,
            };
            return write(work(update, &handle(job)), payload, out);
        }
        Reply::Status(job, status) => Response::StatusRes {
            handle: &handle(job),
            known: status.known,
            running: status.running,
            numerator: status.numerator,
            denominator: status.denominator,
        }
        .encode(out),
        Reply::StatusAs(asked) => {
            let (asked, status) = &**asked;
            Response::StatusRes {
                handle: until_nul(asked),
                known: status.known,
                running: status.running,
                numerator: status.numerator,
                denominator: status.denominator,
            }
            .encode(out);
        }
        Reply::StatusUnknown(asked) => Response::StatusRes {
            handle: until_nul(asked),
            known: false,
            running: false,
            numerator: 0,
            denominator: 0,
        }
        .encode(out),
        Reply::Echo(data) => return write(Response::EchoRes { data }, data, out),
        Reply::Option(option) => Response::OptionRes { option }.encode(out),
        Reply::Error(refusal) => {
            Response::Error { code: refusal.code().as_bytes(), text: refusal.text().as_bytes() }.encode(out);
        }
        Reply::Text(text) => out.extend_from_slice(text),
        Reply::Report(answer) => encode_report(frontend, &answer.0, &answer.1, out),
        Reply::Rows(page) => text::render(frontend, &page.0, &page.1, false, out),
    }
    None
}

/// Writes a response whose payload is part of `source`: whole, or without the payload if that is large.
#[inline]
fn write(response: Response<'_>, source: &Bytes, out: &mut Vec<u8>) -> Option<Bytes> {
    let payload = response.payload();
    if payload.len() < SHARED_MIN {
        response.encode(out);
        return None;
    }
    response.encode_head(out);
    Some(source.slice_ref(payload))
}

/// Workers that ask for everything get the reducer only with a job that has one, as from gearmand.
#[inline]
fn assigned<'a>(assignment: &'a Assignment, handle: &'a [u8]) -> Response<'a> {
    let (function, unique) = (assignment.function(), assignment.unique());
    let workload = assignment.workload();
    match (assignment.kind, assignment.reducer.as_deref()) {
        (GrabKind::Plain, _) => Response::JobAssign { handle, function, workload },
        (GrabKind::All, Some(reducer)) => {
            Response::JobAssignAll { handle, function, unique, reducer, workload }
        }
        (GrabKind::Unique | GrabKind::All, _) => {
            Response::JobAssignUniq { handle, function, unique, workload }
        }
    }
}

#[inline]
fn work<'a>(work: &'a Work, handle: &'a [u8]) -> Response<'a> {
    match work {
        Work::Complete(result) => Response::WorkComplete { handle, result },
        Work::Data(data) => Response::WorkData { handle, data },
        Work::Warning(data) => Response::WorkWarning { handle, data },
        Work::Status(numbers) => {
            let numerator = until_nul(numbers);
            let denominator = numbers.get(numerator.len() + 1..).unwrap_or_default();
            Response::WorkStatus { handle, numerator, denominator }
        }
        Work::Fail => Response::WorkFail { handle },
        Work::Exception(exception) => Response::WorkException { handle, exception },
    }
}

/// One query comes as a packet and is answered by one; everything else that is asked comes as lines.
fn encode_report(frontend: &SharedPort, ask: &Ask, report: &Report, out: &mut Vec<u8>) {
    if let (Ask::Query(Query::UniqueStatus { unique }), Report::UniqueStatus(found)) = (ask, report) {
        Response::StatusResUnique {
            unique: until_nul(unique),
            known: found.status.known,
            running: found.status.running,
            numerator: found.status.numerator,
            denominator: found.status.denominator,
            clients: found.clients,
        }
        .encode(out);
    } else {
        text::render(frontend, ask, report, true, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::report::{JobStatus, UniqueStatus};
    use crate::engine::slot::Slot;
    use crate::protocol::Refusal;
    use bytes::Bytes;

    const GRAB: &[u8] = b"\0REQ\0\0\0\x09\0\0\0\0";

    fn job() -> JobId {
        JobId::new(1, Slot::of(b""))
    }

    fn handle() -> String {
        format!("H:host:{}", job().number())
    }

    fn assigned(kind: GrabKind, reducer: Option<&[u8]>) -> Reply {
        Reply::Assigned(Box::new(Assignment {
            job: job(),
            kind,
            function_len: 3,
            unique_len: 1,
            body: Bytes::from_static(b"rev\0u\0work\0load"),
            reducer: reducer.map(Box::from),
        }))
    }

    fn packet(number: u8, data: &str) -> Vec<u8> {
        let mut bytes = vec![0, b'R', b'E', b'S', 0, 0, 0, number, 0, 0, 0, data.len() as u8];
        bytes.extend_from_slice(data.as_bytes());
        bytes
    }

    #[track_caller]
    fn encodes(reply: Reply, number: u8, data: &str) {
        let mut out = b"before".to_vec();
        assert_eq!(SharedPort::for_tests().encode(&reply, &mut out), None);
        assert_eq!(out[6..].escape_ascii().to_string(), packet(number, data).escape_ascii().to_string());
    }

    #[test]
    fn packets_and_lines_share_a_connection() {
        let frontend = SharedPort::for_tests();
        let bytes = [GRAB, b"status\n", GRAB].concat();
        let grab = || Incoming::Request(Request::Grab(GrabKind::Plain));
        assert_eq!(frontend.decode(&bytes), Decoded::One { item: grab(), consumed: 12 });
        let item = Incoming::Ask(Query::Status.into());
        assert_eq!(frontend.decode(&bytes[12..]), Decoded::One { item, consumed: 7 });
        assert_eq!(frontend.decode(&bytes[19..]), Decoded::One { item: grab(), consumed: 12 });
        assert_eq!(frontend.decode(b""), Decoded::Incomplete { needed: 1 });
    }

    #[test]
    fn needed_counts_from_the_beginning() {
        let frontend = SharedPort::for_tests();
        assert_eq!(frontend.decode(&GRAB[..5]), Decoded::Incomplete { needed: 12 });
        assert_eq!(frontend.decode(b"\0REQ\0\0\0\x10\0\0\0\x05he"), Decoded::Incomplete { needed: 17 });
    }

    #[test]
    fn large_packets_are_refused_from_their_header_on() {
        let frontend = SharedPort { packet_max: 1000, ..SharedPort::for_tests() };
        assert_eq!(frontend.decode(b"\0REQ\0\0\0\x07\0\0\x03\xe9"), Decoded::TooLarge);
        assert_eq!(frontend.decode(b"\0REQ\0\0\0\x07\0\0\x03\xe8"), Decoded::Incomplete { needed: 1012 });
        // No CAN_DO is that long, whatever the limit.
        assert!(matches!(frontend.decode(b"\0REQ\0\0\0\x01\0\x01\0\0"), Decoded::Malformed(_)));
    }

    #[test]
    fn what_is_not_gearmans_is_malformed() {
        let frontend = SharedPort::for_tests();
        for bytes in [
            b"\0GET\0\0\0\x09\0\0\0\0",
            b"\0REQ\0\0\0\0\0\0\0\0",
            b"\0REQ\0\0\0\x2b\0\0\0\0",
            b"\0REQ\0\0\0\x07\0\0\0\0",
        ] {
            assert_eq!(frontend.decode(&bytes[..11]), Decoded::Incomplete { needed: 12 });
            assert!(matches!(frontend.decode(bytes), Decoded::Malformed(_)), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn refusals_are_answered_in_turn() {
        let frontend = SharedPort::for_tests();
        for (bytes, refusal) in [
            (b"\0RES\0\0\0\x09\0\0\0\0", Refusal::InvalidMagic),
            (b"\0REQ\0\0\0\x06\0\0\0\0", Refusal::InvalidCommand),
        ] {
            let item = Incoming::Answer(Reply::Error(refusal));
            assert_eq!(frontend.decode(bytes), Decoded::One { item, consumed: 12 });
        }
        encodes(Reply::Error(Refusal::QueueFull), 19, "QUEUE_ERROR\0Job queue is full");
    }

    #[test]
    fn assignments_as_the_worker_asked() {
        let handle = handle();
        encodes(assigned(GrabKind::Plain, Some(b"red")), 11, &format!("{handle}\0rev\0work\0load"));
        encodes(assigned(GrabKind::Unique, Some(b"red")), 31, &format!("{handle}\0rev\0u\0work\0load"));
        encodes(assigned(GrabKind::All, None), 31, &format!("{handle}\0rev\0u\0work\0load"));
        encodes(assigned(GrabKind::All, Some(b"red")), 40, &format!("{handle}\0rev\0u\0red\0work\0load"));
    }

    #[test]
    fn news_of_work() {
        let handle = handle();
        let text = || Bytes::from_static(b"te\0xt");
        encodes(Reply::Work(job(), Work::Complete(text())), 13, &format!("{handle}\0te\0xt"));
        encodes(Reply::Work(job(), Work::Complete(Bytes::new())), 13, &format!("{handle}\0"));
        encodes(Reply::Work(job(), Work::Data(text())), 28, &format!("{handle}\0te\0xt"));
        encodes(Reply::Work(job(), Work::Warning(text())), 29, &format!("{handle}\0te\0xt"));
        encodes(Reply::Work(job(), Work::Exception(text())), 25, &format!("{handle}\0te\0xt"));
        encodes(Reply::Work(job(), Work::Fail), 14, &handle);
        encodes(Reply::Work(job(), Work::Status(text())), 12, &format!("{handle}\0te\0xt"));
        encodes(Reply::Work(job(), Work::Status(Bytes::new())), 12, &format!("{handle}\0\0"));
    }

    /// A large payload is not copied: what is given back is the very memory that the reply has.
    #[test]
    fn large_payloads_are_shared() {
        let large = Bytes::from(vec![b'x'; SHARED_MIN]);
        let body = Bytes::from([b"rev\0u\0", &large[..]].concat());
        let assigned = |kind| match assigned(kind, Some(b"red")) {
            Reply::Assigned(old) => Reply::Assigned(Box::new(Assignment { body: body.clone(), ..*old })),
            other => other,
        };
        let shares = |reply: Reply, source: &Bytes| {
            let mut out = Vec::new();
            let payload = SharedPort::for_tests().encode(&reply, &mut out).unwrap();
            let at = source.len() - payload.len();
            assert_eq!((payload.as_ptr(), payload.len()), (source[at..].as_ptr(), SHARED_MIN), "{reply:?}");
            assert!(out.len() < 100);
            let whole = [&out[..], &payload].concat();
            assert_eq!(whole.len() - 12, u32::from_be_bytes(whole[8..12].try_into().unwrap()) as usize);
        };
        for kind in [GrabKind::Plain, GrabKind::Unique, GrabKind::All] {
            shares(assigned(kind), &body);
        }
        shares(Reply::Echo(large.clone()), &large);
        for update in [Work::Complete, Work::Data, Work::Warning, Work::Exception] {
            shares(Reply::Work(job(), update(large.clone())), &large);
        }
    }

    #[test]
    fn the_other_packets() {
        let handle = handle();
        encodes(Reply::JobCreated(job()), 8, &handle);
        encodes(Reply::Noop, 6, "");
        encodes(Reply::NoJob, 10, "");
        encodes(Reply::Echo(Bytes::from_static(b"a\0b")), 17, "a\0b");
        encodes(Reply::Option(Bytes::from_static(b"Exceptions")), 27, "Exceptions");
        let status = JobStatus { known: true, running: true, numerator: 7, denominator: 10 };
        encodes(Reply::Status(job(), status), 20, &format!("{handle}\x001\x001\x007\x0010"));
        encodes(
            Reply::StatusAs(Box::new((Bytes::from_static(b"H:dead:1024"), status))),
            20,
            "H:dead:1024\x001\x001\x007\x0010",
        );
        encodes(Reply::StatusUnknown(Bytes::from_static(b"H:x:1\0y")), 20, "H:x:1\x000\x000\x000\x000");
    }

    #[test]
    fn the_state_of_a_unique_is_a_packet() {
        let query = Query::UniqueStatus { unique: Bytes::from_static(b"u\0v") };
        let status = JobStatus { known: true, running: false, numerator: 0, denominator: 0 };
        let report = Report::UniqueStatus(UniqueStatus { status, clients: 2, accepted_ms: 9 });
        encodes(Reply::Report(Box::new((query.into(), report))), 42, "u\x001\x000\x000\x000\x002");
    }
}
