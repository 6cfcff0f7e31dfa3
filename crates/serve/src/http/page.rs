//! `GET /`: the page, with its style sheet and its script.

use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse};

use crate::app::Shared;
use crate::page::{SCRIPT, STYLE};

/// The page.
pub async fn page(State(app): State<Shared>) -> Html<String> {
    Html(app.page.clone())
}

/// The page's style sheet.
pub async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE.concat())
}

/// The page's script.
pub async fn script() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT.concat())
}
