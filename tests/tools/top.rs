//! `ringgear top` in a real terminal, that of tmux: what is to be seen, what keys do, and that the terminal is as before at every end.
use crate::own::{Operated, PROGRAM, grab, submit};
use crate::support::gearmand;
use crate::support::packets::*;
use crate::support::scratch::Scratch;
use crate::support::server::{PATIENCE, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::process::{Command, Output, Stdio};
use std::time::Instant;

/// A terminal in which a shell runs one command and then says how that ended. A tmux of its own, which ends with its handle.
struct Terminal {
    folder: Scratch,
    socket: String,
}

impl Terminal {
    #[track_caller]
    fn start(name: &str, words: &[&str]) -> Terminal {
        let socket = format!("ringgear-{name}-{}", std::process::id());
        let terminal = Terminal { folder: Scratch::new(), socket };
        let words: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        // At the end the terminal takes lines again, and shows what is typed.
        let script = format!(
            "echo before; {PROGRAM} {}; echo \"ended with $?\"; stty -a > {}; exec cat\n",
            words.join(" "),
            terminal.folder.path("stty"),
        );
        fs::write(terminal.folder.file("script"), script).unwrap();
        let shell = format!("sh {}", terminal.folder.path("script"));
        terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "24", &shell]);
        terminal
    }

    #[track_caller]
    fn tmux(&self, words: &[&str]) -> String {
        let mut command = Command::new("tmux");
        for name in ["RINGGEAR_CONTROL", "RINGGEAR_TOKEN", "RINGGEAR_TOKEN_FILE", "GEARMAND_PORT", "TMUX"] {
            command.env_remove(name);
        }
        command.env("TERM", "xterm-256color").args(["-L", &self.socket]).args(words).stdin(Stdio::null());
        let output = match command.output() {
            Ok(output) => output,
            Err(error) => panic!("tmux: {error}; install it with `apt-get install tmux`"),
        };
        let Output { status, stdout, stderr } = output;
        assert!(status.success(), "{words:?}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap()
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// The same with what colours it.
    fn colours(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-e"])
    }

    fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// Waits until something is to be seen, or says what is.
    #[track_caller]
    fn wait_for(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let screen = self.screen();
            if is_so(&screen) {
                return screen;
            }
            assert!(start.elapsed() < PATIENCE, "waited in vain: {what}; there is:\n{screen}");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// The number of the process that the shell has started.
    fn child(&self) -> Pid {
        let shell = self.tmux(&["display-message", "-p", "#{pane_pid}"]);
        let shell = shell.trim();
        let path = format!("/proc/{shell}/task/{shell}/children");
        let mut child = None;
        wait_until("the shell has a child", || {
            let children = fs::read_to_string(&path).unwrap_or_default();
            child =
                children.split_whitespace().next().and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw);
            child.is_some()
        });
        child.unwrap()
    }

    /// The command has ended so, and has left the terminal as it was.
    #[track_caller]
    fn is_as_before(&self, status: i32) {
        let said = format!("before\nended with {status}\n");
        self.wait_for(&format!("the end, with {status}"), |screen| screen.starts_with(&said));
        let mut modes = String::new();
        wait_until("the shell has asked for the modes", || {
            modes = fs::read_to_string(self.folder.file("stty")).unwrap_or_default();
            modes.ends_with('\n')
        });
        for mode in ["icanon", "echo", "isig", "opost", "icrnl"] {
            assert!(modes.split_whitespace().any(|word| word == mode), "{mode} in {modes}");
        }
        assert_eq!(self.tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]), "0 1\n");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = Command::new("tmux").args(["-L", &self.socket, "kill-server"]).stderr(Stdio::null()).status();
    }
}

/// The line with the bar is shown in reverse and bold, and no other.
#[track_caller]
fn bar(terminal: &Terminal, function: &str) {
    wait_until(&format!("the bar is on {function}"), || {
        let marked = marked(&terminal.colours());
        marked.len() == 1 && marked[0].starts_with(function)
    });
}

/// Lines that begin in reverse and bold. What colours the text goes on from one line to the next.
fn marked(screen: &str) -> Vec<String> {
    let (mut bold, mut reverse) = (false, false);
    let mut found = Vec::new();
    for line in screen.lines() {
        let mut text = String::new();
        let mut is_marked = false;
        for (at, piece) in line.split("\x1b[").enumerate() {
            let (codes, rest) =
                if at == 0 { ("", piece) } else { piece.split_once('m').unwrap_or(("", piece)) };
            for code in codes.split([';', ':']) {
                match code {
                    "0" => (bold, reverse) = (false, false),
                    "1" => bold = true,
                    "7" => reverse = true,
                    "22" => bold = false,
                    "27" => reverse = false,
                    _ => {}
                }
            }
            is_marked |= text.is_empty() && !rest.is_empty() && bold && reverse;
            text += rest;
        }
        if is_marked {
            found.push(text);
        }
    }
    found
}

#[test]
fn functions_are_shown_live() {
    let operated = Operated::start(&["--job-retries", "1"]);
    operated.kill_one("doomed", "d");
    let mut worker = operated.worker("mail", "mailer\x1b[2J");
    operated.submit("mail", "a");
    assert_eq!(grab(&mut worker), JOB_ASSIGN);
    operated.submit("mail", "b");
    operated.submit("evil\x1b[31m\x1b]0;title\x07", "c");
    let terminal = Terminal::start("live", &["top", "--interval", "1", "--control", &operated.socket()]);
    let screen =
        terminal.wait_for("the table", |screen| screen.contains("FUNCTION") && screen.contains("mail"));
    let lines: Vec<&str> = screen.lines().collect();
    assert!(lines[0].starts_with("ringgear ") && lines[0].contains("  serving  up "), "{screen}");
    assert!(lines[1].starts_with("functions 3  waiting 2  running 1  without worker 1  dead 1"), "{screen}");
    let heads: Vec<&str> = lines[2].split_whitespace().collect();
    assert_eq!(heads.join(" "), "FUNCTION STATE WAITING OLDEST RUNNING WORKERS IN/s DONE/s RUN p95 DEAD");
    // The worst first; what a peer has chosen is letters, and moves no cursor.
    assert!(lines[3].starts_with("evil\\x1b[31m\\x1b]0;title\\x07  no worker"), "{screen}");
    assert!(lines[4].starts_with("mail ") && lines[5].starts_with("doomed "), "{screen}");
    assert!(!terminal.tmux(&["display-message", "-p", "#{pane_title}"]).contains("title"));
    bar(&terminal, "evil");
    terminal.press(&["j"]);
    bar(&terminal, "mail");
    // Something happens, and is seen.
    operated.submit("mail", "more");
    terminal.wait_for("the other job", |screen| screen.contains("functions 3  waiting 3  running 1"));
    // Closely: why, and whose.
    terminal.press(&["Enter"]);
    let screen = terminal.wait_for("the worker", |screen| screen.contains("CONNECTION"));
    assert!(screen.contains("mailer\\x1b[2J") && screen.contains("busy"), "{screen}");
    assert!(screen.lines().nth(2).unwrap().starts_with("mail"), "{screen}");
    terminal.press(&["u"]);
    terminal.wait_for("the table", |screen| screen.contains("FUNCTION") && screen.contains("doomed"));
    bar(&terminal, "mail");
    // Frozen, nothing is seen; what was missed comes afterwards.
    terminal.press(&["Space"]);
    terminal.wait_for("frozen", |screen| screen.contains("FROZEN"));
    operated.submit("mail", "unseen");
    assert!(terminal.screen().contains("waiting 3  running 1"));
    terminal.press(&["Space"]);
    terminal.wait_for("what was missed", |screen| {
        screen.contains("waiting 4  running 1") && !screen.contains("FROZEN")
    });
    terminal.press(&["?"]);
    terminal.wait_for("the keys", |screen| screen.contains("q, Ctrl-C       quit"));
    terminal.press(&["?"]);
    terminal.wait_for("the table", |screen| screen.contains("doomed"));
    terminal.press(&["/", "d", "o", "o", "Enter"]);
    terminal.wait_for("one row", |screen| {
        screen.contains("/doo") && screen.contains("doomed") && !screen.contains("evil")
    });
    terminal.press(&["Escape"]);
    terminal.wait_for("all rows", |screen| screen.contains("evil"));
    terminal.press(&["S"]);
    let screen = terminal.wait_for("by name", |screen| screen.contains("sorted by name"));
    assert!(screen.lines().nth(3).unwrap().starts_with("doomed"), "{screen}");
    // Of another size it is drawn anew.
    terminal.tmux(&["resize-window", "-x", "60", "-y", "12"]);
    terminal
        .wait_for("a small one", |screen| screen.contains("FUNCTION") && screen.contains("sorted by name"));
    terminal.press(&["q"]);
    terminal.is_as_before(0);
}

#[test]
fn signals_and_keys_leave_the_terminal_as_it_was() {
    let operated = Operated::start(&[]);
    operated.submit("mail", "a");
    for (name, signal, status) in [
        ("term", Signal::TERM, 143),
        ("hup", Signal::HUP, 129),
        ("int", Signal::INT, 130),
        ("quit", Signal::QUIT, 131),
    ] {
        let terminal = Terminal::start(name, &["top", "--control", &operated.socket()]);
        terminal.wait_for("the table", |screen| screen.contains("mail"));
        assert_eq!(terminal.tmux(&["display-message", "-p", "#{alternate_on}"]), "1\n");
        kill_process(terminal.child(), signal).unwrap();
        terminal.is_as_before(status);
    }
    let terminal = Terminal::start("ctrl", &["top", "--control", &operated.socket()]);
    terminal.wait_for("the table", |screen| screen.contains("mail"));
    terminal.press(&["C-c"]);
    terminal.is_as_before(0);
}

/// Nobody reads any more: it does not go on for itself.
#[test]
fn a_terminal_that_goes_away_is_an_end() {
    let operated = Operated::start(&[]);
    operated.submit("mail", "a");
    for signal in [None, Some(Signal::KILL)] {
        let terminal = Terminal::start("away", &["top", "--control", &operated.socket()]);
        terminal.wait_for("the table", |screen| screen.contains("mail"));
        let child = terminal.child();
        match signal {
            None => drop(terminal.tmux(&["kill-server"])),
            // Whoever has the terminal is killed, and sends nothing.
            Some(signal) => {
                let tmux = terminal.tmux(&["display-message", "-p", "#{pid}"]);
                kill_process(Pid::from_raw(tmux.trim().parse().unwrap()).unwrap(), signal).unwrap();
            }
        }
        wait_until("it ends", || {
            let stat =
                fs::read_to_string(format!("/proc/{}/stat", child.as_raw_nonzero())).unwrap_or_default();
            // A zombie has ended, whoever is to hear of it.
            stat.rsplit(") ").next().is_none_or(|rest| rest.is_empty() || rest.starts_with('Z'))
        });
    }
}

/// A server that goes away is told of, and what was seen stays; it is asked again until it is there.
#[test]
fn a_server_that_goes_away_is_no_end() {
    let operated = Operated::start(&[]);
    operated.submit("mail", "a");
    let terminal = Terminal::start("gone", &["top", "--interval", "1", "--control", &operated.socket()]);
    terminal.wait_for("the table", |screen| screen.contains("mail"));
    let Operated { mut server, folder, .. } = operated;
    server.signal(Signal::KILL);
    server.wait();
    terminal.wait_for("the trouble", |screen| {
        screen.contains("no HTTP side of a server can be reached") && screen.contains("mail")
    });
    let socket = format!("unix:{}", folder.path("control.sock"));
    let again = crate::support::server::Server::start(&["--control", &socket]);
    submit(&mut again.connect(), "other", "a");
    terminal.wait_for("the new one", |screen| screen.contains("other") && !screen.contains("can be reached"));
    terminal.press(&["q"]);
    terminal.is_as_before(0);
}

#[test]
fn gearmand_is_shown_with_what_it_tells() {
    let theirs = gearmand::gearmand().unwrap_or_else(|error| panic!("{error}"));
    let mut server = gearmand::Server::start(&theirs, &[]).unwrap();
    let mut client = server.connect().unwrap();
    submit(&mut client, "mail", "a");
    let port = server.address().port().to_string();
    let terminal = Terminal::start("gearmand", &["top", "--interval", "1", "-H", "127.0.0.1", "-p", &port]);
    let screen = terminal.wait_for("the table", |screen| screen.contains("mail"));
    assert!(screen.starts_with(&format!("job server at 127.0.0.1 port {port}\n")), "{screen}");
    let heads: Vec<&str> = screen.lines().nth(2).unwrap().split_whitespace().collect();
    assert_eq!(heads, ["FUNCTION", "STATE", "WAITING", "RUNNING", "WORKERS"]);
    assert!(screen.lines().nth(3).unwrap().contains("no worker"), "{screen}");
    submit(&mut client, "mail", "b");
    terminal.wait_for("the other job", |screen| screen.contains("waiting 2"));
    terminal.press(&["Enter"]);
    terminal.wait_for("what there is", |screen| screen.contains("tells no more of a function"));
    terminal.press(&["q"]);
    terminal.is_as_before(0);
}
