//! Writes changes in one transaction whose statements are sent without waiting for each other: a commit costs one journey, of one
//! job or of thousands. What is written is `changes.rs`.
//!
//! Most jobs are new, so their rows are inserted without a delete before it; where a row with the number or the key is there
//! already, nothing is inserted, and those are looked at one by one in a second transaction. So the same changes may be
//! written any number of times, which is what is done if nobody knows whether they were.
//!
//! Where servers share the table, the first statement is the fence (`servers.rs`), and whatever adds or changes rows does so only if
//! it has passed. Ends of jobs are not fenced: whoever says that a job has run has seen it run.
use super::changes::{Changes, JobPut, OurPgRow};
use super::fault::PgFault;
use super::names::PgTables;
use super::servers::numbers;
use super::session::PgSession;
use super::shape::TableShape;
use crate::engine::JobId;
use crate::engine::slot::Slot;
use crate::store::book::Book;
use crate::store::sql::numbers::row_of;
use std::collections::{HashMap, HashSet};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error};

/// Rows and bytes of one statement.
const ROWS: usize = 10_000;
const BYTES: usize = 8 << 20;
/// With more bytes, each statement waits for the one before: what is under way is in memory twice.
const PIPELINED: usize = 32 << 20;

type PgRequest<'f> = Pin<Box<dyn Future<Output = Result<u64, Error>> + Send + 'f>>;

/// Puts as the columns of one statement.
#[derive(Default)]
struct TheirRows<'p> {
    keys: Vec<&'p str>,
    functions: Vec<&'p str>,
    priorities: Vec<i32>,
    workloads: Vec<&'p [u8]>,
    times: Vec<i64>,
    numbers: Vec<i64>,
    bytes: usize,
}

/// Rows of our own as the columns of one statement.
#[derive(Default)]
struct OurRows<'p> {
    numbers: Vec<i64>,
    kinds: Vec<i16>,
    attempts: Vec<i16>,
    records: Vec<&'p [u8]>,
}

impl<'p> TheirRows<'p> {
    /// In as many statements as it takes.
    fn of(puts: impl Iterator<Item = &'p JobPut<'p>>) -> Vec<TheirRows<'p>> {
        let mut pieces = vec![TheirRows::default()];
        for put in puts {
            let Some(columns) = &put.theirs else { continue };
            // There is always a last one.
            if pieces.last().is_none_or(|last| last.numbers.len() >= ROWS || last.bytes >= BYTES) {
                pieces.push(TheirRows::default());
            }
            let Some(last) = pieces.last_mut() else { break };
            // What is no text has no row there.
            last.keys.push(std::str::from_utf8(&columns.key).unwrap_or_default());
            last.functions.push(std::str::from_utf8(&columns.function).unwrap_or_default());
            last.priorities.push(columns.priority as i32);
            last.workloads.push(columns.workload);
            last.times.push(columns.when_to_run);
            last.numbers.push(put.number);
            last.bytes += put.bytes();
        }
        pieces.retain(|piece| !piece.numbers.is_empty());
        pieces
    }

    async fn insert(&self, client: &Client, names: &PgTables, fence: PgFence<'_>) -> Result<u64, Error> {
        let (owner, passed) = (fence.owner(), fence.passed(names));
        let sql = format!(
            "INSERT INTO {} (unique_key, function_name, priority, data, when_to_run, ringgear_number, ringgear_owner) \
             SELECT u.*, {owner} FROM unnest($1::text[], $2::text[], $3::int4[], $4::bytea[], $5::int8[], $6::int8[]) AS u \
             WHERE {passed} ON CONFLICT DO NOTHING",
            names.theirs
        );
        client
            .execute_typed(
                &sql,
                &[
                    (&self.keys, Type::TEXT_ARRAY),
                    (&self.functions, Type::TEXT_ARRAY),
                    (&self.priorities, Type::INT4_ARRAY),
                    (&self.workloads, Type::BYTEA_ARRAY),
                    (&self.times, Type::INT8_ARRAY),
                    (&self.numbers, Type::INT8_ARRAY),
                ],
            )
            .await
    }
}

impl<'p> OurRows<'p> {
    fn of(puts: impl Iterator<Item = &'p JobPut<'p>>) -> Vec<OurRows<'p>> {
        let (mut pieces, mut bytes) = (vec![OurRows::default()], 0);
        for put in puts {
            let Some(OurPgRow { kind, attempts, record }) = &put.ours else { continue };
            if pieces.last().is_none_or(|last| last.numbers.len() >= ROWS || bytes >= BYTES) {
                pieces.push(OurRows::default());
                bytes = 0;
            }
            let Some(last) = pieces.last_mut() else { break };
            last.numbers.push(put.number);
            last.kinds.push(*kind);
            last.attempts.push(*attempts);
            last.records.push(record);
            bytes += record.len();
        }
        pieces.retain(|piece| !piece.numbers.is_empty());
        pieces
    }

    async fn insert(&self, client: &Client, names: &PgTables, fence: PgFence<'_>) -> Result<u64, Error> {
        let (owner, passed) = (fence.owner(), fence.passed(names));
        let sql = format!(
            "INSERT INTO {} (number, kind, attempts, record, owner) \
             SELECT n, k, a, r, CASE WHEN k <> 0 THEN {owner} END \
             FROM unnest($1::int8[], $2::int2[], $3::int2[], $4::bytea[]) AS u(n, k, a, r) WHERE {passed} \
             ON CONFLICT (number) DO UPDATE SET kind = EXCLUDED.kind, attempts = EXCLUDED.attempts, record = EXCLUDED.record, \
             owner = EXCLUDED.owner",
            names.ours
        );
        client
            .execute_typed(
                &sql,
                &[
                    (&self.numbers, Type::INT8_ARRAY),
                    (&self.kinds, Type::INT2_ARRAY),
                    (&self.attempts, Type::INT2_ARRAY),
                    (&self.records, Type::BYTEA_ARRAY),
                ],
            )
            .await
    }
}

/// Which server writes, if servers share the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct PgFence<'f> {
    /// Its number.
    pub(super) me: Option<i32>,
    /// Owners of rows that are its own: itself, and whom it has taken over.
    pub(super) family: &'f [i32],
}

impl PgFence<'_> {
    /// Whose the rows are that are written.
    fn owner(self) -> String {
        self.me.map_or("NULL::int4".to_owned(), |me| format!("{me}::int4"))
    }

    /// What is true while we are not taken over.
    fn passed(self, names: &PgTables) -> String {
        let servers = &names.servers;
        self.me.map_or("true".to_owned(), |me| {
            format!("EXISTS (SELECT FROM {servers} WHERE id = {me} AND taken_by IS NULL)")
        })
    }

    /// What is true of a row with this owner if it is ours, and while we are not taken over. Whoever has taken over a job runs it, and
    /// may have told a client that it has joined it: its end is his to tell.
    fn own(self, names: &PgTables, owner: &str) -> String {
        let family: Vec<String> = self.family.iter().map(i32::to_string).collect();
        let passed = self.passed(names);
        self.me.map_or(passed.clone(), |_| format!("{owner} IN ({}) AND {passed}", family.join(",")))
    }

    /// Counts our beat: one, unless we were taken over. Whoever wants to take us over waits for the end of this transaction.
    async fn pass(self, client: &Client, names: &PgTables) -> Result<u64, Error> {
        let Some(me) = self.me else { return Ok(1) };
        let servers = &names.servers;
        let sql = format!("UPDATE {servers} SET beat = beat + 1 WHERE id = {me} AND taken_by IS NULL");
        client.execute_typed(&sql, &[]).await
    }
}

/// Writes changes, all of them or none, unless a row is in the way: then a part may be written and the rest not. Returns puts
/// that are not written because a job of another server has their function and unique, and which.
pub(super) async fn write(
    session: &PgSession,
    shape: &TableShape,
    changes: &mut Changes<'_>,
    book: &Book,
    fence: PgFence<'_>,
) -> Result<Vec<(JobId, JobId)>, PgFault> {
    let client = &session.client;
    let met = match first(client, &shape.names, changes, &book.beside, fence).await {
        Ok(met) => met,
        Err(fault) => {
            // Ends what may be left of the transaction; if there is none, nothing happens.
            let _ = client.batch_execute("ROLLBACK").await;
            return Err(fault);
        }
    };
    let mut elsewhere = Vec::new();
    for (from, until) in met {
        match one_by_one(session, shape, &mut changes.puts[from..until], book, fence).await {
            Ok(mut more) => elsewhere.append(&mut more),
            Err(fault) => {
                let _ = client.batch_execute("ROLLBACK").await;
                return Err(fault);
            }
        }
    }
    Ok(elsewhere)
}

/// Writes everything but what meets rows that are there. Returns ranges of those puts among which such are.
async fn first(
    client: &Client,
    names: &PgTables,
    changes: &Changes<'_>,
    beside: &HashSet<i64>,
    fence: PgFence<'_>,
) -> Result<Vec<(usize, usize)>, PgFault> {
    let PgTables { theirs: table, ours: our_table, .. } = names;
    let puts = &changes.puts;
    let moved: Vec<i64> = puts.iter().filter(|put| put.is_alone()).map(|put| put.number).collect();
    let ours_of = |number: &i64| beside.contains(number);
    let ours_ended: Vec<i64> = changes.ended.iter().copied().filter(ours_of).collect();
    let plain = puts.iter().filter(|put| put.ours.is_none()).map(|put| put.number);
    let ours_plain: Vec<i64> = plain.filter(ours_of).collect();
    let (theirs, ours) = (TheirRows::of(puts.iter()), OurRows::of(puts.iter()));
    let passed = fence.passed(names);
    let own = fence.own(names, "ringgear_owner");
    // What stands beside a row goes with it, which has gone just before.
    let beside_nothing = format!(
        "({} OR kind = 0 AND NOT EXISTS (SELECT FROM {table} WHERE ringgear_number = number))",
        fence.own(names, "owner")
    );
    let mut requests: Vec<PgRequest<'_>> = vec![Box::pin(begin(client)), Box::pin(fence.pass(client, names))];
    for (table, column, numbers, condition) in [
        (table, "ringgear_number", &changes.ended, &own),
        (table, "ringgear_number", &moved, &passed),
        (our_table, "number", &ours_ended, &beside_nothing),
        (our_table, "number", &ours_plain, &passed),
    ] {
        if !numbers.is_empty() {
            requests.push(Box::pin(delete_if(client, table, column, numbers, condition)));
        }
    }
    let inserts = requests.len();
    requests
        .extend(theirs.iter().map(|rows| -> PgRequest<'_> { Box::pin(rows.insert(client, names, fence)) }));
    requests.extend(ours.iter().map(|rows| -> PgRequest<'_> { Box::pin(rows.insert(client, names, fence)) }));
    if !changes.attempts.is_empty() {
        requests.push(Box::pin(attempts(client, names, &changes.attempts, &passed)));
    }
    requests.push(Box::pin(commit(client)));
    let bytes: usize = puts.iter().map(JobPut::bytes).sum();
    let counts = if bytes > PIPELINED { in_turn(requests).await? } else { at_once(requests).await? };
    if counts.get(1) != Some(&1) {
        return Err(PgFault::Fenced);
    }
    let mut met = Vec::new();
    let with_theirs: Vec<usize> =
        puts.iter().enumerate().filter(|(_, put)| !put.is_alone()).map(|(at, _)| at).collect();
    let mut before = 0;
    for (rows, count) in theirs.iter().zip(counts.iter().skip(inserts)) {
        let here = &with_theirs[before..before + rows.numbers.len()];
        before += here.len();
        if *count < here.len() as u64
            && let (Some(&first), Some(&last)) = (here.first(), here.last())
        {
            met.push((first, last + 1));
        }
    }
    Ok(met)
}

/// Writes puts of which some met a row: of the same job, which is written anew; of a job that we have, so that this one gets a key
/// of its own; or of another server's, which is that job then.
async fn one_by_one(
    session: &PgSession,
    shape: &TableShape,
    puts: &mut [JobPut<'_>],
    book: &Book,
    fence: PgFence<'_>,
) -> Result<Vec<(JobId, JobId)>, PgFault> {
    let (client, names) = (&session.client, &shape.names);
    let numbers: Vec<i64> = puts.iter().map(|put| put.number).collect();
    begin(client).await?;
    if fence.pass(client, names).await? != 1 {
        return Err(PgFault::Fenced);
    }
    delete(client, &names.theirs, "ringgear_number", &numbers).await?;
    for rows in TheirRows::of(puts.iter()) {
        rows.insert(client, names, fence).await?;
    }
    let sql = format!(
        "SELECT n FROM unnest($1::int8[]) AS n WHERE NOT EXISTS (SELECT FROM {} WHERE ringgear_number = n)",
        names.theirs
    );
    let missing = client.query_typed(&sql, &[(&numbers, Type::INT8_ARRAY)]).await?;
    let missing: HashSet<i64> = missing.iter().map(|row| row.try_get(0)).collect::<Result<_, Error>>()?;
    let new: Vec<&JobPut<'_>> = puts
        .iter()
        .filter(|put| fence.me.is_some() && missing.contains(&put.number) && !book.knows(put.number))
        .collect();
    let elsewhere = in_the_way(session, shape, &new, book).await?;
    let mut moved = Vec::new();
    for put in puts.iter_mut() {
        if !put.is_alone() && missing.contains(&put.number) && !elsewhere.contains_key(&put.id) {
            put.take_own_key();
            moved.push(put.number);
        }
    }
    let again = || puts.iter().filter(|put| moved.contains(&put.number));
    let mut written = 0;
    for rows in TheirRows::of(again()) {
        written += rows.insert(client, names, fence).await?;
    }
    if written < moved.len() as u64 {
        return Err(PgFault::Other("there are rows with these keys and numbers already".to_owned()));
    }
    for rows in OurRows::of(again()) {
        rows.insert(client, names, fence).await?;
    }
    let not_ours = elsewhere.keys().map(|&id| row_of(id)).collect::<Result<Vec<i64>, _>>()?;
    if !not_ours.is_empty() {
        delete(client, &names.ours, "number", &not_ours).await?;
    }
    commit(client).await?;
    Ok(elsewhere.into_iter().collect())
}

/// Which jobs of others have the keys of these. A row that nobody has given a number gets one here, by which whoever adopts it
/// goes.
async fn in_the_way(
    session: &PgSession,
    shape: &TableShape,
    puts: &[&JobPut<'_>],
    book: &Book,
) -> Result<HashMap<JobId, JobId>, PgFault> {
    let mut elsewhere = HashMap::new();
    let theirs = &shape.names.theirs;
    for rows in TheirRows::of(puts.iter().copied()) {
        let sql = format!(
            "SELECT u.n, t.ringgear_number, t.function_name::text FROM unnest($1::text[], $2::text[], $3::int8[]) AS u(k, f, n) \
             JOIN {theirs} AS t ON t.unique_key = u.k AND t.function_name = u.f"
        );
        let values: [(&(dyn ToSql + Sync), Type); 3] = [
            (&rows.keys, Type::TEXT_ARRAY),
            (&rows.functions, Type::TEXT_ARRAY),
            (&rows.numbers, Type::INT8_ARRAY),
        ];
        for row in session.client.query_typed(&sql, &values).await? {
            let (number, there, function): (i64, Option<i64>, String) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let there = match there {
                Some(there) if book.knows(there) => continue,
                Some(there) => there,
                None => {
                    let sequence = numbers(session, shape, 1, 0).await?.start;
                    let new = row_of(JobId::new(sequence, Slot::of(function.as_bytes())))?;
                    let sql = format!(
                        "UPDATE {theirs} AS t SET ringgear_number = $1 FROM unnest($2::text[], $3::text[], $4::int8[]) \
                         AS u(k, f, n) WHERE t.unique_key = u.k AND t.function_name = u.f AND u.n = $5 \
                         AND t.ringgear_number IS NULL"
                    );
                    let values: [(&(dyn ToSql + Sync), Type); 5] = [
                        (&new, Type::INT8),
                        (&rows.keys, Type::TEXT_ARRAY),
                        (&rows.functions, Type::TEXT_ARRAY),
                        (&rows.numbers, Type::INT8_ARRAY),
                        (&number, Type::INT8),
                    ];
                    if session.client.execute_typed(&sql, &values).await? == 0 {
                        continue;
                    }
                    new
                }
            };
            let id = |number: i64| JobId::from_number(number.unsigned_abs());
            if let (Some(ours), Some(there)) = (id(number), id(there)) {
                elsewhere.insert(ours, there);
            }
        }
    }
    Ok(elsewhere)
}

async fn begin(client: &Client) -> Result<u64, Error> {
    client.batch_execute("BEGIN").await.map(|()| 0)
}

async fn commit(client: &Client) -> Result<u64, Error> {
    client.batch_execute("COMMIT").await.map(|()| 0)
}

/// Deletes the rows of these numbers.
pub(super) async fn delete(
    client: &Client,
    table: &str,
    column: &str,
    numbers: &Vec<i64>,
) -> Result<u64, Error> {
    delete_if(client, table, column, numbers, "true").await
}

async fn delete_if(
    client: &Client,
    table: &str,
    column: &str,
    numbers: &Vec<i64>,
    condition: &str,
) -> Result<u64, Error> {
    let sql = format!("DELETE FROM {table} WHERE {column} = ANY($1::int8[]) AND {condition}");
    client.execute_typed(&sql, &[(numbers, Type::INT8_ARRAY)]).await
}

/// Deletes rows of ours that ought not to be there: of jobs that have ended, that stand in another place, and of puts that were
/// refused. Returns those that stay: a refused put with a unique may have been written all the same, and a client of another server may have
/// been told that it has joined that job.
pub(super) async fn delete_unless_joined(
    client: &Client,
    names: &PgTables,
    numbers: &[i64],
    book: &Book,
) -> Result<Vec<i64>, Error> {
    let (known, unknown): (Vec<i64>, Vec<i64>) = numbers.iter().partition(|number| book.knows(**number));
    let over = [known, book.ended_of(&unknown)].concat();
    delete(client, &names.theirs, "ringgear_number", &over).await?;
    // Nobody joins a job without a unique.
    delete_if(client, &names.theirs, "ringgear_number", &unknown, "unique_key LIKE 'ringgear:%'").await?;
    let sql = format!("SELECT ringgear_number FROM {} WHERE ringgear_number = ANY($1::int8[])", names.theirs);
    let left = client.query_typed(&sql, &[(&unknown, Type::INT8_ARRAY)]).await?;
    left.iter().map(|row| row.try_get(0)).collect()
}

/// Notes how many attempts living jobs have lost.
async fn attempts(
    client: &Client,
    names: &PgTables,
    lost: &[(i64, i16)],
    condition: &str,
) -> Result<u64, Error> {
    let PgTables { theirs, ours, .. } = names;
    let sql = format!(
        "WITH lost AS (SELECT * FROM unnest($1::int8[], $2::int2[]) AS u(n, a) WHERE {condition}), \
         alone AS (UPDATE {ours} AS o SET attempts = a FROM lost WHERE o.number = n AND o.kind = 1) \
         INSERT INTO {ours} AS o (number, kind, attempts) SELECT n, 0, a FROM lost \
         WHERE EXISTS (SELECT FROM {theirs} WHERE ringgear_number = n) \
         ON CONFLICT (number) DO UPDATE SET attempts = EXCLUDED.attempts WHERE o.kind = 0"
    );
    let (numbers, lost): (Vec<i64>, Vec<i16>) = lost.iter().copied().unzip();
    client.execute_typed(&sql, &[(&numbers, Type::INT8_ARRAY), (&lost, Type::INT2_ARRAY)]).await
}

/// Sends all requests, in their order, and then waits for the answers.
async fn at_once(mut requests: Vec<PgRequest<'_>>) -> Result<Vec<u64>, Error> {
    let mut answers: Vec<Option<Result<u64, Error>>> = requests.iter().map(|_| None).collect();
    poll_fn(|context| {
        let mut waits = false;
        for (request, answer) in requests.iter_mut().zip(&mut answers) {
            if answer.is_none() {
                match request.as_mut().poll(context) {
                    Poll::Ready(done) => *answer = Some(done),
                    Poll::Pending => waits = true,
                }
            }
        }
        if waits { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    // The first that failed says why: those behind it were not carried out.
    answers.into_iter().flatten().collect()
}

/// Sends each request when the one before is answered.
async fn in_turn(requests: Vec<PgRequest<'_>>) -> Result<Vec<u64>, Error> {
    let mut answers = Vec::with_capacity(requests.len());
    for request in requests {
        answers.push(request.await?);
    }
    Ok(answers)
}
