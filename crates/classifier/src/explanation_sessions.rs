//! The graphs of explanations, each opened by the first explanation that needs it.

use midashi_encoder::AttentionOutputs;
use midashi_runtime::Lanes;

/// The opened graphs of explanations.
#[derive(Default)]
pub(crate) struct ExplanationSessions {
    /// Gradients alone.
    gradients: Option<Lanes>,
    /// Gradients, and the layers' mean attention.
    attributions: Option<Lanes>,
    /// All attention, without gradients.
    pub(crate) attentions: Option<Lanes>,
}

impl ExplanationSessions {
    /// The graph with gradients that outputs this attention.
    pub(crate) fn with_gradients(&mut self, attention: AttentionOutputs) -> &mut Option<Lanes> {
        match attention {
            AttentionOutputs::Nothing => &mut self.gradients,
            AttentionOutputs::Means => &mut self.attributions,
        }
    }
}
