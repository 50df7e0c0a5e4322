//! `docent import`: what was exported, or saved from another server, into the library.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use docent::{Counts, Library};
use docent_server::{Dump, DumpImport};
use fs_err as fs;

use crate::add::progress::Progress;
use crate::args;
use crate::console::{Align, Cell, Console, Table, Unit, plain};
use crate::interrupt;
use crate::outcome::Outcome;
use crate::setup::Setup;

/// More ids than this are not printed one by one; none of them is needed to go on.
const MOST_NAMES: usize = 100;

/// What all files together brought.
#[derive(Default)]
struct Total {
    new: Counts,
    present: Counts,
}

impl Total {
    fn add(&mut self, new: Counts, present: Counts) {
        for (total, counts) in [(&mut self.new, new), (&mut self.present, present)] {
            for (kind, count) in counts {
                *total.entry(kind).or_default() += count;
            }
        }
    }
}

pub(crate) fn run(args: &args::Import, setup: &Setup) -> Result<Outcome> {
    let files = find(&args.files)?;
    let mut library = setup.create()?;
    let (mut total, mut dump, mut dumped) = (Total::default(), Dump::default(), false);
    for file in &files {
        if interrupt::pressed() {
            break;
        }
        let mut source = Source::open(file)?;
        if source.is_export()? {
            import(&mut library, &mut source, &mut total, &setup.console)?;
        } else {
            dumped = true;
            dump.read(&mut source.reader, &source.name)?;
        }
    }
    // Objects of a dump may belong together across files, so they go in once all are read.
    let brought = match dumped && !interrupt::pressed() {
        true => dump.import(library.engine())?,
        false => DumpImport::default(),
    };
    total.add(brought.new.clone(), brought.present.clone());
    write(&total, &brought, &setup.console)?;
    if interrupt::pressed() {
        return Ok(Outcome::Interrupted);
    }
    process(&library, &setup.console)
}

/// Reads and embeds the files that came in.
fn process(library: &Library, console: &Console) -> Result<Outcome> {
    let mut progress = Progress::new(library, console)?;
    library.process(&mut |event| {
        progress.show(&event);
        interrupt::flow()
    })?;
    Ok(if interrupt::pressed() { Outcome::Interrupted } else { Outcome::Done })
}

/// Files, and those in folders.
fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        match path.is_dir() {
            true => search(path, &mut files)?,
            false => files.push(path.clone()),
        }
    }
    anyhow::ensure!(!files.is_empty(), "there is no .json or .jsonl file to import");
    Ok(files)
}

fn search(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    let mut paths: Vec<(PathBuf, std::fs::FileType)> = Vec::with_capacity(entries.len());
    for entry in entries {
        paths.push((entry.path(), entry.file_type()?));
    }
    paths.sort_by(|a, b| a.0.cmp(&b.0));
    for (path, kind) in paths {
        let is_dump = path.extension().is_some_and(|it| it == "json" || it == "jsonl");
        if kind.is_dir() {
            search(&path, files)?;
        } else if kind.is_file() && is_dump {
            files.push(path);
        }
    }
    Ok(())
}

/// What is read, and what errors call it.
struct Source {
    name: String,
    reader: BufReader<Box<dyn Read>>,
}

impl Source {
    fn open(path: &Path) -> Result<Self> {
        let source: Box<dyn Read> = match path.as_os_str() == "-" {
            true => Box::new(io::stdin()),
            false => Box::new(fs::File::open(path)?),
        };
        let name = match path.as_os_str() == "-" {
            true => "standard input".to_owned(),
            false => path.display().to_string(),
        };
        // Enough at once that the first bytes are there to be looked at.
        Ok(Self { name, reader: BufReader::with_capacity(128 << 10, source) })
    }

    fn is_export(&mut self) -> Result<bool> {
        let head = self.reader.fill_buf().with_context(|| self.name.clone())?;
        Ok(head.starts_with(Library::EXPORT_BEGINS.as_bytes()))
    }
}

fn import(
    library: &mut Library,
    source: &mut Source,
    total: &mut Total,
    console: &Console,
) -> Result<()> {
    let bar = console.bar(0, Unit::Objects);
    bar.set_message("importing");
    let imported = library.import(&mut source.reader, &mut |progress| {
        bar.set_length(progress.of);
        bar.set_position(progress.objects);
        interrupt::flow()
    });
    bar.finish_and_clear();
    let imported = imported.with_context(|| source.name.clone())?;
    total.add(imported.new, imported.present);
    Ok(())
}

fn write(total: &Total, brought: &DumpImport, console: &Console) -> Result<()> {
    let mut rows: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for (kind, count) in &total.new {
        rows.entry(kind).or_default().0 += count;
    }
    for (kind, count) in &total.present {
        rows.entry(kind).or_default().1 += count;
    }
    let mut out = console.out();
    let columns =
        [("Kind", Align::Left), ("Imported", Align::Right), ("There before", Align::Right)];
    let mut table = Table::new(columns);
    for (kind, (new, present)) in &rows {
        let kind = kind.replace('_', " ");
        table.push(vec![Cell::new(kind), Cell::count(*new), Cell::count(*present)]);
    }
    if rows.is_empty() {
        writeln!(out, "nothing was found to import")?;
    } else {
        table.write(&mut out, console.width())?;
    }
    for (old, new) in brought.renamed.iter().take(MOST_NAMES) {
        writeln!(out, "{} is called {new} here", plain::line(old))?;
    }
    if let Some(more) = brought.renamed.len().checked_sub(MOST_NAMES).filter(|more| *more > 0) {
        writeln!(out, "{more} more have other ids here")?;
    }
    for note in &brought.notes {
        writeln!(out, "note: {}", plain::line(note))?;
    }
    Ok(())
}
