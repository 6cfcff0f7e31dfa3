//! AdamW as formulas on values of a graph.

use midashi_onnx::Value;

/// AdamW's decays of the moments and the number that keeps the division defined (Kingma & Ba 2015,
/// algorithm 1), and the limit of the gradient's norm.
#[derive(Clone, Copy, Debug)]
pub struct AdamW {
    /// Decay of the first moment.
    pub beta_1: f32,
    /// Decay of the second moment.
    pub beta_2: f32,
    /// Added to the divisor.
    pub epsilon: f32,
    /// Gradients whose norm, of all together, is greater are scaled down to it; 0 is no limit.
    pub max_grad_norm: f32,
}

/// How fast a parameter is trained.
#[derive(Clone, Copy, Debug)]
pub struct LearningRate {
    /// Its learning rate where [`RATE_FACTOR`](crate::RATE_FACTOR) is 1.
    pub rate: f64,
    /// Share of it that a step takes away, times the learning rate (Loshchilov & Hutter 2019).
    pub weight_decay: f64,
}

/// The scalars that all parameters of a step share.
#[derive(Clone, Copy)]
pub(crate) struct Step<'g> {
    pub(crate) adamw: AdamW,
    /// [`RATE_FACTOR`](crate::RATE_FACTOR)
    pub(crate) factor: Value<'g>,
    /// [`STEP_SIZE`](crate::STEP_SIZE)
    pub(crate) size: Value<'g>,
    /// [`BIAS_CORRECTION`](crate::BIAS_CORRECTION)
    pub(crate) bias_correction: Value<'g>,
    /// Multiplied with gradients, if they are clipped.
    pub(crate) clipping: Option<Value<'g>>,
}

impl<'g> Step<'g> {
    /// The weight `w` and its moments `m` and `v` after a step against the gradient `g`.
    pub(crate) fn apply(
        self,
        LearningRate { rate, weight_decay }: LearningRate,
        w: Value<'g>,
        g: Value<'g>,
        [m, v]: [Value<'g>; 2],
    ) -> [Value<'g>; 3] {
        let AdamW { beta_1, beta_2, epsilon, .. } = self.adamw;
        let g = self.clipping.map_or(g, |clipping| g * clipping);
        let m = m * beta_1 + g * (1.0 - beta_1);
        let v = v * beta_2 + g * (1.0 - beta_2) * g;
        let divisor = v.sqrt() * self.bias_correction + epsilon;
        // Parameters of one rate share these scalars: ONNX Runtime merges equal nodes.
        let change = m * (self.size * rate as f32) / divisor;
        let decayed =
            if weight_decay > 0.0 { w * (1.0 - self.factor * (rate * weight_decay) as f32) } else { w };
        [decayed - change, m, v]
    }
}

/// `limit / max(norm, limit)`; the maximum is `limit + max(norm − limit, 0)`.
pub(crate) fn clipping<'g>(norm: Value<'g>, limit: Value<'g>) -> Value<'g> {
    limit / (limit + (norm - limit).relu())
}
