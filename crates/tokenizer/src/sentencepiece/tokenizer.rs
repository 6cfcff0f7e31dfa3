//! A tokenizer class with a SentencePiece model.

use super::classes::Class;
use super::cutter::Cutter;
use super::model::SentencePiece;
use super::normaliser::SPACE;
use super::settings::SentencePieceSettings;
use crate::aligned::Aligned;
use crate::builder::{Builder, Template};
use crate::encoding::Encoded;
use crate::error::{Error, Result};
use crate::set_apart::{Part, SetApart};
use crate::settings::AddedToken;
use crate::vocabulary::Vocabulary;

/// fairseq's first ids.
const FAIRSEQ: [&str; 4] = ["<s>", "<pad>", "</s>", "<unk>"];
/// The id of fairseq's unknown token.
const FAIRSEQ_UNKNOWN: u32 = 3;
/// The model's pieces that fairseq's first ids replace: `<unk>`, `<s>` and `</s>`.
const FAIRSEQ_REPLACED: usize = 3;
/// The tokens of entities that `MLukeTokenizer` adds behind the vocabulary.
const ENTITY_TOKENS: [&str; 2] = ["<ent>", "<ent2>"];

/// A tokenizer class with a SentencePiece model.
pub(crate) struct SentencePieceTokenizer {
    pub(crate) settings: SentencePieceSettings,
    pub(crate) cutter: Cutter,
    pub(crate) vocabulary: Vocabulary,
    pub(crate) set_apart: SetApart,
    pub(crate) template: Template,
    pub(crate) unknown: u32,
}

impl SentencePieceTokenizer {
    pub(crate) fn load(settings: SentencePieceSettings) -> Result<Self> {
        let model = SentencePiece::load(&settings.model)?;
        let (mut vocabulary, unknown) = vocabulary(&settings, &model)?;
        let mut tokens = Vec::new();
        for (&id, token) in &settings.added_tokens {
            if vocabulary.id(&token.content) != Some(id) && vocabulary.token(id) != Some(&token.content) {
                let next = vocabulary.len();
                if vocabulary.push(&token.content) != id {
                    return Err(Error::Malformed {
                        file: settings.model.clone(),
                        place: format!("the {next} pieces"),
                        found: format!("{next} as the next id"),
                        expected: format!("the id {id}, with which the settings add {:?}", token.content),
                        advice: "take model and settings from the same checkpoint",
                    });
                }
            }
            tokens.push((token.clone(), id));
        }
        let mut class_tokens = settings.special_tokens.clone();
        if settings.class == Class::MLuke {
            let known = |content: &&str| !class_tokens.iter().any(|(_, token)| token.content == **content);
            let entities: Vec<_> = ENTITY_TOKENS.into_iter().filter(known).map(AddedToken::plain).collect();
            class_tokens.extend(entities.into_iter().map(|token| ("extra_special_tokens", token)));
        }
        let mut special = Vec::new();
        for (role, token) in class_tokens {
            let is_own = match role {
                // transformers adds these behind the vocabulary.
                "mask_token" => settings.class == Class::DebertaV2,
                "extra_special_tokens" => settings.class == Class::MLuke,
                _ => false,
            };
            let id = match vocabulary.id(&token.content) {
                Some(id) => id,
                None if is_own => vocabulary.push(&token.content),
                // Nothing is made of a token without an id.
                None => continue,
            };
            special.push(id);
            tokens.push((token, id));
        }
        let set_apart = SetApart::new(tokens, special);
        let template = template(&settings, &vocabulary)?;
        let cutter = Cutter { model, cleaning: settings.cleaning };
        Ok(Self { settings, cutter, vocabulary, set_apart, template, unknown })
    }

    /// The id of a piece in the vocabulary.
    pub(crate) fn id(&self, piece: u32) -> u32 {
        match self.settings.class.has_fairseq_ids() {
            true if piece == self.cutter.model.pieces.unknown => FAIRSEQ_UNKNOWN,
            true => piece + 1,
            false => piece,
        }
    }

    /// The ids that belong to no piece of the model: fairseq's first, and those of tokens behind the pieces.
    pub(crate) fn ids_without_piece(&self) -> impl Iterator<Item = u32> {
        let all = (0..).take(self.vocabulary.len());
        let pieces = (0..).take(self.cutter.model.pieces.iter().len());
        let of_pieces: std::collections::HashSet<u32> = match self.settings.class.has_fairseq_ids() {
            true => pieces.skip(FAIRSEQ_REPLACED).map(|piece| self.id(piece)).collect(),
            false => pieces.collect(),
        };
        all.filter(move |id| !of_pieces.contains(id))
    }

    /// The settings in effect, by their keys in `tokenizer_config.json`.
    pub(crate) fn list(&self) -> Vec<(&'static str, String)> {
        let class = self.settings.class;
        let model = ("model", format!("SentencePiece {}", self.cutter.model.algorithm()));
        let bytes = ("byte_fallback", self.cutter.model.has_bytes().to_string());
        let lower_case = ("do_lower_case", self.settings.lower_case.to_string());
        let special = self.settings.special_tokens.iter();
        let special = special.map(|(key, token)| (*key, token.content.clone()));
        [("tokenizer_class", class.name().to_owned()), model, bytes, lower_case]
            .into_iter()
            .chain(special)
            .collect()
    }

    /// Encodes a text or a pair.
    pub(crate) fn encode(&self, first: &str, second: Option<&str>, max_length: usize) -> Result<Encoded> {
        let parts = (&self.vocabulary, &self.set_apart, &self.template);
        Builder::encode(parts, (first, second), max_length, |builder, text| self.push_whole(builder, text))
    }

    /// Adds a whole text. The encoding's text is the text as given, so both offsets are the same.
    fn push_whole(&self, builder: &mut Builder<'_>, text: &str) {
        let start = builder.characters();
        builder.push_text(text);
        for part in self.set_apart.split(text) {
            match part {
                Part::Token { at, token, id } => {
                    let range = start + at..start + at + token.chars().count();
                    builder.push_added(id, range.clone(), range);
                }
                Part::Text { at, text } if !builder.is_full() => self.push_part(builder, start + at, text),
                Part::Text { .. } => {}
            }
        }
    }

    /// Adds the text between special tokens, which starts at character `start`. A space begins a word.
    fn push_part(&self, builder: &mut Builder<'_>, start: usize, text: &str) {
        let text = Aligned::new(text);
        let text = if self.settings.lower_case { text.lower_case() } else { text };
        let (normalised, pieces) = self.cutter.encode(text);
        let characters: Vec<char> = normalised.text().chars().collect();
        let mut last = None;
        for piece in &pieces {
            let has_space = characters.get(piece.start) == Some(&SPACE);
            // The bytes of one character have the same place.
            if has_space && last.is_some_and(|last| last != piece.start) {
                builder.end_word();
            }
            last = Some(piece.start);
            let has_more = piece.end > piece.start + 1;
            let origin = normalised.origin(piece.start + usize::from(has_space && has_more)..piece.end);
            let range = start + origin.start..start + origin.end;
            builder.push(self.id(piece.id), Some(builder.word()), range.clone(), range);
        }
        if !pieces.is_empty() {
            builder.end_word();
        }
    }
}

/// The ids of the class, and that of the unknown token.
fn vocabulary(settings: &SentencePieceSettings, model: &SentencePiece) -> Result<(Vocabulary, u32)> {
    let pieces = || model.pieces.iter().map(|piece| &*piece.text);
    if !settings.class.has_fairseq_ids() {
        return Ok((pieces().collect(), model.pieces.unknown));
    }
    if model.pieces.unknown != 0 || pieces().len() < FAIRSEQ_REPLACED {
        return Err(Error::Malformed {
            file: settings.model.clone(),
            place: "pieces 0 to 2".to_owned(),
            found: format!("the unknown piece as number {}", model.pieces.unknown),
            expected: format!("<unk>, <s> and </s>, which {} replaces", settings.class.name()),
            advice: "take model and settings from the same checkpoint",
        });
    }
    let mut vocabulary: Vocabulary = FAIRSEQ.into_iter().chain(pieces().skip(FAIRSEQ_REPLACED)).collect();
    vocabulary.push("<mask>");
    for (id, token) in (0..).zip(FAIRSEQ) {
        vocabulary.claim(token, id);
    }
    Ok((vocabulary, FAIRSEQ_UNKNOWN))
}

/// The special tokens around texts.
fn template(settings: &SentencePieceSettings, vocabulary: &Vocabulary) -> Result<Template> {
    let id = |role: &'static str| {
        let token = settings.token(role).map_or("", |token| token.content.as_str());
        vocabulary.id(token).ok_or_else(|| Error::SpecialToken {
            file: settings.model.clone(),
            role,
            token: token.to_owned(),
        })
    };
    let mut template = Template { second_type: settings.class.second_type(), ..Template::default() };
    match settings.class {
        Class::T5 => {
            if settings.names_classification {
                template.before.push(id("cls_token")?);
            }
            template.after.push(id("eos_token")?);
        }
        Class::XlmRoberta | Class::MLuke => {
            template.before.push(id("cls_token")?);
            template.after.push(id("sep_token")?);
            template.before_second.push(id("sep_token")?);
        }
        Class::Albert | Class::DebertaV2 => {
            template.before.push(id("cls_token")?);
            template.after.push(id("sep_token")?);
        }
        Class::Llama => {
            if settings.begins {
                template.before.push(id("bos_token")?);
                template.before_second.push(id("bos_token")?);
            }
            if settings.ends {
                template.after.push(id("eos_token")?);
            }
        }
    }
    Ok(template)
}
