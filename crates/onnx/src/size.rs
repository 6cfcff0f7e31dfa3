//! Sizes computed from other sizes: how many blocks of 64 tokens a text has.

use std::ops::{Add, Div, Mul, Sub};

/// A formula of sizes, in integers: differences must not be negative, quotients are rounded down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Size {
    /// A known size.
    Fixed(usize),
    /// The size of a named axis.
    Axis(&'static str),
    /// `a + b`
    Sum(Box<[Self; 2]>),
    /// `a − b`
    Difference(Box<[Self; 2]>),
    /// `a·b`
    Product(Box<[Self; 2]>),
    /// `a/b`
    Quotient(Box<[Self; 2]>),
    /// The smaller of `a` and `b`.
    Minimum(Box<[Self; 2]>),
}

impl Size {
    /// The smaller of two sizes.
    #[must_use]
    pub fn min(self, other: impl Into<Self>) -> Self {
        Self::Minimum(Box::new([self, other.into()]))
    }

    /// The size, with the sizes of axes given by `axis`. A division by 0 gives 0.
    pub fn evaluate(&self, axis: &dyn Fn(&'static str) -> usize) -> usize {
        let both = |operands: &[Self; 2]| operands.each_ref().map(|operand| operand.evaluate(axis));
        match self {
            Self::Fixed(size) => *size,
            Self::Axis(symbol) => axis(symbol),
            Self::Sum(operands) => both(operands).into_iter().sum(),
            Self::Difference(operands) => {
                let [a, b] = both(operands);
                a.saturating_sub(b)
            }
            Self::Product(operands) => both(operands).into_iter().product(),
            Self::Quotient(operands) => {
                let [a, b] = both(operands);
                a.checked_div(b).unwrap_or(0)
            }
            Self::Minimum(operands) => {
                let [a, b] = both(operands);
                a.min(b)
            }
        }
    }
}

impl From<usize> for Size {
    fn from(size: usize) -> Self {
        Self::Fixed(size)
    }
}

impl From<&'static str> for Size {
    fn from(symbol: &'static str) -> Self {
        Self::Axis(symbol)
    }
}

impl<T: Into<Self>> Add<T> for Size {
    type Output = Self;

    fn add(self, other: T) -> Self {
        Self::Sum(Box::new([self, other.into()]))
    }
}

impl<T: Into<Self>> Sub<T> for Size {
    type Output = Self;

    fn sub(self, other: T) -> Self {
        Self::Difference(Box::new([self, other.into()]))
    }
}

impl<T: Into<Self>> Mul<T> for Size {
    type Output = Self;

    fn mul(self, other: T) -> Self {
        Self::Product(Box::new([self, other.into()]))
    }
}

impl<T: Into<Self>> Div<T> for Size {
    type Output = Self;

    fn div(self, other: T) -> Self {
        Self::Quotient(Box::new([self, other.into()]))
    }
}
