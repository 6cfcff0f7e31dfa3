//! Names of integer labels as Hugging Face's `datasets` stores them: in the metadata of Parquet and Arrow files, in
//! `dataset_infos.json` and in the front matter of `README.md`.

use std::fs;
use std::path::Path;

use arrow::datatypes::Schema;
use serde::Serialize;
use serde_json::Value;

/// The key of the metadata that `datasets` writes.
const METADATA_KEY: &str = "huggingface";

/// The number of folders above a table that may describe it: `data/` and a configuration's folder.
const FOLDERS_ABOVE: usize = 3;

/// Names of labels with the place where they were found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Features {
    /// The names of the labels 0, 1, …
    pub names: Vec<String>,
    /// Where they are from, for messages.
    #[serde(skip)]
    pub origin: String,
}

impl Features {
    /// The names of the labels in the column `column` of the table `path`, whose schema is `schema`, if anything describes
    /// them.
    pub fn of(schema: &Schema, path: &Path, column: &str) -> Option<Self> {
        let found = |names, origin: String| Self { names, origin };
        let metadata = schema.metadata().get(METADATA_KEY);
        if let Some(names) = metadata.and_then(|text| names_in_json(text, column)) {
            return Some(found(names, format!("the metadata of {}", path.display())));
        }
        for folder in path.ancestors().skip(1).take(FOLDERS_ABOVE) {
            for name in ["dataset_info.json", "dataset_infos.json", "README.md"] {
                let path = folder.join(name);
                let Ok(text) = fs::read_to_string(&path) else { continue };
                let names = match name {
                    "README.md" => names_in_card(&text, column),
                    _ => names_in_json(&text, column),
                };
                if let Some(names) = names {
                    return Some(found(names, path.display().to_string()));
                }
            }
        }
        None
    }
}

/// The names in JSON, in which the features may be at any depth: `{"info": {"features": …}}` in metadata,
/// `{"<configuration>": {"features": …}}` in a file.
fn names_in_json(text: &str, column: &str) -> Option<Vec<String>> {
    find(&serde_json::from_str(text).ok()?, column, 0)
}

fn find(value: &Value, column: &str, depth: usize) -> Option<Vec<String>> {
    const DEEPEST: usize = 3;
    if let Some(feature) = value.get("features").and_then(|features| features.get(column)) {
        let names = feature.get("names")?.as_array()?;
        return names.iter().map(|name| Some(name.as_str()?.to_owned())).collect();
    }
    if depth == DEEPEST {
        return None;
    }
    value.as_object()?.values().find_map(|inner| find(inner, column, depth + 1))
}

/// The names in a dataset's card. `datasets` writes them in this form (only these lines are read; YAML has many others):
///
/// ```yaml
///   - name: label
///     dtype:
///       class_label:
///         names:
///           '0': sports
/// ```
fn names_in_card(text: &str, column: &str) -> Option<Vec<String>> {
    let front_matter = text.strip_prefix("---")?.split("\n---").next()?;
    let mut lines = front_matter.lines().map(|line| line.trim_end());
    let indent = |line: &str| line.len() - line.trim_start().len();
    let start = lines
        .find(|line| line.trim_start().strip_prefix("- name: ").map(unquoted).as_deref() == Some(column))?;
    let feature: Vec<&str> = lines.take_while(|line| indent(line) > indent(start)).collect();
    let names_at = feature.iter().position(|line| line.trim() == "names:")?;
    feature[..names_at].iter().find(|line| line.trim() == "class_label:")?;
    let deep = indent(feature[names_at]);
    let entries = feature[names_at + 1..].iter().take_while(|line| indent(line) > deep);
    let mut names: Vec<(usize, String)> = Vec::new();
    for entry in entries {
        let (number, name) = entry.trim().split_once(": ")?;
        names.push((unquoted(number).parse().ok()?, unquoted(name)));
    }
    names.sort();
    let is_complete = names.iter().enumerate().all(|(at, (number, _))| at == *number);
    (is_complete && !names.is_empty()).then(|| names.into_iter().map(|(_, name)| name).collect())
}

/// A YAML scalar without its quotes.
fn unquoted(text: &str) -> String {
    let text = text.trim();
    match text.strip_prefix('\'').and_then(|inner| inner.strip_suffix('\'')) {
        Some(inner) => inner.replace("''", "'"),
        None => serde_json::from_str(text).unwrap_or_else(|_| text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `datasets` 4 writes it into Parquet files.
    const METADATA: &str = r#"{"info": {"features": {"text": {"dtype": "string", "_type": "Value"},
        "label": {"names": ["sports", "it"], "_type": "ClassLabel"}}}}"#;

    const CARD: &str = "---\nlicense: mit\ndataset_info:\n  features:\n  - name: text\n    dtype: string\n  - name: label\n    \
        dtype:\n      class_label:\n        names:\n          '1': 'it''s'\n          '0': \"スポーツ\"\n  splits:\n  - name: \
        train\n    num_bytes: 1\n---\n# Card\n";

    #[test]
    fn names_are_found_in_json_at_any_depth() {
        let names = Some(vec!["sports".to_owned(), "it".to_owned()]);
        assert_eq!(names_in_json(METADATA, "label"), names);
        assert_eq!(names_in_json(&format!("{{\"default\": {METADATA}}}"), "label"), names);
        assert_eq!(names_in_json(METADATA, "text"), None);
        assert_eq!(names_in_json("not json", "label"), None);
    }

    #[test]
    fn names_are_found_in_a_card() {
        assert_eq!(names_in_card(CARD, "label"), Some(vec!["スポーツ".to_owned(), "it's".to_owned()]));
        assert_eq!(names_in_card(CARD, "text"), None);
        assert_eq!(names_in_card("# No front matter", "label"), None);
        assert_eq!(names_in_card(&CARD.replace("'1'", "'2'"), "label"), None, "a gap");
    }

    #[test]
    fn a_table_is_described_by_the_folders_above_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("data")).unwrap();
        fs::write(folder.path().join("README.md"), CARD).unwrap();
        let table = folder.path().join("data/train.csv");
        let found = Features::of(&Schema::empty(), &table, "label").unwrap();
        assert_eq!(found.names, ["スポーツ", "it's"]);
        assert!(found.origin.ends_with("README.md"));
        let metadata = std::collections::HashMap::from([(METADATA_KEY.to_owned(), METADATA.to_owned())]);
        let schema = Schema::new_with_metadata(arrow::datatypes::Fields::empty(), metadata);
        assert_eq!(Features::of(&schema, &table, "label").unwrap().names, ["sports", "it"]);
    }
}
