//! The post-processor of a `tokenizer.json`, which adds special tokens: checked, because the library trusts its templates.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use tokenizers::PostProcessorWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::processors::roberta::RobertaProcessing;
use tokenizers::processors::sequence::Sequence;
use tokenizers::processors::template::TemplateProcessing;

use super::bounds;
use super::problem::Problem;
use super::value::{kind, start_of, typed};

/// Reads and checks the file's post-processor. `has_id` is whether the vocabulary has an id.
pub(super) fn read(value: &Value, has_id: impl Fn(u32) -> bool) -> Result<PostProcessorWrapper, Problem> {
    const PLACE: &str = "post_processor";
    let mut steps = Vec::new();
    let mut adds_tokens = false;
    read_into(value, PLACE, &has_id, &mut steps, &mut adds_tokens)?;
    match steps.len() {
        1 => steps.pop().ok_or_else(|| Problem::new(PLACE, "nothing", "a post-processor")),
        _ => Ok(PostProcessorWrapper::Sequence(Sequence::new(steps))),
    }
}

/// Adds the steps of a post-processor, which may be a list of others.
fn read_into(
    value: &Value,
    place: &str,
    has_id: &impl Fn(u32) -> bool,
    steps: &mut Vec<PostProcessorWrapper>,
    adds_tokens: &mut bool,
) -> Result<(), Problem> {
    let kind = kind(value, place)?;
    if kind == "Sequence" {
        let list = value.get("processors").and_then(Value::as_array);
        let list = list.ok_or_else(|| Problem::new(place, start_of(value), "a list of \"processors\""))?;
        for (number, value) in list.iter().enumerate() {
            read_into(value, &format!("{place}.processors[{number}]"), has_id, steps, adds_tokens)?;
        }
        return Ok(());
    }
    if steps.len() == bounds::STEPS {
        return Err(Problem::new(place, "more steps", format!("{} at most", bounds::STEPS)));
    }
    let known = |id: u32, token: &str| match has_id(id) {
        true => Ok(()),
        false => Err(Problem::new(place, format!("id {id} of {token:?}"), "an id of the vocabulary")),
    };
    // The library panics in the second step that adds tokens: it then has the parts of a template for texts.
    if kind != "ByteLevel" && std::mem::replace(adds_tokens, true) {
        return Err(Problem::new(place, format!("a second step that adds tokens, {kind:?}"), "one at most"));
    }
    steps.push(match kind {
        "ByteLevel" => PostProcessorWrapper::ByteLevel(typed::<ByteLevel>(value, place)?),
        "BertProcessing" => {
            let processing: BertProcessing = typed(value, place)?;
            let (separator, first) = (processing.get_sep_copy(), processing.get_cls_copy());
            known(separator.1, &separator.0)?;
            known(first.1, &first.0)?;
            PostProcessorWrapper::Bert(processing)
        }
        "RobertaProcessing" => {
            let processing: RobertaProcessing = typed(value, place)?;
            known(processing.sep.1, &processing.sep.0)?;
            known(processing.cls.1, &processing.cls.0)?;
            PostProcessorWrapper::Roberta(processing)
        }
        "TemplateProcessing" => {
            typed::<Template>(value, place)?.check(place, known)?;
            PostProcessorWrapper::Template(typed::<TemplateProcessing>(value, place)?)
        }
        other => {
            let found = format!("type {other:?}");
            return Err(Problem::new(place, found, "a type that the tokenizers library has"));
        }
    });
    Ok(())
}

/// The templates of a `TemplateProcessing`.
#[derive(Deserialize)]
struct Template {
    single: Vec<Piece>,
    pair: Vec<Piece>,
    special_tokens: BTreeMap<String, SpecialToken>,
}

/// A text, or a special token by its name in `special_tokens`.
#[derive(Deserialize)]
enum Piece {
    Sequence { id: Text, type_id: u64 },
    SpecialToken { id: String, type_id: u64 },
}

/// The first or the second text.
#[derive(Clone, Copy, PartialEq, Deserialize)]
enum Text {
    A,
    B,
}

/// The tokens of which a special token consists.
#[derive(Deserialize)]
struct SpecialToken {
    ids: Vec<u32>,
    tokens: Vec<String>,
}

impl Template {
    /// Checks that each text occurs where it exists, and that special tokens are known.
    fn check(&self, place: &str, known: impl Fn(u32, &str) -> Result<(), Problem>) -> Result<(), Problem> {
        for (name, token) in &self.special_tokens {
            let place = format!("{place}.special_tokens.{name}");
            let (ids, tokens) = (token.ids.len(), token.tokens.len());
            if ids != tokens || ids > bounds::SPECIAL {
                let expected = format!("as many ids as tokens, {} at most", bounds::SPECIAL);
                return Err(Problem::new(&place, format!("{ids} ids and {tokens} tokens"), expected));
            }
            for (id, token) in token.ids.iter().zip(&token.tokens) {
                known(*id, token)?;
            }
        }
        let place_of = |name: &str| format!("{place}.{name}");
        self.check_one(&self.single, &place_of("single"), &[(Text::A, 1), (Text::B, 0)])?;
        self.check_one(&self.pair, &place_of("pair"), &[(Text::A, 1), (Text::B, 1)])
    }

    fn check_one(&self, pieces: &[Piece], place: &str, texts: &[(Text, usize)]) -> Result<(), Problem> {
        let bad = |found: String, expected: &str| Err(Problem::new(place, found, expected));
        if pieces.len() > bounds::TEMPLATE {
            return bad(format!("{} pieces", pieces.len()), &format!("{} at most", bounds::TEMPLATE));
        }
        for piece in pieces {
            let (Piece::Sequence { type_id, .. } | Piece::SpecialToken { type_id, .. }) = piece;
            if *type_id > bounds::TYPE {
                return bad(format!("type_id {type_id}"), &format!("{} at most", bounds::TYPE));
            }
            if let Piece::SpecialToken { id, .. } = piece
                && !self.special_tokens.contains_key(id)
            {
                return bad(format!("the special token {id:?}"), "one of special_tokens");
            }
        }
        for &(text, expected) in texts {
            let is_text = |piece: &&Piece| matches!(piece, Piece::Sequence { id, .. } if *id == text);
            let found = pieces.iter().filter(is_text).count();
            let name = if text == Text::A { "A" } else { "B" };
            if found != expected {
                return bad(format!("{found} sequences {name}"), &expected.to_string());
            }
        }
        Ok(())
    }
}
