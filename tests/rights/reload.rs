//! The list is read again while people are there, is wrong, or is not there.
use super::*;

const ALL: &str = "[*]\nsubmit=.*\nwork=.*\nread=True\n";

#[test]
fn who_is_there_is_granted_what_the_new_list_says() {
    let guarded = Guarded::start(ALL, &["--threads=3"]);
    let mut client = guarded.server.connect();
    let mut worker = guarded.server.connect();
    says(&mut worker, CAN_DO, b"f");
    says(&mut worker, CAN_DO, b"g");
    asks(&mut client, SUBMIT_JOB, b"f\0\x001");
    asks(&mut client, SUBMIT_JOB_BG, b"f\0\x002");
    let (number, data) = asks(&mut worker, GRAB_JOB, b"");
    assert_eq!(number, JOB_ASSIGN);
    let handle = data.split(|&byte| byte == 0).next().unwrap().to_vec();
    guarded.renew("[*]\nsubmit=g\nwork=g\nread=True\n");
    guarded.await_line("the access list was read again: 1 entries");
    let mut reader = guarded.server.connect();
    wait_until("the worker is struck off", || line(&mut reader, "status").contains("f\t2\t1\t0\n"));
    assert_eq!(asks(&mut worker, GRAB_JOB, b"").0, NO_JOB);
    assert_eq!(asks(&mut client, SUBMIT_JOB_BG, b"f\0\x003"), denied());
    // What it has it finishes, and the client hears it.
    says(&mut worker, WORK_COMPLETE, &[&handle[..], b"\0done"].concat());
    let (number, result) = read_packet(&mut client);
    assert_eq!((number, &result[handle.len()..]), (WORK_COMPLETE, &b"\0done"[..]));
    assert_eq!(counter(&mut reader, "registrations_struck_off"), 1);
    guarded.await_line("may not work on f any more: 1 registrations have ended");
    // Once it may again it has to say so again.
    guarded.renew(ALL);
    wait_until("what was taken is granted again", || {
        asks(&mut client, SUBMIT_JOB_BG, b"f\0\x004").0 == JOB_CREATED
    });
    assert_eq!(asks(&mut worker, GRAB_JOB, b"").0, NO_JOB);
    says(&mut worker, CAN_DO, b"f");
    assert_eq!(asks(&mut worker, GRAB_JOB, b"").0, JOB_ASSIGN);
}

#[test]
fn a_list_that_is_wrong_leaves_the_old_one() {
    let guarded = Guarded::start("[*]\nsubmit=mine\n", &[]);
    let mut client = guarded.server.connect();
    guarded.renew("[*]\nsubmit=.*\nwrok=.*\n");
    guarded.await_line("acl, line 3: there is no option \"wrok\"; write submit (or invoke), work (or register), read, admin or grant");
    guarded.await_line("what was read before still counts");
    assert_eq!(asks(&mut client, SUBMIT_JOB_BG, b"theirs\0\0x"), denied());
    fs::remove_file(guarded.folder.file("acl")).unwrap();
    guarded.server.signal(Signal::HUP);
    guarded.await_line("acl: cannot be read: No such file or directory");
    assert_eq!(asks(&mut client, SUBMIT_JOB_BG, b"theirs\0\0x"), denied());
    assert_eq!(asks(&mut client, SUBMIT_JOB_BG, b"mine\0\0x").0, JOB_CREATED);
}

#[test]
fn without_a_list_that_can_be_read_nothing_starts() {
    let folder = Scratch::new();
    fs::write(folder.file("acl"), "[a]\ninvoke=(\n").unwrap();
    let (status, printed) = Server::try_start(&[], &[&format!("--acl={}", folder.path("acl"))]).unwrap_err();
    assert_eq!(status.code(), Some(78));
    let said = format!(
        "the access list {}, line 2: this is no regular expression: unclosed group; write another (--acl)",
        folder.path("acl")
    );
    assert!(printed.contains(&said), "{printed}");
    let (status, printed) = Server::try_start(&[], &["--acl=/nonexistent/acl"]).unwrap_err();
    assert_eq!(status.code(), Some(78));
    assert!(printed.contains("/nonexistent/acl: cannot be read: No such file or directory"), "{printed}");
}

/// Many are there, with many registrations, and the list is read again and again: whoever asks is answered by one of the lists.
#[test]
fn lists_change_under_load() {
    let guarded = Guarded::start(ALL, &["--threads=2"]);
    let mut workers: Vec<_> = (0..200).map(|_| guarded.server.connect()).collect();
    for (number, worker) in workers.iter_mut().enumerate() {
        let names: Vec<String> = (0..100).map(|name| format!("f{}", (number + name) % 300)).collect();
        let names = names.join("\0").into_bytes();
        says(worker, support::packets::MASS_DO, &names);
    }
    let mut client = guarded.server.connect();
    for round in 0..10 {
        guarded.renew(if round % 2 == 0 { "[*]\nsubmit=even\nread=yes\nwork=f1\n" } else { ALL });
        for _ in 0..200 {
            let (number, data) = asks(&mut client, SUBMIT_JOB_BG, b"odd\0-\0x");
            assert!(number == JOB_CREATED || (number, data) == denied());
        }
    }
    guarded.renew("[*]\nread=True\n");
    let mut reader = guarded.server.connect();
    wait_until("all are struck off", || {
        let status = line(&mut reader, "status");
        status.lines().all(|line| line == "." || line.ends_with("\t0"))
    });
    workers.iter_mut().for_each(|worker| echo(worker, b"still there"));
}
