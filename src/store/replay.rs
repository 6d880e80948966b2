//! The replay: what a store keeps goes to the shards when the server starts, in pieces. How far that has come is said as
//! lines for the log: so much of so much, how fast, how long it will still take. Reading is the stores' affair.
use super::channel::{Piece, StoreChannel};
use super::record::{self, Record};
use super::{BootTime, HoldUntil, Progress, Store, StoreError};
use crate::engine::{JobId, ShardId, StoredJob, Topology};
use crate::log_at;
use crate::logging::Level;
use std::cell::RefCell;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Bytes of one piece of a replay.
pub(super) const PIECE: usize = 64 << 10;
/// How long the thread waits for a shard that has no room for more pieces.
const PAUSE: Duration = Duration::from_micros(200);

/// Between two lines.
const EVERY: Duration = Duration::from_secs(1);

/// How far the stored jobs are read.
#[derive(Debug)]
pub(crate) enum Replay {
    /// Where it is, in words.
    Progress(String),
    /// All of them, so many, or why not.
    Over(Result<u64, StoreError>),
}

/// Wakes a shard for which there is something.
pub(crate) type Wake = Box<dyn Fn(ShardId) + Send>;

/// Reads the store, and hands each job to its shard. Returns how many there are.
pub(super) fn run(
    store: &mut dyn Store,
    channel: &StoreChannel,
    topology: Topology,
    wake: &Wake,
    tell: &dyn Fn(Replay),
) -> Result<u64, StoreError> {
    let mut pieces: Vec<Vec<u8>> = topology.owners().map(|_| Vec::new()).collect();
    let mut sequence = 0;
    let begin = Instant::now();
    let mut each = |job: StoredJob<'_>| {
        let owner = topology.owner(job.id.slot());
        // What is far beyond all others sets no mark: see `Engine::keep_clear_of`.
        if job.id.sequence() <= JobId::SEQUENCE_HINT_MAX {
            sequence = sequence.max(job.id.sequence());
        }
        if let Err(why) = job.sound() {
            send_piece(channel, wake, owner, Piece::SetAside(job.id, why));
            return;
        }
        let piece = &mut pieces[owner.index()];
        record::put(&job, piece);
        if piece.len() >= PIECE {
            send_piece(channel, wake, owner, Piece::Records(std::mem::take(piece)));
        }
    };
    let mut say = |line: String| {
        log_at!(Level::Notice, "{line}");
        tell(Replay::Progress(line));
    };
    let mut away = || {
        log_at!(
            Level::Warning,
            "the store: until it answers and is read, background jobs are refused; foreground jobs are done"
        );
        // What is read while others are served is given out once it is known what is ours.
        channel.set_hold(HoldUntil::Time(BootTime::default()));
        topology.owners().for_each(|owner| send_piece(channel, wake, owner, Piece::Away));
    };
    let jobs = replay(store, &Instant::now, &mut say, &mut each, &mut away)?;
    let shared = store.attend_at().is_some();
    // A store that is shared remembers which numbers were given out; otherwise a clock has to do.
    let sequence = if shared { sequence + 1 } else { floor().max(sequence + 1) };
    let numbers = store.numbers(sequence)?;
    let sequence = numbers.start;
    // Before anybody can give out what was read.
    channel.set_hold(store.standing().until);
    for (owner, piece) in topology.owners().zip(pieces) {
        if !piece.is_empty() {
            send_piece(channel, wake, owner, Piece::Records(piece));
        }
        if shared {
            send_piece(channel, wake, owner, Piece::Numbers(numbers.clone()));
        }
        send_piece(channel, wake, owner, Piece::End { sequence });
    }
    log_at!(Level::Notice, "read {jobs} stored jobs in {:.3} s", begin.elapsed().as_secs_f64());
    Ok(jobs)
}

/// Replays a store, and says every second how far it has come, and `away` once if its server cannot be reached. Returns how many
/// jobs were told.
fn replay(
    store: &mut dyn Store,
    now: &dyn Fn() -> Instant,
    say: &mut dyn FnMut(String),
    each: &mut dyn FnMut(StoredJob<'_>),
    away: &mut dyn FnMut(),
) -> Result<u64, StoreError> {
    let mut away = Some(away);
    let lines = RefCell::new(ProgressLines { begin: now(), said: now(), jobs: 0, of: 0, say });
    store.replay_telling(
        &mut |job| {
            each(job);
            lines.borrow_mut().told(now());
        },
        &mut |progress| {
            let is_away = matches!(progress, Progress::Away { .. });
            lines.borrow_mut().came(progress, now());
            if is_away && let Some(away) = away.take() {
                away();
            }
        },
    )?;
    Ok(lines.into_inner().jobs)
}

struct ProgressLines<'a> {
    /// When what goes on now began.
    begin: Instant,
    /// When something was last said.
    said: Instant,
    jobs: u64,
    of: u64,
    say: &'a mut dyn FnMut(String),
}

impl ProgressLines<'_> {
    fn came(&mut self, progress: Progress, now: Instant) {
        match progress {
            Progress::Waiting { why } | Progress::Away { why } => {
                (self.said, self.begin) = (now, now);
                (self.say)(why);
            }
            Progress::Reading { bytes, of } if self.is_time(now) => {
                let (done, whole) = (bytes >> 20, of >> 20);
                let (rate, left) = self.pace(bytes, of, now);
                let rate = rate / f64::from(1 << 20);
                (self.say)(format!(
                    "reading the store: {done} of {whole} MiB, {rate:.0} MiB a second, {left}"
                ));
            }
            Progress::Reading { .. } => {}
            Progress::Telling { jobs } => (self.begin, self.of) = (now, jobs),
        }
    }

    fn told(&mut self, now: Instant) {
        self.jobs += 1;
        if self.is_time(now) {
            // A count that was too low is not contradicted: there is at least what was told.
            let (jobs, of) = (self.jobs, self.of.max(self.jobs));
            let (rate, left) = self.pace(jobs, of, now);
            (self.say)(format!("reading stored jobs: {jobs} of {of}, {rate:.0} a second, {left}"));
        }
    }

    fn is_time(&mut self, now: Instant) -> bool {
        let is = now.saturating_duration_since(self.said) >= EVERY;
        if is {
            self.said = now;
        }
        is
    }

    /// How many a second, and how long the rest will take.
    fn pace(&self, done: u64, of: u64, now: Instant) -> (f64, String) {
        let rate = done as f64 / now.saturating_duration_since(self.begin).as_secs_f64();
        let seconds = of.saturating_sub(done) as f64 / rate;
        let left = match rate.is_normal() {
            true => format!("about {seconds:.0} s left"),
            false => "the time left is not known".to_owned(),
        };
        (rate, left)
    }
}

/// Where sequences begin: above those of jobs that have ended and are not in the store any more, or a handle that somebody
/// has kept would one day mean another job. A million for each second since 2025 is more than is ever accepted.
pub(super) fn floor() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    floor_at(now).unwrap_or_else(|| {
        log_at!(
            Level::Alert,
            "the clock says {now} seconds since 1970, which cannot be right: the numbers of jobs begin behind those of \
             stored jobs, so that handles of earlier jobs may be given again"
        );
        0
    })
}

/// The same at this second; `None` if it is so late that a clock must be wrong: that must not use up the numbers.
fn floor_at(now: u64) -> Option<u64> {
    const YEAR_2025: u64 = 1_735_689_600;
    let floor = now.saturating_sub(YEAR_2025).saturating_mul(1_000_000);
    (floor <= JobId::SEQUENCE_HINT_MAX).then_some(floor)
}

fn send_piece(channel: &StoreChannel, wake: &Wake, to: ShardId, mut piece: Piece) {
    while let Err(back) = channel.put_piece(to, piece) {
        piece = back;
        thread::sleep(PAUSE);
    }
    wake(to);
}

/// The jobs in a piece.
pub(crate) fn jobs_in(mut records: &[u8]) -> impl Iterator<Item = StoredJob<'_>> {
    std::iter::from_fn(move || {
        let (record, length) = record::read(records).ok()?;
        records = &records[length..];
        match record {
            Record::Put(job) => Some(job),
            Record::Done(_) | Record::Attempts(..) => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::JobId;
    use crate::engine::slot::Slot;
    use crate::protocol::Priority;
    use crate::store::Committed;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// A store that takes its time: for each piece of 1 MiB, and for each job, in milliseconds.
    struct Slow<'a> {
        clock: &'a AtomicU64,
        pieces: u64,
        piece: u64,
        jobs: u64,
        job: u64,
    }

    impl Store for Slow<'_> {
        fn replay_telling(
            &mut self,
            each: &mut dyn FnMut(StoredJob<'_>),
            progress: &mut dyn FnMut(Progress),
        ) -> Result<(), StoreError> {
            for piece in 1..=self.pieces {
                self.clock.fetch_add(self.piece, Ordering::Relaxed);
                progress(Progress::Reading { bytes: piece << 20, of: self.pieces << 20 });
            }
            progress(Progress::Telling { jobs: self.jobs });
            for sequence in 1..=self.jobs {
                self.clock.fetch_add(self.job, Ordering::Relaxed);
                each(StoredJob {
                    id: JobId::new(sequence, Slot::of(b"f")),
                    priority: Priority::Normal,
                    epoch: None,
                    attempts: 0,
                    function: b"f",
                    unique: b"",
                    workload: b"",
                    reducer: None,
                    death: None,
                    accepted: None,
                    more: b"",
                });
            }
            Ok(())
        }

        fn commit(&mut self, _: &[&[u8]]) -> Committed {
            Committed::all()
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

    /// What is said about a replay.
    #[track_caller]
    fn lines(pieces: u64, piece: u64, jobs: u64, job: u64) -> Vec<String> {
        let clock = AtomicU64::new(0);
        let begin = Instant::now();
        let now = || begin + Duration::from_millis(clock.load(Ordering::Relaxed));
        let (mut lines, mut each) = (Vec::new(), 0);
        let mut store = Slow { clock: &clock, pieces, piece, jobs, job };
        let told =
            replay(&mut store, &now, &mut |line| lines.push(line), &mut |_| each += 1, &mut || {}).unwrap();
        assert_eq!((told, each), (jobs, jobs));
        lines
    }

    #[test]
    fn what_remains_is_said_each_second() {
        let wanted = [
            "reading the store: 4 of 10 MiB, 4 MiB a second, about 2 s left",
            "reading the store: 8 of 10 MiB, 4 MiB a second, about 0 s left",
            // Half a second of it was reading.
            "reading stored jobs: 5 of 30, 10 a second, about 2 s left",
            "reading stored jobs: 15 of 30, 10 a second, about 2 s left",
            "reading stored jobs: 25 of 30, 10 a second, about 0 s left",
        ];
        assert_eq!(lines(10, 250, 30, 100), wanted);
    }

    #[test]
    fn a_quick_replay_says_nothing() {
        assert_eq!(lines(999, 1, 0, 0), [""; 0]);
        assert_eq!(lines(0, 0, 999, 1), [""; 0]);
    }

    #[test]
    fn a_clock_that_cannot_be_right_does_not_use_up_the_numbers() {
        // January 2026, 2052, 2060, and as late as a clock can say.
        let floors = [1_767_225_600, 2_580_000_000, 2_840_140_800, u64::MAX].map(floor_at);
        assert_eq!(floors, [Some(31_536_000_000_000), Some(844_310_400_000_000), None, None]);
    }
}
