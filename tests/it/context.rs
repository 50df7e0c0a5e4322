//! Is a prompt as long as the engine thinks it is? Beside the real model, where its weights are.

use docent::inference::{Catalog, LocalConfig, ModelConfig, ModelsConfig};
use docent::{Library, NewAssistant, NewMessage, NewRun, NewThread, RunEvent, RunStatus, Thread};

use crate::support::Home;

const MODEL: &str = "SmolLM2-135M-Instruct";

/// A library that answers with the real model; none, and a word why, where its weights are not.
fn library(home: &Home) -> Option<Library> {
    if Catalog::builtin().locate(MODEL).is_none() {
        let required = std::env::var("DOCENT_TEST_MODELS").is_ok_and(|value| value == "required");
        assert!(!required, "{MODEL} is not here");
        eprintln!("SKIPPED: run \"docent models pull {MODEL}\"");
        return None;
    }
    let local = LocalConfig { model: Some(MODEL.into()), ..LocalConfig::default() };
    let mut models = ModelsConfig::empty();
    models.insert(MODEL, ModelConfig::Local(local));
    let builder = Library::builder(home.library()).without_embedder().models(models);
    Some(builder.open().unwrap())
}

/// What the engine counted, and what the model read, for a thread of these messages.
fn counted_and_read(library: &Library, instructions: Option<&str>, texts: &[&str]) -> (u64, u64) {
    let engine = library.engine();
    let assistant = engine
        .create_assistant(NewAssistant {
            model: MODEL.into(),
            instructions: instructions.map(str::to_owned),
            ..NewAssistant::default()
        })
        .unwrap();
    let said = texts.iter().enumerate().map(|(at, text)| match at % 2 {
        0 => NewMessage::user(*text),
        _ => NewMessage::assistant(*text),
    });
    let messages = said.collect();
    let Thread { id, .. } =
        engine.create_thread(NewThread { messages, ..NewThread::default() }).unwrap();
    let new = NewRun { max_completion_tokens: Some(1), ..NewRun::new(assistant.id) };
    let last = engine.start_run(id, new).unwrap().last();
    let Some(RunEvent::Run(run)) = last else { panic!("{last:?}") };
    assert!(matches!(run.status, RunStatus::Completed | RunStatus::Incomplete), "{run:?}");
    let steps = engine.run_steps(run.id).unwrap();
    let context = steps.last().unwrap().context.unwrap();
    assert_eq!(context.messages, texts.len() as u64);
    (context.prompt_tokens, run.usage.unwrap().prompt_tokens)
}

#[test]
fn a_prompt_is_counted_as_long_as_its_model_reads_it_or_a_little_longer() {
    let home = Home::new();
    let Some(library) = library(&home) else { return };
    let short = ["Hi", "Hello!", "What is 2 + 2?", "4.", "And 17 * 3?"].repeat(9);
    let prose = ["The pump of the red house stops at 80 °C, says the handbook of 1998."; 7];
    for instructions in [None, Some("Be kind.")] {
        for texts in [&short[..1], &short[..], &prose[..]] {
            let (counted, read) = counted_and_read(&library, instructions, texts);
            let messages = texts.len();
            eprintln!("{messages} messages, {instructions:?}: counted {counted}, read {read}");
            assert!(
                (read..=read + 32 + messages as u64).contains(&counted),
                "counted {counted}, read {read}"
            );
        }
    }
}
