//! What a program says and what it leaves.

use docent_core::{ProgramEnd, Sandbox};

use super::{Check, Checked, Kept, Needs, check, gives, open, raises, run, same, that, value};

pub(super) const CHECKS: &[Check] = &[
    check("a sandbox says truly what it is", a_spec_is_true),
    check("a value is what Python prints", a_value_is_what_python_prints),
    check("only the last expression has a value", only_the_last_expression_has_a_value),
    check("state is kept from program to program", state_is_kept),
    check("the program is the main module", the_program_is_the_main_module),
    check("a traceback shows the program's lines alone", a_traceback_shows_the_programs_lines),
    check("what is no Python is raised and not run", what_is_no_python_is_raised),
    check("an exit ends the program and not the session", an_exit_keeps_the_session),
    check("streams that a program closed or took are there for the next", streams_are_there_again),
    check("there is nobody to ask", there_is_nobody_to_ask),
    check("endless recursion is an error", endless_recursion_is_an_error),
    check("a value that cannot be shown keeps the session", a_value_that_cannot_be_shown),
    check("programs may be asynchronous", programs_may_be_asynchronous).needing(Needs::Threads),
    check("long programs and all scripts are run", long_programs_and_all_scripts),
];

fn a_spec_is_true(sandbox: &dyn Sandbox) -> Checked {
    let spec = sandbox.spec();
    that(!spec.name.is_empty(), || "it has no name".to_owned())?;
    let mut session = open(sandbox)?;
    let language = "import platform\n'Python ' + platform.python_version()";
    gives(&mut *session, language, &format!("'{}'", spec.language))?;
    for package in &spec.packages {
        let (name, version) = package.split_once(' ').unwrap_or((package, ""));
        let program = format!("from importlib.metadata import version\nversion({name:?})");
        gives(&mut *session, &program, &format!("'{version}'"))?;
    }
    Ok(Kept::Yes)
}

fn a_value_is_what_python_prints(sandbox: &dyn Sandbox) -> Checked {
    let mut session = open(sandbox)?;
    let execution = run(&mut *session, "import math\nmath.sqrt(1234567)")?;
    same("how it ended", &execution.end, &ProgramEnd::Completed)?;
    same("its value", &execution.value.as_deref(), &Some("1111.1107055554814"))?;
    same("its logs", &execution.logs.as_str(), &"")?;
    that(execution.images.is_empty(), || "it drew nothing".to_owned())?;
    gives(&mut *session, "'it is ' + 'né'", "'it is né'")?;
    gives(&mut *session, "[1, {'a': (2.5, None)}]", "[1, {'a': (2.5, None)}]")
}

fn only_the_last_expression_has_a_value(sandbox: &dyn Sandbox) -> Checked {
    let mut session = open(sandbox)?;
    gives(&mut *session, "1\n2", "2")?;
    gives(&mut *session, "5 # the end\n\n# of it\n", "5")?;
    gives(&mut *session, "if True:\n    1\n3", "3")?;
    let silent = [
        "",
        "# nothing",
        "None",
        "x = 5",
        "x = 5\ny = x + 1",
        "for i in range(3):\n    i",
        "def f():\n    return 1",
        "print('a')",
        "del x",
    ];
    for program in silent {
        let found = value(&mut *session, program)?;
        same(&format!("the value of {program:?}"), &found, &None)?;
    }
    Ok(Kept::Yes)
}

fn state_is_kept(sandbox: &dyn Sandbox) -> Checked {
    let mut session = open(sandbox)?;
    let first =
        "import json as j\nseen = [1]\ndef add(n):\n    seen.append(n)\n    return len(seen)";
    value(&mut *session, first)?;
    gives(&mut *session, "add(2)", "2")?;
    raises(&mut *session, "add(3)\nnobody", "NameError")?;
    gives(&mut *session, "j.dumps(seen)", "'[1, 2, 3]'")
}

fn the_program_is_the_main_module(sandbox: &dyn Sandbox) -> Checked {
    let mut session = open(sandbox)?;
    gives(&mut *session, "__name__", "'__main__'")?;
    let program = "\
import pickle
from dataclasses import dataclass
@dataclass
class Sale:
    city: str
    euros: int
pickle.loads(pickle.dumps(Sale('Lyon', 3))) == Sale('Lyon', 3)";
    gives(&mut *session, program, "True")
}

fn a_traceback_shows_the_programs_lines(sandbox: &dyn Sandbox) -> Checked {
    let mut session = open(sandbox)?;
    let program = "def ratio(n):\n    return 7 / n\n\nratio(0)";
    let traceback = raises(&mut *session, program, "ZeroDivisionError")?;
    let parts = ["Traceback (most recent call last):", "line 2", "return 7 / n", "line 4"];
    for part in parts.into_iter().chain(["ZeroDivisionError: division by zero"]) {
        that(traceback.contains(part), || format!("{part:?} is not in {traceback}"))?;
    }
    let frames = traceback.matches("File \"").count();
    that(frames == 2, || format!("it has {frames} frames and not 2: {traceback}"))?;

    // A function of an earlier program shows the line it had there.
    let later = raises(&mut *session, "\n\n\nratio(0)", "ZeroDivisionError")?;
    that(later.contains("return 7 / n"), || format!("the older line is not in {later}"))?;
    let cause =
        "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise ValueError('why') from e";
    let chained = raises(&mut *session, cause, "ValueError: why")?;
    that(chained.contains("ZeroDivisionError"), || format!("the cause is not in {chained}"))
}

fn what_is_no_python_is_raised(sandbox: &dyn Sandbox) -> Checked {
    let mut session = open(sandbox)?;
    let execution = run(&mut *session, "print('run')\nx ===")?;
    same("its logs", &execution.logs.as_str(), &"")?;
    let traceback = raises(&mut *session, "print('run')\nx ===", "SyntaxError")?;
    that(traceback.contains("line 2"), || format!("the line is not in {traceback}"))?;
    raises(&mut *session, "  x = 1\n y = 2", "IndentationError")?;
    // Older versions of Python raise ValueError here.
    raises(&mut *session, "x = '\0'", "Error")?;
    raises(&mut *session, "return 1", "SyntaxError")?;
    gives(&mut *session, "1", "1")
}

fn an_exit_keeps_the_session(sandbox: &dyn Sandbox) -> Checked {
    let mut session = open(sandbox)?;
    let exits = [
        ("sys.exit()", true),
        ("sys.exit(0)", true),
        ("exit()", true),
        ("sys.exit(3)", false),
        ("raise SystemExit('over')", false),
    ];
    for (exit, is_well) in exits {
        let execution = run(&mut *session, &format!("import sys\nkept = 7\n{exit}\nkept = 8"))?;
        let ended = match execution.end {
            ProgramEnd::Completed => is_well,
            ProgramEnd::Raised { .. } => !is_well,
            _ => false,
        };
        that(ended, || format!("{exit} ended as {:?}", execution.end))?;
        gives(&mut *session, "kept", "7")?;
    }
    Ok(Kept::Yes)
}

fn streams_are_there_again(sandbox: &dyn Sandbox) -> Checked {
    let mut session = open(sandbox)?;
    let harms = [
        "import sys\nsys.stdout.close()",
        "import io, sys\nsys.stdout = io.StringIO()\nsys.stderr = None",
        "import os\nos.close(1)",
    ];
    for harm in harms {
        run(&mut *session, harm)?;
        let execution = run(&mut *session, "print('heard')")?;
        same(harm, &execution.logs.trim_end(), &"heard")?;
    }
    Ok(Kept::Yes)
}

fn there_is_nobody_to_ask(sandbox: &dyn Sandbox) -> Checked {
    let mut session = open(sandbox)?;
    raises(&mut *session, "input('name? ')", "EOFError")?;
    gives(&mut *session, "import sys\nsys.stdin.read()", "''")
}

fn endless_recursion_is_an_error(sandbox: &dyn Sandbox) -> Checked {
    let mut session = open(sandbox)?;
    raises(&mut *session, "def f():\n    return f()\nf()", "RecursionError")?;
    gives(&mut *session, "1", "1")
}

fn a_value_that_cannot_be_shown(sandbox: &dyn Sandbox) -> Checked {
    let mut session = open(sandbox)?;
    let broken = "class Broken:\n    def __repr__(self):\n        raise OSError('no')\nBroken()";
    raises(&mut *session, broken, "OSError: no")?;
    let no_text = "class Wrong:\n    def __repr__(self):\n        return 5\nWrong()";
    raises(&mut *session, no_text, "TypeError")?;
    // A half of a surrogate pair has no place in UTF-8.
    value(&mut *session, "class Half:\n    def __repr__(self):\n        return '\\ud800'\nHalf()")?;
    run(&mut *session, "raise ValueError('\\ud800')")?;
    gives(&mut *session, "1", "1")
}

// The event loop talks to itself through a pair of sockets.
fn programs_may_be_asynchronous(sandbox: &dyn Sandbox) -> Checked {
    let mut session = open(sandbox)?;
    let program = "\
import asyncio
async def add(n):
    await asyncio.sleep(0.01)
    return n + await asyncio.to_thread(sum, [n, n])
async def both():
    return await asyncio.gather(add(1), add(2))
asyncio.run(both())";
    gives(&mut *session, program, "[3, 6]")
}

fn long_programs_and_all_scripts(sandbox: &dyn Sandbox) -> Checked {
    let mut session = open(sandbox)?;
    let long = format!("text = '''{}'''\nlen(text)", "lorem 销售 ".repeat(20_000));
    gives(&mut *session, &long, &(9 * 20_000).to_string())?;
    let execution = run(&mut *session, "größe = '销售额 €'\nprint(größe)\ngröße")?;
    same("its logs", &execution.logs.as_str(), &"销售额 €\n")?;
    same("its value", &execution.value.as_deref(), &Some("'销售额 €'"))
}
