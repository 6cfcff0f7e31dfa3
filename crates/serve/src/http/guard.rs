//! Around every request: the time-out, panics, metrics, the log, and headers for browsers.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;

use crate::app::Shared;
use crate::error::{ApiError, ErrorType};
use crate::http::paths;
use crate::log::Work;

/// The page loads only its own files, and no other page may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Answers a request within the time-out, whatever its handler does.
pub async fn guard(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let patience = app.limits.patience();
    let mut response = match timeout(patience, caught(next.run(request))).await {
        Ok(Some(response)) => response,
        Ok(None) => ApiError::new(ErrorType::Backend, "the server failed at this request")
            .with_status(StatusCode::INTERNAL_SERVER_ERROR)
            .into_response(),
        Err(_) => {
            let message = format!("no answer within {} s, the limit of --timeout", patience.as_secs());
            ApiError::new(ErrorType::Overloaded, message).into_response()
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let (status, time) = (response.status().as_u16(), started.elapsed());
    app.metrics.request(paths::label(&path), status, time);
    app.log.request(method.as_str(), &path, status, time, response.extensions().get::<Work>());
    response
}

/// The future's output, or none if it panics.
async fn caught<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(poll) => poll.map(Some),
        Err(_) => Poll::Ready(None),
    })
    .await
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_that_panics_gives_no_output_and_ends_nothing() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let panics = async {
            tokio::task::yield_now().await;
            panic!("a handler has an error")
        };
        assert_eq!(runtime.block_on(caught::<_>(panics)), None::<()>);
        assert_eq!(runtime.block_on(caught(async { 3 })), Some(3));
    }
}
