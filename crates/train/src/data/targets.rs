//! Targets of the loss: the category of each text, smoothed and weighted.

use midashi_artifacts::{Split, TokenizedCorpus};
use midashi_config::{ClassWeights, Train};
use ndarray::Array2;

/// Targets with class weights and label smoothing, as in PyTorch's `CrossEntropyLoss(weight,
/// label_smoothing)`.
pub struct Targets {
    /// Category of each text of the corpus.
    labels: Vec<usize>,
    /// Weight of each category in the loss.
    weights: Vec<f64>,
    smoothing: f64,
}

impl Targets {
    /// Computes the class weights from the training split.
    pub fn new(train: &Train, corpus: &TokenizedCorpus) -> Self {
        let mut counts = vec![0_usize; corpus.categories.len()];
        for text in corpus.texts.iter().filter(|text| text.split == Split::Train) {
            counts[text.label.index()] += 1;
        }
        let (texts, categories) = (counts.iter().sum::<usize>() as f64, counts.len() as f64);
        let weight = |&count: &usize| match train.class_weights {
            ClassWeights::Balanced if count > 0 => texts / (categories * count as f64),
            _ => 1.0,
        };
        Self {
            labels: corpus.texts.iter().map(|text| text.label.index()).collect(),
            weights: counts.iter().map(weight).collect(),
            smoothing: train.label_smoothing,
        }
    }

    /// Sum of the class weights of `texts`.
    pub fn weight(&self, texts: &[usize]) -> f64 {
        texts.iter().map(|&text| self.weights[self.labels[text]]).sum()
    }

    /// Targets `[texts, categories]` of a loss that is a mean over texts with the total `weight`.
    pub fn of(&self, texts: &[usize], weight: f64) -> Array2<f32> {
        let categories = self.weights.len();
        Array2::from_shape_fn((texts.len(), categories), |(row, category)| {
            let one_hot = if self.labels[texts[row]] == category { 1.0 - self.smoothing } else { 0.0 };
            let smoothed = one_hot + self.smoothing / categories as f64;
            (smoothed * self.weights[category] / weight) as f32
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use midashi_artifacts::{CategoryId, Encoding, TokenizedText};
    use ndarray::array;

    /// Three categories; in the training split two texts of the first, one of the last, and a text of
    /// the second for the test.
    fn corpus() -> TokenizedCorpus {
        let text = |(label, split): (u16, Split)| TokenizedText {
            id: String::new(),
            label: CategoryId(label),
            split,
            encoding: Encoding::default(),
        };
        let rows = [(0, Split::Train), (2, Split::Train), (0, Split::Train), (1, Split::Test)];
        TokenizedCorpus {
            categories: ["a", "b", "c"].map(String::from).into(),
            tokenizer: String::new(),
            vocabulary_size: 1,
            replacement: None,
            texts: rows.into_iter().map(text).collect(),
        }
    }

    /// `−Σ targets · log softmax(logits)` of the training texts.
    fn loss(train: &Train) -> f64 {
        let logits: Array2<f64> = array![[1.0, 2.0, 3.0], [0.5, -1.0, 0.0], [2.0, 0.0, 1.0]];
        let targets = Targets::new(train, &corpus());
        let texts = [0, 1, 2];
        let of = targets.of(&texts, targets.weight(&texts));
        let loss_of = |(logits, targets): (ndarray::ArrayView1<'_, f64>, ndarray::ArrayView1<'_, f32>)| {
            let total = logits.mapv(f64::exp).sum().ln();
            -logits
                .iter()
                .zip(targets)
                .map(|(logit, &target)| f64::from(target) * (logit - total))
                .sum::<f64>()
        };
        logits.rows().into_iter().zip(of.rows()).map(loss_of).sum()
    }

    #[test]
    fn the_loss_is_pytorchs() {
        // torch.nn.CrossEntropyLoss()(logits, [0, 2, 0]), and with weight=[0.5, 1, 1], label_smoothing=0.1:
        // 3 texts / (3 categories · texts of the category), and 1 for b, which no training text has.
        assert!((loss(&Train::default()) - 1.306447511).abs() < 1e-6);
        let train = Train { class_weights: ClassWeights::Balanced, label_smoothing: 0.1, ..Train::default() };
        assert!((loss(&train) - 1.306087395).abs() < 1e-6, "{}", loss(&train));
    }
}
