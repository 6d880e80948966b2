//! What must hold of any bytes that are read as packets: framing, `Request::decode`, `Response::decode`.
use ringgear_protocol::*;

/// Small, so that inputs of the fuzzer's size reach it.
const LIMIT: u32 = 2048;

pub(crate) fn run(bytes: &[u8]) {
    stream(bytes);
    if let [choice, pieces, data @ ..] = bytes {
        in_pieces(data, usize::from(*pieces) + 1);
        one_packet(*choice, data);
    }
}

/// The input as a stream: packet after packet until one is wrong or the rest is none.
fn stream(mut bytes: &[u8]) {
    loop {
        match frame(bytes, LIMIT) {
            Ok(Frame::Packet { header, data, consumed }) => {
                assert_eq!(consumed, header.packet_len());
                assert_eq!(data.len(), header.length as usize);
                assert!(header.length <= LIMIT);
                packet(&header, data);
                bytes = &bytes[consumed..];
            }
            Ok(Frame::Incomplete { needed }) => {
                assert!(needed > 0 && needed <= HEADER_LEN + LIMIT as usize);
                return;
            }
            Err(_) => {
                assert!(bytes.len() >= HEADER_LEN);
                return;
            }
        }
    }
}

/// A decoder that gets the stream in pieces sees the same packets and the same end.
fn in_pieces(mut bytes: &[u8], size: usize) {
    let mut decoder = Decoder::new(LIMIT);
    for piece in bytes.chunks(size) {
        decoder.push(piece);
        loop {
            match decoder.next() {
                Ok(Some(seen)) => {
                    let Ok(Frame::Packet { header, data, consumed }) = frame(bytes, LIMIT) else {
                        panic!("a packet that is not in the stream: {seen:?}");
                    };
                    assert_eq!(seen, (header, data));
                    bytes = &bytes[consumed..];
                }
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(frame(bytes, LIMIT), Err(error));
                    return;
                }
            }
        }
    }
    assert!(matches!(frame(bytes, LIMIT), Ok(Frame::Incomplete { .. })));
    assert_eq!(decoder.pending(), bytes);
}

/// The input as the data of one packet, so that no time is spent on finding a header that is right.
fn one_packet(choice: u8, data: &[u8]) {
    let command = PacketType::ALL[usize::from(choice >> 1) % PacketType::ALL.len()];
    let magic = if choice & 1 == 0 { Magic::Request } else { Magic::Response };
    let mut bytes = vec![];
    write_packet(&mut bytes, magic, command, [], data);
    if let Ok(Frame::Packet { header, data, .. }) = frame(&bytes, u32::MAX) {
        packet(&header, data);
    }
}

/// What decodes is the same again after encoding and decoding, and names its own command.
fn packet(header: &Header, data: &[u8]) {
    let command = header.packet_type().expect("framing lets only known commands through");
    match Request::decode(header, data) {
        Ok(request) => {
            assert_eq!((request.packet_type(), command.handling()), (command, Handling::Handled));
            let mut bytes = vec![];
            request.encode(&mut bytes);
            same_length(command, header, data, bytes.len());
            let again = whole(&bytes);
            assert_eq!(Request::decode(&again.0, again.1), Ok(request));
        }
        Err(RequestError::Refused(Refusal::InvalidMagic)) => assert_eq!(header.magic, Magic::Response),
        Err(RequestError::Refused(_)) => assert_eq!(command.handling(), Handling::Refused),
        Err(RequestError::Malformed(_)) => {}
    }
    if let Ok(response) = Response::decode(header, data) {
        assert_eq!(response.packet_type(), command);
        let mut bytes = vec![];
        response.encode(&mut bytes);
        same_length(command, header, data, bytes.len());
        let again = whole(&bytes);
        assert_eq!(Response::decode(&again.0, again.1), Ok(response));
    }
}

/// Nothing is lost between two encodings, but for what decoding is documented to drop: data where none
/// belongs, the unused argument of the reduce forms, zeros in front of a status answer's numbers. A result
/// may gain the NUL behind its handle.
fn same_length(command: PacketType, header: &Header, data: &[u8], len: usize) {
    let arguments = command.arguments();
    let nothing_belongs_there = arguments.is_empty() && !command.has_payload();
    if nothing_belongs_there || arguments.contains(&"unused") || arguments.contains(&"known") {
        assert!(len <= header.packet_len());
    } else if command.has_payload() && !arguments.is_empty() && !data.contains(&0) {
        assert_eq!(len, header.packet_len() + 1);
    } else {
        assert_eq!(len, header.packet_len());
    }
}

fn whole(bytes: &[u8]) -> (Header, &[u8]) {
    match frame(bytes, u32::MAX) {
        Ok(Frame::Packet { header, data, consumed }) if consumed == bytes.len() => (header, data),
        other => panic!("what was encoded is {other:?}"),
    }
}
