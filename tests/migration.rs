//! `ringgear check-migration` from outside: what it prints, its statuses, and that the server does with options what was said of
//! them. What is said of which option is tested in `src/config/migration/`.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};
use support::scratch::Scratch;

const PROGRAM: &str = env!("CARGO_BIN_EXE_ringgear");

fn run(name: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.arg0(name).args(arguments).env_remove("GEARMAND_PORT").stdin(Stdio::null()).output().unwrap()
}

/// Status and what is printed.
fn check(arguments: &[&str]) -> (i32, String) {
    let output = run("ringgear", &[&["check-migration"], arguments].concat());
    let printed = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(printed).unwrap())
}

/// As Debian has it, and as people change it.
const DEBIAN: &str = "# Parameters to pass to gearmand.
PARAMS=\"--listen=localhost \\
        --daemon \\
        --log-file=/var/log/gearman-job-server/gearmand.log\"
";

#[test]
fn nothing_differs_on_a_new_debian() {
    let folder = Scratch::new();
    let file = folder.path("gearman-job-server");
    fs::write(&file, DEBIAN).unwrap();
    let (status, printed) = check(&[&file]);
    assert_eq!(status, 0, "{printed}");
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines[0], file);
    assert_eq!(lines[1], "  line 2   same     --listen=localhost");
    assert_eq!(lines[3], "  line 4   same     --log-file=/var/log/gearman-job-server/gearmand.log");
    assert_eq!(lines[4], "not given");
    assert!(printed.ends_with("3 same, 0 note, 0 differs, 0 refused\n"), "{printed}");
}

#[test]
fn each_difference_is_told_where_it_stands() {
    let folder = Scratch::new();
    let file = folder.path("gearmand");
    fs::write(&file, "OPTIONS=\"-d --job-retries=-1 \\\n  -q libdrizzle --libdrizzle-host=db\"\n").unwrap();
    let (status, printed) = check(&[&file]);
    assert_eq!(status, 1);
    for said in [
        "  line 1   differs  --job-retries=-1\n                    --job-retries -1 means 255 attempts with --compat 1.1\n",
        "                    instead: for no limit, as from 2.1 on, say 0, or follow 2.1 (--compat 2.1)\n",
        "  line 2   refused  --libdrizzle-host=db\n",
        "  line 2   refused  -q libdrizzle\n",
        "1 same, 0 note, 1 differs, 2 refused\n",
    ] {
        assert!(printed.contains(said), "{said}\n{printed}");
    }
}

#[test]
fn a_command_line_and_json() {
    let (status, printed) = check(&["--json", "--", "-d", "--threads=512"]);
    assert_eq!(status, 1);
    let lines: Vec<serde_json::Value> = serde_json::from_str(&printed).unwrap();
    assert_eq!(
        (&lines[0]["option"], &lines[0]["result"], &lines[0]["given"]),
        (&"-d".into(), &"same".into(), &true.into())
    );
    assert_eq!((&lines[1]["option"], &lines[1]["result"]), (&"--threads=512".into(), &"differs".into()));
    assert!(lines[1]["what"].as_str().unwrap().contains("255") && lines[1]["file"].is_null());
    assert!(lines[1]["instead"].as_str().unwrap().contains("--threads=0"));
}

#[test]
fn what_cannot_be_read_ends_with_2() {
    let (status, printed) = check(&["/nonexistent/file"]);
    assert_eq!(status, 2);
    let said = "ringgear check-migration: cannot read /nonexistent/file: No such file or directory (os error 2); name another \
                file, or give gearmand's options behind --\n";
    assert_eq!(printed, said);
    assert_eq!(check(&["--bogus"]).0, 2);
    let (status, help) = check(&["--help"]);
    assert_eq!(status, 0);
    assert!(help.contains("Usage: ringgear check-migration [--json] [FILE]... [-- OPTIONS...]"), "{help}");
}

/// It is the server that decides: whatever line is refused by it under the name of gearmand is called refused, and no other.
#[test]
fn the_server_does_what_was_said() {
    for line in [
        "-d",
        "-d -j -1",
        "-d -j 5 -w 0 -t 4",
        "-d -t 512",
        "-d --http-port 5555",
        "-r http",
        "-r http --http-port 5555",
        "-r gopher",
        "-q redis --redis-server h",
        "-q libsqlite3 --libsqlite3-db x",
        "-q libsqlite3",
        "--libsqlite3-db x",
        "-q bogus",
        "--ssl",
        "--ssl-key x",
        "-p nobody-serves-this",
        "-p 99999",
        "-t many",
        "-t -1",
        "--compat 2.1 -j 300",
        "--keepalive-idle 0",
        "--hashtable-buckets 0",
        "--hashtable-buckets 5",
        "--verbose info",
        "--job-handle-prefix xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "-R -R",
        "--bogus",
        "word",
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let takes = run("gearmand", &[&["--check-args"], &words[..]].concat()).status.success();
        let (_, printed) = check(&[&["--json", "--"], &words[..]].concat());
        let lines: Vec<serde_json::Value> = serde_json::from_str(&printed).unwrap();
        let refused = lines.iter().any(|line| line["result"] == "refused");
        assert_eq!(refused, !takes, "{line}: {printed}");
        // Whatever is refused or differs comes with what to do.
        for told in lines.iter().filter(|told| told["result"] == "refused" || told["result"] == "differs") {
            assert!(told["instead"].is_string(), "{line}: {told}");
        }
    }
}
