use std::io::Cursor;

use docent_core::ErrorKind;
use proptest::prelude::*;

use super::*;

/// A GGUF file, written by hand.
#[derive(Clone)]
pub(crate) struct Written {
    keys: u64,
    metadata: Vec<u8>,
    tensors: Vec<(String, Vec<u64>, u32)>,
}

fn string(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

impl Written {
    pub(crate) fn new() -> Self {
        Self { keys: 0, metadata: vec![], tensors: vec![] }
    }

    /// A small chat model: two layers, four query heads on two pairs of keys and values.
    pub(crate) fn chat_model() -> Self {
        Self::new()
            .text("general.architecture", "llama")
            .text("general.name", "Tiny")
            .text("general.license", "apache-2.0")
            .number("llama.context_length", 512)
            .number("llama.block_count", 2)
            .number("llama.embedding_length", 64)
            .number("llama.attention.head_count", 4)
            .number("llama.attention.head_count_kv", 2)
            .text("tokenizer.ggml.model", "gpt2")
            .texts("tokenizer.ggml.tokens", &["<s>", "a", "b"])
            .text("tokenizer.chat_template", "{{ message['role'] }}{% if tools %}{% endif %}")
            .tensor("token_embd.weight", &[64, 3], 3)
            .tensor("blk.0.attn_q.weight", &[64, 64], 3)
            .tensor("output_norm.weight", &[64], 0)
    }

    fn key(mut self, key: &str, kind: u32, value: &[u8]) -> Self {
        self.keys += 1;
        self.metadata.extend(string(key));
        self.metadata.extend(kind.to_le_bytes());
        self.metadata.extend(value);
        self
    }

    pub(crate) fn text(self, key: &str, text: &str) -> Self {
        self.key(key, 8, &string(text))
    }

    fn number(self, key: &str, number: u32) -> Self {
        self.key(key, 4, &number.to_le_bytes())
    }

    fn texts(self, key: &str, texts: &[&str]) -> Self {
        let mut value = 8u32.to_le_bytes().to_vec();
        value.extend((texts.len() as u64).to_le_bytes());
        texts.iter().for_each(|text| value.extend(string(text)));
        self.key(key, 9, &value)
    }

    fn tensor(mut self, name: &str, sizes: &[u64], kind: u32) -> Self {
        self.tensors.push((name.into(), sizes.into(), kind));
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"GGUF\x03\0\0\0".to_vec();
        bytes.extend((self.tensors.len() as u64).to_le_bytes());
        bytes.extend(self.keys.to_le_bytes());
        bytes.extend(&self.metadata);
        let mut offset = 0u64;
        for (name, sizes, kind) in &self.tensors {
            bytes.extend(string(name));
            bytes.extend((sizes.len() as u32).to_le_bytes());
            sizes.iter().for_each(|size| bytes.extend(size.to_le_bytes()));
            bytes.extend(kind.to_le_bytes());
            bytes.extend(offset.to_le_bytes());
            let length = TensorType(*kind).bytes_of(sizes.iter().product()).unwrap_or(0);
            offset += length.next_multiple_of(32);
        }
        bytes.resize(bytes.len().next_multiple_of(32) + offset as usize, 0);
        bytes
    }
}

fn parse(bytes: &[u8]) -> Result<GgufHeader> {
    GgufHeader::parse(Cursor::new(bytes), bytes.len() as u64)
}

#[track_caller]
fn refused(bytes: &[u8]) -> String {
    parse(bytes).unwrap_err().to_string()
}

#[test]
fn a_header_says_what_the_model_is_and_needs() {
    let header = parse(&Written::chat_model().bytes()).unwrap();
    header.check_chat_model().unwrap();
    let info = GgufInfo::of(&header);
    assert_eq!((info.architecture.as_str(), info.name.as_deref()), ("llama", Some("Tiny")));
    assert_eq!((info.context_tokens, info.layers, info.vocabulary), (Some(512), Some(2), Some(3)));
    assert_eq!((info.heads, info.kv_heads), (Some(4), Some(2)));
    assert_eq!(info.license.as_deref(), Some("apache-2.0"));
    assert_eq!(info.chat_template, Some(ChatTemplate { system_role: true, tools: true }));
    assert_eq!(info.parameters, 64 * 3 + 64 * 64 + 64);
    assert_eq!((info.main_quantization(), info.quantization[0].tensors), ("Q4_1", 2));
    // Blocks of Q4_1 have a scale and a minimum; the norm is in f32; two layers with two heads of 16
    // for keys and as many for values.
    assert_eq!(info.memory.weights_bytes, (64 * 3 + 64 * 64) / 32 * 24 + 64 * 4);
    assert_eq!(info.memory.cache_bytes_per_token, 2 * 2 * (16 + 16) * 2);
    assert_eq!(info.memory.bytes_for(10), info.memory.weights_bytes + 2560);
}

#[test]
fn templates_are_told_apart_by_what_they_name() {
    let told = |text| {
        let written = Written::chat_model().text("tokenizer.chat_template", text);
        let template = GgufInfo::of(&parse(&written.bytes()).unwrap()).chat_template.unwrap();
        (template.system_role, template.tools)
    };
    assert_eq!(told("{{ raise_exception('System role not supported') }}"), (false, false));
    assert_eq!(told("{{ '<|' + message.role }}"), (true, false));
    assert_eq!(told("{% if role == 'system' %}{{ tools }}"), (true, true));
    assert_eq!(told("[INST] {{ prompt }}"), (false, false));
}

#[test]
fn what_cannot_chat_is_refused_with_the_reason() {
    let cases = [
        (Written::new(), "architecture"),
        (Written::new().text("general.architecture", "nomic-bert"), "embedder"),
        (Written::new().text("general.architecture", "clip"), "no tokenizer"),
        (Written::chat_model().tensor("blk.1.ffn_up.weight", &[256], 23), "IQ4_XS"),
        (Written::chat_model().tensor("blk.1.ffn_up.weight", &[256], 99), "type 99"),
        (Written::chat_model().number("split.count", 3).number("split.no", 1), "part 2 of 3"),
    ];
    for (written, says) in cases {
        let error = parse(&written.bytes()).unwrap().check_chat_model().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.message().contains(says), "{error}");
    }
}

#[test]
fn a_file_that_is_something_else_is_told() {
    assert!(refused(b"").contains("no GGUF file"));
    assert!(refused(b"PK\x03\x04 a zip archive").contains("no GGUF file"));
    assert!(refused(b"GGUF\x09\0\0\0").contains("version 9"));
    assert!(refused(b"GGUF\0\0\0\x03").contains("big-endian"));
}

#[test]
fn a_file_that_is_cut_off_is_told_wherever_it_is() {
    let bytes = Written::chat_model().bytes();
    for length in 8..bytes.len() - 32 {
        let error = parse(&bytes[..length]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{length}: {error}");
    }
    assert!(refused(&bytes[..bytes.len() - 100]).contains("output_norm.weight"));
}

#[test]
fn claims_that_cannot_be_are_refused_before_anything_is_made_for_them() {
    let head = |tensors: u64, keys: u64| {
        let mut bytes = b"GGUF\x03\0\0\0".to_vec();
        bytes.extend(tensors.to_le_bytes());
        bytes.extend(keys.to_le_bytes());
        bytes.resize(4096, 0);
        bytes
    };
    assert!(refused(&head(u64::MAX, 0)).contains("tensors"));
    assert!(refused(&head(0, 1 << 40)).contains("keys"));
    let mut text = Written::new().key("t", 8, &u64::MAX.to_le_bytes()).bytes();
    text.resize(text.len() + 100, 0);
    assert!(refused(&text).contains("cut off"));
    let mut array = 8u32.to_le_bytes().to_vec();
    array.extend((1u64 << 60).to_le_bytes());
    assert!(refused(&Written::new().key("a", 9, &array).bytes()).contains("array"));
    // Each level is an array of one array.
    let mut nested = Vec::new();
    for _ in 0..1000 {
        nested.extend(9u32.to_le_bytes());
        nested.extend(1u64.to_le_bytes());
    }
    assert!(refused(&Written::new().key("n", 9, &nested).bytes()).contains("arrays in arrays"));
    let huge = Written::new().tensor("x", &[], 0).bytes();
    let mut sizes = huge.clone();
    let at = sizes.windows(9).position(|it| it == [1, 0, 0, 0, 0, 0, 0, 0, b'x']).unwrap() + 9;
    sizes.splice(at..at + 4, 3u32.to_le_bytes());
    sizes.splice(at + 4..at + 4, [[255u8; 8]; 3].concat());
    assert!(refused(&sizes).contains("sizes"));
}

#[test]
fn of_a_long_array_only_the_beginning_is_kept() {
    let texts = vec!["token"; 5000];
    let header = parse(&Written::new().texts("tokens", &texts).bytes()).unwrap();
    let GgufValue::Array { length, first } = &header.metadata["tokens"] else { panic!() };
    assert_eq!((*length, first.len()), (5000, 256));
    let mut numbers = 6u32.to_le_bytes().to_vec();
    numbers.extend(3000u64.to_le_bytes());
    numbers.resize(numbers.len() + 3000 * 4, 0);
    let written = Written::new().key("scores", 9, &numbers).number("after", 7);
    assert_eq!(parse(&written.bytes()).unwrap().number("after"), Some(7));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        changes in prop::collection::vec((0usize..700, any::<u8>()), 1..12), cut in 0usize..700
    ) {
        let mut bytes = Written::chat_model().bytes();
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        bytes.truncate(bytes.len().saturating_sub(cut % 64));
        if let Ok(header) = parse(&bytes) {
            let info = GgufInfo::of(&header);
            let _ = (header.check_chat_model(), info.memory.bytes_for(u64::MAX));
        }
    }
}
