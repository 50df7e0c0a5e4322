//! Projects: engines of their own behind one address, told apart by the key a request carries.
//!
//! Isolation is by construction, not by a condition in every query: a project has its own store,
//! blobs and indexes, and a request only ever meets the engine of its key's project.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use docent_core::Result;
use docent_engine::Engine;
use tokio::sync::OnceCell;
use tower_service::Service;

use crate::app::App;
use crate::error::ApiError;
use crate::keys::{ApiKeys, DEFAULT_PROJECT};
use crate::server::Patience;
use crate::{pages, routes};

/// Knows the keys there are now, and opens the projects they are for.
pub trait Projects: Send + Sync + fmt::Debug {
    /// The keys as they are now. It is asked at every request, so it must cost next to nothing
    /// while nothing has changed.
    ///
    /// # Errors
    /// When they cannot be read; the request is refused then.
    fn keys(&self) -> Result<ApiKeys>;

    /// Opens a project, at the first request with a key of it. It is never asked for `default`,
    /// which the server has from its beginning.
    ///
    /// # Errors
    /// When it cannot be opened; the next request tries again.
    fn open(&self, project: &str) -> Result<Engine>;
}

/// Who may ask for what: the keys, and every project that was opened.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Keys that are there from the beginning, and stay.
    own: ApiKeys,
    source: Option<Arc<dyn Projects>>,
    patience: Patience,
    /// Whether a key is needed. Once it was it always is: a server whose last key is revoked must
    /// not be open to everybody.
    guarded: AtomicBool,
    opened: Mutex<Opened>,
}

#[derive(Debug, Default)]
struct Opened {
    rooms: HashMap<String, Arc<OnceCell<Room>>>,
    stopped: bool,
}

/// A project that is open.
#[derive(Clone, Debug)]
struct Room {
    app: App,
    router: Router,
}

impl Gate {
    pub(crate) fn new(
        own: ApiKeys,
        source: Option<Arc<dyn Projects>>,
        patience: Patience,
    ) -> Result<Self> {
        let guarded = AtomicBool::new(false);
        let gate = Self { own, source, patience, guarded, opened: Mutex::default() };
        let guarded = !gate.own.is_empty() || !gate.present()?.is_empty();
        gate.guarded.store(guarded, Ordering::SeqCst);
        Ok(gate)
    }

    /// Whether requests need a key.
    pub(crate) fn is_guarded(&self) -> bool {
        self.guarded.load(Ordering::SeqCst)
    }

    /// The project that a request is for. Refuses who has no key where one is needed, and web
    /// pages where none is.
    pub(crate) fn admit(&self, uri: &Uri, headers: &HeaderMap) -> Result<Arc<str>, ApiError> {
        let present = self.present()?;
        if !present.is_empty() {
            self.guarded.store(true, Ordering::SeqCst);
        }
        if !self.is_guarded() {
            pages::check(uri, headers)?;
            return Ok(DEFAULT_PROJECT.into());
        }
        ApiKeys::project_of(&[&self.own, &present], headers)
    }

    fn present(&self) -> Result<ApiKeys> {
        self.source.as_ref().map_or_else(|| Ok(ApiKeys::default()), |source| source.keys())
    }

    /// Has `project` answer.
    pub(crate) async fn answer(
        &self,
        project: &str,
        request: Request,
    ) -> Result<Response, ApiError> {
        let room = self.room(project)?;
        let mut router = room.get_or_try_init(|| self.open(project)).await?.router.clone();
        // A router is always ready, and cannot fail.
        router.call(request).await.map_err(|never| match never {})
    }

    fn room(&self, project: &str) -> Result<Arc<OnceCell<Room>>, ApiError> {
        let mut opened = self.lock();
        if opened.stopped {
            return Err(ApiError::unavailable("The server is stopping."));
        }
        Ok(opened.rooms.entry(project.to_owned()).or_default().clone())
    }

    async fn open(&self, project: &str) -> Result<Room, ApiError> {
        let Some(source) = self.source.clone() else {
            return Err(ApiError::unavailable("This server has no projects."));
        };
        let (name, patience) = (project.to_owned(), self.patience);
        let opening =
            tokio::task::spawn_blocking(move || App::of_project(source.open(&name)?, patience));
        let opened = opening.await;
        match opened
            .map_err(|_| ApiError::unavailable("The project of this key cannot be opened."))?
        {
            Ok(app) => Ok(Room { router: routes::project_router(app.clone()), app }),
            Err(error) => {
                tracing::error!(project, error = format!("{error:#}"), "no project");
                Err(ApiError::unavailable(
                    "The project of this key cannot be opened now; the server's log says more.",
                ))
            }
        }
    }

    /// Every project that is open. None is opened afterwards.
    pub(crate) fn close(&self) -> Vec<App> {
        let mut opened = self.lock();
        opened.stopped = true;
        opened.rooms.values().filter_map(|room| Some(room.get()?.app.clone())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Opened> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
