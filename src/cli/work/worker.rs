//! The worker: asks for jobs as long as commands may be started, hands on their results, connects again when the job server is away, ends
//! in order after a signal. How a command is run stands in `command.rs`.
use super::super::reach::JobServer;
use super::super::talk::{Heard, Talk};
use super::super::words;
use super::command::{self, CommandEnd, CommandOrder, ShellJob};
use crate::protocol::{ARGUMENT_MAX, GrabKind, PACKET_MAX, Request, Response};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// What its lines begin with.
pub(super) const NAME: &str = "ringgear work";

/// How long a connection may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// The pause before the next attempt to connect: the first, and the longest.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// How long the job server may take for its last answers when the worker ends.
const LEAVE_PATIENCE: Duration = Duration::from_secs(5);

/// Requests that may wait to be written. Commands that print more wait.
const ROOM: usize = 64;

/// What the worker waits for. Connections have numbers: what an old one had to do with is of no use for a new one.
enum WorkNews {
    Heard(u64, Heard),
    /// A part of a result: connection, handle, bytes.
    Piece(u64, Vec<u8>, Vec<u8>),
    /// A command ended: connection, handle, how.
    Ended(u64, Vec<u8>, CommandEnd),
    /// A signal asked for the end.
    Signal,
}

/// What was asked of the job server last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Nothing,
    /// For a job; the answer is on its way.
    Grab,
    /// To be woken.
    Wake,
    /// For a sign that it has read everything, when all is done.
    Echo,
}

/// A worker that runs a command for each job.
pub(super) struct ShellWorker {
    server: JobServer,
    function: Vec<u8>,
    /// How many commands may run at once.
    count: usize,
    order: CommandOrder,
    tell: SyncSender<WorkNews>,
    news: Receiver<WorkNews>,
    talk: Option<Talk>,
    /// The number of the connection, or of the last.
    connection: u64,
    asked: Asked,
    running: usize,
    /// When to connect again, and the pause before the attempt after that.
    again: Instant,
    pause: Duration,
    /// It was told that the job server is away.
    away: bool,
    /// Set when no more jobs are to be taken, with the status to end with.
    ending: Option<ExitCode>,
    /// When the worker does not wait any longer for the job server.
    leave: Option<Instant>,
}

impl ShellWorker {
    /// Prepares one, and watches for signals.
    pub(super) fn new(
        server: JobServer,
        function: Vec<u8>,
        count: usize,
        order: CommandOrder,
    ) -> io::Result<ShellWorker> {
        let (tell, news) = sync_channel(4);
        watch(&order, tell.clone())?;
        Ok(ShellWorker {
            server,
            function,
            count,
            order,
            tell,
            news,
            talk: None,
            connection: 0,
            asked: Asked::Nothing,
            running: 0,
            again: Instant::now(),
            pause: PAUSE_MIN,
            away: false,
            ending: None,
            leave: None,
        })
    }

    /// Works until a signal comes, or the command cannot be started; says with which status to end.
    pub(super) fn work(mut self) -> io::Result<ExitCode> {
        loop {
            if let Some(status) = self.over() {
                return Ok(status);
            }
            if self.talk.is_none() && self.ending.is_none() && Instant::now() >= self.again {
                self.connect();
            }
            let absent = self.talk.is_none() && self.ending.is_none();
            let until = if absent { Some(self.again) } else { self.leave };
            let patience = until.map(|until| until.saturating_duration_since(Instant::now()));
            // Commands go on while nobody is there, and end.
            let news = match patience {
                Some(patience) => match self.news.recv_timeout(patience) {
                    Err(RecvTimeoutError::Timeout) => continue,
                    news => news.ok(),
                },
                None => self.news.recv().ok(),
            };
            // There is always one who could tell: the worker itself.
            if let Some(news) = news {
                self.hear(news);
            }
        }
    }

    /// Whether all is done: no command runs, and the job server has what it is to have.
    fn over(&mut self) -> Option<ExitCode> {
        let status = self.ending.filter(|_| self.running == 0)?;
        let Some(talk) = &self.talk else { return Some(status) };
        let leave = *self.leave.get_or_insert_with(|| Instant::now() + LEAVE_PATIENCE);
        if Instant::now() >= leave {
            return Some(status);
        }
        // A grab that is on its way may be answered with a job, which would have to wait for the end of the connection.
        if matches!(self.asked, Asked::Nothing | Asked::Wake) {
            talk.say(&Request::EchoReq { data: b"end" });
            self.asked = Asked::Echo;
        }
        None
    }

    /// Connects and says what the worker can do.
    fn connect(&mut self) {
        self.connection += 1;
        let (connection, tell) = (self.connection, self.tell.clone());
        let hear = move |heard| tell.send(WorkNews::Heard(connection, heard)).is_ok();
        // A packet has arguments beside what is counted.
        let limit = self.order.max_bytes.saturating_add(4 * ARGUMENT_MAX);
        let limit = u32::try_from(limit).unwrap_or(PACKET_MAX).min(PACKET_MAX);
        let connected = self.server.connect(Instant::now() + CONNECT_PATIENCE);
        let connected = connected.map_err(|error| error.to_string());
        let talk = connected
            .and_then(|stream| Talk::begin(stream, limit, ROOM, hear).map_err(|error| error.to_string()));
        match talk {
            Ok(talk) => {
                talk.say(&Request::CanDo { function: &self.function });
                self.talk = Some(talk);
                self.asked = Asked::Nothing;
                self.grab();
            }
            Err(why) => self.is_away(&why),
        }
    }

    /// Tells of it once, and lets the next attempt wait.
    fn is_away(&mut self, why: &str) {
        self.again = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        if !self.away {
            words::told_of(NAME, format_args!("{}: {why}; trying again until it is there", self.server));
            self.away = true;
        }
    }

    /// Asks for a job if one more can be done.
    fn grab(&mut self) {
        let wanted = self.asked == Asked::Nothing && self.running < self.count && self.ending.is_none();
        if let Some(talk) = self.talk.as_ref().filter(|_| wanted) {
            talk.say(&Request::Grab(GrabKind::Unique));
            self.asked = Asked::Grab;
        }
    }

    fn hear(&mut self, news: WorkNews) {
        match news {
            WorkNews::Signal => self.ending = self.ending.or(Some(ExitCode::SUCCESS)),
            WorkNews::Heard(connection, heard) if connection == self.connection => match heard {
                Heard::Packet(header, data) => match Response::decode(&header, &data) {
                    Ok(response) => self.answer(response),
                    Err(error) => self.lost(&error.to_string()),
                },
                Heard::Gone(why) => self.lost(&why),
            },
            WorkNews::Heard(..) => {}
            WorkNews::Piece(connection, handle, data) => {
                if let Some(talk) = self.talk.as_ref().filter(|_| connection == self.connection) {
                    talk.say(&Request::WorkData { handle: &handle, data: &data });
                }
            }
            WorkNews::Ended(connection, handle, end) => {
                self.running -= 1;
                self.ended(connection, &handle, end);
                self.grab();
            }
        }
    }

    /// The connection is no more; commands go on.
    fn lost(&mut self, why: &str) {
        if self.talk.take().is_some() && self.ending.is_none() {
            self.is_away(why);
        }
        self.asked = Asked::Nothing;
    }

    fn answer(&mut self, response: Response<'_>) {
        if self.away {
            words::told_of(NAME, format_args!("{}: it is there", self.server));
            self.away = false;
        }
        self.pause = PAUSE_MIN;
        match (response, self.asked) {
            (Response::JobAssignUniq { handle, function, unique, workload }, Asked::Grab) => {
                self.asked = Asked::Nothing;
                self.leave = None;
                self.start(ShellJob {
                    handle: handle.to_vec(),
                    function: function.to_vec(),
                    unique: unique.to_vec(),
                    workload: workload.to_vec(),
                });
                self.grab();
            }
            (Response::JobAssignUniq { .. }, _) => self.lost("it sent a job that nobody asked for"),
            (Response::NoJob, Asked::Grab) => {
                self.asked = Asked::Nothing;
                if let Some(talk) = self.talk.as_ref().filter(|_| self.ending.is_none()) {
                    talk.say(&Request::PreSleep);
                    self.asked = Asked::Wake;
                }
            }
            (Response::Noop, Asked::Wake) => {
                self.asked = Asked::Nothing;
                self.grab();
            }
            (Response::EchoRes { .. }, Asked::Echo) => self.talk = None,
            (Response::Error { code, text }, _) => {
                let (code, text) = (words::shown(code), words::shown(text));
                words::told_of(NAME, format_args!("{}: it says {code}: {text}", self.server));
            }
            _ => {}
        }
    }

    fn start(&mut self, job: ShellJob) {
        self.running += 1;
        let (connection, tell, order) = (self.connection, self.tell.clone(), self.order.clone());
        let handle = job.handle.clone();
        let doing = move || {
            let handle = job.handle.clone();
            let pieces = tell.clone();
            let piece = |data| {
                // The worker is there until all of its commands have ended.
                let _ = pieces.send(WorkNews::Piece(connection, handle.clone(), data));
            };
            let end = command::run(&order, job, piece);
            let _ = tell.send(WorkNews::Ended(connection, handle, end));
        };
        if let Err(error) = thread::Builder::new().name("job".to_owned()).spawn(doing) {
            self.running -= 1;
            self.ended(self.connection, &handle, CommandEnd::NotStarted(error.to_string()));
        }
    }

    fn ended(&mut self, connection: u64, handle: &[u8], end: CommandEnd) {
        let shown = words::shown(handle);
        let talk = self.talk.as_ref().filter(|_| connection == self.connection);
        match &end {
            CommandEnd::Failed(why) => words::told_of(NAME, format_args!("{shown} failed: {why}")),
            CommandEnd::NotStarted(why) => {
                // It would be so with every job. This one goes back to its queue with the end of the connection.
                words::told_of(NAME, why);
                self.ending = Some(ExitCode::FAILURE);
                return;
            }
            CommandEnd::Complete(_) => {}
        }
        match (talk, &end) {
            (None, _) => words::told_of(
                NAME,
                format_args!("{shown} ended after its connection, which has no use for it"),
            ),
            (Some(talk), CommandEnd::Complete(result)) => {
                talk.say(&Request::WorkComplete { handle, result });
            }
            (Some(talk), _) => talk.say(&Request::WorkFail { handle }),
        }
    }
}

/// Watches for signals: the first asks for an end in order, the second is one.
fn watch(order: &CommandOrder, tell: SyncSender<WorkNews>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let groups = order.groups.clone();
    let watching = move || {
        let mut tell = Some(tell);
        for signal in signals.forever() {
            match tell.take() {
                // By a thread of its own: the worker may be busy, and the second signal is not to wait for that.
                Some(tell) => drop(thread::spawn(move || drop(tell.send(WorkNews::Signal)))),
                None => {
                    let _all = groups.kill_all();
                    std::process::exit(128 + signal);
                }
            }
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(watching).map(drop)
}
