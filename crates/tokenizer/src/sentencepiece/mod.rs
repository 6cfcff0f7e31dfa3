//! SentencePiece models as they are published: `.model` files, read and run as SentencePiece itself does
//! (Kudo and Richardson 2018), and the tokenizer classes of transformers around them.

mod bpe;
mod charsmap;
mod classes;
mod cleaning;
mod cutter;
mod export;
mod model;
mod normaliser;
mod pieces;
mod proto;
mod settings;
mod tokenizer;
mod trie;
mod trimmed;
mod unigram;

pub(crate) use charsmap::Charsmap;
pub(crate) use classes::Class;
pub(crate) use cleaning::Cleaning;
pub(crate) use cutter::Cutter;
pub(crate) use export::tokenizer_json;
pub(crate) use model::SentencePiece;
pub(crate) use pieces::Kind;
pub(crate) use settings::SentencePieceSettings;
pub(crate) use tokenizer::SentencePieceTokenizer;
pub(crate) use trimmed::without_pieces;
