//! Filtered searches over 20,000 chunks against looking at everything: nothing that may be found
//! is lost, however little the filter lets through.

use std::collections::{BTreeMap, BTreeSet};

use docent_core::{
    AttributeValue, Attributes, ChunkId, ChunkingStrategy, Comparison, Embedder, FileId, Filter,
    IndexedChunk, InputRole, Metadata, VectorStoreId,
};
use docent_retrieval::{AttachOptions, Collections, SearchMode, SearchOptions, VectorIndexKind};

use crate::support::{Embeds, Library};

const FILES: usize = 2_000;
const CHUNKS_PER_FILE: usize = 10;

/// Hits that are compared.
const TOP: usize = 10;

struct Site {
    library: Library,
    store: VectorStoreId,
    attributes: BTreeMap<FileId, Attributes>,
    chunks: Vec<(IndexedChunk, Vec<f32>)>,
}

impl Site {
    fn build() -> (Self, Collections) {
        let library = Library::new(Embeds::English);
        let collections = library.open();
        let store = collections.create_vector_store(None, Metadata::new()).unwrap().id;
        let mut attributes = BTreeMap::new();
        let mut files = vec![];
        for at in 0..FILES {
            let file = library.upload(&collections, &format!("{at}.txt"), &text(at));
            let own = attributes_of(at);
            attributes.insert(file, own.clone());
            let chunking = ChunkingStrategy::new(100, 0).unwrap();
            files.push((file, AttachOptions { chunking, attributes: own }));
        }
        collections.attach_all(store, &files).unwrap();
        library.process(&collections);
        let embedder = library.embedder(Embeds::English);
        let chunks =
            attributes.keys().flat_map(|file| collections.file_chunks(store, *file).unwrap());
        let chunks: Vec<_> = chunks.map(|chunk| with_vector(&*embedder, chunk)).collect();
        assert!(chunks.len() >= FILES * CHUNKS_PER_FILE, "{}", chunks.len());
        (Self { library, store, attributes, chunks }, collections)
    }

    /// The chunks that `filter` lets through.
    fn allowed(&self, filter: &Filter) -> Vec<&(IndexedChunk, Vec<f32>)> {
        let may =
            |chunk: &&(IndexedChunk, Vec<f32>)| filter.matches(&self.attributes[&chunk.0.file]);
        self.chunks.iter().filter(may).collect()
    }

    /// The similarity that the `TOP`th best allowed chunk has, and those that are clearly better.
    fn best_by_vectors(&self, filter: &Filter, query: &str) -> (f32, BTreeSet<ChunkId>) {
        let vector = embed(&*self.library.embedder(Embeds::English), query, InputRole::Query);
        let mut all: Vec<(f32, ChunkId)> = self
            .allowed(filter)
            .into_iter()
            .map(|(chunk, own)| (vector.iter().zip(own).map(|(a, b)| a * b).sum(), chunk.id))
            .collect();
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        all.truncate(TOP);
        let last = all.last().unwrap().0;
        // Vectors are kept in half precision: what is that near the last may change places with it.
        let clear = all.iter().filter(|(score, _)| *score > last + 2e-3);
        (last, clear.map(|(_, id)| *id).collect())
    }
}

fn with_vector(embedder: &dyn Embedder, chunk: IndexedChunk) -> (IndexedChunk, Vec<f32>) {
    let vector = embed(embedder, &chunk.chunk.text, InputRole::Passage);
    (chunk, vector)
}

fn embed(embedder: &dyn Embedder, text: &str, role: InputRole) -> Vec<f32> {
    embedder.embed(&[text], role).unwrap()[0].first().to_vec()
}

/// Small and seeded.
fn random(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as usize
}

const WORDS: [&str; 40] = [
    "valve", "pump", "harbor", "ferry", "boiler", "ledger", "tenant", "bridge", "signal", "engine",
    "filter", "copper", "window", "garden", "winter", "summer", "report", "survey", "circle",
    "square", "orange", "purple", "silver", "marble", "candle", "pepper", "saddle", "ticket",
    "rocket", "island", "forest", "meadow", "canyon", "desert", "glacier", "lagoon", "tunnel",
    "tower", "castle", "market",
];

/// Words by chance, enough for ten chunks of 100 tokens.
fn text(file: usize) -> String {
    let mut state = file as u64 + 1;
    let mut text = String::new();
    for at in 0..CHUNKS_PER_FILE * 90 {
        let number = random(&mut state) % 3_000;
        let word = WORDS[random(&mut state) % WORDS.len()];
        text += if number < 60 { "rare" } else { "" };
        text += word;
        if number < 60 {
            text += &number.to_string();
        }
        text += if at % 12 == 11 { ". " } else { " " };
    }
    text
}

fn attributes_of(file: usize) -> Attributes {
    let date = format!("20{:02}-{:02}-{:02}", file % 25, file / 25 % 12 + 1, file / 300 % 28 + 1);
    [
        ("rank", AttributeValue::Number(file as f64)),
        ("team", AttributeValue::Text(format!("team-{}", file % 100))),
        ("public", AttributeValue::Bool(file.is_multiple_of(2))),
        ("date", AttributeValue::Text(date)),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}

fn compare(key: &str, comparison: Comparison, value: AttributeValue) -> Filter {
    Filter::Compare { key: key.to_owned(), comparison, value }
}

/// Filters of each kind, with how many files of two thousand they let through.
fn filters() -> Vec<(&'static str, usize, Filter)> {
    use AttributeValue::{Bool, Number, Text};
    use Comparison::{Eq, Gte, Lt, Lte};
    let text = |value: &str| Text(value.to_owned());
    vec![
        ("0.1 %, number", 2, compare("rank", Lt, Number(2.0))),
        (
            "0.1 %, compound",
            2,
            Filter::Any(vec![
                compare("rank", Eq, Number(1_234.0)),
                Filter::All(vec![
                    compare("team", Eq, text("team-7")),
                    compare("date", Gte, text("2007-01-01")),
                    compare("date", Lte, text("2007-01-01")),
                ]),
            ]),
        ),
        ("1 %, string", 20, compare("team", Eq, text("team-42"))),
        (
            "10 %, one of several",
            200,
            Filter::In {
                key: "team".to_owned(),
                values: (0..10).map(|team| Text(format!("team-{team}"))).collect(),
            },
        ),
        (
            "10 %, number range and boolean",
            200,
            Filter::All(vec![
                compare("rank", Gte, Number(400.0)),
                compare("rank", Lt, Number(800.0)),
                compare("public", Eq, Bool(true)),
            ]),
        ),
        ("48 %, date", 960, compare("date", Lt, text("2012-01-01"))),
        ("50 %, boolean", 1_000, compare("public", Eq, Bool(false))),
    ]
}

const QUERIES: [&str; 6] = [
    "ferry harbor island",
    "rareboiler17 valve",
    "marble castle tower market",
    "raresignal3",
    "winter glacier copper rarepump55",
    "ticket",
];

#[test]
fn filtered_search_finds_exactly_what_looking_at_everything_finds() {
    let (site, collections) = Site::build();
    let by_words = QUERIES.map(|query| all_by_words(&site, &collections, query));
    assert!(by_words.iter().all(|all| !all.is_empty()));
    for (name, files, filter) in filters() {
        let matching = site.attributes.values().filter(|own| filter.matches(own)).count();
        assert_eq!(matching, files, "{name}");
        for (query, all) in QUERIES.into_iter().zip(&by_words) {
            let told = format!("{name}, {query}");
            assert_words(&site, &collections, &filter, (query, all), &told);
            assert_vectors(&site, &collections, &filter, query, &told);
            assert_hybrid(&site, &collections, &filter, query, &told);
        }
    }
    drop(collections);
    let mut site = site;
    site.library.options.vector_index = VectorIndexKind::Hnsw;
    let collections = site.library.open();
    for (name, _, filter) in filters() {
        for query in QUERIES {
            let told = format!("hnsw, {name}, {query}");
            assert_vectors(&site, &collections, &filter, query, &told);
            assert_hybrid(&site, &collections, &filter, query, &told);
        }
    }
}

#[track_caller]
fn search(
    site: &Site,
    collections: &Collections,
    query: &str,
    options: SearchOptions,
) -> Vec<(ChunkId, f32)> {
    let found = collections.search(&[site.store], query, &options).unwrap();
    let place = |id: ChunkId| {
        let candidate = found.trace.candidates.iter().find(|it| it.chunk == id).unwrap();
        candidate.lists.first().map_or(0.0, |place| place.score)
    };
    found.hits.iter().map(|hit| (hit.chunk.id, place(hit.chunk.id))).collect()
}

/// Every chunk that `query` finds by words, with its score.
fn all_by_words(site: &Site, collections: &Collections, query: &str) -> Vec<(ChunkId, f32)> {
    let options = SearchOptions {
        mode: SearchMode::Words,
        limit: usize::MAX,
        candidates: site.chunks.len(),
        ..Default::default()
    };
    let found = collections.search(&[site.store], query, &options).unwrap();
    let candidates = found.trace.candidates.iter();
    candidates.map(|candidate| (candidate.chunk, candidate.lists[0].score)).collect()
}

/// The words' scores do not depend on the filter, so the best allowed of all hits are the best of
/// the filtered search.
#[track_caller]
fn assert_words(
    site: &Site,
    collections: &Collections,
    filter: &Filter,
    (query, everything): (&str, &[(ChunkId, f32)]),
    told: &str,
) {
    let allowed: BTreeSet<ChunkId> =
        site.allowed(filter).iter().map(|(chunk, _)| chunk.id).collect();
    let expected: Vec<f32> = everything
        .iter()
        .filter(|(id, _)| allowed.contains(id))
        .take(TOP)
        .map(|(_, score)| *score)
        .collect();
    let options = SearchOptions {
        mode: SearchMode::Words,
        limit: TOP,
        filter: Some(filter.clone()),
        ..Default::default()
    };
    let found = search(site, collections, query, options);
    assert!(found.iter().all(|(id, _)| allowed.contains(id)), "{told}");
    assert_eq!(found.len(), expected.len(), "{told}");
    for ((_, score), expected) in found.iter().zip(&expected) {
        assert!((score - expected).abs() < 1e-4, "{told}: {score} {expected}");
    }
}

#[track_caller]
fn assert_vectors(
    site: &Site,
    collections: &Collections,
    filter: &Filter,
    query: &str,
    told: &str,
) {
    let (last, clear) = site.best_by_vectors(filter, query);
    let mode = SearchMode::Vectors;
    let options =
        SearchOptions { mode, limit: TOP, filter: Some(filter.clone()), ..Default::default() };
    let found = search(site, collections, query, options);
    assert_eq!(found.len(), TOP, "{told}");
    assert!(found.iter().all(|(_, score)| *score > last - 2e-3), "{told}: {found:?} {last}");
    let found: BTreeSet<ChunkId> = found.into_iter().map(|(id, _)| id).collect();
    assert!(clear.is_subset(&found), "{told}: {clear:?} {found:?}");
}

/// Both lists' best are among the candidates, and nothing else than allowed.
#[track_caller]
fn assert_hybrid(site: &Site, collections: &Collections, filter: &Filter, query: &str, told: &str) {
    let options = SearchOptions { limit: 50, filter: Some(filter.clone()), ..Default::default() };
    let found = collections.search(&[site.store], query, &options).unwrap();
    let allowed: BTreeSet<ChunkId> =
        site.allowed(filter).iter().map(|(chunk, _)| chunk.id).collect();
    let candidates: BTreeSet<ChunkId> = found.trace.candidates.iter().map(|it| it.chunk).collect();
    assert!(candidates.is_subset(&allowed), "{told}");
    assert!(found.hits.iter().all(|hit| allowed.contains(&hit.chunk.id)), "{told}");
    let (_, clear) = site.best_by_vectors(filter, query);
    assert!(clear.is_subset(&candidates), "{told}");
    let words = SearchOptions { mode: SearchMode::Words, limit: TOP, ..options };
    let words = search(site, collections, query, words);
    assert!(words.iter().all(|(id, _)| candidates.contains(id)), "{told}");
}
