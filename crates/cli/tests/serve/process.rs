//! A `docent serve` that can be killed, over a library that stays.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::client::Client;
use crate::upstream::Upstream;

/// The one model there is.
pub(crate) const MODEL: &str = "gpt-4o";

/// A library and its configuration; servers come and go.
pub(crate) struct Site {
    dir: TempDir,
    embedder: Embedder,
}

/// Whether files are embedded, which needs weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Embedder {
    Default,
    None,
}

impl Site {
    pub(crate) fn new(upstream: &Upstream, embedder: Embedder) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = format!(
            "[models.{MODEL:?}]\nbackend = \"remote\"\nbase_url = \"{}\"\n",
            upstream.base_url()
        );
        fs_err::write(dir.path().join("docent.toml"), config).unwrap();
        Self { dir, embedder }
    }

    pub(crate) fn library(&self) -> PathBuf {
        self.dir.path().join("library")
    }

    /// Uploads that are not finished.
    pub(crate) fn unfinished_uploads(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs_err::read_dir(self.library().join("blobs/tmp")) else { return vec![] };
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// Starts a server; it listens when this returns.
    #[track_caller]
    pub(crate) fn serve(&self) -> Served {
        self.serve_until(None)
    }

    /// Starts a server that dies when it passes the named point.
    #[track_caller]
    pub(crate) fn serve_until(&self, crash: Option<&str>) -> Served {
        let mut command = self.docent(&["serve", "--listen", "127.0.0.1:0"]);
        command.envs(crash.map(|point| ("DOCENT_CRASH_AT", point)));
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut address = None;
        let mut line = String::new();
        while address.is_none() && said.read_line(&mut line).unwrap() > 0 {
            address = line.trim().strip_prefix("listening on ").map(str::to_owned);
            line.clear();
        }
        // Whatever else it says must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::stderr()));
        let pid = child.id();
        Served { child: Mutex::new(child), pid, base: address.unwrap_or_default() }
    }

    /// What doctor says of the library, which no server may have open; nothing if all is well.
    pub(crate) fn doctor(&self) -> Vec<String> {
        let output = self.docent(&["doctor", "--json"]).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let findings: serde_json::Value = serde_json::from_str(&said)
            .unwrap_or_else(|_| panic!("{said} {}", String::from_utf8_lossy(&output.stderr)));
        findings.as_array().unwrap().iter().map(ToString::to_string).collect()
    }

    fn docent(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_docent"));
        command
            .args(args)
            .arg("--offline")
            .args(["--config", "docent.toml", "--library", "library"])
            .args((self.embedder == Embedder::None).then_some("--no-embedder"))
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }
}

/// A running server.
pub(crate) struct Served {
    child: Mutex<Child>,
    pid: u32,
    base: String,
}

impl Served {
    pub(crate) fn client(&self) -> Client {
        Client::new(self.base.clone())
    }

    /// Host and port.
    pub(crate) fn address(&self) -> &str {
        self.base.trim_start_matches("http://").trim_end_matches("/v1")
    }

    /// As by `kill -9`.
    pub(crate) fn kill(&self) {
        let mut child = self.child.lock().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Waits until it has died by itself, and tells whether it did in time.
    pub(crate) fn dies_within(&self, time: Duration) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < time {
            if self.child.lock().unwrap().try_wait().unwrap().is_some() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        false
    }

    /// As by Ctrl-C; the server must end well.
    #[track_caller]
    pub(crate) fn stop(self) {
        let pid = Pid::from_raw(self.pid.cast_signed()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        let status = self.child.lock().unwrap().wait().unwrap();
        assert!(status.success(), "the server ended with {status}");
    }

    /// The most memory it ever had, and what it has now, in MB.
    pub(crate) fn memory(&self) -> (f64, f64) {
        let path = format!("/proc/{}/status", self.pid);
        let status = fs_err::read_to_string(Path::new(&path)).unwrap();
        let megabytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            let kilobytes = line.trim_start_matches(':').trim().trim_end_matches(" kB");
            kilobytes.parse::<f64>().unwrap() / 1024.0
        };
        (megabytes("VmHWM"), megabytes("VmRSS"))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap();
        // It may have ended already.
        let _ = child.kill();
        let _ = child.wait();
    }
}
