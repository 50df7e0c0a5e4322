//! The engine's tables, and the small reads and writes everyone needs.

use docent_core::{
    Assistant, AssistantId, Error, Key, Message, MessageId, Read, Result, Run, RunId, RunStep, Seq,
    Table, Thread, ThreadId, Timestamp, Write,
};
use serde::{Deserialize, Serialize};

use crate::runs::summary::Summary;

pub(crate) const ASSISTANTS: Table<AssistantId, Assistant> = Table::new("assistants");
pub(crate) const THREADS: Table<ThreadId, Thread> = Table::new("threads");
/// Messages by their place in the thread: ids that came from elsewhere need not sort by time.
pub(crate) const MESSAGES: Table<(ThreadId, Seq), Message> = Table::new("messages");
/// Where each message is.
pub(crate) const MESSAGE_PLACES: Table<MessageId, Place> = Table::new("message_places");
pub(crate) const RUNS: Table<RunId, Run> = Table::new("runs");
/// Which runs a thread had.
pub(crate) const THREAD_RUNS: Table<(ThreadId, RunId), ()> = Table::new("thread_runs");
pub(crate) const STEPS: Table<(RunId, Seq), RunStep> = Table::new("run_steps");
/// Runs that wait for a worker.
pub(crate) const RUN_QUEUE: Table<RunId, ()> = Table::new("run_queue");
/// Runs that a worker is on.
pub(crate) const RUN_LEASES: Table<RunId, Lease> = Table::new("run_leases");
/// When each run that has not ended expires.
pub(crate) const RUN_DEADLINES: Table<(Timestamp, RunId), ()> = Table::new("run_deadlines");
/// What is told of each thread's older messages. A cache: it can be made again.
pub(crate) const SUMMARIES: Table<ThreadId, Summary> = Table::new("thread_summaries");
/// How often the engine was opened, under one key.
pub(crate) const EPOCH: Table<String, u64> = Table::new("engine_epoch");

/// Where a message is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) thread: ThreadId,
    pub(crate) seq: Seq,
}

/// A worker's hold on a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lease {
    /// The opening of the engine that the worker belongs to. A transaction of an older opening is
    /// refused, so a worker that was taken for dead cannot overwrite its successor.
    pub(crate) epoch: u64,
    /// Until when it holds without being renewed.
    pub(crate) until: Timestamp,
}

/// The thing or an error in the Assistants API's words: `No thread found with id 'thread_X'.`
pub(crate) fn found<T>(value: Option<T>, what: &str, id: impl std::fmt::Display) -> Result<T> {
    value.ok_or_else(|| Error::not_found(format!("No {what} found with id '{id}'.")))
}

pub(crate) fn assistant(read: &(impl Read + ?Sized), id: AssistantId) -> Result<Assistant> {
    found(ASSISTANTS.get(read, &id)?, "assistant", id)
}

pub(crate) fn thread(read: &(impl Read + ?Sized), id: ThreadId) -> Result<Thread> {
    found(THREADS.get(read, &id)?, "thread", id)
}

pub(crate) fn run(read: &(impl Read + ?Sized), id: RunId) -> Result<Run> {
    found(RUNS.get(read, &id)?, "run", id)
}

pub(crate) fn message(read: &(impl Read + ?Sized), id: MessageId) -> Result<Message> {
    let place = found(MESSAGE_PLACES.get(read, &id)?, "message", id)?;
    found(MESSAGES.get(read, &(place.thread, place.seq))?, "message", id)
}

/// Writes `message` at the end of its thread, or over itself when it is there already.
pub(crate) fn put_message(write: &mut (impl Write + ?Sized), message: &Message) -> Result<()> {
    let place = match MESSAGE_PLACES.get(write, &message.id)? {
        Some(place) => place,
        None => {
            let seq = next_seq(MESSAGES.last(write, &parent(&message.thread))?);
            let place = Place { thread: message.thread, seq };
            MESSAGE_PLACES.put(write, &message.id, &place)?;
            place
        }
    };
    MESSAGES.put(write, &(place.thread, place.seq), message)
}

/// Writes a message that a worker wrote, with the pairs that the application hung on it meanwhile.
pub(crate) fn put_written(
    write: &mut (impl Write + ?Sized),
    mut message: Message,
) -> Result<Message> {
    if let Some(place) = MESSAGE_PLACES.get(write, &message.id)?
        && let Some(present) = MESSAGES.get(write, &(place.thread, place.seq))?
    {
        message.metadata = present.metadata;
    }
    put_message(write, &message)?;
    Ok(message)
}

/// Every step of a run, in order.
pub(crate) fn steps(read: &(impl Read + ?Sized), run: RunId) -> Result<Vec<RunStep>> {
    let rows = STEPS.all(read, &parent(&run))?;
    Ok(rows.into_iter().map(|(_, step)| step).collect())
}

/// Writes `step` after its run's other steps, or over itself when it is there already.
pub(crate) fn put_step(write: &mut (impl Write + ?Sized), step: &RunStep) -> Result<()> {
    let rows = STEPS.all(write, &parent(&step.run))?;
    let present = rows.iter().find(|(_, other)| other.id == step.id).map(|((_, seq), _)| *seq);
    let seq = present.unwrap_or_else(|| next_seq(rows.into_iter().next_back()));
    STEPS.put(write, &(step.run, seq), step)
}

fn next_seq<K, V>(last: Option<((K, Seq), V)>) -> Seq {
    last.map_or(Seq(1), |((_, Seq(last)), _)| Seq(last + 1))
}

/// The prefix of every key below `key`.
pub(crate) fn parent(key: &impl Key) -> String {
    format!("{}/", key.to_text())
}
