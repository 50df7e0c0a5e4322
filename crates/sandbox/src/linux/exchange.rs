//! One program's way in and its result's way out, with everything it prints meanwhile.

use std::io::{self, Read as _, Write as _};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use docent_core::{Error, ProgramEnd, Result, SandboxLimits, SessionLoss};
use rustix::event::{PollFd, PollFlags, poll};
use serde::Deserialize;
use serde_json::json;

use super::session::{Inside, timespec};

/// The longest frame that a driver may send, and the longest program it is sent.
const FRAME_BYTES: usize = 1 << 20;

/// How often the caller is asked whether to go on.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// How many bytes of output are read before the clock is looked at.
const GULP_BYTES: usize = 1 << 20;

/// How a program ended and what is left of it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) end: ProgramEnd,
    pub(super) value: Option<String>,
    pub(super) figures: Vec<String>,
}

/// A frame from the driver.
#[derive(Debug, Deserialize)]
struct Frame {
    #[serde(default)]
    nonce: String,
    #[serde(default)]
    end: String,
    #[serde(default)]
    traceback: String,
    #[serde(default)]
    value: Option<String>,
    #[serde(default)]
    figures: Vec<String>,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Exchange<'a> {
    inside: &'a Inside,
    /// What is left to send.
    sending: Vec<u8>,
    /// What was received of a frame.
    received: Vec<u8>,
    /// What a frame that is the driver's repeats: a program that writes frames of its own can
    /// only guess, and is found out.
    nonce: String,
    printed: Printed,
    clock: Clock,
    /// The warden was asked to interrupt and has not said that it did.
    is_interrupting: bool,
}

impl<'a> Exchange<'a> {
    /// Waits for a driver's first frame.
    pub(super) fn greeting(inside: &'a Inside, limits: &SandboxLimits) -> Self {
        Self {
            inside,
            sending: Vec::new(),
            received: Vec::new(),
            nonce: String::new(),
            printed: Printed::new(limits.output_bytes),
            clock: Clock::new(limits),
            is_interrupting: false,
        }
    }

    /// Sends a program.
    pub(super) fn program(
        inside: &'a Inside,
        limits: &SandboxLimits,
        program: &str,
    ) -> Result<Self> {
        let nonce = random_name()?;
        let body = json!({ "nonce": nonce, "code": program }).to_string();
        if body.len() > FRAME_BYTES {
            return Err(Error::invalid(format!(
                "a program of {} bytes is too long",
                program.len()
            )));
        }
        let mut sending = (body.len() as u32).to_le_bytes().to_vec();
        sending.extend_from_slice(body.as_bytes());
        Ok(Self { sending, nonce, ..Self::greeting(inside, limits) })
    }

    /// What was printed, as text, and how many bytes of it are not in there.
    pub(super) fn logs(self) -> (String, u64) {
        self.printed.text()
    }

    /// Goes on until the driver has answered or cannot.
    pub(super) fn finish(
        &mut self,
        on_output: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Answer, SessionLoss> {
        loop {
            let ready = self.wait().map_err(|error| SessionLoss::Crashed(error.to_string()))?;
            if ready.output {
                self.read_output(GULP_BYTES);
            }
            if let Some(answer) = self.move_frames(ready)? {
                self.settle_interruption()?;
                // All that it printed is in the pipe by now.
                self.read_output(GULP_BYTES);
                self.printed.tell(on_output);
                return Ok(answer);
            }
            if ready.warden {
                self.hear()?;
            }
            let mut wanted = self.printed.tell(on_output);
            if wanted.is_none() && self.clock.is_time_to_ask() {
                wanted = Some(on_output(""));
            }
            match self.clock.look(wanted) {
                Moment::GoOn => {}
                Moment::Interrupt => {
                    self.inside.interrupt();
                    self.is_interrupting = true;
                }
                Moment::Kill => return Err(SessionLoss::Killed),
            }
        }
    }

    /// Waits for something to happen on any channel, or for the clock.
    fn wait(&self) -> io::Result<Ready> {
        let mut driver = PollFlags::IN;
        driver.set(PollFlags::OUT, !self.sending.is_empty());
        let mut waited = [
            PollFd::new(&self.inside.driver, driver),
            PollFd::new(self.inside.channel()?, PollFlags::IN),
            PollFd::new(&self.inside.output, PollFlags::IN),
        ];
        // A pipe whose writers are gone is always ready, and is not waited for any more.
        let open = if self.printed.is_over { 2 } else { 3 };
        match poll(&mut waited[..open], Some(&timespec(self.clock.wait()))) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [driver, warden, output] = waited.map(|it| !it.revents().is_empty());
        Ok(Ready { driver, output, warden })
    }

    fn read_output(&mut self, most: usize) {
        let mut buffer = [0; 64 << 10];
        let mut read = 0;
        while read < most {
            match rustix::io::read(&self.inside.output, &mut buffer) {
                Ok(0) => {
                    self.printed.is_over = true;
                    return;
                }
                Ok(length) => {
                    self.printed.take(&buffer[..length]);
                    read += length;
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    /// Sends and receives what can be; gives the driver's answer once it is whole.
    fn move_frames(&mut self, ready: Ready) -> Result<Option<Answer>, SessionLoss> {
        if !ready.driver {
            return Ok(None);
        }
        self.send();
        let is_over = self.receive();
        if let Some(answer) = self.answer()? {
            return Ok(Some(answer));
        }
        if is_over { Err(self.last_words()) } else { Ok(None) }
    }

    fn send(&mut self) {
        while !self.sending.is_empty() {
            match (&self.inside.driver).write(&self.sending) {
                Ok(sent) => drop(self.sending.drain(..sent)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Full, or closed, which receiving will tell.
                Err(_) => return,
            }
        }
    }

    /// Takes what has come; says whether nothing more can.
    fn receive(&mut self) -> bool {
        let mut buffer = [0; 64 << 10];
        while self.received.len() <= FRAME_BYTES + 4 {
            match (&self.inside.driver).read(&mut buffer) {
                Ok(0) => return true,
                Ok(length) => self.received.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
            }
        }
        false
    }

    /// The frame that was received, if it is whole and the driver's.
    fn answer(&self) -> Result<Option<Answer>, SessionLoss> {
        let Some((length, body)) = self.received.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_le_bytes(*length) as usize;
        if length > FRAME_BYTES || body.len() > length {
            return Err(SessionLoss::Protocol);
        }
        if body.len() < length {
            return Ok(None);
        }
        let frame: Frame = serde_json::from_slice(body).map_err(|_| SessionLoss::Protocol)?;
        // Each figure once: a program that got hold of the nonce could name one as often as it likes.
        let are_figures = frame.figures.iter().all(|name| is_figure(name))
            && frame.figures.is_sorted_by(|one, next| one < next);
        if frame.nonce != self.nonce || !are_figures {
            return Err(SessionLoss::Protocol);
        }
        let Frame { traceback, value, figures, .. } = frame;
        let end = match frame.end.as_str() {
            "raised" => ProgramEnd::Raised { traceback },
            "interrupted" => ProgramEnd::Interrupted { traceback },
            _ => ProgramEnd::Completed,
        };
        Ok(Some(Answer { end, value, figures }))
    }

    /// Hears what the warden has to say. If that is the end, what was printed last is read.
    fn hear(&mut self) -> Result<(), SessionLoss> {
        let heard = self.inside.hear();
        self.is_interrupting = false;
        if heard.is_err() {
            self.read_output(GULP_BYTES);
        }
        heard
    }

    /// A program may be over while its interruption is on the way; the next must not get it.
    fn settle_interruption(&mut self) -> Result<(), SessionLoss> {
        if self.is_interrupting { self.hear() } else { Ok(()) }
    }

    /// Why the sandbox is over.
    fn last_words(&mut self) -> SessionLoss {
        loop {
            if let Err(loss) = self.hear() {
                return loss;
            }
        }
    }
}

/// 32 hexadecimal digits that nobody can guess.
pub(super) fn random_name() -> Result<String> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|error| Error::unavailable(format!("no randomness: {error}")))?;
    Ok(format!("{:032x}", u128::from_ne_bytes(random)))
}

/// The driver names its pictures by two digits.
fn is_figure(name: &str) -> bool {
    let digits = name.strip_suffix(".png").unwrap_or_default();
    digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit())
}

/// What can be done without waiting.
#[derive(Clone, Copy, Debug)]
struct Ready {
    driver: bool,
    output: bool,
    warden: bool,
}

/// What a program printed.
#[derive(Debug)]
struct Printed {
    kept: Vec<u8>,
    /// How much of it the caller was told.
    told: usize,
    most: usize,
    dropped_bytes: u64,
    is_over: bool,
}

impl Printed {
    fn new(most: usize) -> Self {
        Self { kept: Vec::new(), told: 0, most, dropped_bytes: 0, is_over: false }
    }

    fn take(&mut self, bytes: &[u8]) {
        let room = self.most - self.kept.len();
        let kept = &bytes[..room.min(bytes.len())];
        self.kept.extend_from_slice(kept);
        self.dropped_bytes += (bytes.len() - kept.len()) as u64;
    }

    /// All of it, and how many bytes were dropped. What is no text takes more room than it had.
    fn text(self) -> (String, u64) {
        let mut text = String::new();
        let mut dropped_bytes = self.dropped_bytes;
        for chunk in self.kept.utf8_chunks() {
            let invalid = if chunk.invalid().is_empty() { "" } else { "\u{fffd}" };
            for (piece, length) in [(chunk.valid(), None), (invalid, Some(chunk.invalid().len()))] {
                let room = self.most - text.len();
                let fits = &piece[..piece.floor_char_boundary(room)];
                text.push_str(fits);
                if fits.len() < piece.len() {
                    dropped_bytes += length.unwrap_or(piece.len() - fits.len()) as u64;
                }
            }
        }
        (text, dropped_bytes)
    }

    /// Tells the caller what is new, whole characters only; gives whether to go on if it was asked.
    fn tell(
        &mut self,
        on_output: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Option<ControlFlow<()>> {
        let new = &self.kept[self.told..];
        let whole = match std::str::from_utf8(new) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => new.len(),
        };
        if whole == 0 {
            return None;
        }
        self.told += whole;
        Some(on_output(&String::from_utf8_lossy(&new[..whole])))
    }
}

/// When to ask the caller, when to interrupt and when to kill.
#[derive(Debug)]
struct Clock {
    /// When the program is interrupted or, once it was, killed.
    until: Instant,
    grace: Duration,
    is_interrupted: bool,
    ask_at: Instant,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    GoOn,
    Interrupt,
    Kill,
}

impl Clock {
    fn new(limits: &SandboxLimits) -> Self {
        let now = Instant::now();
        Self {
            until: now + limits.time,
            grace: limits.grace,
            is_interrupted: false,
            ask_at: now + ASK_EVERY,
        }
    }

    /// How long nothing needs to be done.
    fn wait(&self) -> Duration {
        self.until.min(self.ask_at).saturating_duration_since(Instant::now())
    }

    fn is_time_to_ask(&self) -> bool {
        Instant::now() >= self.ask_at
    }

    /// `wanted` is what the caller said, if it was asked.
    fn look(&mut self, wanted: Option<ControlFlow<()>>) -> Moment {
        let now = Instant::now();
        if wanted.is_some() {
            self.ask_at = now + ASK_EVERY;
        }
        let stop = wanted.is_some_and(|wanted| wanted.is_break());
        match (self.is_interrupted, now >= self.until) {
            (false, is_late) if is_late || stop => {
                self.is_interrupted = true;
                self.until = now + self.grace;
                Moment::Interrupt
            }
            (true, true) => Moment::Kill,
            _ => Moment::GoOn,
        }
    }
}
