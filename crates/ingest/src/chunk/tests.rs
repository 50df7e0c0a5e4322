use bpe_openai::o200k_base;
use proptest::prelude::*;

use super::*;
use crate::{Document, Flow, Line, LineKind, Page, clean};

fn of(text: &str, size: u32, overlap: u32) -> (Clean, Vec<Chunk>) {
    let pages = (1..)
        .zip(text.split('\u{c}'))
        .map(|(number, page)| {
            let lines = page.lines().map(|line| Line::new(line, LineKind::Text)).collect();
            Page { number, lines, quality: 1.0 }
        })
        .collect();
    let document = Document { title: None, pages, flow: Flow::Lines, warnings: vec![] };
    let clean = clean(&document);
    let chunks = chunk(&clean, ChunkingStrategy::new(size, overlap).unwrap());
    (clean, chunks)
}

#[test]
fn windows_of_plain_words_are_exact() {
    let text = vec!["four"; 1000].join(" ");
    let (_, chunks) = of(&text, 200, 100);
    assert!(chunks[..chunks.len() - 1].iter().all(|chunk| chunk.tokens == 200));
    let steps: Vec<u64> = chunks.windows(2).map(|pair| pair[1].start - pair[0].start).collect();
    // The first word has no space before it.
    assert_eq!(steps, [vec![499], vec![500; chunks.len() - 2]].concat());
}

#[test]
fn a_short_text_is_one_chunk_and_an_empty_one_none() {
    assert_eq!(of("short", 800, 400).1.len(), 1);
    assert_eq!(of(" \n ", 800, 400).1, []);
}

#[test]
fn a_chunk_knows_its_pages() {
    let page = vec!["water"; 150].join(" ");
    let (clean, chunks) = of(&[page.as_str(); 3].join("\u{c}"), 200, 100);
    for chunk in &chunks {
        for offset in 0..chunk.text.len() {
            let expected = clean.map.origin(chunk.start as usize + offset).page;
            assert_eq!(chunk.page_at(offset), expected);
        }
    }
    assert_eq!(chunks[0].pages.len(), 2);
}

#[test]
fn a_megabyte_of_one_letter_or_of_spaces_is_cut_in_linear_time() {
    for text in ["a".repeat(1 << 20), format!("a{}b", " ".repeat(1 << 20)), "中".repeat(1 << 18)] {
        let (clean, chunks) = of(&text, 800, 400);
        let end = chunks.last().map(|chunk| chunk.start as usize + chunk.text.len());
        assert_eq!(end, Some(clean.text.len()));
    }
}

proptest! {
    #[test]
    fn chunks_cover_the_text_and_overlap_as_promised(
        words in prop::collection::vec("[a-zA-Z0-9 '.,äöü中文🦀\u{301}\u{200d}\n]{1,20}|\\PC{1,6}|\u{c}", 0..400),
        size in 100u32..300,
        overlap_share in 0u32..=50,
    ) {
        let overlap = size * overlap_share / 100;
        let (clean, chunks) = of(&words.concat(), size, overlap);
        prop_assert_eq!(chunks.is_empty(), clean.text.is_empty());
        let mut covered = 0;
        for (ordinal, chunk) in chunks.iter().enumerate() {
            let (start, end) = (chunk.start as usize, chunk.start as usize + chunk.text.len());
            prop_assert_eq!(chunk.ordinal as usize, ordinal);
            prop_assert_eq!(&clean.text[start..end], chunk.text.as_str());
            prop_assert!(start <= covered && end > covered);
            prop_assert_eq!(chunk.tokens as usize, o200k_base().count(chunk.text.as_str()));
            prop_assert!(chunk.tokens <= size);
            if ordinal > 0 {
                let shared = o200k_base().count(&clean.text[start..covered]);
                // Cut out of its surroundings a text may count a few tokens more or less.
                prop_assert!(shared.abs_diff(overlap as usize) <= 4, "{shared} for {overlap}");
            }
            covered = end;
        }
        prop_assert_eq!(covered, clean.text.len());
    }
}
