//! OpenAI's own clients, unmodified, against a real `docent serve`.
//!
//! The stories are in `tests/sdk`, in the clients' languages. Each client is installed once, in
//! `target/sdk`. A machine without a package index, or without Node, does not run its stories and
//! says so; with `DOCENT_TEST_SDK=required`, as `.ci/run` has it, that is a failure.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use fs_err as fs;

const NEWEST: &str = "3.54.0";

/// What the stories need beside the client.
const TOOLS: [&str; 3] = ["jsonschema==4.26.0", "pyyaml==6.0.3", "python-dotenv==1.2.2"];

/// Node 20 runs no newer one: 7.0 asks for Node 22.
const NODE_CLIENT: &str = "openai@6.49.0";

const CHAT_WEIGHTS: &str = "SmolLM2-135M-Instruct";
const EMBEDDER_WEIGHTS: &str = "multilingual-e5-small-q4";

#[test]
fn the_newest_client_tells_its_story() {
    python(NEWEST, "story.py", &[]);
}

#[test]
fn the_newest_client_runs_every_cell_of_the_tutorial() {
    python_with_programs(NEWEST, "lesson.py");
}

#[test]
fn the_newest_client_chats_without_threads() {
    python(NEWEST, "chat.py", &[]);
}

#[test]
fn a_client_of_the_tutorials_time_chats_without_threads() {
    python("1.30.5", "chat.py", &[]);
}

#[test]
fn the_last_client_with_beta_vector_stores_tells_its_story() {
    python("1.65.5", "story.py", &[]);
}

#[test]
fn the_last_client_with_beta_vector_stores_runs_every_cell_of_the_tutorial() {
    python_with_programs("1.65.5", "lesson.py");
}

#[test]
fn the_newest_client_has_programs_run() {
    python_with_programs(NEWEST, "programs.py");
}

#[test]
fn a_client_of_the_tutorials_time_has_programs_run() {
    python_with_programs("1.30.5", "programs.py");
}

#[test]
fn a_client_of_the_tutorials_time_tells_its_story() {
    python("1.30.5", "story.py", &[]);
}

#[test]
fn a_client_of_the_tutorials_time_runs_every_cell_of_the_tutorial() {
    python_with_programs("1.30.5", "lesson.py");
}

#[test]
fn the_node_client_tells_its_story() {
    let Some(installed) = node_client() else { return };
    python(NEWEST, "node.py", &[&installed]);
}

#[test]
fn models_on_this_machine_answer_the_newest_client() {
    let Some(chat) = weights(CHAT_WEIGHTS, "gguf") else { return };
    let Some(_) = weights(EMBEDDER_WEIGHTS, "bin") else { return };
    python(NEWEST, "local.py", &[&chat]);
}

/// Few examples, so that it stays in the gate: `docs/conformance.md` tells of a long run.
#[test]
fn schemathesis_finds_nothing_in_a_short_run() {
    let packages = [&["schemathesis==4.32.5"], &TOOLS[..]].concat();
    let Some(installed) = install("schemathesis", &packages, pip) else { return };
    run(&installed, "fuzz.py", &["--max-examples".as_ref(), "4".as_ref()]);
}

/// Runs one of the scripts with a client's version.
#[track_caller]
fn python(version: &str, script: &str, more: &[&Path]) {
    let Some(installed) = python_client(version) else { return };
    run(&installed, script, more);
}

/// Runs one of the scripts whose models write programs.
#[track_caller]
fn python_with_programs(version: &str, script: &str) {
    if packages_for_programs().is_some() {
        python(version, script, &[]);
    }
}

/// Where programs have their packages, which are put there unless they are there.
fn sandbox_home() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    std::env::var_os("DOCENT_SANDBOX").map_or_else(|| target.join("sandbox"), PathBuf::from)
}

/// Nothing if this machine cannot run programs behind walls.
fn packages_for_programs() -> Option<()> {
    static MAKING: Mutex<()> = Mutex::new(());
    let _guard = MAKING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let mut setup = Command::new(env!("CARGO_BIN_EXE_docent"));
    let output = setup.args(["sandbox", "setup"]).env("DOCENT_SANDBOX", sandbox_home()).output();
    let output = output.unwrap();
    if output.status.success() {
        return Some(());
    }
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    let required = std::env::var("DOCENT_TEST_SANDBOX").is_ok_and(|value| value == "required");
    assert!(!required, "programs cannot be run: {why}");
    say(&format!("programs cannot be run, so their story is not told: {why}"));
    None
}

/// Runs one of the scripts; what it asserts must hold.
#[track_caller]
fn run(installed: &Path, script: &str, more: &[&Path]) {
    let mut command = Command::new("python3");
    command
        .arg(stories().join(script))
        .arg(env!("CARGO_BIN_EXE_docent"))
        .args(more)
        .env("PYTHONPATH", installed)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONUTF8", "1")
        .env("DOCENT_SANDBOX", sandbox_home())
        .env_remove("DOCENT_API_KEY");
    let output = command.output().unwrap();
    let said = [&output.stdout[..], &output.stderr].concat();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&said));
}

fn stories() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/sdk")
}

fn python_client(version: &str) -> Option<PathBuf> {
    let client = format!("openai=={version}");
    let mut packages = vec![client.as_str()];
    packages.extend(TOOLS);
    if version == "1.30.5" {
        // It passes `proxies`, which later ones do not take.
        packages.push("httpx<0.28");
    }
    install(version, &packages, pip)
}

fn pip(folder: &Path) -> Command {
    let mut command = Command::new("python3");
    command.args(["-m", "pip", "install", "--quiet", "--no-warn-conflicts"]);
    command.args(["--disable-pip-version-check", "--retries", "1", "--target"]).arg(folder);
    command
}

fn node_client() -> Option<PathBuf> {
    install("node", &[NODE_CLIENT], |folder| {
        let mut command = Command::new("npm");
        command.args(["install", "--silent", "--no-audit", "--no-fund", "--fetch-retries", "1"]);
        command.arg("--prefix").arg(folder);
        command
    })
}

/// The folder that has `packages`, which `installer` puts there unless they are there.
fn install(
    name: &str,
    packages: &[&str],
    installer: impl FnOnce(&Path) -> Command,
) -> Option<PathBuf> {
    // Tests run side by side, and two may want the same client.
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _guard = INSTALLING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let folder = target.join("sdk").join(name);
    // Written last, so that an install that broke off is begun again.
    let done = folder.join("installed.txt");
    let wanted = packages.join("\n");
    if fs::read_to_string(&done).is_ok_and(|found| found == wanted) {
        return Some(folder);
    }
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    match installer(&folder).args(packages).output() {
        Ok(output) if output.status.success() => fs::write(&done, wanted).unwrap(),
        Ok(output) => return skip(name, &String::from_utf8_lossy(&output.stderr)),
        Err(error) => return skip(name, &error.to_string()),
    }
    Some(folder)
}

/// A model's file of weights, if it is on this machine.
fn weights(model: &str, extension: &str) -> Option<PathBuf> {
    let command = ["models", "path", model];
    let output = Command::new(env!("CARGO_BIN_EXE_docent")).args(command).output().unwrap();
    let folder = String::from_utf8(output.stdout).unwrap();
    let files = fs::read_dir(folder.trim()).into_iter().flatten();
    let mut paths = files.map(|file| file.unwrap().path());
    let found = paths.find(|path| path.extension().is_some_and(|it| it == extension));
    if found.is_none() {
        let required = std::env::var("DOCENT_TEST_MODELS").is_ok_and(|value| value == "required");
        assert!(!required, "{model} is not in {folder}");
        say(&format!("run \"docent models pull {model}\""));
    }
    found
}

/// No story for a client that cannot be had, unless it must be.
fn skip(name: &str, why: &str) -> Option<PathBuf> {
    let required = std::env::var("DOCENT_TEST_SDK").is_ok_and(|value| value == "required");
    assert!(!required, "the client {name} cannot be installed: {why}");
    say(&format!("the client {name} cannot be installed, so its story is not told: {why}"));
    None
}

/// Past the test harness, which keeps what a test that passes prints.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {text}");
}
