//! Objects as they leave a library and enter another.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    Assistant, File, FileBatch, FileId, Message, Run, RunStep, Thread, VectorStore, VectorStoreFile,
};

/// An object as it leaves a library or enters one: all of it that cannot be made again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "object", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Record {
    /// An assistant.
    Assistant(Assistant),
    /// A thread.
    Thread(Thread),
    /// A message; its thread comes before it, and messages come in their thread's order.
    Message(Message),
    /// A run; its thread comes before it.
    Run(Run),
    /// A step; its run comes before it, and steps come in their run's order.
    RunStep(RunStep),
    /// A file, without its bytes.
    File(File),
    /// A vector store.
    VectorStore(VectorStore),
    /// A file in a vector store; both come before it.
    VectorStoreFile(VectorStoreFile),
    /// A batch of files; its vector store comes before it.
    FileBatch(BatchRecord),
}

/// A batch and its files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchRecord {
    /// The batch.
    #[serde(flatten)]
    pub batch: FileBatch,
    /// The files that entered with it.
    pub files: Vec<FileId>,
}

/// What became of an object that was to enter a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    /// It is in now.
    New,
    /// It was there already, just so.
    Present,
}

impl Record {
    /// What kinds there are, in the order they may be read in.
    pub const KINDS: [&'static str; 9] = [
        "assistant",
        "thread",
        "message",
        "run",
        "run_step",
        "file",
        "vector_store",
        "vector_store_file",
        "file_batch",
    ];

    /// What it is, as it is written.
    pub fn kind(&self) -> &'static str {
        let at = match self {
            Self::Assistant(_) => 0,
            Self::Thread(_) => 1,
            Self::Message(_) => 2,
            Self::Run(_) => 3,
            Self::RunStep(_) => 4,
            Self::File(_) => 5,
            Self::VectorStore(_) => 6,
            Self::VectorStoreFile(_) => 7,
            Self::FileBatch(_) => 8,
        };
        Self::KINDS[at]
    }
}

impl fmt::Display for Record {
    /// Names it by its id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Assistant(it) => it.id.fmt(f),
            Self::Thread(it) => it.id.fmt(f),
            Self::Message(it) => it.id.fmt(f),
            Self::Run(it) => it.id.fmt(f),
            Self::RunStep(it) => it.id.fmt(f),
            Self::File(it) => it.id.fmt(f),
            Self::VectorStore(it) => it.id.fmt(f),
            Self::VectorStoreFile(it) => write!(f, "{} in {}", it.file, it.vector_store),
            Self::FileBatch(it) => it.batch.id.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_written_with_its_kind_and_reads_back() {
        let batch = FileBatch {
            id: "vsfb_0123456789abcdefghijABCD".parse().unwrap(),
            vector_store: "vs_0123456789abcdefghijABCD".parse().unwrap(),
            created_at: crate::Timestamp::from_millis(5),
            cancelled_at: None,
        };
        let file = "file-0123456789abcdefghijABCD".parse().unwrap();
        let record = Record::FileBatch(BatchRecord { batch, files: vec![file] });
        let json = serde_json::to_string(&record).unwrap();
        assert!(json.starts_with(r#"{"type":"file_batch","object":{"id":"vsfb_"#), "{json}");
        assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record);
        assert_eq!(record.kind(), "file_batch");
    }
}
