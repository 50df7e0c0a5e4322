//! The format a library is written in, and the way from older ones.

use std::io::Write;
use std::path::Path;

use docent_core::{Error, Result, crash_point};
use fs_err as fs;

use super::unwritable;
use crate::blobs::sync_dir;

/// The file that holds the number.
pub(super) const FILE: &str = "VERSION";

/// The number before it gets its name.
pub(super) const STAGED: &str = "VERSION.new";

/// The format this build writes. What changes it: the layout of the directory, of the tables, or
/// of a value that an older build would misread.
pub const FORMAT: u32 = 1;

/// Brings a directory from one format to the next. Must bear being repeated: the power may go
/// before the new number is written.
type Migration = fn(&Path) -> Result<()>;

/// The migration at `i` leads from format `i + 1` to `i + 2`; the length makes sure that there is
/// one for each.
const MIGRATIONS: [Migration; FORMAT as usize - 1] = [];

/// Reads the number, writes it in a new library, migrates an old one. Call with the lock.
pub(super) fn bring_up_to_date(dir: &Path) -> Result<()> {
    let path = dir.join(FILE);
    if !path.try_exists()? {
        return write(dir, FORMAT);
    }
    migrate(dir, read(&path)?, &MIGRATIONS)
}

fn read(path: &Path) -> Result<u32> {
    let text = fs::read_to_string(path)?;
    let number = text.trim().parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| {
        Error::corrupt(format!(
            "{} holds no format number; restore it from a backup",
            path.display()
        ))
    })
}

fn migrate(dir: &Path, found: u32, migrations: &[Migration]) -> Result<()> {
    let newest = migrations.len() as u32 + 1;
    if found > newest {
        return Err(Error::invalid(format!(
            "the library {} has format {found}, this build reads formats up to {newest}; \
             use a newer build, or name another library",
            dir.display()
        )));
    }
    for (format, migration) in (1..).zip(migrations).skip(found as usize - 1) {
        tracing::info!(from = format, to = format + 1, "library migration");
        migration(dir)?;
        write(dir, format + 1)?;
    }
    Ok(())
}

/// Writes the number at once or not at all.
fn write(dir: &Path, format: u32) -> Result<()> {
    let (staged, path) = (dir.join(STAGED), dir.join(FILE));
    let written = || {
        let mut file = fs::File::create(&staged)?;
        writeln!(file, "{format}")?;
        file.sync_all()?;
        crash_point("library.before-version");
        fs::rename(&staged, &path)
    };
    written().map_err(|error| unwritable(&path, error))?;
    sync_dir(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_run_from_the_format_found_and_are_recorded_one_by_one() {
        fn touch_two(dir: &Path) -> Result<()> {
            Ok(fs::write(dir.join("two"), "")?)
        }
        fn fail(_: &Path) -> Result<()> {
            Err(Error::internal("no way to three"))
        }
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 1).unwrap();
        migrate(dir.path(), 1, &[touch_two, fail]).unwrap_err();
        assert_eq!(read(&dir.path().join(FILE)).unwrap(), 2);
        assert!(dir.path().join("two").exists());

        fs::remove_file(dir.path().join("two")).unwrap();
        migrate(dir.path(), 2, &[touch_two, touch_two]).unwrap();
        assert_eq!(read(&dir.path().join(FILE)).unwrap(), 3);
    }
}
