//! Numbers as a person reads them: counts, bytes, lists. What they are of stands in `report.rs`.

/// A number with as many digits as matter.
pub(crate) fn count(number: f64) -> String {
    match number {
        number if number >= 100.0 => {
            let digits = format!("{number:.0}");
            let mut text = String::new();
            for (at, digit) in digits.chars().enumerate() {
                if at > 0 && (digits.len() - at).is_multiple_of(3) {
                    text.push(',');
                }
                text.push(digit);
            }
            text
        }
        number if number >= 10.0 => format!("{number:.1}"),
        number if number >= 1.0 || number == 0.0 => format!("{number:.2}"),
        number => {
            // Three digits that are not zero.
            let digits = (2.0 - number.abs().log10().floor()).clamp(2.0, 9.0) as usize;
            format!("{number:.digits$}")
        }
    }
}

/// A number of jobs.
pub(crate) fn whole(jobs: u64) -> String {
    if jobs < 100 { jobs.to_string() } else { count(jobs as f64) }
}

/// Bytes in the largest unit that leaves a number above 1.
pub(crate) fn bytes(bytes: u64) -> String {
    match bytes as f64 {
        bytes if bytes >= 1e9 => format!("{:.2} GB", bytes / 1e9),
        bytes if bytes >= 1e6 => format!("{:.1} MB", bytes / 1e6),
        bytes => format!("{:.0} kB", bytes / 1e3),
    }
}

pub(crate) fn list(cores: &[usize]) -> String {
    cores.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
}

/// Microseconds in the unit that suits.
pub(crate) fn time(micros: f64) -> String {
    match micros {
        micros if micros >= 1e6 => format!("{} s", count(micros / 1e6)),
        micros if micros >= 1e3 => format!("{} ms", count(micros / 1e3)),
        micros => format!("{} µs", count(micros)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(count(1_234_567.8), "1,234,568");
        assert_eq!(count(100.0), "100");
        assert_eq!(count(99.94), "99.9");
        assert_eq!(count(0.123), "0.123");
        assert_eq!(count(0.00012345), "0.000123");
        assert_eq!(bytes(1_500_000), "1.5 MB");
    }
}
