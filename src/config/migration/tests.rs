//! What becomes of options, of command lines and files as people have them.
use super::*;
use crate::store::scratch::Scratch;

#[track_caller]
fn of_line(line: &[&str]) -> Vec<MigrationLine> {
    let words = line.iter().map(OsString::from).collect();
    // Another file, so that the one of this machine does not count.
    check(&[PathBuf::from("/dev/null")], Some(words)).unwrap()
}

/// Those that are given: option, what becomes of it.
fn given(lines: &[MigrationLine]) -> Vec<(&str, Fate)> {
    lines.iter().filter(|line| line.given).map(|line| (line.option.as_str(), line.fate)).collect()
}

fn of_file(text: &str) -> Vec<MigrationLine> {
    let folder = Scratch::new();
    let path = folder.file("options");
    std::fs::write(&path, text).unwrap();
    check(&[path], None).unwrap()
}

#[test]
fn what_debian_starts_is_the_same() {
    let lines = of_file(
        "PARAMS=\"--listen=localhost \\\n          --daemon \\\n          --log-file=/var/log/gearman-job-server/gearmand.log\"\n",
    );
    let same = Fate::Same;
    assert_eq!(
        given(&lines),
        [
            ("--listen=localhost", same),
            ("--daemon", same),
            ("--log-file=/var/log/gearman-job-server/gearmand.log", same)
        ]
    );
    assert_eq!(lines.iter().take(3).map(|line| line.line.unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(lines.iter().all(|line| line.fate != Fate::Differs), "{lines:#?}");
    let told = |option: &str| lines.iter().find(|line| line.option == option).unwrap();
    assert!(told("--threads").what.contains("gearmand has 4") && !told("--threads").given);
    assert!(told("--worker-wakeup").what.contains("gearmand wakes all"));
}

#[test]
fn each_kind_is_told_with_what_to_do() {
    let lines = of_line(&[
        "-d",
        "-j",
        "-1",
        "--http-port",
        "80",
        "-w",
        "0",
        "-t",
        "512",
        "--verbose",
        "info",
        "--bogus",
        "-R",
        "word",
    ]);
    assert_eq!(
        given(&lines),
        [
            ("-d", Fate::Same),
            ("-j -1", Fate::Differs),
            ("--http-port 80", Fate::Note),
            ("-w 0", Fate::Note),
            ("-t 512", Fate::Differs),
            ("--verbose info", Fate::Refused),
            ("--bogus", Fate::Refused),
            ("-R", Fate::Same),
            ("word", Fate::Refused),
        ]
    );
    for line in lines.iter().filter(|line| line.given && line.fate != Fate::Same) {
        assert!(line.instead.is_some() && !line.what.is_empty(), "{line:?}");
    }
    assert!(lines[1].instead.as_deref().unwrap().contains("say 0"), "{:?}", lines[1]);
}

#[test]
fn stores_and_protocols_that_are_not_there_are_refused() {
    for (line, option) in [
        (&["-q", "libdrizzle", "--libdrizzle-host=h"][..], "--libdrizzle-host=h"),
        (&["-r", "gopher"], "-r gopher"),
        (&["--ssl", "--ssl-client=required"], "--ssl-client=required"),
        (&["-q", "bogus"], "-q bogus"),
        (&["-p", "no-such-service"], "-p no-such-service"),
        (&["-q", "libsqlite3"], "-q libsqlite3"),
        (&["-d", "-p", "1", "--port=2"], "--port=2"),
    ] {
        let lines = of_line(line);
        let refused = lines.iter().find(|line| line.option == option).unwrap();
        assert_eq!(refused.fate, Fate::Refused, "{refused:?}");
    }
    let lines = of_line(&["-q", "libsqlite3", "--libsqlite3-db=f", "-d"]);
    assert!(lines.iter().all(|line| !line.given || line.fate == Fate::Same), "{lines:#?}");
    let lines = of_line(&["-q", "Postgres", "--libpq-conninfo=host=h", "--libpq-table=t", "-d"]);
    assert!(lines.iter().all(|line| !line.given || line.fate == Fate::Same), "{lines:#?}");
    let idle = of_line(&["--libsqlite3-db=f"]);
    assert_eq!((idle[0].fate, idle[0].instead.as_deref()), (Fate::Note, Some("add -q libsqlite3")));
}

/// People show to others what is printed.
#[test]
fn secrets_are_not_shown() {
    for line in
        [&["--mysql-password=x", "-d"][..], &["--redis-password", "x"], &["--libpq-conninfo=password=x"]]
    {
        let lines = of_line(line);
        let option = &lines[0].option;
        assert!(option.ends_with("=...") && !format!("{lines:?}").contains("=x"), "{lines:?}");
    }
}

#[test]
fn the_log_differs_where_nothing_is_said() {
    let log =
        |line: &[&str]| of_line(line).into_iter().find(|line| line.option == "--log-file" && !line.given);
    let told = log(&[]).unwrap();
    assert_eq!(
        (told.fate, told.instead.as_deref()),
        (Fate::Differs, Some("--log-file=/var/log/gearmand.log"))
    );
    assert_eq!(log(&["-d"]), None);
    assert_eq!(log(&["-l", "x"]), None);
}

#[test]
fn files_of_gearmand() {
    let lines = of_file("# port=1\nport=4731\n\n--por=4730\n--log-f x\n-d --verbose=LOUD\n");
    let told: Vec<_> =
        lines.iter().filter(|line| line.given).map(|line| (line.line.unwrap(), line.fate)).collect();
    let (same, refused) = (Fate::Same, Fate::Refused);
    assert_eq!(told, [(1, same), (2, same), (4, same), (5, same), (6, same), (6, refused)]);
    assert!(
        lines[1].what.contains("ignored") && lines[1].instead.as_deref().unwrap().starts_with("--port=4731")
    );
    // A command line goes first, and names a file.
    let folder = Scratch::new();
    std::fs::write(folder.file("conf"), "--port=x-y\n-R\n").unwrap();
    let lines = of_line(&["-d", "-p", "1", &format!("@{}", folder.path("conf"))]);
    assert_eq!(
        given(&lines),
        [("--port=x-y", Fate::Same), ("-R", Fate::Same), ("-d", Fate::Same), ("-p 1", Fate::Same)]
    );
}

#[test]
fn what_cannot_be_read_is_told() {
    let error = check(&["/nonexistent/options".into()], None).unwrap_err().to_string();
    assert!(
        error.starts_with("cannot read /nonexistent/options: ") && error.contains("behind --"),
        "{error}"
    );
    assert!(check(&[], Some(vec!["--config-file=/nonexistent/conf".into()])).is_err());
    assert!(check(&["/dev/zero".into()], None).is_err());
}

/// What is said is said of options that there are.
#[test]
fn remarks_are_about_options_of_gearmand() {
    for remark in REMARKS {
        assert!(file::GEARMANDS.contains(&remark.option), "{}", remark.option);
    }
    // Each option alone leads to an answer.
    let mut command = flags::command();
    command.build();
    for option in file::GEARMANDS {
        let takes = command
            .get_arguments()
            .any(|arg| arg.get_long() == Some(option) && arg.get_action().takes_values());
        let word = if takes { format!("--{option}=1") } else { format!("--{option}") };
        if *option != "config-file" {
            assert_eq!(given(&of_line(&[&word])).len(), 1, "{word}");
        }
    }
}
