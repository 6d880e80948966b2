//! `ringgear help`: the topics, each a page of this folder that is part of the program, and which was meant by a word that is
//! none. What stands on a page is in `page.rs`, how it looks in a terminal in `render.rs`, how as a manual page in `roff.rs`;
//! `ringgear --help` is written by `config/flags.rs`.
mod page;
mod render;
mod roff;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Arg, Command};
use render::render;
use rustix::termios::tcgetwinsize;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::process::ExitCode;

/// A page: the name of the topic, which is that of the file, and what the file says.
struct Topic {
    name: &'static str,
    page: &'static str,
}

macro_rules! topics {
    ($($name:literal,)*) => {
        [$(Topic { name: $name, page: include_str!(concat!($name, ".md")) }),*]
    };
}

/// In the order of the list.
static TOPICS: [Topic; 16] = topics![
    "clients",
    "compatibility",
    "connections",
    "durability",
    "http",
    "installation",
    "limits",
    "logging",
    "migration",
    "monitoring",
    "options",
    "security",
    "signals",
    "stores",
    "tls",
    "tools",
];

impl Topic {
    /// What the page is about: its first sentence stands below its title, in a line of its own.
    fn about(&self) -> &'static str {
        self.page.lines().nth(2).unwrap_or_default()
    }

    /// How much the page has to say about this word (in small letters): how often it stands there, and whether rows of tables
    /// are about it.
    fn mentions(&self, word: &str) -> usize {
        let page = self.page.to_lowercase();
        let about = |line: &&str| line.split('|').nth(1).is_some_and(|first| first.contains(word));
        page.matches(word).count() + 10 * page.lines().filter(about).count()
    }
}

/// Columns of text where nobody says how wide the terminal is, and the most that are easy to read.
const WIDTH: usize = 80;
const WIDTH_MAX: usize = 100;

/// `ringgear help [TOPIC]`: the status is 0 if there was something to print, 2 if there is no such topic.
pub(super) fn run(words: impl Iterator<Item = OsString>) -> ExitCode {
    const NO_TOPIC: u8 = 2;
    let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    // Whoever closed the pipe does not want to read on.
    match answer(&words, width()) {
        Ok(text) => {
            let _ = io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(text) => {
            let _ = io::stderr().write_all(text.as_bytes());
            ExitCode::from(NO_TOPIC)
        }
    }
}

/// The words of `ringgear help`, as completions and manual pages tell of them.
pub(super) fn command() -> Command {
    let topic = Arg::new("TOPIC").value_parser(PossibleValuesParser::new(
        TOPICS.iter().map(|topic| PossibleValue::new(topic.name).help(topic.about().trim_end_matches('.'))),
    ));
    Command::new("help")
        .about("Print a page about a topic, or the list of topics")
        .arg(topic.help("What it is about"))
}

/// Every page as a manual page: the name of its topic, and what is written in the file.
pub(super) fn manual_pages(version: &str) -> impl Iterator<Item = (&'static str, String)> {
    TOPICS
        .iter()
        .map(move |topic| (topic.name, roff::manual_page(topic.name, topic.about(), topic.page, version)))
}

/// Behind a pager, standard output is no terminal, but standard error is the one that the pager writes to.
fn width() -> usize {
    let size = tcgetwinsize(io::stdout()).or_else(|_| tcgetwinsize(io::stderr()));
    match size.map_or(0, |size| usize::from(size.ws_col)) {
        0 => WIDTH,
        columns => columns.min(WIDTH_MAX),
    }
}

/// What to print, or what is wrong.
fn answer(words: &[String], width: usize) -> Result<String, String> {
    match words {
        [] => Ok(contents()),
        [flag] if flag == "--help" || flag == "-h" => Ok(contents()),
        [word] => match TOPICS.iter().find(|topic| topic.name.eq_ignore_ascii_case(word)) {
            Some(topic) => Ok(render(topic.page, width)),
            None => Err(format!(
                "ringgear help: there is no topic '{word}'; the nearest is '{}'. The topics are:\n\n{}",
                nearest(word).name,
                list()
            )),
        },
        _ => Err(format!("ringgear help: one topic at a time. The topics are:\n\n{}", list())),
    }
}

fn contents() -> String {
    format!(
        "`ringgear help TOPIC` prints one of these:\n\n{}\nAll options in short: `ringgear --help`. Tools for stores: \
         `ringgear store --help`. Whether a server answers:\n`ringgear ping --help`.\n",
        list()
    )
}

/// A line for each topic.
fn list() -> String {
    let mut list = String::new();
    for topic in &TOPICS {
        // Writing to memory cannot fail.
        let _ = writeln!(list, "  {:<15}{}", topic.name, topic.about());
    }
    list
}

/// The topic whose name begins so or is written much like this, or else the one that has the word most often: an option, a
/// counter and a packet lead to the page that tells of them.
fn nearest(word: &str) -> &'static Topic {
    let word = word.to_lowercase();
    let mut close = &TOPICS[0];
    let mut telling = &TOPICS[0];
    for topic in &TOPICS {
        if !word.is_empty() && topic.name.starts_with(&word) {
            return topic;
        }
        if distance(&word, topic.name) < distance(&word, close.name) {
            close = topic;
        }
        if topic.mentions(&word) > telling.mentions(&word) {
            telling = topic;
        }
    }
    let alike = 2 * distance(&word, close.name) <= word.chars().count();
    if alike || telling.mentions(&word) == 0 { close } else { telling }
}

/// How many letters must be put in, left out or replaced to make one word the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    // How far the beginning of `from` that has been looked at is from each beginning of `to`.
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (at, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_page_begins_with_its_title_and_a_sentence_for_the_list() {
        for topic in &TOPICS {
            let mut lines = topic.page.lines();
            let title = lines.next().unwrap();
            assert_eq!(title.to_lowercase(), format!("# {}", topic.name));
            assert_eq!(lines.next(), Some(""), "{title}");
            let about = lines.next().unwrap();
            assert!(about.ends_with('.') && about.len() < 85, "{title}: {about}");
            assert_eq!(lines.next(), Some(""), "{title}");
        }
        assert!(TOPICS.is_sorted_by_key(|topic| topic.name));
    }

    #[test]
    fn a_topic_is_found_by_what_is_near() {
        for (word, topic) in [
            ("option", "options"),
            ("optoins", "options"),
            ("Compat", "compatibility"),
            ("durable", "durability"),
            ("signal", "signals"),
            ("log", "logging"),
            ("--max-abilities", "limits"),
            ("salvage", "stores"),
            ("SIGHUP", "signals"),
            ("prioritystatus", "monitoring"),
            ("keepalive-idle", "options"),
            ("gearmanode", "clients"),
        ] {
            assert_eq!(nearest(word).name, topic, "{word}");
        }
        // Whatever is asked, there is an answer.
        nearest("");
        nearest("\u{fffd}");
    }

    #[test]
    fn distances_are_counted_in_letters() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("abc", "abc"), 0);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("ab", "ba"), 2);
    }
}
