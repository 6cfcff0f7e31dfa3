//! Recognising columns by their names.
#![allow(clippy::unwrap_used, missing_docs)]

use arrow::datatypes::{DataType, Field, Schema};
use midashi_table::{ColumnNames, Columns, Role};

fn schema(names: &[&str]) -> Schema {
    Schema::new(names.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect::<Vec<_>>())
}

fn found(names: &[&str], given: &ColumnNames) -> [Option<String>; 5] {
    let columns = Columns::find(&schema(names), given, "corpus.columns").unwrap();
    Role::ALL.map(|role| columns.get(role).map(|column| column.name.clone()))
}

#[test]
fn usual_names_are_recognised() {
    let cases: [(&[&str], [&str; 5]); 9] = [
        (&["text", "label"], ["", "text", "", "label", ""]),
        (&["Label", "Sentence"], ["", "Sentence", "", "Label", ""]),
        (&["id", "title", "text", "category", "split"], ["id", "title", "text", "category", "split"]),
        (&["headline", "body", "class"], ["", "headline", "body", "class", ""]),
        (&["content", "label"], ["", "content", "", "label", ""]),
        (&["label", "text", "label_text"], ["", "text", "", "label_text", ""]),
        (&["本文", "タイトル", "カテゴリ"], ["", "タイトル", "本文", "カテゴリ", ""]),
        (&["review_body", "text", "genre"], ["", "text", "review_body", "genre", ""]),
        (&["a", "b"], ["", "", "", "", ""]),
    ];
    for (names, expected) in cases {
        let expected = expected.map(|name| (!name.is_empty()).then(|| name.to_owned()));
        assert_eq!(found(names, &ColumnNames::default()), expected, "{names:?}");
    }
}

#[test]
fn named_columns_come_before_recognised_ones() {
    let given = ColumnNames { title: Some("text".into()), label: Some("x".into()), ..ColumnNames::default() };
    let expected = [None, Some("text".into()), Some("title".into()), Some("x".into()), None];
    // The title that has no role is not a body either.
    let expected = [expected[0].clone(), expected[1].clone(), None, expected[3].clone(), None];
    assert_eq!(found(&["title", "text", "label", "x"], &given), expected);
    let body = ColumnNames { body: Some("text".into()), ..ColumnNames::default() };
    assert_eq!(
        found(&["text", "label"], &body),
        [None, None, Some("text".into()), Some("label".into()), None]
    );
}

#[test]
fn a_missing_column_is_an_error_that_lists_those_that_are_there() {
    let schema = schema(&["見出し", "ラベル名"]);
    let given = ColumnNames { label: Some("label".into()), ..ColumnNames::default() };
    let message = Columns::find(&schema, &given, "corpus.columns").unwrap_err().to_string();
    assert_eq!(
        message,
        "corpus.columns.label names the column \"label\", but found \"見出し\", \"ラベル名\""
    );
    let columns = Columns::find(&schema, &ColumnNames::default(), "corpus.columns").unwrap();
    assert_eq!(columns.need(Role::Title, &schema, "corpus.columns").unwrap().index, 0);
    assert_eq!(
        columns.need(Role::Label, &schema, "corpus.columns").unwrap_err().to_string(),
        "no column has a usual name of a label; found \"見出し\", \"ラベル名\"; set corpus.columns.label to one \
         of them"
    );
}

#[test]
fn a_column_has_one_role() {
    let given =
        ColumnNames { title: Some("text".into()), body: Some("text".into()), ..ColumnNames::default() };
    let message = Columns::find(&schema(&["text"]), &given, "corpus.columns").unwrap_err().to_string();
    assert_eq!(
        message,
        "corpus.columns.title and corpus.columns.body both name the column \"text\"; expected different columns"
    );
}
