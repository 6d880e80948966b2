//! What must hold for any bytes: nothing panics, and how they were cut into reads makes no difference.
use super::*;
use crate::protocol::{HEADER_LEN, PacketType};
use proptest::prelude::*;

/// Reads all there is in `bytes`. `None` at the end if something in them closes the connection.
fn read_all(frontend: &SharedPort, bytes: &[u8]) -> Vec<Option<String>> {
    let mut items = Vec::new();
    let mut rest = bytes;
    loop {
        match frontend.decode(rest) {
            Decoded::One { item, consumed } => {
                assert!((1..=rest.len()).contains(&consumed));
                items.push(Some(format!("{item:?}")));
                rest = &rest[consumed..];
            }
            Decoded::Incomplete { needed } => {
                assert!(needed > rest.len());
                return items;
            }
            Decoded::TooLarge | Decoded::Malformed(_) => {
                items.push(None);
                return items;
            }
        }
    }
}

/// Reads what comes in pieces, as a connection does.
fn read_pieces(frontend: &SharedPort, bytes: &[u8], sizes: &[usize]) -> Vec<Option<String>> {
    let mut items = Vec::new();
    let mut start = 0;
    let mut sizes = sizes.iter().cycle();
    let mut end = 0;
    while end < bytes.len() {
        end = (end + sizes.next().copied().unwrap_or(1)).min(bytes.len());
        loop {
            match frontend.decode(&bytes[start..end]) {
                Decoded::One { item, consumed } => {
                    items.push(Some(format!("{item:?}")));
                    start += consumed;
                }
                Decoded::Incomplete { .. } => break,
                Decoded::TooLarge | Decoded::Malformed(_) => {
                    items.push(None);
                    return items;
                }
            }
        }
    }
    items
}

/// Packets and lines, most of them right, some nearly.
fn talk() -> impl Strategy<Value = Vec<u8>> {
    let data = || proptest::collection::vec(prop_oneof![Just(0_u8), Just(b' '), any::<u8>()], 0..40);
    let number = prop_oneof![9 => 1..=42_u32, 1 => Just(PacketType::MassDo.number()), 1 => any::<u32>()];
    let packet =
        (prop_oneof![9 => Just(*b"\0REQ"), 1 => Just(*b"\0RES"), 1 => any::<[u8; 4]>()], number, data())
            .prop_map(|(magic, number, data)| {
                let mut bytes = Vec::with_capacity(HEADER_LEN + data.len());
                bytes.extend_from_slice(&magic);
                bytes.extend_from_slice(&number.to_be_bytes());
                bytes.extend_from_slice(&(data.len() as u32).to_be_bytes());
                bytes.extend_from_slice(&data);
                bytes
            });
    let words = proptest::sample::select(
        &[
            "status", "VERSION", "workers", "show", "jobs", "unique", "maxqueue", "create", "drop", "cancel",
            "job", "function", "counters", "", " ", "-1", "7", "f", "\r", "\t",
        ][..],
    );
    let line = proptest::collection::vec(words, 0..7).prop_map(|words| (words.join(" ") + "\n").into_bytes());
    let item = prop_oneof![6 => packet, 6 => line, 1 => data()];
    proptest::collection::vec(item, 0..8).prop_map(|items| items.concat())
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..9000)) {
        read_all(&SharedPort::for_tests(), &bytes);
    }

    #[test]
    fn pieces_read_as_the_whole(bytes in talk(), sizes in proptest::collection::vec(1..50_usize, 1..9)) {
        let frontend = SharedPort { packet_max: 30, ..SharedPort::for_tests() };
        prop_assert_eq!(read_pieces(&frontend, &bytes, &sizes), read_all(&frontend, &bytes));
    }

    #[test]
    fn a_line_reads_as_its_pieces(word in "[ -~]{0,9000}", sizes in proptest::collection::vec(1..5000_usize, 1..5)) {
        let bytes = [word.as_bytes(), b"\n"].concat();
        let frontend = SharedPort::for_tests();
        prop_assert_eq!(read_pieces(&frontend, &bytes, &sizes), read_all(&frontend, &bytes));
    }

    #[test]
    fn needed_is_enough_for_a_packet(bytes in talk()) {
        let frontend = SharedPort::for_tests();
        if bytes.first() == Some(&0) && let Decoded::One { consumed, .. } = frontend.decode(&bytes) {
            prop_assert_eq!(frontend.decode(&bytes[..1]), Decoded::Incomplete { needed: HEADER_LEN });
            if consumed > HEADER_LEN {
                let header = frontend.decode(&bytes[..HEADER_LEN]);
                prop_assert_eq!(header, Decoded::Incomplete { needed: consumed });
            }
        }
    }
}
