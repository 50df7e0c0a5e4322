//! Which tests there are, and as whom they are run.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use docent_sandbox::escape::{self, Attempt, Finding, Fuzz, Host, Layer, Outcome};
use docent_sandbox::linux::{Layers, LinuxOptions, LinuxSandbox, serve_init};
use docent_sandbox::{conformance, setup};

use crate::left;

const INIT: &str = "__sandbox";
pub(crate) const HOLD: &str = "__hold";
const AS_USER: &str = "__as-user";

/// Whom nobody is.
const NOBODY: u32 = 65534;

const TESTS: &[(&str, fn())] = &[
    ("it_keeps_every_promise_of_the_socket", it_keeps_every_promise_of_the_socket),
    ("it_holds_against_every_attempt", it_holds_against_every_attempt),
    (
        "each_attempt_gets_out_where_its_walls_are_gone",
        each_attempt_gets_out_where_its_walls_are_gone,
    ),
    ("each_wall_stops_its_attempts_alone", each_wall_stops_its_attempts_alone),
    ("it_holds_against_random_programs", it_holds_against_random_programs),
    ("nothing_is_left_of_many_sessions", left::nothing_is_left_of_many_sessions),
    ("nothing_outlives_a_killed_host", left::nothing_outlives_a_killed_host),
];

pub(crate) fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let filter = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [INIT] => return serve_init(),
        [HOLD] => return left::hold(),
        [AS_USER, filter] => {
            run(filter, "an ordinary user");
            return ExitCode::SUCCESS;
        }
        [filter, ..] if !filter.starts_with('-') => filter,
        _ => "",
    };
    if !rustix::process::geteuid().is_root() {
        run(filter, "an ordinary user");
        return ExitCode::SUCCESS;
    }
    run(filter, "root");
    run_as_user(filter)
}

fn run(filter: &str, whom: &str) {
    for (name, test) in TESTS.iter().filter(|(name, _)| name.contains(filter)) {
        let begun = Instant::now();
        test();
        eprintln!("test {name} as {whom} ... ok ({:.1?})", begun.elapsed());
    }
}

/// The same tests once more, by somebody without rights.
fn run_as_user(filter: &str) -> ExitCode {
    let program = std::env::current_exe().expect("this program's file is known");
    let mut command = Command::new(program);
    command.args([AS_USER, filter]).uid(NOBODY).gid(NOBODY).current_dir("/");
    // What root finds first is often in its home.
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", "/");
    let status = command.status().expect("the tests can be begun as an ordinary user");
    if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

pub(crate) fn options() -> LinuxOptions {
    let program = std::env::current_exe().expect("this program's file is known");
    let mut options = LinuxOptions::new(program, vec![INIT.into()]);
    if let Some(python) = environment() {
        options.python = python;
    }
    options
}

/// The environment of packages, where a setup made one that this user can read.
fn environment() -> Option<PathBuf> {
    let home = std::env::var_os("DOCENT_SANDBOX")?;
    let python = setup::interpreter(home.as_ref());
    let answers = |python: &PathBuf| {
        let answer = Command::new(python).args(["-I", "-c", ""]).status();
        answer.is_ok_and(|status| status.success())
    };
    let python = python.filter(answers);
    let is_required = std::env::var("DOCENT_TEST_SANDBOX").is_ok_and(|it| it == "required");
    let is_root = rustix::process::geteuid().is_root();
    assert!(python.is_some() || !is_required || !is_root, "run \"docent sandbox setup\" first");
    python
}

pub(crate) fn sandbox() -> LinuxSandbox {
    LinuxSandbox::open(options()).expect("this machine can build a sandbox")
}

fn it_keeps_every_promise_of_the_socket() {
    for skipped in conformance::all(&sandbox()) {
        eprintln!("not checked: {} ({})", skipped.claim, skipped.reason);
    }
}

fn it_holds_against_every_attempt() {
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
fn each_attempt_gets_out_where_its_walls_are_gone() {
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
fn each_wall_stops_its_attempts_alone() {
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

fn it_holds_against_random_programs() {
    let mut host = Host::new().expect("a host can be set up");
    escape::assert_held(&escape::fuzz(&sandbox(), &mut host, Fuzz::default()));
}
