//! The inputs of the tail: hidden states of the frozen layers if there are any, else ids.

use anyhow::Result;
use midashi_bert::{Batch, BertConfig, PaddingRule, TextIds};
use midashi_pipeline::artifact::TokenizedCorpus;
use midashi_trunk::{HiddenStates, TrunkRecord, text_ids};

/// The corpus and, if there are frozen layers, their hidden states.
pub struct Texts<'a> {
    pub corpus: &'a TokenizedCorpus,
    pub trunk: Option<(TrunkRecord, HiddenStates)>,
    /// With `compat.article` padding is attended to, and there is no trunk.
    pub padding: PaddingRule,
}

impl Texts<'_> {
    /// The given texts as inputs of a graph.
    pub fn batch(&self, texts: &[usize], config: &BertConfig) -> Result<Batch> {
        if let Some((_, hidden_states)) = &self.trunk {
            return Ok(hidden_states.batch(self.corpus, texts)?);
        }
        let ids: Vec<TextIds<'_>> = texts.iter().map(|&text| text_ids(&self.corpus.texts[text])).collect();
        Ok(Batch::of_ids(&ids, config.pad_token_id, self.padding))
    }
}
