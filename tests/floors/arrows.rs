//! Who names whom: paths are followed to the file that defines what they name, through `use` and `pub use`; and the
//! rings that arrows make inside a folder.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use crate::sources::{self, Source};

/// The crates that are one tree to the eye.
const CRATES: &[(&str, &str)] = &[
    ("ringgear_protocol", "src/protocol/lib.rs"),
    ("ringgear_engine", "src/engine/lib.rs"),
    ("ringgear", "src/lib.rs"),
    // Programs, which no path can name.
    ("<ringgear>", "src/main.rs"),
    ("<ringgear-load>", "loadgen/src/main.rs"),
];

/// A path passes through this many names at the most.
const STEPS_MAX: usize = 64;

/// All sources, and what they name.
pub(crate) struct House {
    files: Vec<(String, Source)>,
    by_module: BTreeMap<(String, Vec<String>), usize>,
    arrows: BTreeSet<Arrow>,
}

/// One file names another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Arrow {
    /// Who.
    pub(crate) from: String,
    /// Whom.
    pub(crate) to: String,
    /// By which path.
    pub(crate) by: String,
}

impl House {
    /// All crates, read once.
    pub(crate) fn read() -> &'static House {
        static HOUSE: OnceLock<House> = OnceLock::new();
        HOUSE.get_or_init(House::build)
    }

    fn build() -> House {
        let mut house = House { files: Vec::new(), by_module: BTreeMap::new(), arrows: BTreeSet::new() };
        for (name, root) in CRATES {
            for source in sources::read(root) {
                house.by_module.insert(((*name).to_owned(), source.module.clone()), house.files.len());
                house.files.push(((*name).to_owned(), source));
            }
        }
        house.arrows = house.draw();
        house
    }

    /// Every file.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &Source> {
        self.files.iter().map(|(_, source)| source)
    }

    /// Every arrow between two files.
    pub(crate) fn arrows(&self) -> &BTreeSet<Arrow> {
        &self.arrows
    }

    fn draw(&self) -> BTreeSet<Arrow> {
        let mut arrows = BTreeSet::new();
        for (krate, source) in &self.files {
            for path in &source.named {
                let Some(to) = self.follow(krate, &source.module, path, 0) else { continue };
                if to != source.path {
                    let arrow = Arrow { from: source.path.clone(), to: to.to_owned(), by: path.join("::") };
                    arrows.insert(arrow);
                }
            }
        }
        arrows
    }

    /// The file in which that is defined which a path means in this module; `None` if it is not ours, or local.
    fn follow(&self, krate: &str, module: &[String], path: &[String], steps: usize) -> Option<&str> {
        assert!(steps < STEPS_MAX, "{krate} {module:?}: {path:?} leads in a circle");
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => return self.within(krate, &[], rest, steps),
            "self" => return self.within(krate, module, rest, steps),
            "super" => return self.within(krate, &module[..module.len().checked_sub(1)?], rest, steps),
            _ => {}
        }
        if CRATES.iter().any(|(name, _)| name == first) {
            return self.within(first, &[], rest, steps);
        }
        let source = self.file(krate, module)?;
        let known = source.aliases.contains_key(first) || source.children.contains(first);
        // A name alone may be a variable; where it was brought in, the import is an arrow.
        (known && (path.len() > 1 || source.aliases.contains_key(first)))
            .then(|| self.within(krate, module, path, steps))
            .flatten()
    }

    /// The same for a path that begins in this module.
    fn within(&self, krate: &str, module: &[String], path: &[String], steps: usize) -> Option<&str> {
        let source = self.file(krate, module)?;
        let Some((first, rest)) = path.split_first() else { return Some(&source.path) };
        if first == "super" {
            return self.within(krate, &module[..module.len().checked_sub(1)?], rest, steps + 1);
        }
        if source.children.contains(first) {
            let mut child = module.to_vec();
            child.push(first.clone());
            return self.within(krate, &child, rest, steps + 1);
        }
        if source.defined.contains(first) {
            return Some(&source.path);
        }
        if let Some(alias) = source.aliases.get(first) {
            // `use name::...::name` begins with a foreign crate, or it would be a child.
            if alias.first() == Some(first) {
                return None;
            }
            let whole: Vec<String> = alias.iter().chain(rest).cloned().collect();
            return self.follow(krate, module, &whole, steps + 1);
        }
        let offered = source.globs.iter().find_map(|glob| {
            let whole: Vec<String> = glob.iter().chain(path).cloned().collect();
            self.follow(krate, module, &whole, steps + 1).filter(|found| *found != source.path)
        });
        // What a macro defines is not seen; it is taken to be where it is looked for.
        Some(offered.unwrap_or(&source.path))
    }

    fn file(&self, krate: &str, module: &[String]) -> Option<&Source> {
        let index = self.by_module.get(&(krate.to_owned(), module.to_vec()))?;
        Some(&self.files[*index].1)
    }
}

/// What stands directly in a folder and holds this file: the file itself, or a folder in between.
pub(crate) fn node<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    let inside = path.strip_prefix(folder)?.strip_prefix('/')?;
    let end = inside.find('/').unwrap_or(inside.len());
    Some(&path[..folder.len() + 1 + end])
}

/// The rings among what stands directly in a folder: each arrow from one to another that leads back to the first by
/// others, and the paths that make the arrow.
pub(crate) fn ring(arrows: &BTreeSet<Arrow>, folder: &str) -> BTreeMap<(String, String), BTreeSet<String>> {
    let mut between: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    let mut named: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for arrow in arrows {
        let (Some(from), Some(to)) = (node(&arrow.from, folder), node(&arrow.to, folder)) else { continue };
        if from != to {
            let told = format!("{} names {}", arrow.from, arrow.by);
            between.entry((from.to_owned(), to.to_owned())).or_default().insert(told);
            named.entry(from).or_default().insert(to);
        }
    }
    between.retain(|(from, to), _| {
        let mut seen = BTreeSet::from([to.as_str()]);
        let mut waiting = vec![to.as_str()];
        while let Some(next) = waiting.pop() {
            waiting.extend(named.get(next).into_iter().flatten().filter(|further| seen.insert(further)));
        }
        seen.contains(from.as_str())
    });
    between
}
