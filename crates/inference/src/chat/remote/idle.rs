//! Connections to an endpoint that are open and unused, for the next call: a handshake costs as much
//! as many a short answer.
//!
//! Each has an agent to itself, because a call is broken off by shutting its agent down.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ureq::Agent;

/// Servers close what is idle after five seconds and more; a connection younger than this is there.
pub(super) const MOST_AGE: Duration = Duration::from_secs(4);

/// More are closed.
const MOST: usize = 64;

#[derive(Default)]
pub(super) struct IdleAgents(Mutex<Vec<(Instant, Agent)>>);

impl IdleAgents {
    /// The agent that was used last, if its connection may still be open.
    pub(super) fn take(&self) -> Option<Agent> {
        let mut agents = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        agents.retain(|(since, _)| since.elapsed() < MOST_AGE);
        agents.pop().map(|(_, agent)| agent)
    }

    pub(super) fn put_back(&self, agent: Option<Agent>) {
        let mut agents = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = agent
            && agents.len() < MOST
        {
            agents.push((Instant::now(), agent));
        }
    }
}
