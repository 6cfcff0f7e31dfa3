//! `explanations.parquet`: how much each token of a text mattered, by several methods, one row per
//! explained text.

use std::path::Path;

use midashi_stage::Provenance;

use crate::category::CategoryId;
use crate::column::{Row, row};
use crate::error::Result;
use crate::files::{categories_entry, read_categories, read_parquet, write_parquet};

row! {
    /// The explanations of one prediction. Each has one weight per token, special tokens included; signed
    /// weights are evidence for (positive) and against the category (negative).
    #[derive(Clone, Debug, PartialEq)]
    pub struct Explanation {
        /// The article's id.
        pub id: String,
        /// The explained category: the predicted one.
        pub category: CategoryId,
        /// Attention of `[CLS]` in each layer, mean over the heads: `[layers, tokens]`, rows sum to 1.
        pub layer_attention: Vec<Vec<f32>>,
        /// Attention rollout (Abnar and Zuidema 2020): `[tokens]`, sums to 1.
        pub rollout: Vec<f32>,
        /// Gradient of the category's logit with respect to the word embeddings, times these: `[tokens]`, signed.
        pub gradient_x_input: Vec<f32>,
        /// Integrated gradients (Sundararajan et al. 2017) of the category's logit: `[tokens]`, signed. Only
        /// for texts of the faithfulness sample.
        pub integrated_gradients: Option<Vec<f32>>,
        /// Loss of the category's probability without a word: `[tokens]`, signed, each word's number divided
        /// evenly among its tokens; 0 for special tokens. Only for texts of the faithfulness sample.
        pub leave_one_out: Option<Vec<f32>>,
        /// All attention, `[layers, heads, tokens, tokens]` in row-major order: of each token of the third axis
        /// to all of the fourth, where it sums to 1. Only for a few texts.
        pub attentions: Option<Vec<f32>>,
    }
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
        let columns = Explanation::columns(self.rows.iter(), &self.categories);
        write_parquet(path, columns, provenance, &[categories_entry(&self.categories)])
    }

    /// Reads `explanations.parquet`.
    ///
    /// # Errors
    /// When the file is missing or does not follow the schema.
    pub fn read(path: &Path) -> Result<Self> {
        read_parquet(path, "evaluate", |batch| {
            let categories = read_categories(batch)?;
            Ok(Self { rows: Explanation::read(batch, &categories)?, categories })
        })
    }
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
