//! `GET /openapi.json`: the description of all addresses.

use axum::http::header;
use axum::response::IntoResponse;

/// The description. A test of the router compares its addresses with those that are answered.
pub const DESCRIPTION: &str = include_str!("../../openapi.json");

/// The description.
pub async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DESCRIPTION)
}
