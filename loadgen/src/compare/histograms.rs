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
use crate::plan::names;
use crate::result::outcome::{Outcome, PhaseOutcome};
use crate::result::record::{Recorder, add, histogram};
use crate::result::span::Kind;
use crate::result::span::Span;

/// The file that they are in.
pub(crate) const LOG: &str = "histograms.hlog";

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
    let phase = |(index, phase): (usize, &PhaseOutcome)| {
        let groups = names::in_phase(&outcome.plan, index);
        let mut recorder = Recorder::new(groups.len());
        for (at, group) in groups.iter().enumerate() {
            for span in Span::ALL {
                let name = |service| tag(&outcome.plan, index, Kind::Latency { group: at, span, service });
                let Some(response) = sums.get(&name(false)) else { continue };
                let pair = recorder.pair(at, span);
                add(&mut pair.response, response);
                if let Some(service) = sums.get(&name(true)) {
                    add(&mut pair.service, service);
                }
                // Histograms do not tell which of their values are lower bounds.
                let told = phase.groups.iter().find(|told| told.name == *group);
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
        let mut recorder = Recorder::new(1);
        recorder.timer_error.record(5).unwrap();
        let mut serializer = hdrhistogram::serialization::V2Serializer::new();
        let intervals = crate::result::intervals::pack(&recorder, 0, 1_000_000, &mut serializer);
        let mut out = vec![];
        let twice = ["a", "a", "b"].map(|name| (name.to_owned(), &intervals[0]));
        crate::result::intervals::log(&mut out, 1_000.0, &twice).unwrap();
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
