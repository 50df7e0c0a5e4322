//! Assistants.

use docent_core::{Assistant, AssistantTool, Metadata, ResponseFormat};
use docent_engine::NewAssistant;
use serde_json::{Value, json};

use super::fields::{Field, Given, Object};
use super::format::{EFFORTS, number, read_response_format, response_format};
use super::metadata;
use super::tools::{Helper, ResourcesChange, read_resources, read_tools, tool_resources, tools};
use crate::error::ApiError;

const MOST_TOOLS: usize = 128;
/// What the clients show for assistants that nothing was said of.
pub(super) const DEFAULT_TEMPERATURE: f32 = 1.0;

/// An assistant as answers show it.
pub(crate) fn assistant(assistant: &Assistant) -> Value {
    json!({
        "id": assistant.id,
        "object": "assistant",
        "created_at": assistant.created_at.seconds(),
        "name": assistant.name,
        "description": assistant.description,
        "model": assistant.model,
        "instructions": assistant.instructions,
        "tools": tools(&assistant.tools),
        "tool_resources": tool_resources(&assistant.tool_resources),
        "metadata": assistant.metadata,
        "temperature": number(assistant.temperature.unwrap_or(DEFAULT_TEMPERATURE)),
        "top_p": number(assistant.top_p.unwrap_or(DEFAULT_TEMPERATURE)),
        "response_format": response_format(assistant.response_format.as_ref()),
    })
}

/// What a request says of an assistant.
#[derive(Debug)]
pub(crate) struct AssistantChange {
    pub(crate) model: Option<String>,
    name: Given<String>,
    description: Given<String>,
    instructions: Given<String>,
    tools: Given<Vec<AssistantTool>>,
    pub(crate) tool_resources: Given<ResourcesChange>,
    metadata: Given<Metadata>,
    temperature: Given<f32>,
    top_p: Given<f32>,
    response_format: Given<Option<ResponseFormat>>,
    reasoning_effort: Given<String>,
}

impl AssistantChange {
    /// Changes what was said of `assistant`.
    pub(crate) fn apply(self, assistant: &mut Assistant) {
        if let Some(model) = self.model {
            assistant.model = model;
        }
        self.name.apply(&mut assistant.name);
        self.description.apply(&mut assistant.description);
        self.instructions.apply(&mut assistant.instructions);
        self.tools.apply_or_default(&mut assistant.tools);
        match self.tool_resources {
            Given::Absent => {}
            Given::Null => assistant.tool_resources = Default::default(),
            Given::Value(change) => change.apply(&mut assistant.tool_resources),
        }
        self.metadata.apply_or_default(&mut assistant.metadata);
        self.temperature.apply(&mut assistant.temperature);
        self.top_p.apply(&mut assistant.top_p);
        self.response_format.apply_or_default(&mut assistant.response_format);
        self.reasoning_effort.apply(&mut assistant.reasoning_effort);
    }

    fn into_new(self, model: String) -> NewAssistant {
        let resources = self.tool_resources.value().map(ResourcesChange::into_new);
        let (tool_resources, new_vector_store) = resources.unwrap_or_default();
        NewAssistant {
            model,
            name: self.name.value(),
            description: self.description.value(),
            instructions: self.instructions.value(),
            tools: self.tools.value().unwrap_or_default(),
            tool_resources,
            new_vector_store,
            metadata: self.metadata.value().unwrap_or_default(),
            temperature: self.temperature.value(),
            top_p: self.top_p.value(),
            response_format: self.response_format.value().flatten(),
            reasoning_effort: self.reasoning_effort.value(),
        }
    }
}

/// Reads what an assistant is to be made from.
pub(crate) fn read_new_assistant(mut body: Object) -> Result<NewAssistant, ApiError> {
    let model = body.required("model", Field::string)?;
    Ok(read_change(body, Helper::Allowed)?.into_new(model))
}

/// Reads what is to change about an assistant.
pub(crate) fn read_assistant_change(body: Object) -> Result<AssistantChange, ApiError> {
    read_change(body, Helper::Refused)
}

fn read_change(mut body: Object, helper: Helper) -> Result<AssistantChange, ApiError> {
    let change = AssistantChange {
        model: body.optional("model", Field::string)?,
        name: body.given_as("name", |field| field.string_up_to(256))?,
        description: body.given_as("description", |field| field.string_up_to(512))?,
        instructions: body.given_as("instructions", |field| field.string_up_to(256_000))?,
        tools: body.given_as("tools", |field| read_tools(field, MOST_TOOLS))?,
        tool_resources: read_resources(&mut body, helper)?,
        metadata: body.given_as("metadata", metadata::read)?,
        temperature: body.given_as("temperature", |field| field.decimal(0.0, 2.0))?,
        top_p: body.given_as("top_p", |field| field.decimal(0.0, 1.0))?,
        response_format: body.given_as("response_format", read_response_format)?,
        reasoning_effort: body.given_as("reasoning_effort", read_effort)?,
    };
    body.finish()?;
    Ok(change)
}

pub(super) fn read_effort(field: Field) -> Result<String, ApiError> {
    field.word(EFFORTS).map(str::to_owned)
}
