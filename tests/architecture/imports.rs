//! Which files of a crate import which, and the cycles among them.
//!
//! A file imports another when one of its paths, in `use` or inline, names an item that the other defines. Re-exports
//! are followed to the definition, and a module's name alone imports nothing. `mod child;` imports the child. Code
//! under `#[cfg(test)]` does not count. Paths inside macro calls count as far as their tokens show them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree};

/// Source files by their path below `src`, with `/` on every platform.
pub type Sources = BTreeMap<String, String>;

/// All source files below `folder`.
pub fn read_sources(folder: &Path) -> Sources {
    let mut sources = Sources::new();
    let mut folders = vec![(folder.to_owned(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            let name = format!("{prefix}{}", path.file_name().unwrap().display());
            if path.is_dir() {
                folders.push((path, name + "/"));
            } else if name.ends_with(".rs") {
                sources.insert(name, fs::read_to_string(path).unwrap());
            }
        }
    }
    sources
}

/// The paths by which one file imports another.
#[derive(Debug, PartialEq, Eq)]
pub struct Import {
    pub from: String,
    pub to: String,
    pub paths: BTreeSet<String>,
}

impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths: Vec<&str> = self.paths.iter().map(String::as_str).collect();
        write!(f, "{} imports {}: {}", self.from, self.to, paths.join(", "))
    }
}

/// All imports between files of a crate, whose roots are `lib.rs`, `main.rs` and `bin/*.rs`.
pub fn imports(sources: &Sources) -> Vec<Import> {
    let mut found: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for root in sources.keys().filter(|name| is_root(name)) {
        let tree = ModuleTree::load(sources, root);
        for (from, to, path) in tree.edges() {
            if from != to {
                found.entry((from, to)).or_default().insert(path);
            }
        }
    }
    found.into_iter().map(|((from, to), paths)| Import { from, to, paths }).collect()
}

/// Groups of files that import each other, directly or through others: for each group the imports inside it.
pub fn cycles(imports: &[Import]) -> Vec<Vec<&Import>> {
    let reached = |start: &str| {
        let (mut reached, mut open) = (BTreeSet::new(), vec![start.to_owned()]);
        while let Some(file) = open.pop() {
            let next = imports.iter().filter(|import| import.from == file).map(|import| import.to.clone());
            open.extend(next.filter(|file| reached.insert(file.clone())));
        }
        reached
    };
    let files: BTreeSet<&str> = imports.iter().map(|import| import.from.as_str()).collect();
    let reached: BTreeMap<&str, BTreeSet<String>> = files.iter().map(|file| (*file, reached(file))).collect();
    let mutual = |one: &str, other: &str| reached[one].contains(other) && reached[other].contains(one);
    let mut groups: Vec<Vec<&Import>> = Vec::new();
    for import in imports.iter().filter(|import| files.contains(&*import.to)) {
        if mutual(&import.from, &import.to) {
            match groups.iter_mut().find(|group| mutual(&group[0].from, &import.from)) {
                Some(group) => group.push(import),
                None => groups.push(vec![import]),
            }
        }
    }
    groups
}

fn is_root(name: &str) -> bool {
    matches!(name, "lib.rs" | "main.rs") || name.strip_prefix("bin/").is_some_and(|name| !name.contains('/'))
}

/// A crate's modules; the first is its root.
struct ModuleTree<'a> {
    sources: &'a Sources,
    modules: Vec<Module>,
    /// Where the macros of `macro_rules!` are defined, which need no path.
    macros: BTreeMap<String, usize>,
}

#[derive(Default)]
struct Module {
    file: String,
    parent: usize,
    children: BTreeMap<String, usize>,
    items: BTreeSet<String>,
    uses: Vec<Use>,
    paths: Vec<Vec<String>>,
    macro_calls: Vec<Vec<String>>,
}

/// `use path as name`, or `use path::*` without a name.
struct Use {
    name: Option<String>,
    path: Vec<String>,
}

/// What a path names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Module(usize),
    /// An item that this module defines.
    Item(usize),
}

impl<'a> ModuleTree<'a> {
    fn load(sources: &'a Sources, root: &str) -> Self {
        let mut tree = Self { sources, modules: Vec::new(), macros: BTreeMap::new() };
        let folder = root.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
        tree.load_file(root, 0, &folder);
        tree
    }

    /// Adds the module in `file`, whose children's files are in `folder`.
    fn load_file(&mut self, file: &str, parent: usize, folder: &str) -> usize {
        let source = syn::parse_file(&self.sources[file]).unwrap_or_else(|error| panic!("{file}: {error}"));
        self.add_module(file, parent, folder, &source.items)
    }

    fn add_module(&mut self, file: &str, parent: usize, folder: &str, items: &[Item]) -> usize {
        let module = self.modules.len();
        self.modules.push(Module { file: file.to_owned(), parent, ..Module::default() });
        for item in items {
            let Item::Mod(child) = item else {
                if let Item::Macro(definition) = item
                    && let Some(name) = &definition.ident
                {
                    self.macros.insert(name.to_string(), module);
                }
                let this = &mut self.modules[module];
                if !is_test(attributes(item)) {
                    this.items.extend(item_name(item));
                }
                Collector(this).visit_item(item);
                continue;
            };
            if is_test(&child.attrs) {
                continue;
            }
            let name = child.ident.to_string();
            let below = format!("{folder}{name}/");
            let index = match &child.content {
                Some((_, items)) => self.add_module(file, module, &below, items),
                None => {
                    let files = [format!("{folder}{name}.rs"), format!("{below}mod.rs")];
                    // `#[path]` leads out of the crate: to code that is shared with fuzzing.
                    let Some(file) = files.iter().find(|file| self.sources.contains_key(*file)) else {
                        let elsewhere = child.attrs.iter().any(|attribute| attribute.path().is_ident("path"));
                        assert!(elsewhere, "{file}: there is no file for mod {name}");
                        continue;
                    };
                    self.load_file(file, module, &below)
                }
            };
            self.modules[module].children.insert(name, index);
        }
        module
    }

    /// From which file to which, and the path that leads there.
    fn edges(&self) -> Vec<(String, String, String)> {
        let mut edges = Vec::new();
        for (at, module) in self.modules.iter().enumerate() {
            let mut edge = |to: usize, path: String| {
                edges.push((module.file.clone(), self.modules[to].file.clone(), path));
            };
            for (name, child) in &module.children {
                edge(*child, format!("mod {name}"));
            }
            let targets = |path: &[String]| self.resolve(at, path, &mut Vec::new());
            let mut imported = BTreeSet::new();
            for import in &module.uses {
                for target in targets(&import.path) {
                    if let Target::Item(to) = target {
                        edge(to, format!("use {}", import.path.join("::")));
                        imported.extend(import.name.as_deref());
                    }
                }
            }
            for path in module.paths.iter().filter(|path| !imported.contains(&*path[0])) {
                for target in targets(path) {
                    if let Target::Item(to) = target {
                        edge(to, path.join("::"));
                    }
                }
            }
            for path in &module.macro_calls {
                if let [name] = &path[..]
                    && let Some(&to) = self.macros.get(name)
                {
                    edge(to, format!("{name}!"));
                }
            }
        }
        edges
    }

    /// What `path` names in `module`; nothing if it leads to another crate. `open` holds the names that are being
    /// looked up already.
    fn resolve(&self, module: usize, path: &[String], open: &mut Vec<(usize, String)>) -> BTreeSet<Target> {
        let mut targets = BTreeSet::from([Target::Module(module)]);
        for segment in path {
            let mut next = BTreeSet::new();
            for target in targets {
                match (target, segment.as_str()) {
                    // What belongs to an item is where the item is.
                    (Target::Item(_), _) | (Target::Module(_), "self") => drop(next.insert(target)),
                    (Target::Module(_), "crate") => drop(next.insert(Target::Module(0))),
                    (Target::Module(at), "super") => {
                        next.insert(Target::Module(self.modules[at].parent));
                    }
                    (Target::Module(at), name) => next.extend(self.look_up(at, name, open)),
                }
            }
            targets = next;
        }
        targets
    }

    fn look_up(&self, module: usize, name: &str, open: &mut Vec<(usize, String)>) -> BTreeSet<Target> {
        let key = (module, name.to_owned());
        if open.contains(&key) {
            return BTreeSet::new();
        }
        open.push(key);
        let this = &self.modules[module];
        let mut found: BTreeSet<Target> =
            this.children.get(name).map(|child| Target::Module(*child)).into_iter().collect();
        if this.items.contains(name) {
            found.insert(Target::Item(module));
        }
        for import in this.uses.iter().filter(|import| import.name.as_deref() == Some(name)) {
            found.extend(self.resolve(module, &import.path, open));
        }
        if found.is_empty() {
            for glob in this.uses.iter().filter(|import| import.name.is_none()) {
                for target in self.resolve(module, &glob.path, open) {
                    if let Target::Module(other) = target {
                        found.extend(self.look_up(other, name, open));
                    }
                }
            }
        }
        open.pop();
        found
    }
}

/// Collects the paths of everything but modules.
struct Collector<'m>(&'m mut Module);

impl Visit<'_> for Collector<'_> {
    fn visit_item(&mut self, item: &Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &syn::ImplItemFn) {
        if !is_test(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_item_use(&mut self, item: &syn::ItemUse) {
        let start = item.leading_colon.is_some().then(String::new);
        flatten(&item.tree, start.into_iter().collect(), &mut self.0.uses);
    }

    fn visit_path(&mut self, path: &syn::Path) {
        let start = path.leading_colon.is_some().then(String::new);
        let segments = path.segments.iter().map(|segment| segment.ident.to_string());
        self.0.paths.push(start.into_iter().chain(segments).collect());
        visit::visit_path(self, path);
    }

    // `pub(in path)` imports nothing.
    fn visit_visibility(&mut self, _: &syn::Visibility) {}

    fn visit_macro(&mut self, call: &syn::Macro) {
        self.0.macro_calls.push(call.path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        collect_tokens(call.tokens.clone(), self.0);
        visit::visit_macro(self, call);
    }
}

/// Adds the paths in the tokens of a macro call.
fn collect_tokens(tokens: TokenStream, module: &mut Module) {
    let mut path: Vec<String> = Vec::new();
    let (mut colons, mut before) = (0, ' ');
    for token in tokens {
        match token {
            TokenTree::Ident(name) => {
                let name = name.to_string();
                if colons == 2 && !path.is_empty() {
                    path.push(name);
                } else {
                    module.paths.push(std::mem::take(&mut path));
                    // Fields, methods, lifetimes and the macro's own variables are no paths.
                    if !matches!(before, '.' | '\'' | '$') || name == "crate" {
                        path.push(name);
                    }
                }
                (colons, before) = (0, ' ');
            }
            TokenTree::Punct(punct) => {
                before = punct.as_char();
                colons = if before == ':' { colons + 1 } else { 0 };
                if before == '!' && colons == 0 {
                    module.macro_calls.push(path.clone());
                }
                if before != ':' {
                    module.paths.push(std::mem::take(&mut path));
                }
            }
            TokenTree::Group(group) => {
                module.paths.push(std::mem::take(&mut path));
                (colons, before) = (0, ' ');
                collect_tokens(group.stream(), module);
            }
            TokenTree::Literal(_) => {
                module.paths.push(std::mem::take(&mut path));
                (colons, before) = (0, ' ');
            }
        }
    }
    module.paths.push(path);
    module.paths.retain(|path| !path.is_empty());
}

fn flatten(tree: &UseTree, mut path: Vec<String>, uses: &mut Vec<Use>) {
    match tree {
        UseTree::Path(part) => {
            path.push(part.ident.to_string());
            flatten(&part.tree, path, uses);
        }
        UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, path.clone(), uses);
            }
        }
        UseTree::Glob(_) => uses.push(Use { name: None, path }),
        UseTree::Name(name) if name.ident == "self" => uses.push(Use { name: path.last().cloned(), path }),
        UseTree::Name(name) => {
            path.push(name.ident.to_string());
            uses.push(Use { name: path.last().cloned(), path });
        }
        UseTree::Rename(rename) => {
            if rename.ident != "self" {
                path.push(rename.ident.to_string());
            }
            uses.push(Use { name: Some(rename.rename.to_string()), path });
        }
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).any(|attribute| {
        let condition = attribute.meta.require_list().map(|list| list.tokens.to_string()).unwrap_or_default();
        condition == "test" || condition.starts_with("all (test") || condition.starts_with("all(test")
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn item_name(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

#[test]
fn a_cycle_is_found_and_named() {
    let sources = sources(&[
        ("lib.rs", "mod one; mod other; mod third;"),
        ("one.rs", "use crate::other::Other; pub struct One(Other);"),
        ("other.rs", "pub struct Other; fn make() { let _ = super::one::One::default(); }"),
        ("third.rs", "use crate::one::One;"),
    ]);
    assert_eq!(
        described(&sources),
        [
            "one.rs imports other.rs: use crate::other::Other\nother.rs imports one.rs: super::one::One::default"
        ]
    );
}

#[test]
fn a_re_export_is_followed_to_the_definition() {
    let sources = sources(&[
        ("lib.rs", "mod error; mod parts; pub use error::{Error, Result as Outcome}; pub use parts::*;"),
        ("error.rs", "pub struct Error; pub type Result = std::result::Result<(), Error>;"),
        ("parts/mod.rs", "mod small; pub use small::Small; pub use crate::Error;"),
        (
            "parts/small.rs",
            "use crate::Outcome; pub struct Small; fn fail() -> Outcome { Err(crate::parts::Error) }",
        ),
    ]);
    assert!(cycles(&imports(&sources)).is_empty());
    let imports = imports(&sources);
    let of_small: Vec<_> = imports.iter().filter(|import| import.from == "parts/small.rs").collect();
    let [import] = &of_small[..] else { panic!("{of_small:?}") };
    assert_eq!(
        import.to_string(),
        "parts/small.rs imports error.rs: crate::parts::Error, use crate::Outcome"
    );
}

#[test]
fn what_a_root_or_a_mod_rs_defines_makes_a_cycle_with_its_child() {
    let sources = sources(&[
        ("main.rs", "mod parts; struct Arguments; fn main() {}"),
        ("parts/mod.rs", "mod child; pub(crate) enum Kind { One }"),
        ("parts/child.rs", "use super::Kind::*; fn run() { format!(\"{}\", crate::Arguments.name); }"),
    ]);
    let [cycle] = &described(&sources)[..] else { panic!("one cycle") };
    for line in [
        "main.rs imports parts/mod.rs: mod parts",
        "parts/mod.rs imports parts/child.rs: mod child",
        "parts/child.rs imports parts/mod.rs: use super::Kind",
        "parts/child.rs imports main.rs: crate::Arguments",
    ] {
        assert!(cycle.contains(line), "{line} is not in\n{cycle}");
    }
}

#[test]
fn a_module_alone_a_sibling_through_super_and_other_crates_import_no_parent() {
    let sources = sources(&[
        ("lib.rs", "pub mod parts; fn root() {}"),
        ("parts.rs", "mod one; mod two; pub mod shared { pub fn root() {} } pub(crate) use one::one;"),
        ("parts/one.rs", "use super::two; use std::parts::root; pub fn one() { two::two(); ::lib::root(); }"),
        ("parts/two.rs", "pub(in crate::parts) fn two() { let root = self::local(); root } fn local() {}"),
    ]);
    assert_eq!(described(&sources), [""; 0]);
}

#[test]
fn globs_macros_and_functions_scopes_are_looked_into() {
    let sources = sources(&[
        ("lib.rs", "#[macro_use] mod macros; mod one; mod two; mod three;"),
        ("macros.rs", "macro_rules! make { () => { $crate::one::One } }"),
        ("one.rs", "pub struct One; fn call() { make!() }"),
        ("two.rs", "use crate::three::*; pub fn two() -> Three { Three }"),
        ("three.rs", "pub struct Three; fn call() { use crate::two::two; vec![(1, two())]; }"),
    ]);
    assert_eq!(
        described(&sources),
        [
            "macros.rs imports one.rs: crate::one::One\none.rs imports macros.rs: make!",
            "three.rs imports two.rs: use crate::two::two\ntwo.rs imports three.rs: Three"
        ]
    );
}

#[test]
fn tests_may_import_what_they_test() {
    let sources = sources(&[
        ("lib.rs", "mod one; #[cfg(test)] mod tests; fn helper() {}"),
        (
            "one.rs",
            "#[cfg(test)] mod tests { use crate::helper; } #[cfg(test)] fn check() { crate::helper() }",
        ),
        ("tests.rs", "use crate::helper;"),
    ]);
    assert_eq!(described(&sources), [""; 0]);
}

fn sources(files: &[(&str, &str)]) -> Sources {
    files.iter().map(|(name, source)| ((*name).to_owned(), (*source).to_owned())).collect()
}

/// Each cycle's imports, a line each.
fn described(sources: &Sources) -> Vec<String> {
    let imports = imports(sources);
    let lines = |cycle: &Vec<&Import>| cycle.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    cycles(&imports).iter().map(lines).collect()
}
