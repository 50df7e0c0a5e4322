//! The events of a run told again from the store, for whoever comes late.
//!
//! The store keeps what a run became, not each moment of it, so deltas come as one: the same
//! events in the same order, coarser.

use std::sync::Arc;

use docent_core::{
    Call, Content, Message, MessageStatus, Read, Result, Run, RunId, RunStatus, RunStep, StepCall,
    StepDetails, StepStatus,
};

use super::events::{MessageDelta, RunEvent, StepDelta};
use crate::tables;

/// What the store knows of a run, as the events that led there.
pub(crate) fn replay(read: &(impl Read + ?Sized), run: RunId) -> Result<Vec<RunEvent>> {
    let run = tables::run(read, run)?;
    let mut events = beginnings(&run);
    for step in tables::steps(read, run.id)? {
        replay_step(read, step, &mut events)?;
    }
    if run.status.is_terminal() || run.status == RunStatus::RequiresAction {
        events.push(RunEvent::Run(Arc::new(run)));
    }
    Ok(events)
}

fn beginnings(run: &Run) -> Vec<RunEvent> {
    let queued = Arc::new(Run {
        status: RunStatus::Queued,
        required_calls: Vec::new(),
        last_error: None,
        incomplete_reason: None,
        started_at: None,
        ended_at: None,
        usage: None,
        ..run.clone()
    });
    let mut events = vec![RunEvent::RunCreated(queued.clone()), RunEvent::Run(queued.clone())];
    if run.started_at.is_some() {
        let started = Run {
            status: RunStatus::InProgress,
            started_at: run.started_at,
            ..Arc::unwrap_or_clone(queued)
        };
        events.push(RunEvent::Run(Arc::new(started)));
    }
    events
}

fn replay_step(
    read: &(impl Read + ?Sized),
    step: RunStep,
    events: &mut Vec<RunEvent>,
) -> Result<()> {
    let begun = Arc::new(begun_step(&step));
    events.extend([RunEvent::StepCreated(begun.clone()), RunEvent::Step(begun.clone())]);
    match &step.details {
        StepDetails::MessageCreation { message } => {
            if let Ok(message) = tables::message(read, *message) {
                replay_message(message, events);
            }
        }
        StepDetails::ToolCalls { calls } => replay_calls(begun, calls, events),
        _ => {}
    }
    if step.status != StepStatus::InProgress {
        events.push(RunEvent::Step(Arc::new(step)));
    }
    Ok(())
}

/// The step as it was at its beginning.
fn begun_step(step: &RunStep) -> RunStep {
    let details = match &step.details {
        StepDetails::ToolCalls { .. } => StepDetails::ToolCalls { calls: Vec::new() },
        details => details.clone(),
    };
    RunStep {
        status: StepStatus::InProgress,
        details,
        last_error: None,
        ended_at: None,
        usage: None,
        ..step.clone()
    }
}

fn replay_calls(mut step: Arc<RunStep>, calls: &[StepCall], events: &mut Vec<RunEvent>) {
    for (index, call) in calls.iter().enumerate() {
        for delta in call_deltas(index, call) {
            delta.apply(Arc::make_mut(&mut step));
            events.push(RunEvent::StepDelta { step: step.clone(), delta });
        }
    }
}

/// A program is told apart from the call it is in, as it was when it was written.
fn call_deltas(index: usize, call: &StepCall) -> Vec<StepDelta> {
    let mut begun = super::calls::unanswered(&call.call);
    let mut deltas = Vec::new();
    if let (Call::CodeInterpreter { input: program, .. }, Call::CodeInterpreter { outputs, .. }) =
        (&mut begun, &call.call)
    {
        let fragment = std::mem::take(program);
        deltas.push(StepDelta::Arguments { index, fragment });
        deltas.extend(outputs.clone().map(|outputs| StepDelta::Outputs { index, outputs }));
    }
    deltas.insert(0, StepDelta::Call { index, call: StepCall { id: call.id, call: begun } });
    deltas
}

fn replay_message(message: Message, events: &mut Vec<RunEvent>) {
    let begun = Arc::new(Message {
        status: MessageStatus::InProgress,
        incomplete_reason: None,
        completed_at: None,
        incomplete_at: None,
        content: Vec::new(),
        attachments: Vec::new(),
        ..message.clone()
    });
    events.extend([RunEvent::MessageCreated(begun.clone()), RunEvent::Message(begun.clone())]);
    let mut grown = begun;
    for delta in content_deltas(&message.content) {
        delta.apply(Arc::make_mut(&mut grown));
        events.push(RunEvent::MessageDelta { message: grown.clone(), delta });
    }
    if message.status != MessageStatus::InProgress {
        events.push(RunEvent::Message(Arc::new(message)));
    }
}

/// Images come before text, as they did when the message was written.
fn content_deltas(content: &[Content]) -> Vec<MessageDelta> {
    let mut images = MessageDelta::default();
    let mut deltas = Vec::new();
    for part in content {
        match part {
            Content::ImageFile { file, .. } => images.images.push(*file),
            Content::Text { text, annotations } => deltas.push(MessageDelta {
                text: text.clone(),
                annotations: annotations.clone(),
                ..MessageDelta::default()
            }),
            _ => {}
        }
    }
    if !images.images.is_empty() {
        deltas.insert(0, images);
    }
    deltas
}
