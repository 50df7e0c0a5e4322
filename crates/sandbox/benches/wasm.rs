//! What the WebAssembly sandbox costs: opening it, beginning a session, and calls in one.
//!
//! ```sh
//! DOCENT_WASM_ARTIFACT=… DOCENT_WASM_CACHE=… \
//!     cargo bench -p docent-sandbox --features wasm --bench wasm -- [ROUNDS]
//! ```
//!
//! With a folder for the cache that is not there yet, the first line is what compiling costs.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use docent_core::{ProgramEnd, Sandbox, SandboxLimits, Session};
use docent_sandbox::wasm::WasmSandbox;

fn main() {
    let rounds = std::env::args().find_map(|it| it.parse().ok()).unwrap_or(100);
    let (artifact, cache) = (folder("DOCENT_WASM_ARTIFACT"), folder("DOCENT_WASM_CACHE"));
    if !WasmSandbox::is_compiled(&cache) {
        let begun = Instant::now();
        WasmSandbox::open(&artifact, &cache).expect("a sandbox");
        println!(
            "compiled and opened in {:.1} s, at most {}",
            begun.elapsed().as_secs_f64(),
            peak()
        );
        println!("start again for the rest, which memory from compiling would spoil");
        return;
    }
    let begun = Instant::now();
    let sandbox = WasmSandbox::open(&artifact, &cache).expect("a sandbox");
    println!("opened in {:.0} ms, {}", begun.elapsed().as_secs_f64() * 1e3, resident());
    opened(&artifact, &cache);
    sessions(&sandbox, rounds);
    calls(&sandbox, rounds * 20);
    packages(&sandbox, rounds.div_ceil(10));
}

fn folder(name: &str) -> PathBuf {
    std::env::var_os(name).map(PathBuf::from).unwrap_or_else(|| panic!("{name} is not set"))
}

fn opened(artifact: &std::path::Path, cache: &std::path::Path) {
    let open = || drop(WasmSandbox::open(artifact, cache).expect("a sandbox"));
    tell("opened again", (0..5).map(|_| timed(open)).collect());
}

fn sessions(sandbox: &WasmSandbox, rounds: usize) {
    let (mut begun, mut ended) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let mut session = None;
        begun.push(timed(|| session = Some(begin(sandbox))));
        ended.push(timed(|| drop(session)));
    }
    tell("a session begun", begun);
    tell("a session ended", ended);
    let held: Vec<_> = (0..10).map(|_| begin(sandbox)).collect();
    println!("with {} sessions {}", held.len(), resident());
}

fn calls(sandbox: &WasmSandbox, rounds: usize) {
    let mut session = begin(sandbox);
    tell("a call of 1 + 1", (0..rounds).map(|_| timed(|| run(&mut *session, "1 + 1"))).collect());
}

fn packages(sandbox: &WasmSandbox, rounds: usize) {
    let (mut pandas, mut first, mut next) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let mut session = begin(sandbox);
        let chart = "import matplotlib.pyplot as plt\nplt.bar(['a', 'b'], [1, 2])";
        pandas.push(timed(|| run(&mut *session, "import pandas")));
        first.push(timed(|| run(&mut *session, chart)));
        next.push(timed(|| run(&mut *session, chart)));
        if pandas.len() == rounds {
            println!("with pandas and matplotlib in a session {}", resident());
        }
    }
    tell("import pandas", pandas);
    tell("a first bar chart", first);
    tell("another bar chart", next);
    let mut session = begin(sandbox);
    let fib = "def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)\nfib(24)";
    tell("fib(24)", (0..rounds).map(|_| timed(|| run(&mut *session, fib))).collect());
}

fn begin(sandbox: &WasmSandbox) -> Box<dyn Session> {
    sandbox.open(&SandboxLimits::default()).expect("a session")
}

fn run(session: &mut dyn Session, program: &str) {
    let execution = session.run(program, &mut |_| ControlFlow::Continue(()));
    assert_eq!(execution.expect("the session is not lost").end, ProgramEnd::Completed);
}

fn timed(act: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    act();
    begun.elapsed()
}

fn tell(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e3;
    println!("{what:20} p50 {:8.3} ms  p95 {:8.3} ms  p99 {:8.3} ms", at(50), at(95), at(99));
}

/// What this process has in memory, and of that what is not a file's.
fn resident() -> String {
    format!("{} resident, {} of it its own", status("VmRSS:"), status("RssAnon:"))
}

fn peak() -> String {
    format!("{} resident", status("VmHWM:"))
}

/// A line of what Linux says of a process.
fn status(name: &str) -> String {
    let text = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|it| it.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.map_or_else(|| "?".to_owned(), |kib| format!("{} MB", kib * 1024 / 1_000_000))
}
