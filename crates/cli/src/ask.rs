//! `docent ask`: an answer as it comes, then its sources.

mod context;
mod searches;
mod sources;

use std::io::Write;

use anyhow::{Result, bail};
use docent::{
    AskOptions, Asked, ContextReport, Library, Message, MessageDelta, Run, RunEvent, RunStatus,
    SearchReport, StepStatus, ThreadId, Usage,
};
use serde::Serialize;

use self::sources::{JsonCitation, Sources};
use crate::console::{BOLD, Console, NAME, plain, write_json};
use crate::outcome::{Outcome, WrongUsage};
use crate::setup::{Setup, Weights};
use crate::{add, args, interrupt};

pub(crate) fn run(args: &args::Ask, setup: &Setup) -> Result<Outcome> {
    let thread = args.thread.as_deref().map(parse_thread).transpose()?;
    let (library, added) = open(args, setup)?;
    if added == Outcome::Interrupted {
        return Ok(added);
    }
    let defaults = AskOptions::default();
    let model = args.model.clone().unwrap_or(defaults.model);
    let asked = library.ask(&args.question, AskOptions { model, thread })?;
    let shape = Shape { json: args.json, explain: args.explain };
    let mut answer = Answer::new(asked.thread, shape, &setup.console);
    answer.listen(asked, &library)?;
    answer.finish()?;
    Ok(if interrupt::pressed() { Outcome::Interrupted } else { added })
}

fn parse_thread(text: &str) -> Result<ThreadId, WrongUsage> {
    let wrong = |_| {
        WrongUsage(format!(
            "'{}' is no thread; pass the id that an answer ended with, thread_…",
            plain::line(text)
        ))
    };
    text.parse().map_err(wrong)
}

/// The library, after `--add` was done.
fn open(args: &args::Ask, setup: &Setup) -> Result<(Library, Outcome)> {
    if args.add.is_empty() {
        return Ok((setup.existing(Weights::Fetch)?, Outcome::Done));
    }
    let finds = add::find(&args.add, setup)?;
    let library = if finds.candidates.is_empty() {
        setup.existing(Weights::Fetch)?
    } else {
        setup.create()?
    };
    let report = add::add(finds, &library, &setup.console)?;
    report.tell(&setup.console)?;
    Ok((library, report.outcome()))
}

/// How an answer is shown.
#[derive(Clone, Copy)]
struct Shape {
    json: bool,
    explain: bool,
}

/// An answer on its way to stdout.
struct Answer<'a> {
    thread: ThreadId,
    shape: Shape,
    console: &'a Console,
    sources: Sources,
    searches: Vec<SearchReport>,
    contexts: Vec<ContextReport>,
    message: Option<Message>,
    run: Option<Run>,
    /// Whether the last piece written ended a line.
    at_line_start: bool,
}

impl<'a> Answer<'a> {
    fn new(thread: ThreadId, shape: Shape, console: &'a Console) -> Self {
        Self {
            thread,
            shape,
            console,
            sources: Sources::default(),
            searches: vec![],
            contexts: vec![],
            message: None,
            run: None,
            at_line_start: true,
        }
    }

    /// Reads the run's events to their end; Ctrl-C cancels the run.
    fn listen(&mut self, asked: Asked, library: &Library) -> Result<()> {
        let engine = library.engine().clone();
        for event in asked.events {
            match event {
                RunEvent::RunCreated(run) => {
                    let (engine, id) = (engine.clone(), run.id);
                    interrupt::on_press(move || {
                        // It may have ended just now; then there is nothing to cancel.
                        let _ = engine.cancel_run(id);
                    });
                }
                RunEvent::MessageDelta { delta, .. } => self.show(&delta)?,
                RunEvent::Message(message) => self.message = Some(Message::clone(&message)),
                RunEvent::Run(run) => self.run = Some(Run::clone(&run)),
                RunEvent::Step(step) if step.status == StepStatus::Completed => {
                    self.searches.extend(searches::of_step(&step));
                    self.contexts.extend(context::of_step(&step));
                }
                _ => {}
            }
        }
        interrupt::forget();
        Ok(())
    }

    fn show(&mut self, delta: &MessageDelta) -> Result<()> {
        let text = self.sources.numbered(&delta.text, &delta.annotations);
        if self.shape.json || text.is_empty() {
            return Ok(());
        }
        let mut out = self.console.out();
        write!(out, "{}", plain::lines(&text))?;
        out.flush()?;
        self.at_line_start = text.ends_with('\n');
        Ok(())
    }

    fn finish(self) -> Result<()> {
        if !self.shape.json && !self.at_line_start {
            writeln!(self.console.out())?;
        }
        if let Some(reason) = self.run.as_ref().and_then(reason_of_failure) {
            bail!("{reason}; the question is kept in {}", self.thread);
        }
        if self.shape.json { self.write_json() } else { self.write_sources() }
    }

    fn write_sources(&self) -> Result<()> {
        let mut out = self.console.out();
        if !self.sources.is_empty() {
            writeln!(out, "\n{BOLD}Sources{BOLD:#}")?;
            self.sources.write(&mut out)?;
        }
        drop(out);
        if self.shape.explain {
            searches::write(&self.searches, self.console)?;
            context::write(&self.contexts, self.console)?;
        }
        self.console.note(format_args!(
            "\ngo on with: docent ask --thread {NAME}{}{NAME:#} \"…\"",
            self.thread
        ));
        Ok(())
    }

    fn write_json(&self) -> Result<()> {
        let run = self.run.as_ref();
        write_json(&Json {
            thread: self.thread.to_string(),
            run: run.map(|run| run.id.to_string()),
            model: run.map(|run| run.model.as_str()),
            status: run.map(|run| run.status.as_str()),
            answer: self.message.as_ref().map(sources::numbered_text).unwrap_or_default(),
            citations: self.sources.json(),
            usage: run.and_then(|run| run.usage),
            searches: self.shape.explain.then_some(&self.searches[..]),
            context: self.shape.explain.then_some(&self.contexts[..]),
        })
    }
}

/// Why there is no whole answer, if there is none.
fn reason_of_failure(run: &Run) -> Option<String> {
    let error = run.last_error.as_ref().map(|error| error.message.as_str());
    match run.status {
        RunStatus::Completed => None,
        // What was said until then stands.
        RunStatus::Incomplete | RunStatus::Cancelled => None,
        status => Some(match error {
            Some(message) => format!("{} could not answer: {message}", run.model),
            None => format!("the run ended as {status}"),
        }),
    }
}

#[derive(Serialize)]
struct Json<'a> {
    thread: String,
    run: Option<String>,
    model: Option<&'a str>,
    status: Option<&'a str>,
    answer: String,
    citations: Vec<JsonCitation<'a>>,
    usage: Option<Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    searches: Option<&'a [SearchReport]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<&'a [ContextReport]>,
}
