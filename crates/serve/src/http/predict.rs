//! `POST /predict`: requests and responses of text-embeddings-inference for sequence classification.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::answer::Answered;
use crate::app::Shared;
use crate::error::ApiError;
use crate::http::body::Body;
use crate::http::texts::{predictions, tokenise};
use crate::inputs::{Inputs, TruncationDirection};

/// The request. Unknown keys are ignored, because clients send some that are not for this server.
#[derive(Deserialize)]
pub struct Request {
    inputs: Inputs,
    #[serde(default)]
    truncate: Option<bool>,
    #[serde(default)]
    truncation_direction: TruncationDirection,
    /// Logits instead of probabilities.
    #[serde(default)]
    raw_scores: bool,
}

/// A category's score.
#[derive(Clone, Debug, Serialize)]
pub struct Score {
    score: f32,
    label: String,
}

impl Score {
    /// All scores of a text, the greatest first; of equal ones, the first in the model's order.
    pub fn all(scores: &[f32], labels: &[String]) -> Vec<Self> {
        let named = scores.iter().zip(labels).map(|(&score, label)| Self { score, label: label.clone() });
        let mut scores: Vec<Self> = named.collect();
        scores.sort_by(|one, other| other.score.total_cmp(&one.score));
        scores
    }
}

/// Answers the request.
pub async fn predict(State(app): State<Shared>, Body(request): Body<Request>) -> Result<Response, ApiError> {
    let Request { inputs, truncate, truncation_direction, raw_scores } = request;
    let tokenised = tokenise(&app, &inputs, truncate, truncation_direction).await?;
    let work = tokenised.work(&app, &inputs);
    let answers = predictions(&app, &tokenised.texts).await?;
    let times: Vec<_> = answers.iter().map(|answer| (answer.queued, answer.computed)).collect();
    let scores = answers.iter().map(|Answered { answer, .. }| {
        let scores = if raw_scores { &answer.logits } else { &answer.probabilities };
        Score::all(scores, &app.labels)
    });
    let scores = scores.collect();
    let body = Json(inputs.shaped(scores));
    let mut response = (tokenised.headers(&app, &times), body).into_response();
    response.extensions_mut().insert(work);
    Ok(response)
}
