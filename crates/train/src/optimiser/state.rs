//! The saved state of an optimiser: weights, best weights and moments, by name.

use std::collections::HashMap;

use anyhow::{Context, Result};
use ndarray::{ArrayD, CowArray, IxDyn};

/// Prefixes of the names: weight, weight after the best epoch, first and second moment.
pub const PREFIXES: [&str; 4] = ["weight/", "best/", "first_moment/", "second_moment/"];

/// Everything that steps change, by prefix and name of the tensor.
pub type State<'a> = Vec<(String, CowArray<'a, f32, IxDyn>)>;

/// The state of one trainable tensor.
pub struct TensorState<T> {
    pub weight: T,
    /// The weight after the best epoch.
    pub best: Option<T>,
    /// First and second moment.
    pub moments: [T; 2],
}

impl<T> TensorState<T> {
    /// Its arrays as part of a [`State`], for the tensor `name`.
    pub fn named(self, name: &str) -> impl Iterator<Item = (String, T)> {
        let [first, second] = self.moments.map(Some);
        let arrays = PREFIXES.into_iter().zip([Some(self.weight), self.best, first, second]);
        arrays.filter_map(move |(prefix, array)| Some((format!("{prefix}{name}"), array?)))
    }
}

impl TensorState<ArrayD<f32>> {
    /// Takes the arrays of the tensor `name` out of a saved state.
    ///
    /// # Errors
    /// When the state belongs to another model.
    pub fn take(state: &mut HashMap<String, Vec<f32>>, name: &str, shape: &[usize]) -> Result<Self> {
        let mut take = |prefix: &str| {
            let numbers = state.remove(&format!("{prefix}{name}"));
            numbers.map(|numbers| ArrayD::from_shape_vec(shape, numbers)).transpose()
        };
        let missing = || format!("the saved state has no {name}");
        let [weight, best, first, second] = PREFIXES.map(&mut take);
        Ok(Self {
            weight: weight?.with_context(missing)?,
            best: best?,
            moments: [first?.with_context(missing)?, second?.with_context(missing)?],
        })
    }
}
