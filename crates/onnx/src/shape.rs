//! Shapes with sizes that may be known only when the graph runs: `[batch·tokens, 384]`.

use std::fmt;

/// One axis: a known size, or a known factor times named sizes.
///
/// Two axes are equal when their factors and names are: `batch·tokens` is never equal to `tokens`, although they
/// have the same size for a batch of one text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Dim {
    factor: usize,
    /// Sorted, so that equal products compare equal.
    symbols: Vec<&'static str>,
}

/// The sizes of all axes.
pub type Shape = Vec<Dim>;

impl Dim {
    /// A size known only when the graph runs.
    pub fn symbol(name: &'static str) -> Self {
        Self { factor: 1, symbols: vec![name] }
    }

    /// The size, if it is known now.
    pub fn fixed(&self) -> Option<usize> {
        self.symbols.is_empty().then_some(self.factor)
    }

    /// The size, with the named sizes given by `of`.
    pub fn size(&self, of: impl Fn(&str) -> usize) -> usize {
        self.factor * self.symbols.iter().map(|symbol| of(symbol)).product::<usize>()
    }

    /// Whether the size is known to be 1, so that the axis broadcasts.
    pub fn is_one(&self) -> bool {
        self.fixed() == Some(1)
    }

    /// Factor and named sizes.
    pub(crate) fn parts(&self) -> (usize, &[&'static str]) {
        (self.factor, &self.symbols)
    }
}

impl From<usize> for Dim {
    fn from(size: usize) -> Self {
        Self { factor: size, symbols: Vec::new() }
    }
}

impl From<&'static str> for Dim {
    fn from(name: &'static str) -> Self {
        Self::symbol(name)
    }
}

impl<'a> std::iter::Product<&'a Dim> for Dim {
    fn product<I: Iterator<Item = &'a Dim>>(dims: I) -> Self {
        let mut product = Self::from(1);
        for dim in dims {
            product.factor *= dim.factor;
            product.symbols.extend(&dim.symbols);
        }
        product.symbols.sort_unstable();
        product
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let symbols = self.symbols.join("*");
        match (self.factor, self.symbols.is_empty()) {
            (factor, true) => write!(f, "{factor}"),
            (1, false) => write!(f, "{symbols}"),
            (factor, false) => write!(f, "{factor}*{symbols}"),
        }
    }
}

/// A shape in messages, such as `[batch, 12, tokens, 32]`.
pub(crate) fn display(shape: &[Dim]) -> String {
    let axes: Vec<String> = shape.iter().map(ToString::to_string).collect();
    format!("[{}]", axes.join(", "))
}

/// The shape of an element-wise operation on `a` and `b` under ONNX's multidirectional broadcasting; `None` if
/// they do not fit.
pub(crate) fn broadcast(a: &[Dim], b: &[Dim]) -> Option<Shape> {
    let rank = a.len().max(b.len());
    let axis = |shape: &[Dim], at: usize| {
        let missing = rank - shape.len();
        at.checked_sub(missing).map_or(Dim::from(1), |at| shape[at].clone())
    };
    (0..rank)
        .map(|at| match (axis(a, at), axis(b, at)) {
            (a, b) if a == b => Some(a),
            (a, b) if a.is_one() => Some(b),
            (a, b) if b.is_one() => Some(a),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape<const N: usize>(dims: [Dim; N]) -> Shape {
        dims.into()
    }

    #[test]
    fn products_are_equal_in_any_order() {
        let (batch, tokens) = (Dim::symbol("batch"), Dim::symbol("tokens"));
        let one: Dim = [&batch, &Dim::from(3), &tokens].into_iter().product();
        let other: Dim = [&tokens, &batch, &Dim::from(3)].into_iter().product();
        assert_eq!(one, other);
        assert_eq!(one.to_string(), "3*batch*tokens");
        assert_eq!([&Dim::from(2), &Dim::from(3)].into_iter().product::<Dim>().fixed(), Some(6));
    }

    #[test]
    fn broadcasting_follows_the_specification() {
        let batch = Dim::symbol("batch");
        let a = shape([batch.clone(), 1.into(), 4.into()]);
        let b = shape([5.into(), 4.into()]);
        assert_eq!(broadcast(&a, &b), Some(shape([batch.clone(), 5.into(), 4.into()])));
        assert_eq!(broadcast(&a, &[]), Some(a.clone()));
        assert_eq!(broadcast(&a, &shape([3.into()])), None);
        assert_eq!(broadcast(&shape([batch]), &shape([Dim::symbol("tokens")])), None);
    }
}
