//! `docent models`: which models there are, their files, what they are and how fast.

mod add;
mod bench;
mod info;
mod kept;
mod known;

use std::io::Write;

use anyhow::Result;
use docent::ErrorKind;
use docent::inference::{Catalog, Manifest};
use indicatif::HumanBytes;
use serde::Serialize;

use crate::args::Models;
use crate::console::{Align, BAD, Cell, Console, DIM, GOOD, Table, plain, write_json};
use crate::outcome::Outcome;
use crate::pull;
use crate::setup::Setup;

pub(crate) fn run(command: &Models, setup: &Setup) -> Result<Outcome> {
    match command {
        Models::List { json: true } => list_json(&setup.catalog),
        Models::List { json: false } => list(setup),
        Models::Pull { names } => pull_all(names, setup),
        Models::Add { file, name } => add::run(file, name.as_deref(), setup),
        Models::Info { name, json } => info::run(name, *json, setup),
        Models::Bench { name, runs, json } => bench::run(name, *runs, *json, setup),
        Models::Path { name } => path(name.as_deref(), setup),
        Models::Verify { names } => verify(names, setup),
    }
}

fn list(setup: &Setup) -> Result<Outcome> {
    let mut table = Table::new([
        ("Model", Align::Left),
        ("Kind", Align::Left),
        ("Size", Align::Right),
        ("Languages", Align::Left),
        ("License", Align::Left),
        ("Here", Align::Left),
    ]);
    for manifest in setup.catalog.list() {
        let here = setup.catalog.locate(&manifest.name).is_some();
        table.push([
            Cell::new(&manifest.name),
            Cell::new(manifest.kind.to_string()),
            Cell::new(size(manifest).map_or("?".to_owned(), |size| HumanBytes(size).to_string())),
            Cell::new(languages(manifest)),
            Cell::new(&manifest.license),
            if here { Cell::new("yes").styled(GOOD) } else { Cell::new("no") },
        ]);
    }
    let mut out = setup.console.out();
    table.write(&mut out, setup.console.width())?;
    let cache = setup.catalog.cache_dir().display().to_string();
    writeln!(out, "{DIM}kept in {}{DIM:#}", plain::line(&cache))?;
    Ok(Outcome::Done)
}

fn list_json(catalog: &Catalog) -> Result<Outcome> {
    let rows: Vec<Row<'_>> = catalog
        .list()
        .map(|manifest| Row {
            name: &manifest.name,
            kind: manifest.kind.to_string(),
            bytes: size(manifest),
            languages: &manifest.languages,
            license: &manifest.license,
            here: catalog.locate(&manifest.name).is_some(),
        })
        .collect();
    write_json(&rows)?;
    Ok(Outcome::Done)
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    kind: String,
    /// None while a file is not pinned.
    bytes: Option<u64>,
    languages: &'a [String],
    license: &'a str,
    here: bool,
}

/// How many bytes it has, if the manifest knows all of its files.
pub(crate) fn size(manifest: &Manifest) -> Option<u64> {
    let known = manifest.unpinned_files.is_empty();
    known.then(|| manifest.files.iter().map(|file| file.bytes).sum())
}

fn languages(manifest: &Manifest) -> String {
    match &manifest.languages[..] {
        [] => "any".to_owned(),
        few if few.len() <= 4 => few.join(", "),
        many => format!("{} languages", many.len()),
    }
}

fn pull_all(names: &[String], setup: &Setup) -> Result<Outcome> {
    // A mistyped name is told before anything is fetched.
    for name in names {
        setup.catalog.get(name)?;
    }
    for name in names {
        pull::pull(name, setup)?;
        let place = setup.catalog.cache_dir().join(name).display().to_string();
        writeln!(setup.console.out(), "{name} is in {}", plain::line(&place))?;
    }
    Ok(Outcome::Done)
}

fn path(name: Option<&str>, setup: &Setup) -> Result<Outcome> {
    let cache = setup.catalog.cache_dir();
    let place = match name {
        Some(name) => cache.join(&setup.catalog.get(name)?.name),
        None => cache.to_owned(),
    };
    // For scripts: the path as it is, unless a terminal shows it.
    let place = place.display().to_string();
    writeln!(setup.console.out(), "{}", plain::line(&place))?;
    Ok(Outcome::Done)
}

fn verify(names: &[String], setup: &Setup) -> Result<Outcome> {
    let all: Vec<String> = match names {
        [] => setup.catalog.list().map(|manifest| manifest.name.clone()).collect(),
        names => names.to_vec(),
    };
    let mut outcome = Outcome::Done;
    let mut checked = 0;
    for name in &all {
        match setup.catalog.verify(name) {
            Ok(_) => say(&setup.console, &format!("{name}: {GOOD}good{GOOD:#}"))?,
            // Without names only models that are here are meant.
            Err(error) if names.is_empty() && error.kind() == ErrorKind::NotFound => continue,
            Err(error) => {
                let reason = plain::line(error.message()).into_owned();
                say(&setup.console, &format!("{name}: {BAD}bad{BAD:#}: {reason}"))?;
                outcome = Outcome::FoundWrong;
            }
        }
        checked += 1;
    }
    if checked == 0 {
        setup.console.note("no model is on this machine");
    }
    Ok(outcome)
}

fn say(console: &Console, line: &str) -> Result<()> {
    Ok(writeln!(console.out(), "{line}")?)
}
