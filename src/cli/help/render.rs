//! A page of help as it looks in a terminal: Markdown, as far as the pages of this folder use it, without its marks and filled
//! to a width. What the pages are is not known here.

/// What stands before text, and before what belongs to it.
const MARGIN: &str = "  ";
const DEEPER: &str = "      ";

/// The page in lines of at most so many columns, where its words and its examples let it.
pub(super) fn render(page: &str, width: usize) -> String {
    let mut out = String::with_capacity(page.len());
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            for example in lines.by_ref().take_while(|line| !line.starts_with("```")) {
                out.push_str(DEEPER);
                out.push_str(example);
                out.push('\n');
            }
        } else if line.starts_with('#') {
            fill(&mut out, line.trim_start_matches('#'), "", "", width);
        } else if line.starts_with('|') {
            let mut rows = vec![line];
            rows.extend(std::iter::from_fn(|| lines.next_if(|next| next.starts_with('|'))));
            table(&mut out, &rows, width);
        } else if line.is_empty() {
            out.push('\n');
        } else {
            let mut text = line.to_owned();
            while let Some(more) = lines.next_if(|next| continues(next)) {
                text.push(' ');
                text.push_str(more.trim_start());
            }
            let hanging = " ".repeat(MARGIN.len() + marker(line));
            fill(&mut out, &text, MARGIN, &hanging, width);
        }
    }
    out
}

/// Whether a line goes on with the paragraph or the item before it.
fn continues(line: &str) -> bool {
    !(line.is_empty() || line.starts_with(['#', '|']) || line.starts_with("```") || marker(line) > 0)
}

/// Bytes of what makes a line an item of a list: `- ` or `1. `. 0 if it is none.
fn marker(line: &str) -> usize {
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    match &line[digits..] {
        rest if digits > 0 && rest.starts_with(". ") => digits + 2,
        rest if digits == 0 && rest.starts_with("- ") => 2,
        _ => 0,
    }
}

/// A table: the names of its columns in a line, then each row as an entry under its first cell. Where there are several other
/// cells, each begins with the name of its column.
fn table(out: &mut String, rows: &[&str], width: usize) {
    let [names, _, rows @ ..] = rows else { return };
    let names = cells(names);
    let caption: Vec<&str> = names.iter().copied().filter(|name| !name.is_empty()).collect();
    fill(out, &caption.join(" | "), MARGIN, MARGIN, width);
    for row in rows {
        let mut cells = cells(row).into_iter().zip(&names);
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

fn cells(row: &str) -> Vec<&str> {
    let row = row.strip_prefix('|').unwrap_or(row);
    row.strip_suffix('|').unwrap_or(row).split('|').map(str::trim).collect()
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

/// A link becomes its text, and where it leads to in brackets, unless that is another topic of the same name.
fn without_links(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('[') {
        out.push_str(before);
        let parts = link.split_once("](").filter(|(label, _)| !label.contains(['[', ']']));
        match parts.and_then(|(label, rest)| Some((label, rest.split_once(')')?))) {
            Some((label, (target, after))) => {
                out.push_str(label);
                if target != format!("{label}.md") {
                    out.push_str(&format!(" ({})", from_the_root(target)));
                }
                rest = after;
            }
            None => {
                out.push('[');
                rest = link;
            }
        }
    }
    out.push_str(rest);
    out
}

/// Where a link of this folder leads to, as somebody names it who stands in the root of the repository.
fn from_the_root(target: &str) -> String {
    let target = target.split_once('#').map_or(target, |(path, _)| path);
    match (target.strip_prefix("../../../"), target.strip_prefix("../../")) {
        (Some(path), _) => path.to_owned(),
        (None, Some(path)) => format!("src/{path}"),
        (None, None) => target.to_owned(),
    }
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

    #[test]
    fn links_say_where_they_lead() {
        let links =
            "see [limits](limits.md), [how](../../../results/a/README.md#x) [f] [b](../../store/b.md).";
        let plain = "see limits, how (results/a/README.md) [f] b (src/store/b.md).";
        assert_eq!(without_links(links), plain);
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
                for line in printed.lines().filter(|line| !line.starts_with("      $")) {
                    let one_word = line.split_whitespace().count() < 3;
                    assert!(line.chars().count() <= width || one_word, "{} at {width}: {line}", topic.name);
                }
            }
        }
    }

    #[test]
    fn each_row_of_a_table_has_all_cells() {
        for topic in &TOPICS {
            let mut columns = 0;
            for line in topic.page.lines() {
                columns = match line.starts_with('|') {
                    false => 0,
                    true if columns == 0 => cells(line).len(),
                    true => columns,
                };
                let found = if columns == 0 { 0 } else { cells(line).len() };
                assert_eq!(found, columns, "{}: {line}", topic.name);
            }
        }
    }
}
