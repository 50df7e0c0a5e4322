//! `docent add`: files, folders and globs into the library.
//!
//! First every file is registered, which is durable and cheap, then what is new is read and
//! embedded. Ctrl-C between two small steps loses nothing: the next `add` goes on.

pub(crate) mod progress;
mod report;
pub(crate) mod walk;

use std::path::PathBuf;

use anyhow::Result;
use docent::{ErrorKind, Library};
use fs_err as fs;

use self::progress::Progress;
use self::report::Report;
use self::walk::{Candidate, Finds};
use crate::args;
use crate::console::{Console, Unit};
use crate::interrupt;
use crate::outcome::{Outcome, WrongUsage};
use crate::setup::Setup;

pub(crate) fn run(args: &args::Add, setup: &Setup) -> Result<Outcome> {
    let finds = find(&args.paths, setup)?;
    // A mistyped path makes no library.
    let report = if finds.candidates.is_empty() {
        Report::new(&finds)
    } else {
        add(finds, &setup.create()?, &setup.console)?
    };
    report.write(&setup.console)?;
    Ok(report.outcome())
}

/// What `paths` stand for.
pub(crate) fn find(paths: &[PathBuf], setup: &Setup) -> Result<Finds> {
    if paths.iter().any(|path| path.as_os_str() == "-") {
        let message = "reading a document from standard input (-) is not supported; save it to a \
                       file and add that";
        return Err(WrongUsage(message.to_owned()).into());
    }
    Ok(walk::find(paths, &setup.library))
}

/// Adds what was found, and works on everything that waits.
pub(crate) fn add(finds: Finds, library: &Library, console: &Console) -> Result<Report> {
    let mut report = Report::new(&finds);
    register(&finds.candidates, library, console, &mut report)?;
    if !interrupt::pressed() {
        let mut progress = Progress::new(library, console)?;
        library.process(&mut |event| {
            progress.show(&event);
            interrupt::flow()
        })?;
    }
    report.fill_in(library)?;
    Ok(report)
}

/// Makes every file known to the library. One that cannot be read does not stop the others.
fn register(
    candidates: &[Candidate],
    library: &Library,
    console: &Console,
    report: &mut Report,
) -> Result<()> {
    let bar = console.bar(candidates.len() as u64, Unit::Files);
    bar.set_message("looking");
    for (index, candidate) in candidates.iter().enumerate() {
        if interrupt::pressed() {
            break;
        }
        match library.add(&candidate.path) {
            Ok(added) => report.registered(index, added),
            Err(error) if is_about_the_file(&error, candidate) => {
                report.refused(index, &error);
            }
            Err(error) => return Err(error.into()),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

/// Whether the file is to blame, and not the library.
fn is_about_the_file(error: &docent::Error, candidate: &Candidate) -> bool {
    matches!(error.kind(), ErrorKind::Invalid | ErrorKind::NotFound)
        || fs::File::open(&candidate.path).is_err()
}
