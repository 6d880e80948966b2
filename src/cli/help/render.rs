//! A page of help as it looks in a terminal: its blocks (`page.rs`) without the marks of Markdown and filled to a width. What the
//! pages are is not known here.
use super::page::{PageBlock, blocks, without_links};

/// What stands before text, and before what belongs to it.
const MARGIN: &str = "  ";
const DEEPER: &str = "      ";

/// The page in lines of at most so many columns, where its words and its examples let it.
pub(super) fn render(page: &str, width: usize) -> String {
    let mut out = String::with_capacity(page.len());
    for block in blocks(page) {
        match block {
            PageBlock::Heading(_, text) => fill(&mut out, text, "", "", width),
            PageBlock::Example(lines) => {
                for line in lines {
                    out.push_str(DEEPER);
                    out.push_str(line);
                    out.push('\n');
                }
            }
            PageBlock::Table(names, rows) => table(&mut out, &names, &rows, width),
            PageBlock::Text(mark, text) => {
                let hanging = " ".repeat(MARGIN.len() + mark.len());
                fill(&mut out, &format!("{mark}{text}"), MARGIN, &hanging, width);
            }
            PageBlock::Blank => out.push('\n'),
        }
    }
    out
}

/// A table: the names of its columns in a line, then each row as an entry under its first cell. Where there are several other
/// cells, each begins with the name of its column.
fn table(out: &mut String, names: &[&str], rows: &[Vec<&str>], width: usize) {
    let caption: Vec<&str> = names.iter().copied().filter(|name| !name.is_empty()).collect();
    fill(out, &caption.join(" | "), MARGIN, MARGIN, width);
    for row in rows {
        let mut cells = row.iter().copied().zip(names);
        if let Some((first, _)) = cells.next() {
            fill(out, first, MARGIN, DEEPER, width);
        }
        for (cell, name) in cells.filter(|(cell, _)| !cell.is_empty()) {
            let named = match names.len() > 2 && !name.is_empty() {
                true => format!("{name}: {cell}"),
                false => cell.to_owned(),
            };
            fill(out, &named, DEEPER, DEEPER, width);
        }
    }
}

/// Appends text in lines: the first begins with one margin, the others with another.
fn fill(out: &mut String, text: &str, first: &str, others: &str, width: usize) {
    let text = without_links(text);
    let mut column = 0;
    for word in text.split_whitespace() {
        let long = word.chars().count();
        if column == 0 {
            out.push_str(first);
            column = first.len();
        } else if column + 1 + long > width {
            out.push('\n');
            out.push_str(others);
            column = others.len();
        } else {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += long;
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::super::TOPICS;
    use super::*;

    #[test]
    fn paragraphs_lists_and_examples() {
        let page = "# Title\n\nSome words that\n`do` not fit.\n\n- an item that goes\n  on\n- another\n\n\
                    10. ten\n\n```console\n$ a  b | c\n```\n";
        let expected = "Title\n\n  Some words that\n  `do` not fit.\n\n  - an item that\n    goes on\n  - another\n\n  10. ten\n\n      \
                        $ a  b | c\n";
        assert_eq!(render(page, 18), expected);
    }

    #[test]
    fn tables_become_entries() {
        let two = "| signal | effect |\n|---|---|\n| A | does this and that |\n| B | |\n";
        assert_eq!(render(two, 20), "  signal | effect\n  A\n      does this and\n      that\n  B\n");
        let three = "| option | default | |\n|---|---|---|\n| `-p` | 1 | x |\n";
        assert_eq!(render(three, 80), "  option | default\n  `-p`\n      default: 1\n      x\n");
    }

    /// At any width each word of a page is printed, in its order but for names of columns, and no line is longer than it must be.
    #[test]
    fn nothing_is_lost() {
        let words = |text: &str| -> Vec<String> {
            let words = text.split(|c: char| c.is_whitespace() || c == '|').map(str::to_owned);
            words.filter(|word| word.contains(char::is_alphanumeric)).collect()
        };
        for topic in &TOPICS {
            for width in [30, 80, 100] {
                let printed = render(topic.page, width);
                let plain: Vec<String> =
                    topic.page.lines().filter(|line| !line.starts_with("```")).map(str::to_owned).collect();
                let mut told = words(&printed).into_iter();
                for word in words(&without_links(&plain.join("\n"))) {
                    let same = |told: &String| {
                        told.trim_end_matches([',', ':']) == word.trim_end_matches([',', ':'])
                    };
                    assert!(told.any(|told| same(&told)), "{} at {width}: {word}", topic.name);
                }
                // What is meant to be copied stays in one line.
                let copied = |line: &&str| {
                    line.starts_with("      ")
                        && plain.iter().any(|one| one.trim_start() == line.trim_start())
                };
                for line in printed.lines().filter(|line| !line.starts_with("      $") && !copied(line)) {
                    let one_word = line.split_whitespace().count() < 3;
                    assert!(line.chars().count() <= width || one_word, "{} at {width}: {line}", topic.name);
                }
            }
        }
    }
}
