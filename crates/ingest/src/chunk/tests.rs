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

/// Chunks of lines that begin with `#` (the names of a table's columns), `|` (a row) or neither.
fn of_lines(lines: &[String], size: u32, overlap: u32) -> (Clean, Vec<Chunk>) {
    let lines = lines.iter().map(|line| match line.as_bytes().first() {
        Some(b'#') => Line::new(line, LineKind::Header),
        Some(b'|') => Line { starts_paragraph: false, ..Line::new(line, LineKind::Row) },
        _ => Line::new(line, LineKind::Text),
    });
    let page = Page { number: 1, lines: lines.collect(), quality: 1.0 };
    let document = Document { title: None, pages: vec![page], flow: Flow::Lines, warnings: vec![] };
    let clean = clean(&document);
    let chunks = chunk(&clean, ChunkingStrategy::new(size, overlap).unwrap());
    (clean, chunks)
}

fn numbered_rows(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|n| format!("| station {n} | {} | north", n * 37))
}

#[test]
fn every_chunk_of_a_table_begins_with_the_names_of_its_columns() {
    let mut lines = vec!["All stations:".to_owned(), "# name | depth | side".to_owned()];
    lines.extend(numbered_rows(200));
    lines.push("That was all.".to_owned());
    let (clean, chunks) = of_lines(&lines, 100, 50);
    assert!(chunks.len() > 10);
    assert!(chunks[0].text.starts_with("All stations:\n# name | depth | side\n| station 0 |"));
    for chunk in &chunks[1..] {
        assert!(chunk.text.starts_with("# name | depth | side\n| station"), "{}", chunk.text);
    }
    // Each row is whole and in one chunk only.
    let rows: Vec<&str> = chunks
        .iter()
        .flat_map(|chunk| chunk.text.lines().filter(|line| line.starts_with('|')))
        .collect();
    assert_eq!(rows, numbered_rows(200).collect::<Vec<_>>());
    assert!(chunks.last().unwrap().text.ends_with("north\nThat was all."));
    assert_eq!(clean.tables.len(), 1);
}

#[test]
fn a_row_that_no_chunk_can_hold_is_cut_and_each_part_says_the_names() {
    let long = format!("| {}", vec!["word"; 600].join(" "));
    let lines = ["# name | depth".to_owned(), "| a | 1".to_owned(), long, "| b | 2".to_owned()];
    let (_, chunks) = of_lines(&lines, 200, 100);
    assert!(chunks.iter().all(|chunk| chunk.text.starts_with("# name | depth\n")));
    let words: usize = chunks.iter().map(|chunk| chunk.text.matches("word").count()).sum();
    assert_eq!(words, 600);
    // Names that would fill the chunk are said once.
    let names = format!("# {}", vec!["column"; 120].join(" | "));
    let (_, chunks) = of_lines(&[vec![names], numbered_rows(60).collect()].concat(), 200, 0);
    assert!(chunks.len() > 3 && !chunks[2].text.contains("column"));
}

#[test]
fn small_tables_and_the_prose_around_them_share_a_chunk() {
    let lines = ["one", "# a | b", "| 1 | 2", "two", "# c | d", "| 3 | 4", "three"];
    let (clean, chunks) = of_lines(&lines.map(str::to_owned), 100, 50);
    assert_eq!(chunks.len(), 1);
    assert_eq!(chunks[0].text, clean.text);
}

#[test]
fn source_code_is_cut_between_functions() {
    let function = |n: usize| format!("def f{n}(x):\n    y = x + {n}\n\n    return y * {n}\n\n\n");
    let source: String = (0..40).map(function).collect();
    let lines = source.lines().map(|line| Line::new(line, LineKind::Code)).collect();
    let page = Page { number: 1, lines, quality: 1.0 };
    let document =
        Document { title: None, pages: vec![page], flow: Flow::Source, warnings: vec![] };
    let clean = clean(&document);
    let chunks = chunk(&clean, ChunkingStrategy::new(100, 50).unwrap());
    assert!(chunks.len() > 3);
    for chunk in &chunks {
        assert!(chunk.text.starts_with("def f"), "{}", chunk.text);
        assert!(chunk.tokens <= 100);
    }
    assert_eq!(laid_out(&chunks), clean.text);
}

proptest! {
    #[test]
    fn tables_keep_the_bounds_of_chunks(
        lines in prop::collection::vec("[#|]?[a-z0-9 |中\u{301}]{0,60}|[#|] [a-z ]{200,900}", 0..60),
        size in 100u32..300,
        overlap_share in 0u32..=50,
    ) {
        let (clean, chunks) = of_lines(&lines, size, size * overlap_share / 100);
        prop_assert_eq!(chunks.is_empty(), clean.text.is_empty());
        for chunk in &chunks {
            prop_assert_eq!(chunk.tokens as usize, o200k_base().count(chunk.text.as_str()));
            prop_assert!(chunk.tokens <= size, "{} tokens in a chunk of {size}", chunk.tokens);
        }
        // The pieces cover the text; names are said again only where nothing is shared.
        let pieces = pieces(&clean, ChunkingStrategy::new(size, size * overlap_share / 100).unwrap());
        let mut covered = 0;
        for piece in &pieces {
            prop_assert!(piece.range.start <= covered && piece.range.end > covered);
            prop_assert!(piece.header.is_none() || piece.range.start == covered);
            covered = piece.range.end;
        }
        prop_assert_eq!(covered, clean.text.len());
        let names = |piece: &Piece| piece.header.as_ref().map_or(0, |names| names.len() + 1);
        let repeated: usize = pieces.iter().map(names).sum();
        prop_assert_eq!(laid_out(&chunks).len(), clean.text.len() + repeated);
        for row in clean.tables.iter().flat_map(|table| &table.rows) {
            let fits = o200k_base().count(&clean.text[row.clone()]) < size as usize;
            let is_whole = |piece: &Piece| piece.range.start <= row.start && row.end <= piece.range.end;
            prop_assert!(!fits || pieces.iter().any(is_whole), "a row is cut");
        }
    }

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
