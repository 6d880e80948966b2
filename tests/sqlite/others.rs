//! Others on the file while a server has it, or has left it in a crash: readers, and a gearmand.
use super::*;

/// By hand, for the other way tries several ports.
#[track_caller]
fn assert_gearmand_refuses(file: &Path) {
    let program = support::gearmand::gearmand().unwrap_or_else(|error| panic!("{error}"));
    let ended = Command::new(program)
        .args(["-q", "libsqlite3", "--libsqlite3-db", file.to_str().unwrap()])
        .args(["--listen", "127.0.0.1", "--port", "0", "--log-file", "stderr"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success(), "{said}");
    assert!(said.contains("in use by Ringgear; if that has crashed, start and stop it once"), "{said}");
}

/// C-F3. Whoever counts rows sees them while the server runs, idle and under load; other servers are kept away.
#[test]
fn others_may_read_while_the_server_runs() {
    let folder = Folder::new();
    let file = folder.0.path("queue.db");
    let options = ["-t", "1", "-q", "libsqlite3", "--libsqlite3-db", &file];
    let mut server = support::server::Server::start(&options);
    let mut client = server.connect();
    submit(&mut client, SUBMIT_JOB_BG, &[b"f", b"first", b"1"]);
    let reader = Connection::open(folder.file()).unwrap();
    let count = || {
        let count = "SELECT count(*) FROM gearman_queue";
        reader.query_row(count, (), |row| row.get::<_, i64>(0)).unwrap_or_else(|error| panic!("{error}"))
    };
    assert_eq!(count(), 1);
    // Another that never ends reading hinders nobody.
    let idler = Connection::open(folder.file()).unwrap();
    idler.execute_batch("BEGIN; SELECT count(*) FROM gearman_queue").unwrap();
    let load = std::thread::spawn(move || {
        for number in 0..2000 {
            submit(&mut client, SUBMIT_JOB_BG, &[b"f", format!("u{number}").as_bytes(), &[b'w'; 1000]]);
        }
    });
    let (mut looks, mut last) = (0, 1);
    while !load.is_finished() {
        let now = count();
        assert!(now >= last, "{now} rows after {last}");
        (looks, last) = (looks + 1, now);
    }
    load.join().unwrap();
    assert_eq!(count(), 2001);
    assert!(looks > 1);

    let second = support::server::run_to_end(&[], support::server::free_address(), &options);
    assert_eq!(second.status.code(), Some(69), "{}", String::from_utf8_lossy(&second.stderr));
    assert_gearmand_refuses(&folder.file());

    // It ends although somebody reads, and its jobs are there.
    server.signal(rustix::process::Signal::TERM);
    assert!(server.wait().success());
    drop((reader, idler));
    let mut gearmand = folder.gearmand();
    assert_eq!(work_off(&mut gearmand, b"f").len(), 2001);
    stop(gearmand);
}

/// What is left after a crash is guarded until Ringgear has had it once more, or somebody drops the trigger.
#[test]
fn gearmand_says_what_to_do_after_a_crash() {
    let folder = Folder::new();
    let file = folder.0.path("queue.db");
    let mut server =
        support::server::Server::start(&["-t", "1", "-q", "libsqlite3", "--libsqlite3-db", &file]);
    submit(&mut server.connect(), SUBMIT_JOB_BG, &[b"f", b"u", b"1"]);
    server.signal(rustix::process::Signal::KILL);
    server.wait();
    assert_gearmand_refuses(&folder.file());
    folder.store().close().unwrap();
    let mut gearmand = folder.gearmand();
    assert_eq!(work_off(&mut gearmand, b"f"), [(b"u".to_vec(), b"1".to_vec())]);
    stop(gearmand);
}

#[test]
fn gearmand_does_not_start_on_a_file_that_is_in_use() {
    let folder = Folder::new();
    let mut store = folder.store();
    replayed(&mut store);
    put(&mut store, &[job(1, b"u", b"1")]);
    assert_gearmand_refuses(&folder.file());
    // Ours has not noticed.
    put(&mut store, &[job(2, b"v", b"2")]);
    store.close().unwrap();
    assert_eq!(replayed(&mut folder.store()).len(), 2);
}
