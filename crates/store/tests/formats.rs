//! Libraries that older builds wrote are still opened.
//!
//! A change of format adds a directory to `tests/fixtures` and a test here; what is there stays as
//! it is.

use std::io::Read as _;
use std::path::Path;

use docent_core::{BlobHash, Blobs, Encoding, Scan, Store, TableSpec};
use docent_store::{CheckDepth, LibraryDir, Mode};
use fs_err as fs;

const NOTES: TableSpec = TableSpec { name: "notes", encoding: Encoding::Json };
const VECTORS: TableSpec = TableSpec { name: "vectors", encoding: Encoding::Bytes };
const BLOB: &[u8] = b"original bytes\n";

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn format_1_opens() {
    let dir = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-1");
    copy_dir(&fixture, dir.path());
    let library = LibraryDir::open(dir.path(), Mode::OpenExisting).unwrap();
    assert_eq!(library.check(CheckDepth::Full).unwrap(), Vec::<String>::new());

    let snapshot = library.store().read().unwrap();
    let notes = snapshot.scan(NOTES, Scan::default()).unwrap();
    let note = |key: &str, value: &str| (key.to_owned(), value.as_bytes().to_vec());
    assert_eq!(notes, [note("a/1", r#"{"text":"kept"}"#), note("中", r#"{"text":"留"}"#)]);
    assert_eq!(snapshot.get(VECTORS, "v").unwrap().unwrap(), [0, 1, 254, 255]);

    let blobs: Vec<BlobHash> =
        library.blobs().list().unwrap().into_iter().map(|blob| blob.hash).collect();
    assert_eq!(blobs.len(), 1);
    let mut bytes = Vec::new();
    library.blobs().open(blobs[0]).unwrap().read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, BLOB);
}

/// Wrote `tests/fixtures/format-1`: a way to make the next one, at the path in `DOCENT_FIXTURE`.
#[test]
#[ignore = "writes a fixture; fixtures are written once"]
fn write_a_fixture_of_the_present_format() {
    let path = std::env::var("DOCENT_FIXTURE").unwrap();
    let library = LibraryDir::open(path, Mode::OpenOrCreate).unwrap();
    let mut transaction = library.store().write().unwrap();
    transaction.put(NOTES, "a/1", br#"{"text":"kept"}"#).unwrap();
    transaction.put(NOTES, "中", r#"{"text":"留"}"#.as_bytes()).unwrap();
    transaction.put(VECTORS, "v", &[0, 1, 254, 255]).unwrap();
    transaction.commit().unwrap();
    library.blobs().put(&mut &*BLOB).unwrap();
}
