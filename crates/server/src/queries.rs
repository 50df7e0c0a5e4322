//! Refuses query parameters where a request takes none, so that nothing asked for is ignored.

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;

use crate::error::ApiError;
use crate::wire::Query;

/// Lets a request on unless it has a query that nobody would read.
pub(crate) async fn check(
    route: MatchedPath,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    if !are_read(request.method(), route.as_str()) {
        Query::parse(request.uri().query()).finish()?;
    }
    Ok(next.run(request).await)
}

/// Whether the handler of this route reads its query itself, and refuses what it does not know:
/// those of lists, and those that take `include[]`.
fn are_read(method: &Method, route: &str) -> bool {
    match *method {
        Method::GET | Method::HEAD => {
            let one = route.ends_with('}') && !route.ends_with("/{step_id}");
            !one && !route.ends_with("/content") && !route.ends_with("/models")
        }
        Method::POST => route.ends_with("/runs") || route.ends_with("/submit_tool_outputs"),
        _ => false,
    }
}
