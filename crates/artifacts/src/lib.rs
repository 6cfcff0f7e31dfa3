#![doc = include_str!("../README.md")]

mod attention;
mod category;
mod column;
mod confusion;
mod corpus;
mod error;
mod explanations;
mod faithfulness;
mod features;
mod files;
mod interval;
mod listing;
mod metrics;
mod model_card;
mod predictions;
mod sources;
mod sweep;
mod tokens;
mod training;
mod vocabulary;

pub use attention::{AttentionRow, read_attention, write_attention};
pub use category::{CategoryId, LISTED_CATEGORIES, MAX_CATEGORIES, Split};
pub use confusion::{Confusion, ConfusionCell};
pub use corpus::{Article, Corpus, Timestamp};
pub use error::{Error, Result};
pub use explanations::{Explanation, Explanations};
pub use faithfulness::{
    BestHead, Difference, Erasure, Faithfulness, Integration, Measure, Method, MethodFaithfulness,
};
pub use features::{Features, FeaturesKey, FeaturesWriter, round_to};
pub use interval::Interval;
pub use listing::{hardest, most_frequent};
pub use metrics::{
    ArticleMetrics, Averages, BaselineMetrics, Calibration, CalibrationBin, ClassMetrics,
    ClassificationReport, EnsembleMetrics, Intervals, MaskedMetrics, McNemar, Metrics, PaddingShares, Scores,
};
pub use midashi_text::{Encoding, TextWindow, Unit, WindowRows, Windowing};
pub use model_card::{BaseModel, Licence, ModelCard, counts, with_results};
pub use predictions::{BaselineAnswer, Prediction, Predictions};
pub use sources::Sources;
pub use sweep::{Sweep, SweepRow, SweepScores};
pub use tokens::{Replacement, TextSettings, TokenizedCorpus, TokenizedText};
pub use training::{StepRow, read_training, write_training};
pub use vocabulary::{VocabularyRow, read_checkpoint_ids, write_vocabulary};
