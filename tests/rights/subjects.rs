//! By address, and by the user of a process at a unix socket; and how clients see that they are refused.
use super::*;
use std::process::{Command, Stdio};

const LIST: &str = "[address:127.0.0.1]\nsubmit=.*\nwork=.*\nread=True\nadmin=True\n\n[address:127.0.0.2/32]\ninvoke=mail\nregister=only\n";

#[test]
fn whoever_is_not_granted_it_is_refused_as_by_geard() {
    let guarded = Guarded::start(LIST, &[]);
    let mut all = guarded.connect_from([127, 0, 0, 1]);
    let mut some = guarded.connect_from([127, 0, 0, 2]);
    let mut none = guarded.connect_from([127, 0, 0, 3]);
    assert_eq!(asks(&mut some, SUBMIT_JOB_BG, b"mail\0u\0x").0, JOB_CREATED);
    assert_eq!(
        asks(&mut some, SUBMIT_JOB_BG, b"mailing\0u\0x").0,
        JOB_CREATED,
        "anchored at the beginning only"
    );
    assert_eq!(asks(&mut some, SUBMIT_JOB_BG, b"email\0u\0x"), denied());
    // Each kind of submission.
    for number in [7, 18, 21, 32, 33, 34] {
        assert_eq!(asks(&mut some, number, b"email\0u\0x"), denied(), "{number}");
    }
    assert_eq!(asks(&mut some, 36, b"email\0u\x000\0x"), denied(), "SUBMIT_JOB_EPOCH");
    assert_eq!(asks(&mut some, 37, b"email\0u\0r\0\0x"), denied(), "SUBMIT_REDUCE_JOB");
    says(&mut some, CAN_DO, b"mail");
    says(&mut some, CAN_DO, b"only");
    assert_eq!(asks(&mut some, GRAB_JOB, b"").0, NO_JOB);
    assert_eq!(line(&mut some, "status"), LINE_DENIED);
    assert_eq!(line(&mut some, "drop function mail"), LINE_DENIED);
    assert!(line(&mut some, "version").starts_with("OK "));
    assert_eq!(asks(&mut some, GET_STATUS, b"H:x:1").0, STATUS_RES, "as with geard");
    // Whom nothing is granted, not even that; but it is there, and hears so.
    assert_eq!(asks(&mut none, GET_STATUS, b"H:x:1"), denied());
    assert_eq!(asks(&mut none, GET_STATUS_UNIQUE, b"u"), denied());
    assert_eq!(asks(&mut none, SUBMIT_JOB, b"mail\0\0"), denied());
    says(&mut none, CAN_DO, b"mail");
    let status = line(&mut all, "status");
    assert!(status.contains("mail\t1\t0\t0\n") && status.contains("mailing\t1\t0\t0\n"), "{status}");
    assert!(status.contains("only\t0\t0\t1\n") && !status.contains("email"), "{status}");
    assert_eq!(counter(&mut all, "denied_submissions"), 10);
    assert_eq!(counter(&mut all, "denied_registrations"), 2);
    assert_eq!(counter(&mut all, "denied_reports"), 3);
    assert_eq!(counter(&mut all, "denied_orders"), 1);
    guarded.await_line("as address 127.0.0.2 may not submit jobs of email");
    guarded.await_line("as address 127.0.0.3 may not work on mail");
    let said = guarded.server.log().matches("may not submit jobs of email").count();
    assert_eq!(said, 1, "once for each who, what and function");
}

/// Whoever may submit jobs of a function may cancel those that there are, as with `geard`.
#[test]
fn jobs_are_cancelled_by_who_may_submit_their_like() {
    let guarded = Guarded::start(LIST, &["--threads=3"]);
    let mut all = guarded.connect_from([127, 0, 0, 1]);
    let mut some = guarded.connect_from([127, 0, 0, 2]);
    let handle =
        |stream: &mut TcpStream, data: &[u8]| String::from_utf8(asks(stream, SUBMIT_JOB_BG, data).1).unwrap();
    let (mail, other) = (handle(&mut all, b"mail\0u\0x"), handle(&mut all, b"other\0u\0x"));
    assert_eq!(line(&mut some, &format!("cancel job {other}")), LINE_DENIED);
    assert_eq!(line(&mut some, &format!("cancel job {mail}")), "OK\r\n");
    assert_eq!(line(&mut some, &format!("retry job {other}")), LINE_DENIED);
    assert_eq!(line(&mut all, &format!("cancel job {other}")), "OK\r\n");
    let mut none = guarded.connect_from([127, 0, 0, 3]);
    assert_eq!(line(&mut none, &format!("cancel job {mail}")), LINE_DENIED);
}

#[test]
fn acl_lines_are_geards() {
    let guarded = Guarded::start(LIST, &[]);
    let mut all = guarded.connect_from([127, 0, 0, 1]);
    let list = line(&mut all, "acl list");
    let expected = "address:127.0.0.1\tregister=.*\tinvoke=.*\tgrant=False\tread=True\tadmin=True\n\
                    address:127.0.0.2/32\tregister=only\tinvoke=mail\tgrant=False\n.\n";
    assert_eq!(list, expected);
    for line in ["acl grant register x .*", "acl revoke all x", "acl self-revoke all"] {
        writeln!(all, "{line}").unwrap();
        let mut answer = [0; 21];
        std::io::Read::read_exact(&mut all, &mut answer).unwrap();
        assert_eq!(&answer, b"ERR UNKNOWN_ACL_VERB\n", "{line}");
    }
    let open = Server::start(&[]);
    let mut anybody = open.connect();
    writeln!(anybody, "acl list").unwrap();
    let mut answer = [0; 17];
    std::io::Read::read_exact(&mut anybody, &mut answer).unwrap();
    assert_eq!(&answer, b"ERR ACL_DISABLED\n");
}

/// Processes of two users at one socket.
#[test]
fn a_process_at_a_unix_socket_is_known_by_its_user() {
    let folder = Scratch::new();
    let path = folder.path("s");
    // Others are to reach it.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(folder.file("."), open).unwrap();
    let list = "[uid:0]\nadmin=yes\n[uid:65534]\nsubmit=nobodys\n[gid:65533]\nread=yes\n[address:127.0.0.1]\nsubmit=local\n";
    let guarded = Guarded::start(list, &[&format!("--listen=unix:{path}")]);
    let says = |uid: &str, gid: &str, lines: &str| {
        let script = "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.settimeout(20)\ns.connect(sys.argv[1])\n\
                      s.sendall(sys.argv[2].encode().decode('unicode_escape').encode('latin1'))\ns.shutdown(socket.SHUT_WR)\n\
                      out=b''\nwhile True:\n d=s.recv(9999)\n if not d: break\n out+=d\nsys.stdout.buffer.write(out)\n";
        let mut command = Command::new("setpriv");
        command.arg(format!("--reuid={uid}")).arg(format!("--regid={gid}")).arg("--clear-groups");
        let output = command
            .args(["/usr/bin/python3", "-c", script, path.as_str(), lines])
            .current_dir("/")
            .stdin(Stdio::null())
            .output()
            .expect("setpriv is installed");
        assert!(output.status.success(), "root is needed: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    assert_eq!(says("0", "0", "status\n"), b".\n");
    assert_eq!(says("0", "0", "create function x\n"), b"OK\r\n");
    assert_eq!(says("65534", "65534", "status\n"), LINE_DENIED.as_bytes());
    let submit = |function: &str| {
        says("65534", "65534", &format!("\\0REQ\\0\\0\\0\\x12\\0\\0\\0\\x09{function}\\0\\0"))
    };
    assert_eq!(submit("nobodys")[..8], response(JOB_CREATED, b"")[..8]);
    assert_eq!(submit("rootsxx"), response(ERROR, DENIED));
    assert_eq!(says("1234", "65533", "status\n").last(), Some(&b'\n'), "by group");
    assert_eq!(says("1234", "1234", "status\n"), LINE_DENIED.as_bytes());
    // A unix socket is shown at 127.0.0.1, but has no address.
    let local = says("65534", "65534", "\\0REQ\\0\\0\\0\\x12\\0\\0\\0\\x07local\\0\\0");
    assert_eq!(local, response(ERROR, DENIED));
    guarded.await_line("as uid 65534, gid 65534 may not submit jobs of rootsxx");
}

/// libgearman and the Perl client see an error, and soon.
#[test]
fn clients_see_refusals_as_errors() {
    let guarded = Guarded::start("[*]\nsubmit=mine\nwork=mine\n", &[]);
    let (host, port) =
        (guarded.server.address().ip().to_string(), guarded.server.address().port().to_string());
    let run = |function: &str| {
        Command::new("timeout")
            .args(["20", "gearman", "-h", &host, "-p", &port, "-b", "-f", function, "x"])
            .output()
            .unwrap()
    };
    assert!(run("mine").status.success());
    let refused = run("theirs");
    let said =
        String::from_utf8_lossy(&refused.stderr).into_owned() + &String::from_utf8_lossy(&refused.stdout);
    assert!(
        !refused.status.success()
            && refused.status.code() != Some(124)
            && said.contains("Permission denied by ACL"),
        "{refused:?}"
    );
    let script = "use Gearman::Client; my $c = Gearman::Client->new(job_servers => [$ARGV[0]]);\
                  my $h = $c->dispatch_background($ARGV[1], 'x'); print defined $h ? 'accepted' : 'refused';";
    let perl = |function: &str| {
        let output = Command::new("timeout")
            .args(["20", "perl", "-e", script, &format!("{host}:{port}"), function])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!((perl("mine").as_str(), perl("theirs").as_str()), ("accepted", "refused"));
}
