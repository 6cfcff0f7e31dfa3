//! The architecture as ARCHITECTURE.md draws it: which crates depend on which, and no two files that import each
//! other.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

mod imports;
mod layers;

use std::fs;

use imports::{cycles, imports, read_sources};
use midashi_tests::root;

#[test]
fn no_two_files_of_a_crate_import_each_other() {
    let mut report = String::new();
    for name in layers::crates() {
        let imports = imports(&read_sources(&root().join("crates").join(&name).join("src")));
        for cycle in cycles(&imports) {
            let lines: Vec<String> = cycle.iter().map(|import| format!("\n  {import}")).collect();
            report += &format!("\ncrates/{name}/src:{}", lines.concat());
        }
    }
    assert!(
        report.is_empty(),
        "files import each other; move what they share into a file of its own:{report}"
    );
}

#[test]
fn crates_depend_on_lower_layers_only() {
    let crates = layers::crates();
    let known: Vec<&str> = layers::MAY_USE.iter().map(|(name, _)| *name).collect();
    for name in &crates {
        assert!(known.contains(&&**name), "crates/{name} has no row in tests/architecture/layers.rs");
        let manifest = root().join("crates").join(name).join("Cargo.toml");
        let unexpected = layers::forbidden(name, &fs::read_to_string(&manifest).unwrap());
        assert_eq!(
            unexpected,
            [""; 0],
            "{}: dependencies that ARCHITECTURE.md does not draw",
            manifest.display()
        );
    }
    for name in known {
        assert!(
            crates.iter().any(|other| other == name),
            "tests/architecture/layers.rs: there is no crates/{name}"
        );
    }
}

#[test]
fn fetch_ingest_and_render_do_not_compile_onnx_runtime() {
    for name in ["fetch", "ingest", "render"] {
        let package = format!("midashi-{name}");
        let dependencies = layers::dependencies(&package);
        assert!(dependencies.contains(&package) && dependencies.len() > 10, "{dependencies:?}");
        assert!(
            !dependencies.iter().any(|name| name == "ort"),
            "{package} depends on ort: run `cargo tree -p {package} -i ort`"
        );
    }
}
