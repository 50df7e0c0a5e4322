//! Vector stores as the Assistants API shows them: totals, batches, expiry, pages.

use std::ops::ControlFlow;
use std::time::Duration;

use docent_core::*;
use docent_retrieval::{
    AttachOptions, Collections, FileDescription, NewVectorStore, Repair, SearchOptions,
};

use crate::support::{Embeds, Library};

fn counts(collections: &Collections, store: VectorStoreId) -> (FileCounts, VectorStoreStatus) {
    let summary = collections.vector_store_summary(store).unwrap();
    (summary.files, summary.status)
}

fn uploads(library: &Library, collections: &Collections, count: usize) -> Vec<FileId> {
    let texts = (0..count).map(|i| (format!("{i}.txt"), format!("Whale number {i} sings.")));
    texts.map(|(name, text)| library.upload(collections, &name, &text)).collect()
}

fn plain(files: &[FileId]) -> Vec<(FileId, AttachOptions)> {
    files.iter().map(|file| (*file, AttachOptions::default())).collect()
}

#[test]
fn totals_are_right_from_the_first_answer_to_the_last_delete() {
    let library = Library::new(Embeds::English);
    let collections = library.open();
    let mut files = uploads(&library, &collections, 3);
    files.push(library.upload(&collections, "noise.png", "\u{1}\u{0}\u{2}"));
    let new = NewVectorStore { files: files.clone(), ..NewVectorStore::default() };
    let store = collections.create_vector_store_with(new).unwrap().id;
    let waiting = FileCounts { in_progress: 4, ..FileCounts::default() };
    assert_eq!(counts(&collections, store), (waiting, VectorStoreStatus::InProgress));
    library.process(&collections);
    let done = FileCounts { completed: 3, failed: 1, ..FileCounts::default() };
    assert_eq!(counts(&collections, store), (done, VectorStoreStatus::Completed));
    let usage = collections.vector_store_summary(store).unwrap().usage_bytes;
    assert_eq!(usage, 3 * "Whale number 0 sings.".len() as u64);
    collections.delete_file(files[3]).unwrap();
    collections.detach(store, files[0]).unwrap();
    let summary = collections.vector_store_summary(store).unwrap();
    assert_eq!((summary.files.total(), summary.usage_bytes), (2, usage / 3 * 2));
    assert_eq!(collections.check(Repair::No).unwrap(), []);
}

#[test]
fn a_library_without_totals_is_counted() {
    let library = Library::new(Embeds::Nothing);
    let collections = library.open();
    let files = uploads(&library, &collections, 2);
    let store = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    collections.attach_all(store, &plain(&files[..1])).unwrap();
    let totals = TableSpec { name: "vector_store_totals", encoding: Encoding::Json };
    let mut write = library.store.write().unwrap();
    assert!(write.delete(totals, &store.to_string()).unwrap());
    write.commit().unwrap();
    assert_eq!(counts(&collections, store).0.in_progress, 1);
    collections.attach_all(store, &plain(&files[1..])).unwrap();
    assert_eq!(counts(&collections, store).0.in_progress, 2);
}

#[test]
fn files_are_attached_all_or_none() {
    let library = Library::new(Embeds::Nothing);
    let collections = library.open();
    let store = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    let mut files = uploads(&library, &collections, 500);
    let unknown: FileId = "file-zzzzzzzzzzzzzzzzzzzzzzzz".parse().unwrap();
    files.push(unknown);
    let error = collections.attach_all(store, &plain(&files)).unwrap_err();
    assert_eq!(error.message(), format!("No such File object: {unknown}"));
    assert_eq!(counts(&collections, store).0.total(), 0);
    assert_eq!(collections.pending().unwrap(), 0);
    files.pop();
    collections.attach_all(store, &plain(&files)).unwrap();
    assert_eq!(counts(&collections, store).0.in_progress, 500);
}

#[test]
fn a_batch_counts_its_own_files_and_is_called_off() {
    let library = Library::new(Embeds::English);
    let collections = library.open();
    let store = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    let files = uploads(&library, &collections, 4);
    let first = collections.create_batch(store, &plain(&files[..2])).unwrap();
    assert_eq!((first.files.in_progress, first.status), (2, BatchStatus::InProgress));
    library.process(&collections);
    let id = first.batch.id;
    let first = collections.batch(store, id).unwrap();
    assert_eq!((first.files.completed, first.status), (2, BatchStatus::Completed));
    let error = collections.cancel_batch(store, id).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);

    let attributes = Attributes::from([("year".to_owned(), AttributeValue::Number(2024.0))]);
    let options = AttachOptions { attributes: attributes.clone(), ..AttachOptions::default() };
    let second: Vec<_> = files[1..].iter().map(|file| (*file, options.clone())).collect();
    let second = collections.create_batch(store, &second).unwrap();
    assert_eq!((second.files.completed, second.files.in_progress), (1, 2));
    let cancelled = collections.cancel_batch(store, second.batch.id).unwrap();
    assert_eq!((cancelled.files.cancelled, cancelled.status), (2, BatchStatus::Cancelled));
    library.process(&collections);
    assert_eq!(counts(&collections, store).0.cancelled, 2);
    let oldest = PageRequest { limit: 1, ..PageRequest::all() };
    let status = Some(FileStatus::Cancelled);
    let page = collections.batch_files(store, second.batch.id, status, &oldest).unwrap();
    assert_eq!((page.data[0].file, page.has_more), (files[2], true));
    assert_eq!(page.data[0].attributes, attributes);
    assert_eq!(collections.check(Repair::No).unwrap(), []);

    let other = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    assert_eq!(collections.batch(other, id).unwrap_err().kind(), ErrorKind::NotFound);
    collections.delete_vector_store(store).unwrap();
    assert_eq!(collections.batch(store, id).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn uploads_are_listed_by_purpose() {
    let library = Library::new(Embeds::Nothing);
    let collections = library.open();
    let files = uploads(&library, &collections, 3);
    let tune = collections.create_file("t.jsonl", Purpose::FineTune, &mut &b"{}"[..]).unwrap();
    let oldest = PageRequest { limit: 2, ..PageRequest::all() };
    let page = collections.files_page(Some(Purpose::Assistants), &oldest).unwrap();
    assert_eq!((page.data[1].id, page.has_more), (files[1], true));
    let after = PageRequest { after: Some(files[1]), ..oldest };
    let page = collections.files_page(Some(Purpose::Assistants), &after).unwrap();
    assert_eq!((page.data.len(), page.has_more), (1, false));
    let page = collections.files_page(None, &PageRequest::default()).unwrap();
    assert_eq!((page.data.len(), page.data[0].id), (4, tune.id));
}

/// At each stage of a file's way in.
#[test]
fn what_is_called_off_while_it_is_worked_on_is_not_found() {
    for stop_at in 0..3 {
        let library = Library::new(Embeds::English);
        let collections = library.open();
        let store = collections.create_vector_store(None, Metadata::new()).unwrap().id;
        let files = uploads(&library, &collections, 1);
        let batch = collections.create_batch(store, &plain(&files)).unwrap().batch.id;
        let mut passed = 0;
        collections
            .process(&mut |_| {
                if passed == stop_at {
                    collections.cancel_batch(store, batch).unwrap();
                }
                passed += 1;
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(counts(&collections, store).0.cancelled, 1, "stopped at {stop_at}");
        let found = collections.search(&[store], "whale", &SearchOptions::default()).unwrap();
        assert_eq!(found.hits.len(), 0, "stopped at {stop_at}");
        assert_eq!(collections.pending().unwrap(), 0, "stopped at {stop_at}");
        assert_eq!(collections.check(Repair::No).unwrap(), [], "stopped at {stop_at}");
        drop(collections);
        let collections = library.open();
        assert_eq!(collections.pending().unwrap(), 0, "stopped at {stop_at}");
        // Attached once more, it comes in.
        collections.attach_all(store, &plain(&files)).unwrap();
        library.process(&collections);
        assert_eq!(counts(&collections, store).0.completed, 1, "stopped at {stop_at}");
    }
}

#[test]
fn files_are_listed_in_the_order_they_were_attached() {
    let library = Library::new(Embeds::Nothing);
    let collections = library.open();
    let store = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    let files = uploads(&library, &collections, 3);
    for at in [2, 0, 1] {
        collections.attach_all(store, &plain(&files[at..=at])).unwrap();
        library.clock.advance(Duration::from_millis(1));
    }
    let page = |request: PageRequest<FileId>| {
        let page = collections.vector_store_files_page(store, None, &request).unwrap();
        let places = page.data.iter().map(|it| files.iter().position(|f| *f == it.file).unwrap());
        (places.collect::<Vec<_>>(), page.has_more)
    };
    let newest = PageRequest { limit: 2, ..PageRequest::default() };
    assert_eq!(page(newest), (vec![1, 0], true));
    assert_eq!(page(PageRequest { after: Some(files[0]), ..newest }), (vec![2], false));
    library.process(&collections);
    let waiting = Some(FileStatus::InProgress);
    let after = PageRequest { after: Some(files[0]), ..newest };
    let page = collections.vector_store_files_page(store, waiting, &after).unwrap();
    assert!(page.data.is_empty());
}

#[test]
fn a_store_expires_after_days_without_use_and_a_change_revives_it() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let library = Library::new(Embeds::English);
    let collections = library.open();
    let files = uploads(&library, &collections, 1);
    let new = NewVectorStore { files, expires_after_days: Some(2), ..NewVectorStore::default() };
    let store = collections.create_vector_store_with(new).unwrap().id;
    library.process(&collections);
    let search = || collections.search(&[store], "whale", &SearchOptions::default());
    library.clock.advance(DAY);
    assert_eq!(search().unwrap().hits.len(), 1);
    let used = collections.vector_store(store).unwrap();
    assert_eq!(used.last_active_at, library.clock.now());
    // The search counted as a use.
    library.clock.advance(DAY * 3 / 2);
    assert_eq!(search().unwrap().hits.len(), 1);
    library.clock.advance(DAY * 2);
    assert_eq!(counts(&collections, store).1, VectorStoreStatus::Expired);
    let error = search().unwrap_err();
    assert!(error.message().contains("expired"), "{error}");
    let changed = collections
        .update_vector_store(store, |store| {
            store.name = Some("whales".into());
            store.expires_after_days = None;
        })
        .unwrap();
    assert_eq!(changed.status, VectorStoreStatus::Completed);
    assert_eq!(changed.vector_store.name.as_deref(), Some("whales"));
    library.clock.advance(DAY * 400);
    assert_eq!(search().unwrap().hits.len(), 1);
}

#[test]
fn limits_are_refused_in_the_contracts_words() {
    let library = Library::new(Embeds::Nothing);
    let collections = library.open();
    let new = NewVectorStore { expires_after_days: Some(366), ..NewVectorStore::default() };
    let error = collections.create_vector_store_with(new).unwrap_err();
    assert_eq!(
        error.message(),
        "Invalid 'expires_after.days': integer above maximum value. Expected a value <= 365, but \
         got 366 instead."
    );
    assert_eq!(error.code(), Some("integer_above_max_value"));
    let store = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    let file = library.add(&collections, store, "a.txt", "A whale.");
    let many = (0..17).map(|i| (i.to_string(), AttributeValue::Bool(true))).collect();
    let error = collections.update_attributes(store, file, many).unwrap_err();
    assert_eq!(error.code(), Some("object_above_max_properties"));
    assert_eq!(collections.create_batch(store, &[]).unwrap_err().code(), Some("empty_array"));
}

#[test]
fn attributes_change_what_a_filter_finds_at_once() {
    let library = Library::new(Embeds::English);
    let collections = library.open();
    let store = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    let file = library.add(&collections, store, "a.txt", "A whale sings.");
    library.process(&collections);
    let year = |year: f64| AttributeValue::Number(year);
    let filter =
        Filter::Compare { key: "year".into(), comparison: Comparison::Gte, value: year(2020.0) };
    let options = SearchOptions { filter: Some(filter), ..SearchOptions::default() };
    let found = || collections.search(&[store], "whale", &options).unwrap().hits.len();
    assert_eq!(found(), 0);
    let attributes = Attributes::from([("year".to_owned(), year(2024.0))]);
    collections.update_attributes(store, file, attributes).unwrap();
    assert_eq!(found(), 1);
}

#[test]
fn several_queries_give_each_passage_once_best_first() {
    let library = Library::new(Embeds::English);
    let collections = library.open();
    let store = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    library.add(&collections, store, "boats.txt", "The ferry crosses the fjord daily.");
    library.add(&collections, store, "whales.txt", "Whales sing in the fjord.");
    library.process(&collections);
    let options = SearchOptions::default();
    let hits = collections.search_any(&[store], &["ferry daily", "whales sing"], &options);
    let hits = hits.unwrap();
    let mut names: Vec<&str> = hits.iter().map(|hit| hit.filename.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["boats.txt", "whales.txt"]);
    // By its own query each is better than by the other's.
    assert!(hits.iter().all(|hit| hit.score > 0.5), "{hits:?}");
    assert!(hits[0].score >= hits[1].score, "{hits:?}");
    let one = SearchOptions { limit: 1, ..options };
    assert_eq!(collections.search_any(&[store], &["whales", "ferry"], &one).unwrap().len(), 1);
}

#[test]
fn a_files_text_is_given_whole() {
    let library = Library::new(Embeds::Nothing);
    let collections = library.open();
    let store = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    let text = (0..400).map(|i| format!("Whale {i} 鲸鱼 sings.")).collect::<Vec<_>>().join(" ");
    let file = library.upload(&collections, "whales.txt", &text);
    let chunking = ChunkingStrategy::new(100, 50).unwrap();
    let options = AttachOptions { chunking, ..AttachOptions::default() };
    collections.attach(store, file, options).unwrap();
    assert_eq!(collections.file_text(store, file).unwrap(), "");
    library.process(&collections);
    assert!(collections.file_chunks(store, file).unwrap().len() > 20);
    assert_eq!(collections.file_text(store, file).unwrap(), text);
    let other = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    let error = collections.file_text(other, file).unwrap_err();
    assert_eq!(
        error.message(),
        format!("No file found with id '{file}' in vector store '{other}'.")
    );
}

#[test]
fn a_file_whose_time_is_over_is_gone_and_so_are_its_chunks() {
    let library = Library::new(Embeds::Nothing);
    let collections = library.open();
    let store = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    let kept = library.add(&collections, store, "kept.txt", "the valve is blue");
    let expires_after = Some(Duration::from_secs(3600));
    let told =
        FileDescription { filename: "short.txt".into(), expires_after, ..Default::default() };
    let text = &mut "the valve is red".as_bytes();
    let short = collections.receive_file(text, &mut || told.clone()).unwrap();
    assert_eq!(short.expires_at, Some(short.created_at.plus(Duration::from_secs(3600))));
    collections.attach(store, short.id, AttachOptions::default()).unwrap();
    library.process(&collections);
    let found = || {
        let hits = collections.search(&[store], "valve", &SearchOptions::default()).unwrap().hits;
        hits.into_iter().map(|hit| hit.chunk.file).collect::<Vec<_>>()
    };
    assert_eq!(found().len(), 2);
    library.clock.advance(Duration::from_secs(3599));
    assert_eq!(collections.delete_expired_files().unwrap(), 0);
    collections.file(short.id).unwrap();
    library.clock.advance(Duration::from_secs(1));
    assert_eq!(collections.file(short.id).unwrap_err().kind(), ErrorKind::NotFound);
    let listed = collections.files_page(None, &PageRequest::default()).unwrap().data;
    assert_eq!(listed.iter().map(|file| file.id).collect::<Vec<_>>(), [kept]);
    assert_eq!(collections.delete_expired_files().unwrap(), 1);
    assert_eq!(found(), [kept]);
    assert!(collections.open_file(short.id).is_err());
    assert!(library.blobs.list().unwrap().iter().all(|blob| blob.hash != short.hash));
    assert_eq!(collections.delete_expired_files().unwrap(), 0);
}
