//! The columns that a prediction adds to a row.

use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use arrow::array::{
    ArrayRef, Float32Array, Float32Builder, Int32Builder, ListArray, ListBuilder, RecordBatch, StringArray,
    StringBuilder, StructArray, StructBuilder,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use midashi_classifier::{Scores, ranking};

use crate::explained::{Explained, Probability};

/// Which columns are added.
#[derive(Clone, Debug, Default, PartialEq, clap::Args)]
pub struct Arguments {
    /// Adds the K most probable categories to a table
    #[arg(long, value_name = "K", conflicts_with = "all")]
    pub top: Option<usize>,
    /// Adds the probability of every category to a table
    #[arg(long)]
    pub all: bool,
    /// In a table, leaves the category of a text empty if its probability is below this number
    #[arg(long, value_name = "PROBABILITY")]
    pub threshold: Option<f32>,
    /// Begins the names of the added columns, for a table that has a column of such a name already
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub prefix: String,
}

/// How a format holds several values of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// As lists and objects.
    Nested,
    /// As a column each.
    Flat,
}

/// The columns of the output: the input's and those of the predictions.
pub struct Columns {
    labels: Vec<String>,
    arguments: Arguments,
    shape: Shape,
    has_words: bool,
    schema: SchemaRef,
}

/// A text's prediction and, if they were asked for, the weights of its words.
#[derive(Clone, Debug)]
pub struct Row {
    /// Probability of each category; none for a text without words.
    pub probabilities: Option<Vec<f32>>,
    /// None for a text without words, or if no weights were asked for.
    pub explained: Option<Explained>,
    /// Whether the end of the text was truncated.
    pub truncated: bool,
}

const PREDICTED: &str = "predicted";
const PROBABILITY: &str = "probability";
const CATEGORY: &str = "category";

impl Arguments {
    /// The option that only tables have, if one is given.
    pub fn given(&self) -> Option<&'static str> {
        [
            ("--top", self.top.is_some()),
            ("--all", self.all),
            ("--threshold", self.threshold.is_some()),
            ("--prefix", !self.prefix.is_empty()),
        ]
        .into_iter()
        .find_map(|(option, given)| given.then_some(option))
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// When one is out of range for a model with `labels` categories.
    pub fn check(&self, labels: usize) -> Result<()> {
        if let Some(top) = self.top {
            ensure!(
                (1..=labels).contains(&top),
                "--top is {top}; expected 1 to {labels}, the model's categories"
            );
        }
        if let Some(threshold) = self.threshold {
            ensure!((0.0..=1.0).contains(&threshold), "--threshold is {threshold}; expected 0 to 1");
        }
        Ok(())
    }
}

impl Row {
    /// Without the weights of words.
    pub fn of(scores: Option<Scores>) -> Self {
        let truncated = scores.as_ref().is_some_and(|scores| scores.truncated);
        Self { probabilities: scores.map(|scores| scores.probabilities), explained: None, truncated }
    }

    /// A text's explanation; none for one without words.
    pub fn explained(explained: Option<Explained>) -> Self {
        let probability = |category: &Probability| category.probability;
        let probabilities = |explained: &Explained| explained.probabilities.iter().map(probability).collect();
        let truncated = explained.as_ref().is_some_and(|explained| explained.truncated);
        Self { probabilities: explained.as_ref().map(probabilities), explained, truncated }
    }

    /// The `most` most probable categories and their probabilities, the most probable first.
    fn ranking(&self, most: usize) -> Vec<(usize, f32)> {
        let probabilities = self.probabilities.as_deref().unwrap_or_default();
        ranking(probabilities, most).into_iter().map(|id| (id.index(), probabilities[id.index()])).collect()
    }

    fn best(&self) -> Option<(usize, f32)> {
        self.ranking(1).into_iter().next()
    }
}

impl Columns {
    /// The columns for rows of `input`.
    ///
    /// # Errors
    /// When the input has a column of an added name.
    pub fn new(
        input: &Schema,
        labels: &[String],
        arguments: &Arguments,
        shape: Shape,
        has_words: bool,
    ) -> Result<Self> {
        let mut columns = Self {
            labels: labels.to_vec(),
            arguments: arguments.clone(),
            shape,
            has_words,
            schema: Arc::new(Schema::empty()),
        };
        let added: Vec<Field> = columns
            .added(&[])?
            .into_iter()
            .map(|(name, array)| Field::new(name, array.data_type().clone(), true))
            .collect();
        for field in &added {
            if input.field_with_name(field.name()).is_ok() {
                bail!(
                    "the input has a column {:?} already; give another name to the added columns, such as --prefix bert_",
                    field.name()
                );
            }
        }
        let kept = input.fields().iter().cloned();
        let fields: Vec<Arc<Field>> = kept.chain(added.into_iter().map(Arc::new)).collect();
        columns.schema = Arc::new(Schema::new_with_metadata(fields, input.metadata().clone()));
        Ok(columns)
    }

    /// All columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The category that a row gets: none without words or below the threshold.
    pub fn category(&self, row: &Row) -> Option<&str> {
        let (category, probability) = row.best()?;
        let is_sure = self.arguments.threshold.is_none_or(|threshold| probability >= threshold);
        is_sure.then(|| self.labels[category].as_str())
    }

    /// `rows` with the columns of their predictions.
    ///
    /// # Errors
    /// When the numbers of rows differ.
    pub fn add(&self, rows: &RecordBatch, predictions: &[Row]) -> Result<RecordBatch> {
        let added = self.added(predictions)?.into_iter().map(|(_, array)| array);
        let columns = rows.columns().iter().cloned().chain(added).collect();
        Ok(RecordBatch::try_new(self.schema.clone(), columns)?)
    }

    fn added(&self, rows: &[Row]) -> Result<Vec<(String, ArrayRef)>> {
        let name = |name: &str| format!("{}{name}", self.arguments.prefix);
        let probability = |row: &Row| row.best().map(|(_, probability)| probability);
        let predicted: StringArray = rows.iter().map(|row| self.category(row)).collect();
        let probability: Float32Array = rows.iter().map(probability).collect();
        let mut columns: Vec<(String, ArrayRef)> =
            vec![(name(PREDICTED), Arc::new(predicted)), (name(PROBABILITY), Arc::new(probability))];
        if let Some(top) = self.arguments.top {
            match self.shape {
                Shape::Nested => columns.push((name("top"), Arc::new(self.top(rows, top)))),
                Shape::Flat => {
                    let rankings: Vec<_> = rows.iter().map(|row| row.ranking(top)).collect();
                    for place in 1..top {
                        let (categories, probabilities) = self.at_place(&rankings, place);
                        columns.push((name(&format!("{PREDICTED}_{}", place + 1)), categories));
                        columns.push((name(&format!("{PROBABILITY}_{}", place + 1)), probabilities));
                    }
                }
            }
        }
        if self.arguments.all {
            let all = self.labels.iter().enumerate().map(|(label, category)| {
                let of_row = |row: &Row| Some(row.probabilities.as_ref()?[label]);
                let array: ArrayRef = Arc::new(rows.iter().map(of_row).collect::<Float32Array>());
                (category.as_str(), array)
            });
            match self.shape {
                Shape::Flat => {
                    columns
                        .extend(all.map(|(label, array)| (name(&format!("{PROBABILITY}_{label}")), array)));
                }
                Shape::Nested => {
                    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) =
                        all.map(|(label, array)| (Field::new(label, DataType::Float32, true), array)).unzip();
                    let present: NullBuffer =
                        rows.iter().map(|row| row.probabilities.is_some()).collect::<Vec<_>>().into();
                    let all = StructArray::try_new(Fields::from(fields), arrays, Some(present))?;
                    columns.push((name("probabilities"), Arc::new(all)));
                }
            }
        }
        if self.has_words {
            columns.push((name("words"), Arc::new(words(rows))));
        }
        Ok(columns)
    }

    /// The most probable categories of each row, whatever the threshold.
    fn top(&self, rows: &[Row], top: usize) -> ListArray {
        let fields =
            [Field::new(CATEGORY, DataType::Utf8, true), Field::new(PROBABILITY, DataType::Float32, true)];
        let mut list = list_of(&fields);
        for row in rows {
            for (category, probability) in row.ranking(top) {
                let item = list.values();
                append(item, 0, |field: &mut StringBuilder| field.append_value(&self.labels[category]));
                append(item, 1, |field: &mut Float32Builder| field.append_value(probability));
                item.append(true);
            }
            list.append(row.probabilities.is_some());
        }
        list.finish()
    }

    /// The category at a place of the ranking, from 0, and its probability.
    fn at_place(&self, rankings: &[Vec<(usize, f32)>], place: usize) -> (ArrayRef, ArrayRef) {
        let (mut categories, mut probabilities) = (StringBuilder::new(), Float32Builder::new());
        for ranking in rankings {
            let ranked = ranking.get(place).copied();
            categories.append_option(ranked.map(|(category, _)| &self.labels[category]));
            probabilities.append_option(ranked.map(|(_, probability)| probability));
        }
        (Arc::new(categories.finish()), Arc::new(probabilities.finish()))
    }
}

/// The words of each text, or its tokens if the tokenizer has no words, with their places and weights.
fn words(rows: &[Row]) -> ListArray {
    let fields = [
        Field::new("word", DataType::Utf8, true),
        Field::new("start", DataType::Int32, true),
        Field::new("end", DataType::Int32, true),
        Field::new("weight", DataType::Float32, true),
    ];
    let mut list = list_of(&fields);
    for row in rows {
        for word in row.explained.iter().flat_map(Explained::coloured) {
            let item = list.values();
            let (start, end) = word.characters;
            append(item, 0, |field: &mut StringBuilder| field.append_value(&word.text));
            append(item, 1, |field: &mut Int32Builder| field.append_value(start as i32));
            append(item, 2, |field: &mut Int32Builder| field.append_value(end as i32));
            append(item, 3, |field: &mut Float32Builder| field.append_value(word.weight as f32));
            item.append(true);
        }
        list.append(row.explained.is_some());
    }
    list.finish()
}

fn list_of(fields: &[Field]) -> ListBuilder<StructBuilder> {
    ListBuilder::new(StructBuilder::from_fields(fields.to_vec(), 0))
}

fn append<B: arrow::array::ArrayBuilder>(item: &mut StructBuilder, field: usize, add: impl FnOnce(&mut B)) {
    if let Some(builder) = item.field_builder::<B>(field) {
        add(builder);
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Array;

    use super::*;
    use crate::sample::words as sample;

    fn row(probabilities: [f32; 3]) -> Row {
        Row { probabilities: Some(probabilities.to_vec()), explained: None, truncated: false }
    }

    fn rows() -> Vec<Row> {
        vec![row([0.125, 0.75, 0.125]), Row::of(None), row([0.5, 0.25, 0.25])]
    }

    /// The added columns as JSON Lines.
    fn added(arguments: &Arguments, shape: Shape, rows: &[Row], has_words: bool) -> Vec<String> {
        let ids: ArrayRef =
            Arc::new(StringArray::from_iter_values((0..rows.len()).map(|row| row.to_string())));
        let input = RecordBatch::try_from_iter([("id", ids)]).unwrap();
        let labels = ["a", "b", "c"].map(str::to_owned);
        let columns = Columns::new(input.schema_ref(), &labels, arguments, shape, has_words).unwrap();
        let output = columns.add(&input, rows).unwrap();
        let mut lines = arrow::json::writer::WriterBuilder::new()
            .with_explicit_nulls(true)
            .build::<_, arrow::json::writer::LineDelimited>(Vec::new());
        lines.write(&output).unwrap();
        lines.finish().unwrap();
        String::from_utf8(lines.into_inner()).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_row_without_words_and_one_below_the_threshold_have_no_category() {
        let arguments = Arguments { threshold: Some(0.75), ..Arguments::default() };
        assert_eq!(
            added(&arguments, Shape::Flat, &rows(), false),
            [
                r#"{"id":"0","predicted":"b","probability":0.75}"#,
                r#"{"id":"1","predicted":null,"probability":null}"#,
                r#"{"id":"2","predicted":null,"probability":0.5}"#,
            ]
        );
    }

    #[test]
    fn the_best_categories_are_a_list_or_columns() {
        let arguments = Arguments { top: Some(2), prefix: "x_".into(), ..Arguments::default() };
        assert_eq!(
            added(&arguments, Shape::Nested, &rows()[..2], false),
            [
                r#"{"id":"0","x_predicted":"b","x_probability":0.75,"x_top":[{"category":"b","probability":0.75},{"category":"a","probability":0.125}]}"#,
                r#"{"id":"1","x_predicted":null,"x_probability":null,"x_top":null}"#,
            ]
        );
        assert_eq!(
            added(&arguments, Shape::Flat, &rows()[..2], false),
            [
                r#"{"id":"0","x_predicted":"b","x_probability":0.75,"x_predicted_2":"a","x_probability_2":0.125}"#,
                r#"{"id":"1","x_predicted":null,"x_probability":null,"x_predicted_2":null,"x_probability_2":null}"#,
            ]
        );
    }

    #[test]
    fn all_probabilities_are_an_object_or_columns() {
        let arguments = Arguments { all: true, ..Arguments::default() };
        assert_eq!(
            added(&arguments, Shape::Nested, &rows()[..2], false),
            [
                r#"{"id":"0","predicted":"b","probability":0.75,"probabilities":{"a":0.125,"b":0.75,"c":0.125}}"#,
                r#"{"id":"1","predicted":null,"probability":null,"probabilities":null}"#,
            ]
        );
        let flat = added(&arguments, Shape::Flat, &rows()[2..], false);
        assert!(
            flat[0].ends_with(r#""probability_a":0.5,"probability_b":0.25,"probability_c":0.25}"#),
            "{flat:?}"
        );
    }

    #[test]
    fn words_come_with_their_places_and_weights() {
        let explained = Row::explained(Some(sample()));
        let lines = added(&Arguments::default(), Shape::Nested, &[explained, rows().remove(1)], true);
        let words = r#""words":[{"word":"モデル","start":0,"end":3,"weight":0.375},{"word":"夏","start":4,"end":5,"weight":0.75}]}"#;
        assert!(lines[0].ends_with(words), "{}", lines[0]);
        assert!(lines[1].ends_with(r#""words":null}"#), "{}", lines[1]);
    }

    #[test]
    fn a_column_of_the_input_is_never_replaced() {
        let input = Schema::new(vec![Field::new("predicted", DataType::Utf8, true)]);
        let labels = ["a".to_owned()];
        let columns = |prefix: &str| {
            let arguments = Arguments { prefix: prefix.into(), ..Arguments::default() };
            Columns::new(&input, &labels, &arguments, Shape::Flat, false)
        };
        let error = columns("").err().unwrap().to_string();
        assert!(error.starts_with("the input has a column \"predicted\" already"), "{error}");
        assert_eq!(columns("bert_").unwrap().schema().fields().len(), 3);
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        let check = |arguments: Arguments| arguments.check(3).map_err(|error| error.to_string());
        let top = |top| check(Arguments { top: Some(top), ..Arguments::default() });
        assert_eq!(top(3), Ok(()));
        assert_eq!(top(4).unwrap_err(), "--top is 4; expected 1 to 3, the model's categories");
        assert!(top(0).is_err());
        let threshold = |threshold| check(Arguments { threshold: Some(threshold), ..Arguments::default() });
        assert_eq!(threshold(1.0), Ok(()));
        assert_eq!(threshold(1.5).unwrap_err(), "--threshold is 1.5; expected 0 to 1");
        assert!(threshold(f32::NAN).is_err());
    }

    #[test]
    fn types_do_not_depend_on_the_rows() {
        let arguments = Arguments { all: true, ..Arguments::default() };
        let labels = ["a", "b", "c"].map(str::to_owned);
        let columns = Columns::new(&Schema::empty(), &labels, &arguments, Shape::Nested, true).unwrap();
        let found = columns.added(&rows()).unwrap();
        for (field, (name, array)) in columns.schema().fields().iter().zip(&found) {
            assert_eq!((field.name(), field.data_type()), (name, array.data_type()));
        }
    }
}
