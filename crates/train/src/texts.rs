//! The texts as the tail reads them: hidden states where there is a trunk, else ids.

use anyhow::Result;
use midashi_artifacts::TokenizedCorpus;
use midashi_bert::{Batch, BertConfig, PaddingRule, TextIds};
use midashi_trunk::{HiddenStates, TrunkRecord, text_ids};

/// The corpus and, where there are frozen layers, what they say of it.
pub struct Texts<'a> {
    pub corpus: &'a TokenizedCorpus,
    pub trunk: Option<(TrunkRecord, HiddenStates)>,
    /// With `compat.article` padding is attended to; there is no trunk then.
    pub padding: PaddingRule,
}

impl Texts<'_> {
    /// Some texts as a graph's inputs.
    pub fn batch(&self, texts: &[usize], config: &BertConfig) -> Result<Batch> {
        if let Some((_, hidden_states)) = &self.trunk {
            return Ok(hidden_states.batch(self.corpus, texts)?);
        }
        let ids: Vec<TextIds<'_>> = texts.iter().map(|&text| text_ids(&self.corpus.texts[text])).collect();
        Ok(Batch::of_ids(&ids, config.pad_token_id, self.padding))
    }
}
