//! A page of help in blocks: Markdown, as far as the pages of this folder use it. How blocks look in a terminal is in
//! `render.rs`, how in a manual page in `roff.rs`.

/// What stands on a page, from top to bottom.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PageBlock<'p> {
    /// A line that parts the page; 1 is its title.
    Heading(usize, &'p str),
    /// Lines that are printed as they stand.
    Example(Vec<&'p str>),
    /// The names of the columns, and rows of as many cells.
    Table(Vec<&'p str>, Vec<Vec<&'p str>>),
    /// A paragraph, or an item of a list: what marks it as one, which is nothing for a paragraph, and the text without it.
    Text(&'p str, String),
    /// A line without anything.
    Blank,
}

/// The page in blocks.
pub(super) fn blocks(page: &str) -> Vec<PageBlock<'_>> {
    let mut blocks = Vec::new();
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        blocks.push(if line.starts_with("```") {
            PageBlock::Example(lines.by_ref().take_while(|line| !line.starts_with("```")).collect())
        } else if line.starts_with('#') {
            let text = line.trim_start_matches('#');
            PageBlock::Heading(line.len() - text.len(), text.trim())
        } else if line.starts_with('|') {
            // The first row behind the names is the rule that makes it a table.
            let rows = std::iter::from_fn(|| lines.next_if(|next| next.starts_with('|')));
            PageBlock::Table(cells(line), rows.skip(1).map(cells).collect())
        } else if line.is_empty() {
            PageBlock::Blank
        } else {
            let (mark, first) = line.split_at(marker(line));
            let mut text = first.to_owned();
            while let Some(more) = lines.next_if(|next| continues(next)) {
                text.push(' ');
                text.push_str(more.trim_start());
            }
            PageBlock::Text(mark, text)
        });
    }
    blocks
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

fn cells(row: &str) -> Vec<&str> {
    let row = row.strip_prefix('|').unwrap_or(row);
    row.strip_suffix('|').unwrap_or(row).split('|').map(str::trim).collect()
}

/// A link becomes its text, and where it leads to in brackets, unless that is another topic of the same name.
pub(super) fn without_links(text: &str) -> String {
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
    fn links_say_where_they_lead() {
        let links =
            "see [limits](limits.md), [how](../../../results/a/README.md#x) [f] [b](../../store/b.md).";
        let plain = "see limits, how (results/a/README.md) [f] b (src/store/b.md).";
        assert_eq!(without_links(links), plain);
    }

    #[test]
    fn each_row_of_a_table_has_all_cells() {
        for topic in &TOPICS {
            for block in blocks(topic.page) {
                let PageBlock::Table(names, rows) = block else { continue };
                for row in rows {
                    assert_eq!(row.len(), names.len(), "{}: {row:?}", topic.name);
                }
            }
        }
    }
}
