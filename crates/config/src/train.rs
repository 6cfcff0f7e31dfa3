//! Section `[train]`: fine-tuning.

use serde::{Deserialize, Serialize};

use crate::all;
use crate::device::DeviceChoice;

/// How the model is fine-tuned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Train {
    /// What computes the categories' scores from the last hidden states.
    pub head: Head,
    /// What the head reads. `"mean"` needs an architecture whose own class can read the mean: ModernBERT.
    pub pooling: Pooling,
    /// Number of the last layers that are trainable (`0`, `1`, …), or `"all"`, embeddings included.
    pub trainable_layers: TrainableLayers,
    /// Passes over the training split.
    pub epochs: usize,
    /// Texts per optimiser step.
    pub batch_size: usize,
    /// Most positions in a batch, padding included (texts × tokens of the longest text). A batch then has
    /// fewer texts than `batch_size`. 0 is no limit.
    pub batch_tokens: usize,
    /// Whether a batch has texts of similar length (as transformers' `group_by_length`): less padding if
    /// texts are long and of different lengths.
    pub group_by_length: bool,
    /// Number of micro-batches in which an optimiser step is computed; more need less memory.
    pub gradient_accumulation_steps: usize,
    /// Learning rates and their schedule.
    pub learning_rate: LearningRates,
    /// Weight decay of AdamW (Loshchilov & Hutter 2019); not for biases and layer normalisation.
    pub weight_decay: f64,
    /// Largest norm of the gradient of all weights; a larger one is scaled down to it. 0 is no limit.
    pub max_grad_norm: f64,
    /// Dropout of the trainable layers.
    pub dropout: Dropout,
    /// Share of a label that is distributed over all categories (Szegedy et al. 2016, section 7).
    pub label_smoothing: f64,
    /// Weight of a text in the loss.
    pub class_weights: ClassWeights,
    /// Epochs without a better validation accuracy (or the same with a lower loss) after which training
    /// stops early; 0 never stops early. With a validation split the weights of the best epoch are saved.
    pub patience: usize,
    /// Seconds between two saves of the training state, from which an interrupted training continues; 0
    /// saves after every step.
    pub save_interval: f64,
    /// Seed of the classifier's initial weights and of the order of batches, from 0 to 2⁶⁴ − 1; above 2⁶³ − 1 in quotes.
    #[serde(with = "crate::seed")]
    pub seed: u64,
    /// Device of training.
    pub device: DeviceChoice,
    /// Whether CUDA may multiply matrices in TF32: faster, with numbers rounded to 10 bits.
    pub tf32: bool,
    /// Where the optimiser computes its steps.
    pub optimiser: Optimiser,
    /// Tokens per batch in which the frozen layers are computed. On a CPU each thread computes a quarter of them at a time.
    pub trunk_batch_tokens: usize,
    /// Matmul precision of the frozen layers. Trainable layers are always float32.
    pub trunk_precision: TrunkPrecision,
    /// Storage of the frozen layers' hidden states.
    pub features: FeatureStorage,
}

/// What computes the categories' scores from the last hidden states. It is always trainable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Head {
    /// A linear layer, as in the article.
    #[default]
    Linear,
    /// The layers of the architecture's class for sequence classification in transformers: for BERT a linear layer, tanh,
    /// dropout and a linear layer. Those before the last start from the checkpoint's, or from its pooler. Older versions
    /// called it `"pooler"`.
    #[serde(alias = "pooler")]
    Native,
}

/// What the head reads of a text's last hidden states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// That of `[CLS]`, the first token.
    #[default]
    Cls,
    /// The mean over all tokens that are no padding.
    Mean,
}

impl Pooling {
    /// Whether `[CLS]` is read.
    pub fn is_cls(&self) -> bool {
        *self == Self::Cls
    }
}

/// Matmul precision of the frozen layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrunkPrecision {
    /// float32.
    #[default]
    F32,
    /// 8-bit integers: faster on the CPU (with VNNI), less exact, not for CUDA.
    Int8,
}

/// Storage of the frozen layers' hidden states in `features.arrow`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FeatureStorage {
    /// Precision of the stored numbers.
    pub precision: FeaturePrecision,
    /// Largest size of the file in GiB; 0 is no limit. Hidden states that would need more are not stored:
    /// the frozen layers are computed again for every batch.
    pub disk_budget_gib: f64,
}

/// Precision of the numbers in `features.arrow`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeaturePrecision {
    /// float32.
    #[default]
    F32,
    /// float16: half the size, 11 significant bits.
    F16,
}

/// Learning rates and their schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LearningRates {
    /// Learning rate of the encoder's last layer.
    pub encoder: f64,
    /// Learning rate of the head: the classifier, and the layers before it with `head = "native"`.
    pub classifier: f64,
    /// Schedule after the warm-up.
    pub schedule: Schedule,
    /// Share of all steps in which the rates rise from 0.
    pub warmup: f64,
    /// Learning rate of a layer divided by that of the layer above it.
    pub layer_decay: f64,
}

/// Learning-rate schedule after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Constant.
    Constant,
    /// Linear decay to 0.
    Linear,
    /// Decay to 0 along half a cosine.
    Cosine,
}

/// Dropout of the trainable layers: shares in [0, 1).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dropout {
    /// Dropout of embeddings, of the outputs of attention and feed-forward layers, and of the
    /// classifier's input.
    pub hidden: f64,
    /// Dropout of attention weights.
    pub attention: f64,
}

/// Where AdamW's steps are computed; the results agree up to rounding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Optimiser {
    /// `graph` on CUDA, else `fused`.
    #[default]
    Auto,
    /// On the host, in one pass over weight, gradient and moments.
    Fused,
    /// In the training graph: weights and moments stay on the device.
    Graph,
}

/// Weight of a text in the loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassWeights {
    /// 1 for every text.
    #[default]
    None,
    /// texts / (categories · texts of the category), as in scikit-learn: all categories weigh the same.
    Balanced,
}

/// The encoder's trainable layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number of layers, or \"all\"")]
pub enum TrainableLayers {
    /// The last layers, so many of them.
    Last(usize),
    /// All layers and the embeddings.
    #[serde(with = "all")]
    All,
}

impl Default for Train {
    fn default() -> Self {
        Self {
            head: Head::default(),
            pooling: Pooling::default(),
            trainable_layers: TrainableLayers::All,
            epochs: 4,
            batch_size: 32,
            batch_tokens: 0,
            group_by_length: false,
            gradient_accumulation_steps: 1,
            learning_rate: LearningRates::default(),
            weight_decay: 0.01,
            max_grad_norm: 1.0,
            dropout: Dropout::default(),
            label_smoothing: 0.0,
            class_weights: ClassWeights::default(),
            patience: 0,
            save_interval: 120.0,
            seed: 0,
            device: DeviceChoice::default(),
            tf32: false,
            optimiser: Optimiser::default(),
            trunk_batch_tokens: 2048,
            trunk_precision: TrunkPrecision::default(),
            features: FeatureStorage::default(),
        }
    }
}

impl Default for LearningRates {
    fn default() -> Self {
        Self { encoder: 1.5e-4, classifier: 1e-3, schedule: Schedule::Linear, warmup: 0.1, layer_decay: 1.0 }
    }
}

impl Default for Dropout {
    /// The values of BERT's pretraining.
    fn default() -> Self {
        Self { hidden: 0.1, attention: 0.1 }
    }
}

impl Default for FeatureStorage {
    fn default() -> Self {
        // Titles and bodies of 512 tokens for ten thousand texts, at the width of BERT-base, are 15 GiB.
        Self { precision: FeaturePrecision::default(), disk_budget_gib: 16.0 }
    }
}

impl FeaturePrecision {
    /// Bytes of a number.
    pub fn bytes(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }
}

impl TrainableLayers {
    /// Number of trainable layers; `None` if all layers and the embeddings are trainable.
    pub fn last(self) -> Option<usize> {
        match self {
            Self::Last(count) => Some(count),
            Self::All => None,
        }
    }
}
