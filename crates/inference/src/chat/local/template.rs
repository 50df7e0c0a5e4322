//! The chat template a model was trained on: a conversation in, one text out.
//!
//! Templates are programs for Python's Jinja as transformers sets it up, published with the
//! model. We run them as they are, so what they print has to be what Python would print. Many
//! take only part of what a conversation may hold; which part is found out by trying, and the
//! rest is [folded](fold) into what they take.

mod fold;
mod python;

use std::fmt;
use std::sync::Arc;

use docent_core::{ChatMessage, Clock, Error, Result, ToolSpec};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, Value, context};
use minijinja_contrib::pycompat::unknown_method_callback;
use regex::Regex;

use self::fold::{Takes, Tools, Turn};
use super::tokenizer::{GgufTokenizer, Guard};

/// What models without a template of their own are mostly trained on.
const CHATML: &str = "{% for message in messages %}<|im_start|>{{ message.role }}\n\
    {{ message.content }}<|im_end|>\n{% endfor %}\
    {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

const NAME: &str = "chat";

/// How many steps a template may take, 64 bytes of text counting as one: a template is a stranger's
/// program, and could run for ever or fill the memory. A thousand turns take about 100,000.
const FUEL: u64 = 5_000_000;

pub(super) struct Template {
    environment: Environment<'static>,
    guard: Guard,
    bos: String,
    eos: String,
    unk: String,
    takes: Takes,
}

impl Template {
    /// `source` from the model's file; without one ChatML, if the model knows its tokens.
    /// Templates that name today's date get it from `clock`.
    pub(super) fn new(
        source: Option<&str>,
        tokenizer: &GgufTokenizer,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let source = match source {
            Some(source) => source,
            None if tokenizer.knows("<|im_start|>") => CHATML,
            None => return Err(Error::invalid("it has no chat template, so it cannot chat")),
        };
        let mut template = Self {
            environment: environment(source, clock)?,
            guard: tokenizer.guard(source)?,
            bos: tokenizer.bos().to_owned(),
            eos: tokenizer.eos().to_owned(),
            unk: tokenizer.unk().to_owned(),
            takes: Takes::default(),
        };
        template.takes = Takes::of(|turns, tools| template.show(turns, tools))?;
        Ok(template)
    }

    /// The prompt up to where the model has to go on. `tools` appear in it only if the template
    /// [takes them](Self::takes_tools).
    pub(super) fn render(&self, messages: &[ChatMessage], tools: &[ToolSpec]) -> Result<String> {
        let turns = fold::turns(messages, &self.guard);
        let tools: Vec<Value> = tools.iter().map(|tool| fold::tool(tool, &self.guard)).collect();
        self.show(&self.takes.fold(turns, &tools), &tools)
    }

    /// Whether it shows the model the tools on offer.
    pub(super) fn takes_tools(&self) -> bool {
        self.takes.tools != Tools::No
    }

    /// Renders exactly these turns, as transformers would.
    fn show(&self, turns: &[Turn], tools: &[Value]) -> Result<String> {
        let turns: Vec<Value> = turns.iter().map(Turn::to_value).collect();
        let values = context! {
            messages => turns,
            tools => if tools.is_empty() { Value::from(()) } else { Value::from(tools.to_vec()) },
            documents => Value::from(()),
            add_generation_prompt => true,
            // Qwen3 and SmolLM3 think aloud unless told not to, for hundreds of tokens: more
            // than a machine without a GPU can afford before the first word of an answer.
            enable_thinking => false,
            bos_token => self.bos.as_str(),
            eos_token => self.eos.as_str(),
            unk_token => self.unk.as_str(),
        };
        let rendered =
            self.environment.get_template(NAME).and_then(|template| template.render(values));
        rendered.map_err(|error| {
            let reason = match error.kind() {
                ErrorKind::OutOfFuel => "takes too many steps".to_owned(),
                _ => format!("does not take this conversation ({error})"),
            };
            Error::invalid(format!("the model's chat template {reason}")).with_source(error)
        })
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").field("takes", &self.takes).finish_non_exhaustive()
    }
}

/// Jinja as transformers sets it up for templates.
fn environment(source: &str, clock: Arc<dyn Clock>) -> Result<Environment<'static>> {
    let mut environment = Environment::new();
    environment.set_syntax(syntax()?);
    environment.set_fuel(Some(FUEL));
    environment.set_unknown_method_callback(unknown_method_callback);
    environment.set_formatter(python::print);
    environment.add_filter("string", python::string);
    environment.add_filter("tojson", python::to_json);
    environment.add_test("iterable", python::is_iterable);
    environment.add_test("sequence", python::is_sequence);
    environment.add_function("raise_exception", |message: String| -> Result<Value, _> {
        Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
    });
    environment.add_function("strftime_now", move |format: &str| python::strftime(&*clock, format));
    environment
        .add_template_owned(NAME, without_generation_marks(source)?)
        .map_err(|error| Error::invalid("its chat template cannot be read").with_source(error))?;
    Ok(environment)
}

fn syntax() -> Result<SyntaxConfig> {
    let built = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    built.map_err(|error| Error::internal("no template syntax").with_source(error))
}

/// `{% generation %}` marks what the model writes, for training: a block with a scope of its own
/// that changes nothing else. A block the engine knows, with the same marks for white space,
/// stands in its place.
fn without_generation_marks(source: &str) -> Result<String> {
    let marks = Regex::new(r"(\{%[-+]?\s*)(end)?generation(\s*[-+]?%\})")
        .map_err(|error| Error::internal("no pattern for generation").with_source(error))?;
    Ok(marks.replace_all(source, "${1}${2}with$3").into_owned())
}

#[cfg(test)]
mod tests;
