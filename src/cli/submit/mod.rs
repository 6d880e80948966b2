//! `ringgear submit`: jobs from a shell: from words, from standard input, or one a line. Works with any job server. What becomes of
//! what is heard of the jobs stands in `answers.rs`, where workloads come from in `input.rs`.
mod answers;
mod input;

use super::reach::{JobServer, NoAnswer, ServerWords};
use super::talk::{Heard, Talk};
use super::words;
use crate::protocol::{ARGUMENT_MAX, PACKET_MAX, Priority, Request, Response, Submit, UNIQUE_MAX};
use answers::{Answers, Stop, Wanted};
use clap::{Command, CommandFactory, Parser};
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const NAME: &str = "ringgear submit";

/// How long a connection may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// There is no job server, or no more.
const UNREACHABLE: u8 = 3;

/// Submits jobs, waits for them and prints their results
#[derive(Debug, Parser)]
#[command(name = "ringgear submit", disable_version_flag = true, max_term_width = 100)]
struct SubmitLine {
    #[command(flatten)]
    server: ServerWords,

    /// Wait for no results, print handles
    #[arg(short, long)]
    background: bool,

    /// Which jobs go first
    #[arg(long, value_name = "WHICH", default_value = "normal", value_parser = ["high", "normal", "low"])]
    priority: String,

    /// What makes it one job with others that have the same; `-` is the workload itself
    #[arg(short, long)]
    unique: Option<OsString>,

    /// When it may run at the earliest, seconds since 1970 or, with a +, from now; waits for no result
    #[arg(long, value_name = "EPOCH|+SECONDS")]
    at: Option<String>,

    /// A job for each line of standard input, without its end; results are lines, in the same order
    #[arg(short, long, conflicts_with = "workloads")]
    lines: bool,

    /// How many jobs may be on their way at once
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=4096))]
    in_flight: u32,

    /// Seconds to wait for each job [default: for ever]
    #[arg(short, long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    timeout: Option<u64>,

    /// The longest workload and result, and the most that is kept of results that come before their turn
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20, value_parser = clap::value_parser!(u32).range(1024..=i64::from(PACKET_MAX)))]
    max_bytes: u32,

    /// What is to be done
    #[arg(value_name = "FUNCTION")]
    function: OsString,

    /// A job for each; without any, standard input is one
    #[arg(value_name = "WORKLOAD")]
    workloads: Vec<OsString>,
}

/// The words of `ringgear submit`, as completions and manual pages tell of them.
pub(super) fn command() -> Command {
    SubmitLine::command().name("submit")
}

/// `ringgear submit`: 0 if all was done, 1 if a job was not, 2 for a wrong line, 3 if there is no job server, or no more.
pub(super) fn run(words: impl Iterator<Item = OsString>) -> ExitCode {
    let line: SubmitLine = match words::read(NAME, words, words::USAGE) {
        Ok(line) => line,
        Err(status) => return status,
    };
    let (order, server, workloads) = match line.understood() {
        Ok(understood) => understood,
        Err(mistake) => return words::failed(NAME, words::USAGE, mistake),
    };
    match submit(&order, &server, workloads) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(failure) => words::failed(NAME, failure.status(), failure.told(&server)),
    }
}

/// What is the same for all jobs of a line.
#[derive(Debug)]
struct JobOrder {
    function: Vec<u8>,
    unique: Vec<u8>,
    priority: Priority,
    epoch: Option<String>,
    wanted: Wanted,
    in_flight: usize,
    timeout: Option<Duration>,
    max_bytes: u32,
}

impl SubmitLine {
    /// What the words mean together, or what is wrong with them.
    fn understood(self) -> Result<(JobOrder, JobServer, input::Workloads), String> {
        let function = words::function(&self.function)?.to_vec();
        let unique = self.unique.unwrap_or_default().into_vec();
        if unique.len() > UNIQUE_MAX {
            return Err(format!("the unique has {} bytes, at most {UNIQUE_MAX} are possible", unique.len()));
        }
        let background = self.background || self.at.is_some();
        let several = self.lines || self.workloads.len() > 1;
        if !unique.is_empty() && several && !background {
            return Err("several jobs with --unique could be one, whose result cannot be told apart; add --background, \
                        or submit one"
                .to_owned());
        }
        let priority = match self.priority.as_str() {
            "high" => Priority::High,
            "low" => Priority::Low,
            _ => Priority::Normal,
        };
        let epoch = self.at.as_deref().map(epoch).transpose()?;
        if epoch.is_some() && priority != Priority::Normal {
            return Err("a job with --at has always normal priority; leave --priority out".to_owned());
        }
        let max = self.max_bytes as usize;
        let workloads = match (self.lines, self.workloads.is_empty()) {
            (true, _) => input::lines(max),
            (false, true) => input::whole(max),
            (false, false) => {
                input::words(self.workloads.into_iter().map(OsStringExt::into_vec).collect(), max)
            }
        };
        let order = JobOrder {
            function,
            unique,
            priority,
            epoch,
            wanted: Wanted { background, lines: self.lines, kept_max: max },
            in_flight: self.in_flight as usize,
            timeout: self.timeout.map(Duration::from_secs),
            max_bytes: self.max_bytes,
        };
        Ok((order, self.server.job_server()?, workloads))
    }
}

/// The moment as the job server reads it: decimal seconds since 1970.
fn epoch(word: &str) -> Result<String, String> {
    let wrong =
        || format!("--at {word} is neither seconds since 1970 nor, with a + before them, seconds from now");
    let (from, number) = match word.strip_prefix('+') {
        Some(number) => {
            (SystemTime::now().duration_since(UNIX_EPOCH).map_err(|_| wrong())?.as_secs(), number)
        }
        None => (0, word),
    };
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let seconds: u64 = number.parse().map_err(|_| wrong())?;
    let epoch = from.checked_add(seconds).filter(|epoch| i64::try_from(*epoch).is_ok());
    epoch.map(|epoch| epoch.to_string()).ok_or_else(wrong)
}

/// Why it ended early. With how many jobs nobody has answered.
#[derive(Debug)]
enum SubmitFailure {
    /// Nobody could be reached.
    NoServer(NoAnswer),
    /// The connection ended, and why.
    Gone(String, usize),
    /// A job had no answer in time.
    TimedOut(Duration, usize),
    /// Too much came before its turn.
    KeptTooMuch(usize, usize),
    /// What it prints cannot be printed.
    Output(io::Error, usize),
}

impl SubmitFailure {
    fn status(&self) -> u8 {
        match self {
            SubmitFailure::NoServer(_) | SubmitFailure::Gone(..) => UNREACHABLE,
            _ => 1,
        }
    }

    fn told(self, server: &JobServer) -> impl fmt::Display {
        let (why, unanswered) = match self {
            SubmitFailure::NoServer(error) => return format!("{server}: {error}"),
            SubmitFailure::Gone(why, unanswered) => (format!("{server}: {why}"), unanswered),
            SubmitFailure::TimedOut(patience, unanswered) => {
                (format!("{server}: no answer within {} s", patience.as_secs()), unanswered)
            }
            SubmitFailure::KeptTooMuch(limit, unanswered) => {
                let advice = "let fewer jobs be on their way (--in-flight), or raise --max-bytes";
                (format!("results of more than {limit} bytes wait for an earlier one; {advice}"), unanswered)
            }
            SubmitFailure::Output(error, unanswered) => (format!("standard output: {error}"), unanswered),
        };
        let jobs = if unanswered == 1 { "1 job was".to_owned() } else { format!("{unanswered} jobs were") };
        format!("{why}; {jobs} not answered")
    }
}

/// What the main thread waits for.
enum SubmitNews {
    Workload(Vec<u8>),
    /// There are no more workloads; perhaps because of something.
    InputOver(Result<(), String>),
    Server(Heard),
}

/// Submits all of them. How many were not done.
fn submit(order: &JobOrder, server: &JobServer, workloads: input::Workloads) -> Result<u64, SubmitFailure> {
    let stream = server.connect(Instant::now() + CONNECT_PATIENCE).map_err(SubmitFailure::NoServer)?;
    let (tell, news) = sync_channel(4);
    let heard = tell.clone();
    // A packet has arguments beside what is counted.
    let limit = order.max_bytes.saturating_add(4 * ARGUMENT_MAX as u32).min(PACKET_MAX);
    let hear = move |said| heard.send(SubmitNews::Server(said)).is_ok();
    // Room for all that may be on their way, so that nobody waits here while the job server waits for us.
    let talk = Talk::begin(stream, limit, order.in_flight + 1, hear)
        .map_err(|error| SubmitFailure::Gone(error.to_string(), 0))?;
    if !order.wanted.background {
        talk.say(&Request::OptionReq { option: b"exceptions" });
    }
    let (permit, permits) = channel();
    grant(&permit, order.in_flight);
    let feeder = move || {
        let over = feed(workloads, &permits, |workload| tell.send(SubmitNews::Workload(workload)).is_ok());
        let _ = tell.send(SubmitNews::InputOver(over));
    };
    let feeding = thread::Builder::new().name("input".to_owned()).spawn(feeder);
    feeding.map_err(|error| SubmitFailure::Gone(error.to_string(), 0))?;
    conduct(order, &talk, &news, &permit)
}

/// Lets so many more jobs go.
fn grant(permit: &Sender<()>, count: usize) {
    for _ in 0..count {
        // There may be no more input.
        let _ = permit.send(());
    }
}

/// Hands on a workload for each permit.
fn feed(
    workloads: input::Workloads,
    permits: &Receiver<()>,
    mut hand: impl FnMut(Vec<u8>) -> bool,
) -> Result<(), String> {
    let mut workloads = workloads;
    while permits.recv().is_ok() {
        match workloads.next() {
            Some(workload) => {
                if !hand(workload?) {
                    break;
                }
            }
            None => break,
        }
    }
    Ok(())
}

fn conduct(
    order: &JobOrder,
    talk: &Talk,
    news: &Receiver<SubmitNews>,
    permit: &Sender<()>,
) -> Result<u64, SubmitFailure> {
    let mut answers = Answers::new(order.wanted);
    let mut input_over = false;
    let mut wrong_input = 0;
    while !(input_over && answers.unanswered() == 0) {
        match next(order, news, &answers)? {
            SubmitNews::Workload(workload) => {
                answers.submitted(Instant::now());
                talk.say(&Request::Submit(Submit {
                    function: &order.function,
                    unique: &order.unique,
                    workload: &workload,
                    priority: order.priority,
                    background: order.wanted.background,
                    epoch: order.epoch.as_deref().map(str::as_bytes),
                    reducer: None,
                }));
            }
            SubmitNews::InputOver(over) => {
                input_over = true;
                if let Err(why) = over {
                    words::told_of(NAME, why);
                    wrong_input = 1;
                }
            }
            SubmitNews::Server(Heard::Gone(why)) => {
                return Err(SubmitFailure::Gone(why, answers.unanswered()));
            }
            SubmitNews::Server(Heard::Packet(header, data)) => {
                let gone = |why: String, answers: &Answers| SubmitFailure::Gone(why, answers.unanswered());
                let response =
                    Response::decode(&header, &data).map_err(|error| gone(error.to_string(), &answers))?;
                let (mut out, mut err) = (Vec::new(), Vec::new());
                let ended = answers.hear(&response, &mut out, &mut err);
                let printed = io::stdout().write_all(&out).and_then(|()| io::stdout().flush());
                let _ = io::stderr().write_all(&err);
                printed.map_err(|error| SubmitFailure::Output(error, answers.unanswered()))?;
                let ended = ended.map_err(|stop| match stop {
                    Stop::KeptTooMuch => {
                        SubmitFailure::KeptTooMuch(order.wanted.kept_max, answers.unanswered())
                    }
                    Stop::Unasked => gone("it answers what was not asked".to_owned(), &answers),
                })?;
                grant(permit, ended);
            }
        }
    }
    Ok(answers.failed + wrong_input)
}

/// Waits for something, as long as the oldest job may take.
fn next(
    order: &JobOrder,
    news: &Receiver<SubmitNews>,
    answers: &Answers,
) -> Result<SubmitNews, SubmitFailure> {
    // The threads that tell are there as long as there is something to tell.
    let over = || SubmitFailure::Gone("it is no more".to_owned(), answers.unanswered());
    let Some((patience, oldest)) = order.timeout.zip(answers.oldest()) else {
        return news.recv().map_err(|_| over());
    };
    match news.recv_timeout((oldest + patience).saturating_duration_since(Instant::now())) {
        Ok(news) => Ok(news),
        Err(RecvTimeoutError::Timeout) => Err(SubmitFailure::TimedOut(patience, answers.unanswered())),
        Err(RecvTimeoutError::Disconnected) => Err(over()),
    }
}
