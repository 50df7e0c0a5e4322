//! The times around a search: opening a library, taking in a thousand pages of PDF, memory.
//!
//! `cargo bench -p docent-retrieval --bench journey -- open|ingest`

#![expect(clippy::print_stdout, reason = "a measurement prints its table")]

mod support;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use docent_core::{Metadata, Purpose};
use docent_retrieval::{AttachOptions, IngestStage, SearchOptions, VectorIndexKind};
use support::{library, open, percentile, questions, resident_mb};

fn main() {
    let asked = |name: &str| std::env::args().any(|argument| argument == name);
    if asked("open") {
        opening();
    }
    if asked("ingest") {
        ingest();
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
