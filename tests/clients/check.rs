//! Runs the check of one library against one kind of server, and notes what it says.
use crate::install::{self, Language};
use crate::pair::{Kind, Pair};
use crate::support::scratch::Scratch;
use crate::table::CASES;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a check may say nothing before it hangs.
const SILENCE: Duration = Duration::from_secs(60);

/// How long a check may go on after its last line.
const FAREWELL: Duration = Duration::from_secs(10);

/// How a case went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Ok,
    /// It does not do what it is to do, for this reason.
    Failed(String),
    /// The library has no such thing, for this reason.
    Absent(String),
}

/// What a check said.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The library and its version, as its package says.
    pub(crate) version: String,
    /// In the order reported, the library's own cases among them.
    pub(crate) cases: Vec<(String, Verdict)>,
    /// What is wrong with the check itself, or with what it runs on.
    pub(crate) troubles: Vec<String>,
    /// What else was said: the end of the check's standard error, and of the logs.
    circumstances: String,
}

impl Outcome {
    /// The verdict on a case.
    pub(crate) fn verdict(&self, name: &str) -> Option<&Verdict> {
        self.cases.iter().find(|(case, _)| case == name).map(|(_, verdict)| verdict)
    }

    /// Everything that is not as it should be, a line each; empty if there is nothing.
    pub(crate) fn complaints(&self) -> String {
        let failed = self.cases.iter().filter_map(|(name, verdict)| match verdict {
            Verdict::Failed(reason) => Some(format!("{name}: {reason}")),
            Verdict::Ok | Verdict::Absent(_) => None,
        });
        let mut complaints: Vec<String> = failed.chain(self.troubles.iter().cloned()).collect();
        if !complaints.is_empty() {
            complaints.push(self.circumstances.clone());
        }
        complaints.join("\n")
    }

    /// Takes in a line of the check; gives back what the check wishes, if the line is a wish.
    fn note<'l>(&mut self, line: &'l str) -> Option<&'l str> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "version" if self.version.is_empty() => self.version = rest.to_owned(),
            "case" => self.note_case(rest),
            "please" => return Some(rest),
            _ => self.troubles.push(format!("the check said {line:?}")),
        }
        None
    }

    fn note_case(&mut self, case: &str) {
        let mut words = case.splitn(3, ' ');
        let (name, word) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let reason = words.next().unwrap_or("").to_owned();
        let verdict = match word {
            "ok" => Verdict::Ok,
            "failed" => Verdict::Failed(reason),
            "absent" => Verdict::Absent(reason),
            _ => return self.troubles.push(format!("the check said of a case {case:?}")),
        };
        if self.verdict(name).is_some() {
            return self.troubles.push(format!("the check reported {name} twice"));
        }
        self.cases.push((name.to_owned(), verdict));
    }

    fn trouble(mut self, trouble: String) -> Outcome {
        self.troubles.push(trouble);
        self
    }
}

/// Runs a check. Whatever goes wrong is in the outcome.
pub(crate) fn run(name: &str, language: Language, kind: Kind) -> Outcome {
    let start = Instant::now();
    let outcome = match Running::start(name, language, kind) {
        Ok(running) => running.listen(),
        Err(error) => Outcome::default().trouble(error),
    };
    let ok = outcome.cases.iter().filter(|(_, verdict)| *verdict == Verdict::Ok).count();
    println!("{name} against {kind:?}: {ok} cases ok in {:.1} s", start.elapsed().as_secs_f64());
    outcome
}

/// A check that runs, with its servers.
struct Running {
    servers: Pair,
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
    folder: Scratch,
    outcome: Outcome,
}

impl Running {
    fn start(name: &str, language: Language, kind: Kind) -> Result<Running, String> {
        let mut command = install::command(name, language)?;
        let servers = Pair::start(kind)?;
        let folder = Scratch::new();
        let stderr = File::create(folder.file("stderr")).map_err(|error| error.to_string())?;
        command.args(servers.ports().map(|port| port.to_string()));
        command.current_dir(folder.file("")).env_remove("GEARMAN_SERVER").env("TMPDIR", folder.file(""));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
        // So that whatever it starts can be ended with it.
        command.process_group(0);
        let mut child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let lines = read_lines(stdout);
        Ok(Running { servers, child, stdin, lines, folder, outcome: Outcome::default() })
    }

    /// Listens to the check until it ends or hangs.
    fn listen(mut self) -> Outcome {
        let mut heard = Instant::now();
        loop {
            match self.lines.recv_timeout(Duration::from_millis(20)) {
                Ok(line) => {
                    self.hear(&line);
                    heard = Instant::now();
                }
                // Its standard output may stay open in what it has started, so its end is to be seen, too.
                Err(RecvTimeoutError::Timeout) if self.has_ended() => break,
                Err(RecvTimeoutError::Timeout) if heard.elapsed() < SILENCE => {}
                Err(RecvTimeoutError::Timeout) => {
                    self.outcome.troubles.push(format!("the check hangs: it said nothing for {SILENCE:?}"));
                    break;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.bury();
        self.outcome
    }

    /// Takes in what the check wrote before its end and the reading thread has not passed on yet. With the check and all
    /// that it started gone, the pipe ends.
    fn hear_last_words(&mut self) {
        while let Ok(line) = self.lines.recv_timeout(FAREWELL) {
            self.outcome.note(&line);
        }
    }

    fn hear(&mut self, line: &str) {
        let Some(wish) = self.outcome.note(line) else { return };
        let answer = match self.servers.obey(wish) {
            Ok(()) => "done".to_owned(),
            Err(error) => {
                self.outcome.troubles.push(format!("please {wish}: {error}"));
                "failed".to_owned()
            }
        };
        // If the check has ended instead of waiting for the answer, that is found soon.
        let _ = writeln!(self.stdin, "{answer}");
    }

    /// Whether the check has ended; it is not reaped, so that its process group keeps its number.
    fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        matches!(waitid(WaitId::Pid(Pid::from_child(&self.child)), options), Ok(Some(_)))
    }

    /// Ends the check, if it has not ended, and what it left behind; says what is to be said of it.
    fn bury(&mut self) {
        let start = Instant::now();
        while !self.has_ended() && self.outcome.troubles.is_empty() && start.elapsed() < FAREWELL {
            thread::sleep(Duration::from_millis(5));
        }
        let ended = self.has_ended();
        // At least the check itself is there, ended or not.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let status = self.child.wait();
        self.hear_last_words();
        if !ended {
            self.outcome.troubles.push("the check had to be ended".to_owned());
        } else if !status.as_ref().is_ok_and(std::process::ExitStatus::success) {
            self.outcome.troubles.push(format!("the check ended with {status:?}"));
        }
        if self.outcome.version.is_empty() {
            self.outcome.troubles.push("the check said no version".to_owned());
        }
        let missing = CASES.iter().filter(|case| self.outcome.verdict(case).is_none());
        let missing: Vec<String> = missing.map(|case| format!("{case}: not reported")).collect();
        self.outcome.troubles.extend(missing);
        let said = fs::read(self.folder.file("stderr")).unwrap_or_default();
        let said = String::from_utf8_lossy(&said).into_owned();
        let last: Vec<&str> = said.lines().rev().take(30).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        self.outcome.circumstances = format!(
            "standard error of the check:\n{}\nlogs of the servers:\n{}",
            last.join("\n"),
            self.servers.last_words()
        );
    }
}

/// Reads lines in a thread of its own, which ends with the pipe.
fn read_lines(stdout: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut reader = BufReader::new(stdout);
        let mut line = Vec::new();
        while let Ok(1..) = reader.read_until(b'\n', &mut line) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            if sender.send(text).is_err() {
                return;
            }
            line.clear();
        }
    });
    receiver
}
