use std::sync::atomic::{AtomicUsize, Ordering};

use docent_core::ErrorKind;

use super::*;

/// The files of the built-in model `name`, if they are on this machine; says so if not. `.ci/run`
/// sets `DOCENT_TEST_MODELS=required`, and then they must be.
#[cfg(feature = "local-models")]
pub(crate) fn real(name: &str) -> Option<ModelFiles> {
    let catalog = Catalog::builtin();
    let files = catalog.locate(name);
    if files.is_none() {
        let required = std::env::var("DOCENT_TEST_MODELS").is_ok_and(|value| value == "required");
        assert!(!required, "{name} is not in {}", catalog.cache_dir().display());
        eprintln!("SKIPPED: {name} is not here; run \"docent models pull {name}\"");
    }
    files
}

/// A catalog of one model `m` with the file `m.bin`, and where it would be kept.
fn catalog(dir: &Path, content: &[u8], sources: &str) -> Catalog {
    let sha256 = sha256(content);
    let manifests = dir.join("manifests");
    fs::create_dir_all(&manifests).unwrap();
    let text = format!(
        r#"
        name = "m"
        kind = "chat"
        architecture = "llama"
        dtype = "f32"
        license = "MIT"
        max_tokens = 64
        [[files]]
        role = "weights"
        name = "m.bin"
        bytes = {}
        sha256 = "{sha256}"
        {sources}
        "#,
        content.len()
    );
    fs::write(manifests.join("m.toml"), text).unwrap();
    Catalog::from_dir(&manifests).unwrap().with_cache_dir(dir.join("cache"))
}

fn sha256(content: &[u8]) -> docent_core::BlobHash {
    use sha2::{Digest, Sha256};
    docent_core::BlobHash(Sha256::digest(content).into())
}

fn place(catalog: &Catalog, content: &[u8]) -> PathBuf {
    let path = catalog.cache_dir().join("m").join("m.bin");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    path
}

fn go_on(_: PullProgress<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn every_builtin_manifest_is_read() {
    let catalog = Catalog::builtin();
    assert_eq!(catalog.list().len(), BUILTIN.len());
    for (origin, _) in BUILTIN {
        let name = origin.trim_start_matches("models/").trim_end_matches(".toml");
        assert_eq!(catalog.get(name).unwrap().name, name, "a file is named after its model");
    }
    let error = catalog.get("MiniLM").unwrap_err();
    assert!(error.message().contains("all-MiniLM-L6-v2"), "{error}");
}

#[test]
fn every_manifest_in_models_is_compiled_in() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    assert_eq!(Catalog::from_dir(dir).unwrap().list().len(), BUILTIN.len());
}

#[test]
fn a_file_placed_by_hand_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = catalog(dir.path(), b"weights", "");
    assert!(catalog.locate("m").is_none());
    let path = place(&catalog, b"weights");
    let files = catalog.locate("m").unwrap();
    assert_eq!(files.path(FileRole::Weights).unwrap(), path);
    assert!(files.path(FileRole::Tokenizer).is_err());
    assert!(catalog.verify("m").is_ok());
}

#[test]
fn a_file_in_a_directory_of_the_manifest_is_used_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let own = dir.path().join("own");
    let source = format!("[[sources]]\nkind = \"dir\"\npath = {:?}", own.display().to_string());
    let catalog = catalog(dir.path(), b"weights", &source);
    fs::create_dir_all(&own).unwrap();
    fs::write(own.join("m.bin"), b"weights").unwrap();
    let files = catalog.pull("m", &mut go_on).unwrap();
    assert_eq!(files.path(FileRole::Weights).unwrap(), own.join("m.bin"));
}

#[test]
fn a_file_of_other_content_is_never_used() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = catalog(dir.path(), b"weights", "");
    for wrong in [&b"weightz"[..], b"weights!", b""] {
        place(&catalog, wrong);
        assert!(catalog.locate("m").is_none());
        assert_eq!(catalog.verify("m").unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn a_file_changed_after_it_was_checked_is_checked_again() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = catalog(dir.path(), b"weights", "");
    let path = place(&catalog, b"weights");
    assert!(catalog.locate("m").is_some());
    let checked = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, b"weightz").unwrap();
    let later = checked + std::time::Duration::from_secs(1);
    fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .into_file()
        .set_modified(later)
        .unwrap();
    assert!(catalog.locate("m").is_none());
}

#[test]
fn an_unchanged_file_is_not_hashed_again_but_verify_hashes_it() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = catalog(dir.path(), b"weights", "");
    let path = place(&catalog, b"weights");
    assert!(catalog.locate("m").is_some());
    // Same length, same time: only a hash could tell.
    let checked = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, b"weightz").unwrap();
    fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .into_file()
        .set_modified(checked)
        .unwrap();
    assert!(catalog.locate("m").is_some());
    assert_eq!(catalog.verify("m").unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(catalog.locate("m").is_none(), "verify forgets what it found wrong");
}

#[test]
fn a_model_in_place_is_pulled_without_asking_anyone() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = catalog(dir.path(), b"weights", "");
    place(&catalog, b"weights");
    let calls = AtomicUsize::new(0);
    let files = catalog.pull("m", &mut |_| {
        calls.fetch_add(1, Ordering::Relaxed);
        ControlFlow::Continue(())
    });
    assert!(files.is_ok());
    assert_eq!(calls.into_inner(), 0);
}
