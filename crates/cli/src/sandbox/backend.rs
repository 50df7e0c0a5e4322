//! Which sandbox there is: Linux's own, WebAssembly's, or none.

use std::fmt::Display;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use docent::{Error, ProgramOptions, Sandbox, SandboxLimits};
use serde::Deserialize;

use crate::setup::{Setup, cache_dir};

/// The `[sandbox]` table of `docent.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SandboxSettings {
    #[serde(default)]
    backend: Backend,
    /// The interpreter, instead of the one that the setup made or that is found first.
    #[serde(default)]
    python: Option<PathBuf>,
    /// What all processes of a session may have together.
    #[serde(default)]
    memory_mb: Option<NonZeroU64>,
    /// How long one program may run.
    #[serde(default)]
    seconds: Option<NonZeroU64>,
}

impl SandboxSettings {
    pub(crate) fn is_off(&self) -> bool {
        self.backend == Backend::Off
    }

    /// What one session may take.
    pub(crate) fn options(&self) -> ProgramOptions {
        let usual = SandboxLimits::default();
        let memory = self.memory_mb.map(|megabytes| megabytes.get().saturating_mul(1 << 20));
        let limits = SandboxLimits {
            memory_bytes: memory.unwrap_or(usual.memory_bytes),
            time: self.seconds.map_or(usual.time, |it| Duration::from_secs(it.get())),
            ..usual
        };
        ProgramOptions { limits, ..ProgramOptions::default() }
    }
}

/// What runs programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Backend {
    /// The best that this machine has.
    #[default]
    Auto,
    Linux,
    Wasm,
    /// Nothing does.
    Off,
}

/// A sandbox that held when it was tried.
pub(crate) struct Opened {
    pub(crate) sandbox: Arc<dyn Sandbox>,
    /// Walls that this machine lacks, in words; the others stand.
    pub(crate) lacking: Vec<String>,
}

/// Builds and tries the sandbox that `settings` ask for.
pub(crate) fn open(settings: &SandboxSettings) -> docent::Result<Opened> {
    match settings.backend {
        Backend::Off => Err(Error::unavailable("docent.toml turns the sandbox off")),
        Backend::Linux => open_linux(settings),
        Backend::Wasm => wasm::open(),
        Backend::Auto => match open_linux(settings) {
            Err(_) if wasm::is_ready() => wasm::open(),
            opened => opened,
        },
    }
}

#[cfg(target_os = "linux")]
fn open_linux(settings: &SandboxSettings) -> docent::Result<Opened> {
    use docent::sandbox::linux::{LinuxOptions, LinuxSandbox};

    let program = std::env::current_exe().map_err(unknown)?;
    let mut options = LinuxOptions::new(program, vec!["__sandbox".into()]);
    let home = home().map_err(|error| unknown(format!("{error:#}")))?;
    let made = docent::sandbox::setup::interpreter(&home);
    if let Some(python) = settings.python.clone().or(made) {
        options.python = python;
    }
    let sandbox = LinuxSandbox::open(options)?;
    let lacking = sandbox.lacking().to_vec();
    Ok(Opened { sandbox: Arc::new(sandbox), lacking })
}

#[cfg(not(target_os = "linux"))]
fn open_linux(_: &SandboxSettings) -> docent::Result<Opened> {
    Err(Error::unavailable("the sandbox here is Linux's, and this is another system"))
}

/// Where environments are kept.
pub(super) fn home() -> Result<PathBuf> {
    match std::env::var_os("DOCENT_SANDBOX").filter(|it| !it.is_empty()) {
        Some(path) => Ok(std::path::absolute(path)?),
        None => Ok(cache_dir()?.join("sandbox")),
    }
}

fn unknown(why: impl Display) -> Error {
    Error::unavailable(format!("no sandbox: {why}"))
}

/// Fetches and compiles the Python of WebAssembly.
pub(super) fn make_wasm(setup: &Setup) -> Result<()> {
    wasm::make(setup)
}

#[cfg(feature = "wasm-sandbox")]
mod wasm {
    use std::io::Write;
    use std::ops::ControlFlow;

    use docent::sandbox::wasm::{SetupProgress, SetupStep, WasmSandbox, is_fetched, setup};
    use indicatif::ProgressBar;

    use super::*;
    use crate::console::{Console, Unit, plain};
    use crate::interrupt;
    use crate::setup::Network;

    /// Where the package's files are, and what is compiled from them.
    fn places() -> Result<(PathBuf, PathBuf)> {
        let home = home()?.join("wasm");
        Ok((home.join("python"), home.join("compiled")))
    }

    /// Whether it can be opened without minutes of work.
    pub(super) fn is_ready() -> bool {
        places().is_ok_and(|(python, compiled)| {
            is_fetched(&python) && WasmSandbox::is_compiled(&compiled)
        })
    }

    pub(super) fn open() -> docent::Result<Opened> {
        let (python, compiled) = places().map_err(|error| unknown(format!("{error:#}")))?;
        let sandbox = Arc::new(WasmSandbox::open(&python, &compiled)?);
        Ok(Opened { sandbox, lacking: Vec::new() })
    }

    pub(super) fn make(options: &Setup) -> Result<()> {
        let (python, compiled) = places()?;
        if options.network == Network::Offline && !is_fetched(&python) {
            anyhow::bail!("its files are not on this machine, and nothing is fetched offline");
        }
        let mut shown = Shown { console: &options.console, step: None, bar: None };
        setup(&python, &compiled, &mut |progress| shown.tell(progress))?;
        drop(shown);
        let sandbox = open()?.sandbox;
        let mut out = options.console.out();
        writeln!(out, "{} in WebAssembly", plain::line(&sandbox.spec().language))?;
        Ok(())
    }

    /// A bar for each step that is taken.
    struct Shown<'a> {
        console: &'a Console,
        step: Option<SetupStep>,
        bar: Option<ProgressBar>,
    }

    impl Shown<'_> {
        fn tell(&mut self, progress: SetupProgress) -> ControlFlow<()> {
            if self.step != Some(progress.step) {
                self.step = Some(progress.step);
                self.console.note(match progress.step {
                    SetupStep::Fetch => "fetching Python for WebAssembly, with pip",
                    SetupStep::Unpack => "unpacking and checking it",
                    _ => "compiling it, which takes minutes",
                });
                self.bar = Some(self.console.bar(progress.total_bytes, Unit::Bytes));
            }
            if let Some(bar) = &self.bar {
                bar.set_position(progress.done_bytes);
            }
            interrupt::flow()
        }
    }
}

#[cfg(not(feature = "wasm-sandbox"))]
mod wasm {
    use super::*;

    const WITHOUT: &str = "this docent was built without WebAssembly; build it with \
                           \"--features wasm-sandbox\"";

    pub(super) fn is_ready() -> bool {
        false
    }

    pub(super) fn open() -> docent::Result<Opened> {
        Err(unknown(WITHOUT))
    }

    pub(super) fn make(_: &Setup) -> Result<()> {
        anyhow::bail!(WITHOUT)
    }
}
