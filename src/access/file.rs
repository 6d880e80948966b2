//! Reads the file that grants rights: sections and options in the form of Python's `RawConfigParser`, as `geard` has it, and more of
//! them. What is not understood is an error, never passed over: it would grant less than was meant, or more.
use super::entry::Entry;
use super::error::WrongLine;
use super::list::AccessList;
use super::pattern::Pattern;
use super::selector::{Selector, UserNames};
use std::collections::HashMap;
use std::sync::Arc;

/// The longest file, in bytes.
pub(super) const FILE_MAX: usize = 1 << 20;
/// The most entries.
const ENTRIES_MAX: usize = 10_000;

/// A section that is being read.
struct Section {
    entry: Entry,
    /// Where each of its options stands, by the right that it grants.
    options: HashMap<&'static str, usize>,
}

/// Reads a whole file.
pub(super) fn read(text: &[u8], names: UserNames) -> Result<AccessList, WrongLine> {
    let mut list = AccessList::default();
    let mut lines: Vec<usize> = Vec::new();
    let mut section: Option<Section> = None;
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    for (number, line) in (1..).zip(text.split(|&byte| byte == b'\n')) {
        let wrong = |what: String| WrongLine::at(number, what);
        let line = str::from_utf8(line).map_err(|_| wrong("this is not UTF-8; write it so".to_owned()))?;
        let indented = line.starts_with([' ', '\t']);
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if indented && section.as_ref().is_some_and(|section| !section.options.is_empty()) {
            let what =
                "a line that begins with a blank would go on with the value above it; begin it without";
            return Err(wrong(what.to_owned()));
        }
        if let Some(rest) = line.strip_prefix('[') {
            if let Some(done) = section.take() {
                list.entries.push(Arc::new(done.entry));
            }
            let name = name_of(rest).map_err(wrong)?;
            if lines.len() == ENTRIES_MAX {
                return Err(wrong(format!(
                    "there are more than {ENTRIES_MAX} entries; write fewer, for more subjects each"
                )));
            }
            let selector = Selector::read(name, names).map_err(wrong)?;
            if let Some(first) = list.index.add(selector, lines.len()) {
                let first = lines[first];
                return Err(wrong(format!(
                    "[{name}] means whom the entry in line {first} means; make one of both"
                )));
            }
            lines.push(number);
            let entry = Entry { name: name.to_owned(), ..Entry::default() };
            section = Some(Section { entry, options: HashMap::new() });
            continue;
        }
        let Some((option, value)) = line.split_once(['=', ':']) else {
            return Err(wrong(format!("{line:?} is neither [SUBJECT] nor OPTION=VALUE; write one of these")));
        };
        let Some(section) = &mut section else {
            return Err(wrong(
                "an option stands below the subject that it is about; write [SUBJECT] above it".to_owned(),
            ));
        };
        section.set(number, option.trim(), value.trim()).map_err(wrong)?;
    }
    list.entries.extend(section.map(|section| Arc::new(section.entry)));
    Ok(list)
}

/// The name in brackets, of which the first is taken off.
fn name_of(rest: &str) -> Result<&str, String> {
    let Some(name) = rest.strip_suffix(']') else {
        return Err("the name of a subject ends with ] at the end of the line; put it there".to_owned());
    };
    if name.is_empty() || name.trim() != name || name.contains(|c: char| c.is_control()) {
        return Err("the name of a subject is not empty, has no blanks at its ends and no control characters; write it so".to_owned());
    }
    if name == "DEFAULT" {
        return Err(
            "[DEFAULT] would be added to every other entry; write [*] for what everybody may".to_owned()
        );
    }
    Ok(name)
}

impl Section {
    fn set(&mut self, line: usize, option: &str, value: &str) -> Result<(), String> {
        // What may be said once, whichever of its names it has.
        let right = match option.to_ascii_lowercase().as_str() {
            "register" | "work" => "work",
            "invoke" | "submit" => "submit",
            "read" => "read",
            "admin" => "admin",
            "grant" => "grant",
            _ => {
                return Err(format!(
                    "there is no option {option:?}; write submit (or invoke), work (or register), read, admin or grant"
                ));
            }
        };
        if let Some(first) = self.options.insert(right, line) {
            return Err(format!("{option} is said in line {first} already; make one of both"));
        }
        if let Some(at) = [" #", " ;", "\t#", "\t;"].iter().find_map(|mark| value.find(mark)) {
            let comment = value[at..].trim_start();
            return Err(format!(
                "{comment:?} would be a part of the value; put it on a line of its own, or write [ ] for a blank"
            ));
        }
        match right {
            "work" => self.entry.work = Some(Pattern::new(value)?),
            "submit" => self.entry.submit = Some(Pattern::new(value)?),
            "read" => self.entry.read = truth(option, value)?,
            "admin" => self.entry.admin = truth(option, value)?,
            _ => self.entry.grant = truth(option, value)?,
        }
        Ok(())
    }
}

/// A boolean as Python's `getboolean` reads it.
fn truth(option: &str, value: &str) -> Result<bool, String> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "yes" | "true" | "on" => Ok(true),
        "0" | "no" | "false" | "off" => Ok(false),
        _ => Err(format!("{option} is True or False, not {value:?}; write one of these")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::door::{AdminLines, Door};
    use crate::engine::{CertificateNames, Right, Rights, Subject};

    const NOBODY: UserNames = UserNames { user: |_| None, group: |_| None };

    fn list(text: &str) -> Result<AccessList, (usize, String)> {
        read(text.as_bytes(), NOBODY).map_err(|wrong| (wrong.line, wrong.what))
    }

    fn named(name: &str) -> Subject {
        let names = CertificateNames { common_name: Some(name.into()), dns_names: Vec::new() };
        Subject { certificate: Some(Arc::new(names)), ..Subject::at([192, 0, 2, 1].into()) }
    }

    fn rights(list: &AccessList, subject: &Subject) -> Rights {
        list.rights(subject, Door::Jobs, AdminLines::All)
    }

    #[test]
    fn a_file_of_geard() {
        let text =
            "# who may what\n[my_worker]\nregister=build:.*\n\n[my_client]\ninvoke: .*\n; all\ngrant=True\n";
        let list = list(text).unwrap();
        let worker = rights(&list, &named("my_worker"));
        assert!(worker.covers(Right::Work, b"build:x") && !worker.covers(Right::Work, b"rebuild:x"));
        assert!(!worker.covers(Right::Submit, b"build:x") && !worker.has(Right::Read));
        let client = rights(&list, &named("my_client"));
        assert!(client.covers(Right::Submit, b"anything") && !client.has(Right::Work));
        let other = rights(&list, &named("somebody"));
        assert!(Right::ALL.into_iter().all(|right| !other.has(right)), "whom no entry means may nothing");
        let told = "my_client\tregister=None\tinvoke=.*\tgrant=True\nmy_worker\tregister=build:.*\tinvoke=None\tgrant=False\n.\n";
        assert_eq!(list.told(), told);
    }

    #[test]
    fn entries_add_up_and_doors_take_away() {
        let text = "[*]\nread=yes\n[address:192.0.2.0/24]\nsubmit=mail\n[ops]\nadmin=on\nwork=.*\n";
        let list = list(text).unwrap();
        let all = rights(&list, &named("ops"));
        assert!(Right::ALL.into_iter().all(|right| all.covers(right, b"mailing")));
        let some = rights(&list, &Subject::at([192, 0, 2, 9].into()));
        assert!(some.has(Right::Read) && some.covers(Right::Submit, b"mail") && !some.has(Right::Admin));
        let read_only = list.rights(&named("ops"), Door::ReadOnly, AdminLines::All);
        assert!(read_only.has(Right::Read) && !read_only.has(Right::Admin) && !read_only.has(Right::Work));
        assert!(
            list.told().contains("\nops\tregister=.*\tinvoke=None\tgrant=False\tadmin=True\n"),
            "{}",
            list.told()
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, line, said) in [
            ("submit=x\n", 1, "an option stands below the subject"),
            ("[a\n", 1, "ends with ]"),
            ("[a] # x\n", 1, "ends with ]"),
            ("[]\n", 1, "is not empty"),
            ("[ a ]\n", 1, "no blanks at its ends"),
            ("[DEFAULT]\n", 1, "write [*]"),
            ("\n[a]\nfoo\n", 3, "\"foo\" is neither [SUBJECT] nor OPTION=VALUE"),
            ("[a]\ninvok=x\n", 2, "there is no option \"invok\""),
            ("[a]\ninvoke=x\nsubmit=y\n", 3, "submit is said in line 2 already"),
            ("[a]\nread=maybe\n", 2, "read is True or False, not \"maybe\""),
            ("[a]\nread\n", 2, "is neither"),
            ("[a]\nread=\n", 2, "read is True or False, not \"\""),
            ("[a]\ninvoke=\n", 2, "write .* if that is meant"),
            ("[a]\ninvoke=(\n", 2, "this is no regular expression: unclosed group"),
            ("[a]\ninvoke=.* # all\n", 2, "\"# all\" would be a part of the value"),
            ("[a]\ninvoke=.*\n  more\n", 3, "a line that begins with a blank"),
            ("[a]\n[b]\n[a]\n", 3, "the entry in line 1 means"),
            ("[a]\n[cn:a]\n", 2, "[cn:a] means whom the entry in line 1 means"),
            ("[address:10.0.0.0/8]\n[address:::ffff:10.0.0.0/104]\n", 2, "line 1"),
            ("[host:a]\n", 1, "[host:a] names nobody"),
            ("[user:x]\n", 1, "has no user \"x\""),
        ] {
            let (at, what) = list(text).unwrap_err();
            assert!(at == line && what.contains(said), "{text:?}: line {at}: {what}");
        }
        let wrong = read(b"[a]\ninvoke=\xff\n", NOBODY).unwrap_err();
        assert_eq!((wrong.line, wrong.what.as_str()), (2, "this is not UTF-8; write it so"));
        let many: String = (0..=ENTRIES_MAX).map(|number| format!("[{number}]\n")).collect();
        assert_eq!(list(&many).unwrap_err().0, ENTRIES_MAX + 1);
    }

    #[test]
    fn line_ends_blanks_and_marks_of_other_systems() {
        let list = list("\u{feff}[a]\r\n  submit = x\r\nREAD = On\r\n").unwrap();
        let rights = rights(&list, &named("a"));
        assert!(rights.covers(Right::Submit, b"x") && rights.has(Right::Read));
        assert!(super::read(b"", NOBODY).unwrap().entries.is_empty());
    }
}
