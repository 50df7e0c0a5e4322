//! The ingest journey, searches and doctor, with a made-up embedder on stores in memory.

use std::ops::ControlFlow;

use crate::support::{Embeds, Library};
use docent_core::{
    AttributeValue, Comparison, Encoding, FileStatus, Filter, Metadata, Scan, TableSpec,
};
use docent_retrieval::{AttachOptions, IngestStage, Repair, SearchOptions};

#[test]
fn a_file_is_found_by_words_before_it_has_vectors_and_by_both_after() {
    let library = Library::new(Embeds::English);
    let collections = library.open();
    let store = collections.create_vector_store(Some("notes"), Metadata::new()).unwrap().id;
    let file = library.add(&collections, store, "boats.txt", "The ferry crosses the fjord daily.");
    library.add(&collections, store, "cars.txt", "Petrol cars pollute the city.");
    let mut stages = vec![];
    let outcome = collections
        .process(&mut |progress| {
            let committed = matches!(progress.stage, IngestStage::Committed { .. });
            stages.push(progress.stage);
            if committed {
                let found = collections.search(&[store], "ferries", &SearchOptions::default());
                let found = found.unwrap();
                assert_eq!(found.hits[0].filename, "boats.txt");
                assert!(found.trace.notes.iter().any(|note| note.contains("wait for vectors")));
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!((outcome.completed, outcome.failed), (2, 0));
    assert_eq!(collections.pending().unwrap(), 0);
    let done = collections.vector_store_file(store, file).unwrap();
    assert_eq!((done.status, done.embedded), (FileStatus::Completed, 1));
    let found = collections.search(&[store], "ferry fjord", &SearchOptions::default()).unwrap();
    let first = &found.trace.candidates[0];
    assert_eq!(
        first.lists.iter().map(|place| place.list).collect::<Vec<_>>(),
        ["keyword", "vector"]
    );
    assert!((0.5..=1.0).contains(&found.hits[0].score), "{}", found.hits[0].score);
    assert!(found.trace.notes.is_empty(), "{:?}", found.trace.notes);
    assert!(stages.contains(&IngestStage::Completed));
}

#[test]
fn the_same_text_is_embedded_once() {
    let library = Library::new(Embeds::English);
    let collections = library.open();
    let one = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    let two = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    let file = library.add(&collections, one, "a.txt", "One text in two stores.");
    library.add(&collections, one, "b.txt", "One text in two stores.");
    library.process(&collections);
    collections.attach(two, file, AttachOptions::default()).unwrap();
    library.process(&collections);
    collections.detach(one, file).unwrap();
    collections.attach(one, file, AttachOptions::default()).unwrap();
    library.process(&collections);
    assert_eq!(library.embedded_passages(), 1);
    assert_eq!(collections.files().unwrap().len(), 2);
    assert_eq!(library.blobs.list().unwrap().len(), 1);
}

#[test]
fn a_deleted_file_leaves_every_store_at_once_and_its_bytes_go_with_the_last_mention() {
    let library = Library::new(Embeds::English);
    let collections = library.open();
    let stores =
        [(); 2].map(|()| collections.create_vector_store(None, Metadata::new()).unwrap().id);
    let file = library.add(&collections, stores[0], "a.txt", "A secret about whales.");
    let twin = library.add(&collections, stores[0], "b.txt", "A secret about whales.");
    collections.attach(stores[1], file, AttachOptions::default()).unwrap();
    library.process(&collections);
    assert!(collections.delete_file(file).unwrap());
    let found = collections.search(&stores, "whales", &SearchOptions::default()).unwrap();
    assert_eq!(found.hits.iter().map(|hit| hit.chunk.file).collect::<Vec<_>>(), [twin]);
    assert_eq!(library.blobs.list().unwrap().len(), 1);
    assert!(collections.delete_file(twin).unwrap());
    assert!(!collections.delete_file(twin).unwrap());
    assert!(library.blobs.list().unwrap().is_empty());
    assert!(
        collections.search(&stores, "whales", &SearchOptions::default()).unwrap().hits.is_empty()
    );
    assert_eq!(collections.check(Repair::Yes).unwrap(), []);
}

#[test]
fn without_an_embedder_words_find_all_and_a_later_one_embeds_the_rest() {
    let library = Library::new(Embeds::Nothing);
    let collections = library.open();
    let store = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    let file = library.add(&collections, store, "a.txt", "Lighthouses warn ships.");
    library.process(&collections);
    let done = collections.vector_store_file(store, file).unwrap();
    assert_eq!((done.status, done.embedded), (FileStatus::Completed, 0));
    assert!(done.warnings[0].message.contains("no embedder"), "{:?}", done.warnings);
    drop(collections);
    let library = library.with(Embeds::English);
    let collections = library.open();
    assert_eq!(collections.pending().unwrap(), 1);
    library.process(&collections);
    let done = collections.vector_store_file(store, file).unwrap();
    assert_eq!((done.embedded, done.warnings.len()), (1, 0));
}

#[test]
fn another_embedder_is_refused_and_words_go_on() {
    let library = Library::new(Embeds::English);
    let collections = library.open();
    let store = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    library.add(&collections, store, "a.txt", "Lighthouses warn ships.");
    library.process(&collections);
    drop(collections);
    let library = library.with(Embeds::Other);
    let collections = library.open();
    library.add(&collections, store, "b.txt", "Buoys warn ships too.");
    library.process(&collections);
    let found = collections.search(&[store], "ships", &SearchOptions::default()).unwrap();
    assert_eq!(found.hits.len(), 2);
    let note = &found.trace.notes[0];
    assert!(note.contains("was built with english: which is not among the models"), "{note}");
    assert!(note.contains(&format!("docent reembed {store} --embedder other")), "{note}");
    assert_eq!(
        collections.no_vectors(store).unwrap().as_deref(),
        note.strip_prefix("vectors not used: ")
    );
}

#[test]
fn a_query_in_a_language_the_embedder_does_not_know_uses_words_alone() {
    let library = Library::new(Embeds::English);
    let collections = library.open();
    let store = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    library.add(&collections, store, "zh.txt", "向量库保存文件的向量。");
    library.add(&collections, store, "en.txt", "A vector store keeps vectors.");
    library.process(&collections);
    let found = collections.search(&[store], "向量库是什么", &SearchOptions::default()).unwrap();
    assert_eq!(found.hits[0].filename, "zh.txt");
    assert_eq!(found.trace.notes, ["vectors not used: english understands en, the query is zh"]);
    assert!(found.trace.candidates.iter().flat_map(|c| &c.lists).all(|p| p.list == "keyword"));
}

#[test]
fn a_filter_and_a_limit_are_kept_and_the_trace_says_why_others_dropped() {
    let library = Library::new(Embeds::English);
    let collections = library.open();
    let store = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    for year in 2020..2026 {
        let text = format!("The annual report of {year} is about harbours.");
        let file = library.upload(&collections, &format!("{year}.txt"), &text);
        let attributes = [("year".to_owned(), AttributeValue::Number(f64::from(year)))].into();
        let options = AttachOptions { attributes, ..AttachOptions::default() };
        collections.attach(store, file, options).unwrap();
    }
    library.process(&collections);
    let filter = Filter::Compare {
        key: "year".into(),
        comparison: Comparison::Gte,
        value: AttributeValue::Number(2023.0),
    };
    let options = SearchOptions { limit: 2, filter: Some(filter), ..SearchOptions::default() };
    let found = collections.search(&[store], "annual report harbours", &options).unwrap();
    assert_eq!(found.hits.len(), 2);
    assert_eq!(found.trace.candidates.len(), 3);
    let dropped = found.trace.candidates[2].dropped.as_deref();
    assert_eq!(dropped, Some("2 better ones were found"));
}

#[test]
fn stopping_keeps_what_was_done_and_a_new_process_goes_on() {
    let library = Library::new(Embeds::English);
    let collections = library.open();
    let store = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    let long: String = (0..60_000).map(|word| format!("word{word} ")).collect();
    let file = library.add(&collections, store, "long.txt", &long);
    let outcome = collections
        .process(&mut |progress| match progress.stage {
            IngestStage::Embedded { .. } => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        })
        .unwrap();
    assert!(outcome.interrupted);
    let halfway = collections.vector_store_file(store, file).unwrap();
    assert_eq!(halfway.embedded, 64);
    assert!(halfway.chunks.len() > 128);
    drop(collections);
    let collections = library.open();
    assert_eq!(collections.pending().unwrap(), 1);
    library.process(&collections);
    assert_eq!(library.embedded_passages() as u64, halfway.chunks.len());
    assert_eq!(collections.check(Repair::No).unwrap(), []);
}

#[test]
fn deleting_the_indexes_changes_no_result() {
    let library = Library::new(Embeds::English);
    let collections = library.open();
    let store = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    let files: Vec<_> = (0..40u32)
        .map(|n| {
            let words: String =
                (0..600).map(|w| format!("w{} ", (w * (n + 3) + n) % 211)).collect();
            library.add(&collections, store, &format!("{n}.txt"), &words)
        })
        .collect();
    library.process(&collections);
    for file in files.iter().step_by(5) {
        collections.detach(store, *file).unwrap();
    }
    let ask = |collections: &docent_retrieval::Collections| -> Vec<_> {
        let queries = ["w3 w77 w19", "w1", "w200 w201 w202 w203 nothing"];
        let hits = queries.map(|query| {
            let found = collections.search(&[store], query, &SearchOptions::default()).unwrap();
            found.hits.into_iter().map(|hit| (hit.chunk.id, hit.score)).collect::<Vec<_>>()
        });
        hits.into()
    };
    let before = ask(&collections);
    assert!(before[0].len() >= 10);
    drop(collections);
    fs_err::remove_dir_all(library.indexes()).unwrap();
    let collections = library.open();
    assert_eq!(ask(&collections), before);
}

#[test]
fn an_unreadable_file_fails_with_its_reason_and_the_others_go_on() {
    let library = Library::new(Embeds::English);
    let collections = library.open();
    let store = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    let empty = library.add(&collections, store, "empty.txt", "");
    library.add(&collections, store, "full.txt", "Not empty at all.");
    let outcome = collections.process(&mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((outcome.completed, outcome.failed), (1, 1));
    let failed = collections.vector_store_file(store, empty).unwrap();
    assert_eq!(failed.status, FileStatus::Failed);
    assert!(failed.last_error.unwrap().message.contains("empty"));
    assert_eq!(collections.pending().unwrap(), 0);
}

/// Removes the first row of `table`.
fn lose_a_row(library: &Library, table: &'static str, encoding: Encoding) {
    let table = TableSpec { name: table, encoding };
    let mut write = library.store.write().unwrap();
    let scan = Scan { limit: 1, ..Scan::default() };
    let (key, _) = write.scan(table, scan).unwrap().remove(0);
    assert!(write.delete(table, &key).unwrap());
    write.commit().unwrap();
}

#[test]
fn doctor_sets_right_what_can_be_made_again_and_names_what_is_lost() {
    let library = Library::new(Embeds::English);
    let collections = library.open();
    let store = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    let file = library.add(&collections, store, "a.txt", "Anchors hold ships in place.");
    library.add(&collections, store, "b.txt", "Ropes hold sails in place.");
    library.process(&collections);
    assert_eq!(collections.check(Repair::No).unwrap(), []);

    lose_a_row(&library, "embeddings", Encoding::Bytes);
    assert!(!collections.check(Repair::No).unwrap().is_empty());
    collections.check(Repair::Yes).unwrap();
    assert_eq!(collections.pending().unwrap(), 1);
    library.process(&collections);
    assert_eq!(collections.check(Repair::No).unwrap(), []);

    library.blobs.put(&mut &b"nobody mentions this"[..]).unwrap();
    drop(collections);
    for entry in
        fs_err::read_dir(library.indexes().join(store.to_string()).join("keyword")).unwrap()
    {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "idx") {
            fs_err::write(path, b"not postings").unwrap();
        }
    }
    let collections = library.open();
    let found = collections.search(&[store], "anchors", &SearchOptions::default()).unwrap();
    assert_eq!(found.hits[0].chunk.file, file, "a damaged index is rebuilt when it is opened");
    let findings = collections.check(Repair::Yes).unwrap();
    assert!(findings.iter().all(|finding| finding.repaired), "{findings:?}");
    assert_eq!(findings.len(), 1, "{findings:?}");

    lose_a_row(&library, "chunks", Encoding::Json);
    let findings = collections.check(Repair::Yes).unwrap();
    let lost = findings.iter().find(|finding| !finding.repaired).unwrap();
    assert!(lost.problem.contains("1 of its chunks are lost"), "{findings:?}");
}

#[test]
fn the_log_is_trimmed_below_what_a_former_opening_found_durable() {
    let library = Library::new(Embeds::English);
    let entries = || {
        let table = TableSpec { name: "log", encoding: Encoding::Json };
        library.store.read().unwrap().scan(table, Scan::default()).unwrap().len()
    };
    let collections = library.open();
    let store = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    for number in 0..5 {
        library.add(&collections, store, "n.txt", &format!("number {number} of the words"));
    }
    library.process(&collections);
    assert!(entries() >= 6);
    drop(collections);
    for (opening, left) in [(1, false), (2, true), (3, true)] {
        let collections = library.open();
        let found = collections.search(&[store], "number", &SearchOptions::default()).unwrap();
        assert_eq!(found.hits.len(), 5);
        assert_eq!(entries() == 0, left, "opening {opening}");
    }
    let collections = library.open();
    library.add(&collections, store, "six.txt", "number six came later");
    library.process(&collections);
    drop(collections);
    fs_err::remove_dir_all(library.indexes()).unwrap();
    let found = library.open().search(&[store], "number", &SearchOptions::default()).unwrap();
    assert_eq!(found.hits.len(), 6);
}

#[test]
fn several_threads_share_the_work_and_others_search_meanwhile() {
    let library = Library::new(Embeds::English);
    let collections = library.open();
    let store = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    for number in 0..30 {
        let text: String =
            (0..900).map(|word| format!("common{number} w{} ", word * number)).collect();
        library.add(&collections, store, &format!("{number}.txt"), &text);
    }
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| library.process(&collections));
        }
        for number in 0..200 {
            let query = format!("common{}", number % 30);
            let found = collections.search(&[store], &query, &SearchOptions::default()).unwrap();
            assert!(found.hits.iter().all(|hit| hit.score <= 1.0));
        }
    });
    assert_eq!(collections.pending().unwrap(), 0);
    assert_eq!(collections.check(Repair::No).unwrap(), []);
    let files = collections.vector_store_files(store).unwrap();
    assert!(files.iter().all(|file| file.status == FileStatus::Completed));
}

#[test]
fn a_filter_sees_every_change_of_attributes_at_once() {
    let library = Library::new(Embeds::English);
    let collections = library.open();
    let store = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    let first = library.add(&collections, store, "a.txt", "The harbour report.");
    library.process(&collections);
    let year = |year: f64| [("year".to_owned(), AttributeValue::Number(year))].into();
    let found = || {
        let value = AttributeValue::Number(2024.0);
        let filter = Filter::Compare { key: "year".into(), comparison: Comparison::Eq, value };
        let options = SearchOptions { filter: Some(filter), ..SearchOptions::default() };
        let found = collections.search(&[store], "harbour report", &options).unwrap();
        found.hits.into_iter().map(|hit| hit.chunk.file).collect::<Vec<_>>()
    };
    assert_eq!(found(), []);
    collections.update_attributes(store, first, year(2024.0)).unwrap();
    assert_eq!(found(), [first]);
    let second = library.upload(&collections, "b.txt", "The harbour report of another year.");
    let options = AttachOptions { attributes: year(2024.0), ..AttachOptions::default() };
    collections.attach(store, second, options).unwrap();
    library.process(&collections);
    assert_eq!(found().len(), 2);
    collections.delete_file(first).unwrap();
    assert_eq!(found(), [second]);
    collections.update_attributes(store, second, year(2025.0)).unwrap();
    assert_eq!(found(), []);
}
