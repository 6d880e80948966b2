//! The store and Debian's gearmand (`-q Postgres`) on one table, in turn: what one has accepted the other runs, each job once. What
//! gearmand loses is asserted as well, so that this stays true.
use super::*;
use std::io::Write;
use std::net::TcpStream;
use support::gearmand::Server;
use support::packets::*;
use support::queues::{connect, stop, work_off};
use support::server::{read_packet, request};

/// Debian's gearmand on this database.
#[track_caller]
fn start(conninfo: &str) -> Server {
    let options = ["-q", "Postgres", "--libpq-conninfo", conninfo];
    support::queues::start("PostgreSQL", options[2], &options).unwrap_or_else(|error| panic!("{error}"))
}

/// Submits a background job: what is answered.
#[track_caller]
fn submit(stream: &mut TcpStream, number: u32, arguments: &[&[u8]]) -> u32 {
    stream.write_all(&request(number, &arguments.join(&0))).unwrap();
    read_packet(stream).0
}

#[test]
fn what_gearmand_has_stored_is_replayed() {
    let cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    let mut server = start(&conninfo);
    let mut client = connect(&mut server);
    let binary = b"\0\x01\xff bin\0";
    let k64 = [b'k'; 64];
    let letters = "\u{e9}".repeat(200);
    let jobs: [(u32, &[&[u8]]); 13] = [
        (SUBMIT_JOB_BG, &[b"rev", b"u1", b"hello"]),
        (SUBMIT_JOB_HIGH_BG, &[b"rev", b"u2", binary]),
        (SUBMIT_JOB_LOW_BG, &[b"rev", b"u3", b""]),
        (SUBMIT_JOB_BG, &[b"rev", b"", b"nounique"]),
        (SUBMIT_JOB_BG, &[b"rev", b"-", b"dash"]),
        (SUBMIT_JOB_BG, &[b"rev", "\u{e9}t\u{e9}".as_bytes(), b"utf8"]),
        (SUBMIT_JOB_BG, &[b"rev", &k64, b"64"]),
        (SUBMIT_JOB_EPOCH, &[b"rev", b"e1", b"2000000000", b"ep"]),
        (SUBMIT_JOB_EPOCH, &[b"rev", b"e3", b"-5", b"neg"]),
        (SUBMIT_JOB_BG, &[b"rev", b"it's", b"quote"]),
        (SUBMIT_JOB_BG, &[b"rev", b"x' OR '1'='1", b"all"]),
        (SUBMIT_JOB_BG, &[b"rev", b"back\\slash", b"b"]),
        (SUBMIT_JOB_BG, &[letters.as_bytes(), b"u1", b"letters"]),
    ];
    for (number, arguments) in jobs {
        assert_eq!(submit(&mut client, number, arguments), JOB_CREATED, "{arguments:?}");
    }
    // What gearmand cannot store it refuses; ours keeps these beside (`rows.rs`).
    let long = [b'f'; 256];
    let refused: [(u32, &[&[u8]]); 5] = [
        (SUBMIT_JOB_BG, &[b"rev", b"\xff\xfe", b"no text"]),
        (SUBMIT_JOB_BG, &[&long, b"u", b"too long"]),
        (SUBMIT_JOB_EPOCH, &[b"rev", b"e2", b"5000000000", b"too late"]),
        (SUBMIT_JOB_BG, &[b"rev", b"", b"a second one without unique"]),
        (SUBMIT_JOB_BG, &[b"rev", &k64[..63], b"63"]),
    ];
    for (number, arguments) in refused {
        assert_eq!(submit(&mut client, number, arguments), ERROR, "{arguments:?}");
    }
    drop(client);
    stop(server);
    let rows = cluster.sql("d", "SELECT unique_key, priority, encode(data, 'hex'), when_to_run FROM queue WHERE function_name = 'rev'");
    let k63 = "k".repeat(63);
    assert_eq!(
        rows,
        format!(
            "u1|1|68656c6c6f|0\nu2|0|0001ff2062696e00|0\nu3|2||0\n|1|6e6f756e69717565|0\n-|1|64617368|0\n\u{e9}t\u{e9}|1|75746638|0\n\
             {k63}|1|3634|0\ne1|1|6570|2000000000\ne3|1|6e6567|-5\nit's|1|71756f7465|0\nx' OR '1'='1|1|616c6c|0\nback\\slash|1|62|0"
        )
    );

    let mut store = open(&conninfo);
    let told = replayed(&mut store);
    let short: Vec<_> = told
        .iter()
        .filter(|job| job.function == b"rev")
        .map(|job| (&job.unique[..], job.priority, &job.workload[..], job.epoch))
        .collect();
    let normal = |unique, workload| (unique, Priority::Normal, workload, None);
    assert_eq!(
        short,
        [
            normal(&b"u1"[..], &b"hello"[..]),
            (b"u2", Priority::High, binary, None),
            (b"u3", Priority::Low, b"", None),
            normal(b"", b"nounique"),
            normal(b"-", b"dash"),
            normal("\u{e9}t\u{e9}".as_bytes(), b"utf8"),
            normal(&k64[..63], b"64"),
            (b"e1", Priority::Normal, b"ep", Some(Epoch::from_seconds(2_000_000_000))),
            normal(b"e3", b"neg"),
            normal(b"it's", b"quote"),
            normal(b"x' OR '1'='1", b"all"),
            normal(b"back\\slash", b"b"),
        ]
    );
    assert_eq!(told.len(), 13);
    // Ends are found; one whose unique is SQL ends alone.
    let ended: Vec<JobId> = told.iter().filter(|job| job.unique.contains(&b'\'')).map(|job| job.id).collect();
    done(&mut store, &ended);
    store.close().unwrap();
    assert_eq!(cluster.sql("d", "SELECT count(*) FROM queue"), "11");
    // The rest is gearmand's again, and one that is not due there is due at once.
    let mut server = start(&conninfo);
    assert_eq!(work_off(&mut server, b"rev").len(), 10);
    assert_eq!(work_off(&mut server, letters.as_bytes()), [(b"u1".to_vec(), b"letters".to_vec())]);
    stop(server);
    assert_eq!(replayed(&mut open(&conninfo)), []);
}

#[test]
fn what_ours_has_stored_gearmand_runs_once() {
    let cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    let generated = |sequence, tail| {
        format!("ringgear:{}:{tail}", JobId::new(sequence, Slot::of(b"f")).number()).into_bytes()
    };
    let long = [b'u'; 64];
    let jobs = [
        (job(1, b"first", b"1"), b"first".to_vec()),
        (StoredJob { priority: Priority::Low, ..job(2, b"low", b"2") }, b"low".to_vec()),
        (StoredJob { priority: Priority::High, ..job(3, b"high", b"3") }, b"high".to_vec()),
        (job(4, b"", b"4"), generated(4, 'e')),
        (job(5, b"", b"5"), generated(5, 'e')),
        (job(6, b"-", b"6"), generated(6, 'd')),
        (job(7, b"no workload", b""), b"no workload".to_vec()),
        (job(8, &long, b"8"), long[..63].to_vec()),
        (StoredJob { reducer: Some(b"sum"), ..job(9, b"reduce", b"9") }, b"reduce".to_vec()),
        (StoredJob { attempts: 2, ..job(10, b"tried", b"\0binary\xff") }, b"tried".to_vec()),
        (job(11, b"\xff", b"11"), generated(11, 'x')),
    ];
    let mut store = open(&conninfo);
    replayed(&mut store);
    put(&mut store, &jobs.iter().map(|(job, _)| *job).collect::<Vec<_>>());
    let odd = job_of(b"\xff", 30, b"odd", b"30");
    put(&mut store, &[dead(21, b"dead", b"21"), odd]);
    store.close().unwrap();
    // Byte for byte what gearmand would have written.
    let rows = cluster.sql(
        "d",
        "SELECT unique_key, function_name, priority, encode(data, 'hex'), when_to_run FROM queue WHERE unique_key IN ('first', 'high')",
    );
    assert_eq!(rows, "first|f|1|31|0\nhigh|f|0|33|0");

    let mut server = start(&conninfo);
    // gearmand forgets priorities, as it does with its own.
    let wanted: Vec<_> = jobs.iter().map(|(job, unique)| (unique.clone(), job.workload.to_vec())).collect();
    assert_eq!(work_off(&mut server, b"f"), wanted);
    let mut client = connect(&mut server);
    assert_eq!(submit(&mut client, SUBMIT_JOB_BG, &[b"f", b"new", b"n"]), JOB_CREATED);
    drop(client);
    stop(server);
    assert_eq!(cluster.sql("d", "SELECT unique_key FROM queue"), "new");
    let left = replayed(&mut open(&conninfo));
    let told: Vec<_> = left.iter().map(|job| (&job.unique[..], job.death.is_some())).collect();
    assert_eq!(told, [(&b"new"[..], false), (b"dead", true), (b"odd", false)]);
    assert!(left[0].id.sequence() > 30);
    assert_eq!(
        cluster.sql("d", "SELECT count(*) FROM queue_ringgear"),
        "2",
        "what is about ended jobs is gone"
    );
}
