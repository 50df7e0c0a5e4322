//! The queries a search is made with when no model writes them: the user's question, split where it
//! asks several things, with the words of the one before where it leans on that.

use docent_retrieval::rewrite_query;
use unicode_segmentation::UnicodeSegmentation;

use crate::citations::words;

/// In characters: a message may be a whole document, but what it asks is at one of its ends, and no
/// index gains from more.
const LONGEST: usize = 2000;

/// Telling words that a question may have and still lean on another.
const FEW: usize = 3;

/// What the user said last, and before that.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) newest: String,
    pub(crate) before: Option<String>,
}

impl Asked {
    /// The question, untouched but for its length.
    pub(crate) fn as_written(&self) -> String {
        clipped(&self.newest)
    }

    /// Queries for the question, at least one: split where it asks several things, each part
    /// completed where it leans on what was said before it.
    ///
    /// A question like "and in winter?" says too little to be found; it borrows the words of the
    /// one before. These are rules of thumb: see [`is_elliptic`] and [`points_back`].
    pub(crate) fn queries(&self) -> Vec<String> {
        let parts = rewrite_query(&self.newest);
        let [first, rest @ ..] = &parts[..] else { return vec![self.as_written()] };
        let whole = self.newest.trim();
        let begins = if rest.is_empty() { whole } else { first };
        let context = self.before.as_deref().filter(|_| is_elliptic(begins) || points_back(begins));
        let mut queries = vec![match context {
            Some(context) => completed(begins, context),
            None => clipped(begins),
        }];
        // What follows leans on the question it stands beside.
        let lead = queries[0].clone();
        queries.extend(rest.iter().map(|part| match is_elliptic(part) || points_back(part) {
            true => completed(part, &lead),
            false => clipped(part),
        }));
        queries
    }

    /// What a query that points back points to: the question it was made for, unless that leans on
    /// the one before or says no more than the query.
    pub(crate) fn context_of(&self, query: &str) -> Option<&str> {
        let newest = self.newest.trim();
        let leans = is_elliptic(newest) || points_back(newest) || newest.contains(query);
        match leans {
            true => self.before.as_deref(),
            false => Some(newest),
        }
    }
}

/// `query` with the words of what it points back to.
pub(crate) fn completed(query: &str, context: &str) -> String {
    clipped(&format!("{} {}", context.trim(), query.trim()))
}

/// `text` as a query of a length that indexes gain from.
pub(crate) fn clipped(text: &str) -> String {
    text.trim().chars().take(LONGEST).collect()
}

/// Whether a question of the user's says too little to be found: one or two words, or at most
/// three telling words, of which the first or last points back.
pub(crate) fn is_elliptic(question: &str) -> bool {
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
    let question = question.trim();
    let lowered = question.to_lowercase();
    let leans = LEANING.iter().any(|start| lowered.starts_with(start))
        || lowered.trim_end_matches(['?', '?', '。']).ends_with('呢');
    let telling = words::telling(question).len();
    let all = question.unicode_words().count();
    telling == 0 || all <= 2 || telling <= FEW && leans
}

/// Whether `query` has a word that stands for another, and few words of its own beside it. Unlike
/// a question, a query of one word may well stand on its own.
pub(crate) fn points_back(query: &str) -> bool {
    const PRONOUNS: &[&str] = &[
        "it", "its", "they", "them", "their", "theirs", "he", "him", "his", "she", "her", "hers",
        "there", "these", "those", "former", "latter",
    ];
    /// With these beside a noun, a Chinese query names nothing by itself.
    const CHINESE: &[&str] = &["它", "他们", "她们", "这个", "那个", "这些", "那些", "该", "其"];
    let lowered = query.to_lowercase();
    let stands_for = lowered.unicode_words().any(|word| PRONOUNS.contains(&word))
        || CHINESE.iter().any(|word| lowered.contains(word) && lowered.chars().count() <= 12);
    stands_for && (words::telling(query).len() <= FEW || lowered.chars().count() <= 12)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queries(newest: &str, before: Option<&str>) -> Vec<String> {
        let before = before.map(str::to_owned);
        Asked { newest: newest.to_owned(), before }.queries()
    }

    #[test]
    fn a_question_that_leans_on_the_one_before_borrows_its_words() {
        let before = "How warm may the pump get in summer?";
        let borrows = |question| queries(question, Some(before))[0].starts_with(before);
        for question in [
            "and in winter?",
            "In winter?",
            "Why?",
            "Is it red?",
            "",
            "那冬天呢?",
            "What does it cost?",
            "How long do they last?",
            "它多重?",
        ] {
            assert!(borrows(question), "{question}");
        }
        for question in [
            "Which valve closes first?",
            "Who is Napoleon?",
            "过滤器多久清洗一次?",
            "Who serviced the boiler in May when its pump and its filter were replaced?",
        ] {
            assert!(!borrows(question), "{question}");
        }
        assert_eq!(queries("and in winter?", None), ["and in winter?"]);
    }

    #[test]
    fn what_asks_two_things_is_split_and_the_second_leans_on_the_first() {
        assert_eq!(
            queries("What is the warranty of the pump? And what does it cost?", None),
            [
                "What is the warranty of the pump",
                "What is the warranty of the pump And what does it cost"
            ]
        );
        assert_eq!(
            queries("Who installs the boiler? Which filter fits the pump?", None),
            ["Who installs the boiler", "Which filter fits the pump"]
        );
    }

    #[test]
    fn a_query_of_few_words_stands_on_its_own_unless_one_stands_for_another() {
        for alone in
            ["pump", "pump stop", "warranty", "锅炉", "the cost of those pumps in the north wing"]
        {
            assert!(!points_back(alone), "{alone}");
        }
        for leaning in ["its price", "what does it cost", "how long they last", "它的价格"] {
            assert!(points_back(leaning), "{leaning}");
        }
    }

    #[test]
    fn a_document_is_no_query() {
        assert_eq!(queries(&"水".repeat(1 << 20), None)[0].chars().count(), LONGEST);
    }
}
