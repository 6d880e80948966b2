//! Numbers and times as people say them. Values in, text out.
use crate::engine::Epoch;
use jiff::Timestamp;

/// So many of something.
pub(super) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// How long milliseconds are.
pub(super) fn lasting(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0 => format!("{ms} ms"),
        1..60 => format!("{seconds} s"),
        60..3600 if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        60..600 => format!("{} min {} s", seconds / 60, seconds % 60),
        600..3600 => format!("{} min", seconds / 60),
        3600..86400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86400, seconds / 3600 % 24),
    }
}

/// A time, as RFC 3339 has it, in UTC and to the second.
pub(super) fn time(epoch: Epoch) -> String {
    let seconds = i64::try_from(epoch.0 / 1000).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    seconds.map_or_else(|| "a time far away".to_owned(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_one_says_them() {
        let told = [40, 5000, 65_000, 612_000, 3600 * 1000 + 120_000, 90_000_000].map(lasting);
        assert_eq!(told, ["40 ms", "5 s", "1 min 5 s", "10 min", "1 h 2 min", "1 d 1 h"]);
        assert_eq!(time(Epoch(1_800_000_000_999)), "2027-01-15T08:00:00Z");
        assert_eq!(time(Epoch(u64::MAX)), "a time far away");
    }
}
