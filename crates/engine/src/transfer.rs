//! Everything in a library as it leaves it and enters another, under the ids it has.
//!
//! A run does not go on elsewhere: its model, its tools and its client are here. One that was
//! active comes in as `expired`, with an error that says so, its open step and message with it, so
//! that no thread is locked by a run that nobody works on.

use docent_core::{
    Assistant, Error, Imported, Message, MessageIncomplete, MessageStatus, Read, Record, Result,
    Run, RunError, RunErrorCode, RunStatus, RunStep, StepStatus, Thread, ThreadId, Write,
    check_metadata,
};
use docent_retrieval::Attached;

use crate::assistants;
use crate::engine::Engine;
use crate::tables::{
    self, ASSISTANTS, MESSAGE_PLACES, MESSAGES, RUNS, STEPS, SUMMARIES, THREAD_RUNS, THREADS,
    parent,
};

/// Shows `each` every object that `read` has, in an order in which they can be imported: what
/// belongs to something comes after it.
///
/// # Errors
/// When a row cannot be read, and those of `each`.
pub fn export(
    read: &(impl Read + ?Sized),
    each: &mut dyn FnMut(Record) -> Result<()>,
) -> Result<()> {
    ASSISTANTS.each(read, |_, assistant| each(Record::Assistant(assistant)))?;
    THREADS.each(read, |_, thread| each(Record::Thread(thread)))?;
    MESSAGES.each(read, |_, message| each(Record::Message(message)))?;
    RUNS.each(read, |_, run| each(Record::Run(run)))?;
    STEPS.each(read, |_, step| each(Record::RunStep(step)))?;
    docent_retrieval::export(read, each)
}

impl Engine {
    /// Takes in objects under the ids they have, all or none. What is there already, just so, is
    /// passed over. Files come with bytes, by
    /// [`import_file`](docent_retrieval::Collections::import_file).
    ///
    /// # Errors
    /// [`Conflict`](docent_core::ErrorKind::Conflict) when another thing has an object's id,
    /// [`NotFound`](docent_core::ErrorKind::NotFound) when what it belongs to is not there,
    /// [`Invalid`](docent_core::ErrorKind::Invalid) beyond the limits.
    pub fn import(&self, records: &[Record]) -> Result<Vec<Imported>> {
        let inner = &self.inner;
        let mut attached = Attached::default();
        let imported = inner.transact(|write| {
            let mut imported = Vec::with_capacity(records.len());
            for record in records {
                imported.push(match record {
                    Record::Assistant(assistant) => import_assistant(write, assistant)?,
                    Record::Thread(thread) => import_thread(write, thread)?,
                    Record::Message(message) => import_message(write, message)?,
                    Record::Run(run) => import_run(write, run)?,
                    Record::RunStep(step) => import_step(write, step)?,
                    record => {
                        let (imported, waiting) = inner.collections.import_within(write, record)?;
                        attached = std::mem::take(&mut attached).and(waiting);
                        imported
                    }
                });
            }
            Ok(imported)
        })?;
        inner.collections.begin(attached);
        Ok(imported)
    }

    /// Takes in messages of one thread among those it has, by the time they were made; messages of
    /// one second stay in the order given.
    ///
    /// # Errors
    /// As [`import`](Self::import).
    pub fn import_messages(&self, thread: ThreadId, messages: &[Message]) -> Result<Vec<Imported>> {
        self.inner.transact(|write| {
            let mut imported = Vec::with_capacity(messages.len());
            let mut new: Vec<&Message> = Vec::new();
            for message in messages {
                let present = present_message(write, message)?;
                if present == Imported::New {
                    new.push(message);
                }
                imported.push(present);
            }
            insert_messages(write, thread, &new)?;
            Ok(imported)
        })
    }
}

fn import_assistant(write: &mut dyn Write, assistant: &Assistant) -> Result<Imported> {
    assistants::check(assistant)?;
    if let Some(present) = ASSISTANTS.get(write, &assistant.id)? {
        return present_as(present == *assistant, assistant.id);
    }
    ASSISTANTS.put(write, &assistant.id, assistant)?;
    Ok(Imported::New)
}

fn import_thread(write: &mut dyn Write, thread: &Thread) -> Result<Imported> {
    check_metadata(&thread.metadata, "metadata")?;
    let free = |thread: Thread| Thread { active_run: None, awaited: Vec::new(), ..thread };
    if let Some(present) = THREADS.get(write, &thread.id)? {
        return present_as(free(present) == free(thread.clone()), thread.id);
    }
    let thread = Thread { active_run: None, ..thread.clone() };
    THREADS.put(write, &thread.id, &thread)?;
    Ok(Imported::New)
}

fn import_message(write: &mut dyn Write, message: &Message) -> Result<Imported> {
    let imported = present_message(write, message)?;
    if imported == Imported::New {
        idle_thread(write, message)?;
        tables::put_message(write, &ended_message(message))?;
    }
    Ok(imported)
}

/// Whether a message is there, just so.
fn present_message(write: &mut dyn Write, message: &Message) -> Result<Imported> {
    check_metadata(&message.metadata, "metadata")?;
    match MESSAGE_PLACES.get(write, &message.id)? {
        None => Ok(Imported::New),
        Some(_) => {
            let present = tables::message(write, message.id)?;
            present_as(present == ended_message(message), message.id)
        }
    }
}

/// No run is writing in the thread that `message` enters.
fn idle_thread(write: &mut dyn Write, message: &Message) -> Result<()> {
    match tables::thread(write, message.thread)?.active_run {
        None => Ok(()),
        Some(run) => Err(Error::conflict(format!(
            "{} cannot enter {} while the run {run} is active; cancel it first",
            message.id, message.thread
        ))),
    }
}

fn insert_messages(write: &mut dyn Write, thread: ThreadId, new: &[&Message]) -> Result<()> {
    let Some(first) = new.iter().map(|message| message.created_at.seconds()).min() else {
        return Ok(());
    };
    idle_thread(write, new[0])?;
    let mut all = match MESSAGES.last(write, &parent(&thread))? {
        // Usually they come after all that is there.
        Some((_, last)) if last.created_at.seconds() > first => take_messages(write, thread)?,
        _ => Vec::new(),
    };
    all.extend(new.iter().map(|message| ended_message(message)));
    // A stable sort: what was there comes before what is new of the same second.
    all.sort_by_key(|message| message.created_at.seconds());
    all.iter().try_for_each(|message| tables::put_message(write, message))
}

/// Takes all messages out of a thread, to be put in again in another order.
fn take_messages(write: &mut dyn Write, thread: ThreadId) -> Result<Vec<Message>> {
    SUMMARIES.delete(write, &thread)?;
    let rows = MESSAGES.all(write, &parent(&thread))?;
    for (key, message) in &rows {
        MESSAGES.delete(write, key)?;
        MESSAGE_PLACES.delete(write, &message.id)?;
    }
    Ok(rows.into_iter().map(|(_, message)| message).collect())
}

/// A message that nobody goes on writing.
fn ended_message(message: &Message) -> Message {
    let mut message = message.clone();
    if message.status == MessageStatus::InProgress {
        message.status = MessageStatus::Incomplete;
        message.incomplete_reason = Some(MessageIncomplete::RunExpired);
        message.incomplete_at = Some(message.created_at);
    }
    message
}

fn import_run(write: &mut dyn Write, run: &Run) -> Result<Imported> {
    check_metadata(&run.metadata, "metadata")?;
    let run = ended_run(run);
    if let Some(present) = RUNS.get(write, &run.id)? {
        return present_as(present == run, run.id);
    }
    tables::thread(write, run.thread)?;
    RUNS.put(write, &run.id, &run)?;
    THREAD_RUNS.put(write, &(run.thread, run.id), &())?;
    Ok(Imported::New)
}

fn ended_run(run: &Run) -> Run {
    let mut run = run.clone();
    if !run.status.is_terminal() {
        let message = format!(
            "The run was {} when it was exported, and did not go on where it was imported.",
            run.status
        );
        run.last_error = Some(RunError { code: RunErrorCode::ServerError, message });
        run.status = RunStatus::Expired;
        run.ended_at = Some(run.expires_at);
        run.required_calls.clear();
    }
    run
}

fn import_step(write: &mut dyn Write, step: &RunStep) -> Result<Imported> {
    let run = tables::run(write, step.run)?;
    if run.thread != step.thread {
        return Err(Error::invalid(format!("{} and its run are of different threads", step.id)));
    }
    let step = ended_step(step, &run);
    let present = STEPS.all(write, &parent(&run.id))?;
    let present = present.into_iter().map(|(_, step)| step).find(|other| other.id == step.id);
    if let Some(present) = present {
        return present_as(present == step, step.id);
    }
    tables::put_step(write, &step)?;
    Ok(Imported::New)
}

fn ended_step(step: &RunStep, run: &Run) -> RunStep {
    let mut step = step.clone();
    if step.status == StepStatus::InProgress {
        step.status = StepStatus::Expired;
        step.ended_at = Some(run.ended_at.unwrap_or(run.expires_at));
    }
    step
}

/// What was to enter is there: either just so, or it is something else.
fn present_as(same: bool, id: impl std::fmt::Display) -> Result<Imported> {
    if same {
        return Ok(Imported::Present);
    }
    Err(Error::conflict(format!(
        "{id} is there already, with other content; import into another library, or delete it \
         first"
    )))
}
