//! Local attention in blocks: queries in blocks of `reach` tokens, each against the keys of its own and both neighbouring
//! blocks, which hold everything within reach. The cost is linear in the length of a text.
//!
//! A text of up to three blocks is one block without neighbours: three times as many keys for every query would cost more.
//! Queries, keys and values are gathered from the rows of the hidden states directly, with the same number of nodes as
//! padding for attention to all tokens needs.

use midashi_onnx::{Dim, Place, Size, Value};

use super::scores::{NOTHING, is_further, scaled};
use crate::nodes::Nodes;
use crate::padding::{BATCH, TOKENS, positions};

/// Axis of the blocks of a text.
const BLOCKS: &str = "blocks";
/// Axis of the queries of a block.
const BLOCK: &str = "block";
/// Axis of the keys that a block attends to.
const WINDOW: &str = "window";
/// How many of a window's keys lie before the block, and how many after it; no axis.
const NEIGHBOURS: &str = "neighbours";
/// 1 if a text has neighbouring blocks, 0 if it is one block; no axis.
const IS_LONG: &str = "is_long";

/// How the tokens of a batch are cut into blocks.
#[derive(Clone, Copy)]
pub(super) struct Blocks<'g> {
    nodes: Nodes<'g>,
    /// How many tokens away from its own a token attends to; the same in all local layers.
    reach: usize,
}

/// The rows of the hidden states, one by one.
struct Rows<'g> {
    /// Number of the row's text, int64 `[rows]`.
    text: Value<'g>,
    /// Position of the row's token, int64 `[rows]`.
    token: Value<'g>,
}

impl<'g> Blocks<'g> {
    pub(super) fn new(nodes: Nodes<'g>, reach: usize) -> Self {
        let tokens = || Size::from(TOKENS);
        nodes.graph.define_size(IS_LONG, (tokens() / (3 * reach + 1)).min(1));
        nodes.graph.define_size(NEIGHBOURS, Size::from(IS_LONG) * reach);
        nodes.graph.define_size(BLOCK, tokens() - Size::from(IS_LONG) * (tokens() - reach));
        nodes.graph.define_size(WINDOW, Size::from(BLOCK) + NEIGHBOURS + NEIGHBOURS);
        nodes.graph.define_size(BLOCKS, (tokens() + BLOCK - 1) / BLOCK);
        Self { nodes, reach }
    }

    /// `softmax(Q·Kᵀ/√d)·V` within reach, of queries, keys and values `[rows, hidden_size]`, without the linear layer after
    /// it: `[rows, hidden_size]`.
    pub(super) fn attention(self, name: &str, [query, key, value]: [Value<'g>; 3]) -> Value<'g> {
        let nodes = self.nodes;
        let query = self.by_head(query.pick_rows(self.row_of_query(), &[self.place_of_query()]), BLOCK);
        let [key, value] =
            [key, value].map(|x| self.by_head(x.pick_rows(self.row_of_key(), &self.places_of_key()), WINDOW));
        let scores = scaled(nodes, query.matmul(key.transpose(&[0, 1, 2, 4, 3])));
        let weights = nodes.drop_attention(name, (scores + self.bias()).softmax());
        let context = weights.matmul(value).transpose(&[0, 1, 3, 2, 4]);
        let width = nodes.geometry.hidden_size.into();
        let count = [BATCH, BLOCKS, BLOCK].map(Dim::from).iter().product();
        context.reshape(&[count, width]).pick_rows(self.place_of_query().index, &[self.row_of_place()])
    }

    /// `[batch, blocks, tokens, hidden_size]` to `[batch, blocks, heads, tokens, head_size]`.
    fn by_head(self, x: Value<'g>, tokens: &'static str) -> Value<'g> {
        let (heads, size) = (self.nodes.geometry.num_attention_heads, self.nodes.geometry.head_size());
        x.reshape(&[BATCH.into(), BLOCKS.into(), tokens.into(), heads.into(), size.into()])
            .transpose(&[0, 1, 3, 2, 4])
    }

    /// Added to scores, `[batch, blocks, 1, block, window]`: 0 for tokens within reach.
    fn bias(self) -> Value<'g> {
        let graph = self.nodes.graph;
        graph.shared("blocks.bias", || {
            let distance = graph.range(BLOCK).reshape(&[BLOCK.into(), 1.into()])
                - (graph.range(WINDOW) - graph.size(NEIGHBOURS));
            let is_padding = self.integer(1) - self.is_token(self.token_of_key());
            let by_key =
                is_padding.reshape(&[BATCH.into(), BLOCKS.into(), 1.into(), 1.into(), WINDOW.into()]);
            (by_key + is_further(graph, distance, self.reach)).to_float() * NOTHING
        })
    }

    /// Positions of the queries, `[blocks, block]`; those of the last block may lie behind the text.
    fn token_of_query(self) -> Value<'g> {
        self.start() + self.nodes.graph.range(BLOCK)
    }

    /// Positions of the keys, `[blocks, window]`; those of the first and last block may lie outside of the text.
    fn token_of_key(self) -> Value<'g> {
        self.start() - self.nodes.graph.size(NEIGHBOURS) + self.nodes.graph.range(WINDOW)
    }

    /// Positions of the blocks' first tokens, `[blocks, 1]`.
    fn start(self) -> Value<'g> {
        let graph = self.nodes.graph;
        graph.range(BLOCKS).reshape(&[BLOCKS.into(), 1.into()]) * graph.size(BLOCK)
    }

    /// The row of each query, `[batch, blocks, block]`: outside of a text that of another token.
    fn row_of_query(self) -> Value<'g> {
        self.nodes.graph.shared("blocks.row_of_query", || self.row_of(self.token_of_query()))
    }

    /// The row of each key, `[batch, blocks, window]`: outside of a text that of another token.
    fn row_of_key(self) -> Value<'g> {
        self.nodes.graph.shared("blocks.row_of_key", || self.row_of(self.token_of_key()))
    }

    fn row_of(self, token: Value<'g>) -> Value<'g> {
        let position = self.position_of(token);
        self.nodes.padding.rows.map_or(position, |rows| rows.in_unpadded().gather(position))
    }

    /// 1 where there is a token of the text at `token`, `[blocks, …]`: `[batch, blocks, …]`.
    fn is_token(self, token: Value<'g>) -> Value<'g> {
        let is_outside = is_further(self.nodes.graph, token - self.within(token), 0);
        let mask = self.nodes.padding.mask.reshape(&[positions()]).gather(self.position_of(token));
        mask * (self.integer(1) - is_outside)
    }

    /// Numbers in the padded batch of the tokens at `token`, `[blocks, …]`, of each text: `[batch, blocks, …]`.
    fn position_of(self, token: Value<'g>) -> Value<'g> {
        let graph = self.nodes.graph;
        let text = graph.range(BATCH).reshape(&[BATCH.into(), 1.into(), 1.into()]);
        text * graph.size(TOKENS) + self.within(token)
    }

    /// The nearest position within the texts.
    fn within(self, token: Value<'g>) -> Value<'g> {
        let last = self.nodes.graph.size(TOKENS) - self.integer(1);
        token.maximum(self.integer(0)).minimum(last)
    }

    /// Where each row is among the queries.
    fn place_of_query(self) -> Place<'g> {
        let graph = self.nodes.graph;
        let index = graph.shared("blocks.place_of_query", || {
            let Rows { text, token } = self.rows();
            text * (graph.size(BLOCKS) * graph.size(BLOCK)) + token
        });
        Place { index, factor: None }
    }

    /// Where the context of each query is among the rows.
    fn row_of_place(self) -> Place<'g> {
        let graph = self.nodes.graph;
        let count: Dim = [BATCH, BLOCKS, BLOCK].map(Dim::from).iter().product();
        let factor = graph.shared("blocks.is_token", || {
            self.is_token(self.token_of_query()).to_float().reshape(std::slice::from_ref(&count))
        });
        Place { index: self.row_of_query().reshape(&[count]), factor: Some(factor) }
    }

    /// Where each row is among the keys: in the window of its own block, and in those of the blocks after and before it.
    fn places_of_key(self) -> [Place<'g>; 3] {
        let graph = self.nodes.graph;
        let [blocks, block, window, neighbours, is_long] =
            [BLOCKS, BLOCK, WINDOW, NEIGHBOURS, IS_LONG].map(|symbol| graph.size(symbol));
        let own = |name: &str, build: &dyn Fn(Rows<'g>) -> Value<'g>| {
            graph.shared(&format!("blocks.{name}"), || build(self.rows()))
        };
        let number = own("number", &|Rows { token, .. }| token / block);
        let index = own("place_of_key", &|Rows { text, token }| {
            let in_window = token - number * block + neighbours;
            (text * blocks + number) * window + in_window
        });
        // The window of the next block begins one block later, so the row is one block earlier in it.
        let shift = window - block;
        let has_next = is_long * (blocks - self.integer(1) - number).minimum(self.integer(1));
        let has_previous = is_long * number.minimum(self.integer(1));
        let neighbour = |name: &str, exists: Value<'g>, index: Value<'g>| Place {
            index: graph.shared(&format!("blocks.{name}"), || index * exists),
            factor: Some(graph.shared(&format!("blocks.has_{name}"), || exists.to_float())),
        };
        [
            Place { index, factor: None },
            neighbour("next", has_next, index + shift),
            neighbour("previous", has_previous, index - shift),
        ]
    }

    fn rows(self) -> Rows<'g> {
        let graph = self.nodes.graph;
        let position = self.nodes.padding.rows.map_or_else(
            || {
                let text = graph.range(BATCH).reshape(&[BATCH.into(), 1.into()]);
                (text * graph.size(TOKENS) + graph.range(TOKENS)).reshape(&[positions()])
            },
            |rows| rows.in_padded(),
        );
        Rows { text: position / graph.size(TOKENS), token: position.modulo_size(TOKENS) }
    }

    fn integer(self, number: i64) -> Value<'g> {
        self.nodes.graph.integers(&[number])
    }
}
