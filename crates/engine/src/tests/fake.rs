//! A sandbox that understands a few programs, a command a line.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use docent_core::*;

use crate::{ProgramOptions, Programs};

/// Counts what is asked of it.
#[derive(Debug)]
pub(crate) struct FakeSandbox {
    spec: SandboxSpec,
    counts: Arc<Counts>,
    /// Why it opens no session.
    pub(crate) broken: Mutex<Option<&'static str>>,
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Sessions that were opened.
    pub(crate) opened: AtomicUsize,
    /// Sessions that are open.
    pub(crate) open: AtomicUsize,
    /// Files that were put.
    pub(crate) put: AtomicUsize,
    /// Programs that began.
    pub(crate) begun: AtomicUsize,
}

impl FakeSandbox {
    pub(crate) fn new() -> Arc<Self> {
        let spec = SandboxSpec {
            name: "fake".into(),
            language: "Python 3".into(),
            packages: vec!["pandas 2".into()],
        };
        Arc::new(Self { spec, counts: Arc::default(), broken: Mutex::default() })
    }

    pub(crate) fn programs(self: &Arc<Self>, options: ProgramOptions) -> Programs {
        Programs::new(self.clone(), options)
    }

    pub(crate) fn opened(&self) -> usize {
        self.counts.opened.load(SeqCst)
    }

    pub(crate) fn open_now(&self) -> usize {
        self.counts.open.load(SeqCst)
    }

    pub(crate) fn put(&self) -> usize {
        self.counts.put.load(SeqCst)
    }

    pub(crate) fn begun(&self) -> usize {
        self.counts.begun.load(SeqCst)
    }
}

impl Sandbox for FakeSandbox {
    fn spec(&self) -> &SandboxSpec {
        &self.spec
    }

    fn open(&self, limits: &SandboxLimits) -> Result<Box<dyn Session>> {
        match *self.broken.lock().unwrap() {
            Some("panics") => panic!("the walls fell"),
            Some(why) => return Err(Error::unavailable(why)),
            None => {}
        }
        self.counts.opened.fetch_add(1, SeqCst);
        self.counts.open.fetch_add(1, SeqCst);
        Ok(Box::new(FakeSession {
            counts: self.counts.clone(),
            room: limits.data_bytes,
            files: BTreeMap::new(),
            variables: BTreeMap::new(),
            lost: false,
        }))
    }
}

#[derive(Debug)]
struct FakeSession {
    counts: Arc<Counts>,
    room: u64,
    files: BTreeMap<SandboxPath, Vec<u8>>,
    variables: BTreeMap<String, String>,
    lost: bool,
}

impl Drop for FakeSession {
    fn drop(&mut self) {
        self.counts.open.fetch_sub(1, SeqCst);
    }
}

pub(crate) const PNG: &[u8] = b"\x89PNG\r\n\x1a\nfigure";

fn raised(traceback: String) -> ProgramEnd {
    ProgramEnd::Raised { traceback }
}

impl FakeSession {
    fn alive(&self) -> Result<()> {
        if self.lost { Err(Error::conflict("the session is lost")) } else { Ok(()) }
    }

    /// One command; `Some` ends the program.
    fn step(&mut self, line: &str, ran: &mut Execution) -> Option<ProgramEnd> {
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        match (command, rest) {
            ("print", text) => ran.logs.push_str(&format!("{text}\n")),
            ("words", count) => ran.logs.push_str(&"word ".repeat(count.parse().unwrap())),
            ("flood", _) => ran.dropped_bytes += 5,
            ("plot", _) => ran.images.push(PNG.to_vec()),
            ("junk", _) => ran.images.push(b"<svg>".to_vec()),
            ("slow", _) => return Some(ProgramEnd::Interrupted { traceback: "Too slow".into() }),
            ("panic", _) => panic!("the snake bit"),
            ("vanish", _) => self.lost = true,
            ("die", _) => {
                self.lost = true;
                return Some(ProgramEnd::Lost(SessionLoss::OutOfMemory));
            }
            ("write", rest) => {
                let (path, text) = rest.split_once(' ').unwrap();
                self.files.insert(path.parse().unwrap(), text.into());
            }
            ("read", path) => match self.files.get(&path.parse().unwrap()) {
                Some(bytes) => ran.value = Some(String::from_utf8_lossy(bytes).into_owned()),
                None => return Some(raised(format!("FileNotFoundError: {path}"))),
            },
            (name, rest) => match rest.strip_prefix("= ") {
                Some(value) => drop(self.variables.insert(name.into(), value.into())),
                None => match self.variables.get(name) {
                    Some(value) => ran.value = Some(value.clone()),
                    None => return Some(raised(format!("NameError: {name}"))),
                },
            },
        }
        None
    }
}

impl Session for FakeSession {
    fn put(&mut self, path: &SandboxPath, bytes: &mut dyn io::Read) -> Result<u64> {
        self.alive()?;
        let mut kept = Vec::new();
        bytes.read_to_end(&mut kept)?;
        let used: usize = self.files.values().map(Vec::len).sum();
        if (used + kept.len()) as u64 > self.room {
            return Err(Error::unavailable("there is no room for it"));
        }
        self.counts.put.fetch_add(1, SeqCst);
        let length = kept.len() as u64;
        self.files.insert(path.clone(), kept);
        Ok(length)
    }

    fn run(
        &mut self,
        program: &str,
        on_output: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Execution> {
        self.alive()?;
        self.counts.begun.fetch_add(1, SeqCst);
        let end = ProgramEnd::Completed;
        let mut ran =
            Execution { end, logs: String::new(), dropped_bytes: 0, value: None, images: vec![] };
        for line in program.lines() {
            if line == "spin" {
                while on_output("").is_continue() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                ran.end = ProgramEnd::Interrupted { traceback: "KeyboardInterrupt".into() };
                return Ok(ran);
            }
            if let Some(end) = self.step(line, &mut ran) {
                ran.end = end;
                break;
            }
        }
        let _ = on_output(&ran.logs);
        Ok(ran)
    }

    fn read(&mut self, path: &SandboxPath, max_bytes: u64) -> Result<Vec<u8>> {
        self.alive()?;
        match self.files.get(path) {
            Some(bytes) if bytes.len() as u64 > max_bytes => Err(Error::invalid("it is too long")),
            Some(bytes) => Ok(bytes.clone()),
            None => Err(Error::not_found("no such file")),
        }
    }

    fn files(&mut self) -> Result<Vec<SandboxFile>> {
        let file = |(path, bytes): (&SandboxPath, &Vec<u8>)| SandboxFile {
            path: path.clone(),
            bytes: bytes.len() as u64,
        };
        Ok(self.files.iter().map(file).collect())
    }
}
