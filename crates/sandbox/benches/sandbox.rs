//! What a sandbox costs beside plain Python: beginning a session, and calls in one.
//!
//! `DOCENT_SANDBOX=… cargo bench -p docent-sandbox --bench sandbox -- [ROUNDS]`

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
mod linux {
    use std::ops::ControlFlow;
    use std::path::PathBuf;
    use std::process::{Command, ExitCode, Stdio};
    use std::time::{Duration, Instant};

    use docent_core::{Sandbox, SandboxLimits, Session};
    use docent_sandbox::linux::{LinuxOptions, LinuxSandbox, serve_init};
    use docent_sandbox::setup;

    const INIT: &str = "__sandbox";

    pub(super) fn main() -> ExitCode {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        if arguments == [INIT] {
            return serve_init();
        }
        let rounds = arguments.iter().find_map(|it| it.parse().ok()).unwrap_or(100);
        let home = std::env::var_os("DOCENT_SANDBOX").unwrap_or_default();
        let python = setup::interpreter(home.as_ref()).unwrap_or_else(found_first);
        let program = std::env::current_exe().expect("this program's file is known");
        let mut options = LinuxOptions::new(program, vec![INIT.into()]);
        options.python = python.clone();
        let sandbox = LinuxSandbox::open(options).expect("a sandbox");
        println!("{} {:?}, {rounds} rounds", sandbox.spec().language, sandbox.spec().packages);
        starts(&sandbox, &python, rounds);
        calls(&sandbox, rounds * 20);
        if sandbox.spec().packages.iter().any(|package| package.starts_with("pandas")) {
            imports(&sandbox, rounds.div_ceil(10));
        }
        ExitCode::SUCCESS
    }

    /// The interpreter itself: what is found by name is often a script that looks for it.
    fn found_first() -> PathBuf {
        let mut ask = Command::new("python3");
        let answer = ask.args(["-c", "import sys; print(sys.executable)"]).output();
        let answer = String::from_utf8(answer.expect("python runs").stdout);
        answer.expect("its path is text").trim().into()
    }

    /// One of each in turn, so that what else the machine does falls on all alike.
    fn starts(sandbox: &LinuxSandbox, python: &PathBuf, rounds: usize) {
        let (mut plain, mut opened, mut closed) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            let begun = Instant::now();
            let mut command = Command::new(python);
            command.args(["-I", "-c", "pass"]).stdin(Stdio::null());
            assert!(command.status().expect("python runs").success());
            plain.push(begun.elapsed());
            let begun = Instant::now();
            let session = sandbox.open(&SandboxLimits::default()).expect("a session");
            opened.push(begun.elapsed());
            let begun = Instant::now();
            drop(session);
            closed.push(begun.elapsed());
        }
        tell("python -I -c pass", plain);
        tell("a session begun", opened);
        tell("a session ended", closed);
    }

    fn calls(sandbox: &LinuxSandbox, rounds: usize) {
        let mut session = sandbox.open(&SandboxLimits::default()).expect("a session");
        let mut times = Vec::new();
        for _ in 0..rounds {
            let begun = Instant::now();
            run(&mut *session, "1 + 1");
            times.push(begun.elapsed());
        }
        tell("a call of 1 + 1", times);
    }

    fn imports(sandbox: &LinuxSandbox, rounds: usize) {
        let (mut pandas, mut plots) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let mut session = sandbox.open(&SandboxLimits::default()).expect("a session");
            let begun = Instant::now();
            run(&mut *session, "import pandas");
            pandas.push(begun.elapsed());
            let begun = Instant::now();
            run(&mut *session, "import matplotlib.pyplot as plt\nplt.bar(['a', 'b'], [1, 2])");
            plots.push(begun.elapsed());
        }
        tell("import pandas", pandas);
        tell("a first bar chart", plots);
    }

    fn run(session: &mut dyn Session, program: &str) {
        let execution = session.run(program, &mut |_| ControlFlow::Continue(()));
        let end = execution.expect("the session is not lost").end;
        assert_eq!(end, docent_core::ProgramEnd::Completed);
    }

    fn tell(what: &str, mut times: Vec<Duration>) {
        times.sort();
        let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e3;
        println!("{what:20} p50 {:8.3} ms  p95 {:8.3} ms  p99 {:8.3} ms", at(50), at(95), at(99));
    }
}
