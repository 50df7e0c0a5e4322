use docent_core::{Content, FileSearchResult};
use proptest::prelude::*;

use super::*;
use crate::tests::support::{handbook, passage};

/// The message that `parts` make, deltas applied as a client would.
fn cite(style: Style, results: &[FileSearchResult], parts: &[&str]) -> (String, Vec<Annotation>) {
    let sources = Sources::new([(4, results)].into_iter());
    let mut citer = Citer::new(style, Links::Found, sources);
    let (mut text, mut annotations) = (String::new(), Vec::new());
    let mut take = |delta: MessageDelta| {
        assert_eq!(delta.annotations_before, annotations.len());
        text.push_str(&delta.text);
        annotations.extend(delta.annotations);
    };
    let write = |citer: &mut Citer, pieces: Vec<Piece>| {
        let mut delta = citer.delta();
        for piece in pieces {
            // A link to `x.csv` leads somewhere.
            let file = match &piece {
                Piece::Link(link) => link.text.find("x.csv").map(|at| (at + 5, made_file())),
                _ => None,
            };
            citer.write(piece, file, &mut delta);
        }
        delta
    };
    for part in parts {
        let pieces = citer.push(part);
        take(write(&mut citer, pieces));
    }
    let rest = citer.rest();
    let mut last = write(&mut citer, rest);
    citer.finish(&mut last);
    take(last);
    (text, annotations)
}

fn made_file() -> FileId {
    "file-000000000000000000000007".parse().unwrap()
}

fn quotes(annotations: &[Annotation]) -> Vec<(&str, &str, u32)> {
    let quote = |annotation: &Annotation| match &annotation.target {
        AnnotationTarget::FileCitation(citation) => Some(citation.clone()),
        _ => None,
    };
    let citations: Vec<Citation> = annotations.iter().filter_map(quote).collect();
    annotations
        .iter()
        .zip(citations)
        .map(|(annotation, citation)| {
            let quote: &'static str = citation.quote.leak();
            (annotation.text.as_str(), quote, citation.page_start)
        })
        .collect()
}

const ANSWER: &str = "The pump stops at 80 °C and starts again below 60 °C【4:0†source】. The \
                      filter is cleaned every three months 【4:1†filter.pdf】. It is made of \
                      gold【4:0†source】.";

#[test]
fn a_supported_marker_becomes_an_annotation_and_another_vanishes() {
    let (text, annotations) = cite(Style::Results, &handbook(), &[ANSWER]);
    assert_eq!(
        text,
        "The pump stops at 80 °C and starts again below 60 °C【4:0†source】. The filter is \
         cleaned every three months 【4:1†source】. It is made of gold."
    );
    assert_eq!(
        quotes(&annotations),
        [
            ("【4:0†source】", "It stops at 80 °C and starts again below 60 °C.", 3),
            ("【4:1†source】", "Clean the filter every three months.", 7),
        ]
    );
}

#[test]
fn an_annotation_spans_its_marker_in_code_points() {
    let (text, annotations) = cite(Style::Results, &handbook(), &[ANSWER]);
    let chars: Vec<char> = text.chars().collect();
    for annotation in annotations {
        let span = &chars[annotation.start as usize..annotation.end as usize];
        assert_eq!(span.iter().collect::<String>(), annotation.text);
        assert_eq!(annotation.end - annotation.start, 12);
    }
}

#[test]
fn a_cut_at_any_place_gives_the_same_message() {
    let whole = cite(Style::Results, &handbook(), &[ANSWER]);
    for cut in (0..=ANSWER.len()).filter(|&cut| ANSWER.is_char_boundary(cut)) {
        let (left, right) = ANSWER.split_at(cut);
        assert_eq!(cite(Style::Results, &handbook(), &[left, right]), whole, "cut at {cut}");
    }
}

#[test]
fn passage_numbers_become_the_same_markers() {
    let answer = "Stops at 80 °C, starts again below 60 °C [1][2]. Clean the filter every three \
                  months [1, 2] or so. Nothing else [7] is known [0].";
    let (text, annotations) = cite(Style::Passages, &handbook(), &[answer]);
    assert_eq!(
        text,
        "Stops at 80 °C, starts again below 60 °C 【4:0†source】. Clean the filter every three \
         months 【4:1†source】 or so. Nothing else is known [0]."
    );
    assert_eq!(annotations.len(), 2);
}

#[test]
fn a_model_that_marks_nothing_has_its_sentences_attributed() {
    let answer = "Clean the filter every three months. The moon is made of cheese.";
    let (text, annotations) = cite(Style::Passages, &handbook(), &[answer]);
    assert_eq!(text, format!("{answer}【4:1†source】"));
    assert_eq!(quotes(&annotations)[0].1, "Clean the filter every three months.");

    let unsupported = cite(Style::Passages, &handbook(), &["The moon is made of cheese."]);
    assert_eq!(unsupported, ("The moon is made of cheese.".into(), vec![]));
    // A model that is told to cite by itself and does not is left alone.
    assert!(cite(Style::Results, &handbook(), &[answer]).1.is_empty());
}

#[test]
fn a_quote_over_a_page_break_names_both_pages() {
    let text = "The valve closes when the\npressure falls below two bar.";
    let results = [passage(1, "valve.pdf", 4, text)];
    let answer = "The valve closes when the pressure falls below two bar [1].";
    let (_, annotations) = cite(Style::Passages, &results, &[answer]);
    let AnnotationTarget::FileCitation(citation) = &annotations[0].target else { panic!() };
    assert_eq!((citation.page_start, citation.page_end), (4, 5));
    assert_eq!(citation.quote, text);
    assert_eq!(citation.quote_start, 0);
}

#[test]
fn a_chinese_answer_is_cited() {
    let results = [passage(1, "水泵.pdf", 2, "水泵在八十度停止运行。每三个月清洗一次过滤器。")];
    let (text, annotations) = cite(Style::Passages, &results, &["过滤器需要每三个月清洗一次。[1]"]);
    assert_eq!(text, "过滤器需要每三个月清洗一次。【4:0†source】");
    assert_eq!(quotes(&annotations)[0].1, "每三个月清洗一次过滤器。");
}

#[test]
fn without_passages_square_brackets_are_text() {
    assert_eq!(cite(Style::Passages, &[], &["See [1]."]).0, "See [1].");
    assert_eq!(cite(Style::Results, &[], &["See 【4:0†source】."]).0, "See.");
}

#[test]
fn a_link_is_annotated_where_it_leads_somewhere_and_is_text_elsewhere() {
    let answer = "水: [a](sandbox:/mnt/data/x.csv), sandbox:/mnt/data/x.csv. Not \
                  [b](sandbox:/mnt/data/y.csv).";
    for size in [1, 3, 1000] {
        let chars: Vec<char> = answer.chars().collect();
        let parts: Vec<String> = chars.chunks(size).map(|part| part.iter().collect()).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (text, annotations) = cite(Style::Results, &handbook(), &parts);
        assert_eq!(text, answer);
        let spans: Vec<(u64, u64)> = annotations.iter().map(|it| (it.start, it.end)).collect();
        assert_eq!(spans, [(7, 30), (33, 56)]);
        for annotation in annotations {
            assert_eq!(annotation.text, "sandbox:/mnt/data/x.csv");
            assert_eq!(annotation.target, AnnotationTarget::FilePath { file: made_file() });
            let span = &chars[annotation.start as usize..annotation.end as usize];
            assert_eq!(span.iter().collect::<String>(), annotation.text);
        }
    }
}

proptest! {
    #[test]
    fn a_message_keeps_its_words_and_quotes_are_verbatim(
        parts in prop::collection::vec(
            prop_oneof![
                "[a-z ]{0,12}", "[水泵过滤器。 ]{0,6}",
                Just(" clean the filter every three months".to_owned()),
                Just("[1]".to_owned()), Just("[2]".to_owned()), Just("【4:1†source】".to_owned()),
                Just("【".to_owned()), Just("[".to_owned()),
            ], 0..12)
    ) {
        let results = handbook();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (text, annotations) = cite(Style::Passages, &results, &parts);
        let joined = cite(Style::Passages, &results, &[&parts.concat()]);
        prop_assert_eq!(&(text.clone(), annotations.clone()), &joined);
        let chars: Vec<char> = text.chars().collect();
        for annotation in &annotations {
            let span = &chars[annotation.start as usize..annotation.end as usize];
            prop_assert_eq!(span.iter().collect::<String>(), annotation.text.as_str());
            let AnnotationTarget::FileCitation(citation) = &annotation.target else { panic!() };
            let source = results.iter().find(|result| result.chunk.id == citation.chunk).unwrap();
            let at = citation.quote_start as usize;
            prop_assert!(source.chunk.chunk.text[at..].starts_with(&citation.quote));
        }
        let letters = |text: &str| text.chars().filter(|c| c.is_alphabetic()).collect::<String>();
        let marks = "source".repeat(annotations.len());
        let written = letters(&parts.concat().replace("【4:1†source】", ""));
        prop_assert_eq!(letters(&text).len(), written.len() + marks.len());
    }
}

/// A message's annotations survive the store.
#[test]
fn an_annotation_reads_back() {
    let (text, annotations) = cite(Style::Results, &handbook(), &[ANSWER]);
    let part = Content::Text { text, annotations };
    let json = serde_json::to_string(&part).unwrap();
    assert_eq!(serde_json::from_str::<Content>(&json).unwrap(), part);
}
