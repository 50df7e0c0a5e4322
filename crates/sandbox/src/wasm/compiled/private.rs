//! Folders and files that nobody else could have touched.

use std::path::Path;

use docent_core::{Error, Result};
use fs_err as fs;

/// Makes a folder for its owner alone, or checks that it is one.
///
/// # Errors
/// [`Unavailable`](docent_core::ErrorKind::Unavailable) if it is another's, or others may enter.
pub(super) fn folder(path: &Path) -> Result<()> {
    if let Some(above) = path.parent() {
        fs::create_dir_all(above)?;
    }
    match system::make_folder(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error.into()),
        _ => {}
    }
    let found = fs::symlink_metadata(path)?;
    if found.is_dir() && system::is_private(&found) {
        return Ok(());
    }
    Err(not_private(path))
}

/// Opens a file that nobody else could have written.
///
/// # Errors
/// [`NotFound`](docent_core::ErrorKind::NotFound) if there is none,
/// [`Unavailable`](docent_core::ErrorKind::Unavailable) if it is another's, or a link, or others
/// may read it.
pub(super) fn file(path: &Path) -> Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.read(true);
    system::follow_no_link(&mut options);
    let file = options.open(path)?;
    let found = file.metadata()?;
    if found.is_file() && system::is_private(&found) && system::has_one_name(&found) {
        return Ok(file);
    }
    Err(not_private(path))
}

fn not_private(path: &Path) -> Error {
    Error::unavailable(format!(
        "{} must belong to this user and be closed to all others; remove it",
        path.display()
    ))
}

#[cfg(unix)]
mod system {
    use std::fs::{DirBuilder, Metadata};
    use std::io;
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};
    use std::path::Path;

    use fs_err::os::unix::fs::OpenOptionsExt;

    pub(super) fn make_folder(path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(path)
    }

    pub(super) fn is_private(found: &Metadata) -> bool {
        found.uid() == rustix::process::geteuid().as_raw() && found.mode() & 0o077 == 0
    }

    pub(super) fn has_one_name(found: &Metadata) -> bool {
        found.nlink() == 1
    }

    pub(super) fn follow_no_link(options: &mut fs_err::OpenOptions) {
        options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    }
}

/// A user's own folders are closed to others by what they inherit from the profile's.
#[cfg(not(unix))]
mod system {
    use std::fs::{DirBuilder, Metadata};
    use std::io;
    use std::path::Path;

    pub(super) fn make_folder(path: &Path) -> io::Result<()> {
        DirBuilder::new().create(path)
    }

    pub(super) fn is_private(found: &Metadata) -> bool {
        !found.is_symlink()
    }

    pub(super) fn has_one_name(_: &Metadata) -> bool {
        true
    }

    pub(super) fn follow_no_link(_: &mut fs_err::OpenOptions) {}
}
