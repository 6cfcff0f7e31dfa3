//! The columns that the model reads.

use anyhow::{Context, Result, anyhow, bail};
use arrow::array::{Array, AsArray, RecordBatch, StringArrayType};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema};
use midashi_config::TextChoice;
use midashi_table::{ColumnNames, Columns};
use midashi_text::cleaned;

use crate::input::{Arguments, list, plain_type};

/// The columns that the model reads.
#[derive(Clone, Debug, PartialEq)]
pub enum Texts {
    /// The only text.
    One(usize),
    /// A title and a body, which are read as a pair.
    Pair { title: usize, body: usize },
}

impl Texts {
    /// The columns of `schema` for a model that was trained on `choice`.
    ///
    /// # Errors
    /// When a given column is missing, none has a usual name, or one does not hold text.
    pub fn find(schema: &Schema, arguments: &Arguments, choice: TextChoice) -> Result<Self> {
        let named = |option: &str, name: &Option<String>| {
            let named = name.as_ref().map(|name| {
                let found = schema.fields().iter().position(|field| field.name() == name);
                found.ok_or_else(|| {
                    anyhow!("{option} {name}: there is no such column; found {}", list(schema))
                })
            });
            named.transpose()
        };
        let mut title = named("--text-column", &arguments.text_column)?;
        let mut body = named("--body-column", &arguments.body_column)?;
        if choice == TextChoice::Title && body.is_some() {
            bail!("--body-column: the model reads titles only; omit the option");
        }
        if title.is_none() && body.is_none() {
            let found = Columns::find(schema, &ColumnNames::default(), "column")?;
            title = found.title.map(|column| column.index);
            body = found.body.map(|column| column.index);
            if title.is_none() && schema.fields().len() == 1 {
                title = Some(0);
            }
        }
        let text = match (choice, title, body) {
            (TextChoice::TitleAndBody, Some(title), Some(body)) => Self::Pair { title, body },
            (TextChoice::Body, _, Some(text)) | (_, Some(text), _) | (_, None, Some(text)) => Self::One(text),
            (_, None, None) => bail!(
                "no column has a usual name of a text; found {}; name it with --text-column",
                list(schema)
            ),
        };
        text.check(schema)?;
        Ok(text)
    }

    fn check(&self, schema: &Schema) -> Result<()> {
        let columns = match *self {
            Self::One(text) => vec![text],
            Self::Pair { title, body } => vec![title, body],
        };
        for field in columns.into_iter().map(|column| schema.field(column)) {
            if !matches!(
                plain_type(field.data_type()),
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null
            ) {
                bail!(
                    "column {:?} is {}; expected text; name another with --text-column, or convert it",
                    field.name(),
                    field.data_type()
                );
            }
        }
        Ok(())
    }

    /// The rows with their texts, cleaned as those of a corpus. A missing text is an empty one.
    ///
    /// # Errors
    /// When a column cannot be read as text.
    pub fn read(&self, rows: &RecordBatch) -> Result<Vec<String>> {
        match *self {
            Self::One(text) => column(rows, text),
            Self::Pair { title, body } => {
                let pairs = column(rows, title)?.into_iter().zip(column(rows, body)?);
                // The first line feed ends the title.
                Ok(pairs.map(|(title, body)| format!("{}\n{body}", title.replace('\n', " "))).collect())
            }
        }
    }
}

fn column(rows: &RecordBatch, index: usize) -> Result<Vec<String>> {
    let column = rows.column(index);
    // Texts of any offset width are read where they are: a cast to 32-bit offsets has room for 2 GiB.
    match column.data_type() {
        DataType::Utf8 => Ok(strings(column.as_string::<i32>())),
        DataType::LargeUtf8 => Ok(strings(column.as_string::<i64>())),
        DataType::Utf8View => Ok(strings(column.as_string_view())),
        _ => {
            let texts = cast(column, &DataType::LargeUtf8).with_context(|| {
                format!("column {:?} cannot be read as text", rows.schema_ref().field(index).name())
            })?;
            Ok(strings(texts.as_string::<i64>()))
        }
    }
}

/// Cleaned texts; a missing one is empty.
fn strings<'a>(texts: impl StringArrayType<'a>) -> Vec<String> {
    texts.iter().map(|text| text.map(|text| cleaned(text).into_owned()).unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use arrow::datatypes::Field;

    use super::*;

    fn schema(names: &[&str]) -> Schema {
        Schema::new(names.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect::<Vec<_>>())
    }

    fn find(
        names: &[&str],
        choice: TextChoice,
        text: Option<&str>,
        body: Option<&str>,
    ) -> Result<Texts, String> {
        let named = |name: Option<&str>| name.map(str::to_owned);
        let arguments =
            Arguments { text_column: named(text), body_column: named(body), ..Arguments::default() };
        Texts::find(&schema(names), &arguments, choice).map_err(|error| error.to_string())
    }

    #[test]
    fn the_model_decides_between_title_and_body() {
        let names = ["id", "headline", "body"];
        assert_eq!(find(&names, TextChoice::Title, None, None), Ok(Texts::One(1)));
        assert_eq!(find(&names, TextChoice::Body, None, None), Ok(Texts::One(2)));
        assert_eq!(find(&names, TextChoice::TitleAndBody, None, None), Ok(Texts::Pair { title: 1, body: 2 }));
        assert_eq!(find(&["text"], TextChoice::TitleAndBody, None, None), Ok(Texts::One(0)));
        assert_eq!(find(&["anything"], TextChoice::Title, None, None), Ok(Texts::One(0)));
    }

    #[test]
    fn named_columns_win() {
        assert_eq!(find(&["text", "x"], TextChoice::Title, Some("x"), None), Ok(Texts::One(1)));
        let pair = find(&["text", "x", "y"], TextChoice::TitleAndBody, Some("x"), Some("y"));
        assert_eq!(pair, Ok(Texts::Pair { title: 1, body: 2 }));
    }

    #[test]
    fn a_column_that_is_not_there_is_an_error_that_lists_the_others() {
        let error = find(&["a", "b"], TextChoice::Title, Some("c"), None).unwrap_err();
        assert_eq!(error, "--text-column c: there is no such column; found \"a\", \"b\"");
        let error = find(&["a", "b"], TextChoice::Title, None, None).unwrap_err();
        assert!(error.starts_with("no column has a usual name of a text; found \"a\", \"b\""), "{error}");
        let error = find(&["a", "b"], TextChoice::Title, Some("a"), Some("b")).unwrap_err();
        assert!(error.contains("reads titles only"), "{error}");
        let numbers = Schema::new(vec![Field::new("text", DataType::Int64, true)]);
        let error = Texts::find(&numbers, &Arguments::default(), TextChoice::Title).unwrap_err().to_string();
        assert!(error.starts_with("column \"text\" is Int64; expected text"), "{error}");
    }

    #[test]
    fn a_title_has_one_line_and_a_missing_text_is_empty() {
        let columns: [(&str, ArrayRef); 3] = [
            ("title", Arc::new(StringArray::from(vec![Some("a\nb"), None]))),
            ("body", Arc::new(StringArray::from(vec!["c\nd", "e"]))),
            ("n", Arc::new(Int64Array::from(vec![1, 2]))),
        ];
        let rows = RecordBatch::try_from_iter(columns).unwrap();
        assert_eq!(Texts::Pair { title: 0, body: 1 }.read(&rows).unwrap(), ["a b\nc\nd", "\ne"]);
        assert_eq!(Texts::One(0).read(&rows).unwrap(), ["a\nb", ""]);
        let marked: ArrayRef = Arc::new(StringArray::from(vec!["\u{feff}\u{feff}a\rb\r\nc"]));
        let rows = RecordBatch::try_from_iter([("text", marked)]).unwrap();
        assert_eq!(Texts::One(0).read(&rows).unwrap(), ["a\nb\nc"], "as ingest reads a file");
    }
}
