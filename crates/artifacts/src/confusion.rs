//! The confusion matrix, kept and stored by its cells: of many categories most pairs have no text.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::category::{CategoryId, LISTED_CATEGORIES};

/// Numbers of texts by true and predicted category. Memory grows with the number of texts and not with the square of the
/// number of categories.
///
/// In JSON it is a matrix, `[i][j]`, of at most [`LISTED_CATEGORIES`] categories, and a list of its cells otherwise. A matrix
/// of any size is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Form", into = "Form")]
pub struct Confusion {
    categories: usize,
    /// Texts of each true and predicted category; pairs without texts are left out.
    cells: BTreeMap<(CategoryId, CategoryId), u64>,
}

/// The texts of one true and one predicted category.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfusionCell {
    /// The true category.
    pub label: CategoryId,
    /// The predicted category.
    pub predicted: CategoryId,
    /// Number of texts, at least 1.
    pub texts: u64,
}

/// The two forms in JSON.
#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "confusion is neither a square of numbers nor {\"categories\", \"cells\": [[true, predicted, texts]]}"
)]
enum Form {
    Matrix(Vec<Vec<u64>>),
    Cells { categories: usize, cells: Vec<(u16, u16, u64)> },
}

impl Confusion {
    /// Counts the texts with these true and predicted categories, whose indices are below `categories`.
    pub fn of(categories: usize, texts: impl IntoIterator<Item = (CategoryId, CategoryId)>) -> Self {
        let mut cells = BTreeMap::new();
        for pair in texts {
            *cells.entry(pair).or_default() += 1;
        }
        Self { categories, cells }
    }

    /// Number of categories.
    pub fn categories(&self) -> usize {
        self.categories
    }

    /// Number of texts of the category `label` that are classified as `predicted`.
    pub fn at(&self, label: CategoryId, predicted: CategoryId) -> u64 {
        self.cells.get(&(label, predicted)).copied().unwrap_or_default()
    }

    /// The cells with texts, by true and then by predicted category.
    pub fn cells(&self) -> impl Iterator<Item = ConfusionCell> {
        self.cells.iter().map(|(&(label, predicted), &texts)| ConfusionCell { label, predicted, texts })
    }

    /// The whole matrix, `[true][predicted]`, whose size is the square of the number of categories.
    pub fn matrix(&self) -> Vec<Vec<u64>> {
        let mut matrix = vec![vec![0; self.categories]; self.categories];
        for ConfusionCell { label, predicted, texts } in self.cells() {
            matrix[label.index()][predicted.index()] = texts;
        }
        matrix
    }
}

impl From<Confusion> for Form {
    fn from(confusion: Confusion) -> Self {
        if confusion.categories <= LISTED_CATEGORIES {
            return Self::Matrix(confusion.matrix());
        }
        let cell = |ConfusionCell { label, predicted, texts }| (label.0, predicted.0, texts);
        Self::Cells { categories: confusion.categories, cells: confusion.cells().map(cell).collect() }
    }
}

impl TryFrom<Form> for Confusion {
    type Error = String;

    fn try_from(form: Form) -> Result<Self, String> {
        let id = |at: usize| {
            u16::try_from(at).map(CategoryId).map_err(|_| format!("confusion has a category {at}"))
        };
        match form {
            Form::Matrix(rows) => {
                let categories = rows.len();
                let mut cells = BTreeMap::new();
                for (label, row) in rows.iter().enumerate() {
                    if row.len() != categories {
                        return Err(format!(
                            "confusion has {categories} rows and a row of {} numbers; expected {categories} × {categories}",
                            row.len()
                        ));
                    }
                    for (predicted, &texts) in row.iter().enumerate().filter(|(_, texts)| **texts > 0) {
                        cells.insert((id(label)?, id(predicted)?), texts);
                    }
                }
                Ok(Self { categories, cells })
            }
            Form::Cells { categories, cells } => {
                let beyond = cells.iter().find(|(label, predicted, _)| {
                    usize::from(*label).max(usize::from(*predicted)) >= categories
                });
                if let Some((label, predicted, _)) = beyond {
                    return Err(format!(
                        "confusion has a cell of the categories {label} and {predicted}; expected numbers below {categories}"
                    ));
                }
                let cell = |(label, predicted, texts)| ((CategoryId(label), CategoryId(predicted)), texts);
                let cells = cells.into_iter().filter(|(_, _, texts)| *texts > 0).map(cell);
                Ok(Self { categories, cells: cells.collect() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn confusion(categories: usize, texts: &[(u16, u16)]) -> Confusion {
        let pair = |&(label, predicted): &(u16, u16)| (CategoryId(label), CategoryId(predicted));
        Confusion::of(categories, texts.iter().map(pair))
    }

    #[test]
    fn up_to_the_bound_the_json_is_a_matrix_and_beyond_it_its_cells() {
        let few = confusion(3, &[(0, 0), (0, 2), (0, 2), (2, 1)]);
        let matrix = json!([[1, 0, 2], [0, 0, 0], [0, 1, 0]]);
        assert_eq!(serde_json::to_value(&few).unwrap(), matrix);
        assert_eq!(serde_json::from_value::<Confusion>(matrix).unwrap(), few);

        let last = confusion(LISTED_CATEGORIES, &[(49, 0)]);
        assert_eq!(serde_json::to_value(&last).unwrap().as_array().map(Vec::len), Some(LISTED_CATEGORIES));
        let many = confusion(10_000, &[(9_999, 0), (0, 9_999), (9_999, 0)]);
        let cells = json!({"categories": 10_000, "cells": [[0, 9_999, 1], [9_999, 0, 2]]});
        assert_eq!(serde_json::to_value(&many).unwrap(), cells);
        assert_eq!(serde_json::from_value::<Confusion>(cells).unwrap(), many);
    }

    #[test]
    fn a_matrix_of_many_categories_is_read_as_earlier_versions_wrote_it() {
        let count = LISTED_CATEGORIES + 1;
        let mut matrix = vec![vec![0; count]; count];
        matrix[count - 1][3] = 7;
        let read: Confusion = serde_json::from_value(json!(matrix)).unwrap();
        let last = CategoryId((count - 1) as u16);
        assert_eq!((read.categories(), read.at(last, CategoryId(3)), read.cells().count()), (count, 7, 1));
        assert_eq!(read.matrix(), matrix);
    }

    #[test]
    fn what_is_no_confusion_is_refused_with_what_was_expected() {
        let refused = |value| serde_json::from_value::<Confusion>(value).unwrap_err().to_string();
        let ragged = refused(json!([[1, 2], [3]]));
        assert!(ragged.contains("2 rows and a row of 1 numbers; expected 2 × 2"), "{ragged}");
        let beyond = refused(json!({"categories": 60, "cells": [[0, 60, 1]]}));
        assert!(beyond.contains("the categories 0 and 60; expected numbers below 60"), "{beyond}");
        let negative = refused(json!([[-1]]));
        assert!(negative.contains("neither a square of numbers nor"), "{negative}");
    }
}
