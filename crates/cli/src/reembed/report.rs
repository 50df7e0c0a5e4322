//! What new vectors would change, and whether they are searched now.

use std::io::Write;
use std::time::Duration;

use anyhow::Result;
use docent::retrieval::Found;
use docent::{Comparison, Flipped, Reembedded};
use serde_json::{Value, json};

use crate::console::{Align, Cell, Console, Table, plain};

pub(super) struct Report<'a> {
    pub(super) done: &'a Reembedded,
    /// Whether the questions are the user's, not excerpts.
    pub(super) judged: bool,
    pub(super) took: Duration,
}

impl Report<'_> {
    pub(super) fn write(&self, console: &Console) -> Result<()> {
        let mut out = console.out();
        let Reembedded { vector_store, from, to, progress, .. } = self.done;
        let from = from.as_deref().unwrap_or("no vectors");
        writeln!(out, "{vector_store}: {from} -> {to}")?;
        writeln!(
            out,
            "{} chunks, {} vectors made in {:.1} s",
            progress.done,
            progress.made,
            self.took.as_secs_f64()
        )?;
        match &self.done.comparison {
            Ok(comparison) => self.write_comparison(comparison, &mut out)?,
            Err(reason) => writeln!(out, "not compared: {}", plain::line(reason))?,
        }
        writeln!(out, "{}", self.verdict())?;
        Ok(())
    }

    fn write_comparison(&self, comparison: &Comparison, out: &mut dyn Write) -> Result<()> {
        let Comparison { questions, old, new, overlap, .. } = comparison;
        let mut table =
            Table::new([("", Align::Left), ("Old", Align::Right), ("New", Align::Right)]);
        let part = |count: usize| count as f64 / (*questions).max(1) as f64;
        let rows = [
            ("found first", part(old.first), part(new.first)),
            ("found among ten", part(old.among_ten), part(new.among_ten)),
            ("mean of 1 / place", old.mrr, new.mrr),
        ];
        for (name, old, new) in rows {
            let [old, new] = [old, new].map(|number| Cell::new(format!("{number:.3}")));
            table.push([Cell::new(name), old, new]);
        }
        if old.not_asked + new.not_asked > 0 {
            let counts = [old, new].map(|found| Cell::new(found.not_asked.to_string()));
            let [old, new] = counts;
            table.push([Cell::new("in a language it does not know"), old, new]);
        }
        let mut text = vec![];
        table.write(&mut text, None)?;
        out.write_all(&text)?;
        writeln!(out, "{:.0} % of the first ten hits are the same", overlap * 100.0)?;
        writeln!(out, "{}", self.method(*questions))?;
        Ok(())
    }

    /// What the numbers tell, and what they do not.
    fn method(&self, questions: usize) -> String {
        match self.judged {
            true => format!("{questions} questions of yours, by vectors alone"),
            false => format!(
                "{questions} excerpts of the passages themselves, by vectors alone: this tells \
                 whether the vectors work for these texts, not which answers are better; --queries \
                 compares by questions of yours"
            ),
        }
    }

    fn verdict(&self) -> String {
        let store = self.done.vector_store;
        match &self.done.flipped {
            Flipped::Yes => format!(
                "the new vectors are searched now; \"docent reembed {store} --rollback\" goes \
                 back, \"docent reembed {store} --prune\" drops the old ones"
            ),
            Flipped::Refused(reason) => format!(
                "the old vectors are searched still: {reason}; --yes has the new ones searched \
                 all the same, \"docent reembed {store} --prune\" drops them"
            ),
            _ => "the old vectors are searched still; the same command without --dry-run has the \
                  new ones searched"
                .to_owned(),
        }
    }

    pub(super) fn json(&self) -> Value {
        let Reembedded { vector_store, from, to, progress, comparison, flipped, .. } = self.done;
        let found = |found: &Found| {
            json!({
                "first": found.first,
                "among_ten": found.among_ten,
                "mrr": found.mrr,
                "not_asked": found.not_asked,
            })
        };
        let compared = comparison.as_ref().map(|it| {
            json!({
                "questions": it.questions,
                "from": if self.judged { "queries" } else { "excerpts" },
                "old": found(&it.old),
                "new": found(&it.new),
                "overlap": it.overlap,
            })
        });
        let refused = match flipped {
            Flipped::Refused(reason) => Some(reason),
            _ => None,
        };
        json!({
            "vector_store": vector_store.to_string(),
            "from": from,
            "to": to,
            "chunks": progress.done,
            "made": progress.made,
            "comparison": compared.as_ref().ok(),
            "not_compared": comparison.as_ref().err(),
            "flipped": *flipped == Flipped::Yes,
            "refused": refused,
        })
    }
}
