//! Which CPython programs run in, and where it lies.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use docent_core::{Error, Result};
use serde::Deserialize;

/// An interpreter on this machine.
#[derive(Clone, Debug)]
pub(super) struct Interpreter {
    pub(super) program: PathBuf,
    /// Everything outside the system's folders that it needs to see.
    pub(super) folders: Vec<PathBuf>,
    /// Its version, as in `3.11.2`.
    pub(super) version: String,
    /// Packages people ask for that it has, with their versions.
    pub(super) packages: Vec<String>,
}

/// What an interpreter says of itself.
#[derive(Debug, Deserialize)]
struct Told {
    version: String,
    program: PathBuf,
    folders: Vec<PathBuf>,
    packages: Vec<String>,
}

/// Asks it. An environment's interpreter is a link to one elsewhere, and both must be seen.
const ASK: &str = r#"
import json, os, platform, sys
from importlib import metadata
folders = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
link = sys.executable
while os.path.islink(link):
    link = os.path.join(os.path.dirname(link), os.readlink(link))
    folders.add(os.path.dirname(os.path.dirname(os.path.realpath(link))))
packages = []
for name in ("numpy", "pandas", "matplotlib", "openpyxl", "scipy", "pillow", "sympy", "scikit-learn"):
    try:
        packages.append(f"{name} {metadata.version(name)}")
    except metadata.PackageNotFoundError:
        pass
print(json.dumps({
    "version": platform.python_version(), "program": sys.executable,
    "folders": sorted(folders), "packages": packages,
}))
"#;

/// What a program sees is its own there.
const OWN_FOLDERS: &[&str] = &["/proc", "/dev"];

impl Interpreter {
    /// Asks the interpreter `program`, a path or a name on the `PATH`.
    ///
    /// # Errors
    /// [`Unavailable`](docent_core::ErrorKind::Unavailable) if there is none, it is too old, or it
    /// lies where showing it would show everything.
    pub(super) fn ask(program: &Path) -> Result<Self> {
        let refused = |why: String| {
            Error::unavailable(format!("{} cannot run programs: {why}", program.display()))
        };
        let mut command = Command::new(program);
        command.args(["-I", "-B", "-c", ASK]).stdin(Stdio::null());
        let output = command.output().map_err(|error| refused(error.to_string()))?;
        if !output.status.success() {
            let told = String::from_utf8_lossy(&output.stderr);
            return Err(refused(told.lines().last().unwrap_or("it failed").to_owned()));
        }
        let told: Told =
            serde_json::from_slice(&output.stdout).map_err(|error| refused(error.to_string()))?;
        if !is_new_enough(&told.version) {
            return Err(refused(format!("Python {} is older than 3.9", told.version)));
        }
        let folders: Vec<_> =
            told.folders.into_iter().filter(|it| !it.starts_with("/usr")).collect();
        shows_little(&folders).map_err(refused)?;
        let Told { version, program, packages, .. } = told;
        Ok(Self { program, folders, version, packages })
    }

    /// What the [setup](crate::setup) found out about fonts, if it made this environment.
    pub(super) fn fonts(&self) -> Option<PathBuf> {
        let environment = self.program.parent()?.parent()?;
        let fonts = environment.join(crate::setup::FONTS_FOLDER);
        fonts.is_dir().then_some(fonts)
    }
}

fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(3), Some(9))
}

/// An interpreter installed into the root or a home would have all of that shown, and one in a
/// folder that programs have of their own would not be seen.
fn shows_little(folders: &[PathBuf]) -> Result<(), String> {
    let home = std::env::home_dir();
    for folder in folders {
        if OWN_FOLDERS.iter().any(|own| folder.starts_with(own)) {
            let folder = folder.display();
            return Err(format!(
                "it is installed in {folder}, where programs have their own files"
            ));
        }
        let is_home = home.as_ref().is_some_and(|home| home.starts_with(folder));
        if folder.parent().is_none() || is_home || folder == Path::new("/home") {
            return Err(format!("it is installed in {}, which would be shown", folder.display()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(is_new_enough("3.11.2") && is_new_enough("3.9.0") && is_new_enough("4.0.0rc1"));
        assert!(!is_new_enough("3.8.19") && !is_new_enough("2.7.18") && !is_new_enough(""));
    }

    #[test]
    fn a_home_is_not_shown() {
        assert!(shows_little(&["/opt/python".into()]).is_ok());
        assert!(shows_little(&["/".into()]).is_err());
        assert!(shows_little(&["/home".into()]).is_err());
        assert!(shows_little(&["/dev/python".into()]).is_err());
        let home = std::env::home_dir().unwrap();
        assert!(shows_little(std::slice::from_ref(&home)).is_err());
        assert!(shows_little(&[home.join("python")]).is_ok());
    }
}
