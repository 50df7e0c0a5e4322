//! Connections, each served by hyper, with a limit on how long and how large a request's head may
//! be: `axum::serve` has no clock, so a client that never ends its head would be waited for.

use std::io::{self, ErrorKind};
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};

/// No official client comes near; a key and a few tracing headers are all that is needed.
const MOST_HEAD_BYTES: usize = 64 << 10;

/// How long we wait when no connection can be taken, as when too many files are open.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Serves whoever connects until `stopped`, then waits until every answer that is on its way was
/// sent.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    head_time: Duration,
    stopped: impl Future<Output = ()>,
) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(head_time);
    builder.max_header_size(MOST_HEAD_BYTES);
    let open = GracefulShutdown::new();
    let mut stopped = pin!(stopped);
    loop {
        let connection = tokio::select! {
            connection = accept(&listener) => connection,
            () = &mut stopped => break,
        };
        let service = TowerToHyperService::new(router.clone());
        let serving = open.watch(builder.serve_connection(TokioIo::new(connection), service));
        tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::debug!(%error, "a connection broke off");
            }
        });
    }
    // Nobody is let in to wait for nothing.
    drop(listener);
    open.shutdown().await;
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        let error = match listener.accept().await {
            Ok((connection, _)) => match connection.set_nodelay(true) {
                // Events are small and must not wait for one another.
                Ok(()) => return connection,
                Err(error) => error,
            },
            Err(error) => error,
        };
        if !is_clients(&error) {
            tracing::error!(%error, "no connection can be taken");
            tokio::time::sleep(AFTER_FAILURE).await;
        }
    }
}

/// Whether a client gave up, which is nothing to us.
fn is_clients(error: &io::Error) -> bool {
    let kinds = [
        ErrorKind::ConnectionRefused,
        ErrorKind::ConnectionAborted,
        ErrorKind::ConnectionReset,
        ErrorKind::InvalidInput,
    ];
    kinds.contains(&error.kind())
}
