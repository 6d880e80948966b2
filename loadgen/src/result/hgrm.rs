//! A whole histogram as the percentile table that HdrHistogram's plotter loads (`.hgrm`). Its interval log, from which
//! every other figure can be made again, is written in `intervals.rs`.
use std::fmt::Write as _;

use hdrhistogram::Histogram;

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
}
