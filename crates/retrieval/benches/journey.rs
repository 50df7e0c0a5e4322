//! The times around a search: opening a library, filters, taking in a thousand pages of PDF,
//! memory.
//!
//! `cargo bench -p docent-retrieval --bench journey -- open|filters|ingest`

#![expect(clippy::print_stdout, reason = "a measurement prints its table")]

mod support;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use docent_core::{AttributeValue, Comparison, Filter, Metadata, Purpose};
use docent_retrieval::{AttachOptions, IngestStage, SearchMode, SearchOptions, VectorIndexKind};
use support::{library, open, percentile, questions, resident_mb};

fn main() {
    let asked = |name: &str| std::env::args().any(|argument| argument == name);
    if asked("open") {
        opening();
    }
    if asked("filters") {
        filters();
    }
    if asked("ingest") {
        ingest();
    }
}

/// Searches that may find a part of the 100,000 chunks: by rank, an attribute that each of the
/// thousand files has, and by that and a string that all have.
fn filters() {
    let (path, store) = library(100_000, 1);
    let collections = open(&path, 1, VectorIndexKind::Exact);
    let files = collections.vector_store_files(store).unwrap();
    for (rank, file) in files.iter().enumerate().filter(|(_, file)| file.attributes.is_empty()) {
        let rank = AttributeValue::Number(rank as f64);
        let team = AttributeValue::Text("alpha".to_owned());
        let attributes = [("rank".to_owned(), rank), ("team".to_owned(), team)].into();
        collections.update_attributes(store, file.file, attributes).unwrap();
    }
    println!("allowed  mode     p50 ms  p95 ms");
    for allowed in [1, 10, 100, 500, 1_000] {
        let compare = |key: &str, comparison, value| Filter::Compare {
            key: key.to_owned(),
            comparison,
            value,
        };
        let below = AttributeValue::Number(f64::from(allowed));
        let filter = Filter::All(vec![
            compare("rank", Comparison::Lt, below),
            compare("team", Comparison::Eq, AttributeValue::Text("alpha".to_owned())),
        ]);
        for mode in [SearchMode::Words, SearchMode::Vectors, SearchMode::Hybrid] {
            let options =
                SearchOptions { mode, filter: Some(filter.clone()), ..SearchOptions::default() };
            let mut times = vec![];
            for question in questions(300) {
                let started = Instant::now();
                collections.search(&[store], &question, &options).unwrap();
                times.push(started.elapsed().as_secs_f64() * 1e3);
            }
            println!(
                "{:>5.1} %  {:7}  {:6.2}  {:6.2}",
                f64::from(allowed) / 10.0,
                format!("{mode:?}"),
                percentile(&mut times, 0.5),
                percentile(&mut times, 0.95)
            );
        }
    }
}

fn opening() {
    for windows in [1, 4] {
        let (path, store) = library(100_000, windows);
        let before = resident_mb();
        let started = Instant::now();
        let collections = open(&path, windows, VectorIndexKind::Auto);
        let opened = started.elapsed();
        let found = collections.search(&[store], "configure the kernel", &SearchOptions::default());
        let first = started.elapsed();
        let found = found.unwrap();
        println!(
            "{windows} windows: opened {opened:.2?}, first answer {first:.2?} ({} hits, {:?}), \
             RSS +{:.0} MB",
            found.hits.len(),
            found.trace.stages,
            resident_mb() - before
        );
        let mut stages: std::collections::BTreeMap<&str, Vec<f64>> = Default::default();
        let mut times: Vec<f64> = vec![];
        for question in questions(300) {
            let started = Instant::now();
            let found = collections.search(&[store], &question, &SearchOptions::default()).unwrap();
            times.push(started.elapsed().as_secs_f64() * 1e3);
            for stage in found.trace.stages {
                stages.entry(stage.stage).or_default().push(stage.micros as f64 / 1e3);
            }
        }
        println!(
            "  hybrid k=20: p50 {:.2} ms, p95 {:.2} ms",
            percentile(&mut times, 0.5),
            percentile(&mut times, 0.95)
        );
        for (stage, mut times) in stages {
            println!("  {stage}: p50 {:.3} ms", percentile(&mut times, 0.5));
        }
    }
}

/// Everything but embedding, over PDFs of at least a thousand pages (`DOCENT_DATA/pdf`).
fn ingest() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared = std::env::var_os("DOCENT_DATA")
        .map_or_else(|| root.join("../shared/data"), PathBuf::from)
        .join("pdf");
    let directory = tempfile::tempdir().unwrap();
    let collections = open(directory.path(), 4, VectorIndexKind::Exact);
    let store = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    for round in 0..3 {
        for name in ["debian-reference.en.pdf", "policy.pdf", "debian-faq.en.pdf", "fhs-3.0.pdf"] {
            let Ok(bytes) = fs_err::read(shared.join(name)) else { continue };
            let name = format!("{round}-{name}");
            let file = collections.create_file(&name, Purpose::Assistants, &mut &bytes[..]);
            collections.attach(store, file.unwrap().id, AttachOptions::default()).unwrap();
        }
    }
    let (mut pages, mut chunks, mut reading) = (0, 0, 0.0);
    let started = Instant::now();
    let mut mark = Instant::now();
    collections
        .process(&mut |progress| {
            match progress.stage {
                IngestStage::Reading => mark = Instant::now(),
                IngestStage::Committed { pages: own, chunks: own_chunks } => {
                    pages += own;
                    chunks += own_chunks;
                    reading += mark.elapsed().as_secs_f64();
                    eprintln!("{pages} pages, RSS {:.0} MB", resident_mb());
                }
                IngestStage::Failed(error) => eprintln!("{}: {error:?}", progress.filename),
                _ => {}
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    let all = started.elapsed().as_secs_f64();
    println!(
        "{pages} pages, {chunks} chunks: {all:.1} s without embedding ({reading:.1} s to read, cut, \
         commit and index words; {:.1} s for vectors, their commits and index); per 1,000 pages {:.1} s",
        all - reading,
        all * 1000.0 / f64::from(pages)
    );
}
