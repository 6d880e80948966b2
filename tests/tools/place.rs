//! The socket for orders that a server has without being told: where it is, who may use it, that it is gone at the end, and that tools find it.
use crate::own::{PROGRAM, ended, ringgear};
use crate::support::gearmand::Server;
use crate::support::scratch::Scratch;
use crate::support::server::wait_until;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program that is this server with a runtime directory, as systemd gives one.
fn program(folder: &Scratch, name: &str, runtime: &str) -> PathBuf {
    let link = folder.file("gearmand");
    if !link.exists() {
        std::os::unix::fs::symlink(PROGRAM, &link).unwrap();
    }
    let called = if name == "gearmand" { folder.path("gearmand") } else { PROGRAM.to_owned() };
    let script = folder.file(&format!("start-{name}"));
    fs::write(&script, format!("#!/bin/sh\nRUNTIME_DIRECTORY={runtime} exec {called} \"$@\"\n")).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    script
}

fn order(socket: &Path) -> i32 {
    ended(&mut ringgear(&["pause", "mail", "--control", &format!("unix:{}", socket.display())])).status
}

#[test]
fn the_runtime_directory_has_a_socket_for_orders() {
    let folder = Scratch::new();
    fs::create_dir(folder.file("run")).unwrap();
    let socket = folder.file("run/control.sock");
    let program = program(&folder, "ringgear", &format!("{}:/nonexistent", folder.path("run")));
    let mut server = Server::start(&program, &[]).unwrap();
    wait_until("the socket is there", || socket.exists());
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    wait_until("orders are taken", || order(&socket) == 0);
    // Another server finds it in use, says so, and serves.
    let second = Server::start(&program, &[]).unwrap();
    let said = second.last_words();
    assert!(said.contains(&format!("there is no HTTP side at unix:{}: ", socket.display())), "{said}");
    assert!(said.contains("WARN") && said.contains("say --control none"), "{said}");
    drop(second);
    assert_eq!(order(&socket), 0);
    server.signal("SIGTERM").unwrap();
    assert!(server.wait().unwrap().success());
    assert!(!socket.exists());
    // One that was killed leaves it, and the next one takes its place.
    let killed = Server::start(&program, &[]).unwrap();
    wait_until("the socket is there", || socket.exists());
    drop(killed);
    assert!(socket.exists());
    let _server = Server::start(&program, &[]).unwrap();
    wait_until("orders are taken", || order(&socket) == 0);
}

#[test]
fn without_a_place_there_is_none() {
    let folder = Scratch::new();
    let nowhere = program(&folder, "ringgear", "/nonexistent");
    let server = Server::start(&nowhere, &[]).unwrap();
    let said = server.last_words();
    let line = said.lines().find(|line| line.contains("unix:/nonexistent/control.sock"));
    let line = line.unwrap_or_else(|| panic!("{said}"));
    assert!(line.contains("INFO") && line.contains("make the folder for it"), "{line}");
    // Under gearmand's name there is none, and none with --control.
    fs::create_dir(folder.file("run")).unwrap();
    let run = folder.path("run");
    for (name, options) in [
        ("gearmand", &[][..]),
        ("ringgear", &["--control", "none"]),
        ("ringgear", &["--control", "127.0.0.1:0"]),
    ] {
        let program = program(&folder, name, &run);
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let mut server = Server::start(&program, &options).unwrap();
        server.signal("SIGTERM").unwrap();
        server.wait().unwrap();
        assert!(!server.last_words().contains("control.sock"), "{name}: {}", server.last_words());
        assert_eq!(fs::read_dir(&run).unwrap().count(), 0, "{name}");
    }
}

/// On a machine of its own, with a folder for it: nobody says where anything is.
#[test]
fn tools_find_it_first() {
    let script = "set -e
        mount -t tmpfs none /run
        mkdir /run/ringgear
        ip link set lo up
        \"$0\" --threads 1 --log-file stderr &
        until [ -S /run/ringgear/control.sock ] && \"$0\" ping; do sleep 0.05; done 2>/dev/null
        \"$0\" submit --background mail x
        \"$0\" pause mail
        \"$0\" status
        \"$0\" jobs --json
        kill $!
        wait $!
        ls /run/ringgear
        echo end";
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    command.args(["timeout", "60", "sh", "-c", script, PROGRAM]);
    for name in
        ["RINGGEAR_CONTROL", "RINGGEAR_TOKEN", "RINGGEAR_TOKEN_FILE", "GEARMAND_PORT", "RUNTIME_DIRECTORY"]
    {
        command.env_remove(name);
    }
    let printed = ended(&mut command);
    assert_eq!(printed.status, 0, "{printed:?}");
    let lines: Vec<&str> = printed.out.lines().collect();
    assert!(
        lines[0].starts_with("H:") && lines[1].starts_with("mail is paused until it is resumed"),
        "{printed:?}"
    );
    assert!(
        lines[2].starts_with("FUNCTION  STATE") && lines[3].starts_with("mail      paused"),
        "{printed:?}"
    );
    assert!(lines[4].starts_with('{') && lines[5..] == ["end"], "{printed:?}");
}
