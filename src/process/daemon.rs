//! Leaving the terminal: a child in a session of its own becomes the server, and the parent waits until it listens.
use super::ProcessError;
use nix::unistd::{ForkResult, fork};
use rustix::process::{Pid, WaitOptions, setsid, waitpid};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::process::ExitCode;

/// Which of the two processes this is.
pub(super) enum Side {
    /// The server.
    Child(Link),
    /// The one that was started, to end with this status.
    Parent(ExitCode),
}

/// From the child to the parent, which waits.
#[derive(Debug)]
pub(super) struct Link {
    pipe: PipeWriter,
    null: File,
}

/// Goes on in a new process. In the parent it returns when the server listens, or has failed: then the child has said why,
/// for its standard error is still the parent's.
pub(super) fn detach() -> Result<Side, ProcessError> {
    let (reader, writer) = io::pipe().map_err(|error| ProcessError::Daemon("make a pipe", error))?;
    // SAFETY: this process has no other thread yet (`Process::enter`), so the child has everything that the parent had,
    // locks and allocator among it, in the state in which this thread left it.
    #[allow(unsafe_code)]
    let forked = unsafe { fork() }.map_err(|error| ProcessError::Daemon("start a process", error.into()))?;
    match forked {
        ForkResult::Parent { child } => {
            drop(writer);
            let child = Pid::from_raw(child.as_raw()).expect("a child has a number");
            Ok(Side::Parent(wait_for(child, reader)?))
        }
        ForkResult::Child => {
            drop(reader);
            Ok(Side::Child(Link::new(writer)?))
        }
    }
}

fn wait_for(child: Pid, mut pipe: PipeReader) -> Result<ExitCode, ProcessError> {
    let failed = |what| move |error| ProcessError::Daemon(what, error);
    let mut said = Vec::new();
    // Ends with the word, or with the child.
    pipe.read_to_end(&mut said).map_err(failed("wait for the daemon"))?;
    if !said.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let ended = loop {
        match waitpid(Some(child), WaitOptions::empty()) {
            Ok(ended) => break ended,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(ProcessError::Daemon("wait for the daemon", error.into())),
        }
    };
    let status = ended.map(|(_, status)| status);
    match status.and_then(|status| status.exit_status()).map(u8::try_from) {
        Some(Ok(0)) | None | Some(Err(_)) => {
            let signal = status.and_then(|status| status.terminating_signal());
            let how = signal.map_or_else(|| "it was told to".to_owned(), |number| format!("signal {number}"));
            Err(ProcessError::Gone(how))
        }
        Some(Ok(code)) => Ok(ExitCode::from(code)),
    }
}

impl Link {
    fn new(pipe: PipeWriter) -> Result<Link, ProcessError> {
        let failed = |what| move |error: io::Error| ProcessError::Daemon(what, error);
        setsid().map_err(|error| failed("begin a session")(error.into()))?;
        let null = OpenOptions::new().read(true).write(true).open("/dev/null");
        let null = null.map_err(failed("open /dev/null"))?;
        dup2_stdin(&null).map_err(|error| failed("leave standard input")(error.into()))?;
        dup2_stdout(&null).map_err(|error| failed("leave standard output")(error.into()))?;
        Ok(Link { pipe, null })
    }

    /// The server listens: leaves standard error, which was kept to say what went wrong, and lets the parent end.
    pub(super) fn ready(mut self) -> Result<(), ProcessError> {
        dup2_stderr(&self.null)
            .map_err(|error| ProcessError::Daemon("leave standard error", error.into()))?;
        // A parent that was ended meanwhile waits for nothing.
        let _ = self.pipe.write_all(b"1");
        Ok(())
    }
}
