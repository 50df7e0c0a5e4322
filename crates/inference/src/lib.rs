//! Runs models, or asks someone who does.
//!
//! A [`Manifest`] says what a model is, a [`Catalog`] where its files are and how to fetch them.
//! Weights come only from files whose SHA-256 is the manifest's.
//!
//! | type | socket |
//! |---|---|
//! | [`BertEmbedder`] | [`Embedder`](docent_core::Embedder) |
//! | [`LateInteraction`], [`CrossEncoder`] | [`Reranker`](docent_core::Reranker) |
//! | [`chat::Extractive`], [`chat::Scripted`] | [`ChatModel`](docent_core::ChatModel) |
//! | [`ConfiguredModels`] | [`ChatModels`](docent_core::ChatModels) |
//!
//! ```no_run
//! use docent_core::{Embedder, InputRole};
//! use docent_inference::{BertEmbedder, Catalog};
//!
//! let catalog = Catalog::builtin();
//! let files = catalog.pull("all-MiniLM-L6-v2", &mut |_| std::ops::ControlFlow::Continue(()))?;
//! let embedder = BertEmbedder::load(&files)?;
//! let vectors = embedder.embed(&["where is the key?"], InputRole::Query)?;
//! assert_eq!(vectors[0].dims(), 384);
//! # Ok::<(), docent_core::Error>(())
//! ```

mod catalog;
mod fetch;
pub mod gguf;
mod manifest;

#[cfg(feature = "local-models")]
mod bert;
#[cfg(feature = "local-models")]
mod decoder;
#[cfg(feature = "local-models")]
mod e5s1;
#[cfg(feature = "local-models")]
mod embed;
#[cfg(feature = "local-models")]
mod late_interaction;
#[cfg(feature = "local-models")]
mod network;
#[cfg(feature = "local-models")]
mod rerank;
#[cfg(feature = "local-models")]
mod tokenizer;

pub mod bench;
pub mod chat;
mod config;

pub use catalog::{Catalog, ModelFiles, OwnModel, default_cache_dir};
pub use config::{
    ANY_MODEL, ConfiguredModels, LocalConfig, LocateModel, ModelConfig, ModelsConfig, RemoteConfig,
};
#[cfg(feature = "local-models")]
pub use embed::{BertEmbedder, BertOptions};
pub use fetch::PullProgress;
#[cfg(feature = "local-models")]
pub use late_interaction::LateInteraction;
pub use manifest::{
    EmbedderManifest, FileRole, Manifest, ModelFile, ModelKind, Source, UnpinnedFile,
};
#[cfg(feature = "local-models")]
pub use rerank::CrossEncoder;
