//! gearmand's table, and our own beside it: found, made, completed, or refused with the statements that would do. What stands
//! in them is `sql/scheme.rs`; rows are read and written elsewhere.
//!
//! gearmand's table is as gearmand makes it, with keys of bytes, so that none collides with another by a collation, and has three
//! columns more, which gearmand does not name and so does not see:
//!
//! ```sql
//! CREATE TABLE gearman_queue (unique_key VARBINARY(64), function_name VARBINARY(255), priority INT, data LONGBLOB, when_to_run INT,
//!     ringgear_number BIGINT, ringgear_owner INT, ringgear_row BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
//!     UNIQUE KEY (unique_key, function_name), UNIQUE KEY ringgear_number (ringgear_number),
//!     KEY ringgear_owner (ringgear_owner, ringgear_number)) ENGINE=InnoDB
//! ```
//!
//! A table of gearmand's that is there gets the first two and their keys; keys that collide there, or cannot stand there, are replaced by
//! generated ones (`sql/key.rs`). `ringgear_number` is the job's number: so handles survive, jobs come back in their order, and
//! ends are found. A row without one is gearmand's, or of whoever inserted it, and gets one when a server adopts it.
//! `ringgear_owner` is the server that runs it (`store/servers.rs`), NULL if that is nobody yet, 0 if nobody can read it. `ringgear_row` is
//! there because clusters want a primary key, and keeps the order of rows. Beside it:
//!
//! ```sql
//! CREATE TABLE gearman_queue_ringgear (number BIGINT PRIMARY KEY, owner INT, kind SMALLINT NOT NULL, attempts SMALLINT NOT NULL,
//!     record LONGBLOB, KEY ringgear_owner (owner, kind, number)) ENGINE=InnoDB;
//! CREATE TABLE gearman_queue_ringgear_servers (id INT PRIMARY KEY, name VARBINARY(255) NOT NULL, beat BIGINT NOT NULL,
//!     state SMALLINT NOT NULL, taken_by INT, started BIGINT NOT NULL, jobs BIGINT NOT NULL, bytes BIGINT NOT NULL,
//!     version VARBINARY(64) NOT NULL) ENGINE=InnoDB;
//! CREATE TABLE gearman_queue_ringgear_numbers (one TINYINT PRIMARY KEY, next BIGINT NOT NULL) ENGINE=InnoDB
//! ```
//!
//! What a row of the first is, its `kind` says, as in PostgreSQL (`postgres/shape.rs`). What the last two are for stands in `servers.rs`.
use super::fault::{NO_RIGHTS, code, told};
use super::names::{MyTables, NamedTable, quoted};
use super::text::quoted as literal;
use crate::store::remote::fault::RemoteFault;
use mysql::prelude::Queryable;
use mysql::{Conn, Error};

/// What gearmand's table can take, and what there is of it.
#[derive(Clone, Debug)]
pub(super) struct MyShape {
    pub(super) names: MyTables,
    pub(super) key: TextColumn,
    pub(super) function: TextColumn,
    /// The latest time, in seconds since 1970.
    pub(super) latest: i64,
    pub(super) engine: String,
    /// The names of the indexes on the numbers, and on owners with their numbers.
    pub(super) index: String,
    pub(super) owners: String,
}

/// What a column of text can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TextColumn {
    pub(super) letters: Letters,
    /// How many of them.
    pub(super) most: usize,
}

/// Of what text is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Letters {
    /// Bytes.
    Bytes,
    /// All letters.
    All,
    /// Those of no more than three bytes.
    Short,
    /// ASCII in any case; what else, nobody here knows.
    Ascii,
}

impl TextColumn {
    /// Whether it can have this.
    pub(super) fn fits(self, bytes: &[u8]) -> bool {
        if self.letters == Letters::Bytes {
            return bytes.len() <= self.most;
        }
        let Ok(text) = std::str::from_utf8(bytes) else { return false };
        let right = match self.letters {
            Letters::Bytes | Letters::All => true,
            Letters::Short => text.chars().all(|letter| letter.len_utf8() <= 3),
            Letters::Ascii => text.is_ascii(),
        };
        right && !bytes.contains(&0) && (bytes.len() <= self.most || text.chars().count() <= self.most)
    }

    pub(super) fn is_binary(self) -> bool {
        self.letters == Letters::Bytes
    }
}

/// A column of gearmand's table, as it is.
struct MyColumn {
    name: String,
    kind: String,
    /// Letters or bytes, if it is limited.
    most: Option<u64>,
    charset: Option<String>,
    /// Whether a row can do without a value for it.
    optional: bool,
}

/// Finds all tables, and makes of them what is missing.
pub(super) fn settle(conn: &mut Conn, given: &NamedTable, may_make: bool) -> Result<MyShape, RemoteFault> {
    let database = match &given.database {
        Some(database) => database.clone(),
        None => {
            let row: Option<Option<String>> = conn.query_first("SELECT DATABASE()")?;
            row.flatten().ok_or_else(|| {
                RemoteFault::refused("no database was named: name it with --mysql-db, or in the group [gearmand] of an option file")
            })?
        }
    };
    let names = MyTables::of(&database, &given.table);
    let mut engine = find(conn, &names)?;
    if engine.is_none() && !may_make {
        return Err(RemoteFault::other(format!("there is no table {}", names.shown)));
    }
    if engine.is_none() {
        create(conn, &names)?;
        engine = find(conn, &names)?;
    }
    let engine = engine
        .ok_or_else(|| RemoteFault::other(format!("table {} was made, and is not there", names.shown)))?;
    let columns = columns_of(conn, &names)?;
    let ascii = TextColumn { letters: Letters::Ascii, most: 0 };
    let mut shape = MyShape {
        names,
        key: ascii,
        function: ascii,
        latest: i64::from(i32::MAX),
        engine,
        index: String::new(),
        owners: String::new(),
    };
    check(&mut shape, &columns)?;
    complete(conn, &mut shape, &columns)?;
    check_rights(conn, &shape)?;
    Ok(shape)
}

/// Names as values.
fn place(names: &MyTables, table: &str) -> String {
    let mut sql = "TABLE_SCHEMA = ".to_owned();
    literal(&names.database, &mut sql);
    sql.push_str(" AND TABLE_NAME = ");
    literal(table, &mut sql);
    sql
}

/// The engine of gearmand's table, if it is there.
fn find(conn: &mut Conn, names: &MyTables) -> Result<Option<String>, RemoteFault> {
    let place = place(names, &names.table);
    let sql = format!("SELECT TABLE_TYPE, ENGINE FROM information_schema.TABLES WHERE {place}");
    let row: Option<(String, Option<String>)> = conn.query_first(sql)?;
    match row {
        None => Ok(None),
        Some((kind, engine)) if kind == "BASE TABLE" => Ok(Some(engine.unwrap_or_default())),
        Some(_) => Err(RemoteFault::other(format!(
            "{} is no plain table, and jobs cannot be kept in it; name a table with --mysql-table",
            names.shown
        ))),
    }
}

/// Runs these; where one may not be run, the error says who is to run what.
fn run(conn: &mut Conn, names: &MyTables, statements: &[String]) -> Result<(), RemoteFault> {
    let failed = statements.iter().enumerate().find_map(|(at, sql)| Some((at, conn.query_drop(sql).err()?)));
    let Some((at, error)) = failed else { return Ok(()) };
    if !code(&error).is_some_and(|code| NO_RIGHTS.contains(&code)) {
        return Err(error.into());
    }
    let user: Option<String> = conn.query_first("SELECT CURRENT_USER()")?;
    let user = user.unwrap_or_default();
    let (name, host) = user.rsplit_once('@').unwrap_or((&user, "%"));
    let grants: Vec<String> = names
        .all()
        .iter()
        .map(|table| format!("GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO '{name}'@'{host}'"))
        .collect();
    Err(RemoteFault::refused(format!(
        "{}; have somebody who may run: {}; {}",
        told(&error),
        statements[at..].join("; "),
        grants.join("; ")
    )))
}

/// Tables of our own, and the statements that make them.
fn own_tables(names: &MyTables) -> [(&String, String); 3] {
    let MyTables { ours, servers, numbers, .. } = names;
    [
        (
            ours,
            format!(
                "CREATE TABLE IF NOT EXISTS {ours} (number BIGINT PRIMARY KEY, owner INT, kind SMALLINT NOT NULL, \
                 attempts SMALLINT NOT NULL, record LONGBLOB, KEY ringgear_owner (owner, kind, number)) ENGINE=InnoDB"
            ),
        ),
        (
            servers,
            format!(
                "CREATE TABLE IF NOT EXISTS {servers} (id INT PRIMARY KEY, name VARBINARY(255) NOT NULL, beat BIGINT NOT NULL, \
                 state SMALLINT NOT NULL, taken_by INT, started BIGINT NOT NULL, jobs BIGINT NOT NULL, bytes BIGINT NOT NULL, \
                 version VARBINARY(64) NOT NULL) ENGINE=InnoDB"
            ),
        ),
        (
            numbers,
            format!(
                "CREATE TABLE IF NOT EXISTS {numbers} (one TINYINT PRIMARY KEY, next BIGINT NOT NULL) ENGINE=InnoDB"
            ),
        ),
    ]
}

/// Makes gearmand's table.
fn create(conn: &mut Conn, names: &MyTables) -> Result<(), RemoteFault> {
    let theirs = format!(
        "CREATE TABLE IF NOT EXISTS {} (unique_key VARBINARY(64), function_name VARBINARY(255), priority INT, data LONGBLOB, \
         when_to_run INT, ringgear_number BIGINT, ringgear_owner INT, ringgear_row BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, \
         UNIQUE KEY (unique_key, function_name), UNIQUE KEY ringgear_number (ringgear_number), \
         KEY ringgear_owner (ringgear_owner, ringgear_number)) ENGINE=InnoDB",
        names.theirs
    );
    // Whoever may not make them is told of all at once.
    let ours = own_tables(names).map(|(_, make)| make);
    run(conn, names, &[vec![theirs], ours.to_vec()].concat())
}

fn columns_of(conn: &mut Conn, names: &MyTables) -> Result<Vec<MyColumn>, RemoteFault> {
    let place = place(names, &names.table);
    let sql = format!(
        "SELECT COLUMN_NAME, DATA_TYPE, CHARACTER_MAXIMUM_LENGTH, CHARACTER_SET_NAME, \
         IS_NULLABLE = 'YES' OR COLUMN_DEFAULT IS NOT NULL OR EXTRA LIKE '%auto_increment%' OR EXTRA LIKE '%GENERATED%' \
         FROM information_schema.COLUMNS WHERE {place}"
    );
    type Row = (String, String, Option<u64>, Option<String>, bool);
    let rows: Vec<Row> = conn.query(sql)?;
    let column = |(name, kind, most, charset, optional): Row| MyColumn {
        name: name.to_ascii_lowercase(),
        kind: kind.to_ascii_lowercase(),
        most,
        charset,
        optional,
    };
    Ok(rows.into_iter().map(column).collect())
}

const TEXTS: &[&str] = &["varchar", "varbinary", "text", "mediumtext", "blob", "mediumblob"];
const NUMBERS: &[&str] = &["int", "tinyint", "smallint", "mediumint", "bigint"];
const BYTES: &[&str] = &["longblob", "mediumblob", "blob", "varbinary"];
const OUR_COLUMNS: [(&str, &str); 2] = [("ringgear_number", "bigint"), ("ringgear_owner", "int")];

/// Whether this is a table of gearmand's, and how much fits into it.
fn check(shape: &mut MyShape, columns: &[MyColumn]) -> Result<(), RemoteFault> {
    let shown = shape.names.shown.clone();
    let other = |what: String| {
        RemoteFault::other(format!(
            "table {shown} is none of gearmand's: {what}; name another table with --mysql-table, which is made if it is not there"
        ))
    };
    let known: [(&str, &[&str]); 5] = [
        ("unique_key", TEXTS),
        ("function_name", TEXTS),
        ("priority", NUMBERS),
        ("data", BYTES),
        ("when_to_run", NUMBERS),
    ];
    for (name, kinds) in known {
        let Some(column) = columns.iter().find(|column| column.name == name) else {
            let hint = if name == "when_to_run" {
                " (ALTER TABLE ... ADD COLUMN when_to_run INT adds it)"
            } else {
                ""
            };
            return Err(other(format!("it has no column {name}{hint}")));
        };
        if !kinds.contains(&column.kind.as_str()) {
            return Err(other(format!("column {name} is {}, and {} is wanted", column.kind, kinds[0])));
        }
        match name {
            "unique_key" => shape.key = text_column(column),
            "function_name" => shape.function = text_column(column),
            "when_to_run" => {
                // gearmand reads 32 bits of it: a later time would be due at once there.
                shape.latest = match column.kind.as_str() {
                    "tinyint" => 0x7f,
                    "smallint" => 0x7fff,
                    "mediumint" => 0x7f_ffff,
                    _ => i64::from(i32::MAX),
                }
            }
            _ => {}
        }
    }
    // What we generate must fit in, and a unique of 63 bytes.
    if shape.key.most < 64 {
        return Err(other(format!("column unique_key has {} letters, and 64 are wanted", shape.key.most)));
    }
    for (name, kind) in OUR_COLUMNS {
        if let Some(column) = columns.iter().find(|column| column.name == name)
            && column.kind != kind
        {
            return Err(other(format!("column {name} is {}, and {kind} is wanted", column.kind)));
        }
    }
    let ours = |name: &str| OUR_COLUMNS.iter().any(|(ours, _)| *ours == name);
    let theirs = |name: &str| known.iter().any(|(theirs, _)| *theirs == name);
    match columns.iter().find(|column| !column.optional && !ours(&column.name) && !theirs(&column.name)) {
        Some(column) => {
            Err(other(format!("column {} must have a value, and jobs have none for it", column.name)))
        }
        None => Ok(()),
    }
}

fn text_column(column: &MyColumn) -> TextColumn {
    let letters = match column.charset.as_deref() {
        None | Some("binary") => Letters::Bytes,
        Some("utf8mb4") => Letters::All,
        Some("utf8mb3" | "utf8") => Letters::Short,
        Some(_) => Letters::Ascii,
    };
    let most = column.most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
    TextColumn { letters, most }
}

/// Makes what is missing: our columns, their indexes, our tables.
fn complete(conn: &mut Conn, shape: &mut MyShape, columns: &[MyColumn]) -> Result<(), RemoteFault> {
    let names = shape.names.clone();
    let lacking = OUR_COLUMNS.iter().filter(|(name, _)| !columns.iter().any(|column| column.name == *name));
    let mut changes: Vec<String> = lacking.map(|(name, kind)| format!("ADD COLUMN {name} {kind}")).collect();
    if find_index(conn, &names, BY_NUMBER, true)?.is_none() {
        changes.push("ADD UNIQUE KEY ringgear_number (ringgear_number)".to_owned());
    }
    if find_index(conn, &names, BY_OWNER, false)?.is_none() {
        changes.push("ADD KEY ringgear_owner (ringgear_owner, ringgear_number)".to_owned());
    }
    let mut missing = Vec::new();
    if !changes.is_empty() {
        missing.push(format!("ALTER TABLE {} {}", names.theirs, changes.join(", ")));
    }
    let tables = own_tables(&names);
    for (table, make) in &tables {
        // Also one of an earlier version, which had no index.
        let sql = format!("SHOW INDEX FROM {table} WHERE Key_name = 'ringgear_owner'");
        match conn.query::<mysql::Row, _>(sql) {
            Ok(rows) if rows.is_empty() && *table == &names.ours => {
                check_ours(conn, table, OUR_OWN)?;
                missing.push(format!("ALTER TABLE {table} ADD KEY ringgear_owner (owner, kind, number)"));
            }
            Ok(_) => {}
            Err(error) if code(&error) == Some(NO_TABLE) => missing.push(make.clone()),
            // It is there for all that we can see; what may not be done shows below.
            Err(error) if code(&error).is_some_and(|code| NO_RIGHTS.contains(&code)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if !missing.is_empty() {
        run(conn, &names, &missing)?;
    }
    let index = |found: Option<String>, usual: &str| quoted(&found.unwrap_or_else(|| usual.to_owned()));
    shape.index = index(find_index(conn, &names, BY_NUMBER, true)?, "ringgear_number");
    shape.owners = index(find_index(conn, &names, BY_OWNER, false)?, "ringgear_owner");
    Ok(())
}

const BY_NUMBER: &str = "ringgear_number";
const BY_OWNER: &str = "ringgear_owner,ringgear_number";

/// An index on exactly these columns, in this order.
fn find_index(
    conn: &mut Conn,
    names: &MyTables,
    columns: &str,
    unique: bool,
) -> Result<Option<String>, RemoteFault> {
    let place = place(names, &names.table);
    let unique = if unique { "AND MAX(NON_UNIQUE) = 0" } else { "" };
    let sql = format!(
        "SELECT INDEX_NAME FROM information_schema.STATISTICS WHERE {place} GROUP BY INDEX_NAME \
         HAVING LOWER(GROUP_CONCAT(COLUMN_NAME ORDER BY SEQ_IN_INDEX)) = '{columns}' {unique}"
    );
    Ok(conn.query_first(sql)?)
}

/// There is no such table.
const NO_TABLE: u16 = 1146;
const OUR_OWN: &str = "number, owner, kind, attempts, record";

/// Whether a table of ours has these columns.
fn check_ours(conn: &mut Conn, table: &str, columns: &str) -> Result<(), RemoteFault> {
    let Err(error) = conn.query_drop(format!("SELECT {columns} FROM {table} LIMIT 0")) else {
        return Ok(());
    };
    Err(match &error {
        Error::MySqlError(_) if !code(&error).is_some_and(|code| NO_RIGHTS.contains(&code)) => {
            RemoteFault::other(format!(
                "table {table} is not ours: {}; drop it if nothing needs it, or name another with --mysql-table",
                told(&error)
            ))
        }
        _ => error.into(),
    })
}

/// Whether we may do with all tables what we must, before anybody relies on it.
fn check_rights(conn: &mut Conn, shape: &MyShape) -> Result<(), RemoteFault> {
    let MyTables { theirs, ours, servers, numbers, .. } = &shape.names;
    check_ours(conn, ours, OUR_OWN)?;
    check_ours(conn, servers, "id, name, beat, state, taken_by, started, jobs, bytes, version")?;
    check_ours(conn, numbers, "one, next")?;
    for sql in [
        format!("SELECT unique_key, data FROM {theirs} LIMIT 0"),
        format!("UPDATE {theirs} SET ringgear_number = NULL WHERE FALSE"),
        format!("DELETE FROM {theirs} WHERE FALSE"),
        format!("INSERT INTO {theirs} (unique_key) SELECT function_name FROM {theirs} WHERE FALSE"),
        format!("UPDATE {ours} SET attempts = 0 WHERE FALSE"),
        format!("DELETE FROM {ours} WHERE FALSE"),
        format!(
            "INSERT INTO {ours} (number, kind, attempts) SELECT number, kind, attempts FROM {ours} WHERE FALSE"
        ),
        format!("UPDATE {servers} SET beat = 0 WHERE FALSE"),
        format!("DELETE FROM {servers} WHERE FALSE"),
        format!("INSERT INTO {servers} SELECT * FROM {servers} WHERE FALSE"),
        format!("UPDATE {numbers} SET next = 0 WHERE FALSE"),
        format!("INSERT INTO {numbers} SELECT * FROM {numbers} WHERE FALSE"),
    ] {
        run(conn, &shape.names, &[sql])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_what_fits() {
        let column = |letters| TextColumn { letters, most: 4 };
        for (letters, bytes, fits) in [
            (Letters::Bytes, &b"\xff\0ab"[..], true),
            (Letters::Bytes, b"abcde", false),
            (Letters::All, "\u{e9}\u{e9}\u{e9}\u{1f600}".as_bytes(), true),
            (Letters::All, b"a\0", false),
            (Letters::All, b"\xff", false),
            (Letters::Short, "\u{20ac}".as_bytes(), true),
            (Letters::Short, "\u{1f600}".as_bytes(), false),
            (Letters::Ascii, b"abcd", true),
            (Letters::Ascii, "\u{e9}".as_bytes(), false),
        ] {
            assert_eq!(column(letters).fits(bytes), fits, "{letters:?} {bytes:?}");
        }
    }
}
