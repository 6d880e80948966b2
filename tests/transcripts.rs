//! Plays the scripts of `tests/transcripts` and `tests/replays` on all stages: engines in pretend time, our server on sockets, and
//! Debian's gearmand, which proves that the scripts tell the truth. See `tests/transcripts/README.md`.
#[path = "transcripts/player.rs"]
mod player;
#[path = "transcripts/pretend.rs"]
mod pretend;
#[path = "transcripts/script.rs"]
mod script;
#[path = "transcripts/sockets.rs"]
mod sockets;
mod support;

use player::{Failure, Stage};
use pretend::{Pretend, Room};
use script::{Audience, Script};
use sockets::Sockets;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::{fs, io, panic, thread};

/// Where the scripts are. No two have the same name.
const FOLDERS: [&str; 2] = ["tests/transcripts", "tests/replays"];

/// Scripts that are played at a time on sockets. They mostly wait.
const SIDE_BY_SIDE: usize = 8;

/// One engine in pretend time.
#[test]
fn engines_1() {
    in_pretend_time(1, Room::Plenty);
}

/// Two engines in pretend time.
#[test]
fn engines_2() {
    in_pretend_time(2, Room::Plenty);
}

/// Seven engines in pretend time: no two connections of most scripts are on one shard.
#[test]
fn engines_7() {
    in_pretend_time(7, Room::Plenty);
}

/// Three engines with room for next to nothing: all waiting and holding back must be invisible.
#[test]
fn engines_3_without_room() {
    in_pretend_time(3, Room::Scarce);
}

fn in_pretend_time(shards: u16, room: Room) {
    if rewriting() {
        return;
    }
    play_all(&format!("{shards} engines, room {room:?}"), Audience::Pretend, |script| {
        play(script, &mut Pretend::start(shards, room, &script.options(Audience::Pretend))?)
    });
}

/// Our server with one thread.
#[test]
fn server_1() {
    our_server(1);
}

/// Our server with two threads.
#[test]
fn server_2() {
    our_server(2);
}

fn our_server(threads: u16) {
    if rewriting() {
        return;
    }
    let program = Path::new(env!("CARGO_BIN_EXE_ringgear"));
    play_all(&format!("server -t {threads}"), Audience::Sockets, |script| {
        let options = with_threads(script.options(Audience::Sockets), threads);
        on_sockets(script, Sockets::start(Audience::Sockets, program, &options))
    });
}

fn with_threads(mut options: Vec<String>, threads: u16) -> Vec<String> {
    options.extend(["-t".to_owned(), threads.to_string()]);
    options
}

/// Debian's gearmand, with one thread: with more it may crash when a connection closes.
///
/// If expectations are rewritten, it tells all but what is for Ringgear alone, and then one engine tells that.
#[test]
fn gearmand() {
    let program = support::gearmand::gearmand().unwrap_or_else(|error| panic!("{error}"));
    let start = |script: &Script| {
        let mut options = with_threads(script.options(Audience::Gearmand), 1);
        // Not where Debian's own gearmand has it.
        options.extend(["--pid-file".to_owned(), "pid".to_owned()]);
        Sockets::start(Audience::Gearmand, &program, &options)
    };
    if rewriting() {
        rewrite_all(Audience::Gearmand, |script| rewrite(script, &mut start(script)?));
        rewrite_all(Audience::Pretend, |script| {
            rewrite(script, &mut Pretend::start(1, Room::Plenty, &script.options(Audience::Pretend))?)
        });
        return;
    }
    play_all("gearmand", Audience::Gearmand, |script| on_sockets(script, start(script)));
}

fn on_sockets(script: &Script, stage: Result<Sockets, String>) -> Result<(), String> {
    let mut stage = stage?;
    play(script, &mut stage).map_err(|error| match stage.last_words() {
        words if words.is_empty() => error,
        words => format!("{error}\nThe server's last words:\n{words}"),
    })
}

/// Plays every script that is for a stage and reports all failures together.
fn play_all(stage: &str, audience: Audience, play: impl Fn(&Script) -> Result<(), String> + Sync) {
    let scripts = read_scripts();
    let all = scripts.len();
    let mut mine: Vec<Script> = scripts.into_iter().filter(|script| script.is_for(audience)).collect();
    let for_stage = mine.len();
    mine.retain(|script| audience != Audience::Pretend || !script.needs_process());
    let unable = for_stage - mine.len();
    let failures = side_by_side(&mine, play);
    say(&format!(
        "{stage}: {} of {all} scripts played, {} failed, {unable} left out because they need a process",
        mine.len(),
        failures.len(),
    ));
    assert!(!mine.is_empty(), "no script was played");
    assert!(failures.is_empty(), "{}\n{stage}: {} scripts failed", failures.join("\n"), failures.len());
}

/// Tells the one who looks. To the real output: that of a test that passes is thrown away.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Plays scripts on some threads; the failures in the order of the scripts.
fn side_by_side(scripts: &[Script], play: impl Fn(&Script) -> Result<(), String> + Sync) -> Vec<String> {
    let waiting = Mutex::new(scripts.iter());
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                loop {
                    let Some(script) = waiting.lock().expect("nobody panics with it").next() else { return };
                    let outcome = panic::catch_unwind(panic::AssertUnwindSafe(|| play(script)));
                    let outcome = outcome.unwrap_or_else(|panic| Err(panic_text(&*panic)));
                    if let Err(error) = outcome {
                        failures.lock().expect("nobody panics with it").push((script.name.clone(), error));
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().expect("nobody panics with it");
    failures.sort();
    failures.into_iter().map(|(name, error)| format!("---- {name}\n{error}")).collect()
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    format!("panicked: {}", text.unwrap_or("without words"))
}

fn play(script: &Script, stage: &mut dyn Stage) -> Result<(), String> {
    player::play(script, stage).map_err(|failure| show(script, &failure))
}

/// Whether the variable TRANSCRIPTS asks to rewrite expectations.
fn rewriting() -> bool {
    std::env::var_os("TRANSCRIPTS").is_some_and(|value| value == "rewrite")
}

/// Takes what happens on a stage for the truth.
fn rewrite_all(audience: Audience, rewrite: impl Fn(&Script) -> Result<bool, String> + Sync) {
    let mut scripts = read_scripts();
    scripts.retain(|script| {
        script.is_for(audience) && (audience != Audience::Pretend || !script.needs_process())
    });
    let failures = side_by_side(&scripts, |script| {
        if rewrite(script)? {
            say(&format!("{} was rewritten: look at the difference", script.name));
        }
        Ok(())
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Rewrites a script's file; whether it had to be.
fn rewrite(script: &Script, stage: &mut dyn Stage) -> Result<bool, String> {
    let rewrites = player::rewrite(script, stage).map_err(|failure| show(script, &failure))?;
    if rewrites.is_empty() {
        return Ok(false);
    }
    let lines = script.text.iter().enumerate().flat_map(|(index, line)| match rewrites.get(&(index + 1)) {
        Some(lines) => lines.clone(),
        None => vec![line.clone()],
    });
    let text = lines.collect::<Vec<_>>().join("\n") + "\n";
    fs::write(&script.path, text).map_err(|error| error.to_string())?;
    Ok(true)
}

/// A failure with the script around it.
fn show(script: &Script, failure: &Failure) -> String {
    let mut shown = String::new();
    let last = if failure.line == 0 { script.text.len() } else { failure.line };
    for (index, line) in script.text.iter().enumerate().take(last) {
        shown.push_str(&format!("{:>4} {line}\n", index + 1));
    }
    let got = failure.got.replace('\n', "\n               ");
    format!("{shown}  expected     {}\n  got          {got}", failure.expected.trim())
}

/// All scripts, or the one that the variable TRANSCRIPT names.
fn read_scripts() -> Vec<Script> {
    let wanted = std::env::var("TRANSCRIPT").ok();
    let mut paths: Vec<PathBuf> = FOLDERS.iter().flat_map(|folder| files_of(folder)).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    let name = |path: &Path| path.file_stem().expect("it has an extension").to_string_lossy().into_owned();
    let mut names: Vec<String> = paths.iter().map(|path| name(path)).collect();
    names.sort();
    names.windows(2).for_each(|pair| assert_ne!(pair[0], pair[1], "two scripts have this name"));
    paths.retain(|path| wanted.as_ref().is_none_or(|wanted| name(path) == *wanted));
    let read = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Script::parse(&name(path), path, &text).unwrap_or_else(|error| panic!("{error}"))
    };
    paths.iter().map(read).collect()
}

fn files_of(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.expect("a folder can be read").path()).collect()
}
