//! What a model is shown: instructions first, then as much of the conversation as fits, newest
//! kept. Pure.
//!
//! A prompt has fixed parts (instructions, passages, tools, the turns of the present run) and the
//! thread's history, of which whole messages are left out: those in the middle, as the Assistants
//! API has it. The newest stay because they are what is talked about, and the very first, if it is
//! short, because it often says what all is for. What went in and what did not is a
//! [`ContextReport`] on the run step.

use docent_core::{
    ChatMessage, ContextReport, Error, MessageId, Result, Role, Seq, ToolCall, Truncation,
};

/// Tokens a chat template spends on each message's frame: five in ChatML and in Llama's and Gemma's,
/// and one more where "assistant" is two tokens, as in SmolLM2's vocabulary.
const FRAME_TOKENS: u64 = 6;

/// Tokens that a chat template spends once: where the answer begins, and the date or the instructions
/// of its own that some add. A prompt that seemed shorter than it is would fail its run.
const PROMPT_TOKENS: u64 = 32;

/// The thread's first message may have this part of the room if others must go for it.
const FIRST_SHARE: u64 = 8;

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

/// A message of the thread's history.
#[derive(Clone, Debug, PartialEq)]
pub struct Past {
    /// Its place in the thread.
    pub place: Seq,
    /// Its id.
    pub id: MessageId,
    /// As a model sees it; none if nothing of it can be shown.
    pub message: Option<ChatMessage>,
}

/// A prompt, and what it left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assembled {
    /// The messages, oldest first.
    pub messages: Vec<ChatMessage>,
    /// How many messages of the history are among them.
    pub kept: u64,
    /// Those that are not, newest first.
    pub dropped: Vec<(Seq, MessageId)>,
    /// What all has in tokens.
    pub prompt_tokens: u64,
}

/// Puts a prompt together. `newest_first` yields the thread's whole history, of which no more is
/// counted in tokens than fits.
///
/// # Errors
/// [`Invalid`](docent_core::ErrorKind::Invalid) when the fixed parts or the newest message alone
/// do not fit; the message names the sizes.
pub fn assemble(
    fixed: Fixed,
    newest_first: impl Iterator<Item = Result<Past>>,
    truncation: Truncation,
    budget: Budget,
    count: &dyn Fn(&str) -> usize,
) -> Result<Assembled> {
    let room = budget.prompt_tokens();
    let mut messages = Vec::new();
    if !fixed.system.is_empty() {
        messages.push(ChatMessage::new(Role::System, fixed.system));
    }
    let mut used = fixed.extra_tokens + PROMPT_TOKENS;
    used += messages.iter().map(|m| message_tokens(m, count)).sum::<u64>();
    used += fixed.turns.iter().map(|turn| message_tokens(turn, count)).sum::<u64>();
    if used > room {
        return Err(too_long("the instructions and the turns of this run", used, room, budget));
    }
    let mut history = History { room, used, kept: Vec::new(), dropped: Vec::new() };
    let first = history.read(newest_first, truncation, budget, count)?;
    if let (Some(first), Truncation::Auto) = (first, truncation) {
        history.keep_first(first, count);
    }
    let kept = history.kept.len() as u64;
    messages.extend(history.kept.into_iter().rev().map(|(_, message)| message));
    messages.extend(fixed.turns);
    Ok(Assembled { messages, kept, dropped: history.dropped, prompt_tokens: history.used })
}

/// A message's place, and its id.
type At = (Seq, MessageId);

/// What is kept of a thread's history, newest first.
struct History {
    room: u64,
    used: u64,
    kept: Vec<(At, ChatMessage)>,
    dropped: Vec<At>,
}

impl History {
    /// Keeps messages until one does not fit, or as many as are wanted. Gives the thread's first
    /// message, if it is not among them.
    fn read(
        &mut self,
        newest_first: impl Iterator<Item = Result<Past>>,
        truncation: Truncation,
        budget: Budget,
        count: &dyn Fn(&str) -> usize,
    ) -> Result<Option<(At, ChatMessage)>> {
        let most = match truncation {
            Truncation::Auto => usize::MAX,
            Truncation::LastMessages(most) => most as usize,
        };
        let mut oldest = None;
        for (at, past) in newest_first.enumerate() {
            let Past { place, id, message } = past?;
            let at_place = (place, id);
            let Some(message) = message else { continue };
            let wanted = self.dropped.is_empty() && at < most;
            let tokens = if wanted { message_tokens(&message, count) } else { 0 };
            if wanted && self.used + tokens <= self.room {
                self.used += tokens;
                self.kept.push((at_place, message));
                continue;
            }
            if wanted && self.kept.is_empty() {
                let free = self.room - self.used;
                return Err(too_long("the newest message", tokens, free, budget));
            }
            self.dropped.push(at_place);
            oldest = Some((at_place, message));
        }
        Ok(oldest)
    }

    /// Makes room for the thread's first message if the user said it and it is short: at the cost
    /// of others, but never of the newest.
    fn keep_first(&mut self, first: (At, ChatMessage), count: &dyn Fn(&str) -> usize) {
        let tokens = message_tokens(&first.1, count);
        if first.1.role != Role::User || tokens > self.room / FIRST_SHARE {
            return;
        }
        let (mut keep, mut used) = (self.kept.len(), self.used + tokens);
        while keep > 1 && used > self.room {
            keep -= 1;
            used -= message_tokens(&self.kept[keep].1, count);
        }
        if used > self.room {
            return;
        }
        self.used = used;
        self.dropped.pop();
        let instead = self.kept.drain(keep..).map(|(at, _)| at);
        self.dropped.splice(0..0, instead);
        self.kept.push(first);
    }
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

/// The report on a prompt.
pub fn report(assembled: &Assembled, budget: Budget, passages: u64, tools: u64) -> ContextReport {
    ContextReport {
        budget_tokens: budget.prompt_tokens(),
        prompt_tokens: assembled.prompt_tokens,
        tools,
        messages: assembled.kept,
        messages_dropped: assembled.dropped.len() as u64,
        first_dropped: assembled.dropped.last().map(|(_, id)| *id),
        last_dropped: assembled.dropped.first().map(|(_, id)| *id),
        messages_summarized: 0,
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

    /// A user's message, whose id is its place in the thread.
    fn user(place: u64, text: &str) -> Result<Past> {
        let message = Some(ChatMessage::new(Role::User, text));
        Ok(Past { place: Seq(place), id: id(place), message })
    }

    fn id(place: u64) -> MessageId {
        format!("msg_{place:024}").parse().unwrap()
    }

    /// A thread of these texts, newest first.
    fn thread(texts: &[&str]) -> Vec<Result<Past>> {
        let places = texts.iter().enumerate();
        places.map(|(at, text)| user(at as u64 + 1, text)).rev().collect()
    }

    fn fixed(system: &str) -> Fixed {
        Fixed { system: system.into(), ..Fixed::default() }
    }

    /// The texts of a prompt from `thread` in so much room.
    fn shown(texts: &[&str], room: u64, truncation: Truncation) -> (Vec<String>, Assembled) {
        let budget = Budget { context_tokens: room + PROMPT_TOKENS + 10, answer_tokens: 10 };
        let thread = thread(texts).into_iter();
        let prompt = assemble(fixed("be kind"), thread, truncation, budget, &words).unwrap();
        (prompt.messages.iter().map(|message| message.content.clone()).collect(), prompt)
    }

    const LONG_FIRST: [&str; 3] = ["one two three four five", "three four five", "six seven"];

    #[test]
    fn the_oldest_messages_go_first_and_instructions_stay() {
        let frames = 3 * FRAME_TOKENS;
        let (texts, prompt) = shown(&LONG_FIRST, 7 + frames, Truncation::Auto);
        assert_eq!(texts, ["be kind", "three four five", "six seven"]);
        assert_eq!((prompt.kept, prompt.prompt_tokens), (2, 7 + frames + PROMPT_TOKENS));
        assert_eq!(prompt.dropped, [(Seq(1), id(1))]);
    }

    #[test]
    fn a_short_first_message_stays_and_those_in_the_middle_go() {
        let filler = "word ".repeat(30);
        let texts = ["do so", &filler, &filler, &filler, "and now"];
        // Room for two of the three in the middle, but not with the first.
        let room = 2 + 60 + 2 + 4 * FRAME_TOKENS;
        let (kept, prompt) = shown(&texts, room, Truncation::Auto);
        assert_eq!(kept, ["be kind", "do so", &filler, "and now"]);
        assert_eq!(prompt.dropped, [(Seq(3), id(3)), (Seq(2), id(2))]);
        let budget = Budget { context_tokens: room, answer_tokens: 0 };
        let report = report(&prompt, budget, 0, 0);
        assert_eq!((report.messages, report.messages_dropped), (3, 2));
        assert_eq!((report.first_dropped, report.last_dropped), (Some(id(2)), Some(id(3))));
    }

    #[test]
    fn the_last_messages_are_those_asked_for_and_no_others() {
        let texts = ["first", "second", "third", "fourth"];
        for (most, wanted) in
            [(0, &[][..]), (1, &texts[3..]), (3, &texts[1..]), (4, &texts), (9, &texts)]
        {
            let (kept, prompt) = shown(&texts, 100, Truncation::LastMessages(most));
            assert_eq!(kept[1..], *wanted, "{most}");
            assert_eq!(prompt.dropped.len(), texts.len() - wanted.len());
        }
        // What does not fit is left out all the same, the first not taken in its place.
        let room = 2 + 2 + 3 * FRAME_TOKENS;
        let (kept, _) = shown(&texts, room, Truncation::LastMessages(3));
        assert_eq!(kept, ["be kind", "third", "fourth"]);
    }

    #[test]
    fn a_message_without_anything_to_show_is_neither_kept_nor_dropped() {
        let mut thread = thread(&["first", "second", "third"]);
        thread[1].as_mut().unwrap().message = None;
        let budget = Budget::new(100, 10);
        let thread = thread.into_iter();
        let truncation = Truncation::LastMessages(2);
        let prompt = assemble(Fixed::default(), thread, truncation, budget, &words).unwrap();
        assert_eq!((prompt.kept, prompt.dropped), (1, vec![(Seq(1), id(1))]));
    }

    #[test]
    fn a_message_that_cannot_fit_is_refused_with_its_size() {
        let long = "word ".repeat(100);
        let thread = thread(&[&long]).into_iter();
        let budget = Budget::new(60, 20);
        let error = assemble(fixed("be kind"), thread, Truncation::Auto, budget, &words);
        let error = error.unwrap_err().to_string();
        let (size, free) = (100 + FRAME_TOKENS, 40 - 2 - FRAME_TOKENS - PROMPT_TOKENS);
        assert!(error.contains(&format!("{size} tokens")), "{error}");
        assert!(error.contains(&format!("only {free} are free")), "{error}");
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
            let borrowed: Vec<&str> = texts.iter().map(String::as_str).collect();
            let newest_first = thread(&borrowed).into_iter();
            let prompt = assemble(Fixed::default(), newest_first, Truncation::Auto, budget, &words);
            let newest = *lengths.last().unwrap() as u64 + FRAME_TOKENS + PROMPT_TOKENS;
            let Ok(prompt) = prompt else {
                prop_assert!(newest > budget.prompt_tokens());
                return Ok(());
            };
            prop_assert!(prompt.prompt_tokens <= budget.prompt_tokens());
            prop_assert!(prompt.kept >= 1);
            prop_assert_eq!(prompt.kept as usize + prompt.dropped.len(), texts.len());
            // The first may stand before the newest; between them is what was dropped.
            let places = prompt.dropped.windows(2).all(|pair| pair[0] > pair[1]);
            prop_assert!(places);
            let mut kept: Vec<&str> = prompt.messages.iter().map(|it| it.content.as_str()).collect();
            if prompt.dropped.last().is_some_and(|(oldest, _)| *oldest != Seq(1)) {
                prop_assert_eq!(kept.remove(0), &texts[0]);
            }
            prop_assert_eq!(&kept[..], &borrowed[texts.len() - kept.len()..]);
        }

        #[test]
        fn a_clip_is_a_beginning_that_fits(text in "[a-c 。é]{0,60}", room in 0u64..60) {
            let clipped = clip(&text, room, &|text: &str| text.chars().count());
            prop_assert!(text.starts_with(clipped));
            prop_assert!(clipped.is_empty() || 24 + clipped.chars().count() as u64 <= room);
        }
    }
}
