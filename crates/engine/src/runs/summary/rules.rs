//! A summary without a model: what the user said first in each message.

use docent_core::Role;

use super::Said;

/// What marks a line as ours; a summary that a model wrote has none, or is not harmed.
const MARK: &str = "- ";

const LINE_CHARS: usize = 160;

/// `before`, followed by a line for each message of the user, in at most `room` tokens: a model's
/// text in the first half of it, then as many of the newest lines as fit.
pub(super) fn extended(
    before: &str,
    said: &[Said],
    room: u64,
    count: &dyn Fn(&str) -> usize,
) -> String {
    let (kept, told): (Vec<&str>, Vec<&str>) =
        before.lines().partition(|line| line.starts_with(MARK));
    let told = told.join("\n");
    let told = match count(&told) as u64 > room / 2 {
        true => told.chars().take(told.chars().count() / 2).collect(),
        false => told,
    };
    let users = said.iter().filter(|said| said.role == Role::User);
    let new = users.map(|said| format!("{MARK}{}", first_sentence(&said.text)));
    let lines: Vec<String> = kept.into_iter().map(str::to_owned).chain(new).collect();
    let mut used = count(&told) as u64;
    let fitting = lines.iter().rev().take_while(|line| {
        // One more for its end.
        used += count(line) as u64 + 1;
        used <= room
    });
    let lines = &lines[lines.len() - fitting.count()..];
    let paragraphs = [told.trim().to_owned(), lines.join("\n")];
    let paragraphs = paragraphs.into_iter().filter(|text| !text.is_empty());
    paragraphs.collect::<Vec<_>>().join("\n")
}

/// The text up to the end of its first sentence, on one line.
fn first_sentence(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let ends = |(at, c): (usize, char)| {
        let rest = &line[at + c.len_utf8()..];
        let ends = "。！？".contains(c)
            || ".!?".contains(c) && rest.chars().next().is_none_or(char::is_whitespace);
        ends.then_some(at + c.len_utf8())
    };
    let end = line.char_indices().find_map(ends).unwrap_or(line.len());
    let sentence = &line[..end];
    match sentence.char_indices().nth(LINE_CHARS) {
        Some((at, _)) => format!("{}…", &sentence[..at]),
        None => sentence.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use docent_core::Seq;

    use super::*;

    fn words(text: &str) -> usize {
        text.split_whitespace().count()
    }

    fn user(text: &str) -> Said {
        let id = "msg_0123456789abcdefghijABCD".parse().unwrap();
        Said { place: Seq(1), id, role: Role::User, text: text.into() }
    }

    #[test]
    fn the_user_is_told_by_first_sentences_and_the_assistant_not_at_all() {
        let mut said =
            [user("\n My pump is a P3.5. It leaks!\nHelp."), user("x"), user("水泵漏水。怎么办？")];
        said[1].role = Role::Assistant;
        assert_eq!(extended("", &said, 100, &words), "- My pump is a P3.5.\n- 水泵漏水。");
    }

    #[test]
    fn the_newest_lines_stay_and_a_models_text_keeps_half() {
        let before = "The user has a pump of 1998.\n- first\n- second";
        let said = [user("third one"), user("fourth one")];
        assert_eq!(
            extended(before, &said, 16, &words),
            "The user has a pump of 1998.\n- third one\n- fourth one"
        );
        let long = "word ".repeat(40);
        assert!(words(&extended(&long, &said, 40, &words)) <= 40);
        assert_eq!(extended("", &[user(&"y".repeat(500))], 9, &words).chars().count(), 163);
    }
}
