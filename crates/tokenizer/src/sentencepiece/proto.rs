//! The part of SentencePiece's model file that texts are encoded with: messages and field numbers of
//! `sentencepiece_model.proto` in the SentencePiece repository. Other fields are skipped.

use prost::Message;

/// A whole `.model` file.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ModelProto {
    /// The pieces, by their ids.
    #[prost(message, repeated, tag = "1")]
    pub(super) pieces: Vec<PieceProto>,
    #[prost(message, optional, tag = "2")]
    pub(super) trainer_spec: Option<TrainerSpec>,
    #[prost(message, optional, tag = "3")]
    pub(super) normalizer_spec: Option<NormalizerSpec>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PieceProto {
    #[prost(string, optional, tag = "1")]
    pub(super) piece: Option<String>,
    #[prost(float, optional, tag = "2")]
    pub(super) score: Option<f32>,
    /// 1 if missing.
    #[prost(int32, optional, tag = "3")]
    pub(super) kind: Option<i32>,
}

/// How the model was trained. Three of its fields change how texts are encoded.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TrainerSpec {
    /// 1 if missing: Unigram.
    #[prost(int32, optional, tag = "3")]
    pub(super) model_type: Option<i32>,
    #[prost(bool, optional, tag = "24")]
    pub(super) treat_whitespace_as_suffix: Option<bool>,
    #[prost(bool, optional, tag = "35")]
    pub(super) byte_fallback: Option<bool>,
}

/// How texts are normalised. The three switches are on if missing.
#[derive(Clone, PartialEq, Message)]
pub(super) struct NormalizerSpec {
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(super) precompiled_charsmap: Option<Vec<u8>>,
    #[prost(bool, optional, tag = "3")]
    pub(super) add_dummy_prefix: Option<bool>,
    #[prost(bool, optional, tag = "4")]
    pub(super) remove_extra_whitespaces: Option<bool>,
    #[prost(bool, optional, tag = "5")]
    pub(super) escape_whitespaces: Option<bool>,
}
