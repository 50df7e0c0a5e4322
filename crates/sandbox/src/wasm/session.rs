//! A session: one guest, and its files.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use docent_core::{
    Error, Execution, ProgramEnd, Result, SandboxFile, SandboxLimits, SandboxPath, Session,
};

use super::compiled::STACK_BYTES;
use super::files;
use super::guest::{Guest, Task, Turn, lost};
use super::output::{Decoder, Output};
use super::ticker::Ticker;
use super::tree::{Node, Tree};

/// How often a silent program's caller is asked whether to go on.
const SILENCE: Duration = Duration::from_millis(100);
/// The guest's stack and, above it, ours when it calls.
const THREAD_STACK_BYTES: usize = STACK_BYTES + (4 << 20);

/// A session of the [`WasmSandbox`](super::WasmSandbox).
#[derive(Debug)]
pub(super) struct WasmSession {
    /// Gone when the session is lost.
    guest: Option<Guest>,
    /// Where its files lie.
    data: Node,
    limits: SandboxLimits,
    ticker: Ticker,
}

impl WasmSession {
    pub(super) fn new(guest: Guest, data: Node, limits: SandboxLimits, ticker: Ticker) -> Self {
        Self { guest: Some(guest), data, limits, ticker }
    }

    fn tree(&mut self) -> Result<&mut Tree> {
        Ok(&mut self.guest.as_mut().ok_or_else(lost)?.wasi().tree)
    }
}

impl Session for WasmSession {
    fn put(&mut self, path: &SandboxPath, bytes: &mut dyn io::Read) -> Result<u64> {
        let data = self.data;
        files::put(self.tree()?, data, path, bytes)
    }

    fn run(
        &mut self,
        program: &str,
        on_output: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Execution> {
        let guest = self.guest.as_mut().ok_or_else(lost)?;
        let interrupt = Arc::new(AtomicBool::new(false));
        let limit = self.limits.output_bytes;
        let (output, written) = Output::to_channel(limit);
        let (time, grace) = (self.limits.time, self.limits.grace);
        let task = Task { program, output, time, grace, interrupt: interrupt.clone() };
        let _ticking = self.ticker.start()?;
        let run = || guest.run(task);
        // It owns the channel's end: should `on_output` panic, the guest does not wait for it.
        let follow = move || {
            let mut logs = Logs { text: String::new(), limit, dropped_bytes: 0 };
            logs.follow(&written, on_output, &interrupt);
            logs
        };
        let (turn, logs) = match on_thread(run, follow) {
            Ok(ran) => ran,
            Err(error) => {
                self.guest = None;
                return Err(error);
            }
        };
        if matches!(turn.end, ProgramEnd::Lost(_)) {
            self.guest = None;
        }
        Ok(Execution {
            end: turn.end,
            logs: logs.text,
            dropped_bytes: turn.dropped_bytes + logs.dropped_bytes,
            value: turn.value,
            images: turn.images,
        })
    }

    fn read(&mut self, path: &SandboxPath, max_bytes: u64) -> Result<Vec<u8>> {
        let data = self.data;
        files::read(self.tree()?, data, path, max_bytes)
    }

    fn files(&mut self) -> Result<Vec<SandboxFile>> {
        let data = self.data;
        Ok(files::list(self.tree()?, data))
    }
}

/// Runs the guest on a thread of its own, whose stack is large enough for it, and what follows
/// its output on this one.
fn on_thread<T>(
    run: impl FnOnce() -> Turn + Send,
    follow: impl FnOnce() -> T,
) -> Result<(Turn, T)> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("wasm-guest".to_owned());
        let running = thread.stack_size(THREAD_STACK_BYTES).spawn_scoped(scope, run)?;
        let followed = follow();
        let turn = running.join().map_err(|_| Error::internal("the guest's thread panicked"))?;
        Ok((turn, followed))
    })
}

/// What a program printed.
#[derive(Debug)]
struct Logs {
    text: String,
    limit: usize,
    dropped_bytes: u64,
}

impl Logs {
    /// Passes on what comes until the turn is over.
    fn follow(
        &mut self,
        written: &Receiver<Vec<u8>>,
        on_output: &mut dyn FnMut(&str) -> ControlFlow<()>,
        interrupt: &AtomicBool,
    ) {
        let mut decoder = Decoder::default();
        let mut tell = |text: &str| {
            if on_output(text).is_break() {
                interrupt.store(true, Ordering::Relaxed);
            }
        };
        loop {
            match written.recv_timeout(SILENCE) {
                Ok(bytes) => {
                    let text = self.keep(decoder.push(&bytes));
                    if !text.is_empty() {
                        tell(&text);
                    }
                }
                Err(RecvTimeoutError::Timeout) => tell(""),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let rest = self.keep(decoder.finish());
        if !rest.is_empty() {
            tell(&rest);
        }
    }

    /// What was no text has grown when it was replaced: the limit holds for that too.
    fn keep(&mut self, mut text: String) -> String {
        let room = self.limit - self.text.len();
        if text.len() > room {
            let kept = text.floor_char_boundary(room);
            self.dropped_bytes += (text.len() - kept) as u64;
            text.truncate(kept);
        }
        self.text.push_str(&text);
        text
    }
}
