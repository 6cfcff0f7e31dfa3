//! Targets of the loss: the category of each text, smoothed and weighted. A text that is read in windows has targets for
//! each of them, which together weigh as much as those of a text of one window.

use midashi_artifacts::{Split, TokenizedCorpus, WindowRows};
use midashi_config::{ClassWeights, Train};
use ndarray::Array2;

/// Targets of rows, which are texts or windows, with class weights and label smoothing, as in PyTorch's `CrossEntropyLoss(weight,
/// label_smoothing)`.
pub struct Targets {
    /// Category of each row's text.
    labels: Vec<usize>,
    /// Weight of each row beside that of its category: 1 divided by the windows of its text, and scaled so that the mean over
    /// the rows of the training split is 1. A batch's loss is therefore not larger because its windows are parts of short
    /// texts, and batches of windows of the same length do not change the weights of texts.
    shares: Vec<f64>,
    /// Weight of each category in the loss.
    weights: Vec<f64>,
    smoothing: f64,
}

impl Targets {
    /// Computes the class weights from the training split.
    pub fn new(train: &Train, corpus: &TokenizedCorpus, rows: &WindowRows) -> Self {
        let mut counts = vec![0_usize; corpus.categories.len()];
        for text in corpus.texts.iter().filter(|text| text.split == Split::Train) {
            counts[text.label.index()] += 1;
        }
        let (texts, categories) = (counts.iter().sum::<usize>() as f64, counts.len() as f64);
        let weight = |&count: &usize| match train.class_weights {
            ClassWeights::Balanced if count > 0 => texts / (categories * count as f64),
            _ => 1.0,
        };
        let text_of = |row: usize| &corpus.texts[rows.text(row)];
        let training_rows = (0..rows.len()).filter(|&row| text_of(row).split == Split::Train).count();
        let scale = training_rows as f64 / texts.max(1.0);
        let share = |row: usize| scale / rows.rows(rows.text(row)).len() as f64;
        Self {
            labels: (0..rows.len()).map(|row| text_of(row).label.index()).collect(),
            shares: (0..rows.len()).map(share).collect(),
            weights: counts.iter().map(weight).collect(),
            smoothing: train.label_smoothing,
        }
    }

    /// Sum of the class weights of `rows`.
    pub fn weight(&self, rows: &[usize]) -> f64 {
        rows.iter().map(|&row| self.weights[self.labels[row]]).sum()
    }

    /// Targets `[rows, categories]` of a loss that is a mean over rows with the total `weight`.
    pub fn of(&self, rows: &[usize], weight: f64) -> Array2<f32> {
        let categories = self.weights.len();
        Array2::from_shape_fn((rows.len(), categories), |(at, category)| {
            let row = rows[at];
            let one_hot = if self.labels[row] == category { 1.0 - self.smoothing } else { 0.0 };
            let smoothed = one_hot + self.smoothing / categories as f64;
            (smoothed * self.weights[category] * self.shares[row] / weight) as f32
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use midashi_artifacts::{CategoryId, Encoding, TokenizedText, Windowing};
    use ndarray::{Axis, array, s};

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
            windowing: None,
            texts: rows.into_iter().map(text).collect(),
        }
    }

    /// `−Σ targets · log softmax(logits)` of the training texts.
    fn loss(train: &Train) -> f64 {
        let logits: Array2<f64> = array![[1.0, 2.0, 3.0], [0.5, -1.0, 0.0], [2.0, 0.0, 1.0]];
        let corpus = corpus();
        let targets = Targets::new(train, &corpus, &corpus.rows());
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

    /// A corpus whose first text has three windows of two tokens, and whose other texts have one.
    fn corpus_of_windows() -> TokenizedCorpus {
        let mut corpus = corpus();
        for (at, text) in corpus.texts.iter_mut().enumerate() {
            let tokens = if at == 0 { 6 } else { 2 };
            text.encoding = Encoding {
                input_ids: vec![7; tokens],
                token_type_ids: vec![0; tokens],
                word_ids: (0..tokens as i32).map(Some).collect(),
                offsets: (0..tokens as u32).map(|at| (at, at + 1)).collect(),
                ..Encoding::default()
            };
        }
        corpus.windowing = Some(Windowing { max_length: 2, stride: 0 });
        corpus
    }

    #[test]
    fn a_text_of_three_windows_weighs_as_much_as_a_text_of_one() {
        let corpus = corpus_of_windows();
        let rows = corpus.rows();
        assert_eq!((rows.len(), rows.rows(0)), (6, 0..3));
        let smoothed = Train { label_smoothing: 0.25, ..Train::default() };
        for train in [Train::default(), smoothed] {
            let targets = Targets::new(&train, &corpus, &rows);
            // Rows 0 to 2 are the first text, 3 and 4 the other training texts. The mean share of the five is 1.
            let all: Vec<usize> = (0..5).collect();
            let of = targets.of(&all, targets.weight(&all));
            assert!((of.sum() - 1.0).abs() < 1e-6);
            // The first and the third text are of the same category.
            let sum = of.slice(s![0..3, ..]).sum_axis(Axis(0));
            let one = of.row(4);
            for (sum, one) in sum.iter().zip(one) {
                assert!((sum - one).abs() < 1e-6, "{sum} {one}");
            }
            // In whatever batches of equal size the windows are, the sums over an epoch are the same.
            let weight = |batch: &[usize]| targets.of(batch, targets.weight(batch)).sum();
            let apart = weight(&[0, 3]) + weight(&[1, 2]);
            let together = weight(&[0, 1]) + weight(&[2, 3]);
            assert!((apart - together).abs() < 1e-6);
        }
    }

    #[test]
    fn truncated_texts_have_the_targets_that_they_had_without_windows() {
        let corpus = corpus();
        let targets = Targets::new(&Train::default(), &corpus, &corpus.rows());
        assert_eq!(targets.of(&[0, 1], targets.weight(&[0, 1])), array![[0.5, 0.0, 0.0], [0.0, 0.0, 0.5]]);
    }
}
