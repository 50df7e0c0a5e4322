//! Results of earlier runs, so that asking the same again costs nothing.
//!
//! A result is kept under the hash of everything it depends on: the program, the pipeline, the
//! documents and how they were cut, the embedder, the reranker, the queries and judgments, and the
//! metrics. Whatever cannot be read is measured again.

use std::path::PathBuf;

use docent_core::Result;
use fs_err as fs;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::corpus::Corpus;
use crate::dataset::{Dataset, hex};
use crate::metrics::Metric;
use crate::pipeline::Pipeline;
use crate::report::{Circumstances, Report};

/// What reports that this program wrote look like; one more whenever a field's meaning changes.
const FORM: u32 = 1;

/// A directory of results.
#[derive(Clone, Debug)]
pub struct ResultCache {
    directory: PathBuf,
    program: String,
}

/// Names a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultKey(String);

impl ResultCache {
    /// Results in `directory`, which is made when one is kept. `program` must change whenever the
    /// program does: what is measured is the program.
    pub fn new(directory: PathBuf, program: String) -> Self {
        Self { directory, program }
    }

    /// The name of what `pipeline` would come to.
    ///
    /// # Errors
    /// Of the store, when the corpus is counted.
    pub fn key(
        &self,
        dataset: &Dataset,
        corpus: &Corpus,
        pipeline: &Pipeline,
        metrics: &[Metric],
    ) -> Result<ResultKey> {
        Ok(self.key_of(dataset, corpus.circumstances()?, pipeline, metrics))
    }

    fn key_of(
        &self,
        dataset: &Dataset,
        circumstances: Circumstances,
        pipeline: &Pipeline,
        metrics: &[Metric],
    ) -> ResultKey {
        #[derive(Serialize)]
        struct Depends<'a> {
            form: u32,
            program: &'a str,
            pipeline: Value,
            circumstances: Circumstances,
            corpus: &'a str,
            judgments: String,
            metrics: Vec<String>,
        }
        let mut settings = serde_json::to_value(pipeline).unwrap_or_default();
        // Two names for the same settings find the same.
        settings.as_object_mut().map(|settings| settings.remove("name"));
        let depends = Depends {
            form: FORM,
            program: &self.program,
            pipeline: settings,
            circumstances,
            corpus: &dataset.corpus_hash,
            judgments: dataset.judgments_hash(),
            metrics: metrics.iter().map(Metric::to_string).collect(),
        };
        let json = serde_json::to_vec(&depends).expect("strings and numbers always become JSON");
        ResultKey(hex(Sha256::new_with_prefix(json)))
    }

    /// The result of that name, marked as cached, for `pipeline` on `dataset`.
    pub fn get(&self, key: &ResultKey, dataset: &Dataset, pipeline: &Pipeline) -> Option<Report> {
        let text = fs::read_to_string(self.path(key)).ok()?;
        let mut report: Report = serde_json::from_str(&text).ok()?;
        report.cached = true;
        report.pipeline.name.clone_from(&pipeline.name);
        report.dataset.name.clone_from(&dataset.name);
        Some(report)
    }

    /// Keeps `report` under that name.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn put(&self, key: &ResultKey, report: &Report) -> Result<()> {
        fs::create_dir_all(&self.directory)?;
        let json = serde_json::to_vec(report).expect("a report always becomes JSON");
        // Written whole or not at all, also by two at a time.
        let staged = self.directory.join(format!("{}.{}", key.0, std::process::id()));
        fs::write(&staged, json)?;
        Ok(fs::rename(&staged, self.path(key))?)
    }

    fn path(&self, key: &ResultKey) -> PathBuf {
        self.directory.join(format!("{}.json", key.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Split;
    use crate::report::tests::report;

    fn dataset(text: &str) -> Dataset {
        let query = crate::JudgedQuery {
            id: "q".into(),
            text: text.into(),
            grades: [("d".into(), 1)].into(),
        };
        Dataset {
            name: "made".into(),
            documents: vec![],
            queries: vec![query],
            split: Split::All,
            corpus_hash: "abc".into(),
            notes: vec![],
        }
    }

    #[test]
    fn a_key_changes_with_what_the_result_depends_on_and_not_with_names() {
        let cache = ResultCache::new("nowhere".into(), "1".into());
        let bm25 = Pipeline::named("bm25").unwrap();
        let key = |cache: &ResultCache, dataset: &Dataset, embedder: Option<&str>, pipeline| {
            let embedder = embedder.map(str::to_owned);
            let circumstances = Circumstances { embedder, ..Circumstances::default() };
            cache.key_of(dataset, circumstances, pipeline, &[Metric::Ndcg(10)])
        };
        let usual = key(&cache, &dataset("a"), None, &bm25);
        let renamed = Pipeline { name: "other".into(), ..bm25.clone() };
        assert_eq!(key(&cache, &dataset("a"), None, &renamed), usual);
        let deeper = Pipeline { candidates: 7, ..bm25.clone() };
        let newer = ResultCache::new("nowhere".into(), "2".into());
        for other in [
            key(&cache, &dataset("b"), None, &bm25),
            key(&cache, &dataset("a"), Some("x"), &bm25),
            key(&cache, &dataset("a"), None, &deeper),
            key(&newer, &dataset("a"), None, &bm25),
        ] {
            assert_ne!(other, usual);
        }
    }

    #[test]
    fn a_kept_result_is_marked_and_a_broken_one_measured_again() {
        let folder = tempfile::tempdir().unwrap();
        let cache = ResultCache::new(folder.path().join("results"), "1".into());
        let (key, dataset) = (ResultKey("k".into()), dataset("a"));
        let pipeline = Pipeline { name: "other".into(), ..Pipeline::named("bm25").unwrap() };
        assert!(cache.get(&key, &dataset, &pipeline).is_none());
        cache.put(&key, &report("made", "a", 30)).unwrap();
        let kept = cache.get(&key, &dataset, &pipeline).unwrap();
        assert!(kept.cached && kept.pipeline.name == "other");
        assert_eq!(kept.metrics["ndcg@10"], 0.75);
        fs::write(cache.path(&key), "{").unwrap();
        assert!(cache.get(&key, &dataset, &pipeline).is_none());
    }
}
