//! The query a search is made with when the model cannot write one: the user's question, and the
//! one before when the question leans on it.

use crate::citations::words;

/// In characters: a message may be a whole document, but what it asks is at one of its ends, and no
/// index gains from more.
const LONGEST: usize = 2000;

/// A query for `newest`, the user's last message.
///
/// A question like "and in winter?" says too little to be found; it borrows the words of the one
/// `before`. This is a rule of thumb: at most three telling words, or two with a pronoun at the
/// beginning.
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
        "why",
        "it ",
        "this ",
        "that ",
        "they ",
        "these ",
        "those ",
        "那",
        "它",
        "这",
        "他",
        "她",
        "为什么",
        "还有",
        "然后",
    ];
    let lowered = question.to_lowercase();
    let telling = words::telling(question).len();
    telling <= 1 || telling <= 3 && LEANING.iter().any(|start| lowered.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_that_leans_on_the_one_before_borrows_its_words() {
        let before = Some("How warm may the pump get in summer?");
        assert_eq!(
            search_query("and in winter?", before),
            "How warm may the pump get in summer? and in winter?"
        );
        assert_eq!(search_query("Which valve closes first?", before), "Which valve closes first?");
        assert_eq!(search_query("and in winter?", None), "and in winter?");
        assert!(search_query("那冬天呢?", Some("夏天水泵可以多热?")).contains("水泵"));
    }
}
