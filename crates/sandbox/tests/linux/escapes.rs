//! Programs that try to get out: behind all walls, where all that should stop one is gone, and
//! where all but one of those are.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::process::{Command, Stdio};
use std::time::Instant;

use docent_core::{
    Error, Execution, ProgramEnd, Result, Sandbox, SandboxFile, SandboxLimits, SandboxPath,
    SandboxSpec, Session,
};
use docent_sandbox::escape::{self, Attempt, Finding, Fuzz, Host, Layer, Outcome};
use docent_sandbox::linux::{Layers, LinuxOptions, LinuxSandbox};

use crate::suite::{options, sandbox};

pub(crate) fn it_holds_against_every_attempt() {
    let mut host = Host::new().expect("a host can be set up");
    let sandbox = sandbox();
    let findings: Vec<Finding> = attempts().map(|it| make(&sandbox, &mut host, &it)).collect();
    escape::assert_held(&findings);
}

/// Those that are asked for, or all.
fn attempts() -> impl Iterator<Item = Attempt> {
    let filter = std::env::var("DOCENT_TEST_ATTEMPTS").unwrap_or_default();
    escape::attempts().into_iter().filter(move |attempt| attempt.name.contains(&*filter))
}

fn make(sandbox: &LinuxSandbox, host: &mut Host, attempt: &Attempt) -> Finding {
    let begun = Instant::now();
    let finding = escape::one(sandbox, host, attempt);
    eprintln!("{:5.1} s {finding}", begun.elapsed().as_secs_f64());
    finding
}

/// What stops an attempt is what is said to stop it: without all of that it gets through.
///
/// An ordinary user tries; root does only where being nobody is itself a wall, and where a program
/// that nothing holds puts back what it changes.
pub(crate) fn each_attempt_gets_out_where_its_walls_are_gone() {
    let mut host = Host::new().expect("a host can be set up");
    let mut held = vec![];
    for attempt in attempts().filter(is_shown) {
        let Some(layers) = without(attempt.layers) else { continue };
        let finding = make(&behind(layers), &mut host, &attempt);
        if finding.outcome != Outcome::Escaped {
            held.push(format!("\n  {finding}"));
        }
    }
    assert!(held.is_empty(), "still stopped: {}", held.concat());
}

/// Any wall that is said to stop an attempt is enough: it stops it where the others are gone.
pub(crate) fn each_wall_stops_its_attempts_alone() {
    let mut host = Host::new().expect("a host can be set up");
    let mut escaped = vec![];
    for attempt in attempts().filter(is_shown) {
        for last in attempt.layers {
            let others: Vec<Layer> =
                attempt.layers.iter().copied().filter(|layer| layer != last).collect();
            let Some(layers) = without(&others).filter(|_| without(&[*last]).is_some()) else {
                continue;
            };
            let finding = make(&behind(layers), &mut host, &attempt);
            // An interpreter in the home of a root is nothing that another user can begin.
            let is_built = !finding.notes.iter().any(|note| note.starts_with("no session"));
            if finding.outcome != Outcome::Refused && is_built {
                escaped.push(format!("\n  {last} alone: {finding}"));
            }
        }
    }
    assert!(escaped.is_empty(), "not stopped: {}", escaped.concat());
}

fn behind(layers: Layers) -> LinuxSandbox {
    let options = LinuxOptions { layers, ..options() };
    LinuxSandbox::untried(options).expect("there is an interpreter")
}

fn is_shown(attempt: &Attempt) -> bool {
    let needs_root = attempt.layers.contains(&Layer::Uid) && attempt.name.starts_with("files/");
    needs_root == rustix::process::geteuid().is_root()
        && NOT_SHOWN.iter().all(|(name, _)| *name != attempt.name)
}

/// What gets out only where there is somewhere to go.
const NOT_SHOWN: &[(&str, &str)] = &[("network/world", "a machine may have no way to the world")];

/// The walls but for these; none if one of these cannot be taken away.
fn without(gone: &[Layer]) -> Option<Layers> {
    let mut left = Layers::default();
    for layer in gone {
        match layer {
            Layer::MountNamespace => left.files = false,
            Layer::PidNamespace => left.processes = false,
            Layer::NetNamespace => left.network = false,
            Layer::IpcNamespace => left.messages = false,
            Layer::UtsNamespace => left.hostname = false,
            Layer::Landlock => left.landlock = false,
            Layer::Seccomp => left.calls = false,
            Layer::Rlimits => left.limits = false,
            Layer::Quota => left.quotas = false,
            Layer::Memory => left.memory = false,
            Layer::Capabilities => left.capabilities = false,
            Layer::Uid => left.throw_away_user = false,
            _ => return None,
        }
    }
    Some(left)
}

pub(crate) fn it_holds_against_random_programs() {
    let mut host = Host::new().expect("a host can be set up");
    escape::assert_held(&escape::fuzz(&sandbox(), &mut host, Fuzz::default()));
}

/// An interpreter that inherits all that this process has. Only what looks about is run in it.
#[derive(Debug)]
struct Bare(SandboxSpec);

impl Sandbox for Bare {
    fn spec(&self) -> &SandboxSpec {
        &self.0
    }

    fn open(&self, _limits: &SandboxLimits) -> Result<Box<dyn Session>> {
        Ok(Box::new(BareSession(String::new())))
    }
}

/// All programs so far: each run begins with them.
#[derive(Debug)]
struct BareSession(String);

impl Session for BareSession {
    fn run(
        &mut self,
        program: &str,
        _on_output: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Execution> {
        self.0 += program;
        self.0 += "\n";
        let mut python = Command::new("python3");
        let piped = python.arg("-").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.spawn()?;
        child.stdin.take().expect("it is piped").write_all(self.0.as_bytes())?;
        let output = child.wait_with_output()?;
        let logs = String::from_utf8_lossy(&output.stdout).into_owned();
        let (end, value) = (ProgramEnd::Completed, Some("42".to_owned()));
        Ok(Execution { end, logs, dropped_bytes: 0, value, images: vec![] })
    }

    fn put(&mut self, _path: &SandboxPath, _bytes: &mut dyn io::Read) -> Result<u64> {
        Ok(0)
    }

    fn read(&mut self, path: &SandboxPath, _max_bytes: u64) -> Result<Vec<u8>> {
        Err(Error::not_found(path.to_string()))
    }

    fn files(&mut self) -> Result<Vec<SandboxFile>> {
        Ok(vec![])
    }
}

/// Nobody can take away that the sandbox passes nothing on, so it is something else that does.
pub(crate) fn what_is_inherited_is_seen() {
    let spec = SandboxSpec { name: "bare".into(), language: "Python".into(), packages: vec![] };
    let mut host = Host::new().expect("a host can be set up");
    for name in ["leaks/environment", "leaks/descriptors", "leaks/names"] {
        let findings = escape::only(&Bare(spec.clone()), &mut host, name);
        let outcomes: Vec<Outcome> = findings.iter().map(|finding| finding.outcome).collect();
        assert_eq!(outcomes, [Outcome::Escaped], "{findings:?}");
    }
}
