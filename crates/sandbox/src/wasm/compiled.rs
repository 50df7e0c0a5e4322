//! The interpreter as machine code: compiled once, then mapped.
//!
//! Compiling takes minutes of processor time, so the result is kept. It is code that will be run as
//! it is found, so it is kept in a folder that belongs to this user and nobody else can enter,
//! under a name that says which module, which compiler and which settings it is of, and beside its
//! SHA-256. Whatever is not exactly so is not loaded but made again.

mod mapped;
mod private;

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use docent_core::{BlobHash, Error, Result};
use fs_err as fs;
use sha2::{Digest, Sha256};
use wasmtime::{Config, Engine, Module};

use super::artifact;
use super::guest::boxed;

/// As much as CPython's C stack has elsewhere; Python's own recursion limit comes first.
pub(super) const STACK_BYTES: usize = 8 << 20;

/// The compiler and the runtime, as all guests use them.
///
/// # Errors
/// [`Unavailable`](docent_core::ErrorKind::Unavailable) if this machine is not supported.
pub(super) fn engine() -> Result<Engine> {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // Nothing here is asynchronous; the one limit may only not be above the other.
        .async_stack_size(STACK_BYTES)
        .max_wasm_stack(STACK_BYTES)
        // C++ in numpy throws.
        .wasm_exceptions(true)
        // A new guest's memory begins as the file's, and only what it changes is copied.
        .memory_init_cow(true)
        .wasm_backtrace_max_frames(None);
    Engine::new(&config).map_err(|source| {
        Error::unavailable("this machine cannot run WebAssembly").with_source(boxed(source))
    })
}

/// Whether [`load`] would find something to load.
pub(super) fn is_there(engine: &Engine, cache: &Path) -> bool {
    let place = Place::new(engine, cache);
    fs::metadata(&place.code).is_ok() && fs::metadata(&place.digest).is_ok()
}

/// The interpreter, compiled now if it was not before.
///
/// # Errors
/// [`Unavailable`](docent_core::ErrorKind::Unavailable) if the artifact is missing or the folder
/// cannot be made private.
pub(super) fn load(engine: &Engine, artifact: &Path, cache: &Path) -> Result<Module> {
    private::folder(cache)?;
    let place = Place::new(engine, cache);
    match place.open(engine) {
        Ok(module) => return Ok(module),
        Err(reason) => tracing::info!(%reason, "compiling the WebAssembly sandbox's Python"),
    }
    let bytes = artifact::MODULE.read(artifact)?;
    let code = engine.precompile_module(&bytes).map_err(|source| {
        Error::internal(format!("{} cannot be compiled", artifact::MODULE.name))
            .with_source(boxed(source))
    })?;
    drop(bytes);
    place.store(&code)?;
    drop(code);
    place.open(engine)
}

/// Where one module's code is kept.
#[derive(Debug)]
struct Place {
    folder: PathBuf,
    code: PathBuf,
    digest: PathBuf,
}

impl Place {
    fn new(engine: &Engine, cache: &Path) -> Self {
        // wasmtime checks its version and settings itself; in the name they let versions of this
        // program use one folder in turns.
        let mut settings = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut settings);
        let module = &artifact::MODULE.sha256[..16];
        let name = format!("python-{module}-{:016x}", settings.finish());
        Self {
            folder: cache.to_owned(),
            code: cache.join(format!("{name}.cwasm")),
            digest: cache.join(format!("{name}.sha256")),
        }
    }

    fn open(&self, engine: &Engine) -> Result<Module> {
        let mut noted = String::new();
        private::file(&self.digest)?.take(100).read_to_string(&mut noted)?;
        let mut file = private::file(&self.code)?;
        if hash(&mut file)?.to_string() != noted.trim_end() {
            return Err(Error::corrupt(format!("{} was changed", self.code.display())));
        }
        file.rewind()?;
        mapped::module(engine, file.into_file()).map_err(|source| {
            Error::corrupt(format!("{} cannot be loaded", self.code.display()))
                .with_source(boxed(source))
        })
    }

    /// Keeps compiled code. The digest comes last: without it nothing is loaded.
    fn store(&self, code: &[u8]) -> Result<()> {
        self.replace(&self.digest, b"")?;
        self.replace(&self.code, code)?;
        let digest = BlobHash(Sha256::digest(code).into());
        self.replace(&self.digest, format!("{digest}\n").as_bytes())
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        // Made for its owner alone, whatever the process' mask is.
        let mut staged = tempfile::NamedTempFile::new_in(&self.folder)?;
        staged.write_all(bytes)?;
        staged.as_file().sync_all()?;
        staged.persist(path).map_err(|error| {
            Error::unavailable(format!("{} cannot be written", path.display())).with_source(error)
        })?;
        Ok(())
    }
}

fn hash(file: &mut fs::File) -> Result<BlobHash> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(BlobHash(hasher.finalize().into()));
        }
        hasher.update(&buffer[..read]);
    }
}

#[cfg(test)]
mod tests;
