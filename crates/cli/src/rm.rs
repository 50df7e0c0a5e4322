//! `docent rm`: documents out of the library, by name, path or id.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use docent::{Document, FileId};
use fs_err as fs;

use crate::console::plain;
use crate::outcome::Outcome;
use crate::setup::{Setup, Weights};
use crate::{args, documents};

pub(crate) fn run(args: &args::Rm, setup: &Setup) -> Result<Outcome> {
    let library = setup.existing(Weights::IfHere)?;
    let documents = library.documents()?;
    // All names are understood before anything goes.
    let mut meant = Vec::new();
    for name in &args.files {
        let document = one_called(name, &documents)?;
        if !meant.iter().any(|known: &&Document| known.file.id == document.file.id) {
            meant.push(document);
        }
    }
    let mut out = setup.console.out();
    for document in meant {
        library.remove(document.file.id)?;
        writeln!(out, "removed {}", plain::line(&document.file.filename))?;
    }
    Ok(Outcome::Done)
}

/// The one document that `name` can mean.
fn one_called<'a>(name: &str, documents: &'a [Document]) -> Result<&'a Document> {
    let shown = plain::line(name);
    let found = called(name, documents);
    match found.as_slice() {
        [document] => Ok(document),
        [] => bail!("no document is called '{shown}'; \"docent ls\" lists them"),
        several => {
            let listed: Vec<String> = several.iter().map(|it| listed(it)).collect();
            bail!(
                "'{shown}' may mean {} documents; take a path or an id:\n{}",
                several.len(),
                listed.join("\n")
            )
        }
    }
}

/// By id, else by path, else by name.
fn called<'a>(name: &str, documents: &'a [Document]) -> Vec<&'a Document> {
    let of = |fits: &dyn Fn(&Document) -> bool| -> Vec<&'a Document> {
        documents.iter().filter(|document| fits(document)).collect()
    };
    if let Ok(id) = name.parse::<FileId>() {
        return of(&|it| it.file.id == id);
    }
    let path = real(Path::new(name));
    let by_path = of(&|it| it.path.as_ref() == Some(&path));
    if by_path.is_empty() { of(&|it| it.file.filename == name) } else { by_path }
}

/// `path` as the library knows it, also when the file itself is gone.
fn real(path: &Path) -> PathBuf {
    if let Ok(path) = fs::canonicalize(path) {
        return path;
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = fs::canonicalize(folder.unwrap_or(Path::new(".")));
    match (folder, path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
    }
}

fn listed(document: &Document) -> String {
    format!("  {}  {}", document.file.id, plain::line(&documents::place(document)))
}
