use docent_core::ErrorKind;
use tempfile::TempDir;

use super::*;

fn fresh() -> (TempDir, DirBlobs) {
    let dir = tempfile::tempdir().unwrap();
    let blobs = DirBlobs::open(dir.path().join("blobs")).unwrap();
    (dir, blobs)
}

fn put(blobs: &DirBlobs, mut bytes: &[u8]) -> BlobInfo {
    blobs.put(&mut bytes).unwrap()
}

#[test]
fn a_blob_lies_under_the_first_two_digits_of_its_name() {
    let (dir, blobs) = fresh();
    put(&blobs, b"abc");
    let path = "blobs/ba/7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(fs::read(dir.path().join(path)).unwrap(), b"abc");
    assert_eq!(fs::read_dir(dir.path().join("blobs/tmp")).unwrap().count(), 0);
}

#[test]
fn a_damaged_blob_is_an_error_at_its_end_and_never_silent() {
    let (_dir, blobs) = fresh();
    let info = put(&blobs, b"original bytes");
    fs::write(blobs.path(info.hash), "original bites").unwrap();
    let mut text = String::new();
    let error = blobs.open(info.hash).unwrap().read_to_string(&mut text).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    let error = blobs.verify(info.hash).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("is damaged; add its file again"), "{error}");
}

#[test]
fn putting_the_bytes_again_heals_a_blob_of_the_wrong_length() {
    let (_dir, blobs) = fresh();
    let info = put(&blobs, b"whole");
    fs::write(blobs.path(info.hash), "who").unwrap();
    assert_eq!(blobs.verify(info.hash).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(put(&blobs, b"whole"), info);
    assert_eq!(blobs.verify(info.hash).unwrap(), info);
}

#[test]
fn unfinished_blobs_are_swept_and_strangers_left_alone() {
    let (dir, blobs) = fresh();
    let info = put(&blobs, b"kept");
    drop(blobs);
    let root = dir.path().join("blobs");
    fs::write(root.join("tmp/.tmp1234"), "half").unwrap();
    fs::write(root.join("README"), "a stranger's").unwrap();
    let shard = &info.hash.to_string()[..2];
    fs::write(root.join(shard).join("notes.txt"), "a stranger's").unwrap();

    let blobs = DirBlobs::open(&root).unwrap();
    assert_eq!(fs::read_dir(root.join("tmp")).unwrap().count(), 0);
    assert_eq!(blobs.list().unwrap(), [info]);
    assert!(root.join("README").exists());
}
