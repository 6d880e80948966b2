//! `ringgear help` as its readers see it, and the README: that every page is printed and named, and that links lead
//! somewhere. How pages are laid out is tested in `src/cli/help`, options and defaults in `commandline.rs`.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs `ringgear help` with these words: status, standard output, standard error.
fn help(words: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringgear"));
    let Output { status, stdout, stderr } =
        command.arg("help").args(words).stdin(Stdio::null()).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// Names of the pages in the folder.
fn topics() -> BTreeSet<String> {
    let files = fs::read_dir(root().join("src/cli/help")).unwrap().map(|entry| entry.unwrap().path());
    let pages = files.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    pages.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

/// The first words of the indented lines.
fn listed(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("  "));
    lines.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn the_list_has_every_page() {
    for words in [&[][..], &["--help"], &["-h"]] {
        let (status, printed, complaint) = help(words);
        assert_eq!((status, complaint.as_str()), (0, ""), "{words:?}");
        assert_eq!(listed(&printed), topics(), "{printed}");
        assert!(printed.lines().all(|line| line.len() <= 110), "{printed}");
    }
}

#[test]
fn every_page_is_printed() {
    for topic in topics() {
        let file = fs::read_to_string(root().join(format!("src/cli/help/{topic}.md"))).unwrap();
        let (status, printed, complaint) = help(&[&topic]);
        assert_eq!((status, complaint.as_str()), (0, ""), "{topic}");
        assert_eq!(printed.lines().next(), file.lines().next().unwrap().strip_prefix("# "), "{topic}");
        let filled = printed.split_whitespace().collect::<Vec<_>>().join(" ");
        for code in file.replace("```", "").split('`').skip(1).step_by(2) {
            let code = code.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(filled.contains(&code), "{topic} does not print {code}");
        }
        assert_eq!(help(&[&topic.to_uppercase()]).1, printed, "{topic}");
    }
}

#[test]
fn an_unknown_topic_names_the_nearest_and_lists_all() {
    for (word, nearest) in [("limit", "limits"), ("--data-dir", "options"), ("munin", "monitoring")] {
        let (status, printed, complaint) = help(&[word]);
        assert_eq!((status, printed.as_str()), (2, ""), "{word}");
        let said = format!(
            "ringgear help: there is no topic '{word}'; the nearest is '{nearest}'. The topics are:\n"
        );
        assert!(complaint.starts_with(&said), "{complaint}");
        assert_eq!(listed(&complaint), topics(), "{complaint}");
    }
    let (status, printed, complaint) = help(&["limits", "signals"]);
    assert_eq!((status, printed.as_str()), (2, ""));
    assert!(complaint.starts_with("ringgear help: one topic at a time."), "{complaint}");
}

/// Whoever stops to read closes the pipe.
#[test]
fn nobody_needs_to_read_it() {
    let mut command = Command::new("sh");
    let line = "{ \"$0\" help options; echo $? >&2; } | true";
    let output = command.args(["-c", line, env!("CARGO_BIN_EXE_ringgear")]).output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "0\n");
}

#[test]
fn the_short_help_names_the_topics() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringgear"));
    let printed = String::from_utf8(command.arg("--help").output().unwrap().stdout).unwrap();
    assert!(printed.contains("`ringgear help TOPIC`"), "{printed}");
}

/// Subcommands, each of which is told of in a manual page, in completions, and on a page of help.
const COMMANDS: [&str; 31] = [
    "cancel",
    "check",
    "check-migration",
    "close",
    "completions",
    "connections",
    "dead",
    "doctor",
    "drain",
    "help",
    "job",
    "jobs",
    "limit",
    "log-level",
    "man",
    "pause",
    "ping",
    "purge",
    "resume",
    "retry",
    "status",
    "store",
    "store-check",
    "store-export",
    "submit",
    "token",
    "top",
    "trace",
    "why",
    "work",
    "workers",
];

/// What the page about tools does not tell of stands on another one.
#[test]
fn every_tool_has_its_place_on_a_page() {
    let pages: String = topics()
        .iter()
        .map(|topic| fs::read_to_string(root().join(format!("src/cli/help/{topic}.md"))).unwrap())
        .collect();
    for command in COMMANDS {
        let words = command.replace("store-", "store ");
        let told = pages.contains(&format!("ringgear {words}")) || pages.contains(&format!("`{words}"));
        assert!(told, "no page tells of {words}");
    }
}

/// Every page, and every option of the server, is in a manual page; man can read all of them.
#[test]
fn everything_has_a_manual_page() {
    let ringgear =
        |words: &[&str]| Command::new(env!("CARGO_BIN_EXE_ringgear")).args(words).output().unwrap();
    let folder = std::env::temp_dir().join(format!("ringgear-man-{}", std::process::id()));
    let output = ringgear(&["man", folder.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page =
        |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    for topic in topics() {
        assert!(
            page(&format!("ringgear-{topic}.7")).contains(&format!("ringgear\\-{topic} \\- ")),
            "{topic}"
        );
    }
    for command in COMMANDS {
        page(&format!("ringgear-{command}.8"));
    }
    let server = page("ringgear.8");
    assert_eq!(String::from_utf8(ringgear(&["man"]).stdout).unwrap(), server);
    for name in ["RINGGEAR_TOKEN_FILE", "/run/ringgear/control.sock"] {
        assert!(server.contains(name), "{name} is not in ringgear(8)");
    }
    let help = String::from_utf8(ringgear(&["--help"]).stdout).unwrap();
    let options = help.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    for option in options.filter(|word| word.len() > 3 && word.starts_with("--")) {
        assert!(server.contains(&option.replace('-', "\\-")), "{option} is not in ringgear(8)");
    }
    fs::remove_dir_all(&folder).unwrap();
    let nowhere = ringgear(&["man", "/proc/nowhere"]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nowhere.stderr).starts_with("ringgear man: /proc/nowhere: "));
}

/// The shells read what they are given, where they are there; and they are told of every option.
#[test]
fn shells_can_complete() {
    for shell in ["bash", "zsh", "fish"] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_ringgear")).args(["completions", shell]).output().unwrap();
        assert!(output.status.success(), "{shell}");
        let text = String::from_utf8(output.stdout).unwrap();
        let commands = COMMANDS.map(|command| command.split_once('-').map_or(command, |(first, _)| first));
        for word in ["data-dir", "salvage", "durability", "interval", "watch"].into_iter().chain(commands) {
            assert!(text.contains(word), "{shell} is not told of {word}");
        }
        let file = std::env::temp_dir().join(format!("ringgear-completions-{}.{shell}", std::process::id()));
        fs::write(&file, text).unwrap();
        if let Ok(status) = Command::new(shell).arg("-n").arg(&file).status() {
            assert!(status.success(), "{shell} cannot read it");
        }
        fs::remove_file(file).unwrap();
    }
}

/// What `[text](target)` leads to, without what stands on the web.
fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.starts_with("http")).map(str::to_owned).collect()
}

/// The name by which a heading is linked to.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let heading = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
            heading.chars().filter(|c| c.is_alphanumeric() || *c == '-').collect()
        })
        .collect()
}

#[test]
fn links_lead_somewhere() {
    let pages = topics().into_iter().map(|topic| format!("src/cli/help/{topic}.md"));
    let files: Vec<PathBuf> = pages.chain(["README.md".to_owned()]).map(|file| root().join(file)).collect();
    let mut followed = 0;
    for file in files {
        for link in links(&fs::read_to_string(&file).unwrap()) {
            let (path, anchor) = link.split_once('#').map_or((&link[..], None), |(path, a)| (path, Some(a)));
            let target = file.parent().unwrap().join(path);
            assert!(target.exists(), "{} leads to {link}, which is not there", file.display());
            if let Some(anchor) = anchor {
                let headings = anchors(&fs::read_to_string(target).unwrap());
                assert!(headings.contains(anchor), "{} leads to {link}: {headings:?}", file.display());
            }
            followed += 1;
        }
    }
    assert!(followed > 50, "{followed} links");
}

#[test]
fn the_readme_names_every_page_and_every_example() {
    let readme = links(include_str!("../README.md"));
    for topic in topics() {
        let page = format!("src/cli/help/{topic}.md");
        assert!(readme.contains(&page), "README.md does not lead to {page}");
    }
    for entry in fs::read_dir(root().join("tests/talks")).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            let example = format!("tests/talks/{}", entry.file_name().to_str().unwrap());
            assert!(readme.contains(&example), "README.md does not lead to {example}");
        }
    }
}
