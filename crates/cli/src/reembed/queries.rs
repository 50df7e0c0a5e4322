//! Questions of the user's own to compare vectors by: lines of JSON, each with the file that
//! answers.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail};
use docent::{Document, FileId, Library, Question, Wanted};
use fs_err as fs;
use serde::Deserialize;

/// A line: `{"query": "How long is the warranty?", "file": "manual.pdf"}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    query: String,
    #[serde(default)]
    file: Option<String>,
    #[serde(default)]
    files: Vec<String>,
}

pub(super) fn read(path: &Path, library: &Library) -> Result<Vec<Question>> {
    let documents = library.documents()?;
    let text = fs::read_to_string(path)?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let questions: Result<Vec<Question>> = lines
        .map(|(at, line)| {
            question(line, &documents)
                .with_context(|| format!("line {} of {}", at + 1, path.display()))
        })
        .collect();
    let questions = questions?;
    if questions.is_empty() {
        bail!("{} has no questions", path.display());
    }
    Ok(questions)
}

fn question(line: &str, documents: &[Document]) -> Result<Question> {
    let line: Line = serde_json::from_str(line)
        .context("a line is {\"query\": \"…\", \"file\": \"name, path or id\"}")?;
    let mut files = BTreeSet::new();
    for name in line.files.iter().chain(&line.file) {
        let called = called(name, documents);
        if called.is_empty() {
            bail!("no document is called '{name}'; \"docent ls\" lists them");
        }
        files.extend(called);
    }
    if files.is_empty() {
        bail!("it names no file that answers");
    }
    Ok(Question { text: line.query, wanted: Wanted::Files(files) })
}

/// Every document that `name` may mean: several of one name answer alike.
fn called(name: &str, documents: &[Document]) -> Vec<FileId> {
    let fits = |document: &&Document| {
        document.file.filename == name
            || document.file.id.to_string() == name
            || document.path.as_deref() == Some(Path::new(name))
    };
    documents.iter().filter(fits).map(|document| document.file.id).collect()
}
