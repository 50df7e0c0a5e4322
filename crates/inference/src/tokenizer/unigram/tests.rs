use std::path::PathBuf;

use super::*;
use crate::catalog::tests::real;
use crate::e5s1::E5s1;
use crate::e5s1::tests::{Tiny, written};
use crate::manifest::FileRole;

fn tiny() -> Unigram {
    Unigram::new(E5s1::open(written(&Tiny::default().bytes()).path()).unwrap().vocabulary)
}

#[test]
fn a_word_is_cut_where_the_scores_sum_up_highest() {
    let cases: [(&str, &[u32]); 8] = [
        ("", &[]),
        ("a", &[6]),
        // "▁a" and an unknown character are worth -2.5 - 19, "▁" and "ab" -2 - 9.
        ("ab", &[4, 7]),
        ("aa a", &[6, 5, 6]),
        ("a\t\u{7}  a", &[6, 6]),
        ("zz z", &[4, 3, 4, 3]),
        ("a<s>a", &[6, 0, 6]),
        (" ", &[4]),
    ];
    for (text, ids) in cases {
        assert_eq!(tiny().encode(text), ids, "{text:?}");
    }
    assert_eq!(tiny().specials().before, [0]);
    assert_eq!(tiny().specials().after, [2]);
}

#[test]
fn a_letter_and_its_mark_are_joined_and_a_ligature_parted() {
    let unigram = tiny();
    assert_eq!(unigram.normalize("e\u{301}  ﬁ\tx"), "▁é▁fi▁x");
    assert_eq!(unigram.normalize("\u{7}"), "");
}

/// See `tests/fixtures/e5_reference.py`.
#[test]
fn ids_are_those_of_hugging_faces_tokenizer() {
    let Some(files) = real("multilingual-e5-small-q4") else { return };
    let weights = files.path(FileRole::Weights).unwrap();
    let unigram = Unigram::new(E5s1::open(weights).unwrap().vocabulary);
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/e5_ids.json");
    let cases: Vec<(String, Vec<u32>)> =
        serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap();
    assert!(cases.len() > 100);
    for (text, ids) in cases {
        assert_eq!(unigram.encode(&text), ids, "{text:?}");
    }
}

#[test]
fn a_long_text_of_special_tokens_takes_no_long() {
    let text = "<s>".repeat(100_000);
    assert_eq!(tiny().encode(&text).len(), 100_000);
}
