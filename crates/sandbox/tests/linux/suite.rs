//! Which tests there are, and as whom they are run.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use docent_sandbox::linux::{Layers, LinuxOptions, LinuxSandbox, serve_init};
use docent_sandbox::{conformance, setup};

use crate::{escapes, left};

const INIT: &str = "__sandbox";
pub(crate) const HOLD: &str = "__hold";
const AS_USER: &str = "__as-user";

/// Whom nobody is.
const NOBODY: u32 = 65534;

const TESTS: &[(&str, fn())] = &[
    ("a_sandbox_that_does_not_hold_is_refused", a_sandbox_that_does_not_hold_is_refused),
    ("it_keeps_every_promise_of_the_socket", it_keeps_every_promise_of_the_socket),
    ("it_holds_against_every_attempt", escapes::it_holds_against_every_attempt),
    (
        "each_attempt_gets_out_where_its_walls_are_gone",
        escapes::each_attempt_gets_out_where_its_walls_are_gone,
    ),
    ("each_wall_stops_its_attempts_alone", escapes::each_wall_stops_its_attempts_alone),
    ("what_is_inherited_is_seen", escapes::what_is_inherited_is_seen),
    ("it_holds_against_random_programs", escapes::it_holds_against_random_programs),
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

/// The same tests once more, by somebody without rights, who may not be able to reach this program.
fn run_as_user(filter: &str) -> ExitCode {
    let folder = tempfile::Builder::new().prefix("sandbox-test-").tempdir();
    let folder = folder.expect("a folder for everybody");
    let everybody = PermissionsExt::from_mode(0o755);
    fs_err::set_permissions(folder.path(), everybody).expect("a folder for everybody");
    let own = std::env::current_exe().expect("this program's file is known");
    let program = folder.path().join("linux");
    fs_err::copy(own, &program).expect("a copy for everybody");
    let mut command = Command::new(program);
    command.args([AS_USER, filter]).uid(NOBODY).gid(NOBODY).current_dir("/");
    // What root finds first is often in its home.
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", "/");
    // Something in the environment that no sandbox has of its own.
    command.env("DOCENT_CANARY", "the host's environment");
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

fn a_sandbox_that_does_not_hold_is_refused() {
    let weak = [
        (Layers { files: false, ..Layers::default() }, "the host's files"),
        (Layers { calls: false, ..Layers::default() }, "a socket"),
    ];
    // Among the host's files as they are, a user of the sandbox's own sees no home of root's.
    let python = PathBuf::from("/usr/bin/python3");
    for (layers, reached) in weak {
        let options = LinuxOptions { layers, python: python.clone(), ..options() };
        let refused = LinuxSandbox::open(options);
        let error = refused.expect_err("it does not hold").to_string();
        assert!(error.contains(reached), "{error}");
    }
}
