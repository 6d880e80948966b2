//! Client libraries, unchanged and from their packages, against this server. README.md beside this file says how a check
//! talks to the harness. Here: which libraries there are, and a test for each.
#![allow(clippy::unwrap_used)] // a test

mod check;
mod install;
mod pair;
mod table;

#[path = "../support/mod.rs"]
mod support;

use check::Outcome;
use install::Language;
use pair::Kind;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Checks that run at once, if all of them are to run: they mostly wait.
const AT_ONCE: usize = 4;

/// A library and what is known of it so far.
struct Library {
    /// As its package calls it, and what the function names and the file of its check begin with.
    name: &'static str,
    language: Language,
    ours: OnceLock<Outcome>,
    shared: OnceLock<Outcome>,
    gearmand: OnceLock<Outcome>,
}

/// Declares the libraries, with a test for each.
macro_rules! libraries {
    ($($test:ident: $name:literal in $language:ident;)*) => {
        const COUNT: usize = [$($name),*].len();

        static LIBRARIES: [Library; COUNT] = [$(Library {
            name: $name,
            language: Language::$language,
            ours: OnceLock::new(),
            shared: OnceLock::new(),
            gearmand: OnceLock::new(),
        }),*];

        $(#[test]
        fn $test() {
            library($name).must_work();
        })*
    };
}

libraries! {
    abraxas: "abraxas" in Node;
    aiogear: "aiogear" in Python;
    gear: "gear" in Python;
    gearman3: "gearman3" in Python;
    gearman_client: "Gearman-Client" in Perl;
    gearman_crate: "gearman-crate" in Rust;
    gearman_npm: "gearman-npm" in Node;
    gearmanode: "gearmanode" in Node;
    libgearman: "libgearman" in C;
    node_gearman: "node-gearman" in Node;
    php_gearman: "php-gearman" in Php;
    pygearman: "pygearman" in Python;
    python3_gearman: "python3-gearman" in Python;
}

fn library(name: &str) -> &'static Library {
    LIBRARIES.iter().find(|library| library.name == name).unwrap()
}

/// Whether gearmand is to be looked at, too.
fn compares() -> bool {
    match std::env::var("RINGGEAR_CLIENTS_AGAINST") {
        Err(_) => false,
        Ok(other) if other == "gearmand" => true,
        Ok(other) => panic!("RINGGEAR_CLIENTS_AGAINST can be `gearmand`, and is {other:?}"),
    }
}

impl Library {
    /// What its check says of a server. Whoever asks first runs it.
    fn outcome(&self, kind: Kind) -> &Outcome {
        let outcome = match kind {
            Kind::Ours => &self.ours,
            Kind::Shared => &self.shared,
            Kind::Gearmand => &self.gearmand,
        };
        outcome.get_or_init(|| check::run(self.name, self.language, kind))
    }

    /// Fails if anything does not work with our server.
    #[track_caller]
    fn must_work(&self) {
        let complaints = self.outcome(Kind::Ours).complaints();
        assert!(complaints.is_empty(), "{}:\n{complaints}", self.name);
        if compares() {
            self.outcome(Kind::Gearmand);
        }
    }

    /// Whether its check ran against our server and found nothing.
    fn works(&self) -> bool {
        self.ours.get().is_some_and(|outcome| outcome.complaints().is_empty())
    }
}

/// Runs everything, whatever comes of it.
fn run_all() {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(library) = LIBRARIES.get(next.fetch_add(1, Ordering::Relaxed)) {
                    library.outcome(Kind::Ours);
                    if compares() {
                        library.outcome(Kind::Gearmand);
                    }
                }
            });
        }
    });
}

/// The same servers with one PostgreSQL below both, and with all that goes with that: a library that has two servers goes on
/// with the other, and what comes back is a server that has a store.
#[test]
fn some_of_each_language_go_on_through_a_take_over() {
    let names = ["Gearman-Client", "gear", "libgearman", "php-gearman", "pygearman"];
    thread::scope(|scope| {
        for name in names {
            scope.spawn(move || library(name).outcome(Kind::Shared));
        }
    });
    for name in names {
        let complaints = library(name).outcome(Kind::Shared).complaints();
        assert!(complaints.is_empty(), "{name} with servers that share a store:\n{complaints}");
    }
}

// Tests start in the order of their names. This one is to be the first, because it runs all checks at once; the others
// find them done, or under way.
#[test]
fn a_table_of_all_libraries_is_in_the_readme() {
    run_all();
    let failed: Vec<&str> = LIBRARIES.iter().filter(|l| !l.works()).map(|l| l.name).collect();
    assert!(failed.is_empty(), "no table while these fail: {}", failed.join(", "));
    table::libraries(LIBRARIES.iter().map(|library| (library.name, library.outcome(Kind::Ours))));
    if compares() {
        table::differences(
            LIBRARIES
                .iter()
                .map(|library| (library.name, library.outcome(Kind::Ours), library.outcome(Kind::Gearmand))),
        );
    }
}
