//! The tokenizer classes of transformers that read a SentencePiece model, as their documentation describes them.
//!
//! They are followed as they were published, with SentencePiece itself below them (transformers 4, `use_fast=False`):
//! checkpoints were trained so. transformers 5 rebuilds them from other parts, with other results (decision 51).

use super::cleaning::Cleaning;

/// A tokenizer class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    T5,
    XlmRoberta,
    MLuke,
    Albert,
    DebertaV2,
    Llama,
}

impl Class {
    const ALL: [Self; 6] =
        [Self::T5, Self::XlmRoberta, Self::MLuke, Self::Albert, Self::DebertaV2, Self::Llama];

    /// The class with this name, or with this name and `Fast` behind it.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let name = name.strip_suffix("Fast").unwrap_or(name);
        Self::ALL.into_iter().find(|class| class.name() == name)
    }

    /// The class that `AutoTokenizer` takes for a `model_type` of `config.json`.
    pub(crate) fn of_model(model_type: &str) -> Option<Self> {
        Some(match model_type {
            "t5" | "mt5" | "umt5" => Self::T5,
            "xlm-roberta" => Self::XlmRoberta,
            "albert" => Self::Albert,
            "deberta-v2" => Self::DebertaV2,
            "llama" => Self::Llama,
            _ => return None,
        })
    }

    /// The class's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::T5 => "T5Tokenizer",
            Self::XlmRoberta => "XLMRobertaTokenizer",
            Self::MLuke => "MLukeTokenizer",
            Self::Albert => "AlbertTokenizer",
            Self::DebertaV2 => "DebertaV2Tokenizer",
            Self::Llama => "LlamaTokenizer",
        }
    }

    /// The name of the model's file.
    pub(crate) fn file(self) -> &'static str {
        match self {
            Self::T5 | Self::Albert => "spiece.model",
            Self::XlmRoberta | Self::MLuke => "sentencepiece.bpe.model",
            Self::DebertaV2 => "spm.model",
            Self::Llama => "tokenizer.model",
        }
    }

    /// Whether ids are those of fairseq: `<s>`, `<pad>`, `</s>` and `<unk>` come first, and the model's pieces from its
    /// fourth on, so that a piece has the next id after its own; `<mask>` follows the last.
    pub(crate) fn has_fairseq_ids(self) -> bool {
        matches!(self, Self::XlmRoberta | Self::MLuke)
    }

    /// The spelling of a special token if the settings name none.
    pub(crate) fn default_token(self, role: &str) -> Option<&'static str> {
        let bert = matches!(self, Self::Albert | Self::DebertaV2);
        let fairseq = self.has_fairseq_ids();
        Some(match role {
            "bos_token" | "cls_token" if bert => "[CLS]",
            "eos_token" | "sep_token" if bert => "[SEP]",
            "mask_token" if bert => "[MASK]",
            "unk_token" if self == Self::DebertaV2 => "[UNK]",
            "pad_token" if self == Self::DebertaV2 => "[PAD]",
            "unk_token" => "<unk>",
            "pad_token" if self != Self::Llama => "<pad>",
            "bos_token" if fairseq || self == Self::Llama => "<s>",
            "eos_token" => "</s>",
            "cls_token" if fairseq => "<s>",
            "sep_token" if fairseq => "</s>",
            "mask_token" if fairseq => "<mask>",
            _ => return None,
        })
    }

    /// Whether white space before the mask token belongs to it.
    pub(crate) fn mask_drops_space(self) -> bool {
        self.has_fairseq_ids() || self == Self::Albert
    }

    /// How texts are cleaned, from the settings `do_lower_case`, `keep_accents` and `remove_space`.
    pub(crate) fn cleaning(
        self,
        lower_case: bool,
        keep_accents: Option<bool>,
        remove_space: Option<bool>,
    ) -> Option<Cleaning> {
        (self == Self::Albert).then_some(Cleaning {
            remove_space: remove_space.unwrap_or(true),
            keep_accents: keep_accents.unwrap_or(false),
            lower_case,
        })
    }

    /// Whether texts are lower-cased if the settings say nothing.
    pub(crate) fn lower_case(self) -> bool {
        self == Self::Albert
    }

    /// The token type of the second text of a pair.
    pub(crate) fn second_type(self) -> i32 {
        i32::from(matches!(self, Self::Albert | Self::DebertaV2))
    }
}
