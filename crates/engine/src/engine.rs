//! The engine: everything put together, opened and shut down.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use docent_core::{ChatModels, Clock, IdSource, Result, Store, Tool, Write};
use docent_retrieval::Collections;

use crate::counts::TokenCounts;
use crate::passages::Passages;
use crate::programs::{Owner, Programs};
use crate::runs::{LiveRuns, queue};
use crate::workers::Workers;

/// What an engine is put together from.
#[derive(Debug)]
pub struct EngineParts {
    /// Where assistants, threads and runs are kept.
    pub store: Arc<dyn Store>,
    /// The vector stores, and where `file_search` looks.
    pub collections: Arc<Collections>,
    /// The chat models.
    pub models: Arc<dyn ChatModels>,
    /// The application's functions. An assistant may call those that its tools name.
    pub tools: Vec<Arc<dyn Tool>>,
    /// Who runs the programs that models write, unless a tool named
    /// [`CODE_INTERPRETER`](crate::CODE_INTERPRETER) is among the functions.
    pub programs: Programs,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes ids.
    pub ids: Arc<dyn IdSource>,
    /// The rest.
    pub options: EngineOptions,
}

/// How an engine works.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// At most this many runs at a time, each on a thread of its own.
    pub workers: usize,
    /// How long after its creation a run expires.
    pub run_lifetime: Duration,
    /// At most this many turns of a run may call tools.
    pub max_tool_turns: usize,
    /// How many chunks a search gives a model that does not say.
    pub search_limit: usize,
    /// How many chunks a [`Basic`](docent_core::Profile::Basic) model gets: small models lose the
    /// thread in more, and read slowly.
    pub basic_search_limit: usize,
    /// Who rewrites what a search of a run is to look for.
    pub query_rewriting: QueryRewriting,
    /// How long a chat model may take to rewrite queries before rules do.
    pub rewriting_time: Duration,
    /// What becomes of a conversation's older messages that no longer fit a model's context.
    pub dropped_messages: DroppedMessages,
    /// How long a chat model may take to summarize before rules do.
    pub summary_time: Duration,
    /// Whether other processes work on the same store.
    pub sharing: Sharing,
    /// How long a worker holds a run without renewing its lease.
    pub lease: Duration,
    /// How often leases and deadlines are looked at while runs go on.
    pub tick: Duration,
    /// How long a run waits for files attached to its thread's messages to become searchable.
    pub attachment_wait: Duration,
    /// How long a shutdown waits for models to yield.
    pub shutdown_grace: Duration,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            workers: 32,
            run_lifetime: Duration::from_secs(600),
            max_tool_turns: 16,
            search_limit: 20,
            basic_search_limit: 8,
            query_rewriting: QueryRewriting::default(),
            rewriting_time: Duration::from_secs(10),
            dropped_messages: DroppedMessages::default(),
            summary_time: Duration::from_secs(30),
            sharing: Sharing::Exclusive,
            lease: Duration::from_secs(30),
            tick: Duration::from_millis(500),
            attachment_wait: Duration::from_secs(60),
            shutdown_grace: Duration::from_secs(5),
        }
    }
}

/// Who rewrites what a search of a run is to look for: a question that leans on the conversation,
/// as in "and what does it cost?", finds nothing by its own words, and one that asks two things
/// finds either badly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueryRewriting {
    /// The run's chat model, in one short call, if it can [call
    /// tools](docent_core::Profile::Tools) and its own query leans on the conversation; rules
    /// everywhere else, and when it does not manage.
    #[default]
    Model,
    /// Rules alone.
    Rules,
    /// Nobody: searches are made with what was written.
    Off,
}

/// What becomes of a conversation's older messages that no longer fit a model's context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DroppedMessages {
    /// The model is not told of them.
    #[default]
    Forgotten,
    /// The model is told a summary of them with its instructions. The run's chat model writes it in
    /// one short call, now and then as the conversation grows; rules do for a
    /// [`Basic`](docent_core::Profile::Basic) model, for a run with limits of tokens, and when the
    /// model does not manage. Runs that ask for their last messages alone get none.
    Summarized,
}

/// Whether other processes work on the same store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// None does, as a library's lock proves: every lease found on opening is a dead worker's.
    #[default]
    Exclusive,
    /// Some may: a run is taken up only once its lease has lapsed. Streams show only what this
    /// process does; a run at work elsewhere is seen by reading it.
    Shared,
}

/// Assistants, threads and runs. Cheap to clone; dropping the last clone shuts it down.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
    _shutdown: Arc<Shutdown>,
}

/// What the engine's threads share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) collections: Arc<Collections>,
    pub(crate) passages: Arc<dyn Passages>,
    pub(crate) models: Arc<dyn ChatModels>,
    pub(crate) tools: BTreeMap<String, Arc<dyn Tool>>,
    pub(crate) programs: Programs,
    /// Which of the programs' sessions are ours.
    pub(crate) owner: Owner,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
    pub(crate) options: EngineOptions,
    /// Which opening of the engine this is.
    pub(crate) epoch: u64,
    pub(crate) live: LiveRuns,
    pub(crate) counts: TokenCounts,
    pub(crate) workers: Workers,
}

impl Engine {
    /// Opens the engine and takes up the runs that an earlier one left: queued ones, and ones
    /// whose worker is gone, from their last durable step.
    ///
    /// A message that was being written is written anew under its id; tools whose outputs were not
    /// stored are called again.
    pub fn open(parts: EngineParts) -> Result<Self> {
        let passages = parts.collections.clone();
        Self::open_with(parts, passages)
    }

    /// Opens the engine with another place for `file_search` to look.
    pub(crate) fn open_with(parts: EngineParts, passages: Arc<dyn Passages>) -> Result<Self> {
        let tools = parts.tools.into_iter().map(|tool| (tool.spec().name.clone(), tool));
        let mut inner = Inner {
            store: parts.store,
            collections: parts.collections,
            passages,
            models: parts.models,
            tools: tools.collect(),
            programs: parts.programs,
            owner: Owner::default(),
            clock: parts.clock,
            ids: parts.ids,
            options: parts.options,
            epoch: 0,
            live: LiveRuns::default(),
            counts: TokenCounts::default(),
            workers: Workers::default(),
        };
        queue::begin_epoch(&mut inner)?;
        let inner = Arc::new(inner);
        let shutdown = Arc::new(Shutdown { inner: inner.clone() });
        inner.workers.begin(&inner)?;
        Ok(Self { inner, _shutdown: shutdown })
    }

    /// The vector stores.
    pub fn collections(&self) -> &Arc<Collections> {
        &self.inner.collections
    }

    /// The chat models.
    pub fn models(&self) -> &Arc<dyn ChatModels> {
        &self.inner.models
    }

    /// Who runs the programs that models write.
    pub fn programs(&self) -> &Programs {
        &self.inner.programs
    }

    /// What tells the time.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// What makes ids.
    pub fn ids(&self) -> &Arc<dyn IdSource> {
        &self.inner.ids
    }

    /// Stops every worker; runs that go on are parked and taken up when the engine is next opened.
    /// What is asked of the engine afterwards is stored, but nothing runs. Sessions of programs are
    /// closed.
    pub fn shutdown(&self) {
        self.inner.stop();
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("epoch", &self.inner.epoch).finish_non_exhaustive()
    }
}

impl Inner {
    /// One transaction: committed if `body` succeeds, rolled back if not.
    pub(crate) fn transact<T>(&self, body: impl FnOnce(&mut dyn Write) -> Result<T>) -> Result<T> {
        let mut write = self.store.write()?;
        let value = body(write.as_mut())?;
        write.commit()?;
        Ok(value)
    }

    /// Stops the workers; the sessions they had are of no use any more.
    fn stop(&self) {
        self.workers.stop(self, self.options.shutdown_grace);
        if let Ok(sessions) = self.programs.sessions() {
            sessions.close_all(&self.owner);
        }
    }

    /// Closes sessions that were not used for long. Says whether any of ours are left.
    pub(crate) fn expire_sessions(&self) -> bool {
        let sessions = self.programs.sessions();
        sessions.is_ok_and(|sessions| sessions.expire(&self.owner, self.clock.now()))
    }
}

/// Shuts the engine down when its last clone is dropped.
#[derive(Debug)]
struct Shutdown {
    inner: Arc<Inner>,
}

impl Drop for Shutdown {
    fn drop(&mut self) {
        self.inner.stop();
    }
}
