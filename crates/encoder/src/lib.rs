#![doc = include_str!("../README.md")]

mod architectures;
mod batch;
mod checkpoint;
mod config;
mod error;
mod files;
mod geometry;
mod graphs;
mod head;
mod head_rows;
mod linear;
mod logits;
mod names;
mod native_head;
mod nodes;
mod optimiser;
mod padding;
mod quantize;
mod quantized;
mod ranges;
mod training;
mod weights;

pub use batch::{
    Batch, BatchSizes, PaddingRule, TextIds, attention_bytes, batches_by_length, batches_of_equal_length,
};
#[cfg(fuzzing)]
#[doc(hidden)]
pub use checkpoint::fuzzing;
pub use checkpoint::{Checkpoint, StoredHead, WeightsFile};
pub use config::EncoderConfig;
pub use error::{Error, Result};
pub use geometry::{Activation, Geometry};
pub use graphs::{
    AttentionOutputs, LayerAttention, Start, attentions, calibration, classifier, explanation,
    exported_classifier, logits, outputs, trunk,
};
pub use head::{Head, HeadKind, Pooling, SCALE};
pub use logits::{argmax, softmax};
pub use midashi_onnx::{FileRange, Graph, Storage};
pub use names::{
    ATTENTION, ATTENTION_MASK, BIAS_CORRECTION, GRADIENT_NORM, HIDDEN_STATES, INPUT_IDS, INPUTS_EMBEDS,
    LAST_HIDDEN_STATE, LOGITS, LOSS, POOLER_OUTPUT, RATE_FACTOR, STEP_SIZE, TARGETS, TOKEN_TYPE_IDS,
    attentions_name, cls_attention_name, first_moment_name, gradient_name, gradient_sum_name,
    mean_attention_name, next_name, second_moment_name,
};
pub use nodes::{Dropout, MatmulPrecision};
pub use optimiser::{AdamW, LearningRate};
pub use ranges::ActivationRanges;
pub use training::{DropoutMask, Dropped, Training, dropout_masks, training};
pub use weights::{Float32, Weights, little_endian};
