//! The administrators' lines `status` and `getpid`, which every job server answers: what is read in the answers.
use super::row::FunctionLoad;
use crate::cli::reach::{JobServer, NoAnswer};
use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::time::Instant;

/// The longest answer: a million functions with names of 40 bytes.
const ANSWER_MAX: usize = 64 * 1024 * 1024;

/// The longest answer to `getpid`.
const PID_MAX: usize = 64;

/// Asks a job server for its functions, before `end`.
pub(super) fn ask(server: &JobServer, end: Instant) -> Result<Vec<FunctionLoad>, NoAnswer> {
    let mut answer = Vec::new();
    server.ask(b"status\n", end, |bytes| {
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

/// Of these rows those that were asked for, and those of which nothing is known.
pub(super) fn only(rows: Vec<FunctionLoad>, asked: &[OsString]) -> Vec<FunctionLoad> {
    let mut rows: HashMap<Vec<u8>, FunctionLoad> =
        rows.into_iter().map(|row| (row.function.clone(), row)).collect();
    let names: BTreeSet<&[u8]> = asked.iter().map(|name| name.as_bytes()).collect();
    names.into_iter().map(|name| rows.remove(name).unwrap_or_else(|| FunctionLoad::unknown(name))).collect()
}

/// The process that serves there, before `end`.
pub(super) fn pid(server: &JobServer, end: Instant) -> Result<u64, NoAnswer> {
    let mut answer = Vec::new();
    server.ask(b"getpid\n", end, |bytes| {
        answer.extend_from_slice(bytes);
        match answer.strip_suffix(b"\n") {
            Some(line) => {
                let line = std::str::from_utf8(line).map_err(|_| NoAnswer::Otherwise)?.trim();
                let number = line.strip_prefix("OK ").unwrap_or(line).parse();
                number.map(Some).map_err(|_| NoAnswer::Otherwise)
            }
            None if answer.len() > PID_MAX => Err(NoAnswer::Otherwise),
            None => Ok(None),
        }
    })
}

/// The lines up to the dot. `None` for what is no answer to `status`.
pub(super) fn read(answer: &[u8]) -> Option<Vec<FunctionLoad>> {
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
    Some(FunctionLoad {
        function,
        waiting: total.saturating_sub(running),
        running,
        workers,
        known: true,
        told: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_be_any_bytes() {
        let loads = read(b"caf\xe9\t1\t0\t0\na\tb\t1\t1\t1\nc\nd\t0\t0\t0\n.\n").unwrap();
        let names: Vec<&[u8]> = loads.iter().map(|load| load.function.as_slice()).collect();
        assert_eq!(names, [&b"caf\xe9"[..], b"a\tb", b"c\nd"]);
        assert_eq!((loads[1].waiting, loads[1].running), (0, 1));
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for answer in [&b"HTTP/1.1 400 Bad Request\r\n\r\n.\n"[..], b"f\t1\t0\n.\n", b"f\t-1\t0\t0\n.\n"] {
            assert_eq!(read(answer), None, "{}", answer.escape_ascii());
        }
    }
}
