//! `explanations.parquet`: how much each token of a text mattered, by several methods, one row per
//! explained text.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, ListArray, RecordBatch};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{Field, Schema};

use crate::columns::{categories, float_row, list_column, lists, read_categories, string_column, strings};
use crate::corpus::{CategoryId, json_list, read_names};
use crate::files::{bad_artifact, read_parquet, with_metadata, write_parquet};
use crate::{Error, Result};
use midashi_stage::Provenance;

const STAGE: &str = "evaluate";

/// What explains one text. Weights have one number for each token, special tokens included; those
/// that speak for and against the category are signed.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The article's id.
    pub id: String,
    /// The category that is explained: the predicted one.
    pub category: CategoryId,
    /// What `[CLS]` attends to in each layer, mean over the heads: `[layers, tokens]`, rows sum to 1.
    pub layer_attention: Vec<Vec<f32>>,
    /// Attention rollout (Abnar and Zuidema 2020): `[tokens]`, sums to 1.
    pub rollout: Vec<f32>,
    /// Gradient of the category's logit with respect to the word embeddings, times these: `[tokens]`, signed.
    pub gradient_x_input: Vec<f32>,
    /// Integrated gradients (Sundararajan et al. 2017) of the category's logit: `[tokens]`, signed. Of the
    /// texts of the faithfulness sample.
    pub integrated_gradients: Option<Vec<f32>>,
    /// How much of the category's probability is lost with a word: `[tokens]`, signed, each word's number
    /// divided evenly among its tokens; 0 for special tokens. Of the texts of the faithfulness sample.
    pub leave_one_out: Option<Vec<f32>>,
    /// All attention, `[layers, heads, tokens, tokens]` in row-major order: of each token in the third axis
    /// to all in the fourth, where it sums to 1. Of a few texts.
    pub attentions: Option<Vec<f32>>,
}

/// All explanations.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanations {
    /// Category names.
    pub categories: Vec<String>,
    /// In the order of `predictions.parquet`.
    pub rows: Vec<Explanation>,
}

impl Explanations {
    /// Writes `explanations.parquet`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path, provenance: &Provenance) -> Result<()> {
        let rows = &self.rows;
        let layers = rows.iter().flat_map(|row| &row.layer_attention);
        let layers = floats(layers.map(|layer| Some(layer.as_slice())));
        let layers = list_column(rows.iter().map(|row| row.layer_attention.len()), layers);
        let all = |of: fn(&Explanation) -> &Vec<f32>| floats(rows.iter().map(|row| Some(of(row).as_slice())));
        let some =
            |of: fn(&Explanation) -> &Option<Vec<f32>>| floats(rows.iter().map(|row| of(row).as_deref()));
        let columns: Vec<(&str, ArrayRef, bool)> = vec![
            ("id", string_column(rows.iter().map(|row| &row.id)), false),
            ("category", categories(rows.iter().map(|row| row.category.0), &self.categories), false),
            ("layer_attention", layers, false),
            ("rollout", all(|row| &row.rollout), false),
            ("gradient_x_input", all(|row| &row.gradient_x_input), false),
            ("integrated_gradients", some(|row| &row.integrated_gradients), true),
            ("leave_one_out", some(|row| &row.leave_one_out), true),
            ("attentions", some(|row| &row.attentions), true),
        ];
        let field = |(name, column, nullable): &(&str, ArrayRef, bool)| {
            Field::new(*name, column.data_type().clone(), *nullable)
        };
        let fields: Vec<Field> = columns.iter().map(field).collect();
        let metadata = [("midashi.categories", json_list(&self.categories))];
        let schema = with_metadata(Schema::new(fields), provenance, &metadata);
        let columns = columns.into_iter().map(|(_, column, _)| column).collect();
        let batch = RecordBatch::try_new(schema, columns).map_err(Error::encode(path))?;
        write_parquet(path, &batch)
    }

    /// Reads `explanations.parquet`.
    ///
    /// # Errors
    /// When the file is missing or is not what [`Explanations::write`] writes.
    pub fn read(path: &Path) -> Result<Self> {
        let batch = read_parquet(path, STAGE)?;
        Self::from_batch(&batch).map_err(|message| bad_artifact(path, STAGE)(&message))
    }

    fn from_batch(batch: &RecordBatch) -> Result<Self, String> {
        let categories = read_names(batch, "midashi.categories")?;
        let (keys, names) = read_categories(batch, "category")?;
        let place = |key: u16| categories.iter().position(|name| *name == names[usize::from(key)]);
        let (id, layers) = (strings(batch, "id")?, lists(batch, "layer_attention")?);
        let [rollout, gradient, integrated, leave_one_out, attentions] =
            ["rollout", "gradient_x_input", "integrated_gradients", "leave_one_out", "attentions"]
                .map(|name| lists(batch, name));
        let (rollout, gradient) = (rollout?, gradient?);
        let (integrated, leave_one_out, attentions) = (integrated?, leave_one_out?, attentions?);
        let some = |list: &ListArray, row| list.is_valid(row).then(|| float_row(list, row)).transpose();
        let row = |row: usize| {
            let by_layer = layers.value(row);
            let by_layer = by_layer.as_list_opt::<i32>().ok_or("layer_attention is not a list of lists")?;
            Ok(Explanation {
                id: id.value(row).to_owned(),
                category: CategoryId(place(keys[row]).ok_or("a category is not in the metadata")? as u16),
                layer_attention: (0..by_layer.len())
                    .map(|layer| float_row(by_layer, layer))
                    .collect::<Result<_, _>>()?,
                rollout: float_row(rollout, row)?,
                gradient_x_input: float_row(gradient, row)?,
                integrated_gradients: some(integrated, row)?,
                leave_one_out: some(leave_one_out, row)?,
                attentions: some(attentions, row)?,
            })
        };
        let rows = (0..batch.num_rows()).map(row).collect::<Result<_, String>>()?;
        Ok(Self { categories, rows })
    }
}

/// A column of lists of float32; null where there is none.
fn floats<'a>(rows: impl Iterator<Item = Option<&'a [f32]>> + Clone) -> ArrayRef {
    let items = Float32Array::from_iter_values(rows.clone().flatten().flatten().copied());
    let field = Arc::new(Field::new_list_field(items.data_type().clone(), false));
    let offsets = OffsetBuffer::from_lengths(rows.clone().map(|row| row.map_or(0, <[f32]>::len)));
    let nulls: Vec<bool> = rows.map(|row| row.is_some()).collect();
    let nulls = nulls.contains(&false).then(|| NullBuffer::from(nulls));
    Arc::new(ListArray::new(field, offsets, Arc::new(items), nulls))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explanations_read_back_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("explanations.parquet");
        let row = |tokens: usize, sampled: bool| Explanation {
            id: format!("{tokens}"),
            category: CategoryId(1),
            layer_attention: vec![vec![0.5; tokens], vec![0.25; tokens]],
            rollout: vec![0.125; tokens],
            gradient_x_input: vec![-1.5; tokens],
            integrated_gradients: sampled.then(|| vec![-0.5; tokens]),
            leave_one_out: sampled.then(|| vec![0.5; tokens]),
            attentions: (tokens == 2).then(|| (0..8).map(|at| at as f32).collect()),
        };
        let categories = vec!["a".into(), "b".into()];
        let explanations = Explanations { categories, rows: vec![row(3, false), row(2, true), row(4, true)] };
        explanations.write(&path, &Provenance(vec![])).unwrap();
        assert_eq!(Explanations::read(&path).unwrap(), explanations);
    }
}
