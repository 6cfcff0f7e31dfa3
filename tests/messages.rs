//! `docs/messages.md`: every message of an error, where one can read them in one sitting. This test compares the file with
//! the sources; with `MIDASHI_UPDATE_REFERENCE=1` it writes the file.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use midashi_tests::root;
use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprMethodCall, ItemFn, ItemMod, LitStr, Macro, Variant};

const INTRODUCTION: &str = "# Messages\n\n\
    Every message of an error in the sources, by crate and file. `{…}` stands for a value. A message names the place, what was found, what was\n\
    expected and what to do; the program then ends with exit code 2 and has changed nothing that was finished. Several messages are parts that\n\
    others contain, after a colon.\n\n\
    This page is written by `MIDASHI_UPDATE_REFERENCE=1 cargo test --release --test messages`.\n";

/// Macros whose text is a message, and the argument that holds it.
const MESSAGES: [(&str, usize); 4] = [("bail", 0), ("anyhow", 0), ("ensure", 1), ("require", 1)];

/// What a text says that is a message, if it is formatted for a type of errors.
const SIGNS: [&str; 4] = ["expected ", "; run `", "; set ", "cannot "];

#[derive(Default)]
struct Messages(Vec<String>);

impl Messages {
    fn add(&mut self, text: &str) {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.contains(' ') && !self.0.contains(&text) {
            self.0.push(text);
        }
    }

    fn add_if_message(&mut self, text: &str) {
        if SIGNS.iter().any(|sign| text.contains(sign)) {
            self.add(text);
        }
    }

    /// The messages in the tokens of a macro that is not one of [`MESSAGES`], such as the closures of `outln!`.
    fn look_into(&mut self, tokens: &TokenStream) {
        for token in tokens.clone() {
            match token {
                TokenTree::Group(group) => self.look_into(&group.stream()),
                TokenTree::Literal(literal) => {
                    if let Ok(text) = syn::parse_str::<LitStr>(&literal.to_string()) {
                        self.add_if_message(&text.value());
                    }
                }
                _ => {}
            }
        }
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || (attribute.path().is_ident("cfg")
                && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test")))
    })
}

/// The first string of a macro's `argument`.
fn string_of(tokens: &TokenStream, argument: usize) -> Option<String> {
    let mut at = 0;
    for token in tokens.clone() {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == ',' => at += 1,
            TokenTree::Literal(literal) if at >= argument => {
                return syn::parse_str::<LitStr>(&literal.to_string()).ok().map(|text| text.value());
            }
            _ => {}
        }
    }
    None
}

impl<'ast> Visit<'ast> for Messages {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_variant(&mut self, variant: &'ast Variant) {
        for attribute in variant.attrs.iter().filter(|attribute| attribute.path().is_ident("error")) {
            let list = attribute.meta.require_list().unwrap();
            if let Some(text) = string_of(&list.tokens, 0) {
                self.add(&text);
            }
        }
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        let name = called.path.segments.last().unwrap().ident.to_string();
        match MESSAGES.iter().find(|(known, _)| *known == name) {
            Some((_, argument)) => {
                if let Some(text) = string_of(&called.tokens, *argument) {
                    self.add(&text);
                }
            }
            None => self.look_into(&called.tokens),
        }
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        if call.method == "context"
            && let Some(Expr::Lit(literal)) = call.args.first()
            && let syn::Lit::Str(text) = &literal.lit
        {
            self.add(&text.value());
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_lit_str(&mut self, text: &'ast LitStr) {
        self.add_if_message(&text.value());
    }

    fn visit_attribute(&mut self, _: &'ast Attribute) {
        // Documentation is no message.
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The messages of every crate, by its name and the file.
fn messages() -> BTreeMap<String, Vec<(String, Vec<String>)>> {
    let mut of_crates = BTreeMap::new();
    for entry in fs::read_dir(root().join("crates")).unwrap().map(Result::unwrap) {
        let (folder, name) = (entry.path().join("src"), entry.file_name().into_string().unwrap());
        if !folder.is_dir() {
            continue;
        }
        let mut of_files = Vec::new();
        for path in sources(&folder) {
            let file = syn::parse_file(&fs::read_to_string(&path).unwrap())
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let mut messages = Messages::default();
            messages.visit_file(&file);
            let shown = path.strip_prefix(&folder).unwrap().display().to_string();
            if !messages.0.is_empty() && !shown.ends_with("tests.rs") {
                of_files.push((shown, messages.0));
            }
        }
        of_crates.insert(name, of_files);
    }
    of_crates
}

fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for (name, files) in messages().into_iter().filter(|(_, files)| !files.is_empty()) {
        write!(page, "\n## {name}\n").unwrap();
        for (file, messages) in files {
            write!(page, "\n`{file}`\n\n```text\n{}\n```\n", messages.join("\n")).unwrap();
        }
    }
    page
}

#[test]
fn the_page_of_messages_is_up_to_date() {
    let (path, expected) = (root().join("docs/messages.md"), page());
    if std::env::var_os("MIDASHI_UPDATE_REFERENCE").is_some() {
        fs::write(&path, &expected).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let differs = || {
        let lines = found.lines().zip(expected.lines()).enumerate();
        let first = lines.into_iter().find(|(_, (found, expected))| found != expected);
        first.map_or_else(String::new, |(at, (found, expected))| {
            format!("line {}: {found:?}, expected {expected:?}", at + 1)
        })
    };
    assert!(
        found == expected,
        "docs/messages.md is out of date; run MIDASHI_UPDATE_REFERENCE=1 cargo test --release --test messages\n{}",
        differs()
    );
    assert!(expected.matches("\n```text\n").count() > 60, "the sources were read");
    assert!(expected.contains("is missing: run `make {stage}` first"), "attributes of errors");
    assert!(expected.contains("expected a plain folder name"), "texts of checks");
}

#[test]
fn messages_are_found_where_they_are_written() {
    let file = r#"
        #[derive(Error)]
        enum E { #[error("cannot {doing} {}", path.display())] Io { doing: &'static str } }
        fn f() -> Result<()> {
            ensure!(a > b, "a is {a}; expected more than {b}");
            bail!("nothing {} here", x);
            g().context("reading the file").with_context(|| format!("{x}: expected y"))?;
            let plain = "no message at all";
        }
        #[cfg(test)]
        mod tests { fn g() { bail!("not this one"); } }
    "#;
    let mut found = Messages::default();
    found.visit_file(&syn::parse_file(file).unwrap());
    found.0.sort();
    let expected = [
        "a is {a}; expected more than {b}",
        "cannot {doing} {}",
        "nothing {} here",
        "reading the file",
        "{x}: expected y",
    ];
    assert_eq!(found.0, expected);
}
