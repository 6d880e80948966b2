//! A result as tables for spreadsheets (CSV): the phases over time, and the percentiles of every histogram. Values are
//! microseconds. The same for sweeps stands in `compare/sweep/show.rs`.
use std::io;

use csv::Writer;

use crate::plan::names;
use crate::result::intervals::kinds;
use crate::result::outcome::{Outcome, Percentiles};
use crate::result::record::Recorder;
use crate::result::span::Kind;

/// The columns of [`percentiles_cells`].
pub(crate) const PERCENTILES: [&str; 9] =
    ["jobs", "mean_us", "p50_us", "p90_us", "p95_us", "p99_us", "p99.9_us", "p99.99_us", "max_us"];

/// Rows for each halving of the distance to 100 %.
const TICKS: u32 = 5;

/// A distribution as cells, in the order of [`PERCENTILES`].
pub(crate) fn percentiles_cells(all: &Percentiles) -> [String; PERCENTILES.len()] {
    let Percentiles { count, mean, p50, p90, p95, p99, p999, p9999, max } = *all;
    let micros = [mean, p50, p90, p95, p99, p999, p9999, max].map(|micros| format!("{micros:.3}"));
    let [mean, p50, p90, p95, p99, p999, p9999, max] = micros;
    [count.to_string(), mean, p50, p90, p95, p99, p999, p9999, max]
}

/// `series.csv`: a row for each interval, group and latency of a measured phase.
pub(crate) fn series(outcome: &Outcome) -> io::Result<Vec<u8>> {
    let mut table = Writer::from_writer(vec![]);
    table.write_record(["phase", "group", "span", "start_s", "seconds"].iter().chain(&PERCENTILES))?;
    for phase in outcome.measured() {
        for series in &phase.series {
            for point in &series.points {
                let start = format!("{:.6}", point.at - point.seconds);
                let seconds = format!("{:.6}", point.seconds);
                let cells = percentiles_cells(&point.latency);
                let names = [&phase.name, &series.group, &series.span, &start, &seconds];
                table.write_record(names.into_iter().chain(&cells))?;
            }
        }
    }
    end(table)
}

/// `percentiles.csv`: the whole distribution of each latency of a measured phase; `jobs` counts those up to the value.
pub(crate) fn percentiles(outcome: &Outcome, recorders: &[Recorder]) -> io::Result<Vec<u8>> {
    let mut table = Writer::from_writer(vec![]);
    table.write_record(["phase", "group", "span", "from", "quantile", "value_us", "jobs"])?;
    let phases = outcome.phases.iter().zip(recorders).enumerate();
    for (index, (phase, recorder)) in phases.filter(|(_, (phase, _))| phase.measured) {
        let groups = names::in_phase(&outcome.plan, index);
        for (kind, histogram) in kinds(recorder) {
            let (group, span, from) = match kind {
                Kind::TimerError => ("", "timer-error", ""),
                Kind::Latency { group, span, service } => (
                    groups.get(group).map_or("", String::as_str),
                    span.name(),
                    if service { "service" } else { "response" },
                ),
            };
            let mut jobs = 0;
            for step in histogram.iter_quantiles(TICKS) {
                jobs += step.count_since_last_iteration();
                let quantile = format!("{:.9}", step.quantile_iterated_to());
                let value = format!("{:.3}", step.value_iterated_to() as f64 / 1000.0);
                table.write_record([&phase.name, group, span, from, &quantile, &value, &jobs.to_string()])?;
            }
        }
    }
    end(table)
}

/// What was written.
pub(crate) fn end(table: Writer<Vec<u8>>) -> io::Result<Vec<u8>> {
    table.into_inner().map_err(|error| io::Error::other(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use csv::{Reader, StringRecord};

    fn rows(text: &[u8]) -> (StringRecord, Vec<StringRecord>) {
        let mut reader = Reader::from_reader(text);
        (reader.headers().unwrap().clone(), reader.records().map(Result::unwrap).collect())
    }

    #[test]
    fn the_series_has_every_job() {
        let mut finding = crate::tests::background();
        finding.outcome.phases[0].name = "a, \"b\"".to_owned();
        let (head, rows) = rows(&series(&finding.outcome).unwrap());
        assert_eq!((&head[0], &head[3], &head[5], &head[13]), ("phase", "start_s", "jobs", "max_us"));
        let created = rows.iter().filter(|row| &row[0] == "a, \"b\"" && &row[2] == "created");
        assert_eq!(created.map(|row| row[5].parse::<u64>().unwrap()).sum::<u64>(), 2000);
        assert!(rows.iter().all(|row| row[4].parse::<f64>().unwrap() > 0.0));
    }

    #[test]
    fn percentiles_rise_to_the_last_job() {
        let finding = crate::tests::background();
        let (_, rows) = rows(&percentiles(&finding.outcome, &finding.recorders).unwrap());
        let worker: Vec<_> = rows.iter().filter(|row| &row[0] == "drain" && &row[2] == "worker").collect();
        let counts: Vec<u64> = worker.iter().map(|row| row[6].parse().unwrap()).collect();
        assert!(counts.is_sorted() && counts.last() == Some(&2000), "{counts:?}");
        assert!(worker.iter().all(|row| &row[3] == "response" && &row[1] == "clients of fill"));
        assert_eq!(&worker.last().unwrap()[4], "1.000000000");
    }
}
