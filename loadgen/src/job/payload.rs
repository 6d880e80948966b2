//! What workloads and results are made of, so that every one of them can be checked without remembering it: a
//! header with the job's number and a checksum, then bytes that the number and the seed fix.
use ringgear_protocol::UNIQUE_MAX;

use crate::job::random::{Random, mix, of_job};

/// Bytes of the header: the least that a workload or result has.
pub(crate) const HEADER: usize = 40;

/// Where in the block of random bytes a body may begin.
const OFFSETS: usize = 4096;

/// The number of a job and when it was meant to be, and was, submitted; or, in a result, what a worker took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Job {
    /// The client connection, counted over the whole plan.
    pub(crate) conn: u32,
    /// The function, an index into the plan's functions.
    pub(crate) function: u32,
    /// Counts the jobs of the connection from 0.
    pub(crate) seq: u64,
    /// When the schedule wanted it sent, nanoseconds since the run's epoch.
    pub(crate) intended: u64,
    /// When it was sent. Not in a result, where the client still knows it.
    pub(crate) sent: u64,
    /// In a result, nanoseconds that the worker had the job, in the place of `sent`.
    pub(crate) worked: u64,
}

/// Why a workload or a result is not what it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// It is of another run, or of somebody else.
    Stranger,
    /// Bytes differ from those that were sent.
    Altered,
}

/// Which way the bytes travel: a result is never taken for a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the client to the worker.
    Workload,
    /// From the worker to the client.
    Result,
}

impl Way {
    const fn salt(self) -> u64 {
        match self {
            Way::Workload => 0x5741_4c4b,
            Way::Result => 0x5245_5355,
        }
    }

    /// What stands at the end of the header.
    const fn last(self, job: &Job) -> u64 {
        match self {
            Way::Workload => job.sent,
            Way::Result => job.worked,
        }
    }
}

/// Writes and reads the payloads of one run.
#[derive(Debug)]
pub(crate) struct Payloads {
    run: u32,
    seed: u64,
    block: Box<[u8]>,
}

impl Payloads {
    /// For payloads of at most `largest` bytes. `run` tells this run's jobs from those that others left.
    pub(crate) fn new(seed: u64, run: u32, largest: usize) -> Payloads {
        let mut block = vec![0; largest + OFFSETS].into_boxed_slice();
        Random::new(seed).fill(&mut block);
        Payloads { run, seed, block }
    }

    /// Puts the payload of `length` bytes into `out`, which is cleared first.
    #[inline]
    pub(crate) fn write(&self, out: &mut Vec<u8>, job: &Job, way: Way, length: usize) {
        let length = length.max(HEADER);
        out.clear();
        let mut header = [0; HEADER];
        header[0..4].copy_from_slice(&self.run.to_le_bytes());
        header[4..8].copy_from_slice(&self.check(job, way, length).to_le_bytes());
        header[8..12].copy_from_slice(&job.conn.to_le_bytes());
        header[12..16].copy_from_slice(&job.function.to_le_bytes());
        header[16..24].copy_from_slice(&job.seq.to_le_bytes());
        header[24..32].copy_from_slice(&job.intended.to_le_bytes());
        header[32..40].copy_from_slice(&way.last(job).to_le_bytes());
        out.extend_from_slice(&header);
        out.extend_from_slice(self.body(job, way, length));
    }

    /// Reads what [`Payloads::write`] wrote; every byte is compared.
    #[inline]
    pub(crate) fn read(&self, payload: &[u8], way: Way) -> Result<Job, Flaw> {
        let Some((header, body)) = payload.split_first_chunk::<HEADER>() else {
            let ours = payload.first_chunk() == Some(&self.run.to_le_bytes());
            return Err(if ours { Flaw::Altered } else { Flaw::Stranger });
        };
        let four =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let eight = |at: usize| u64::from(four(at)) | (u64::from(four(at + 4)) << 32);
        if four(0) != self.run {
            return Err(Flaw::Stranger);
        }
        let (sent, worked) = match way {
            Way::Workload => (eight(32), 0),
            Way::Result => (0, eight(32)),
        };
        let (conn, function, seq, intended) = (four(8), four(12), eight(16), eight(24));
        let job = Job { conn, function, seq, intended, sent, worked };
        if payload.len() + OFFSETS > self.block.len()
            || four(4) != self.check(&job, way, payload.len())
            || body != self.body(&job, way, payload.len())
        {
            return Err(Flaw::Altered);
        }
        Ok(job)
    }

    #[inline]
    fn body(&self, job: &Job, way: Way, length: usize) -> &[u8] {
        let offset = of_job(self.seed ^ way.salt(), job.conn, job.seq) as usize % OFFSETS;
        &self.block[offset..offset + length - HEADER]
    }

    #[inline]
    fn check(&self, job: &Job, way: Way, length: usize) -> u32 {
        let names = (u64::from(job.conn) << 32) | u64::from(job.function);
        let mut sum = mix(self.seed ^ way.salt() ^ length as u64);
        for part in [names, job.seq, job.intended, way.last(job)] {
            sum = (sum ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            sum ^= sum >> 29;
        }
        (sum ^ (sum >> 32)) as u32
    }

    /// The unique of a job, in the form of a UUID. No two jobs have the same: its first half is a
    /// bijection of connection and number, and runs differ in the second.
    #[inline]
    pub(crate) fn unique(&self, conn: u32, seq: u64) -> [u8; UNIQUE_LEN] {
        let number = mix((u64::from(conn) << 40) ^ seq);
        let second = mix(u64::from(self.run) ^ (self.seed << 32));
        let mut digits = [0; 32];
        for (half, digits) in [number, second].into_iter().zip(digits.chunks_exact_mut(16)) {
            for (at, pair) in half.to_be_bytes().into_iter().zip(digits.chunks_exact_mut(2)) {
                pair.copy_from_slice(&HEX[usize::from(at)]);
            }
        }
        let mut unique = [b'-'; UNIQUE_LEN];
        unique[0..8].copy_from_slice(&digits[0..8]);
        unique[9..13].copy_from_slice(&digits[8..12]);
        unique[14..18].copy_from_slice(&digits[12..16]);
        unique[19..23].copy_from_slice(&digits[16..20]);
        unique[24..36].copy_from_slice(&digits[20..32]);
        unique
    }
}

/// Bytes of a unique in the form of a UUID.
pub(crate) const UNIQUE_LEN: usize = 36;
const _: () = assert!(UNIQUE_LEN <= UNIQUE_MAX);

/// The two digits of every byte.
static HEX: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut table = [[0; 2]; 256];
    let mut at = 0;
    while at < 256 {
        table[at] = [digits[at >> 4], digits[at & 15]];
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Job {
        Job { conn: 3, function: 1, seq: 77, intended: 1_000, sent: 2_000, worked: 0 }
    }

    #[test]
    fn what_was_written_is_read() {
        let payloads = Payloads::new(9, 1, 1000);
        let mut out = vec![];
        for length in [HEADER, HEADER + 1, 100, 1000] {
            payloads.write(&mut out, &job(), Way::Workload, length);
            assert_eq!(out.len(), length);
            assert_eq!(payloads.read(&out, Way::Workload), Ok(job()));
            assert_eq!(payloads.read(&out, Way::Result), Err(Flaw::Altered));
        }
    }

    #[test]
    fn a_result_tells_how_long_the_worker_had_the_job() {
        let payloads = Payloads::new(9, 1, 1000);
        let mut out = vec![];
        payloads.write(&mut out, &Job { worked: 3_000, ..job() }, Way::Result, 100);
        assert_eq!(payloads.read(&out, Way::Result), Ok(Job { sent: 0, worked: 3_000, ..job() }));
    }

    #[test]
    fn every_changed_byte_is_seen() {
        let payloads = Payloads::new(9, 1, 1000);
        let mut out = vec![];
        payloads.write(&mut out, &job(), Way::Workload, 100);
        for at in 0..out.len() {
            let mut changed = out.clone();
            changed[at] ^= 1;
            let flaw = if at < 4 { Flaw::Stranger } else { Flaw::Altered };
            assert_eq!(payloads.read(&changed, Way::Workload), Err(flaw), "byte {at}");
        }
        for end in 4..out.len() {
            assert_eq!(payloads.read(&out[..end], Way::Workload), Err(Flaw::Altered));
        }
        out.push(0);
        assert_eq!(payloads.read(&out, Way::Workload), Err(Flaw::Altered));
    }

    #[test]
    fn uniques_are_unique_and_look_like_uuids() {
        let payloads = Payloads::new(9, 1, 100);
        let mut seen = std::collections::HashSet::new();
        for conn in 0..10 {
            for seq in 0..1000 {
                assert!(seen.insert(payloads.unique(conn, seq)));
            }
        }
        let unique = payloads.unique(0, 0);
        assert_eq!(unique.iter().filter(|&&byte| byte == b'-').count(), 4);
    }
}
