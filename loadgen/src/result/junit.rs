//! A result as JUnit's XML, which build servers show: a case for each check, each phase and each threshold.
use std::io;

use quick_xml::Writer;
use quick_xml::events::BytesText;

use crate::job::check::Tally;
use crate::result::judged::{Judged, Verdict};
use crate::result::outcome::Outcome;

/// One case.
struct Case {
    name: String,
    /// Seconds that it took, where that means anything.
    time: f64,
    /// What to say if it failed.
    failure: Option<String>,
}

/// Cases under one name.
struct Suite {
    name: String,
    cases: Vec<Case>,
}

/// The rounds of one job server or of two, and the thresholds that were held against the first.
pub(crate) fn xml(sides: &[&[Outcome]], judged: &[Judged]) -> io::Result<Vec<u8>> {
    let mut suites: Vec<Suite> = sides.iter().filter_map(|rounds| suite(rounds)).collect();
    let thresholds = judged.iter().map(|judged| Case {
        name: format!("{}: {}", judged.phase, judged.threshold),
        time: 0.0,
        failure: (judged.verdict != Verdict::Ok).then(|| judged.line()),
    });
    match suites.first_mut() {
        Some(first) => first.cases.extend(thresholds),
        None => return Err(io::Error::other("there is no result")),
    }
    let mut out = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_vec();
    let mut writer = Writer::new_with_indent(&mut out, b' ', 2);
    let all: usize = suites.iter().map(|suite| suite.cases.len()).sum();
    let failed: usize = suites.iter().map(Suite::failed).sum();
    writer
        .create_element("testsuites")
        .with_attributes([
            ("name", "ringgear-load"),
            ("tests", &all.to_string()),
            ("failures", &failed.to_string()),
        ])
        .write_inner_content(|writer| suites.iter().try_for_each(|suite| suite.write(writer)))?;
    out.push(b'\n');
    Ok(out)
}

/// What was checked in all rounds of one job server.
fn suite(rounds: &[Outcome]) -> Option<Suite> {
    let first = rounds.first()?;
    let mut tally = Tally::default();
    rounds.iter().for_each(|outcome| tally += outcome.tally);
    let Tally { lost, doubled, altered, misdelivered, out_of_order, refused, closed, .. } = tally;
    let checks = [
        ("no job lost", lost, "jobs were submitted or accepted, and never seen again"),
        ("no job doubled", doubled, "jobs were given to workers or answered twice"),
        ("no job altered", altered, "workloads, results or uniques differ from what was sent"),
        ("no job misdelivered", misdelivered, "jobs or results came where they do not belong"),
        ("jobs in order", out_of_order, "jobs came after younger ones"),
        ("no job refused", refused, "jobs were answered with an error"),
        ("no connection closed", closed, "connections were closed by the job server"),
    ];
    let mut cases: Vec<Case> = checks
        .into_iter()
        .map(|(name, number, what)| Case {
            name: name.to_owned(),
            time: 0.0,
            failure: (number > 0).then(|| format!("{number} {what}")),
        })
        .collect();
    for (index, phase) in first.phases.iter().enumerate() {
        let of = || rounds.iter().filter_map(|outcome| outcome.phases.get(index));
        let why = |what: &str, number: usize| {
            (number > 0).then(|| match rounds.len() {
                1 => what.to_owned(),
                all => format!("{what} in {number} of {all} rounds"),
            })
        };
        let broken = why("it was broken off at its limit", of().filter(|phase| !phase.finished).count());
        let idle =
            why("no job was done in its measured time", of().filter(|phase| phase.did_nothing()).count());
        cases.push(Case {
            name: format!("{} finished", phase.name),
            time: of().map(|phase| phase.seconds).sum(),
            failure: broken.or(idle),
        });
    }
    Some(Suite { name: format!("{}: {}", first.plan.name, first.label), cases })
}

impl Suite {
    fn failed(&self) -> usize {
        self.cases.iter().filter(|case| case.failure.is_some()).count()
    }

    fn write(&self, writer: &mut Writer<&mut Vec<u8>>) -> io::Result<()> {
        let name = clean(&self.name);
        let time: f64 = self.cases.iter().map(|case| case.time).sum();
        let (tests, failures) = (self.cases.len().to_string(), self.failed().to_string());
        let time = format!("{time:.3}");
        writer
            .create_element("testsuite")
            .with_attributes([
                ("name", name.as_str()),
                ("tests", &tests),
                ("failures", &failures),
                ("errors", "0"),
                ("time", &time),
            ])
            .write_inner_content(|writer| self.cases.iter().try_for_each(|case| case.write(&name, writer)))?;
        Ok(())
    }
}

impl Case {
    fn write(&self, suite: &str, writer: &mut Writer<&mut Vec<u8>>) -> io::Result<()> {
        let (name, time) = (clean(&self.name), format!("{:.3}", self.time));
        let element = writer.create_element("testcase").with_attributes([
            ("name", name.as_str()),
            ("classname", suite),
            ("time", &time),
        ]);
        match &self.failure {
            None => element.write_empty()?,
            Some(failure) => element.write_inner_content(|writer| {
                let failure = clean(failure);
                let failed = writer.create_element("failure").with_attribute(("message", failure.as_str()));
                failed.write_text_content(BytesText::new(&failure))?;
                Ok(())
            })?,
        };
        Ok(())
    }
}

/// Names come from plans and the command line; XML has no way at all to write most control characters.
fn clean(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() || "\u{fffe}\u{ffff}".contains(letter) { ' ' } else { letter })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use quick_xml::Reader;
    use quick_xml::events::Event;

    /// How often each element begins, as a reader sees it, and all failures.
    fn read(xml: &[u8]) -> (usize, usize, Vec<String>) {
        let mut reader = Reader::from_reader(xml);
        let (mut suites, mut cases, mut failures) = (0, 0, vec![]);
        loop {
            match reader.read_event().unwrap() {
                Event::Start(element) | Event::Empty(element) => match element.name().as_ref() {
                    "testsuite" => suites += 1,
                    "testcase" => cases += 1,
                    "failure" => {
                        let message = element.try_get_attribute("message").unwrap().unwrap();
                        failures.push(
                            message
                                .normalized_value(quick_xml::XmlVersion::Implicit1_0)
                                .unwrap()
                                .into_owned(),
                        );
                    }
                    _ => {}
                },
                Event::Eof => return (suites, cases, failures),
                _ => {}
            }
        }
    }

    fn judged(verdict: Verdict) -> Judged {
        Judged {
            phase: "a <b> & \"c\" \u{1b}".to_owned(),
            threshold: "p99 > 5ms".to_owned(),
            verdict,
            value: None,
            bound: None,
            said: "x".to_owned(),
        }
    }

    #[test]
    fn each_check_phase_and_threshold_is_a_case() {
        let mut outcome = crate::tests::background().outcome;
        let clean = xml(&[std::slice::from_ref(&outcome)], &[judged(Verdict::Ok)]).unwrap();
        // Seven checks, two phases, one threshold.
        assert_eq!(read(&clean), (1, 10, vec![]));
        outcome.tally.lost = 3;
        outcome.phases[1].finished = false;
        let judged = [judged(Verdict::Failed), judged(Verdict::CannotTell)];
        let rounds = [outcome.clone(), outcome];
        let (suites, cases, failures) = read(&xml(&[&rounds, &rounds[..1]], &judged).unwrap());
        assert_eq!((suites, cases), (2, 20));
        assert_eq!(failures.len(), 6, "{failures:?}");
        assert!(failures[0].starts_with("6 jobs were submitted"), "{failures:?}");
        assert_eq!(failures[1], "it was broken off at its limit in 2 of 2 rounds");
        assert_eq!(failures[2], "FAILED: a <b> & \"c\"  : p99 > 5ms: x");
    }
}
