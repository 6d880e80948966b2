//! Single requests from bytes and back, and what is wrong with bytes. Properties of all of them are `properties.rs`.
use super::*;
use crate::framing::{Frame, frame};
use crate::packet::Handling;
use std::vec;

/// Frames and decodes one whole packet.
fn decode(bytes: &[u8]) -> Result<Request<'_>, RequestError> {
    match frame(bytes, u32::MAX)? {
        Frame::Packet { header, data, consumed } => {
            assert_eq!(consumed, bytes.len());
            Request::decode(&header, data)
        }
        incomplete => panic!("{incomplete:?}"),
    }
}

fn packet(command: PacketType, data: &[u8]) -> Vec<u8> {
    let mut out = vec![];
    put(&mut out, command, [], data);
    out
}

fn submission(function: &'static [u8], unique: &'static [u8], workload: &'static [u8]) -> Submit<'static> {
    Submit {
        function,
        unique,
        workload,
        priority: Priority::Normal,
        background: false,
        epoch: None,
        reducer: None,
    }
}

/// Bytes that gearmand 1.1.20 was sent and understood, and what they mean. They encode back to
/// themselves.
#[test]
fn packets_seen_on_the_wire() {
    let high = Submit { priority: Priority::High, ..submission(b"f", b"same", b"second") };
    let high_bg = Submit { priority: Priority::High, background: true, ..submission(b"p", b"", b"high1") };
    let low_bg = Submit { priority: Priority::Low, background: true, ..submission(b"p", b"", b"low1") };
    let background = Submit { background: true, ..submission(b"bg", b"u1", b"data") };
    let epoch = Submit { background: true, epoch: Some(b"12345"), ..submission(b"f", b"u0", b"x") };
    let cases: &[(&[u8], Request)] = &[
        (b"\0REQ\0\0\0\x10\0\0\0\x05hello", Request::EchoReq { data: b"hello" }),
        (b"\0REQ\0\0\0\x01\0\0\0\x07reverse", Request::CanDo { function: b"reverse" }),
        (b"\0REQ\0\0\0\x02\0\0\0\x03two", Request::CantDo { function: b"two" }),
        (b"\0REQ\0\0\0\x03\0\0\0\0", Request::ResetAbilities),
        (b"\0REQ\0\0\0\x04\0\0\0\0", Request::PreSleep),
        (b"\0REQ\0\0\0\x09\0\0\0\0", Request::Grab(GrabKind::Plain)),
        (b"\0REQ\0\0\0\x1e\0\0\0\0", Request::Grab(GrabKind::Unique)),
        (b"\0REQ\0\0\0\x27\0\0\0\0", Request::Grab(GrabKind::All)),
        (b"\0REQ\0\0\0\x07\0\0\0\x0dreverse\0\0test", Request::Submit(submission(b"reverse", b"", b"test"))),
        (b"\0REQ\0\0\0\x12\0\0\0\x0abg\0u1\0data", Request::Submit(background)),
        (b"\0REQ\0\0\0\x15\0\0\0\x0df\0same\0second", Request::Submit(high)),
        (b"\0REQ\0\0\0\x20\0\0\0\x08p\0\0high1", Request::Submit(high_bg)),
        (b"\0REQ\0\0\0\x22\0\0\0\x07p\0\0low1", Request::Submit(low_bg)),
        (b"\0REQ\0\0\0\x24\0\0\0\x0cf\0u0\x0012345\0x", Request::Submit(epoch)),
        (
            b"\0REQ\0\0\0\x0d\0\0\0\x0bH:vm:1\0tset",
            Request::WorkComplete { handle: b"H:vm:1", result: b"tset" },
        ),
        (
            b"\0REQ\0\0\0\x0c\0\0\0\x0aH:vm:1\x001\x002",
            Request::WorkStatus { handle: b"H:vm:1", numerator: b"1", denominator: b"2" },
        ),
        (b"\0REQ\0\0\0\x0e\0\0\0\x06H:vm:1", Request::WorkFail { handle: b"H:vm:1" }),
        (
            b"\0REQ\0\0\0\x19\0\0\0\x0bH:vm:1\0boom",
            Request::WorkException { handle: b"H:vm:1", exception: b"boom" },
        ),
        (b"\0REQ\0\0\0\x0f\0\0\0\x06H:vm:1", Request::GetStatus { handle: b"H:vm:1" }),
        (b"\0REQ\0\0\0\x29\0\0\0\x04same", Request::GetStatusUnique { unique: b"same" }),
        (b"\0REQ\0\0\0\x16\0\0\0\x08worker-7", Request::SetClientId { id: b"worker-7" }),
        (b"\0REQ\0\0\0\x17\0\0\0\x06f\x001000", Request::CanDoTimeout { function: b"f", timeout: b"1000" }),
        (b"\0REQ\0\0\0\x1a\0\0\0\x0aexceptions", Request::OptionReq { option: b"exceptions" }),
    ];
    for (bytes, request) in cases {
        assert_eq!(decode(bytes), Ok(*request));
        assert_eq!(
            Ok(request.packet_type()),
            Header::decode(bytes[..12].try_into().unwrap()).unwrap().packet_type()
        );
        let mut out = vec![];
        request.encode(&mut out);
        assert_eq!(out, *bytes);
    }
}

#[test]
fn the_fourth_argument_of_the_reduce_forms_is_ignored() {
    let bytes = b"\0REQ\0\0\0\x25\0\0\0\x19map\0u\0reduce\0aggr\0payload";
    let reduce = Submit { reducer: Some(b"reduce"), ..submission(b"map", b"u", b"payload") };
    assert_eq!(decode(bytes), Ok(Request::Submit(reduce)));
    let mut out = vec![];
    Request::Submit(reduce).encode(&mut out);
    assert_eq!(out, b"\0REQ\0\0\0\x25\0\0\0\x15map\0u\0reduce\0\0payload");

    let background = b"\0REQ\0\0\0\x26\0\0\0\x15map\0u2\0reduce\0aggr\0p2";
    let reduce = Submit { background: true, ..submission(b"map", b"u2", b"p2") };
    let reduce = Submit { reducer: Some(b"reduce"), ..reduce };
    assert_eq!(decode(background), Ok(Request::Submit(reduce)));
}

#[test]
fn a_reduce_job_as_the_protocol_document_has_it_is_malformed() {
    let three = packet(PacketType::SubmitReduceJob, b"map\0u\0reduce\0payload");
    let command = PacketType::SubmitReduceJob;
    let error = DecodeError::MissingSeparator { command, argument: "unused" };
    assert_eq!(decode(&three), Err(RequestError::Malformed(error)));
}

/// What gearmand 1.1.20 answers with INVALID_COMMAND, as it was sent.
#[test]
fn every_refused_command_is_refused_when_it_parses() {
    let cases: &[(&[u8], PacketType)] = &[
        (b"", PacketType::Unused),
        (b"", PacketType::Noop),
        (b"h", PacketType::JobCreated),
        (b"", PacketType::NoJob),
        (b"h\0f\0w", PacketType::JobAssign),
        (b"", PacketType::EchoRes),
        (b"c\0t", PacketType::Error),
        (b"h\x000\x000\x000\x000", PacketType::StatusRes),
        (b"", PacketType::AllYours),
        (b"x", PacketType::OptionRes),
        (b"h\0f\0u\0w", PacketType::JobAssignUniq),
        (b"f\0u\x001\x002\x003\x004\x005\0w", PacketType::SubmitJobSched),
        (b"h\0f\0u\0r\0w", PacketType::JobAssignAll),
        (b"u\x000\x000\x000\x000\x000", PacketType::StatusResUnique),
    ];
    let refused = PacketType::ALL.iter().filter(|command| command.handling() == Handling::Refused);
    assert!(refused.eq(cases.iter().map(|(_, command)| command)));
    for (data, command) in cases {
        let bytes = packet(*command, data);
        assert_eq!(decode(&bytes), Err(RequestError::Refused(Refusal::InvalidCommand)));
        if command.arguments().len() > 1 {
            let broken = packet(*command, b"x");
            assert!(matches!(decode(&broken), Err(RequestError::Malformed(_))));
        }
    }
}

#[test]
fn the_table_and_the_decoder_agree_on_what_is_handled() {
    let data = b"a\0b\0c\0d\0e\0f\0g\0h";
    for &command in PacketType::ALL {
        let bytes = packet(command, data);
        match command.handling() {
            Handling::Handled => assert_eq!(decode(&bytes).map(|_| ()), Ok(())),
            Handling::Refused => {
                assert_eq!(decode(&bytes), Err(RequestError::Refused(Refusal::InvalidCommand)))
            }
        }
    }
}

#[test]
fn the_response_magic_is_refused_when_the_packet_parses() {
    let echo = decode(b"\0RES\0\0\0\x10\0\0\0\x05hello");
    assert_eq!(echo, Err(RequestError::Refused(Refusal::InvalidMagic)));
    // Also for a command that would be refused with the right magic.
    assert_eq!(decode(b"\0RES\0\0\0\x06\0\0\0\0"), Err(RequestError::Refused(Refusal::InvalidMagic)));
    let broken = decode(b"\0RES\0\0\0\x0d\0\0\0\x06H:vm:1");
    assert!(matches!(broken, Err(RequestError::Malformed(DecodeError::MissingSeparator { .. }))));
}

#[test]
fn data_after_a_command_without_any_is_ignored() {
    assert_eq!(decode(&packet(PacketType::GrabJob, &[7; 10_000])), Ok(Request::Grab(GrabKind::Plain)));
}

#[test]
fn a_nul_at_the_end_of_the_last_argument_is_part_of_it() {
    let bytes = packet(PacketType::WorkFail, b"H:vm:1\0");
    assert_eq!(decode(&bytes), Ok(Request::WorkFail { handle: b"H:vm:1\0" }));
}

#[test]
fn a_result_without_a_nul_is_an_empty_one() {
    let command = PacketType::WorkComplete;
    let complete = Request::WorkComplete { handle: b"H:vm:1", result: b"" };
    assert_eq!(decode(&packet(command, b"H:vm:1")), Ok(complete));
    let data = Request::WorkData { handle: b"H:vm:1", data: b"" };
    assert_eq!(decode(&packet(PacketType::WorkData, b"H:vm:1")), Ok(data));
    // But it has a handle, of no more than an argument's length.
    let error = DecodeError::MissingSeparator { command, argument: "handle" };
    assert_eq!(decode(&packet(command, b"")), Err(RequestError::Malformed(error)));
    let error = DecodeError::ArgumentTooLong { command, argument: "handle" };
    assert_eq!(decode(&packet(command, &[b'h'; 8192])), Err(RequestError::Malformed(error)));
}

#[test]
fn function_names_have_a_longest() {
    assert!(decode(&packet(PacketType::CanDo, &[b'f'; 8192])).is_ok());
    assert!(matches!(decode(&packet(PacketType::CanDo, &[b'f'; 8193])), Err(RequestError::Malformed(_))));
    let submit = |length| [&vec![b'f'; length][..], b"\0\0"].concat();
    assert!(decode(&packet(PacketType::SubmitJob, &submit(8191))).is_ok());
    let command = PacketType::SubmitJob;
    let error = DecodeError::ArgumentTooLong { command, argument: "function" };
    assert_eq!(decode(&packet(command, &submit(8192))), Err(RequestError::Malformed(error)));
}

#[test]
fn mass_do_names_are_separated_or_terminated() {
    let names = |data| mass_do_functions(data).collect::<Vec<&[u8]>>();
    assert_eq!(names(b""), [b""; 0]);
    assert_eq!(names(b"a"), [b"a"]);
    assert_eq!(names(b"a\0bc"), [&b"a"[..], b"bc"]);
    assert_eq!(names(b"a\0bc\0"), [&b"a"[..], b"bc"]);
    assert_eq!(names(b"a\0\0b"), [&b"a"[..], b"", b"b"]);
    assert_eq!(names(b"\0"), [b""]);
    let long = [&[b'f'; 8192][..], b"\0", &[b'g'; 8192]].concat();
    assert!(decode(&packet(PacketType::MassDo, &long)).is_ok());
    assert!(decode(&packet(PacketType::MassDo, &[b'f'; 8193])).is_err());
}

#[test]
fn combinations_without_a_command_go_as_the_nearest() {
    let plain = submission(b"f", b"u", b"w");
    assert_eq!(plain.normalised(), plain);
    let high_epoch = Submit { priority: Priority::High, epoch: Some(b"1"), ..plain };
    let sent = Submit { background: true, epoch: Some(b"1"), ..plain };
    assert_eq!(high_epoch.normalised(), sent);
    let low_reduce = Submit { priority: Priority::Low, reducer: Some(b"r"), ..high_epoch };
    assert_eq!(low_reduce.normalised(), Submit { reducer: Some(b"r"), ..plain });
}
