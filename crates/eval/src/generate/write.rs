//! A made set as files: BEIR's layout, and what a reader of the numbers must know.

use std::fmt::Write as _;
use std::path::Path;

use docent_core::{Error, Result};
use fs_err as fs;
use serde_json::json;

use super::{Generated, KnownItem, QueryKind};

impl Generated {
    /// Writes the set into `directory`, which must be empty or not there: `corpus.jsonl`,
    /// `queries.jsonl`, `qrels.tsv`, the judgments of each kind alone in `qrels/`, `meta.json` and
    /// `README.md`.
    ///
    /// # Errors
    /// [`Conflict`](docent_core::ErrorKind::Conflict) when something is there; of the disk.
    pub fn write(&self, directory: &Path) -> Result<()> {
        check_target(directory)?;
        fs::create_dir_all(directory)?;
        let named = self.named_queries();
        fs::write(directory.join("corpus.jsonl"), self.corpus())?;
        fs::write(directory.join("queries.jsonl"), queries(&named))?;
        fs::write(directory.join("qrels.tsv"), self.judgments(&named, None))?;
        fs::create_dir(directory.join("qrels"))?;
        for kind in self.counts().into_keys() {
            let judgments = self.judgments(&named, Some(kind));
            fs::write(directory.join("qrels").join(format!("{kind}.tsv")), judgments)?;
        }
        let meta = serde_json::to_string_pretty(&self.meta()).unwrap_or_default();
        fs::write(directory.join("meta.json"), meta + "\n")?;
        Ok(fs::write(directory.join("README.md"), self.readme())?)
    }

    /// `han-3` is the third query of its kind.
    fn named_queries(&self) -> Vec<(String, &KnownItem)> {
        let mut counts = std::collections::BTreeMap::<QueryKind, usize>::new();
        let name = |query: &KnownItem| {
            let count = counts.entry(query.kind).or_default();
            *count += 1;
            format!("{}-{count}", query.kind)
        };
        let names: Vec<String> = self.queries.iter().map(name).collect();
        names.into_iter().zip(&self.queries).collect()
    }

    fn passage_id(&self, at: usize) -> String {
        let passage = &self.passages[at];
        format!("d{}-p{}", passage.document + 1, passage.ordinal + 1)
    }

    fn corpus(&self) -> String {
        let mut lines = String::new();
        for (at, passage) in self.passages.iter().enumerate() {
            let file = self.names.get(passage.document);
            let line = json!({
                "_id": self.passage_id(at),
                "title": "",
                "text": passage.text,
                "metadata": { "file": file, "passage": passage.ordinal + 1 },
            });
            let _ = writeln!(lines, "{line}");
        }
        lines
    }

    fn judgments(&self, named: &[(String, &KnownItem)], kind: Option<QueryKind>) -> String {
        let mut lines = String::from("query-id\tcorpus-id\tscore\n");
        for (name, query) in named {
            if kind.is_none_or(|kind| kind == query.kind) {
                for passage in &query.passages {
                    let _ = writeln!(lines, "{name}\t{}\t1", self.passage_id(*passage));
                }
            }
        }
        lines
    }

    fn meta(&self) -> serde_json::Value {
        let counts = self.counts().into_iter();
        let kinds: serde_json::Map<_, _> =
            counts.map(|(kind, count)| (kind.to_string(), count.into())).collect();
        json!({
            "made_by": format!("docent eval generate {}", env!("CARGO_PKG_VERSION")),
            "method": "known items: headings, and phrases in at most 3 passages",
            "judged_by_people": false,
            "seed": self.options.seed,
            "documents": self.names,
            "passages": self.passages.len(),
            "queries": self.queries.len(),
            "queries_by_kind": kinds,
        })
    }

    fn readme(&self) -> String {
        let counts = self.counts().into_iter();
        let kinds: String = counts
            .map(|(kind, count)| format!("- {count} queries of kind {kind}: {}\n", explained(kind)))
            .collect();
        format!(
            "# A made set of {} queries on {} passages\n\n\
             Made by `docent eval generate` from {} documents with seed {}. Nobody judged it: each \
             query was taken from the passages that count as relevant.\n\n{kinds}\n{CAVEATS}",
            self.queries.len(),
            self.passages.len(),
            self.names.len(),
            self.options.seed
        )
    }
}

/// Whether a set can be [written](Generated::write) into `directory`, to know before the work.
///
/// # Errors
/// [`Conflict`](docent_core::ErrorKind::Conflict) when something is there.
pub fn check_target(directory: &Path) -> Result<()> {
    if directory.exists() && fs::read_dir(directory)?.next().is_some() {
        let shown = directory.display();
        return Err(Error::conflict(format!("{shown} is not empty; name a new directory")));
    }
    Ok(())
}

fn queries(named: &[(String, &KnownItem)]) -> String {
    let mut lines = String::new();
    for (name, query) in named {
        let kind = query.kind.to_string();
        let line = json!({ "_id": name, "text": query.text, "metadata": { "kind": kind } });
        let _ = writeln!(lines, "{line}");
    }
    lines
}

fn explained(kind: QueryKind) -> &'static str {
    match kind {
        QueryKind::Heading => "the heading of a section, which is to find the section's beginning",
        QueryKind::Words => "three words in a row that stand in at most three passages",
        QueryKind::Han => "three to five Chinese or Japanese characters in a row, likewise",
        QueryKind::Mixed => "a word in Latin letters beside such characters, likewise",
    }
}

const CAVEATS: &str = "\
## What it can tell

- Whether what stands in these documents is found by its own words: names, terms, headings.
- Whether a change of settings, or of the program, loses such passages. Compare runs on this set with one another.

## What it cannot tell

- How questions in other words than the documents' fare. Queries that are quotations favor search by words over search by vectors: do not choose an embedder by this set.
- How good an answer is. Other passages may answer a query as well and count as wrong here.
- Anything beside other collections: the numbers depend on how rare the phrases are, and are higher than on questions that people asked.

## Measuring

    docent eval run --dataset . --pipeline bm25 --pipeline default
    docent eval run --dataset . --qrels qrels/words.tsv

A set with people's own questions and judgments, even thirty of them, says more.
";
