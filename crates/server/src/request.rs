//! What handlers take from a request: ids in its path, its query, its body.

use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;

use crate::app::App;
use crate::error::ApiError;
use crate::ids::{self, ApiId};
use crate::wire::{Object, Query};

/// A thousand messages of full length would not fit; nothing an official client sends comes near.
const MOST_BODY_BYTES: usize = 64 << 20;

/// The ids in a path.
#[derive(Debug)]
pub(crate) struct PathIds(Vec<(String, String)>);

impl PathIds {
    /// The id that the route calls `name`.
    pub(crate) fn id<T: ApiId>(&self, name: &str) -> Result<T, ApiError> {
        ids::parse(name, self.text(name))
    }

    /// What the path has in the place that the route calls `name`.
    pub(crate) fn text(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PathIds {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let raw = RawPathParams::from_request_parts(parts, state).await;
        let raw = raw.map_err(|_| invalid_url(parts.method.as_str(), parts.uri.path()))?;
        Ok(Self(raw.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(Self::parse(parts.uri.query()))
    }
}

impl FromRequest<App> for Object {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let read = axum::body::to_bytes(request.into_body(), MOST_BODY_BYTES);
        let Ok(body) = tokio::time::timeout(app.patience().body, read).await else {
            return Err(late());
        };
        let body = body.map_err(|_| {
            let most = MOST_BODY_BYTES >> 20;
            ApiError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("The body of your request broke off or has more than {most} MB."),
            )
        })?;
        Self::parse(&body)
    }
}

/// The body took too long.
pub(crate) fn late() -> ApiError {
    let message = "The body of your request did not arrive in time.";
    ApiError::new(StatusCode::REQUEST_TIMEOUT, message)
}

/// There is nothing at this path.
pub(crate) fn invalid_url(method: &str, path: &str) -> ApiError {
    ApiError::not_found(format!("Invalid URL ({method} {path})"))
}
