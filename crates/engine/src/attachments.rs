//! Files that come with messages: they join what the thread's tools work on, in the transaction
//! that adds the message, and a run waits until they can be searched.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use docent_core::{
    Attachment, AttachmentTool, Content, Error, FileId, FileStatus, Message, Result, Thread,
    ToolResources, VectorStoreId, Write,
};
use docent_retrieval::{Attached, NewVectorStore};

use crate::engine::Inner;
use crate::runs::work::{Halt, Worker};
use crate::tables;

/// A thread's own vector store expires after a week without use, as in the Assistants API.
const EXPIRES_AFTER_DAYS: u32 = 7;

/// The API's limit of files a code interpreter sees.
const MOST_CODE_FILES: usize = 20;

impl Inner {
    /// Makes the vector store that `resources` is to have, if any.
    pub(crate) fn put_vector_store(
        &self,
        write: &mut dyn Write,
        resources: &mut ToolResources,
        new: Option<NewVectorStore>,
    ) -> Result<Attached> {
        let Some(new) = new else { return Ok(Attached::default()) };
        if resources.vector_stores.as_ref().is_some_and(|stores| !stores.is_empty()) {
            return Err(Error::invalid(
                "tool_resources.file_search takes vector_store_ids or vector_stores, not both",
            ));
        }
        let (store, attached) = self.collections.create_vector_store_within(write, new)?;
        resources.vector_stores = Some(vec![store.id]);
        Ok(attached)
    }

    /// Writes messages from outside at the end of their thread. What is attached to them joins the
    /// thread's resources; the caller writes its row.
    pub(crate) fn put_messages(
        &self,
        write: &mut dyn Write,
        thread: &mut Thread,
        messages: &[Message],
    ) -> Result<Attached> {
        let mut searched = Vec::new();
        for message in messages {
            tables::put_message(write, message)?;
            for part in &message.content {
                if let Content::ImageFile { file, .. } = part {
                    self.collections.file(*file)?;
                }
            }
            for Attachment { file, tools } in &message.attachments {
                self.collections.file(*file)?;
                if tools.contains(&AttachmentTool::CodeInterpreter) {
                    join_code_files(thread, *file)?;
                }
                if tools.contains(&AttachmentTool::FileSearch) {
                    searched.push(*file);
                }
            }
        }
        match searched.is_empty() {
            true => Ok(Attached::default()),
            false => self.join_vector_store(write, thread, &searched),
        }
    }

    fn join_vector_store(
        &self,
        write: &mut dyn Write,
        thread: &mut Thread,
        files: &[FileId],
    ) -> Result<Attached> {
        let present = own_store(thread);
        let new = NewVectorStore {
            expires_after_days: Some(EXPIRES_AFTER_DAYS),
            ..NewVectorStore::default()
        };
        let (store, attached) = self.collections.join_within(write, present, new, files)?;
        if present != Some(store) {
            thread.tool_resources.vector_stores = Some(vec![store]);
        }
        thread.awaited.retain(|file| self.waits(store, *file));
        await_files(thread, &attached);
        Ok(attached)
    }

    /// Whether a file is still on its way into a vector store.
    fn waits(&self, store: VectorStoreId, file: FileId) -> bool {
        let entry = self.collections.vector_store_file(store, file);
        entry.is_ok_and(|entry| entry.status == FileStatus::InProgress)
    }
}

/// The thread's runs are to wait for files that were attached.
pub(crate) fn await_files(thread: &mut Thread, attached: &Attached) {
    for file in attached.files() {
        if !thread.awaited.contains(&file) {
            thread.awaited.push(file);
        }
    }
}

/// The vector store that files attached to a thread's messages join.
fn own_store(thread: &Thread) -> Option<VectorStoreId> {
    thread.tool_resources.vector_stores.as_ref()?.first().copied()
}

fn join_code_files(thread: &mut Thread, file: FileId) -> Result<()> {
    let files = thread.tool_resources.code_files.get_or_insert_default();
    if files.contains(&file) {
        return Ok(());
    }
    files.push(file);
    let count = files.len();
    if count > MOST_CODE_FILES {
        let param = "tool_resources.code_interpreter.file_ids";
        let message = format!(
            "Invalid '{param}': array too long. Expected an array with maximum length \
             {MOST_CODE_FILES}, but got an array with length {count} instead."
        );
        return Err(Error::invalid(message).about(param, "array_above_max_length"));
    }
    Ok(())
}

/// Waits until the files attached to the thread's messages can be searched, and has them read if
/// nobody else does. After a while the run goes on with what there is: files are found by words
/// long before they have all their vectors.
pub(crate) fn settle(worker: &Worker) -> Result<(), Halt> {
    let inner = &worker.inner;
    let thread = tables::thread(inner.store.read()?.as_ref(), worker.run.thread)?;
    let Some(store) = own_store(&thread).filter(|_| worker.file_search().is_some()) else {
        return Ok(());
    };
    let waits = |file: &FileId| inner.waits(store, *file);
    if !thread.awaited.iter().any(waits) {
        return Ok(());
    }
    let given_up = ingest(inner, store, thread.awaited.clone());
    let deadline = Instant::now() + inner.options.attachment_wait;
    while thread.awaited.iter().any(waits) {
        worker.check_stopped()?;
        if given_up.load(Ordering::SeqCst) || Instant::now() >= deadline {
            tracing::warn!(%store, "a run goes on without all files of its thread");
            break;
        }
        // Whoever reads them may be another thread, or another process, that tells no one.
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Reads files on a thread of their own, which goes on when the run does not wait any longer. Says
/// in the end whether it had to give up.
fn ingest(inner: &Arc<Inner>, store: VectorStoreId, files: Vec<FileId>) -> Arc<AtomicBool> {
    let given_up = Arc::new(AtomicBool::new(false));
    let (helper, told) = (inner.clone(), given_up.clone());
    let begun = inner.workers.help(inner, "docent-ingest", move || {
        let mut on_progress = |_| helper.workers.flow();
        if let Err(error) = helper.collections.process_files(store, &files, &mut on_progress) {
            tracing::error!(error = format!("{error:#}"), "attached files cannot be read");
            told.store(true, Ordering::SeqCst);
        }
    });
    if let Err(error) = begun {
        tracing::warn!(%error, "attached files wait for another thread");
    }
    given_up
}
