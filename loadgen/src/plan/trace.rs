//! A recorded mix of jobs: the file, checked line by line, and its lines in memory. What a plan makes of it stands in
//! `replay.rs`.
use std::collections::HashMap;
use std::fmt::Display;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use csv::{ByteRecord, ReaderBuilder, Trim};

use crate::job::payload::HEADER;
use crate::job::random::mix;
use crate::plan::choices::Urgency;
use crate::plan::most::{FUNCTIONS_MAX, JOBS_MAX, PAYLOAD_MAX};

/// The most lines of a file, so many jobs as a plan may have. Each takes 20 bytes of memory.
const LINES_MAX: usize = JOBS_MAX as usize;

/// The latest time, in seconds: eight days.
const TIME_MAX: f64 = 8.0 * 24.0 * 3600.0;

/// The longest service time, in milliseconds: an hour.
const SERVICE_MAX: f64 = 3_600_000.0;

/// The columns, those that may be missing last.
const COLUMNS: [&str; 6] = ["time", "function", "size", "service", "priority", "background"];
const NEEDED: usize = 4;

/// The functions of a file.
#[derive(Debug, PartialEq)]
pub(crate) struct Functions {
    /// Their names, as the file has them.
    pub(crate) names: Vec<String>,
    /// True if they are used as they stand; if not, the run's number is put before them.
    pub(crate) as_named: bool,
}

/// The jobs of a file that have one priority and are all waited for, or none.
#[derive(Debug, PartialEq)]
pub(crate) struct Lines {
    /// The functions of the whole file.
    pub(crate) functions: Arc<Functions>,
    /// The priority of all these jobs.
    pub(crate) priority: Urgency,
    /// True if nobody waits for them.
    pub(crate) background: bool,
    /// When each is due, in nanoseconds since the beginning, rising.
    times: Vec<u64>,
    /// What each is, in the same order.
    what: Vec<What>,
}

/// A job without its time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct What {
    /// The number of its function in [`Functions`].
    pub(crate) function: u32,
    /// Bytes of the workload.
    pub(crate) size: u32,
    /// Microseconds that it takes a worker.
    pub(crate) service: u32,
}

/// A file that was read.
#[derive(Debug)]
pub(crate) struct Trace {
    /// Its jobs, apart by priority and whether somebody waits for them; none is empty.
    pub(crate) kinds: Vec<Lines>,
    /// Its functions.
    pub(crate) functions: Arc<Functions>,
    /// Tells it from other files.
    pub(crate) sum: u64,
}

impl Lines {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.times.len()
    }

    /// Bytes of all workloads.
    pub(crate) fn bytes(&self) -> f64 {
        self.what.iter().map(|what| f64::from(what.size)).sum()
    }

    /// The smallest and the largest of something about the jobs.
    pub(crate) fn range(&self, of: impl Fn(&What) -> u32) -> (f64, f64) {
        let all = || self.what.iter().map(&of);
        (f64::from(all().min().unwrap_or(0)), f64::from(all().max().unwrap_or(0)))
    }

    /// Jobs that are due before `seconds`.
    pub(crate) fn before(&self, seconds: f64) -> f64 {
        self.times.partition_point(|time| (*time as f64) < seconds * 1e9) as f64
    }

    /// Seconds until the last is due.
    pub(crate) fn seconds(&self) -> f64 {
        self.times.last().map_or(0.0, |time| *time as f64 / 1e9)
    }

    /// When job `at` is due, in nanoseconds since the beginning.
    #[inline]
    pub(crate) fn time(&self, at: usize) -> Option<u64> {
        self.times.get(at).copied()
    }

    /// What job `at` is.
    #[inline]
    pub(crate) fn what(&self, at: usize) -> What {
        self.what.get(at).copied().unwrap_or_default()
    }

    /// Seconds of service of all.
    pub(crate) fn service(&self) -> f64 {
        self.what.iter().map(|what| f64::from(what.service) / 1e6).sum()
    }
}

/// Reads a file; jobs come `speed` times as fast as it says.
pub(crate) fn read(path: &Path, speed: f64, as_named: bool) -> Result<Trace, String> {
    let say = |error: &dyn Display| format!("{}: {error}", path.display());
    let file = File::open(path).map_err(|error| say(&error))?;
    parse(file, speed, as_named).map_err(|error| say(&error))
}

fn parse(from: impl Read, speed: f64, as_named: bool) -> Result<Trace, String> {
    let mut reader = ReaderBuilder::new().comment(Some(b'#')).trim(Trim::All).from_reader(from);
    let columns = columns(reader.byte_headers().map_err(|error| error.to_string())?)?;
    let mut builder = Builder { speed, ..Builder::default() };
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(|error| error.to_string())? {
        let line = record.position().map_or(0, csv::Position::line);
        let field = |column: usize| columns[column].and_then(|at| record.get(at)).unwrap_or_default();
        builder.take(&field).map_err(|error| format!("line {line}: {error}"))?;
    }
    builder.end(as_named)
}

/// Where each of [`COLUMNS`] stands.
fn columns(headers: &ByteRecord) -> Result<[Option<usize>; COLUMNS.len()], String> {
    let mut columns = [None; COLUMNS.len()];
    for (at, header) in headers.iter().enumerate() {
        let known = COLUMNS.iter().position(|name| name.as_bytes() == header);
        let header = String::from_utf8_lossy(header);
        match known {
            Some(known) if columns[known].is_none() => columns[known] = Some(at),
            Some(_) => return Err(format!("line 1: the column {header} is there twice")),
            None => {
                return Err(format!(
                    "line 1: `{header}` is no column; there are time, function, size and service, and priority and \
                     background if wanted"
                ));
            }
        }
    }
    match COLUMNS.iter().zip(&columns).take(NEEDED).find(|(_, at)| at.is_none()) {
        Some((name, _)) => {
            Err(format!("line 1: it needs a header with time, function, size and service; {name} is missing"))
        }
        None => Ok(columns),
    }
}

/// A file while it is read.
#[derive(Default)]
struct Builder {
    speed: f64,
    names: Vec<String>,
    numbers: HashMap<Vec<u8>, u32>,
    /// By priority, then those in the background.
    kinds: [(Vec<u64>, Vec<What>); 6],
    last: f64,
    lines: usize,
    sum: u64,
}

const PRIORITIES: [Urgency; 3] = [Urgency::High, Urgency::Normal, Urgency::Low];

impl Builder {
    fn take<'a>(&mut self, field: &impl Fn(usize) -> &'a [u8]) -> Result<(), String> {
        if self.lines == LINES_MAX {
            return Err(format!(
                "it has more than {LINES_MAX} jobs, each 20 bytes of memory; make it two files"
            ));
        }
        let time = number(field(0), "time", "seconds", TIME_MAX)?;
        if time < self.last {
            return Err(format!(
                "time {time} is before {}, that of the line above; sort the file by time",
                self.last
            ));
        }
        let function = self.function(field(1))?;
        let size = number(field(2), "size", "bytes", PAYLOAD_MAX)?;
        let service = number(field(3), "service", "milliseconds", SERVICE_MAX)?;
        let priority = match field(4) {
            b"high" => 0,
            b"" | b"normal" => 1,
            b"low" => 2,
            other => {
                return Err(format!(
                    "priority `{}` is none of high, normal and low",
                    String::from_utf8_lossy(other)
                ));
            }
        };
        let background = match field(5) {
            b"" | b"false" => 0,
            b"true" => 1,
            other => {
                return Err(format!(
                    "background `{}` is neither true nor false",
                    String::from_utf8_lossy(other)
                ));
            }
        };
        let (times, jobs) = &mut self.kinds[priority + 3 * background];
        let due = (time / self.speed * 1e9) as u64;
        let what = What {
            function,
            size: (size as u32).max(HEADER as u32),
            service: (service * 1000.0).round() as u32,
        };
        times.push(due);
        jobs.push(what);
        let kind = (priority + 3 * background) as u64;
        for part in [time.to_bits(), u64::from(what.size), u64::from(what.service), u64::from(function), kind]
        {
            self.sum = mix(self.sum ^ part);
        }
        (self.last, self.lines) = (time, self.lines + 1);
        Ok(())
    }

    fn function(&mut self, name: &[u8]) -> Result<u32, String> {
        if let Some(number) = self.numbers.get(name) {
            return Ok(*number);
        }
        let text =
            str::from_utf8(name).ok().filter(|text| (1..=100).contains(&text.len()) && !text.contains('\0'));
        let Some(text) = text else {
            return Err("function needs a name of 1 to 100 bytes of UTF-8 without NUL".to_owned());
        };
        if self.names.len() == FUNCTIONS_MAX as usize {
            return Err(format!("it has more than {FUNCTIONS_MAX} functions"));
        }
        let number = self.names.len() as u32;
        self.names.push(text.to_owned());
        self.numbers.insert(name.to_owned(), number);
        self.sum = name.iter().fold(self.sum, |sum, byte| mix(sum ^ u64::from(*byte)));
        Ok(number)
    }

    fn end(self, as_named: bool) -> Result<Trace, String> {
        if self.lines == 0 {
            return Err("there is no job in it, only a header".to_owned());
        }
        let functions = Arc::new(Functions { names: self.names, as_named });
        let mut kinds = vec![];
        for (kind, (mut times, mut what)) in self.kinds.into_iter().enumerate() {
            if times.is_empty() {
                continue;
            }
            times.shrink_to_fit();
            what.shrink_to_fit();
            let (priority, background) = (PRIORITIES[kind % 3], kind >= 3);
            kinds.push(Lines { functions: Arc::clone(&functions), priority, background, times, what });
        }
        Ok(Trace { kinds, functions, sum: self.sum })
    }
}

fn number(text: &[u8], column: &str, unit: &str, most: f64) -> Result<f64, String> {
    let number = str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok());
    number.filter(|number| (0.0..=most).contains(number)).ok_or_else(|| {
        let text = String::from_utf8_lossy(text);
        format!("{column} `{text}` is no number of {unit} from 0 to {most}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "time,function,size,service";

    fn refused(text: &str) -> String {
        parse(text.as_bytes(), 1.0, false).unwrap_err()
    }

    #[test]
    fn a_file_becomes_lines() {
        let text = "# A remark.\nfunction, time, size, service, background, priority\n\
                    a, 0, 100, 1.5, false, high\nb, 0.5, 0, 0, , \na, 0.5, 41, 2, true, low\nb, 2, 50, 0.001, false, normal\n";
        let trace = parse(text.as_bytes(), 2.0, false).unwrap();
        assert_eq!(trace.functions.names, ["a", "b"]);
        let kinds: Vec<_> =
            trace.kinds.iter().map(|kind| (kind.priority, kind.background, kind.len())).collect();
        assert_eq!(kinds, [(Urgency::High, false, 1), (Urgency::Normal, false, 2), (Urgency::Low, true, 1)]);
        let normal = &trace.kinds[1];
        assert_eq!(
            [normal.time(0), normal.time(1), normal.time(2)],
            [Some(250_000_000), Some(1_000_000_000), None]
        );
        // A payload has the job's number and checksum at least.
        assert_eq!(normal.what(0), What { function: 1, size: 40, service: 0 });
        assert_eq!(normal.what(1), What { function: 1, size: 50, service: 1 });
        assert_eq!((normal.before(0.25), normal.before(1.0), normal.before(1.01)), (0.0, 1.0, 2.0));
        assert_eq!(
            (normal.bytes(), normal.seconds(), normal.range(|what| what.size)),
            (90.0, 1.0, (40.0, 50.0))
        );
        assert_eq!(trace.kinds[0].what(0).service, 1500);
        let sum = |text: &str| parse(text.as_bytes(), 1.0, false).unwrap().sum;
        assert_eq!(sum(text), trace.sum);
        assert_ne!(sum(&text.replace("low", "high")), trace.sum);
    }

    #[test]
    fn errors_name_the_line_and_what_is_allowed() {
        for (text, wanted) in [
            ("", "time is missing"),
            ("time,function,size\n", "service is missing"),
            ("time,function,size,service,colour\n", "`colour` is no column"),
            ("time,function,size,time\n", "there twice"),
            (&format!("{HEAD}\n"), "no job in it"),
            (&format!("{HEAD}\n1,a,5,5\n0.5,a,5,5\n"), "line 3: time 0.5 is before 1"),
            (
                &format!("{HEAD}\n1,a,5,5\nx,a,5,5\n"),
                "line 3: time `x` is no number of seconds from 0 to 691200",
            ),
            (&format!("{HEAD}\nNaN,a,5,5\n"), "line 2: time"),
            (&format!("{HEAD}\n1,,5,5\n"), "line 2: function needs a name of 1 to 100 bytes"),
            (&format!("{HEAD}\n1,a,-5,5\n"), "line 2: size `-5` is no number of bytes"),
            (
                &format!("{HEAD}\n1,a,5,1e9\n"),
                "line 2: service `1e9` is no number of milliseconds from 0 to 3600000",
            ),
            (
                &format!("{HEAD},priority\n1,a,5,5,urgent\n"),
                "line 2: priority `urgent` is none of high, normal",
            ),
            (
                &format!("{HEAD},background\n1,a,5,5,yes\n"),
                "line 2: background `yes` is neither true nor false",
            ),
            (&format!("{HEAD}\n1,a,5\n"), "line: 2"),
        ] {
            let error = refused(text);
            assert!(error.contains(wanted), "{text:?}: {error}");
        }
        let error = read(Path::new("/none/such.csv"), 1.0, false).unwrap_err();
        assert!(error.starts_with("/none/such.csv: "), "{error}");
    }

    #[test]
    fn a_line_takes_twenty_bytes() {
        assert_eq!(size_of::<u64>() + size_of::<What>(), 20);
    }
}
