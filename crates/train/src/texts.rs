//! The texts as the tail reads them: hidden states where a trunk has computed them, else ids.

use midashi_bert::{Batch, BertConfig, PaddingRule, TextIds};
use midashi_pipeline::artifact::{Features, FeaturesKey, TokenizedCorpus, TokenizedText};

/// The corpus and, where there are frozen layers, what they say of it.
pub struct Texts<'a> {
    pub corpus: &'a TokenizedCorpus,
    pub features: Option<(FeaturesKey, Features)>,
    /// With `compat.article` padding is attended to; there are no features then.
    pub padding: PaddingRule,
}

impl Texts<'_> {
    /// Some texts as a graph's inputs.
    pub fn batch(&self, texts: &[usize], config: &BertConfig) -> Batch {
        if let Some((_, features)) = &self.features {
            let hidden: Vec<&[f32]> = texts.iter().map(|&text| features.hidden(text)).collect();
            return Batch::of_hidden(&hidden, config.hidden_size);
        }
        let ids: Vec<TextIds<'_>> = texts.iter().map(|&text| ids(&self.corpus.texts[text])).collect();
        Batch::of_ids(&ids, config.pad_token_id, self.padding)
    }
}

/// A text as the model reads it.
pub fn ids(text: &TokenizedText) -> TextIds<'_> {
    TextIds { input_ids: &text.input_ids, token_type_ids: &text.token_type_ids }
}
