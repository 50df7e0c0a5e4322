use proptest::prelude::*;

use super::*;
use crate::{Bounds, Page};

fn printed(text: &str, baseline: f32, starts_paragraph: bool) -> Line {
    let bounds = Bounds { left: 50.0, right: 500.0, baseline, size: 10.0 };
    Line { text: text.into(), kind: LineKind::Text, starts_paragraph, bounds: Some(bounds) }
}

fn document(pages: Vec<Vec<Line>>, flow: Flow) -> Document {
    let pages =
        (1..).zip(pages).map(|(number, lines)| Page { number, lines, quality: 1.0 }).collect();
    Document { title: None, pages, flow, warnings: vec![] }
}

#[test]
fn printed_lines_become_paragraphs_of_plain_characters() {
    let lines = vec![
        printed("The ﬁrst docu-", 100.0, true),
        printed("ment’s  text\u{a0}is Ｗide.", 112.0, false),
        printed("⻓⽂。", 136.0, true),
    ];
    let clean = clean(&document(vec![lines], Flow::Paragraphs));
    assert_eq!(clean.text, "The first document’s text is Wide.\n长文。");
    assert_eq!(clean.map.origin(4), Origin { page: 1, raw: 4 });
    let at = clean.text.find("Wide").unwrap();
    assert_eq!(clean.map.origin(at).raw, "The ﬁrst docu-\nment’s  text\u{a0}is ".len() as u64);
}

fn row(text: &str, kind: LineKind, baseline: f32, starts_paragraph: bool) -> Line {
    Line { kind, ..printed(text, baseline, starts_paragraph) }
}

#[test]
fn printed_rows_stay_lines_and_the_lines_of_their_cells_are_joined() {
    let lines = vec![
        row("Name | Note", LineKind::Header, 100.0, true),
        row(
            "a | a docu-\u{2028}ment that\u{2028}ﬁts |  | 中\u{2028}文",
            LineKind::Row,
            112.0,
            false,
        ),
        row("b | of the document | x", LineKind::Row, 124.0, false),
        printed("Text.", 136.0, true),
    ];
    let clean = clean(&document(vec![lines.clone()], Flow::Paragraphs));
    let text = "Name | Note\na | a document that fits |  | 中文\nb | of the document | x\nText.";
    assert_eq!(clean.text, text);
    assert_eq!(clean.tables.len(), 1);
    let rows: Vec<&str> = clean.tables[0].rows.iter().map(|row| &clean.text[row.clone()]).collect();
    assert_eq!(rows, ["a | a document that fits |  | 中文", "b | of the document | x"]);
    for (word, line) in [("ment", 1), ("文", 1), ("that", 1), ("Text", 3)] {
        let before: usize = lines[..line].iter().map(|line| line.text.len() + 1).sum();
        let raw = before + lines[line].text.find(word).unwrap();
        let origin = clean.map.origin(clean.text.find(word).unwrap());
        assert_eq!(origin, Origin { page: 1, raw: raw as u64 }, "{word}");
    }
}

#[test]
fn a_table_goes_on_over_pages_unless_it_says_its_names_again() {
    let page = |names: &str, at: usize| {
        let second = format!("text {} | more {}", "x".repeat(at), "y".repeat(at));
        vec![
            printed("Handbook of tides", 40.0, true),
            row(names, LineKind::Header, 100.0, true),
            row(&second, LineKind::Row, 112.0, false),
        ]
    };
    let tables = |names: &[&str]| {
        let pages = names.iter().zip(1..).map(|(names, at)| page(names, at)).collect();
        let clean = clean(&document(pages, Flow::Paragraphs));
        assert!(!clean.text.contains("Handbook"), "{}", clean.text);
        clean.tables.iter().map(|table| table.rows.len()).collect::<Vec<_>>()
    };
    // What only looks like names at the top of a page is a row.
    assert_eq!(tables(&["name | note", "a | b", "c | d", "e | f"]), [7]);
    assert_eq!(tables(&["name | note", "name | note", "c | d", "other | note | place"]), [1, 3, 1]);
}

#[test]
fn code_is_kept_to_the_letter_and_prose_is_not() {
    let lines = vec![
        Line::new("ﬁnd  ²", LineKind::Text),
        Line::new("", LineKind::Text),
        Line::new("", LineKind::Text),
        Line::new("\tlet ﬁ = ²;  \u{0}", LineKind::Code),
    ];
    let clean = clean(&document(vec![lines], Flow::Lines));
    assert_eq!(clean.text, "find  2\n\n\tlet ﬁ = ²;".replace("\n\n\t", "\n\n\n\t"));
}

#[test]
fn a_header_goes_from_the_fourth_page_on_and_not_before() {
    let page = |number: usize| {
        vec![
            printed(&format!("Handbook of tides {number}"), 40.0, true),
            printed(&format!("Words of page {}", "x".repeat(number)), 100.0, true),
            printed("and the same words on all", 112.0, false),
            printed(&format!("— {number} —"), 800.0, true),
        ]
    };
    let text =
        |pages: usize| clean(&document((1..=pages).map(page).collect(), Flow::Paragraphs)).text;
    assert!(text(3).contains("Handbook of tides 2") && text(3).contains("— 2 —"));
    assert!(!text(4).contains("Handbook") && !text(4).contains('—'), "{}", text(4));
    assert_eq!(text(4).matches("the same words").count(), 4);
}

#[test]
fn headings_know_their_place() {
    let lines = vec![
        Line::new("# Tides #", LineKind::Heading(1)),
        Line::new("text", LineKind::Text),
        Line::new("## Spring tide", LineKind::Heading(2)),
    ];
    let clean = clean(&document(vec![lines], Flow::Lines));
    let headings: Vec<_> = clean.headings.iter().map(|h| (h.level, h.text.as_str())).collect();
    assert_eq!(headings, [(1, "Tides"), (2, "Spring tide")]);
    assert!(clean.headings.iter().all(|heading| clean.text[heading.at..].starts_with('#')));
}

fn any_line() -> impl Strategy<Value = Line> {
    let text = prop_oneof!["[a-zäﬁ⻓中文\u{ad}\u{301} -]{0,12}", "\\PC{0,8}", "[0-9]{1,2}"];
    (text, 0..60u8, any::<bool>())
        .prop_map(|(text, height, starts)| printed(&text, f32::from(height) * 12.0, starts))
}

proptest! {
    #[test]
    fn every_clean_byte_knows_its_page_and_raw_offset(
        pages in prop::collection::vec(prop::collection::vec(any_line(), 0..6), 0..8),
        is_printed in any::<bool>(),
    ) {
        let flow = if is_printed { Flow::Paragraphs } else { Flow::Lines };
        let document = document(pages, flow);
        let clean = clean(&document);
        prop_assert_eq!(clean.text.trim_end(), clean.text.as_str());
        let raws: Vec<String> = document.pages.iter().map(|page| {
            page.lines.iter().map(|line| format!("{}\n", line.text)).collect()
        }).collect();
        for (offset, c) in clean.text.char_indices() {
            let origin = clean.map.origin(offset);
            let raw = &raws[origin.page as usize - 1];
            prop_assert!(raw.is_char_boundary(origin.raw as usize), "{offset}: {origin:?} in {raw:?}");
            if c.is_ascii_alphanumeric() && !raw[origin.raw as usize..].starts_with(c) {
                // Folded: the raw character must fold to something that holds it.
                let from = raw[origin.raw as usize..].chars().next().unwrap();
                prop_assert!(!from.is_ascii(), "{c:?} came from {from:?}");
            }
        }
    }

    /// The promise of `furniture`: what occurs on fewer than four pages stays.
    #[test]
    fn a_line_on_fewer_than_four_pages_is_never_removed(
        pages in prop::collection::vec(prop::collection::vec(any_line(), 0..5), 0..12)
    ) {
        let document = document(pages, Flow::Paragraphs);
        let shape = |text: &str| -> String {
            let text: String = text.chars().map(|c| if c.is_numeric() { '#' } else { c }).collect();
            text.trim().replace("##", "#")
        };
        for (page_at, line_at) in furniture::find(&document.pages) {
            let line = shape(&document.pages[page_at].lines[line_at].text);
            let is_same = |other: &Line| {
                shape(&other.text) == line || line.chars().all(|c| "ivxlc#".contains(c))
            };
            let pages = document.pages.iter().filter(|page| page.lines.iter().any(is_same)).count();
            prop_assert!(pages >= furniture::LEAST_PAGES, "{line:?} is on {pages} pages");
        }
    }
}
