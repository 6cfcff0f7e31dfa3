//! The graphs of explanations, each opened by the first explanation that needs it.

use midashi_encoder::{AttentionOutputs, LayerAttention};
use midashi_runtime::Lanes;

/// The opened graphs of explanations.
#[derive(Default)]
pub(crate) struct ExplanationSessions {
    /// Gradients alone.
    gradients: Option<Lanes>,
    /// Gradients, and the layers' mean attention.
    attributions: Option<Lanes>,
    /// All attention, without gradients.
    matrices: Option<Lanes>,
    /// The layers' mean attention.
    means: Option<Lanes>,
    /// The layers' attention from `[CLS]`.
    of_cls: Option<Lanes>,
}

impl ExplanationSessions {
    /// The graph with gradients that outputs this attention.
    pub(crate) fn with_gradients(&mut self, attention: AttentionOutputs) -> &mut Option<Lanes> {
        match attention {
            AttentionOutputs::Nothing => &mut self.gradients,
            AttentionOutputs::Means => &mut self.attributions,
        }
    }

    /// The graph without gradients that outputs this attention.
    pub(crate) fn without_gradients(&mut self, attention: LayerAttention) -> &mut Option<Lanes> {
        match attention {
            LayerAttention::Matrices => &mut self.matrices,
            LayerAttention::Means => &mut self.means,
            LayerAttention::OfCls => &mut self.of_cls,
        }
    }
}
