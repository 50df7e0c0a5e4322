//! Queries as people ask them, made into queries as indexes like them. By rules: no model is asked.
//!
//! A question is cut where it asks several things, and loses the words that only ask: what is left
//! is about the matter. A query that is one already stays as it is.

/// More would only bring in what no query asks for.
const MOST: usize = 5;

/// Beginnings that say no more than that something is asked.
const ASKING: &[&str] = &[
    "please",
    "can you",
    "could you",
    "would you",
    "tell me about",
    "tell me",
    "show me",
    "explain to me",
    "i want to know",
    "i would like to know",
    "i'd like to know",
    "do you know",
    "hello",
    "hi",
    "请问",
    "请告诉我",
    "请",
    "你能告诉我",
    "能告诉我",
    "告诉我",
    "我想知道",
    "你知道",
    "你好",
];

/// What ends a sentence or a part of one; CJK punctuation by its number, which looks like ASCII's.
const ENDS: &str = "?!.,;:\u{ff1f}\u{ff01}\u{3002}\u{ff0c}\u{ff1b}\u{ff1a}\u{3001}";

/// The queries to search with in place of `query`; at least one.
pub fn rewrite_query(query: &str) -> Vec<String> {
    let mut queries: Vec<String> = Vec::new();
    let sentences = query.split_inclusive(['?', '\u{ff1f}', ';', '\u{ff1b}']);
    for part in sentences.flat_map(|sentence| joined_questions(without_asking(sentence))) {
        let says_something = part.chars().filter(|c| c.is_alphanumeric()).count() > 1;
        if says_something && !queries.contains(&part) {
            queries.push(part);
        }
    }
    queries.truncate(MOST);
    if queries.is_empty() {
        queries.push(query.trim().to_owned());
    }
    queries
}

/// Words that a question begins with, in English.
const QUESTION: &[&str] = &[
    "what", "which", "who", "whom", "whose", "when", "where", "why", "how", "is", "are", "was",
    "were", "does", "do", "did", "can", "could", "should", "must", "may", "will",
];

/// What a Chinese question has, in whatever place.
const CHINESE_QUESTION: &[&str] = &[
    "什么", "多少", "多久", "多长", "多大", "怎么", "怎样", "如何", "哪", "谁", "为何", "几", "吗",
    "是否", "能否",
];

/// What may join two Chinese questions, beside a comma.
const CHINESE_JOIN: &[&str] = &["以及", "并且", "还有", "另外", "同时", "而且"];

/// A sentence of more bytes is no question but a document, in which joints are not looked for.
const LONGEST_QUESTION: usize = 600;

/// The questions in one sentence: "What is it and how does it work". Both sides of a joint must ask
/// something by themselves, or a list of things would be taken for a list of questions.
fn joined_questions(sentence: String) -> Vec<String> {
    let mut questions = Vec::new();
    let mut rest = sentence;
    while questions.len() + 1 < MOST && rest.len() <= LONGEST_QUESTION {
        let Some((first, after)) = english_joint(&rest).or_else(|| chinese_joint(&rest)) else {
            break;
        };
        questions.push(trimmed(first).to_owned());
        rest = without_asking(after);
    }
    questions.push(rest);
    questions
}

/// Before " and " where a question of three words stands on either side.
fn english_joint(sentence: &str) -> Option<(&str, &str)> {
    let asks = |text: &str| {
        let first = text.split_whitespace().next().unwrap_or_default().to_lowercase();
        QUESTION.contains(&&*first) && text.split_whitespace().count() >= 3
    };
    let joints = sentence.match_indices(" and ");
    let parts = joints.map(|(at, joint)| (&sentence[..at], &sentence[at + joint.len()..]));
    parts.into_iter().find(|(first, rest)| asks(trimmed(first)) && asks(rest))
}

/// At a comma or a joining word with a question on either side.
fn chinese_joint<'a>(sentence: &'a str) -> Option<(&'a str, &'a str)> {
    let asks = |text: &str| CHINESE_QUESTION.iter().any(|word| text.contains(word));
    let commas = sentence.match_indices([',', '\u{ff0c}']);
    let words = CHINESE_JOIN.iter().flat_map(|word| sentence.match_indices(*word));
    let mut joints: Vec<(usize, &str)> = commas.chain(words).collect();
    joints.sort_unstable();
    let joining = |rest: &'a str| CHINESE_JOIN.iter().find_map(|word| rest.strip_prefix(word));
    let parts = joints.into_iter().map(|(at, it)| {
        let rest = &sentence[at + it.len()..];
        (&sentence[..at], joining(rest).unwrap_or(rest))
    });
    let says = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).count() >= 3;
    parts.into_iter().find(|(first, rest)| asks(first) && asks(rest) && says(first) && says(rest))
}

fn without_asking(part: &str) -> String {
    let words: Vec<&str> = part.split_whitespace().collect();
    let mut text = trimmed(&words.join(" ")).to_owned();
    while let Some(rest) = ASKING.iter().find_map(|start| stripped(&text, start)) {
        text = rest.to_owned();
    }
    text
}

/// What follows `start`, if `text` begins with it as a word of its own and goes on.
fn stripped<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    let head = text.get(..start.len())?;
    let rest = &text[start.len()..];
    let ends_word = !start.is_ascii() || !rest.starts_with(char::is_alphanumeric);
    let rest = trimmed(rest);
    (head.eq_ignore_ascii_case(start) && ends_word && !rest.is_empty()).then_some(rest)
}

fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || ENDS.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_loses_what_only_asks_and_is_cut_where_it_asks_twice() {
        for (asked, wanted) in [
            ("boiler pressure", &["boiler pressure"][..]),
            ("Could you please tell me the boiler\n pressure?", &["the boiler pressure"]),
            (
                "What is the warranty? And what does it cost?",
                &["What is the warranty", "And what does it cost"],
            ),
            ("请问锅炉的压力是多少\u{ff1f}保修多久\u{ff1f}", &["锅炉的压力是多少", "保修多久"]),
            (
                "What is the boiler's warranty and how long does it last?",
                &["What is the boiler's warranty", "how long does it last"],
            ),
            (
                "What is the difference between pumps and valves?",
                &["What is the difference between pumps and valves"],
            ),
            ("how and when was it built?", &["how and when was it built"]),
            ("请问锅炉保修多久\u{ff0c}以及压力是多少\u{ff1f}", &["锅炉保修多久", "压力是多少"]),
            ("春天\u{ff0c}锅炉的压力是多少", &["春天\u{ff0c}锅炉的压力是多少"]),
            ("High voltage", &["High voltage"]),
            ("please", &["please"]),
            ("  ?! ", &["?!"]),
            ("a; a;a b", &["a b"]),
        ] {
            assert_eq!(rewrite_query(asked), wanted, "{asked}");
        }
        assert_eq!(rewrite_query(&"one? two? ".repeat(9)), ["one", "two"]);
        assert_eq!(rewrite_query("ab?cd?ef?gh?ij?kl?").len(), MOST);
        let endless = "what is it and ".repeat(1 << 16);
        assert_eq!(rewrite_query(&endless), [endless.trim()], "a document");
    }
}
