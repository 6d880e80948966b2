//! What must hold of any bytes in a configuration file: it is read to the end or refused in one line, and the command line goes
//! before it. What options mean for the parts of the server is not looked at here.
use called::CalledAs;
use file::Word;
use mistake::Mistake;
use sources::{Given, read};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

#[path = "../../../src/config/access.rs"]
mod access;
#[path = "../../../src/config/called.rs"]
mod called;
#[path = "../../../src/config/doors.rs"]
mod doors;
#[path = "../../../src/config/file.rs"]
mod file;
#[path = "../../../src/config/flags.rs"]
mod flags;
#[path = "../../../src/config/listening.rs"]
mod listening;
#[path = "../../../src/config/machine.rs"]
mod machine;
#[path = "../../../src/config/mistake.rs"]
mod mistake;
#[path = "../../../src/config/origins.rs"]
mod origins;
#[path = "../../../src/config/process.rs"]
mod process;
#[path = "../../../src/config/sources/mod.rs"]
mod sources;
#[path = "../../../src/config/store/mod.rs"]
mod store;
#[path = "../../../src/config/tls.rs"]
mod tls;
#[path = "../../../src/config/unsupported.rs"]
mod unsupported;
#[path = "../../../src/config/value.rs"]
mod value;

pub(crate) fn run(bytes: &[u8]) {
    let path = file();
    fs::write(&path, bytes).expect("there is room for a small file");
    told_apart(&path);
    the_line_goes_first(&path);
}

/// One for each process: fuzzers run side by side.
fn file() -> PathBuf {
    std::env::temp_dir().join(format!("ringgear-fuzz-{}.conf", std::process::id()))
}

/// What was told apart and written out is told apart the same.
fn told_apart(path: &Path) {
    let mut command = flags::command();
    command.build();
    let found = file::of_file(path).expect("the file is there and small");
    if found.words.iter().any(|word| word == "--") {
        return;
    }
    assert_eq!(found.words.len(), found.lines.len());
    let items = placeless(file::read(found.words.into_iter(), &command, true));
    let mut written = Vec::new();
    for item in &items {
        match item {
            Word::Option(item) => written.extend(item.words.iter().cloned()),
            Word::Stray(word) => written.push(word.clone()),
        }
    }
    assert_eq!(placeless(file::read(written.into_iter(), &command, false)), items);
}

/// Without where each option stands: written out, one word may have become several.
fn placeless(mut items: Vec<Word>) -> Vec<Word> {
    for item in &mut items {
        if let Word::Option(item) = item {
            item.at = 0;
        }
    }
    items
}

fn the_line_goes_first(path: &Path) {
    let mut named = OsString::from("--config-file=");
    named.push(path);
    let arguments = [named, "--port=7".into(), "-t3".into()];
    match read(arguments.into_iter(), Path::new("/nonexistent")).and_then(understood) {
        Ok(Given::Flags(flags, ..)) => {
            assert_eq!((flags.port.as_str(), flags.threads, flags.process.check_args), ("7", 3, false));
        }
        Ok(Given::Help(text)) => assert!(!text.is_empty()),
        Err(mistake) => {
            let said = mistake.to_string();
            assert!(!said.is_empty() && !said.contains('\n'), "{said:?}");
        }
    }
}

/// What was given, if it makes sense.
fn understood(mut given: Given) -> Result<Given, Mistake> {
    if let Given::Flags(flags, notices, origins) = &mut given {
        if let Some(option) = flags.unsupported.options(&flags.storing.queue_type).pop() {
            return Err(Mistake::Unsupported(option.name, option.problem).blamed(origins));
        }
        for called in [CalledAs::Gearmand, CalledAs::Ringgear] {
            store::options(&flags.storing, called, notices, &mut Vec::new())
                .map_err(|mistake| mistake.blamed(origins))?;
        }
        process::options(&flags.process);
    }
    Ok(given)
}
