//! Why a function's jobs, or one job, do not move: a fixed list of reasons, looked through from the first to the last. What holds a function
//! back is what the engine's own gate says, by which jobs are given out; what is known besides comes from the same engine. Values in,
//! sentences out: who asks for the values is `case.rs`.
use super::names::readable;
use super::words::{count, lasting, time};
use crate::engine::report::{FunctionNumbers, JobFacts, JobPhase, ShutReason};
use crate::frontend::json;
use std::net::SocketAddr;

/// A worker that has not asked for a job for so many milliseconds, and holds none, is silent.
pub(super) const SILENT_MS: u64 = 60_000;
/// A worker that has held one job for so long, in milliseconds, is worth a word.
const LONG_MS: u64 = 600_000;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum VerdictLevel {
    /// All is as it should be.
    Ok,
    /// It will pass, or somebody wants it so.
    Wait,
    /// Somebody should do something.
    Bad,
}

impl VerdictLevel {
    pub(super) fn word(self) -> &'static str {
        match self {
            VerdictLevel::Ok => "ok",
            VerdictLevel::Wait => "wait",
            VerdictLevel::Bad => "bad",
        }
    }
}

/// One reason: a word for programs, a sentence or two for people, and what may be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) level: VerdictLevel,
    pub(super) code: &'static str,
    pub(super) text: String,
    pub(super) hints: Vec<String>,
}

impl Verdict {
    fn new(level: VerdictLevel, code: &'static str, text: String) -> Verdict {
        Verdict { level, code, text, hints: Vec::new() }
    }

    fn with(mut self, hint: impl Into<String>) -> Verdict {
        self.hints.push(hint.into());
        self
    }
}

/// A worker that is worth a word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OddWorker {
    /// Its session, by which it can be closed.
    pub(super) session: String,
    pub(super) address: Option<SocketAddr>,
    pub(super) id: Vec<u8>,
    /// For how long it has held its oldest job, or has asked for none; in milliseconds.
    pub(super) for_ms: u64,
    /// The job.
    pub(super) handle: String,
}

impl OddWorker {
    fn name(&self) -> String {
        let address = self.address.map_or_else(|| "somewhere".to_owned(), |address| address.to_string());
        match &self.id[..] {
            b"" => address,
            id => format!("{address} \"{}\"", readable(id)),
        }
    }
}

/// Workers of a function by what they do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Crew {
    pub(super) busy: u32,
    pub(super) asleep: u32,
    pub(super) woken: u32,
    pub(super) awake: u32,
    /// Of the busy ones, the one that has held a job longest.
    pub(super) longest: Option<OddWorker>,
    /// Of the awake ones, those that have not asked for a job for long; the first few.
    pub(super) silent: Vec<OddWorker>,
    /// There are more than were looked at.
    pub(super) more: bool,
}

impl Crew {
    fn all(&self) -> u32 {
        self.busy + self.asleep + self.woken + self.awake
    }
}

/// What is known of a function.
#[derive(Clone, Debug)]
pub(super) struct FunctionCase {
    pub(super) row: FunctionNumbers,
    pub(super) crew: Crew,
    /// Names like this one that have workers.
    pub(super) near: Vec<Vec<u8>>,
    /// Jobs accepted and ended a second, of late, if there is anything to tell.
    pub(super) rates: Option<(f64, f64)>,
    /// For how long the store has been busy with one commit, in milliseconds.
    pub(super) store_ms: u64,
}

/// Whether two names are so alike that one may be a mistake for the other: in case, in blanks at the end, in a prefix up to a tab or
/// colon, or in one character.
pub(super) fn are_near(one: &[u8], other: &[u8]) -> bool {
    if one == other {
        return false;
    }
    let bare = |name: &[u8]| {
        let end = name.trim_ascii();
        let start = end.iter().rposition(|byte| matches!(byte, b'\t' | b':')).map_or(0, |at| at + 1);
        (end.to_ascii_lowercase(), end[start..].to_ascii_lowercase())
    };
    let ((a, short_a), (b, short_b)) = (bare(one), bare(other));
    a == b || short_a == b || a == short_b || one_edit(&a, &b)
}

/// Whether one byte was added, left out, changed, or swapped with its neighbour.
fn one_edit(a: &[u8], b: &[u8]) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if long.len() - short.len() > 1 || long.len() < 3 {
        return false;
    }
    let same = short.iter().zip(long).take_while(|(a, b)| a == b).count();
    let (rest_short, rest_long) = (&short[same..], &long[same..]);
    if short.len() < long.len() {
        return rest_long[1..] == *rest_short;
    }
    let swapped = rest_short.len() >= 2
        && (rest_short[0], rest_short[1]) == (rest_long[1], rest_long[0])
        && rest_short[2..] == rest_long[2..];
    swapped || rest_short.get(1..) == rest_long.get(1..)
}

/// Why the jobs of a function do not move, the reason that matters most first.
pub(super) fn of_function(case: &FunctionCase) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let row = &case.row;
    let waiting: u64 = row.queued.iter().map(|&jobs| u64::from(jobs)).sum();
    match (waiting, row.shut) {
        (0, _) => verdicts.extend(nothing_waits(case)),
        (_, Some(ShutReason::Withheld)) => verdicts.push(held(case, waiting)),
        (_, Some(ShutReason::Paused)) => verdicts.extend(paused(case, waiting)),
        _ => {}
    }
    if waiting > 0 {
        verdicts.extend(crew(case, waiting));
    }
    verdicts.extend(aside(case, waiting));
    if row.dead > 0 {
        let text = format!("{} used up all attempts.", count(row.dead.into(), "job has", "jobs have"));
        let hint = format!("ringgear dead {0}; ringgear retry {0}", shown(&row.function));
        verdicts.push(Verdict::new(VerdictLevel::Bad, "dead", text).with(hint));
    }
    if verdicts.is_empty() {
        verdicts.push(Verdict::new(VerdictLevel::Ok, "no_jobs", "No job waits, and none runs.".to_owned()));
    }
    verdicts
}

/// So many jobs, and for how long.
fn who_waits(case: &FunctionCase, waiting: u64) -> String {
    let since = case.row.oldest_ms.map(|ms| format!(", the oldest for {}", lasting(ms))).unwrap_or_default();
    format!("{}{since}.", count(waiting, "job waits", "jobs wait"))
}

fn held(case: &FunctionCase, waiting: u64) -> Verdict {
    let text = format!(
        "{} This server cannot reach the store that it shares, and may not give out stored jobs until it can: another server may have \
         taken them over.",
        who_waits(case, waiting)
    );
    Verdict::new(VerdictLevel::Bad, "held", text).with("look at the database, and at the log of this server")
}

fn paused(case: &FunctionCase, waiting: u64) -> Option<Verdict> {
    let pause = case.row.paused.as_ref()?;
    let because = match &pause.reason[..] {
        b"" => String::new(),
        reason => format!(": {}", readable(reason)),
    };
    let until = pause.until.map(|until| format!(", until {}", time(until))).unwrap_or_default();
    let text = format!(
        "{} The function is paused by {} since {}{until}{because}.",
        who_waits(case, waiting),
        readable(&pause.by),
        time(pause.since),
    );
    let hint = format!("ringgear resume {}", shown(&case.row.function));
    Some(Verdict::new(VerdictLevel::Wait, "paused", text).with(hint))
}

fn nothing_waits(case: &FunctionCase) -> Option<Verdict> {
    let row = &case.row;
    if row.paused.is_some() {
        return paused(case, 0);
    }
    (row.running > 0).then(|| {
        let text = format!("No job waits; {} with workers.", count(row.running.into(), "job is", "jobs are"));
        with_longest(Verdict::new(VerdictLevel::Ok, "running", text), &case.crew)
    })
}

fn with_longest(mut verdict: Verdict, crew: &Crew) -> Verdict {
    if let Some(worker) = crew.longest.as_ref().filter(|worker| worker.for_ms >= LONG_MS) {
        verdict.text +=
            &format!(" {} has held {} for {}.", worker.name(), worker.handle, lasting(worker.for_ms));
        let hint = format!(
            "ringgear close {}: the job goes back to its queue, and one attempt is counted",
            worker.session
        );
        verdict = verdict.with(hint);
    }
    verdict
}

/// What workers there are for those who wait.
fn crew(case: &FunctionCase, waiting: u64) -> Option<Verdict> {
    let (row, crew) = (&case.row, &case.crew);
    let who = who_waits(case, waiting);
    if row.workers == 0 {
        return Some(nobody(case, &who));
    }
    // What holds the gate shut was told.
    row.shut.is_none().then_some(())?;
    if crew.busy == crew.all() && !crew.more && crew.busy > 0 {
        let all = if crew.busy == 1 {
            "Its only worker is".to_owned()
        } else {
            format!("All {} workers are", crew.busy)
        };
        let verdict =
            Verdict::new(VerdictLevel::Wait, "all_busy", format!("{who} {all} busy.{}", pace(case)));
        return Some(with_longest(verdict, crew).with("start more workers, or faster ones"));
    }
    if !crew.silent.is_empty() && crew.asleep == 0 && crew.woken == 0 {
        return Some(silent(crew, &who));
    }
    let slower = case.rates.is_some_and(|(came, ended)| came > ended * 1.05 && came > 0.1);
    if crew.busy > 0 && crew.asleep == 0 && slower {
        let verdict = Verdict::new(
            VerdictLevel::Bad,
            "slower_than_inflow",
            format!("{who} Not enough workers.{}", pace(case)),
        );
        return Some(with_longest(verdict, crew));
    }
    if crew.woken > 0 && crew.asleep == 0 {
        let text = format!(
            "{who} {} woken and will ask for it.",
            count(crew.woken.into(), "worker was", "workers were")
        );
        return Some(Verdict::new(VerdictLevel::Wait, "woken", text));
    }
    let text = format!(
        "{who} Workers take them: {} busy, {} asleep, {} on their way.{}",
        crew.busy,
        crew.asleep,
        crew.woken + crew.awake,
        pace(case)
    );
    Some(Verdict::new(VerdictLevel::Ok, "moving", text))
}

fn silent(crew: &Crew, who: &str) -> Verdict {
    let names: Vec<String> = crew
        .silent
        .iter()
        .map(|worker| format!("{} for {}", worker.name(), lasting(worker.for_ms)))
        .collect();
    let text = format!(
        "{who} {} know the function, but hold none of its jobs and have asked for none: they hang, or are busy with another function. {}.",
        count(crew.silent.len() as u64, "worker", "workers"),
        names.join(", ")
    );
    let sessions: Vec<&str> = crew.silent.iter().map(|worker| &worker.session[..]).collect();
    Verdict::new(VerdictLevel::Bad, "silent", text).with(format!("ringgear close {}", sessions.join(" ")))
}

fn nobody(case: &FunctionCase, who: &str) -> Verdict {
    let near: Vec<String> = case.near.iter().map(|name| format!("\"{}\"", readable(name))).collect();
    let (code, text) = match case.row.unattended_ms {
        Some(ms) => {
            let text = format!("{who} No worker knows this function; the last one left {} ago.", lasting(ms));
            ("workers_left", text)
        }
        None => ("no_worker_ever", format!("{who} No worker has ever registered this name.")),
    };
    let verdict = Verdict::new(VerdictLevel::Bad, code, text);
    match near.is_empty() {
        true => verdict.with("start a worker for it"),
        false => {
            let text = format!("{} There are workers for {}.", verdict.text, near.join(", "));
            Verdict { text, ..verdict }.with("compare the names in client and worker")
        }
    }
}

/// How fast it goes, as far as that is known.
fn pace(case: &FunctionCase) -> String {
    let Some((came, ended)) = case.rates else { return String::new() };
    format!(" {came:.1} jobs come and {ended:.1} are done each second.")
}

/// Jobs that wait for something else than a worker.
fn aside(case: &FunctionCase, waiting: u64) -> Vec<Verdict> {
    let row = &case.row;
    let mut verdicts = Vec::new();
    if row.storing > 0 {
        let text = format!(
            "{} for the store to keep them{}.",
            count(row.storing.into(), "job waits", "jobs wait"),
            if case.store_ms > 0 {
                format!("; it has been busy with one commit for {}", lasting(case.store_ms))
            } else {
                String::new()
            }
        );
        let level = if case.store_ms > 1000 { VerdictLevel::Bad } else { VerdictLevel::Wait };
        verdicts.push(Verdict::new(level, "storing", text));
    }
    if row.scheduled > 0 {
        let text = format!("{} for their time.", count(row.scheduled.into(), "job waits", "jobs wait"));
        verdicts.push(Verdict::new(VerdictLevel::Ok, "scheduled", text));
    }
    if row.abandoned > 0 {
        let text = format!(
            "{} by all their clients; a worker that looks for jobs has them dropped.",
            count(row.abandoned.into(), "job was left", "jobs were left")
        );
        verdicts.push(Verdict::new(VerdictLevel::Ok, "abandoned", text));
    }
    let most = row.limits.iter().copied().filter(|&limit| limit > 0).min();
    let total = waiting + u64::from(row.running) + u64::from(row.scheduled) + u64::from(row.storing);
    if let Some(limit) = most.filter(|&limit| total >= u64::from(limit)) {
        let text =
            format!("Submissions are refused: the function has {total} jobs, and maxqueue allows {limit}.");
        verdicts.push(Verdict::new(VerdictLevel::Bad, "queue_full", text));
    }
    verdicts
}

/// What is said of a function that nobody has used.
pub(super) fn of_nothing(near: &[Vec<u8>]) -> Verdict {
    let text = "There is no function of this name: no job was submitted and no worker has registered for it."
        .to_owned();
    let verdict = Verdict::new(VerdictLevel::Wait, "unknown_function", text);
    match near.is_empty() {
        true => verdict,
        false => {
            let near: Vec<String> = near.iter().map(|name| format!("\"{}\"", readable(name))).collect();
            let text = format!("{} There is {}.", verdict.text, near.join(", "));
            Verdict { text, ..verdict }
        }
    }
}

/// Why a job does not move. Where that is its function's affair, `function` says why.
pub(super) fn of_job(job: &JobFacts, handle: &str, function: &[Verdict]) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    if job.disowned {
        let text =
            "Another server has taken over this job; it goes on here only for those who wait for its result."
                .to_owned();
        verdicts.push(Verdict::new(VerdictLevel::Wait, "taken_over", text));
    }
    if job.cancelled {
        let text =
            "It was cancelled while it ran: its worker goes on, and nobody hears the result.".to_owned();
        verdicts.push(Verdict::new(VerdictLevel::Wait, "cancelled", text));
    }
    verdicts.push(own_reason(job, handle));
    if matches!(job.phase, JobPhase::Queued { .. } | JobPhase::Withheld { .. }) {
        let about_waiting = |verdict: &&Verdict| {
            !matches!(verdict.code, "dead" | "scheduled" | "abandoned" | "queue_full" | "storing")
        };
        let own = verdicts.len();
        verdicts.extend(function.iter().filter(about_waiting).cloned());
        // What holds everything up comes before the place in the queue.
        if verdicts.get(own).is_some_and(|first| first.level > VerdictLevel::Ok) {
            verdicts.rotate_left(own);
        }
    }
    verdicts
}

fn own_reason(job: &JobFacts, handle: &str) -> Verdict {
    let verdict = Verdict::new;
    match &job.phase {
        JobPhase::Queued { waited_ms, before, more_urgent } => {
            let place = match before {
                Some(0) => "is next of its priority".to_owned(),
                Some(jobs) => format!("stands behind {}", count((*jobs).into(), "job", "jobs")),
                None => "stands behind very many jobs".to_owned(),
            };
            let urgent = match more_urgent {
                0 => String::new(),
                jobs => format!(
                    ", and {} of higher priority before it",
                    count((*jobs).into(), "job goes", "jobs go")
                ),
            };
            let code =
                if *more_urgent > 0 && *before == Some(0) { "higher_priority_first" } else { "in_queue" };
            let text = format!("It has waited for {}, and {place}{urgent}.", lasting(*waited_ms));
            verdict(VerdictLevel::Ok, code, text)
        }
        JobPhase::Withheld { waited_ms } => {
            let text = format!(
                "It has waited for {}. This server cannot reach the store that it shares, and may not give out stored jobs until it can.",
                lasting(*waited_ms)
            );
            verdict(VerdictLevel::Bad, "held", text)
        }
        JobPhase::Scheduled { due } => {
            let text = format!("It is not to run before {}.", time(*due));
            verdict(VerdictLevel::Ok, "scheduled", text)
        }
        JobPhase::Abandoned => {
            let text = "All its clients have left, and nobody submitted it in the background: it is dropped when a worker looks for jobs.";
            verdict(VerdictLevel::Ok, "abandoned", text.to_owned())
        }
        JobPhase::Storing { late, asked_ms } => {
            let text = format!(
                "The store was asked {} ago to keep it, and has not answered{}.",
                lasting(*asked_ms),
                if *late { "; whoever submitted it was refused meanwhile" } else { "" }
            );
            verdict(if *late { VerdictLevel::Bad } else { VerdictLevel::Wait }, "storing", text)
        }
        JobPhase::Running { .. } => running(job),
        JobPhase::Dead { reason, at, address, worker } => {
            let how = match reason {
                crate::engine::DeathReason::WorkerGone => "its worker left",
                crate::engine::DeathReason::AbilityDropped => "its worker gave up the function",
                crate::engine::DeathReason::TimedOut => "its worker took too long",
            };
            let worker = OddWorker { id: worker.to_vec(), ..OddWorker::default() };
            let who = match &worker.id[..] {
                b"" => address.to_canonical().to_string(),
                id => format!("{} \"{}\"", address.to_canonical(), readable(id)),
            };
            let text = format!(
                "It is dead since {}: {} lost, the last one because {how} ({who}).",
                time(*at),
                count(job.attempts.into(), "attempt was", "attempts were"),
            );
            verdict(VerdictLevel::Bad, "dead", text).with(format!("ringgear retry {handle}"))
        }
    }
}

fn running(job: &JobFacts) -> Verdict {
    let JobPhase::Running { session, address, worker, ran_ms, left_ms, lost } = &job.phase else {
        return Verdict::new(VerdictLevel::Ok, "running", "It runs.".to_owned());
    };
    let who = OddWorker {
        session: json::session_name(*session),
        address: *address,
        id: worker.to_vec(),
        ..OddWorker::default()
    };
    if *lost {
        let text = format!("{} had it and has left: it goes back to its queue.", who.name());
        return Verdict::new(VerdictLevel::Ok, "worker_lost", text);
    }
    let status = match (job.numerator, job.denominator) {
        (0, 0) => String::new(),
        (numerator, denominator) => format!(", and has said {numerator} of {denominator}"),
    };
    let left = left_ms.map(|ms| format!("; its time is up in {}", lasting(ms))).unwrap_or_default();
    let text = format!("{} has it for {}{status}{left}.", who.name(), lasting(*ran_ms));
    let long = *ran_ms >= LONG_MS;
    let verdict = Verdict::new(if long { VerdictLevel::Wait } else { VerdictLevel::Ok }, "running", text);
    match long {
        true => verdict.with(format!("ringgear close {}: the job goes back to its queue", who.session)),
        false => verdict,
    }
}

/// A name as it is written on a command line.
fn shown(name: &[u8]) -> String {
    let name = readable(name);
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./:@%+=,".contains(character);
    if !name.is_empty() && name.chars().all(plain) {
        name
    } else {
        format!("'{}'", name.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests;
