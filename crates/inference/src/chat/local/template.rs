//! The chat template a model was trained on: a conversation in, one text out.

use docent_core::{ChatMessage, Error, Result, Role};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, Value, context};

use super::tokenizer::GgufTokenizer;

/// What models without a template of their own are mostly trained on.
const CHATML: &str = "{% for message in messages %}<|im_start|>{{ message.role }}\n\
    {{ message.content }}<|im_end|>\n{% endfor %}\
    {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

const NAME: &str = "chat";

#[derive(Debug)]
pub(super) struct Template {
    environment: Environment<'static>,
}

impl Template {
    /// `source` from the model's file; without one ChatML, if the model knows its tokens.
    pub(super) fn new(source: Option<&str>, tokenizer: &GgufTokenizer) -> Result<Self> {
        let source = match source {
            Some(source) => source,
            None if tokenizer.knows("<|im_start|>") => CHATML,
            None => return Err(Error::invalid("it has no chat template, so it cannot chat")),
        };
        let mut environment = Environment::new();
        // As transformers renders them.
        environment.set_syntax(syntax()?);
        environment.add_function("raise_exception", |message: String| -> Result<Value, _> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.add_template_owned(NAME, source.to_owned()).map_err(|error| {
            Error::invalid("its chat template cannot be read").with_source(error)
        })?;
        Ok(Self { environment })
    }

    /// The prompt up to where the model has to go on.
    pub(super) fn render(
        &self,
        messages: &[ChatMessage],
        tokenizer: &GgufTokenizer,
    ) -> Result<String> {
        let turns: Vec<Value> = messages
            .iter()
            .map(|message| {
                let role = match message.role {
                    Role::System => "system",
                    Role::User => "user",
                    Role::Assistant => "assistant",
                    Role::Tool => "tool",
                };
                context! { role, content => tokenizer.guard(&message.content) }
            })
            .collect();
        let values = context! {
            messages => turns,
            add_generation_prompt => true,
            bos_token => tokenizer.control_text(tokenizer.bos()),
            eos_token => tokenizer.control_text(tokenizer.eos()),
        };
        let rendered =
            self.environment.get_template(NAME).and_then(|template| template.render(values));
        rendered.map_err(|error| {
            Error::invalid("the model's chat template does not take this conversation")
                .with_source(error)
        })
    }
}

fn syntax() -> Result<SyntaxConfig> {
    let built = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    built.map_err(|error| Error::internal("no template syntax").with_source(error))
}
