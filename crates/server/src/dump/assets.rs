//! Assistants, threads and vector stores of a dump.

use docent_core::{
    Assistant, AssistantTool, AttributeValue, Attributes, ChunkRange, ChunkingStrategy, FileError,
    FileErrorCode, FileSearchOptions, FileStatus, FunctionTool, ResponseFormat, Result, Thread,
    ToolResources, ToolSpec, VectorStore, VectorStoreFile,
};
use serde_json::{Value, json};

use super::fields::Fields;
use super::ids::Ids;

pub(super) fn assistant(fields: &Fields<'_>, ids: &mut Ids) -> Result<Assistant> {
    Ok(Assistant {
        id: fields.id(ids, "id")?,
        created_at: fields.required_time("created_at")?,
        model: fields.required_text("model")?,
        name: fields.text("name")?,
        description: fields.text("description")?,
        instructions: fields.text("instructions")?,
        tools: tools(fields)?,
        tool_resources: tool_resources(fields, ids)?,
        temperature: fields.decimal("temperature")?,
        top_p: fields.decimal("top_p")?,
        response_format: response_format(fields)?,
        reasoning_effort: fields.text("reasoning_effort")?,
        metadata: fields.metadata()?,
    })
}

pub(super) fn thread(fields: &Fields<'_>, ids: &mut Ids) -> Result<Thread> {
    Ok(Thread {
        id: fields.id(ids, "id")?,
        created_at: fields.required_time("created_at")?,
        tool_resources: tool_resources(fields, ids)?,
        active_run: None,
        awaited: Vec::new(),
        metadata: fields.metadata()?,
    })
}

/// The tools of an assistant or a run.
pub(super) fn tools(fields: &Fields<'_>) -> Result<Vec<AssistantTool>> {
    fields.objects("tools")?.iter().map(tool).collect()
}

fn tool(fields: &Fields<'_>) -> Result<AssistantTool> {
    match &*fields.required_text("type")? {
        "code_interpreter" => Ok(AssistantTool::CodeInterpreter),
        // As version 1 of the API called it.
        "file_search" | "retrieval" => {
            let Some(search) = fields.object("file_search")? else {
                return Ok(AssistantTool::FileSearch(FileSearchOptions::default()));
            };
            let ranking = search.object("ranking_options")?;
            let threshold = ranking.map(|it| it.decimal("score_threshold")).transpose()?.flatten();
            let most = search.number("max_num_results")?.and_then(|most| u32::try_from(most).ok());
            Ok(AssistantTool::FileSearch(FileSearchOptions {
                max_num_results: most,
                score_threshold: threshold,
            }))
        }
        "function" => {
            let function = fields.object("function")?;
            let function = function.ok_or_else(|| fields.wrong("function", "there"))?;
            let parameters = function.value("parameters");
            let spec = ToolSpec {
                name: function.required_text("name")?,
                description: function.text("description")?.unwrap_or_default(),
                parameters: parameters
                    .unwrap_or_else(|| json!({ "type": "object", "properties": {} })),
            };
            let strict = function.boolean("strict").unwrap_or(false);
            Ok(AssistantTool::Function(FunctionTool { spec, strict }))
        }
        _ => Err(fields.wrong("type", "'code_interpreter', 'file_search' or 'function'")),
    }
}

fn tool_resources(fields: &Fields<'_>, ids: &mut Ids) -> Result<ToolResources> {
    let mut resources = ToolResources::default();
    let Some(given) = fields.object("tool_resources")? else { return Ok(resources) };
    if let Some(code) = given.object("code_interpreter")? {
        resources.code_files = Some(code.ids(ids, "file_ids")?);
    }
    if let Some(search) = given.object("file_search")? {
        resources.vector_stores = Some(search.ids(ids, "vector_store_ids")?);
    }
    Ok(resources)
}

/// The response format of an assistant or a run; none for `auto`.
pub(super) fn response_format(fields: &Fields<'_>) -> Result<Option<ResponseFormat>> {
    let Some(Value::Object(_)) = fields.value("response_format") else { return Ok(None) };
    let Some(format) = fields.object("response_format")? else { return Ok(None) };
    match &*format.required_text("type")? {
        "json_object" => Ok(Some(ResponseFormat::JsonObject)),
        "json_schema" => {
            let schema = format.object("json_schema")?;
            let schema = schema.ok_or_else(|| format.wrong("json_schema", "there"))?;
            Ok(Some(ResponseFormat::JsonSchema {
                name: schema.required_text("name")?,
                description: schema.text("description")?,
                schema: schema.value("schema").unwrap_or_else(|| json!({})),
                strict: schema.boolean("strict").unwrap_or(false),
            }))
        }
        _ => Ok(Some(ResponseFormat::Text)),
    }
}

pub(super) fn vector_store(fields: &Fields<'_>, ids: &mut Ids) -> Result<VectorStore> {
    let created_at = fields.required_time("created_at")?;
    let expires = fields.object("expires_after")?;
    let days = expires.map(|it| it.number("days")).transpose()?.flatten();
    Ok(VectorStore {
        id: fields.id(ids, "id")?,
        name: fields.text("name")?,
        description: fields.text("description")?,
        created_at,
        last_active_at: fields.time("last_active_at")?.unwrap_or(created_at),
        expires_after_days: days.and_then(|days| u32::try_from(days).ok()),
        embedder: None,
        metadata: fields.metadata()?,
    })
}

pub(super) fn store_file(fields: &Fields<'_>, ids: &mut Ids) -> Result<VectorStoreFile> {
    Ok(VectorStoreFile {
        file: fields.id(ids, "id")?,
        vector_store: fields.id(ids, "vector_store_id")?,
        status: fields.word("status", FileStatus::InProgress),
        last_error: last_error(fields)?,
        warnings: Vec::new(),
        chunking: chunking(fields)?,
        attributes: attributes(fields)?,
        created_at: fields.required_time("created_at")?,
        pages: 0,
        chunks: ChunkRange::default(),
        embedded: 0,
        usage_bytes: 0,
    })
}

fn last_error(fields: &Fields<'_>) -> Result<Option<FileError>> {
    let Some(error) = fields.object("last_error")? else { return Ok(None) };
    let code = error.word("code", FileErrorCode::ServerError);
    Ok(Some(FileError { code, message: error.text("message")?.unwrap_or_default() }))
}

/// How a file is cut; as by default where that is not told, or not possible here.
fn chunking(fields: &Fields<'_>) -> Result<ChunkingStrategy> {
    let Some(chunking) = fields.object("chunking_strategy")? else {
        return Ok(ChunkingStrategy::default());
    };
    Ok(chunking.word("static", ChunkingStrategy::default()))
}

fn attributes(fields: &Fields<'_>) -> Result<Attributes> {
    let Some(given) = fields.object("attributes")? else { return Ok(Attributes::new()) };
    let value = |value: &Value| match value {
        Value::Bool(value) => AttributeValue::Bool(*value),
        Value::Number(number) => AttributeValue::Number(number.as_f64().unwrap_or_default()),
        Value::String(text) => AttributeValue::Text(text.clone()),
        other => AttributeValue::Text(other.to_string()),
    };
    Ok(given.pairs().map(|(key, given)| (key.clone(), value(given))).collect())
}
