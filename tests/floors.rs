//! Who may import whom: the tables, and a test that reads the sources and compares. Crate borders keep the lowest two
//! floors by themselves; the rest is kept here, so that no ring and no arrow upward grows unseen.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The modules of the server: where each lives (as a prefix of paths), and which others it may name. From the bottom
/// up; a module never names one above it.
const MODULES: &[(&str, &str, &[&str])] = &[
    ("protocol", "src/protocol/", &[]),
    ("engine", "src/engine/", &["protocol"]),
    ("logging", "src/logging", &["engine", "protocol"]),
    ("memory", "src/memory", &["engine"]),
    ("store", "src/store/", &["engine", "protocol", "logging"]),
    ("frontend", "src/frontend/", &["engine", "protocol"]),
    ("mesh", "src/mesh/", &["engine"]),
    ("shard", "src/shard/", &["engine", "protocol", "frontend", "logging", "memory", "mesh", "store"]),
    ("server", "src/server", &["engine", "protocol", "frontend", "logging", "mesh", "shard", "store"]),
    ("process", "src/process", &["logging", "server"]),
    (
        "config",
        "src/config",
        &["engine", "protocol", "frontend", "logging", "process", "server", "shard", "store"],
    ),
    ("cli", "src/cli/", &["engine", "protocol", "store"]),
    ("main", "src/main.rs", &["config", "frontend", "logging", "process", "server", "cli"]),
];

/// The modules of the engine, a line for each floor, from the bottom up. A module names only those of lower floors, so
/// `sessions` and `functions` never name each other.
const ENGINE: &[&[&str]] = &[
    &["body", "counters", "number", "slot", "time"],
    &["policy"],
    &["persist"],
    &["report"],
    &["page"],
    &["message"],
    &["event"],
    &["outbox"],
    &["sessions", "functions"],
    &["engine"],
    &["check"],
];

/// Words that stand in one place only, so that what they name stays replaceable: the runtime, the ring, the parser of
/// the command line, the clock of the log, the allocator. `unsafe` is where the ring is, one call of the allocator, and one fork.
const PLACES: &[(&str, &[&str])] = &[
    ("glommio", &["src/shard/host"]),
    ("io_uring", &["src/shard/sockets/uring"]),
    ("unsafe", &["src/shard/sockets/", "src/memory", "src/process/daemon"]),
    ("mimalloc", &["src/memory"]),
    ("clap", &["src/cli/", "src/config"]),
    ("jiff", &["src/logging"]),
    ("tracing", &["src/logging"]),
    ("rusqlite", &["src/store/sqlite"]),
];

#[test]
fn modules_name_only_what_the_table_allows() {
    let known: Vec<&str> = MODULES.iter().map(|(name, ..)| *name).collect();
    for (index, (module, place, allowed)) in MODULES.iter().enumerate() {
        for lower in *allowed {
            assert!(known[..index].contains(lower), "{lower} is not below {module}");
        }
        let sources = sources_under(place);
        assert!(!sources.is_empty(), "no source at {place}");
        for (path, code) in sources {
            for named in modules_named(&code, &known) {
                let fine = named == *module || allowed.contains(&named.as_str());
                assert!(fine, "{path}: {module} may not name {named}");
            }
        }
    }
}

#[test]
fn the_engine_has_floors_too() {
    let known: Vec<&str> = ENGINE.concat();
    for (floor, modules) in ENGINE.iter().enumerate() {
        let below: Vec<&str> = ENGINE[..floor].concat();
        for module in *modules {
            let file = sources_under(&format!("src/engine/{module}.rs"));
            let folder = sources_under(&format!("src/engine/{module}/"));
            for (path, code) in file.into_iter().chain(folder) {
                for named in modules_named(&code, &known) {
                    let fine = named == *module || below.contains(&named.as_str());
                    assert!(fine, "{path}: {module} may not name {named}");
                }
            }
        }
    }
}

/// The wings of the load generator, from the bottom up: see `loadgen/src/main.rs`. `args` is named by all, and names none.
const LOADGEN: &[&[&str]] = &[&["args"], &["job"], &["plan", "machine"], &["result"], &["run"], &["compare"]];

#[test]
fn the_wings_of_the_load_generator_name_none_below_them() {
    let known: Vec<&str> = LOADGEN.concat();
    for (floor, wings) in LOADGEN.iter().enumerate() {
        let above: Vec<&str> = LOADGEN[..floor].concat();
        for wing in *wings {
            let file = sources_under(&format!("loadgen/src/{wing}.rs"));
            let folder = sources_under(&format!("loadgen/src/{wing}/"));
            assert!(!(file.is_empty() && folder.is_empty()), "no source of {wing}");
            for (path, code) in file.into_iter().chain(folder) {
                // What only tests name hangs in no wing.
                if path.contains("tests") {
                    continue;
                }
                let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap();
                for named in modules_named(code, &known) {
                    let fine = named == *wing || above.contains(&named.as_str());
                    assert!(fine, "{path}: {wing} may not name {named}");
                }
            }
        }
    }
}

/// What the load generator needs of others, each in the place that may know it.
const LOADGEN_PLACES: &[(&str, &[&str])] = &[
    ("plotters", &["loadgen/src/result/chart"]),
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
];

#[test]
fn foreign_words_have_one_place_in_the_load_generator() {
    let mut found = BTreeSet::new();
    for (path, code) in sources_under("loadgen/src/") {
        if path.contains("tests") {
            continue;
        }
        let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for (word, places) in LOADGEN_PLACES {
            // As a path, not as a word: a module or a variable may be called alike.
            if code.contains(&format!("use {word}::")) || code.contains(&format!("{word}::")) {
                found.insert(*word);
                assert!(
                    places.iter().any(|place| path.starts_with(place)),
                    "{path} names {word}, which belongs to {places:?}"
                );
            }
        }
    }
    assert_eq!(found.len(), LOADGEN_PLACES.len(), "one of {LOADGEN_PLACES:?} is not used: {found:?}");
}

#[test]
fn no_file_of_the_load_generator_is_too_long() {
    for (path, code) in sources_under("loadgen/src/") {
        assert!(code.lines().count() <= 500, "{path}");
    }
}

#[test]
fn some_words_have_one_place() {
    for (path, code) in sources_under("src/") {
        let words: BTreeSet<&str> = words(&code).collect();
        for (word, places) in PLACES {
            let fine = !words.contains(word) || places.iter().any(|place| path.starts_with(place));
            assert!(fine, "{path} names {word}, which belongs to {places:?}");
        }
    }
}

#[test]
fn no_module_is_missing_from_the_tables() {
    for (path, _) in sources_under("src/") {
        let known = path == "src/lib.rs" || MODULES.iter().any(|(_, place, _)| path.starts_with(place));
        assert!(known, "{path} belongs to no module of the table");
        if let Some((_, inside)) = path.split_once("src/engine/") {
            let module = inside.split(['/', '.']).next().unwrap();
            let known = module == "lib" || ENGINE.iter().any(|floor| floor.contains(&module));
            assert!(known, "{path} belongs to no floor of the engine");
        }
    }
}

/// Deliberate bugs are behind features that only tests switch on.
#[test]
fn nothing_that_is_built_for_use_has_planted_bugs() {
    let features = |edges: &str| {
        let mut tree = Command::new(env!("CARGO"));
        tree.args(["tree", "--workspace", "--locked", "--offline", "--edges", edges]);
        let told = tree.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        String::from_utf8(told.stdout).unwrap()
    };
    for krate in ["ringgear", "ringgear-engine"] {
        let planted = format!("{krate} feature \"planted\"");
        assert!(features("normal,build,dev,features").contains(&planted), "tests have them");
        assert!(!features("normal,build,features").contains(&planted), "{krate} has them");
    }
}

/// Rust sources whose path from the repository's root begins so, without comments and strings.
fn sources_under(prefix: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("src"), root.join("loadgen/src")];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".rs") && name.starts_with(prefix) {
                sources.push((name, bare(&fs::read_to_string(path).unwrap())));
            }
        }
    }
    sources
}

/// The known modules that come right after `crate`, `ringgear` or `super` in a path, braces included; and the crates
/// `ringgear_engine` and `ringgear_protocol`.
fn modules_named(code: &str, known: &[&str]) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for krate in ["engine", "protocol"] {
        if known.contains(&krate) && words(code).any(|word| word == format!("ringgear_{krate}")) {
            named.insert(krate.to_owned());
        }
    }
    for root in ["crate::", "ringgear::", "super::"] {
        for (at, _) in code.match_indices(root) {
            let inside_a_word = code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            if !inside_a_word {
                let heads = heads(&code[at + root.len()..]);
                named.extend(heads.into_iter().filter(|head| known.contains(&head.as_str())));
            }
        }
    }
    named
}

/// The first words of a path, or of every path in its braces: `a`, `c` and `d` in `{a::b, c, d::{e, f}}`.
fn heads(path: &str) -> Vec<String> {
    let Some(inside) = path.strip_prefix('{') else {
        return words(path).take(1).map(str::to_owned).collect();
    };
    let mut heads = vec![String::new()];
    let mut depth = 1;
    for character in inside.chars() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => heads.push(String::new()),
            _ if depth == 1 => heads.last_mut().unwrap().push(character),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    heads.iter().filter_map(|path| words(path).next().map(str::to_owned)).collect()
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Code without comments and string literals. Knows as much of Rust as the sources here need.
fn bare(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(character) = rest.chars().next() {
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(hashes) = raw_string(rest) {
            let end = format!("\"{}", "#".repeat(hashes));
            let start = hashes + 2;
            rest[start..].find(&end).map_or(rest.len(), |found| start + found + end.len())
        } else if character == '"' {
            string_len(rest)
        } else if rest.starts_with("'\"'") || rest.starts_with("'\\\"'") {
            rest[1..].find('\'').unwrap_or(0) + 2
        } else {
            code.push(character);
            rest = &rest[character.len_utf8()..];
            continue;
        };
        code.push(' ');
        rest = &rest[skip..];
    }
    code
}

/// The count of `#` if a raw string begins here.
fn raw_string(text: &str) -> Option<usize> {
    let after = text.strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    after[hashes..].starts_with('"').then_some(hashes)
}

fn string_len(text: &str) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

#[test]
fn sources_are_read_as_rust() {
    let code = bare(
        "use crate::a; // crate::b\nlet x = \"crate::c \\\" \"; /* crate::d */ r#\"crate::e\"# '\"' crate::f",
    );
    let known = ["a", "b", "c", "d", "e", "f"];
    assert_eq!(modules_named(&code, &known).into_iter().collect::<Vec<_>>(), ["a", "f"]);
    let code = "use crate::{a::x, b, c::{d, e}}; other_crate::f::g(); ringgear_engine::x";
    assert_eq!(modules_named(code, &known).into_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert!(modules_named(code, &["engine"]).contains("engine"));
}
