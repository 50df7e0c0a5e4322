//! Tiny random networks of each family beside what llama.cpp makes of them
//! (`tests/fixtures/decoders_reference.py`), and what holds for all.

use std::io::BufReader;
use std::path::{Path, PathBuf};

use candle_core::Device;
use candle_core::quantized::{GgmlDType, QTensor, gguf_file};
use serde::Deserialize;

use super::codes::Form;
use super::*;
use crate::FileRole;
use crate::catalog::tests::real;
use crate::gguf::{GgufHeader, GgufInfo};

const FAMILIES: [&str; 8] =
    ["llama", "llama3", "qwen2", "qwen3", "gemma3", "phi3", "phi3-long", "phi4-mini"];
/// The context that the reference was made with: what is longer than the original one of
/// `phi3-long` only.
const CONTEXT: usize = 512;
/// The end of an answer in the tiny networks.
const TINY_END: usize = 135;

#[derive(Deserialize)]
struct Case {
    prompt: Vec<u32>,
    next: Vec<u32>,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/decoders").join(name)
}

fn cases(name: &str) -> Vec<Case> {
    let text = fs_err::read_to_string(fixture(&format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn open(path: &Path, precision: Precision) -> Decoder {
    let mut file = BufReader::new(fs_err::File::open(path).unwrap());
    let content = Content::read(&mut file).unwrap();
    Decoder::load(&content, &mut file, CONTEXT, precision).unwrap()
}

fn read(decoder: &Decoder, tokens: &[u32], cache: &mut Cache, scratch: &mut Scratch) -> Vec<f32> {
    decoder.forward(&mut [Reading { tokens, cache }], scratch).unwrap().to_vec()
}

fn likeliest(scores: &[f32]) -> u32 {
    let best = (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b]).then(b.cmp(a)));
    best.unwrap() as u32
}

/// The `count` likeliest tokens after `prompt`. Those of
/// `ends` are left out, as in the reference.
fn follow(decoder: &Decoder, ends: &[usize], prompt: &[u32], count: usize) -> Vec<u32> {
    let (mut cache, mut scratch) = (decoder.cache(), Scratch::default());
    let mut scores = read(decoder, prompt, &mut cache, &mut scratch);
    let mut next = Vec::new();
    while next.len() < count {
        ends.iter().for_each(|end| scores[*end] = f32::MIN);
        next.push(likeliest(&scores));
        scores = read(decoder, &next[next.len() - 1..], &mut cache, &mut scratch);
    }
    next
}

#[test]
fn every_family_goes_on_as_llama_cpp_does() {
    for name in FAMILIES {
        let decoder = open(&fixture(&format!("{name}.gguf")), Precision::Fast);
        for (at, Case { prompt, next }) in cases(name).into_iter().enumerate() {
            let found = follow(&decoder, &[TINY_END], &prompt, next.len());
            assert_eq!(found, next, "{name}, prompt {at}");
        }
    }
}

#[test]
fn neither_pieces_nor_company_nor_cores_change_a_score() {
    for name in FAMILIES {
        let decoder = open(&fixture(&format!("{name}.gguf")), Precision::Fast);
        let prompts: Vec<Vec<u32>> = cases(name).into_iter().map(|case| case.prompt).collect();
        let mut scratch = Scratch::default();
        let alone = |prompt: &Vec<u32>, scratch: &mut Scratch, step: usize| {
            let mut cache = decoder.cache();
            let mut pieces = prompt.chunks(step);
            let last = pieces.next_back().unwrap();
            pieces.for_each(|piece| drop(read(&decoder, piece, &mut cache, scratch)));
            read(&decoder, last, &mut cache, scratch)
        };
        let expected: Vec<_> =
            prompts.iter().map(|prompt| alone(prompt, &mut scratch, 1000)).collect();
        for (prompt, expected) in prompts.iter().zip(&expected) {
            for step in [1, 5, 24, 33] {
                assert!(alone(prompt, &mut scratch, step) == *expected, "{name} in {step}s");
            }
        }
        let mut caches: Vec<Cache> = prompts.iter().map(|_| decoder.cache()).collect();
        let readings = prompts.iter().zip(&mut caches);
        let mut readings: Vec<_> =
            readings.map(|(tokens, cache)| Reading { tokens, cache }).collect();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let together = pool.install(|| decoder.forward(&mut readings, &mut scratch).unwrap());
        assert!(*together == expected.concat(), "{name} in company");
    }
}

#[test]
fn a_fork_leaves_its_origin_as_it_was() {
    let decoder = open(&fixture("llama.gguf"), Precision::Fast);
    let prompt = cases("llama").pop().unwrap().prompt;
    let (mut cache, mut scratch) = (decoder.cache(), Scratch::default());
    read(&decoder, &prompt[..90], &mut cache, &mut scratch);
    let mut fork = cache.fork(41);
    let forked = read(&decoder, &prompt[50..80], &mut fork, &mut scratch);
    let went_on = read(&decoder, &prompt[90..], &mut cache, &mut scratch);
    let anew = |tokens: &[u32], scratch: &mut Scratch| {
        read(&decoder, tokens, &mut decoder.cache(), scratch)
    };
    assert!(went_on == anew(&prompt, &mut scratch));
    assert!(forked == anew(&[&prompt[..41], &prompt[50..80]].concat(), &mut scratch));
    // The first page is the same one still.
    assert_eq!(cache.pages().next(), fork.pages().next());
}

/// A copy of a model with its matrices in `dtype`.
fn requantised(name: &str, dtype: GgmlDType, path: &Path) {
    changed(name, path, |_, tensor| {
        let whole = tensor.shape().dims().last().unwrap().is_multiple_of(dtype.block_size());
        match tensor.rank() {
            2 if whole => {
                QTensor::quantize(&tensor.dequantize(&Device::Cpu).unwrap(), dtype).unwrap()
            }
            _ => tensor,
        }
    });
}

/// A copy of a model with some of its tensors changed; their names.
fn changed(name: &str, path: &Path, change: impl Fn(&str, QTensor) -> QTensor) -> Vec<String> {
    let mut file = BufReader::new(fs_err::File::open(fixture(name)).unwrap());
    let content = Content::read(&mut file).unwrap();
    let mut tensors = Vec::new();
    for name in content.tensor_infos.keys() {
        let tensor = content.tensor(&mut file, name, &Device::Cpu).unwrap();
        tensors.push((name.as_str(), change(name, tensor)));
    }
    let keys: Vec<_> = content.metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
    let tensors: Vec<_> = tensors.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let mut out = fs_err::File::create(path).unwrap();
    gguf_file::write(&mut out, &keys, &tensors).unwrap();
    content.tensor_infos.keys().cloned().collect()
}

#[test]
fn a_tensor_with_more_rows_or_columns_than_it_should_have_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.gguf");
    for file in ["llama.gguf", "phi4-mini.gguf", "gemma3.gguf"] {
        for name in changed(file, &path, |_, tensor| tensor) {
            for axis in [0, 1] {
                changed(file, &path, |of, tensor| {
                    let values = tensor.dequantize(&Device::Cpu).unwrap();
                    let longer = (of == name && axis < values.rank())
                        .then(|| candle_core::Tensor::cat(&[&values, &values], axis).unwrap());
                    longer.map_or(tensor, |longer| {
                        QTensor::quantize(&longer, GgmlDType::F32).unwrap()
                    })
                });
                let mut reader = BufReader::new(fs_err::File::open(&path).unwrap());
                let content = Content::read(&mut reader).unwrap();
                let loaded = Decoder::load(&content, &mut reader, CONTEXT, Precision::Fast);
                // A longer vocabulary is a vocabulary, where the output is made of it as well; a
                // vector has one axis.
                let is_fine = name == "token_embd.weight" && axis == 0 && file != "llama.gguf";
                let is_vector = content.tensor_infos[&name].shape.rank() == 1 && axis == 1;
                assert_eq!(loaded.is_ok(), is_fine || is_vector, "{file}: {name}, axis {axis}");
            }
        }
    }
}

#[test]
fn quantised_weights_score_nearly_as_their_values_in_f32() {
    use GgmlDType::{BF16, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.gguf");
    let prompts: Vec<Vec<u32>> = cases("llama").into_iter().map(|case| case.prompt).collect();
    for dtype in [Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, F16, BF16] {
        requantised("llama.gguf", dtype, &path);
        let [fast, exact] =
            [Precision::Fast, Precision::F32].map(|precision| open(&path, precision));
        let mut scratch = Scratch::default();
        for prompt in &prompts {
            let [fast, exact] = [&fast, &exact]
                .map(|decoder| read(decoder, prompt, &mut decoder.cache(), &mut scratch));
            let off = fast.iter().zip(&exact).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
            let size = exact.iter().map(|score| score.powi(2)).sum::<f32>();
            // Activations in 8 bits, which tell in a network this small; numbers lose nothing.
            let most = if Form::of(dtype).is_some() { 0.15 } else { 1e-6 };
            assert!((off / size).sqrt() < most, "{dtype:?}: {}", (off / size).sqrt());
        }
    }
}

#[test]
fn a_token_beyond_the_vocabulary_is_refused_and_nothing_read() {
    let decoder = open(&fixture("llama.gguf"), Precision::Fast);
    let (mut cache, mut scratch) = (decoder.cache(), Scratch::default());
    for tokens in [&[][..], &[1, 136]] {
        let mut readings = [Reading { tokens, cache: &mut cache }];
        assert!(decoder.forward(&mut readings, &mut scratch).is_err());
    }
    assert_eq!(cache.len(), 0);
}

/// Whatever a byte of the header becomes, loading ends in weights or an error.
#[test]
fn a_damaged_file_is_an_error_and_no_panic() {
    let bytes = fs_err::read(fixture("phi4-mini.gguf")).unwrap();
    let header = 6000.min(bytes.len());
    for at in (0..header).step_by(7) {
        for value in [0, 0xff, bytes[at] ^ 1] {
            let mut damaged = bytes.clone();
            damaged[at] = value;
            let mut file = std::io::Cursor::new(&damaged);
            let Ok(content) = Content::read(&mut file) else { continue };
            let Ok(decoder) = Decoder::load(&content, &mut file, CONTEXT, Precision::Fast) else {
                continue;
            };
            let mut cache = decoder.cache();
            let mut readings = [Reading { tokens: &[1, 2, 3], cache: &mut cache }];
            let _ = decoder.forward(&mut readings, &mut Scratch::default());
        }
    }
}

#[test]
fn a_file_is_said_to_need_the_memory_that_its_weights_take() {
    let Some(files) = real("SmolLM2-135M-Instruct") else { return };
    let path = files.path(FileRole::Weights).unwrap();
    let told = GgufInfo::of(&GgufHeader::read(path).unwrap()).memory.weights_bytes as f64;
    let taken = open(path, Precision::Fast).weight_bytes() as f64;
    assert!((told / taken - 1.0).abs() < 0.01, "{told} is not {taken}");
}

/// With the values of its weights in f32; in 8 bits some of its many near ties fall otherwise, in
/// llama.cpp as here.
#[test]
fn a_real_model_goes_on_as_llama_cpp_does() {
    let Some(files) = real("SmolLM2-135M-Instruct") else { return };
    let path = files.path(FileRole::Weights).unwrap().to_path_buf();
    let decoder = open(&path, Precision::F32);
    // <|im_end|> and <|endoftext|>, its two ends.
    const ENDS: [usize; 2] = [2, 0];
    for (at, Case { prompt, next }) in cases("SmolLM2-135M-Instruct").into_iter().enumerate() {
        let found = follow(&decoder, &ENDS, &prompt, next.len());
        assert_eq!(found, next, "prompt {at}");
    }
}
