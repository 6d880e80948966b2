//! What holds for every packet: round trips, and independence of how a stream is cut. Single cases stand
//! at the bottom of the file that they are about.
use std::vec;
use std::vec::Vec;

use proptest::collection::vec as vec_of;
use proptest::prelude::*;
use proptest::sample::select;

use crate::*;

/// Bytes of one argument: anything but NUL.
fn argument() -> impl Strategy<Value = Vec<u8>> {
    vec_of(1_u8.., 0..40)
}

/// Bytes of a payload, or of a last argument: anything. NULs are frequent, for they matter most.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    vec_of(prop_oneof![1 => Just(0), 3 => any::<u8>()], 0..300)
}

/// The bytes that a request or response is made of, whichever it becomes.
#[derive(Clone, Debug)]
struct SubmitParts {
    kind: usize,
    arguments: [Vec<u8>; 4],
    rest: Vec<u8>,
    numbers: [u32; 3],
    flags: [bool; 2],
}

fn parts() -> impl Strategy<Value = SubmitParts> {
    let arguments = [argument(), argument(), argument(), argument()];
    (0..25_usize, arguments, payload(), any::<[u32; 3]>(), any::<[bool; 2]>()).prop_map(
        |(kind, arguments, rest, numbers, flags)| SubmitParts { kind, arguments, rest, numbers, flags },
    )
}

impl SubmitParts {
    fn request(&self) -> Request<'_> {
        let [first, second, ..] = &self.arguments;
        let rest = &self.rest[..];
        match self.kind {
            0 => Request::CanDo { function: rest },
            1 => Request::CanDoTimeout { function: first, timeout: rest },
            2 => Request::CantDo { function: rest },
            3 => Request::ResetAbilities,
            4 => Request::MassDo { functions: rest },
            5 => Request::SetClientId { id: rest },
            6 => Request::PreSleep,
            7 => Request::Grab(GrabKind::Plain),
            8 => Request::Grab(GrabKind::Unique),
            9 => Request::Grab(GrabKind::All),
            10 => Request::WorkData { handle: first, data: rest },
            11 => Request::WorkWarning { handle: first, data: rest },
            12 => Request::WorkStatus { handle: first, numerator: second, denominator: rest },
            13 => Request::WorkComplete { handle: first, result: rest },
            14 => Request::WorkFail { handle: rest },
            15 => Request::WorkException { handle: first, exception: rest },
            16 => Request::GetStatus { handle: rest },
            17 => Request::GetStatusUnique { unique: rest },
            18 => Request::EchoReq { data: rest },
            19 => Request::OptionReq { option: rest },
            _ => Request::Submit(self.submit()),
        }
    }

    fn submit(&self) -> Submit<'_> {
        let [function, unique, epoch, reducer] = &self.arguments;
        let [priority, with_epoch, with_reducer] = self.numbers;
        Submit {
            function,
            unique,
            workload: &self.rest,
            priority: Priority::ALL[priority as usize % 3],
            background: self.flags[0],
            epoch: with_epoch.is_multiple_of(4).then_some(epoch),
            reducer: with_reducer.is_multiple_of(4).then_some(reducer),
        }
    }

    fn response(&self) -> Response<'_> {
        let [handle, function, unique, reducer] = &self.arguments;
        let rest = &self.rest[..];
        let [known, running] = self.flags;
        let [numerator, denominator, clients] = self.numbers;
        match self.kind {
            0 => Response::JobCreated { handle: rest },
            1 => Response::Noop,
            2 => Response::NoJob,
            3 => Response::JobAssign { handle, function, workload: rest },
            4 => Response::JobAssignUniq { handle, function, unique, workload: rest },
            5 => Response::JobAssignAll { handle, function, unique, reducer, workload: rest },
            6 => Response::WorkData { handle, data: rest },
            7 => Response::WorkWarning { handle, data: rest },
            8 => Response::WorkStatus { handle, numerator: function, denominator: rest },
            9 => Response::WorkComplete { handle, result: rest },
            10 => Response::WorkFail { handle: rest },
            11 => Response::WorkException { handle, exception: rest },
            12 => Response::EchoRes { data: rest },
            13 => Response::OptionRes { option: rest },
            14 => Response::Error { code: handle, text: rest },
            15..20 => Response::StatusRes { handle, known, running, numerator, denominator },
            _ => Response::StatusResUnique { unique, known, running, numerator, denominator, clients },
        }
    }
}

/// A packet of a known command whose data has about the right shape, or not.
fn any_packet() -> impl Strategy<Value = Vec<u8>> {
    let magic = select(vec![Magic::Request, Magic::Response]);
    let command = select(PacketType::ALL.to_vec());
    let byte = prop_oneof![3 => Just(0), 2 => select(b"0123456789".to_vec()), 1 => any::<u8>()];
    (magic, command, vec_of(byte, 0..40)).prop_map(|(magic, command, data)| {
        let mut out = vec![];
        write_packet(&mut out, magic, command, [], &data);
        out
    })
}

fn one_packet(bytes: &[u8]) -> (Header, &[u8]) {
    match frame(bytes, u32::MAX) {
        Ok(Frame::Packet { header, data, consumed }) if consumed == bytes.len() => (header, data),
        other => panic!("{other:?}"),
    }
}

fn encoded(request: Request<'_>) -> Vec<u8> {
    let mut out = vec![];
    request.encode(&mut out);
    out
}

fn encoded_response(response: Response<'_>) -> Vec<u8> {
    let mut out = vec![];
    response.encode(&mut out);
    out
}

/// Reads what a decoder has, and keeps each request as its bytes.
fn read_all(decoder: &mut Decoder, decoded: &mut Vec<Vec<u8>>) {
    while let Some((header, data)) = decoder.next().unwrap() {
        decoded.push(encoded(Request::decode(&header, data).unwrap()));
    }
}

fn normalised(request: Request<'_>) -> Request<'_> {
    match request {
        Request::Submit(submit) => Request::Submit(submit.normalised()),
        other => other,
    }
}

/// True for commands of which something is dropped when they are decoded (documented there).
fn loses_something(command: PacketType) -> bool {
    let nothing_belongs_there = command.arguments().is_empty() && !command.has_payload();
    let fourth_is_ignored = command.arguments().contains(&"unused");
    let zeros_in_front = command.arguments().contains(&"known");
    nothing_belongs_there || fourth_is_ignored || zeros_in_front
}

/// True for a result that gets the NUL behind its handle, which it lacked, when it is written again.
fn gains_its_nul(command: PacketType, data: &[u8], again: &[u8]) -> bool {
    use PacketType::{WorkComplete, WorkData, WorkException, WorkWarning};
    let is_result = matches!(command, WorkComplete | WorkData | WorkWarning | WorkException);
    is_result && again.strip_prefix(data) == Some(b"\0")
}

proptest! {
    #[test]
    fn a_request_survives_the_wire(parts in parts()) {
        let request = parts.request();
        let bytes = encoded(request);
        let (header, data) = one_packet(&bytes);
        prop_assert_eq!(header.packet_type(), Ok(request.packet_type()));
        prop_assert_eq!(Request::decode(&header, data), Ok(normalised(request)));
    }

    #[test]
    fn a_response_survives_the_wire(parts in parts()) {
        let response = parts.response();
        let bytes = encoded_response(response);
        let (header, data) = one_packet(&bytes);
        prop_assert_eq!(header.packet_type(), Ok(response.packet_type()));
        prop_assert_eq!(Response::decode(&header, data), Ok(response));
        let mut head = vec![];
        let payload = response.encode_head(&mut head);
        prop_assert_eq!([&head, payload].concat(), bytes);
    }

    #[test]
    fn what_decodes_encodes_to_the_same_packet(bytes in any_packet()) {
        let (header, data) = one_packet(&bytes);
        let command = header.packet_type().unwrap();
        if let Ok(request) = Request::decode(&header, data) {
            let again = encoded(request);
            let (header, written) = one_packet(&again);
            prop_assert!(again == bytes || loses_something(command) || gains_its_nul(command, data, written));
            prop_assert_eq!(Request::decode(&header, written), Ok(request));
        }
        if let Ok(response) = Response::decode(&header, data) {
            let again = encoded_response(response);
            prop_assert!(again == bytes || loses_something(command));
            let (header, data) = one_packet(&again);
            prop_assert_eq!(Response::decode(&header, data), Ok(response));
        }
    }

    #[test]
    fn the_magic_decides_who_refuses(bytes in any_packet()) {
        let (header, data) = one_packet(&bytes);
        let command = header.packet_type().unwrap();
        match Request::decode(&header, data) {
            Ok(_) => prop_assert!(header.magic == Magic::Request && command.handling() == Handling::Handled),
            Err(RequestError::Refused(Refusal::InvalidMagic)) => prop_assert_eq!(header.magic, Magic::Response),
            Err(RequestError::Refused(refusal)) => {
                prop_assert_eq!(refusal, Refusal::InvalidCommand);
                prop_assert_eq!(command.handling(), Handling::Refused);
            }
            Err(RequestError::Malformed(error)) => {
                let missing = matches!(error, DecodeError::MissingSeparator { .. });
                prop_assert!(missing, "{}", error);
            }
        }
    }

    #[test]
    fn a_stream_may_be_cut_anywhere(
        packets in vec_of(parts(), 1..8),
        pieces in vec_of(1..60_usize, 1..20),
        read_late in any::<bool>(),
    ) {
        let stream: Vec<u8> = packets.iter().flat_map(|parts| encoded(parts.request())).collect();
        let mut decoder = Decoder::new(1024);
        let mut decoded = vec![];
        let mut rest = &stream[..];
        for size in pieces.into_iter().cycle() {
            let (piece, behind) = rest.split_at(size.min(rest.len()));
            decoder.push(piece);
            rest = behind;
            if !read_late || rest.is_empty() {
                read_all(&mut decoder, &mut decoded);
            }
            if rest.is_empty() {
                break;
            }
        }
        prop_assert!(decoder.pending().is_empty());
        let expected: Vec<_> = packets.iter().map(|parts| encoded(parts.request())).collect();
        prop_assert_eq!(decoded, expected);
    }

    #[test]
    fn a_beginning_asks_for_what_is_missing(parts in parts(), cut in any::<prop::sample::Index>()) {
        let bytes = encoded(parts.request());
        let end = cut.index(bytes.len());
        match frame(&bytes[..end], u32::MAX) {
            Ok(Frame::Incomplete { needed }) if end < HEADER_LEN => prop_assert_eq!(end + needed, HEADER_LEN),
            Ok(Frame::Incomplete { needed }) => prop_assert_eq!(end + needed, bytes.len()),
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn no_bytes_are_too_strange(mut bytes in payload(), begin in 0..3_u8) {
        let magic = [&b""[..], b"\0REQ\0\0\0", b"\0RES\0\0\0"][usize::from(begin)];
        bytes.splice(..0, magic.iter().copied());
        if let Ok(Frame::Packet { header, data, consumed }) = frame(&bytes, u32::MAX) {
            prop_assert!(consumed <= bytes.len());
            prop_assert_eq!(consumed, header.packet_len());
            let _ = Request::decode(&header, data);
            let _ = Response::decode(&header, data);
        }
    }
}
