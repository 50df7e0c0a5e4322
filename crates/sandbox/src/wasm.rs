//! CPython as a WebAssembly module: the same walls on every system.
//!
//! The guest is one module in a runtime that gives it its own memory and nothing else. What it
//! imports is ours (`wasm/wasi.rs`): files in memory, clocks, random bytes and two streams. There
//! is no process, no thread, no socket and no folder of the host to reach, so nothing has to be
//! forbidden. Against Linux's sandbox it is slower (loops about four times) and has no threads,
//! no subprocesses and no `pip`; it runs wherever wasmtime does.
//!
//! The interpreter with its packages is an artifact of others that [`setup`] fetches and that is
//! compiled once. How one session works is told in `wasm/guest.rs`, what its files are in
//! `wasm/tree.rs`.
//!
//! [`memory_bytes`](SandboxLimits::memory_bytes) limits the guest's whole memory, of which the
//! interpreter begins with 42 MB and has some 130 MB with pandas and matplotlib; files are beside
//! it. A program that asks for more gets a `MemoryError`. Memory that was once had is not given
//! back before the session ends. [`processes`](SandboxLimits::processes) has no meaning.

mod artifact;
mod compiled;
mod door;
mod errno;
mod files;
mod fonts;
mod guest;
mod output;
mod poll;
mod session;
mod setup;
mod ticker;
mod tree;
mod wasi;
mod watch;

use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use docent_core::{
    Error, Execution, ProgramEnd, Result, SANDBOX_DATA, Sandbox, SandboxLimits, SandboxSpec,
    Session,
};
use wasmtime::InstancePre;

use self::artifact::{LIBRARY_FOLDER, LIBRARY_NAME, Library, PLOT_FOLDER};
use self::errno::Errno;
use self::guest::{Guest, State};
use self::session::WasmSession;
pub use self::setup::{SetupProgress, SetupStep, is_fetched, setup};
use self::ticker::Ticker;
use self::tree::{Node, Quota, Tree};
use self::wasi::Wasi;

const ENVIRONMENT: &[(&str, &str)] = &[
    ("HOME", "/tmp"),
    ("LANG", "C.UTF-8"),
    ("MPLBACKEND", "module://docent_figures"),
    ("MPLCONFIGDIR", "/tmp/.matplotlib"),
    ("MATPLOTLIBRC", "/usr/share/docent/matplotlibrc"),
    ("PYTHONTZPATH", ""),
    ("TMPDIR", "/tmp"),
];

/// The WebAssembly sandbox.
pub struct WasmSandbox {
    spec: SandboxSpec,
    module: InstancePre<State>,
    fixed: Fixed,
    ticker: Ticker,
}

impl fmt::Debug for WasmSandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WasmSandbox").field("spec", &self.spec).finish_non_exhaustive()
    }
}

impl WasmSandbox {
    /// The sandbox of the artifact in the folder `artifact`, its code compiled into the folder
    /// `cache`, which must be of this user alone. It takes a second, or minutes if it has to
    /// compile first ([`is_compiled`](Self::is_compiled)), and ends by running a program that must
    /// not get out.
    ///
    /// # Errors
    /// [`Unavailable`](docent_core::ErrorKind::Unavailable) with what to do if the artifact is not
    /// there or not the pinned one, if `cache` is open to others, or if this machine cannot run it.
    pub fn open(artifact: &Path, cache: &Path) -> Result<Self> {
        let engine = compiled::engine()?;
        let library = Library::read(artifact)?;
        let module = compiled::load(&engine, artifact, cache)?;
        let module = guest::prepare(&engine, &module).map_err(|source| {
            Error::internal("the interpreter imports what we do not have")
                .with_source(guest::boxed(source))
        })?;
        let packages = artifact::PACKAGES.iter().map(|&it| it.to_owned()).collect();
        let language = artifact::LANGUAGE.to_owned();
        let spec = SandboxSpec { name: "wasm".to_owned(), language, packages };
        let fixed = Fixed::new(library, fonts::find());
        let sandbox = Self { spec, module, fixed, ticker: Ticker::new(&engine) };
        sandbox.probe()?;
        Ok(sandbox)
    }

    /// Whether [`open`](Self::open) will find compiled code in `cache`.
    pub fn is_compiled(cache: &Path) -> bool {
        compiled::engine().is_ok_and(|engine| compiled::is_there(&engine, cache))
    }

    /// Runs a program that computes, and tries to get out.
    fn probe(&self) -> Result<()> {
        let program = "\
import os
seen = []
for path in ('/etc/passwd', '/proc/self/environ', '../../etc/passwd'):
    try:
        open(path)
        seen.append(path)
    except OSError:
        pass
1 + 1, seen";
        let mut session = self.open_session(&SandboxLimits::default())?;
        let ran: Execution = session.run(program, &mut |_| ControlFlow::Continue(()))?;
        if ran.end == ProgramEnd::Completed && ran.value.as_deref() == Some("(2, [])") {
            return Ok(());
        }
        let found = ran.value.unwrap_or(ran.logs);
        Err(Error::unavailable(format!(
            "the WebAssembly sandbox does not keep its promises here: {:?} {found}",
            ran.end
        )))
    }

    fn open_session(&self, limits: &SandboxLimits) -> Result<WasmSession> {
        let files = Files::new(&self.fixed, limits).map_err(|errno| {
            Error::internal(format!("the session's files cannot be made: {errno:?}"))
        })?;
        let folders = [("/", Node::ROOT), (PLOT_FOLDER, files.plots)];
        let wasi = Wasi::new(files.tree, &folders, ENVIRONMENT);
        let guest = {
            let _ticking = self.ticker.start()?;
            Guest::start(&self.module, wasi, limits)?
        };
        Ok(WasmSession::new(guest, files.data, limits.clone(), self.ticker.clone()))
    }
}

impl Sandbox for WasmSandbox {
    fn spec(&self) -> &SandboxSpec {
        &self.spec
    }

    fn open(&self, limits: &SandboxLimits) -> Result<Box<dyn Session>> {
        Ok(Box::new(self.open_session(limits)?))
    }
}

/// What a session sees when it begins.
struct Files {
    tree: Tree,
    data: Node,
    plots: Node,
}

/// A folder under the library's name cannot be there beside the file of that name: it lies here,
/// and the guest is told of it by the path where it looks.
const PLOTS: &str = "/usr/share/matplotlib";
/// What is ours: how matplotlib is set up, and its backend that shows figures to the user.
const OWN: &str = "/usr/share/docent";
const FIGURES: &str = include_str!("linux/docent_figures.py");

impl Files {
    fn new(fixed: &Fixed, limits: &SandboxLimits) -> Result<Self, Errno> {
        let mut tree = Tree::new();
        let quota = Quota { bytes: limits.data_bytes, files: limits.files };
        let data = tree.add_folder(SANDBOX_DATA, Some(quota))?;
        tree.add_folder("/tmp", Some(Quota { bytes: limits.data_bytes / 2, ..quota }))?;
        let plots = tree.add_folder(PLOTS, None)?;
        for (folder, name, bytes) in &fixed.files {
            let folder = tree.add_folder(folder, None)?;
            tree.add_file(folder, name, bytes.clone())?;
        }
        Ok(Self { tree, data, plots })
    }
}

/// The read-only files that every session sees: each its folder, its name and its bytes.
struct Fixed {
    files: Vec<(String, String, Arc<[u8]>)>,
}

impl Fixed {
    fn new(library: Library, font: Option<fonts::Font>) -> Self {
        let settings = fonts::matplotlibrc(font.as_ref()).into_bytes();
        let one = |folder: &str, name: &str, bytes| (folder.to_owned(), name.to_owned(), bytes);
        let mut files = vec![
            one(LIBRARY_FOLDER, LIBRARY_NAME, library.archive),
            one(OWN, "matplotlibrc", settings.into()),
            one(OWN, "docent_figures.py", FIGURES.as_bytes().into()),
        ];
        files.extend(font.map(|font| one(fonts::FONT_FOLDER, &font.file_name, font.bytes)));
        for (path, bytes) in library.plot_files {
            let (above, name) = path.rsplit_once('/').unwrap_or(("", &path));
            files.push(one(&format!("{PLOTS}/{above}"), name, bytes));
        }
        Self { files }
    }
}
