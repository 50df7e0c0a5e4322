//! The life of a document: added, unchanged, changed, removed.

use docent::{Added, Library, SearchOptions};

use crate::support::{Home, add_all, process};

#[track_caller]
fn found(library: &Library, query: &str) -> Vec<String> {
    let result = library.search(query, &SearchOptions::default()).unwrap();
    result.hits.into_iter().map(|hit| hit.chunk.chunk.text).collect()
}

#[test]
fn an_unchanged_document_is_recognised_even_when_only_touched() {
    let home = Home::new();
    let library = home.open();
    let path = home.write("notes.txt", "The boiler was serviced in May.");
    let Added::New(file) = library.add(&path).unwrap() else { panic!("it was not there before") };
    process(&library);
    assert_eq!(library.add(&path).unwrap(), Added::Unchanged(file));

    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
    fs_err::File::open(&path).unwrap().file().set_modified(later).unwrap();
    assert_eq!(library.add(&path).unwrap(), Added::Unchanged(file));
    assert_eq!(library.collections().pending().unwrap(), 0);
}

#[test]
fn a_changed_document_replaces_its_older_version() {
    let home = Home::new();
    let library = home.open();
    let path = home.write("notes.txt", "The boiler was serviced in May.");
    add_all(&library, std::slice::from_ref(&path));

    home.write("notes.txt", "The boiler was replaced in October instead.");
    let Added::Changed(_) = library.add(&path).unwrap() else { panic!("its content changed") };
    assert!(!found(&library, "boiler").is_empty(), "the old version is found until the new is in");
    process(&library);

    let texts = found(&library, "boiler");
    assert_eq!(texts.len(), 1);
    assert!(texts[0].contains("October"));
    assert_eq!(library.documents().unwrap().len(), 1);
}

#[test]
fn a_removed_document_is_gone_at_once_and_can_come_back() {
    let home = Home::new();
    let library = home.open();
    let path = home.write("notes.txt", "The boiler was serviced in May.");
    let file = library.add(&path).unwrap().file();
    process(&library);
    assert!(library.remove(file).unwrap());
    assert!(found(&library, "boiler").is_empty());
    assert!(!library.remove(file).unwrap());

    assert!(matches!(library.add(&path).unwrap(), Added::New(_)));
    process(&library);
    assert_eq!(found(&library, "boiler").len(), 1);
}
