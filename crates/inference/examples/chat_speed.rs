//! How fast a local chat model reads and writes, by form of its weights.
//!
//! ```text
//! RAYON_NUM_THREADS=1 cargo run --release -p docent-inference --example chat_speed -- shipped 256 64
//! ```
//! Arguments: form of the weights (`shipped`, `f32`), tokens of prompt, tokens of answer.
//! Needs the weights: `docent models pull SmolLM2-135M-Instruct`.

use std::error::Error;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use docent_core::{ChatMessage, ChatModel, ChatRequest, Role, Sampling};
use docent_inference::chat::{Local, Weights};
use docent_inference::{Catalog, FileRole, LocalConfig};

const ROUNDS: usize = 3;

#[expect(clippy::print_stdout, reason = "a program for people")]
fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |at: usize, default: &str| arguments.get(at).cloned().unwrap_or(default.into());
    let weights = match argument(0, "shipped").as_str() {
        "shipped" => Weights::AsShipped,
        "f32" => Weights::F32,
        other => return Err(format!("no such form of weights: {other}").into()),
    };
    let prompt_tokens: usize = argument(1, "256").parse()?;
    let answer_tokens: usize = argument(2, "64").parse()?;

    let files = Catalog::builtin().locate("SmolLM2-135M-Instruct").ok_or("no weights here")?;
    let path = files.path(FileRole::Weights)?;
    let started = Instant::now();
    let model = Local::load_as("speed".into(), path, &LocalConfig::default(), weights)?;
    println!("load {:.2} s, resident {}", started.elapsed().as_secs_f64(), resident());

    for _ in 0..ROUNDS {
        let (read, written, write) = round(&model, prompt_tokens, answer_tokens)?;
        let reading = read.0 as f64 / read.1.as_secs_f64();
        let writing = written as f64 / write.as_secs_f64();
        println!("{} tokens read at {reading:.0}/s, {written} written at {writing:.1}/s", read.0);
    }
    println!("resident at the end {}", resident());
    Ok(())
}

type Reading = (u64, Duration);

/// Tokens read and the time until the first word; tokens written after it and their time.
fn round(
    model: &Local,
    prompt_tokens: usize,
    answer_tokens: usize,
) -> Result<(Reading, u64, Duration), Box<dyn Error>> {
    // The template adds about 40 tokens; a sentence has 13.
    let sentence = "The captain sailed to another island and found an old map. ";
    let text = sentence.repeat(prompt_tokens.saturating_sub(40) / 13) + "\nGo on with this story.";
    let messages = [ChatMessage::new(Role::User, text)];
    let sampling = Sampling { max_tokens: Some(answer_tokens), ..Sampling::default() };
    let request = ChatRequest { messages: &messages, sampling, ..ChatRequest::default() };
    let started = Instant::now();
    let mut first = None;
    let reply = model.chat(&request, &mut |delta| {
        let has_text = !matches!(&delta, docent_core::ChatDelta::Text(text) if text.is_empty());
        if has_text && first.is_none() {
            first = Some(started.elapsed());
        }
        ControlFlow::Continue(())
    })?;
    let first = first.ok_or("no answer")?;
    let written = reply.usage.completion_tokens.saturating_sub(1);
    Ok(((reply.usage.prompt_tokens, first), written, started.elapsed() - first))
}

fn resident() -> String {
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    format!("{} (peak {})", field("VmRSS:").unwrap_or("?"), field("VmHWM:").unwrap_or("?"))
}
