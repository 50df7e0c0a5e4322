//! The life of a run on one page: which status may follow which. Pure.
//!
//! ```text
//! queued ─claim→ in_progress ─complete→ completed
//!    ▲               ├─limit→ incomplete
//!  submit            ├─fail→ failed
//!    └─ requires_action ←await─┤        claim again: its worker died, the run did not
//! queued, in_progress, requires_action ─cancel→ cancelling ─settle→ cancelled
//! queued, in_progress, requires_action, cancelling ─expire→ expired
//! ```
//!
//! A run whose worker died stays `in_progress`: the Assistants API knows no way back to `queued`
//! from there, and to a client that polls nothing happened but time.

use docent_core::{Error, Result, RunStatus};

/// What can happen to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// A worker takes it up, for the first time or after another worker died.
    Claim,
    /// The answer is whole.
    Complete,
    /// The model asks for the client's functions.
    Await,
    /// The client submits their outputs.
    Submit,
    /// A limit cut the answer.
    Limit,
    /// An error ended it.
    Fail,
    /// The client wants it stopped.
    Cancel,
    /// It has stopped.
    Settle,
    /// Its time is over.
    Expire,
}

impl Input {
    /// Every input, in the order above.
    pub const ALL: [Self; 9] = [
        Self::Claim,
        Self::Complete,
        Self::Await,
        Self::Submit,
        Self::Limit,
        Self::Fail,
        Self::Cancel,
        Self::Settle,
        Self::Expire,
    ];
}

/// The status after `input`.
///
/// # Errors
/// [`Conflict`](docent_core::ErrorKind::Conflict) where the client asked for what its run does not
/// allow, in the Assistants API's own words; [`Internal`](docent_core::ErrorKind::Internal) where
/// we did.
pub fn transition(status: RunStatus, input: Input) -> Result<RunStatus> {
    use RunStatus as S;
    match (status, input) {
        (S::Queued | S::InProgress, Input::Claim) => Ok(S::InProgress),
        (S::InProgress, Input::Complete) => Ok(S::Completed),
        (S::InProgress, Input::Await) => Ok(S::RequiresAction),
        (S::RequiresAction, Input::Submit) => Ok(S::Queued),
        (S::InProgress, Input::Limit) => Ok(S::Incomplete),
        (S::InProgress, Input::Fail) => Ok(S::Failed),
        (S::Queued | S::InProgress | S::RequiresAction, Input::Cancel) => Ok(S::Cancelling),
        (S::Cancelling, Input::Settle) => Ok(S::Cancelled),
        (S::Queued | S::InProgress | S::RequiresAction | S::Cancelling, Input::Expire) => {
            Ok(S::Expired)
        }
        (status, Input::Cancel) => {
            Err(Error::conflict(format!("Cannot cancel run with status '{status}'.")))
        }
        (status, Input::Submit) => {
            Err(Error::conflict(format!("Runs in status \"{status}\" do not accept tool outputs.")))
        }
        (status, input) => {
            Err(Error::internal(format!("a run that is {status} cannot take {input:?}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The contract's diagram, written once more and differently.
    const ARROWS: &[(&str, &[&str])] = &[
        ("queued", &["in_progress", "cancelling", "expired"]),
        (
            "in_progress",
            &[
                "in_progress",
                "completed",
                "requires_action",
                "incomplete",
                "failed",
                "cancelling",
                "expired",
            ],
        ),
        ("requires_action", &["queued", "cancelling", "expired"]),
        ("cancelling", &["cancelled", "expired"]),
    ];

    fn successors(status: RunStatus) -> &'static [&'static str] {
        ARROWS.iter().find(|(from, _)| *from == status.as_str()).map_or(&[], |(_, to)| to)
    }

    #[test]
    fn the_table_has_every_arrow_of_the_contract_and_no_other() {
        for status in RunStatus::ALL {
            let reached = Input::ALL.iter().filter_map(|&input| transition(status, input).ok());
            let mut reached: Vec<&str> = reached.map(RunStatus::as_str).collect();
            let mut wanted = successors(status).to_vec();
            reached.sort_unstable();
            wanted.sort_unstable();
            assert_eq!(reached, wanted, "from {status}");
        }
    }

    #[test]
    fn refusals_use_the_contracts_words() {
        let cancel = transition(RunStatus::Completed, Input::Cancel).unwrap_err();
        assert_eq!(cancel.message(), "Cannot cancel run with status 'completed'.");
        let submit = transition(RunStatus::Expired, Input::Submit).unwrap_err();
        assert_eq!(submit.message(), "Runs in status \"expired\" do not accept tool outputs.");
    }

    proptest! {
        #[test]
        fn a_history_ends_for_good(inputs in prop::collection::vec(0..Input::ALL.len(), 0..40)) {
            let mut status = RunStatus::Queued;
            for input in inputs.into_iter().map(|at| Input::ALL[at]) {
                match transition(status, input) {
                    Ok(next) => {
                        prop_assert!(!status.is_terminal(), "{} left by {:?}", status, input);
                        prop_assert!(successors(status).contains(&next.as_str()));
                        status = next;
                    }
                    Err(_) => prop_assert!(
                        status.is_terminal() || input != Input::Expire,
                        "a run that is {} must be able to expire", status
                    ),
                }
            }
        }
    }
}
