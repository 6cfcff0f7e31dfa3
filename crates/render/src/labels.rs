//! Texts whose label is probably wrong, by confident learning (Northcutt et al. 2021, "Confident Learning").

use midashi_artifacts::{CategoryId, Prediction, Predictions};

/// The mean probability of each category over the texts with its label. From there on the model counts as confident
/// (ibid., equation 2). None without texts.
pub fn thresholds(predictions: &Predictions) -> Vec<Option<f64>> {
    let mut sums = vec![(0.0, 0_u32); predictions.categories.len()];
    for row in &predictions.rows {
        let (sum, texts) = &mut sums[row.label.index()];
        *sum += f64::from(row.probabilities[row.label.index()]);
        *texts += 1;
    }
    sums.into_iter().map(|(sum, texts)| (texts > 0).then(|| sum / f64::from(texts))).collect()
}

/// For each text the category that its label should probably be; none where the label is not in doubt.
///
/// These are the texts off the diagonal of the confident joint (ibid., equation 1): the most probable of the
/// categories in which the model is confident is not the label. It must also be more probable than the label: one text of
/// a rare category, misclassified, makes the model confident in it at a few per cent. The model was not trained on the test
/// texts, so their probabilities are out-of-sample, as the method requires.
pub fn suggestions(predictions: &Predictions, thresholds: &[Option<f64>]) -> Vec<Option<CategoryId>> {
    let confident = |row: &Prediction| {
        let reached =
            (0..).zip(thresholds).zip(&row.probabilities).filter_map(|((category, &threshold), &p)| {
                (f64::from(p) >= threshold?).then_some((CategoryId(category), p))
            });
        // Ties go to the first category, as everywhere.
        reached.reduce(|best, other| if other.1 > best.1 { other } else { best })
    };
    let suggested = predictions.rows.iter().map(|row| {
        let (category, probability) = confident(row)?;
        (probability > row.probabilities[row.label.index()]).then_some(category)
    });
    suggested.collect()
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Predictions of three categories: id, label, probabilities.
    pub fn predictions(rows: &[(&str, u16, [f32; 3])]) -> Predictions {
        let row = |&(id, label, probabilities): &(&str, u16, [f32; 3])| Prediction {
            id: id.into(),
            label: CategoryId(label),
            predicted: CategoryId(if probabilities[1] > probabilities[0] { 1 } else { 0 }),
            probabilities: probabilities.to_vec(),
        };
        Predictions {
            categories: ["a", "b", "c"].map(str::to_owned).to_vec(),
            rows: rows.iter().map(row).collect(),
        }
    }

    /// Mean self-confidence: a 0.74, b 0.5; c has no text.
    pub fn two_known() -> Predictions {
        predictions(&[
            ("sure", 0, [0.9, 0.1, 0.0]),
            ("fairly sure", 0, [0.85, 0.15, 0.0]),
            ("looks like b", 0, [0.46875, 0.53125, 0.0]),
            ("b", 1, [0.1875, 0.8125, 0.0]),
            ("not confident in a", 1, [0.6875, 0.3125, 0.0]),
            ("says a", 1, [0.625, 0.375, 0.0]),
        ])
    }

    #[test]
    fn a_threshold_is_the_mean_probability_of_the_categorys_own_texts() {
        let thresholds = thresholds(&two_known());
        let expected = [Some(2.21875 / 3.0), Some(0.5), None];
        for (found, expected) in thresholds.iter().zip(expected) {
            assert_eq!(found.is_some(), expected.is_some());
            assert!((found.unwrap_or(0.0) - expected.unwrap_or(0.0)).abs() < 1e-7, "{thresholds:?}");
        }
    }

    #[test]
    fn a_label_is_doubted_if_the_model_is_confident_in_another_category() {
        let mut predictions = two_known();
        let doubted = |predictions: &Predictions| {
            let found = suggestions(predictions, &thresholds(predictions));
            let of_texts = predictions.rows.iter().zip(found);
            of_texts.filter_map(|(row, found)| Some((row.id.clone(), found?.0))).collect::<Vec<_>>()
        };
        assert_eq!(
            doubted(&predictions),
            [("looks like b".to_owned(), 1)],
            "0.69 is little for a, not for b"
        );
        predictions.rows[4].probabilities = vec![0.95, 0.05, 0.0];
        assert!(doubted(&predictions).contains(&("not confident in a".to_owned(), 0)));
        // One text that is misclassified makes the model confident in c from 3 %.
        predictions.rows.push(Prediction {
            id: "rare".into(),
            label: CategoryId(2),
            predicted: CategoryId(0),
            probabilities: vec![0.9, 0.07, 0.03],
        });
        predictions.rows[1].probabilities = vec![0.6, 0.35, 0.05];
        assert!(
            doubted(&predictions).iter().all(|(_, category)| *category != 2),
            "c at 5 % is no suggestion"
        );
    }
}
