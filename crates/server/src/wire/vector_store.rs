//! Vector stores, their files, batches, and what a search finds.

use docent_core::{
    AttributeValue, Attributes, ChunkingStrategy, FileCounts, FileError, FileErrorCode, FileId,
    FileStatus, Metadata, Timestamp, VectorStore, VectorStoreFile, VectorStoreStatus,
};
use docent_engine::retrieval::{
    AttachOptions, BatchSummary, NewVectorStore, SearchHit, VectorStoreSummary,
};
use serde_json::{Value, json};

use super::fields::{Field, Given, Object, check_length};
use super::format::number;
use super::metadata;
use crate::error::ApiError;
use crate::ids;

const MOST_FILES: usize = 500;
const MOST_BATCHED: usize = 2_000;

/// A vector store as answers show it.
pub(crate) fn vector_store(summary: &VectorStoreSummary) -> Value {
    let VectorStoreSummary { vector_store, files, usage_bytes, status } = summary;
    let days = vector_store.expires_after_days;
    json!({
        "id": vector_store.id,
        "object": "vector_store",
        "created_at": vector_store.created_at.seconds(),
        "name": vector_store.name.as_deref().unwrap_or_default(),
        "description": vector_store.description,
        "usage_bytes": usage_bytes,
        "file_counts": counts(files),
        "status": match status {
            VectorStoreStatus::Expired => "expired",
            VectorStoreStatus::InProgress => "in_progress",
            VectorStoreStatus::Completed => "completed",
        },
        "expires_after": days.map(|days| json!({ "anchor": "last_active_at", "days": days })),
        "expires_at": vector_store.expires_at().map(Timestamp::seconds),
        "last_active_at": vector_store.last_active_at.seconds(),
        "metadata": vector_store.metadata,
    })
}

fn counts(counts: &FileCounts) -> Value {
    json!({
        "in_progress": counts.in_progress,
        "completed": counts.completed,
        "failed": counts.failed,
        "cancelled": counts.cancelled,
        "total": counts.total(),
    })
}

/// A file in a vector store as answers show it.
pub(crate) fn store_file(file: &VectorStoreFile) -> Value {
    json!({
        "id": file.file,
        "object": "vector_store.file",
        "usage_bytes": file.usage_bytes,
        "created_at": file.created_at.seconds(),
        "vector_store_id": file.vector_store,
        "status": status(file.status),
        "last_error": file.last_error.as_ref().map(last_error),
        "chunking_strategy": {
            "type": "static",
            "static": {
                "max_chunk_size_tokens": file.chunking.max_chunk_size_tokens(),
                "chunk_overlap_tokens": file.chunking.chunk_overlap_tokens(),
            },
        },
        "attributes": attributes(&file.attributes),
    })
}

fn status(status: FileStatus) -> &'static str {
    match status {
        FileStatus::InProgress => "in_progress",
        FileStatus::Completed => "completed",
        FileStatus::Cancelled => "cancelled",
        FileStatus::Failed => "failed",
    }
}

fn last_error(error: &FileError) -> Value {
    let code = match error.code {
        FileErrorCode::ServerError => "server_error",
        FileErrorCode::UnsupportedFile => "unsupported_file",
        FileErrorCode::InvalidFile => "invalid_file",
    };
    json!({ "code": code, "message": error.message })
}

fn attributes(attributes: &Attributes) -> Value {
    let shown = attributes.iter().map(|(key, value)| {
        let value = match value {
            AttributeValue::Bool(value) => json!(value),
            AttributeValue::Number(value) => json!(value),
            AttributeValue::Text(value) => json!(value),
        };
        (key.clone(), value)
    });
    Value::Object(shown.collect())
}

/// A batch as answers show it.
pub(crate) fn batch(summary: &BatchSummary) -> Value {
    json!({
        "id": summary.batch.id,
        "object": "vector_store.files_batch",
        "created_at": summary.batch.created_at.seconds(),
        "vector_store_id": summary.batch.vector_store,
        "status": summary.status.as_str(),
        "file_counts": counts(&summary.files),
    })
}

/// What a search found, as its answer shows it: `found` beside the attributes of each hit's file.
pub(crate) fn found(queries: &[String], found: &[(SearchHit, Attributes)]) -> Value {
    let data: Vec<Value> = found
        .iter()
        .map(|(hit, of_file)| {
            json!({
                "file_id": hit.chunk.file,
                "filename": hit.filename,
                "score": number(hit.score),
                "attributes": attributes(of_file),
                "content": [{ "type": "text", "text": hit.chunk.chunk.text }],
            })
        })
        .collect();
    json!({
        "object": "vector_store.search_results.page",
        "search_query": queries,
        "data": data,
        "has_more": false,
        "next_page": null,
    })
}

/// A file's text as answers show it.
pub(crate) fn file_content(text: &str) -> Value {
    json!({
        "object": "vector_store.file_content.page",
        "data": [{ "type": "text", "text": text }],
        "has_more": false,
        "next_page": null,
    })
}

/// Reads what a vector store is to be made from.
pub(crate) fn read_new_vector_store(mut body: Object) -> Result<NewVectorStore, ApiError> {
    let files = body.optional("file_ids", |field| read_files(field, MOST_FILES))?;
    let chunking = body.optional("chunking_strategy", read_chunking)?;
    let change = read_vector_store_change(body)?;
    Ok(NewVectorStore {
        name: change.name.value(),
        description: change.description.value(),
        files: files.unwrap_or_default(),
        chunking: chunking.unwrap_or_default(),
        expires_after_days: change.expires_after_days.value(),
        metadata: change.metadata.value().unwrap_or_default(),
    })
}

/// Reads a vector store that is to be made for an assistant or a thread.
pub(super) fn read_helper(field: Field) -> Result<Option<NewVectorStore>, ApiError> {
    let Some(only) = field.array_up_to(1)?.pop() else { return Ok(None) };
    let mut object = only.object()?;
    // As in the API, more files than a store begins with elsewhere.
    let files = object.optional("file_ids", |field| read_files(field, 10_000))?;
    let chunking = object.optional("chunking_strategy", read_chunking)?;
    let metadata = object.optional("metadata", metadata::read)?;
    object.finish()?;
    Ok(Some(NewVectorStore {
        files: files.unwrap_or_default(),
        chunking: chunking.unwrap_or_default(),
        metadata: metadata.unwrap_or_default(),
        ..NewVectorStore::default()
    }))
}

/// What a request says of a vector store.
#[derive(Debug)]
pub(crate) struct VectorStoreChange {
    name: Given<String>,
    description: Given<String>,
    expires_after_days: Given<u32>,
    metadata: Given<Metadata>,
}

impl VectorStoreChange {
    /// Changes what was said of `store`.
    pub(crate) fn apply(self, store: &mut VectorStore) {
        self.name.apply(&mut store.name);
        self.description.apply(&mut store.description);
        self.expires_after_days.apply(&mut store.expires_after_days);
        self.metadata.apply_or_default(&mut store.metadata);
    }
}

/// Reads what is to change about a vector store.
pub(crate) fn read_vector_store_change(mut body: Object) -> Result<VectorStoreChange, ApiError> {
    let change = VectorStoreChange {
        name: body.given_as("name", |field| field.string_up_to(256))?,
        description: body.given_as("description", |field| field.string_up_to(512))?,
        expires_after_days: body.given_as("expires_after", read_expiry)?,
        metadata: body.given_as("metadata", metadata::read)?,
    };
    body.finish()?;
    Ok(change)
}

fn read_expiry(field: Field) -> Result<u32, ApiError> {
    let mut object = field.object()?;
    object.required("anchor", |field| field.word(&["last_active_at"]))?;
    let days = object.required("days", |field| field.integer(1, 365))?;
    object.finish()?;
    Ok(days as u32)
}

fn read_files(field: Field, most: usize) -> Result<Vec<FileId>, ApiError> {
    field.array_up_to(most)?.into_iter().map(ids::field::<FileId>).collect()
}

fn read_chunking(field: Field) -> Result<ChunkingStrategy, ApiError> {
    let mut object = field.object()?;
    let strategy = match object.required("type", |field| field.word(&["auto", "static"]))? {
        "auto" => ChunkingStrategy::default(),
        _ => object.required("static", |field| {
            let path = field.path().to_owned();
            let mut sizes = field.object()?;
            let size = sizes.required("max_chunk_size_tokens", |it| it.integer(100, 4096))?;
            let overlap = sizes.required("chunk_overlap_tokens", |it| it.integer(0, 4096))?;
            sizes.finish()?;
            ChunkingStrategy::new(size as u32, overlap as u32)
                .map_err(|error| ApiError::from(error).at(path).code("invalid_value"))
        })?,
    };
    object.finish()?;
    Ok(strategy)
}

fn read_attributes(field: Field) -> Result<Attributes, ApiError> {
    let path = field.path().to_owned();
    let pairs = field.object()?.into_fields().map(|(key, value)| {
        check_length(&path, &key, 64)?;
        Ok((key, read_attribute(value)?))
    });
    pairs.collect()
}

fn read_attribute(field: Field) -> Result<AttributeValue, ApiError> {
    let path = field.path().to_owned();
    match field.into_value() {
        Value::Bool(value) => Ok(AttributeValue::Bool(value)),
        Value::String(value) => {
            check_length(&path, &value, 512)?;
            Ok(AttributeValue::Text(value))
        }
        other => match other.as_f64() {
            Some(value) => Ok(AttributeValue::Number(value)),
            None => {
                Err(super::fields::wrong_type(&path, "a string, a number or a boolean", &other))
            }
        },
    }
}

/// Reads which attributes a file in a vector store is to have.
pub(crate) fn read_attributes_change(mut body: Object) -> Result<Attributes, ApiError> {
    let attributes = match body.given_as("attributes", read_attributes)? {
        Given::Absent => body.required("attributes", read_attributes)?,
        Given::Null => Attributes::new(),
        Given::Value(attributes) => attributes,
    };
    body.finish()?;
    Ok(attributes)
}

/// Reads a file that is to enter a vector store.
pub(crate) fn read_entry(mut body: Object) -> Result<(FileId, AttachOptions), ApiError> {
    let file = body.required("file_id", ids::field::<FileId>)?;
    let options = read_options(&mut body)?;
    body.finish()?;
    Ok((file, options))
}

fn read_options(body: &mut Object) -> Result<AttachOptions, ApiError> {
    Ok(AttachOptions {
        chunking: body.optional("chunking_strategy", read_chunking)?.unwrap_or_default(),
        attributes: body.optional("attributes", read_attributes)?.unwrap_or_default(),
    })
}

/// Reads a batch: files that share their options, or files with their own.
pub(crate) fn read_batch(mut body: Object) -> Result<Vec<(FileId, AttachOptions)>, ApiError> {
    let own = body.optional("files", |field| {
        let items = field.nonempty_array_up_to(MOST_BATCHED)?.into_iter();
        items.map(|item| read_entry(item.object()?)).collect::<Result<Vec<_>, _>>()
    })?;
    if let Some(own) = own {
        body.finish()?;
        return Ok(own);
    }
    let files = body.required("file_ids", |field| {
        let items = field.nonempty_array_up_to(MOST_BATCHED)?.into_iter();
        items.map(ids::field::<FileId>).collect::<Result<Vec<_>, _>>()
    })?;
    let options = read_options(&mut body)?;
    body.finish()?;
    Ok(files.into_iter().map(|file| (file, options.clone())).collect())
}

/// The status called `name`, by which lists of files are filtered.
pub(crate) fn read_status(name: &str) -> Result<FileStatus, ApiError> {
    match name {
        "in_progress" => Ok(FileStatus::InProgress),
        "completed" => Ok(FileStatus::Completed),
        "failed" => Ok(FileStatus::Failed),
        "cancelled" => Ok(FileStatus::Cancelled),
        other => Err(super::list::not_one_of(
            "filter",
            other,
            "'in_progress', 'completed', 'failed', and 'cancelled'",
        )),
    }
}
