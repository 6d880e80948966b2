//! The sources of one crate as a tree of modules: what each file defines, what it names, how long it and its functions
//! are. Read with `syn`, so what stands in comments and strings is nothing. What only tests have is left out.
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree, Visibility};

/// One file of a crate.
pub(crate) struct Source {
    /// From the root of the repository.
    pub(crate) path: String,
    /// Its module within the crate, from the crate's root.
    pub(crate) module: Vec<String>,
    /// Modules that it declares.
    pub(crate) children: BTreeSet<String>,
    /// Everything else that it defines.
    pub(crate) defined: BTreeSet<String>,
    /// Types that it defines, traits included.
    pub(crate) types: Vec<String>,
    /// What it brings in under a name, and the path to it.
    pub(crate) aliases: BTreeMap<String, Vec<String>>,
    /// Modules of which it brings in everything.
    pub(crate) globs: Vec<Vec<String>>,
    /// Every path that it names; those of `pub use` are not named, but offered to others.
    pub(crate) named: Vec<Vec<String>>,
    /// Its functions, and the lines of each.
    pub(crate) functions: Vec<(String, usize)>,
    /// Its lines, without tests that stand in it.
    pub(crate) lines: usize,
    /// Whether it has the word `unsafe` anywhere in its code.
    pub(crate) has_unsafe: bool,
}

/// Reads a crate from its root file, following `mod`.
pub(crate) fn read(root: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    let folder = Path::new(root).parent().unwrap().to_owned();
    let mut wanted = vec![(PathBuf::from(root), Vec::new(), folder)];
    while let Some((path, module, folder)) = wanted.pop() {
        let source = read_file(&path, module.clone());
        for child in &source.children {
            let beside = folder.join(format!("{child}.rs"));
            let inside = folder.join(child).join("mod.rs");
            let found = if at_root(&beside).is_file() { beside } else { inside };
            let mut child_module = module.clone();
            child_module.push(child.clone());
            wanted.push((found, child_module, folder.join(child)));
        }
        sources.push(source);
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

/// A path of the repository.
pub(crate) fn at_root(path: &Path) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read_file(path: &Path, module: Vec<String>) -> Source {
    let text =
        fs::read_to_string(at_root(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut source = Source {
        path: path.to_str().unwrap().to_owned(),
        module,
        children: BTreeSet::new(),
        defined: BTreeSet::new(),
        types: Vec::new(),
        aliases: BTreeMap::new(),
        globs: Vec::new(),
        named: Vec::new(),
        functions: Vec::new(),
        lines: text.lines().count(),
        has_unsafe: false,
    };
    for item in &file.items {
        source.take(item);
    }
    let mut reader = Reader { source: &mut source };
    reader.visit_file(&file);
    source
}

impl Source {
    /// Notes what a file defines at its top.
    fn take(&mut self, item: &Item) {
        if for_tests(attributes(item)) {
            let span = item.span();
            self.lines -= (span.end().line - span.start().line + 1).min(self.lines);
            return;
        }
        match item {
            Item::Mod(module) if module.content.is_none() => {
                _ = self.children.insert(module.ident.to_string())
            }
            Item::Use(import) => {
                let offered = !matches!(import.vis, Visibility::Inherited);
                self.bring(&mut Vec::new(), &import.tree, offered);
            }
            Item::Struct(it) => self.define_type(&it.ident),
            Item::Enum(it) => self.define_type(&it.ident),
            Item::Union(it) => self.define_type(&it.ident),
            Item::Trait(it) => self.define_type(&it.ident),
            Item::Type(it) => self.define_type(&it.ident),
            Item::Fn(it) => _ = self.defined.insert(it.sig.ident.to_string()),
            Item::Const(it) => _ = self.defined.insert(it.ident.to_string()),
            Item::Static(it) => _ = self.defined.insert(it.ident.to_string()),
            Item::Mod(it) => _ = self.defined.insert(it.ident.to_string()),
            _ => {}
        }
    }

    fn define_type(&mut self, name: &syn::Ident) {
        self.types.push(name.to_string());
        self.defined.insert(name.to_string());
    }

    fn bring(&mut self, path: &mut Vec<String>, tree: &UseTree, offered: bool) {
        match tree {
            UseTree::Path(step) => {
                path.push(step.ident.to_string());
                self.bring(path, &step.tree, offered);
                path.pop();
            }
            UseTree::Name(name) => self.bring_one(path, name.ident.to_string(), None, offered),
            UseTree::Rename(name) => {
                self.bring_one(path, name.ident.to_string(), Some(name.rename.to_string()), offered);
            }
            UseTree::Glob(_) => {
                self.globs.push(path.clone());
                if !offered {
                    self.named.push(path.clone());
                }
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.bring(path, tree, offered)),
        }
    }

    fn bring_one(&mut self, path: &[String], name: String, alias: Option<String>, offered: bool) {
        let mut whole = path.to_vec();
        let mut known_as = alias.unwrap_or_else(|| name.clone());
        if name == "self" {
            known_as = path.last().cloned().unwrap_or(known_as);
        } else {
            whole.push(name);
        }
        if !offered {
            self.named.push(whole.clone());
        }
        self.aliases.insert(known_as, whole);
    }
}

/// Collects paths and functions, passing over what is for tests only.
struct Reader<'a> {
    source: &'a mut Source,
}

impl Reader<'_> {
    /// Counted from its signature to its last brace.
    fn function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let lines = block.span().end().line - signature.span().start().line + 1;
        self.source.functions.push((signature.ident.to_string(), lines));
    }

    /// Paths in the arguments of a macro, which is not read as Rust: names with `::` between them.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
                TokenTree::Ident(name) => {
                    self.source.has_unsafe |= name == "unsafe";
                    if colons != 2 {
                        self.keep(std::mem::take(&mut path));
                    }
                    path.push(name.to_string());
                    colons = 0;
                }
                other => {
                    self.keep(std::mem::take(&mut path));
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.keep(path);
    }

    fn keep(&mut self, path: Vec<String>) {
        if path.len() > 1 {
            self.source.named.push(path);
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !for_tests(attributes(item)) && !matches!(item, Item::Use(_)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.function(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !for_tests(&function.attrs) {
            self.function(&function.sig, &function.block);
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        self.source.has_unsafe |= matches!(signature.safety, syn::Safety::Unsafe(_));
        visit::visit_signature(self, signature);
    }

    fn visit_item_impl(&mut self, block: &'ast syn::ItemImpl) {
        self.source.has_unsafe |= block.unsafety.is_some();
        visit::visit_item_impl(self, block);
    }

    fn visit_expr_unsafe(&mut self, block: &'ast syn::ExprUnsafe) {
        self.source.has_unsafe = true;
        visit::visit_expr_unsafe(self, block);
    }

    /// `pub(super)` names nobody.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.source.named.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }
}

fn for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let condition = attribute.meta.require_list().map(|list| list.tokens.to_string());
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg") && condition.is_ok_and(|tokens| tokens == "test")
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(it) => &it.attrs,
        Item::Enum(it) => &it.attrs,
        Item::Fn(it) => &it.attrs,
        Item::Impl(it) => &it.attrs,
        Item::Macro(it) => &it.attrs,
        Item::Mod(it) => &it.attrs,
        Item::Static(it) => &it.attrs,
        Item::Struct(it) => &it.attrs,
        Item::Trait(it) => &it.attrs,
        Item::Type(it) => &it.attrs,
        Item::Use(it) => &it.attrs,
        _ => &[],
    }
}
