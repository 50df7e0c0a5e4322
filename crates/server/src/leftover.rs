//! What a handler leaves unread of a request's body is read before it is answered, if it is little.
//!
//! Otherwise hyper closes the connection behind the answer, and a client that sends its next request
//! on it loses that one; and one that is still sending may lose the answer itself.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header::EXPECT;
use hyper::body::{Frame, SizeHint};

/// Whoever has more to send finds the connection closed.
const MOST_BYTES: usize = 1 << 20;

const MOST_TIME: Duration = Duration::from_secs(1);

/// A body that a handler reads and we may read on.
#[derive(Clone, Debug)]
struct Shared(Arc<Mutex<Body>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Body> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpBody for Shared {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut *self.lock()).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.lock().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.lock().size_hint()
    }
}

/// What may be left of a request's body.
#[derive(Debug)]
pub(crate) struct Leftover(Option<Shared>);

impl Leftover {
    /// The request, and what its handler will leave of it.
    pub(crate) fn of(request: Request) -> (Request, Self) {
        let (parts, body) = request.into_parts();
        // Who waits to be asked for the body must not be asked in vain.
        let waits = parts.headers.contains_key(EXPECT);
        let body = Shared(Arc::new(Mutex::new(body)));
        let rest = (!waits).then(|| body.clone());
        (Request::from_parts(parts, Body::new(body)), Self(rest))
    }

    /// Reads it, within bounds.
    pub(crate) async fn read(self) {
        let Some(body) = self.0 else { return };
        let mut room = MOST_BYTES;
        let read = async {
            while let Some(Ok(frame)) =
                poll_fn(|cx| Pin::new(&mut *body.lock()).poll_frame(cx)).await
            {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                let Some(left) = room.checked_sub(bytes) else { return };
                room = left;
            }
        };
        // Late or not, the answer goes out now.
        let _ = tokio::time::timeout(MOST_TIME, read).await;
    }
}
