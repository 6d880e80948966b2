//! What tables are called: gearmand pastes `--mysql-table` unquoted into its statements, so the name means what it means in
//! SQL. Which tables there are is `shape.rs`.

/// The longest name that MySQL has, in letters.
const NAME_MAX: usize = 64;

/// A table's name as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NamedTable {
    /// The database, if it was said.
    pub(super) database: Option<String>,
    pub(super) table: String,
}

/// Reads `table`, `database.table`, either of them in backquotes.
pub(super) fn read(text: &str) -> Result<NamedTable, String> {
    let mistake =
        || format!("{text} is no name of a table: it is a word, or database.table, or either in backquotes");
    let (first, rest) = part(text).ok_or_else(mistake)?;
    let (database, table) = match rest.strip_prefix('.') {
        None if rest.is_empty() => (None, first),
        None => return Err(format!("{text} is no name of a table: what is {rest}?")),
        Some(more) => match part(more) {
            Some((second, "")) => (Some(first), second),
            _ => return Err(mistake()),
        },
    };
    let longest = NAME_MAX - "_ringgear_servers".len();
    if table.chars().count() > longest {
        return Err(format!(
            "{table} is longer than {longest} letters, and the names of what belongs to it are made of it"
        ));
    }
    Ok(NamedTable { database, table })
}

/// One part of a name, and what stands behind it.
fn part(text: &str) -> Option<(String, &str)> {
    if let Some(inside) = text.strip_prefix('`') {
        let mut name = String::new();
        let mut letters = inside.char_indices().peekable();
        while let Some((at, letter)) = letters.next() {
            if letter != '`' {
                name.push(letter);
                continue;
            }
            if letters.next_if(|&(_, next)| next == '`').is_some() {
                name.push('`');
                continue;
            }
            // Names end with no blank, and have no NUL.
            let fine = !name.is_empty() && !name.ends_with(' ') && !name.contains('\0');
            return fine.then_some((name, &inside[at + 1..]));
        }
        return None;
    }
    let is_part =
        |letter: char| letter.is_ascii_alphanumeric() || "_$".contains(letter) || letter >= '\u{80}';
    let end = text.find(|letter| !is_part(letter)).unwrap_or(text.len());
    let name = &text[..end];
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
    (!is_number).then(|| (name.to_owned(), &text[end..]))
}

/// All tables for statements, and gearmand's for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MyTables {
    pub(super) theirs: String,
    pub(super) ours: String,
    /// Who is there.
    pub(super) servers: String,
    /// Which numbers are free.
    pub(super) numbers: String,
    pub(super) shown: String,
    /// The parts of gearmand's name, for looking it up.
    pub(super) database: String,
    pub(super) table: String,
}

impl MyTables {
    pub(super) fn of(database: &str, table: &str) -> MyTables {
        let ours = crate::store::sql::scheme::ours_beside(table);
        let full = |name: &str| format!("{}.{}", quoted(database), quoted(name));
        MyTables {
            theirs: full(table),
            servers: full(&format!("{ours}_servers")),
            numbers: full(&format!("{ours}_numbers")),
            ours: full(&ours),
            shown: format!("{database}.{table}"),
            database: database.to_owned(),
            table: table.to_owned(),
        }
    }
}

impl MyTables {
    /// All four tables.
    pub(super) fn all(&self) -> [&String; 4] {
        [&self.theirs, &self.ours, &self.servers, &self.numbers]
    }
}

/// A name as SQL.
pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_what_they_mean_in_sql() {
        for (text, database, table) in [
            ("gearman_queue", None, "gearman_queue"),
            ("MixedCase", None, "MixedCase"),
            ("other.q3", Some("other"), "q3"),
            ("`a.b`.`c``d`", Some("a.b"), "c`d"),
            ("1q", None, "1q"),
            ("été", None, "été"),
        ] {
            let name = NamedTable { database: database.map(str::to_owned), table: table.to_owned() };
            assert_eq!(read(text), Ok(name), "{text}");
        }
        for text in
            ["", "1", "a b", "a;", "a.", ".a", "`", "``", "a.b.c", "q; DROP TABLE x", "`a `", &"q".repeat(60)]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        /// What a name is made of cannot end the name that it is made into.
        #[test]
        fn any_name_is_one_name_in_sql(name in "[^\0]{1,20}") {
            if let Ok(NamedTable { database, table }) = read(&quoted(&name)) {
                proptest::prop_assert_eq!((database, table), (None, name));
            }
        }
    }
}
