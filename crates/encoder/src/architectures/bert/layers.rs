//! BERT's embeddings and layers (Devlin et al. 2019; Vaswani et al. 2017), under the names of a member of its family.

use midashi_onnx::{Dim, Value};

use super::cls_attention::ClsAttention;
use super::family::Member;
use super::own_keys::FIRST_POSITION;
use crate::architectures::architecture::{Architecture, Keys};
use crate::geometry::Geometry;
use crate::native_head::NativeHead;
use crate::nodes::{Factor, LayerOutput, Nodes, Rows, Words};
use crate::padding::{BATCH, TOKENS, UNPADDED, positions};

/// The encoder of BERT or of a member of its family.
#[derive(Debug)]
pub struct Bert {
    member: &'static Member,
    /// The prefix of its classes in transformers.
    class: &'static str,
    /// The row of the position embeddings that the first token uses, if it is another than in transformers.
    first_position: Option<usize>,
}

const POSITIONS: &str = "embeddings.position_embeddings.weight";

impl Member {
    /// Rows of the position embeddings that no token uses.
    pub(super) fn unused_positions(&self, pad_token_id: i64) -> usize {
        match usize::try_from(pad_token_id) {
            Ok(padding) if self.positions_follow_padding => padding.saturating_add(1),
            _ => 0,
        }
    }

    /// The member's name of a part of BERT, without prefix.
    fn plain(&self, part: &str) -> String {
        self.parts.iter().fold(part.to_owned(), |name, (part, own)| name.replace(part, own))
    }
}

impl Bert {
    pub(super) fn new(member: &'static Member, class: &'static str, first_position: Option<usize>) -> Self {
        Self { member, class, first_position }
    }

    /// The member's name of a part of BERT, such as `encoder.layer.0.output.dense`.
    fn own(&self, part: &str) -> String {
        format!("{}.{}", self.member.name, self.member.plain(part))
    }

    /// BERT's name of a layer's part under the member's prefix: a place in a graph.
    fn place(&self, part: &str) -> String {
        format!("{}.{part}", self.member.name)
    }

    /// A linear layer, the residual connection and layer normalisation.
    fn add_and_norm<'g>(
        &self,
        nodes: Nodes<'g>,
        part: &str,
        x: Value<'g>,
        input: usize,
        residual: Value<'g>,
        factor: Factor,
    ) -> Value<'g> {
        let dense = self.own(&format!("{part}.dense"));
        let dense = nodes.linear(&dense, x, [input, nodes.geometry.hidden_size], true, factor);
        let dropped = nodes.drop_hidden(&self.place(part), dense);
        nodes.layer_norm(&self.own(&format!("{part}.LayerNorm")), dropped + residual)
    }

    /// Attention of all rows of `hidden` to all rows, `softmax(Q·Kᵀ/√d)·V`, and its weights.
    fn self_attention<'g>(&self, nodes: Nodes<'g>, part: &str, hidden: Value<'g>) -> [Value<'g>; 2] {
        let heads = |name: &str, perm: [usize; 4]| {
            nodes.by_head(self.projection(nodes, part, name, hidden), Rows::All, &perm)
        };
        let query = heads("query", [0, 2, 1, 3]);
        let key_transposed = heads("key", [0, 2, 3, 1]);
        let value = heads("value", [0, 2, 1, 3]);
        let size = nodes.geometry.head_size();
        let scores = query.matmul(key_transposed) * (1.0 / (size as f32).sqrt());
        let attention = (scores + nodes.padding.bias).softmax();
        let weights = nodes.drop_attention(&self.place(part), attention);
        [nodes.join_heads(weights.matmul(value), Rows::All), attention]
    }

    /// The same of `[CLS]`, whose hidden states are `own`, to all tokens of `by_text`, `[batch, tokens, hidden_size]`.
    fn cls_attention<'g>(
        &self,
        nodes: Nodes<'g>,
        part: &str,
        own: Value<'g>,
        by_text: Value<'g>,
    ) -> [Value<'g>; 2] {
        let query = self.projection(nodes, part, "query", own);
        let [key, value] = ["key", "value"].map(|name| self.own(&format!("{part}.{name}")));
        ClsAttention { place: &self.place(part), key: &key, value: &value }.of(nodes, query, by_text)
    }

    /// The linear layer `name` of attention.
    fn projection<'g>(&self, nodes: Nodes<'g>, part: &str, name: &str, x: Value<'g>) -> Value<'g> {
        let width = nodes.geometry.hidden_size;
        nodes.linear(&self.own(&format!("{part}.{name}")), x, [width, width], true, Factor::Hidden)
    }
}

impl Architecture for Bert {
    fn name(&self) -> &'static str {
        self.member.name
    }

    fn word_embeddings(&self) -> String {
        self.own("embeddings.word_embeddings.weight")
    }

    fn tensors(&self, geometry: &Geometry) -> Vec<(String, Vec<usize>)> {
        let hidden = geometry.hidden_size;
        let mut tensors = vec![
            (self.word_embeddings(), vec![geometry.vocab_size, hidden]),
            (self.own(POSITIONS), vec![geometry.max_tokens, hidden]),
        ];
        if geometry.type_vocab_size > 0 {
            let types = self.own("embeddings.token_type_embeddings.weight");
            tensors.push((types, vec![geometry.type_vocab_size, hidden]));
        }
        let mut pair = |part: &str, weight: Vec<usize>, bias: usize| {
            let name = self.own(part);
            tensors.push((format!("{name}.weight"), weight));
            tensors.push((format!("{name}.bias"), vec![bias]));
        };
        pair("embeddings.LayerNorm", vec![hidden], hidden);
        let wide = geometry.intermediate_size;
        for layer in 0..geometry.num_hidden_layers {
            let layer = format!("encoder.layer.{layer}");
            for part in ["self.query", "self.key", "self.value", "output.dense"] {
                pair(&format!("{layer}.attention.{part}"), vec![hidden, hidden], hidden);
            }
            pair(&format!("{layer}.attention.output.LayerNorm"), vec![hidden], hidden);
            pair(&format!("{layer}.intermediate.dense"), vec![wide, hidden], wide);
            pair(&format!("{layer}.output.dense"), vec![hidden, wide], hidden);
            pair(&format!("{layer}.output.LayerNorm"), vec![hidden], hidden);
        }
        tensors
    }

    fn layer_of(&self, name: &str) -> Option<usize> {
        name.strip_prefix(&self.own("encoder.layer."))?.split('.').next()?.parse().ok()
    }

    fn native_head(&self) -> NativeHead {
        let head = &self.member.head;
        NativeHead {
            class: format!("{}ForSequenceClassification", self.class),
            dense: head.dense.map_or_else(|| self.own("pooler.dense"), str::to_owned),
            has_bias: true,
            activation: head.activation,
            norm: None,
            classifier: head.classifier.to_owned(),
            drops_input: head.drops_input,
            dropout_key: head.dropout_key,
            pooling_key: None,
        }
    }

    fn pooler(&self) -> Option<String> {
        Some(self.own("pooler.dense"))
    }

    fn spellings(&self, name: &str) -> Vec<String> {
        let plain = name.strip_prefix(&format!("{}.", self.member.name));
        let names = std::iter::once(name.to_owned()).chain(plain.map(str::to_owned));
        names
            .flat_map(|name| {
                let old = name
                    .replace("LayerNorm.weight", "LayerNorm.gamma")
                    .replace("LayerNorm.bias", "LayerNorm.beta");
                if old == name { vec![name] } else { vec![name, old] }
            })
            .collect()
    }

    fn rows_before(&self, name: &str, geometry: &Geometry) -> usize {
        if name == self.own(POSITIONS) { self.member.unused_positions(geometry.pad_token_id) } else { 0 }
    }

    fn first_row(&self, name: &str, geometry: &Geometry) -> usize {
        let usual = self.rows_before(name, geometry);
        if name == self.own(POSITIONS) { self.first_position.unwrap_or(usual) } else { usual }
    }

    fn write_keys(&self, keys: &mut Keys) {
        (self.member.write)(keys);
        // The written table begins where transformers expects it.
        keys.remove(FIRST_POSITION);
    }

    /// Sum of word, position and token type embeddings, normalised.
    fn embeddings<'g>(&self, nodes: Nodes<'g>, words: Words<'g>, token_type_ids: Value<'g>) -> Value<'g> {
        const PART: &str = "embeddings";
        let (geometry, padding) = (nodes.geometry, nodes.padding);
        let width = geometry.hidden_size;
        nodes.graph.scope(&self.place(PART), || {
            let word_table = nodes.table(&self.word_embeddings(), geometry.vocab_size);
            let position_table = nodes.table(&self.own(POSITIONS), geometry.max_tokens);
            let type_table = (geometry.type_vocab_size > 0).then(|| {
                let name = self.own("embeddings.token_type_embeddings.weight");
                nodes.table(&name, geometry.type_vocab_size)
            });
            let unpad = |x: Value<'g>, row: &[Dim]| match padding.rows {
                None => x,
                Some(rows) => rows.unpad(x.reshape(&[&[positions()], row].concat())),
            };
            let word_rows = match words {
                Words::Ids(ids) => unpad(ids, &[]),
                Words::Embedded(embedded) => unpad(embedded, &[width.into()]),
            };
            let type_ids = unpad(token_type_ids, &[]);
            let (position, count) = match padding.rows {
                None => (position_table.take_as_many(TOKENS), positions()),
                Some(rows) => (position_table.gather(rows.in_padded().modulo_size(TOKENS)), UNPADDED.into()),
            };
            let word = match words {
                Words::Ids(_) => word_table.gather(word_rows),
                Words::Embedded(_) => word_rows,
            };
            let sum = match type_table {
                Some(table) => word + table.gather(type_ids) + position,
                None => word + position,
            };
            let name = self.own(&format!("{PART}.LayerNorm"));
            let normalised = nodes.layer_norm(&name, sum.reshape(&[count, width.into()]));
            nodes.drop_hidden(&self.place(PART), normalised)
        })
    }

    fn layer<'g>(&self, nodes: Nodes<'g>, layer: usize, hidden: Value<'g>, rows: Rows) -> LayerOutput<'g> {
        let layer = format!("encoder.layer.{layer}");
        let (width, inner) = (nodes.geometry.hidden_size, nodes.geometry.intermediate_size);
        nodes.graph.scope(&self.place(&layer), || {
            let part = format!("{layer}.attention.self");
            let (own, [context, attention]) = match rows {
                Rows::All => (hidden, self.self_attention(nodes, &part, hidden)),
                Rows::Cls => {
                    let by_text = nodes.by_text(hidden);
                    let own = by_text.take_first(1, 1).reshape(&[BATCH.into(), width.into()]);
                    (own, self.cls_attention(nodes, &part, own, by_text))
                }
            };
            let part = format!("{layer}.attention.output");
            let attended = self.add_and_norm(nodes, &part, context, width, own, Factor::Context);
            let dense = self.own(&format!("{layer}.intermediate.dense"));
            let wide = nodes.linear(&dense, attended, [width, inner], true, Factor::Hidden);
            let active = nodes.geometry.hidden_act.of(wide);
            let factor = nodes.geometry.hidden_act.factor();
            let hidden =
                self.add_and_norm(nodes, &format!("{layer}.output"), active, inner, attended, factor);
            LayerOutput { hidden, attention }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architectures::bert::family::ALL;

    #[test]
    fn tensors_of_a_distilbert_have_their_own_names() {
        let member = ALL.into_iter().find(|member| member.name == "distilbert").unwrap();
        let distilbert = Bert::new(member, "DistilBert", None);
        for (bert, own) in [
            ("embeddings.LayerNorm.bias", "embeddings.LayerNorm.bias"),
            ("encoder.layer.3.attention.output.LayerNorm.bias", "transformer.layer.3.sa_layer_norm.bias"),
            ("encoder.layer.3.attention.output.dense.bias", "transformer.layer.3.attention.out_lin.bias"),
            ("encoder.layer.3.output.LayerNorm.bias", "transformer.layer.3.output_layer_norm.bias"),
            ("encoder.layer.3.output.dense.bias", "transformer.layer.3.ffn.lin2.bias"),
        ] {
            let name = distilbert.own(bert);
            assert_eq!(name, format!("distilbert.{own}"));
            assert_eq!(distilbert.layer_of(&name), bert.contains("layer").then_some(3));
        }
    }
}
