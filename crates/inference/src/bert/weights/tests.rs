use std::collections::HashMap;
use std::path::PathBuf;

use candle_core::quantized::gguf_file::Value;
use candle_core::quantized::{GgmlDType, QTensor, gguf_file};
use candle_core::{Device, Tensor};
use docent_core::ErrorKind;

use super::names::{GGUF, HUGGING_FACE, Names};
use super::*;
use crate::bert::Scratch;
use crate::e5s1::E5s1;
use crate::e5s1::tests::{FEED_FORWARD, HIDDEN, POSITIONS, Tiny, WORDS, written};
use crate::network::{Network, Window};

const CONFIG: &str = r#"{"hidden_size":32,"intermediate_size":64,"num_attention_heads":2,
    "num_hidden_layers":1,"max_position_embeddings":16,"vocab_size":8,"layer_norm_eps":1e-12,
    "hidden_act":"gelu","model_type":"bert"}"#;

/// What the tiny network says of a few tokens.
fn vectors(bert: &Bert) -> Vec<f32> {
    let mut scratch = Scratch::default();
    let windows = [&[0, 5, 7, 2][..], &[0, 6, 2]].map(Window::of_text);
    bert.forward(&windows, &mut scratch).unwrap().to_vec()
}

/// The tiny network's tensors with their shapes, under another format's names.
fn renamed(names: &Names) -> Vec<(String, QTensor)> {
    let mut file = E5s1::open(written(&Tiny::default().bytes()).path()).unwrap();
    let old = &super::names::E5S1;
    let layer = |names: &Names, part: &str| format!("{}.{part}", names.layer.replace("{}", "0"));
    let mut pairs: Vec<(String, String, Vec<usize>)> = vec![
        (old.words.into(), names.words.into(), vec![WORDS, HIDDEN]),
        (old.positions.into(), names.positions.into(), vec![POSITIONS, HIDDEN]),
        (old.token_types.into(), names.token_types.into(), vec![2, HIDDEN]),
    ];
    let mut both = |from: &str, to: &str, shape: &[usize]| {
        let name = |name: &str, end: &str| format!("{name}.{end}");
        pairs.push((name(from, old.weight), name(to, names.weight), shape.to_vec()));
        pairs.push((name(from, old.bias), name(to, names.bias), shape[..1].to_vec()));
    };
    both(old.embedding_norm, names.embedding_norm, &[HIDDEN]);
    for (part, shape) in [
        ((|n| n.query_key_value[0]) as fn(&Names) -> &str, &[HIDDEN, HIDDEN][..]),
        (|n| n.query_key_value[1], &[HIDDEN, HIDDEN]),
        (|n| n.query_key_value[2], &[HIDDEN, HIDDEN]),
        (|n| n.attention_output, &[HIDDEN, HIDDEN]),
        (|n| n.attention_norm, &[HIDDEN]),
        (|n| n.intermediate, &[FEED_FORWARD, HIDDEN]),
        (|n| n.output, &[HIDDEN, FEED_FORWARD]),
        (|n| n.output_norm, &[HIDDEN]),
    ] {
        both(&layer(old, part(old)), &layer(names, part(names)), shape);
    }
    let tensor =
        |(from, to, shape): (String, String, Vec<usize>)| (to, file.tensor(&from, &shape).unwrap());
    pairs.into_iter().map(tensor).collect()
}

fn plain(tensor: &QTensor) -> Tensor {
    tensor.dequantize(&Device::Cpu).unwrap()
}

fn gguf(architecture: &str, tensors: &[(String, QTensor)]) -> Vec<u8> {
    let number = |value: usize| Value::U32(value as u32);
    let metadata = [
        ("general.architecture", Value::String(architecture.to_owned())),
        ("bert.embedding_length", number(HIDDEN)),
        ("bert.feed_forward_length", number(FEED_FORWARD)),
        ("bert.attention.head_count", number(2)),
        ("bert.block_count", number(1)),
        ("bert.attention.layer_norm_epsilon", Value::F32(1e-12)),
    ];
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(key, value)| (*key, value)).collect();
    let tensors: Vec<(&str, &QTensor)> =
        tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let mut file = std::io::Cursor::new(Vec::new());
    gguf_file::write(&mut file, &metadata, &tensors).unwrap();
    file.into_inner()
}

/// A safetensors file and its configuration in a directory.
fn safetensors(
    tensors: HashMap<String, Tensor>,
    config: &str,
) -> (tempfile::TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let (weights, text) = (dir.path().join("m.safetensors"), dir.path().join("config.json"));
    candle_core::safetensors::save(&tensors, &weights).unwrap();
    fs_err::write(&text, config).unwrap();
    (dir, weights, text)
}

#[test]
fn every_form_of_the_same_weights_gives_the_same_vectors() {
    let tiny = written(&Tiny::default().bytes());
    let expected = vectors(&load(tiny.path(), None).unwrap());
    assert!(expected.iter().any(|value| value.abs() > 0.1), "{expected:?}");

    let blocks = written(&gguf("bert", &renamed(&GGUF)));
    assert_eq!(vectors(&load(blocks.path(), None).unwrap()), expected);
    let f32s: Vec<(String, QTensor)> = renamed(&GGUF)
        .iter()
        .map(|(name, tensor)| {
            (name.clone(), QTensor::quantize(&plain(tensor), GgmlDType::F32).unwrap())
        })
        .collect();
    let f32s = written(&gguf("bert", &f32s));
    let unpacked = vectors(&load(f32s.path(), None).unwrap());
    assert_close(&unpacked, &expected);

    let tensors: HashMap<String, Tensor> = renamed(&HUGGING_FACE)
        .iter()
        .map(|(name, tensor)| {
            (format!("bert.{}", name.replace("LayerNorm.weight", "LayerNorm.gamma")), plain(tensor))
        })
        .collect();
    let (_dir, weights, config) = safetensors(tensors, CONFIG);
    assert_eq!(vectors(&load(&weights, Some(&config)).unwrap()), unpacked);
}

/// As much as rounding activations to 8 bits may do to a network this small.
#[track_caller]
fn assert_close(ours: &[f32], expected: &[f32]) {
    for (ours, expected) in ours.chunks_exact(HIDDEN).zip(expected.chunks_exact(HIDDEN)) {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let cosine = dot(ours, expected) / (dot(ours, ours) * dot(expected, expected)).sqrt();
        assert!(cosine > 0.9995, "{cosine}: {ours:?} is not {expected:?}");
    }
}

#[test]
fn xlm_robertas_positions_begin_after_the_padding_token() {
    let tiny = written(&Tiny::default().bytes());
    let expected = vectors(&load(tiny.path(), None).unwrap());
    let shifted = |(name, tensor): &(String, QTensor)| {
        let tensor = plain(tensor);
        let tensor = match name == HUGGING_FACE.positions {
            false => tensor,
            true => {
                let unused = Tensor::full(9.0_f32, (2, HIDDEN), &Device::Cpu).unwrap();
                Tensor::cat(&[unused, tensor], 0).unwrap()
            }
        };
        (format!("roberta.{name}"), tensor)
    };
    let tensors: HashMap<String, Tensor> = renamed(&HUGGING_FACE).iter().map(shifted).collect();
    let config = CONFIG.replace(r#""bert""#, r#""xlm-roberta""#).replace("16", "18");
    let (_dir, weights, config) = safetensors(tensors, &config);
    let bert = load(&weights, Some(&config)).unwrap();
    assert_eq!(bert.max_window(), 16);
    assert_close(&vectors(&bert), &expected);
}

#[test]
fn what_is_no_network_of_ours_is_refused_with_the_reason() {
    let refused = |bytes: &[u8], says: &str| {
        let file = written(bytes);
        let error = load(file.path(), None).unwrap_err();
        assert!(error.message().contains(says), "{says:?} is not in {error}");
        assert!(error.message().contains(&file.path().display().to_string()), "{error}");
    };
    let tensors = renamed(&GGUF);
    let whole = gguf("bert", &tensors);
    refused(b"", "must name a config");
    refused(b"GGUF", "no GGUF file");
    refused(&whole[..whole.len() / 2], "");
    refused(&whole[..whole.len() - 64], "cannot be read");
    refused(&gguf("nomic-bert", &tensors), "'nomic-bert'");
    refused(&gguf("bert", &tensors[1..]), "token_embd.weight");
    refused(&gguf("bert", &tensors[..tensors.len() - 1]), "layer_output_norm.bias");
    let mut tiny = Tiny::default();
    tiny.tensors.retain(|(name, ..)| name != "l0.fo.w");
    refused(&tiny.bytes(), "no tensor l0.fo.w");
}

#[test]
fn a_gguf_file_that_trips_candle_is_corrupt() {
    let mut bytes = gguf("bert", &renamed(&GGUF));
    // The only key of its length becomes the alignment, and its number 0.
    let key = b"bert.block_count";
    let place = bytes.windows(key.len()).position(|found| found == key).unwrap();
    bytes[place..place + key.len()].copy_from_slice(b"general.alignmen");
    let mut longer = bytes[..place - 8].to_vec();
    longer.extend(17_u64.to_le_bytes());
    longer.extend(b"general.alignment");
    longer.extend(4_u32.to_le_bytes());
    longer.extend(0_u32.to_le_bytes());
    longer.extend(&bytes[place + key.len() + 8..]);
    let error = load(written(&longer).path(), None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}
