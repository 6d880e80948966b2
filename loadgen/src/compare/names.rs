//! What folders and histograms of a result are called. What is in them stands in `files.rs` and `histograms.rs`.
use crate::result::record::Span;

/// What the histogram of a latency is called: `index` is that of its phase.
pub(crate) fn tag(index: usize, phase: &str, group: &str, span: Span) -> String {
    format!("{}-{}-{}-{}", index + 1, slug(phase), slug(group), span.name())
}

/// A name without anything that a shell or a log would mind.
pub(crate) fn slug(name: &str) -> String {
    let mut slug = String::new();
    for letter in name.chars() {
        match letter {
            letter if letter.is_ascii_alphanumeric() => slug.push(letter.to_ascii_lowercase()),
            // A thousand's comma joins, everything else separates.
            ',' => {}
            _ if !slug.ends_with('-') => slug.push('-'),
            _ => {}
        }
    }
    slug.trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_files() {
        assert_eq!(slug("steady, 2,000 jobs a second"), "steady-2000-jobs-a-second");
        assert_eq!(slug("../x"), "x");
    }
}
