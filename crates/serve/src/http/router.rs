//! Which address is answered by which handler.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, post};
use midashi_text::shaped;

use crate::app::Shared;
use crate::error::ApiError;
use crate::http::guard::guard;
use crate::http::{about, explain, openapi, page, paths, predict};

/// All addresses with their methods and handlers.
fn routes() -> Vec<(&'static str, &'static str, MethodRouter<Shared>)> {
    vec![
        (paths::PAGE, "get", get(page::page)),
        (paths::PAGE, "post", post(predict::predict)),
        (paths::STYLE, "get", get(page::style)),
        (paths::SCRIPT, "get", get(page::script)),
        (paths::PREDICT, "post", post(predict::predict)),
        (paths::EXPLAIN, "post", post(explain::explain)),
        (paths::HEALTH, "get", get(about::health)),
        (paths::INFO, "get", get(about::info)),
        (paths::METRICS, "get", get(about::metrics)),
        (paths::OPENAPI, "get", get(openapi::openapi)),
    ]
}

/// The server's addresses.
pub fn router(app: Shared) -> Router {
    let mut router = Router::new();
    for (path, _, handler) in routes() {
        router = router.route(path, handler);
    }
    router
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(app.limits.max_body))
        .layer(from_fn_with_state(Shared::clone(&app), guard))
        .with_state(app)
}

async fn unknown(uri: Uri) -> ApiError {
    let message =
        format!("there is no {}; GET {} describes what there is", shaped(uri.path()), paths::OPENAPI);
    ApiError::wrong(message).with_status(StatusCode::NOT_FOUND)
}

async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    let message = format!(
        "{} does not answer {}; GET {} describes what it answers",
        shaped(uri.path()),
        shaped(method.as_str()),
        paths::OPENAPI
    );
    ApiError::wrong(message).with_status(StatusCode::METHOD_NOT_ALLOWED)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn the_description_has_exactly_the_addresses_of_the_router() {
        let description: Value = serde_json::from_str(openapi::DESCRIPTION).unwrap();
        let mut described = BTreeSet::new();
        for (path, methods) in description["paths"].as_object().unwrap() {
            described
                .extend(methods.as_object().unwrap().keys().map(|method| (path.clone(), method.clone())));
        }
        let answered: BTreeSet<(String, String)> =
            routes().into_iter().map(|(path, method, _)| (path.to_owned(), method.to_owned())).collect();
        assert_eq!(described, answered);
        assert!(answered.iter().all(|(path, _)| paths::label(path) == path));
        assert_eq!(description["info"]["version"], env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn every_schema_that_the_description_refers_to_exists() {
        let description: Value = serde_json::from_str(openapi::DESCRIPTION).unwrap();
        let mut references = openapi::DESCRIPTION.split("\"#/").skip(1).peekable();
        assert!(references.peek().is_some());
        for reference in references {
            let pointer = format!("/{}", reference.split('"').next().unwrap());
            assert!(description.pointer(&pointer).is_some(), "{pointer}");
        }
    }
}
