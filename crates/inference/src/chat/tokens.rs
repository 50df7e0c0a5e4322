//! Counting tokens without a tokenizer.

/// About how many tokens `text` has, rather more than fewer.
///
/// Letters of the Latin, Greek and Cyrillic scripts come to about four a token, ideographs and
/// kana to about one each, digits to about three, marks and line breaks to one each. Beside
/// o200k_base this is right to a third too high on prose and up to twice too high on code, which
/// leaves room in a context window instead of overrunning it.
pub(crate) fn estimate(text: &str) -> usize {
    // In twelfths of a token, so that the shares stay whole numbers.
    let twelfths: usize = text
        .chars()
        .map(|c| match c {
            ' ' => 1,
            c if c.is_ascii_alphabetic() => 3,
            c if c.is_ascii_digit() => 4,
            c if c.is_ascii() => 12,
            c if c.is_alphabetic() && u32::from(c) < 0x0590 => 4,
            _ => 12,
        })
        .sum();
    twelfths.div_ceil(12)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_are_near_what_o200k_base_counts() {
        let counted = [
            (
                48,
                "Every document is cut into chunks of 800 tokens that overlap by 400 tokens. The size can be set between 100 and 4096 tokens when a vector store is created; the overlap may be at most half of the size.",
            ),
            (
                66,
                "每个文档被切成八百个词元的片段，相邻片段重叠四百个词元。片段大小可以在一百到四千零九十六之间设置！较大的片段给模型更多上下文；较小的片段让引用更精确。",
            ),
            (
                22,
                "fn main() -> Result<()> {\n    let engine = Engine::open(\"./library\")?;\n    Ok(())\n}",
            ),
            (16, "Les modèles sont chargés une seule fois ; chaque appel garde son propre cache."),
            (16, "Документ разбивается на фрагменты, и каждый помнит свои страницы."),
        ];
        for (exact, text) in counted {
            let ratio = estimate(text) as f64 / f64::from(exact);
            assert!((0.95..2.0).contains(&ratio), "{ratio}: {text}");
        }
        assert_eq!(estimate(""), 0);
    }
}
