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
    for part in query.split_inclusive(['?', '\u{ff1f}', ';', '\u{ff1b}']) {
        let part = without_asking(part);
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
            ("High voltage", &["High voltage"]),
            ("please", &["please"]),
            ("  ?! ", &["?!"]),
            ("a; a;a b", &["a b"]),
        ] {
            assert_eq!(rewrite_query(asked), wanted, "{asked}");
        }
        assert_eq!(rewrite_query(&"one? two? ".repeat(9)), ["one", "two"]);
        assert_eq!(rewrite_query("ab?cd?ef?gh?ij?kl?").len(), MOST);
    }
}
