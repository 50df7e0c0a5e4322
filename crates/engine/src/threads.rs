//! Threads and their messages.

use docent_core::{
    Attachment, Content, Error, Key, Message, MessageId, MessageRole, MessageStatus, Metadata,
    Result, Thread, ThreadId, Timestamp, ToolResources, Write,
};

use crate::engine::{Engine, Inner};
use crate::page::{Page, PageRequest};
use crate::tables::{
    self, MESSAGE_PLACES, MESSAGES, RUNS, STEPS, THREAD_RUNS, THREADS, Window, parent,
};

/// What a thread is made from.
#[derive(Clone, Debug, Default)]
pub struct NewThread {
    /// Its first messages.
    pub messages: Vec<NewMessage>,
    /// What tools work on in this thread.
    pub tool_resources: ToolResources,
    /// The application's pairs.
    pub metadata: Metadata,
}

/// What a message is made from.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// Who speaks.
    pub role: MessageRole,
    /// What is said.
    pub content: Vec<Content>,
    /// Files that come with it.
    pub attachments: Vec<Attachment>,
    /// The application's pairs.
    pub metadata: Metadata,
}

impl NewMessage {
    /// What a user says.
    pub fn user(text: impl Into<String>) -> Self {
        Self::new(MessageRole::User, text)
    }

    /// What an assistant said.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::new(MessageRole::Assistant, text)
    }

    fn new(role: MessageRole, text: impl Into<String>) -> Self {
        Self {
            role,
            content: vec![Content::text(text)],
            attachments: Vec::new(),
            metadata: Metadata::new(),
        }
    }
}

impl Engine {
    /// Makes a thread.
    pub fn create_thread(&self, new: NewThread) -> Result<Thread> {
        let thread = Thread {
            id: ThreadId::new(self.inner.ids.next_id()),
            created_at: self.inner.clock.now(),
            tool_resources: new.tool_resources,
            active_run: None,
            metadata: new.metadata,
        };
        let messages = self.inner.messages(thread.id, new.messages)?;
        self.inner.transact(|write| {
            THREADS.put(write, &thread.id, &thread)?;
            messages.iter().try_for_each(|message| tables::put_message(write, message))
        })?;
        Ok(thread)
    }

    /// The thread `id`.
    pub fn thread(&self, id: ThreadId) -> Result<Thread> {
        tables::thread(self.inner.store.read()?.as_ref(), id)
    }

    /// Changes a thread's resources or metadata, also while a run is active.
    pub fn update_thread(&self, id: ThreadId, change: impl FnOnce(&mut Thread)) -> Result<Thread> {
        self.inner.transact(|write| {
            let before = tables::thread(write, id)?;
            let mut thread = before.clone();
            change(&mut thread);
            (thread.id, thread.created_at, thread.active_run) =
                (before.id, before.created_at, before.active_run);
            THREADS.put(write, &id, &thread)?;
            Ok(thread)
        })
    }

    /// Deletes a thread with its messages and runs.
    ///
    /// # Errors
    /// [`Conflict`](docent_core::ErrorKind::Conflict) while a run is active: cancel it first.
    pub fn delete_thread(&self, id: ThreadId) -> Result<()> {
        self.inner.transact(|write| {
            let thread = tables::thread(write, id)?;
            if let Some(run) = thread.active_run {
                return Err(Error::conflict(format!(
                    "Can't delete {id} while a run {run} is active."
                )));
            }
            delete_messages(write, id)?;
            delete_runs(write, id)?;
            THREADS.delete(write, &id)?;
            Ok(())
        })
    }

    /// Adds a message to a thread.
    ///
    /// # Errors
    /// [`Conflict`](docent_core::ErrorKind::Conflict) while a run is active,
    /// [`Invalid`](docent_core::ErrorKind::Invalid) without content.
    pub fn add_message(&self, thread: ThreadId, new: NewMessage) -> Result<Message> {
        let message = self.inner.message(thread, new)?;
        self.inner.transact(|write| {
            if let Some(run) = tables::thread(write, thread)?.active_run {
                return Err(Error::conflict(format!(
                    "Can't add messages to {thread} while a run {run} is active."
                )));
            }
            tables::put_message(write, &message)
        })?;
        Ok(message)
    }

    /// The message `id`.
    pub fn message(&self, id: MessageId) -> Result<Message> {
        tables::message(self.inner.store.read()?.as_ref(), id)
    }

    /// A thread's messages, a page at a time, in the order they were added.
    pub fn messages(
        &self,
        thread: ThreadId,
        request: &PageRequest<MessageId>,
    ) -> Result<Page<Message>> {
        let read = self.inner.store.read()?;
        tables::thread(read.as_ref(), thread)?;
        let cursor = |id: Option<MessageId>| -> Result<Option<String>> {
            let Some(id) = id else { return Ok(None) };
            let place = MESSAGE_PLACES.get(read.as_ref(), &id)?;
            let place = place.filter(|place| place.thread == thread);
            let place = tables::found(place, "message", id)?;
            Ok(Some((place.thread, place.seq).to_text()))
        };
        let window = Window {
            prefix: parent(&thread),
            after: cursor(request.after)?,
            before: cursor(request.before)?,
            order: request.order,
            limit: request.limit,
        };
        let page = tables::page(&MESSAGES, read.as_ref(), &window)?;
        Ok(page.map(|(_, message)| message))
    }
}

impl Inner {
    /// Messages from outside, checked, not yet written.
    pub(crate) fn messages(&self, thread: ThreadId, new: Vec<NewMessage>) -> Result<Vec<Message>> {
        new.into_iter().map(|message| self.message(thread, message)).collect()
    }

    fn message(&self, thread: ThreadId, new: NewMessage) -> Result<Message> {
        if new.content.is_empty() {
            return Err(Error::invalid("a message needs content; give it at least one part"));
        }
        let now: Timestamp = self.clock.now();
        Ok(Message {
            id: MessageId::new(self.ids.next_id()),
            thread,
            created_at: now,
            status: MessageStatus::Completed,
            incomplete_reason: None,
            completed_at: Some(now),
            incomplete_at: None,
            role: new.role,
            content: new.content,
            assistant: None,
            run: None,
            attachments: new.attachments,
            metadata: new.metadata,
        })
    }
}

fn delete_messages(write: &mut (impl Write + ?Sized), thread: ThreadId) -> Result<()> {
    for (key, message) in MESSAGES.all(write, &parent(&thread))? {
        MESSAGE_PLACES.delete(write, &message.id)?;
        MESSAGES.delete(write, &key)?;
    }
    Ok(())
}

fn delete_runs(write: &mut (impl Write + ?Sized), thread: ThreadId) -> Result<()> {
    for (key, ()) in THREAD_RUNS.all(write, &parent(&thread))? {
        let run = key.1;
        for (step, _) in STEPS.all(write, &parent(&run))? {
            STEPS.delete(write, &step)?;
        }
        RUNS.delete(write, &run)?;
        THREAD_RUNS.delete(write, &key)?;
    }
    Ok(())
}
