//! How fast a chat model is here, seen from outside: through the socket that everyone uses.
//!
//! What a cache of prefixes saves shows by itself, because a second question is asked behind a
//! prompt that was read before. Every other prompt begins with a number of its own, so that no
//! cache knows it.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use docent_core::{
    ChatDelta, ChatMessage, ChatModel, ChatReply, ChatRequest, Error, FinishReason, Result, Role,
    Sampling,
};
use serde::{Deserialize, Serialize};

/// What is measured.
#[derive(Clone, Debug)]
pub struct BenchOptions {
    /// How often each.
    pub runs: usize,
    /// How long prompts are, in the model's tokens; those its context does not take are shortened
    /// to what it does.
    pub prompt_tokens: Vec<usize>,
    /// How many tokens are written.
    pub decode_tokens: usize,
}

impl Default for BenchOptions {
    fn default() -> Self {
        Self { runs: 3, prompt_tokens: vec![256, 2048], decode_tokens: 64 }
    }
}

/// How fast a model is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Measured {
    /// For each length of prompt.
    pub prompts: Vec<MeasuredPrompt>,
    /// Tokens written a second, behind the first; none if the model wrote too few to tell.
    pub decode_tokens_per_second: Option<Spread>,
}

/// How fast a prompt is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MeasuredPrompt {
    /// How long it was, as the model reports.
    pub prompt_tokens: u64,
    /// Until the first token, the prompt being new, in milliseconds.
    pub first_token_cold_ms: Spread,
    /// Until the first token, the same prompt having been read before with another question, in
    /// milliseconds.
    pub first_token_cached_ms: Spread,
    /// Tokens of a new prompt read a second. For a model elsewhere the way there is in it.
    pub prefill_tokens_per_second: Spread,
}

/// Several measurements of one thing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The one in the middle.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
    /// How many there are.
    pub runs: usize,
}

impl Spread {
    /// The spread of `values`; none if there are none.
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let runs = values.len();
        let median = match runs % 2 {
            0 => (values[runs / 2 - 1] + values[runs / 2]) / 2.0,
            _ => values[runs / 2],
        };
        Some(Self { median, min, max, runs })
    }
}

/// How far a measurement has come, in calls of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BenchProgress {
    /// Calls that are done.
    pub done: usize,
    /// Calls in all.
    pub total: usize,
}

/// Measures `model`. `on_progress` is asked before each call and at each piece of an answer, and
/// may break off.
///
/// # Errors
/// Those of the model, and [`Conflict`](docent_core::ErrorKind::Conflict) when the caller broke
/// off.
pub fn bench(
    model: &dyn ChatModel,
    name: &str,
    options: &BenchOptions,
    on_progress: &mut dyn FnMut(BenchProgress) -> ControlFlow<()>,
) -> Result<Measured> {
    let lengths = prompt_lengths(model, options);
    let runs = options.runs.max(1);
    let total = (lengths.len() * 2 + 1) * runs;
    let mut bench = Bench { model, name, on_progress, done: 0, total, prompts_made: 0 };
    let prompts =
        lengths.into_iter().map(|tokens| bench.prompt(tokens, runs)).collect::<Result<_>>()?;
    let mut rates = Vec::new();
    for _ in 0..runs {
        rates.extend(bench.decode(options.decode_tokens)?);
    }
    Ok(Measured { prompts, decode_tokens_per_second: Spread::of(rates) })
}

/// What of each length the model takes, with a question behind it and an answer.
fn prompt_lengths(model: &dyn ChatModel, options: &BenchOptions) -> Vec<usize> {
    const BESIDE: usize = 128;
    let most = model.spec().context_tokens.saturating_sub(BESIDE).max(1);
    let mut lengths: Vec<usize> =
        options.prompt_tokens.iter().map(|tokens| (*tokens).clamp(1, most)).collect();
    lengths.dedup();
    lengths
}

struct Bench<'a> {
    model: &'a dyn ChatModel,
    name: &'a str,
    on_progress: &'a mut dyn FnMut(BenchProgress) -> ControlFlow<()>,
    done: usize,
    total: usize,
    prompts_made: usize,
}

/// A call of the model, timed.
struct Timed {
    reply: ChatReply,
    first: Duration,
    all: Duration,
}

impl Bench<'_> {
    fn prompt(&mut self, tokens: usize, runs: usize) -> Result<MeasuredPrompt> {
        let (mut cold, mut cached, mut rates) = (Vec::new(), Vec::new(), Vec::new());
        let mut prompt_tokens = 0;
        for _ in 0..runs {
            let text = self.new_text(tokens);
            let mut messages = vec![
                ChatMessage::new(Role::System, text),
                ChatMessage::new(Role::User, "What is this about?"),
            ];
            let timed = self.timed(&messages, 1)?;
            prompt_tokens = timed.reply.usage.prompt_tokens;
            cold.push(millis(timed.first));
            rates.push(prompt_tokens as f64 / timed.first.as_secs_f64());
            messages.pop();
            messages.push(ChatMessage::new(Role::User, "And which word is the first?"));
            cached.push(millis(self.timed(&messages, 1)?.first));
        }
        let spread = |values| Spread::of(values).ok_or_else(|| Error::internal("nothing was run"));
        Ok(MeasuredPrompt {
            prompt_tokens,
            first_token_cold_ms: spread(cold)?,
            first_token_cached_ms: spread(cached)?,
            prefill_tokens_per_second: spread(rates)?,
        })
    }

    /// Tokens a second behind the first; none if there are too few to tell.
    fn decode(&mut self, tokens: usize) -> Result<Option<f64>> {
        const FEW: u64 = 8;
        let number = self.next_number();
        let question =
            format!("Number {number}. Write all numbers from one to one hundred in words.");
        let timed = self.timed(&[ChatMessage::new(Role::User, question)], tokens)?;
        let written = timed.reply.usage.completion_tokens;
        let took = timed.all.saturating_sub(timed.first).as_secs_f64();
        Ok((written >= FEW && took > 0.0).then(|| (written - 1) as f64 / took))
    }

    fn timed(&mut self, messages: &[ChatMessage], most_tokens: usize) -> Result<Timed> {
        let progress = BenchProgress { done: self.done, total: self.total };
        let broken_off = || Error::conflict("measuring was broken off");
        if (self.on_progress)(progress).is_break() {
            return Err(broken_off());
        }
        let request = ChatRequest {
            model: self.name,
            messages,
            sampling: Sampling {
                temperature: Some(0.0),
                max_tokens: Some(most_tokens),
                ..Sampling::default()
            },
            ..ChatRequest::default()
        };
        let (begun, mut first) = (Instant::now(), None);
        let mut on_delta = |delta| {
            // An empty piece only asks whether to go on.
            if !matches!(&delta, ChatDelta::Text(text) if text.is_empty()) {
                first.get_or_insert_with(|| begun.elapsed());
            }
            (self.on_progress)(progress)
        };
        let reply = self.model.chat(&request, &mut on_delta)?;
        let all = begun.elapsed();
        if reply.finish == FinishReason::Cancelled {
            return Err(broken_off());
        }
        self.done += 1;
        Ok(Timed { reply, first: first.unwrap_or(all), all })
    }

    /// A text of about so many tokens that no other begins like.
    fn new_text(&mut self, tokens: usize) -> String {
        const WORDS: [&str; 16] = [
            "water", "stone", "green", "seven", "river", "paper", "light", "north", "apple",
            "clock", "bread", "music", "metal", "house", "cloud", "glass",
        ];
        let number = self.next_number();
        let mut text = format!("Text {number}.");
        // Simple words are about a token each. Counted in steps, as counting takes time too.
        let mut at = number;
        while self.model.count_tokens(&text) < tokens {
            let missing = tokens - self.model.count_tokens(&text);
            for _ in 0..missing.div_ceil(2) {
                text.push(' ');
                text.push_str(WORDS[at * 7 % WORDS.len()]);
                at += 1 + at / WORDS.len() % 3;
            }
        }
        text
    }

    fn next_number(&mut self) -> usize {
        self.prompts_made += 1;
        self.prompts_made
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use docent_core::ErrorKind;

    use super::*;
    use crate::chat::{Scripted, ScriptedReply};

    #[test]
    fn a_spread_has_the_middle_and_both_ends() {
        let spread = Spread::of(vec![3.0, 1.0, 2.0]).unwrap();
        assert_eq!((spread.median, spread.min, spread.max, spread.runs), (2.0, 1.0, 3.0, 3));
        assert_eq!(Spread::of(vec![4.0, 1.0]).unwrap().median, 2.5);
        assert_eq!(Spread::of(vec![]), None);
    }

    #[test]
    fn every_prompt_is_new_but_the_one_that_is_asked_again() {
        let options = BenchOptions { runs: 2, prompt_tokens: vec![40], decode_tokens: 8 };
        let model = Scripted::new((0..6).map(|_| ScriptedReply::text("One two.")));
        let mut told = Vec::new();
        let measured = bench(&model, "x", &options, &mut |progress| {
            told.push(progress);
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(measured.prompts.len(), 1);
        assert_eq!(measured.prompts[0].first_token_cached_ms.runs, 2);
        let requests = model.requests();
        let begins: Vec<&str> = requests.iter().map(|it| it.messages[0].content.as_str()).collect();
        assert_eq!((begins[0], begins[2]), (begins[1], begins[3]));
        assert!(begins[0] != begins[2] && begins[4] != begins[5]);
        assert_ne!(requests[0].messages[1], requests[1].messages[1]);
        assert_eq!(told[0], BenchProgress { done: 0, total: 6 });
    }

    #[test]
    fn measuring_can_be_broken_off_within_an_answer() {
        let model = Scripted::new([ScriptedReply::text("One two three.")]);
        let mut asked = 0;
        let error = bench(&model, "x", &BenchOptions::default(), &mut |_| {
            asked += 1;
            if asked > 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Conflict);
    }
}
