use docent_core::{Encoding, Store, TableSpec};

use super::*;

const NOTES: TableSpec = TableSpec { name: "notes", encoding: Encoding::Json };

#[track_caller]
fn refusal(path: &Path, mode: Mode) -> (ErrorKind, String) {
    let error = LibraryDir::open(path, mode).unwrap_err();
    (error.kind(), error.to_string())
}

#[test]
fn a_library_is_in_use_until_all_that_it_gave_out_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let library = LibraryDir::open(dir.path(), Mode::OpenOrCreate).unwrap();
    let store = Arc::clone(library.store());
    drop(library);
    let (kind, message) = refusal(dir.path(), Mode::OpenOrCreate);
    assert_eq!(kind, ErrorKind::Conflict);
    assert!(message.contains("in use by this process"), "{message}");
    drop(store);
    LibraryDir::open(dir.path(), Mode::OpenExisting).unwrap();
}

#[test]
fn text_of_a_dead_owner_means_nothing() {
    let dir = tempfile::tempdir().unwrap();
    drop(LibraryDir::open(dir.path(), Mode::OpenOrCreate).unwrap());
    let stale =
        r#"{"pid":1,"host":"elsewhere","opened_at":0, "and more": "than the new text has"}"#;
    fs::write(dir.path().join("LOCK"), stale).unwrap();
    let library = LibraryDir::open(dir.path(), Mode::OpenExisting).unwrap();
    let text = fs::read_to_string(dir.path().join("LOCK")).unwrap();
    assert!(text.starts_with(&format!("{{\"pid\":{}", std::process::id())), "{text}");
    assert!(text.ends_with('}') && !text.contains("elsewhere"), "{text}");
    drop(library);
}

#[test]
fn a_strangers_directory_is_refused_and_left_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("thesis.tex"), "mine").unwrap();
    for mode in [Mode::OpenOrCreate, Mode::OpenExisting] {
        let (kind, message) = refusal(dir.path(), mode);
        assert_eq!(kind, ErrorKind::Invalid);
        assert!(message.contains("no VERSION"), "{message}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn opening_an_existing_library_creates_none() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    let (kind, message) = refusal(&missing, Mode::OpenExisting);
    assert_eq!(kind, ErrorKind::NotFound);
    assert!(message.contains("there is no library at"), "{message}");
    assert!(!missing.exists());
    assert_eq!(refusal(dir.path(), Mode::OpenExisting).0, ErrorKind::NotFound);
    LibraryDir::open(missing.join("deep"), Mode::OpenOrCreate).unwrap();
}

#[test]
fn a_beginning_that_was_cut_off_is_begun_again() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("LOCK"), "").unwrap();
    fs::write(dir.path().join("VERSION.new"), "").unwrap();
    LibraryDir::open(dir.path(), Mode::OpenOrCreate).unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("VERSION")).unwrap(), format!("{FORMAT}\n"));
}

#[test]
fn a_newer_format_is_refused_naming_both_and_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    drop(LibraryDir::open(dir.path(), Mode::OpenOrCreate).unwrap());
    fs::write(dir.path().join("VERSION"), "4711\n").unwrap();
    let (kind, message) = refusal(dir.path(), Mode::OpenExisting);
    assert_eq!(kind, ErrorKind::Invalid);
    let parts = ["format 4711", &format!("up to {FORMAT}"), "use a newer build"];
    assert!(parts.iter().all(|part| message.contains(part)), "{message}");

    for damaged in ["", "0", "one", "\u{0}"] {
        fs::write(dir.path().join("VERSION"), damaged).unwrap();
        assert_eq!(refusal(dir.path(), Mode::OpenExisting).0, ErrorKind::Corrupt, "{damaged:?}");
    }
}

#[test]
fn a_file_in_the_librarys_place_is_an_error_with_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let (_, message) = refusal(&file, Mode::OpenOrCreate);
    assert!(message.contains(file.to_str().unwrap()), "{message}");
}

#[test]
fn a_check_reads_every_blob() {
    use docent_core::Blobs;

    let dir = tempfile::tempdir().unwrap();
    let library = LibraryDir::open(dir.path(), Mode::OpenOrCreate).unwrap();
    let mut transaction = library.store().write().unwrap();
    transaction.put(NOTES, "a", b"1").unwrap();
    transaction.commit().unwrap();
    let hash = library.blobs().put(&mut &b"abc"[..]).unwrap().hash.to_string();
    assert_eq!(library.check(CheckDepth::Full).unwrap(), Vec::<String>::new());

    fs::write(dir.path().join("blobs").join(&hash[..2]).join(&hash[2..]), "abd").unwrap();
    assert_eq!(library.check(CheckDepth::Quick).unwrap(), Vec::<String>::new());
    let findings = library.check(CheckDepth::Full).unwrap();
    assert!(findings.len() == 1 && findings[0].contains(&hash), "{findings:?}");
}
