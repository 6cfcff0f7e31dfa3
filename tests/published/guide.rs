//! The guide's table of encoders against the fixture.

use std::collections::BTreeMap;
use std::fs;

use midashi_tests::root;

use crate::encoder::{Encoder, published};

/// The strings that braces stand for: `a{b,c}d` are `abd` and `acd`.
fn expand(text: &str) -> Vec<String> {
    let Some((before, rest)) = text.split_once('{') else { return vec![text.to_owned()] };
    let (choices, after) = rest.split_once('}').unwrap();
    let after = expand(after);
    let whole =
        |choice: &str| after.iter().map(|after| format!("{before}{choice}{after}")).collect::<Vec<_>>();
    choices.split(',').flat_map(whole).collect()
}

/// What the guide says of an encoder.
#[derive(Debug, PartialEq)]
struct Row {
    works: bool,
    /// Whether its settings are marked as not found.
    is_assumed: bool,
}

/// The guide's table, by id.
fn table() -> BTreeMap<String, Row> {
    let guide = fs::read_to_string(root().join("docs/guide.md")).unwrap();
    let (_, section) = guide.split_once("\n## Which encoders\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let mut table = BTreeMap::new();
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        let [ids, _, _, outcome] = cells[..] else { panic!("{row}: expected four cells") };
        // The ids are between backticks.
        for id in ids.split('`').skip(1).step_by(2).flat_map(expand) {
            let row = Row { works: outcome.starts_with("works"), is_assumed: ids.ends_with('°') };
            assert_eq!(table.insert(id.clone(), row), None, "{id} is there twice");
        }
    }
    table
}

#[test]
fn braces_in_the_guide_stand_for_several_encoders() {
    assert_eq!(expand("a/b{,-v2}-{x,y}"), ["a/b-x", "a/b-y", "a/b-v2-x", "a/b-v2-y"]);
    assert_eq!(expand("a/b"), ["a/b"]);
}

#[test]
fn the_guide_lists_every_published_encoder_and_whether_it_works() {
    let row = |encoder: &Encoder| Row { works: encoder.refused.is_none(), is_assumed: encoder.is_assumed };
    let expected: BTreeMap<_, _> =
        published().iter().map(|encoder| (encoder.id.clone(), row(encoder))).collect();
    assert_eq!(table(), expected);
}
