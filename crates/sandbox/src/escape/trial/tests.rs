//! The judge, before whom stand sandboxes that do not hold.

use std::io::Read;
use std::process::Command;

use docent_core::{Error, SandboxFile, SandboxSpec, SessionLoss};

use super::super::Layer;
use super::*;

/// A sandbox whose programs do what a test says.
#[derive(Debug)]
struct Fake {
    spec: SandboxSpec,
    /// What running the attempt gives. The prelude and what comes after go well.
    run: fn() -> Result<Execution>,
    read: fn() -> Result<Vec<u8>>,
}

impl Fake {
    fn new(run: fn() -> Result<Execution>) -> Self {
        let spec = SandboxSpec { name: "fake".into(), language: "none".into(), packages: vec![] };
        Self { spec, run, read: || Err(Error::not_found("no file")) }
    }
}

impl Sandbox for Fake {
    fn spec(&self) -> &SandboxSpec {
        &self.spec
    }

    fn open(&self, _limits: &SandboxLimits) -> Result<Box<dyn Session>> {
        Ok(Box::new(FakeSession { run: self.run, read: self.read, is_lost: false }))
    }
}

#[derive(Debug)]
struct FakeSession {
    run: fn() -> Result<Execution>,
    read: fn() -> Result<Vec<u8>>,
    is_lost: bool,
}

impl Session for FakeSession {
    fn put(&mut self, _path: &SandboxPath, _bytes: &mut dyn Read) -> Result<u64> {
        Ok(0)
    }

    fn run(
        &mut self,
        program: &str,
        _on_output: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Execution> {
        if self.is_lost {
            return Err(Error::conflict("lost"));
        }
        if program != "the attempt" {
            return Ok(Execution { value: Some("42".into()), ..said("") });
        }
        let execution = (self.run)()?;
        self.is_lost = matches!(execution.end, ProgramEnd::Lost(_));
        Ok(execution)
    }

    fn read(&mut self, _path: &SandboxPath, _max_bytes: u64) -> Result<Vec<u8>> {
        (self.read)()
    }

    fn files(&mut self) -> Result<Vec<SandboxFile>> {
        Ok(vec![])
    }
}

fn said(logs: &str) -> Execution {
    Execution {
        end: ProgramEnd::Completed,
        logs: logs.to_owned(),
        dropped_bytes: 0,
        value: None,
        images: vec![],
    }
}

fn ended(end: ProgramEnd) -> Result<Execution> {
    Ok(Execution { end, ..said("") })
}

fn raised_by(last: &str) -> Result<Execution> {
    ended(ProgramEnd::Raised { traceback: format!("Traceback:\n{last}\n") })
}

fn attempt(ends: Ends) -> Attempt {
    Attempt {
        name: "test/fake".into(),
        tries: "nothing".into(),
        layers: &[Layer::Protocol],
        program: "the attempt".into(),
        ends,
        crossing: &["file"],
        times: 1,
        time: Duration::from_millis(100),
    }
}

fn judged_all(fake: &Fake, ends: Ends) -> Finding {
    let mut host = Host::new().unwrap();
    judge(fake, &mut host, &attempt(ends))
}

fn judged(run: fn() -> Result<Execution>, ends: Ends) -> Outcome {
    judged_all(&Fake::new(run), ends).outcome
}

#[test]
fn what_a_program_says_is_heard() {
    let refused = || Ok(said("\ndocent\trefused\ta file\tEPERM\n"));
    assert_eq!(judged(refused, Ends::Well), Outcome::Refused);
    let absent = || Ok(said("\ndocent\tabsent\tfork\t\n"));
    assert_eq!(judged(absent, Ends::Well), Outcome::Absent);
    let through = || Ok(said("docent\trefused\ta\t\ndocent\tthrough\tb\tread\n"));
    assert_eq!(judged(through, Ends::Well), Outcome::Escaped);
}

#[test]
fn a_broken_attempt_is_no_proof() {
    assert_eq!(judged(|| Ok(said("")), Ends::Well), Outcome::Unclear);
    assert_eq!(judged(|| Ok(said("")), Ends::Stopped), Outcome::Unclear);
    assert_eq!(judged(|| raised_by("NameError: x"), Ends::Somehow), Outcome::Unclear);
    assert_eq!(judged(|| raised_by("TypeError: x"), Ends::Well), Outcome::Unclear);
    assert_eq!(judged(|| raised_by("ImportError: x"), Ends::Well), Outcome::Absent);
    let lost = || ended(ProgramEnd::Lost(SessionLoss::Killed));
    assert_eq!(judged(lost, Ends::Well), Outcome::Escaped);
    assert_eq!(judged(lost, Ends::Stopped), Outcome::Refused);
}

#[test]
fn a_call_that_takes_too_long_is_a_breach() {
    let late = || {
        thread::sleep(Duration::from_secs(3));
        Ok(said("docent\trefused\ta\t"))
    };
    let finding = judged_all(&Fake::new(late), Ends::Somehow);
    assert_eq!(finding.outcome, Outcome::Escaped, "{finding}");
    assert!(finding.notes[0].contains("does not return"), "{finding}");
}

#[test]
fn results_without_bounds_are_a_breach() {
    let logs = || Ok(said(&"x".repeat(limits().output_bytes + 1)));
    assert_eq!(judged(logs, Ends::Somehow), Outcome::Escaped);
    let value = || Ok(Execution { value: Some("x".repeat(RESULT_BYTES + 1)), ..said("") });
    assert_eq!(judged(value, Ends::Somehow), Outcome::Escaped);
    let images = || Ok(Execution { images: vec![vec![0; RESULT_BYTES / 2 + 1]; 2], ..said("") });
    assert_eq!(judged(images, Ends::Somehow), Outcome::Escaped);
}

#[test]
fn an_error_or_a_panic_of_the_host_is_a_breach() {
    assert_eq!(judged(|| Err(Error::internal("a fault")), Ends::Somehow), Outcome::Escaped);
    assert_eq!(judged(|| panic!("the host falls"), Ends::Somehow), Outcome::Escaped);
}

#[test]
fn a_file_of_the_hosts_that_comes_out_is_a_breach() {
    let run = || Ok(said("docent\trefused\ta\t"));
    let fake = Fake { read: || Ok(fs_err::read("/etc/passwd")?), ..Fake::new(run) };
    assert_eq!(judged_all(&fake, Ends::Well).outcome, Outcome::Escaped);
    let fake = Fake { read: || Ok(b"its own".to_vec()), ..Fake::new(run) };
    assert_eq!(judged_all(&fake, Ends::Well).outcome, Outcome::Refused);
}

#[cfg(target_os = "linux")]
#[test]
fn a_process_that_is_left_is_a_breach() {
    let run = || {
        let sleep = Command::new("sleep").arg("30").spawn()?;
        // Nobody waits for it, nor ends it.
        std::mem::forget(sleep);
        Ok(said("docent\trefused\ta\t"))
    };
    let finding = judged_all(&Fake::new(run), Ends::Well);
    assert_eq!(finding.outcome, Outcome::Escaped, "{finding}");
    assert!(finding.notes[0].contains("sleep 30"), "{finding}");
}
