//! A user's own file becomes a model of the catalog.
//!
//! It is copied under a name of its own, hashed on the way and synced, then renamed to its place;
//! the manifest beside it comes last and is the commit point. A copy that was broken off is gone,
//! one that was killed is cleared away by the next.

use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use docent_core::{BlobHash, Error, Result};
use fs_err as fs;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::{Catalog, hash_file};
use crate::fetch::{self, PullProgress};
use crate::gguf::{GgufHeader, GgufInfo};
use crate::manifest::{FileRole, Manifest};

/// What a copy that is not finished is called by.
const STAGED: &str = ".adding-";

/// How long a conversation a file takes that does not say.
const USUAL_CONTEXT: u64 = 4096;

/// A user's own model in the catalog.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OwnModel {
    /// What it is called.
    pub name: String,
    /// Where its weights are now.
    pub weights: PathBuf,
    /// Their SHA-256.
    pub sha256: BlobHash,
    /// What they are.
    pub info: GgufInfo,
    /// Whether the very file was there already.
    pub was_there: bool,
}

#[derive(Serialize)]
struct OwnManifest<'a> {
    name: &'a str,
    kind: &'a str,
    architecture: &'a str,
    dtype: String,
    license: &'a str,
    max_tokens: u64,
    files: [OwnFile; 1],
}

#[derive(Serialize)]
struct OwnFile {
    role: &'static str,
    name: String,
    bytes: u64,
    sha256: BlobHash,
}

impl Catalog {
    /// Copies the GGUF file at `path` to where models are kept, and describes it by a manifest
    /// there: from then on `name` is a chat model of the catalog, for every program of this user.
    /// Without a name it is called as its file. `on_progress` may break off; then nothing is kept.
    ///
    /// # Errors
    /// [`Invalid`](docent_core::ErrorKind::Invalid) with the reason for a file that cannot chat
    /// here, [`Corrupt`](docent_core::ErrorKind::Corrupt) for one that is damaged,
    /// [`Conflict`](docent_core::ErrorKind::Conflict) for a name that another model has and when
    /// the caller broke off.
    pub fn add_gguf(
        &self,
        path: &Path,
        name: Option<&str>,
        on_progress: &mut dyn FnMut(PullProgress<'_>) -> ControlFlow<()>,
    ) -> Result<OwnModel> {
        let name = name.map_or_else(|| name_of(path), str::to_owned);
        let header = GgufHeader::read(path)?;
        let refused = |error: Error| error.context(path.display());
        header.check_chat_model().map_err(refused)?;
        let info = GgufInfo::of(&header);
        if let Some(known) = self.manifests.get(&name) {
            return self.same_file(known, path, info);
        }
        // The manifest refuses names that would lead elsewhere: before anything is copied.
        Manifest::parse(&manifest(&name, &info, BlobHash([0; 32]))?, &name)?;
        try_to_load(&name, path)?;
        fs::create_dir_all(&self.cache)?;
        let _lock = fetch::lock(&self.cache, &name, on_progress)?;
        clear_left_copies(&self.cache)?;
        let (staged, sha256) = copy(path, &self.cache, &name, on_progress)?;
        let weights = self.cache.join(&name).join(file_name(&name));
        keep(staged, &weights)?;
        let mut described = NamedTempFile::with_prefix_in(STAGED, &self.cache)?;
        described.write_all(manifest(&name, &info, sha256)?.as_bytes())?;
        keep(described, &self.cache.join(format!("{name}.toml")))?;
        Ok(OwnModel { name, weights, sha256, info, was_there: false })
    }

    /// A name that is taken may be taken by this very file.
    fn same_file(&self, known: &Manifest, path: &Path, info: GgufInfo) -> Result<OwnModel> {
        let name = known.name.clone();
        if let (Some(files), Some(file)) = (self.locate(&name), known.file(FileRole::Weights))
            && file.bytes == info.file_bytes
            && file.sha256 == hash_file(path)?
        {
            let weights = files.path(FileRole::Weights)?.to_owned();
            return Ok(OwnModel { name, weights, sha256: file.sha256, info, was_there: true });
        }
        Err(Error::conflict(format!(
            "another model is called {name}; give this one another name with --name"
        )))
    }
}

/// A file's name without its suffix, and without what names must not have.
fn name_of(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let name: String = stem.chars().map(|c| if fits(c) { c } else { '-' }).take(128).collect();
    name.trim_start_matches('.').to_owned()
}

fn file_name(name: &str) -> String {
    format!("{name}.gguf")
}

fn manifest(name: &str, info: &GgufInfo, sha256: BlobHash) -> Result<String> {
    let files =
        [OwnFile { role: "weights", name: file_name(name), bytes: info.file_bytes, sha256 }];
    let manifest = OwnManifest {
        name,
        kind: "chat",
        architecture: &info.architecture,
        dtype: info.main_quantization().to_ascii_lowercase(),
        license: info.license.as_deref().unwrap_or("unknown"),
        max_tokens: info.context_tokens.unwrap_or(USUAL_CONTEXT),
        files,
    };
    toml::to_string(&manifest)
        .map_err(|error| Error::internal("no manifest can be written").with_source(error))
}

/// A header cannot tell everything. Whatever is wrong, its user is told now and not when asking.
#[cfg(feature = "local-models")]
fn try_to_load(name: &str, path: &Path) -> Result<()> {
    crate::chat::Local::load(name, path, &crate::LocalConfig::default()).map(drop)
}

#[cfg(not(feature = "local-models"))]
fn try_to_load(_: &str, _: &Path) -> Result<()> {
    Ok(())
}

fn copy(
    path: &Path,
    dir: &Path,
    name: &str,
    on_progress: &mut dyn FnMut(PullProgress<'_>) -> ControlFlow<()>,
) -> Result<(NamedTempFile, BlobHash)> {
    let mut from = fs::File::open(path)?;
    let total_bytes = from.metadata()?.len();
    let mut staged = NamedTempFile::with_prefix_in(STAGED, dir)?;
    let (mut hasher, mut done_bytes) = (Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let progress = PullProgress { source: "your file", file: name, done_bytes, total_bytes };
        if on_progress(progress).is_break() {
            return Err(Error::conflict(format!("adding {name} was broken off; nothing is kept")));
        }
        let read = from.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        staged.write_all(&buffer[..read])?;
        done_bytes += read as u64;
    }
    if done_bytes != total_bytes {
        return Err(Error::conflict(format!("{} changed while it was read", path.display())));
    }
    Ok((staged, BlobHash(hasher.finalize().into())))
}

/// Gives a whole file its name, durably.
fn keep(staged: NamedTempFile, place: &Path) -> Result<()> {
    let dir = place.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir)?;
    staged.as_file().sync_all()?;
    staged.persist(place).map_err(|error| Error::from(error.error).context(place.display()))?;
    // Where directories cannot be synced a crash may lose the name; the copy is made again then.
    let _ = fs::File::open(dir).and_then(|dir| dir.sync_all());
    Ok(())
}

/// What a killed process left; the lock is ours, so nobody is writing it.
fn clear_left_copies(dir: &Path) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(STAGED) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use docent_core::ErrorKind;

    use super::*;

    fn go_on(_: PullProgress<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// What is in `dir`, locks aside.
    fn left(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name != ".lock");
        names.sort();
        names
    }

    #[test]
    fn a_name_is_made_of_any_files_name() {
        let named = |path: &str| name_of(Path::new(path));
        assert_eq!(named("/tmp/Qwen2.5 (0.5B) Q4_K_M.gguf"), "Qwen2.5--0.5B--Q4_K_M");
        assert_eq!(named("..hidden.gguf"), "hidden");
    }

    #[test]
    fn a_file_that_cannot_chat_is_refused_and_nothing_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("bert.gguf");
        fs::write(&file, b"GGUF but not really").unwrap();
        let catalog = Catalog::builtin().with_cache_dir(dir.path().join("models"));
        let error = catalog.add_gguf(&file, None, &mut go_on).unwrap_err();
        assert!(error.to_string().contains("bert.gguf"), "{error}");
        assert!(!dir.path().join("models").exists());
    }

    #[test]
    fn a_copy_that_is_broken_off_leaves_nothing_and_a_killed_ones_rest_is_cleared_away() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("m.gguf");
        fs::write(&file, vec![7; 3 << 20]).unwrap();
        let cache = dir.path().join("models");
        fs::create_dir_all(&cache).unwrap();
        let mut after_two = |progress: PullProgress<'_>| match progress.done_bytes {
            0..2_000_000 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        };
        let error = copy(&file, &cache, "m", &mut after_two).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(left(&cache).is_empty());
        fs::write(cache.join(".adding-x"), b"half").unwrap();
        clear_left_copies(&cache).unwrap();
        assert!(left(&cache).is_empty());
        let (staged, sha256) = copy(&file, &cache, "m", &mut go_on).unwrap();
        keep(staged, &cache.join("m").join("m.gguf")).unwrap();
        assert_eq!(hash_file(&cache.join("m").join("m.gguf")).unwrap(), sha256);
        assert_eq!(left(&cache), ["m"]);
    }

    /// With the real weights, where they are: see `catalog::tests::real`.
    #[cfg(feature = "local-models")]
    #[test]
    fn an_added_file_is_a_model_of_the_catalog_from_then_on() {
        const MODEL: &str = "SmolLM2-135M-Instruct";
        let Some(files) = crate::catalog::tests::real(MODEL) else { return };
        let dir = tempfile::tempdir().unwrap();
        let catalog = Catalog::empty().with_cache_dir(dir.path());
        let path = files.path(FileRole::Weights).unwrap();
        let added = catalog.add_gguf(path, Some("mine"), &mut go_on).unwrap();
        assert!(!added.was_there && added.info.architecture == "llama");
        assert_eq!(left(dir.path()), ["mine", "mine.toml"]);
        let catalog = catalog.with_own_manifests().unwrap();
        let located = catalog.locate("mine").unwrap();
        assert_eq!(located.path(FileRole::Weights).unwrap(), added.weights);
        assert_eq!(located.manifest().license, "apache-2.0");
        assert!(catalog.add_gguf(path, Some("mine"), &mut go_on).unwrap().was_there);
        let other = dir.path().join("other.gguf");
        fs::copy(path, &other).unwrap();
        fs::OpenOptions::new().append(true).open(&other).unwrap().write_all(b"more").unwrap();
        let error = catalog.add_gguf(&other, Some("mine"), &mut go_on).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
    }
}
