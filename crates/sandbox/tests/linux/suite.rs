//! Which tests there are, and as whom they are run.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use docent_sandbox::escape::{self, Fuzz, Host, Outcome};
use docent_sandbox::linux::{LinuxOptions, LinuxSandbox, serve_init};
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
    let filter = std::env::var("DOCENT_TEST_ATTEMPTS").unwrap_or_default();
    let mut host = Host::new().expect("a host can be set up");
    let sandbox = sandbox();
    let chosen = escape::attempts().into_iter().filter(|attempt| attempt.name.contains(&*filter));
    let mut findings = vec![];
    for attempt in chosen {
        let begun = Instant::now();
        let finding = escape::one(&sandbox, &mut host, &attempt);
        eprintln!("{:5.1} s {finding}", begun.elapsed().as_secs_f64());
        findings.push(finding);
    }
    escape::assert_held(&findings);
    let absent: Vec<&str> = findings
        .iter()
        .filter(|finding| finding.outcome == Outcome::Absent)
        .map(|finding| &*finding.attempt)
        .collect();
    eprintln!("absent: {absent:?}");
}

fn it_holds_against_random_programs() {
    let mut host = Host::new().expect("a host can be set up");
    escape::assert_held(&escape::fuzz(&sandbox(), &mut host, Fuzz::default()));
}
