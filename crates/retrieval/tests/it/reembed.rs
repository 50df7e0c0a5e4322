//! A vector store remembers its embedder, and gets another without a moment in between.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use docent_core::{
    Encoding, Error, ErrorKind, FileId, Metadata, Read, Result, Row, Scan, Store, TableSpec,
    VectorStoreId, Write,
};
use docent_retrieval::{
    Collections, Question, ReembedProgress, Repair, SearchMode, SearchOptions, Wanted,
};

use crate::between::{Between, Moment};
use crate::support::{Embeds, Library};

const TEXTS: [(&str, &str); 4] = [
    ("boats.txt", "The ferry crosses the fjord twice daily in summer."),
    ("cars.txt", "Petrol cars pollute the air of the old city."),
    ("birds.txt", "Gulls follow the fishing boats to the harbour."),
    ("trains.txt", "The night train to the mountains leaves at nine."),
];

/// A store with four files, built with the English embedder; both embedders are on this machine.
fn built() -> (Library, Collections, VectorStoreId) {
    let library = Library::new(Embeds::English).with_both();
    let collections = library.open();
    let store = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    for (name, text) in TEXTS {
        library.add(&collections, store, name, text);
    }
    library.process(&collections);
    (library, collections, store)
}

fn on(_: ReembedProgress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// The file that vectors alone find first.
#[track_caller]
fn first(collections: &Collections, store: VectorStoreId, query: &str) -> Option<FileId> {
    let options = SearchOptions { mode: SearchMode::Vectors, ..SearchOptions::default() };
    let found = collections.search(&[store], query, &options).unwrap();
    assert_eq!(found.trace.notes, Vec::<String>::new());
    found.hits.first().map(|hit| hit.chunk.file)
}

/// Every file is found by vectors, by a sentence of its own, and doctor finds nothing wrong.
#[track_caller]
fn assert_whole(collections: &Collections, store: VectorStoreId, files: &[(&str, &str)]) {
    for (name, text) in files {
        let file = first(collections, store, text).and_then(|id| collections.file(id).ok());
        assert_eq!(file.map(|file| file.filename).as_deref(), Some(*name));
    }
    assert_eq!(collections.check(Repair::No).unwrap(), []);
    assert_eq!(collections.pending().unwrap(), 0);
}

fn searched(collections: &Collections, store: VectorStoreId) -> String {
    collections.store_vectors(store).unwrap().searched.unwrap()
}

/// How many embeddings are kept by each embedder.
fn kept(library: &Library) -> [usize; 2] {
    let table = TableSpec { name: "embeddings", encoding: Encoding::Bytes };
    let rows = library.store.read().unwrap().scan(table, Scan::default()).unwrap();
    ["english-1/", "other-1/"].map(|of| rows.iter().filter(|(key, _)| key.starts_with(of)).count())
}

#[test]
fn a_store_goes_on_with_its_own_embedder_when_another_is_set_up() {
    let (library, collections, old) = built();
    drop(collections);
    let library = library.with(Embeds::Other);
    let collections = library.open();
    assert_eq!(collections.no_vectors(old).unwrap(), None);
    let new = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    let file = library.add(&collections, new, "new.txt", "Trams cross the bridge at dawn.");
    let late = library.add(&collections, old, "late.txt", "Lighthouses warn the ships.");
    library.process(&collections);
    assert_eq!(
        (searched(&collections, old), searched(&collections, new)),
        ("english".into(), "other".into())
    );
    assert_eq!(kept(&library), [5, 1]);
    assert_eq!(first(&collections, old, "Lighthouses warn the ships."), Some(late));
    // One search over both: each store by the query's vector of its own embedder.
    let options = SearchOptions { mode: SearchMode::Vectors, ..SearchOptions::default() };
    let found = collections.search(&[old, new], "Trams cross the bridge at dawn.", &options);
    let found = found.unwrap();
    assert!(found.hits.iter().take(2).any(|hit| hit.chunk.file == file), "{:?}", found.hits);
    assert!(found.hits.iter().any(|hit| hit.vector_store == old));
    assert_eq!(found.trace.notes, Vec::<String>::new());
}

/// What a library from before embedders had names holds: the pin, and nothing else.
#[test]
fn a_library_made_yesterday_is_read_right() {
    let (library, collections, store) = built();
    drop(collections);
    let names = TableSpec { name: "embedders", encoding: Encoding::Json };
    let mut write = library.store.write().unwrap();
    let rows = write.scan(names, Scan::default()).unwrap();
    assert_eq!(rows.len(), 1);
    for (key, _) in rows {
        write.delete(names, &key).unwrap();
    }
    write.commit().unwrap();
    let library = library.with(Embeds::Other);
    assert_whole(&library.open(), store, &TEXTS);
    // On a machine that has only the new one: not silently, and with the way out.
    let library = library.with_one();
    let collections = library.open();
    let reason = collections.no_vectors(store).unwrap().unwrap();
    assert!(reason.contains("was built with english-1"), "{reason}");
    assert!(reason.contains("docent reembed"), "{reason}");
}

#[test]
fn searches_use_the_old_vectors_until_the_flip_and_new_files_lose_nothing() {
    let (library, collections, store) = built();
    let other = library.embedder(Embeds::Other);
    let made = collections.reembed(store, other, &mut on).unwrap().unwrap();
    assert_eq!((made.progress().done, made.progress().made), (4, 4));
    assert_eq!(searched(&collections, store), "english");
    assert_eq!(collections.store_vectors(store).unwrap().next.as_deref(), Some("other"));
    assert_whole(&collections, store, &TEXTS);
    // Meanwhile a file comes and one goes.
    let late = ("late.txt", "Lighthouses warn the ships of rocks.");
    library.add(&collections, store, late.0, late.1);
    library.process(&collections);
    let gone = first(&collections, store, TEXTS[3].1).unwrap();
    collections.delete_file(gone).unwrap();
    assert_eq!(made.flip(&mut on).unwrap(), Some(()));
    assert_eq!(searched(&collections, store), "other");
    let left = [TEXTS[0], TEXTS[1], TEXTS[2], late];
    assert_whole(&collections, store, &left);
    drop(collections);
    assert_whole(&library.open(), store, &left);
}

#[test]
fn going_back_embeds_nothing_but_what_came_since_and_forward_again_nothing() {
    let (library, collections, store) = built();
    let other = library.embedder(Embeds::Other);
    collections.reembed(store, other, &mut on).unwrap().unwrap().flip(&mut on).unwrap();
    let before = library.embedded_passages();
    let back = collections.roll_back(store).unwrap();
    assert_eq!((back.from.as_str(), back.to.as_str(), back.waiting), ("other", "english", 0));
    assert_whole(&collections, store, &TEXTS);
    collections.roll_back(store).unwrap();
    assert_eq!(searched(&collections, store), "other");
    assert_eq!(library.embedded_passages(), before);
    let late = ("late.txt", "Lighthouses warn the ships of rocks.");
    library.add(&collections, store, late.0, late.1);
    library.process(&collections);
    assert_eq!(collections.roll_back(store).unwrap().waiting, 1);
    library.process(&collections);
    assert_eq!(library.embedded_passages(), before + 2);
    assert_whole(&collections, store, &[TEXTS[0], TEXTS[1], TEXTS[2], TEXTS[3], late]);
    collections.prune_vectors(&[store]).unwrap();
    let error = collections.roll_back(store).unwrap_err();
    assert!(error.message().contains("no earlier vectors"), "{error}");
}

#[test]
fn a_reembed_that_was_stopped_goes_on_and_makes_no_vector_twice() {
    let library = Library::new(Embeds::English).with_both();
    let collections = library.open();
    let store = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    for file in 0..200 {
        let text = format!("Report {file} tells of harbour {file} and its boats.");
        library.add(&collections, store, &format!("{file}.txt"), &text);
    }
    library.process(&collections);
    let before = library.embedded_passages();
    let other = library.embedder(Embeds::Other);
    let mut steps = 0;
    let stopped = collections.reembed(store, Arc::clone(&other), &mut |_| {
        steps += 1;
        if steps == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(stopped.unwrap().is_none());
    assert_eq!(searched(&collections, store), "english");
    let so_far = library.embedded_passages() - before;
    assert!((1..200).contains(&so_far), "{so_far}");
    drop(collections);
    let collections = library.open();
    let made = collections.reembed(store, other, &mut on).unwrap().unwrap();
    assert_eq!(made.progress().made as usize, 200 - so_far);
    made.flip(&mut on).unwrap();
    assert_eq!(library.embedded_passages() - before, 200);
    assert_eq!(collections.check(Repair::No).unwrap(), []);
}

#[test]
fn files_that_waited_for_an_embedder_that_is_gone_get_vectors_of_the_new_one() {
    let (library, collections, store) = built();
    drop(collections);
    // The old embedder is not on this machine any more.
    let library = library.with_one().with(Embeds::Other);
    let collections = library.open();
    library.add(&collections, store, "late.txt", "Lighthouses warn the ships of rocks.");
    library.process(&collections);
    let other = library.embedder(Embeds::Other);
    let made = collections.reembed(store, other, &mut on).unwrap().unwrap();
    let reason = made.compare(&made.sample(10).unwrap()).unwrap().unwrap_err();
    assert!(reason.contains("english"), "{reason}");
    made.flip(&mut on).unwrap();
    library.process(&collections);
    assert_whole(&collections, store, &TEXTS);
    for file in collections.vector_store_files(store).unwrap() {
        assert_eq!((file.embedded, file.warnings.len()), (1, 0), "{file:?}");
    }
    // Going back needs the model, and says so.
    let error = collections.roll_back(store).unwrap_err();
    assert!(error.message().contains("cannot go back to english"), "{error}");
    assert_eq!(searched(&collections, store), "other");
}

#[test]
fn the_comparison_finds_excerpts_and_judged_files_by_both_embedders() {
    let (library, collections, store) = built();
    let made = collections.reembed(store, library.embedder(Embeds::Other), &mut on);
    let made = made.unwrap().unwrap();
    let sample = made.sample(3).unwrap();
    assert!((2..=4).contains(&sample.len()), "{sample:?}");
    let compared = made.compare(&sample).unwrap().unwrap();
    assert_eq!((compared.old.first, compared.new.first), (sample.len(), sample.len()));
    assert_eq!((compared.old.mrr, compared.overlap), (1.0, 1.0));
    assert_eq!(compared.objection(Some(1.0)), None);
    let boats = first(&collections, store, TEXTS[0].1).unwrap();
    let question = |text: &str, file: FileId| Question {
        text: text.into(),
        wanted: Wanted::Files([file].into()),
    };
    let asked = [question("ferry across the fjord", boats), question("渡轮", boats)];
    let compared = made.compare(&asked).unwrap().unwrap();
    assert_eq!((compared.new.first, compared.new.not_asked), (1, 1));
}

#[test]
fn doctor_keeps_every_vector_that_may_be_searched_and_prune_drops_the_others() {
    let (library, collections, store) = built();
    let twin = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    library.add(&collections, twin, "more.txt", "Kites fly over the dunes.");
    library.process(&collections);
    let other = library.embedder(Embeds::Other);
    let made = collections.reembed(store, Arc::clone(&other), &mut on).unwrap().unwrap();
    assert_eq!(collections.check(Repair::Yes).unwrap(), []);
    assert_eq!(kept(&library), [5, 4]);
    made.flip(&mut on).unwrap();
    assert_eq!(collections.check(Repair::Yes).unwrap(), []);
    assert_eq!(kept(&library), [5, 4]);
    // The twin has the old embedder still.
    let pruned = collections.prune_vectors(&[store]).unwrap();
    assert_eq!((pruned.embeddings, pruned.in_use), (0, vec!["english".to_owned()]));
    assert!(pruned.bytes > 0, "the old index is gone");
    collections.reembed(twin, other, &mut on).unwrap().unwrap().flip(&mut on).unwrap();
    let pruned = collections.prune_vectors(&[store, twin]).unwrap();
    assert_eq!((pruned.embeddings, pruned.in_use.len()), (5, 0));
    assert!(pruned.bytes > 5 * 2 * 32);
    assert_eq!(kept(&library), [0, 5]);
    assert_whole(&collections, store, &TEXTS);
}

#[test]
fn the_same_embedder_again_and_a_second_reembed_are_refused() {
    let (library, collections, store) = built();
    let error = collections.reembed(store, library.embedder(Embeds::English), &mut on);
    assert!(error.unwrap_err().message().contains("is built with english already"));
    let made = collections.reembed(store, library.embedder(Embeds::Other), &mut on);
    collections.prune_vectors(&[store]).unwrap();
    let error = made.unwrap().unwrap().flip(&mut on).unwrap_err();
    assert!(error.message().contains("given up meanwhile"), "{error}");
    assert_whole(&collections, store, &TEXTS);
}

#[test]
fn files_that_come_and_go_all_the_while_are_never_half_there() {
    let (library, collections, store) = built();
    let library = &library;
    let collections = &collections;
    let done = &AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for round in 0..30 {
                let text = format!("Storm number {round} came over the sea from the west.");
                let file = library.add(collections, store, &format!("s{round}.txt"), &text);
                library.process(collections);
                if round % 3 == 0 {
                    collections.delete_file(file).unwrap();
                }
            }
            done.store(1, Ordering::SeqCst);
        });
        scope.spawn(move || {
            let embedders = [Embeds::Other, Embeds::English];
            for (turn, embeds) in embedders.into_iter().cycle().enumerate() {
                let embedder = library.embedder(embeds);
                let made = collections.reembed(store, embedder, &mut on).unwrap().unwrap();
                made.flip(&mut on).unwrap().unwrap();
                if turn % 4 == 3 {
                    collections.roll_back(store).unwrap();
                    collections.roll_back(store).unwrap();
                }
                if done.load(Ordering::SeqCst) == 1 {
                    break;
                }
            }
        });
        scope.spawn(move || {
            while done.load(Ordering::SeqCst) == 0 {
                // A file of the beginning is found whichever vectors are searched.
                assert!(first_of(collections, store, TEXTS[0].1).is_some());
            }
        });
    });
    library.process(collections);
    assert_whole(collections, store, &TEXTS);
    let files = collections.vector_store_files(store).unwrap();
    assert_eq!(files.len(), 4 + 20);
    assert!(files.iter().all(|file| file.embedded == file.chunks.len()), "{files:?}");
}

/// As [`first`], while chunks may be waiting for vectors.
fn first_of(collections: &Collections, store: VectorStoreId, query: &str) -> Option<FileId> {
    let options = SearchOptions { mode: SearchMode::Vectors, ..SearchOptions::default() };
    collections.search(&[store], query, &options).unwrap().hits.first().map(|hit| hit.chunk.file)
}

/// A store whose disk is full after so many commits.
#[derive(Debug)]
struct Full {
    store: Arc<dyn Store>,
    left: AtomicUsize,
}

struct FullWrite<'a>(Box<dyn Write + 'a>, &'a Full);

impl Store for Full {
    fn read(&self) -> Result<Box<dyn Read + '_>> {
        self.store.read()
    }

    fn write(&self) -> Result<Box<dyn Write + '_>> {
        Ok(Box::new(FullWrite(self.store.write()?, self)))
    }
}

impl Read for FullWrite<'_> {
    fn get(&self, table: TableSpec, key: &str) -> Result<Option<Vec<u8>>> {
        self.0.get(table, key)
    }

    fn scan(&self, table: TableSpec, scan: Scan<'_>) -> Result<Vec<Row>> {
        self.0.scan(table, scan)
    }
}

impl Write for FullWrite<'_> {
    fn put(&mut self, table: TableSpec, key: &str, value: &[u8]) -> Result<()> {
        self.0.put(table, key, value)
    }

    fn delete(&mut self, table: TableSpec, key: &str) -> Result<bool> {
        self.0.delete(table, key)
    }

    fn commit(self: Box<Self>) -> Result<()> {
        let left = &self.1.left;
        if left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |it| it.checked_sub(1)).is_err() {
            return Err(Error::unavailable("no space left on device"));
        }
        self.0.commit()
    }
}

#[test]
fn a_full_disk_leaves_the_old_vectors_or_the_new_and_room_lets_it_go_on() {
    for room in 0.. {
        let (library, collections, store) = built();
        drop(collections);
        let full = Full { store: Arc::clone(&library.store), left: AtomicUsize::new(room) };
        let collections = library.upon(Arc::new(full));
        let other = library.embedder(Embeds::Other);
        let made = collections.reembed(store, Arc::clone(&other), &mut on);
        let outcome = made.and_then(|made| made.unwrap().flip(&mut on));
        if let Err(error) = &outcome {
            assert!(error.message().contains("no space left"), "{error}");
        }
        drop(collections);
        let collections = library.open();
        assert_whole(&collections, store, &TEXTS);
        if searched(&collections, store) == "english" {
            let made = collections.reembed(store, other, &mut on).unwrap().unwrap();
            made.flip(&mut on).unwrap();
        }
        assert_whole(&collections, store, &TEXTS);
        assert_eq!(kept(&library), [4, 4]);
        if outcome.is_ok() {
            assert!(room >= 3, "{room}");
            return;
        }
    }
}

#[test]
fn a_file_that_comes_in_at_the_moment_of_the_flip_has_a_new_vector() {
    let (library, collections, store) = built();
    drop(collections);
    let between = Between::new(&library);
    let collections = Arc::new(library.upon(Arc::new(between.clone())));
    let late = ("late.txt", "Lighthouses warn the ships of rocks.");
    let other = library.embedder(Embeds::Other);
    let made = collections.reembed(store, other, &mut on).unwrap().unwrap();
    let (inside, library) = (Arc::clone(&collections), Arc::new(library));
    let with = Arc::clone(&library);
    let before = move || {
        with.add(&inside, store, late.0, late.1);
        with.process(&inside);
        assert_eq!(searched(&inside, store), "english");
    };
    between.once(Moment::BeforeWrite, before);
    made.flip(&mut on).unwrap().unwrap();
    assert_eq!(searched(&collections, store), "other");
    assert_eq!(kept(&library), [5, 5]);
    assert_whole(&collections, store, &[TEXTS[0], TEXTS[1], TEXTS[2], TEXTS[3], late]);
}

#[test]
fn a_full_disk_while_going_back_leaves_either_vectors_whole_and_room_lets_it_go_on() {
    let late = ("late.txt", "Lighthouses warn the ships of rocks.");
    let all = [TEXTS[0], TEXTS[1], TEXTS[2], TEXTS[3], late];
    for room in 0.. {
        let (library, collections, store) = built();
        let other = library.embedder(Embeds::Other);
        collections.reembed(store, other, &mut on).unwrap().unwrap().flip(&mut on).unwrap();
        library.add(&collections, store, late.0, late.1);
        library.process(&collections);
        drop(collections);
        let full = Full { store: Arc::clone(&library.store), left: AtomicUsize::new(room) };
        let collections = library.upon(Arc::new(full));
        let mut go_on = |_| ControlFlow::Continue(());
        let back = collections.roll_back(store);
        let outcome = back.and_then(|_| collections.process(&mut go_on));
        if let Err(error) = &outcome {
            assert!(error.message().contains("no space left"), "{error}");
        }
        drop(collections);
        let collections = library.open();
        if searched(&collections, store) == "other" {
            assert_whole(&collections, store, &all);
            assert_eq!(collections.roll_back(store).unwrap().waiting, 1);
        }
        library.process(&collections);
        assert_whole(&collections, store, &all);
        assert_eq!((searched(&collections, store), kept(&library)), ("english".into(), [5, 5]));
        if outcome.is_ok() {
            assert!(room >= 3, "{room}");
            return;
        }
    }
}

#[test]
fn a_file_that_is_deleted_while_its_new_vectors_are_made_takes_nothing_else_along() {
    let (library, collections, store) = built();
    let gone = first(&collections, store, TEXTS[3].1).unwrap();
    drop(collections);
    let between = Between::new(&library);
    let collections = Arc::new(library.upon(Arc::new(between.clone())));
    let (inside, next) = (Arc::clone(&collections), between.clone());
    // After the reembed is begun: before its first batch is committed.
    between.once(Moment::AfterCommit, move || {
        next.once(Moment::BeforeWrite, move || assert!(inside.delete_file(gone).unwrap()));
    });
    let made = collections.reembed(store, library.embedder(Embeds::Other), &mut on);
    let made = made.unwrap().unwrap();
    assert_eq!((between.is_over(), made.progress().made), (true, 4));
    made.flip(&mut on).unwrap().unwrap();
    assert_whole(&collections, store, &TEXTS[..3]);
}

/// What is done to a store while it gets other vectors, and what becomes of that.
type Attempt = fn(&Library, &Arc<Collections>, &Between, VectorStoreId) -> Result<()>;

#[test]
fn a_store_that_is_deleted_while_it_gets_other_vectors_is_named_and_leaves_nothing() {
    let attempts: [Attempt; 3] = [
        // Before the first batch is made.
        |library, collections, between, store| {
            let inside = Arc::clone(collections);
            let act = move || assert!(inside.delete_vector_store(store).unwrap());
            between.once(Moment::AfterCommit, act);
            collections.reembed(store, library.embedder(Embeds::Other), &mut on).map(drop)
        },
        // After the last.
        |library, collections, _, store| {
            let mut act = |_| {
                assert!(collections.delete_vector_store(store).unwrap());
                ControlFlow::Continue(())
            };
            collections.reembed(store, library.embedder(Embeds::Other), &mut act).map(drop)
        },
        // Before the flip.
        |library, collections, _, store| {
            let made = collections.reembed(store, library.embedder(Embeds::Other), &mut on)?;
            assert!(collections.delete_vector_store(store).unwrap());
            made.unwrap().flip(&mut on).map(drop)
        },
    ];
    for attempt in attempts {
        let (library, collections, store) = built();
        drop(collections);
        let between = Between::new(&library);
        let collections = Arc::new(library.upon(Arc::new(between.clone())));
        let error = attempt(&library, &collections, &between, store).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert!(error.message().contains(&store.to_string()), "{error}");
        assert_eq!(collections.check(Repair::No).unwrap(), []);
        assert!(!library.indexes().join(store.to_string()).exists());
    }
}

#[test]
fn of_two_changes_of_embedders_at_once_the_second_is_refused_and_the_first_goes_on() {
    let (library, collections, store) = built();
    let other = || library.embedder(Embeds::Other);
    collections.reembed(store, other(), &mut on).unwrap().unwrap().flip(&mut on).unwrap();
    let made = collections.reembed(store, library.embedder(Embeds::English), &mut on);
    let made = made.unwrap().unwrap();
    // Both would write to the files of one index.
    let again = collections.reembed(store, library.embedder(Embeds::English), &mut on);
    let refusals = [again.map(drop).unwrap_err(), collections.roll_back(store).unwrap_err()];
    for error in refusals {
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.message().contains("being given other vectors already"), "{error}");
    }
    made.flip(&mut on).unwrap().unwrap();
    assert_eq!(searched(&collections, store), "english");
    assert_eq!(collections.roll_back(store).unwrap().to, "other");
    assert_whole(&collections, store, &TEXTS);
    // One that failed or was given up stands in nobody's way.
    collections.reembed(store, other(), &mut on).unwrap_err();
    drop(collections.reembed(store, library.embedder(Embeds::English), &mut on).unwrap());
    assert_eq!(collections.roll_back(store).unwrap().to, "english");
    assert_whole(&collections, store, &TEXTS);
}

#[test]
fn an_index_that_cannot_be_made_leaves_the_vectors_that_are_searched() {
    let (library, collections, store) = built();
    let index = |name: &str| library.indexes().join(store.to_string()).join(name);
    // A file where the directory should be.
    fs_err::write(index("vector-other-1"), "in the way").unwrap();
    let other = library.embedder(Embeds::Other);
    let error = collections.reembed(store, Arc::clone(&other), &mut on).map(drop).unwrap_err();
    assert!(error.to_string().contains("vector-other-1"), "{error}");
    assert_eq!(searched(&collections, store), "english");
    assert_whole(&collections, store, &TEXTS);
    fs_err::remove_file(index("vector-other-1")).unwrap();
    let made = collections.reembed(store, other, &mut on).unwrap().unwrap();
    assert_eq!(made.progress().made, 0);
    made.flip(&mut on).unwrap().unwrap();

    fs_err::remove_dir_all(index("vector-english-1")).unwrap();
    fs_err::write(index("vector-english-1"), "in the way").unwrap();
    let error = collections.roll_back(store).unwrap_err();
    assert!(error.to_string().contains("vector-english-1"), "{error}");
    assert_eq!(searched(&collections, store), "other");
    assert_whole(&collections, store, &TEXTS);
    fs_err::remove_file(index("vector-english-1")).unwrap();
    collections.roll_back(store).unwrap();
    assert_eq!(searched(&collections, store), "english");
    assert_whole(&collections, store, &TEXTS);
}

#[test]
fn a_flip_that_is_broken_off_changes_nothing_and_the_next_goes_on() {
    let (library, collections, store) = built();
    let other = library.embedder(Embeds::Other);
    let made = collections.reembed(store, Arc::clone(&other), &mut on).unwrap().unwrap();
    let late = ("late.txt", "Lighthouses warn the ships of rocks.");
    library.add(&collections, store, late.0, late.1);
    library.process(&collections);
    assert_eq!(made.flip(&mut |_| ControlFlow::Break(())).unwrap(), None);
    assert_eq!(searched(&collections, store), "english");
    let made = collections.reembed(store, other, &mut on).unwrap().unwrap();
    assert_eq!(made.progress().made, 0);
    made.flip(&mut on).unwrap().unwrap();
    assert_whole(&collections, store, &[TEXTS[0], TEXTS[1], TEXTS[2], TEXTS[3], late]);
}
