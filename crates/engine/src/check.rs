//! Doctor for conversations: do threads, messages, runs and the rows that drive runs agree?
//!
//! A run's own row is the truth. What follows from it (its thread's lock, its place in the queue,
//! its deadline) is set right by it, and rows that nothing leads to are dropped.

use docent_core::{
    Key, Message, MessageIncomplete, MessageStatus, Result, Run, RunId, RunStatus, Scan, Store,
    Table, Thread, ThreadId, Write,
};
use docent_retrieval::{Finding, Repair};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::runs::summary::Summary;
use crate::tables::{
    MESSAGE_PLACES, MESSAGES, Place, RUN_DEADLINES, RUN_LEASES, RUN_QUEUE, RUNS, STEPS, SUMMARIES,
    THREAD_RUNS, THREADS, parent,
};

/// Rows looked at in one go.
const PAGE: usize = 512;

/// Compares threads, messages, runs and steps with each other.
///
/// Needs no engine, so that no run is taken up meanwhile. Nothing else can be written until it is
/// through: a second for a hundred thousand messages.
///
/// # Errors
/// When the store cannot be read, or not be written where there is something to set right.
pub fn check(store: &dyn Store, repair: Repair) -> Result<Vec<Finding>> {
    let fix = repair == Repair::Yes;
    let mut check = Check { write: store.write()?, fix, found: Vec::new() };
    each(&THREADS, &mut check, |check, _, thread| check.thread(thread))?;
    each(&RUNS, &mut check, |check, _, run| check.run(run))?;
    check.rows_of_no_run()?;
    each(&MESSAGES, &mut check, |check, (thread, seq), message| {
        check.message(message, Place { thread, seq })
    })?;
    each(&MESSAGE_PLACES, &mut check, |check, id, place| {
        let is_there = MESSAGES.get(&*check.write, &(place.thread, place.seq))?;
        if is_there.is_some_and(|message| message.id == id) {
            return Ok(());
        }
        check.wrong(&id, "is listed and not there", |write| {
            MESSAGE_PLACES.delete(write, &id).map(drop)
        })
    })?;
    each(&SUMMARIES, &mut check, |check, thread, summary| check.summary(thread, &summary))?;
    let Check { write, found, .. } = check;
    if fix && !found.is_empty() {
        write.commit()?;
    }
    Ok(found)
}

struct Check<'a> {
    write: Box<dyn Write + 'a>,
    fix: bool,
    found: Vec<Finding>,
}

/// Shows every row of `table` to `look`, which may change the row it sees and those before.
fn each<K: Key, V: Serialize + DeserializeOwned>(
    table: &Table<K, V>,
    check: &mut Check<'_>,
    mut look: impl FnMut(&mut Check<'_>, K, V) -> Result<()>,
) -> Result<()> {
    let mut after: Option<String> = None;
    loop {
        let scan = Scan { after: after.as_deref(), limit: PAGE, ..Scan::default() };
        let rows = table.scan(&*check.write, scan)?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        after = Some(last.to_text());
        for (key, value) in rows {
            look(check, key, value)?;
        }
    }
}

impl Check<'_> {
    fn wrong(
        &mut self,
        subject: &impl ToString,
        problem: &str,
        mend: impl FnOnce(&mut dyn Write) -> Result<()>,
    ) -> Result<()> {
        if self.fix {
            mend(&mut *self.write)?;
        }
        self.found.push(Finding {
            subject: subject.to_string(),
            problem: problem.to_owned(),
            repaired: self.fix,
        });
        Ok(())
    }

    /// A thread is locked by a run of its own that goes on, or not at all.
    fn thread(&mut self, mut thread: Thread) -> Result<()> {
        let Some(run) = thread.active_run else { return Ok(()) };
        let holder = RUNS.get(&*self.write, &run)?;
        if holder.is_some_and(|run| run.thread == thread.id && !run.status.is_terminal()) {
            return Ok(());
        }
        self.wrong(&thread.id.clone(), "is locked by a run that does not go on", |write| {
            thread.active_run = None;
            THREADS.put(write, &thread.id, &thread)
        })
    }

    fn run(&mut self, run: Run) -> Result<()> {
        let Some(thread) = THREADS.get(&*self.write, &run.thread)? else {
            return self.wrong(&run.id, "belongs to no thread", |write| forget_run(write, &run));
        };
        if THREAD_RUNS.get(&*self.write, &(run.thread, run.id))?.is_none() {
            self.wrong(&run.id, "is missing among its thread's runs", |write| {
                THREAD_RUNS.put(write, &(run.thread, run.id), &())
            })?;
        }
        if run.status.is_terminal() {
            return self.ended_run(&run);
        }
        self.lock(&run, thread)?;
        self.goes_on(&run)
    }

    /// Nothing waits for a run that has ended.
    fn ended_run(&mut self, run: &Run) -> Result<()> {
        let queued = RUN_QUEUE.get(&*self.write, &run.id)?.is_some();
        let held = RUN_LEASES.get(&*self.write, &run.id)?.is_some();
        let timed = RUN_DEADLINES.get(&*self.write, &(run.expires_at, run.id))?.is_some();
        if !(queued || held || timed) {
            return Ok(());
        }
        self.wrong(&run.id, "has ended and is still waited for", |write| stop(write, run))
    }

    fn lock(&mut self, run: &Run, mut thread: Thread) -> Result<()> {
        match thread.active_run {
            Some(holder) if holder == run.id => Ok(()),
            None => self.wrong(&run.id, "goes on, and its thread is not locked", |write| {
                thread.active_run = Some(run.id);
                THREADS.put(write, &thread.id, &thread)
            }),
            // Which of two runs is the right one cannot be told from here.
            Some(other) => {
                self.found.push(Finding {
                    subject: run.id.to_string(),
                    problem: format!("goes on beside {other} on one thread; cancel one of them"),
                    repaired: false,
                });
                Ok(())
            }
        }
    }

    /// A run that has not ended will: somebody works on it, or it waits for someone, and it has a
    /// deadline.
    fn goes_on(&mut self, run: &Run) -> Result<()> {
        let waited_for = RUN_QUEUE.get(&*self.write, &run.id)?.is_some()
            || RUN_LEASES.get(&*self.write, &run.id)?.is_some()
            || run.status == RunStatus::RequiresAction;
        if !waited_for {
            self.wrong(&run.id, "waits, and nobody will take it up", |write| {
                RUN_QUEUE.put(write, &run.id, &())
            })?;
        }
        let deadline = (run.expires_at, run.id);
        if RUN_DEADLINES.get(&*self.write, &deadline)?.is_none() {
            self.wrong(&run.id, "would never expire", |write| {
                RUN_DEADLINES.put(write, &deadline, &())
            })?;
        }
        Ok(())
    }

    fn rows_of_no_run(&mut self) -> Result<()> {
        let write = &*self.write;
        let mut named: Vec<RunId> = Vec::new();
        named.extend(RUN_QUEUE.all(write, "")?.into_iter().map(|(run, ())| run));
        named.extend(RUN_LEASES.all(write, "")?.into_iter().map(|(run, _)| run));
        for run in named {
            if RUNS.get(&*self.write, &run)?.is_none() {
                self.wrong(&run, "is waited for and does not exist", |write| {
                    RUN_QUEUE.delete(write, &run)?;
                    RUN_LEASES.delete(write, &run).map(drop)
                })?;
            }
        }
        for ((at, run), ()) in RUN_DEADLINES.all(&*self.write, "")? {
            if RUNS.get(&*self.write, &run)?.is_none() {
                self.wrong(&run, "has a deadline and does not exist", |write| {
                    RUN_DEADLINES.delete(write, &(at, run)).map(drop)
                })?;
            }
        }
        each(&THREAD_RUNS, self, |check, (thread, run), ()| {
            if RUNS.get(&*check.write, &run)?.is_some() {
                return Ok(());
            }
            check.wrong(&run, "is listed with its thread and does not exist", |write| {
                THREAD_RUNS.delete(write, &(thread, run)).map(drop)
            })
        })?;
        each(&STEPS, self, |check, (run, seq), step| {
            if RUNS.get(&*check.write, &run)?.is_some() {
                return Ok(());
            }
            check.wrong(&step.id, "is a step of no run", |write| {
                STEPS.delete(write, &(run, seq)).map(drop)
            })
        })
    }

    fn message(&mut self, mut message: Message, place: Place) -> Result<()> {
        let (id, key) = (message.id, (place.thread, place.seq));
        if THREADS.get(&*self.write, &place.thread)?.is_none() {
            return self.wrong(&id, "belongs to no thread", |write| {
                MESSAGE_PLACES.delete(write, &id)?;
                MESSAGES.delete(write, &key).map(drop)
            });
        }
        let listed = MESSAGE_PLACES.get(&*self.write, &id)?;
        if listed.is_none_or(|listed| (listed.thread, listed.seq) != key) {
            self.wrong(&id, "cannot be found by its id", |write| {
                MESSAGE_PLACES.put(write, &id, &place)
            })?;
        }
        if message.status != MessageStatus::InProgress || self.is_written(&message)? {
            return Ok(());
        }
        self.wrong(&id, "is being written by no run", |write| {
            message.status = MessageStatus::Incomplete;
            message.incomplete_reason = Some(MessageIncomplete::RunFailed);
            message.incomplete_at = Some(message.created_at);
            MESSAGES.put(write, &key, &message)
        })
    }

    /// A summary ends with a message that its thread has. It can be made again.
    fn summary(&mut self, thread: ThreadId, summary: &Summary) -> Result<()> {
        let last = MESSAGES.get(&*self.write, &(thread, summary.through))?;
        if last.is_some_and(|message| message.id == summary.last) {
            return Ok(());
        }
        self.wrong(&thread, "has a summary of messages that are not there", |write| {
            SUMMARIES.delete(write, &thread).map(drop)
        })
    }

    fn is_written(&self, message: &Message) -> Result<bool> {
        let Some(run) = message.run else { return Ok(false) };
        Ok(RUNS.get(&*self.write, &run)?.is_some_and(|run| !run.status.is_terminal()))
    }
}

/// Removes a run with everything below it.
fn forget_run(write: &mut dyn Write, run: &Run) -> Result<()> {
    stop(write, run)?;
    for (key, _) in STEPS.all(write, &parent(&run.id))? {
        STEPS.delete(write, &key)?;
    }
    THREAD_RUNS.delete(write, &(run.thread, run.id))?;
    RUNS.delete(write, &run.id).map(drop)
}

fn stop(write: &mut dyn Write, run: &Run) -> Result<()> {
    RUN_QUEUE.delete(write, &run.id)?;
    RUN_LEASES.delete(write, &run.id)?;
    RUN_DEADLINES.delete(write, &(run.expires_at, run.id)).map(drop)
}
