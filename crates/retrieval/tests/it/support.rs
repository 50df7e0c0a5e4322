//! A library in memory (its indexes in a temporary directory) and a made-up embedder.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use docent_core::{
    Blobs, Embedder, EmbedderSpec, Embedders, Embedding, Error, FileId, Fingerprint, InputRole,
    ManualClock, Purpose, Result, SequentialIds, Store, VectorStoreId,
};
use docent_ingest::{Ingestor, Limits, ThreadGuard};
use docent_retrieval::{AttachOptions, Collections, CollectionsOptions, CollectionsParts};
use docent_store::{MemoryBlobs, MemoryStore};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Embeds {
    English,
    Other,
    Nothing,
}

pub(crate) struct Library {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) blobs: Arc<dyn Blobs>,
    embeds: Embeds,
    embedded: Arc<AtomicUsize>,
    /// Whether embedders other than the usual one are found.
    embedders: Option<Arc<dyn Embedders>>,
    ids: Arc<SequentialIds>,
    pub(crate) clock: Arc<ManualClock>,
    directory: tempfile::TempDir,
    pub(crate) options: CollectionsOptions,
}

impl Library {
    pub(crate) fn new(embeds: Embeds) -> Self {
        Self {
            store: Arc::new(MemoryStore::new()),
            blobs: Arc::new(MemoryBlobs::new()),
            embeds,
            embedded: Arc::default(),
            embedders: None,
            ids: Arc::default(),
            clock: Arc::default(),
            directory: tempfile::tempdir().unwrap(),
            options: CollectionsOptions::default(),
        }
    }

    pub(crate) fn with(self, embeds: Embeds) -> Self {
        Self { embeds, ..self }
    }

    /// Both made-up embedders are on this machine, whichever is the usual one.
    pub(crate) fn with_both(self) -> Self {
        let both = [Embeds::English, Embeds::Other].map(|it| self.embedder(it));
        Self { embedders: Some(Arc::new(Both(both))), ..self }
    }

    /// Only the usual one is.
    pub(crate) fn with_one(self) -> Self {
        Self { embedders: None, ..self }
    }

    /// The same library upon `store`, which stands for its own.
    pub(crate) fn upon(&self, store: Arc<dyn Store>) -> Collections {
        self.open_upon(store, Some(self.embedder(self.embeds)))
    }

    pub(crate) fn embedder(&self, embeds: Embeds) -> Arc<dyn Embedder> {
        Arc::new(Bag::new(embeds, Arc::clone(&self.embedded)))
    }

    pub(crate) fn indexes(&self) -> PathBuf {
        self.directory.path().join("indexes")
    }

    pub(crate) fn open(&self) -> Collections {
        self.open_with(match self.embeds {
            Embeds::Nothing => None,
            embeds => Some(self.embedder(embeds)),
        })
    }

    pub(crate) fn open_with(&self, embedder: Option<Arc<dyn Embedder>>) -> Collections {
        self.open_upon(Arc::clone(&self.store), embedder)
    }

    fn open_upon(&self, store: Arc<dyn Store>, embedder: Option<Arc<dyn Embedder>>) -> Collections {
        Collections::open(CollectionsParts {
            store,
            blobs: Arc::clone(&self.blobs),
            ingestor: Ingestor::new(Arc::new(ThreadGuard::new()), Limits::default()),
            embedder,
            embedders: self.embedders.clone(),
            reranker: None,
            clock: Arc::clone(&self.clock) as _,
            ids: Arc::clone(&self.ids) as _,
            indexes: self.indexes(),
            options: self.options.clone(),
        })
        .unwrap()
    }

    pub(crate) fn upload(&self, collections: &Collections, name: &str, text: &str) -> FileId {
        collections.create_file(name, Purpose::Assistants, &mut text.as_bytes()).unwrap().id
    }

    pub(crate) fn add(
        &self,
        collections: &Collections,
        store: VectorStoreId,
        name: &str,
        text: &str,
    ) -> FileId {
        let file = self.upload(collections, name, text);
        collections.attach(store, file, AttachOptions::default()).unwrap();
        file
    }

    pub(crate) fn process(&self, collections: &Collections) {
        collections.process(&mut |_| ControlFlow::Continue(())).unwrap();
    }

    pub(crate) fn embedded_passages(&self) -> usize {
        self.embedded.load(Ordering::SeqCst)
    }
}

/// Two embedders that are on this machine.
#[derive(Debug)]
struct Both([Arc<dyn Embedder>; 2]);

impl Embedders for Both {
    fn find(&self, fingerprint: &Fingerprint) -> Result<Arc<dyn Embedder>> {
        let found = self.0.iter().find(|it| it.spec().fingerprint == *fingerprint);
        found.cloned().ok_or_else(|| Error::not_found("nobody knows it"))
    }
}

/// Adds up a direction for each word: enough to be near what shares words.
#[derive(Debug)]
struct Bag {
    spec: EmbedderSpec,
    passages: Arc<AtomicUsize>,
}

impl Bag {
    fn new(embeds: Embeds, passages: Arc<AtomicUsize>) -> Self {
        let (name, dims) = if embeds == Embeds::English { ("english", 32) } else { ("other", 48) };
        let spec = EmbedderSpec {
            name: name.into(),
            fingerprint: format!("{name}-1").parse().unwrap(),
            dims,
            window_tokens: 256,
            languages: vec!["en".into()],
            cosines: Default::default(),
        };
        Self { spec, passages }
    }

    fn vector(&self, text: &str) -> Vec<f32> {
        let mut sum = vec![0.01f32; self.spec.dims];
        for word in text.split_whitespace() {
            let mut state =
                word.bytes().fold(7u64, |state, byte| state.wrapping_mul(31) + u64::from(byte));
            for value in &mut sum {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
                *value += (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5;
            }
        }
        let length = sum.iter().map(|value| value * value).sum::<f32>().sqrt();
        sum.iter().map(|value| value / length).collect()
    }
}

impl Embedder for Bag {
    fn spec(&self) -> &EmbedderSpec {
        &self.spec
    }

    fn embed(&self, texts: &[&str], role: InputRole) -> Result<Vec<Embedding>> {
        if role == InputRole::Passage {
            self.passages.fetch_add(texts.len(), Ordering::SeqCst);
        }
        texts.iter().map(|text| Embedding::new(self.spec.dims, self.vector(text))).collect()
    }

    fn count_tokens(&self, texts: &[&str], _: InputRole) -> Result<Vec<usize>> {
        Ok(texts.iter().map(|text| text.split_whitespace().count()).collect())
    }
}
