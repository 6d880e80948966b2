//! What tables are called: gearmand pastes `--libpq-table` unquoted into its statements, so the name means what it means in
//! SQL. Which tables there are is `shape.rs`.

/// The longest name that PostgreSQL has without cutting it, in bytes.
const NAME_MAX: usize = 63;

/// A table's name as it was given: parts, folded as SQL folds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GivenTable {
    pub(super) schema: Option<String>,
    pub(super) table: String,
}

/// Reads `table`, `schema.table`, either of them in double quotes.
pub(super) fn read(text: &str) -> Result<GivenTable, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let (part, behind) = part(rest).ok_or_else(|| {
            format!("{text} is no name of a table: it is a word, or schema.table, or either in double quotes")
        })?;
        parts.push(part);
        match behind.strip_prefix('.') {
            Some(more) => rest = more,
            None if behind.is_empty() => break,
            None => return Err(format!("{text} is no name of a table: what is {behind}?")),
        }
    }
    let table = parts.pop().unwrap_or_default();
    let longest = NAME_MAX - "_ringgear_numbers".len();
    if table.len() > longest {
        return Err(format!(
            "{table} is longer than {longest} bytes, and the names of what belongs to it are made of it"
        ));
    }
    match (parts.pop(), parts.is_empty()) {
        (schema, true) => Ok(GivenTable { schema, table }),
        _ => Err(format!("{text} names a table of another database; name it in --libpq-conninfo (dbname)")),
    }
}

/// One part of a name, and what stands behind it.
fn part(text: &str) -> Option<(String, &str)> {
    if let Some(inside) = text.strip_prefix('"') {
        let mut name = String::new();
        let mut letters = inside.char_indices().peekable();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' if letters.next_if(|(_, next)| *next == '"').is_some() => name.push('"'),
                '"' => return (!name.is_empty()).then(|| (name, &inside[at + 1..])),
                '\0' => return None,
                letter => name.push(letter),
            }
        }
        return None;
    }
    let belongs = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '$';
    let end = text.find(|letter: char| !belongs(letter)).unwrap_or(text.len());
    let (name, behind) = text.split_at(end);
    let begins = name.chars().next().is_some_and(|first| first.is_alphabetic() || first == '_');
    begins.then(|| (name.to_ascii_lowercase(), behind))
}

/// What the tables are called, as SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PgTables {
    /// gearmand's table.
    pub(super) theirs: String,
    /// Our own.
    pub(super) ours: String,
    /// Who is there.
    pub(super) servers: String,
    /// Which numbers are free.
    pub(super) numbers: String,
    /// The index on our column of gearmand's table; without schema.
    pub(super) index: String,
    /// Indexes that find what nobody owns, in either table; without schema.
    pub(super) nobody: String,
    pub(super) unowned: String,
    /// What counts the rows of a table that is met for the first time; gone afterwards.
    pub(super) sequence: String,
    schema: String,
}

impl PgTables {
    /// Of this table in this schema.
    pub(super) fn of(schema: &str, table: &str) -> PgTables {
        let ours = crate::store::sql::scheme::ours_beside(table);
        PgTables {
            theirs: format!("{}.{}", quoted(schema), quoted(table)),
            ours: format!("{}.{}", quoted(schema), quoted(&ours)),
            servers: format!("{}.{}", quoted(schema), quoted(&format!("{ours}_servers"))),
            numbers: format!("{}.{}", quoted(schema), quoted(&format!("{ours}_numbers"))),
            index: quoted(&format!("{ours}_number")),
            nobody: quoted(&format!("{ours}_nobody")),
            unowned: quoted(&format!("{ours}_unowned")),
            sequence: format!("{}.{}", quoted(schema), quoted(&format!("{ours}_sequence"))),
            schema: quoted(schema),
        }
    }

    /// An index with its schema.
    pub(super) fn full(&self, index: &str) -> String {
        format!("{}.{index}", self.schema)
    }

    /// All four tables.
    pub(super) fn tables(&self) -> [&String; 4] {
        [&self.theirs, &self.ours, &self.servers, &self.numbers]
    }
}

/// A name as SQL.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_what_they_mean_in_sql() {
        for (text, schema, table) in [
            ("queue", None, "queue"),
            ("MixedCase", None, "mixedcase"),
            ("\"MixedCase\"", None, "MixedCase"),
            ("other.q3", Some("other"), "q3"),
            ("\"a.b\".\"c\"\"d\"", Some("a.b"), "c\"d"),
            ("_x$1", None, "_x$1"),
        ] {
            let name = GivenTable { schema: schema.map(str::to_owned), table: table.to_owned() };
            assert_eq!(read(text), Ok(name), "{text}");
        }
        for text in
            ["", "1", "a b", "a;", "a.", ".a", "\"", "\"\"", "a.b.c", "queue; DROP TABLE x", &"q".repeat(50)]
        {
            assert!(read(text).is_err(), "{text}");
        }
        assert_eq!(PgTables::of("public", "q").ours, "\"public\".\"q_ringgear\"");
    }

    proptest::proptest! {
        /// What a name is made of cannot end the name that it is made into.
        #[test]
        fn any_name_is_one_name_in_sql(name in "[^\0]{1,20}") {
            let read = read(&quoted(&name));
            if let Ok(GivenTable { schema, table }) = read {
                proptest::prop_assert_eq!((schema, table), (None, name));
            }
        }
    }
}
