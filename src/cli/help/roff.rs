//! A page of help as a manual page: its blocks (`page.rs`) in the man macros of roff. What the pages are is not known here; the
//! manual page of the options is written in `cli/generate.rs`.
use super::page::{PageBlock, blocks, without_links};

/// The manual page `ringgear-NAME(7)`. Its title and the sentence about it, with which a page begins, become its NAME.
pub(super) fn manual_page(name: &str, about: &str, page: &str, version: &str) -> String {
    let mut out = format!(
        ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n.TH RINGGEAR-{} 7 \"\" \"ringgear {version}\" \"Ringgear\"\n.SH NAME\nringgear\\-{} \\- {}\n.SH DESCRIPTION\n",
        name.to_uppercase(),
        escaped(name),
        escaped(about.trim_end_matches('.')),
    );
    let body = blocks(page).into_iter().skip_while(|block| !matches!(block, PageBlock::Text(..))).skip(1);
    for block in body {
        match block {
            PageBlock::Heading(level, text) => {
                out.push_str(if level > 2 { ".SS " } else { ".SH " });
                line(&mut out, text);
            }
            PageBlock::Example(lines) => {
                out.push_str(".PP\n.RS 4\n.nf\n");
                for text in lines {
                    out.push_str(&guarded(escaped(text)));
                    out.push('\n');
                }
                out.push_str(".fi\n.RE\n");
            }
            PageBlock::Table(names, rows) => table(&mut out, &names, &rows),
            PageBlock::Text("", text) => {
                out.push_str(".PP\n");
                line(&mut out, &text);
            }
            PageBlock::Text(mark, text) => {
                let mark = if mark == "- " { "\\(bu" } else { mark.trim_end() };
                out.push_str(&format!(".IP {mark} 4\n"));
                line(&mut out, &text);
            }
            PageBlock::Blank => {}
        }
    }
    out.push_str(".SH \"SEE ALSO\"\n.BR ringgear (8)\n");
    out
}

/// Each row under its first cell. Where there are several others, each begins with the name of its column.
fn table(out: &mut String, names: &[&str], rows: &[Vec<&str>]) {
    for row in rows {
        let mut cells = row.iter().copied().zip(names);
        out.push_str(".TP\n");
        line(out, cells.next().map_or("", |(first, _)| first));
        let mut later = false;
        for (cell, name) in cells.filter(|(cell, _)| !cell.is_empty()) {
            if later {
                out.push_str(".br\n");
            }
            later = true;
            match names.len() > 2 && !name.is_empty() {
                true => line(out, &format!("{name}: {cell}")),
                false => line(out, cell),
            }
        }
    }
}

/// Text as one line of input. What stands in backquotes is bold.
fn line(out: &mut String, text: &str) {
    let mut text = without_links(text);
    if text.is_empty() {
        // A line without anything would be one on the page, too.
        text.push('\u{a0}');
    }
    let mut whole = String::with_capacity(text.len() + 16);
    for (at, part) in text.split('`').enumerate() {
        match at % 2 {
            0 => whole.push_str(&escaped(part)),
            _ => whole.push_str(&format!("\\fB{}\\fR", escaped(part))),
        }
    }
    out.push_str(&guarded(whole));
    out.push('\n');
}

/// What roff would read otherwise than as itself. Other letters than ASCII by their numbers: not every roff reads UTF-8.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\e"),
            '-' => out.push_str("\\-"),
            '\'' => out.push_str("\\*(Aq"),
            '`' => out.push_str("\\(ga"),
            '^' => out.push_str("\\(ha"),
            '~' => out.push_str("\\(ti"),
            '\u{a0}' => out.push_str("\\ "),
            ' '..='~' => out.push(letter),
            _ => out.push_str(&format!("\\[u{:04X}]", u32::from(letter))),
        }
    }
    out
}

/// A line that begins with a dot would be an order.
fn guarded(text: String) -> String {
    if text.starts_with('.') { format!("\\&{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_become_macros() {
        let page = "# Title\n\nWhat it is.\n\n.Some `a-b`\nwords.\n\n## More\n\n- an item\n- b\n\n1. c\n\n```console\n$ d\n.e\n```\n\n\
                    | f | g |\n|---|---|\n| `h` | don't |\n| i | |\n";
        let printed = manual_page("title", "What it is.", page, "1.2.3");
        let (head, body) = printed.split_once(".SH DESCRIPTION\n").unwrap();
        assert!(head.contains(".TH RINGGEAR-TITLE 7 \"\" \"ringgear 1.2.3\""), "{head}");
        assert!(head.ends_with(".SH NAME\nringgear\\-title \\- What it is\n"), "{head}");
        let expected = ".PP\n\\&.Some \\fBa\\-b\\fR words.\n.SH More\n.IP \\(bu 4\nan item\n.IP \\(bu 4\nb\n.IP 1. 4\nc\n\
                        .PP\n.RS 4\n.nf\n$ d\n\\&.e\n.fi\n.RE\n.TP\n\\fBh\\fR\ndon\\*(Aqt\n.TP\ni\n.SH \"SEE ALSO\"\n.BR ringgear (8)\n";
        assert_eq!(body, expected);
    }
}
