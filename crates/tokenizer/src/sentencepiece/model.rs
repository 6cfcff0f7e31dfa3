//! A SentencePiece model, read from its file.

use std::path::Path;

use prost::Message;

use super::bpe;
use super::charsmap::Charsmap;
use super::normaliser::Normaliser;
use super::pieces::{BadPiece, Pieces};
use super::proto::ModelProto;
use super::unigram::Unigram;
use crate::aligned::Aligned;
use crate::error::{Error, Result, read};
use crate::wordpiece::Piece;

/// A SentencePiece model.
#[derive(Debug)]
pub(crate) struct SentencePiece {
    pub(crate) pieces: Pieces,
    pub(crate) normaliser: Normaliser,
    algorithm: Algorithm,
    /// The map of characters as the file holds it.
    pub(crate) precompiled_charsmap: Vec<u8>,
}

/// How a text is cut into pieces.
#[derive(Debug, Clone, Copy)]
enum Algorithm {
    Unigram(Unigram),
    Bpe,
}

impl SentencePiece {
    /// Reads and checks a `.model` file.
    pub(crate) fn load(file: &Path) -> Result<Self> {
        Self::parse(file, &read(file)?)
    }

    /// Reads and checks the bytes of the `.model` file `file`.
    pub(crate) fn parse(file: &Path, bytes: &[u8]) -> Result<Self> {
        let malformed = |bad: BadPiece| Error::Malformed {
            file: file.to_owned(),
            place: bad.place,
            found: bad.found,
            expected: bad.expected,
            advice: "fetch the file again",
        };
        let ModelProto { pieces, trainer_spec, normalizer_spec } =
            ModelProto::decode(bytes).map_err(|error| {
                malformed(BadPiece {
                    place: "the whole file".to_owned(),
                    found: format!("{} bytes that are no SentencePiece model: {error}", bytes.len()),
                    expected: "a model that SentencePiece wrote".to_owned(),
                })
            })?;
        let (trainer, normalizer) = (trainer_spec.unwrap_or_default(), normalizer_spec.unwrap_or_default());
        let unsupported = |setting, found: String, supported| Error::Unsupported {
            file: file.to_owned(),
            setting,
            found,
            supported,
            advice: "choose another checkpoint, or one with a tokenizer.json",
        };
        if trainer.treat_whitespace_as_suffix == Some(true) {
            return Err(unsupported("treat_whitespace_as_suffix", "true".to_owned(), "false"));
        }
        let byte_fallback = trainer.byte_fallback.unwrap_or_default();
        let pieces = Pieces::new(pieces, byte_fallback).map_err(malformed)?;
        let algorithm = match trainer.model_type.unwrap_or(1) {
            1 => Algorithm::Unigram(Unigram::new(&pieces)),
            2 => Algorithm::Bpe,
            other => {
                let name = match other {
                    3 => "word".to_owned(),
                    4 => "char".to_owned(),
                    other => other.to_string(),
                };
                return Err(unsupported("model_type", name, "unigram, bpe"));
            }
        };
        let precompiled_charsmap = normalizer.precompiled_charsmap.unwrap_or_default();
        let normaliser = Normaliser {
            charsmap: Charsmap::read(&precompiled_charsmap).map_err(malformed)?,
            add_dummy_prefix: normalizer.add_dummy_prefix.unwrap_or(true),
            remove_extra_spaces: normalizer.remove_extra_whitespaces.unwrap_or(true),
            escape_spaces: normalizer.escape_whitespaces.unwrap_or(true),
        };
        Ok(Self { pieces, normaliser, algorithm, precompiled_charsmap })
    }

    /// The algorithm's name.
    pub(crate) fn algorithm(&self) -> &'static str {
        match self.algorithm {
            Algorithm::Unigram(_) => "Unigram",
            Algorithm::Bpe => "BPE",
        }
    }

    /// Whether characters that no piece spells are spelled in bytes.
    pub(crate) fn has_bytes(&self) -> bool {
        self.pieces.bytes.is_some()
    }

    /// What SentencePiece makes of a string before it looks for pieces.
    pub(crate) fn normalised(&self, text: &str) -> String {
        self.normaliser.normalise(Aligned::new(text), &self.pieces).text().to_owned()
    }

    /// Normalises a text and cuts it into pieces, whose characters are those of the normalised text.
    ///
    /// A run of unknown characters is one unknown piece. With byte fallback, each of its characters is spelled in
    /// bytes, each of which covers the character.
    pub(crate) fn encode<'t>(&self, text: Aligned<'t>) -> (Aligned<'t>, Vec<Piece>) {
        let normalised = self.normaliser.normalise(text, &self.pieces);
        let text = normalised.text();
        let cut = match self.algorithm {
            Algorithm::Unigram(unigram) => unigram.cut(text, &self.pieces),
            Algorithm::Bpe => bpe::cut(text, &self.pieces),
        };
        let mut found: Vec<Piece> = Vec::with_capacity(cut.len());
        let mut end = 0;
        for (bytes, id) in cut {
            let part = text.get(bytes).unwrap_or_default();
            let start = end;
            end += part.chars().count();
            match (&self.pieces.bytes, found.last_mut()) {
                (Some(ids), _) if id == self.pieces.unknown => {
                    let spelled = part.bytes().filter_map(|byte| ids.get(usize::from(byte)));
                    found.extend(spelled.map(|&id| Piece { id, start, end }));
                }
                (None, Some(last)) if id == self.pieces.unknown && last.id == id => last.end = end,
                _ => found.push(Piece { id, start, end }),
            }
        }
        (normalised, found)
    }
}
