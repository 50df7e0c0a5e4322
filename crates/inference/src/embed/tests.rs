use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use serde::Deserialize;

use super::*;
use crate::Catalog;
use crate::bert::Scratch;
use crate::catalog::tests::real;

const MODEL: &str = "all-MiniLM-L6-v2";
const E5: &str = "multilingual-e5-small-q4";

/// The embedder, if its weights are [on this machine](real).
pub(crate) fn embedder() -> Option<Arc<BertEmbedder>> {
    static LOADED: OnceLock<Option<Arc<BertEmbedder>>> = OnceLock::new();
    let load = || Some(Arc::new(BertEmbedder::load(&real(MODEL)?).unwrap()));
    LOADED.get_or_init(load).clone()
}

/// What sentence-transformers says; see `tests/fixtures/reference.py`.
#[derive(Deserialize)]
struct Reference {
    text: String,
    /// One vector a window.
    vectors: Vec<Vec<f32>>,
}

fn references() -> Vec<Reference> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/minilm.json");
    serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap()
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn vectors_are_those_of_sentence_transformers() {
    let Some(embedder) = embedder() else { return };
    let references = references();
    assert!(references.len() >= 24);
    for reference in references {
        let ours = embedder.embed(&[&reference.text], InputRole::Passage).unwrap().remove(0);
        assert_eq!(ours.windows().len(), reference.vectors.len(), "{:?}", reference.text);
        for (ours, theirs) in ours.windows().zip(&reference.vectors) {
            let cosine = cosine(ours, theirs);
            assert!(cosine >= 0.9999, "{cosine} for {:?}", reference.text);
        }
    }
}

/// What numpy makes of the weights in the file; see `tests/fixtures/e5_reference.py`.
#[derive(Deserialize)]
struct E5Reference {
    text: String,
    role: InputRole,
    vectors: Vec<Vec<f32>>,
}

#[test]
fn e5_vectors_are_those_of_the_paper_written_out() {
    let Some(files) = real(E5) else { return };
    let embedder = BertEmbedder::load(&files).unwrap();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/e5.json");
    let references: Vec<E5Reference> =
        serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap();
    assert!(references.len() >= 20);
    for E5Reference { text, role, vectors } in references {
        let ours = embedder.embed(&[&text], role).unwrap().remove(0);
        assert_eq!(ours.windows().len(), vectors.len(), "{text:?}");
        for (ours, theirs) in ours.windows().zip(&vectors) {
            let cosine = cosine(ours, theirs);
            assert!(cosine >= 0.9998, "{cosine} for {text:?}");
        }
    }
    let tokens = embedder.token_vectors(&["where is the key?"], InputRole::Query).unwrap();
    let count = embedder.count_tokens(&["where is the key?"], InputRole::Query).unwrap()[0];
    // Around them stand <s>, three tokens of "query:", and </s>.
    assert_eq!(tokens[0].len(), (count - 5) * 384);
}

#[test]
fn a_batch_gives_what_each_text_alone_gives() {
    let Some(embedder) = embedder() else { return };
    let references = references();
    let texts: Vec<&str> = references.iter().map(|reference| reference.text.as_str()).collect();
    let together = embedder.embed(&texts, InputRole::Passage).unwrap();
    for (text, together) in texts.iter().zip(together) {
        let alone = embedder.embed(&[text], InputRole::Passage).unwrap().remove(0);
        assert!(together.values() == alone.values(), "not bit-identical: {text:?}");
    }
}

#[test]
fn token_vectors_are_those_of_candles_own_bert() {
    use candle_core::{DType, Device, Tensor};
    use candle_nn::VarBuilder;
    use candle_transformers::models::bert::{BertModel, Config};

    let (Some(embedder), Some(files)) = (embedder(), Catalog::builtin().locate(MODEL)) else {
        return;
    };
    let read = |role| fs_err::read(files.path(role).unwrap()).unwrap();
    let config: Config = serde_json::from_slice(&read(FileRole::Config)).unwrap();
    let weights = read(FileRole::Weights);
    let weights = VarBuilder::from_buffered_safetensors(weights, DType::F32, &Device::Cpu).unwrap();
    let reference = BertModel::load(weights, &config).unwrap();
    for count in [2, 3, 31, 32, 33, 100, 512] {
        let ids: Vec<u32> = (0..count).map(|index| 1000 + index * 7919 % 20_000).collect();
        let input = Tensor::new(&ids[..], &Device::Cpu).unwrap().unsqueeze(0).unwrap();
        let theirs = reference.forward(&input, &input.zeros_like().unwrap(), None).unwrap();
        let theirs: Vec<f32> = theirs.flatten_all().unwrap().to_vec1().unwrap();
        let mut scratch = Scratch::default();
        let window = Window::of_text(&ids);
        let ours = embedder.runner.network().forward(&[window], &mut scratch).unwrap();
        let worst = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 2e-4, "{count} tokens: off by {worst}");
    }
}

#[test]
fn what_the_network_cannot_take_is_refused() {
    let Some(embedder) = embedder() else { return };
    let mut scratch = Scratch::default();
    for window in [&[][..], &[101; 513], &[101, 30_522, 102]] {
        let window = Window::of_text(window);
        let error = embedder.runner.network().forward(&[window], &mut scratch).unwrap_err();
        assert_eq!(error.kind(), docent_core::ErrorKind::Invalid);
    }
}

#[test]
fn a_long_text_gets_windows_of_like_length_that_hold_every_token() {
    let Some(embedder) = embedder() else { return };
    for words in [0, 1, 253, 254, 255, 508, 509, 2_000] {
        let text = vec!["key"; words].join(" ");
        let tokens = embedder.tokenize(&[&text], InputRole::Passage).unwrap().remove(0);
        let lengths: Vec<usize> = tokens.windows().map(<[u32]>::len).collect();
        assert_eq!(lengths.len(), words.div_ceil(254).max(1));
        assert_eq!(lengths.iter().sum::<usize>(), words + 2 * lengths.len(), "nothing is cut");
        let (least, most) = (lengths.iter().min().unwrap(), lengths.iter().max().unwrap());
        assert!(*most <= 256 && most - least <= 1, "{lengths:?}");
    }
}

#[test]
fn the_fingerprint_names_what_vectors_depend_on() {
    let catalog = Catalog::builtin();
    let manifest = catalog.get(MODEL).unwrap();
    let settings = manifest.embedder.clone().unwrap();
    let usual = fingerprint(manifest, &settings).unwrap();
    assert!(usual.as_str().starts_with("all-minilm-l6-v2-53aa5117-mean-w256-"), "{usual}");
    let mut others = vec![usual];
    for change in [
        |s: &mut EmbedderManifest| s.window_tokens = 128,
        |s: &mut EmbedderManifest| s.pooling = Pooling::Cls,
        |s: &mut EmbedderManifest| s.query_prefix = "query: ".into(),
        |s: &mut EmbedderManifest| s.passage_prefix = "query: ".into(),
        |s: &mut EmbedderManifest| s.normalize = false,
    ] {
        let mut settings = settings.clone();
        change(&mut settings);
        let other = fingerprint(manifest, &settings).unwrap();
        assert!(!others.contains(&other), "{other} twice");
        others.push(other);
    }
}

#[test]
fn vectors_may_be_cut_off_and_stay_of_length_1() {
    let Some(files) = real(MODEL) else { return };
    let short = |dims| {
        BertEmbedder::load_with(&files, &BertOptions { dims: Some(dims), ..Default::default() })
    };
    let (whole, half) = (embedder().unwrap(), short(192).unwrap());
    assert_eq!(half.spec().dims, 192);
    assert_ne!(half.spec().fingerprint, whole.spec().fingerprint);
    let text = ["where is the key?"];
    let ours = half.embed(&text, InputRole::Query).unwrap().remove(0);
    let theirs = whole.embed(&text, InputRole::Query).unwrap().remove(0);
    assert_eq!(ours.first().len(), 192);
    assert!((cosine(ours.first(), &theirs.first()[..192]) - 1.0).abs() < 1e-6);
    assert!((ours.first().iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-5);
    assert_eq!(half.token_vectors(&text, InputRole::Query).unwrap()[0].len() % 384, 0);
    for dims in [0, 385] {
        let error = short(dims).unwrap_err();
        assert!(error.message().contains("take 1 to 384"), "{error}");
    }
}
