//! What the checks of the Rust libraries share: the words spoken with the harness. Nothing here knows a library; each of
//! them has a program of its own in `bin`.

use std::future::Future;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::pin::Pin;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// Every check reports these, in this order; what a library offers beyond them follows.
const CASES: &[&str] = &[
    "foreground",
    "background",
    "high",
    "low",
    "priorities",
    "status-running",
    "status-known",
    "status-unknown",
    "progress",
    "data",
    "warning",
    "exception",
    "fail",
    "unique",
    "binary",
    "empty",
    "large",
    "dying-worker",
    "several-functions",
    "timeout",
    "echo",
    "admin",
    "restart",
    "two-servers",
];

/// A case that hangs fails after so long; the others are still run.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Whatever goes wrong.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// A case under way.
pub type Run = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// What a check knows of a case.
pub enum Case {
    /// How to run it.
    Is(fn() -> Run),
    /// The library has no such thing, for this reason.
    Absent(&'static str),
}

/// A [`Case`] of an async function without arguments.
#[macro_export]
macro_rules! case {
    ($run:expr) => {
        $crate::Case::Is(|| Box::pin($run()))
    };
}

/// Fails the case unless the two are equal.
#[macro_export]
macro_rules! expect {
    ($seen:expr, $wanted:expr, $what:expr) => {
        match (&$seen, &$wanted) {
            (seen, wanted) if seen != wanted => {
                let (seen, wanted) = (format!("{seen:?}"), format!("{wanted:?}"));
                return Err(format!("{} is {seen:.200}, not {wanted:.200}", $what).into());
            }
            _ => {}
        }
    };
}

/// All byte values.
pub fn every_byte() -> Vec<u8> {
    (0..=255).collect()
}

/// Three megabytes and a bit.
pub fn large() -> Vec<u8> {
    (0..3 * 1024 * 1024 + 251_u32).map(|at| (at % 251) as u8).collect()
}

/// The address of server A or B.
pub fn address(which: char) -> String {
    format!("127.0.0.1:{}", port(which))
}

/// The port of server A or B. A dying worker, which was started as `CHECK dying PORT`, knows A alone.
pub fn port(which: char) -> u16 {
    let at = if dying() || which == 'B' { 2 } else { 1 };
    std::env::args().nth(at).expect("CHECK PORT_A PORT_B").parse().expect("a port")
}

/// Whether this process is to be a worker that dies of its first job.
pub fn dying() -> bool {
    std::env::args().nth(1).is_some_and(|word| word == "dying")
}

/// Starts this program again as a worker that dies, and waits until it has.
pub async fn death() -> Result<(), Error> {
    let mut child = Command::new(std::env::current_exe()?).args(["dying", &port('A').to_string()]).spawn()?;
    let status = tokio::task::spawn_blocking(move || child.wait()).await??;
    expect!(status.code(), Some(1), "exit status of the dying worker");
    Ok(())
}

/// Asks the harness to `kill A`, `start A` or `stop A`, and waits until it is done.
pub async fn please(what: &str) -> Result<(), Error> {
    say(&format!("please {what}"));
    let answer = tokio::task::spawn_blocking(|| std::io::stdin().lines().next()).await?;
    expect!(answer.transpose()?.as_deref(), Some("done"), "answer of the harness");
    Ok(())
}

/// Waits until server A says `wanted` of a function: jobs, of those running, and workers. It is for what a library says to
/// the server without waiting for an answer.
pub async fn until_status(function: &str, wanted: [u32; 3]) -> Result<(), Error> {
    let function = function.to_owned();
    tokio::task::spawn_blocking(move || {
        let start = Instant::now();
        loop {
            let seen = status(&function)?;
            if seen.as_deref() == Some(&wanted[..]) {
                return Ok(());
            }
            if start.elapsed() > PATIENCE / 2 {
                return Err(format!("status of {function} is {seen:?}, not {wanted:?}").into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    })
    .await?
}

fn status(function: &str) -> Result<Option<Vec<u32>>, Error> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port('A')))?;
    stream.write_all(b"status\n")?;
    for line in BufReader::new(stream).lines() {
        let line = line?;
        let mut words = line.split('\t');
        match words.next() {
            Some(".") => break,
            Some(name) if name == function => {
                return Ok(Some(words.map(str::parse).collect::<Result<_, _>>()?));
            }
            _ => {}
        }
    }
    Ok(None)
}

/// The version of a crate that this program is built with.
fn version(name: &str) -> &'static str {
    let (_, rest) = include_str!("../Cargo.lock")
        .split_once(&format!("name = \"{name}\"\nversion = \""))
        .unwrap_or_else(|| panic!("{name} is in Cargo.lock"));
    rest.split('"').next().unwrap_or_default()
}

fn say(line: &str) {
    println!("{line}");
    std::io::stdout().flush().expect("the harness listens");
}

/// Runs all cases of the library, and reports them.
pub async fn run(library: &str, cases: Vec<(&'static str, Case)>) -> ExitCode {
    say(&format!("version {library} {}", version(library)));
    let own = cases.iter().map(|(name, _)| *name).filter(|name| !CASES.contains(name));
    for name in CASES.iter().copied().chain(own) {
        let case = cases.iter().find(|(case, _)| *case == name);
        let (_, case) = case.unwrap_or_else(|| panic!("no case {name}"));
        say(&format!("case {name} {}", verdict(case).await));
    }
    ExitCode::SUCCESS
}

async fn verdict(case: &Case) -> String {
    let run = match case {
        Case::Absent(reason) => return format!("absent {reason}"),
        Case::Is(run) => run(),
    };
    // A task of its own, for a library may panic.
    let failure = match tokio::time::timeout(PATIENCE, tokio::spawn(run)).await {
        Ok(Ok(Ok(()))) => return "ok".to_owned(),
        Ok(Ok(Err(error))) => error.to_string(),
        Ok(Err(panic)) => panic.to_string(),
        Err(_) => format!("no end after {PATIENCE:?}"),
    };
    format!("failed {}", failure.replace('\n', " "))
}
