//! The message that a turn writes: its deltas, the files it links, the figures before its text.

use std::sync::Arc;

use docent_core::{
    Content, FileId, Message, MessageId, MessageRole, MessageStatus, RunStep, StepDetails,
    StepStatus,
};

use super::Turn;
use crate::citations::{Link, Piece};
use crate::runs::events::{Entry, MessageDelta, RunEvent};
use crate::runs::work::Halt;
use crate::tables;

impl Turn<'_> {
    /// What the message grows by. What a link leads to is a file, and attached, by then.
    pub(super) fn write(&mut self, pieces: Vec<Piece>) -> Result<MessageDelta, Halt> {
        let mut delta = self.citer.delta();
        for piece in pieces {
            let file = match &piece {
                Piece::Link(link) => self.follow(link)?,
                _ => None,
            };
            self.citer.write(piece, file, &mut delta);
        }
        Ok(delta)
    }

    /// What `link` leads to, and how much of it that takes.
    fn follow(&mut self, link: &Link) -> Result<Option<(usize, FileId)>, Halt> {
        // A message that a dead worker was writing has files attached.
        self.begin_message()?;
        let Some(target) = self.made.find(self.worker, link) else { return Ok(None) };
        let Some((_, message)) = &mut self.writing else { return Ok(None) };
        let file = self.made.attach(self.worker, &target, message)?;
        Ok(file.map(|file| (target.length, file)))
    }

    /// Writes the last of the message's text.
    pub(super) fn write_rest(&mut self) -> Result<(), Halt> {
        let rest = self.citer.rest();
        let mut delta = self.write(rest)?;
        self.citer.finish(&mut delta);
        self.grow(delta)
    }

    /// Adds to the message, which begins with its first text.
    pub(super) fn grow(&mut self, delta: MessageDelta) -> Result<(), Halt> {
        if delta.text.is_empty() {
            return Ok(());
        }
        self.begin_message()?;
        if let Some((_, message)) = &mut self.writing {
            delta.apply(message);
            self.worker.live.channel.push(Entry::Message(delta));
        }
        docent_core::crash_point("run.mid-stream");
        Ok(())
    }

    pub(super) fn begin_message(&mut self) -> Result<(), Halt> {
        if self.writing.is_some() {
            return Ok(());
        }
        self.open_message()?;
        self.show_figures();
        Ok(())
    }

    /// Figures stand before the text of the message that follows them.
    fn show_figures(&mut self) {
        let images = std::mem::take(&mut self.figures);
        if let Some((_, message)) = &mut self.writing
            && !images.is_empty()
        {
            let delta = MessageDelta { images, ..MessageDelta::default() };
            delta.apply(message);
            self.worker.live.channel.push(Entry::Message(delta));
        }
    }

    /// Takes up the message that a dead worker was writing, or begins one.
    fn open_message(&mut self) -> Result<(), Halt> {
        let left = self.left_open.take();
        let left_message = left.as_ref().and_then(|step| match step.details {
            StepDetails::MessageCreation { message } => Some(message),
            _ => None,
        });
        if let (Some(mut step), Some(message)) = (left.clone(), left_message) {
            // Followers were told of both when the run was taken up.
            let read = self.worker.inner.store.read()?;
            step.context = Some(self.report);
            let message = tables::message(read.as_ref(), message)?;
            self.made.remember(self.worker, &message);
            self.writing = Some((step, message));
            return Ok(());
        }
        let message = self.new_message();
        let mut step = self.worker.step(StepDetails::MessageCreation { message: message.id });
        step.context = Some(self.report);
        self.say_who_answers(&mut step);
        let mut events = self.worker.write(|write, _| {
            let events = self.abandon(write, left)?;
            tables::put_message(write, &message)?;
            tables::put_step(write, &step)?;
            Ok(events)
        })?;
        let (told_step, told) = (Arc::new(step.clone()), Arc::new(message.clone()));
        events.extend([
            RunEvent::StepCreated(told_step.clone()),
            RunEvent::Step(told_step),
            RunEvent::MessageCreated(told.clone()),
            RunEvent::Message(told),
        ]);
        self.worker.live.channel.push_all(events);
        self.writing = Some((step, message));
        Ok(())
    }

    fn new_message(&self) -> Message {
        let run = &self.worker.run;
        Message {
            id: MessageId::new(self.worker.inner.ids.next_id()),
            thread: run.thread,
            created_at: self.worker.inner.clock.now(),
            status: MessageStatus::InProgress,
            incomplete_reason: None,
            completed_at: None,
            incomplete_at: None,
            role: MessageRole::Assistant,
            content: Vec::new(),
            assistant: Some(run.assistant),
            run: Some(run.id),
            attachments: Vec::new(),
            metadata: Default::default(),
        }
    }

    pub(super) fn completed(&self, mut step: RunStep, mut message: Message) -> (RunStep, Message) {
        let now = self.worker.inner.clock.now();
        message.status = MessageStatus::Completed;
        message.completed_at = Some(now);
        if message.content.is_empty() {
            message.content.push(Content::text(""));
        }
        step.status = StepStatus::Completed;
        step.ended_at = Some(now);
        (step, message)
    }

    /// Writes what was held back of a message that will not be finished, without following links:
    /// the run is to stop.
    pub(super) fn break_off(&mut self) {
        let mut delta = self.citer.delta();
        for piece in self.citer.rest() {
            self.citer.write(piece, None, &mut delta);
        }
        self.citer.finish(&mut delta);
        if let Some((_, message)) = &mut self.writing
            && !delta.text.is_empty()
        {
            delta.apply(message);
            self.worker.live.channel.push(Entry::Message(delta));
        }
    }
}
