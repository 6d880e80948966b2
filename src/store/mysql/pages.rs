//! Reads jobs a page at a time: all that have certain owners, in the order of their numbers, those last that stand alone in our own
//! table. So a start and a take-over leave room for other statements in between. What a row means is `sql/row.rs` and `sql/rows.rs`.
use super::link::MyLink;
use super::names::MyTables;
use super::puts::{BESIDE, DEAD};
use super::servers::numbers;
use super::shape::MyShape;
use super::text;
use crate::engine::slot::Slot;
use crate::engine::{JobId, StoredJob};
use crate::log_at;
use crate::logging::Level;
use crate::store::remote::fault::RemoteFault;
use crate::store::servers::{SET_ASIDE, Told, Unreadable};
use crate::store::sql::numbers::{job_of, row_of};
use crate::store::sql::row::Columns;
use crate::store::sql::rows::{dead_job_in, job_in};
use crate::store::sql::value::ColumnValue;
use mysql::consts::ColumnType;
use mysql::prelude::Queryable;
use mysql::{Row, Value};

/// Rows of a page, and bytes of those before its last.
const ROWS: usize = 4_000;
const BYTES: u64 = 8 << 20;
/// Numbers that are asked for at a time: with more, MariaDB makes a table of them.
const NUMBERS: usize = 900;

/// How far rows are read: all up to this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MyPlace {
    /// Of gearmand's table.
    Theirs(i64),
    /// Of our own.
    Ours(i64),
    Over,
}

/// Rows that are being read.
#[derive(Debug)]
pub(super) struct MyReading {
    /// Whose they are; anybody's, if it is not said.
    owners: Option<Vec<i32>>,
    /// Only these numbers, if that is said, in their order.
    only: Option<Vec<i64>>,
    unreadable: Unreadable,
    place: MyPlace,
}

/// Where numbers and owners stand, and what is long.
#[derive(Clone, Copy)]
pub(super) struct NumberedTable<'t> {
    pub(super) table: &'t str,
    pub(super) number: &'t str,
    pub(super) owner: &'t str,
    /// The column that is long.
    long: &'t str,
    /// What else is true of the rows.
    pub(super) and: &'t str,
    /// Indexes on numbers and on owners.
    by_number: &'t str,
    by_owner: &'t str,
}

impl<'t> NumberedTable<'t> {
    pub(super) fn theirs(shape: &'t MyShape) -> NumberedTable<'t> {
        NumberedTable {
            table: &shape.names.theirs,
            number: "ringgear_number",
            owner: "ringgear_owner",
            long: "data",
            and: "TRUE",
            by_number: &shape.index,
            by_owner: &shape.owners,
        }
    }

    /// Those of them that have a number.
    pub(super) fn numbered(shape: &'t MyShape) -> NumberedTable<'t> {
        NumberedTable { and: "ringgear_number IS NOT NULL", ..NumberedTable::theirs(shape) }
    }

    /// What stands alone there.
    pub(super) fn ours(shape: &'t MyShape) -> NumberedTable<'t> {
        NumberedTable {
            table: &shape.names.ours,
            number: "number",
            owner: "owner",
            long: "record",
            and: "kind <> 0",
            by_number: "PRIMARY",
            by_owner: "ringgear_owner",
        }
    }

    /// Rows of these owners behind this number, the first of them, with their lengths: one statement, of which each part finds its rows
    /// in their order.
    fn select(self, what: &str, owners: Option<&[i32]>, from: i64, limit: usize) -> String {
        let NumberedTable { table, number, owner, and, by_number, by_owner, .. } = self;
        let end = format!("AND {number} > {from} AND {and} ORDER BY {number} LIMIT {limit}");
        let Some(owners) = owners else {
            return format!(
                "SELECT {what} FROM {table} FORCE INDEX ({by_number}) WHERE ({owner} IS NULL OR {owner} <> {SET_ASIDE}) {end}"
            );
        };
        let of = |id: &i32| {
            format!("(SELECT {what} FROM {table} FORCE INDEX ({by_owner}) WHERE {owner} = {id} {end})")
        };
        let parts: Vec<String> = owners.iter().map(of).collect();
        match parts.len() {
            0 => format!("SELECT {what} FROM {table} WHERE FALSE"),
            1 => parts.concat(),
            _ => format!("{} ORDER BY 1 LIMIT {limit}", parts.join(" UNION ALL ")),
        }
    }

    /// Numbers of these owners behind this one, the first of them.
    pub(super) fn numbers(
        self,
        link: &mut MyLink,
        owners: Option<&[i32]>,
        from: i64,
        limit: usize,
    ) -> Result<Vec<i64>, RemoteFault> {
        Ok(link.conn.query(self.select(self.number, owners, from, limit))?)
    }
}

/// The numbers of a page: those behind `from` up to this one, and whether there are more behind it.
struct PageEnd {
    upto: i64,
    more: bool,
}

impl MyReading {
    /// Of all rows of these owners, or only of these numbers of them.
    pub(super) fn of(owners: Option<Vec<i32>>, only: Option<Vec<i64>>, unreadable: Unreadable) -> MyReading {
        let only = only.map(|mut numbers| {
            numbers.sort_unstable();
            numbers
        });
        MyReading { owners, only, unreadable, place: MyPlace::Theirs(i64::MIN) }
    }

    /// Tells the next page. True if there are more.
    pub(super) fn page(
        &mut self,
        link: &mut MyLink,
        told: Told<'_, RemoteFault>,
    ) -> Result<bool, RemoteFault> {
        self.place = match self.place {
            MyPlace::Theirs(from) => match self.theirs(link, from, told)? {
                Some(upto) => MyPlace::Theirs(upto),
                None => MyPlace::Ours(i64::MIN),
            },
            MyPlace::Ours(from) => self.ours(link, from, told)?.map_or(MyPlace::Over, MyPlace::Ours),
            MyPlace::Over => MyPlace::Over,
        };
        Ok(self.place != MyPlace::Over)
    }

    /// Those of the numbers that are asked for next, if only some are.
    fn asked(&self, from: i64) -> Option<&[i64]> {
        let only = self.only.as_ref()?;
        let first = only.partition_point(|&number| number <= from);
        Some(&only[first..only.len().min(first + NUMBERS)])
    }

    /// Where the next page of a table ends.
    fn end(
        &self,
        link: &mut MyLink,
        table: NumberedTable<'_>,
        from: i64,
    ) -> Result<Option<PageEnd>, RemoteFault> {
        let NumberedTable { number, long, .. } = table;
        let what = format!("{number}, COALESCE(LENGTH({long}), 0)");
        let rows: Vec<(i64, u64)> = match self.asked(from) {
            Some([]) => return Ok(None),
            Some(asked) => {
                let sql = format!(
                    "SELECT {what} FROM {} WHERE {number} IN ({}) ORDER BY {number}",
                    table.table,
                    text::list(asked)
                );
                link.conn.query(sql)?
            }
            None => link.conn.query(table.select(&what, self.owners.as_deref(), from, ROWS))?,
        };
        let mut bytes = 0;
        for (at, (number, length)) in rows.iter().enumerate() {
            bytes += length;
            if bytes >= BYTES && at + 1 < rows.len() {
                return Ok(Some(PageEnd { upto: *number, more: true }));
            }
        }
        let last = rows.last().map(|(number, _)| *number);
        Ok(match (self.asked(from), last) {
            (Some(asked), _) => asked.last().map(|&upto| PageEnd { upto, more: true }),
            (None, Some(upto)) => Some(PageEnd { upto, more: rows.len() >= ROWS }),
            (None, None) => None,
        })
    }

    /// What is true of the rows of a page.
    fn condition(&self, table: NumberedTable<'_>, prefix: &str, from: i64, upto: i64) -> String {
        let NumberedTable { number, owner, and, .. } = table;
        let whose = match &self.owners {
            Some(owners) => format!("{prefix}{owner} IN ({})", text::list(owners)),
            None => format!("({prefix}{owner} IS NULL OR {prefix}{owner} <> {SET_ASIDE})"),
        };
        let which = match self.asked(from) {
            Some(asked) => format!("AND {prefix}{number} IN ({})", text::list(asked)),
            None => String::new(),
        };
        format!("{whose} AND {prefix}{number} > {from} AND {prefix}{number} <= {upto} {which} AND {and}")
    }

    /// The index by which the rows of a page are found.
    fn index<'t>(&self, table: NumberedTable<'t>) -> &'t str {
        if self.owners.is_some() && self.only.is_none() { table.by_owner } else { table.by_number }
    }

    fn theirs(
        &self,
        link: &mut MyLink,
        from: i64,
        told: Told<'_, RemoteFault>,
    ) -> Result<Option<i64>, RemoteFault> {
        let shape = link.shape.clone();
        let table = NumberedTable::theirs(&shape);
        let Some(PageEnd { upto, more }) = self.end(link, table, from)? else { return Ok(None) };
        let MyTables { theirs, ours, .. } = &shape.names;
        let sql = format!(
            "SELECT t.unique_key, t.function_name, t.priority, t.data, t.when_to_run, t.ringgear_number, o.attempts, o.record, \
             o.number IS NOT NULL FROM {theirs} AS t FORCE INDEX ({}) LEFT JOIN {ours} AS o ON o.number = t.ringgear_number \
             AND o.kind = {BESIDE} WHERE {} ORDER BY t.ringgear_number",
            self.index(table),
            self.condition(table, "t.", from, upto)
        );
        let mut aside = Vec::new();
        for row in link.conn.query::<Row, _>(sql)? {
            let number = integer(&row, 5).unwrap_or(0);
            let job = columns(&row, number).and_then(|columns| match job_of(number, &columns.function) {
                Some(id) => living(&row, id, &columns, &shape)
                    .and_then(|job| told(job, false, integer(&row, 8) == Some(1))),
                // What our own table knows is about another job then.
                None => {
                    let id = renumber(link, number, &columns)?;
                    columns
                        .job(row_of(id)?, id)
                        .map_err(RemoteFault::from)
                        .and_then(|job| told(job, false, false))
                }
            });
            self.look_at(job, number, &mut aside)?;
        }
        set_aside(link, table, &aside)?;
        Ok(more.then_some(upto))
    }

    fn ours(
        &self,
        link: &mut MyLink,
        from: i64,
        told: Told<'_, RemoteFault>,
    ) -> Result<Option<i64>, RemoteFault> {
        let shape = link.shape.clone();
        let table = NumberedTable::ours(&shape);
        let Some(PageEnd { upto, more }) = self.end(link, table, from)? else { return Ok(None) };
        let sql = format!(
            "SELECT number, kind, attempts, record FROM {} FORCE INDEX ({}) WHERE {} ORDER BY number",
            table.table,
            self.index(table),
            self.condition(table, "", from, upto)
        );
        let mut aside = Vec::new();
        for row in link.conn.query::<Row, _>(sql)? {
            let job = alone(&row, table.table).and_then(|job| told(job, true, true));
            self.look_at(job, integer(&row, 0).unwrap_or(0), &mut aside)?;
        }
        set_aside(link, table, &aside)?;
        Ok(more.then_some(upto))
    }

    /// What becomes of a row that could not be told.
    fn look_at(
        &self,
        told: Result<(), RemoteFault>,
        number: i64,
        aside: &mut Vec<i64>,
    ) -> Result<(), RemoteFault> {
        match (told, self.unreadable) {
            (Err(fault), Unreadable::SetAside) => {
                log_at!(
                    Level::Error,
                    "the store: a row is set aside, kept and not run, with {SET_ASIDE} as its owner: {fault}"
                );
                aside.push(number);
                Ok(())
            }
            (told, _) => told,
        }
    }
}

/// About how many jobs these owners have.
pub(super) fn count(link: &mut MyLink, reading: &MyReading) -> Result<u64, RemoteFault> {
    let mut jobs = 0;
    let shape = link.shape.clone();
    for NumberedTable { table, owner, and, .. } in
        [NumberedTable::theirs(&shape), NumberedTable::ours(&shape)]
    {
        let whose = match &reading.owners {
            Some(owners) => format!("{owner} IN ({})", text::list(owners)),
            None => "TRUE".to_owned(),
        };
        let sql = format!("SELECT COUNT(*) FROM {table} WHERE {whose} AND {and}");
        jobs += link.conn.query_first::<u64, _>(sql)?.unwrap_or(0);
    }
    Ok(jobs)
}

/// Drops what is about jobs that gearmand has ended.
pub(super) fn drop_leftovers(link: &mut MyLink) -> Result<(), RemoteFault> {
    let MyTables { theirs, ours, .. } = &link.shape.names;
    Ok(link.conn.query_drop(format!(
        "DELETE FROM {ours} WHERE kind = {BESIDE} AND NOT EXISTS (SELECT * FROM {theirs} AS t WHERE t.ringgear_number = {ours}.number)"
    ))?)
}

/// Keeps rows that cannot be read, for somebody to look at.
fn set_aside(link: &mut MyLink, table: NumberedTable<'_>, numbers: &[i64]) -> Result<(), RemoteFault> {
    if numbers.is_empty() {
        return Ok(());
    }
    let NumberedTable { table, number, owner, .. } = table;
    let numbers = text::list(numbers);
    Ok(link
        .conn
        .query_drop(format!("UPDATE {table} SET {owner} = {SET_ASIDE} WHERE {number} IN ({numbers})"))?)
}

/// Somebody has changed the function of a row, so its number is not one of that: it gets another one, under which it may be read
/// once more.
fn renumber(link: &mut MyLink, number: i64, columns: &Columns<'_>) -> Result<JobId, RemoteFault> {
    let sequence = numbers(link, 1, 0)?.start;
    let id = JobId::new(sequence, Slot::of(&columns.function));
    let (theirs, new) = (&link.shape.names.theirs, row_of(id)?);
    link.conn.query_drop(format!(
        "UPDATE {theirs} SET ringgear_number = {new} WHERE ringgear_number = {number}"
    ))?;
    Ok(id)
}

/// What stands in a column.
fn column_value(row: &Row, column: usize) -> ColumnValue<'_> {
    let kind = row.columns_ref().get(column).map(|column| column.column_type());
    match row.as_ref(column) {
        None | Some(Value::NULL) => ColumnValue::Null,
        Some(Value::Bytes(bytes)) => match kind {
            Some(
                ColumnType::MYSQL_TYPE_TINY
                | ColumnType::MYSQL_TYPE_SHORT
                | ColumnType::MYSQL_TYPE_INT24
                | ColumnType::MYSQL_TYPE_LONG
                | ColumnType::MYSQL_TYPE_LONGLONG,
            ) => parsed(bytes).map_or(ColumnValue::Real, ColumnValue::Integer),
            _ => ColumnValue::Blob(bytes),
        },
        Some(&Value::Int(number)) => ColumnValue::Integer(number),
        Some(_) => ColumnValue::Real,
    }
}

fn parsed(bytes: &[u8]) -> Option<i64> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

fn integer(row: &Row, column: usize) -> Option<i64> {
    match column_value(row, column) {
        ColumnValue::Integer(number) => Some(number),
        _ => None,
    }
}

/// gearmand's columns, which come first.
fn columns(row: &Row, number: i64) -> Result<Columns<'_>, RemoteFault> {
    Ok(Columns::read(number, [0, 1, 2, 3, 4].map(|column| column_value(row, column)))?)
}

/// The job of a row, with what our own table knows of it.
fn living<'r>(
    row: &'r Row,
    id: JobId,
    columns: &'r Columns<'r>,
    shape: &MyShape,
) -> Result<StoredJob<'r>, RemoteFault> {
    let number = row_of(id)?;
    let attempts = integer(row, 6).and_then(|lost| u8::try_from(lost).ok()).unwrap_or(0);
    let record = column_value(row, 7);
    if record == ColumnValue::Null {
        return Ok(StoredJob { attempts, ..columns.job(number, id)? });
    }
    let known = job_in(number, record, &shape.names.ours)?;
    let theirs = Columns::of(&known, columns.key.as_ref().into());
    // To the millisecond, if the row still says the same second.
    let same_time = theirs.when_to_run.min(shape.latest) == columns.when_to_run;
    let epoch = if same_time { known.epoch } else { columns.epoch() };
    Ok(StoredJob { workload: columns.workload, priority: columns.priority, epoch, attempts, ..known })
}

/// The job of a row that stands alone in our own table.
fn alone<'r>(row: &'r Row, ours: &str) -> Result<StoredJob<'r>, RemoteFault> {
    let (number, kind) = (integer(row, 0).unwrap_or(0), integer(row, 1));
    let record = column_value(row, 3);
    if kind == Some(DEAD.into()) {
        return Ok(dead_job_in(number, record, ours)?);
    }
    let job = job_in(number, record, ours)?;
    let attempts = integer(row, 2).and_then(|lost| u8::try_from(lost).ok()).unwrap_or(job.attempts);
    Ok(StoredJob { attempts, ..job })
}
