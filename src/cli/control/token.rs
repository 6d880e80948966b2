//! The token that a subcommand shows to the HTTP side, from the environment: a command line could be read by everybody on the machine.
use std::fmt;
use std::fs::File;
use std::io::Read;

/// Where the token itself stands, and where the name of a file with it does.
const TOKEN: &str = "RINGGEAR_TOKEN";
const TOKEN_FILE: &str = "RINGGEAR_TOKEN_FILE";

/// The longest token, far beyond those that `ringgear token new` makes.
const TOKEN_MAX: usize = 1024;

/// A token. Nothing prints it.
pub(super) struct ControlSecret(String);

impl ControlSecret {
    /// For the head of a request.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ControlSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(a token)")
    }
}

/// The token of whoever runs this, if he has one. An error is one sentence, and does not tell it.
pub(super) fn from_environment() -> Result<Option<ControlSecret>, String> {
    let said = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(token) = said(TOKEN) {
        let token = token.into_string().map_err(|_| wrong(TOKEN))?;
        return read(&token, TOKEN).map(Some);
    }
    let Some(path) = said(TOKEN_FILE) else { return Ok(None) };
    let mut text = String::new();
    // One byte more than a token may have tells that it is none.
    let file = File::open(&path);
    file.and_then(|file| file.take(TOKEN_MAX as u64 + 1).read_to_string(&mut text)).map_err(|error| {
        format!("{TOKEN_FILE}: {}: {error}; name a file with a token that you may read", path.display())
    })?;
    read(&text, TOKEN_FILE).map(Some)
}

fn read(text: &str, name: &str) -> Result<ControlSecret, String> {
    let token = text.trim();
    let fine =
        !token.is_empty() && token.len() <= TOKEN_MAX && token.bytes().all(|byte| byte.is_ascii_graphic());
    if fine { Ok(ControlSecret(token.to_owned())) } else { Err(wrong(name)) }
}

fn wrong(name: &str) -> String {
    let place = if name == TOKEN_FILE { "the file that it names has" } else { "it has" };
    format!(
        "{name}: {place} no token but something else; put in one word as `ringgear token new` prints it first"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_word() {
        assert_eq!(read(" rg_abc-_9\n", TOKEN).unwrap().expose(), "rg_abc-_9");
        for text in ["", " \n", "a b", "a\r\nX: y", "gr\u{fc}n", &"x".repeat(TOKEN_MAX + 1)] {
            let said = read(text, TOKEN_FILE).unwrap_err();
            assert!(said.starts_with("RINGGEAR_TOKEN_FILE: the file that it names has no token"), "{said}");
            assert!(text.trim().is_empty() || !said.contains(text.trim()), "{said}");
        }
        assert_eq!(format!("{:?}", read("secret", TOKEN).unwrap()), "(a token)");
    }
}
