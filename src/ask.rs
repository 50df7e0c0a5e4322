//! Asking: a thread, a run of the library's own assistant, an answer.

use docent_core::{
    AnnotationTarget, Assistant, AssistantTool, Citation, Error, Message, Result, Run, RunStatus,
    ThreadId, ToolResources,
};
use docent_engine::{
    NewAssistant, NewMessage, NewRun, NewThread, PageRequest, RunEvent, RunStream,
};

use crate::Library;
use crate::library::OWN;

/// What the library's own assistant is told.
const INSTRUCTIONS: &str = "Answer the question from the passages of the user's own documents. \
    Cite every claim. If the passages do not hold the answer, say so.";

/// How a question is answered.
#[derive(Clone, Debug)]
pub struct AskOptions {
    /// The chat model's name, as configured.
    pub model: String,
    /// The thread to go on with; none begins one.
    pub thread: Option<ThreadId>,
}

impl Default for AskOptions {
    /// A new thread, and the model called `default`: the extractive one unless configured.
    fn default() -> Self {
        Self { model: "default".to_owned(), thread: None }
    }
}

/// An answer on its way.
#[derive(Debug)]
pub struct Asked {
    /// The thread it is given in.
    pub thread: ThreadId,
    /// What happens, as it happens.
    pub events: RunStream,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The thread it was given in.
    pub thread: ThreadId,
    /// The message that holds it.
    pub message: Message,
}

impl Answer {
    /// Its text, with markers where it cites.
    pub fn text(&self) -> String {
        self.message.text()
    }

    /// What it cites, in order.
    pub fn citations(&self) -> impl Iterator<Item = &Citation> {
        self.message.annotations().filter_map(|annotation| match &annotation.target {
            AnnotationTarget::FileCitation(citation) => Some(citation),
            _ => None,
        })
    }
}

impl Asked {
    /// Waits for the answer.
    ///
    /// # Errors
    /// [`Unavailable`](docent_core::ErrorKind::Unavailable) with the reason if the run failed,
    /// [`Conflict`](docent_core::ErrorKind::Conflict) if it was cancelled or waits for the client.
    pub fn finish(self) -> Result<Answer> {
        let (mut message, mut last) = (None, None);
        for event in self.events {
            match event {
                RunEvent::Message(whole) => message = Some(whole),
                RunEvent::Run(run) => last = Some(run),
                _ => {}
            }
        }
        match (last, message) {
            (Some(run), Some(message)) if run.status == RunStatus::Completed => {
                Ok(Answer { thread: self.thread, message: Message::clone(&message) })
            }
            (Some(run), _) => Err(unfinished(&run)),
            (None, _) => Err(Error::internal("the run's events ended before the run did")),
        }
    }
}

/// Why there is no answer.
fn unfinished(run: &Run) -> Error {
    match (&run.last_error, run.status) {
        (Some(error), _) => Error::unavailable(format!("the run failed: {}", error.message)),
        (None, status) => Error::conflict(format!("{} ended as {status}", run.id)),
    }
}

impl Library {
    /// Asks `question`; the answer cites the library's documents.
    ///
    /// # Errors
    /// [`NotFound`](docent_core::ErrorKind::NotFound) for an unknown thread,
    /// [`Conflict`](docent_core::ErrorKind::Conflict) while a run is active on it.
    pub fn ask(&self, question: &str, options: AskOptions) -> Result<Asked> {
        let assistant = self.own_assistant()?;
        let thread = match options.thread {
            Some(thread) => thread,
            None => self.engine().create_thread(NewThread::default())?.id,
        };
        self.engine().add_message(thread, NewMessage::user(question))?;
        let run = NewRun { model: Some(options.model), ..NewRun::new(assistant.id) };
        Ok(Asked { thread, events: self.engine().start_run(thread, run)? })
    }

    /// The library's own assistant, made when first asked.
    fn own_assistant(&self) -> Result<Assistant> {
        if let Some(assistant) = self.known_own_assistant()? {
            return Ok(assistant);
        }
        let (key, value) = OWN;
        self.engine().create_assistant(NewAssistant {
            model: AskOptions::default().model,
            name: Some("Docent".to_owned()),
            instructions: Some(INSTRUCTIONS.to_owned()),
            tools: vec![AssistantTool::FileSearch(Default::default())],
            tool_resources: ToolResources {
                vector_stores: Some(vec![self.vector_store()]),
                ..ToolResources::default()
            },
            metadata: [(key.to_owned(), value.to_owned())].into(),
            ..NewAssistant::default()
        })
    }

    /// The library's own assistant, if it was made.
    pub(crate) fn known_own_assistant(&self) -> Result<Option<Assistant>> {
        let (key, value) = OWN;
        let known = self.engine().assistants(&PageRequest::all())?.data;
        Ok(known.into_iter().find(|it| it.metadata.get(key).is_some_and(|it| it == value)))
    }
}
