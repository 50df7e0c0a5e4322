//! Who runs the programs that models write: a sandbox, with a few sessions at a time, or nobody.

mod sessions;

use std::sync::Arc;
use std::time::Duration;

use docent_core::{Sandbox, SandboxLimits};

pub(crate) use sessions::{Kept, Lease, Owner, Sessions};

/// Who runs the programs that models write.
///
/// A thread has one session, kept from call to call and from run to run until nobody has used it
/// for a while. Clones share their sessions and the most there may be of them: give every engine
/// of a process a clone of one.
#[derive(Clone, Debug)]
pub struct Programs(Who);

#[derive(Clone, Debug)]
enum Who {
    Sandbox(Arc<Sessions>),
    Nobody(Arc<str>),
}

/// What programs may take, and how many sessions are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramOptions {
    /// What one session may take.
    pub limits: SandboxLimits,
    /// How long a session is kept that nobody uses.
    pub idle: Duration,
    /// At most this many sessions at a time. For one more, the one that was not used for longest
    /// is closed, unless a program runs in it.
    pub sessions: usize,
    /// How long a program waits when programs run in all of them.
    pub patience: Duration,
}

impl Default for ProgramOptions {
    fn default() -> Self {
        Self {
            limits: SandboxLimits::default(),
            idle: Duration::from_secs(20 * 60),
            sessions: 8,
            patience: Duration::from_secs(60),
        }
    }
}

impl Programs {
    /// Runs them in `sandbox`.
    pub fn new(sandbox: Arc<dyn Sandbox>, options: ProgramOptions) -> Self {
        Self(Who::Sandbox(Arc::new(Sessions::new(sandbox, options))))
    }

    /// Runs none of them. `reason` says what is missing and what to install; the run steps of
    /// programs show it.
    pub fn refused(reason: impl Into<String>) -> Self {
        Self(Who::Nobody(reason.into().into()))
    }

    /// The sandbox, if there is one.
    pub fn sandbox(&self) -> Option<&Arc<dyn Sandbox>> {
        self.sessions().ok().map(Sessions::sandbox)
    }

    /// The sessions, or why there are none.
    pub(crate) fn sessions(&self) -> Result<&Sessions, &str> {
        match &self.0 {
            Who::Sandbox(sessions) => Ok(sessions),
            Who::Nobody(reason) => Err(reason),
        }
    }
}

/// No program is run.
impl Default for Programs {
    fn default() -> Self {
        Self::refused("this library was opened without a sandbox")
    }
}
