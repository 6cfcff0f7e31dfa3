//! What all requests share.

use std::sync::Arc;

use midashi_classifier::Reading;

use crate::explainer::Question;
use crate::info::Info;
use crate::limits::Limits;
use crate::log::Log;
use crate::metrics::Metrics;
use crate::predictor::Text;
use crate::queue::Queue;
use crate::tokeniser::LongText;

/// The server's state.
pub struct App {
    /// How the model reads texts.
    pub reading: Reading,
    /// Category names, in the order of the logits.
    pub labels: Vec<String>,
    /// What the server says of itself.
    pub info: Info,
    /// The page to try the model.
    pub page: String,
    /// What it accepts.
    pub limits: Limits,
    /// What it prints.
    pub log: Log,
    /// What it counts.
    pub metrics: Metrics,
    /// Long texts that wait to be tokenised.
    pub long_texts: Queue<LongText>,
    /// Texts that wait for their predictions.
    pub texts: Queue<Text>,
    /// Texts that wait for their explanations.
    pub questions: Queue<Question>,
}

/// The state, as handlers get it.
pub type Shared = Arc<App>;

impl App {
    /// Refuses further texts; the threads end when they have computed those that somebody waits for.
    pub fn close(&self) {
        self.long_texts.close();
        self.texts.close();
        self.questions.close();
    }
}
