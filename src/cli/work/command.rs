//! One command for one job: started, fed, read, watched, and killed with all that it started when it takes too long or prints too
//! much. Which jobs there are, and who is told of the end, is the affair of `worker.rs`.
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A line that is longer goes in pieces.
const PIECE_MAX: usize = 64 * 1024;

/// How the command is run, the same for all jobs.
#[derive(Clone, Debug)]
pub(super) struct CommandOrder {
    /// The command and its arguments; never empty.
    pub(super) command: Vec<OsString>,
    /// What it prints is handed on line by line.
    pub(super) lines: bool,
    /// How long it may take.
    pub(super) timeout: Option<Duration>,
    /// How much it may print, where that is not handed on at once.
    pub(super) max_bytes: usize,
    /// Those that run.
    pub(super) groups: Arc<ProcessGroups>,
}

/// A job as it was assigned.
#[derive(Debug)]
pub(super) struct ShellJob {
    pub(super) handle: Vec<u8>,
    pub(super) function: Vec<u8>,
    pub(super) unique: Vec<u8>,
    pub(super) workload: Vec<u8>,
}

/// How it ended.
#[derive(Debug)]
pub(super) enum CommandEnd {
    /// Well, with this result, or the rest of it.
    Complete(Vec<u8>),
    /// It failed, and how, for people.
    Failed(String),
    /// It could not be started, nor could it for the next job.
    NotStarted(String),
}

/// The groups of processes of all commands that run. A signal to the worker does not reach them by itself.
#[derive(Debug, Default)]
pub(super) struct ProcessGroups(Mutex<HashSet<Pid>>);

impl ProcessGroups {
    /// Starts a command in a group of its own.
    fn start(&self, command: &mut Command) -> io::Result<(Child, Pid)> {
        // Under the lock, so that nobody who kills all misses one.
        let mut groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let child = command.process_group(0).spawn()?;
        let pid = Pid::from_child(&child);
        groups.insert(pid);
        Ok((child, pid))
    }

    /// Kills everything in a group whose first process has not been waited for.
    fn kill(&self, group: Pid) {
        let groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if groups.contains(&group) {
            // It may be over already.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    /// Kills everything that runs. As long as the answer is kept, no end is taken and nothing is started: a job whose command was killed
    /// with the worker has not failed, and goes to another one.
    pub(super) fn kill_all(&self) -> MutexGuard<'_, HashSet<Pid>> {
        let groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for group in groups.iter() {
            let _ = kill_process_group(*group, Signal::KILL);
        }
        groups
    }

    /// Takes the end of a process that has ended: from here on its number may be another's.
    fn reap(&self, child: &mut Child, group: Pid) -> io::Result<ExitStatus> {
        let mut groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        groups.remove(&group);
        child.wait()
    }
}

/// Runs the command for a job to its end. Lines go to `piece`.
pub(super) fn run(order: &CommandOrder, job: ShellJob, piece: impl FnMut(Vec<u8>)) -> CommandEnd {
    let deadline = order.timeout.map(|timeout| Instant::now() + timeout);
    let mut command = Command::new(&order.command[0]);
    command.args(&order.command[1..]).stdin(Stdio::piped()).stdout(Stdio::piped());
    for (name, value) in [
        ("GEARMAN_FUNCTION", &job.function),
        ("GEARMAN_HANDLE", &job.handle),
        ("GEARMAN_UNIQUE", &job.unique),
    ] {
        // Variables end at a NUL, which these have only where somebody is up to something.
        command.env(name, OsStr::from_bytes(value.split(|byte| *byte == 0).next().unwrap_or_default()));
    }
    let (mut child, group) = match order.groups.start(&mut command) {
        Ok(started) => started,
        Err(error) => {
            return CommandEnd::NotStarted(format!(
                "{} cannot be started: {error}",
                order.command[0].display()
            ));
        }
    };
    let (print, printed) = sync_channel(1);
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let threads = thread::Builder::new().name("feed".to_owned()).spawn(move || feed(stdin, &job.workload));
    let threads = threads.and_then(|_| {
        thread::Builder::new().name("collect".to_owned()).spawn(move || collect(stdout, &print))
    });
    let read = match threads {
        Ok(_) => result(order, deadline, &printed, piece),
        Err(error) => Err(error.to_string()),
    };
    let ended = read.and_then(|result| match wait(&mut child, group, deadline, &order.groups) {
        Some(Ok(status)) if status.success() => Ok(result),
        Some(Ok(status)) => Err(status.to_string()),
        Some(Err(error)) => Err(error.to_string()),
        None => Err(late(order)),
    });
    ended.map_or_else(
        |why| {
            order.groups.kill(group);
            // Killed, or over: it does not take long. Whoever has been waited for is known to the handle.
            let _ = order.groups.reap(&mut child, group);
            CommandEnd::Failed(why)
        },
        CommandEnd::Complete,
    )
}

/// Whoever does not read his workload closes the pipe.
fn feed(stdin: Option<ChildStdin>, workload: &[u8]) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(workload);
    }
}

/// Hands on what the command prints, until nobody holds the other end of the pipe, or wants it.
fn collect(stdout: Option<ChildStdout>, print: &SyncSender<io::Result<Vec<u8>>>) {
    let Some(mut stdout) = stdout else { return };
    let mut bytes = vec![0; PIECE_MAX];
    loop {
        let read = match stdout.read(&mut bytes) {
            Ok(0) => return,
            Ok(length) => Ok(bytes[..length].to_vec()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let failed = read.is_err();
        if print.send(read).is_err() || failed {
            return;
        }
    }
}

/// What the command prints to its end, or the last part of it that is no whole line.
fn result(
    order: &CommandOrder,
    deadline: Option<Instant>,
    printed: &Receiver<io::Result<Vec<u8>>>,
    mut piece: impl FnMut(Vec<u8>),
) -> Result<Vec<u8>, String> {
    let mut result = Vec::new();
    loop {
        let read = match deadline {
            Some(deadline) => printed.recv_timeout(deadline.saturating_duration_since(Instant::now())),
            None => printed.recv().map_err(RecvTimeoutError::from),
        };
        match read {
            Ok(bytes) => result.append(&mut bytes.map_err(|error| format!("its output: {error}"))?),
            Err(RecvTimeoutError::Disconnected) => return Ok(result),
            Err(RecvTimeoutError::Timeout) => return Err(late(order)),
        }
        if order.lines {
            let lines = result.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
            let whole = if result.len() - lines > PIECE_MAX { result.len() } else { lines };
            if whole > 0 {
                let rest = result.split_off(whole);
                piece(std::mem::replace(&mut result, rest));
            }
        } else if result.len() > order.max_bytes {
            return Err(format!("it printed more than {} bytes (--max-bytes)", order.max_bytes));
        }
    }
}

fn late(order: &CommandOrder) -> String {
    format!("killed after {} s (--timeout)", order.timeout.unwrap_or_default().as_secs())
}

/// The end of the command; `None` if there is none in time.
fn wait(
    child: &mut Child,
    group: Pid,
    deadline: Option<Instant>,
    groups: &ProcessGroups,
) -> Option<io::Result<ExitStatus>> {
    // Not yet taken, so that the number stays its own.
    let mut options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    options.set(WaitIdOptions::NOHANG, deadline.is_some());
    let mut pause = Duration::from_millis(1);
    loop {
        match waitid(WaitId::Pid(group), options) {
            Ok(Some(_)) => return Some(groups.reap(child, group)),
            Ok(None) if deadline.is_some_and(|deadline| Instant::now() >= deadline) => return None,
            Ok(None) => {
                thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(50));
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Some(Err(error.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_shell(
        script: &str,
        lines: bool,
        timeout: Option<u64>,
        workload: &[u8],
    ) -> (CommandEnd, Vec<Vec<u8>>) {
        let order = CommandOrder {
            command: ["sh", "-c", script].map(OsString::from).to_vec(),
            lines,
            timeout: timeout.map(Duration::from_secs),
            max_bytes: 1000,
            groups: Arc::default(),
        };
        let job = ShellJob {
            handle: b"H:x:1".to_vec(),
            function: b"caf\xe9".to_vec(),
            unique: b"u".to_vec(),
            workload: workload.to_vec(),
        };
        let mut pieces = Vec::new();
        let end = run(&order, job, |piece| pieces.push(piece));
        assert!(order.groups.0.lock().unwrap().is_empty());
        (end, pieces)
    }

    fn completed(script: &str, workload: &[u8]) -> Vec<u8> {
        match run_shell(script, false, None, workload).0 {
            CommandEnd::Complete(result) => result,
            other => panic!("{script}: {other:?}"),
        }
    }

    fn failed(script: &str, timeout: Option<u64>) -> String {
        match run_shell(script, false, timeout, &[b'x'; 200_000]).0 {
            CommandEnd::Failed(why) => why,
            other => panic!("{script}: {other:?}"),
        }
    }

    #[test]
    fn a_command_has_its_workload_and_environment() {
        assert_eq!(completed("tr a-z A-Z", b"ab\0c"), b"AB\0C");
        let all = completed("printf '%s %s %s' \"$GEARMAN_FUNCTION\" $GEARMAN_HANDLE $GEARMAN_UNIQUE", b"");
        assert_eq!(all, b"caf\xe9 H:x:1 u");
        assert_eq!(completed("exec <&-; echo unread", &[b'x'; 200_000]), b"unread\n");
    }

    #[test]
    fn what_goes_wrong_is_told() {
        assert_eq!(failed("exit 3", None), "exit status: 3");
        assert!(failed("kill -9 $$", None).starts_with("signal: 9"), "{}", failed("kill -9 $$", None));
        assert_eq!(failed("yes", None), "it printed more than 1000 bytes (--max-bytes)");
        let begin = Instant::now();
        assert_eq!(failed("sleep 60 & wait", Some(1)), "killed after 1 s (--timeout)");
        assert_eq!(failed("exec >&-; sleep 60", Some(1)), "killed after 1 s (--timeout)");
        assert!(begin.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn what_is_killed_with_the_worker_has_not_failed() {
        let order = CommandOrder {
            command: ["sleep", "60"].map(OsString::from).to_vec(),
            lines: false,
            timeout: None,
            max_bytes: 1000,
            groups: Arc::default(),
        };
        let job = ShellJob { handle: vec![], function: vec![], unique: vec![], workload: vec![] };
        let (tell, ended) = sync_channel(1);
        let running = order.clone();
        thread::spawn(move || tell.send(run(&running, job, |_| {})).unwrap());
        while order.groups.0.lock().unwrap().is_empty() {
            thread::sleep(Duration::from_millis(1));
        }
        let all = order.groups.kill_all();
        assert!(ended.recv_timeout(Duration::from_millis(300)).is_err());
        drop(all);
        assert!(matches!(ended.recv().unwrap(), CommandEnd::Failed(why) if why.starts_with("signal: 9")));
    }

    #[test]
    fn lines_are_handed_on_as_they_come() {
        let (end, pieces) = run_shell("echo a; sleep 0.2; printf 'b\\nc'", true, None, b"");
        assert_eq!(pieces, [b"a\n", b"b\n"]);
        assert!(matches!(end, CommandEnd::Complete(rest) if rest == b"c"));
    }
}
