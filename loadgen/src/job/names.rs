//! What a name becomes where a file, a folder or a log has it. Knows nothing of who has the name.

/// A name without anything that a shell or a log would mind. Different names may become one.
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
