//! The expression that says which functions an entry is about. The one place of the library for them, which looks at each byte of a
//! name once whatever the expression is.
use regex::bytes::{Regex, RegexBuilder};
use std::fmt;

/// Bytes that an expression may take when it is compiled, and what it may build while it is used.
const COMPILED_MAX: usize = 256 << 10;
/// How deep parentheses may stand in each other.
const NESTED_MAX: u32 = 64;

/// An expression, anchored at the beginning of a name as with Python's `re.match`.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    text: String,
    compiled: Regex,
}

impl Pattern {
    /// Compiles it. An error is what is wrong with it and what to do.
    pub(super) fn new(text: &str) -> Result<Pattern, String> {
        if text.is_empty() {
            return Err("an empty expression fits every function; write .* if that is meant".to_owned());
        }
        // In parentheses what stands in it means the same, if it means anything by itself.
        if text.contains(')') {
            compile(text)?;
        }
        let compiled = compile(&format!(r"\A(?:{text})"))?;
        Ok(Pattern { text: text.to_owned(), compiled })
    }

    /// Whether a function is meant.
    pub(super) fn fits(&self, function: &[u8]) -> bool {
        self.compiled.is_match(function)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn compile(text: &str) -> Result<Regex, String> {
    let mut builder = RegexBuilder::new(text);
    builder.size_limit(COMPILED_MAX).dfa_size_limit(COMPILED_MAX).nest_limit(NESTED_MAX);
    builder.build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => {
            "the expression takes too much memory; write a smaller one, with fewer repetitions".to_owned()
        }
        error => {
            let told = error.to_string();
            let why = told.lines().rev().find_map(|line| line.trim().strip_prefix("error: "));
            format!("this is no regular expression: {}; write another", why.unwrap_or("it cannot be read"))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, name: &str) -> bool {
        Pattern::new(pattern).unwrap().fits(name.as_bytes())
    }

    #[test]
    fn anchored_at_the_beginning_only() {
        assert!(fits("build:.*", "build:x") && fits("build", "builder") && !fits("build", "rebuild"));
        assert!(fits("a|b", "bc") && !fits("a|b", "cb"), "each alternative is anchored");
        assert!(fits("build$", "build") && !fits("build$", "builder"));
        assert!(fits("(?i)Build", "bUILd") && fits(".*", "") && fits(r"\w+-\d", "ab-1"));
        assert!(Pattern::new(".*").unwrap().fits(b"\xff\0"), "names are bytes");
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        let said = |text: &str| Pattern::new(text).unwrap_err();
        assert_eq!(said("a("), "this is no regular expression: unclosed group; write another");
        assert_eq!(said("a)|(.*"), "this is no regular expression: unopened group; write another");
        assert!(said("(?!a)b").contains("look-around"), "{}", said("(?!a)b"));
        assert!(said(r"(a)\1").contains("backreference"), "{}", said(r"(a)\1"));
        assert!(said("((a{100}){100}){100}").contains("too much memory"));
        assert!(said(&"(".repeat(1000)).starts_with("this is no regular expression"));
        assert!(said("").contains(".*"));
    }
}
