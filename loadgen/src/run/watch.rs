//! Leads one phase from its first connection to its last answer: looks at the counts and at the job server's process every few
//! milliseconds, and decides when the phase is over, and what is missing then. It measures nothing itself.
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::machine::interrupt;
use crate::machine::memory::Memory;
use crate::machine::probe::{self, Look};
use crate::machine::server;
use crate::plan::terms::Phase;
use crate::run::gather::Gather;
use crate::run::kills::{Host, Kills};
use crate::run::meter::{End, Meter};
use crate::run::orders::Tick;
use crate::run::progress::{Glance, Progress};
use crate::run::stage::{Clock, Counts, Stage, Stand};
use crate::run::stalls::Stalls;

/// The longest wait for the job server to answer on a further connection, in nanoseconds: where each registers thousands of
/// functions, all of them may take minutes.
const CONNECT: u64 = 30_000_000_000;

/// How long an interrupted phase waits for what was sent, in nanoseconds.
const LAST: u64 = 1_000_000_000;

/// How often it looks.
const LOOK: Duration = Duration::from_millis(5);

/// Background jobs that are still in the queues, counted over all phases.
#[derive(Debug, Default)]
pub(crate) struct Queued {
    /// Accepted.
    pub(crate) created: u64,
    /// Of those given to workers.
    pub(crate) delivered: u64,
}

/// What goes on through all phases.
pub(crate) struct Ward<'a> {
    /// Jobs in the queues.
    pub(crate) queued: Queued,
    /// Of the job server, over time.
    pub(crate) memory: &'a mut Memory,
    /// Who is told.
    pub(crate) progress: &'a mut Progress,
    /// The job server's process.
    pub(crate) host: Host<'a>,
}

/// Why a phase ended although jobs are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The job server answers, and has none of them.
    Lost,
    /// It has so many of them, and gives them to nobody.
    Stuck(u64),
    /// It cannot be asked.
    Unknown,
}

/// What was seen of a phase from outside.
pub(crate) struct Seen {
    /// When measuring began.
    pub(crate) from: Meter,
    /// When it ended.
    pub(crate) to: Meter,
    /// Why nothing moved any more although not all was done.
    pub(crate) missing: Option<Missing>,
    /// How it ended.
    pub(crate) end: End,
}

/// Who leads a phase.
pub(crate) struct Watch<'a> {
    /// The phase.
    pub(crate) phase: &'a Phase,
    /// The job server.
    pub(crate) server: SocketAddr,
    /// Nanoseconds without any progress after which something is missing.
    pub(crate) patience: u64,
    /// All functions of the plan.
    pub(crate) functions: &'a [Box<[u8]>],
    /// The run's clock.
    pub(crate) clock: Clock,
    /// Where the load threads are told and tell.
    pub(crate) stand: &'a Stand,
    /// Connections.
    pub(crate) connections: u64,
    /// Nanoseconds from the last of them to the first job.
    pub(crate) lead: u64,
}

/// What is known while a phase goes on.
struct Course {
    start: u64,
    from_time: u64,
    stop: u64,
    limit: u64,
    from: Option<Meter>,
    to: Option<Meter>,
    peak: u64,
    /// The counts that last differed from those before, and when.
    last: Counts,
    moved: u64,
    /// Where the jobs are, while the job server is asked.
    asked: Option<mpsc::Receiver<Option<(u64, u64)>>>,
    interrupted: bool,
}

/// Why a phase is over.
enum Over {
    Done,
    Limit,
    Gone,
    Missing(Missing),
}

impl Watch<'_> {
    /// Leads it.
    ///
    /// # Errors
    /// When the job server does not answer, a load thread gives up, or somebody interrupts before the first job.
    pub(crate) fn lead(
        &self,
        ward: &mut Ward<'_>,
        gather: &mut Gather,
        ticks: &mpsc::Receiver<Tick>,
        failed: &dyn Fn() -> bool,
    ) -> io::Result<Seen> {
        ward.progress.say(&self.phase.name, "connecting");
        self.connect(ward, failed)?;
        let connected = ward.host.pid().and_then(Look::at);
        let mut course = self.begin(ward.host.pid(), connected.as_ref());
        let mut stalls = Stalls::new(course.start);
        let mut kills = Kills::new(self.clock, self.phase.kill_every, course.start, course.stop);
        let over = loop {
            thread::sleep(LOOK);
            while let Ok(tick) = ticks.try_recv() {
                gather.take(tick);
            }
            let now = self.clock.now();
            let counts = self.stand.counts();
            self.look(now, &mut course, ward);
            stalls.look(now, &counts);
            kills.look(now, &counts, &mut ward.host, self.server)?;
            ward.progress.show(&Glance {
                phase: self.phase,
                elapsed: now.saturating_sub(course.start),
                counts: &counts,
                latency: gather.latest(),
                stall: stalls.longest(),
                pid: ward.host.pid(),
            });
            if failed() {
                return Err(io::Error::other("a load thread gave up"));
            }
            if let Some(over) = self.over(now, &counts, &mut course, &ward.queued) {
                break over;
            }
        };
        let pid = ward.host.pid();
        let to = course.to.take().unwrap_or_else(|| Meter::read(self.clock.now(), pid, self.stand));
        let from = course.from.take().unwrap_or_else(|| to.clone());
        self.wind_down(ward);
        let gone = matches!(over, Over::Gone);
        let missing = match over {
            Over::Missing(missing) => Some(missing),
            Over::Gone => Some(Missing::Unknown),
            Over::Done | Over::Limit => None,
        };
        let end = End {
            finished: matches!(over, Over::Done | Over::Missing(_)) && !course.interrupted,
            gone,
            interrupted: course.interrupted,
            stall: stalls.longest(),
            kills: kills.end(),
            connected,
            peak: course.peak,
        };
        Ok(Seen { from, to, missing, end })
    }

    /// Waits until the job server has answered on all connections.
    fn connect(&self, ward: &mut Ward<'_>, failed: &dyn Fn() -> bool) -> io::Result<()> {
        let (mut deadline, mut fewest) = (0, u64::MAX);
        loop {
            let left = self.stand.counts().connecting;
            if left == 0 {
                return Ok(());
            }
            if left < fewest {
                (fewest, deadline) = (left, self.clock.now() + CONNECT);
            }
            if interrupt::caught().is_some() {
                return Err(io::Error::other("interrupted before the first job"));
            }
            if failed() {
                return Err(io::Error::other("a load thread could not connect"));
            }
            if self.clock.now() > deadline {
                return Err(io::Error::other(format!(
                    "the job server does not answer on {left} connections"
                )));
            }
            let pid = ward.host.pid();
            ward.memory.note(self.clock.now(), pid.and_then(probe::resident), || pid.and_then(probe::cpu));
            thread::sleep(LOOK);
        }
    }

    fn begin(&self, pid: Option<u32>, connected: Option<&Look>) -> Course {
        let start = self.clock.now() + self.lead;
        let from_time = start + (self.phase.warm_up * 1e9) as u64;
        let stop = self.phase.seconds.map_or(u64::MAX, |seconds| start + (seconds * 1e9) as u64);
        let limit = start + (self.phase.limit * 1e9) as u64;
        let from = (self.phase.warm_up == 0.0).then(|| Meter::read(start, pid, self.stand));
        self.stand.begin(start, from_time, stop);
        Course {
            start,
            from_time,
            stop,
            limit,
            from,
            to: None,
            peak: connected.map_or(0, |look| look.rss),
            last: Counts::default(),
            moved: start,
            asked: None,
            interrupted: false,
        }
    }

    /// Looks at the clock and at the process.
    fn look(&self, now: u64, course: &mut Course, ward: &mut Ward<'_>) {
        let pid = ward.host.pid();
        if !course.interrupted && interrupt::caught().is_some() {
            // Whatever was sent has a moment to be answered.
            course.interrupted = true;
            (course.stop, course.limit) = (course.stop.min(now), course.limit.min(now + LAST));
            self.stand.interrupt(now);
        }
        if course.from.is_none() && now >= course.from_time {
            course.from = Some(Meter::read(now, pid, self.stand));
        }
        if course.to.is_none() && now >= course.stop {
            course.to = Some(Meter::read(now, pid, self.stand));
        }
        let resident = pid.and_then(probe::resident);
        ward.memory.note(now, resident, || pid.and_then(probe::cpu));
        course.peak = course.peak.max(resident.unwrap_or(0));
    }

    /// Decides whether the phase is over.
    fn over(&self, now: u64, counts: &Counts, course: &mut Course, queued: &Queued) -> Option<Over> {
        if self.is_done(counts, queued, now, course.stop) {
            return Some(Over::Done);
        }
        // `spun` moves by itself.
        if (Counts { spun: 0, ..*counts }) != (Counts { spun: 0, ..course.last }) || now < course.start {
            (course.last, course.moved) = (*counts, now.max(course.start));
            course.asked = None;
        }
        if counts.broken > 0 && counts.broken == self.connections {
            return Some(Over::Gone);
        }
        // Nothing moves, nobody works, and yet something is missing.
        let missing = counts.outstanding > 0 || self.phase.drain && self.in_queues(counts, queued) > 0;
        let still = missing && counts.held == 0 && now > course.start;
        if still && now.saturating_sub(course.moved) > self.patience {
            let asked = course.asked.get_or_insert_with(|| self.ask());
            if let Ok(answer) = asked.try_recv() {
                (course.asked, course.moved) = (None, now);
                if let Some(missing) = answer.and_then(|answer| self.judge(answer)) {
                    return Some(Over::Missing(missing));
                }
            }
        }
        (now > course.limit).then_some(Over::Limit)
    }

    /// Asks the job server how many of the jobs it has, and at workers. It may take long to answer, so that another thread waits.
    fn ask(&self) -> mpsc::Receiver<Option<(u64, u64)>> {
        let (sender, receiver) = mpsc::channel();
        let (server, functions) = (self.server, self.functions.to_vec());
        // Nobody listens any more when jobs moved in between.
        thread::spawn(move || sender.send(server::queued(server, &functions)));
        receiver
    }

    /// What its answer means; `None` if it must be waited for.
    fn judge(&self, answer: (u64, u64)) -> Option<Missing> {
        match answer {
            (0, _) => Some(Missing::Lost),
            // Somebody else's workers.
            (_, 1..) => None,
            // There is nobody who could take them.
            (_, 0) if self.phase.workers.is_empty() => None,
            (total, 0) => Some(Missing::Stuck(total)),
        }
    }

    fn is_done(&self, counts: &Counts, queued: &Queued, now: u64, stop: u64) -> bool {
        (self.phase.seconds.is_none() || now >= stop)
            && counts.submitting == 0
            && counts.outstanding == 0
            && (!self.phase.drain || (self.in_queues(counts, queued) == 0 && counts.held == 0))
    }

    /// Background jobs that were accepted, in this phase or earlier ones, and not taken yet.
    fn in_queues(&self, counts: &Counts, queued: &Queued) -> u64 {
        let created = queued.created + counts.created_background;
        created.saturating_sub(queued.delivered + counts.delivered_background)
    }

    /// Lets workers finish, and ends the load threads.
    fn wind_down(&self, ward: &mut Ward<'_>) {
        self.stand.advance(Stage::Quiet);
        let deadline = self.clock.now() + self.patience;
        while self.stand.counts().busy_workers > 0 && self.clock.now() < deadline {
            let pid = ward.host.pid();
            ward.memory.note(self.clock.now(), pid.and_then(probe::resident), || pid.and_then(probe::cpu));
            thread::sleep(LOOK);
        }
        self.stand.advance(Stage::End);
    }
}
