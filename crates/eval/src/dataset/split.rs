//! Queries to tune with, and queries held out to see whether the tuning was more than luck.
//!
//! A query's half is decided by its name alone, so it stays the same when queries are added, on any
//! machine, and for the same question in another language under the same name.

use std::fmt;

use docent_core::{Error, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Dataset;

/// Which of a data set's queries are asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Split {
    /// Every query.
    #[default]
    All,
    /// The half to choose settings with.
    Tune,
    /// The half to ask once the settings are chosen.
    HeldOut,
}

impl Split {
    /// Whether the query called `id` is of this part: the first bit of the name's SHA-256 is 0 for
    /// the half to tune with.
    pub fn holds(self, id: &str) -> bool {
        let held_out = Sha256::digest(id)[0] >= 0x80;
        match self {
            Self::All => true,
            Self::Tune => !held_out,
            Self::HeldOut => held_out,
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "all",
            Self::Tune => "tune",
            Self::HeldOut => "held-out",
        })
    }
}

impl Dataset {
    /// The same documents with the queries of `split` alone.
    ///
    /// # Errors
    /// [`Invalid`](docent_core::ErrorKind::Invalid) when no query is of that part.
    pub fn part(mut self, split: Split) -> Result<Self> {
        let all = self.queries.len();
        self.queries.retain(|query| split.holds(&query.id));
        if self.queries.is_empty() {
            let name = &self.name;
            return Err(Error::invalid(format!("none of {name}'s {all} queries is of {split}")));
        }
        if split != Split::All {
            self.notes.push(format!("{} of {all} queries: {split}", self.queries.len()));
        }
        self.split = split;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::JudgedQuery;

    #[test]
    fn the_halves_are_disjoint_whole_and_stay_as_they_are() {
        let ids: Vec<String> = (0..1000).map(|at| format!("q{at}")).collect();
        let tune: Vec<_> = ids.iter().filter(|id| Split::Tune.holds(id)).collect();
        assert!((450..550).contains(&tune.len()), "{}", tune.len());
        assert!(ids.iter().all(|id| Split::Tune.holds(id) != Split::HeldOut.holds(id)));
        assert!(ids.iter().all(|id| Split::All.holds(id)));
        // Written down: another answer would move queries between the halves of kept reports.
        let first: Vec<bool> = ids.iter().take(8).map(|id| Split::Tune.holds(id)).collect();
        assert_eq!(first, [true, false, false, true, true, true, true, true]);
    }

    #[test]
    fn a_part_without_queries_is_refused() {
        let id = (0..).map(|at| format!("q{at}")).find(|id| Split::Tune.holds(id)).unwrap();
        let query = JudgedQuery { id, text: "?".into(), grades: [("d".into(), 1)].into() };
        let dataset = Dataset {
            name: "one".into(),
            documents: vec![],
            queries: vec![query],
            split: Split::All,
            corpus_hash: String::new(),
            notes: vec![],
        };
        assert_eq!(dataset.clone().part(Split::Tune).unwrap().notes, ["1 of 1 queries: tune"]);
        assert!(dataset.part(Split::HeldOut).unwrap_err().to_string().contains("held-out"));
    }
}
