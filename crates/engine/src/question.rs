//! The query a search is made with when the model cannot write one: the user's question, and the
//! one before when the question leans on it.

use unicode_segmentation::UnicodeSegmentation;

use crate::citations::words;

/// In characters: a message may be a whole document, but what it asks is at one of its ends, and no
/// index gains from more.
const LONGEST: usize = 2000;

/// A query for `newest`, the user's last message.
///
/// A question like "and in winter?" says too little to be found; it borrows the words of the one
/// `before`. This is a rule of thumb: a question of one or two words, or one that says at most
/// three telling words and points back with its first or last.
pub(crate) fn search_query(newest: &str, before: Option<&str>) -> String {
    let newest = newest.trim();
    let query = match before {
        Some(before) if is_elliptic(newest) => format!("{} {newest}", before.trim()),
        _ => newest.to_owned(),
    };
    query.chars().take(LONGEST).collect()
}

fn is_elliptic(question: &str) -> bool {
    /// Beginnings that point back.
    const LEANING: &[&str] = &[
        "and ",
        "what about",
        "how about",
        "it ",
        "this ",
        "that ",
        "they ",
        "these ",
        "those ",
        "is it",
        "does it",
        "can it",
        "那",
        "它",
        "这",
        "他",
        "她",
        "还有",
        "然后",
    ];
    let lowered = question.to_lowercase();
    let leans = LEANING.iter().any(|start| lowered.starts_with(start))
        || lowered.trim_end_matches(['?', '?', '。']).ends_with('呢');
    let telling = words::telling(question).len();
    let all = question.unicode_words().count();
    telling == 0 || all <= 2 || telling <= 3 && leans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_that_leans_on_the_one_before_borrows_its_words() {
        let before = "How warm may the pump get in summer?";
        let borrows = |question| search_query(question, Some(before)).starts_with(before);
        for question in ["and in winter?", "In winter?", "Why?", "Is it red?", "", "那冬天呢?"]
        {
            assert!(borrows(question), "{question}");
        }
        for question in ["Which valve closes first?", "Who is Napoleon?", "过滤器多久清洗一次?"]
        {
            assert!(!borrows(question), "{question}");
        }
        assert_eq!(search_query("and in winter?", None), "and in winter?");
    }

    #[test]
    fn a_document_is_no_query() {
        assert_eq!(search_query(&"水".repeat(1 << 20), None).chars().count(), LONGEST);
    }
}
