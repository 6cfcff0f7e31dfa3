//! Which crate may depend on which.

use std::fs;
use std::process::Command;

use midashi_tests::root;
use toml::Table;

/// Crates and the crates of this workspace that they may depend on, lower layers first. Development dependencies are
/// free, since nobody else compiles them.
pub const MAY_USE: [(&str, &[&str]); 24] = [
    // Libraries that know nothing of a run.
    ("onnx", &[]),
    ("text", &[]),
    ("page", &["text"]),
    ("baseline", &[]),
    ("bundled", &[]),
    ("table", &[]),
    ("tokenizer", &["text"]),
    ("encoder", &["onnx"]),
    // A run: its configuration, its folder, its artifacts.
    ("config", &[]),
    ("stage", &["text", "config"]),
    ("artifacts", &["stage", "config", "text"]),
    ("runtime", &["text", "config"]),
    ("classifier", &["encoder", "runtime", "tokenizer", "text", "artifacts", "stage", "config"]),
    // Stages, which meet in artifacts only.
    ("fetch", &["bundled", "artifacts", "stage", "config"]),
    ("ingest", &["table", "text", "artifacts", "stage", "config"]),
    ("tokenize", &["tokenizer", "text", "encoder", "artifacts", "stage", "config"]),
    ("train", &["classifier", "encoder", "onnx", "runtime", "artifacts", "stage", "config"]),
    ("evaluate", &["classifier", "baseline", "encoder", "text", "runtime", "artifacts", "stage", "config"]),
    ("render", &["page", "text", "artifacts", "stage", "config"]),
    // Tools.
    ("sweep", &["text", "artifacts", "stage", "config"]),
    ("verify", &["stage", "config"]),
    ("inspect", &["encoder", "tokenizer", "text", "runtime", "stage", "config"]),
    ("predict", &["classifier", "table", "page", "text", "runtime", "stage", "config"]),
    ("serve", &["classifier", "page", "text", "runtime", "stage", "config"]),
];

/// The folders below `crates`, sorted.
pub fn crates() -> Vec<String> {
    let entries = fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap());
    let crates = entries.filter(|entry| entry.path().join("Cargo.toml").is_file());
    let mut names: Vec<String> = crates.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The crates of this workspace on which `manifest`, that of the crate `name`, depends without leave.
pub fn forbidden(name: &str, manifest: &str) -> Vec<String> {
    let may_use = MAY_USE.iter().find(|(other, _)| *other == name).map_or(&[][..], |(_, may_use)| may_use);
    let manifest: Table = manifest.parse().unwrap();
    let tables = ["dependencies", "build-dependencies"].map(|table| manifest.get(table)?.as_table());
    let names = tables.into_iter().flatten().flat_map(Table::keys);
    let ours = names.filter_map(|name| name.strip_prefix("midashi-"));
    ours.filter(|name| !may_use.contains(name)).map(str::to_owned).collect()
}

/// The names of all packages that are compiled for `package`, itself among them.
pub fn dependencies(package: &str) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--edges", "normal,build", "--prefix", "none"])
        .args(["--format", "{p}", "--package", package])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    tree.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn a_dependency_that_has_no_leave_is_named() {
    let manifest = "[dependencies]\nmidashi-config.workspace = true\nmidashi-encoder = { path = \"../encoder\" }\nserde = \"1\"\n\
        [dev-dependencies]\nmidashi-runtime.workspace = true\n";
    assert_eq!(forbidden("stage", manifest), ["encoder"]);
    assert_eq!(forbidden("fetch", "[package]\nname = \"midashi-fetch\""), [""; 0]);
}
