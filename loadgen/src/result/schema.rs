//! `result.json`: the number of its layout, its units, and how older ones are read. What its fields are stands in
//! `outcome.rs`, and for those who only read the file in `RESULTS.md`.
use serde::{Deserialize, Serialize};

use crate::result::outcome::Outcome;

/// The number of the layout. It rises when a field is taken away or means something else; new fields do not count.
/// Before there was a number it was 1.
pub(crate) const SCHEMA: u32 = 2;

/// What figures are in, where their names do not say it.
#[derive(Serialize)]
struct Units {
    latency: &'static str,
    cpu_per_job: &'static str,
    memory: &'static str,
    time: &'static str,
    rate: &'static str,
    share: &'static str,
}

const UNITS: Units = Units {
    latency: "microseconds: percentiles, mean, max and at_least of latencies, timer_error and receive_lag",
    cpu_per_job: "microseconds",
    memory: "bytes: rss_*; `memory` has pairs of seconds and bytes",
    time: "seconds: seconds, at; began is seconds since 1970",
    rate: "jobs per second: rate, asked",
    share: "1 is the whole: kernel_share, spun, others, stolen; of one core: cores_used, busiest_thread",
};

#[derive(Serialize)]
struct Written<'a> {
    schema: u32,
    units: Units,
    #[serde(flatten)]
    outcome: &'a Outcome,
}

#[derive(Deserialize)]
struct Number {
    #[serde(default)]
    schema: u32,
}

/// A result as it is written.
pub(crate) fn write(outcome: &Outcome) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec_pretty(&Written { schema: SCHEMA, units: UNITS, outcome })
}

/// A result as it was written, by this version or an older one.
pub(crate) fn read(text: &[u8]) -> Result<Outcome, String> {
    let Number { schema } = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if schema > SCHEMA {
        return Err(format!(
            "it is of a newer ringgear-load (schema {schema}, this one knows {SCHEMA}): read it with that one"
        ));
    }
    serde_json::from_slice(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn results_say_their_schema_and_are_read_again() {
        let outcome = crate::tests::background().outcome;
        let text = write(&outcome).unwrap();
        assert_eq!(read(&text).unwrap(), outcome);
        let mut value: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(value["schema"], SCHEMA);
        assert!(value["units"]["latency"].as_str().unwrap().contains("microseconds"));
        value["schema"] = Value::from(SCHEMA + 1);
        let error = read(value.to_string().as_bytes()).unwrap_err();
        assert!(error.contains("newer"), "{error}");
    }

    #[test]
    fn older_results_are_read() {
        let outcome = crate::tests::background().outcome;
        let mut value: Value = serde_json::to_value(&outcome).unwrap();
        // As they were before there was a number: whole seconds, fewer percentiles.
        value["began"] = Value::from(1_700_000_000);
        let response = value["phases"][0]["groups"][0]["spans"][0]["response"].as_object_mut().unwrap();
        assert!(response.remove("p95").is_some() && response.remove("p9999").is_some());
        let older = read(value.to_string().as_bytes()).unwrap();
        assert_eq!(older.began, 1_700_000_000.0);
        let response = older.phases[0].groups[0].spans[0].response;
        assert_eq!((response.p95, response.p9999, response.count), (0.0, 0.0, 2000));
    }
}
