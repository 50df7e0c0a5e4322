//! What a refused request is told: the Assistants API's error object, with its exact texts.
//!
//! The official clients try again on 408, 409, 429 and from 500 on, so whatever will fail again is
//! 400 or 404 here, never 409 or 500.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use docent_core::{Error, ErrorKind};
use serde_json::{Value, json};

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    pub(crate) kind: &'static str,
    /// Which parameter is to blame, as a JSON path.
    pub(crate) param: Option<String>,
    pub(crate) code: Option<&'static str>,
}

const INVALID: &str = "invalid_request_error";

impl ApiError {
    /// 400: the same request will fail again.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 404: what the request names is not there.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// 503: clients try again, and may succeed.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let kind = if status.is_server_error() { "server_error" } else { INVALID };
        Self { status, message: message.into(), kind, param: None, code: None }
    }

    /// The same error, blaming `param`.
    pub(crate) fn at(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// The same error with a code for programs.
    pub(crate) fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// The object inside `error`.
    pub(crate) fn body(&self) -> Value {
        json!({
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.code,
        })
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let about = |refused: Self| Self {
            param: error.param().map(str::to_owned),
            code: error.code(),
            ..refused
        };
        match error.kind() {
            ErrorKind::NotFound => about(Self::not_found(error.message())),
            ErrorKind::Invalid | ErrorKind::Conflict => about(Self::invalid(error.message())),
            ErrorKind::Overloaded => Self {
                kind: "rate_limit_exceeded",
                ..Self::new(StatusCode::TOO_MANY_REQUESTS, error.message())
            },
            // What went wrong inside may name paths and peers: it is for the log, not for clients.
            _ => {
                tracing::error!(error = format!("{error:#}"), "a request failed");
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "The server had an error while processing your request; its log says more.",
                )
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, axum::Json(json!({ "error": self.body() }))).into_response()
    }
}
