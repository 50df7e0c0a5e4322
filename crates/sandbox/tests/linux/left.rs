//! What is left of sessions when they are gone: nothing.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use docent_core::{ProgramEnd, Sandbox, SandboxLimits, Session};

use crate::suite::{HOLD, sandbox};

/// What sessions may leave: each line is a thing of the machine's.
fn machine() -> BTreeSet<String> {
    let mut things = BTreeSet::new();
    let text = |path: &str| fs_err::read_to_string(path).unwrap_or_default();
    things.extend(text("/proc/self/mountinfo").lines().map(|line| format!("mount {line}")));
    things.extend(descendants(std::process::id()).map(|pid| format!("process {pid}")));
    for folder in ["/proc/self/fd", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/unified", "/tmp"] {
        // Other tests have files in `/tmp` as well.
        let ours =
            |name: &str| !folder.contains("cgroup") && folder != "/tmp" || name.contains("docent-");
        let names = names(folder).into_iter().filter(|name| ours(name));
        things.extend(names.map(|name| format!("file {folder}/{name}")));
    }
    things
}

fn names(folder: &str) -> Vec<String> {
    let entries = fs_err::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Every process that `ancestor` began, and what those began: the parents of each are asked.
fn descendants(ancestor: u32) -> impl Iterator<Item = u32> {
    let pids = names("/proc").into_iter().filter_map(|name| name.parse().ok());
    pids.filter(move |pid| *pid != ancestor && is_descendant(*pid, ancestor))
}

fn is_descendant(pid: u32, ancestor: u32) -> bool {
    match parent(pid) {
        None | Some(0) => false,
        Some(parent) => parent == ancestor || is_descendant(parent, ancestor),
    }
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may hold anything.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn run(session: &mut dyn Session, program: &str) -> ProgramEnd {
    session.run(program, &mut |_| ControlFlow::Continue(())).expect("the session is not lost").end
}

/// Something that goes on when its program is over.
const DAEMON: &str = "
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(1000)
    os._exit(0)
os.wait()
open('/mnt/data/left', 'w').write('x' * 100_000)
open('/tmp/left', 'w').write('x' * 100_000)
";

pub(crate) fn nothing_is_left_of_many_sessions() {
    let before = machine();
    many_sessions();
    assert_eq!(machine(), before);
}

fn many_sessions() {
    let sandbox = sandbox();
    let limits = SandboxLimits { grace: Duration::from_millis(100), ..SandboxLimits::default() };
    let count = std::env::var("DOCENT_SANDBOX_SESSIONS").map_or(100, |it| it.parse().unwrap());
    for number in 0..count {
        let mut session = sandbox.open(&limits).expect("a session is opened");
        match number % 5 {
            0 => assert_eq!(run(&mut *session, DAEMON), ProgramEnd::Completed),
            1 => {
                let end = run(&mut *session, "import os\nos.kill(os.getpid(), 9)");
                assert!(matches!(end, ProgramEnd::Lost(_)), "{end:?}");
            }
            2 => kill_one_inside(number),
            3 => kill_while_it_runs(&mut *session),
            _ => {}
        }
    }
}

/// The builder, the warden or the interpreter.
fn kill_one_inside(number: u32) {
    let inside: Vec<u32> = descendants(std::process::id()).collect();
    assert_eq!(inside.len(), 3, "a builder, a warden and an interpreter");
    let victim = inside[number as usize / 5 % 3];
    let victim = rustix::process::Pid::from_raw(victim.cast_signed()).unwrap();
    rustix::process::kill_process(victim, rustix::process::Signal::KILL).unwrap();
}

fn kill_while_it_runs(session: &mut dyn Session) {
    let program = "
import signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
print('begun', flush=True)
while True: pass";
    let mut stop = |text: &str| match text.contains("begun") {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    };
    let end = session.run(program, &mut stop).expect("the session is not lost").end;
    assert!(matches!(end, ProgramEnd::Lost(_)), "{end:?}");
}

/// A host with sessions at work, until it is killed.
pub(crate) fn hold() -> ExitCode {
    let sandbox = sandbox();
    let mut sessions: Vec<_> =
        (0..3).map(|_| sandbox.open(&SandboxLimits::default()).unwrap()).collect();
    for session in &mut sessions {
        assert_eq!(run(&mut **session, DAEMON), ProgramEnd::Completed);
    }
    std::io::stdout().write_all(b"ready\n").unwrap();
    run(&mut *sessions[0], "while True: pass");
    ExitCode::FAILURE
}

pub(crate) fn nothing_outlives_a_killed_host() {
    let program = std::env::current_exe().unwrap();
    let mut host = Command::new(program).arg(HOLD).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(host.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    let inside: Vec<u32> = descendants(host.id()).collect();
    assert!(inside.len() >= 12, "three sessions of at least four processes: {inside:?}");
    host.kill().unwrap();
    host.wait().unwrap();
    let patience = Instant::now() + Duration::from_secs(10);
    let alive = |pid: &u32| Path::new("/proc").join(pid.to_string()).exists();
    while inside.iter().any(alive) {
        assert!(Instant::now() < patience, "alive after their host: {inside:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    // A host that cannot tidy up leaves its control groups to the next.
    let before = format!("docent-{}-", host.id());
    let _next = sandbox();
    let left = machine().into_iter().filter(|thing| thing.contains(&before)).collect::<Vec<_>>();
    assert!(left.is_empty(), "{left:?}");
}
