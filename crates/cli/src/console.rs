//! Where output goes: results to stdout, everything else to stderr.
//!
//! Colors and bars appear only on a terminal, and `NO_COLOR` is honoured: `anstream` decides it
//! for text, `indicatif` for bars.

pub(crate) mod plain;
mod table;

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

pub(crate) use table::{Align, Cell, Table};

pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const DOUBTFUL: Style = AnsiColor::Yellow.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(crate) const NAME: Style = AnsiColor::Cyan.on_default();

/// How much is said beside results and errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chatter {
    Quiet,
    Usual,
}

/// The terminal, or what stands for it.
#[derive(Clone, Debug)]
pub(crate) struct Console {
    chatter: Chatter,
    bars: MultiProgress,
}

impl Console {
    pub(crate) fn new(chatter: Chatter) -> Self {
        let target = match chatter {
            Chatter::Quiet => ProgressDrawTarget::hidden(),
            // Hidden by itself when stderr is no terminal.
            Chatter::Usual => ProgressDrawTarget::stderr(),
        };
        Self { chatter, bars: MultiProgress::with_draw_target(target) }
    }

    /// For results.
    pub(crate) fn out(&self) -> anstream::AutoStream<io::StdoutLock<'static>> {
        anstream::AutoStream::auto(io::stdout().lock())
    }

    /// How wide results may be; none if no terminal shows them.
    pub(crate) fn width(&self) -> Option<usize> {
        let (width, _) = terminal_size::terminal_size_of(io::stdout())?;
        io::stdout().is_terminal().then_some(width.0.into())
    }

    /// Says something that is no result, unless told to be quiet.
    pub(crate) fn note(&self, text: impl fmt::Display) {
        if self.chatter == Chatter::Usual {
            self.say(text);
        }
    }

    /// Says that something is not as it should be, but we cope.
    pub(crate) fn warn(&self, text: impl fmt::Display) {
        if self.chatter == Chatter::Usual {
            let text = text.to_string();
            self.say(format_args!("{DOUBTFUL}warning:{DOUBTFUL:#} {}", plain::lines(&text)));
        }
    }

    /// Says why the command failed.
    pub(crate) fn error(&self, text: impl fmt::Display) {
        let text = text.to_string();
        self.say(format_args!("{BAD}error:{BAD:#} {}", plain::lines(&text)));
    }

    /// A bar for `total` of `unit`, with rate and remaining time.
    pub(crate) fn bar(&self, total: u64, unit: Unit) -> ProgressBar {
        let bar = self.bars.add(ProgressBar::new(total));
        bar.set_style(unit.style());
        bar.enable_steady_tick(Duration::from_millis(250));
        bar
    }

    /// For lines on stderr that come while bars are shown.
    pub(crate) fn aside(&self) -> Aside {
        Aside(self.bars.clone())
    }

    fn say(&self, text: impl fmt::Display) {
        self.bars.suspend(|| {
            // Nobody to tell it to if stderr is closed.
            let _ = writeln!(anstream::AutoStream::auto(io::stderr().lock()), "{text}");
        });
    }
}

/// Writes `value` to stdout as JSON, indented, whatever stdout is.
pub(crate) fn write_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut json = serde_json::to_vec_pretty(value)?;
    json.push(b'\n');
    Ok(io::stdout().lock().write_all(&json)?)
}

/// What a bar counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Files,
    Chunks,
    Bytes,
    Objects,
    Calls,
}

impl Unit {
    fn style(self) -> ProgressStyle {
        let template = match self {
            Self::Files => "{msg:24!} {bar:24} {pos}/{len} files  {per_sec}  {eta} left",
            Self::Chunks => "{msg:24!} {bar:24} {pos}/{len} chunks  {per_sec}  {eta} left",
            Self::Objects => "{msg:24!} {bar:24} {pos}/{len} objects  {per_sec}  {eta} left",
            Self::Calls => "{msg:24!} {bar:24} {pos}/{len} calls  {eta} left",
            Self::Bytes => {
                "{msg:24!} {bar:24} {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}  {eta} left"
            }
        };
        ProgressStyle::with_template(template).expect("a test makes every template")
    }
}

/// Writes to stderr without tearing the bars apart.
#[derive(Clone, Debug)]
pub(crate) struct Aside(MultiProgress);

impl Write for Aside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| anstream::AutoStream::auto(io::stderr().lock()).write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bar_has_a_style() {
        let _ =
            [Unit::Files, Unit::Chunks, Unit::Bytes, Unit::Objects, Unit::Calls].map(Unit::style);
    }
}
