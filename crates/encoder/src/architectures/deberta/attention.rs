//! Disentangled attention (He et al. 2021, section 3.1): contents attend to contents and to relative positions, and
//! positions to contents.
//!
//! All relative positions of a batch are multiplied at once, and only those that occur in it: a batch of `n` tokens has
//! `2·n − 1` of them, whatever the size of the table. Heads are the first axis, so that a head's queries of all texts are
//! one matrix against the head's positions.

use midashi_onnx::{Dim, ElementType, Value};

use super::layers::{Disentangled, RELATIVE, RELATIVE_NORM};
use crate::names::hidden_dropout_name;
use crate::nodes::{Factor, Nodes, Rows};
use crate::padding::{BATCH, TOKENS, positions};

/// The relative positions that a product needs, in the order of its columns. `n` is the number of tokens.
#[derive(Clone, Copy)]
enum Order {
    /// From a token `i` to tokens `j`: distances `i − j` from `n − 1` down to `−n`.
    FromToken,
    /// To a token `j` from tokens `i`: distances `i − j` from `1 − n` up to `n`.
    ToToken,
    /// From the first token to tokens `j`: distances `−j` from 0 down to `1 − n`.
    FromFirst,
}

impl Disentangled {
    /// The linear layers of the attention.
    pub(super) fn projections(self) -> Vec<&'static str> {
        let own = [
            (self.content_to_position && !self.shared, "pos_key_proj"),
            (self.position_to_content && !self.shared, "pos_query_proj"),
        ];
        let own = own.into_iter().filter(|(exists, _)| *exists).map(|(_, name)| name);
        ["query_proj", "key_proj", "value_proj"].into_iter().chain(own).collect()
    }

    /// Attention of `own` rows to all rows of `hidden`, and its weights `[batch, heads, rows, tokens]`.
    pub(super) fn attend<'g>(
        self,
        nodes: Nodes<'g>,
        name: &str,
        hidden: Value<'g>,
        own: Value<'g>,
        rows: Rows,
    ) -> (Value<'g>, Value<'g>) {
        let (width, size) = (nodes.geometry.hidden_size, nodes.geometry.head_size());
        let by_head = |part: &str, x: Value<'g>, rows: Rows| {
            let name = format!("{name}.{part}");
            nodes.by_head(nodes.linear(&name, x, [width, width], true, Factor::Hidden), rows, &[2, 0, 1, 3])
        };
        let query = by_head("query_proj", own, rows);
        let key = by_head("key_proj", hidden, Rows::All);
        let value = by_head("value_proj", hidden, Rows::All);

        let kinds = 1 + usize::from(self.content_to_position) + usize::from(self.position_to_content);
        let scale = 1.0 / ((kinds * size) as f32).sqrt();
        let mut scores = vec![query.matmul(key.transpose(&[0, 1, 3, 2])) * scale];
        let mask = nodes.dropout.hidden.then(|| {
            let shape = [self.buckets.rows().into(), width.into()];
            let mask = hidden_dropout_name(&format!("{name}.pos_dropout"));
            nodes.graph.input(&mask, ElementType::Float32, &shape)
        });
        if self.content_to_position {
            let part = if self.shared { "key_proj" } else { "pos_key_proj" };
            let keys = |order| self.positions(nodes, &format!("{name}.{part}"), order, mask);
            scores.push(content_to_position(query, keys, rows) * scale);
        }
        if self.position_to_content {
            let part = if self.shared { "query_proj" } else { "pos_query_proj" };
            let queries = |order| self.positions(nodes, &format!("{name}.{part}"), order, mask);
            scores.push(position_to_content(key, queries, rows) * scale);
        }
        scores.push(nodes.padding.bias.reshape(&[1.into(), BATCH.into(), 1.into(), TOKENS.into()]));
        let attention = nodes.graph.sum(&scores).softmax();

        let context = nodes.drop_attention(name, attention).matmul(value).transpose(&[1, 2, 0, 3]);
        let context = match rows {
            Rows::All => nodes.padding.unpad(context.reshape(&[positions(), width.into()])),
            Rows::Cls => context.reshape(&[BATCH.into(), width.into()]),
        };
        (context, attention.transpose(&[1, 0, 2, 3]))
    }

    /// The relative embeddings in `order`, projected by the linear layer `name`: `[heads, head_size, positions]`.
    fn positions<'g>(self, nodes: Nodes<'g>, name: &str, order: Order, mask: Option<Value<'g>>) -> Value<'g> {
        let (geometry, width) = (nodes.geometry, nodes.geometry.hidden_size);
        let (places, count) = self.places(nodes, order);
        let rows = nodes.table(RELATIVE, self.buckets.rows()).gather(places);
        let rows = if self.normalised { nodes.layer_norm(RELATIVE_NORM, rows) } else { rows };
        let rows = mask.map_or(rows, |mask| rows * mask.gather(places));
        nodes
            .linear(name, rows, [width, width], true, Factor::Hidden)
            .reshape(&[count, geometry.num_attention_heads.into(), geometry.head_size().into()])
            .transpose(&[1, 2, 0])
    }

    /// Rows of the relative embeddings in `order`, and how many they are.
    fn places<'g>(self, nodes: Nodes<'g>, order: Order) -> (Value<'g>, Dim) {
        let longest = nodes.geometry.max_tokens as i64;
        let table = |distances: &mut dyn Iterator<Item = i64>| {
            nodes.graph.integers(&distances.map(|distance| self.buckets.row(distance)).collect::<Vec<_>>())
        };
        let twice = [&Dim::from(2), &TOKENS.into()].into_iter().product();
        match order {
            Order::FromToken => (table(&mut (-longest..longest).rev()).take_middle(TOKENS), twice),
            Order::ToToken => (table(&mut (1 - longest..=longest)).take_middle(TOKENS), twice),
            Order::FromFirst => (table(&mut (1 - longest..=0).rev()).take_as_many(TOKENS), TOKENS.into()),
        }
    }
}

/// A token's query times the keys of positions: `[heads, batch, rows, tokens]`.
fn content_to_position<'g>(query: Value<'g>, keys: impl Fn(Order) -> Value<'g>, rows: Rows) -> Value<'g> {
    match rows {
        Rows::All => by_distance(query, keys(Order::FromToken)).pairs(),
        Rows::Cls => {
            let shape = query.shape();
            let [heads, batch, one, size] = &shape[..] else { return query };
            let query = query.reshape(&[heads.clone(), batch.clone(), size.clone()]);
            let scores = query.matmul(keys(Order::FromFirst));
            scores.reshape(&[heads.clone(), batch.clone(), one.clone(), TOKENS.into()])
        }
    }
}

/// The queries of positions times a token's key: `[heads, batch, rows, tokens]`.
fn position_to_content<'g>(key: Value<'g>, queries: impl Fn(Order) -> Value<'g>, rows: Rows) -> Value<'g> {
    match rows {
        Rows::All => by_distance(key, queries(Order::ToToken)).pairs().transpose(&[0, 1, 3, 2]),
        Rows::Cls => {
            let shape = key.shape();
            let [heads, batch, tokens, size] = &shape[..] else { return key };
            let queries = queries(Order::FromFirst).transpose(&[0, 2, 1]);
            let queries = queries.reshape(&[heads.clone(), 1.into(), tokens.clone(), size.clone()]);
            let scores = (key * queries).reduce_sum(&[3], false);
            scores.reshape(&[heads.clone(), batch.clone(), 1.into(), tokens.clone()])
        }
    }
}

/// `x` `[heads, batch, tokens, head_size]` times `[heads, head_size, positions]`: `[heads, batch, tokens, positions]`.
fn by_distance<'g>(x: Value<'g>, positions: Value<'g>) -> Value<'g> {
    let (shape, columns) = (x.shape(), positions.shape());
    let ([heads, batch, tokens, size], [.., columns]) = (&shape[..], &columns[..]) else { return x };
    let together = [batch, tokens].into_iter().product();
    x.reshape(&[heads.clone(), together, size.clone()]).matmul(positions).reshape(&[
        heads.clone(),
        batch.clone(),
        tokens.clone(),
        columns.clone(),
    ])
}
