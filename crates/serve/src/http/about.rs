//! `GET /health`, `/info` and `/metrics`.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::app::Shared;
use crate::error::{ApiError, ErrorType};
use crate::info::Info;

/// The media type of OpenMetrics' text format.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Status 200 with an empty body while the model's thread works, otherwise 503.
pub async fn health(State(app): State<Shared>) -> Result<(), ApiError> {
    if app.texts.is_closed() {
        return Err(ApiError::new(ErrorType::Unhealthy, "unhealthy"));
    }
    Ok(())
}

/// What the server says of itself.
pub async fn info(State(app): State<Shared>) -> Json<Info> {
    Json(app.info.clone())
}

/// Numbers for Prometheus.
pub async fn metrics(State(app): State<Shared>) -> Result<Response, ApiError> {
    let text = app.metrics.text(app.long_texts.len() + app.texts.len(), app.questions.len());
    let text = text.map_err(|error| ApiError::new(ErrorType::Backend, error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response())
}
