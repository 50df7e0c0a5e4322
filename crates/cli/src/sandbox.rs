//! `docent sandbox`: what programs that models write are run in.

mod backend;

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::args;
use crate::console::{DIM, plain, write_json};
use crate::outcome::Outcome;
use crate::setup::{Network, Setup};

use backend::home;
pub(crate) use backend::{SandboxSettings, open};

pub(crate) fn run(command: &args::Sandbox, setup: &Setup) -> Result<Outcome> {
    match command {
        args::Sandbox::Setup { wasm: true, .. } => {
            backend::make_wasm(setup).map(|()| Outcome::Done)
        }
        args::Sandbox::Setup { python, wasm: false } => make(python, setup),
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
    let opened = open(&setup.sandbox).context("programs that models write are not run")?;
    let spec = opened.sandbox.spec();
    if json {
        let (backend, language) = (&spec.name, &spec.language);
        write_json(&Json {
            backend,
            language,
            packages: &spec.packages,
            lacking: &opened.lacking,
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
    for lacking in &opened.lacking {
        writeln!(out, "it stands, but {lacking}")?;
    }
    Ok(Outcome::Done)
}

#[derive(Serialize)]
struct Json<'a> {
    backend: &'a str,
    language: &'a str,
    packages: &'a [String],
    /// Walls that this machine lacks; the others stand.
    lacking: &'a [String],
}
