//! How programs end when they do not end by themselves.

use std::ops::ControlFlow;
use std::time::Duration;

use docent_core::{ErrorKind, Execution, ProgramEnd, Sandbox, SandboxLimits, Session, SessionLoss};

use super::{
    Broken, Check, Checked, Kept, Needs, check, fails, gives, limits, path, put, run, same, that,
    value, within,
};

pub(super) const CHECKS: &[Check] = &[
    check("a program is interrupted when its time is over", time_interrupts)
        .needing(Needs::Interruption),
    check("a caller interrupts, and variables are kept", a_caller_interrupts)
        .needing(Needs::Interruption),
    check("an interruption is for one program", an_interruption_is_for_one_program)
        .needing(Needs::Interruption),
    check("a program that does not stop is killed", what_does_not_stop_is_killed),
    check("an interpreter that ends is a loss", an_interpreter_that_ends),
    check("memory is bounded", memory_is_bounded),
    check("a sleeping thread holds nothing up", a_sleeping_thread_holds_nothing_up)
        .needing(Needs::Threads),
];

/// Limits under which a program has a second.
fn one_second() -> SandboxLimits {
    let second = Duration::from_secs(1);
    SandboxLimits { time: second, grace: second, ..limits() }
}

/// Runs a program that cannot end, in a session of one second.
fn stopped(session: &mut dyn Session, program: &str) -> Checked<Execution> {
    let bound = one_second();
    Ok(within(bound.time + bound.grace, || run(session, program))??)
}

fn interrupted(execution: &Execution) -> Checked<&str> {
    match &execution.end {
        ProgramEnd::Interrupted { traceback } => Ok(traceback),
        end => Err(Broken(format!("it must be interrupted, not {end:?}"))),
    }
}

/// That a session is lost: no call does anything any more.
fn is_lost(session: &mut dyn Session) -> Checked {
    fails("a program", run(session, "1"), ErrorKind::Conflict)?;
    fails("a put", put(session, "a", b"1"), ErrorKind::Conflict)?;
    fails("a read", session.read(&path("a"), 10), ErrorKind::Conflict)?;
    fails("a list", session.files(), ErrorKind::Conflict)
}

fn time_interrupts(sandbox: &dyn Sandbox) -> Checked {
    let mut session = sandbox.open(&one_second())?;
    let execution = stopped(&mut *session, "n = 0\nprint('on')\nwhile True:\n    n += 1")?;
    let traceback = interrupted(&execution)?;
    that(traceback.contains("n += 1") || traceback.contains("while True"), || {
        format!("where it was is not in {traceback}")
    })?;
    same("its logs", &execution.logs.as_str(), &"on\n")?;
    gives(&mut *session, "n > 0", "True")?;
    interrupted(&stopped(&mut *session, "import time\ntime.sleep(100)")?)?;
    gives(&mut *session, "n > 0", "True")
}

fn a_caller_interrupts(sandbox: &dyn Sandbox) -> Checked {
    let mut session = sandbox.open(&limits())?;
    for on_silence in [false, true] {
        let program = "seen = 1\nprint('on')\nimport time\ntime.sleep(25)";
        let execution = within(limits().grace, || {
            session.run(program, &mut |text| {
                let now = text.is_empty() == on_silence;
                if now { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
        })??;
        interrupted(&execution)?;
        gives(&mut *session, "seen", "1")?;
    }
    Ok(Kept::Yes)
}

fn an_interruption_is_for_one_program(sandbox: &dyn Sandbox) -> Checked {
    let mut session = sandbox.open(&limits())?;
    // This one is over as soon as it is interrupted, or before.
    for _ in 0..10 {
        let execution = session.run("print('over')", &mut |_| ControlFlow::Break(()))?;
        let over = matches!(execution.end, ProgramEnd::Completed | ProgramEnd::Interrupted { .. });
        that(over, || format!("it ended as {:?}", execution.end))?;
        gives(&mut *session, "import time\ntime.sleep(0.05)\n7", "7")?;
    }
    Ok(Kept::Yes)
}

fn what_does_not_stop_is_killed(sandbox: &dyn Sandbox) -> Checked {
    let deaf = "\
try:
    import signal
    signal.signal(signal.SIGINT, signal.SIG_IGN)
except Exception:
    pass
while True:
    try:
        while True:
            pass
    except BaseException:
        pass";
    let mut session = sandbox.open(&one_second())?;
    put(&mut *session, "a", b"1")?;
    let execution = stopped(&mut *session, deaf)?;
    same("how it ended", &execution.end, &ProgramEnd::Lost(SessionLoss::Killed))?;
    is_lost(&mut *session)?;
    let mut next = sandbox.open(&limits())?;
    same("a new session's files", &next.files()?, &vec![])?;
    gives(&mut *next, "1", "1")
}

fn an_interpreter_that_ends(sandbox: &dyn Sandbox) -> Checked {
    let mut session = sandbox.open(&limits())?;
    let execution = run(&mut *session, "import os\nprint('last words', flush=True)\nos._exit(3)")?;
    let crashed = matches!(execution.end, ProgramEnd::Lost(SessionLoss::Crashed(_)));
    that(crashed, || format!("it ended as {:?}", execution.end))?;
    same("its logs", &execution.logs.as_str(), &"last words\n")?;
    is_lost(&mut *session)
}

fn memory_is_bounded(sandbox: &dyn Sandbox) -> Checked {
    let mut session = sandbox.open(&SandboxLimits { memory_bytes: 256 << 20, ..limits() })?;
    value(&mut *session, "kept = bytearray(50 << 20); None")?;
    let execution =
        run(&mut *session, "more = []\nfor _ in range(100):\n    more.append(b'x' * (20 << 20))")?;
    match &execution.end {
        ProgramEnd::Lost(SessionLoss::OutOfMemory) => is_lost(&mut *session),
        ProgramEnd::Raised { traceback } if traceback.contains("MemoryError") => {
            gives(&mut *session, "del more\nlen(kept)", &(50 << 20).to_string())
        }
        end => Err(Broken(format!("2 GB in 256 MB ended as {end:?}"))),
    }
}

fn a_sleeping_thread_holds_nothing_up(sandbox: &dyn Sandbox) -> Checked {
    let mut session = sandbox.open(&limits())?;
    let program = "\
import threading, time
sleeper = threading.Thread(target=time.sleep, args=(600,))
sleeper.start()
sleeper.is_alive()";
    within(Duration::from_secs(1), || gives(&mut *session, program, "True"))??;
    gives(&mut *session, "sleeper.is_alive()", "True")?;
    within(Duration::from_secs(1), || drop(session))?;
    Ok(Kept::Yes)
}
