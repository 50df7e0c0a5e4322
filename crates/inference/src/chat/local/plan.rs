//! What one request needs of the answering loop: a grammar, an ear for calls, a second try.

use std::ops::ControlFlow;

use docent_core::{
    ChatDelta, ChatMessage, ChatReply, ChatRequest, Error, FinishReason, Profile, ResponseFormat,
    Result, ToolChoice, ToolRequest, ToolSpec, Usage,
};
use tracing::debug;

use super::Local;
use super::answering::{Answering, Ended, Reading, Reply};
use super::calls::{
    CallReader, Found, Listener, Offer, arguments_schema, decision, find_calls, folded,
};
use super::grammar::{Constraint, Grammar, Strictness, Vocabulary};

/// Answers `request`.
pub(super) fn answer(
    model: &Local,
    request: &ChatRequest<'_>,
    on_delta: &mut dyn FnMut(ChatDelta) -> ControlFlow<()>,
) -> Result<ChatReply> {
    let mut reply = Reply::new(on_delta);
    let mut plan = Plan { model, request, prompt_tokens: 0, spared: 0, reply: &mut reply };
    let finish = plan.carry_out()?;
    let prompt_tokens = plan.prompt_tokens as u64;
    let finish = match finish {
        FinishReason::Stop if !reply.calls.is_empty() => FinishReason::ToolCalls,
        finish => finish,
    };
    let usage = Usage { prompt_tokens, completion_tokens: reply.tokens as u64 };
    Ok(ChatReply { text: reply.text, tool_calls: reply.calls, finish, usage })
}

struct Plan<'a, 'r> {
    model: &'a Local,
    request: &'a ChatRequest<'a>,
    prompt_tokens: usize,
    /// Tokens of the reply that the request's limit is not about.
    spared: usize,
    reply: &'a mut Reply<'r>,
}

impl<'a> Plan<'a, '_> {
    fn carry_out(&mut self) -> Result<FinishReason> {
        let offer = self.offer();
        match &self.request.tool_choice {
            _ if offer.tools.is_empty() => self.speak(),
            ToolChoice::None => self.speak(),
            ToolChoice::Required => self.call(offer),
            ToolChoice::Named(name) => self.call(offer.only(name)?),
            _ if self.model.spec.profile == Profile::Basic => self.decide(offer),
            _ => self.listen(offer),
        }
    }

    fn offer(&self) -> Offer<'a> {
        Offer {
            tools: self.request.tools,
            family: self.model.family,
            several: self.request.parallel_tool_calls != Some(false),
        }
    }

    /// Text, or the JSON that was asked for.
    fn speak(&mut self) -> Result<FinishReason> {
        let constraint = match &self.request.response_format {
            ResponseFormat::JsonObject => Some(self.constraint(Grammar::json_object())?),
            ResponseFormat::JsonSchema { schema, strict, .. } => {
                let strictness = if *strict { Strictness::Strict } else { Strictness::Lax };
                Some(self.constraint(Grammar::json(schema, strictness)?)?)
            }
            _ => None,
        };
        let prompt = self.prompt(self.request.messages, &[])?;
        Ok(self.run(&prompt, constraint, Reading::Text)?.finish)
    }

    /// Text that may turn into calls.
    fn listen(&mut self, offer: Offer<'a>) -> Result<FinishReason> {
        let (grammars, vocabulary) = (self.model.grammars()?, &*self.model.tokenizer);
        // What is wrong with a tool's schema is better said before the answer than in its middle.
        self.constraint(offer.grammar(offer.family.marker())?)?;
        let prompt = self.prompt_with(offer.tools)?;
        let listener = Listener::new(offer, grammars, vocabulary);
        let Ended { finish, held } = self.run(&prompt, None, Reading::Listening(listener))?;
        match held {
            Some(held) if finish != FinishReason::Cancelled => {
                self.understand(&held, offer, finish)
            }
            _ => Ok(finish),
        }
    }

    /// Reads a call of a form of the model's own; has it made once more if that cannot be done.
    fn understand(
        &mut self,
        held: &str,
        offer: Offer<'a>,
        finish: FinishReason,
    ) -> Result<FinishReason> {
        let again = match find_calls(held, &offer) {
            Found::Calls(calls) => {
                let invalid = calls.iter().find(|call| !self.is_valid(&offer, call));
                match invalid {
                    Some(call) => call.name.clone(),
                    None => {
                        let flow = calls.into_iter().try_for_each(|call| self.reply.call(call));
                        return Ok(if flow.is_break() { FinishReason::Cancelled } else { finish });
                    }
                }
            }
            Found::Broken(name) => name,
            Found::Text => {
                let flow = self.reply.say(held.to_owned());
                return Ok(if flow.is_break() { FinishReason::Cancelled } else { finish });
            }
        };
        debug!(tool = again, "a call could not be read and is made again under its grammar");
        self.call(offer.only(&again)?)
    }

    fn is_valid(&self, offer: &Offer<'_>, call: &ToolRequest) -> bool {
        let Some(tool) = offer.tool(&call.name) else { return false };
        let grammar = Grammar::json(&arguments_schema(&tool.parameters), Strictness::Lax);
        let constraint = grammar.and_then(|grammar| self.constraint(grammar));
        constraint.is_ok_and(|mut held| held.take_text(&call.arguments) && held.may_end())
    }

    /// A call that must be made.
    fn call(&mut self, offer: Offer<'a>) -> Result<FinishReason> {
        let marker = offer.family.marker();
        let constraint = self.constraint(offer.grammar(marker)?)?;
        let mut prompt = self.prompt_with(offer.tools)?;
        let tokenizer = &self.model.tokenizer;
        let begun = match tokenizer.control(marker.text) {
            Some(token) => vec![token],
            None => Vocabulary::encode(&**tokenizer, marker.text),
        };
        // The marker is the model's word as far as the model knows, and is counted as such.
        self.reply.tokens += begun.len();
        prompt.extend(begun);
        let reading = Reading::Calls(CallReader::default());
        Ok(self.run(&prompt, Some(constraint), reading)?.finish)
    }

    /// Asks a basic model once whether one of the tools is needed; if not, it answers.
    fn decide(&mut self, offer: Offer<'a>) -> Result<FinishReason> {
        let constraint = self.constraint(offer.decision_grammar()?)?;
        // So many tools that there is no room for them and the question: then there is an answer.
        let Ok(prompt) = self.prompt(&decision(self.request.messages, offer.tools), &[]) else {
            debug!("no room to ask whether a tool is needed");
            return self.speak();
        };
        let reading = Reading::Calls(CallReader::default());
        // Nobody who wants a short answer means the decision before it.
        self.spared = self.model.spec.max_output_tokens;
        let finish = self.run(&prompt, Some(constraint), reading)?.finish;
        self.spared = self.reply.tokens;
        match finish {
            FinishReason::Stop if self.reply.calls.is_empty() => self.speak(),
            finish => Ok(finish),
        }
    }

    fn constraint(&self, grammar: Grammar) -> Result<Constraint> {
        self.model.grammars()?.constraint(grammar)
    }

    /// The conversation with the tools on offer: as the template shows them, else in words.
    fn prompt_with(&mut self, tools: &[ToolSpec]) -> Result<Vec<u32>> {
        match self.model.template.takes_tools() {
            true => self.prompt(self.request.messages, tools),
            false => self.prompt(&folded(self.request.messages, tools), &[]),
        }
    }

    fn prompt(&mut self, messages: &[ChatMessage], tools: &[ToolSpec]) -> Result<Vec<u32>> {
        let prompt = self.model.prompt(messages, tools)?;
        self.prompt_tokens += prompt.len();
        Ok(prompt)
    }

    fn run(
        &mut self,
        prompt: &[u32],
        constraint: Option<Constraint>,
        reading: Reading<'_>,
    ) -> Result<Ended> {
        let (model, sampling) = (self.model, &self.request.sampling);
        let room = model.spec.context_tokens.checked_sub(prompt.len());
        let room = room.ok_or_else(|| Error::invalid("the prompt leaves no room for a call"))?;
        let asked = sampling.max_tokens.unwrap_or(model.spec.max_output_tokens);
        let limit = asked.saturating_add(self.spared).min(self.reply.tokens + room);
        let mut network = model.engine.begin(prompt);
        let mut answering = Answering {
            network: &mut network,
            vocabulary: &*model.tokenizer,
            sampler: model.sampler(sampling),
            constraint,
            reading,
            stream: model.tokenizer.answer(&sampling.stop),
            reply: &mut *self.reply,
            limit,
        };
        answering.run(prompt)
    }
}
