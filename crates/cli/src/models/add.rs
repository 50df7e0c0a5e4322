//! `docent models add`: a user's own GGUF file becomes a model of the catalog.

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use indicatif::HumanBytes;

use super::info::{count, small_model_note};
use crate::console::{BOLD, NAME, plain};
use crate::interrupt;
use crate::outcome::Outcome;
use crate::pull::Bar;
use crate::setup::Setup;

pub(super) fn run(file: &Path, name: Option<&str>, setup: &Setup) -> Result<Outcome> {
    setup.console.note("reading the file, and loading it once to see that it runs");
    let mut bar = Bar::new(&setup.console);
    let added = setup.catalog.add_gguf(file, name, &mut |progress| {
        bar.show(&progress);
        interrupt::flow()
    })?;
    drop(bar);
    let (name, info) = (&added.name, &added.info);
    let mut out = setup.console.out();
    let place = added.weights.display().to_string();
    let is = if added.was_there { "was here already" } else { "is here" };
    writeln!(
        out,
        "{BOLD}{name}{BOLD:#} {is}: {}, {} parameters in {}, {}, {}",
        plain::line(&info.architecture),
        count(info.parameters),
        info.main_quantization(),
        HumanBytes(info.file_bytes),
        plain::line(&place)
    )?;
    writeln!(out, "sha256 {}", added.sha256)?;
    writeln!(out, "\nuse it at once:  {NAME}docent ask --model {name} \"…\"{NAME:#}")?;
    writeln!(out, "or under a name of your choice, in docent.toml:\n")?;
    writeln!(out, "[models.default]\nbackend = \"local\"\nmodel = \"{name}\"")?;
    drop(out);
    if let Some(note) = small_model_note(info) {
        setup.console.note(format_args!("\n{note}"));
    }
    Ok(Outcome::Done)
}
