//! What a text is about: terms that a question and a sentence can share.
//!
//! Words of alphabetic scripts are lower-cased and lightly stemmed; runs of ideographs and kana
//! become bigrams, which find Chinese without a dictionary. The stemmer may be wrong as long as
//! it is wrong the same way on both sides.

/// English words that say nothing about what is asked.
const STOP_WORDS: &[&str] = &[
    "a", "about", "after", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be",
    "been", "but", "by", "can", "could", "describe", "did", "do", "does", "each", "explain", "for",
    "from", "get", "give", "had", "has", "have", "how", "i", "if", "in", "into", "is", "it", "its",
    "may", "me", "my", "of", "on", "one", "or", "our", "please", "s", "shall", "should", "so",
    "some", "t", "tell", "than", "that", "the", "their", "them", "then", "there", "these", "they",
    "this", "those", "to", "under", "used", "using", "was", "we", "were", "what", "when", "where",
    "which", "while", "who", "whom", "whose", "why", "will", "with", "would", "you", "your",
];

/// Chinese words that say nothing about what is asked; bigrams do not reach across them.
const STOP_PHRASES: &[&str] = &[
    "为什么",
    "是什么",
    "什么时候",
    "什么",
    "怎么样",
    "怎么",
    "怎样",
    "如何",
    "哪些",
    "哪里",
    "哪个",
    "哪一",
    "多少",
    "是否",
    "请问",
    "能否",
    "能不能",
    "可以",
    "需要",
    "应该",
    "因为",
    "所以",
    "以及",
    "我们",
    "你们",
    "他们",
    "这个",
    "那个",
    "这些",
    "那些",
    "关于",
    "谁",
    "吗",
    "呢",
    "吧",
    "的",
    "了",
    "是",
    "在",
    "和",
    "与",
    "把",
    "被",
    "我",
    "你",
    "它",
    "这",
    "那",
    "有",
    "会",
    "能",
    "几",
];

/// The terms of `text`, in order, with repetitions.
pub(super) fn terms(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let class = Class::of(first);
        let end = rest.find(|c| Class::of(c) != class).unwrap_or(rest.len());
        match class {
            Class::Letters => found.extend(word(&rest[..end])),
            Class::Ideographs => ideographs(&rest[..end], &mut found),
            Class::Other => {}
        }
        rest = &rest[end..];
    }
    found
}

#[derive(Clone, Copy, PartialEq)]
enum Class {
    Letters,
    Ideographs,
    Other,
}

impl Class {
    fn of(c: char) -> Self {
        match c {
            c if is_ideograph(c) => Self::Ideographs,
            c if c.is_alphanumeric() => Self::Letters,
            _ => Self::Other,
        }
    }
}

/// Whether `c` belongs to a script written without spaces: Han, kana.
pub(super) fn is_ideograph(c: char) -> bool {
    matches!(u32::from(c), 0x3040..=0x30FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF
        | 0xF900..=0xFAFF | 0x20000..=0x3FFFF)
}

fn word(word: &str) -> Option<String> {
    let word: String = word.chars().flat_map(narrow).collect();
    (!STOP_WORDS.contains(&word.as_str())).then(|| stem(&word))
}

/// Lower case; full-width Latin letters, which Chinese keyboards make, become ordinary ones.
fn narrow(c: char) -> impl Iterator<Item = char> {
    let c = match u32::from(c) {
        wide @ 0xFF01..=0xFF5E => char::from_u32(wide - 0xFEE0).unwrap_or(c),
        _ => c,
    };
    c.to_lowercase()
}

/// Cuts the commonest English endings.
fn stem(word: &str) -> String {
    if word.len() < 4 || !word.bytes().all(|b| b.is_ascii_lowercase()) {
        return word.to_owned();
    }
    let mut stem = singular(word);
    for (ending, keep) in
        [("ization", 3), ("ation", 3), ("ment", 4), ("ing", 3), ("ed", 3), ("ly", 4), ("ion", 4)]
    {
        if let Some(cut) = stem.strip_suffix(ending)
            && cut.len() >= keep
        {
            stem = undouble(cut);
            break;
        }
    }
    match stem.as_bytes() {
        [.., b'e'] if stem.len() > 3 => stem.pop(),
        [.., b'y'] if stem.len() > 3 => stem.pop().inspect(|_| stem.push('i')),
        _ => None,
    };
    stem
}

fn singular(word: &str) -> String {
    if let Some(cut) = word.strip_suffix("ies").filter(|cut| cut.len() >= 2) {
        return format!("{cut}y");
    }
    for ending in ["sses", "xes", "ches", "shes", "zes"] {
        if word.ends_with(ending) {
            return word[..word.len() - 2].to_owned();
        }
    }
    let kept = ["ss", "us", "is"].iter().any(|ending| word.ends_with(ending));
    let cut = if kept { word } else { word.strip_suffix('s').unwrap_or(word) };
    cut.to_owned()
}

/// `runn` (from running) to `run`, but `install` stays.
fn undouble(stem: &str) -> String {
    match stem.as_bytes() {
        [.., a, b] if a == b && !b"aeiouls".contains(b) => stem[..stem.len() - 1].to_owned(),
        _ => stem.to_owned(),
    }
}

fn ideographs(run: &str, found: &mut Vec<String>) {
    let mut piece_start = 0;
    let mut at = 0;
    while at < run.len() {
        let stop = STOP_PHRASES.iter().find(|phrase| run[at..].starts_with(**phrase));
        if let Some(phrase) = stop {
            bigrams(&run[piece_start..at], found);
            at += phrase.len();
            piece_start = at;
        } else {
            at += run[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    bigrams(&run[piece_start..], found);
}

/// A single character stands for itself.
fn bigrams(piece: &str, found: &mut Vec<String>) {
    let chars: Vec<char> = piece.chars().collect();
    match chars.len() {
        0 => {}
        1 => found.push(piece.to_owned()),
        _ => found.extend(chars.windows(2).map(|pair| pair.iter().collect::<String>())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_word_are_one_term() {
        for forms in [
            &["install", "installs", "installed", "installing", "installation"][..],
            &["run", "runs", "running"],
            &["library", "libraries"],
            &["configure", "configured", "configuration"],
            &["index", "indexes", "indexing"],
            &["extract", "extracted", "extraction"],
        ] {
            let stems: Vec<Vec<String>> = forms.iter().map(|form| terms(form)).collect();
            assert!(stems.iter().all(|stem| *stem == stems[0]), "{stems:?}");
        }
    }

    #[test]
    fn chinese_becomes_bigrams_that_do_not_cross_question_words() {
        assert_eq!(terms("如何安装软件？"), ["安装", "装软", "软件"]);
        assert_eq!(terms("ＰＤＦ文件"), ["pdf", "文件"]);
    }

    #[test]
    fn words_without_meaning_are_left_out() {
        assert_eq!(terms("What is the default chunk size?"), ["default", "chunk", "siz"]);
    }
}
