//! Parts of an axis whose place is known only when the graph runs, and relative positions, which are made of them.

use crate::builder::Value;
use crate::node::ElementType::{Float32, Int64};
use crate::node::Op;
use crate::shape::{Dim, Shape};

/// The axis of [`Value::pairs`] on the way from `[n, 2·n]` to `[n, n]`: `2·n² − n` numbers.
const FOLDED: &str = "folded_positions";
/// As [`FOLDED`], `2·n − 1` numbers.
const SKEWED: &str = "skewed_positions";
/// An axis with zeros on both sides.
const EDGED: &str = "edged";

impl<'g> Value<'g> {
    /// The middle `2·n` rows of a table with an even number of rows, where `n` is the size of the axis `symbol` of the
    /// inputs.
    pub fn take_middle(self, symbol: &'static str) -> Self {
        let shape = self.shape();
        let half = match shape.first().and_then(Dim::fixed) {
            Some(rows) if rows.is_multiple_of(2) => self.graph.integers(&[(rows / 2) as i64]),
            _ => return self.graph.misfit("Slice", &[self], "a table with an even number of rows"),
        };
        let size = self.graph.size(symbol);
        let rows = [&Dim::from(2), &symbol.into()].into_iter().product();
        self.window(0, half - size, half + size, rows)
    }

    /// Numbers by relative position as numbers by pairs of positions: `y[…, i, j] = x[…, i, j − i + n − 1]`, from
    /// `[…, n, 2·n]` to `[…, n, n]`. The last column has no pair.
    ///
    /// No index is needed. In memory, the numbers of row `i` begin at `2·n·i` and those that `y` wants at
    /// `2·n·i − i + n − 1`: they are the same columns of each row if rows are read as `2·n − 1` long (as in
    /// Transformer-XL, Dai et al. 2019, appendix B).
    pub fn pairs(self) -> Self {
        let shape = self.shape();
        let [leading @ .., rows, columns] = &shape[..] else {
            return self.graph.misfit("Slice", &[self], "a matrix of relative positions");
        };
        if [&Dim::from(2), rows].into_iter().product::<Dim>() != *columns {
            return self.graph.misfit("Slice", &[self], "twice as many columns as rows");
        }
        let (graph, at) = (self.graph, leading.len());
        let [zero, one] = [0, 1].map(|number| graph.integers(&[number]));
        let all: Dim = [rows, columns].into_iter().product();
        let (count, total) = (graph.computed_size(rows), graph.computed_size(&all));
        let axis = |symbol: &'static str, size: fn(usize) -> usize| {
            rows.fixed().map_or(Dim::symbol(symbol), |rows| size(rows).into())
        };
        let row = |last: &[Dim]| -> Shape { [leading, last].concat() };

        let folded = self.reshape(&row(&[all]));
        let folded = folded.window(at, zero, total - count, axis(FOLDED, |n| 2 * n * n - n));
        let skewed = row(&[rows.clone(), axis(SKEWED, |n| 2 * n - 1)]);
        // In a target of ONNX's Reshape, 0 is the size as it is, and −1 what is left.
        let target = [vec![zero; at], vec![count, graph.integers(&[-1])]].concat();
        let target = graph.node(Op::Concat, &target, &[(Int64, vec![target.len().into()])]);
        let skewed = folded.apply(Op::Refold, &target, skewed);
        skewed.window(at + 1, count - one, count + count - one, rows.clone())
    }

    /// Windows of `count` neighbours along `axis`, where the outside is zeros: the windows' first, second, …, last
    /// tensor, each in the shape of `x`. The place itself is in the middle, so `count` is odd.
    pub fn neighbours(self, axis: usize, count: usize) -> Vec<Self> {
        let shape = self.shape();
        let Some(size) = shape.get(axis).filter(|_| !count.is_multiple_of(2)) else {
            return vec![
                self.graph.misfit("Pad", &[self], "an odd number of neighbours along an axis");
                count
            ];
        };
        let length = self.size_of(axis);
        let place = |at: usize| self.graph.integers(&[at as i64]);
        let edge = count / 2;
        let edged_size = size.fixed().map_or(Dim::symbol(EDGED), |size| (size + 2 * edge).into());
        let edged = self.pad_axis(axis, place(edge), place(edge), edged_size);
        (0..count).map(|at| edged.window(axis, place(at), place(at) + length, size.clone())).collect()
    }

    /// As [`neighbours`](Self::neighbours), of the first place alone: the axis has size 1.
    pub fn neighbours_of_first(self, axis: usize, count: usize) -> Vec<Self> {
        let of_first = |neighbour: Self| neighbour.take_first(axis, 1);
        self.neighbours(axis, count).into_iter().map(of_first).collect()
    }

    /// The numbers at a `place` along `axis`, which is dropped.
    pub fn at(self, axis: usize, place: usize) -> Self {
        let [start, end] = [place, place + 1].map(|place| self.graph.integers(&[place as i64]));
        let mut shape = self.shape();
        if shape.get(axis).is_none_or(|dim| dim.fixed().is_some_and(|size| size <= place)) {
            return self.graph.misfit("Slice", &[self], &format!("a place {place} along axis {axis}"));
        }
        shape.remove(axis);
        self.window(axis, start, end, 1.into()).reshape(&shape)
    }

    /// The numbers from `start` to before `end` along `axis`, which are int64 vectors of one number; they are `size`.
    pub(crate) fn window(self, axis: usize, start: Self, end: Self, size: Dim) -> Self {
        let mut shape = self.shape();
        match shape.get_mut(axis) {
            Some(dim) => *dim = size,
            None => return self.graph.misfit("Slice", &[self], &format!("an axis {axis}")),
        }
        self.apply(Op::Window { axis }, &[start, end, self.graph.integers(&[axis as i64])], shape)
    }

    /// With as many zeros before and after along `axis`; it becomes `size` long.
    pub(crate) fn pad_axis(self, axis: usize, before: Self, after: Self, size: Dim) -> Self {
        let mut shape = self.shape();
        match shape.get_mut(axis) {
            Some(dim) if self.element() == Float32 => *dim = size,
            _ => return self.graph.misfit("Pad", &[self], &format!("floats with an axis {axis}")),
        }
        let pads = before.apply(Op::Concat, &[after], vec![2.into()]);
        let operands = [pads, self.graph.scalar(0.0), self.graph.integers(&[axis as i64])];
        self.apply(Op::PadAxis { axis }, &operands, shape)
    }

    /// The size of an axis as an int64 vector of one number.
    pub(crate) fn size_of(self, axis: usize) -> Self {
        match self.shape().get(axis).and_then(Dim::fixed) {
            Some(size) => self.graph.integers(&[size as i64]),
            None => self.apply_as(Op::Size { axis }, &[], Int64, vec![1.into()]),
        }
    }
}
