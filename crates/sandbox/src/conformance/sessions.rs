//! Sessions beside one another.

use std::thread;

use docent_core::{ErrorKind, Sandbox, SandboxLimits};

use super::{
    Broken, Check, Checked, Kept, check, fails, gives, limits, open, put, run, same, value,
};

pub(super) const CHECKS: &[Check] = &[
    check("two sessions do not see each other", two_sessions_are_apart),
    check("limits are each session's", limits_are_each_sessions),
    check("a loss is one session's", a_loss_is_one_sessions),
    check("sessions run at the same time", sessions_run_at_the_same_time),
    check("a session outlives the thread that opened it", a_session_outlives_its_thread),
];

fn two_sessions_are_apart(sandbox: &dyn Sandbox) -> Checked {
    let (mut one, mut two) = (open(sandbox)?, open(sandbox)?);
    put(&mut *one, "a.txt", b"one")?;
    value(&mut *one, "import math\nmath.pi = 3\nx = 1\nopen('/tmp/t', 'w').write('one'); None")?;
    let exists = "import os\nos.path.exists('/mnt/data/a.txt') or os.path.exists('/tmp/t')";
    gives(&mut *two, exists, "False")?;
    gives(&mut *two, "'x' in globals()", "False")?;
    gives(&mut *two, "import math\nmath.pi > 3.1", "True")?;
    same("the other's files", &two.files()?, &vec![])?;
    put(&mut *two, "a.txt", b"two")?;
    gives(&mut *one, "open('/mnt/data/a.txt').read()", "'one'")?;
    drop(one);
    gives(&mut *two, "open('/mnt/data/a.txt').read()", "'two'")
}

fn limits_are_each_sessions(sandbox: &dyn Sandbox) -> Checked {
    let mut small = sandbox.open(&SandboxLimits { data_bytes: 1 << 20, ..limits() })?;
    let mut large = sandbox.open(&SandboxLimits { output_bytes: 100, ..limits() })?;
    let file = vec![1; 2 << 20];
    fails("in the small one", put(&mut *small, "f", &file), ErrorKind::Unavailable)?;
    same("in the large one", &put(&mut *large, "f", &file)?, &(2 << 20))?;
    let print = "print('x' * 200, end='')";
    same("the small one's output", &run(&mut *small, print)?.logs.len(), &200)?;
    same("the large one's output", &run(&mut *large, print)?.logs.len(), &100)
}

fn a_loss_is_one_sessions(sandbox: &dyn Sandbox) -> Checked {
    let (mut one, mut two) = (open(sandbox)?, open(sandbox)?);
    value(&mut *two, "x = 1")?;
    run(&mut *one, "import os\nos._exit(1)")?;
    fails("the lost one", run(&mut *one, "1"), ErrorKind::Conflict)?;
    gives(&mut *two, "x", "1")
}

fn sessions_run_at_the_same_time(sandbox: &dyn Sandbox) -> Checked {
    let count = |n: u32| -> Checked {
        let mut session = open(sandbox)?;
        let program = format!(
            "import time\ntotal = 0\nfor i in range(5):\n    total += {n}\n    time.sleep(0.1)"
        );
        value(&mut *session, &program)?;
        gives(&mut *session, "total", &(5 * n).to_string())
    };
    thread::scope(|scope| {
        let running: Vec<_> = (1..=4).map(|n| scope.spawn(move || count(n))).collect();
        for thread in running {
            thread.join().map_err(|_| Broken("a thread panicked".to_owned()))??;
        }
        Ok(Kept::Yes)
    })
}

// On Linux a child can be told to die with its parent, but what counts as its parent is the thread
// that made it.
fn a_session_outlives_its_thread(sandbox: &dyn Sandbox) -> Checked {
    let opened = thread::scope(|scope| scope.spawn(|| open(sandbox)).join());
    let mut session = opened.map_err(|_| Broken("the thread panicked".to_owned()))??;
    gives(&mut *session, "import time\ntime.sleep(0.5)\n1", "1")?;
    let moved = thread::spawn(move || value(&mut *session, "2").map(|found| (session, found)));
    let (mut session, found) =
        moved.join().map_err(|_| Broken("the thread panicked".to_owned()))??;
    same("from another thread", &found.as_deref(), &Some("2"))?;
    gives(&mut *session, "3", "3")
}
