//! What happens in a run, as it happens: the events of the Assistants API's stream, and a plain
//! iterator over them.
//!
//! Whoever reads the store on hearing of a run's, a step's or a message's new status finds it there:
//! such an event is sent after the transaction that made it true. Only deltas run ahead of the
//! store.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use docent_core::{
    Annotation, Call, CodeOutput, Content, FileId, Message, MessageStatus, Run, RunStatus, RunStep,
    StepCall, StepDetails, StepStatus,
};
use serde::Serialize;

/// Something that happened in a run, with a snapshot of what it happened to.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunEvent {
    /// The run was made.
    RunCreated(Arc<Run>),
    /// The run came to the status it shows.
    Run(Arc<Run>),
    /// A step began.
    StepCreated(Arc<RunStep>),
    /// The step came to the status it shows.
    Step(Arc<RunStep>),
    /// A step grew.
    StepDelta {
        /// The step with the delta in it.
        step: Arc<RunStep>,
        /// What is new.
        delta: StepDelta,
    },
    /// A message was begun.
    MessageCreated(Arc<Message>),
    /// The message came to the status it shows.
    Message(Arc<Message>),
    /// A message grew.
    MessageDelta {
        /// The message with the delta in it.
        message: Arc<Message>,
        /// What is new.
        delta: MessageDelta,
    },
}

impl RunEvent {
    /// The event's name in the Assistants API's stream.
    pub fn name(&self) -> &'static str {
        match self {
            Self::RunCreated(_) => "thread.run.created",
            Self::Run(run) => run_event_name(run.status),
            Self::StepCreated(_) => "thread.run.step.created",
            Self::Step(step) => step_event_name(step.status),
            Self::StepDelta { .. } => "thread.run.step.delta",
            Self::MessageCreated(_) => "thread.message.created",
            Self::Message(message) => message_event_name(message.status),
            Self::MessageDelta { .. } => "thread.message.delta",
        }
    }

    /// Whether a stream ends with it: the run has ended or waits for the client.
    pub fn is_last(&self) -> bool {
        matches!(self, Self::Run(run) if run.status.is_terminal()
            || run.status == RunStatus::RequiresAction)
    }
}

fn run_event_name(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Queued => "thread.run.queued",
        RunStatus::InProgress => "thread.run.in_progress",
        RunStatus::RequiresAction => "thread.run.requires_action",
        RunStatus::Cancelling => "thread.run.cancelling",
        RunStatus::Cancelled => "thread.run.cancelled",
        RunStatus::Failed => "thread.run.failed",
        RunStatus::Completed => "thread.run.completed",
        RunStatus::Incomplete => "thread.run.incomplete",
        RunStatus::Expired => "thread.run.expired",
    }
}

fn step_event_name(status: StepStatus) -> &'static str {
    match status {
        StepStatus::InProgress => "thread.run.step.in_progress",
        StepStatus::Cancelled => "thread.run.step.cancelled",
        StepStatus::Failed => "thread.run.step.failed",
        StepStatus::Completed => "thread.run.step.completed",
        StepStatus::Expired => "thread.run.step.expired",
    }
}

fn message_event_name(status: MessageStatus) -> &'static str {
    match status {
        MessageStatus::InProgress => "thread.message.in_progress",
        MessageStatus::Incomplete => "thread.message.incomplete",
        MessageStatus::Completed => "thread.message.completed",
    }
}

/// New text at a message's end, and the citations in it; or the images before all text.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MessageDelta {
    /// Images that a run's programs made; the message has no text yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<FileId>,
    /// The text.
    pub text: String,
    /// Annotations whose spans end in that text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<Annotation>,
    /// How many annotations the message had before.
    pub annotations_before: usize,
}

impl MessageDelta {
    /// Puts the delta at the end of `message`, whose last part is text unless it has images alone.
    pub(crate) fn apply(&self, message: &mut Message) {
        let image = |file: &FileId| Content::ImageFile { file: *file, detail: None };
        message.content.extend(self.images.iter().map(image));
        if self.text.is_empty() && self.annotations.is_empty() {
            return;
        }
        if !matches!(message.content.last(), Some(Content::Text { .. })) {
            message.content.push(Content::text(""));
        }
        if let Some(Content::Text { text, annotations }) = message.content.last_mut() {
            text.push_str(&self.text);
            annotations.extend_from_slice(&self.annotations);
        }
    }
}

/// What is new in a step that calls tools.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StepDelta {
    /// The model begins to ask for a call; its arguments follow.
    Call {
        /// The how-manyeth of the step, from 0.
        index: usize,
        /// The call, as yet without arguments.
        call: StepCall,
    },
    /// More of a call's arguments.
    Arguments {
        /// The how-manyeth of the step, from 0.
        index: usize,
        /// The next piece.
        fragment: String,
    },
    /// What came of a program.
    Outputs {
        /// The how-manyeth of the step, from 0.
        index: usize,
        /// All of it.
        outputs: Vec<CodeOutput>,
    },
}

impl StepDelta {
    /// Puts the delta into `step`.
    pub(crate) fn apply(&self, step: &mut RunStep) {
        let StepDetails::ToolCalls { calls } = &mut step.details else { return };
        match self {
            Self::Call { call, .. } => calls.push(call.clone()),
            Self::Arguments { index, fragment } => {
                if let Some(call) = calls.get_mut(*index) {
                    push_arguments(&mut call.call, fragment);
                }
            }
            Self::Outputs { index, outputs } => {
                if let Some(StepCall {
                    call: Call::CodeInterpreter { outputs: slot, .. }, ..
                }) = calls.get_mut(*index)
                {
                    *slot = Some(outputs.clone());
                }
            }
        }
    }
}

fn push_arguments(call: &mut Call, fragment: &str) {
    match call {
        Call::FileSearch { arguments, .. } | Call::Function { arguments, .. } => {
            arguments.push_str(fragment);
        }
        Call::CodeInterpreter { input, .. } => input.push_str(fragment),
        _ => {}
    }
}

/// What the channel keeps: a delta without the snapshot it makes, or else the memory of a long
/// answer would grow with the square of its length.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Event(RunEvent),
    Message(MessageDelta),
    Step(StepDelta),
}

/// The events of one run, from its beginning, for any number of followers at any time.
#[derive(Debug, Default)]
pub(crate) struct Channel {
    log: Mutex<Log>,
    grown: Condvar,
}

#[derive(Debug, Default)]
struct Log {
    entries: Vec<Entry>,
    closed: bool,
}

impl Channel {
    /// A channel in which `events` have happened already.
    pub(crate) fn new(events: Vec<RunEvent>) -> Self {
        let channel = Self::default();
        channel.lock().entries = events.into_iter().map(Entry::from_event).collect();
        channel
    }

    pub(crate) fn push(&self, entry: Entry) {
        self.lock().entries.push(entry);
        self.grown.notify_all();
    }

    pub(crate) fn push_all(&self, events: Vec<RunEvent>) {
        self.lock().entries.extend(events.into_iter().map(Entry::from_event));
        self.grown.notify_all();
    }

    /// No more events will come: every stream ends after what there is.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.grown.notify_all();
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// The entry at `position`, waited for; none once the channel is closed before it.
    fn wait_for(&self, position: usize) -> Option<Entry> {
        let mut log = self.lock();
        loop {
            if let Some(entry) = log.entries.get(position) {
                return Some(entry.clone());
            }
            if log.closed {
                return None;
            }
            log = self.grown.wait(log).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn from_event(event: RunEvent) -> Self {
        match event {
            RunEvent::MessageDelta { delta, .. } => Self::Message(delta),
            RunEvent::StepDelta { delta, .. } => Self::Step(delta),
            event => Self::Event(event),
        }
    }
}

/// The events of a run, in order. Waits for the next; ends after the run has ended or waits for
/// the client, or when the engine shuts down.
///
/// Dropping it does not stop the run.
#[derive(Debug)]
#[must_use = "a stream does nothing unless it is read; the run goes on regardless"]
pub struct RunStream {
    channel: Arc<Channel>,
    next: usize,
    message: Option<Arc<Message>>,
    step: Option<Arc<RunStep>>,
}

impl RunStream {
    /// The events from `position` on.
    pub(crate) fn new(channel: Arc<Channel>, position: usize) -> Self {
        Self { channel, next: position, message: None, step: None }
    }

    /// Gives an entry the snapshot it belongs to; none for a delta of something unknown.
    fn complete(&mut self, entry: Entry) -> Option<RunEvent> {
        match entry {
            Entry::Event(event) => {
                match &event {
                    RunEvent::MessageCreated(message) | RunEvent::Message(message) => {
                        self.message = Some(message.clone());
                    }
                    RunEvent::StepCreated(step) | RunEvent::Step(step) => {
                        self.step = Some(step.clone());
                    }
                    _ => {}
                }
                Some(event)
            }
            Entry::Message(delta) => {
                let message = self.message.as_mut()?;
                delta.apply(Arc::make_mut(message));
                Some(RunEvent::MessageDelta { message: message.clone(), delta })
            }
            Entry::Step(delta) => {
                let step = self.step.as_mut()?;
                delta.apply(Arc::make_mut(step));
                Some(RunEvent::StepDelta { step: step.clone(), delta })
            }
        }
    }
}

impl Iterator for RunStream {
    type Item = RunEvent;

    fn next(&mut self) -> Option<RunEvent> {
        loop {
            let entry = self.channel.wait_for(self.next)?;
            self.next += 1;
            if let Some(event) = self.complete(entry) {
                return Some(event);
            }
        }
    }
}
