//! `docent export`: the whole library as lines of JSON.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;
use docent::{Counts, Library};
use fs_err as fs;

use crate::args;
use crate::console::{Console, Unit};
use crate::interrupt;
use crate::outcome::Outcome;
use crate::setup::{Setup, Weights};

pub(crate) fn run(args: &args::Export, setup: &Setup) -> Result<Outcome> {
    let library = setup.existing(Weights::IfHere)?;
    let written = match args.file.as_os_str() == "-" {
        true => write(&library, &mut BufWriter::new(io::stdout().lock()), &setup.console)?,
        false => write_file(&library, &args.file, &setup.console)?,
    };
    let Some(counts) = written else { return Ok(Outcome::Interrupted) };
    let counts: Vec<String> =
        counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    setup.console.note(format_args!("exported {}", counts.join(", ")));
    Ok(Outcome::Done)
}

/// A file that has its name is whole: it is written beside it first.
fn write_file(library: &Library, path: &Path, console: &Console) -> Result<Option<Counts>> {
    let staged = staged(path);
    let mut file = BufWriter::new(fs::File::create(&staged)?);
    let written = write(library, &mut file, console);
    if !matches!(written, Ok(Some(_))) {
        // Half of an export is of no use, and one that cannot be removed does no harm.
        let _ = fs::remove_file(&staged);
        return written;
    }
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    fs::rename(&staged, path)?;
    written
}

fn staged(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

fn write(library: &Library, out: &mut dyn Write, console: &Console) -> Result<Option<Counts>> {
    let bar = console.bar(0, Unit::Objects);
    bar.set_message("exporting");
    let written = library.export(out, &mut |progress| {
        bar.set_length(progress.of);
        bar.set_position(progress.objects);
        interrupt::flow()
    });
    bar.finish_and_clear();
    Ok(written?)
}
