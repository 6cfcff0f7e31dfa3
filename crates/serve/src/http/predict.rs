//! `POST /predict`: requests and responses of text-embeddings-inference for sequence classification.

use std::num::NonZeroUsize;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use midashi_classifier::ranking;
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
    /// The number of categories in the answer, the greatest scores first; all by default. The name is that of transformers'
    /// pipeline.
    #[serde(default)]
    top_k: Option<NonZeroUsize>,
}

/// A category's score.
#[derive(Clone, Debug, Serialize)]
pub struct Score {
    score: f32,
    label: String,
}

impl Score {
    /// The `most` greatest scores of a text, or all, the greatest first; of equal ones, the first in the model's order.
    pub fn ranked(scores: &[f32], labels: &[String], most: Option<NonZeroUsize>) -> Vec<Self> {
        let ranking = ranking(scores, most.map_or(scores.len(), NonZeroUsize::get));
        let named = ranking.into_iter().map(|id| (scores[id.index()], labels[id.index()].clone()));
        named.map(|(score, label)| Self { score, label }).collect()
    }
}

/// Answers the request.
pub async fn predict(State(app): State<Shared>, Body(request): Body<Request>) -> Result<Response, ApiError> {
    let Request { inputs, truncate, truncation_direction, raw_scores, top_k } = request;
    let tokenised = tokenise(&app, &inputs, truncate, truncation_direction).await?;
    let work = tokenised.work(&app, &inputs);
    let answers = predictions(&app, &tokenised.texts).await?;
    let times: Vec<_> = answers.iter().map(|answer| (answer.queued, answer.computed)).collect();
    let scores = answers.iter().map(|Answered { answer, .. }| {
        let scores = if raw_scores { &answer.logits } else { &answer.probabilities };
        Score::ranked(scores, &app.labels, top_k)
    });
    let scores = scores.collect();
    let body = Json(inputs.shaped(scores));
    let mut response = (tokenised.headers(&app, &times), body).into_response();
    response.extensions_mut().insert(work);
    Ok(response)
}
