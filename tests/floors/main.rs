//! Who may import whom, and other rules of the house: the tables, and tests that read the sources and compare. Crate
//! borders keep the lowest two floors by themselves; the rest is kept here, so that no ring and no arrow upward grows
//! unseen. How sources are read is in `sources.rs`, how paths are followed in `arrows.rs`.
#![allow(clippy::unwrap_used)]

mod arrows;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use arrows::{Arrow, House};
use sources::Source;

/// Lines of a file, tests aside.
const LINES_MAX: usize = 500;
/// Lines of a function, its documentation aside.
const FUNCTION_LINES_MAX: usize = 80;

/// The modules of the server: where each lives (as a prefix of paths), and which others it may name. From the bottom
/// up; a module never names one above it.
const MODULES: &[(&str, &str, &[&str])] = &[
    ("protocol", "src/protocol/", &[]),
    ("engine", "src/engine/", &["protocol"]),
    ("access", "src/access/", &["engine"]),
    ("logging", "src/logging", &["engine", "protocol"]),
    ("memory", "src/memory", &["engine"]),
    ("store", "src/store/", &["engine", "protocol", "logging"]),
    ("frontend", "src/frontend/", &["engine", "protocol"]),
    ("mesh", "src/mesh/", &["engine", "protocol"]),
    ("tls", "src/tls/", &["engine"]),
    ("http", "src/http/", &["engine", "protocol", "frontend", "logging", "mesh", "store", "tls"]),
    (
        "shard",
        "src/shard/",
        &["access", "engine", "protocol", "frontend", "logging", "memory", "mesh", "store", "tls"],
    ),
    (
        "server",
        "src/server/",
        &["access", "engine", "frontend", "http", "logging", "mesh", "shard", "store", "tls"],
    ),
    ("process", "src/process", &["logging", "server"]),
    (
        "config",
        "src/config",
        &[
            "access", "engine", "protocol", "frontend", "logging", "process", "server", "shard", "store",
            "tls",
        ],
    ),
    ("cli", "src/cli/", &["protocol", "frontend", "http", "store", "tls", "config"]),
    ("main", "src/main.rs", &["config", "logging", "process", "server", "cli"]),
];

/// The modules of the engine, a line for each floor, from the bottom up. A module names only those of lower floors, so
/// `sessions` and `functions` never name each other.
const ENGINE: &[&[&str]] = &[
    &["access", "body", "counters", "number", "slot", "stats", "status", "subject", "sync", "time"],
    &["board"],
    &["policy"],
    &["persist"],
    &["facts"],
    &["outline"],
    &["report"],
    &["query"],
    &["page"],
    &["message"],
    &["event"],
    &["outbox"],
    &["sessions", "functions"],
    &["engine"],
];

/// Foreign crates, and `unsafe`, each in the places that may know it: what stands in one place stays replaceable. The rest of
/// the house has words of its own for what these crates do. `unsafe` is where the kernel is asked about sockets, one call of the
/// allocator, one fork, and a descriptor that a runtime watches.
const PLACES: &[(&str, &[&str])] = &[
    ("glommio", &["src/shard/host"]),
    ("io_uring", &["src/shard/sockets/uring/"]),
    ("unsafe", &["src/http/watch", "src/shard/sockets/", "src/memory/", "src/process/daemon"]),
    ("mimalloc", &["src/memory/"]),
    ("libmimalloc_sys", &["src/memory/"]),
    ("clap", &["src/cli/", "src/config/"]),
    ("clap_complete", &["src/cli/generate"]),
    ("clap_mangen", &["src/cli/generate"]),
    ("jiff", &["src/logging/", "src/http/words.rs"]),
    ("tracing", &["src/logging/"]),
    ("rusqlite", &["src/store/sqlite/"]),
    ("mysql", &["src/store/mysql/"]),
    ("redis", &["src/store/redis/"]),
    ("tokio_postgres", &["src/store/postgres/"]),
    ("tokio", &["src/http/", "src/store/postgres/", "src/tls/accept"]),
    ("tokio_rustls", &["src/tls/accept"]),
    ("rustls", &["src/store/postgres/tls", "src/tls/"]),
    ("x509_cert", &["src/tls/names"]),
    ("rustls_native_certs", &["src/store/postgres/tls"]),
    ("tokio_postgres_rustls", &["src/store/postgres/tls"]),
    (
        "serde_json",
        &[
            "src/cli/check_migration",
            "src/cli/control/",
            "src/cli/functions/",
            "src/frontend/json",
            "src/http/",
        ],
    ),
    ("http_body_util", &["src/http/"]),
    ("hyper", &["src/http/"]),
    ("hyper_util", &["src/http/"]),
    ("maud", &["src/http/login", "src/http/pages/"]),
    // Tokens: chance, digests, comparing without telling; payloads in JSON.
    ("base64", &["src/http/"]),
    ("sha2", &["src/http/secrets"]),
    ("subtle", &["src/http/secrets"]),
    ("sd_notify", &["src/process/"]),
    // The terminal, and keys from it.
    ("ratatui", &["src/cli/top/screen"]),
    ("signal_hook", &["src/cli/top/", "src/cli/work/"]),
    // Checksums: of records, blocks and rows.
    ("crc32c", &["src/store/"]),
    ("regex", &["src/access/pattern"]),
    // Tables: of the engine, and of what is live in the log.
    ("hashbrown", &["src/engine/", "src/store/log/"]),
    ("foldhash", &["src/engine/", "src/store/log/"]),
    // Queues between threads.
    ("crossbeam_queue", &["src/logging/writer", "src/mesh/", "src/shard/migrate", "src/store/channel"]),
    ("memchr", &["src/protocol/"]),
    // Payloads that are shared instead of copied.
    (
        "bytes",
        &[
            "src/engine/",
            "src/frontend/",
            "src/http/",
            "src/memory/",
            "src/protocol/",
            "src/server/pauses",
            "src/shard/",
            "src/store/gathered",
        ],
    ),
    // The kernel. Numbers of errors are `libc`'s where the other two have none.
    ("libc", &["src/server/error", "src/shard/error", "src/shard/sockets/", "src/store/log/"]),
    ("socket2", &["src/shard/listen/", "src/shard/sockets/"]),
    (
        "nix",
        &[
            "src/access/selector",
            "src/config/machine",
            "src/config/memory",
            "src/logging/writer",
            "src/process/",
            "src/server/",
            "src/shard/host",
            "src/store/mysql/target",
            "src/store/postgres/link",
        ],
    ),
    (
        "rustix",
        &[
            "src/cli/help/",
            "src/cli/reach",
            "src/cli/top/screen",
            "src/cli/work/",
            "src/config/machine",
            "src/http/guard",
            "src/http/secrets",
            "src/memory/",
            "src/mesh/",
            "src/process/",
            "src/server/room",
            "src/shard/",
            "src/store/boottime",
            "src/store/log/",
            "src/store/sqlite/",
        ],
    ),
];

/// What the load generator needs of others, each in the place that may know it.
const LOADGEN_PLACES: &[(&str, &[&str])] = &[
    ("plotters", &["loadgen/src/result/chart"]),
    ("rustls", &["loadgen/src/job/cover"]),
    ("minijinja", &["loadgen/src/compare/page"]),
    ("quick_xml", &["loadgen/src/result/junit"]),
    ("postcard", &["loadgen/src/run/wire"]),
    ("csv", &["loadgen/src/plan/", "loadgen/src/result/tables", "loadgen/src/compare/sweep/show"]),
    ("jiff", &["loadgen/src/compare/"]),
    ("clap", &["loadgen/src/args", "loadgen/src/main"]),
    ("tempfile", &["loadgen/src/machine/server"]),
    ("indicatif", &["loadgen/src/run/progress"]),
    ("base64", &["loadgen/src/compare/histograms"]),
    ("signal_hook", &["loadgen/src/machine/interrupt"]),
    ("mimalloc", &["loadgen/src/main"]),
    // What a run hands on to another process or to a file can be read and written as a whole.
    ("serde", &["loadgen/src/"]),
    ("serde_json", &["loadgen/src/result/schema", "loadgen/src/compare/", "loadgen/src/run/progress"]),
    ("toml", &["loadgen/src/"]),
    ("hdrhistogram", &["loadgen/src/result/", "loadgen/src/compare/", "loadgen/src/run/"]),
    ("rustix", &["loadgen/src/job/link", "loadgen/src/machine/", "loadgen/src/main", "loadgen/src/run/"]),
];

/// The module of the first table to which a file belongs.
fn module_of(path: &str) -> Option<&'static str> {
    MODULES.iter().find(|(_, place, _)| path.starts_with(place)).map(|(name, ..)| *name)
}

#[test]
fn modules_name_only_what_the_table_allows() {
    let known: Vec<&str> = MODULES.iter().map(|(name, ..)| *name).collect();
    let house = House::read();
    for (index, (module, place, allowed)) in MODULES.iter().enumerate() {
        for lower in *allowed {
            assert!(known[..index].contains(lower), "{lower} is not below {module}");
        }
        assert!(house.sources().any(|source| source.path.starts_with(place)), "no source at {place}");
    }
    let mut between = BTreeSet::new();
    for Arrow { from, to, by } in house.arrows() {
        let (Some(from_module), Some(to_module)) = (module_of(from), module_of(to)) else { continue };
        let (_, _, allowed) = MODULES.iter().find(|(name, ..)| *name == from_module).unwrap();
        let fine = from_module == to_module || allowed.contains(&to_module);
        assert!(fine, "{from}: {from_module} may not name {to_module} ({by} in {to})");
        between.insert((from_module, to_module));
    }
    // What may be and is not would hide what comes to be.
    let all =
        MODULES.iter().flat_map(|(module, _, allowed)| allowed.iter().map(move |lower| (*module, *lower)));
    let unused: Vec<_> = all.filter(|pair| !between.contains(pair)).collect();
    assert!(unused.is_empty(), "take these out of the table: {unused:?}");
}

#[test]
fn the_engine_has_floors_too() {
    floors(ENGINE, "src/engine/", House::read());
}

#[test]
fn the_wings_of_the_load_generator_name_none_below_them() {
    floors(LOADGEN, "loadgen/src/", House::read());
}

/// The wings of the load generator, from the bottom up: see `loadgen/src/main.rs`. `args` is named by all, and names none.
const LOADGEN: &[&[&str]] =
    &[&["args"], &["job"], &["plan", "machine"], &["result"], &["run"], &["compare"], &["main"]];

/// Whether what is in a folder names only what is on lower floors.
fn floors(table: &[&[&str]], folder: &str, house: &House) {
    let floor_of = |path: &str| {
        let name = path.strip_prefix(folder)?.split(['/', '.']).next()?;
        Some((table.iter().position(|floor| floor.contains(&name))?, name.to_owned()))
    };
    for name in table.concat() {
        let there = |source: &Source| floor_of(&source.path).is_some_and(|(_, found)| found == name);
        assert!(house.sources().any(there), "no source of {name} in {folder}");
    }
    for source in house.sources().filter(|source| source.path.starts_with(folder)) {
        let known = source.path.ends_with("/lib.rs") || floor_of(&source.path).is_some();
        assert!(known, "{} belongs to no floor", source.path);
    }
    for Arrow { from, to, by } in house.arrows() {
        let (Some((above, name)), Some((below, named))) = (floor_of(from), floor_of(to)) else { continue };
        assert!(name == named || below < above, "{from}: {name} may not name {named} ({by} in {to})");
    }
}

#[test]
fn no_module_is_missing_from_the_tables() {
    for source in House::read().sources().filter(|source| source.path.starts_with("src/")) {
        let known = source.path == "src/lib.rs" || module_of(&source.path).is_some();
        assert!(known, "{} belongs to no module of the table", source.path);
    }
}

#[test]
fn there_is_no_ring_in_any_folder() {
    let house = House::read();
    let arrows = house.arrows();
    let mut rings = String::new();
    for folder in folders(house) {
        for ((from, to), by) in arrows::ring(arrows, &folder) {
            rings += &format!("{from} -> {to}\n");
            by.iter().take(3).for_each(|by| rings += &format!("        {by}\n"));
        }
    }
    assert!(rings.is_empty(), "these name each other in a ring:\n{rings}");
}

/// Every folder with sources of the house.
fn folders(house: &House) -> BTreeSet<String> {
    let parents = |source: &Source| {
        let up = |path: &PathBuf| path.parent().map(Path::to_owned);
        let all = std::iter::successors(Some(PathBuf::from(&source.path)), up).skip(1);
        all.filter(|folder| folder != Path::new(""))
            .map(|folder| folder.to_str().unwrap().to_owned())
            .collect()
    };
    house.sources().flat_map(|source| -> Vec<String> { parents(source) }).collect()
}

#[test]
fn a_room_keeps_its_front_page_inside() {
    let house = House::read();
    for folder in folders(house) {
        let beside = PathBuf::from(format!("{folder}.rs"));
        assert!(!sources::at_root(&beside).exists(), "{} goes to {folder}/mod.rs", beside.display());
    }
}

#[test]
fn files_and_functions_are_of_a_size_to_be_read() {
    let mut long = Vec::new();
    for source in House::read().sources() {
        if source.lines > LINES_MAX {
            long.push(format!("{} has {} lines", source.path, source.lines));
        }
        let functions = source.functions.iter().filter(|(_, lines)| *lines > FUNCTION_LINES_MAX);
        long.extend(functions.map(|(name, lines)| format!("{}: {name} has {lines} lines", source.path)));
    }
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn each_file_says_what_lives_in_it() {
    let without = every_file().filter(|(_, text)| !text.starts_with("//!") && !text.starts_with("#![doc ="));
    let without: Vec<String> = without.map(|(path, _)| path).collect();
    assert!(without.is_empty(), "these do not begin with `//!`: {without:#?}");
}

/// Every Rust file of the project, tests included.
fn every_file() -> impl Iterator<Item = (String, String)> {
    let mut folders: Vec<PathBuf> =
        ["src", "loadgen", "tests", "benches"].into_iter().map(PathBuf::from).collect();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(sources::at_root(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                let built = ["target", "node_modules"].iter().any(|name| path.ends_with(name));
                folders.extend((!built).then_some(path));
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(entry.path()).unwrap();
                files.push((path.to_str().unwrap().to_owned(), text));
            }
        }
    }
    files.into_iter()
}

#[test]
fn a_type_name_has_one_meaning() {
    let house = House::read();
    for tree in ["src/", "loadgen/src/"] {
        let mut places: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for source in house.sources().filter(|source| source.path.starts_with(tree)) {
            for name in &source.types {
                places.entry(name).or_default().push(&source.path);
            }
        }
        places.retain(|_, places| places.len() > 1);
        assert!(places.is_empty(), "these names mean more than one thing: {places:#?}");
    }
}

#[test]
fn some_words_have_one_place() {
    let house = House::read();
    let mut found = BTreeSet::new();
    for source in house.sources() {
        let table = if source.path.starts_with("loadgen/") { LOADGEN_PLACES } else { PLACES };
        for (word, places) in table {
            let names = source.named.iter().any(|path| path.len() > 1 && path[0] == *word)
                || source.aliases.values().any(|path| path[0] == *word)
                || *word == "unsafe" && source.has_unsafe;
            if names {
                found.insert((source.path.starts_with("loadgen/"), *word));
                let fine = places.iter().any(|place| source.path.starts_with(place));
                assert!(fine, "{} names {word}, which belongs to {places:?}", source.path);
            }
        }
    }
    assert_eq!(
        found.len(),
        PLACES.len() + LOADGEN_PLACES.len(),
        "a word of the tables is not used: {found:?}"
    );
}

/// A crate that is not in the tables could be named anywhere.
#[test]
fn no_foreign_crate_is_missing_from_the_tables() {
    for (package, table) in [
        ("ringgear", PLACES),
        ("ringgear-engine", PLACES),
        ("ringgear-protocol", PLACES),
        ("ringgear-load", LOADGEN_PLACES),
    ] {
        let needed =
            cargo(&["tree", "--package", package, "--edges", "normal", "--depth", "1", "--prefix", "none"]);
        for line in needed.lines().skip(1) {
            let name = line.split(' ').next().unwrap().replace('-', "_");
            let name = if name == "glommio_ng" { "glommio" } else { &name };
            let known = name.starts_with("ringgear") || table.iter().any(|(word, _)| *word == name);
            assert!(known, "{package} needs {name}, which has no row in the tables");
        }
    }
}

/// What cargo says of this workspace.
fn cargo(arguments: &[&str]) -> String {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(arguments).args(["--locked", "--offline"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    let told = cargo.output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    String::from_utf8(told.stdout).unwrap()
}

/// Deliberate bugs are behind features that only tests switch on.
#[test]
fn nothing_that_is_built_for_use_has_planted_bugs() {
    let features = |edges: &str| cargo(&["tree", "--workspace", "--edges", edges]);
    for krate in ["ringgear", "ringgear-engine"] {
        let planted = format!("{krate} feature \"planted\"");
        assert!(features("normal,build,dev,features").contains(&planted), "tests have them");
        assert!(!features("normal,build,features").contains(&planted), "{krate} has them");
    }
}

/// The tests above find nothing where nothing is read: what is known to be there is found.
#[test]
fn arrows_and_rings_are_seen() {
    let house = House::read();
    let arrows = house.arrows();
    let names = |from: &str, to: &str| arrows.iter().any(|arrow| arrow.from == from && arrow.to == to);
    assert!(names("src/engine/engine.rs", "src/engine/outbox.rs"), "by `use`");
    assert!(names("src/shard/reader.rs", "src/engine/slot.rs"), "through `pub use` of another crate");
    assert!(names("src/shard/round.rs", "src/shard/mod.rs"), "by `super::`");
    let arrow =
        |from: &str, to: &str| Arrow { from: from.to_owned(), to: to.to_owned(), by: "x::Y".to_owned() };
    let ringless = BTreeSet::from([arrow("a/b.rs", "a/c/d.rs"), arrow("a/c/d.rs", "a/e.rs")]);
    assert!(arrows::ring(&ringless, "a").is_empty());
    let mut with_ring = ringless;
    with_ring.insert(arrow("a/c/f.rs", "a/b.rs"));
    let ring: Vec<_> = arrows::ring(&with_ring, "a").into_keys().collect();
    assert_eq!(ring, [("a/b.rs".to_owned(), "a/c".to_owned()), ("a/c".to_owned(), "a/b.rs".to_owned())]);
    assert!(arrows::ring(&with_ring, "a/c").is_empty());
}
