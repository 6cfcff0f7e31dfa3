//! Running the model on one text: its outputs, and the attention of `[CLS]`.

use std::fmt::Write;

use anyhow::Result;
use midashi_config::Config;
use midashi_encoder::{
    Batch, EncoderConfig, LAST_HIDDEN_STATE, POOLER_OUTPUT, PaddingRule, Storage, TextIds, Weights,
    attentions_name, outputs,
};
use midashi_runtime::Engine;
use midashi_text::shaped;
use midashi_tokenizer::Encoding;
use ndarray::{ArrayViewD, Axis};

/// Number of tokens that are shown for each layer.
const SHOWN: usize = 3;

/// Reports the shapes of all outputs, and for each layer the tokens to which `[CLS]` attends most.
pub fn run(
    report: &mut String,
    config: &Config,
    model: &EncoderConfig,
    weights: &Weights,
    encoding: &Encoding,
) -> Result<()> {
    let graph = outputs(model, weights.has_pooler(model))?;
    let engine =
        Engine::open(&config.run.cache.join("onnxruntime"), config.evaluate.device, config.threads())?;
    let parameters = weights.for_graph(&graph, |_| true)?;
    let mut session = engine.session(&graph.to_model("outputs", |_| Storage::External), parameters)?;
    let text = TextIds { input_ids: &encoding.input_ids, token_type_ids: &encoding.token_type_ids };
    let batch = Batch::of_ids(&[text], model.pad_token_id, PaddingRule::Masked);
    let found = session.run(batch.inputs())?;

    writeln!(report, "\noutputs ({engine})")?;
    writeln!(report, "  {LAST_HIDDEN_STATE:18}{:?}", found.finite(LAST_HIDDEN_STATE)?.shape())?;
    if weights.has_pooler(model) {
        writeln!(report, "  {POOLER_OUTPUT:18}{:?}", found.finite(POOLER_OUTPUT)?.shape())?;
    }
    let attentions = (0..model.num_hidden_layers).map(|layer| found.finite(&attentions_name(layer)));
    let attentions = attentions.collect::<Result<Vec<_>, _>>()?;
    if let Some(first) = attentions.first() {
        writeln!(report, "  {:18}{} layers of {:?}", "attentions", attentions.len(), first.shape())?;
    }

    let first = encoding.tokens.first().map_or(String::new(), |token| shaped(token));
    writeln!(report, "\nmost attended from {first}, summed over {} heads", model.num_attention_heads)?;
    for (layer, attention) in attentions.iter().enumerate() {
        let pieces: Vec<String> = most_attended(attention)
            .into_iter()
            .map(|(token, sum)| format!("{} {sum:.2}", encoding.tokens[token]))
            .collect();
        writeln!(report, "  layer {layer:<4}{}", shaped(&pieces.join(", ")))?;
    }
    Ok(())
}

/// The tokens with the largest attention from the first token of the first text, summed over the heads. `attention` has
/// shape `[texts, heads, tokens, tokens]`.
fn most_attended(attention: &ArrayViewD<'_, f32>) -> Vec<(usize, f32)> {
    let cls = attention.index_axis(Axis(0), 0).sum_axis(Axis(0)).index_axis_move(Axis(0), 0);
    let mut tokens: Vec<(usize, f32)> = cls.iter().copied().enumerate().collect();
    tokens.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    tokens.truncate(SHOWN);
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn attention_is_that_of_cls_summed_over_heads() {
        let rows = |cls: [f32; 4]| array![cls, [9.0; 4], [9.0; 4], [9.0; 4]];
        let heads = ndarray::stack![Axis(0), rows([0.25, 0.5, 0.0, 0.25]), rows([0.125, 0.0, 0.5, 0.375])];
        let attention = heads.insert_axis(Axis(0)).into_dyn();
        assert_eq!(most_attended(&attention.view()), [(3, 0.625), (1, 0.5), (2, 0.5)]);
    }
}
