//! Large packets: announced and not sent, in any pieces, and results for many at once.
use crate::bystander::Bystander;
use crate::support::scratch::Scratch;
use crate::support::server::*;
use crate::*;
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// Bytes that are not alike anywhere near each other.
fn payload(length: usize) -> Vec<u8> {
    (0..length as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// A stream of large and small packets, cut anywhere, is read as what it is.
#[test]
fn packets_of_every_size_in_any_pieces() {
    const SIZES: [usize; 14] =
        [0, 16_371, 16_372, 5, 16_384, 100_000, 7, 7, 7, 7, 7, (1 << 20) + 1, (3 << 20) - 12, 1];
    let server = Server::start(&["--threads", "2"]);
    let bystander = Bystander::start(&server);
    for chunk in [usize::MAX, 65_537, 1_999] {
        let stream: Vec<u8> = SIZES.iter().flat_map(|&size| request(ECHO_REQ, &payload(size))).collect();
        let mut peer = server.connect();
        let mut writer = peer.try_clone().unwrap();
        let writer = thread::spawn(move || {
            stream.chunks(chunk.min(stream.len())).for_each(|piece| writer.write_all(piece).unwrap());
        });
        for size in SIZES {
            let (packet, data) = read_packet(&mut peer);
            assert!((packet, data) == (ECHO_RES, payload(size)), "{size} bytes in pieces of {chunk}");
        }
        writer.join().unwrap();
    }
    bystander.finish();
}

/// Large packets in a row on connections that move to another thread before the first of them, and that are paused: none is lost,
/// and they are carried out in order.
#[test]
fn large_packets_in_a_row_while_connections_move() {
    const JOBS: usize = 48;
    let server = Server::start(&["--threads", "2"]);
    let bystander = Bystander::start(&server);
    for function in 0..40 {
        let function = format!("f{function}");
        let submit = |number: usize| {
            let unique = format!("u{number}");
            let data = [function.as_bytes(), unique.as_bytes(), &payload(65_536)].join(&0);
            request(SUBMIT_JOB_BG, &data)
        };
        let mut client = server.connect();
        let mut writer = client.try_clone().unwrap();
        thread::scope(|scope| {
            scope.spawn(move || {
                for number in 0..JOBS {
                    // As libgearman writes them.
                    let packet = submit(number);
                    let (first, rest) = packet.split_at(8192);
                    writer.write_all(first).unwrap();
                    writer.write_all(rest).unwrap();
                }
            });
            (0..JOBS).for_each(|_| assert_eq!(read_packet(&mut client).0, JOB_CREATED));
        });
        let mut worker = server.connect();
        worker.write_all(&request(CAN_DO, function.as_bytes())).unwrap();
        for number in 0..JOBS {
            worker.write_all(&request(GRAB_JOB_UNIQ, b"")).unwrap();
            let (_, data) = read_packet(&mut worker);
            let unique = data.split(|&byte| byte == 0).nth(2).unwrap();
            assert_eq!(unique, format!("u{number}").as_bytes());
            assert!(data.ends_with(&payload(65_536)));
        }
    }
    bystander.finish();
}

/// What a peer only announces takes no memory.
#[test]
fn packets_that_never_come() {
    const COUNT: usize = 100;
    let server = Server::start(&["--threads", "2"]);
    let bystander = Bystander::start(&server);
    let before = server.memory_peak();
    let mut packet = request(ECHO_REQ, &[7; 30_000]);
    packet[8..12].copy_from_slice(&(60_u32 << 20).to_be_bytes());
    let peers: Vec<_> = (0..COUNT)
        .map(|_| {
            let mut peer = server.connect();
            peer.write_all(&packet).unwrap();
            peer
        })
        .collect();
    bystander.is_served();
    bystander.finish();
    let grown = server.memory_peak() - before;
    assert!(grown < 32 << 20, "{grown} bytes for {COUNT} peers");
    drop(peers);
}

/// One result for many clients: it is there once, whoever waits for it, and everybody gets it.
#[test]
fn a_large_result_for_many() {
    const COUNT: usize = 40;
    const LENGTH: usize = 8 << 20;
    let server = Server::start(&["--threads", "1"]);
    let bystander = Bystander::start(&server);
    let before = server.memory_peak();
    let mut clients: Vec<_> = (0..COUNT).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.write_all(&request(SUBMIT_JOB, b"much\0one\0")).unwrap();
        assert_eq!(read_packet(client).0, JOB_CREATED);
    }
    let mut worker = server.connect();
    worker.write_all(&request(CAN_DO, b"much")).unwrap();
    worker.write_all(&request(GRAB_JOB, b"")).unwrap();
    let (packet, assigned) = read_packet(&mut worker);
    assert_eq!(packet, JOB_ASSIGN);
    let handle = assigned.split(|&byte| byte == 0).next().unwrap();
    let result = [handle, b"\0", &payload(LENGTH)].concat();
    worker.write_all(&request(WORK_COMPLETE, &result)).unwrap();
    echo(&mut worker, b"still here");
    bystander.is_served();
    for client in &mut clients {
        assert!(read_packet(client) == (WORK_COMPLETE, result.clone()));
    }
    bystander.finish();
    let grown = server.memory_peak() - before;
    assert!(grown < 4 * LENGTH as u64, "{grown} bytes for one result of {LENGTH}");
}

/// A background job that takes the disk a while to write: it is in memory once, for the queue and for the disk, and no
/// shard reads or copies it on its way to the store.
#[test]
fn a_large_background_job_for_the_store() {
    const LENGTH: usize = 200 << 20;
    let folder = Scratch::within(Path::new(env!("CARGO_TARGET_TMPDIR")));
    // A disk that is busy with something else may need longer than usual: that is not what is asked here.
    let log = folder.path("log");
    let server = Server::start(&["--threads", "1", "--data-dir", &log, "--store-timeout", "120"]);
    let before = server.memory_peak();
    let mut client = server.connect();
    let large = request(SUBMIT_JOB_BG, &[&b"large\0\0"[..], &payload(LENGTH)].concat());
    // Whatever else runs on the machine may hold us up, but not each time.
    let worst = (0..3).map(|job| {
        let bystander = Bystander::start(&server);
        client.write_all(&large).unwrap();
        assert_eq!(read_packet(&mut client).0, JOB_CREATED);
        if job == 0 {
            let grown = server.memory_peak() - before;
            assert!(grown < LENGTH as u64 * 3 / 2, "{grown} bytes for a job of {LENGTH}");
        }
        let worst = bystander.worst();
        bystander.finish();
        worst
    });
    let best = worst.min().unwrap();
    println!("with a job of {LENGTH} bytes others waited {best:?}");
    assert!(best < Duration::from_millis(100), "others waited {best:?}");
}
