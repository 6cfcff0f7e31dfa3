#![doc = include_str!("../README.md")]

mod attribution;
mod batches;
mod bulk;
mod calibrate;
mod classifier;
mod corpus_classifier;
mod encode;
mod error;
mod explanation;
mod explanation_sessions;
mod hidden_states;
mod id_classifier;
mod integration;
mod mapped;
mod method;
mod model_folder;
mod prediction;
mod quantized;
mod reading;
mod rollout;
mod scores;
mod trunk;
mod windows;
mod word_embeddings;

pub use midashi_encoder::{EncoderConfig, MatmulPrecision, TextIds};
pub use midashi_text::{TextWindow, WindowRows, Windowing};
pub use midashi_tokenizer::{Dictionaries, Encoded, Length};

pub use attribution::{Attribution, Path};
pub use bulk::{BulkClassifier, ClassifiedWindow, ClassifiedWindows, FailedWindow, Window};
pub use classifier::{Classifier, Options};
pub use corpus_classifier::CorpusClassifier;
pub use error::{Error, Result};
pub use explanation::Explanation;
pub use hidden_states::{CorpusInputs, HiddenStates, text_ids};
pub use id_classifier::IdClassifier;
pub use integration::{IntegratedGradients, Integration};
pub use method::Method;
pub use model_folder::{ModelFolder, NewModel, Training, encoder_head};
pub use prediction::Prediction;
pub use quantized::int8_note;
pub use reading::Reading;
pub use rollout::rollout;
pub use scores::{Scores, ranking};
pub use trunk::{Trunk, TrunkRecord, computed_by};
pub use windows::{RowIds, mean_logits, spread};
