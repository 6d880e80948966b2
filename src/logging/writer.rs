//! The thread that writes the log, and the queue to it. Whoever has something to say pushes a line and goes on; what finds
//! no room is dropped and counted, and a line says so. With nothing to write the thread sleeps.
use super::level::Level;
use super::line::LogLine;
use super::lost::DROPPED;
use super::sink::Sinks;
use crossbeam_queue::SegQueue;
use jiff::Zoned;
use nix::sys::signal::{SigSet, SigmaskHow};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, Thread};
use std::time::Duration;

/// Memory that a line takes besides its bytes, about.
const LINE_OVERHEAD: usize = 64;
/// How long [`flush`] waits at most.
const FLUSH_MAX: Duration = Duration::from_secs(2);
/// Bytes written at a time.
const PIECE: usize = 64 << 10;

/// What waits to be done, in order.
enum LogEntry {
    Line(Level, String),
    Reopen,
    Flush(SyncSender<()>),
}

struct LogQueue {
    entries: SegQueue<LogEntry>,
    /// Bytes of the lines in it.
    bytes: AtomicUsize,
    bytes_max: usize,
    /// Lines dropped since a line said so.
    dropped: AtomicU64,
    thread: OnceLock<Thread>,
}

/// There is none before [`start`].
static QUEUE: OnceLock<LogQueue> = OnceLock::new();

/// Begins to write.
pub(super) fn start(sinks: Sinks, bytes_max: usize) {
    let queue = LogQueue {
        entries: SegQueue::new(),
        bytes: AtomicUsize::new(0),
        bytes_max,
        dropped: AtomicU64::new(0),
        thread: OnceLock::new(),
    };
    if QUEUE.set(queue).is_err() {
        return;
    }
    let Some(queue) = QUEUE.get() else { return };
    // The thread inherits that it leaves all signals to others.
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK);
    let spawned = thread::Builder::new().name("log".to_owned()).spawn(move || queue.serve(sinks));
    if let Ok(before) = before {
        // It was a mask a moment ago.
        let _ = before.thread_set_mask();
    }
    match spawned {
        // Nobody else sets it.
        Ok(thread) => drop(queue.thread.set(thread.thread().clone())),
        Err(error) => eprintln!("cannot start a thread for the log: {error}; there is no log"),
    }
}

/// Has a line written that ends in a line feed.
pub(super) fn write(level: Level, line: String) {
    if let Some(queue) = QUEUE.get() {
        queue.push(level, line);
    }
}

/// Has the file opened again when everything before is written.
pub(super) fn reopen() {
    if let Some(queue) = QUEUE.get() {
        queue.entries.push(LogEntry::Reopen);
        queue.wake();
    }
}

/// Waits until everything before is written, [`FLUSH_MAX`] at most.
pub(super) fn flush() {
    let Some(queue) = QUEUE.get() else { return };
    let Some(thread) = queue.thread.get() else { return };
    if thread.id() == thread::current().id() {
        return;
    }
    let (done, written) = sync_channel(1);
    queue.entries.push(LogEntry::Flush(done));
    queue.wake();
    // Where it cannot be written, there is nobody left to tell.
    let _ = written.recv_timeout(FLUSH_MAX);
}

impl LogQueue {
    fn push(&self, level: Level, line: String) {
        let size = line.len() + LINE_OVERHEAD;
        // A flood of lines about nothing much leaves room to say what is wrong.
        let reserve = if level <= Level::Error { self.bytes_max / 8 } else { 0 };
        if self.bytes.fetch_add(size, Ordering::Relaxed) + size > self.bytes_max + reserve {
            self.bytes.fetch_sub(size, Ordering::Relaxed);
            self.dropped.fetch_add(1, Ordering::Relaxed);
            DROPPED.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.entries.push(LogEntry::Line(level, line));
        self.wake();
    }

    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    fn serve(&self, mut sinks: Sinks) {
        let mut piece = String::new();
        loop {
            match self.entries.pop() {
                Some(LogEntry::Line(level, line)) => {
                    sinks.tell_syslog(level, &line);
                    piece.push_str(&line);
                    self.bytes.fetch_sub(line.len() + LINE_OVERHEAD, Ordering::Relaxed);
                    if piece.len() >= PIECE {
                        self.finish(&mut sinks, &mut piece);
                    }
                }
                Some(LogEntry::Reopen) => {
                    self.finish(&mut sinks, &mut piece);
                    let strayed = sinks.reopen();
                    if strayed > 0 {
                        let message =
                            format!("{strayed} lines went to standard error: this file could not be opened");
                        piece.push_str(&own_line(&mut sinks, &message, line!()));
                    }
                }
                Some(LogEntry::Flush(done)) => {
                    self.finish(&mut sinks, &mut piece);
                    // Whoever waited may have given up.
                    let _ = done.try_send(());
                }
                None if !piece.is_empty() => self.finish(&mut sinks, &mut piece),
                None => thread::park(),
            }
        }
    }

    /// Writes a piece, and before it that lines were dropped, if so. What cannot be written counts as dropped.
    fn finish(&self, sinks: &mut Sinks, piece: &mut String) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let notice = notice(sinks, dropped);
            piece.insert_str(0, &notice);
        }
        let written = sinks.write(piece);
        if !written {
            let lines = piece.lines().count() as u64 - u64::from(dropped > 0);
            DROPPED.fetch_add(lines, Ordering::Relaxed);
            self.dropped.fetch_add(dropped + lines, Ordering::Relaxed);
        }
        piece.clear();
        piece.shrink_to(PIECE);
    }
}

/// The line that says how many were dropped.
fn notice(sinks: &mut Sinks, dropped: u64) -> String {
    let message = format!(
        "{dropped} lines of the log were dropped: they came faster than they could be written (--max-log-queue)"
    );
    own_line(sinks, &message, line!())
}

/// A line about the log itself, an error. Syslog hears it, too.
fn own_line(sinks: &mut Sinks, message: &str, line: u32) -> String {
    let (level, time, shard) = (Level::Error, &Zoned::now(), None);
    let line = LogLine { level, time, microseconds: false, shard, message, file: file!(), line };
    let line = line.to_string();
    sinks.tell_syslog(level, &line);
    line
}
