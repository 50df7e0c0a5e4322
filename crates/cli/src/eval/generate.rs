//! `docent eval generate`: a judged set made of one's own documents.
//!
//! Files are read by the same journey as for `docent add`, by words alone, in a library that is
//! thrown away; without files the documents of the library are taken.

use std::path::PathBuf;

use anyhow::{Result, bail};
use docent::{FileStatus, Library};
use docent_eval::generate::{GenerateOptions, SourceDocument, check_target, generate};
use fs_err as fs;

use crate::add;
use crate::args;
use crate::outcome::{Outcome, WrongUsage};
use crate::setup::{self, Embedding, Setup, Weights};

pub(super) fn run(args: &args::EvalGenerate, setup: &Setup) -> Result<Outcome> {
    check_target(&args.out)?;
    let (documents, outcome) = match &args.paths[..] {
        [] => (documents(&setup.existing(Weights::IfHere)?)?, Outcome::Done),
        paths => match read(paths, setup)? {
            Some(read) => read,
            None => return Ok(Outcome::Interrupted),
        },
    };
    let options = GenerateOptions { queries: args.queries.into(), seed: args.seed };
    let set = generate(&documents, &options)?;
    set.write(&args.out)?;
    let kinds: Vec<String> =
        set.counts().into_iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    setup.console.note(format_args!(
        "{} queries ({}) on {} passages; {} says what they can tell and what not",
        set.queries.len(),
        kinds.join(", "),
        set.passages.len(),
        args.out.join("README.md").display()
    ));
    Ok(outcome)
}

/// Reads `paths`, and says what could not be read; none when it was interrupted.
fn read(paths: &[PathBuf], setup: &Setup) -> Result<Option<(Vec<SourceDocument>, Outcome)>> {
    let finds = add::find(paths, setup)?;
    if finds.candidates.is_empty() {
        let message = "none of these paths leads to a file; nothing to make queries of";
        return Err(WrongUsage(message.to_owned()).into());
    }
    let scratch = Scratch::create()?;
    let library = setup.elsewhere(scratch.0.join("library"), Embedding::Without).create()?;
    let report = add::add(finds, &library, &setup.console)?;
    if crate::interrupt::pressed() {
        return Ok(None);
    }
    report.tell_files(&setup.console)?;
    Ok(Some((documents(&library)?, report.outcome())))
}

/// Every document of `library` that was read, with its text and headings.
fn documents(library: &Library) -> Result<Vec<SourceDocument>> {
    let (collections, store) = (library.collections(), library.vector_store());
    let mut documents = vec![];
    for document in library.documents()? {
        if document.state.status == FileStatus::Failed {
            continue;
        }
        let file = document.file.id;
        let chunks = collections.file_chunks(store, file)?;
        let mut headings: Vec<String> =
            chunks.into_iter().flat_map(|chunk| chunk.chunk.headings).collect();
        headings.sort();
        headings.dedup();
        let text = collections.file_text(store, file)?;
        documents.push(SourceDocument { name: document.file.filename, text, headings });
    }
    if documents.is_empty() {
        bail!("no document could be read; nothing to make queries of");
    }
    Ok(documents)
}

/// A directory in the cache that goes when we are done with it.
struct Scratch(PathBuf);

impl Scratch {
    fn create() -> Result<Self> {
        let name = format!("generate-{}", std::process::id());
        let path = setup::cache_dir()?.join("eval").join(name);
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed lies in the cache, where anyone may remove it.
        let _ = fs::remove_dir_all(&self.0);
    }
}
