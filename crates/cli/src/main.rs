//! The `docent` command: the façade for people at a terminal.
//!
//! Each command is a module with a `run`; what is typed is in [`args`], what is settled before a
//! command begins in [`setup`], how it ends in [`outcome`]. Results go to stdout, everything else
//! to stderr ([`console`]).

mod args;
mod outcome;
mod setup;

mod add;
mod ask;
mod doctor;
mod eval;
mod export;
mod import;
mod keys;
mod ls;
mod models;
mod reembed;
mod rm;
mod sandbox;
mod search;
mod serve;

mod console;
mod documents;
mod interrupt;
mod projects;
mod pull;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::args::{Cli, Command};
use crate::console::{Chatter, Console};
use crate::outcome::{Outcome, exit_code, is_broken_pipe};
use crate::setup::Setup;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let console = Console::new(if cli.global.quiet { Chatter::Quiet } else { Chatter::Usual });
    match run(&cli, &console) {
        Ok(outcome) => outcome.into(),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            console.error(format_args!("{error:#}"));
            if interrupt::pressed() { Outcome::Interrupted.into() } else { exit_code(&error) }
        }
    }
}

fn run(cli: &Cli, console: &Console) -> Result<Outcome> {
    match &cli.command {
        Command::Add(args) => add::run(args, &begin(cli, console)?),
        Command::Search(args) => search::run(args, &begin(cli, console)?),
        Command::Ask(args) => ask::run(args, &begin(cli, console)?),
        Command::Ls(args) => ls::run(args, &begin(cli, console)?),
        Command::Rm(args) => rm::run(args, &begin(cli, console)?),
        Command::Doctor(args) => doctor::run(args, &begin(cli, console)?),
        Command::Reembed(args) => reembed::run(args, &begin(cli, console)?),
        Command::Models(command) => models::run(command, &begin(cli, console)?),
        Command::Serve(args) => serve::run(args, &begin(cli, console)?),
        Command::Keys(command) => keys::run(command, &begin(cli, console)?),
        Command::Export(args) => export::run(args, &begin(cli, console)?),
        Command::Import(args) => import::run(args, &begin(cli, console)?),
        Command::Eval(command) => eval::run(command, &begin(cli, console)?),
        Command::Sandbox(command) => sandbox::run(command, &begin(cli, console)?),
        Command::Extract => extract(),
        Command::BuildSandbox => sandbox::build(),
    }
}

/// What every command begins with.
fn begin(cli: &Cli, console: &Console) -> Result<Setup> {
    interrupt::listen().context("Ctrl-C cannot be listened for")?;
    subscribe(cli.global.verbose, console);
    Setup::resolve(&cli.global, console.clone())
}

/// Reads documents for the process that started us, until it is done with us.
fn extract() -> Result<Outcome> {
    interrupt::leave_to_parent()?;
    docent::ingest::serve_extraction()?;
    Ok(Outcome::Done)
}

/// Shows what the libraries tell: what someone must act on, or with `--verbose` everything but
/// data.
fn subscribe(verbose: bool, console: &Console) {
    let directives = if verbose { "info,docent=debug" } else { "error" };
    let aside = console.aside();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(directives))
        .with_writer(move || aside.clone())
        .without_time()
        .init();
}
