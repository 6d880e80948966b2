//! What must not come out of a phase, as `p99 > 5ms` says it: how that is written and read. Whether it came out
//! so stands in `result/expect.rs`.
use serde::{Deserialize, Serialize};

/// A figure, which side of a bound is bad, and the bound.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Threshold {
    /// What is looked at.
    pub(crate) figure: Figure,
    /// True for `>`: what is above the bound fails. False for `<`.
    pub(crate) above: bool,
    /// The bound.
    pub(crate) bound: Bound,
    /// As it was written.
    text: String,
}

/// What a threshold looks at.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Figure {
    /// A figure of a latency, of the worst group of clients, in microseconds; of the one that ends last if no span
    /// is named.
    Latency(Option<&'static str>, Point),
    /// Jobs per second.
    Rate,
    /// The longest time in which nobody was answered, in microseconds.
    Stall,
    /// Jobs of the whole run that were never seen again.
    Lost,
    /// Jobs of the whole run that came twice.
    Doubled,
    /// Jobs that were due and not answered when the phase ended.
    Unanswered,
    /// The job server's CPU time for a job, in microseconds.
    Cpu,
    /// The job server's resident peak in bytes.
    Memory,
}

/// A figure of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// Half are at most this.
    P50,
    /// Nine of ten.
    P90,
    /// 19 of 20.
    P95,
    /// 99 of 100.
    P99,
    /// 999 of 1000.
    P999,
    /// 9999 of 10,000.
    P9999,
    /// The largest.
    Max,
    /// The mean.
    Mean,
}

/// What a figure is held against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    /// A value: microseconds, bytes, jobs or jobs per second, as the figure has it.
    Value(f64),
    /// So many times the rate that was asked for.
    Asked(f64),
    /// So many times the same figure of the other job server.
    Base(f64),
}

/// The latencies that can be named, as results call them.
pub(crate) const SPANS: [&str; 4] = ["created", "worker", "result", "added"];

const POINTS: [(&str, Point); 8] = [
    ("p50", Point::P50),
    ("p90", Point::P90),
    ("p95", Point::P95),
    ("p99", Point::P99),
    ("p99.9", Point::P999),
    ("p99.99", Point::P9999),
    ("max", Point::Max),
    ("mean", Point::Mean),
];

const OTHERS: [(&str, Figure); 7] = [
    ("rate", Figure::Rate),
    ("stall", Figure::Stall),
    ("lost", Figure::Lost),
    ("doubled", Figure::Doubled),
    ("unanswered", Figure::Unanswered),
    ("cpu", Figure::Cpu),
    ("memory", Figure::Memory),
];

/// Units, and how many microseconds, bytes or jobs they are.
const TIMES: [(&str, f64); 5] = [("ns", 1e-3), ("us", 1.0), ("µs", 1.0), ("ms", 1e3), ("s", 1e6)];
const BYTES: [(&str, f64); 3] = [("kB", 1e3), ("MB", 1e6), ("GB", 1e9)];
const JOBS: [(&str, f64); 2] = [("", 1.0), ("/s", 1.0)];

impl Threshold {
    /// Reads one, such as `worker.p99 > 1.1 x base`. The error says what is allowed.
    pub(crate) fn parse(text: &str) -> Result<Threshold, String> {
        let say = |what: String| format!("{text:?} is no threshold: {what}");
        let Some(at) = text.find(['<', '>']) else {
            return Err(say(
                "it needs a figure, `<` or `>`, and what it must not be below or above, as `p99 > 5ms`"
                    .to_owned(),
            ));
        };
        let (figure, bound) = (text[..at].trim(), text[at + 1..].trim());
        let above = text[at..].starts_with('>');
        let figure = Figure::parse(figure).map_err(say)?;
        let bound = figure.bound(bound).map_err(say)?;
        Ok(Threshold { figure, above, bound, text: text.trim().to_owned() })
    }

    /// As it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// True if it can only be answered where two job servers are compared.
    pub(crate) fn needs_base(&self) -> bool {
        matches!(self.bound, Bound::Base(_))
    }
}

impl TryFrom<String> for Threshold {
    type Error = String;

    fn try_from(text: String) -> Result<Threshold, String> {
        Threshold::parse(&text)
    }
}

impl From<Threshold> for String {
    fn from(threshold: Threshold) -> String {
        threshold.text
    }
}

impl Figure {
    fn parse(text: &str) -> Result<Figure, String> {
        if let Some((_, figure)) = OTHERS.iter().find(|(name, _)| *name == text) {
            return Ok(figure.clone());
        }
        let span =
            SPANS.into_iter().find(|span| text.strip_prefix(span).is_some_and(|rest| rest.starts_with('.')));
        let point = span.map_or(text, |span| &text[span.len() + 1..]);
        match POINTS.iter().find(|(name, _)| *name == point) {
            Some(&(_, point)) => Ok(Figure::Latency(span, point)),
            None => {
                let points = POINTS.map(|(name, _)| name).join(" ");
                let others = OTHERS.map(|(name, _)| name).join(" ");
                let spans = SPANS.map(|span| format!("{span}.")).join(" ");
                Err(format!(
                    "there is no figure {text:?}; there are {points} (also after {spans}, as created.p99) and {others}"
                ))
            }
        }
    }

    const fn is_time(&self) -> bool {
        matches!(self, Figure::Latency(..) | Figure::Stall | Figure::Cpu)
    }

    fn bound(&self, text: &str) -> Result<Bound, String> {
        if let Some((factor, of)) = multiple(text) {
            return match of {
                _ if !(factor.is_finite() && factor > 0.0) => {
                    Err(format!("{factor} is no factor; it must be above 0"))
                }
                "base" => Ok(Bound::Base(factor)),
                "asked" if *self == Figure::Rate => Ok(Bound::Asked(factor)),
                "asked" => Err("only a rate is asked for; the other multiples are of `base`".to_owned()),
                of => Err(format!(
                    "there is no {of:?}; multiples are `0.99 x asked` (of a rate) and `1.1 x base`"
                )),
            };
        }
        let digits = text.find(|letter: char| !(letter.is_ascii_digit() || ".,_".contains(letter)));
        let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
        let (units, allowed): (&[(&str, f64)], &str) = match self {
            _ if self.is_time() => (&TIMES, "a time, as 100us, 5ms or 1.5s"),
            Figure::Memory => (&BYTES, "memory, as 200MB (kB, MB, GB)"),
            Figure::Rate => (&JOBS, "jobs a second, as 1000, or 0.99 x asked"),
            _ => (&JOBS[..1], "a number of jobs, as 0"),
        };
        let number = number.replace([',', '_'], "").parse::<f64>().ok().filter(|number| number.is_finite());
        let unit = units.iter().find(|(name, _)| *name == unit.trim());
        match (number, unit) {
            (Some(number), Some((_, scale))) => Ok(Bound::Value(number * scale)),
            _ => Err(format!("{text:?} is not {allowed}, nor a multiple as 1.1 x base")),
        }
    }
}

/// `1.1 x base`, taken apart.
fn multiple(text: &str) -> Option<(f64, &str)> {
    let (factor, of) = text.split_once(['x', '×', '*'])?;
    Some((factor.trim().parse().ok()?, of.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Figure, bool, Bound) {
        let Threshold { figure, above, bound, .. } = Threshold::parse(text).unwrap();
        (figure, above, bound)
    }

    #[test]
    fn thresholds_are_read() {
        let p99 = || Figure::Latency(None, Point::P99);
        assert_eq!(read("p99 > 5ms"), (p99(), true, Bound::Value(5000.0)));
        assert_eq!(read("p99>100us"), (p99(), true, Bound::Value(100.0)));
        assert_eq!(read("created.p99.9 > 1.5 s").0, Figure::Latency(Some("created"), Point::P999));
        assert_eq!(read("p99.99 > 1 x base").0, Figure::Latency(None, Point::P9999));
        assert_eq!(read("rate < 0.99 x asked"), (Figure::Rate, false, Bound::Asked(0.99)));
        assert_eq!(read("rate<0.99*asked").2, Bound::Asked(0.99));
        assert_eq!(read("rate < 10,000/s").2, Bound::Value(10_000.0));
        assert_eq!(read("memory > 200MB"), (Figure::Memory, true, Bound::Value(200e6)));
        assert_eq!(read("cpu > 1.1 x base"), (Figure::Cpu, true, Bound::Base(1.1)));
        assert_eq!(read("lost > 0"), (Figure::Lost, true, Bound::Value(0.0)));
        // A plan keeps it as it was written.
        let text = toml::to_string(&std::collections::BTreeMap::from([(
            "x",
            Threshold::parse("max > 1s").unwrap(),
        )]));
        assert_eq!(text.unwrap(), "x = \"max > 1s\"\n");
    }

    #[test]
    fn what_is_no_threshold_is_told_what_is() {
        for (text, told) in [
            ("p99", "`<` or `>`"),
            ("p98 > 5ms", "p99.9"),
            ("created. > 5ms", "created.p99"),
            ("", "p99 > 5ms"),
            ("p99 >= 5ms", "100us"),
            ("p99 > 5", "100us"),
            ("p99 > 5 MB", "100us"),
            ("p99 > -5ms", "100us"),
            ("memory > 5ms", "200MB"),
            ("rate < 5ms", "0.99 x asked"),
            ("lost > 0 x base", "above 0"),
            ("lost > 1/s", "number of jobs"),
            ("p99 > 1.1 x asked", "only a rate"),
            ("p99 > 1.1 x best", "1.1 x base"),
            ("rate < nan x base", "above 0"),
            ("p99 > 1.2.3ms", "100us"),
            ("µ > µ", "p50"),
        ] {
            let error = Threshold::parse(text).unwrap_err();
            assert!(error.contains(told) && error.contains("no threshold"), "{text}: {error}");
        }
    }
}
