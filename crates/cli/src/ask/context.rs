//! `ask --explain`: what of a conversation the model was shown in each of its turns.

use std::io::Write;

use anyhow::Result;
use docent::{ContextReport, RunStep};

use crate::console::{Align, BOLD, Cell, Console, Table};

/// The report of a step in which a model was asked: one that only searched has no prompt.
pub(super) fn of_step(step: &RunStep) -> Option<ContextReport> {
    step.context.filter(|context| context.prompt_tokens > 0)
}

pub(super) fn write(contexts: &[ContextReport], console: &Console) -> Result<()> {
    if contexts.is_empty() {
        return Ok(());
    }
    let mut out = console.out();
    writeln!(out, "\n{BOLD}Context{BOLD:#}")?;
    let mut table = Table::new([
        ("Turn", Align::Right),
        ("Tokens", Align::Right),
        ("of", Align::Right),
        ("Tools", Align::Right),
        ("Messages", Align::Right),
        ("left out", Align::Right),
        ("summarized", Align::Right),
        ("Passages", Align::Right),
        ("left out", Align::Right),
    ]);
    (1..).zip(contexts).for_each(|(turn, context)| table.push(row(turn, context)));
    table.write(&mut out, console.width())?;
    for context in contexts {
        if let (Some(first), Some(last)) = (context.first_dropped, context.last_dropped) {
            writeln!(out, "left out: {first} to {last}")?;
        }
    }
    Ok(())
}

fn row(turn: u64, context: &ContextReport) -> Vec<Cell> {
    let numbers = [
        turn,
        context.prompt_tokens,
        context.budget_tokens,
        context.tools,
        context.messages,
        context.messages_dropped,
        context.messages_summarized,
        context.passages,
        context.passages_dropped,
    ];
    numbers.iter().map(|number| Cell::new(number.to_string())).collect()
}
