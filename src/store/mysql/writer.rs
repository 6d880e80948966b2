//! Writes changes in one transaction (`transaction.rs`): a commit costs one journey, of one job or of thousands, as long as they fit into
//! one packet. What is written is `puts.rs`.
//!
//! Most jobs are new, so their rows are inserted without a delete before it; where a row with the number or the key is there
//! already, by the table's collation, nothing is inserted, and those are looked at one by one in a second transaction
//! (`collisions.rs`). So the same changes may be written any number of times, which is what is done if nobody knows whether they were.
use super::collisions::one_by_one;
use super::inserts::{NUMBERS, deletes, our_inserts, own, their_inserts};
use super::link::MyLink;
use super::names::MyTables;
use super::puts::MyPut;
use super::text;
use super::transaction::{Statement, begin, commit, end, run, transact};
use crate::engine::JobId;
use crate::store::book::Book;
use crate::store::latest::LatestWords;
use crate::store::remote::fault::RemoteFault;
use crate::store::servers::Fence;
use crate::store::sql::numbers::row_of;
use mysql::prelude::Queryable;

/// Writes changes, all of them or none, unless a row is in the way: then a part may be written and the rest not. Returns puts
/// that are not written because a job of another server has their function and unique, and which.
pub(super) fn write(
    link: &mut MyLink,
    latest: &LatestWords<'_>,
    book: &mut Book,
    fence: Fence<'_>,
) -> Result<Vec<(JobId, JobId)>, RemoteFault> {
    let mut puts = Vec::with_capacity(latest.puts.len());
    for job in &latest.puts {
        puts.push(MyPut::of(*job, &link.shape)?);
    }
    // gearmand's rows first: what stands alone is in none of the statements for those.
    puts.sort_by_key(MyPut::is_alone);
    let ended = latest.ended.iter().map(|&id| row_of(id)).collect::<Result<Vec<i64>, _>>()?;
    // Also if it fails: what may have a row of our own is to lose it with the end of the job.
    book.may_be_beside(puts.iter().filter(|put| put.ours.is_some()).map(|put| put.number));
    let statements = statements(&puts, &ended, latest, link, book, fence)?;
    let MyLink { conn, packet, .. } = link;
    let met = run(conn, &statements, *packet).inspect_err(|_| end(conn))?;
    let mut elsewhere = Vec::new();
    for (statement, inserted) in statements.iter().zip(met) {
        if inserted < statement.puts.len() as u64 {
            let met = &mut puts[statement.puts.clone()];
            elsewhere.append(&mut one_by_one(link, met, book, fence).inspect_err(|_| end(&mut link.conn))?);
        }
    }
    for put in puts.iter().filter(|put| !elsewhere.iter().any(|(id, _)| *id == put.id)) {
        book.note(put.number, put.is_alone(), put.ours.is_some());
    }
    for &(id, _) in &latest.attempts {
        book.note_beside(row_of(id)?);
    }
    ended.iter().for_each(|&number| book.forget(number));
    Ok(elsewhere)
}

/// All statements of a commit.
fn statements(
    puts: &[MyPut<'_>],
    ended: &[i64],
    latest: &LatestWords<'_>,
    link: &MyLink,
    book: &Book,
    fence: Fence<'_>,
) -> Result<Vec<Statement>, RemoteFault> {
    let MyLink { shape, packet, .. } = link;
    let MyTables { theirs, ours, .. } = &shape.names;
    let dead = puts.iter().filter(|put| put.is_alone()).map(|put| put.number);
    let gone: Vec<i64> = ended.iter().copied().chain(dead).collect();
    let ours_of = |number: &i64| book.beside.contains(number);
    let ours_ended: Vec<i64> = ended.iter().copied().filter(ours_of).collect();
    let plain = puts.iter().filter(|put| put.ours.is_none()).map(|put| put.number);
    let ours_plain: Vec<i64> = plain.filter(ours_of).collect();
    // What stands beside a row goes with it, which has gone just before.
    let beside_nothing = format!(
        "({} OR kind = 0 AND NOT EXISTS (SELECT * FROM {theirs} AS t WHERE t.ringgear_number = {ours}.number))",
        own(fence, "owner")
    );
    let mut statements = begin(&shape.names, fence.me);
    statements.extend(deletes(theirs, "ringgear_number", &gone, &own(fence, "ringgear_owner")));
    statements.extend(deletes(ours, "number", &ours_ended, &beside_nothing));
    statements.extend(deletes(ours, "number", &ours_plain, "TRUE"));
    statements.extend(their_inserts(puts, shape, *packet, fence)?);
    statements.extend(our_inserts(puts.iter(), ours, *packet, fence)?);
    for &(id, lost) in &latest.attempts {
        let number = row_of(id)?;
        statements
            .push(format!("UPDATE {ours} SET attempts = {lost} WHERE number = {number} AND kind = 1").into());
        statements.push(
            format!(
                "INSERT INTO {ours} (number, kind, attempts) SELECT ringgear_number, 0, {lost} FROM {theirs} \
                 WHERE ringgear_number = {number} ON DUPLICATE KEY UPDATE {ours}.attempts = IF({ours}.kind = 0, {lost}, {ours}.attempts)"
            )
            .into(),
        );
    }
    statements.push(commit());
    Ok(statements)
}

/// Deletes rows of ours that ought not to be there: of jobs that have ended, that stand in another place, and of puts that were
/// refused. Returns those that stay: a refused put with a unique may have been written all the same, and a client of another server may have
/// been told that it has joined that job.
pub(super) fn delete_unless_joined(
    link: &mut MyLink,
    theirs: &[i64],
    ours: &[i64],
    book: &Book,
    fence: Fence<'_>,
) -> Result<Vec<i64>, RemoteFault> {
    let MyLink { conn, shape, packet } = link;
    let MyTables { theirs: table, ours: our_table, .. } = &shape.names;
    let mut deleted = deletes(our_table, "number", ours, &own(fence, "owner"));
    let mut unknown = Vec::new();
    let whose = own(fence, "ringgear_owner");
    if fence.me.is_some() {
        let (known, strange): (Vec<i64>, Vec<i64>) = theirs.iter().partition(|number| book.knows(**number));
        let over = [known, book.ended_of(&strange)].concat();
        deleted.extend(deletes(table, "ringgear_number", &over, &whose));
        // Nobody joins a job without a unique.
        let nobodys = format!("{whose} AND unique_key LIKE 'ringgear:%'");
        deleted.extend(deletes(table, "ringgear_number", &strange, &nobodys));
        unknown = strange;
    } else {
        deleted.extend(deletes(table, "ringgear_number", theirs, &whose));
    }
    if deleted.is_empty() {
        return Ok(Vec::new());
    }
    transact(conn, &shape.names, fence.me, deleted, *packet)?;
    let mut left = Vec::new();
    for numbers in unknown.chunks(NUMBERS) {
        let sql =
            format!("SELECT ringgear_number FROM {table} WHERE ringgear_number IN ({})", text::list(numbers));
        left.extend(conn.query::<i64, _>(sql)?);
    }
    Ok(left)
}
