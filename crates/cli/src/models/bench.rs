//! `docent models bench`: how fast a chat model is on this machine, as everyone here uses it.

use std::io::Write;
use std::path::Path;

use anyhow::{Result, bail};
use docent::inference::bench::{self, BenchOptions, Spread};
use docent::{ChatModels, Clock, SystemClock};

use super::kept::{self, KeptBench};
use super::known::Known;
use crate::console::{Align, BOLD, Cell, DIM, Table, Unit, plain, write_json};
use crate::interrupt;
use crate::outcome::Outcome;
use crate::setup::Setup;

pub(super) fn run(name: &str, runs: u16, json: bool, setup: &Setup) -> Result<Outcome> {
    let models = match Known::find(name, setup)? {
        Known::Extractive => bail!("{name} quotes passages and computes no tokens"),
        Known::Other(manifest) => {
            bail!(
                "{name} is no chat model but an {}; \"docent eval\" measures search",
                manifest.kind
            )
        }
        Known::Remote(_) => {
            setup.console.note("this asks an endpoint, which may cost money");
            setup.chat_models(None)
        }
        Known::Gguf { path: None, .. } => {
            bail!("the weights of {name} are not here; run \"docent models pull {name}\"")
        }
        // A file or a model of the catalog needs no entry in docent.toml.
        Known::Gguf { path: Some(path), config, .. } => {
            setup.chat_models(config.is_none().then_some((name, Path::new(&path))))
        }
    };
    let load = kept::load();
    warn_of_load(load, setup);
    let model = models.chat_model(name)?;
    let options = BenchOptions { runs: runs.into(), ..BenchOptions::default() };
    let bar = setup.console.bar(0, Unit::Calls);
    let measured = bench::bench(model.as_ref(), name, &options, &mut |progress| {
        bar.set_length(progress.total as u64);
        bar.set_position(progress.done as u64);
        interrupt::flow()
    });
    bar.finish_and_clear();
    let bench = KeptBench::new(name, load, measured?, SystemClock.now());
    if let Err(error) = kept::keep(&bench, setup) {
        setup.console.warn(format_args!("what was measured cannot be kept: {error:#}"));
    }
    if json {
        write_json(&bench)?;
    } else {
        write(&bench, setup)?;
    }
    Ok(Outcome::Done)
}

fn warn_of_load(load: Option<f64>, setup: &Setup) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    if let Some(load) = load.filter(|load| *load > threads as f64 / 2.0) {
        setup.console.warn(format_args!(
            "this machine is busy (load {load:.1} on {threads} threads): take what is measured as \
             a lower bound"
        ));
    }
}

fn write(bench: &KeptBench, setup: &Setup) -> Result<()> {
    let mut out = setup.console.out();
    writeln!(out, "{BOLD}{}{BOLD:#}, median (least to most)", plain::line(&bench.model))?;
    let mut table = Table::new([
        ("Prompt", Align::Right),
        ("Read, tokens/s", Align::Right),
        ("First token, ms", Align::Right),
        ("with its prefix cached", Align::Right),
    ]);
    for prompt in &bench.measured.prompts {
        table.push([
            Cell::new(prompt.prompt_tokens.to_string()),
            Cell::new(shown(prompt.prefill_tokens_per_second)),
            Cell::new(shown(prompt.first_token_cold_ms)),
            Cell::new(shown(prompt.first_token_cached_ms)),
        ]);
    }
    table.write(&mut out, setup.console.width())?;
    match bench.measured.decode_tokens_per_second {
        Some(rate) => writeln!(out, "written: {} tokens/s", shown(rate))?,
        None => writeln!(out, "written: too few tokens to tell")?,
    }
    writeln!(out, "{DIM}{} threads of {}{DIM:#}", bench.threads, plain::line(&bench.cpu))?;
    Ok(())
}

fn shown(spread: Spread) -> String {
    let Spread { median, min, max, .. } = spread;
    match median < 100.0 {
        true => format!("{median:.1} ({min:.1} to {max:.1})"),
        false => format!("{median:.0} ({min:.0} to {max:.0})"),
    }
}
