//! Radicals that stand for characters.
//!
//! Some programs name glyphs of ordinary Chinese characters by the radical that looks the same.
//! NFKC folds the Kangxi radicals (U+2F00..U+2FD5) but only two of the CJK Radicals Supplement
//! (U+2E80..U+2EF3); the rest is Unicode's `EquivalentUnifiedIdeograph.txt`
//! (<https://www.unicode.org/reports/tr44/#EquivalentUnifiedIdeograph>, as of Unicode 14).

/// The character that `c` stands for; `c` itself if it is no radical.
pub(super) fn unified(c: char) -> char {
    match c {
        '\u{2e80}'..='\u{2ef3}' => EQUIVALENTS[(c as usize) - 0x2e80],
        _ => c,
    }
}

/// From U+2E80 on. U+2E80 has no equivalent, U+2E9A is not assigned: they stand for themselves.
#[rustfmt::skip]
const EQUIVALENTS: [char; 0x74] = [
    '⺀', '厂', '乛', '乚', '乙', '亻', '冂', '𠘨', '刀', '刂', '卜', '㔾', '小', '小', '兀', '尣',
    '尢', '𡯂', '巳', '幺', '彑', '彐', '忄', '心', '扌', '攵', '\u{2e9a}', '旡', '日', '月', '歺', '母',
    '民', '氵', '氺', '灬', '爫', '爫', '丬', '牛', '犭', '王', '𤴔', '目', '示', '礻', '𥫗', '糹',
    '纟', '罓', '罒', '㓁', '冗', '𦉫', '羊', '𦍌', '𦍋', '耂', '肀', '聿', '肉', '𦥑', '艹', '艹',
    '艹', '虎', '衤', '覀', '西', '见', '角', '𧢲', '讠', '贝', '𧾷', '车', '辶', '辶', '辶', '邑',
    '钅', '長', '镸', '长', '门', '𨸏', '阝', '雨', '青', '韦', '页', '风', '飞', '食', '𩙿', '飠',
    '饣', '𩠐', '马', '骨', '鬼', '鱼', '鸟', '卤', '麦', '黄', '黾', '斉', '齐', '歯', '齿', '竜',
    '龙', '龜', '亀', '龟',
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn radicals_become_the_characters_they_stand_for() {
        let pairs =
            [('⺠', '民'), ('⻓', '长'), ('⻔', '门'), ('⻋', '车'), ('⻚', '页'), ('⺀', '⺀')];
        for (radical, character) in pairs {
            assert_eq!(unified(radical), character);
        }
    }
}
