//! Files that set variables for those who start gearmand: `/etc/default/gearman-job-server`, `/etc/sysconfig/gearmand`. They are
//! read by shells and by systemd, which agree on assignments, quotes and lines that go on; more is not read here. Which
//! options they lead to is said here, too; what becomes of these in `mod.rs`.
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// A variable, where it is set.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Variable {
    pub(super) name: String,
    /// What it is set to: each byte, and its line.
    value: Vec<(u8, usize)>,
    /// The line on which it begins.
    pub(super) line: usize,
}

/// Variables that are the value of one option, as openSUSE's unit has them, and as the environment has one.
const VALUES: &[(&str, &str)] = &[
    ("GEARMAND_IPADDR", "listen"),
    ("GEARMAND_PORT", "port"),
    ("GEARMAND_LOGFILE", "log-file"),
    ("GEARMAND_USER", "user"),
    ("GEARMAND_SERVER_PEM", "ssl-certificate"),
    ("GEARMAND_SERVER_KEY", "ssl-key"),
    ("GEARMAND_CA_CERTIFICATE", "ssl-ca-file"),
];

impl Variable {
    /// The words of a command line that it stands for, with the line of each; `None` if it has nothing to do with options.
    pub(super) fn words(&self) -> Option<Vec<(OsString, usize)>> {
        let words = self.value.split(|(byte, _)| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
        let text = |word: &[(u8, usize)]| word.iter().map(|(byte, _)| *byte).collect::<Vec<u8>>();
        if let Some((_, option)) = VALUES.iter().find(|(name, _)| *name == self.name) {
            let value = text(&self.value);
            let word = [format!("--{option}=").as_bytes(), &value].concat();
            return Some(if value.is_empty() {
                Vec::new()
            } else {
                vec![(OsString::from_vec(word), self.line)]
            });
        }
        let words: Vec<_> = words.map(|word| (OsString::from_vec(text(word)), word[0].1)).collect();
        match words.first() {
            Some((first, _)) if first.as_encoded_bytes().starts_with(b"-") => Some(words),
            None if is_for_options(&self.name) => Some(words),
            _ => None,
        }
    }
}

/// What packages call the variable that holds options.
fn is_for_options(name: &str) -> bool {
    ["PARAMS", "OPTIONS", "OPTS", "ARGS"].iter().any(|end| name.ends_with(end))
}

/// Whether a file sets variables, rather than being one of gearmand's own kind.
pub(super) fn sets_variables(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_start);
    !lines.clone().any(|line| line.starts_with(b"-") && !follows_continuation(bytes, line))
        && lines.any(|line| assigned(line).is_some())
}

/// Whether the line before this one goes on in it.
fn follows_continuation(bytes: &[u8], line: &[u8]) -> bool {
    let at = line.as_ptr() as usize - bytes.as_ptr() as usize;
    let before = bytes[..at].trim_ascii_end();
    before.ends_with(b"\\")
}

/// The name that a line sets, and where its value begins.
fn assigned(line: &[u8]) -> Option<(String, usize)> {
    let trimmed = line.trim_ascii_start();
    let mut begin = line.len() - trimmed.len();
    if let Some(rest) = trimmed.strip_prefix(b"export ") {
        begin = line.len() - rest.trim_ascii_start().len();
    }
    let equals = begin + line[begin..].iter().position(|byte| *byte == b'=')?;
    let name = &line[begin..equals];
    let fine = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let is_name = name.first().is_some_and(|first| !first.is_ascii_digit()) && name.iter().all(fine);
    is_name.then(|| (String::from_utf8_lossy(name).into_owned(), equals + 1))
}

/// The variables that a file sets, in its order; of one that is set twice the last time counts.
pub(super) fn variables(bytes: &[u8]) -> Vec<Variable> {
    let mut found: Vec<Variable> = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < bytes.len() {
        let end = bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| at + end);
        let Some((name, begin)) = assigned(&bytes[at..end]) else {
            (at, line) = (end + 1, line + 1);
            continue;
        };
        let (value, next, lines) = value(&bytes[at + begin..], line);
        found.retain(|variable| variable.name != name);
        found.push(Variable { name, value, line });
        (at, line) = (at + begin + next, line + lines);
    }
    found
}

/// The value that begins here, how many bytes it takes with its line, and how many lines that are.
fn value(bytes: &[u8], first: usize) -> (Vec<(u8, usize)>, usize, usize) {
    let mut value = Vec::new();
    let (mut at, mut line) = (0, first);
    let mut quote = None;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match (byte, quote) {
            (b'\\', None | Some(b'"')) => {
                match bytes.get(at) {
                    Some(b'\n') => line += 1,
                    Some(&escaped) => value.push((escaped, line)),
                    None => {}
                }
                at += 1;
            }
            (b'\n', None) => return (value, at, line + 1 - first),
            (b'"' | b'\'', None) => quote = Some(byte),
            (_, Some(open)) if byte == open => quote = None,
            // systemd takes the rest of the line as well; a shell begins a command there, or a comment.
            (b'#', None) if value.last().is_some_and(|(last, _)| *last == b' ') => {
                at += bytes[at..].iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len() - at);
            }
            _ => {
                value.push((byte, line));
                line += usize::from(byte == b'\n');
            }
        }
    }
    (value, at, line + 1 - first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<(String, usize)> {
        let variables = variables(text.as_bytes());
        let words = variables.iter().filter_map(Variable::words).flatten();
        words.map(|(word, line)| (word.into_string().unwrap(), line)).collect()
    }

    fn plain(text: &str) -> Vec<String> {
        words(text).into_iter().map(|(word, _)| word).collect()
    }

    /// As Debian has it.
    #[test]
    fn lines_that_go_on() {
        let text = "# This is a configuration file for /etc/init.d/gearman-job-server\n\nPARAMS=\"--listen=localhost \\\n          \
                    --daemon \\\n          --log-file=/var/log/g.log\"\n";
        let expected = [("--listen=localhost", 3), ("--daemon", 4), ("--log-file=/var/log/g.log", 5)];
        assert_eq!(words(text), expected.map(|(word, line)| (word.to_owned(), line)));
        assert!(sets_variables(text.as_bytes()));
    }

    #[test]
    fn quotes_comments_and_other_variables() {
        assert_eq!(plain("OPTIONS='-L 127.0.0.1 -R'"), ["-L", "127.0.0.1", "-R"]);
        assert_eq!(plain("export OPTIONS=-R\nOTHER=x\nPATH=/usr/bin"), ["-R"]);
        assert_eq!(plain("OPTIONS=\"-R\"\nOPTIONS=\"-d\"\n"), ["-d"]);
        assert_eq!(plain("# OPTIONS=-R\n  OPTIONS=-d # why"), ["-d"]);
        assert_eq!(
            plain("GEARMAND_IPADDR=\"::1\"\nGEARMAND_PORT=4731\nGEARMAND_USER=\"\""),
            ["--listen=::1", "--port=4731"]
        );
        assert_eq!(words("A='x\ny'\n\nOPTIONS=-R"), [("-R".to_owned(), 4)]);
        // Whatever stands there, it is read to its end.
        for text in ["OPTIONS=\"-R", "OPTIONS=\\", "=", "A=", "\"", "OPTIONS='", "1A=x\n\0=\n", "A=x #"] {
            variables(text.as_bytes());
            sets_variables(text.as_bytes());
        }
    }

    #[test]
    fn kinds_of_files() {
        assert!(!sets_variables(b"--port=1\n-R\n"));
        assert!(!sets_variables(b"# port=1\n\n"));
        assert!(!sets_variables(b"A=1\n--port=1\n"));
        assert!(sets_variables(b"OPTIONS=\"\"\n"));
        assert!(sets_variables(b"A=\"\\\n  -R\"\n"));
    }
}
