//! What must hold of any bytes on the shared port: administrators' lines among packets, and what is printed of names that
//! peers chose.
use bytes::Bytes;
use ringgear::engine::report::FunctionRow;
use ringgear::engine::{Compat, HandlePrefix, Query, Reply, Report};
use ringgear::frontend::{Decoded, Incoming, SharedPort};

pub(crate) fn run(bytes: &[u8]) {
    let frontend = SharedPort {
        packet_max: 2048,
        version: "1",
        verbosity: "INFO",
        pid: 1,
        handle_prefix: HandlePrefix::new(b"H:x").expect("a short prefix"),
        compat: Compat::V1_1,
    };
    read(&frontend, bytes);
    print(&frontend, bytes);
}

/// Everything in the input, one after the other. An answer is printed, and a shorter input is never more than
/// incomplete.
fn read(frontend: &SharedPort, mut rest: &[u8]) {
    loop {
        match frontend.decode(rest) {
            Decoded::One { item, consumed } => {
                assert!((1..=rest.len()).contains(&consumed));
                assert!(matches!(frontend.decode(&rest[..consumed - 1]), Decoded::Incomplete { .. }));
                if let Incoming::Answer(reply) = item {
                    let mut out = Vec::new();
                    assert_eq!(frontend.encode(&reply, &mut out), None);
                    assert!(!out.is_empty());
                }
                rest = &rest[consumed..];
            }
            Decoded::Incomplete { needed } => return assert!(needed > rest.len()),
            Decoded::TooLarge | Decoded::Malformed(_) => return,
        }
    }
}

/// Whatever a function is called, it is one line of four columns.
fn print(frontend: &SharedPort, name: &[u8]) {
    let row =
        FunctionRow { function: Bytes::copy_from_slice(name), queued: [1, 2, 3], running: 4, workers: 5 };
    let mut out = Vec::new();
    let reply = Reply::Report(Box::new((Query::Status.into(), Report::Functions(vec![row]))));
    assert_eq!(frontend.encode(&reply, &mut out), None);
    assert!(out.ends_with(b"\t10\t4\t5\n.\n"));
    assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 2);
    assert_eq!(out.iter().filter(|byte| **byte == b'\t').count(), 3);
}
