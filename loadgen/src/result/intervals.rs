//! A phase over time, histogram by histogram: what each interval between two ticks had, packed small, and the interval
//! log that HdrHistogram's own tools draw. The whole of a phase stands in `record.rs`.
use std::io::{self, Write};
use std::time::{Duration, UNIX_EPOCH};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use hdrhistogram::serialization::{Serializer, V2DeflateSerializer, V2Serializer};

use crate::result::record::Recorder;
use crate::result::span::{Interval, Kind, Span};

/// All histograms of a recorder that have values, with their kinds.
pub(crate) fn kinds(recorder: &Recorder) -> Vec<(Kind, &Histogram<u64>)> {
    let mut all = vec![(Kind::TimerError, &recorder.timer_error)];
    for (group, spans) in recorder.groups.iter().enumerate() {
        for (span, pair) in Span::ALL.into_iter().zip(spans.iter().flat_map(|spans| spans.iter())) {
            all.push((Kind::Latency { group, span, service: true }, &pair.service));
            all.push((Kind::Latency { group, span, service: false }, &pair.response));
        }
    }
    all.retain(|(_, histogram)| !histogram.is_empty());
    all
}

/// Packs what a recorder has of the time from `start` to `end`, in nanoseconds since the run began.
pub(crate) fn pack(
    recorder: &Recorder,
    start: u64,
    end: u64,
    serializer: &mut V2Serializer,
) -> Vec<Interval> {
    let length = end.saturating_sub(start);
    let pack = |(kind, histogram)| {
        let mut packed = vec![];
        // Only a histogram with more buckets than memory has room for could not be written.
        serializer.serialize(histogram, &mut packed).ok()?;
        packed.shrink_to_fit();
        Some(Interval { kind, start, length, packed })
    };
    kinds(recorder).into_iter().filter_map(pack).collect()
}

/// The interval log: a line for each interval and tag, by their beginning. `began` is the run's, in seconds since 1970.
pub(crate) fn log(out: &mut impl Write, began: f64, intervals: &[(String, &Interval)]) -> io::Result<()> {
    let mut intervals: Vec<_> = intervals.iter().collect();
    intervals.sort_by_key(|(_, interval)| interval.start);
    let mut serializer = V2DeflateSerializer::new();
    let began = UNIX_EPOCH + Duration::try_from_secs_f64(began).unwrap_or_default();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("[Values are nanoseconds: divide by 1000 for microseconds, which the .hgrm files have]")
        .add_comment("[Interval_Max is milliseconds: values divided by 1000000; times are seconds]")
        .with_start_time(began)
        .with_base_time(began)
        .with_max_value_divisor(1e6)
        .begin_log_with(out, &mut serializer)?;
    for (name, interval) in intervals {
        let (start, length) = (Duration::from_nanos(interval.start), Duration::from_nanos(interval.length));
        log.write_histogram(&interval.histogram()?, start, length, Tag::new(name))
            .map_err(|error| io::Error::other(format!("{name}: {error:?}")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    /// A recorder with `count` latencies of `nanos`, of a closed loop.
    fn recorder(count: u64, nanos: u64) -> Recorder {
        let mut recorder = Recorder::new(1);
        (0..count).for_each(|_| recorder.record(0, Span::Result, false, nanos, 0, 0));
        recorder
    }

    #[test]
    fn intervals_are_packed_and_come_back() {
        let recorder = recorder(70_000, 1_234_567);
        let packed = pack(&recorder, 5, 12, &mut V2Serializer::new());
        // What nothing was recorded in takes no room.
        assert_eq!(packed.len(), 1);
        let kind = Kind::Latency { group: 0, span: Span::Result, service: false };
        assert_eq!((packed[0].kind, packed[0].start, packed[0].length), (kind, 5, 7));
        assert!(packed[0].packed.len() < 100, "{}", packed[0].packed.len());
        let whole = &recorder.groups[0].as_ref().unwrap()[Span::Result as usize].response;
        assert_eq!(&packed[0].histogram().unwrap(), whole);
    }

    #[test]
    fn the_log_has_a_line_for_each_interval_and_tag() {
        let mut serializer = V2Serializer::new();
        let second = 1_000_000_000;
        let mut all = pack(&recorder(3, 5_000_000), second * 5 / 4, second * 3 / 2, &mut serializer);
        all.extend(pack(&recorder(4, 7_000_000), second, second * 5 / 4, &mut serializer));
        let named: Vec<_> = all.iter().map(|interval| ("a".to_owned(), interval)).collect();
        let mut out = vec![];
        log(&mut out, 1000.25, &named).unwrap();
        let text = String::from_utf8_lossy(&out).into_owned();
        assert!(text.contains("1000.250") && text.contains("divide by 1000 "), "{text}");
        let mut seen = vec![];
        for entry in IntervalLogIterator::new(&out) {
            if let LogEntry::Interval(line) = entry.unwrap() {
                let tag = line.tag().map(|tag| tag.as_str().to_owned());
                seen.push((tag, line.start_timestamp().as_millis(), line.duration().as_millis(), line.max()));
            }
        }
        let tag = || Some("a".to_owned());
        // By time, whichever was closed first.
        assert_eq!((seen[0].clone(), seen[1].clone()).0.0, tag());
        let times: Vec<_> = seen.iter().map(|(_, start, length, _)| (*start, *length)).collect();
        assert_eq!(times, [(1000, 250), (1250, 250)]);
        assert!((7.0..7.1).contains(&seen[0].3) && (5.0..5.1).contains(&seen[1].3), "{seen:?}");
    }
}
