//! `ringgear store import` and `export`: copying between two stores, and telling people what became of it. Which two the command line
//! means is `places.rs`, how jobs are copied `store/transfer.rs`.
use super::places::{OtherStore, PlaceMistake, ThisStore, is_same, named, place, there};
use crate::store::transfer::{Onto, TransferError, Transferred, transfer};
use crate::store::{StoreError, StoreOptions};
use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;

/// Why not all jobs were copied.
#[derive(Debug)]
pub(super) enum TransferFailure {
    /// There is no such store to copy from.
    NoSource(PathBuf),
    /// Both are the same.
    Same(String),
    /// These words name no store.
    Words(PlaceMistake),
    /// The store to copy to has so many jobs.
    NotEmpty {
        /// What it is called, and what another one of its kind is.
        named: (String, &'static str),
        jobs: u64,
    },
    /// Copying said so.
    Copying(TransferError),
    /// All jobs were copied, and then one of the stores could not be closed.
    Closing(StoreError),
    /// What was done cannot be printed.
    Output(io::Error),
}

impl fmt::Display for TransferFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TransferFailure::NoSource(path) => {
                write!(f, "{}: there is no store to copy from", path.display())
            }
            TransferFailure::Same(place) => write!(f, "{place} is to be copied to itself; name two stores"),
            TransferFailure::Words(mistake) => mistake.fmt(f),
            TransferFailure::NotEmpty { named: (name, other), jobs } => {
                write!(f, "{name} has {jobs} jobs already; name another {other}")
            }
            TransferFailure::Copying(error) => error.fmt(f),
            TransferFailure::Closing(error) => write!(f, "all jobs were copied, but: {error}"),
            TransferFailure::Output(error) => write!(f, "cannot print: {error}"),
        }
    }
}

impl std::error::Error for TransferFailure {}

impl From<StoreError> for TransferFailure {
    fn from(error: StoreError) -> TransferFailure {
        TransferFailure::Copying(TransferError::Target { error, left: 0 })
    }
}

impl From<PlaceMistake> for TransferFailure {
    fn from(mistake: PlaceMistake) -> TransferFailure {
        TransferFailure::Words(mistake)
    }
}

impl From<io::Error> for TransferFailure {
    fn from(error: io::Error) -> TransferFailure {
        TransferFailure::Output(error)
    }
}

/// Adds the jobs of the other store to this one, which is made if it is not there.
pub(super) fn import(from: OtherStore, into: ThisStore, out: &mut dyn Write) -> Result<(), TransferFailure> {
    let done = copy(&from.options()?, &into.options()?, Onto::Others)?;
    writeln!(out, "{} jobs imported, {} of them dead", done.jobs, done.dead)?;
    writeln!(
        out,
        "{} got another handle; {} would have joined a job that is there",
        done.renumbered, done.joined
    )?;
    Ok(())
}

/// Writes the jobs of this store to the other one, which has none.
pub(super) fn export(from: ThisStore, into: OtherStore, out: &mut dyn Write) -> Result<(), TransferFailure> {
    let into = into.options()?;
    let done = copy(&from.options()?, &into, Onto::Nothing)?;
    if matches!(into, StoreOptions::Log(_)) {
        writeln!(out, "{} jobs exported, {} of them dead", done.jobs, done.dead)?;
        writeln!(out, "{} got another handle", done.renumbered)?;
        return Ok(());
    }
    writeln!(
        out,
        "{} jobs exported; {} dead ones stand where gearmand does not look",
        done.jobs - done.dead,
        done.dead
    )?;
    writeln!(
        out,
        "of these {} are reduce jobs, which gearmand runs as plain ones, {} have lost attempts, which gearmand \
         counts anew, and {} have no unique, for which gearmand shows a made-up one; of {} it is not kept when they \
         were accepted",
        done.reduce, done.attempts, done.generated_uniques, done.undated
    )?;
    Ok(())
}

fn copy(from: &StoreOptions, into: &StoreOptions, onto: Onto) -> Result<Transferred, TransferFailure> {
    let (source, target) = (place(from), place(into));
    if let Some(source) = source
        && !source.exists()
    {
        return Err(TransferFailure::NoSource(source.to_owned()));
    }
    // Each of them would find the other's lock.
    match (source, target) {
        (Some(source), Some(target))
            if target.exists() && source.canonicalize().ok() == target.canonicalize().ok() =>
        {
            return Err(TransferFailure::Same(source.display().to_string()));
        }
        _ => {}
    }
    if is_same(from, into) {
        return Err(TransferFailure::Same(named(from).0));
    }
    let (mut source, mut target) = (there(from).open()?, into.open()?);
    let done = transfer(&mut *source, &mut *target, onto);
    // Both, whatever became of the jobs: a database is gearmand's again, and a log knows its end.
    let closed = [target.close(), source.close()];
    let done = done.map_err(|error| match error {
        TransferError::NotEmpty(jobs) => TransferFailure::NotEmpty { named: named(into), jobs },
        error => TransferFailure::Copying(error),
    })?;
    closed.into_iter().collect::<Result<(), StoreError>>().map_err(TransferFailure::Closing)?;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::slot::Slot;
    use crate::engine::{Death, DeathReason, Epoch, JobId, StoredJob};
    use crate::protocol::Priority;
    use crate::store::log::LogOptions;
    use crate::store::record;
    use crate::store::scratch::Scratch;
    #[cfg(feature = "sqlite")]
    use crate::store::sqlite::SqliteOptions;
    use clap::{Parser, Subcommand};
    use std::net::Ipv4Addr;
    use std::path::Path;

    #[derive(Debug, Parser)]
    struct Arguments {
        #[command(subcommand)]
        which: Which,
    }

    #[derive(Debug, Subcommand)]
    enum Which {
        Import {
            #[command(flatten)]
            from: OtherStore,
            #[command(flatten)]
            into: ThisStore,
        },
        Export {
            #[command(flatten)]
            from: ThisStore,
            #[command(flatten)]
            into: OtherStore,
        },
    }

    /// What is said, or what is wrong.
    fn run(line: &[&str]) -> Result<String, String> {
        let words = ["test"].iter().chain(line);
        let arguments = Arguments::try_parse_from(words).map_err(|error| error.to_string())?;
        let mut out = Vec::new();
        let done = match arguments.which {
            Which::Import { from, into } => import(from, into, &mut out),
            Which::Export { from, into } => export(from, into, &mut out),
        };
        done.map_err(|error| error.to_string()).map(|()| String::from_utf8(out).unwrap())
    }

    /// A plain job, one with what gearmand's table has no column for, and a dead one.
    fn jobs() -> [StoredJob<'static>; 3] {
        let plain = StoredJob {
            id: JobId::new(7, Slot::of(b"f")),
            priority: Priority::High,
            epoch: None,
            attempts: 0,
            function: b"f",
            unique: b"u",
            workload: b"w \0 \xff",
            reducer: None,
            death: None,
            accepted: None,
            more: b"",
        };
        let accepted = Some(Epoch(1_799_000_000_456));
        let id = |sequence| JobId::new(sequence, Slot::of(b"f"));
        let (reason, address) = (DeathReason::WorkerGone, Ipv4Addr::LOCALHOST.into());
        let death = Some(Death { reason, at: Epoch(1_800_000_000_123), address, worker: b"w" });
        let odd = StoredJob { id: id(8), attempts: 1, reducer: Some(b"sum"), unique: b"", accepted, ..plain };
        [plain, odd, StoredJob { id: id(9), unique: b"d", death, accepted, ..plain }]
    }

    /// What a store tells, sorted.
    fn told(options: &StoreOptions) -> Vec<String> {
        let (mut store, mut told) = (options.open().unwrap(), Vec::new());
        store.replay(&mut |job| told.push(format!("{job:?}"))).unwrap();
        store.close().unwrap();
        told.sort();
        told
    }

    fn log(dir: &str) -> StoreOptions {
        StoreOptions::Log(LogOptions::new(dir))
    }

    fn fill(options: &StoreOptions) {
        let (mut store, mut records) = (options.open().unwrap(), Vec::new());
        store.replay(&mut |_| {}).unwrap();
        jobs().iter().for_each(|job| record::put(job, &mut records));
        store.commit(&[&records]).puts.unwrap();
        store.close().unwrap();
    }

    fn expected() -> Vec<String> {
        let mut expected: Vec<String> = jobs().iter().map(|job| format!("{job:?}")).collect();
        expected.sort();
        expected
    }

    /// Copies between two stores of these kinds, both ways round on the command line, and looks at what is there then.
    #[track_caller]
    fn between(
        folder: &Scratch,
        source: (&StoreOptions, &str, [&str; 2]),
        target: impl Fn(&str) -> (StoreOptions, String, [String; 2]),
    ) {
        let (from, this, other) = source;
        fill(from);
        let (into, word, _) = target(&folder.path("imported"));
        let said = run(&["import", other[0], other[1], &word]).unwrap();
        assert_eq!(said.lines().next(), Some("3 jobs imported, 1 of them dead"));
        assert_eq!(told(&into), expected());
        // Those with a unique are there already; the dead join nothing, and are as good as others.
        let said = run(&["import", other[0], other[1], &word]).unwrap();
        assert!(said.ends_with("1 would have joined a job that is there\n"), "{said}");

        let (into, _, option) = target(&folder.path("exported"));
        let said = run(&["export", this, &option[0], &option[1]]).unwrap();
        assert!(said.contains(" jobs exported"), "{said}");
        assert_eq!(told(&into), expected());
        // It is not empty any more, and stays as it is.
        let refused = run(&["export", this, &option[0], &option[1]]).unwrap_err();
        assert!(refused.contains("has 3 jobs already; name another"), "{refused}");
        assert_eq!((told(&into), told(from)), (expected(), expected()));
    }

    fn log_target(path: &str) -> (StoreOptions, String, [String; 2]) {
        (log(path), path.to_owned(), ["--data-dir".to_owned(), path.to_owned()])
    }

    #[test]
    fn from_log_to_log() {
        let folder = Scratch::new();
        let dir = folder.path("log");
        between(&folder, (&log(&dir), &dir, ["--data-dir", &dir]), log_target);
    }

    #[cfg(feature = "sqlite")]
    mod databases {
        use super::*;

        fn table_target(path: &str) -> (StoreOptions, String, [String; 2]) {
            let options = StoreOptions::Sqlite(SqliteOptions::of(path));
            (options, format!("libsqlite3:{path}"), ["--libsqlite3-db".to_owned(), path.to_owned()])
        }

        #[test]
        fn from_log_to_database() {
            let folder = Scratch::new();
            let dir = folder.path("log");
            between(&folder, (&log(&dir), &dir, ["--data-dir", &dir]), table_target);
        }

        #[test]
        fn from_database_to_log_and_to_another() {
            for target in [log_target, table_target] {
                let folder = Scratch::new();
                let file = folder.path("source");
                let (options, this, option) = table_target(&file);
                between(&folder, (&options, &this, [&option[0], &option[1]]), target);
            }
        }

        #[test]
        fn tables_have_names() {
            let folder = Scratch::new();
            let (one, other) = (folder.path("one"), folder.path("other"));
            let table = |file: &str| {
                StoreOptions::Sqlite(SqliteOptions { table: "t".to_owned(), ..SqliteOptions::of(file) })
            };
            fill(&table(&one));
            let word = format!("libsqlite3:{one}");
            let line =
                ["export", &word, "--table", "t", "--libsqlite3-db", &other, "--libsqlite3-table", "t"];
            run(&line).unwrap();
            assert_eq!(told(&table(&other)), expected());
            let refused =
                run(&["export", &folder.path("log"), "--table", "t", "--data-dir", "x"]).unwrap_err();
            assert!(refused.contains("a database is libsqlite3:FILE"), "{refused}");
        }
    }

    #[test]
    fn mistakes_are_told_before_anything_is_made() {
        let folder = Scratch::new();
        let (there, not_there, new) = (folder.path("there"), folder.path("not there"), folder.path("new"));
        fill(&log(&there));
        let refused = run(&["import", "--data-dir", &not_there, &new]).unwrap_err();
        assert_eq!(refused, format!("{not_there}: there is no store to copy from"));
        assert!(!Path::new(&not_there).exists() && !Path::new(&new).exists());
        let refused = run(&["export", &there, "--data-dir", &format!("{there}/.")]).unwrap_err();
        assert_eq!(refused, format!("{there} is to be copied to itself; name two stores"));
        let refused = run(&["export", &there]).unwrap_err();
        assert!(refused.contains("required"), "{refused}");
        assert_eq!(told(&log(&there)), expected());
    }
}
