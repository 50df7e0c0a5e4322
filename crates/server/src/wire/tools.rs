//! Tools, and what they work on.

use docent_core::{
    AssistantTool, FileId, FileSearchOptions, FunctionTool, ToolResources, ToolSpec, VectorStoreId,
};
use docent_engine::retrieval::NewVectorStore;
use serde_json::{Map, Value, json};

use super::fields::{Field, Given, Object};
use super::format::number;
use super::vector_store::read_helper;
use crate::error::ApiError;
use crate::ids;

/// The ranker that answers name, whichever one was asked for: there is one.
const RANKER: &str = "default_2024_08_21";

/// Tools as an assistant or a run shows them.
pub(super) fn tools(tools: &[AssistantTool]) -> Vec<Value> {
    tools.iter().map(tool).collect()
}

fn tool(tool: &AssistantTool) -> Value {
    match tool {
        AssistantTool::FileSearch(options) => file_search(*options),
        AssistantTool::Function(function) => json!({
            "type": "function",
            "function": {
                "name": function.spec.name,
                "description": function.spec.description,
                "parameters": function.spec.parameters,
                "strict": function.strict,
            },
        }),
        _ => json!({ "type": "code_interpreter" }),
    }
}

fn file_search(options: FileSearchOptions) -> Value {
    let mut inner = Map::new();
    if let Some(most) = options.max_num_results {
        inner.insert("max_num_results".into(), most.into());
    }
    inner.insert("ranking_options".into(), ranking_options(options));
    json!({ "type": "file_search", "file_search": inner })
}

/// What a search ranks by, as tools and steps show it.
pub(super) fn ranking_options(options: FileSearchOptions) -> Value {
    let threshold = number(options.score_threshold.unwrap_or(0.0));
    json!({ "ranker": RANKER, "score_threshold": threshold })
}

/// Reads at most `most` tools.
pub(super) fn read_tools(field: Field, most: usize) -> Result<Vec<AssistantTool>, ApiError> {
    field.array_up_to(most)?.into_iter().map(read_tool).collect()
}

fn read_tool(field: Field) -> Result<AssistantTool, ApiError> {
    let mut object = field.object()?;
    let known = ["code_interpreter", "file_search", "function"];
    let tool = match object.required("type", |field| field.word(&known))? {
        "code_interpreter" => AssistantTool::CodeInterpreter,
        "file_search" => {
            let options = object.optional("file_search", read_file_search)?;
            AssistantTool::FileSearch(options.unwrap_or_default())
        }
        _ => AssistantTool::Function(object.required("function", read_function)?),
    };
    object.finish()?;
    Ok(tool)
}

fn read_file_search(field: Field) -> Result<FileSearchOptions, ApiError> {
    let mut object = field.object()?;
    let most = object.optional("max_num_results", |field| field.integer(1, 50))?;
    let score_threshold = object.optional("ranking_options", |field| {
        let mut ranking = field.object()?;
        ranking.optional("ranker", |field| field.word(&["auto", RANKER]))?;
        let threshold = ranking.required("score_threshold", |field| field.decimal(0.0, 1.0))?;
        ranking.finish()?;
        Ok(threshold)
    })?;
    object.finish()?;
    Ok(FileSearchOptions { max_num_results: most.map(|most| most as u32), score_threshold })
}

pub(super) fn read_function(field: Field) -> Result<FunctionTool, ApiError> {
    let mut object = field.object()?;
    let name = object.required("name", read_function_name)?;
    let description = object.optional("description", Field::string)?.unwrap_or_default();
    let parameters = object.optional("parameters", |field| match field.object() {
        Ok(object) => Ok(Value::Object(object.into_fields().map(pair).collect())),
        Err(error) => Err(error),
    })?;
    let strict = object.optional("strict", Field::boolean)?.unwrap_or(false);
    object.finish()?;
    // Without parameters a function has none.
    let parameters = parameters.unwrap_or_else(|| json!({ "type": "object", "properties": {} }));
    Ok(FunctionTool { spec: ToolSpec { name, description, parameters }, strict })
}

fn pair((name, field): (String, Field)) -> (String, Value) {
    (name, field.into_value())
}

fn read_function_name(field: Field) -> Result<String, ApiError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let fits = |name: &str| (1..=64).contains(&name.len()) && name.chars().all(allowed);
    if field.as_word().is_some_and(|name| !fits(name)) {
        let reason = "string does not match pattern. Expected a string that matches the pattern \
                      '^[a-zA-Z0-9_-]{1,64}$'.";
        return Err(field.refuse(reason));
    }
    field.string()
}

/// Resources as an assistant or a thread shows them: only what was ever said.
pub(super) fn tool_resources(resources: &ToolResources) -> Value {
    let mut shown = Map::new();
    if let Some(files) = &resources.code_files {
        shown.insert("code_interpreter".into(), json!({ "file_ids": files }));
    }
    if let Some(stores) = &resources.vector_stores {
        shown.insert("file_search".into(), json!({ "vector_store_ids": stores }));
    }
    Value::Object(shown)
}

/// What a request says of resources, tool by tool.
#[derive(Debug, Default)]
pub(crate) struct ResourcesChange {
    code_files: Option<Vec<FileId>>,
    vector_stores: Option<Vec<VectorStoreId>>,
    new_vector_store: Option<NewVectorStore>,
}

/// Whether resources may ask for a vector store to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Helper {
    /// They may, as something is being made itself.
    Allowed,
    /// They name what there is.
    Refused,
}

impl ResourcesChange {
    /// Puts what was said over what there is; a tool nothing was said of stays.
    pub(crate) fn apply(self, resources: &mut ToolResources) {
        let Self { code_files, vector_stores, .. } = self;
        resources.code_files = code_files.or(resources.code_files.take());
        resources.vector_stores = vector_stores.or(resources.vector_stores.take());
    }

    /// As the resources of something new, and the vector store to be made for it.
    pub(super) fn into_new(self) -> (ToolResources, Option<NewVectorStore>) {
        let Self { code_files, vector_stores, new_vector_store } = self;
        (ToolResources { code_files, vector_stores }, new_vector_store)
    }

    /// The files that are named, to be looked for.
    pub(crate) fn code_files(&self) -> &[FileId] {
        self.code_files.as_deref().unwrap_or_default()
    }

    /// The vector stores that are named, to be looked for.
    pub(crate) fn vector_stores(&self) -> &[VectorStoreId] {
        self.vector_stores.as_deref().unwrap_or_default()
    }
}

/// Reads `tool_resources`, if the object has them.
pub(super) fn read_resources(
    object: &mut Object,
    helper: Helper,
) -> Result<Given<ResourcesChange>, ApiError> {
    object.given_as("tool_resources", |field| {
        let mut object = field.object()?;
        let mut change = ResourcesChange::default();
        if let Some(field) = object.take("code_interpreter") {
            let mut object = field.object()?;
            let files = read_ids(&mut object, "file_ids", 20, ids::field::<FileId>)?;
            object.finish()?;
            change.code_files = Some(files.unwrap_or_default());
        }
        if let Some(field) = object.take("file_search") {
            read_searched(field.object()?, helper, &mut change)?;
        }
        object.finish()?;
        Ok(change)
    })
}

fn read_searched(
    mut object: Object,
    helper: Helper,
    change: &mut ResourcesChange,
) -> Result<(), ApiError> {
    let stores = read_ids(&mut object, "vector_store_ids", 1, ids::field::<VectorStoreId>)?;
    if helper == Helper::Allowed {
        change.new_vector_store = object.optional("vector_stores", read_helper)?.flatten();
    }
    object.finish()?;
    // The engine refuses both together, and makes the list from the helper.
    change.vector_stores = match (&change.new_vector_store, stores) {
        (Some(_), None) => None,
        (_, stores) => Some(stores.unwrap_or_default()),
    };
    Ok(())
}

fn read_ids<T>(
    object: &mut Object,
    name: &str,
    most: usize,
    read: fn(Field) -> Result<T, ApiError>,
) -> Result<Option<Vec<T>>, ApiError> {
    object.optional(name, |field| {
        field.array_up_to(most)?.into_iter().map(read).collect::<Result<Vec<T>, _>>()
    })
}
