//! What the model says of texts, and how much each of their tokens mattered for it. Only the graphs that a method
//! needs are opened.

use std::iter::zip;

use anyhow::{Context, Result};
use midashi_bert::{TextIds, most_probable};
use midashi_config::Config;
use midashi_explain::{Answer, Attribution, Classifier, Explainer};
use midashi_runtime::Engine;
use midashi_tokenizer::Tokenizer;
use ndarray::{ArrayView1, ArrayView2, s};

use super::method::Method;
use super::model::{Model, ReadText};

/// What the model says of one text.
#[derive(Debug, PartialEq)]
pub struct Explanation {
    /// Probability of each category.
    pub probabilities: Vec<f32>,
    /// How much each token mattered, special tokens included.
    pub weights: Vec<f64>,
}

/// Classifies `texts` and weighs their tokens by `method`.
///
/// # Errors
/// When the model cannot be opened or computed, or the tokenizer has no token that could hide a word.
pub fn explain(
    model: &Model,
    texts: &[ReadText],
    method: Method,
    tokenizer: &Tokenizer,
    config: &Config,
) -> Result<Vec<Explanation>> {
    let runtime = config.run.cache.join("onnxruntime");
    let engine = Engine::open(&runtime, config.evaluate.device, config.threads())?;
    // Standard output is for the texts.
    eprintln!("  {engine}");
    let (folder, labels, batch) = (&model.folder, model.categories.len(), config.evaluate.batch_tokens);
    let ids: Vec<TextIds<'_>> = texts.iter().map(ReadText::ids).collect();
    if let Method::Attention { is_last: true, head, .. } = method {
        let answers = Classifier::open(&engine, folder, labels, batch)?.classify(&ids)?;
        return Ok(answers.into_iter().map(|answer| of_last_layer(answer, head)).collect());
    }

    let mut explainer = Explainer::open(&engine, folder, labels, batch)?;
    let answers = explainer.classify(&ids)?;
    let mut weights = vec![Vec::new(); texts.len()];
    if method == Method::IntegratedGradients {
        let (hidden, _) = tokenizer.replacement().with_context(|| {
            format!(
                "{}: the tokenizer has neither a mask token nor an unknown token, where integrated gradients \
                 begin; take another method (--by)",
                folder.display()
            )
        })?;
        let points = config.evaluate.explain.integration_points;
        for (weights, (text, answer)) in zip(&mut weights, zip(texts, &answers)) {
            let gradients =
                explainer.integrated_gradients(text.ids(), &text.hidden(hidden), category(answer), points)?;
            *weights = as_f64(&gradients);
        }
    } else {
        for batch in explainer.explanation_batches(&ids) {
            let chosen: Vec<TextIds<'_>> = batch.iter().map(|&text| ids[text]).collect();
            let categories: Vec<usize> = batch.iter().map(|&text| category(&answers[text])).collect();
            for (text, attribution) in zip(batch, explainer.explain(&chosen, &categories)?) {
                weights[text] = of_all_layers(&attribution, method);
            }
        }
    }
    let explanations = zip(answers, weights)
        .map(|(answer, weights)| Explanation { probabilities: answer.probabilities, weights });
    Ok(explanations.collect())
}

fn of_last_layer(answer: Answer, head: Option<usize>) -> Explanation {
    Explanation { weights: of_heads(answer.attention.view(), head), probabilities: answer.probabilities }
}

fn of_all_layers(attribution: &Attribution, method: Method) -> Vec<f64> {
    match method {
        Method::Attention { layer, head, .. } => {
            of_heads(attribution.attentions.slice(s![layer, .., 0, ..]), head)
        }
        Method::Rollout => as_f64(&attribution.rollout()),
        Method::GradientXInput | Method::IntegratedGradients => as_f64(&attribution.gradient_x_input),
    }
}

/// Of `[heads, tokens]` one head, or all summed.
fn of_heads(attention: ArrayView2<'_, f32>, head: Option<usize>) -> Vec<f64> {
    let attention = attention.mapv(f64::from);
    match head {
        Some(head) => attention.row(head).to_vec(),
        None => attention.sum_axis(ndarray::Axis(0)).to_vec(),
    }
}

fn as_f64(weights: &[f32]) -> Vec<f64> {
    weights.iter().copied().map(f64::from).collect()
}

fn category(answer: &Answer) -> usize {
    most_probable(ArrayView1::from(&answer.probabilities))
}

#[cfg(test)]
mod tests {
    use ndarray::{Array4, array};

    use super::*;

    #[test]
    fn heads_are_summed_unless_one_is_asked_for() {
        let attention = array![[0.5, 0.25, 0.25], [0.0, 0.75, 0.25]];
        let explanation = |head| {
            let answer = Answer { probabilities: vec![0.25, 0.75], attention: attention.clone() };
            of_last_layer(answer, head)
        };
        assert_eq!(explanation(None).weights, [0.5, 1.0, 0.5]);
        assert_eq!(explanation(Some(1)).weights, [0.0, 0.75, 0.25]);
        assert_eq!(explanation(None).probabilities, [0.25, 0.75]);
    }

    #[test]
    fn a_layers_attention_is_the_row_of_cls() {
        // [layers, heads, tokens, tokens] = 2 × 2 × 2 × 2, numbered in row-major order.
        let attentions =
            Array4::from_shape_fn((2, 2, 2, 2), |(l, h, from, to)| (8 * l + 4 * h + 2 * from + to) as f32);
        let attribution = Attribution { attentions, gradient_x_input: vec![0.5, -0.25] };
        let attention = |layer, head| {
            of_all_layers(&attribution, Method::Attention { layer, is_last: false, head, heads: 2 })
        };
        assert_eq!(attention(0, Some(1)), [4.0, 5.0]);
        assert_eq!(attention(1, None), [8.0 + 12.0, 9.0 + 13.0]);
        assert_eq!(of_all_layers(&attribution, Method::GradientXInput), [0.5, -0.25]);
    }
}
