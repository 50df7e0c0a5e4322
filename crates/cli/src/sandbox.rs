//! `docent sandbox`: what programs that models write are run in.

use std::io::Write;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use docent::{Error, ProgramOptions, Sandbox, SandboxLimits};
use serde::{Deserialize, Serialize};

use crate::args;
use crate::console::{DIM, plain, write_json};
use crate::outcome::Outcome;
use crate::setup::{Network, Setup, cache_dir};

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
    /// Nothing does.
    Off,
}

pub(crate) fn run(command: &args::Sandbox, setup: &Setup) -> Result<Outcome> {
    match command {
        args::Sandbox::Setup { python } => make(python, setup),
        args::Sandbox::Check { json } => check(*json, setup),
    }
}

/// The process that builds a sandbox for another docent.
#[cfg(target_os = "linux")]
pub(crate) fn build() -> Result<Outcome> {
    // Its end is the sandbox's; what it has to say it says to its host.
    let _ = docent::sandbox::linux::serve_init();
    Ok(Outcome::Done)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn build() -> Result<Outcome> {
    anyhow::bail!("this sandbox is Linux's")
}

/// Builds and tries the sandbox that `settings` ask for.
pub(crate) fn open(settings: &SandboxSettings) -> docent::Result<Arc<dyn Sandbox>> {
    match settings.backend {
        Backend::Off => Err(Error::unavailable("docent.toml turns the sandbox off")),
        Backend::Auto | Backend::Linux => open_linux(settings),
    }
}

#[cfg(target_os = "linux")]
fn open_linux(settings: &SandboxSettings) -> docent::Result<Arc<dyn Sandbox>> {
    use docent::sandbox::linux::{LinuxOptions, LinuxSandbox};

    let unknown = |error: String| Error::unavailable(format!("no sandbox: {error}"));
    let program = std::env::current_exe().map_err(|error| unknown(error.to_string()))?;
    let mut options = LinuxOptions::new(program, vec!["__sandbox".into()]);
    let home = home().map_err(|error| unknown(format!("{error:#}")))?;
    let made = docent::sandbox::setup::interpreter(&home);
    if let Some(python) = settings.python.clone().or(made) {
        options.python = python;
    }
    Ok(Arc::new(LinuxSandbox::open(options)?))
}

#[cfg(not(target_os = "linux"))]
fn open_linux(_: &SandboxSettings) -> docent::Result<Arc<dyn Sandbox>> {
    Err(Error::unavailable("the sandbox here is Linux's, and this is another system"))
}

/// Where environments are kept.
fn home() -> Result<PathBuf> {
    match std::env::var_os("DOCENT_SANDBOX").filter(|it| !it.is_empty()) {
        Some(path) => Ok(std::path::absolute(path)?),
        None => Ok(cache_dir()?.join("sandbox")),
    }
}

fn make(python: &Path, setup: &Setup) -> Result<Outcome> {
    let home = home()?;
    let made = docent::sandbox::setup::interpreter(&home);
    if made.is_none() && setup.network == Network::Offline {
        anyhow::bail!(
            "the packages are not on this machine, and nothing is fetched offline; leave out \
             --offline and DOCENT_OFFLINE"
        );
    }
    if made.is_none() {
        let place = home.display().to_string();
        let place = plain::line(&place).into_owned();
        setup.console.note(format_args!("making an environment in {place}, once, with pip"));
    }
    let made = docent::sandbox::setup::install(&home, python, &mut |line| {
        setup.console.note(plain::line(line));
        crate::interrupt::flow()
    })?;
    writeln!(setup.console.out(), "{}", plain::line(&made.display().to_string()))?;
    check(false, setup)
}

fn check(json: bool, setup: &Setup) -> Result<Outcome> {
    let sandbox = open(&setup.sandbox).context("programs that models write are not run")?;
    let spec = sandbox.spec();
    if json {
        write_json(&Json {
            backend: &spec.name,
            language: &spec.language,
            packages: &spec.packages,
        })?;
        return Ok(Outcome::Done);
    }
    let mut out = setup.console.out();
    writeln!(out, "{} behind the walls of {}", spec.language, spec.name)?;
    let packages = match &spec.packages[..] {
        [] => "no packages; \"docent sandbox setup\" adds numpy, pandas and matplotlib".to_owned(),
        some => some.join(", "),
    };
    writeln!(out, "{DIM}{packages}{DIM:#}")?;
    Ok(Outcome::Done)
}

#[derive(Serialize)]
struct Json<'a> {
    backend: &'a str,
    language: &'a str,
    packages: &'a [String],
}
