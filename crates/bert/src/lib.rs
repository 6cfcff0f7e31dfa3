//! BERT as plain ONNX graphs, and the checkpoints that fill them: of a BERT, or of an architecture
//! that is one in all but name.
//!
//! ```no_run
//! use midashi_bert::{Checkpoint, Dropout, Start, training};
//!
//! let checkpoint = Checkpoint::open("bert-base-japanese".as_ref())?;
//! let config = checkpoint.config();
//! // The last layer and a classifier of nine categories learn; the rest is the trunk.
//! let start = Start::for_trainable_layers(config, 1);
//! let graph = training(config, 9, start, Dropout::default(), |_| true)?;
//! let outputs: Vec<&str> = graph.output_names().collect();
//! assert_eq!(outputs[..2], ["loss", "logits"]);
//! # Ok::<(), midashi_bert::Error>(())
//! ```
//!
//! They compute what transformers computes in eval mode; only the training graph knows dropout, whose
//! masks are fed.

mod batch;
mod checkpoint;
mod config;
mod error;
mod graphs;
mod layers;
mod optimiser;
mod quantize;
mod weights;

pub use batch::{Batch, BatchSizes, PaddingRule, TextIds, batches_by_length, most_probable, probabilities};
pub use batch::{most_probable as argmax, probabilities as softmax};
#[cfg(fuzzing)]
#[doc(hidden)]
pub use checkpoint::fuzzing;
pub use checkpoint::{Checkpoint, WeightsFile};
pub use config::{Activation, BertConfig, WORD_EMBEDDINGS};
pub use error::{Error, Result};
pub use graphs::{
    ATTENTION, ATTENTION_MASK, HIDDEN_STATES, INPUT_IDS, INPUTS_EMBEDS, LAST_HIDDEN_STATE, LOGITS, LOSS,
    POOLER_OUTPUT, Start, TARGETS, TOKEN_TYPE_IDS, attentions_name, classifier, dropout_masks, explanation,
    outputs, training, trunk,
};
pub use layers::Products as MatmulPrecision;
pub use layers::{Dropout, Products};
pub use midashi_onnx::{Graph, Storage};
pub use optimiser::{
    AdamW, BIAS_CORRECTION, GRADIENT_NORM, LearningRate, RATE_FACTOR, STEP_SIZE, Training, first_moment_name,
    gradient_name, gradient_sum_name, next_name, second_moment_name,
};
pub use weights::{Float32, Weights, little_endian};
