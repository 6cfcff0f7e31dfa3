//! The probabilities of the explorer's texts. Of many categories the page has the most probable ones of each text: those of
//! 10,000 categories for 2,000 texts would be 100 MB.

use midashi_artifacts::{LISTED_CATEGORIES, Prediction, Predictions};
use serde::Serialize;

use crate::data::base64_of;

/// Probabilities that are kept of each text if there are many categories: readers look at the first few.
const KEPT: usize = 10;

/// The probabilities of all texts, as little-endian numbers in base64.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Probabilities {
    /// float32, shape `[texts, categories]` or, with `kept`, `[texts, kept]`.
    pub probabilities: String,
    /// uint16, shape `[texts, kept]`: the category of each probability, from the most probable to the least. None if the
    /// probabilities of all categories are there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
}

impl Probabilities {
    /// All probabilities of at most [`LISTED_CATEGORIES`] categories, and of more those of the label, of the predicted category
    /// and of the most probable other ones.
    pub fn of(predictions: &Predictions) -> Self {
        let rows = predictions.rows.iter();
        if predictions.categories.len() <= LISTED_CATEGORIES {
            let all = rows.flat_map(|row| &row.probabilities);
            return Self { probabilities: base64_of(all.map(|number| number.to_le_bytes())), kept: None };
        }
        let kept: Vec<(u16, f32)> = rows.flat_map(kept).collect();
        Self {
            probabilities: base64_of(kept.iter().map(|(_, number)| number.to_le_bytes())),
            kept: Some(base64_of(kept.iter().map(|(category, _)| category.to_le_bytes()))),
        }
    }
}

/// The kept categories of a text with their probabilities, the most probable first. The first of equal ones come first.
fn kept(row: &Prediction) -> Vec<(u16, f32)> {
    let order = |one: &(u16, f32), other: &(u16, f32)| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0));
    let all = (0..).zip(row.probabilities.iter().copied());
    // The label and the prediction are there whatever their rank.
    let (mut kept, mut others): (Vec<_>, Vec<_>) =
        all.partition(|(category, _)| [row.label.0, row.predicted.0].contains(category));
    let room = KEPT.saturating_sub(kept.len());
    if others.len() > room {
        others.select_nth_unstable_by(room, order);
        others.truncate(room);
    }
    kept.append(&mut others);
    kept.sort_by(order);
    kept
}

#[cfg(test)]
mod tests {
    use midashi_artifacts::CategoryId;

    use super::*;

    fn row(label: u16, predicted: u16, probabilities: Vec<f32>) -> Prediction {
        Prediction {
            id: String::new(),
            label: CategoryId(label),
            predicted: CategoryId(predicted),
            probabilities,
        }
    }

    fn predictions(categories: usize, rows: Vec<Prediction>) -> Predictions {
        Predictions { categories: vec![String::new(); categories], rows }
    }

    #[test]
    fn few_categories_keep_all_probabilities() {
        let found = Probabilities::of(&predictions(2, vec![row(0, 1, vec![0.25, 0.75])]));
        let numbers = [0.25_f32, 0.75].map(f32::to_le_bytes);
        assert_eq!(found, Probabilities { probabilities: base64_of(numbers.into_iter()), kept: None });
        let json = serde_json::to_value(&found).map(|json| json.as_object().map(serde_json::Map::len));
        assert_eq!(json.ok(), Some(Some(1)), "the page of few categories is as it was");
    }

    #[test]
    fn of_many_categories_the_most_probable_and_the_label_are_kept() {
        // The probability falls with the distance from the category 500.
        let probabilities: Vec<f32> = (0..1000_i16).map(|at| 1.0 / f32::from(1 + (at - 500).abs())).collect();
        let found = kept(&row(3, 500, probabilities.clone()));
        let categories: Vec<u16> = found.iter().map(|(category, _)| *category).collect();
        assert_eq!(categories, [500, 499, 501, 498, 502, 497, 503, 496, 504, 3]);
        assert_eq!(found[9].1, probabilities[3]);
        let right = kept(&row(500, 500, probabilities.clone()));
        assert_eq!((right.len(), right[9].0), (10, 495));
        let among = kept(&row(501, 500, probabilities.clone()));
        assert_eq!(
            (among.len(), among[9].0),
            (10, 495),
            "a label among the most probable takes no other place"
        );

        let rows = (0..2000).map(|_| row(3, 500, probabilities.clone())).collect();
        let found = Probabilities::of(&predictions(1000, rows));
        assert_eq!(
            found.probabilities.len(),
            4 * (20_000_usize * 4).div_ceil(3),
            "base64 of four bytes each"
        );
        assert_eq!(found.kept.map(|kept| kept.len()), Some(4 * (20_000_usize * 2).div_ceil(3)));
    }
}
