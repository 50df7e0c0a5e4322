//! Threads and their messages.

use docent_core::{
    Attachment, Content, Error, Key, Message, MessageId, MessageRole, MessageStatus, Metadata,
    Page, PageRequest, Result, RunId, Seq, Thread, ThreadId, Timestamp, ToolResources, Write,
    check_metadata,
};

use docent_retrieval::{Attached, NewVectorStore};

use crate::attachments;
use crate::engine::{Engine, Inner};
use crate::runs::summary;
use crate::tables::{
    self, MESSAGE_PLACES, MESSAGES, RUNS, STEPS, SUMMARIES, THREAD_RUNS, THREADS, parent,
};

/// What a thread is made from.
#[derive(Clone, Debug, Default)]
pub struct NewThread {
    /// Its first messages.
    pub messages: Vec<NewMessage>,
    /// What tools work on in this thread.
    pub tool_resources: ToolResources,
    /// A vector store to be made for it, in place of one among the resources.
    pub new_vector_store: Option<NewVectorStore>,
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
        let mut opening = self.inner.opening(new)?;
        let attached = self.inner.transact(|write| self.inner.put_thread(write, &mut opening))?;
        self.inner.collections.begin(attached);
        Ok(opening.thread)
    }

    /// The thread `id`.
    pub fn thread(&self, id: ThreadId) -> Result<Thread> {
        tables::thread(self.inner.store.read()?.as_ref(), id)
    }

    /// Threads whose metadata has all pairs of `filter`, a page at a time, in the order they were
    /// made.
    pub fn threads(
        &self,
        filter: &Metadata,
        request: &PageRequest<ThreadId>,
    ) -> Result<Page<Thread>> {
        let window = request.window("", Key::to_text);
        let wanted = |_: &ThreadId, thread: &Thread| {
            filter.iter().all(|(key, value)| thread.metadata.get(key) == Some(value))
        };
        let page = THREADS.page(self.inner.store.read()?.as_ref(), &window, wanted)?;
        Ok(page.map(|(_, thread)| thread))
    }

    /// Changes a thread's resources or metadata, also while a run is active.
    pub fn update_thread(&self, id: ThreadId, change: impl FnOnce(&mut Thread)) -> Result<Thread> {
        self.inner.transact(|write| {
            let before = tables::thread(write, id)?;
            let mut thread = before.clone();
            change(&mut thread);
            (thread.id, thread.created_at) = (before.id, before.created_at);
            (thread.active_run, thread.awaited) = (before.active_run, before.awaited);
            check_metadata(&thread.metadata, "metadata")?;
            THREADS.put(write, &id, &thread)?;
            Ok(thread)
        })
    }

    /// Deletes a thread with its messages and runs, and closes its session.
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
            SUMMARIES.delete(write, &id)?;
            THREADS.delete(write, &id)?;
            Ok(())
        })?;
        if let Ok(sessions) = self.inner.programs.sessions() {
            sessions.close(id);
        }
        Ok(())
    }

    /// Adds a message to a thread.
    ///
    /// # Errors
    /// [`Conflict`](docent_core::ErrorKind::Conflict) while a run is active,
    /// [`Invalid`](docent_core::ErrorKind::Invalid) without content.
    pub fn add_message(&self, thread: ThreadId, new: NewMessage) -> Result<Message> {
        check_metadata(&new.metadata, "metadata")?;
        let message = self.inner.message(thread, new)?;
        let attached = self.inner.transact(|write| {
            let mut row = tables::thread(write, thread)?;
            if let Some(run) = row.active_run {
                return Err(Error::conflict(format!(
                    "Can't add messages to {thread} while a run {run} is active."
                )));
            }
            let messages = std::slice::from_ref(&message);
            let attached = self.inner.put_messages(write, &mut row, messages)?;
            if !message.attachments.is_empty() {
                THREADS.put(write, &thread, &row)?;
            }
            Ok(attached)
        })?;
        self.inner.collections.begin(attached);
        Ok(message)
    }

    /// The message `id`.
    pub fn message(&self, id: MessageId) -> Result<Message> {
        tables::message(self.inner.store.read()?.as_ref(), id)
    }

    /// Gives a message other metadata, also while a run is active.
    pub fn update_message(&self, id: MessageId, metadata: Metadata) -> Result<Message> {
        check_metadata(&metadata, "metadata")?;
        self.inner.transact(|write| {
            let message = Message { metadata, ..tables::message(write, id)? };
            tables::put_message(write, &message)?;
            Ok(message)
        })
    }

    /// Takes a message out of its thread.
    ///
    /// # Errors
    /// [`Conflict`](docent_core::ErrorKind::Conflict) while it is being written: cancel its run
    /// first.
    pub fn delete_message(&self, id: MessageId) -> Result<()> {
        self.inner.transact(|write| {
            let place = tables::found(MESSAGE_PLACES.get(write, &id)?, "message", id)?;
            let message = tables::message(write, id)?;
            let run = tables::thread(write, place.thread)?.active_run;
            if let (MessageStatus::InProgress, Some(run)) = (message.status, run) {
                return Err(Error::conflict(format!(
                    "Can't delete {id} while a run {run} is active and writes it."
                )));
            }
            MESSAGE_PLACES.delete(write, &id)?;
            MESSAGES.delete(write, &(place.thread, place.seq))?;
            summary::forget(write, place.thread, place.seq)
        })
    }

    /// A thread's messages, a page at a time, in the order they were added.
    pub fn messages(
        &self,
        thread: ThreadId,
        request: &PageRequest<MessageId>,
    ) -> Result<Page<Message>> {
        self.messages_where(thread, request, |_| true)
    }

    /// The messages that `run` wrote in its thread, a page at a time.
    pub fn messages_of_run(
        &self,
        thread: ThreadId,
        run: RunId,
        request: &PageRequest<MessageId>,
    ) -> Result<Page<Message>> {
        self.messages_where(thread, request, |message| message.run == Some(run))
    }

    fn messages_where(
        &self,
        thread: ThreadId,
        request: &PageRequest<MessageId>,
        wanted: impl Fn(&Message) -> bool,
    ) -> Result<Page<Message>> {
        let read = self.inner.store.read()?;
        tables::thread(read.as_ref(), thread)?;
        let place = |id: Option<MessageId>| -> Result<Option<(ThreadId, Seq)>> {
            let Some(id) = id else { return Ok(None) };
            let place = MESSAGE_PLACES.get(read.as_ref(), &id)?;
            let place = place.filter(|place| place.thread == thread);
            let place = tables::found(place, "message", id)?;
            Ok(Some((place.thread, place.seq)))
        };
        let places = PageRequest {
            after: place(request.after)?,
            before: place(request.before)?,
            limit: request.limit,
            order: request.order,
        };
        let window = places.window(parent(&thread), Key::to_text);
        let page = MESSAGES.page(read.as_ref(), &window, |_, message| wanted(message))?;
        Ok(page.map(|(_, message)| message))
    }
}

/// A thread that is not written yet.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) thread: Thread,
    messages: Vec<Message>,
    vector_store: Option<NewVectorStore>,
}

impl Inner {
    /// Checks what a thread is to be made from.
    pub(crate) fn opening(&self, new: NewThread) -> Result<Opening> {
        check_metadata(&new.metadata, "metadata")?;
        let thread = Thread {
            id: ThreadId::new(self.ids.next_id()),
            created_at: self.clock.now(),
            tool_resources: new.tool_resources,
            active_run: None,
            awaited: Vec::new(),
            metadata: new.metadata,
        };
        let messages = self.messages(thread.id, new.messages, "messages")?;
        Ok(Opening { thread, messages, vector_store: new.new_vector_store })
    }

    pub(crate) fn put_thread(
        &self,
        write: &mut dyn Write,
        opening: &mut Opening,
    ) -> Result<Attached> {
        let Opening { thread, messages, vector_store } = opening;
        let made = self.put_vector_store(write, &mut thread.tool_resources, vector_store.take())?;
        attachments::await_files(thread, &made);
        let attached = self.put_messages(write, thread, messages)?;
        THREADS.put(write, &thread.id, thread)?;
        Ok(made.and(attached))
    }

    /// Messages from outside, checked, not yet written. `param` is where they stand in a request.
    pub(crate) fn messages(
        &self,
        thread: ThreadId,
        new: Vec<NewMessage>,
        param: &str,
    ) -> Result<Vec<Message>> {
        let messages = new.into_iter().enumerate().map(|(at, new)| {
            check_metadata(&new.metadata, &format!("{param}[{at}].metadata"))?;
            self.message(thread, new)
        });
        messages.collect()
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
