use docent_core::ErrorKind;
use proptest::prelude::*;

use super::*;

/// A whole file of a network with 32 dimensions, 1 layer, 2 heads and 8 words.
pub(crate) struct Tiny {
    pub(crate) pieces: Vec<(&'static str, f32)>,
    pub(crate) replacements: Vec<(char, &'static str)>,
    /// Name, whether in blocks, bytes.
    pub(crate) tensors: Vec<(String, bool, Vec<u8>)>,
}

pub(crate) const HIDDEN: usize = 32;
pub(crate) const FEED_FORWARD: usize = 64;
pub(crate) const POSITIONS: usize = 16;
pub(crate) const WORDS: usize = 8;

impl Default for Tiny {
    fn default() -> Self {
        let blocks =
            |name: &str, count: usize, seed: u32| (name.to_owned(), true, q4_0(count, seed));
        let plain =
            |name: &str, count: usize, seed: u32| (name.to_owned(), false, f32s(count, seed));
        let mut tensors = vec![
            blocks("emb.word", WORDS * HIDDEN, 1),
            plain("emb.pos", POSITIONS * HIDDEN, 2),
            plain("emb.type", 2 * HIDDEN, 3),
        ];
        let norms = ["emb.ln", "l0.aln", "l0.oln"].into_iter().zip(10..);
        for (name, seed) in norms {
            tensors.push(plain(&format!("{name}.w"), HIDDEN, seed));
            tensors.push(plain(&format!("{name}.b"), HIDDEN, seed + 10));
        }
        let (wide, square) = (HIDDEN * FEED_FORWARD, HIDDEN * HIDDEN);
        let linears = [
            ("q", square),
            ("k", square),
            ("v", square),
            ("ao", square),
            ("fi", wide),
            ("fo", wide),
        ];
        for ((name, count), seed) in linears.into_iter().zip(30..) {
            let outputs = if name == "fi" { FEED_FORWARD } else { HIDDEN };
            tensors.push(blocks(&format!("l0.{name}.w"), count, seed));
            tensors.push(plain(&format!("l0.{name}.b"), outputs, seed + 10));
        }
        Self {
            pieces: vec![
                ("<s>", 0.0),
                ("<pad>", 0.0),
                ("</s>", 0.0),
                ("<unk>", 0.0),
                ("▁", -2.0),
                ("a", -3.0),
                ("▁a", -2.5),
                ("ab", -9.0),
            ],
            replacements: vec![('\t', " "), ('\u{7}', ""), ('ﬁ', "fi")],
            tensors,
        }
    }
}

impl Tiny {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut file = [&MAGIC[..], &VERSION.to_le_bytes()].concat();
        let sizes = [HIDDEN, 1, 2, FEED_FORWARD, WORDS, POSITIONS, 2];
        file.extend(sizes.iter().flat_map(|&size| (size as i32).to_le_bytes()));
        file.extend(1e-12_f32.to_le_bytes());
        let counts = [BLOCK, self.pieces.len() as u32, 0, 2, 1, 3];
        file.extend(counts.iter().flat_map(|count| count.to_le_bytes()));
        let text: String = self.pieces.iter().map(|(piece, _)| *piece).collect();
        file.extend((text.len() as u64).to_le_bytes());
        let mut start = 0_u32;
        file.extend(start.to_le_bytes());
        for (piece, _) in &self.pieces {
            start += piece.len() as u32;
            file.extend(start.to_le_bytes());
        }
        file.extend(self.pieces.iter().flat_map(|(_, score)| score.to_le_bytes()));
        file.extend(text.bytes());
        self.table(&mut file);
        self.tensors(&mut file);
        file
    }

    fn table(&self, file: &mut Vec<u8>) {
        let mut table = Vec::new();
        for (from, to) in &self.replacements {
            table.extend(u32::from(*from).to_le_bytes());
            table.push(to.chars().count() as u8);
            table.extend(to.chars().flat_map(|c| u32::from(c).to_le_bytes()));
        }
        file.extend((self.replacements.len() as u32).to_le_bytes());
        file.extend((table.len() as u32).to_le_bytes());
        file.extend(table);
    }

    fn tensors(&self, file: &mut Vec<u8>) {
        file.extend((self.tensors.len() as u32).to_le_bytes());
        let entries: usize = self.tensors.iter().map(|(name, ..)| 2 + name.len() + 21).sum();
        let mut offset = (file.len() + entries) as u64;
        for (name, blocks, bytes) in &self.tensors {
            let count = if *blocks { bytes.len() / 18 * 32 } else { bytes.len() / 4 };
            file.extend((name.len() as u16).to_le_bytes());
            file.extend(name.bytes());
            file.push(u8::from(*blocks));
            file.extend((count as u32).to_le_bytes());
            file.extend(offset.to_le_bytes());
            file.extend((bytes.len() as u64).to_le_bytes());
            offset += bytes.len() as u64;
        }
        file.extend(self.tensors.iter().flat_map(|(.., bytes)| bytes));
    }
}

fn noise(seed: u32) -> impl Iterator<Item = u32> {
    std::iter::successors(Some(seed.wrapping_mul(0x9E37_79B9) | 1), |&state| {
        let state = state ^ state << 13;
        let state = state ^ state >> 17;
        Some(state ^ state << 5)
    })
    .skip(4)
}

fn f32s(count: usize, seed: u32) -> Vec<u8> {
    let values = noise(seed).map(|bits| (bits >> 8) as f32 / (1 << 23) as f32 - 1.0);
    values.take(count).flat_map(f32::to_le_bytes).collect()
}

/// Blocks whose scale is 1/32.
fn q4_0(count: usize, seed: u32) -> Vec<u8> {
    let mut bytes = noise(seed).map(|bits| (bits >> 11) as u8);
    let mut block = |_| {
        let mut block = half::f16::from_f32(1.0 / 32.0).to_le_bytes().to_vec();
        block.extend(bytes.by_ref().take(16));
        block
    };
    (0..count / 32).flat_map(&mut block).collect()
}

pub(crate) fn written(bytes: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    file
}

#[test]
fn weights_are_unpacked_low_halves_first() {
    let tiny = Tiny::default();
    let mut file = E5s1::open(written(&tiny.bytes()).path()).unwrap();
    let tensor = file.tensor("emb.word", &[WORDS, HIDDEN]).unwrap();
    let rows: Vec<Vec<f32>> = tensor.dequantize(&Device::Cpu).unwrap().to_vec2().unwrap();
    for (row, block) in rows.iter().zip(tiny.tensors[0].2.chunks(18)) {
        for (index, byte) in block[2..].iter().enumerate() {
            let expected = [byte & 15, byte >> 4].map(|half| (f32::from(half) - 8.0) / 32.0);
            assert_eq!([row[index], row[index + 16]], expected);
        }
    }
    assert!(file.tensor("emb.word", &[WORDS, HIDDEN + 1]).unwrap_err().message().contains("fit"));
    assert!(file.tensor("emb.words", &[1]).unwrap_err().message().contains("no tensor emb.words"));
}

#[test]
fn a_broken_file_is_refused_with_the_reason() {
    let whole = Tiny::default().bytes();
    let cases = [
        (0, &b"GGUF"[..], "does not begin"),
        (4, &[2], "version"),
        (8, &[0, 0, 0, 255], "hidden size"),
        (40, &[64], "blocks"),
        (44, &[0, 0, 0, 1], "too early"),
        (60, &[9], "id of <unk>"),
        (48, &[9], "id of <s>"),
        (64, &[0, 0, 0, 0, 0, 0, 0, 255], "too early"),
        (72, &[255], "one after another"),
    ];
    for (at, bytes, says) in cases {
        let mut broken = whole.clone();
        broken[at..at + bytes.len()].copy_from_slice(bytes);
        let file = written(&broken);
        let error = E5s1::open(file.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.message().contains(says), "byte {at}: {error}");
        assert!(error.message().contains(&file.path().display().to_string()), "{error}");
    }
    for length in 0..whole.len() {
        let error = E5s1::open(written(&whole[..length]).path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{length} bytes: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_file_makes_us_panic(place in 0usize..2_000, byte in any::<u8>(), other in any::<u8>()) {
        let mut bytes = Tiny::default().bytes();
        let length = bytes.len();
        bytes[place % length] = byte;
        bytes[place * 7 % 400] = other;
        if let Ok(mut file) = E5s1::open(written(&bytes).path()) {
            for (name, ..) in Tiny::default().tensors {
                let _ = file.tensor(&name, &[HIDDEN, HIDDEN]);
            }
        }
    }
}
