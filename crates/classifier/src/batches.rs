//! Texts in batches, and the memory that a batch needs.

use midashi_encoder::{EncoderConfig, TextIds, attention_bytes, batches_by_length};

use crate::error::GIB;
use crate::{Error, Result};

/// Texts in batches.
pub(crate) struct Batches {
    /// Indices into the texts.
    pub batches: Vec<Vec<usize>>,
    /// What the attention of the largest takes, of one layer or of those that are kept.
    pub bytes: u64,
}

/// The memory of explanations that keep the attention of all layers: what gradients need, and what is returned.
#[derive(Clone, Copy)]
pub(crate) struct KeptAttention {
    layers: usize,
    heads: usize,
    /// Most GiB for a text; 0 is no limit.
    most: f64,
}

impl Batches {
    /// `texts` in batches of similar length, of at most `tokens` tokens each, for a model with so many `heads`.
    pub(crate) fn new(texts: &[TextIds<'_>], tokens: usize, heads: usize) -> Self {
        let lengths: Vec<usize> = texts.iter().map(|text| text.input_ids.len()).collect();
        let batches = batches_by_length(&lengths, tokens);
        Self { bytes: attention_bytes(heads, &lengths, &batches), batches }
    }
}

impl KeptAttention {
    /// Of a model, with at most so many GiB for a text; 0 is no limit.
    pub(crate) fn new(config: &EncoderConfig, most: f64) -> Self {
        Self { layers: config.num_hidden_layers, heads: config.num_attention_heads, most }
    }

    /// As [`Batches::new`].
    ///
    /// # Errors
    /// [`Error::ExplanationMemory`] when a text needs more memory than allowed.
    pub(crate) fn batches(self, texts: &[TextIds<'_>], tokens: usize) -> Result<Batches> {
        let of_all_layers = |bytes: u64| bytes.saturating_mul(self.layers as u64);
        let longest = texts.iter().map(|text| text.input_ids.len()).max().unwrap_or_default();
        let alone = of_all_layers(attention_bytes(self.heads, &[longest], &[vec![0]]));
        if self.most > 0.0 && alone as f64 > self.most * GIB {
            return Err(Error::ExplanationMemory { tokens: longest, bytes: alone, most: self.most });
        }
        let Batches { batches, bytes } = Batches::new(texts, tokens, self.heads);
        Ok(Batches { batches, bytes: of_all_layers(bytes) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(ids: &[Vec<i32>]) -> Vec<TextIds<'_>> {
        ids.iter().map(|ids| TextIds { input_ids: ids, token_type_ids: ids }).collect()
    }

    #[test]
    fn a_batch_needs_twelve_bytes_for_each_pair_of_tokens_in_each_head() {
        let ids = [vec![0; 10], vec![0; 12], vec![0; 30]];
        // Two texts of up to 12 tokens, or one of 30.
        let found = Batches::new(&texts(&ids), 30, 4);
        assert_eq!(found.batches, [vec![0, 1], vec![2]]);
        assert_eq!(found.bytes, 12 * 4 * 30 * 30);
        assert_eq!(Batches::new(&texts(&ids[..2]), 30, 4).bytes, 12 * 4 * 2 * 12 * 12);
        assert_eq!(Batches::new(&[], 30, 4).bytes, 0);
    }

    #[test]
    fn a_text_whose_layers_need_more_than_allowed_is_refused() {
        let ids = [vec![0; 1024], vec![0; 10]];
        let kept = |most| KeptAttention { layers: 32, heads: 16, most }.batches(&texts(&ids), 1024);
        // 12 bytes × 32 layers × 16 heads × 1,024² are 6 GiB.
        for most in [6.0, 0.0] {
            assert_eq!(kept(most).unwrap().bytes, 6 << 30);
        }
        let message = kept(5.9).err().unwrap().to_string();
        assert!(message.contains("1024 tokens keeps 6.0 GiB of attention"), "{message}");
        assert!(message.contains("evaluate.explain.memory_gib = 5.9"), "{message}");
    }
}
