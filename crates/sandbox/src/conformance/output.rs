//! What programs print, as it comes and as it stays.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use docent_core::{ProgramEnd, Sandbox, SandboxLimits};

use super::{Check, Checked, Kept, check, gives, limits, open, run, same, that};

pub(super) const CHECKS: &[Check] = &[
    check("both streams are kept in order", both_streams_in_order),
    check("output comes while the program runs", output_comes_while_it_runs),
    check("a silent program is heard of several times a second", silence_is_heard_of),
    check("output is bounded and the rest is counted", output_is_bounded),
    check("the bound is each program's", the_bound_is_each_programs),
    check("output need not be text", output_need_not_be_text),
    check("a character in two pieces is one", a_character_in_two_pieces),
];

fn both_streams_in_order(sandbox: &dyn Sandbox) -> Checked {
    let mut session = open(sandbox)?;
    let program = "\
import sys
for n in range(4):
    print(n, file=[sys.stdout, sys.stderr][n % 2])
print('no end', end='')";
    let execution = run(&mut *session, program)?;
    same("its logs", &execution.logs.as_str(), &"0\n1\n2\n3\nno end")?;
    same("what was dropped", &execution.dropped_bytes, &0)?;
    let next = run(&mut *session, "print('next')")?;
    same("the next one's logs", &next.logs.as_str(), &"next\n")
}

fn output_comes_while_it_runs(sandbox: &dyn Sandbox) -> Checked {
    let mut session = open(sandbox)?;
    let mut heard: Vec<(Instant, String)> = vec![];
    let program = "import time\nprint('one')\ntime.sleep(1.5)\nprint('two')";
    let execution = session.run(program, &mut |text| {
        if !text.is_empty() {
            heard.push((Instant::now(), text.to_owned()));
        }
        ControlFlow::Continue(())
    })?;
    let early = heard.first().is_some_and(|(at, _)| at.elapsed() > Duration::from_secs(1));
    that(early, || "'one' was not heard before the program ended".to_owned())?;
    let whole: String = heard.into_iter().map(|(_, text)| text).collect();
    same("all that was heard", &whole, &execution.logs)
}

fn silence_is_heard_of(sandbox: &dyn Sandbox) -> Checked {
    let mut session = open(sandbox)?;
    let mut times = 0;
    session.run("import time\ntime.sleep(2)", &mut |text| {
        times += u32::from(text.is_empty());
        ControlFlow::Continue(())
    })?;
    that(times >= 4, || format!("it was heard of {times} times in 2 s"))
}

fn output_is_bounded(sandbox: &dyn Sandbox) -> Checked {
    let mut session = sandbox.open(&SandboxLimits { output_bytes: 10_000, ..limits() })?;
    let mut heard = 0;
    let program = "for n in range(100_000):\n    print('销售')";
    let execution = session.run(program, &mut |text| {
        heard += text.len();
        ControlFlow::Continue(())
    })?;
    same("how it ended", &execution.end, &ProgramEnd::Completed)?;
    let kept = execution.logs.len();
    that(kept <= 10_000 && kept > 9_000, || format!("{kept} bytes are kept of 10,000"))?;
    same("what was heard", &heard, &kept)?;
    same("all bytes", &(kept as u64 + execution.dropped_bytes), &700_000)?;
    that(execution.logs.starts_with("销售\n销售\n"), || "its beginning is kept".to_owned())
}

fn the_bound_is_each_programs(sandbox: &dyn Sandbox) -> Checked {
    let mut session = sandbox.open(&SandboxLimits { output_bytes: 1_000, ..limits() })?;
    for _ in 0..3 {
        let execution = run(&mut *session, "print('x' * 1200, end='')")?;
        same("what is kept", &execution.logs.len(), &1_000)?;
        same("what is dropped", &execution.dropped_bytes, &200)?;
    }
    Ok(Kept::Yes)
}

fn output_need_not_be_text(sandbox: &dyn Sandbox) -> Checked {
    let mut session = open(sandbox)?;
    let program = "\
import sys
sys.stdout.buffer.write(bytes(range(256)) * 4)
sys.stdout.flush()
print('after')";
    let execution = run(&mut *session, program)?;
    same("how it ended", &execution.end, &ProgramEnd::Completed)?;
    that(execution.logs.contains("ABC"), || "its letters are there".to_owned())?;
    that(execution.logs.ends_with("after\n"), || "so is what came after".to_owned())?;
    gives(&mut *session, "1", "1")
}

fn a_character_in_two_pieces(sandbox: &dyn Sandbox) -> Checked {
    let mut session = open(sandbox)?;
    let program = "\
import os, time
os.write(1, b'\\xe9\\x94')
time.sleep(0.5)
os.write(1, b'\\x80')";
    let mut heard = String::new();
    let execution = session.run(program, &mut |text| {
        heard.push_str(text);
        ControlFlow::Continue(())
    })?;
    same("its logs", &execution.logs.as_str(), &"销")?;
    same("what was heard", &heard.as_str(), &"销")
}
