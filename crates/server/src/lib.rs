//! Speaks OpenAI's dialect: the Assistants API over HTTP, for unmodified clients.
//!
//! Everything async is in this crate, and nothing below knows of it: a request is read strictly
//! (`wire`), crosses to the engine on a thread that may block (`bridge`), and comes back as JSON
//! or as a stream of events.
//!
//! | to know | read |
//! |---|---|
//! | what a request may say, what an answer looks like | `wire` |
//! | which path does what | `routes` |
//! | what a refused request is told | `error` |
//! | how objects that another server printed are taken in | `dump` |
//! | who may ask, and for which project | `keys`, `pages`, `projects` |
//! | what it is doing | `metrics` |
//!
//! ```no_run
//! # fn serve(engine: docent_engine::Engine) -> docent_core::Result<()> {
//! use docent_server::{Server, ServerOptions};
//!
//! let server = Server::bind(engine, ServerOptions::default())?;
//! println!("listening on http://{}/v1", server.address());
//! let stopper = server.stopper();
//! // Elsewhere, when it is time: stopper.stop();
//! server.run()
//! # }
//! ```

mod server;

mod app;
mod bridge;
mod connections;
mod ingest;
mod keys;
mod leftover;
mod metrics;
mod pages;
mod projects;

mod error;
mod ids;
mod queries;
mod request;
mod routes;
mod wire;

mod dump;

pub use dump::{Dump, DumpImport};
pub use keys::ApiKeys;
pub use projects::Projects;
pub use server::{Patience, Server, ServerOptions, Stopper};
