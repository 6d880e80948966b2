//! MySQL's option files: gearmand's client library takes from their groups [client] and [gearmand] what options leave open. Text in,
//! words out; which of them count is `target.rs`.
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Groups that count, from the weakest on. The later of two words counts, whichever group it is in.
const GROUPS: &[&str] = &["client", "client-server", "client-mariadb", "gearmand"];
/// Files include files, so deep at the most.
const DEPTH: u32 = 8;

/// The machine that we are on, as far as it counts.
pub(super) struct FileSystem<'a> {
    /// The text of a file; not there is not an error.
    pub(super) file: &'a dyn Fn(&Path) -> io::Result<String>,
    /// The names of what is in a folder.
    pub(super) folder: &'a dyn Fn(&Path) -> Vec<PathBuf>,
}

/// What the files say: a word without its dashes turned, and its value; where a word stands alone there is none.
pub(super) fn read(
    paths: &[PathBuf],
    system: &FileSystem<'_>,
) -> Result<BTreeMap<String, Option<String>>, String> {
    let mut words = BTreeMap::new();
    for path in paths {
        read_file(path, system, DEPTH, &mut words)?;
    }
    Ok(words)
}

fn read_file(
    path: &Path,
    system: &FileSystem<'_>,
    depth: u32,
    words: &mut BTreeMap<String, Option<String>>,
) -> Result<(), String> {
    let text = match (system.file)(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        // Files of others may be closed to us: the library passes them over, too.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
        Err(error) => return Err(format!("{} cannot be read: {error}", path.display())),
    };
    let mut counts = false;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        let mistake = |what: &str| format!("{}, line {}: {what}", path.display(), number + 1);
        if let Some(included) = line.strip_prefix("!includedir") {
            let folder = Path::new(included.trim());
            let mut files: Vec<PathBuf> = (system.folder)(folder)
                .into_iter()
                .filter(|file| file.extension().is_some_and(|extension| extension == "cnf"))
                .collect();
            files.sort();
            for file in files.iter().take_while(|_| depth > 0) {
                read_file(file, system, depth - 1, words)?;
            }
        } else if let Some(included) = line.strip_prefix("!include") {
            if depth > 0 {
                read_file(Path::new(included.trim()), system, depth - 1, words)?;
            }
        } else if let Some(group) = line.strip_prefix('[') {
            let group = group.split_once(']').ok_or_else(|| mistake("a group has no end"))?.0;
            counts = GROUPS.contains(&group.trim());
        } else if counts && !line.is_empty() && !line.starts_with(['#', ';']) {
            let (word, value) = match line.split_once('=') {
                Some((word, value)) => (word.trim(), Some(unquoted(value.trim()))),
                None => (line, None),
            };
            words.insert(word.replace('_', "-"), value);
        }
    }
    Ok(())
}

/// A value without quotes, comments behind it and escapes.
fn unquoted(value: &str) -> String {
    if let Some(quote @ ('\'' | '"')) = value.chars().next()
        && let Some(inside) = value[1..].strip_suffix(quote)
    {
        return unescaped(inside);
    }
    let end = value.find(" #").unwrap_or(value.len());
    unescaped(value[..end].trim_end())
}

fn unescaped(text: &str) -> String {
    let (mut out, mut letters) = (String::new(), text.chars());
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        match letters.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('b') => out.push('\u{8}'),
            Some('s') => out.push(' '),
            Some(other @ ('\\' | '"' | '\'')) => out.push(other),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_that_count_are_read_and_later_ones_win() {
        let files = [
            ("/etc/my.cnf", "[client]\nuser = a\npassword='it''s'\n[mysqld]\nuser=x\n!includedir /etc/d\n"),
            ("/etc/d/b.cnf", "[gearmand]\nuser=b # not c\nssl_ca = /ca\n"),
            ("/etc/d/a.txt", "[gearmand]\nuser=c\n"),
            ("/home/.my.cnf", "# mine\n[gearmand]\ndatabase=\"d\\sd\"\nssl\n"),
        ];
        let system = FileSystem {
            file: &|path| match files.iter().find(|(name, _)| Path::new(name) == path) {
                Some((_, text)) => Ok((*text).to_owned()),
                None => Err(io::ErrorKind::NotFound.into()),
            },
            folder: &|folder| {
                let here = |name: &&str| Path::new(name).parent() == Some(folder);
                files.iter().map(|(name, _)| *name).filter(here).map(PathBuf::from).collect()
            },
        };
        let paths = ["/etc/my.cnf", "/nowhere", "/home/.my.cnf"].map(PathBuf::from);
        let words = read(&paths, &system).unwrap();
        let value = |word: &str| words.get(word).cloned();
        assert_eq!(value("user"), Some(Some("b".to_owned())));
        assert_eq!(value("password"), Some(Some("it''s".to_owned())));
        assert_eq!(value("ssl-ca"), Some(Some("/ca".to_owned())));
        assert_eq!(value("database"), Some(Some("d d".to_owned())));
        assert_eq!((value("ssl"), value("socket")), (Some(None), None));
    }
}
