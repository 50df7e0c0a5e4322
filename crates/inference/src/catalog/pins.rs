//! Remembers what files were that no manifest pins.
//!
//! Unlike stamps these are no cache: they are what later files are held to. To accept another file
//! on purpose, delete the model's directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use docent_core::{BlobHash, Result};
use fs_err as fs;
use serde::{Deserialize, Serialize};

use super::hash_file;
use crate::manifest::{ModelFile, UnpinnedFile};

const FILE_NAME: &str = ".pinned.json";

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Pin {
    bytes: u64,
    sha256: BlobHash,
}

/// The pins of one model's files, by name.
#[derive(Debug)]
pub(super) struct Pins {
    dir: PathBuf,
    pins: BTreeMap<String, Pin>,
    changed: bool,
}

impl Pins {
    /// Reads what is remembered in `dir`; nothing, if that cannot be read.
    pub(super) fn open(dir: &Path) -> Self {
        let read = fs::read(dir.join(FILE_NAME)).ok();
        let pins = read.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        Self { dir: dir.to_owned(), pins, changed: false }
    }

    /// What `file` must be: as it was first seen, or as it now is at the first of `paths` that
    /// exists.
    pub(super) fn get_or_pin(
        &mut self,
        file: &UnpinnedFile,
        paths: &[PathBuf],
    ) -> Option<ModelFile> {
        let pin = match self.pins.get(&file.name) {
            Some(pin) => *pin,
            None => {
                let path = paths.iter().find(|path| path.is_file())?;
                let pin = see(path).map_err(|error| {
                    tracing::warn!(%error, "a model file cannot be read");
                });
                let pin = pin.ok()?;
                tracing::info!(path = %path.display(), sha256 = %pin.sha256, "pinned as first seen");
                self.pins.insert(file.name.clone(), pin);
                self.changed = true;
                pin
            }
        };
        let Pin { bytes, sha256 } = pin;
        Some(ModelFile { role: file.role, name: file.name.clone(), bytes, sha256 })
    }

    /// Writes the pins if there is anything new. Where that cannot be, each start pins anew.
    pub(super) fn save(&self) {
        if self.changed
            && let Err(error) = self.write()
        {
            tracing::warn!(%error, "model files are not pinned");
        }
    }

    fn write(&self) -> Result<()> {
        fs::create_dir_all(&self.dir)?;
        let staged = tempfile::NamedTempFile::new_in(&self.dir)?;
        serde_json::to_writer_pretty(&staged, &self.pins).map_err(std::io::Error::from)?;
        staged.persist(self.dir.join(FILE_NAME)).map_err(|error| error.error)?;
        Ok(())
    }
}

fn see(path: &Path) -> Result<Pin> {
    Ok(Pin { bytes: fs::metadata(path)?.len(), sha256: hash_file(path)? })
}
