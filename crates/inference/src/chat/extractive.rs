//! Answers without a model: the best passages' own sentences, each with its citation.
//!
//! It cannot reason, sum up or translate, and it cannot make anything up either: every sentence
//! of an answer stands in a passage, word for word. It is the default while no other chat model
//! is configured.

mod select;
mod sentences;
mod terms;

use std::ops::ControlFlow;

use docent_core::{
    ChatDelta, ChatMessage, ChatModel, ChatReply, ChatRequest, ChatSpec, Error, FinishReason,
    Passage, Profile, ResponseFormat, Result, Role, ToolChoice, Usage,
};
use unicode_segmentation::UnicodeSegmentation;

use self::select::{Quote, Selection, select};
use self::sentences::PieceKind;
use super::tokens::estimate;

/// A question of fewer terms leans on the one before it.
const FEW_TERMS: usize = 2;

/// Answers with the passages' own sentences, verbatim, each followed by `[n]`.
///
/// The question is the last user message; passages written into that message are taken out of it
/// first. What is quoted comes from [`ChatRequest::passages`] alone.
#[derive(Debug)]
pub struct Extractive {
    spec: ChatSpec,
}

impl Extractive {
    /// An extractive model configured as `name`.
    pub fn new(name: impl Into<String>) -> Self {
        let spec = ChatSpec {
            name: name.into(),
            profile: Profile::Basic,
            // It reads passages one by one and has no window; this bounds how many are retrieved.
            context_tokens: 32_768,
            max_output_tokens: 1_024,
        };
        Self { spec }
    }
}

impl Default for Extractive {
    fn default() -> Self {
        Self::new("extractive")
    }
}

impl ChatModel for Extractive {
    fn spec(&self) -> &ChatSpec {
        &self.spec
    }

    fn count_tokens(&self, text: &str) -> usize {
        estimate(text)
    }

    fn chat(
        &self,
        request: &ChatRequest<'_>,
        on_delta: &mut dyn FnMut(ChatDelta) -> ControlFlow<()>,
    ) -> Result<ChatReply> {
        self.refuse_what_needs_a_model(request)?;
        let answer = answer(&question(request), request.passages);
        let limit = request.sampling.max_tokens.unwrap_or(self.spec.max_output_tokens);
        let (text, finish) = push_words(&answer, limit, on_delta);
        let prompt_tokens =
            request.messages.iter().map(|message| estimate(&message.content)).sum::<usize>();
        let usage = Usage {
            prompt_tokens: prompt_tokens as u64,
            completion_tokens: estimate(&text) as u64,
        };
        Ok(ChatReply { text, tool_calls: Vec::new(), finish, usage })
    }
}

impl Extractive {
    fn refuse_what_needs_a_model(&self, request: &ChatRequest<'_>) -> Result<()> {
        let name = &self.spec.name;
        let must_call = matches!(request.tool_choice, ToolChoice::Required | ToolChoice::Named(_));
        if must_call && !request.tools.is_empty() {
            return Err(Error::invalid(format!(
                "{name} quotes passages and calls no tools; configure a remote model in docent.toml"
            )));
        }
        if !request.sampling.stop.is_empty() {
            return Err(Error::invalid(format!(
                "{name} quotes whole sentences and stops nowhere else; leave out 'stop' or \
                 configure a remote model in docent.toml"
            )));
        }
        if request.response_format != ResponseFormat::Text {
            return Err(Error::invalid(format!(
                "{name} quotes passages and writes no JSON; configure a remote model in docent.toml"
            )));
        }
        Ok(())
    }
}

/// The last user message; when that says too little by itself ("and in winter?"), after the one
/// before it.
fn question(request: &ChatRequest<'_>) -> String {
    let of_user = |message: &&ChatMessage| message.role == Role::User;
    let mut questions = request.messages.iter().rev().filter(of_user);
    let last = questions.next().map(|message| without_passages(&message.content, request.passages));
    let last = last.unwrap_or_default();
    match questions.next() {
        Some(before) if terms::terms(&last).len() < FEW_TERMS => {
            format!("{}\n{last}", without_passages(&before.content, request.passages))
        }
        _ => last,
    }
}

fn without_passages(message: &str, passages: &[Passage]) -> String {
    let mut message = message.to_owned();
    for passage in passages {
        if message.contains(&passage.text) {
            message = message.replace(&passage.text, "\n");
        }
    }
    message
}

#[derive(Clone, Copy, PartialEq)]
enum Language {
    Chinese,
    English,
}

impl Language {
    fn of(text: &str) -> Self {
        let letters = text.chars().filter(|c| c.is_alphabetic()).count();
        let ideographs = text.chars().filter(|c| terms::is_ideograph(*c)).count();
        if ideographs * 4 > letters { Self::Chinese } else { Self::English }
    }

    fn nothing_found(self) -> &'static str {
        match self {
            Self::Chinese => "在文档中没有找到能回答这个问题的内容。",
            Self::English => "I found nothing in the documents that answers this.",
        }
    }

    fn only_closest(self) -> &'static str {
        match self {
            Self::Chinese => "文档中没有用这些词语直接回答这个问题，最接近的内容是：",
            Self::English => "No passage answers this in so many words. The closest says:",
        }
    }
}

fn answer(question: &str, passages: &[Passage]) -> String {
    let language = Language::of(question);
    let Selection { quotes, relevant } = select(question, passages);
    if quotes.is_empty() {
        return language.nothing_found().to_owned();
    }
    let quoted = layout(&quotes);
    if relevant { quoted } else { format!("{}\n\n{quoted}", language.only_closest()) }
}

/// Up to two sentences are a paragraph; more, and lists and code, are a list.
fn layout(quotes: &[Quote]) -> String {
    let prose = quotes.iter().all(|quote| quote.kind == PieceKind::Sentence);
    let cited = quotes.iter().map(|Quote { number, text, .. }| format!("{text} [{number}]"));
    if prose && quotes.len() <= 2 || quotes.len() == 1 {
        cited.collect::<Vec<_>>().join(" ")
    } else {
        cited.map(|line| format!("- {line}")).collect::<Vec<_>>().join("\n")
    }
}

/// Pushes `answer` word by word, each with the space after it.
fn push_words(
    answer: &str,
    limit_tokens: usize,
    on_delta: &mut dyn FnMut(ChatDelta) -> ControlFlow<()>,
) -> (String, FinishReason) {
    let mut pushed = String::with_capacity(answer.len());
    let mut word = String::new();
    let mut parts = answer.split_word_bounds().peekable();
    while let Some(part) = parts.next() {
        word.push_str(part);
        let more_space = parts.peek().is_some_and(|next| next.trim().is_empty());
        if more_space {
            continue;
        }
        if estimate(&pushed) + estimate(&word) > limit_tokens {
            return (pushed, FinishReason::Length);
        }
        pushed.push_str(&word);
        if on_delta(ChatDelta::Text(std::mem::take(&mut word))).is_break() {
            return (pushed, FinishReason::Cancelled);
        }
    }
    (pushed, FinishReason::Stop)
}

#[cfg(test)]
mod tests;
