//! What a model is shown: instructions first, then as much of the conversation as fits, newest
//! kept. Pure.
//!
//! A prompt has fixed parts (instructions, passages, tools, the turns of the present run) and the
//! thread's history, of which whole messages are left out, oldest first. What went in and what did
//! not is a [`ContextReport`] on the run step.

use docent_core::{ChatMessage, ContextReport, Error, Result, Role, ToolCall};

/// Tokens a chat template spends on each message's frame; four in OpenAI's, about as many in
/// ChatML.
const FRAME_TOKENS: u64 = 4;

/// How much room a prompt has, in the model's tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The model's whole context.
    pub context_tokens: u64,
    /// Of that, what is kept for the answer.
    pub answer_tokens: u64,
}

impl Budget {
    /// The room in a context of `context_tokens`, when an answer should have `wanted_tokens`: it
    /// gets them, but never more than half.
    pub fn new(context_tokens: u64, wanted_tokens: u64) -> Self {
        Self { context_tokens, answer_tokens: wanted_tokens.min(context_tokens / 2) }
    }

    /// What a prompt may have.
    pub fn prompt_tokens(self) -> u64 {
        self.context_tokens - self.answer_tokens
    }

    /// The same room, but for at most `limit` tokens of prompt.
    #[must_use]
    pub fn with_prompt_limit(self, limit: Option<u64>) -> Self {
        let prompt = self.prompt_tokens().min(limit.unwrap_or(u64::MAX));
        Self { context_tokens: prompt + self.answer_tokens, ..self }
    }
}

/// The parts that a prompt must have.
#[derive(Clone, Debug, Default)]
pub struct Fixed {
    /// The instructions, with the passages if the engine retrieved them.
    pub system: String,
    /// What the present run said and called so far.
    pub turns: Vec<ChatMessage>,
    /// What is sent beside the messages: the tools' descriptions.
    pub extra_tokens: u64,
}

/// A prompt, and what it left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Assembled {
    /// The messages, oldest first.
    pub messages: Vec<ChatMessage>,
    /// How many messages of the history are among them.
    pub kept: u64,
    /// What they have in tokens, with everything else.
    pub prompt_tokens: u64,
}

/// Puts a prompt together. `newest_first` yields the thread's history and is not read further than
/// needed.
///
/// # Errors
/// [`Invalid`](docent_core::ErrorKind::Invalid) when the fixed parts or the newest message alone
/// do not fit; the message names the sizes.
pub fn assemble(
    fixed: Fixed,
    newest_first: impl Iterator<Item = Result<ChatMessage>>,
    budget: Budget,
    count: &dyn Fn(&str) -> usize,
) -> Result<Assembled> {
    let room = budget.prompt_tokens();
    let mut messages = Vec::new();
    if !fixed.system.is_empty() {
        messages.push(ChatMessage::new(Role::System, fixed.system));
    }
    let mut used =
        fixed.extra_tokens + messages.iter().map(|m| message_tokens(m, count)).sum::<u64>();
    used += fixed.turns.iter().map(|turn| message_tokens(turn, count)).sum::<u64>();
    if used > room {
        return Err(too_long("the instructions and the turns of this run", used, room, budget));
    }
    let mut history = Vec::new();
    for message in newest_first {
        let message = message?;
        let tokens = message_tokens(&message, count);
        if used + tokens > room {
            if history.is_empty() {
                return Err(too_long("the newest message", tokens, room - used, budget));
            }
            break;
        }
        used += tokens;
        history.push(message);
    }
    let kept = history.len() as u64;
    messages.extend(history.into_iter().rev());
    messages.extend(fixed.turns);
    Ok(Assembled { messages, kept, prompt_tokens: used })
}

/// What a message costs, frame and all.
pub fn message_tokens(message: &ChatMessage, count: &dyn Fn(&str) -> usize) -> u64 {
    let call_tokens = |call: &ToolCall| count(&call.name) + count(&call.arguments);
    let calls: usize = message.tool_calls.iter().map(call_tokens).sum();
    FRAME_TOKENS + (count(&message.content) + calls) as u64
}

fn too_long(what: &str, tokens: u64, room: u64, budget: Budget) -> Error {
    Error::invalid(format!(
        "{what} has {tokens} tokens, but only {room} are free (of a context of {}, {} are kept \
         for the answer); shorten it or use a model with a longer context",
        budget.context_tokens, budget.answer_tokens
    ))
}

/// How many of `texts`, in order, fit into `room` tokens. When not even the first does, it is
/// [clipped](clip) rather than left out.
pub fn fitting<'a>(
    texts: impl Iterator<Item = &'a str>,
    room: u64,
    count: &dyn Fn(&str) -> usize,
) -> usize {
    let mut used = 0;
    texts
        .take_while(|text| {
            used += passage_tokens(text, count);
            used <= room
        })
        .count()
}

/// What a passage costs with its heading line.
pub fn passage_tokens(text: &str, count: &dyn Fn(&str) -> usize) -> u64 {
    /// Number, file name, page.
    const HEADING_TOKENS: u64 = 24;
    HEADING_TOKENS + count(text) as u64
}

/// The longest beginning of `text`, cut at a space or a CJK full stop where there is one, that has
/// at most `room` tokens; nothing if none does.
pub fn clip<'a>(text: &'a str, room: u64, count: &dyn Fn(&str) -> usize) -> &'a str {
    let (mut fits, mut too_long) = (0, text.len() + 1);
    while too_long - fits > 1 {
        let middle = text.floor_char_boundary(fits.midpoint(too_long));
        if middle <= fits {
            break;
        }
        if passage_tokens(&text[..middle], count) <= room {
            fits = middle;
        } else {
            too_long = middle;
        }
    }
    if fits == text.len() {
        return text;
    }
    let border = text[..fits].rfind(|c: char| c.is_whitespace() || "。!?".contains(c));
    text[..border.unwrap_or(fits)].trim_end()
}

/// The report on a prompt that had `older` messages of history to draw on.
pub fn report(assembled: &Assembled, budget: Budget, older: u64, passages: u64) -> ContextReport {
    ContextReport {
        budget_tokens: budget.prompt_tokens(),
        prompt_tokens: assembled.prompt_tokens,
        messages: assembled.kept,
        messages_dropped: older.saturating_sub(assembled.kept),
        passages,
        passages_dropped: 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(text: &str) -> usize {
        text.split_whitespace().count()
    }

    fn user(text: &str) -> Result<ChatMessage> {
        Ok(ChatMessage::new(Role::User, text))
    }

    fn fixed(system: &str) -> Fixed {
        Fixed { system: system.into(), ..Fixed::default() }
    }

    #[test]
    fn the_oldest_messages_go_first_and_instructions_stay() {
        let history = ["six seven", "three four five", "one two"].map(user);
        let budget = Budget::new(28, 9);
        let prompt = assemble(fixed("be kind"), history.into_iter(), budget, &words).unwrap();
        let texts: Vec<&str> = prompt.messages.iter().map(|m| m.content.as_str()).collect();
        assert_eq!(texts, ["be kind", "three four five", "six seven"]);
        assert_eq!((prompt.kept, prompt.prompt_tokens), (2, 19));
        assert_eq!(report(&prompt, budget, 3, 0).messages_dropped, 1);
    }

    #[test]
    fn a_message_that_cannot_fit_is_refused_with_its_size() {
        let long = "word ".repeat(100);
        let error =
            assemble(fixed("be kind"), [user(&long)].into_iter(), Budget::new(60, 20), &words);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("104 tokens") && error.contains("only 34 are free"), "{error}");
    }

    #[test]
    fn a_clipped_passage_ends_between_words() {
        assert_eq!(clip("one two three four", 26, &words), "one two");
        assert_eq!(clip("one two", 26, &words), "one two");
        assert_eq!(clip("one two", 24, &words), "");
    }

    proptest! {
        #[test]
        fn a_prompt_keeps_to_its_budget_and_to_the_newest(
            lengths in prop::collection::vec(1usize..30, 1..20), context in 8u64..400
        ) {
            let budget = Budget::new(context, 50);
            let texts: Vec<String> = lengths.iter().map(|n| "w ".repeat(*n)).collect();
            let newest_first = texts.iter().map(|text| user(text));
            match assemble(Fixed::default(), newest_first, budget, &words) {
                Ok(prompt) => {
                    prop_assert!(prompt.prompt_tokens <= budget.prompt_tokens());
                    prop_assert!(prompt.kept >= 1);
                    for (message, text) in prompt.messages.iter().rev().zip(&texts) {
                        prop_assert_eq!(&message.content, text);
                    }
                }
                Err(_) => prop_assert!(lengths[0] as u64 + FRAME_TOKENS > budget.prompt_tokens()),
            }
        }

        #[test]
        fn a_clip_is_a_beginning_that_fits(text in "[a-c 。é]{0,60}", room in 0u64..60) {
            let clipped = clip(&text, room, &|text: &str| text.chars().count());
            prop_assert!(text.starts_with(clipped));
            prop_assert!(clipped.is_empty() || 24 + clipped.chars().count() as u64 <= room);
        }
    }
}
