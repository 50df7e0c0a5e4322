//! Making the environment that programs run in: CPython with numpy, pandas, matplotlib and openpyxl,
//! by the user's own Python and pip.
//!
//! Its folder is named by what is in it, is made beside and moved into place whole, and is never
//! changed afterwards: an interrupted setup leaves what was there before.

use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use docent_core::{Error, Result};
use sha2::{Digest, Sha256};

/// Every package with its version, as pip reads it.
pub const REQUIREMENTS: &str = include_str!("setup/requirements.txt");

/// Finds fonts where programs will.
const FONTS: &str = include_str!("setup/fonts.py");

/// Where the [setup](self) keeps what it found out about fonts, in its environment.
pub(crate) const FONTS_FOLDER: &str = "docent-fonts";

/// What the environments that are being made are called.
const UNFINISHED: &str = ".unfinished-";

/// Is told what is done, and says whether to go on.
pub type OnLine<'a> = dyn FnMut(&str) -> ControlFlow<()> + 'a;

/// The interpreter of the environment under `home`, if it was made.
pub fn interpreter(home: &Path) -> Option<PathBuf> {
    let program = environment(home).join("bin/python");
    program.exists().then_some(program)
}

/// Makes the environment under `home` with the interpreter `python`, and gives its own. What is
/// done is told to `on_line`, pip's lines among it. One that is there already is kept.
///
/// # Errors
/// [`Unavailable`](docent_core::ErrorKind::Unavailable) if Python or pip is missing, too old, or
/// fails, with its last line; or if `on_line` breaks it off.
pub fn install(home: &Path, python: &Path, on_line: &mut OnLine<'_>) -> Result<PathBuf> {
    if let Some(program) = interpreter(home) {
        return Ok(program);
    }
    fs_err::create_dir_all(home).map_err(unavailable)?;
    sweep(home).map_err(unavailable)?;
    let unfinished = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(home);
    let unfinished = unfinished.map_err(unavailable)?;
    make(unfinished.path(), python, on_line)?;
    let place = environment(home);
    if place.exists() && interpreter(home).is_none() {
        // The Python it was made with is gone: it leads nowhere.
        fs_err::remove_dir_all(&place).map_err(unavailable)?;
    }
    match fs_err::rename(unfinished.path(), &place) {
        Ok(()) => drop(unfinished.keep()),
        // Another setup was faster, and made the same.
        Err(_) if place.exists() => {}
        Err(error) => return Err(unavailable(error)),
    }
    interpreter(home).ok_or_else(|| Error::internal("the environment has no interpreter"))
}

/// Named by its packages, so that another version of Docent makes another.
fn environment(home: &Path) -> PathBuf {
    let hash = Sha256::digest(REQUIREMENTS);
    let name: String = hash[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    home.join(format!("python-{name}"))
}

/// Removes what setups that were killed have left.
fn sweep(home: &Path) -> std::io::Result<()> {
    for entry in fs_err::read_dir(home)? {
        let entry = entry?;
        let is_old =
            || Some(entry.metadata().ok()?.modified().ok()?.elapsed().ok()?.as_secs() > 3600);
        let is_unfinished = entry.file_name().to_string_lossy().starts_with(UNFINISHED);
        if is_unfinished && is_old().unwrap_or(false) {
            fs_err::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

fn make(folder: &Path, python: &Path, on_line: &mut OnLine<'_>) -> Result<()> {
    tell(on_line, "making an environment")?;
    run(Command::new(python).args(["-m", "venv"]).arg(folder), on_line).map_err(|error| {
        Error::unavailable(format!("{error}; on Debian, venv is in the package python3-venv"))
    })?;
    let own = folder.join("bin/python");
    let requirements = folder.join("requirements.txt");
    fs_err::write(&requirements, REQUIREMENTS).map_err(unavailable)?;
    let mut pip = Command::new(&own);
    pip.args(["-m", "pip", "install", "--no-input", "--disable-pip-version-check"]);
    pip.args(["--no-deps", "--only-binary=:all:", "--requirement"]).arg(requirements);
    run(&mut pip, on_line)
        .map_err(|error| Error::unavailable(format!("{error}; the packages need Python 3.11")))?;
    tell(on_line, "looking for fonts")?;
    let fonts = folder.join(FONTS_FOLDER);
    fs_err::create_dir(&fonts).map_err(unavailable)?;
    let mut find = Command::new(&own);
    // Fonts in a home are not seen by programs.
    find.args(["-I", "-c", FONTS]).arg(&fonts).env_clear().env("HOME", &fonts);
    run(&mut find, on_line)?;
    let_everybody_read(folder).map_err(unavailable)
}

fn tell(on_line: &mut OnLine<'_>, line: &str) -> Result<()> {
    match on_line(line) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::unavailable("the setup was stopped")),
    }
}

/// Runs a command to its end and tells its lines.
fn run(command: &mut Command, on_line: &mut OnLine<'_>) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let failed = |why: &str| Error::unavailable(format!("{name} failed: {why}"));
    let (lines, writer) = std::io::pipe().map_err(|error| failed(&error.to_string()))?;
    let errors = writer.try_clone().map_err(|error| failed(&error.to_string()))?;
    command.stdin(Stdio::null()).stdout(writer).stderr(errors);
    let child = command.spawn();
    // The command's own ends of the pipe would keep it open.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = child.map_err(|error| failed(&error.to_string()))?;
    let mut last = String::new();
    for line in BufReader::new(lines).lines().map_while(std::io::Result::ok) {
        if let Err(stopped) = tell(on_line, &line) {
            // It may be gone already: Ctrl-C reaches both.
            let _ = child.kill();
            let _ = child.wait();
            return Err(stopped);
        }
        if !line.trim().is_empty() {
            last = line;
        }
    }
    let status = child.wait().map_err(|error| failed(&error.to_string()))?;
    if status.success() { Ok(()) } else { Err(failed(last.trim())) }
}

/// A throw-away user reads it, however careful the user is who makes it.
#[cfg(unix)]
fn let_everybody_read(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mut waiting = vec![folder.to_path_buf()];
    while let Some(path) = waiting.pop() {
        let found = fs_err::symlink_metadata(&path)?;
        if found.is_symlink() {
            continue;
        }
        let mode = found.permissions().mode();
        let runs = if found.is_dir() || mode & 0o100 != 0 { 0o111 } else { 0 };
        fs_err::set_permissions(&path, PermissionsExt::from_mode(mode | 0o444 | runs))?;
        if found.is_dir() {
            for entry in fs_err::read_dir(&path)? {
                waiting.push(entry?.path());
            }
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn let_everybody_read(_: &Path) -> std::io::Result<()> {
    Ok(())
}

fn unavailable(error: std::io::Error) -> Error {
    Error::unavailable(error.to_string())
}
