//! Judged collections: documents, queries, and what people said belongs together.
//!
//! The layout is BEIR's (Thakur et al., "BEIR: a heterogenous benchmark", NeurIPS 2021):
//! `corpus.jsonl` with `_id`, `title`, `text`; `queries.jsonl` with `_id`, `text`; and judgments
//! as tab-separated `query-id`, `corpus-id`, `score` in `qrels.tsv`, or in `qrels/SPLIT.tsv`.

mod split;

use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use docent_core::{Error, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::metrics::Grades;

pub use split::Split;

/// The judgments that are read where a data set has several.
const SPLITS: [&str; 4] = ["qrels.tsv", "qrels/test.tsv", "qrels/dev.tsv", "qrels/train.tsv"];

/// A judged collection.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The name of its directory.
    pub name: String,
    /// What is searched, in the file's order.
    pub documents: Vec<JudgedDocument>,
    /// What is asked: the queries with a judgment that says relevant, in the file's order.
    pub queries: Vec<JudgedQuery>,
    /// Which part of its queries these are.
    pub split: Split,
    /// The SHA-256 of the documents: another corpus has another.
    pub corpus_hash: String,
    /// What was left out, and why; nothing is left out silently.
    pub notes: Vec<String>,
}

/// A document to search.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct JudgedDocument {
    /// Its name in the judgments.
    #[serde(rename = "_id")]
    pub id: String,
    /// Its title; may be empty.
    #[serde(default)]
    pub title: String,
    /// Its text; may be empty.
    #[serde(default)]
    pub text: String,
}

impl JudgedDocument {
    /// Title and text as one.
    pub fn whole(&self) -> String {
        match (self.title.trim(), self.text.trim()) {
            ("", text) => text.to_owned(),
            (title, "") => title.to_owned(),
            (title, text) => format!("{title}\n\n{text}"),
        }
    }
}

/// A query and its judgments.
#[derive(Clone, Debug)]
pub struct JudgedQuery {
    /// Its name.
    pub id: String,
    /// What is asked.
    pub text: String,
    /// How relevant which documents are.
    pub grades: Grades,
}

#[derive(Deserialize)]
struct QueryLine {
    #[serde(rename = "_id")]
    id: String,
    text: String,
}

impl Dataset {
    /// Reads the data set in `directory`; `qrels` names its judgments where the usual places are
    /// not meant.
    ///
    /// # Errors
    /// [`Invalid`](docent_core::ErrorKind::Invalid) names the file and line that cannot be read;
    /// [`NotFound`](docent_core::ErrorKind::NotFound) a file that is missing.
    pub fn read(directory: &Path, qrels: Option<&Path>) -> Result<Self> {
        let mut notes = vec![];
        let documents: Vec<JudgedDocument> = read_lines(&directory.join("corpus.jsonl"))?;
        check_ids(&documents, directory)?;
        let queries: Vec<QueryLine> = read_lines(&directory.join("queries.jsonl"))?;
        let judgments = read_judgments(&find_judgments(directory, qrels)?)?;
        let queries = judged(queries, judgments, &documents, &mut notes);
        if queries.is_empty() {
            let shown = directory.display();
            return Err(Error::invalid(format!("no query in {shown} has a relevant document")));
        }
        let corpus_hash = corpus_hash(&documents);
        let (name, split) = (name(directory), Split::All);
        Ok(Self { name, documents, queries, split, corpus_hash, notes })
    }

    /// The SHA-256 of what is asked and judged: other queries or judgments have another.
    pub fn judgments_hash(&self) -> String {
        let mut hasher = Sha256::new();
        for query in &self.queries {
            let grades: BTreeMap<&String, &i32> = query.grades.iter().collect();
            let parts = [query.id.clone(), query.text.clone(), format!("{grades:?}")];
            parts.iter().for_each(|part| update(&mut hasher, part));
        }
        hex(hasher)
    }
}

fn name(directory: &Path) -> String {
    let whole = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    whole.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn read_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let mut read = vec![];
    for (at, line) in BufReader::new(fs_err::File::open(path)?).lines().enumerate() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        read.push(serde_json::from_str(&line).map_err(|error| {
            Error::invalid(format!("{}, line {}: {error}", path.display(), at + 1))
        })?);
    }
    Ok(read)
}

fn check_ids(documents: &[JudgedDocument], directory: &Path) -> Result<()> {
    let mut seen = HashSet::new();
    match documents.iter().find(|document| !seen.insert(&document.id)) {
        None => Ok(()),
        Some(twice) => Err(Error::invalid(format!(
            "{}: document {:?} is there twice",
            directory.join("corpus.jsonl").display(),
            twice.id
        ))),
    }
}

fn find_judgments(directory: &Path, named: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = named {
        return Ok(path.to_owned());
    }
    let mut places = SPLITS.iter().map(|place| directory.join(place));
    places.find(|path| path.is_file()).ok_or_else(|| {
        let shown = directory.display();
        Error::not_found(format!("no judgments in {shown}; one of {} is needed", SPLITS.join(", ")))
    })
}

type Judgments = BTreeMap<String, Grades>;

/// Reads three columns, or trec's four with an unused second one.
fn read_judgments(path: &Path) -> Result<Judgments> {
    let mut judgments = Judgments::new();
    for (at, line) in BufReader::new(fs_err::File::open(path)?).lines().enumerate() {
        let line = line?;
        let columns: Vec<&str> = line.split_whitespace().collect();
        let row = match columns[..] {
            [] => continue,
            [query, document, grade] | [query, _, document, grade] => (query, document, grade),
            _ => ("", "", ""),
        };
        match row.2.parse::<i32>() {
            Ok(grade) => {
                let grades = judgments.entry(row.0.to_owned()).or_default();
                grades.insert(row.1.to_owned(), grade);
            }
            // The names of the columns.
            Err(_) if at == 0 => {}
            Err(_) => {
                return Err(Error::invalid(format!(
                    "{}, line {}: {line:?} is not a query, a document and a whole number",
                    path.display(),
                    at + 1
                )));
            }
        }
    }
    Ok(judgments)
}

/// The queries with a relevant document that is there.
fn judged(
    lines: Vec<QueryLine>,
    mut judgments: Judgments,
    documents: &[JudgedDocument],
    notes: &mut Vec<String>,
) -> Vec<JudgedQuery> {
    let known: HashSet<&str> = documents.iter().map(|document| document.id.as_str()).collect();
    let asked = lines.len();
    let queries: Vec<JudgedQuery> = lines
        .into_iter()
        .filter_map(|QueryLine { id, text }| {
            let grades = judgments.remove(&id)?;
            grades.values().any(|grade| *grade > 0).then_some(JudgedQuery { id, text, grades })
        })
        .collect();
    let left_out = asked - queries.len();
    if left_out > 0 {
        notes.push(format!("{left_out} of {asked} queries have no relevant document"));
    }
    if !judgments.is_empty() {
        notes.push(format!("{} judged queries are not in queries.jsonl", judgments.len()));
    }
    let ids = queries.iter().flat_map(|query| query.grades.keys());
    let missing = ids.filter(|id| !known.contains(id.as_str())).count();
    if missing > 0 {
        notes.push(format!("{missing} judged documents are not in corpus.jsonl"));
    }
    queries
}

fn corpus_hash(documents: &[JudgedDocument]) -> String {
    let mut hasher = Sha256::new();
    for document in documents {
        for part in [&document.id, &document.title, &document.text] {
            update(&mut hasher, part);
        }
    }
    hex(hasher)
}

/// The length goes first, so that no two lists of parts are the same bytes.
fn update(hasher: &mut Sha256, part: &str) {
    hasher.update((part.len() as u64).to_le_bytes());
    hasher.update(part);
}

pub(crate) fn hex(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use docent_core::ErrorKind;

    use super::*;

    const CORPUS: &str = "{\"_id\":\"d1\",\"title\":\"Pumps\",\"text\":\"They stop.\",\"metadata\":{}}\n\n{\"_id\":\"d2\",\"text\":\"Valves\"}\n";
    const QUERIES: &str =
        "{\"_id\":\"q1\",\"text\":\"pump\"}\n{\"_id\":\"q2\",\"text\":\"valve\"}\n";
    const QRELS: &str = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq2\td2\t0\nq3\td1\t1\n";

    fn dataset(files: &[(&str, &str)]) -> (tempfile::TempDir, Result<Dataset>) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        }
        let read = Dataset::read(folder.path(), None);
        (folder, read)
    }

    #[test]
    fn what_is_left_out_is_said() {
        let files = [("corpus.jsonl", CORPUS), ("queries.jsonl", QUERIES), ("qrels.tsv", QRELS)];
        let (_folder, read) = dataset(&files);
        let read = read.unwrap();
        assert_eq!(read.documents[0].whole(), "Pumps\n\nThey stop.");
        assert_eq!(read.documents[1].whole(), "Valves");
        assert_eq!(read.queries.len(), 1);
        assert_eq!(read.queries[0].grades["d1"], 2);
        assert_eq!(
            read.notes,
            [
                "1 of 2 queries have no relevant document",
                "1 judged queries are not in queries.jsonl"
            ]
        );
    }

    #[test]
    fn judgments_may_be_trecs_and_in_beirs_folder() {
        let qrels = "q1 0 d1 1\nq2 0 d2 1\n";
        let files =
            [("corpus.jsonl", CORPUS), ("queries.jsonl", QUERIES), ("qrels/test.tsv", qrels)];
        let (_folder, read) = dataset(&files);
        assert_eq!(read.unwrap().queries.len(), 2);
    }

    #[test]
    fn a_broken_file_is_named_with_its_line() {
        let whole = [("corpus.jsonl", CORPUS), ("queries.jsonl", QUERIES), ("qrels.tsv", QRELS)];
        let cases = [
            ("corpus.jsonl", "{\"_id\":\"d1\"}\n{\"_id\"", "line 2"),
            ("corpus.jsonl", "{\"_id\":\"d1\"}\n{\"_id\":\"d1\"}", "twice"),
            ("queries.jsonl", "{\"_id\":\"q1\"}", "line 1"),
            ("qrels.tsv", "q1\td1\t1\nq1\td1\tyes\n", "line 2"),
            ("qrels.tsv", "q1\td1\t0\n", "no query"),
        ];
        for (name, text, expected) in cases {
            let files: Vec<_> =
                whole.map(|(file, usual)| (file, if file == name { text } else { usual })).into();
            let (_folder, read) = dataset(&files);
            let error = read.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
            assert!(error.to_string().contains(expected), "{error}");
        }
        let (_folder, read) = dataset(&whole[..2]);
        assert!(read.unwrap_err().to_string().contains("qrels.tsv"));
    }

    #[test]
    fn other_judgments_have_another_hash() {
        let hash = |qrels: &str| {
            let files =
                [("corpus.jsonl", CORPUS), ("queries.jsonl", QUERIES), ("qrels.tsv", qrels)];
            dataset(&files).1.unwrap().judgments_hash()
        };
        assert_eq!(hash("q1 d1 1\nq2 d2 1\n"), hash("q2 d2 1\nq1 d1 1\n"));
        assert_ne!(hash("q1 d1 1\nq2 d2 1\n"), hash("q1 d1 2\nq2 d2 1\n"));
        assert_ne!(hash("q1 d1 1\nq2 d2 1\n"), hash("q1 d1 1\n"));
    }

    #[test]
    fn another_corpus_has_another_hash() {
        let of = |id: &str, title: &str, text: &str| {
            let parts = [id, title, text].map(str::to_owned);
            let [id, title, text] = parts;
            corpus_hash(&[JudgedDocument { id, title, text }])
        };
        assert_eq!(of("a", "b", "c"), of("a", "b", "c"));
        assert_ne!(of("a", "b", "c"), of("a", "bc", ""));
    }
}
