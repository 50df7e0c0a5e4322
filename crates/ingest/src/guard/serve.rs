//! The child of a [`ProcessGuard`](super::ProcessGuard): extracts what it is sent until its input
//! ends.

use std::io::{self, Read, Write};

use docent_core::{Error, FileError, Result};

use super::STACK_BYTES;
use super::thread::run;
use super::wire::{JobHeader, Reply, ReplyHeader, read_body, read_header, write_message};
use crate::document::ours;
use crate::{Extractor, Limits, extractor};

/// Serves extractions on standard input and output: the main loop of the hidden subcommand that a
/// [`ProcessGuard`](super::ProcessGuard) starts. Returns when standard input ends.
///
/// The process limits its own memory and processor time before each file and should do nothing
/// else.
///
/// # Errors
/// [`Corrupt`](docent_core::ErrorKind::Corrupt) if what comes in is no job; whatever writing the
/// reply gives.
pub fn serve_extraction() -> Result<()> {
    let output = private_output()?;
    std::thread::Builder::new()
        .name("docent-extract".into())
        .stack_size(STACK_BYTES)
        .spawn(move || serve(&mut io::stdin().lock(), output))
        .map_err(|error| Error::unavailable("no thread to extract in").with_source(error))?
        .join()
        .unwrap_or_else(|_| Err(Error::internal("the extraction loop panicked")))
}

fn serve(input: &mut impl Read, mut output: impl Write) -> Result<()> {
    while let Some(job) = read_header::<JobHeader>(input)? {
        let bytes = read_body(input, job.bytes)?;
        restrict(&job.limits);
        let reply = run(extractor_for(&job), &bytes, &job.limits);
        drop(bytes);
        let body = encode(&reply);
        let header = ReplyHeader { is_worn: is_worn(&job.limits), bytes: body.len() as u64 };
        write_message(&mut output, &header, &body)?;
    }
    Ok(())
}

fn encode(reply: &Reply) -> Vec<u8> {
    let failed = |_| {
        let error: Reply = Err(ours("the text could not be sent"));
        serde_json::to_vec(&error).unwrap_or_default()
    };
    serde_json::to_vec(reply).unwrap_or_else(failed)
}

/// What reads the file. After a crash a PDF is tried again with one parser at a time.
fn extractor_for(job: &JobHeader) -> Result<Box<dyn Extractor>, FileError> {
    #[cfg(feature = "pdf")]
    if job.format == crate::Format::Pdf {
        return Ok(Box::new(crate::pdf::PdfExtractor { parsers: job.attempt.parsers() }));
    }
    extractor(job.format)
}

/// A private copy of standard output; whatever a parser prints goes to standard error instead of
/// into the conversation.
#[cfg(unix)]
fn private_output() -> Result<std::fs::File> {
    let private = rustix::io::dup(rustix::stdio::stdout()).map_err(io::Error::from)?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr()).map_err(io::Error::from)?;
    Ok(private.into())
}

#[cfg(not(unix))]
fn private_output() -> Result<io::Stdout> {
    Ok(io::stdout())
}

/// Limits this process for the next file: all memory it may have, and processor time from now on.
/// Beyond the one an allocation fails and the process aborts, beyond the other the kernel ends it.
#[cfg(unix)]
fn restrict(limits: &Limits) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let set = |resource, current: u64| {
        let maximum = getrlimit(resource).maximum;
        let current = Some(maximum.map_or(current, |maximum| current.min(maximum)));
        // A system that knows no such limit still has the parent's clock.
        let _ = setrlimit(resource, Rlimit { current, maximum });
    };
    // The stack of the extracting thread is reserved, not used.
    set(Resource::As, limits.memory_bytes.saturating_add(2 * STACK_BYTES as u64));
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    set(Resource::Cpu, used.tv_sec.unsigned_abs() + limits.wall.as_secs() + 2);
    // An aborted child must not write its memory to disk.
    set(Resource::Core, 0);
}

#[cfg(not(unix))]
fn restrict(_: &Limits) {}

/// Whether so much memory is in use that the next file would not find its share, or a parser is
/// stuck in a thread of its own.
fn is_worn(limits: &Limits) -> bool {
    #[cfg(feature = "pdf")]
    if crate::pdf::stuck_parsers() > 0 {
        return true;
    }
    resident_bytes().is_some_and(|resident| resident > limits.memory_bytes / 4)
}

#[cfg(target_os = "linux")]
fn resident_bytes() -> Option<u64> {
    let statm = fs_err::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

#[cfg(not(target_os = "linux"))]
fn resident_bytes() -> Option<u64> {
    None
}
