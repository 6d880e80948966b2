//! gearmand's table, and our own beside it: found, made, completed, or refused with the statements that would do. What stands
//! in them is `sql/scheme.rs`; rows are read and written elsewhere.
//!
//! gearmand's table is as gearmand makes it, and has two columns more, which gearmand does not name and so does not see:
//!
//! ```sql
//! CREATE TABLE queue (unique_key VARCHAR(64), function_name VARCHAR(255), priority INTEGER, data BYTEA, when_to_run INTEGER,
//!                     UNIQUE (unique_key, function_name),
//!                     ringgear_number bigint, ringgear_owner integer)
//! CREATE UNIQUE INDEX queue_ringgear_number ON queue (ringgear_number)
//! ```
//!
//! `ringgear_number` is the job's number: so handles survive, jobs come back in their order, and ends are found. A row
//! without one is gearmand's, or of whoever inserted it, and gets one when a server adopts it. `ringgear_owner` is the server that
//! runs the job, NULL for none: such rows are adopted. A small index finds them. Beside it:
//!
//! ```sql
//! CREATE TABLE queue_ringgear (number bigint PRIMARY KEY, owner integer, kind smallint NOT NULL, attempts smallint NOT NULL,
//!                              record bytea)
//! CREATE TABLE queue_ringgear_servers (id integer PRIMARY KEY, name text NOT NULL, beat bigint NOT NULL, state smallint NOT NULL,
//!                                      taken_by integer, started timestamptz NOT NULL DEFAULT now(), jobs bigint NOT NULL,
//!                                      bytes bigint NOT NULL, version text NOT NULL) WITH (fillfactor = 50)
//! CREATE TABLE queue_ringgear_numbers (one boolean PRIMARY KEY DEFAULT true CHECK (one), next bigint NOT NULL)
//! ```
//!
//! What the last two are for stands in `servers.rs`. The first is about single jobs.
//! What a row of it is, its `kind` says: 0, what gearmand's row of this number does not tell, the record (`record/mod.rs`)
//! without the workload, or NULL if it is the lost attempts only; 1, a whole living job whose function cannot stand
//! in gearmand's table; 2, a whole dead job, which gearmand must not run. Lost attempts count as in their column.
use super::fault::PgFault;
use super::first;
use super::names::{GivenTable, PgTables, quoted};
use super::session::PgSession;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

/// What gearmand's table can take, and what there is of it.
#[derive(Clone, Debug)]
pub(super) struct TableShape {
    /// What the tables are called.
    pub(super) names: PgTables,
    /// The name for people.
    pub(super) shown: String,
    /// Its number in the database.
    pub(super) oid: i64,
    /// Whether text may have all letters.
    pub(super) utf8: bool,
    /// Letters of a key, and of a function's name.
    pub(super) key_max: usize,
    pub(super) function_max: usize,
    /// The latest time, in seconds since 1970.
    pub(super) latest: i64,
    /// Whether a crash of the database empties it.
    pub(super) unlogged: bool,
}

/// A column of gearmand's table, as it is.
struct FoundColumn {
    name: String,
    kind: String,
    /// Letters, if it is limited.
    letters: Option<usize>,
    /// Whether a row can do without a value for it.
    optional: bool,
}

/// Finds all tables, and makes of them what is missing. Two that do so at the same time may be in each other's way.
pub(super) async fn settle(
    session: &PgSession,
    given: &GivenTable,
    may_make: bool,
) -> Result<TableShape, PgFault> {
    let mut tries = 0;
    loop {
        match settle_once(session, given, may_make).await {
            Err(fault) if tries < TRIES && made_by_others(&fault) => tries += 1,
            done => return done,
        }
    }
}

/// How often what others have made meanwhile is looked at again.
const TRIES: u32 = 5;

/// Whether somebody has just made what we wanted to make.
fn made_by_others(fault: &PgFault) -> bool {
    let states = [
        &SqlState::UNIQUE_VIOLATION,
        &SqlState::DUPLICATE_TABLE,
        &SqlState::DUPLICATE_COLUMN,
        &SqlState::DUPLICATE_OBJECT,
        &SqlState::T_R_DEADLOCK_DETECTED,
    ];
    states.iter().any(|state| fault.is(state)) || fault.to_string().contains("tuple concurrently updated")
}

async fn settle_once(session: &PgSession, given: &GivenTable, may_make: bool) -> Result<TableShape, PgFault> {
    let wanted = match &given.schema {
        Some(schema) => format!("{}.{}", quoted(schema), quoted(&given.table)),
        None => quoted(&given.table),
    };
    let mut found = find(session, &wanted).await?;
    if found.is_none() && !may_make {
        return Err(PgFault::Other(format!("there is no table {wanted}")));
    }
    if found.is_none() {
        create(session, given, &wanted).await?;
        found = find(session, &wanted).await?;
    }
    let (oid, names, shown, unlogged) =
        found.ok_or_else(|| PgFault::Other(format!("table {wanted} was made, and is not there")))?;
    let columns = columns_of(session, oid).await?;
    let sql = "SELECT current_setting('server_encoding') IN ('UTF8', 'SQL_ASCII')";
    let utf8 = session.one_row(sql, &[]).await?.try_get(0)?;
    let mut shape = TableShape {
        names,
        shown,
        oid,
        utf8,
        key_max: usize::MAX,
        function_max: usize::MAX,
        latest: i64::MAX,
        unlogged,
    };
    check(&mut shape, &columns)?;
    check_ours(session, &shape).await?;
    complete(session, &shape, &columns).await?;
    check_rights(session, &shape).await?;
    check_ours(session, &shape).await?;
    Ok(shape)
}

/// The table of this name: its number, its name and ours, for statements and for people, and whether it is unlogged.
async fn find(session: &PgSession, wanted: &str) -> Result<Option<(i64, PgTables, String, bool)>, PgFault> {
    let sql = "SELECT c.oid::int8, n.nspname::text, c.relname::text, c.relkind::text, c.relpersistence::text = 'u' \
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)";
    let rows = session.client.query_typed(sql, &[(&wanted, Type::TEXT)]).await?;
    let Some(row) = rows.into_iter().next() else { return Ok(None) };
    let (schema, table, kind): (String, String, String) = (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
    let shown = format!("{schema}.{table}");
    // Rows of a table in parts are not told apart by where they stand.
    if kind != "r" {
        let what = format!(
            "{shown} is no plain table, and jobs cannot be kept in it; name a table with --libpq-table"
        );
        return Err(PgFault::Other(what));
    }
    Ok(Some((row.try_get(0)?, PgTables::of(&schema, &table), shown, row.try_get(4)?)))
}

/// Makes gearmand's table as gearmand does.
async fn create(session: &PgSession, given: &GivenTable, wanted: &str) -> Result<(), PgFault> {
    let sql = format!(
        "CREATE TABLE IF NOT EXISTS {wanted} (unique_key VARCHAR(64), function_name VARCHAR(255), priority INTEGER, data BYTEA, \
         when_to_run INTEGER, UNIQUE (unique_key, function_name)) \
         WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000)"
    );
    match session.client.batch_execute(&sql).await.map_err(PgFault::from) {
        Err(fault) if fault.is(&SqlState::INVALID_SCHEMA_NAME) => {
            let what = match &given.schema {
                Some(schema) => {
                    format!("there is no schema {schema}; make it, or name another with --libpq-table")
                }
                None => {
                    "no schema of search_path is there; name one with --libpq-table SCHEMA.TABLE".to_owned()
                }
            };
            Err(PgFault::Other(what))
        }
        Err(fault) if fault.is(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            let role = quoted(&session.role);
            Err(PgFault::Refused(format!(
                "{fault}; have somebody who may run: {sql}; ALTER TABLE {wanted} OWNER TO {role}"
            )))
        }
        done => done,
    }
}

async fn columns_of(session: &PgSession, oid: i64) -> Result<Vec<FoundColumn>, PgFault> {
    let sql = "SELECT attname::text, format_type(atttypid, NULL), atttypmod, \
               NOT attnotnull OR atthasdef OR attidentity <> '' FROM pg_attribute \
               WHERE attrelid = $1::int8::oid AND attnum > 0 AND NOT attisdropped";
    let rows = session.client.query_typed(sql, &[(&oid, Type::INT8)]).await?;
    let mut columns = Vec::new();
    for row in rows {
        let modifier: i32 = row.try_get(2)?;
        columns.push(FoundColumn {
            name: row.try_get(0)?,
            kind: row.try_get(1)?,
            // The length stands there with four bytes more.
            letters: usize::try_from(modifier.saturating_sub(4)).ok(),
            optional: row.try_get(3)?,
        });
    }
    Ok(columns)
}

const TEXTS: &[&str] = &["character varying", "text"];
const NUMBERS: &[&str] = &["smallint", "integer", "bigint"];
const OUR_COLUMNS: [(&str, &str); 2] = [("ringgear_number", "bigint"), ("ringgear_owner", "integer")];

/// Whether this is a table of gearmand's, and how much fits into it.
fn check(shape: &mut TableShape, columns: &[FoundColumn]) -> Result<(), PgFault> {
    let shown = shape.shown.clone();
    let other = |what: String| {
        PgFault::Other(format!(
            "table {shown} is none of gearmand's: {what}; name another table with --libpq-table, which is made if it is not there"
        ))
    };
    let known: [(&str, &[&str]); 5] = [
        ("unique_key", TEXTS),
        ("function_name", TEXTS),
        ("priority", NUMBERS),
        ("data", &["bytea"]),
        ("when_to_run", NUMBERS),
    ];
    for (name, kinds) in known {
        let Some(column) = columns.iter().find(|column| column.name == name) else {
            return Err(other(format!("it has no column {name}")));
        };
        if !kinds.contains(&column.kind.as_str()) {
            return Err(other(format!("column {name} is {}, and {} is wanted", column.kind, kinds[0])));
        }
        match name {
            "unique_key" => shape.key_max = column.letters.unwrap_or(usize::MAX),
            "function_name" => shape.function_max = column.letters.unwrap_or(usize::MAX),
            "when_to_run" => {
                shape.latest = match column.kind.as_str() {
                    "smallint" => i64::from(i16::MAX),
                    "integer" => i64::from(i32::MAX),
                    _ => i64::MAX,
                }
            }
            _ => {}
        }
    }
    // What we generate must fit in, and a unique of 63 bytes.
    if shape.key_max < 64 {
        return Err(other(format!("column unique_key has {} letters, and 64 are wanted", shape.key_max)));
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

/// Makes what is missing: our columns, their indexes, our tables.
async fn complete(session: &PgSession, shape: &TableShape, columns: &[FoundColumn]) -> Result<(), PgFault> {
    let PgTables { theirs, ours, servers, numbers, index, nobody, unowned, .. } = &shape.names;
    let (mut missing, mut indexes) = (Vec::new(), Vec::new());
    let lacking = OUR_COLUMNS.iter().filter(|(name, _)| !columns.iter().any(|column| column.name == *name));
    let added: Vec<String> = lacking.map(|(name, kind)| format!("ADD COLUMN {name} {kind}")).collect();
    let is_new = added.len() == OUR_COLUMNS.len();
    if !added.is_empty() {
        missing.push(format!("ALTER TABLE {theirs} {}", added.join(", ")));
    }
    let sql = "SELECT EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] \
               WHERE i.indrelid = $1::int8::oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indnkeyatts = 1 \
               AND a.attname = 'ringgear_number')";
    if !session.one_row(sql, &[(&shape.oid, Type::INT8)]).await?.try_get::<_, bool>(0)? {
        indexes.push(format!("CREATE UNIQUE INDEX {index} ON {theirs} (ringgear_number)"));
    }
    let others = [
        (
            ours.clone(),
            format!(
                "CREATE TABLE {ours} (number bigint PRIMARY KEY, owner integer, kind smallint NOT NULL, \
                 attempts smallint NOT NULL, record bytea)"
            ),
        ),
        (
            servers.clone(),
            format!(
                "CREATE TABLE {servers} (id integer PRIMARY KEY, name text NOT NULL, beat bigint NOT NULL, \
                 state smallint NOT NULL, taken_by integer, started timestamptz NOT NULL DEFAULT now(), \
                 jobs bigint NOT NULL, bytes bigint NOT NULL, version text NOT NULL) WITH (fillfactor = 50)"
            ),
        ),
        (
            numbers.clone(),
            format!(
                "CREATE TABLE {numbers} (one boolean PRIMARY KEY DEFAULT true CHECK (one), next bigint NOT NULL)"
            ),
        ),
        (
            shape.names.full(nobody),
            format!("CREATE INDEX {nobody} ON {theirs} (unique_key) WHERE ringgear_owner IS NULL"),
        ),
        (
            shape.names.full(unowned),
            format!("CREATE INDEX {unowned} ON {ours} (number) WHERE owner IS NULL AND kind <> 0"),
        ),
    ];
    for (name, sql) in others {
        let there = session.one_row("SELECT to_regclass($1) IS NOT NULL", &[(&name, Type::TEXT)]).await?;
        if !there.try_get::<_, bool>(0)? {
            if sql.starts_with("CREATE INDEX") { indexes.push(sql) } else { missing.push(sql) }
        }
    }
    let all = || [&missing[..], &indexes[..]].concat().join("; ");
    // The rows of a table that we have never seen, all at once. If that cannot be, they are adopted.
    if is_new && let Some(numbering) = first::numbering(session, &shape.names).await? {
        let sql = [&missing[..], &[numbering], &indexes[..]].concat().join("; ");
        if make(session, shape, &sql).await.is_ok() {
            return Ok(());
        }
    }
    if missing.is_empty() && indexes.is_empty() { Ok(()) } else { make(session, shape, &all()).await }
}

/// Makes tables, columns and indexes with these statements.
async fn make(session: &PgSession, shape: &TableShape, sql: &str) -> Result<(), PgFault> {
    // An index of a large table takes its time.
    let all = format!("BEGIN; SET LOCAL statement_timeout = 0; {sql}; COMMIT");
    let Err(error) = session.client.batch_execute(&all).await else { return Ok(()) };
    let _ = session.client.batch_execute("ROLLBACK").await;
    let fault = PgFault::from(error);
    if fault.is(&SqlState::INSUFFICIENT_PRIVILEGE) {
        let (role, tables) = (quoted(&session.role), tables(shape));
        return Err(PgFault::Refused(format!(
            "{fault}; have the owner of {} run: {sql}; GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO {role}",
            shape.shown
        )));
    }
    Err(fault)
}

/// All tables, as they stand in a statement.
fn tables(shape: &TableShape) -> String {
    shape.names.tables().map(String::as_str).join(", ")
}

/// Whether we may do with all tables what we must, before anybody relies on it.
async fn check_rights(session: &PgSession, shape: &TableShape) -> Result<(), PgFault> {
    let names: Vec<&String> = shape.names.tables().to_vec();
    let sql = "SELECT string_agg(right_ || ' on ' || table_, ', ') FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) right_, \
               unnest($1::text[]) table_ WHERE NOT has_table_privilege(table_, right_)";
    let row = session.one_row(sql, &[(&names, Type::TEXT_ARRAY)]).await?;
    if let Some(missing) = row.try_get::<_, Option<String>>(0)? {
        let (role, tables) = (quoted(&session.role), tables(shape));
        return Err(PgFault::Refused(format!(
            "role {role} lacks {missing}; have the owner run: GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO {role}"
        )));
    }
    Ok(())
}

/// Whether those tables of ours that are there are what they ought to be.
async fn check_ours(session: &PgSession, shape: &TableShape) -> Result<(), PgFault> {
    let PgTables { ours, servers, numbers, .. } = &shape.names;
    for (table, columns) in [
        (ours, "number, owner, kind, attempts, record"),
        (servers, "id, name, beat, state, taken_by, started, jobs, bytes, version"),
        (numbers, "one, next"),
    ] {
        let sql = format!("SELECT {columns} FROM {table} LIMIT 0");
        match session.client.batch_execute(&sql).await.map_err(PgFault::from) {
            Err(fault) if fault.is(&SqlState::UNDEFINED_COLUMN) => {
                return Err(PgFault::Other(format!(
                    "table {table} is not ours: {fault}; drop it if nothing needs it, or name another with --libpq-table"
                )));
            }
            // One that is not there is made; who may not read it is told the remedy.
            Err(fault)
                if !fault.is(&SqlState::UNDEFINED_TABLE) && !fault.is(&SqlState::INSUFFICIENT_PRIVILEGE) =>
            {
                return Err(fault);
            }
            _ => {}
        }
    }
    Ok(())
}
