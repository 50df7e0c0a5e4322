//! A data set's documents in a vector store, by the very journey that users' files take.
//!
//! Each document becomes a plain text file, title first. The store remembers which file is which
//! document, so that a build that was interrupted goes on and one that is complete costs nothing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use docent_core::{
    AttributeValue, Error, FileId, FileStatus, Metadata, PageRequest, Purpose, Result,
    VectorStoreId,
};
use docent_retrieval::{AttachOptions, Collections, IngestProgress, NewFile};

use crate::cost::machine;
use crate::dataset::{Dataset, JudgedDocument};
use crate::report::Circumstances;

/// The attribute that names a file's document.
const DOCUMENT: &str = "document";

/// The metadata that names a store's corpus.
const CORPUS: &str = "docent-eval-corpus";

/// Writers whose commits the store gathers into one.
const WRITERS: usize = 8;

/// How far a build has come.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum BuildProgress {
    /// So many documents of so many are in the library.
    Added {
        /// In the library.
        documents: usize,
        /// In the data set.
        of: usize,
    },
    /// A document was read, indexed or embedded.
    Ingest(IngestProgress),
}

/// The documents of a data set, ready to be searched.
#[derive(Clone, Debug)]
pub struct Corpus {
    collections: Arc<Collections>,
    store: VectorStoreId,
    documents: HashMap<FileId, String>,
    notes: Vec<String>,
}

impl Corpus {
    /// Brings every document of `dataset` into `collections`. Says `None` when `on_progress` broke
    /// off; the next call goes on.
    ///
    /// # Errors
    /// Of the store, or of the embedder.
    pub fn build(
        collections: Arc<Collections>,
        dataset: &Dataset,
        on_progress: &mut dyn FnMut(BuildProgress) -> ControlFlow<()>,
    ) -> Result<Option<Self>> {
        let store = store_of(&collections, dataset)?;
        let there: HashSet<String> = documents_in(&collections, store)?.into_values().collect();
        let all = dataset.documents.iter().filter(|it| !it.whole().is_empty());
        let missing: Vec<_> = all.filter(|it| !there.contains(&it.id)).collect();
        for (at, share) in missing.chunks(64 * WRITERS).enumerate() {
            add(&collections, store, share)?;
            let documents = there.len() + at * 64 * WRITERS + share.len();
            let of = dataset.documents.len();
            if on_progress(BuildProgress::Added { documents, of }).is_break() {
                return Ok(None);
            }
        }
        let mut ingest = |progress| on_progress(BuildProgress::Ingest(progress));
        if collections.process(&mut ingest)?.interrupted {
            return Ok(None);
        }
        let documents = documents_in(&collections, store)?;
        let notes = notes(&collections, store, &documents, dataset)?;
        Ok(Some(Self { collections, store, documents, notes }))
    }

    /// What is searched.
    pub fn collections(&self) -> &Arc<Collections> {
        &self.collections
    }

    /// Where.
    pub fn vector_store(&self) -> VectorStoreId {
        self.store
    }

    /// What searching it is made of.
    ///
    /// # Errors
    /// Of the store.
    pub fn circumstances(&self) -> Result<Circumstances> {
        let files = self.collections.vector_store_files(self.store)?;
        let chunking = AttachOptions::default().chunking;
        let embedder = self.collections.embedder();
        Ok(Circumstances {
            program: format!("docent {}", env!("CARGO_PKG_VERSION")),
            machine: machine(),
            embedder: embedder.map(|it| it.spec().fingerprint.to_string()),
            reranker: self.collections.reranker().map(|it| it.name().to_owned()),
            chunking: format!(
                "chunks of {} tokens, {} shared",
                chunking.max_chunk_size_tokens(),
                chunking.chunk_overlap_tokens()
            ),
            chunks: files.iter().map(|file| file.chunks.len()).sum(),
        })
    }

    /// What could not be built in, and why.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The document that became `file`.
    pub fn document(&self, file: FileId) -> Option<&str> {
        self.documents.get(&file).map(String::as_str)
    }
}

fn store_of(collections: &Collections, dataset: &Dataset) -> Result<VectorStoreId> {
    let known = collections
        .vector_stores()?
        .into_iter()
        .find(|store| store.metadata.get(CORPUS).is_some_and(|hash| *hash == dataset.corpus_hash));
    if let Some(store) = known {
        return Ok(store.id);
    }
    let metadata = Metadata::from([(CORPUS.to_owned(), dataset.corpus_hash.clone())]);
    Ok(collections.create_vector_store(Some(&dataset.name), metadata)?.id)
}

fn documents_in(
    collections: &Collections,
    store: VectorStoreId,
) -> Result<HashMap<FileId, String>> {
    let files = collections.vector_store_files(store)?.into_iter();
    Ok(files
        .filter_map(|file| match file.attributes.get(DOCUMENT) {
            Some(AttributeValue::Text(document)) => Some((file.file, document.clone())),
            _ => None,
        })
        .collect())
}

fn add(
    collections: &Collections,
    store: VectorStoreId,
    documents: &[&JudgedDocument],
) -> Result<()> {
    let share = documents.len().div_ceil(WRITERS).max(1);
    std::thread::scope(|scope| {
        let writers: Vec<_> = documents
            .chunks(share)
            .map(|share| {
                scope.spawn(move || share.iter().try_for_each(|it| add_one(collections, store, it)))
            })
            .collect();
        writers.into_iter().try_for_each(|writer| {
            writer.join().map_err(|_| Error::internal("adding a document panicked"))?
        })
    })
}

fn add_one(
    collections: &Collections,
    store: VectorStoreId,
    document: &JudgedDocument,
) -> Result<()> {
    let name = AttributeValue::Text(document.id.clone());
    let options = AttachOptions {
        attributes: BTreeMap::from([(DOCUMENT.to_owned(), name)]),
        ..AttachOptions::default()
    };
    let new = NewFile { filename: "document.txt", purpose: Purpose::Assistants };
    let text = document.whole();
    let added = collections.add_file(store, new, &mut text.as_bytes(), options, &mut |_, _| Ok(()));
    added.map(|_| ()).map_err(|error| error.context(format_args!("document {:?}", document.id)))
}

/// What a reader of the numbers should know of the corpus.
fn notes(
    collections: &Collections,
    store: VectorStoreId,
    documents: &HashMap<FileId, String>,
    dataset: &Dataset,
) -> Result<Vec<String>> {
    let mut notes = dataset.notes.clone();
    let empty = dataset.documents.iter().filter(|it| it.whole().is_empty()).count();
    if empty > 0 {
        notes.push(format!("{empty} documents are empty and cannot be found"));
    }
    let page = PageRequest::all();
    for file in collections.vector_store_files_page(store, Some(FileStatus::Failed), &page)?.data {
        let name = documents.get(&file.file).map_or("?", String::as_str);
        let reason = file.last_error.map(|error| error.message).unwrap_or_default();
        notes.push(format!("document {name:?} cannot be found: {reason}"));
    }
    Ok(notes)
}
