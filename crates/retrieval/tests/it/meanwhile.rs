//! Between two steps of one thread another does something: no file is lost or half there for it,
//! and a file has a job exactly as long as it waits.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use docent_core::{
    Attributes, ChunkingStrategy, Encoding, FileId, FileStatus, Metadata, TableSpec,
    VectorStoreFile, VectorStoreId,
};
use docent_retrieval::{
    AttachOptions, Collections, IngestStage, ReembedProgress, Repair, SearchMode, SearchOptions,
};

use crate::between::{Between, Moment};
use crate::support::{Embeds, Library};

const EARLY: &str = "The ferry crosses the fjord twice daily in summer.";
const LATE: &str = "Lighthouses warn the ships of rocks.";

/// A store with a file, and what happens between two steps of whoever works on it.
struct Scene {
    library: Arc<Library>,
    between: Between,
    collections: Arc<Collections>,
    store: VectorStoreId,
}

impl Scene {
    /// The store is searched by the English embedder.
    fn new() -> Self {
        Self::of(Library::new(Embeds::English).with_both())
    }

    fn of(library: Library) -> Self {
        let between = Between::new(&library);
        let collections = Arc::new(library.upon(Arc::new(between.clone())));
        let store = collections.create_vector_store(None, Metadata::new()).unwrap().id;
        library.add(&collections, store, "early.txt", EARLY);
        library.process(&collections);
        Self { library: Arc::new(library), between, collections, store }
    }

    /// The store was flipped to the other embedder, and the English vectors are kept.
    fn flipped() -> Self {
        let scene = Self::new();
        scene.flip(Embeds::Other);
        scene
    }

    fn flip(&self, embeds: Embeds) {
        flip(&self.library, &self.collections, self.store, embeds);
    }

    fn add_late(&self) -> FileId {
        self.library.add(&self.collections, self.store, "late.txt", LATE)
    }

    fn process(&self) {
        self.library.process(&self.collections);
    }

    /// Works on what waits; `meanwhile` hears of each step.
    fn process_and(&self, mut meanwhile: impl FnMut(&IngestStage) -> ControlFlow<()>) {
        self.collections.process(&mut |progress| meanwhile(&progress.stage)).unwrap();
    }

    /// What another thread does with the library at the next such moment.
    fn once(&self, moment: Moment, act: impl FnOnce(&Library, &Collections) + Send + 'static) {
        let (library, collections) = (Arc::clone(&self.library), Arc::clone(&self.collections));
        self.between.once(moment, move || act(&library, &collections));
    }

    fn row(&self, file: FileId) -> VectorStoreFile {
        self.collections.vector_store_file(self.store, file).unwrap()
    }

    /// Nothing waits, and doctor finds nothing wrong.
    #[track_caller]
    fn assert_quiet(&self) {
        assert_eq!(self.collections.check(Repair::No).unwrap(), []);
        assert_eq!(self.collections.pending().unwrap(), 0);
    }

    /// The file is done, and found by its vectors.
    #[track_caller]
    fn assert_found(&self, file: FileId, text: &str) {
        let row = self.row(file);
        assert_eq!((row.status, row.embedded), (FileStatus::Completed, row.chunks.len()));
        let options = SearchOptions { mode: SearchMode::Vectors, ..SearchOptions::default() };
        let found = self.collections.search(&[self.store], text, &options).unwrap();
        assert_eq!(found.hits.first().map(|hit| hit.chunk.file), Some(file));
        self.assert_quiet();
    }
}

fn on(_: ReembedProgress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn flip(library: &Library, collections: &Collections, store: VectorStoreId, embeds: Embeds) {
    let made = collections.reembed(store, library.embedder(embeds), &mut on).unwrap().unwrap();
    made.flip(&mut on).unwrap().unwrap();
}

fn come_back(collections: &Collections, store: VectorStoreId, file: FileId) {
    assert!(collections.detach(store, file).unwrap());
    collections.attach(store, file, AttachOptions::default()).unwrap();
}

type Deed = fn(&Library, &Collections, VectorStoreId, FileId);

#[test]
fn what_is_done_or_gone_while_a_store_goes_back_has_no_job() {
    let deeds: [Deed; 4] = [
        |library, collections, _, _| library.process(collections),
        |_, collections, _, file| assert!(collections.delete_file(file).unwrap()),
        |_, collections, store, file| assert!(collections.detach(store, file).unwrap()),
        |_, collections, store, _| assert!(collections.delete_vector_store(store).unwrap()),
    ];
    for deed in deeds {
        let scene = Scene::flipped();
        let (store, late) = (scene.store, scene.add_late());
        scene.process();
        // Right after the transaction that makes the late file wait for an English vector, and
        // before the next one of whoever goes back, if there is one.
        let (library, collections) = (Arc::clone(&scene.library), Arc::clone(&scene.collections));
        let between = scene.between.clone();
        let act = move || deed(&library, &collections, store, late);
        scene.between.once(Moment::AfterCommit, move || between.once(Moment::BeforeWrite, act));
        // It may be gone by the end.
        let _ = scene.collections.roll_back(store);
        scene.process();
        scene.assert_quiet();
    }
}

#[test]
fn what_a_change_of_embedders_has_wait_again_is_not_done() {
    let scene = Scene::flipped();
    let (store, late) = (scene.store, scene.add_late());
    scene.process_and(|stage| {
        if !matches!(stage, IngestStage::Embedded { .. }) {
            return ControlFlow::Continue(());
        }
        scene.once(Moment::BeforeWrite, move |_, collections| {
            assert_eq!(collections.roll_back(store).unwrap().waiting, 1);
        });
        ControlFlow::Break(())
    });
    assert_eq!(scene.row(late).status, FileStatus::InProgress);
    assert_eq!(scene.collections.check(Repair::No).unwrap(), []);
    assert_eq!(scene.collections.pending().unwrap(), 1);
    scene.process();
    scene.assert_found(late, LATE);
}

#[test]
fn what_gets_an_embedder_while_it_is_given_up_is_not_given_up() {
    let Scene { library, collections, store, .. } = Scene::new();
    drop(collections);
    let library = Arc::into_inner(library).unwrap().with_one().with(Embeds::Other);
    let between = Between::new(&library);
    let collections = Arc::new(library.upon(Arc::new(between.clone())));
    let scene = Scene { library: Arc::new(library), between, collections, store };
    let late = scene.add_late();
    scene.process_and(|stage| match stage {
        IngestStage::Committed { .. } => {
            scene.once(Moment::BeforeWrite, move |library, collections| {
                flip(library, collections, store, Embeds::Other);
            });
            ControlFlow::Continue(())
        }
        IngestStage::Completed => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert!(scene.between.is_over());
    assert_eq!(scene.collections.check(Repair::No).unwrap(), []);
    scene.process();
    assert_eq!(scene.row(late).warnings, []);
    scene.assert_found(late, LATE);
}

#[test]
fn attributes_that_change_while_a_store_goes_back_stay() {
    let scene = Scene::flipped();
    let (store, late) = (scene.store, scene.add_late());
    scene.process();
    let attributes: Attributes = serde_json::from_str(r#"{"year": "1893"}"#).unwrap();
    let changed = attributes.clone();
    scene.once(Moment::BeforeWrite, move |_, collections| {
        collections.update_attributes(store, late, changed).unwrap();
    });
    assert_eq!(scene.collections.roll_back(store).unwrap().waiting, 1);
    assert_eq!(scene.row(late).attributes, attributes);
    scene.process();
    scene.assert_found(late, LATE);
}

#[test]
fn a_file_that_is_back_at_once_waits_in_the_queue() {
    let scene = Scene::new();
    let store = scene.store;
    let late = scene.add_late();
    scene.once(Moment::AfterCommit, move |_, collections| {
        collections.attach(store, late, AttachOptions::default()).unwrap();
    });
    assert!(scene.collections.detach(store, late).unwrap());
    scene.process();
    scene.assert_found(late, LATE);
    // And so after a batch of it was called off.
    assert!(scene.collections.detach(store, late).unwrap());
    let files = [(late, AttachOptions::default())];
    let batch = scene.collections.create_batch(store, &files).unwrap().batch.id;
    scene.once(Moment::AfterCommit, move |_, collections| {
        collections.attach(store, late, AttachOptions::default()).unwrap();
    });
    scene.collections.cancel_batch(store, batch).unwrap();
    scene.process();
    scene.assert_found(late, LATE);
}

#[test]
fn a_file_that_comes_back_while_it_is_embedded_is_read_again() {
    let scene = Scene::new();
    let (store, late) = (scene.store, scene.add_late());
    let mut readings = 0;
    scene.process_and(|stage| {
        match stage {
            IngestStage::Committed { .. } if readings == 1 => {
                scene.once(Moment::BeforeWrite, move |_, it| come_back(it, store, late));
            }
            IngestStage::Reading => {
                readings += 1;
                if readings == 2 {
                    scene.once(Moment::BeforeWrite, |library, it| library.process(it));
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    });
    assert_eq!((readings, scene.row(late).chunks.len()), (2, 1));
    scene.assert_found(late, LATE);
}

#[test]
fn a_file_that_comes_back_while_it_is_read_is_cut_as_it_is_asked_for_now() {
    let scene = Scene::new();
    let store = scene.store;
    let text = "The keeper climbs the stairs and lights the lamp. ".repeat(60);
    let file = scene.library.add(&scene.collections, store, "long.txt", &text);
    let chunking = ChunkingStrategy::new(100, 0).unwrap();
    let mut readings = 0;
    scene.process_and(|stage| {
        readings += usize::from(*stage == IngestStage::Reading);
        if readings == 1 && *stage == IngestStage::Reading {
            scene.once(Moment::BeforeWrite, move |_, collections| {
                assert!(collections.detach(store, file).unwrap());
                let options = AttachOptions { chunking, ..AttachOptions::default() };
                collections.attach(store, file, options).unwrap();
            });
        }
        ControlFlow::Continue(())
    });
    let row = scene.row(file);
    assert_eq!((row.status, row.chunking), (FileStatus::Completed, chunking));
    assert!(row.chunks.len() > 5, "{row:?}");
    scene.assert_quiet();
}

#[test]
fn a_file_that_is_read_after_a_batch_was_begun_is_embedded_with_it_or_later() {
    let scene = Scene::new();
    let store = scene.store;
    let first = scene.add_late();
    let mut is_begun = false;
    scene.process_and(|stage| {
        if matches!(stage, IngestStage::Committed { .. }) && !is_begun {
            is_begun = true;
            scene.once(Moment::AfterRead, move |library, collections| {
                let text = "Gulls follow the fishing boats to the harbour.";
                let second = library.add(collections, store, "second.txt", text);
                // Read here, and left to be embedded by whoever comes.
                let read = collections.process_files(store, &[second], &mut |it| match it.stage {
                    IngestStage::Committed { .. } => ControlFlow::Break(()),
                    _ => ControlFlow::Continue(()),
                });
                assert!(read.unwrap().interrupted);
            });
        }
        ControlFlow::Continue(())
    });
    assert!(scene.between.is_over());
    let files = scene.collections.vector_store_files(store).unwrap();
    assert_eq!(files.len(), 3);
    assert!(files.iter().all(|file| file.status == FileStatus::Completed), "{files:?}");
    scene.assert_found(first, LATE);
}

#[test]
fn what_waited_for_vectors_alone_has_no_job_once_it_has_them() {
    let scene = Scene::flipped();
    let late = scene.add_late();
    scene.process();
    assert_eq!(scene.collections.roll_back(scene.store).unwrap().waiting, 1);
    let mut stages = vec![];
    scene.process_and(|stage| {
        if matches!(stage, IngestStage::Embedded { .. }) {
            // The power may be cut here, and nobody would look at it again.
            scene.assert_quiet();
        }
        stages.push(stage.clone());
        ControlFlow::Continue(())
    });
    assert!(matches!(stages[..], [IngestStage::Embedded { .. }, IngestStage::Completed]));
    scene.assert_found(late, LATE);
}

#[test]
fn jobs_that_an_earlier_version_left_are_found_and_cleared() {
    let jobs = TableSpec { name: "jobs", encoding: Encoding::Json };
    for repair in [true, false] {
        let scene = Scene::new();
        let (store, done, gone) = (scene.store, scene.add_late(), scene.add_late());
        scene.process();
        assert!(scene.collections.delete_file(gone).unwrap());
        let mut write = scene.library.store.write().unwrap();
        for file in [done, gone] {
            write.put(jobs, &format!("{store}/{file}"), br#"{"queued_at":0}"#).unwrap();
        }
        write.commit().unwrap();
        assert_eq!(scene.collections.pending().unwrap(), 2);
        let found = scene.collections.check(Repair::No).unwrap();
        let problems: Vec<&str> = found.iter().map(|finding| finding.problem.as_str()).collect();
        let stray = format!("it is in the queue, but not in {store}");
        assert_eq!(problems, ["it is in the queue, but does not wait", &stray]);
        if repair {
            scene.collections.check(Repair::Yes).unwrap();
            scene.assert_quiet();
        } else {
            let opened = scene.library.open();
            assert_eq!(opened.pending().unwrap(), 0);
        }
        scene.assert_found(done, LATE);
    }
}

/// Two threads work, one has files come, leave and come back, one goes from embedder to embedder.
#[test]
fn a_storm_leaves_every_file_done_and_no_job() {
    let scene = Scene::new();
    let (library, collections, store) = (&*scene.library, &*scene.collections, scene.store);
    let is_over = &AtomicUsize::new(0);
    let goes_on = move || is_over.load(Ordering::SeqCst) == 0;
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(move || {
                while goes_on() {
                    library.process(collections);
                }
            });
        }
        scope.spawn(move || {
            for turn in 0.. {
                if !goes_on() {
                    break;
                }
                flip(library, collections, store, [Embeds::Other, Embeds::English][turn % 2]);
                if turn % 2 == 1 {
                    collections.roll_back(store).unwrap();
                    collections.roll_back(store).unwrap();
                }
            }
        });
        for round in 0..40 {
            let text = format!("Storm number {round} came over the sea from the west.");
            let file = library.add(collections, store, &format!("s{round}.txt"), &text);
            match round % 4 {
                0 => assert!(collections.delete_file(file).unwrap()),
                1 => come_back(collections, store, file),
                _ => {}
            }
        }
        is_over.store(1, Ordering::SeqCst);
    });
    scene.process();
    let files = collections.vector_store_files(store).unwrap();
    assert_eq!(files.len(), 31);
    for file in &files {
        assert_eq!((file.status, file.embedded), (FileStatus::Completed, 1), "{file:?}");
    }
    scene.assert_quiet();
}
