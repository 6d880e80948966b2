//! Single responses from bytes and back, and what is wrong with bytes. Properties of all of them are `properties.rs`.
use super::*;
use crate::args::write_packet;
use crate::framing::{Frame, frame};
use crate::packet::Sender;
use std::vec;

fn decode(bytes: &[u8]) -> Result<Response<'_>, DecodeError> {
    match frame(bytes, u32::MAX)? {
        Frame::Packet { header, data, .. } => Response::decode(&header, data),
        incomplete => panic!("{incomplete:?}"),
    }
}

fn encode(response: Response<'_>) -> Vec<u8> {
    let mut out = vec![];
    response.encode(&mut out);
    out
}

/// Bytes that gearmand 1.1.20 sent (handles put in), and what they mean.
#[test]
fn packets_seen_on_the_wire() {
    let handle = b"H:vm:1";
    let cases: &[(&[u8], Response)] = &[
        (b"\0RES\0\0\0\x11\0\0\0\x05hello", Response::EchoRes { data: b"hello" }),
        (b"\0RES\0\0\0\x11\0\0\0\0", Response::EchoRes { data: b"" }),
        (b"\0RES\0\0\0\x0a\0\0\0\0", Response::NoJob),
        (b"\0RES\0\0\0\x06\0\0\0\0", Response::Noop),
        (b"\0RES\0\0\0\x08\0\0\0\x06H:vm:1", Response::JobCreated { handle }),
        (
            b"\0RES\0\0\0\x0b\0\0\0\x13H:vm:1\0reverse\0test",
            Response::JobAssign { handle, function: b"reverse", workload: b"test" },
        ),
        (
            b"\0RES\0\0\0\x1f\0\0\0\x14H:vm:1\0f\0my-unique\0w",
            Response::JobAssignUniq { handle, function: b"f", unique: b"my-unique", workload: b"w" },
        ),
        (
            b"\0RES\0\0\0\x28\0\0\0\x1bH:vm:1\0map\0u\0reduce\0payload",
            Response::JobAssignAll {
                handle,
                function: b"map",
                unique: b"u",
                reducer: b"reduce",
                workload: b"payload",
            },
        ),
        (b"\0RES\0\0\0\x0d\0\0\0\x0bH:vm:1\0tset", Response::WorkComplete { handle, result: b"tset" }),
        (b"\0RES\0\0\0\x1c\0\0\0\x0fH:vm:1\0part\0ial", Response::WorkData { handle, data: b"part\0ial" }),
        (b"\0RES\0\0\0\x1d\0\0\0\x0eH:vm:1\0careful", Response::WorkWarning { handle, data: b"careful" }),
        (
            b"\0RES\0\0\0\x0c\0\0\0\x0bH:vm:1\x003\x0010",
            Response::WorkStatus { handle, numerator: b"3", denominator: b"10" },
        ),
        (b"\0RES\0\0\0\x0e\0\0\0\x06H:vm:1", Response::WorkFail { handle }),
        (b"\0RES\0\0\0\x19\0\0\0\x0bH:vm:1\0boom", Response::WorkException { handle, exception: b"boom" }),
        (b"\0RES\0\0\0\x1b\0\0\0\x0aexceptions", Response::OptionRes { option: b"exceptions" }),
        (
            b"\0RES\0\0\0\x14\0\0\0\x0eH:vm:1\x001\x000\x000\x000",
            Response::StatusRes { handle, known: true, running: false, numerator: 0, denominator: 0 },
        ),
        (
            b"\0RES\0\0\0\x2a\0\0\0\x0esame\x001\x000\x000\x000\x002",
            Response::StatusResUnique {
                unique: b"same",
                known: true,
                running: false,
                numerator: 0,
                denominator: 0,
                clients: 2,
            },
        ),
        (
            b"\0RES\0\0\0\x13\0\0\0\x29ARGUMENT_TOO_LARGE\0Unique value too large",
            Refusal::UniqueTooLarge.into(),
        ),
    ];
    for (bytes, response) in cases {
        assert_eq!(encode(*response), *bytes, "{response:?}");
        assert_eq!(decode(bytes), Ok(*response));
    }
}

#[test]
fn the_head_and_the_payload_are_the_packet() {
    let response = Response::WorkComplete { handle: b"H:vm:1", result: b"tset" };
    let mut out = vec![];
    let payload = response.encode_head(&mut out);
    assert_eq!(payload, b"tset");
    assert_eq!([&out, payload].concat(), encode(response));
}

#[test]
fn room_is_reserved_once() {
    // Two reservations would double the first one: the payload is shorter than what precedes it.
    let out = encode(Response::WorkData { handle: b"H:vm:1", data: b"part" });
    assert_eq!((out.len(), out.capacity()), (23, 23));
}

#[test]
fn numbers_are_written_in_full() {
    for number in [0, 1, 9, 10, 99, 100, 123_456_789, 1_000_000_000, u32::MAX] {
        assert_eq!(Decimal::new(number).text(), std::format!("{number}").as_bytes());
    }
}

#[test]
fn what_is_no_number_or_flag_is_an_error() {
    let status = |data: &[u8]| {
        let mut out = vec![];
        write_packet(&mut out, Magic::Response, PacketType::StatusRes, [], data);
        decode(&out).map(|_| ())
    };
    let command = PacketType::StatusRes;
    assert_eq!(status(b"h\x001\x001\x004294967295\x00007"), Ok(()));
    let numerator = Err(DecodeError::NotANumber { command, argument: "numerator" });
    for text in ["", "+1", "-1", "1a", "4294967296", "42949672950"] {
        assert_eq!(status(std::format!("h\x001\x001\0{text}\x000").as_bytes()), numerator);
    }
    assert_eq!(status(b"h\x002\x001\x000\x000"), Err(DecodeError::NotAFlag { command, argument: "known" }));
}

#[test]
fn requests_are_no_responses() {
    let command = PacketType::WorkComplete;
    assert_eq!(decode(b"\0REQ\0\0\0\x0d\0\0\0\x02h\0"), Err(DecodeError::RequestMagic { command }));
    let command = PacketType::GrabJob;
    assert_eq!(decode(b"\0RES\0\0\0\x09\0\0\0\0"), Err(DecodeError::NotAResponse { command }));
}

#[test]
fn everything_that_the_server_sends_is_a_response() {
    for &command in PacketType::ALL {
        let mut out = vec![];
        let data: &[u8] = b"a\x000\x001\x002\x003\x004";
        let data = if command == PacketType::StatusRes { &data[..data.len() - 2] } else { data };
        write_packet(&mut out, Magic::Response, command, [], data);
        if command.sender() == Sender::Server {
            assert_eq!(decode(&out).map(|response| response.packet_type()), Ok(command));
        }
    }
}
