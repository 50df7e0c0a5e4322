//! The server: bound, run, stopped.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use docent_core::{Error, ErrorKind, Result};
use docent_engine::Engine;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use crate::app::App;
use crate::connections;
use crate::keys::ApiKeys;
use crate::projects::{Gate, Projects};
use crate::routes;

/// How a server listens.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Where. Port 0 takes any that is free.
    pub listen: SocketAddr,
    /// Who may ask of the default project. Where there is no key at all, everybody may who can
    /// reach it, which only a loopback address allows, except web pages.
    pub keys: ApiKeys,
    /// How long a stop waits for answers that are on their way.
    pub grace: Duration,
    /// What a client may take its time for.
    pub patience: Patience,
}

/// How long a client may take for what it sends.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// A request's head; also how long a connection may be idle.
    pub head: Duration,
    /// A body of JSON, and the next piece of an upload.
    pub body: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { head: Duration::from_secs(30), body: Duration::from_secs(60) }
    }
}

impl Default for ServerOptions {
    /// Port 8080 of this machine, for this machine.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            keys: ApiKeys::default(),
            grace: Duration::from_secs(10),
            patience: Patience::default(),
        }
    }
}

/// A server that listens already and answers once it is [run](Self::run).
#[derive(Debug)]
pub struct Server {
    runtime: Runtime,
    listener: TcpListener,
    address: SocketAddr,
    app: App,
    grace: Duration,
    patience: Patience,
    stop: watch::Receiver<bool>,
    stopper: Stopper,
}

/// Stops a server, from any thread.
#[derive(Clone, Debug)]
pub struct Stopper(Arc<watch::Sender<bool>>);

impl Stopper {
    /// Asks the server to stop: it takes no more requests, finishes answers and parks runs.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Server {
    /// Begins to listen.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for an address others can reach when there is no API key,
    /// [`Unavailable`](ErrorKind::Unavailable) when the address cannot be had.
    pub fn bind(engine: Engine, options: ServerOptions) -> Result<Self> {
        Self::bind_with(engine, None, options)
    }

    /// Begins to listen for several projects: `engine` is the one called `default`, the others are
    /// opened when a key of theirs first comes.
    ///
    /// # Errors
    /// As [`bind`](Self::bind), and those of [`Projects::keys`].
    pub fn bind_projects(
        engine: Engine,
        projects: Arc<dyn Projects>,
        options: ServerOptions,
    ) -> Result<Self> {
        Self::bind_with(engine, Some(projects), options)
    }

    fn bind_with(
        engine: Engine,
        projects: Option<Arc<dyn Projects>>,
        options: ServerOptions,
    ) -> Result<Self> {
        let ServerOptions { listen, keys, grace, patience } = options;
        let gate = Gate::new(keys, projects, patience)?;
        if !listen.ip().is_loopback() && !gate.is_guarded() {
            return Err(Error::invalid(format!(
                "{listen} can be reached from other machines, so it needs an API key; make one \
                 with \"docent keys create\", set DOCENT_API_KEY, or listen on 127.0.0.1"
            )));
        }
        let runtime = Builder::new_multi_thread()
            .enable_io()
            .enable_time()
            .thread_name("docent-http")
            .build()
            .map_err(|source| begin_error("the server's threads cannot begin", source))?;
        let bound = runtime.block_on(TcpListener::bind(listen));
        let listener =
            bound.map_err(|source| begin_error(&format!("cannot listen on {listen}"), source))?;
        let address = listener.local_addr()?;
        let (sender, stop) = watch::channel(false);
        let app = App::new(engine, gate, patience)?;
        Ok(Self {
            runtime,
            listener,
            address,
            app,
            grace,
            patience,
            stop,
            stopper: Stopper(Arc::new(sender)),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What stops it.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Answers until it is stopped. The engine is shut down then: runs that go on are parked, and
    /// taken up when the library is next opened.
    pub fn run(self) -> Result<()> {
        let Self { runtime, listener, app, grace, patience, stop, stopper, .. } = self;
        let router = routes::router(app.clone());
        let stopped = |mut stop: watch::Receiver<bool>| async move {
            // Without anyone left who could stop it, it is never stopped.
            if stop.wait_for(|stopped| *stopped).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let served = connections::serve(listener, router, patience.head, stopped(stop.clone()));
        runtime.block_on(async {
            tokio::select! {
                () = served => {}
                () = async {
                    stopped(stop).await;
                    // Streams end only when their runs do, so runs are parked first.
                    app.park_all().await;
                    tokio::time::sleep(grace).await;
                } => {}
            }
        });
        drop(stopper);
        app.shut_down();
        runtime.shutdown_timeout(Duration::from_secs(1));
        Ok(())
    }
}

fn begin_error(what: &str, source: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, format!("{what}: {source}")).with_source(source)
}
