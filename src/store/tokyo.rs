//! What gearmand has kept with Tokyo Cabinet, as a store to copy from: the output of `tchmgr list -pv -px FILE` (`tcbmgr` for a B+ tree,
//! `tcamgr` for either), so that nothing here needs that library. Nothing can be written to it.
//!
//! A line is a job: its key and, behind a tab, its value, both as bytes in hexadecimal digits. The value, as gearmand writes it: function, NUL,
//! unique, NUL, a digit for the priority (0 is high, 1 normal, 2 low), seconds since 1970 in decimal (0 is at once), NUL, workload.
use super::record::{self, RecordKind};
use super::{Committed, Progress, Store, StoreError};
use crate::engine::slot::Slot;
use crate::engine::{Epoch, JobId, StoredJob};
use crate::protocol::{Priority, UNIQUE_MAX};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// Such a list, in a file.
#[derive(Debug)]
pub struct TokyoList {
    path: PathBuf,
}

impl TokyoList {
    /// Of a file that is there.
    pub fn of(path: &Path) -> TokyoList {
        TokyoList { path: path.to_owned() }
    }

    fn fault(&self, what: String) -> StoreError {
        StoreError::Database { name: self.path.display().to_string(), what }
    }
}

impl Store for TokyoList {
    fn replay_telling(
        &mut self,
        each: &mut dyn FnMut(StoredJob<'_>),
        _: &mut dyn FnMut(Progress),
    ) -> Result<(), StoreError> {
        let io = |source| StoreError::Io { doing: "read", path: self.path.clone(), source };
        let mut file = BufReader::new(File::open(&self.path).map_err(io)?);
        let (mut line, mut number) = (Vec::new(), 0_u64);
        loop {
            line.clear();
            if file.read_until(b'\n', &mut line).map_err(io)? == 0 {
                return Ok(());
            }
            number += 1;
            let text = line.trim_ascii_end();
            if text.is_empty() {
                continue;
            }
            let value = text.iter().position(|&byte| byte == b'\t').and_then(|tab| unhexed(&text[tab + 1..]));
            let job = value.as_deref().and_then(|value| job(number, value));
            let Some(job) = job else {
                return Err(self.fault(format!(
                    "line {number} is no job as `tchmgr list -pv -px FILE` prints it: both of -pv and -px are needed"
                )));
            };
            each(job);
        }
    }

    fn commit(&mut self, slices: &[&[u8]]) -> Committed {
        let refusal =
            || self.fault("it is a list, and can only be read; name another store to copy to".to_owned());
        let puts = record::spans(slices).any(|span| span.head.kind == RecordKind::Put);
        Committed::of(if puts { Err(refusal()) } else { Ok(()) }, Err(refusal()))
    }

    fn maintain(&mut self) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn owes(&self) -> bool {
        false
    }

    fn close(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Bytes of hexadecimal digits, with or without blanks in between.
fn unhexed(text: &[u8]) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .iter()
        .filter(|byte| !byte.is_ascii_whitespace())
        .map(|&byte| (byte as char).to_digit(16).map(|digit| digit as u8))
        .collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    pairs.remainder().is_empty().then(|| pairs.map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// The job in a value; its number is that of the line.
fn job(number: u64, value: &[u8]) -> Option<StoredJob<'_>> {
    let mut parts = value.splitn(4, |&byte| byte == 0);
    let (function, unique, numbers, workload) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let (priority, seconds) = numbers.split_first()?;
    let priority = match priority {
        b'1' => Priority::Normal,
        b'2' => Priority::Low,
        // gearmand writes so for any other number, too.
        b'0' => Priority::High,
        _ => return None,
    };
    let seconds: i64 = std::str::from_utf8(seconds).ok()?.parse().ok()?;
    let seconds = u64::try_from(seconds).ok().filter(|&seconds| seconds > 0);
    let fits = !function.is_empty() && function.len() <= usize::from(u16::MAX) && unique.len() <= UNIQUE_MAX;
    fits.then(|| StoredJob {
        id: JobId::new(number, Slot::of(function)),
        priority,
        epoch: seconds.map(Epoch::from_seconds),
        attempts: 0,
        function,
        unique,
        workload,
        reducer: None,
        death: None,
        accepted: None,
        more: b"",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::scratch::Scratch;

    #[test]
    fn what_tchmgr_prints_is_read() {
        let folder = Scratch::new();
        let path = folder.file("list");
        let told = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let mut jobs = Vec::new();
            let read = TokyoList::of(&path).replay(&mut |job| {
                jobs.push((
                    job.function.to_vec(),
                    job.unique.to_vec(),
                    job.priority,
                    job.epoch,
                    job.workload.to_vec(),
                ));
            });
            read.map(|()| jobs).map_err(|error| error.to_string())
        };
        let list = "41 2d 75 31\t41 00 75 31 00 31 30 00 64 31\n412d\t420075003237003000\n";
        assert_eq!(
            told(list).unwrap(),
            [
                (b"A".to_vec(), b"u1".to_vec(), Priority::Normal, None, b"d1".to_vec()),
                (b"B".to_vec(), b"u".to_vec(), Priority::Low, Some(Epoch::from_seconds(7)), b"0\0".to_vec()),
            ]
        );
        for broken in ["A-u1\tA\n", "41\n", "41\t4", "41\t4100750078303000"] {
            assert!(
                told(broken)
                    .unwrap_err()
                    .contains("line 1 is no job as `tchmgr list -pv -px FILE` prints it"),
                "{broken}"
            );
        }
        assert!(TokyoList::of(&path).commit(&[]).dones.is_err());
    }
}
