//! Hostile bytes into pages, pages into chunks.
//!
//! A file is [sniffed](sniff) by its content, extracted behind a [`Guard`] (a panic, a hang or a
//! memory blow-up of one file stays there), [cleaned](clean) with a map back to page and offset,
//! and cut into [chunks](chunk).
//!
//! ```text
//! bytes ─ sniff ─▶ Format ─ Guard + Extractor ─▶ Document ─ clean ─▶ Clean ─ chunk ─▶ Vec<Chunk>
//!                                                (pages, lines)      (text, TextMap)
//! ```
//!
//! ```
//! use std::sync::Arc;
//! use docent_core::ChunkingStrategy;
//! use docent_ingest::{Format, Ingestor, Limits, ThreadGuard};
//!
//! let ingestor = Ingestor::new(Arc::new(ThreadGuard::new()), Limits::default());
//! let note = Box::new("# Tides\n\nThe moon pulls the sea.".as_bytes());
//! let prepared = ingestor.prepare(note, "tides.txt", ChunkingStrategy::default())?;
//! assert_eq!(prepared.format, Format::Markdown); // the content decides, not the name
//! assert_eq!(prepared.chunks[0].text, prepared.text);
//! # Ok::<(), docent_core::FileError>(())
//! ```

#![warn(missing_docs)]

mod ingestor;
mod limits;

mod document;
mod draft;
mod format;
mod package;
mod table;

mod code;
mod delimited;
mod docx;
mod epub;
mod html;
mod json_lines;
mod markdown;
#[cfg(feature = "pdf")]
pub mod pdf;
mod pptx;
mod text;
mod workbook;

mod guard;

mod chunk;
mod clean;

pub use chunk::chunk;
pub use clean::{Clean, Heading, Origin, Table, TextMap, clean};
pub use document::{Bounds, Document, Extractor, Flow, Line, LineKind, Page, extractor};
pub use format::{Format, Language, sniff};
pub use guard::{Guard, ProcessGuard, ThreadGuard, serve_extraction};
pub use ingestor::{Ingestor, Prepared};
pub use limits::Limits;
