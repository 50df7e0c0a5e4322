//! What is deleted goes, whatever else is going on, and what a crash left is cleared away.

use std::io::{self, Read};
use std::sync::{Arc, OnceLock, Weak};

use docent_core::{
    BlobHash, Embedder, EmbedderSpec, Embedding, Error, FileId, FileStatus, InputRole, Metadata,
    Purpose, Result, VectorStoreId,
};
use docent_retrieval::{Collections, NewFile};

use crate::support::{Embeds, Library};

fn kept(library: &Library) -> Vec<BlobHash> {
    library.blobs.list().unwrap().into_iter().map(|blob| blob.hash).collect()
}

#[test]
fn a_sweep_takes_what_nothing_mentions_and_nothing_else() {
    let library = Library::new(Embeds::Nothing);
    let collections = library.open();
    let store = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    let file = library.add(&collections, store, "a.txt", "This one is mentioned.");
    library.process(&collections);
    let mentioned = kept(&library);
    // As a process leaves them that dies between two steps.
    library.blobs.put(&mut "This one is not.".as_bytes()).unwrap();
    let gone: VectorStoreId = "vs_00000000000000000000zzzz".parse().unwrap();
    fs_err::create_dir_all(library.indexes().join(gone.to_string()).join("keyword")).unwrap();
    collections.sweep().unwrap();
    assert_eq!(kept(&library), mentioned);
    assert!(!library.indexes().join(gone.to_string()).exists());
    assert!(library.indexes().join(store.to_string()).exists());
    let mut text = String::new();
    collections.open_file(file).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "This one is mentioned.");
}

/// An upload in whose middle a file is deleted.
struct Deleting<'a>(&'a Collections, Option<FileId>);

impl Read for Deleting<'_> {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        if let Some(file) = self.1.take() {
            assert!(self.0.delete_file(file).unwrap());
        }
        Ok(0)
    }
}

#[test]
fn bytes_deleted_during_an_upload_go_at_its_end() {
    let library = Library::new(Embeds::Nothing);
    let collections = library.open();
    let file = library.upload(&collections, "a.txt", "Soon gone.");
    let mut upload = Deleting(&collections, Some(file));
    let empty = collections.create_file("b.txt", Purpose::Assistants, &mut upload).unwrap();
    assert_eq!(kept(&library), [empty.hash]);
}

/// An embedder during whose work a vector store is deleted.
#[derive(Debug)]
struct Interrupting {
    spec: EmbedderSpec,
    doomed: Arc<OnceLock<(Weak<Collections>, VectorStoreId)>>,
}

impl Embedder for Interrupting {
    fn spec(&self) -> &EmbedderSpec {
        &self.spec
    }

    fn embed(&self, texts: &[&str], _: InputRole) -> Result<Vec<Embedding>> {
        let (collections, store) = self.doomed.get().unwrap();
        collections.upgrade().unwrap().delete_vector_store(*store)?;
        texts.iter().map(|_| Embedding::new(1, vec![1.0])).collect()
    }

    fn count_tokens(&self, texts: &[&str], _: InputRole) -> Result<Vec<usize>> {
        Ok(vec![1; texts.len()])
    }
}

#[test]
fn a_vector_store_deleted_while_its_files_are_read_holds_up_no_other() {
    let library = Library::new(Embeds::Nothing);
    let spec = EmbedderSpec {
        name: "one".into(),
        fingerprint: "one-1".parse().unwrap(),
        dims: 1,
        window_tokens: 256,
        languages: vec![],
        cosines: Default::default(),
    };
    let doomed = Arc::new(OnceLock::new());
    let embedder = Interrupting { spec, doomed: doomed.clone() };
    let collections = Arc::new(library.open_with(Some(Arc::new(embedder))));
    let first = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    let second = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    library.add(&collections, first, "a.txt", "Nobody will ask for this.");
    let file = library.add(&collections, second, "b.txt", "Somebody may ask for this.");
    doomed.set((Arc::downgrade(&collections), first)).unwrap();
    library.process(&collections);
    let entry = collections.vector_store_file(second, file).unwrap();
    assert_eq!((entry.status, entry.embedded), (FileStatus::Completed, 1));
    assert_eq!(collections.pending().unwrap(), 0);
}

#[test]
fn files_are_made_with_what_is_written_along_or_not_at_all() {
    let library = Library::new(Embeds::Nothing);
    let collections = library.open();
    let new = |filename| NewFile { filename, purpose: Purpose::AssistantsOutput };
    let two = [(new("a.png"), &b"one"[..]), (new("out/b.csv"), &b"two"[..])];
    let refused = collections.create_files(&two, &mut |_, files| {
        assert_eq!(files.len(), 2);
        Err(Error::conflict("not now"))
    });
    assert_eq!(refused.unwrap_err().message(), "not now");
    assert!(collections.files().unwrap().is_empty() && kept(&library).is_empty());

    let files = collections.create_files(&two, &mut |_, _| Ok(())).unwrap();
    assert_eq!(collections.files().unwrap(), files);
    assert_eq!((kept(&library).len(), files[1].filename.as_str()), (2, "b.csv"));
    let mut text = String::new();
    collections.open_file(files[1].id).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "two");
}
