//! `--check-args`: the same lines for gearmand and for us, and the same answer, yes or no. Where we differ on purpose, the
//! line says why.
use super::*;
use std::collections::BTreeSet;

/// Lines, words separated by blanks; `''` is an empty word.
const SAME: &[&str] = &[
    "-r http",
    "--ssl",
    // As Debian starts it.
    "--pid-file=/run/gearman/gearmand.pid --listen=localhost --daemon --log-file=/var/log/gearman-job-server/gearmand.log",
    "",
    "-b 5 -d -f 100 -j 3 -l log -L localhost -P pid -p 4730 -R -q builtin -t 4 -u nobody -w 1",
    "--backlog=5 --daemon --file-descriptors=100 --job-retries=3 --log-file=log --listen=localhost",
    "--pid-file=pid --port=4730 --round-robin --queue-type=builtin --threads=4 --user=nobody --worker-wakeup=1",
    "--exceptions --syslog --keepalive --keepalive-idle 5 --keepalive-interval 5 --keepalive-count 5 --coredump",
    "--hashtable-buckets 5 --job-handle-prefix x --verbose INFO",
    "-q libsqlite3 --libsqlite3-db db --libsqlite3-table t --store-queue-on-shutdown",
    "-q BuiltIn",
    "-dR",
    "-dRp 5",
    "-dRp5",
    "-p1",
    "-p ''",
    "-P ''",
    "-P=x",
    "-t 0",
    "-t +5",
    "-b 0",
    "-f 0",
    "-j -1",
    "-j 300",
    "-w -1",
    "-w 256",
    "--config-file ''",
    "--job-handle-prefix ''",
    "-L ''",
    "-l ''",
    "--keepalive-idle -1",
    "--log-file=-x",
    "-u no-such-user",
    "-L no.such.host.invalid",
    "--hashtable-buckets -1",
    "--help",
    "-h",
    "--version",
    "-V",
    "--",
    // Mistakes.
    "--check-args",
    "--bogus",
    "-x",
    "-Rx",
    "-R5",
    "-",
    "''",
    "word",
    "-- word",
    "--=x",
    "--PORT 5",
    "--por 1",
    "--port",
    "--port=",
    "-p",
    "-l -p",
    "-p 1 -p 2",
    "-p 1 --port=2",
    "-R -R",
    "-d --daemon",
    "--daemon=yes",
    "--daemon=",
    "--daemon yes",
    "--round-robin=1",
    "-t x",
    "-t 0x5",
    "-t ''",
    "-t 1.5",
    "-b x",
    "-f x",
    "-j x",
    "-j 99999999999999999999",
    "-w x",
    "--verbose error",
    "--verbose LOUD",
    "--verbose INFO --verbose INFO",
    "--hashtable-buckets 0",
    "--hashtable-buckets x",
    "--keepalive-count x",
    "--job-handle-prefix=",
    "--config-file /nonexistent/file",
    "--libtokyocabinet-file x",
    "--libdrizzle-host x",
];

/// The same for the words of a configuration file.
const SAME_IN_A_FILE: &[&str] = &[
    "",
    "# a comment with port=1",
    "port=x",
    "--port=1 --threads 2 -R",
    "-dR",
    "--por 1",
    "--d",
    "--lo x",
    "--store -q libsqlite3 --libsqlite3-d x",
    "--keepalive-in=5",
    "--job-h=x",
    "--worker-wakeup -1",
    "-- --bogus",
    "- x",
    "#-p",
    "--log-file='a'",
    "@/nonexistent/file",
    "--help",
    "--version",
    "--port=1 --port=2",
    "--round-robin --round-robin",
    "--bogus",
    "# see --bogus",
    "-x",
    "--l x",
    "--ke",
    "--s",
    "--job=1",
    "--keepalive-i 5",
    "--threads x",
    "--threads\t5",
    "--threads=5\t",
    "--daemon=yes",
    "--PORT=5",
    "-P",
    "word -p",
    "--verbose=LOUD",
    "--hashtable-buckets=0",
    "--check-args",
    "--port",
];

/// Lines that gearmand takes and we refuse, or the other way round.
const DIFFERENT: &[(&str, &str)] = &[
    ("-v", "old gearmands knew it, and old scripts still say it"),
    ("-vvv", "as -v"),
    ("@/dev/null", "gearmand's help promises it"),
    ("-L a -L b", "there may be several addresses"),
    ("-t 300", "a thread owns a part of all functions, and there are 255 threads at the most"),
    ("-t -1", "gearmand makes a huge number of it, and ends when it has no descriptors left"),
    ("-b -1", "gearmand makes a huge number of it"),
    ("-j 5000000000", "only a number modulo 256 is meant, whatever its size"),
    ("-p 99999", "no port; gearmand says so later"),
    ("-p no-such-service", "no port; gearmand says so later"),
    ("-l --port", "a word with dashes is an option, not a value; `--log-file=--port` is one"),
    ("-l -foo", "as before"),
    ("--keepalive-idle 0", "the system refuses it; gearmand says so later"),
    ("--keepalive-count 1000", "the system refuses it; gearmand says so later"),
    ("-q bogus", "there is no such store; gearmand says so later"),
    ("-r bogus", "there is no such protocol; gearmand says so later"),
    ("--http-port 1", "not there yet"),
    ("--ssl-key x", "not there yet"),
    ("--libpq-conninfo x", "a database that nothing uses, as below"),
    ("--mysql-host x", "not there yet"),
    ("--redis-server x", "not there yet"),
    ("--libmemcached-servers x", "not there yet"),
    (
        "--job-handle-prefix xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "gearmand cuts handles off in the middle",
    ),
    (
        "--libsqlite3-db x",
        "a database that nothing uses: jobs would not be kept, and it looks as if they were",
    ),
];

const DIFFERENT_IN_A_FILE: &[(&str, &str)] = &[
    ("-v", "old gearmands knew it"),
    ("--config-file x", "gearmand does not read it, and says nothing"),
    ("--port\n--threads=5", "a word with dashes is an option, not a value"),
    ("--log-file\n-x", "as before"),
];

fn gearmand() -> String {
    let path = std::env::var("GEARMAND").unwrap_or_else(|_| "/usr/sbin/gearmand".to_owned());
    assert!(
        Path::new(&path).exists(),
        "{path} is missing: install it with `apt-get install gearman-job-server`, or set GEARMAND to another one"
    );
    path
}

/// Whether a program takes a line.
fn takes(program: &str, words: &[&str], folder: &Scratch) -> bool {
    let mut command = Command::new(program);
    let output = run(command.arg("--check-args").args(words).current_dir(folder.file("")));
    let printed = text(&output.stderr);
    match output.status.code() {
        Some(0) => assert_eq!(printed, "", "{program} {words:?}"),
        Some(1) => assert!(printed.starts_with(&format!("{program}: ")), "{program} {words:?}: {printed}"),
        other => panic!("{program} {words:?}: {other:?}\n{printed}"),
    }
    output.status.success()
}

fn words(line: &str) -> Vec<&str> {
    line.split(' ').filter(|word| !word.is_empty()).map(|word| if word == "''" { "" } else { word }).collect()
}

#[test]
fn command_lines_are_judged_as_by_gearmand() {
    let (gearmand, folder) = (gearmand(), Scratch::new());
    let judge = |line: &str| {
        let words = words(line);
        (takes(&gearmand, &words, &folder), takes(PROGRAM, &words, &folder))
    };
    for line in SAME {
        let (theirs, ours) = judge(line);
        assert_eq!(ours, theirs, "{line}");
    }
    for (line, why) in DIFFERENT {
        let (theirs, ours) = judge(line);
        assert_ne!(ours, theirs, "{line} is not different ({why})");
    }
    // Nothing was written, and nobody was asked.
    assert_eq!(fs::read_dir(folder.file("")).unwrap().count(), 0);
}

/// Lines of [`DIFFERENT`] that are no different under the name of gearmand: it takes them and does nothing with them, or as much
/// as it can.
const SAME_BY_NAME: &[&str] = &[
    "-t 300",
    "-b -1",
    "--backlog=-2147483648",
    "--threads 4294967295",
    "--http-port 1",
    "--ssl-key x",
    "--libpq-conninfo x",
    "--mysql-host x",
    "--redis-server x",
    "--libmemcached-servers x",
    "--libsqlite3-db x",
    "--store-queue-on-shutdown",
];

#[test]
fn the_name_takes_what_gearmand_makes_little_of() {
    use std::os::unix::process::CommandExt;
    let (gearmand, folder) = (gearmand(), Scratch::new());
    for line in SAME_BY_NAME {
        assert!(takes(&gearmand, &words(line), &folder), "{line}");
        let mut ours = Command::new(PROGRAM);
        let output = run(ours.arg0("/usr/sbin/gearmand").arg("--check-args").args(words(line)));
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()), "{line}");
        assert!(!takes(PROGRAM, &words(line), &folder), "{line}");
    }
}

#[test]
fn configuration_files_are_judged_as_by_gearmand() {
    let (gearmand, folder) = (gearmand(), Scratch::new());
    let file = folder.path("file");
    let judge = |content: &str| {
        fs::write(&file, content).unwrap();
        let words = ["--config-file", file.as_str()];
        (takes(&gearmand, &words, &folder), takes(PROGRAM, &words, &folder))
    };
    for content in SAME_IN_A_FILE {
        let (theirs, ours) = judge(content);
        assert_eq!(ours, theirs, "{content:?}");
    }
    for (content, why) in DIFFERENT_IN_A_FILE {
        let (theirs, ours) = judge(content);
        assert_ne!(ours, theirs, "{content:?} is not different ({why})");
    }
    // The command line goes first, for both.
    fs::write(&file, "--port=1 --round-robin").unwrap();
    for program in [gearmand.as_str(), PROGRAM] {
        assert!(takes(program, &["--config-file", &file, "-p", "2", "-R"], &folder), "{program}");
    }
}

/// What gearmand's help names, ours names too.
#[test]
fn gearmand_has_no_option_that_we_do_not_know() {
    let options = |program: &str| -> BTreeSet<String> {
        let help = text(&run(Command::new(program).arg("--help")).stdout);
        let words = help.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        words.filter(|word| word.len() > 3 && word.starts_with("--")).map(str::to_owned).collect()
    };
    let ours = options(PROGRAM);
    let unknown: Vec<String> =
        options(&gearmand()).into_iter().filter(|option| !ours.contains(option)).collect();
    assert_eq!(unknown, Vec::<String>::new());
}

/// A configuration file that is used, not only judged.
#[test]
fn a_server_is_configured_by_a_file() {
    use crate::support::server::{Server, ask};
    let folder = Scratch::new();
    let file = folder.path("conf");
    fs::write(&file, "# Options of the job server\n--verbose=INFO\n--threads=1\n--port=1\n").unwrap();
    let at = format!("@{file}");
    for option in [&["--config-file", file.as_str()][..], &[at.as_str()]] {
        let server = Server::start(option);
        let mut stream = server.connect();
        std::io::Write::write_all(&mut stream, b"verbose\n").unwrap();
        let mut answer = [0; 8];
        std::io::Read::read_exact(&mut stream, &mut answer).unwrap();
        assert_eq!(text(&answer), "OK INFO\n");
        assert!(ask(&mut stream, "show counters\n").contains('\n'));
        wait_until("the log tells of the file", || {
            server.log().contains(&format!("options are read from {file}"))
        });
    }
}
