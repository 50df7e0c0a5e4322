//! Connections to the file, and what their errors mean to a person.

use std::path::Path;
use std::time::Duration;

use docent_core::{Error, ErrorKind};
use rusqlite::{Connection, ErrorCode, OpenFlags, Result};

use super::CheckDepth;

/// How long we wait for another program, such as a database shell, to give the file free.
const PATIENCE: Duration = Duration::from_secs(5);

/// Statements are few: about nine for each table.
const STATEMENTS: usize = 256;

/// `FULL` syncs the log with every commit; `fullfsync` has macOS flush the drive as well.
///
/// The log is written back when it holds 16 MB, by the commit that finds it so, and without waiting
/// for readers (`PASSIVE`). A long-lived reader lets it grow; when the reader is gone the next
/// commits write it back, start it anew, and cut its file down to 64 MB.
const WRITER_SETTINGS: &str = "
    PRAGMA synchronous = FULL;
    PRAGMA fullfsync = ON;
    PRAGMA checkpoint_fullfsync = ON;
    PRAGMA wal_autocheckpoint = 4000;
    PRAGMA journal_size_limit = 67108864;
    PRAGMA cell_size_check = ON;
    PRAGMA trusted_schema = OFF;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -16384;";

const READER_SETTINGS: &str = "
    PRAGMA query_only = ON;
    PRAGMA cell_size_check = ON;
    PRAGMA trusted_schema = OFF;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -8192;";

/// The connection that writes; creates the file.
pub(super) fn open_writer(path: &Path) -> Result<Connection> {
    let writer = open(path, OpenFlags::SQLITE_OPEN_CREATE)?;
    let mode: String = writer.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN);
        let reason = "this file system cannot share memory between connections (a network drive?)";
        return Err(rusqlite::Error::SqliteFailure(code, Some(reason.to_owned())));
    }
    writer.execute_batch(WRITER_SETTINGS)?;
    Ok(writer)
}

/// A connection that reads.
pub(super) fn open_reader(path: &Path) -> Result<Connection> {
    let reader = open(path, OpenFlags::empty())?;
    reader.execute_batch(READER_SETTINGS)?;
    Ok(reader)
}

fn open(path: &Path, more: OpenFlags) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// Fixes what `reader` sees until [`end_snapshot`].
pub(super) fn begin_snapshot(reader: &Connection) -> Result<()> {
    reader.prepare_cached("BEGIN DEFERRED")?.execute([])?;
    // BEGIN alone fixes nothing; the first page that is read does.
    reader.prepare_cached("SELECT 1 FROM sqlite_schema LIMIT 1")?.exists([]).map(drop)
}

pub(super) fn end_snapshot(reader: &Connection) -> Result<()> {
    reader.prepare_cached("ROLLBACK")?.execute([]).map(drop)
}

/// What SQLite finds wrong with the file.
pub(super) fn check(reader: &Connection, depth: CheckDepth) -> Result<Vec<String>> {
    let check = match depth {
        CheckDepth::Quick => "PRAGMA quick_check(100)",
        CheckDepth::Full => "PRAGMA integrity_check(100)",
    };
    let look = || -> Result<Vec<String>> {
        reader.prepare(check)?.query_map([], |row| row.get(0))?.collect()
    };
    match look() {
        Ok(findings) => Ok(findings.into_iter().filter(|finding| finding != "ok").collect()),
        // So damaged that the check itself stumbles: that is a finding too.
        Err(error) if is_damage(&error) => Ok(vec![error.to_string()]),
        Err(error) => Err(error),
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    let damage = [ErrorCode::DatabaseCorrupt, ErrorCode::NotADatabase];
    error.sqlite_error_code().is_some_and(|code| damage.contains(&code))
}

/// SQLite's error about the file at `path`, in our words.
pub(super) fn failure(path: &Path, error: rusqlite::Error) -> Error {
    let (kind, message) = in_our_words(path, &error);
    Error::new(kind, message).with_source(error)
}

/// What a person reads of an error, and what a caller can do about it.
pub(super) fn in_our_words(path: &Path, error: &rusqlite::Error) -> (ErrorKind, String) {
    let file = path.display();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => (
            ErrorKind::Unavailable,
            format!("the disk with {file} is full, nothing was written; make room and try again"),
        ),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => (
            ErrorKind::Unavailable,
            format!(
                "{file} cannot be opened for writing; check that the directory exists and may be written"
            ),
        ),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => (
            ErrorKind::Corrupt,
            format!(
                "{file} is damaged; restore it from a backup, or begin a new library and add the files again"
            ),
        ),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            ErrorKind::Conflict,
            format!("{file} is locked by another program, such as a database shell; close it"),
        ),
        Some(ErrorCode::SystemIoFailure) => {
            (ErrorKind::Unavailable, format!("the disk with {file} fails to read or write"))
        }
        _ => (ErrorKind::Internal, format!("{file} refused a statement")),
    }
}
