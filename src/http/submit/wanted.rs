//! What a request wants to be submitted, in the query or as JSON. Whether it may be is asked elsewhere.
use super::super::bounds::SUBMITS_MAX;
use super::super::target::RequestTarget;
use crate::protocol::{ARGUMENT_MAX, Priority, Submit, UNIQUE_MAX};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What can be said of a job, in the query and in JSON.
const WORDS: [&str; 6] = ["function", "unique", "priority", "background", "at", "in"];

/// A job to be.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct WantedJob {
    pub(in super::super) function: Vec<u8>,
    unique: Vec<u8>,
    priority: Priority,
    pub(in super::super) background: bool,
    /// Decimal seconds since 1970.
    epoch: Option<String>,
    workload: Bytes,
}

/// One, or many that nobody waits for.
#[derive(Debug)]
pub(super) enum WantedJobs {
    One(WantedJob),
    Many(Vec<WantedJob>),
}

impl WantedJobs {
    pub(super) fn jobs(&self) -> &[WantedJob] {
        match self {
            WantedJobs::One(job) => std::slice::from_ref(job),
            WantedJobs::Many(jobs) => jobs,
        }
    }
}

impl WantedJob {
    /// Bytes of a packet that submits it.
    pub(super) fn len(&self) -> usize {
        self.function.len() + self.unique.len() + self.workload.len() + 2
    }

    pub(in super::super) fn submit(&self) -> Submit<'_> {
        Submit {
            function: &self.function,
            unique: &self.unique,
            workload: &self.workload,
            priority: self.priority,
            background: self.background,
            epoch: self.epoch.as_deref().map(str::as_bytes),
            reducer: None,
        }
    }

    /// What `word` says under each name. An error is one sentence.
    pub(in super::super) fn of(
        word: impl Fn(&str) -> Option<Vec<u8>>,
        workload: Bytes,
    ) -> Result<WantedJob, String> {
        let text = |name: &str| word(name).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let function = word("function").ok_or("function is missing: name it")?;
        if function.is_empty() || function.len() >= ARGUMENT_MAX || function.contains(&0) {
            return Err(format!("function is a name of 1 to {} bytes, none of them 0", ARGUMENT_MAX - 1));
        }
        let unique = word("unique").unwrap_or_default();
        if unique.len() > UNIQUE_MAX || unique.contains(&0) {
            return Err(format!("unique has {UNIQUE_MAX} bytes at the most, none of them 0"));
        }
        let priority = match text("priority").as_deref() {
            None | Some("normal") => Priority::Normal,
            Some("high") => Priority::High,
            Some("low") => Priority::Low,
            Some(_) => return Err("priority is high, normal or low".to_owned()),
        };
        let epoch = epoch(text("at").as_deref(), text("in").as_deref())?;
        let background = match text("background").as_deref() {
            None => epoch.is_some(),
            Some("" | "true" | "1") => true,
            Some("false" | "0") if epoch.is_some() => {
                return Err("a job for later (at, in) is a background job: nobody can wait for it".to_owned());
            }
            Some("false" | "0") => false,
            Some(_) => return Err("background is true or false".to_owned()),
        };
        Ok(WantedJob { function, unique, priority, background, epoch, workload })
    }
}

/// When it is to run at the earliest.
fn epoch(at: Option<&str>, after: Option<&str>) -> Result<Option<String>, String> {
    /// Beyond that, calendars have no names for days.
    const LATEST: u64 = 253_402_300_799;
    let number = |text: &str, name: &str| {
        let number = text.parse::<u64>().ok().filter(|number| *number <= LATEST);
        number.ok_or_else(|| {
            format!("{name} is a number of seconds{}", if name == "at" { " since 1970" } else { " from now" })
        })
    };
    match (at, after) {
        (Some(_), Some(_)) => Err("at and in both say when; say one of them".to_owned()),
        (Some(at), None) => Ok(Some(number(at, "at")?.to_string())),
        (None, Some(after)) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
            Ok(Some((now + number(after, "in")?).to_string()))
        }
        (None, None) => Ok(None),
    }
}

/// The query says all but the workload, which is the body.
pub(super) fn of_query(target: &RequestTarget, body: &Bytes) -> Result<WantedJobs, String> {
    target.takes(&WORDS)?;
    WantedJob::of(|name| target.word(name).map(<[u8]>::to_vec), body.clone()).map(WantedJobs::One)
}

/// The body says all: an object for a job, or one with `jobs`, an array of these.
pub(super) fn of_json(target: &RequestTarget, body: &[u8]) -> Result<WantedJobs, String> {
    target.takes(&[])?;
    let value: Value =
        serde_json::from_slice(body).map_err(|error| format!("the body is no JSON: {error}"))?;
    let Value::Object(object) = value else {
        return Err("the body is to be an object, with function and workload, or with jobs".to_owned());
    };
    let Some(jobs) = object.get("jobs") else { return one(&object, None).map(WantedJobs::One) };
    let Value::Array(jobs) = jobs else { return Err("jobs is an array of jobs".to_owned()) };
    if object.len() > 1 {
        return Err("beside jobs stands nothing; say it with each job".to_owned());
    }
    if jobs.is_empty() || jobs.len() > SUBMITS_MAX {
        return Err(format!("jobs has 1 to {SUBMITS_MAX} jobs; send more in further requests"));
    }
    let each = jobs.iter().enumerate().map(|(at, job)| match job {
        Value::Object(job) => one(job, Some("true")).map_err(|why| format!("jobs[{at}]: {why}")),
        _ => Err(format!("jobs[{at}] is no object with function and workload")),
    });
    let jobs = each.collect::<Result<Vec<_>, _>>()?;
    match jobs.iter().position(|job| !job.background) {
        Some(at) => Err(format!(
            "jobs[{at}]: of many jobs nobody waits for one; send it alone, or leave background out"
        )),
        None => Ok(WantedJobs::Many(jobs)),
    }
}

/// A job as JSON; `background` is what holds where it says nothing of it.
fn one(object: &Map<String, Value>, background: Option<&str>) -> Result<WantedJob, String> {
    const WORKLOADS: [&str; 2] = ["workload", "workload_base64"];
    if let Some(name) =
        object.keys().find(|name| !WORDS.contains(&&name[..]) && !WORKLOADS.contains(&&name[..]))
    {
        let (name, words) = (name.escape_debug().to_string(), WORDS.join(", "));
        return Err(format!(
            "{} means nothing of a job; there are {words}, workload and workload_base64",
            cut(&name)
        ));
    }
    for name in WORDS {
        let numeric = matches!(name, "at" | "in");
        let fine = match object.get(name) {
            None => true,
            Some(Value::Bool(_)) => name == "background",
            Some(Value::String(_)) => name != "background" && !numeric,
            Some(Value::Number(_)) => numeric,
            Some(_) => false,
        };
        if !fine {
            let kind = if numeric {
                "a number"
            } else if name == "background" {
                "true or false"
            } else {
                "text"
            };
            return Err(format!("{name} is to be {kind}"));
        }
    }
    let workload = match (object.get("workload"), object.get("workload_base64")) {
        (None, None) => Bytes::new(),
        (Some(Value::String(text)), None) => Bytes::from(text.clone()),
        (None, Some(Value::String(text))) => {
            Bytes::from(STANDARD.decode(text).map_err(|_| "workload_base64 is no base64 (with + and /)")?)
        }
        (Some(_), Some(_)) => {
            return Err("workload and workload_base64 both are the workload; say one of them".to_owned());
        }
        _ => return Err("workload and workload_base64 are to be text".to_owned()),
    };
    let word = |name: &str| match object.get(name) {
        None if name == "background" => background.map(|said| said.as_bytes().to_vec()),
        None => None,
        Some(Value::String(text)) => Some(text.clone().into_bytes()),
        Some(other) => Some(other.to_string().into_bytes()),
    };
    WantedJob::of(word, workload)
}

fn cut(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> RequestTarget {
        RequestTarget::of(&text.parse().unwrap()).unwrap()
    }

    fn json(text: &str) -> Result<WantedJobs, String> {
        of_json(&target("/"), text.as_bytes())
    }

    #[test]
    fn a_query_says_what_is_wanted_of_its_body() {
        let body = Bytes::from_static(b"hi\0\xff");
        let of = |query: &str| of_query(&target(&format!("/?{query}")), &body);
        let WantedJobs::One(job) = of("function=a%FF&unique=u&priority=high&background").unwrap() else {
            panic!()
        };
        let submit = job.submit();
        assert_eq!((submit.function, submit.unique, submit.workload), (&b"a\xff"[..], &b"u"[..], &body[..]));
        assert!(submit.priority == Priority::High && submit.background && submit.epoch.is_none());
        let WantedJobs::One(job) = of("function=f&at=1999999999").unwrap() else { panic!() };
        assert!(job.background && job.epoch.as_deref() == Some("1999999999"));
        for (query, said) in [
            ("function=", "1 to 8191 bytes"),
            ("function=a%00", "none of them 0"),
            ("function=f&priority=urgent", "high, normal or low"),
            ("function=f&background=yes", "true or false"),
            ("function=f&at=-1", "seconds since 1970"),
            ("function=f&at=1&in=1", "say one of them"),
            ("function=f&at=5&background=false", "nobody can wait"),
            ("function=f&x=1", "means nothing"),
        ] {
            let why = of(query).unwrap_err();
            assert!(why.contains(said), "{query}: {why}");
        }
        assert!(of(&format!("function=f&unique={}", "u".repeat(65))).unwrap_err().contains("64 bytes"));
    }

    #[test]
    fn json_says_all_of_it() {
        let Ok(WantedJobs::One(job)) =
            json(r#"{"function":"f","workload":"w","priority":"low","background":true}"#)
        else {
            panic!()
        };
        assert!((&job.workload[..], job.priority, job.background) == (b"w", Priority::Low, true));
        let Ok(WantedJobs::One(job)) = json(r#"{"function":"f","workload_base64":"AP8="}"#) else { panic!() };
        assert!(job.workload[..] == [0, 255] && !job.background);
        let Ok(WantedJobs::Many(jobs)) = json(r#"{"jobs":[{"function":"f"},{"function":"g","in":60}]}"#)
        else {
            panic!()
        };
        assert!(jobs.iter().all(|job| job.background) && jobs[1].epoch.is_some());
        for (text, said) in [
            ("", "no JSON"),
            ("[]", "an object"),
            ("{}", "function is missing"),
            (r#"{"function":1}"#, "function is to be text"),
            (r#"{"function":"f","at":"1"}"#, "at is to be a number"),
            (r#"{"function":"f","at":1.5}"#, "at is a number"),
            (r#"{"function":"f","background":"true"}"#, "background is to be true or false"),
            (r#"{"function":"f","workload":1}"#, "are to be text"),
            (r#"{"function":"f","workload_base64":"?"}"#, "no base64"),
            (r#"{"function":"f","colour":"red"}"#, "colour means nothing"),
            (r#"{"jobs":[]}"#, "1 to 1000"),
            (r#"{"jobs":[{"function":"f","background":false}]}"#, "jobs[0]: of many"),
            (r#"{"jobs":[{"function":"f"},1]}"#, "jobs[1] is no object"),
            (r#"{"jobs":[{"function":"f"}],"at":1}"#, "beside jobs"),
        ] {
            let why = json(text).unwrap_err();
            assert!(why.contains(said), "{text}: {why}");
        }
    }
}
