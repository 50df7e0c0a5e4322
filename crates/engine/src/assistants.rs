//! Assistants: made, read, changed, deleted.

use docent_core::{
    Assistant, AssistantId, AssistantTool, Error, Key, Metadata, Page, PageRequest, ResponseFormat,
    Result, ToolResources, check_metadata,
};

use docent_retrieval::NewVectorStore;

use crate::engine::Engine;
use crate::tables::{self, ASSISTANTS};

/// What an assistant is made from; only `model` is needed.
#[derive(Clone, Debug, Default)]
pub struct NewAssistant {
    /// The chat model's name.
    pub model: String,
    /// Its name, for people.
    pub name: Option<String>,
    /// What it is for, for people.
    pub description: Option<String>,
    /// What the model is told before each conversation.
    pub instructions: Option<String>,
    /// What the model may call.
    pub tools: Vec<AssistantTool>,
    /// What those tools work on.
    pub tool_resources: ToolResources,
    /// A vector store to be made for them, in place of one among the resources.
    pub new_vector_store: Option<NewVectorStore>,
    /// 0 takes the likeliest token; none leaves it to the model.
    pub temperature: Option<f32>,
    /// Only the likeliest tokens that together reach this share.
    pub top_p: Option<f32>,
    /// What form answers take; none is the API's `auto`.
    pub response_format: Option<ResponseFormat>,
    /// How hard a reasoning model should think, in the endpoint's own words.
    pub reasoning_effort: Option<String>,
    /// The application's pairs.
    pub metadata: Metadata,
}

impl Engine {
    /// Makes an assistant. Its model need not be configured before it runs.
    ///
    /// # Errors
    /// [`Invalid`](docent_core::ErrorKind::Invalid) without a model, or with metadata beyond its
    /// limits.
    pub fn create_assistant(&self, new: NewAssistant) -> Result<Assistant> {
        let mut assistant = Assistant {
            id: AssistantId::new(self.inner.ids.next_id()),
            created_at: self.inner.clock.now(),
            model: new.model,
            name: new.name,
            description: new.description,
            instructions: new.instructions,
            tools: new.tools,
            tool_resources: new.tool_resources,
            temperature: new.temperature,
            top_p: new.top_p,
            response_format: new.response_format,
            reasoning_effort: new.reasoning_effort,
            metadata: new.metadata,
        };
        check(&assistant)?;
        let attached = self.inner.transact(|write| {
            let resources = &mut assistant.tool_resources;
            let attached = self.inner.put_vector_store(write, resources, new.new_vector_store)?;
            ASSISTANTS.put(write, &assistant.id, &assistant)?;
            Ok(attached)
        })?;
        self.inner.collections.begin(attached);
        Ok(assistant)
    }

    /// The assistant `id`.
    pub fn assistant(&self, id: AssistantId) -> Result<Assistant> {
        tables::assistant(self.inner.store.read()?.as_ref(), id)
    }

    /// Assistants, a page at a time.
    pub fn assistants(&self, request: &PageRequest<AssistantId>) -> Result<Page<Assistant>> {
        let window = request.window("", Key::to_text);
        let page = ASSISTANTS.page(self.inner.store.read()?.as_ref(), &window, |_, _| true)?;
        Ok(page.map(|(_, assistant)| assistant))
    }

    /// Changes an assistant; runs that were made before keep what they were made with.
    ///
    /// ```no_run
    /// # fn rename(engine: &docent_engine::Engine, id: docent_core::AssistantId) -> docent_core::Result<()> {
    /// engine.update_assistant(id, |assistant| assistant.name = Some("Librarian".into()))?;
    /// # Ok(()) }
    /// ```
    pub fn update_assistant(
        &self,
        id: AssistantId,
        change: impl FnOnce(&mut Assistant),
    ) -> Result<Assistant> {
        self.inner.transact(|write| {
            let before = tables::assistant(write, id)?;
            let mut assistant = before.clone();
            change(&mut assistant);
            (assistant.id, assistant.created_at) = (before.id, before.created_at);
            check(&assistant)?;
            ASSISTANTS.put(write, &id, &assistant)?;
            Ok(assistant)
        })
    }

    /// Deletes an assistant; its runs and what it wrote stay.
    pub fn delete_assistant(&self, id: AssistantId) -> Result<()> {
        self.inner.transact(|write| {
            let known = ASSISTANTS.delete(write, &id)?;
            tables::found(known.then_some(()), "assistant", id)
        })
    }
}

pub(crate) fn check(assistant: &Assistant) -> Result<()> {
    if assistant.model.is_empty() {
        return Err(Error::invalid("an assistant needs a model; name one"));
    }
    check_metadata(&assistant.metadata, "metadata")
}
