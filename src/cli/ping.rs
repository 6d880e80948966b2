//! `ringgear ping`: whether a job server answers, for health checks and scripts. Any job server does: it is asked to send back
//! what it was sent (ECHO_REQ). How it is reached stands in `reach.rs`.
use super::reach::{JobServer, NoAnswer, ServerWords};
use super::words;
use crate::protocol::{Decoder, Request, Response};
use clap::{Command, CommandFactory, Parser};
use std::ffi::OsString;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Asks a job server whether it answers: status 0 if it does
#[derive(Debug, Parser)]
#[command(name = "ringgear ping", disable_version_flag = true, max_term_width = 100)]
struct PingLine {
    #[command(flatten)]
    server: ServerWords,

    /// Seconds to wait for its answer
    #[arg(short, long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
}

/// The words of `ringgear ping`, as completions and manual pages tell of them.
pub(super) fn command() -> Command {
    PingLine::command().name("ping")
}

/// `ringgear ping`: the status is 0 if a job server answers, 1 if none does, 2 for a wrong line.
pub(super) fn run(words: impl Iterator<Item = OsString>) -> ExitCode {
    const NAME: &str = "ringgear ping";
    let line: PingLine = match words::read(NAME, words, words::USAGE) {
        Ok(line) => line,
        Err(status) => return status,
    };
    let server = match line.server.job_server() {
        Ok(server) => server,
        Err(mistake) => return words::failed(NAME, words::USAGE, mistake),
    };
    match ask(&server, Duration::from_secs(line.timeout)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => words::failed(NAME, 1, format_args!("{server}: {failure}")),
    }
}

/// Connects and asks, within this time.
fn ask(server: &JobServer, patience: Duration) -> Result<(), NoAnswer> {
    const WORD: &[u8] = b"ringgear ping";
    let mut request = Vec::new();
    Request::EchoReq { data: WORD }.encode(&mut request);
    // What answers more than this is none.
    let mut answer = Decoder::new(1024);
    server.ask(&request, Instant::now() + patience, |bytes| {
        answer.push(bytes);
        match answer.next() {
            Ok(None) => Ok(None),
            Ok(Some((header, data))) => {
                let right =
                    matches!(Response::decode(&header, data), Ok(Response::EchoRes { data }) if data == WORD);
                if right { Ok(Some(())) } else { Err(NoAnswer::Otherwise) }
            }
            Err(_) => Err(NoAnswer::Otherwise),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    fn at(host: &str, port: u16) -> Result<(), NoAnswer> {
        ask(&JobServer { host: host.to_owned(), port }, Duration::from_secs(1))
    }

    /// Asks somebody who answers so, or not at all.
    fn asked(answer: Option<&'static [u8]>) -> Result<(), NoAnswer> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            match answer {
                Some(answer) => {
                    let _ = stream.read(&mut [0; 25]);
                    let _ = stream.write_all(answer);
                }
                None => drop(stream.read_to_end(&mut Vec::new())),
            }
        });
        let found = at("127.0.0.1", port);
        server.join().unwrap();
        found
    }

    #[test]
    fn only_an_echo_is_an_answer() {
        let echo = b"\0RES\0\0\0\x11\0\0\0\x0dringgear ping";
        assert!(matches!(asked(Some(echo)), Ok(())));
        assert!(matches!(asked(Some(b"\0RES\0\0\0\x11\0\0\0\x01x")), Err(NoAnswer::Otherwise)));
        assert!(matches!(asked(Some(b"HTTP/1.1 400 Bad Request\r\n")), Err(NoAnswer::Otherwise)));
        assert!(matches!(asked(Some(&echo[..20])), Err(NoAnswer::Closed(_))));
        assert!(matches!(asked(None), Err(NoAnswer::Silent)));
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        assert!(matches!(at("127.0.0.1", nobody), Err(NoAnswer::Unreachable(_))));
        assert!(matches!(at("unix:/nonexistent", 0), Err(NoAnswer::Unreachable(_))));
    }
}
