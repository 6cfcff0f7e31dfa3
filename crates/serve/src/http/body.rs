//! JSON bodies, with refusals as JSON.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;

use crate::app::Shared;
use crate::error::ApiError;

/// A request's body, read from JSON.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Shared> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Shared) -> Result<Self, ApiError> {
        match Json::<T>::from_request(request, app).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(refusal(&rejection, app.limits.max_body)),
        }
    }
}

fn refusal(rejection: &JsonRejection, max_body: usize) -> ApiError {
    let status = rejection.status();
    let message = match status {
        StatusCode::PAYLOAD_TOO_LARGE => {
            format!(
                "the body is longer than {max_body} bytes; send fewer texts, or start the server with a greater --max-body"
            )
        }
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            "found no header Content-Type: application/json; expected one, and JSON in the body".to_owned()
        }
        _ => rejection.body_text(),
    };
    ApiError::wrong(message).with_status(status)
}
