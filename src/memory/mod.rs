//! The allocator, and giving memory back to the system: when much of it has become free, and what was one large piece. What
//! is kept in memory is not decided here.
#![allow(unsafe_code)]
mod cache;

use crate::engine::Instant;
use cache::BufferCache;
use std::ops::{Deref, DerefMut};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

/// Jobs are many small allocations, made on one thread and freed on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Gives back what this thread has freed.
fn give_back() {
    // SAFETY: any thread may call this at any time; it only touches memory that nobody has.
    unsafe { libmimalloc_sys::mi_collect(true) }
}

/// Bytes that may be very many. Giving a quarter of a gigabyte back to the system takes tens of milliseconds, and the allocator
/// does it some time later, on whichever thread then needs memory. So a thread of its own does it, whoever lets go of them. Some
/// are kept for a moment and used again.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Large(Vec<u8>);

impl Large {
    /// Fewer bytes are no matter: they are freed where they are let go.
    const MANY: usize = 1 << 20;
    /// Room comes in multiples of this, if it is enough to be kept.
    const STEP: usize = 64 << 10;
    /// What is given back in one call.
    const PIECE: usize = 1 << 20;

    /// Has a thread free bytes from now on, and so many be kept to be used again. Without it, they are freed where they
    /// are let go.
    pub(crate) fn have_freed(kept: u64) {
        FREER.get_or_init(|| {
            let (sender, freed) = mpsc::channel::<Vec<u8>>();
            let run = move || free(&freed);
            let started = thread::Builder::new().name("memory".to_owned()).spawn(run);
            started.ok().map(|_| Freer {
                sender,
                cache: BufferCache::new(kept),
                looks: AtomicBool::new(false),
            })
        });
    }

    /// Nothing, with room for so many bytes.
    pub(crate) fn with_room(bytes: usize) -> Large {
        if let Some(buffer) = freer().and_then(|freer| freer.cache.take(bytes)) {
            return Large(buffer);
        }
        // Packets of about the same size are to fit into the same buffers.
        let room = if bytes >= cache::LEAST { bytes.next_multiple_of(Self::STEP) } else { bytes };
        Large(Vec::with_capacity(room))
    }

    /// The bytes, to be shared.
    pub(crate) fn into_shared(mut self) -> bytes::Bytes {
        if self.0.capacity() < cache::LEAST {
            return bytes::Bytes::from(std::mem::take(&mut self.0));
        }
        bytes::Bytes::from_owner(self)
    }
}

/// The thread that frees, as others see it.
#[derive(Debug)]
struct Freer {
    /// What waits there is bounded by what it takes to fill so many bytes again, which takes longer than freeing them.
    sender: Sender<Vec<u8>>,
    cache: BufferCache,
    /// Whether the thread looks now and then after what is kept.
    looks: AtomicBool,
}

/// If there is one.
static FREER: OnceLock<Option<Freer>> = OnceLock::new();

fn freer() -> Option<&'static Freer> {
    FREER.get()?.as_ref()
}

/// How often the thread looks after what is kept: it is freed between one and two such times after it was last needed.
const LOOK: Duration = Duration::from_millis(250);

/// Frees what comes, and what was kept in vain.
fn free(freed: &Receiver<Vec<u8>>) {
    let mut last = std::time::Instant::now();
    loop {
        let looks = freer().is_some_and(|freer| freer.looks.load(Ordering::SeqCst));
        let next = if looks { freed.recv_timeout(LOOK).ok() } else { freed.recv().ok() };
        next.into_iter().for_each(give_back_all);
        if last.elapsed() >= LOOK
            && let Some(Freer { cache, looks, .. }) = freer()
        {
            last = std::time::Instant::now();
            cache.not_needed().into_iter().for_each(give_back_all);
            // Whoever gives something from here on is seen, or wakes this thread.
            looks.store(false, Ordering::SeqCst);
            if !cache.is_empty() {
                looks.store(true, Ordering::SeqCst);
            }
        }
    }
}

/// Gives the pages of these bytes back in pieces, so that little is left to do when the allocator gets to it.
fn give_back_all(mut bytes: Vec<u8>) {
    let page = rustix::param::page_size();
    bytes.clear();
    let room = bytes.spare_capacity_mut();
    let skip = room.as_ptr().addr().next_multiple_of(page) - room.as_ptr().addr();
    let whole = room.get_mut(skip..).unwrap_or_default();
    let length = whole.len() / page * page;
    for piece in whole[..length].chunks_mut(Large::PIECE) {
        // SAFETY: whole pages of memory that is ours and holds nothing any more; they read as zeros afterwards.
        let given = unsafe {
            rustix::mm::madvise(piece.as_mut_ptr().cast(), piece.len(), rustix::mm::Advice::LinuxDontNeed)
        };
        if given.is_err() {
            // Then the allocator does what it can.
            return;
        }
    }
}

impl Drop for Large {
    fn drop(&mut self) {
        if self.0.capacity() < cache::LEAST {
            return;
        }
        let Some(freer) = freer() else { return };
        match freer.cache.give(std::mem::take(&mut self.0)) {
            Ok(()) if freer.looks.swap(true, Ordering::SeqCst) => {}
            // It is to wake up.
            Ok(()) => drop(freer.sender.send(Vec::new())),
            // If nobody takes them, they are freed here.
            Err(bytes) if bytes.capacity() >= Self::MANY => drop(freer.sender.send(bytes)),
            Err(_) => {}
        }
    }
}

impl From<Vec<u8>> for Large {
    fn from(bytes: Vec<u8>) -> Large {
        Large(bytes)
    }
}

impl AsRef<[u8]> for Large {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Deref for Large {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Large {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

/// When to give memory back: the allocator does so while it works, and an idle shard does not work.
#[derive(Debug, Default)]
pub(crate) struct Trim {
    /// The most jobs since memory was last given back.
    peak: u64,
    /// When there were first less than half of that.
    since: Option<Instant>,
}

impl Trim {
    /// Fewer jobs than this are no matter.
    const FEW: u64 = 10_000;
    /// How long the number of jobs must have been low, so that a queue that goes up and down keeps its memory.
    const PATIENCE: Duration = Duration::from_secs(1);

    /// Notes how many jobs there are.
    #[inline]
    pub(crate) fn look(&mut self, jobs: u64, now: Instant) {
        if jobs >= self.peak {
            self.peak = jobs;
        }
        if self.peak < Self::FEW || jobs > self.peak / 2 {
            self.since = None;
        } else if self.since.is_none() {
            self.since = Some(now);
        }
    }

    /// When to call [`Trim::act`].
    #[inline]
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.since.map(|since| since.after(Self::PATIENCE))
    }

    /// Gives memory back, if it is time.
    #[inline]
    pub(crate) fn act(&mut self, jobs: u64, now: Instant) {
        if self.deadline().is_some_and(|at| at <= now) {
            give_back();
            (self.peak, self.since) = (jobs, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of memory that this process has.
    fn resident() -> u64 {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * rustix::param::page_size() as u64
    }

    #[test]
    fn what_is_large_is_given_back_by_another_thread() {
        const LENGTH: usize = 512 << 20;
        Large::have_freed(u64::MAX);
        let shared = Large::from(vec![7; LENGTH]).into_shared();
        let other = shared.slice(5..);
        drop(shared);
        let before = resident();
        assert!(other.iter().all(|&byte| byte == 7) && before > LENGTH as u64);
        drop(other);
        let begin = std::time::Instant::now();
        while resident() > before - LENGTH as u64 / 2 {
            assert!(begin.elapsed() < Duration::from_secs(30), "{} of {before} bytes", resident());
            thread::sleep(Duration::from_millis(5));
        }
        // Whatever its beginning, end and length.
        for length in [Large::MANY, Large::MANY + 1, 3 * Large::MANY + 5000] {
            give_back_all(vec![1; length]);
            drop(Large::from(vec![1; length]));
        }
    }

    #[test]
    fn memory_is_given_back_a_second_after_half_of_the_jobs_have_gone() {
        let second = |n: u64| Instant(n * 1_000_000_000);
        let mut trim = Trim::default();
        trim.look(100_000, second(1));
        trim.look(60_000, second(2));
        assert_eq!(trim.deadline(), None);
        trim.look(40_000, second(3));
        trim.look(30_000, second(4));
        assert_eq!(trim.deadline(), Some(second(4)));
        trim.look(70_000, second(4));
        assert_eq!(trim.deadline(), None);
        trim.look(40_000, second(5));
        trim.act(40_000, second(6));
        assert_eq!(trim.deadline(), None);
        trim.look(30_000, second(7));
        assert_eq!(trim.deadline(), None);
        trim.look(100, second(8));
        assert_eq!(trim.deadline(), Some(second(9)));
        let mut few = Trim::default();
        few.look(9_999, second(1));
        few.look(0, second(2));
        assert_eq!(few.deadline(), None);
    }
}
