//! Attention and gradients from the graphs of explanations.

use std::borrow::Cow;

use midashi_encoder::{
    AttentionOutputs, Graph, INPUTS_EMBEDS, LOGITS, LayerAttention, MatmulPrecision, TARGETS, TextIds,
    attentions, explanation, gradient_name, mean_attention_name,
};
use midashi_runtime::{Lanes, Outputs, Session, Tensor};
use ndarray::{Array2, Array4, ArrayView2, ArrayViewD, Axis, s};

use crate::batches::{Batches, KeptAttention};
use crate::explanation_sessions::ExplanationSessions;
use crate::integration::{IntegratedGradients, PathIntegral, PathPoint};
use crate::quantized::lanes;
use crate::word_embeddings::WordEmbeddings;
use crate::{Classifier, Error, Result, rollout};

/// A graph with gradients keeps every layer's activations, so its batches are this much smaller.
const GRADIENT_SHARE: usize = 4;

/// Attention and gradient of one text, from one run of the graph with gradients.
#[derive(Clone, Debug)]
pub struct Attribution {
    /// Each layer's attention, mean over the heads, `[tokens, tokens]`: of each token in the first axis to all in the
    /// second, where it sums to 1. Of the last layer the row of `[CLS]` alone.
    pub mean_attention: Vec<Array2<f32>>,
    /// Gradient of the category's logit with respect to the word embeddings, times the embeddings, `[tokens]`.
    pub gradient_x_input: Vec<f32>,
}

/// The path of integrated gradients: from a baseline to a text.
#[derive(Clone, Copy, Debug)]
pub struct Path<'a> {
    /// The text.
    pub text: TextIds<'a>,
    /// As many ids as the text has.
    pub baseline: &'a [i32],
    /// The category whose logit is explained.
    pub category: usize,
}

/// A graph with gradients, and what its inputs are made from.
struct Gradients<'c> {
    lanes: &'c mut Lanes,
    inputs: GradientInputs<'c>,
}

struct GradientInputs<'c> {
    embeddings: &'c WordEmbeddings,
    /// Number of categories.
    labels: usize,
    batch_tokens: usize,
    kept: KeptAttention,
}

impl Attribution {
    /// Attention of `[CLS]` in each layer, mean over the heads: `[layers, tokens]`, rows sum to 1.
    pub fn layer_attention(&self) -> Vec<Vec<f32>> {
        self.mean_attention.iter().map(|layer| layer.row(0).to_vec()).collect()
    }

    /// Attention rollout, `[tokens]`; sums to 1.
    pub fn rollout(&self) -> Vec<f32> {
        rollout(self.mean_attention.iter().map(|layer| layer.view())).to_vec()
    }
}

impl Classifier<'_> {
    /// Frees the graphs of explanations. The next explanation opens those it needs.
    pub fn free_explanations(&mut self) {
        self.explanations = ExplanationSessions::default();
    }

    /// Attention and gradients of texts, the gradients with respect to the logit of each text's category.
    ///
    /// # Errors
    /// When an id is not in the vocabulary, there is no such category, or the graph fails.
    pub fn attributions(&mut self, texts: &[TextIds<'_>], categories: &[usize]) -> Result<Vec<Attribution>> {
        let mut found: Vec<Option<Attribution>> = vec![None; texts.len()];
        self.each_attribution(texts, categories, |text, attribution| found[text] = Some(attribution))?;
        Ok(found.into_iter().flatten().collect())
    }

    /// As [`attributions`](Self::attributions), for as many texts as there are: the attention of all of them may not fit into
    /// memory. `take` gets each text's number and its attribution.
    ///
    /// # Errors
    /// As [`attributions`](Self::attributions). [`Error::with_text`] names the text of a number that is not finite.
    pub fn each_attribution(
        &mut self,
        texts: &[TextIds<'_>],
        categories: &[usize],
        mut take: impl FnMut(usize, Attribution),
    ) -> Result<()> {
        let layers = 0..self.model.config().num_hidden_layers;
        let names: Vec<String> = layers.map(mean_attention_name).collect();
        let Gradients { lanes, inputs } = self.gradients(AttentionOutputs::Means)?;
        let Batches { batches, bytes } = inputs.kept.batches(texts, inputs.batch_tokens)?;
        let compute = |session: &mut Session, at: usize| {
            let (embeddings, outputs) = inputs.run_texts(session, &batches[at], texts, categories)?;
            let text_of = |row: usize| batches[at][row];
            let gradients = finite(&outputs, &gradient_name(INPUTS_EMBEDS), text_of)?;
            let layers =
                names.iter().map(|name| finite(&outputs, name, text_of)).collect::<Result<Vec<_>>>()?;
            let attribution = |(row, embeddings): (usize, &Array2<f32>)| {
                let (tokens, _) = embeddings.dim();
                let of_layer = |layer: &ArrayViewD<'_, f32>| {
                    let rows = layer.len_of(Axis(1)).min(tokens);
                    layer.slice(s![row, ..rows, ..tokens]).to_owned()
                };
                Attribution {
                    mean_attention: layers.iter().map(of_layer).collect(),
                    gradient_x_input: row_products(gradients.slice(s![row, ..tokens, ..]), embeddings.view()),
                }
            };
            Ok(embeddings.iter().enumerate().map(attribution).collect::<Vec<_>>())
        };
        lanes.run_each(batches.len(), bytes, compute, |at, found| {
            batches[at].iter().zip(found).for_each(|(&text, attribution)| take(text, attribution));
            Ok(())
        })
    }

    /// The gradients of [`attributions`](Self::attributions) alone, `[tokens]` for each text.
    ///
    /// # Errors
    /// As [`attributions`](Self::attributions).
    pub fn gradients_x_inputs(
        &mut self,
        texts: &[TextIds<'_>],
        categories: &[usize],
    ) -> Result<Vec<Vec<f32>>> {
        let Gradients { lanes, inputs } = self.gradients(AttentionOutputs::Nothing)?;
        let Batches { batches, bytes } = inputs.kept.batches(texts, inputs.batch_tokens)?;
        let compute = |session: &mut Session, at: usize| {
            let (embeddings, outputs) = inputs.run_texts(session, &batches[at], texts, categories)?;
            let gradients = finite(&outputs, &gradient_name(INPUTS_EMBEDS), |row| batches[at][row])?;
            let of_text = |(row, embeddings): (usize, &Array2<f32>)| {
                row_products(gradients.slice(s![row, ..embeddings.nrows(), ..]), embeddings.view())
            };
            Ok(embeddings.iter().enumerate().map(of_text).collect::<Vec<_>>())
        };
        let mut products = vec![Vec::new(); texts.len()];
        lanes.run_each(batches.len(), bytes, compute, |at, found: Vec<_>| {
            batches[at].iter().zip(found).for_each(|(&text, of_text)| products[text] = of_text);
            Ok::<_, Error>(())
        })?;
        Ok(products)
    }

    /// All attention of texts, `[layers, heads, tokens, tokens]` for each: of each token in the third axis to all in the
    /// fourth, where it sums to 1.
    ///
    /// # Errors
    /// When an id is not in the vocabulary or the graph fails.
    pub fn attentions(&mut self, texts: &[TextIds<'_>]) -> Result<Vec<Array4<f32>>> {
        let heads = self.model.config().num_attention_heads;
        let of_layer =
            |layer: ArrayViewD<'_, f32>, tokens| layer.slice(s![.., ..tokens, ..tokens]).to_owned();
        self.each_layer(texts, LayerAttention::Matrices, of_layer, |text, layers| {
            let tokens = texts[text].input_ids.len();
            let mut all = Array4::zeros((layers.len(), heads, tokens, tokens));
            all.outer_iter_mut().zip(&layers).for_each(|(mut to, from)| to.assign(from));
            all
        })
    }

    /// Attention rollout of texts, `[tokens]` for each; sums to 1.
    ///
    /// # Errors
    /// As [`attentions`](Self::attentions).
    pub fn rollouts(&mut self, texts: &[TextIds<'_>]) -> Result<Vec<Vec<f32>>> {
        let of_layer = |layer: ArrayViewD<'_, f32>, tokens| layer.slice(s![..tokens, ..tokens]).to_owned();
        self.each_layer(texts, LayerAttention::Means, of_layer, |_, layers: Vec<Array2<f32>>| {
            rollout(layers.iter().map(|layer| layer.view())).to_vec()
        })
    }

    /// Attention from `[CLS]` in the layer number `layer`, `[heads, tokens]` for each text; rows sum to 1.
    ///
    /// # Errors
    /// As [`attentions`](Self::attentions).
    pub fn cls_attentions(&mut self, texts: &[TextIds<'_>], layer: usize) -> Result<Vec<Array2<f32>>> {
        let of_layer = |layer: ArrayViewD<'_, f32>, tokens| layer.slice(s![.., ..tokens]).to_owned();
        self.each_layer(texts, LayerAttention::OfCls, of_layer, |_, mut layers| layers.swap_remove(layer))
    }

    /// The attention of every layer for each text. `of_layer` gets a layer's output for a text of so many tokens, padded as the
    /// longest of its batch; `of_text` gets a text's number and what was made of its layers.
    fn each_layer<L: Send, T: Default + Clone>(
        &mut self,
        texts: &[TextIds<'_>],
        attention: LayerAttention,
        of_layer: impl Fn(ArrayViewD<'_, f32>, usize) -> L + Sync,
        of_text: impl Fn(usize, Vec<L>) -> T,
    ) -> Result<Vec<T>> {
        let config = self.model.config();
        let opened = match self.explanations.without_gradients(attention).take() {
            Some(opened) => opened,
            None => self.opened(&attentions(config, attention)?, "attentions")?,
        };
        let lanes = self.explanations.without_gradients(attention).insert(opened);
        let embeddings = &self.embeddings;
        let names: Vec<String> = (0..config.num_hidden_layers).map(|layer| attention.name(layer)).collect();
        let tokens = lanes.tokens(self.options.batch_tokens);
        let Batches { batches, bytes } = match attention {
            LayerAttention::Matrices => {
                KeptAttention::new(config, self.options.memory_gib).batches(texts, tokens)?
            }
            LayerAttention::Means | LayerAttention::OfCls => {
                Batches::new(texts, tokens, config.num_attention_heads)
            }
        };
        let compute = |session: &mut Session, at: usize| {
            let texts = chosen(&batches[at], texts);
            let batch = embeddings.batch(&embeddings.of(&texts)?, &texts);
            let outputs = session.run(batch.inputs())?;
            let text_of = |row: usize| batches[at][row];
            let layers =
                names.iter().map(|name| finite(&outputs, name, text_of)).collect::<Result<Vec<_>>>()?;
            let of_row = |(row, text): (usize, &TextIds<'_>)| -> Vec<L> {
                let of_layer = |layer: &ArrayViewD<'_, f32>| {
                    of_layer(layer.index_axis(Axis(0), row), text.input_ids.len())
                };
                layers.iter().map(of_layer).collect()
            };
            Ok(texts.iter().enumerate().map(of_row).collect::<Vec<_>>())
        };
        let mut found = vec![T::default(); texts.len()];
        lanes.run_each(batches.len(), bytes, compute, |at, of_rows: Vec<_>| {
            batches[at].iter().zip(of_rows).for_each(|(&text, layers)| found[text] = of_text(text, layers));
            Ok::<_, Error>(())
        })?;
        Ok(found)
    }

    /// Integrated gradients of each path's category: the difference between the text's word embeddings and those of the
    /// baseline, times the mean gradient on the path between them. Their sum approximates the difference of the two logits;
    /// [`Options::integration`](crate::Options::integration) says how closely. Points of all paths are computed together.
    /// After each batch, `progress` is told how many points are done and how many have been wanted so far.
    ///
    /// # Errors
    /// When a baseline is not as long as its text, an id is not in the vocabulary, there is no such category, or the graph
    /// fails.
    pub fn integrated_gradients(
        &mut self,
        paths: &[Path<'_>],
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<IntegratedGradients>> {
        for Path { text, baseline, .. } in paths {
            let (found, expected) = (baseline.len(), text.input_ids.len());
            if found != expected {
                return Err(Error::Baseline { found, expected });
            }
        }
        let accuracy = self.options.integration;
        let mut integrals: Vec<PathIntegral> =
            paths.iter().map(|path| PathIntegral::new(path.text.input_ids.len(), accuracy)).collect();
        let mut unfinished: Vec<usize> = (0..paths.len()).collect();
        let (mut done, mut wanted_so_far) = (0, 0);
        while !unfinished.is_empty() {
            let wanted: Vec<(usize, PathPoint)> = unfinished
                .iter()
                .flat_map(|&path| integrals[path].wanted().into_iter().map(move |point| (path, point)))
                .collect();
            wanted_so_far += wanted.len();
            let ids: Vec<TextIds<'_>> = wanted.iter().map(|&(path, _)| paths[path].text).collect();
            let categories: Vec<usize> = wanted.iter().map(|&(path, _)| paths[path].category).collect();
            let Gradients { lanes, inputs } = self.gradients(AttentionOutputs::Nothing)?;
            let Batches { batches, bytes } = inputs.kept.batches(&ids, inputs.batch_tokens)?;
            let compute = |session: &mut Session, at: usize| {
                let (texts, categories) = (chosen(&batches[at], &ids), chosen(&batches[at], &categories));
                let baselines = batches[at].iter().map(|&at| {
                    let Path { text, baseline, .. } = paths[wanted[at].0];
                    TextIds { input_ids: baseline, ..text }
                });
                let from = inputs.embeddings.of(&baselines.collect::<Vec<_>>())?;
                let mut ways = inputs.embeddings.of(&texts)?;
                ways.iter_mut().zip(&from).for_each(|(to, from)| *to -= from);
                let embedding = |((from, way), &at): ((Array2<f32>, &Array2<f32>), &usize)| {
                    from + &(way * wanted[at].1.place() as f32)
                };
                let embeddings: Vec<Array2<f32>> =
                    from.into_iter().zip(&ways).zip(&batches[at]).map(embedding).collect();
                let outputs = inputs.run(session, &embeddings, &texts, &categories)?;
                let text_of = |row: usize| wanted[batches[at][row]].0;
                let gradients = finite(&outputs, &gradient_name(INPUTS_EMBEDS), text_of)?;
                let logits = finite(&outputs, LOGITS, text_of)?;
                let of_point = |(row, way): (usize, &Array2<f32>)| {
                    let products = row_products(gradients.slice(s![row, ..way.nrows(), ..]), way.view());
                    (logits[[row, categories[row]]], products)
                };
                Ok(ways.iter().enumerate().map(of_point).collect::<Vec<_>>())
            };
            lanes.run_each(batches.len(), bytes, compute, |at, found: Vec<_>| {
                for (&at, (logit, products)) in batches[at].iter().zip(found) {
                    let (path, point) = wanted[at];
                    integrals[path].add(point, logit, &products);
                }
                done += batches[at].len();
                progress(done, wanted_so_far);
                Ok::<_, Error>(())
            })?;
            unfinished.retain(|&path| !integrals[path].is_complete());
        }
        Ok(integrals.iter().map(PathIntegral::attributions).collect())
    }

    /// A graph of explanations with the model's weights.
    fn opened(&self, graph: &Graph, name: &str) -> Result<Lanes> {
        let weights = Cow::Owned(self.model.weights()?);
        lanes(self.engine, graph, name, weights, MatmulPrecision::Float32)
    }

    /// The graph with gradients that outputs this attention, opened if it was not.
    fn gradients(&mut self, attention: AttentionOutputs) -> Result<Gradients<'_>> {
        let opened = match self.explanations.with_gradients(attention).take() {
            Some(opened) => opened,
            None => {
                let graph = explanation(self.model.config(), self.model.head(), attention)?;
                self.opened(&graph, "explanation")?
            }
        };
        let labels = self.labels().len();
        let kept = KeptAttention::new(self.model.config(), self.options.memory_gib);
        let lanes = self.explanations.with_gradients(attention).insert(opened);
        let batch_tokens = lanes.tokens(self.options.batch_tokens) / GRADIENT_SHARE;
        let inputs = GradientInputs { embeddings: &self.embeddings, labels, batch_tokens, kept };
        Ok(Gradients { lanes, inputs })
    }
}

impl GradientInputs<'_> {
    /// Runs the graph on the texts of a batch; their word embeddings and the outputs.
    fn run_texts(
        &self,
        session: &mut Session,
        batch: &[usize],
        texts: &[TextIds<'_>],
        categories: &[usize],
    ) -> Result<(Vec<Array2<f32>>, Outputs)> {
        let (texts, categories) = (chosen(batch, texts), chosen(batch, categories));
        let embeddings = self.embeddings.of(&texts)?;
        let outputs = self.run(session, &embeddings, &texts, &categories)?;
        Ok((embeddings, outputs))
    }

    /// Runs the graph on a batch of `texts` with these word embeddings; the gradients are those of the categories' logits.
    fn run(
        &self,
        session: &mut Session,
        embeddings: &[Array2<f32>],
        texts: &[TextIds<'_>],
        categories: &[usize],
    ) -> Result<Outputs> {
        let labels = self.labels;
        if let Some(&category) = categories.iter().find(|category| **category >= labels) {
            return Err(Error::Category { category, labels });
        }
        let mut targets = Array2::<f32>::zeros((texts.len(), labels));
        categories.iter().enumerate().for_each(|(row, &category)| targets[[row, category]] = 1.0);
        let targets = targets.into_dyn();
        let batch = self.embeddings.batch(embeddings, texts);
        let mut inputs = batch.inputs();
        inputs.push((TARGETS, Tensor::from(targets.view())));
        Ok(session.run(inputs)?)
    }
}

/// An output of finite numbers. `text_of` gives the number of a row's text for an error ([`Error::with_text`]).
fn finite<'o>(
    outputs: &'o Outputs,
    output: &str,
    text_of: impl Fn(usize) -> usize,
) -> Result<ArrayViewD<'o, f32>> {
    outputs.finite(output).map_err(|error| Error::from(error).in_list(text_of))
}

/// The elements of a batch.
fn chosen<T: Copy>(batch: &[usize], of: &[T]) -> Vec<T> {
    batch.iter().map(|&at| of[at]).collect()
}

/// The scalar product of each pair of rows.
fn row_products(one: ArrayView2<'_, f32>, other: ArrayView2<'_, f32>) -> Vec<f32> {
    one.rows().into_iter().zip(other.rows()).map(|(one, other)| one.dot(&other)).collect()
}
