//! A guard that extracts in child processes of the own binary.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use docent_core::FileError;
use tracing::{debug, warn};

use super::Guard;
use super::thread::too_slow;
use super::wire::{Attempt, JobHeader, Reply, ReplyHeader, read_body, read_header, write_message};
use crate::document::{invalid, ours};
use crate::limits::readable;
use crate::{Document, Format, Limits};

/// A child serves this many files; parsers leak a little.
const MOST_FILES: u32 = 200;

/// Children kept for the next file. More run when more threads ask at once.
const MOST_IDLE: usize = 8;

/// Extracts in child processes, each used for many files.
///
/// The child limits its own memory and processor time (`RLIMIT_AS`, `RLIMIT_CPU`, where the system
/// has them); when the wall time is up, this side kills it. A child that died is replaced, and a
/// PDF that killed one is tried again with one parser at a time in what remains of the wall time.
/// Children end when this process does, because their input ends; one that loops ends at its limit of
/// processor time.
///
/// ```no_run
/// use docent_ingest::ProcessGuard;
///
/// // The program's own hidden subcommand calls `docent_ingest::serve_extraction()`.
/// let guard = ProcessGuard::new(std::env::current_exe()?, vec!["extract-worker".into()]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct ProcessGuard {
    program: PathBuf,
    args: Vec<OsString>,
    idle: Mutex<Vec<Worker>>,
}

impl ProcessGuard {
    /// Starts `program` with `args` when the first file comes; that program has to call
    /// [`serve_extraction`](super::serve_extraction) and print nothing.
    pub fn new(program: PathBuf, args: Vec<OsString>) -> Self {
        Self { program, args, idle: Mutex::default() }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Worker>> {
        // A list of children is valid at every moment, whoever panicked.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn worker(&self) -> Result<Worker, FileError> {
        let idle = self.idle().pop();
        idle.map_or_else(|| Worker::start(&self.program, &self.args), Ok)
    }

    fn attempt(
        &self,
        attempt: Attempt,
        format: Format,
        bytes: &[u8],
        limits: &Limits,
        deadline: Instant,
    ) -> Outcome {
        let mut worker = match self.worker() {
            Ok(worker) => worker,
            Err(error) => return Outcome::Done(Err(error)),
        };
        let length = bytes.len() as u64;
        let job = JobHeader { format, limits: limits.clone(), attempt, bytes: length };
        match worker.converse(&job, bytes, deadline) {
            Ok((reply, Wear::Fresh)) => {
                let mut idle = self.idle();
                if idle.len() < MOST_IDLE {
                    idle.push(worker);
                }
                Outcome::Done(reply)
            }
            Ok((reply, Wear::Worn)) => Outcome::Done(reply),
            Err(error) => worker.end(&error, limits),
        }
    }
}

impl Guard for ProcessGuard {
    fn extract(
        &self,
        format: Format,
        bytes: Vec<u8>,
        limits: &Limits,
    ) -> Result<Document, FileError> {
        let deadline = Instant::now() + limits.wall;
        let attempts: &[Attempt] = match format {
            Format::Pdf => &[Attempt::Whole, Attempt::PrimaryParser, Attempt::SecondParser],
            _ => &[Attempt::Whole],
        };
        let mut reason = too_slow(limits);
        for &attempt in attempts {
            match self.attempt(attempt, format, &bytes, limits, deadline) {
                Outcome::Done(reply) => return reply,
                Outcome::TimedOut => return Err(too_slow(limits)),
                Outcome::Died(error) => {
                    warn!(?attempt, reason = error.message, "an extracting process died");
                    reason = error;
                }
            }
        }
        Err(reason)
    }
}

enum Outcome {
    Done(Reply),
    /// We killed the child.
    TimedOut,
    /// The child died by itself, for this reason.
    Died(FileError),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wear {
    Fresh,
    Worn,
}

/// A child and the pipes to it. Dropping it ends the child.
#[derive(Debug)]
struct Worker {
    child: Arc<Mutex<Child>>,
    input: Option<ChildStdin>,
    output: ChildStdout,
    /// Collects the last words of the child.
    complaints: Option<JoinHandle<Vec<u8>>>,
    files: u32,
    timed_out: bool,
}

impl Worker {
    fn start(program: &PathBuf, args: &[OsString]) -> Result<Self, FileError> {
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| {
                ours(format!("the extracting process {} cannot start: {error}", program.display()))
            })?;
        debug!(pid = child.id(), "started an extracting process");
        let (Some(input), Some(output), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(ours("the extracting process has no pipes"));
        };
        Ok(Self {
            child: Arc::new(Mutex::new(child)),
            input: Some(input),
            output,
            complaints: Some(thread::spawn(move || last_words(errors))),
            files: 0,
            timed_out: false,
        })
    }

    /// Sends a job and waits for the reply. A watchdog kills the child at `deadline`, which ends
    /// whatever read or write we are in.
    fn converse(
        &mut self,
        job: &JobHeader,
        bytes: &[u8],
        deadline: Instant,
    ) -> io::Result<(Reply, Wear)> {
        let (finished, is_finished) = mpsc::channel::<()>();
        let child = Arc::clone(&self.child);
        let watchdog = thread::spawn(move || {
            let left = deadline.saturating_duration_since(Instant::now());
            let is_late = is_finished.recv_timeout(left) == Err(RecvTimeoutError::Timeout);
            if is_late {
                let _ = lock(&child).kill();
            }
            is_late
        });
        let result = self.exchange(job, bytes);
        drop(finished);
        self.timed_out = watchdog.join().unwrap_or(false);
        if self.timed_out { Err(io::ErrorKind::TimedOut.into()) } else { result }
    }

    fn exchange(&mut self, job: &JobHeader, bytes: &[u8]) -> io::Result<(Reply, Wear)> {
        let input = self.input.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        write_message(input, job, bytes)?;
        let header: ReplyHeader =
            read_header(&mut self.output)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        // Places and quotes make the JSON a few times as long as the text.
        if header.bytes > job.limits.text_bytes.saturating_mul(16).saturating_add(64 << 20) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let reply = serde_json::from_slice(&read_body(&mut self.output, header.bytes)?)?;
        self.files += 1;
        let is_worn = header.is_worn || self.files >= MOST_FILES;
        Ok((reply, if is_worn { Wear::Worn } else { Wear::Fresh }))
    }

    /// Why a child that broke off the conversation did.
    fn end(mut self, error: &io::Error, limits: &Limits) -> Outcome {
        if self.timed_out {
            return Outcome::TimedOut;
        }
        self.input = None;
        let mut child = lock(&self.child);
        // When it closed its pipes it is dying; give it a moment to do so by itself, because how
        // it died is the reason we report.
        let is_dying =
            matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe);
        let status = is_dying.then(|| wait_briefly(&mut child)).flatten().or_else(|| {
            let _ = child.kill();
            child.wait().ok()
        });
        drop(child);
        let words = self.complaints.take().and_then(|words| words.join().ok()).unwrap_or_default();
        Outcome::Died(reason(status, &String::from_utf8_lossy(&words), limits))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.input = None;
        let mut child = lock(&self.child);
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn lock(child: &Mutex<Child>) -> MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait_briefly(child: &mut Child) -> Option<ExitStatus> {
    for _ in 0..50 {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) => thread::sleep(Duration::from_millis(10)),
            Err(_) => return None,
        }
    }
    None
}

/// The last few kilobytes of what a child says on standard error.
fn last_words(mut errors: impl Read) -> Vec<u8> {
    const KEPT: usize = 4 << 10;
    let mut words = Vec::new();
    let mut buffer = [0; 1024];
    while let Ok(count @ 1..) = errors.read(&mut buffer) {
        words.extend_from_slice(&buffer[..count]);
        let surplus = words.len().saturating_sub(KEPT);
        words.drain(..surplus);
    }
    words
}

fn reason(status: Option<ExitStatus>, words: &str, limits: &Limits) -> FileError {
    if words.contains("memory allocation of") {
        let limit = readable(limits.memory_bytes);
        return invalid(format!("the file needs more than {limit} of memory to read"));
    }
    if words.contains("has overflowed its stack") {
        return invalid("the file is nested too deeply to read");
    }
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        // SIGXCPU
        if status.and_then(|status| status.signal()) == Some(24) {
            return too_slow(limits);
        }
    }
    let status = status.map_or_else(|| "unknown".to_owned(), |status| status.to_string());
    invalid(format!("reading the file ended the extracting process ({status})"))
}
