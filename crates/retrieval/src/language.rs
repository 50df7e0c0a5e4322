//! Which languages a query may be in, told from its script.
//!
//! Scripts are all we look at: enough to keep a Chinese question away from an English embedder,
//! whose vectors would be noise, and never wrong about a language it has no model for.

/// Scripts that belong to few languages, with these languages' ISO 639-1 codes.
const SCRIPTS: &[(&[std::ops::RangeInclusive<u32>], &[&str])] = &[
    (&[0x3040..=0x30FF, 0x31F0..=0x31FF], &["ja"]),
    (&[0x1100..=0x11FF, 0x3130..=0x318F, 0xAC00..=0xD7FF], &["ko"]),
    (&[0x3400..=0x4DBF, 0x4E00..=0x9FFF, 0xF900..=0xFAFF, 0x20000..=0x3FFFF], &["zh", "ja"]),
    (&[0x0400..=0x052F], &["ru", "uk", "bg", "sr", "mk", "be", "kk", "mn", "ky", "tg"]),
    (&[0x0370..=0x03FF, 0x1F00..=0x1FFF], &["el"]),
    (&[0x0590..=0x05FF], &["he", "yi"]),
    (
        &[0x0600..=0x06FF, 0x0750..=0x077F, 0xFB50..=0xFDFF, 0xFE70..=0xFEFF],
        &["ar", "fa", "ur", "ps"],
    ),
    (&[0x0900..=0x097F], &["hi", "mr", "ne", "sa"]),
    (&[0x0980..=0x09FF], &["bn", "as"]),
    (&[0x0A00..=0x0A7F], &["pa"]),
    (&[0x0A80..=0x0AFF], &["gu"]),
    (&[0x0B80..=0x0BFF], &["ta"]),
    (&[0x0C00..=0x0C7F], &["te"]),
    (&[0x0C80..=0x0CFF], &["kn"]),
    (&[0x0D00..=0x0D7F], &["ml"]),
    (&[0x0E00..=0x0E7F], &["th"]),
    (&[0x0E80..=0x0EFF], &["lo"]),
    (&[0x1000..=0x109F], &["my"]),
    (&[0x10A0..=0x10FF], &["ka"]),
    (&[0x0530..=0x058F], &["hy"]),
    (&[0x1200..=0x139F], &["am"]),
    (&[0x1780..=0x17FF], &["km"]),
];

/// The languages `text` may be in when at least a third of its letters are of a script that tells;
/// none for Latin script, which could be any.
pub(crate) fn guess(text: &str) -> Option<&'static [&'static str]> {
    let mut counts = [0usize; SCRIPTS.len()];
    let mut latin = 0usize;
    for c in text.chars().filter(|c| c.is_alphabetic()) {
        let code = u32::from(c);
        let script =
            SCRIPTS.iter().position(|(ranges, _)| ranges.iter().any(|r| r.contains(&code)));
        match script {
            Some(script) => counts[script] += 1,
            None => latin += 1,
        }
    }
    let told: usize = counts.iter().sum();
    // A letter of a script without spaces says as much as several of an alphabet.
    if told == 0 || told * 3 < latin {
        return None;
    }
    // Any kana means Japanese, however many Han characters stand around it.
    if counts[0] > 0 && counts[0] + counts[2] >= told.div_ceil(2) {
        return Some(SCRIPTS[0].1);
    }
    let most = counts.iter().max()?;
    let script = counts.iter().position(|count| count == most)?;
    Some(SCRIPTS[script].1)
}

/// Whether an embedder of `languages` (empty: all) may understand `query`; else the query's
/// likeliest language.
pub(crate) fn understands(languages: &[String], query: &str) -> Result<(), &'static str> {
    let Some(guessed) = guess(query) else { return Ok(()) };
    if languages.is_empty() || languages.iter().any(|own| guessed.contains(&own.as_str())) {
        return Ok(());
    }
    Err(guessed[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_tells_the_language() {
        let cases = [
            ("How do I delete a thread?", None),
            ("如何删除线程？", Some("zh")),
            ("Docent 如何删除向量库 vector store", Some("zh")),
            ("スレッドを削除する方法", Some("ja")),
            ("스레드 삭제", Some("ko")),
            ("Как удалить", Some("ru")),
            ("what does 道 mean in the Tao Te Ching, and why?", None),
            ("42 + 1", None),
        ];
        for (text, expected) in cases {
            assert_eq!(guess(text).map(|codes| codes[0]), expected, "{text}");
        }
    }

    #[test]
    fn an_embedder_of_every_language_understands_all() {
        assert_eq!(understands(&[], "如何"), Ok(()));
        assert_eq!(understands(&["en".into()], "如何"), Err("zh"));
        assert_eq!(understands(&["en".into(), "zh".into()], "如何"), Ok(()));
        assert_eq!(understands(&["en".into()], "wie geht das"), Ok(()));
    }
}
