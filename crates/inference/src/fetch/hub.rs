//! The Hugging Face hub, or a mirror of it.
//!
//! Names, revisions and the local cache's layout are hf-hub's. The transfer is our own, because
//! hf-hub 0.5's has no time limits, cannot be broken off and checks no hash.

use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use ureq::Agent;
use ureq::http::{Response, StatusCode, header};

use super::staged::Staged;
use super::{Failure, Network, OnProgress, PullProgress, Wanted};

/// Many networks block the hub by dropping packets; the next source should be tried in seconds.
const CONNECT: Duration = Duration::from_secs(5);
const FIRST_BYTE: Duration = Duration::from_secs(20);
const STALL: Duration = Duration::from_secs(30);
/// How often a transfer that got further is taken up again.
const RESUMES: usize = 5;

/// A directory of a repository.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) repo: &'a str,
    pub(super) revision: &'a str,
    pub(super) directory: &'a str,
}

impl Place<'_> {
    fn url(&self, endpoint: &str, name: &str) -> String {
        let repo = hf_hub::Repo::with_revision(
            self.repo.to_owned(),
            hf_hub::RepoType::Model,
            self.revision.to_owned(),
        );
        let path = join(self.directory, name);
        format!("{endpoint}/{}/resolve/{}/{path}", repo.url(), repo.url_revision())
    }
}

/// `directory/name`, or `name` alone.
pub(super) fn join(directory: &str, name: &str) -> String {
    match directory {
        "" => name.to_owned(),
        directory => format!("{}/{name}", directory.trim_end_matches('/')),
    }
}

/// Puts each of `files` into `dir`.
pub(super) fn download(
    place: &Place<'_>,
    files: &[Wanted<'_>],
    dir: &Path,
    network: &Network,
    on_progress: &mut OnProgress<'_>,
) -> Result<(), Failure> {
    let agent = agent();
    let source = format!("hub {}", place.repo);
    for file in files {
        let url = place.url(&network.endpoint, file.name);
        let mut tell = |done_bytes, total_bytes| {
            on_progress(PullProgress { source: &source, file: file.name, done_bytes, total_bytes })
        };
        let mut staged = Staged::resume(dir, *file)?;
        let resumed = staged.bytes() > 0;
        transfer(&agent, &url, &mut staged, &mut tell)?;
        match staged.finish() {
            // The part kept from last time may have been another file's: once more from scratch.
            Err(Failure::Because(_)) if resumed => {
                let mut staged = Staged::create(dir, *file)?;
                transfer(&agent, &url, &mut staged, &mut tell)?;
                staged.finish()?;
            }
            finished => finished?,
        }
    }
    Ok(())
}

fn agent() -> Agent {
    Agent::config_builder()
        .user_agent(concat!("docent/", env!("CARGO_PKG_VERSION")))
        .timeout_resolve(Some(CONNECT))
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(FIRST_BYTE))
        .timeout_per_read(Some(STALL))
        .http_status_as_error(false)
        .build()
        .new_agent()
}

/// Takes `staged` to its end, resuming as long as each attempt gets further.
fn transfer(
    agent: &Agent,
    url: &str,
    staged: &mut Staged<'_>,
    tell: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<(), Failure> {
    let mut resumes = 0;
    while !staged.is_complete() {
        let before = staged.bytes();
        match attempt(agent, url, staged, tell) {
            Ok(()) if staged.is_complete() => {}
            Ok(()) if staged.bytes() == before => {
                return Err(Failure::Because(format!("{url} ends after {before} bytes")));
            }
            Err(Failure::Because(reason)) if staged.bytes() <= before || resumes == RESUMES => {
                return Err(Failure::Because(reason));
            }
            Err(Failure::Cancelled) => return Err(Failure::Cancelled),
            Ok(()) | Err(Failure::Because(_)) => resumes += 1,
        }
    }
    Ok(())
}

fn attempt(
    agent: &Agent,
    url: &str,
    staged: &mut Staged<'_>,
    tell: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<(), Failure> {
    if tell(staged.bytes(), staged.length().unwrap_or(0)).is_break() {
        return Err(Failure::Cancelled);
    }
    // Compressed on the way, a byte range would mean other bytes.
    let mut request = agent.get(url).header(header::ACCEPT_ENCODING, "identity");
    if staged.bytes() > 0 {
        request = request.header(header::RANGE, format!("bytes={}-", staged.bytes()));
    }
    let response = request.call()?;
    match response.status() {
        StatusCode::PARTIAL_CONTENT if starts_at(&response, staged.bytes()) => {}
        StatusCode::OK | StatusCode::PARTIAL_CONTENT if staged.bytes() == 0 => {}
        StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
            // It cannot give us the rest alone.
            staged.restart()?;
            if response.status() != StatusCode::OK {
                return Ok(());
            }
        }
        status => return Err(Failure::Because(format!("{url} answers {status}"))),
    }
    if staged.length().is_none() {
        staged.set_length(response.body().content_length());
    }
    receive(response, staged, tell)?;
    if staged.length().is_none() {
        // Nobody said how long it is, so its end is the end.
        staged.set_length(Some(staged.bytes()));
    }
    Ok(())
}

fn starts_at<B>(response: &Response<B>, offset: u64) -> bool {
    let range = response.headers().get(header::CONTENT_RANGE);
    let range = range.and_then(|value| value.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {offset}-")))
}

fn receive(
    response: Response<ureq::Body>,
    staged: &mut Staged<'_>,
    tell: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<(), Failure> {
    let mut body = response.into_body().into_reader();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = body.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        staged.write(&buffer[..read])?;
        if tell(staged.bytes(), staged.length().unwrap_or(0)).is_break() {
            return Err(Failure::Cancelled);
        }
    }
}
