//! Jobs in flight and what is heard of them: prints results in the order in which the jobs were submitted, whatever the order of
//! their ends. Knows no socket, and no clock but in what it is handed.
use crate::protocol::Response;
use std::collections::{HashMap, VecDeque};
use std::time::Instant;

/// What to print of the jobs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// Handles only.
    pub(super) background: bool,
    /// Each result ends with a line feed, and jobs are called lines.
    pub(super) lines: bool,
    /// The most bytes of results that are kept until it is their turn.
    pub(super) kept_max: usize,
}

/// The job server, or what it was given, is not what we can go on with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Results that wait for their turn are too many bytes.
    KeptTooMuch,
    /// It answers what nobody asked.
    Unasked,
}

/// The jobs whose end has not been printed, the oldest first.
#[derive(Debug)]
pub(super) struct Answers {
    wanted: Wanted,
    /// The number of the oldest, from 1.
    first: u64,
    jobs: VecDeque<InFlight>,
    /// Numbers of those that have no handle yet; the job server answers in order.
    uncreated: VecDeque<u64>,
    handles: HashMap<Vec<u8>, u64>,
    /// Bytes in `kept` of all jobs.
    kept: usize,
    /// How many failed so far.
    pub(super) failed: u64,
}

#[derive(Debug)]
struct InFlight {
    sent: Instant,
    handle: Vec<u8>,
    /// What was heard of its result before its turn.
    kept: Vec<u8>,
    /// The last byte of its result so far.
    last: Option<u8>,
    ended: bool,
}

impl Answers {
    pub(super) fn new(wanted: Wanted) -> Answers {
        Answers {
            wanted,
            first: 1,
            jobs: VecDeque::new(),
            uncreated: VecDeque::new(),
            handles: HashMap::new(),
            kept: 0,
            failed: 0,
        }
    }

    /// A job was submitted.
    pub(super) fn submitted(&mut self, now: Instant) {
        self.uncreated.push_back(self.first + self.jobs.len() as u64);
        let job = InFlight { sent: now, handle: Vec::new(), kept: Vec::new(), last: None, ended: false };
        self.jobs.push_back(job);
    }

    /// How many have not ended.
    pub(super) fn unanswered(&self) -> usize {
        self.jobs.iter().filter(|job| !job.ended).count()
    }

    /// When the oldest that has not ended was submitted.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.jobs.front().map(|job| job.sent)
    }

    /// Takes what was heard: results go to `out`, warnings and failures to `err`. Says for how many jobs
    /// that was the end of what is to be printed.
    pub(super) fn hear(
        &mut self,
        response: &Response<'_>,
        out: &mut Vec<u8>,
        err: &mut Vec<u8>,
    ) -> Result<usize, Stop> {
        match *response {
            Response::JobCreated { handle } => {
                let number = self.uncreated.pop_front().ok_or(Stop::Unasked)?;
                if self.wanted.background {
                    self.add(number, handle, out)?;
                    self.add(number, b"\n", out)?;
                    return Ok(self.end(number, out));
                }
                self.job(number).handle = handle.to_vec();
                self.handles.insert(handle.to_vec(), number);
            }
            // A job server without exceptions.
            Response::Error { code: b"UNKNOWN_OPTION", .. } => {}
            Response::Error { code, text } => {
                // One that is about no job of ours tells of nothing that we did.
                let number = self.uncreated.pop_front().ok_or(Stop::Unasked)?;
                let why = [b"refused: ", code, b" ", text].concat();
                return Ok(self.fail(number, &why, out, err));
            }
            Response::WorkData { handle, data } => {
                if let Some(number) = self.handles.get(handle).copied() {
                    self.add(number, data, out)?;
                }
            }
            Response::WorkWarning { handle, data } if self.handles.contains_key(handle) => {
                err.extend_from_slice(data);
                end_line(err);
            }
            Response::WorkComplete { handle, result } => {
                if let Some(number) = self.handles.remove(handle) {
                    self.add(number, result, out)?;
                    if self.wanted.lines && self.job(number).last != Some(b'\n') {
                        self.add(number, b"\n", out)?;
                    }
                    return Ok(self.end(number, out));
                }
            }
            Response::WorkFail { handle } => {
                if let Some(number) = self.handles.remove(handle) {
                    return Ok(self.fail(number, b"failed", out, err));
                }
            }
            // Some workers send WORK_FAIL behind it, some do not: it is the end, and the rest is not heard.
            Response::WorkException { handle, exception } => {
                if let Some(number) = self.handles.remove(handle) {
                    let why = [b"exception: ", exception].concat();
                    return Ok(self.fail(number, &why, out, err));
                }
            }
            _ => {}
        }
        Ok(0)
    }

    fn job(&mut self, number: u64) -> &mut InFlight {
        // Numbers come from `uncreated` and `handles`, which name jobs in flight only.
        let index = usize::try_from(number - self.first).unwrap_or(usize::MAX);
        &mut self.jobs[index]
    }

    /// A piece of a result.
    fn add(&mut self, number: u64, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Stop> {
        if number == self.first {
            out.extend_from_slice(bytes);
        } else {
            self.kept += bytes.len();
            if self.kept > self.wanted.kept_max {
                return Err(Stop::KeptTooMuch);
            }
            self.job(number).kept.extend_from_slice(bytes);
        }
        let job = self.job(number);
        job.last = bytes.last().copied().or(job.last);
        Ok(())
    }

    fn fail(&mut self, number: u64, why: &[u8], out: &mut Vec<u8>, err: &mut Vec<u8>) -> usize {
        self.failed += 1;
        let word = if self.wanted.lines { "line" } else { "job" };
        let job = self.job(number);
        // What began as a line is to end as one; there is always room for that.
        let torn = job.last.is_some_and(|last| last != b'\n');
        let handle = job.handle.clone();
        if torn && self.wanted.lines {
            match number == self.first {
                true => out.push(b'\n'),
                false => {
                    self.kept += 1;
                    self.job(number).kept.push(b'\n');
                }
            }
        }
        err.extend_from_slice(format!("ringgear submit: {word} {number}").as_bytes());
        if !handle.is_empty() {
            err.extend_from_slice(&[b" (", &handle[..], b")"].concat());
        }
        err.extend_from_slice(b" ");
        err.extend_from_slice(why);
        end_line(err);
        self.end(number, out)
    }

    /// It is over; what waited for that is printed. How many jobs are over and printed by that.
    fn end(&mut self, number: u64, out: &mut Vec<u8>) -> usize {
        self.job(number).ended = true;
        let before = self.first;
        while self.jobs.front().is_some_and(|job| job.ended) {
            self.jobs.pop_front();
            self.first += 1;
            if let Some(next) = self.jobs.front_mut() {
                self.kept -= next.kept.len();
                out.append(&mut next.kept);
            }
        }
        usize::try_from(self.first - before).unwrap_or(usize::MAX)
    }
}

fn end_line(text: &mut Vec<u8>) {
    if text.last() != Some(&b'\n') {
        text.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(count: usize, background: bool) -> Answers {
        let mut answers = Answers::new(Wanted { background, lines: true, kept_max: 10 });
        (0..count).for_each(|_| answers.submitted(Instant::now()));
        answers
    }

    /// What is printed for these, in two parts.
    fn heard(answers: &mut Answers, responses: &[Response<'_>]) -> (String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        for response in responses {
            answers.hear(response, &mut out, &mut err).unwrap();
        }
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn results_stand_in_the_order_of_the_jobs() {
        let mut answers = answers(3, false);
        let created = [b"a", b"b", b"c"].map(|handle| Response::JobCreated { handle });
        assert_eq!(heard(&mut answers, &created), Default::default());
        let early = [
            Response::WorkData { handle: b"c", data: b"3" },
            Response::WorkComplete { handle: b"b", result: b"2\n" },
            Response::WorkWarning { handle: b"c", data: b"look" },
        ];
        assert_eq!(heard(&mut answers, &early), (String::new(), "look\n".to_owned()));
        assert_eq!(answers.unanswered(), 2);
        let first = Response::WorkComplete { handle: b"a", result: b"1" };
        assert_eq!(heard(&mut answers, &[first]).0, "1\n2\n3");
        let rest = [
            Response::WorkException { handle: b"c", exception: b"torn" },
            Response::WorkFail { handle: b"c" },
            Response::WorkData { handle: b"c", data: b"late" },
        ];
        let printed = ("\n".to_owned(), "ringgear submit: line 3 (c) exception: torn\n".to_owned());
        assert_eq!(heard(&mut answers, &rest), printed);
        assert_eq!((answers.unanswered(), answers.failed, answers.kept, answers.oldest()), (0, 1, 0, None));
    }

    #[test]
    fn refused_jobs_have_no_handle() {
        let mut answers = answers(2, true);
        let refused = Response::Error { code: b"queue_full", text: b"no more" };
        let responses = [refused, Response::JobCreated { handle: b"H:1" }];
        let printed =
            ("H:1\n".to_owned(), "ringgear submit: line 1 refused: queue_full no more\n".to_owned());
        assert_eq!(heard(&mut answers, &responses), printed);
        let unasked = answers.hear(&responses[1], &mut Vec::new(), &mut Vec::new());
        assert_eq!(unasked, Err(Stop::Unasked));
    }

    #[test]
    fn what_waits_for_its_turn_is_bounded() {
        let mut answers = answers(2, false);
        heard(&mut answers, &[b"a", b"b"].map(|handle| Response::JobCreated { handle }));
        let piece = Response::WorkData { handle: b"b", data: b"123456" };
        heard(&mut answers, &[piece]);
        let more = answers.hear(&piece, &mut Vec::new(), &mut Vec::new());
        assert_eq!(more, Err(Stop::KeptTooMuch));
    }
}
