//! Errors as text-embeddings-inference answers them: `{"error": …, "error_type": …}`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::answer::Failure;
use crate::queue::Refused;

/// Seconds after which a client may try again: the queue empties within this time, unless its texts are long.
const RETRY_SECONDS: &str = "1";

/// The kinds of errors, spelled as text-embeddings-inference spells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum ErrorType {
    /// The model's thread has ended.
    Unhealthy,
    /// The model failed.
    Backend,
    /// Too many texts wait.
    Overloaded,
    /// The request has a wrong form, or is larger than a limit.
    Validation,
    /// A text cannot be tokenised.
    Tokenizer,
    /// There is no text.
    Empty,
}

/// An error and its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The status.
    pub status: StatusCode,
    /// The message.
    pub error: String,
    /// Its kind.
    pub error_type: ErrorType,
}

#[derive(Serialize)]
struct Body<'a> {
    error: &'a str,
    error_type: ErrorType,
}

impl ApiError {
    /// An error with the status of its kind.
    pub fn new(error_type: ErrorType, error: impl Into<String>) -> Self {
        let status = match error_type {
            ErrorType::Unhealthy | ErrorType::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            ErrorType::Backend => StatusCode::FAILED_DEPENDENCY,
            ErrorType::Validation => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorType::Tokenizer => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorType::Empty => StatusCode::BAD_REQUEST,
        };
        Self { status, error: error.into(), error_type }
    }

    /// The same with another status.
    #[must_use]
    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// A request of a wrong form.
    pub fn wrong(error: impl Into<String>) -> Self {
        Self::new(ErrorType::Validation, error).with_status(StatusCode::UNPROCESSABLE_ENTITY)
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Full { capacity } => Self::new(
                ErrorType::Overloaded,
                format!(
                    "the model is overloaded: {capacity} texts may wait, and these do not fit; try again later"
                ),
            ),
            Refused::Closed => Self::new(ErrorType::Unhealthy, "the server is ending"),
        }
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Model(error) => Self::new(ErrorType::Backend, error),
            Failure::TooLong(error) => Self::new(ErrorType::Validation, error),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = Body { error: &self.error, error_type: self.error_type };
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_SECONDS));
        }
        response
    }
}
