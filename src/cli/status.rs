//! `ringgear status`: which functions wait for a worker, as a table or as JSON. Any job server is asked with the administrators'
//! line `status`; how it is reached stands in `reach.rs`.
use super::reach::{JobServer, NoAnswer, ServerWords};
use super::words;
use clap::{Command, CommandFactory, Parser};
use serde_json::{Map, Value, json};
use std::cmp::Reverse;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The longest answer: a million functions with names of 40 bytes.
const ANSWER_MAX: usize = 64 * 1024 * 1024;

/// Tells which functions have jobs: waiting, running, and how many workers know them
#[derive(Debug, Parser)]
#[command(name = "ringgear status", disable_version_flag = true, max_term_width = 100)]
struct StatusLine {
    #[command(flatten)]
    server: ServerWords,

    /// Seconds to wait for its answer
    #[arg(short, long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,

    /// Print one JSON document
    #[arg(long)]
    json: bool,

    /// End with status 1 if one of the functions has waiting jobs and no worker
    #[arg(long)]
    check: bool,

    /// Only these functions
    #[arg(value_name = "FUNCTION")]
    functions: Vec<OsString>,
}

/// The words of `ringgear status`, as completions and manual pages tell of them.
pub(super) fn command() -> Command {
    StatusLine::command().name("status")
}

/// `ringgear status`: 0 if a job server answers, 1 if none does or `--check` found something, 2 for a wrong line.
pub(super) fn run(words: impl Iterator<Item = OsString>) -> ExitCode {
    const NAME: &str = "ringgear status";
    let line: StatusLine = match words::read(NAME, words, words::USAGE) {
        Ok(line) => line,
        Err(status) => return status,
    };
    let server = match line.server.job_server() {
        Ok(server) => server,
        Err(mistake) => return words::failed(NAME, words::USAGE, mistake),
    };
    let loads = match ask(&server, Duration::from_secs(line.timeout)) {
        Ok(loads) => loads,
        Err(failure) => return words::failed(NAME, 1, format_args!("{server}: {failure}")),
    };
    let loads = in_order(loads, &line.functions);
    let text = if line.json { format!("{}\n", document(&loads)) } else { table(&loads) };
    let printed = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
    match printed {
        // Whoever closed the pipe does not want to read on.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            return words::failed(NAME, 1, format_args!("standard output: {error}"));
        }
        _ => {}
    }
    if line.check && loads.iter().any(FunctionLoad::unattended) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// A line of `status`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FunctionLoad {
    function: Vec<u8>,
    waiting: u64,
    running: u64,
    workers: u64,
    /// The server has told of it; otherwise it was asked for only.
    known: bool,
}

impl FunctionLoad {
    /// Jobs wait that nobody will do.
    fn unattended(&self) -> bool {
        self.waiting > 0 && self.workers == 0
    }

    fn remark(&self) -> &'static str {
        match (self.known, self.unattended()) {
            (false, _) => "not known",
            (true, true) => "no worker",
            (true, false) => "",
        }
    }
}

fn ask(server: &JobServer, patience: Duration) -> Result<Vec<FunctionLoad>, NoAnswer> {
    let mut answer = Vec::new();
    server.ask(b"status\n", Instant::now() + patience, |bytes| {
        if answer.len() + bytes.len() > ANSWER_MAX {
            return Err(NoAnswer::Endless(ANSWER_MAX));
        }
        answer.extend_from_slice(bytes);
        if answer == b".\n" || answer.ends_with(b"\n.\n") {
            return read(&answer).map(Some).ok_or(NoAnswer::Otherwise);
        }
        Ok(None)
    })
}

/// The lines up to the dot. `None` for what is no answer to `status`.
fn read(answer: &[u8]) -> Option<Vec<FunctionLoad>> {
    let mut loads = Vec::new();
    // gearmand prints names as they are: a line without columns is the beginning of one with a line feed.
    let mut begun = Vec::new();
    let lines = answer.strip_suffix(b".\n")?;
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        begun.extend_from_slice(line);
        if let Some(load) = columns(begun.strip_suffix(b"\n")?) {
            loads.push(load);
            begun.clear();
        }
    }
    begun.is_empty().then_some(loads)
}

/// Function, total, running, workers. From the right: a name may have tabs.
fn columns(line: &[u8]) -> Option<FunctionLoad> {
    let mut fields = line.rsplitn(4, |byte| *byte == b'\t');
    let mut number = || std::str::from_utf8(fields.next()?).ok()?.parse::<u64>().ok();
    let (workers, running, total) = (number()?, number()?, number()?);
    let function = fields.next()?.to_vec();
    Some(FunctionLoad { function, waiting: total.saturating_sub(running), running, workers, known: true })
}

/// Those that were asked for, or all: first who waits for nobody, then by how many wait.
fn in_order(mut loads: Vec<FunctionLoad>, asked: &[OsString]) -> Vec<FunctionLoad> {
    if !asked.is_empty() {
        let names = asked.iter().map(|name| name.as_bytes());
        let unknown: Vec<&[u8]> =
            names.clone().filter(|name| loads.iter().all(|load| load.function != *name)).collect();
        loads.retain(|load| names.clone().any(|name| name == load.function));
        loads.extend(unknown.into_iter().map(|name| FunctionLoad {
            function: name.to_vec(),
            waiting: 0,
            running: 0,
            workers: 0,
            known: false,
        }));
    }
    loads.sort_by_cached_key(|load| {
        (Reverse(load.unattended()), Reverse(load.waiting), Reverse(load.running), load.function.clone())
    });
    loads.dedup();
    loads
}

fn table(loads: &[FunctionLoad]) -> String {
    let names: Vec<String> = loads.iter().map(|load| words::shown(&load.function)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max("FUNCTION".len());
    let mut text = format!("{:width$}  {:>9}  {:>9}  {:>9}\n", "FUNCTION", "WAITING", "RUNNING", "WORKERS");
    for (load, name) in loads.iter().zip(names) {
        let FunctionLoad { waiting, running, workers, .. } = load;
        let row = format!("{name:width$}  {waiting:>9}  {running:>9}  {workers:>9}  {}", load.remark());
        // A string takes everything.
        let _ = writeln!(text, "{}", row.trim_end());
    }
    text
}

/// As the server's own JSON: a name that is no UTF-8 stands as hexadecimal digits under a name of its own.
fn document(loads: &[FunctionLoad]) -> Value {
    let row = |load: &FunctionLoad| {
        let mut row = Map::new();
        match std::str::from_utf8(&load.function) {
            Ok(name) => row.insert("function".to_owned(), json!(name)),
            Err(_) => {
                let digits: String = load.function.iter().map(|byte| format!("{byte:02x}")).collect();
                row.insert("function_hex".to_owned(), json!(digits))
            }
        };
        for (name, number) in
            [("waiting", load.waiting), ("running", load.running), ("workers", load.workers)]
        {
            row.insert(name.to_owned(), json!(number));
        }
        row.insert("known".to_owned(), json!(load.known));
        row.insert("no_worker".to_owned(), json!(load.unattended()));
        Value::Object(row)
    };
    json!({ "functions": loads.iter().map(row).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(answer: &[u8], asked: &[&str]) -> String {
        let asked: Vec<OsString> = asked.iter().map(OsString::from).collect();
        table(&in_order(read(answer).unwrap(), &asked))
    }

    #[test]
    fn who_waits_for_nobody_comes_first() {
        let answer = b"busy\t900\t8\t8\nidle\t0\t0\t3\nlost\t2\t0\t0\nmail\t9\t1\t4\nworse\t5\t0\t0\n.\n";
        let table = "FUNCTION    WAITING    RUNNING    WORKERS\n\
                     worse             5          0          0  no worker\n\
                     lost              2          0          0  no worker\n\
                     busy            892          8          8\n\
                     mail              8          1          4\n\
                     idle              0          0          3\n";
        assert_eq!(shown(answer, &[]), table);
        let table = "FUNCTION    WAITING    RUNNING    WORKERS\n\
                     lost              2          0          0  no worker\n\
                     idle              0          0          3\n\
                     odd               0          0          0  not known\n";
        assert_eq!(shown(answer, &["idle", "odd", "lost", "odd"]), table);
        assert_eq!(shown(b".\n", &[]), "FUNCTION    WAITING    RUNNING    WORKERS\n");
    }

    #[test]
    fn names_may_be_any_bytes() {
        let loads = read(b"caf\xe9\t1\t0\t0\na\tb\t1\t1\t1\nc\nd\t0\t0\t0\n.\n").unwrap();
        let names: Vec<&[u8]> = loads.iter().map(|load| load.function.as_slice()).collect();
        assert_eq!(names, [&b"caf\xe9"[..], b"a\tb", b"c\nd"]);
        assert!(table(&loads).contains("caf\\xe9 "), "{}", table(&loads));
        let row = json!({"function_hex": "636166e9", "waiting": 1, "running": 0, "workers": 0, "known": true, "no_worker": true});
        assert_eq!(document(&loads)["functions"][0], row);
        assert_eq!(document(&loads)["functions"][2]["function"], "c\nd");
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for answer in [&b"HTTP/1.1 400 Bad Request\r\n\r\n.\n"[..], b"f\t1\t0\n.\n", b"f\t-1\t0\t0\n.\n"] {
            assert_eq!(read(answer), None, "{}", answer.escape_ascii());
        }
    }
}
