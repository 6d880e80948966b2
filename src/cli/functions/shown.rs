//! Functions as tables and as JSON, with the columns that are known. Rows in, text out.
use super::row::{FunctionLoad, FunctionPace, FunctionTold};
use crate::cli::control::lists_shown::{lasting, table};
use crate::cli::words;
use crate::frontend::{rate, thousands};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// How much of a table is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum TableKind {
    /// As it always was, where only the administrators' lines tell of functions.
    Plain,
    /// With a state for each, and names of so many characters at the most.
    Live(usize),
}

/// A table of functions.
pub(in crate::cli) fn functions(rows: &[FunctionLoad], kind: TableKind) -> String {
    let told = rows.iter().any(|row| row.told.is_some());
    match (told, kind) {
        (false, TableKind::Plain) => plain(rows),
        (false, TableKind::Live(width)) => few(rows, width),
        (true, TableKind::Plain) => all(rows, usize::MAX),
        (true, TableKind::Live(width)) => all(rows, width),
    }
}

fn plain(rows: &[FunctionLoad]) -> String {
    let names: Vec<String> = rows.iter().map(|row| words::shown(&row.function)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max("FUNCTION".len());
    let mut text = format!("{:width$}  {:>9}  {:>9}  {:>9}\n", "FUNCTION", "WAITING", "RUNNING", "WORKERS");
    for (row, name) in rows.iter().zip(names) {
        let FunctionLoad { waiting, running, workers, .. } = row;
        let remark = match (row.known, row.unattended()) {
            (false, _) => "not known",
            (true, true) => "no worker",
            (true, false) => "",
        };
        let line = format!("{name:width$}  {waiting:>9}  {running:>9}  {workers:>9}  {remark}");
        // A string takes everything.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn few(rows: &[FunctionLoad], width: usize) -> String {
    let cells = |row: &FunctionLoad| {
        let numbers = [row.waiting, row.running, row.workers].map(thousands);
        [vec![cut(&row.function, width), row.state().to_owned()], numbers.to_vec()].concat()
    };
    table(
        &["FUNCTION", "STATE", ">WAITING", ">RUNNING", ">WORKERS"],
        &rows.iter().map(cells).collect::<Vec<_>>(),
    )
}

fn all(rows: &[FunctionLoad], width: usize) -> String {
    const COLUMNS: [&str; 10] = [
        "FUNCTION", "STATE", ">WAITING", ">OLDEST", ">RUNNING", ">WORKERS", ">IN/s", ">DONE/s", ">RUN p95",
        ">DEAD",
    ];
    let nothing = FunctionTold::default();
    let cells = |row: &FunctionLoad| {
        let told = row.told.as_ref().unwrap_or(&nothing);
        let pace =
            |of: fn(&FunctionPace) -> f64| told.pace.as_ref().map_or("-".to_owned(), |pace| rate(of(pace)));
        vec![
            cut(&row.function, width),
            row.state().to_owned(),
            thousands(row.waiting),
            lasting(&told.oldest.into()),
            thousands(row.running),
            thousands(row.workers),
            pace(|pace| pace.came),
            pace(|pace| pace.done),
            told.pace.as_ref().map_or("-".to_owned(), |pace| took(pace.run_p95)),
            thousands(told.dead),
        ]
    };
    table(&COLUMNS, &rows.iter().map(cells).collect::<Vec<_>>())
}

/// A name that cannot move the cursor, of so many characters at the most.
pub(in crate::cli) fn cut(name: &[u8], width: usize) -> String {
    let shown = words::shown(name);
    match shown.char_indices().nth(width) {
        None => shown,
        // The last one that fits makes room for the sign that there is more.
        Some(_) => shown.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
    }
}

fn took(seconds: Option<(f64, bool)>) -> String {
    match seconds {
        None => "-".to_owned(),
        Some((seconds, true)) => format!("over {}", lasting(&seconds.into())),
        Some((seconds, false)) if (1.0..60.0).contains(&seconds) => format!("{seconds:.1} s"),
        Some((seconds, false)) => lasting(&seconds.into()),
    }
}

/// As the server's own JSON: a name that is no UTF-8 stands as hexadecimal digits under a name of its own.
pub(in crate::cli) fn document(rows: &[FunctionLoad]) -> Value {
    json!({ "functions": rows.iter().map(row).collect::<Vec<_>>() })
}

fn row(load: &FunctionLoad) -> Value {
    let mut row = Map::new();
    match std::str::from_utf8(&load.function) {
        Ok(name) => row.insert("function".to_owned(), json!(name)),
        Err(_) => {
            let digits: String = load.function.iter().map(|byte| format!("{byte:02x}")).collect();
            row.insert("function_hex".to_owned(), json!(digits))
        }
    };
    let mut put = |name: &str, value: Value| row.insert(name.to_owned(), value);
    put("waiting", json!(load.waiting));
    put("running", json!(load.running));
    put("workers", json!(load.workers));
    put("known", json!(load.known));
    put("no_worker", json!(load.unattended()));
    if let Some(told) = &load.told {
        put("state", json!(load.state()));
        put("oldest_waiting_seconds", json!(told.oldest));
        put("scheduled", json!(told.scheduled));
        put("dead", json!(told.dead));
        put("paused", json!(told.paused));
        if let Some(pace) = &told.pace {
            put("per_second", json!({ "accepted": pace.came, "done": pace.done }));
            put("window_seconds", json!(pace.window));
            put("run_p95_seconds", json!(pace.run_p95.map(|(seconds, _)| seconds)));
        }
    }
    Value::Object(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(function: &[u8], waiting: u64, told: Option<FunctionTold>) -> FunctionLoad {
        FunctionLoad { function: function.to_vec(), waiting, running: 1, workers: 0, known: true, told }
    }

    #[test]
    fn the_columns_are_those_that_are_known() {
        let rows = [load(b"f\x1b[2J", 1200, None), FunctionLoad::unknown(b"odd")];
        let plainly = "FUNCTION    WAITING    RUNNING    WORKERS\n\
                       f\\x1b[2J       1200          1          0  no worker\n\
                       odd               0          0          0  not known\n";
        assert_eq!(functions(&rows, TableKind::Plain), plainly);
        let live = "FUNCTION  STATE      WAITING  RUNNING  WORKERS\n\
                    f\\x1b[2J  no worker    1,200        1        0\n\
                    odd       not known        0        0        0\n";
        assert_eq!(functions(&rows, TableKind::Live(40)), live);
        let pace = FunctionPace { came: 9.8, done: 210.4, window: 600, run_p95: Some((1.94, false)) };
        let told = FunctionTold {
            state: "growing".to_owned(),
            oldest: Some(612.0),
            dead: 37,
            pace: Some(pace),
            ..FunctionTold::default()
        };
        let rows = [load(b"resize-image", 1836, Some(told)), FunctionLoad::unknown(b"odd")];
        let told = "FUNCTION  STATE      WAITING  OLDEST  RUNNING  WORKERS  IN/s  DONE/s  RUN p95  DEAD\n\
                    resize-…  growing      1,836  10m12s        1        0   9.8     210    1.9 s    37\n\
                    odd       not known        0       -        0        0     -       -        -     0\n";
        assert_eq!(functions(&rows, TableKind::Live(8)), told);
        assert!(functions(&rows, TableKind::Plain).contains("\nresize-image  growing"));
    }

    #[test]
    fn json_has_what_is_known() {
        let lines = json!({"function_hex": "636166e9", "waiting": 1, "running": 1, "workers": 0, "known": true, "no_worker": true});
        assert_eq!(document(&[load(b"caf\xe9", 1, None)])["functions"][0], lines);
        let told = FunctionTold { state: "idle".to_owned(), ..FunctionTold::default() };
        let row = &document(&[load(b"f", 0, Some(told))])["functions"][0];
        assert_eq!((&row["state"], &row["oldest_waiting_seconds"]), (&json!("idle"), &Value::Null));
        assert_eq!((&row["dead"], row.get("per_second")), (&json!(0), None));
    }

    #[test]
    fn names_are_cut_where_there_is_no_room() {
        assert_eq!(cut("größe".as_bytes(), 5), "größe");
        assert_eq!(cut("größer".as_bytes(), 5), "größ…");
        assert_eq!(
            (rate(0.004), rate(3.13), took(Some((3600.0, true)))),
            ("0".to_owned(), "3.1".to_owned(), "over 1h00m".to_owned())
        );
    }
}
