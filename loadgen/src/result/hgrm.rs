//! Histograms in HdrHistogram's own formats: the percentile table that its plotter loads (`.hgrm`), and the
//! interval log with whole histograms in base64, from which every other figure can be made again.
use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::{Duration, UNIX_EPOCH};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

/// Rows for each halving of the distance to 100 %, as HdrHistogram prints by default.
const TICKS: u32 = 5;

/// The percentile table, values in microseconds.
pub(crate) fn table(histogram: &Histogram<u64>) -> String {
    let mut text =
        format!("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    let micros = |nanos: u64| nanos as f64 / 1000.0;
    let mut total = 0;
    // Writing into a String does not fail.
    for step in histogram.iter_quantiles(TICKS) {
        total += step.count_since_last_iteration();
        let (value, quantile) = (micros(step.value_iterated_to()), step.quantile_iterated_to());
        let _ = match quantile < 1.0 {
            true => {
                writeln!(text, "{value:>12.3} {quantile:.12} {total:>10} {:>14.2}", 1.0 / (1.0 - quantile))
            }
            false => writeln!(text, "{value:>12.3} {quantile:.12} {total:>10}"),
        };
    }
    let (mean, deviation) = (histogram.mean() / 1000.0, histogram.stdev() / 1000.0);
    let _ = writeln!(text, "#[Mean    = {mean:>12.3}, StdDeviation   = {deviation:>12.3}]");
    let (max, count) = (micros(histogram.max()), histogram.len());
    let _ = writeln!(text, "#[Max     = {max:>12.3}, Total count    = {count:>12}]");
    // Three significant digits need 2048 values in a bucket.
    let sub_buckets = 2048u64;
    let buckets = (histogram.high() / sub_buckets).ilog2() + 2;
    let _ = writeln!(text, "#[Buckets = {buckets:>12}, SubBuckets     = {sub_buckets:>12}]");
    text
}

/// The interval log: one histogram each, tagged with its name. Values are nanoseconds.
pub(crate) fn log(
    out: &mut impl Write,
    began: u64,
    histograms: &[(String, &Histogram<u64>)],
) -> io::Result<()> {
    let mut serializer = V2DeflateSerializer::new();
    let began = UNIX_EPOCH + Duration::from_secs(began);
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("values are nanoseconds")
        .with_start_time(began)
        .with_base_time(began)
        .with_max_value_divisor(1e6)
        .begin_log_with(out, &mut serializer)?;
    for (name, histogram) in histograms {
        let tag = Tag::new(name);
        log.write_histogram(histogram, Duration::ZERO, Duration::from_secs(1), tag)
            .map_err(|error| io::Error::other(format!("{name}: {error:?}")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::record::histogram;

    /// The layout is that of HdrHistogram's `outputPercentileDistribution`, which its plotter reads.
    #[test]
    fn the_table_is_hdrhistograms() {
        let mut values = histogram();
        for value in 1..=10u64 {
            values.record(value * 1000).unwrap();
        }
        values.record(2_000_000).unwrap();
        let golden = include_str!("golden.hgrm");
        assert_eq!(table(&values), golden);
    }

    #[test]
    fn the_log_is_tagged_and_holds_every_histogram() {
        let mut values = histogram();
        values.record(5).unwrap();
        let mut out = vec![];
        log(&mut out, 1_000, &[("a".to_owned(), &values), ("b".to_owned(), &values)]).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().filter(|line| line.contains("HISTF")).count(), 2, "{text}");
        assert!(text.contains("Tag=a,") && text.contains("Tag=b,"), "{text}");
    }
}
