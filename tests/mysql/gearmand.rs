//! The store and Debian's gearmand (`-q MySQL`) on one table, in turn: what one has accepted the other runs, each job once.
use super::*;
use std::io::Write;
use std::net::TcpStream;
use support::gearmand::Server;
use support::packets::*;
use support::queues::{connect, stop, work_off};
use support::server::{read_packet, request};

/// Debian's gearmand on this database.
#[track_caller]
fn start(server: &MariaServer) -> Server {
    let port = server.port().to_string();
    let options = [
        "-q",
        "MySQL",
        "--mysql-host",
        "127.0.0.1",
        "--mysql-port",
        &port,
        "--mysql-user",
        "root",
        "--mysql-db",
        "d",
    ];
    support::queues::start("MySQL", options[2], &options).unwrap_or_else(|error| panic!("{error}"))
}

/// Submits a background job: what is answered.
#[track_caller]
fn send(stream: &mut TcpStream, number: u32, arguments: &[&[u8]]) -> u32 {
    stream.write_all(&request(number, &arguments.join(&0))).unwrap();
    read_packet(stream).0
}

#[test]
fn what_gearmand_has_stored_is_replayed() {
    let server = database_with(&["character-set-server=latin1"]);
    let mut gearmand = start(&server);
    let mut client = connect(&mut gearmand);
    let (binary, k64) = (b"\0\x01\xff bin\0", [b'k'; 64]);
    let jobs: [(u32, &[&[u8]]); 11] = [
        (SUBMIT_JOB_BG, &[b"rev", b"u1", b"hello"]),
        (SUBMIT_JOB_HIGH_BG, &[b"rev", b"u2", binary]),
        (SUBMIT_JOB_LOW_BG, &[b"rev", b"u3", b""]),
        (SUBMIT_JOB_BG, &[b"rev", b"", b"nounique"]),
        (SUBMIT_JOB_BG, &[b"rev", b"-", b"dash"]),
        (SUBMIT_JOB_BG, &[b"rev", b"q'uote", b"q"]),
        (SUBMIT_JOB_BG, &[b"rev", "\u{e9}t\u{e9}".as_bytes(), b"utf8"]),
        (SUBMIT_JOB_BG, &[b"rev", &k64, b"64"]),
        (SUBMIT_JOB_EPOCH, &[b"rev", b"e1", b"2000000000", b"ep"]),
        (SUBMIT_JOB_EPOCH, &[b"rev", b"e2", b"5000000000", b"ep2"]),
        (SUBMIT_JOB_EPOCH, &[b"rev", b"e3", b"-5", b"neg"]),
    ];
    for (number, arguments) in jobs {
        assert_eq!(send(&mut client, number, arguments), JOB_CREATED, "{arguments:?}");
    }
    // By its collation these are there.
    for unique in [&b"U1"[..], "\u{c9}t\u{e9}".as_bytes()] {
        assert_eq!(send(&mut client, SUBMIT_JOB_BG, &[b"rev", unique, b"w"]), ERROR);
    }
    drop(client);
    stop(gearmand);
    let rows = server.sql("d", "SELECT HEX(unique_key), priority, HEX(data), when_to_run FROM gearman_queue");
    let k63 = "6B".repeat(63) + "00";
    let wanted = format!(
        "7531\t1\t68656C6C6F\t0\n7532\t0\t0001FF2062696E00\t0\n7533\t2\tNULL\t0\n\t1\t6E6F756E69717565\t0\n2D\t1\t64617368\t0\n\
         7127756F7465\t1\t71\t0\nE974E9\t1\t75746638\t0\n{k63}\t1\t3634\t0\n6531\t1\t6570\t2000000000\n\
         6532\t1\t657032\t705032704\n6533\t1\t6E6567\t-5"
    );
    let sorted_lines = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted_lines(&rows), sorted_lines(&wanted));

    let mut store = open(&server);
    let told = replayed(&mut *store);
    let short: Vec<_> =
        told.iter().map(|job| (&job.unique[..], job.priority, &job.workload[..], job.epoch)).collect();
    let normal = |unique, workload| (unique, Priority::Normal, workload, None);
    assert_eq!(
        short,
        [
            normal(&b"u1"[..], &b"hello"[..]),
            (b"u2", Priority::High, binary, None),
            (b"u3", Priority::Low, b"", None),
            normal(b"", b"nounique"),
            normal(b"-", b"dash"),
            normal(b"q'uote", b"q"),
            normal("\u{e9}t\u{e9}".as_bytes(), b"utf8"),
            normal(&k64[..63], b"64"),
            (b"e1", Priority::Normal, b"ep", Some(Epoch::from_seconds(2_000_000_000))),
            (b"e2", Priority::Normal, b"ep2", Some(Epoch::from_seconds(705_032_704))),
            normal(b"e3", b"neg"),
        ]
    );
    // Ends are found, of a quote and of a key with a NUL, too.
    done(&mut *store, &[told[5].id, told[7].id]);
    store.close().unwrap();
    assert_eq!(server.sql("d", "SELECT COUNT(*) FROM gearman_queue"), "9");
    // The rest is gearmand's again.
    let mut gearmand = start(&server);
    assert_eq!(work_off(&mut gearmand, b"rev").len(), 7);
    stop(gearmand);
    // One waits for its time, and while one of NORMAL does, gearmand does not look at LOW.
    assert_eq!(
        server.sql("d", "SELECT GROUP_CONCAT(unique_key ORDER BY unique_key) FROM gearman_queue"),
        "e1,u3"
    );
}

#[test]
fn what_ours_has_stored_gearmand_runs_once() {
    let server = database();
    let generated = |sequence, tail| {
        format!("ringgear:{}:{tail}", JobId::new(sequence, Slot::of(b"f")).number()).into_bytes()
    };
    let long = [b'u'; 64];
    let jobs = [
        (StoredJob { priority: Priority::High, ..job(3, b"high", b"3") }, b"high".to_vec()),
        (job(1, b"first", b"1"), b"first".to_vec()),
        (job(4, b"", b"4"), generated(4, 'e')),
        (job(5, b"", b"5"), generated(5, 'e')),
        (job(6, b"-", b"6"), generated(6, 'd')),
        (job(7, b"no workload", b""), b"no workload".to_vec()),
        (job(8, &long, b"8"), long[..63].to_vec()),
        (StoredJob { reducer: Some(b"sum"), ..job(9, b"reduce", b"9") }, b"reduce".to_vec()),
        (StoredJob { attempts: 2, ..job(10, b"tried", b"\0binary\xff") }, b"tried".to_vec()),
        (job(11, b"FIRST", b"11"), b"FIRST".to_vec()),
        (StoredJob { priority: Priority::Low, ..job(2, b"low", b"2") }, b"low".to_vec()),
    ];
    let mut store = open(&server);
    replayed(&mut *store);
    put(&mut *store, &jobs.iter().map(|(job, _)| *job).collect::<Vec<_>>());
    let long_function = [b'f'; 300];
    put(&mut *store, &[dead(21, b"dead", b"21"), job_of(&long_function, 30, b"odd", b"30")]);
    store.close().unwrap();
    // Byte for byte what gearmand would have written.
    let rows = server.sql(
        "d",
        "SELECT unique_key, function_name, priority, HEX(data), when_to_run FROM gearman_queue WHERE unique_key IN ('first', 'high') \
         ORDER BY priority",
    );
    assert_eq!(rows, "high\tf\t0\t33\t0\nfirst\tf\t1\t31\t0");

    let mut gearmand = start(&server);
    let wanted: Vec<_> = jobs.iter().map(|(job, unique)| (unique.clone(), job.workload.to_vec())).collect();
    assert_eq!(work_off(&mut gearmand, b"f"), wanted);
    let mut client = connect(&mut gearmand);
    assert_eq!(send(&mut client, SUBMIT_JOB_BG, &[b"f", b"new", b"n"]), JOB_CREATED);
    drop(client);
    stop(gearmand);
    assert_eq!(server.sql("d", "SELECT unique_key FROM gearman_queue"), "new");
    let left = replayed(&mut *open(&server));
    let told: Vec<_> = left.iter().map(|job| (&job.unique[..], job.death.is_some())).collect();
    assert_eq!(told, [(&b"new"[..], false), (b"dead", true), (b"odd", false)]);
    assert!(left[0].id.sequence() > 30);
    assert_eq!(server.sql("d", "SELECT COUNT(*) FROM gearman_queue_ringgear"), "2");
}
