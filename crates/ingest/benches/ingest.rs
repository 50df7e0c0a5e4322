//! Extract, clean and chunk, in bytes of clean text a second.
//!
//! `cargo bench -p docent-ingest`; the PDF is made here, so no data is needed.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use docent_core::ChunkingStrategy;
use docent_ingest::{Format, Limits, chunk, clean, extractor};

#[path = "../tests/guarded/handmade.rs"]
mod handmade;

/// A hundred pages of forty lines.
fn pdf() -> Vec<u8> {
    let mut number = 0;
    let mut page = || {
        let mut content = String::from("BT /F 11 Tf 14 TL 72 780 Td\n");
        for _ in 0..40 {
            number += 1;
            content += &format!(
                "(Line {number}: the moon pulls the sea, and the sea follows twice a day.) Tj T*\n"
            );
        }
        content + "ET"
    };
    let contents: Vec<String> = (0..100).map(|_| page()).collect();
    let contents: Vec<&str> = contents.iter().map(String::as_str).collect();
    handmade::Pdf::of_pages(&contents).bytes()
}

fn ingest(criterion: &mut Criterion) {
    let (bytes, limits) = (pdf(), Limits::default());
    let extract = || extractor(Format::Pdf).and_then(|pdf| pdf.extract(&bytes, &limits));
    let document = extract().expect("our own PDF is sound");
    let cleaned = clean(&document);
    let mut group = criterion.benchmark_group("ingest");
    group.sample_size(10);
    group.throughput(Throughput::Elements(100));
    group.bench_function("extract, pages", |bench| bench.iter(|| black_box(extract())));
    group.throughput(Throughput::Bytes(cleaned.text.len() as u64));
    group.bench_function("clean", |bench| bench.iter(|| clean(black_box(&document))));
    let strategy = ChunkingStrategy::default();
    group.bench_function("chunk", |bench| bench.iter(|| chunk(black_box(&cleaned), strategy)));
    group.finish();
}

criterion_group!(benches, ingest);
criterion_main!(benches);
