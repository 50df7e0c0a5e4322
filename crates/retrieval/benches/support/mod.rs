//! Seeded libraries for the benches: real words, clustered made-up vectors, built once and kept
//! below `target/`.

#![allow(dead_code, reason = "each bench uses a part")]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use docent_core::{
    Clock, Embedder, EmbedderSpec, Embedding, InputRole, Metadata, Purpose, RandomIds, Reranker,
    Result, SystemClock, VectorStoreId,
};
use docent_ingest::{Ingestor, Limits, ThreadGuard};
use docent_retrieval::{
    AttachOptions, Collections, CollectionsOptions, CollectionsParts, VectorIndexKind,
};
use docent_store::{DirBlobs, SqliteStore};

pub(crate) const DIMS: usize = 384;

/// Small, fast, seeded (PCG's multiplier).
#[derive(Clone, Debug)]
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 24
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// About normal: the sum of four uniform numbers.
    pub(crate) fn normal(&mut self) -> f32 {
        let sum: f32 = (0..4).map(|_| (self.next() & 0xFFFF) as f32 / 65_536.0 - 0.5).sum();
        sum * 1.73
    }
}

/// A vector near one of 2,000 centers, which lie near one of 60 themes: near enough for neighbours
/// to matter, far enough for them to be hard to tell.
pub(crate) fn clustered(seed: u64) -> Vec<f32> {
    let center = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    let (theme, center) = (center % 60, center % 2_000);
    let mut parts = [Random(theme + 1), Random(center + 1_000), Random(seed + 1_000_000)];
    for part in &mut parts {
        let _ = part.next();
    }
    let raw: Vec<f32> = (0..DIMS)
        .map(|_| parts[0].normal() + 0.8 * parts[1].normal() + 0.9 * parts[2].normal())
        .collect();
    let length = raw.iter().map(|value| value * value).sum::<f32>().sqrt();
    raw.iter().map(|value| value / length).collect()
}

/// Gives each text `windows` seeded vectors, in no time.
#[derive(Debug)]
pub(crate) struct Made {
    spec: EmbedderSpec,
    windows: u64,
}

impl Made {
    pub(crate) fn new(windows: u64) -> Self {
        let spec = EmbedderSpec {
            name: "made-up".into(),
            fingerprint: format!("made-up-{windows}").parse().unwrap(),
            dims: DIMS,
            window_tokens: 256,
            languages: vec![],
            cosines: Default::default(),
        };
        Self { spec, windows }
    }
}

impl Embedder for Made {
    fn spec(&self) -> &EmbedderSpec {
        &self.spec
    }

    fn embed(&self, texts: &[&str], role: InputRole) -> Result<Vec<Embedding>> {
        let windows = if role == InputRole::Query { 1 } else { self.windows };
        let made = texts.iter().map(|text| {
            let seed =
                text.bytes().fold(7u64, |h, byte| h.wrapping_mul(31).wrapping_add(byte.into()));
            Embedding::new(DIMS, (0..windows).flat_map(|at| clustered(seed + at)).collect())
        });
        made.collect()
    }

    fn count_tokens(&self, texts: &[&str], _: InputRole) -> Result<Vec<usize>> {
        Ok(texts.iter().map(|text| text.split_whitespace().count()).collect())
    }
}

pub(crate) fn open(path: &Path, windows: u64, kind: VectorIndexKind) -> Collections {
    open_with(path, Arc::new(Made::new(windows)), None, kind)
}

pub(crate) fn open_with(
    path: &Path,
    embedder: Arc<dyn Embedder>,
    reranker: Option<Arc<dyn Reranker>>,
    kind: VectorIndexKind,
) -> Collections {
    fs_err::create_dir_all(path).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Collections::open(CollectionsParts {
        store: Arc::new(SqliteStore::open(path.join("state.sqlite")).unwrap()),
        blobs: Arc::new(DirBlobs::open(path.join("blobs")).unwrap()),
        ingestor: Ingestor::new(Arc::new(ThreadGuard::new()), Limits::default()),
        embedder: Some(embedder),
        embedders: None,
        reranker,
        ids: Arc::new(RandomIds::new(Arc::clone(&clock))),
        clock,
        indexes: path.join("indexes"),
        options: CollectionsOptions { vector_index: kind, ..CollectionsOptions::default() },
    })
    .unwrap()
}

/// Where bench libraries are kept.
pub(crate) fn kept(name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR");
    let target = target.map_or_else(|| root().join("target"), PathBuf::from);
    target.join("bench").join(name)
}

/// The workspace, wherever the bench stands in it.
fn root() -> PathBuf {
    let mut places = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    places.find(|place| place.join("Cargo.lock").exists()).unwrap().to_owned()
}

/// Real sentences: of the shared data where it is, of our own sources else.
pub(crate) fn sentences() -> Vec<String> {
    let root = root();
    let shared = std::env::var_os("DOCENT_DATA")
        .map_or_else(|| root.join("../shared/data"), PathBuf::from)
        .join("pdf");
    let mut text = String::new();
    for name in ["debian-reference.en.txt", "policy.txt", "debian-faq.en.txt", "fhs-3.0.txt"] {
        text += &fs_err::read_to_string(shared.join(name)).unwrap_or_default();
    }
    if text.is_empty() {
        eprintln!("no shared data; taking sentences from our own sources");
        let own = fs_err::read_to_string(root.join("crates/retrieval/src/exact.rs"));
        text = own.unwrap().repeat(20);
    }
    let cut = text.split(['.', '\n']).map(str::trim).filter(|sentence| sentence.len() > 30);
    cut.map(str::to_owned).collect()
}

/// A library of about `chunks` chunks of 800 tokens in files of a hundred; kept for the next run.
pub(crate) fn library(chunks: usize, windows: u64) -> (PathBuf, VectorStoreId) {
    let path = kept(&format!("library-{chunks}-{windows}"));
    let ready = path.join("ready");
    if let Ok(id) = fs_err::read_to_string(&ready) {
        return (path, id.parse().unwrap());
    }
    let _ = fs_err::remove_dir_all(&path);
    let collections = open(&path, windows, VectorIndexKind::Exact);
    let store = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    let sentences = sentences();
    let mut random = Random(99);
    for file in 0..chunks / 100 {
        // 101 steps of 400 tokens; a token of this text is about 4.65 bytes.
        let mut text = String::with_capacity(190_000);
        while text.len() < 101 * 400 * 465 / 100 {
            text += &sentences[random.below(sentences.len())];
            text += ". ";
        }
        let name = format!("{file}.txt");
        let file = collections.create_file(&name, Purpose::Assistants, &mut text.as_bytes());
        collections.attach(store, file.unwrap().id, AttachOptions::default()).unwrap();
    }
    collections.process(&mut |_| ControlFlow::Continue(())).unwrap();
    fs_err::write(ready, store.to_string()).unwrap();
    (path, store)
}

/// Questions of three to ten words of the corpus.
pub(crate) fn questions(count: usize) -> Vec<String> {
    let sentences = sentences();
    let mut random = Random(7);
    let question = |_| {
        let sentence = &sentences[random.below(sentences.len())];
        let words = 3 + random.below(8);
        sentence.split_whitespace().take(words).collect::<Vec<_>>().join(" ")
    };
    (0..count).map(question).collect()
}

/// The value below which `part` of `times` lie.
pub(crate) fn percentile(times: &mut [f64], part: f64) -> f64 {
    times.sort_by(f64::total_cmp);
    times[((times.len() - 1) as f64 * part) as usize]
}

/// Resident memory of this process in MB (Linux; 0 elsewhere).
pub(crate) fn resident_mb() -> f64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    let kb = line.split_whitespace().nth(1).and_then(|kb| kb.parse::<f64>().ok());
    kb.unwrap_or_default() / 1024.0
}
