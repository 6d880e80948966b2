//! The examples of the talks and tutorials that made Gearman known, run as written: a folder each, with `run.sh` and the
//! scripts that it runs in our own words, and in `printed.txt` what they print, compared to the letter.
//!
//! An example is played on a stage of its own: a network namespace with nothing but loopback, so that the scripts use
//! the ports that everybody uses, and a process namespace that ends with it. `RINGGEAR_TALKS_AGAINST=gearmand` plays all of
//! them with Debian's gearmand instead of our server, to prove the examples right.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

use rustix::process::geteuid;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use support::scratch::Scratch;

/// How long an example may take before the test says that it hangs; all of them together take less.
const PATIENCE: Duration = Duration::from_secs(100);

/// What an example cannot do without.
const NEEDS: &str = "it needs what tests/talks/install.sh installs, and to be allowed a network and processes of its \
                     own (unshare --net --pid)";

/// Examples of what the talks promise and gearmand does not do.
const ONLY_OURS: [&str; 1] = ["server-ha"];

/// Which server the examples call `gearmand`.
fn server() -> PathBuf {
    match std::env::var("RINGGEAR_TALKS_AGAINST") {
        Ok(name) if name == "gearmand" => support::gearmand::gearmand().unwrap_or_else(|why| panic!("{why}")),
        Ok(other) => panic!("RINGGEAR_TALKS_AGAINST is {other:?}; it may be \"gearmand\", or not be there"),
        Err(_) => PathBuf::from(env!("CARGO_BIN_EXE_ringgear")),
    }
}

/// Puts the server where the examples find it; where servers under test are to serve sockets in some way, behind a script that says so.
fn put_server(stage: &Scratch) {
    let Ok(sockets) = std::env::var("RINGGEAR_TEST_SOCKETS") else {
        return symlink(server(), stage.file("bin/gearmand")).unwrap();
    };
    fs::create_dir(stage.file("server")).unwrap();
    symlink(server(), stage.file("server/gearmand")).unwrap();
    let program = stage.file("server/gearmand");
    let script = format!("#!/bin/sh\nexec '{}' --sockets '{sockets}' \"$@\"\n", program.display());
    fs::write(stage.file("bin/gearmand"), script).unwrap();
    fs::set_permissions(stage.file("bin/gearmand"), fs::Permissions::from_mode(0o755)).unwrap();
}

/// Plays an example and compares what it prints.
#[track_caller]
fn play(example: &str) {
    let talks = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/talks");
    let stage = Scratch::new();
    for file in fs::read_dir(talks.join(example)).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), stage.file(file.file_name().to_str().unwrap())).unwrap();
    }
    fs::copy(talks.join("stage.sh"), stage.file("stage.sh")).unwrap();
    fs::create_dir(stage.file("bin")).unwrap();
    put_server(&stage);

    let (out, err) = (stage.file("stdout"), stage.file("stderr"));
    let mut child = command(&stage)
        .stdin(Stdio::null())
        .stdout(File::create(&out).unwrap())
        .stderr(File::create(&err).unwrap())
        .spawn()
        .expect("unshare is there: `apt-get install util-linux`");
    let status = end_of(&mut child);
    let [printed, complaints] =
        [out, err].map(|file| String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned());
    let what = match status {
        None => "hangs".to_owned(),
        Some(status) if !status.success() => format!("ended with {status}; {NEEDS}"),
        Some(_) => "has ended".to_owned(),
    };
    let wanted = fs::read_to_string(talks.join(example).join("printed.txt")).unwrap();
    assert!(
        status.is_some_and(|status| status.success()) && printed == wanted,
        "{example} {what}\n--- it printed\n{printed}\n--- instead of\n{wanted}\n--- and complained\n{complaints}"
    );
}

/// Waits for the end of an example; `None` if it hangs.
fn end_of(child: &mut Child) -> Option<ExitStatus> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        thread::sleep(Duration::from_millis(5));
    }
    // Everything on the stage ends with it.
    child.kill().unwrap();
    child.wait().unwrap();
    None
}

/// What plays the example in this folder, in namespaces of its own.
fn command(stage: &Scratch) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--net", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    if !geteuid().is_root() {
        command.args(["--user", "--map-current-user", "--keep-caps"]);
    }
    command.args(["--", "sh", "-c", "ip link set lo up && exec sh -e ./run.sh"]);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{}:{path}:/usr/local/sbin:/usr/sbin:/sbin", stage.path("bin")));
    command.env("LC_ALL", "C").env_remove("GEARMAN_SERVER").env_remove("GEARMAND_PORT");
    command.current_dir(stage.file(""));
    command
}

/// A test for each example, of the same name but for the dashes.
macro_rules! examples {
    ($($test:ident: $folder:literal,)*) => {
        $(#[test]
        fn $test() {
            if ONLY_OURS.contains(&$folder) && std::env::var_os("RINGGEAR_TALKS_AGAINST").is_some() {
                return println!("NOT RUN: {}, which gearmand cannot: two on one table run everything twice", $folder);
            }
            play($folder);
        })*

        /// A folder without a test would never be played.
        #[test]
        fn each_folder_has_a_test() {
            let talks = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/talks");
            let folders = fs::read_dir(talks).unwrap().map(|entry| entry.unwrap());
            let mut names: Vec<String> = folders
                .filter(|entry| entry.file_type().unwrap().is_dir())
                .map(|entry| entry.file_name().into_string().unwrap())
                .collect();
            names.sort_unstable();
            let mut tested = [$($folder),*];
            tested.sort_unstable();
            assert_eq!(names, tested);
        }
    };
}

examples! {
    perl_says_hello_and_uhoh: "hello",
    ls_goes_through_grep: "grep",
    lines_of_passwd_are_counted: "wc",
    an_image_becomes_a_thumbnail: "resize",
    a_growing_log_is_jobs: "tail",
    requests_of_apache_are_jobs: "apache",
    php_reverses: "reverse",
    php_has_priorities: "priorities",
    php_calls_back: "callbacks",
    php_asks_for_the_status_of_jobs: "status",
    gearmand_goes_to_the_background: "daemon",
    one_of_two_servers_is_killed: "two-servers",
    one_of_two_servers_on_a_database_is_killed: "server-ha",
    three_priorities_are_first_in_first_out: "fifo",
    a_worker_of_many_functions: "functions",
    supervisor_restarts_twenty_workers: "supervisor",
    a_video_is_encoded_in_pieces: "video",
    catalogues_are_searched_at_once: "catalogues",
    words_are_mapped_and_reduced: "map-reduce",
    four_engines_scan_a_file: "antivirus",
    cron_fans_jobs_out_of_jobs: "cron",
}
