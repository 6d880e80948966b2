//! Reads the histograms of a result again, from its interval log: the whole of a name is the sum of all its lines. How they are
//! written stands in `hgrm.rs`.
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

use crate::compare::names::tag;
use crate::result::outcome::{Outcome, PhaseOutcome};
use crate::result::record::{Recorder, Span, add, histogram};

/// The file that they are in.
pub(crate) const LOG: &str = "histograms.hlog";

/// What stands behind the name of a group in a phase that only worked off its jobs.
const EARLIER: &str = " (earlier)";

/// The histograms of a result, by phase; those that it does not have are empty. A result without the file has none at all.
pub(crate) fn read(folder: &Path, outcome: &Outcome) -> Result<Vec<Recorder>, String> {
    let file = folder.join(LOG);
    let say = |error: String| format!("{}: {error}", file.display());
    let text = match fs::read(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(say(error.to_string())),
    };
    Ok(recorders(outcome, &sums(&text).map_err(say)?))
}

/// The sum of all histograms of each tag.
fn sums(text: &[u8]) -> Result<HashMap<String, Histogram<u64>>, String> {
    let mut sums: HashMap<String, Histogram<u64>> = HashMap::new();
    let mut deserializer = Deserializer::new();
    for entry in IntervalLogIterator::new(text) {
        let entry = entry.map_err(|error| format!("this is no interval log: {error:?}"))?;
        let LogEntry::Interval(interval) = entry else { continue };
        let Some(tag) = interval.tag() else { continue };
        let wrong = |error: &dyn std::fmt::Debug| format!("the histogram of {}: {error:?}", tag.as_str());
        let bytes = STANDARD.decode(interval.encoded_histogram()).map_err(|error| wrong(&error))?;
        let read: Histogram<u64> =
            deserializer.deserialize(&mut bytes.as_slice()).map_err(|error| wrong(&error))?;
        sums.entry(tag.as_str().to_owned())
            .or_insert_with(histogram)
            .add(&read)
            .map_err(|error| wrong(&error))?;
    }
    Ok(sums)
}

fn recorders(outcome: &Outcome, sums: &HashMap<String, Histogram<u64>>) -> Vec<Recorder> {
    let groups: Vec<&str> = outcome
        .plan
        .phases
        .iter()
        .flat_map(|phase| phase.clients.iter().map(|clients| clients.name.as_str()))
        .collect();
    let phase = |(index, phase): (usize, &PhaseOutcome)| {
        let mut recorder = Recorder::new(groups.len());
        for (at, group) in groups.iter().enumerate() {
            for span in Span::ALL {
                let name = tag(index, &phase.name, group, span);
                let Some(response) = sums.get(&name) else { continue };
                let pair = recorder.pair(at, span);
                add(&mut pair.response, response);
                if let Some(service) = sums.get(&format!("{name}-service")) {
                    add(&mut pair.service, service);
                }
                // Histograms do not tell which of their values are lower bounds.
                let told = phase.groups.iter().find(|told| told.name.trim_end_matches(EARLIER) == *group);
                let told = told.and_then(|told| told.spans.iter().find(|told| told.span == span.name()));
                if let Some((told, least)) = told.and_then(|told| Some((told, told.at_least?))) {
                    (pair.unanswered, pair.at_least) = (told.unanswered, (least * 1000.0) as u64);
                }
            }
        }
        recorder
    };
    outcome.phases.iter().enumerate().map(phase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::background;

    #[test]
    fn lines_of_one_name_are_added_and_rubbish_is_an_error() {
        let mut values = histogram();
        values.record(5).unwrap();
        let mut out = vec![];
        let twice = [("a".to_owned(), &values), ("a".to_owned(), &values), ("b".to_owned(), &values)];
        crate::result::hgrm::log(&mut out, 1_000, &twice).unwrap();
        let sums = sums(&out).unwrap();
        assert_eq!((sums["a"].len(), sums["b"].len()), (2, 1));
        for text in ["Tag=a,0.0,1.0,0.0,rubbish\n", "Tag=a,0.0,1.0,0.0,AAAA\n", "\"\n"] {
            assert!(super::sums(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_result_without_histograms_is_a_result() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(folder.path(), &background().outcome).unwrap().is_empty());
    }
}
