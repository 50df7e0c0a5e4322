//! Chat models behind any endpoint that speaks OpenAI's `/v1/chat/completions`.
//!
//! A call is tried again, with growing pauses, for as long as nothing of an answer has been
//! pushed and the failure may pass; after the first piece never, because the reader has seen it.
//! The key is read from the environment once, travels in one header, and appears in no message,
//! log or `Debug`.

mod breaker;
mod exchange;
mod failure;
mod idle;
mod reading;
mod sse;
mod wire;

use std::fmt;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use docent_core::{
    ChatDelta, ChatModel, ChatReply, ChatRequest, ChatSpec, Error, ErrorKind, Profile, Result,
};
use tracing::{debug, info_span};
use ureq::Agent;
use ureq::http::{HeaderValue, Request, Uri};

use self::breaker::Breaker;
use self::exchange::Exchange;
use self::failure::{Failure, Retry};
use self::idle::IdleAgents;
use self::reading::{Progress, Reading};
use self::wire::{Answer, LimitName, request_body};
use super::tokens::estimate;
use crate::RemoteConfig;

/// How often the caller is asked whether to go on while nothing arrives.
const TICK: Duration = Duration::from_millis(100);
/// The first pause before a call is repeated; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(16);

/// A chat model behind an OpenAI-compatible endpoint.
///
/// While nothing arrives, an empty [`ChatDelta::Text`] is pushed ten times a second, so that the
/// caller can break off; breaking off closes the connection.
pub struct Remote {
    spec: ChatSpec,
    config: RemoteConfig,
    url: Uri,
    /// The URL without user, password and query, for messages.
    shown_url: String,
    key: Option<Key>,
    /// Learned from the endpoint's first refusal of the old name.
    wants_new_limit_name: AtomicBool,
    first_pause: Duration,
    idle: IdleAgents,
    breaker: Breaker,
}

/// An API key. Its `Debug` does not print it.
struct Key {
    text: String,
    header: HeaderValue,
}

impl Remote {
    /// A model configured as `name`. Reads the key from the environment; connects to nothing.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) names the variable when the key is not there,
    /// [`Invalid`](ErrorKind::Invalid) a base URL that is none.
    pub fn new(name: impl Into<String>, config: RemoteConfig) -> Result<Self> {
        let base = config.base_url.trim_end_matches('/');
        let url: Uri = format!("{base}/chat/completions").parse().map_err(|error| {
            Error::invalid(format!("base_url {:?} is no URL", config.base_url)).with_source(error)
        })?;
        let host = url.authority().map_or("", |authority| authority.host());
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let shown_url =
            format!("{}://{host}{port}{}", url.scheme_str().unwrap_or("http"), url.path());
        let key = config.api_key_env.as_deref().map(Key::from_env).transpose()?;
        let spec = ChatSpec {
            name: name.into(),
            profile: config.profile,
            context_tokens: config.context_tokens,
            max_output_tokens: config.max_output_tokens,
        };
        let wants_new_limit_name = AtomicBool::new(false);
        Ok(Self {
            spec,
            config,
            url,
            shown_url,
            key,
            wants_new_limit_name,
            first_pause: FIRST_PAUSE,
            idle: IdleAgents::default(),
            breaker: Breaker::default(),
        })
    }

    fn model_name<'a>(&'a self, request: &ChatRequest<'a>) -> Result<&'a str> {
        match self.config.model.as_deref().unwrap_or(request.model) {
            "" => Err(Error::invalid(format!(
                "no model to ask {} for; set model in [models.{:?}]",
                self.shown_url, self.spec.name
            ))),
            name => Ok(name),
        }
    }

    fn agent(&self) -> Agent {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // A redirected POST becomes a GET: tell the user instead.
            .max_redirects(0)
            .user_agent(concat!("docent/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(self.config.connect_timeout))
            .timeout_connect(Some(self.config.connect_timeout))
            .max_idle_connections(1)
            .max_idle_age(idle::MOST_AGE);
        let config = if self.is_on_this_machine() { config.proxy(None) } else { config };
        config.build().into()
    }

    fn is_on_this_machine(&self) -> bool {
        let host = self.url.host().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    fn http_request(&self, body: Vec<u8>) -> Result<Request<Vec<u8>>> {
        let mut request = Request::post(&self.url)
            .header("content-type", "application/json")
            .header("accept", "text/event-stream");
        if let Some(key) = &self.key {
            request = request.header("authorization", &key.header);
        }
        request.body(body).map_err(|error| Error::internal("no HTTP request").with_source(error))
    }

    fn limit_name(&self) -> LimitName {
        let new = self.wants_new_limit_name.load(Ordering::Relaxed);
        if new { LimitName::MaxCompletionTokens } else { LimitName::MaxTokens }
    }

    /// One try: `Ok` with the answer and whether the caller broke it off.
    fn attempt(
        &self,
        request: &ChatRequest<'_>,
        deadline: Instant,
        on_delta: &mut OnDelta<'_>,
    ) -> Result<(Answer, Progress), Failure> {
        let internal = |error| Failure { error, retry: Retry::Never };
        let model = self.model_name(request).map_err(internal)?;
        // One that is said not to choose tools well is not offered any.
        let basic = ChatRequest { tools: &[], ..request.clone() };
        let request = if self.spec.profile == Profile::Basic { &basic } else { request };
        let body = request_body(request, model, self.limit_name()).to_string().into_bytes();
        let mut reading = Reading::new(&self.shown_url);
        let mut tried = None;
        if let Some(agent) = self.idle.take() {
            let again = self.exchange(agent, body.clone(), deadline, &mut reading, on_delta);
            // The endpoint may have closed the connection just now, which is no fault of its.
            let was_closed = !reading.is_answered()
                && again.as_ref().is_err_and(|failure| failure.retry == Retry::Backoff);
            tried = (!was_closed).then_some(again);
        }
        let tried = tried
            .unwrap_or_else(|| self.exchange(self.agent(), body, deadline, &mut reading, on_delta));
        tried.map(|progress| (reading.into_answer(), progress))
    }

    /// Sends a request by `agent` and reads its answer.
    fn exchange(
        &self,
        agent: Agent,
        body: Vec<u8>,
        deadline: Instant,
        reading: &mut Reading<'_>,
        on_delta: &mut OnDelta<'_>,
    ) -> Result<Progress, Failure> {
        let internal = |error| Failure { error, retry: Retry::Never };
        let request = self.http_request(body).map_err(internal)?;
        let left = deadline.saturating_duration_since(Instant::now());
        let request = agent.configure_request(request).timeout_global(Some(left)).build();
        let exchange = Exchange::start(agent, request).map_err(internal)?;
        let mut last_heard = Instant::now();
        loop {
            self.check_patience(reading, last_heard, deadline)?;
            let progress = match exchange.wait(TICK) {
                None if still_there(on_delta).is_break() => Progress::Cancelled,
                None => continue,
                Some(arrival) => reading.arrive(arrival, on_delta)?,
            };
            match progress {
                Progress::Going if reading.has_begun() => last_heard = Instant::now(),
                Progress::Going => {}
                Progress::Cancelled => return Ok(progress),
                Progress::Complete => {
                    self.idle.put_back(exchange.finish());
                    return Ok(progress);
                }
            }
        }
    }

    fn check_patience(
        &self,
        reading: &Reading<'_>,
        last_heard: Instant,
        deadline: Instant,
    ) -> Result<(), Failure> {
        let (patience, setting) = if reading.has_begun() {
            (self.config.idle_timeout, "idle_timeout_seconds")
        } else {
            (self.config.first_token_timeout, "first_token_timeout_seconds")
        };
        let failed = |seconds: f32, setting| {
            let url = &self.shown_url;
            let message = format!("{url} did not answer within {seconds} seconds ({setting})");
            Err(Failure::last(ErrorKind::Unavailable, message))
        };
        if last_heard.elapsed() >= patience {
            failed(patience.as_secs_f32(), setting)
        } else if Instant::now() >= deadline {
            failed(self.config.total_timeout.as_secs_f32(), "total_timeout_seconds")
        } else {
            Ok(())
        }
    }

    /// How long to wait before try number `attempt` (from 1) fails over to the next; the error if
    /// there is to be none.
    fn pause(&self, failure: Failure, attempt: u32, deadline: Instant) -> Result<Duration> {
        let pause = match failure.retry {
            Retry::Never => return Err(failure.error),
            Retry::NewLimitName if self.wants_new_limit_name.swap(true, Ordering::Relaxed) => {
                return Err(failure.error);
            }
            Retry::NewLimitName => return Ok(Duration::ZERO),
            _ if attempt > self.config.max_retries => {
                return Err(failure.error.context(format_args!("after {attempt} tries")));
            }
            Retry::After(pause) => pause,
            Retry::Backoff => {
                let doubled = self.first_pause.saturating_mul(1 << (attempt - 1).min(10));
                doubled.min(LONGEST_PAUSE).mul_f64(jitter())
            }
        };
        if Instant::now() + pause >= deadline {
            let seconds = pause.as_secs_f32();
            let context = format!("the next try, in {seconds} seconds, would be too late");
            return Err(failure.error.context(context));
        }
        Ok(pause)
    }

    fn chat_with_retries(
        &self,
        request: &ChatRequest<'_>,
        on_delta: &mut OnDelta<'_>,
    ) -> Result<ChatReply> {
        let deadline = Instant::now() + self.config.total_timeout;
        let mut attempt = 1;
        loop {
            let failure = match self.attempt(request, deadline, on_delta) {
                Ok((answer, progress)) => {
                    return Ok(self.reply(request, answer, progress == Progress::Cancelled));
                }
                Err(failure) => failure,
            };
            debug!(attempt, kind = ?failure.error.kind(), retry = ?failure.retry, "call failed");
            let pause = self.pause(failure, attempt, deadline)?;
            if wait(pause, on_delta).is_break() {
                return Ok(self.reply(request, Answer::default(), true));
            }
            attempt += 1;
        }
    }

    fn reply(&self, request: &ChatRequest<'_>, answer: Answer, cancelled: bool) -> ChatReply {
        let prompt = || request.messages.iter().map(|message| estimate(&message.content) + 4).sum();
        answer.into_reply(cancelled, prompt, estimate)
    }

    /// An endpoint may repeat the key it refuses.
    fn without_key(&self, error: Error) -> Error {
        match &self.key {
            Some(Key { text, .. }) if format!("{error:#}").contains(text.as_str()) => {
                Error::new(error.kind(), error.message().replace(text.as_str(), "[key]"))
            }
            _ => error,
        }
    }
}

type OnDelta<'a> = dyn FnMut(ChatDelta) -> ControlFlow<()> + 'a;

impl ChatModel for Remote {
    fn spec(&self) -> &ChatSpec {
        &self.spec
    }

    fn count_tokens(&self, text: &str) -> usize {
        estimate(text)
    }

    fn chat(
        &self,
        request: &ChatRequest<'_>,
        on_delta: &mut dyn FnMut(ChatDelta) -> ControlFlow<()>,
    ) -> Result<ChatReply> {
        let _span = info_span!("model.chat", model = self.spec.name).entered();
        if let Some((wait, reason)) = self.breaker.wait(Instant::now()) {
            let (url, seconds) = (&self.shown_url, wait.as_secs() + 1);
            return Err(Error::unavailable(format!(
                "{url} failed several times in a row and is asked again in {seconds} seconds; \
                 the last time: {reason}"
            )));
        }
        let reply = self.chat_with_retries(request, on_delta);
        let reply = reply.map_err(|error| self.without_key(error));
        match &reply {
            // An endpoint that refuses a request is there.
            Err(error) if error.kind() != ErrorKind::Invalid => {
                self.breaker.failed(Instant::now(), error.to_string());
            }
            _ => self.breaker.answered(),
        }
        reply
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("spec", &self.spec)
            .field("url", &self.shown_url)
            .field("key", &self.key.as_ref().map(|_| "[hidden]"))
            .finish_non_exhaustive()
    }
}

impl Key {
    fn from_env(variable: &str) -> Result<Self> {
        let text = std::env::var(variable).unwrap_or_default();
        Self::new(text.trim(), variable)
    }

    fn new(text: &str, variable: &str) -> Result<Self> {
        if text.is_empty() {
            return Err(Error::unavailable(format!(
                "the environment variable {variable} (api_key_env) holds no key; set it"
            )));
        }
        let mut header = HeaderValue::try_from(format!("Bearer {text}")).map_err(|_| {
            Error::invalid(format!("the key in {variable} holds characters no key has"))
        })?;
        header.set_sensitive(true);
        Ok(Self { text: text.to_owned(), header })
    }
}

/// Asks the caller whether to go on.
fn still_there(on_delta: &mut OnDelta<'_>) -> ControlFlow<()> {
    on_delta(ChatDelta::Text(String::new()))
}

fn wait(pause: Duration, on_delta: &mut OnDelta<'_>) -> ControlFlow<()> {
    let end = Instant::now() + pause;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return ControlFlow::Continue(());
        }
        std::thread::sleep(left.min(TICK));
        still_there(on_delta)?;
    }
}

/// A factor of 0.5 to 1: clients that failed together shall not come back together.
fn jitter() -> f64 {
    let mut byte = [0];
    // Without a random source all pauses are the shortest.
    let _ = getrandom::fill(&mut byte);
    0.5 + f64::from(byte[0]) / 510.0
}

#[cfg(test)]
mod tests;
