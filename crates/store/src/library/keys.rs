//! The API keys of a library and its projects: the file `keys.json` beside `VERSION`.
//!
//! A key is shown once, when it is made, and only its SHA-256 is kept. A slow hash, as for
//! passwords, would protect nothing: passwords are guessed because people choose them, while a key
//! has 190 random bits, which nobody guesses however fast the hash. And every request pays for it.
//!
//! The file needs no library's lock, so that keys are made and revoked while a server has the
//! library open. It is replaced as a whole (temporary file, sync, rename, sync of the directory),
//! so readers see the keys before a change or after it, and changes take turns by a lock of their
//! own.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use docent_core::{Error, ErrorKind, Result, Timestamp};
use fs_err as fs;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::unwritable;
use crate::blobs::sync_dir;

/// The file's name.
pub(super) const FILE: &str = "keys.json";
/// The keys before they get their name.
pub(super) const STAGED: &str = "keys.json.new";
/// Held by whoever changes the keys.
pub(super) const LOCK: &str = "keys.lock";

/// The format this build writes.
const FORMAT: u32 = 1;

/// What every key begins with.
const PREFIX: &str = "sk-docent-";
/// Behind it, this many of 62 characters: 190 bits.
const RANDOM_CHARS: usize = 32;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The project that the library itself is.
pub const DEFAULT_PROJECT: &str = "default";

/// What is known of an API key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyEntry {
    /// Names the key, for whoever revokes it.
    pub id: String,
    /// Whose it is, in its maker's words.
    #[serde(default)]
    pub label: Option<String>,
    /// The project it opens.
    pub project: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Its first and last characters.
    pub hint: String,
    /// The SHA-256 of its text.
    #[serde(with = "hexadecimal")]
    pub hash: [u8; 32],
}

/// A key that was just made.
#[derive(Debug)]
pub struct NewKey {
    /// What is kept of it.
    pub entry: KeyEntry,
    /// The key itself, which nothing keeps.
    pub secret: String,
}

/// The keys of the library in a directory.
#[derive(Clone, Debug)]
pub struct KeyFile {
    dir: PathBuf,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    format: u32,
    keys: Vec<KeyEntry>,
}

impl KeyFile {
    /// The keys of the library at `dir`, which need not be open.
    pub fn of(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Where they are.
    pub fn path(&self) -> PathBuf {
        self.dir.join(FILE)
    }

    /// Every key, oldest first; none where there is no file.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) when the file is no list of keys,
    /// [`Invalid`](ErrorKind::Invalid) when a newer build wrote it.
    pub fn read(&self) -> Result<Vec<KeyEntry>> {
        match fs::read(self.path()) {
            Ok(text) => self.parse(&text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    fn parse(&self, text: &[u8]) -> Result<Vec<KeyEntry>> {
        let path = self.path();
        let kept: Kept = serde_json::from_slice(text).map_err(|source| {
            let message = format!(
                "{} holds no list of keys; restore it, or delete it and make new keys",
                path.display()
            );
            Error::corrupt(message).with_source(source)
        })?;
        if kept.format != FORMAT {
            return Err(Error::invalid(format!(
                "{} has format {}, this build reads format {FORMAT}; use a newer build",
                path.display(),
                kept.format
            )));
        }
        Ok(kept.keys)
    }

    /// Makes a key for `project`, durable once this returns.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for a project that could not be a directory's name,
    /// [`Unavailable`](ErrorKind::Unavailable) where there is no source of randomness.
    pub fn create(&self, project: &str, label: Option<&str>, now: Timestamp) -> Result<NewKey> {
        check_project(project)?;
        let secret = format!("{PREFIX}{}", random_text(RANDOM_CHARS)?);
        let entry = KeyEntry {
            id: format!("key_{}", random_text(12)?),
            label: label.map(str::to_owned),
            project: project.to_owned(),
            created_at: now,
            hint: hint(&secret),
            hash: hash(&secret),
        };
        self.change(|keys| {
            keys.push(entry.clone());
            Ok(())
        })?;
        Ok(NewKey { entry, secret })
    }

    /// Takes back the one key whose id, or whose text, begins with `name`.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when there is none, [`Invalid`](ErrorKind::Invalid) when
    /// there are several.
    pub fn revoke(&self, name: &str) -> Result<KeyEntry> {
        self.change(|keys| {
            let found: Vec<usize> =
                (0..keys.len()).filter(|at| is_meant(&keys[*at], name)).collect();
            match found.as_slice() {
                [at] => Ok(keys.remove(*at)),
                [] => Err(Error::not_found("no key is called so; \"docent keys list\" lists them")),
                several => Err(Error::invalid(format!(
                    "{} keys begin so; name one by its id, as \"docent keys list\" prints it",
                    several.len()
                ))),
            }
        })
    }

    /// Says what is wrong with the file, and whether that was set right.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn check(&self, repair: bool) -> Result<Vec<(String, bool)>> {
        let keys = match self.read() {
            Ok(keys) => keys,
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Invalid) => {
                return Ok(vec![(format!("{error:#}"), false)]);
            }
            Err(error) => return Err(error),
        };
        let mut found = Vec::new();
        if is_open_to_others(&self.path())? {
            if repair {
                self.change(|_| Ok(()))?;
            }
            found.push(("can be read by other users".to_owned(), repair));
        }
        for (at, key) in keys.iter().enumerate() {
            if let Err(error) = check_project(&key.project) {
                found.push((format!("{}: {error}; revoke it", key.id), false));
            }
            if keys[..at].iter().any(|other| other.id == key.id || other.hash == key.hash) {
                found.push((format!("{} is there twice; revoke it", key.id), false));
            }
        }
        Ok(found)
    }

    /// Changes the keys, one change at a time over all processes.
    fn change<T>(&self, body: impl FnOnce(&mut Vec<KeyEntry>) -> Result<T>) -> Result<T> {
        let lock = self.dir.join(LOCK);
        let turn = fs::File::create(&lock).map_err(|error| unwritable(&lock, error))?;
        // The kernel's: it ends with its owner, however it ends.
        turn.file().lock().map_err(|error| unwritable(&lock, error))?;
        let mut keys = self.read()?;
        let changed = body(&mut keys)?;
        self.write(&Kept { format: FORMAT, keys })?;
        Ok(changed)
    }

    /// Writes the keys at once or not at all.
    fn write(&self, kept: &Kept) -> Result<()> {
        let (staged, path) = (self.dir.join(STAGED), self.path());
        let mut text = serde_json::to_vec_pretty(kept)
            .map_err(|source| Error::internal("keys cannot be written").with_source(source))?;
        text.push(b'\n');
        let written = || {
            // What a process left that did not live to rename it may have other permissions.
            match fs::remove_file(&staged) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = create_private(&staged)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&staged, &path)
        };
        written().map_err(|error| unwritable(&path, error))?;
        sync_dir(&self.dir)
    }
}

/// Whether `name` may name a project: lower-case letters, digits and `-`, at most 63, not
/// beginning with `-`. It becomes a directory's name.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid), saying so.
pub fn check_project(name: &str) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let fits = (1..=63).contains(&name.len())
        && name.bytes().all(|byte| plain(byte) || byte == b'-')
        && !name.starts_with('-');
    if fits {
        return Ok(());
    }
    let shown: String = name.chars().take(64).collect();
    Err(Error::invalid(format!(
        "'{shown}' cannot name a project; use up to 63 lower-case letters, digits and '-', \
         beginning with a letter or digit"
    )))
}

/// Where the project `name` of the library at `library` has its own library.
pub fn project_dir(library: &Path, name: &str) -> PathBuf {
    match name {
        DEFAULT_PROJECT => library.to_owned(),
        name => library.join("projects").join(name),
    }
}

fn is_meant(key: &KeyEntry, name: &str) -> bool {
    // A prefix of the secret that is longer than what is shown of it can only be told by the whole.
    let first = key.hint.split('…').next().unwrap_or_default();
    let by_id = name.len() > "key_".len() && key.id.starts_with(name);
    by_id || key.hash == hash(name) || (name.len() > PREFIX.len() && first.starts_with(name))
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// Six of the random characters, which leaves 154 bits.
fn hint(secret: &str) -> String {
    let (first, last) = (PREFIX.len() + 4, secret.len() - 2);
    format!("{}…{}", &secret[..first], &secret[last..])
}

/// Letters and digits, each of equal chance.
fn random_text(chars: usize) -> Result<String> {
    let mut text = String::with_capacity(chars);
    while text.len() < chars {
        let mut bytes = [0; 64];
        getrandom::fill(&mut bytes).map_err(|error| {
            Error::unavailable("this system gives no random bytes for a key").with_source(error)
        })?;
        // Bytes from 248 on are left out: 256 is no multiple of 62.
        let even = bytes.into_iter().filter(|byte| *byte < 248);
        let digits = even.map(|byte| char::from(BASE62[usize::from(byte % 62)]));
        text.extend(digits.take(chars - text.len()));
    }
    Ok(text)
}

#[cfg(unix)]
fn create_private(path: &Path) -> io::Result<fs::File> {
    use fs_err::os::unix::fs::OpenOptionsExt;

    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn create_private(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().write(true).create_new(true).open(path)
}

#[cfg(unix)]
fn is_open_to_others(path: &Path) -> Result<bool> {
    use std::os::unix::fs::PermissionsExt;

    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.permissions().mode() & 0o077 != 0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(unix))]
fn is_open_to_others(_: &Path) -> Result<bool> {
    Ok(false)
}

/// Bytes as hexadecimal digits.
mod hexadecimal {
    use docent_core::BlobHash;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(hash: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
        BlobHash(*hash).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
        BlobHash::deserialize(from).map(|hash| hash.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    #[test]
    fn a_key_is_kept_as_its_hash_until_it_is_revoked() {
        let dir = tempfile::tempdir().unwrap();
        let keys = KeyFile::of(dir.path());
        assert_eq!(keys.read().unwrap(), []);
        let made = keys.create("team-a", Some("laptop"), NOW).unwrap();
        assert_eq!(made.secret.len(), PREFIX.len() + RANDOM_CHARS);
        let text = fs::read_to_string(keys.path()).unwrap();
        assert!(!text.contains(&made.secret) && !text.contains(&made.secret[16..30]), "{text}");
        assert_eq!(keys.read().unwrap(), std::slice::from_ref(&made.entry));
        assert_eq!(made.entry.hash, hash(&made.secret));
        assert_eq!(keys.revoke(&made.entry.id[..8]).unwrap(), made.entry);
        assert_eq!(keys.read().unwrap(), []);
    }

    #[test]
    fn a_key_is_revoked_by_its_text_or_a_beginning_that_only_it_has() {
        let dir = tempfile::tempdir().unwrap();
        let keys = KeyFile::of(dir.path());
        let made: Vec<NewKey> = (0..3).map(|_| keys.create("p", None, NOW).unwrap()).collect();
        for nobodys in ["", "key_", PREFIX, "sk-docent-0000000000", "p"] {
            assert_eq!(keys.revoke(nobodys).unwrap_err().kind(), ErrorKind::NotFound, "{nobodys}");
        }
        assert_eq!(keys.revoke(&made[1].secret).unwrap(), made[1].entry);
        let shown = made[0].entry.hint.split('…').next().unwrap();
        assert_eq!(keys.revoke(shown).unwrap(), made[0].entry);
        assert_eq!(keys.read().unwrap(), std::slice::from_ref(&made[2].entry));
    }

    #[test]
    fn a_project_is_named_so_that_it_can_be_a_directory_anywhere() {
        let long = "a".repeat(63);
        for fine in ["a", "0", "team-a", &long] {
            assert!(check_project(fine).is_ok(), "{fine}");
        }
        let longer = "a".repeat(64);
        for wrong in ["", "-a", "A", "a/b", "..", "a.b", "ä", "a b", &longer] {
            assert_eq!(check_project(wrong).unwrap_err().kind(), ErrorKind::Invalid, "{wrong}");
        }
    }

    #[test]
    fn changes_from_many_threads_are_all_kept() {
        let dir = tempfile::tempdir().unwrap();
        let keys = KeyFile::of(dir.path());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| keys.create("p", None, NOW).unwrap());
            }
        });
        assert_eq!(keys.read().unwrap().len(), 8);
    }

    #[test]
    fn a_check_tells_what_is_wrong_and_closes_what_is_open() {
        let dir = tempfile::tempdir().unwrap();
        let keys = KeyFile::of(dir.path());
        assert_eq!(keys.check(false).unwrap(), []);
        keys.create("p", None, NOW).unwrap();
        assert_eq!(keys.check(false).unwrap(), []);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;

            let open = std::fs::Permissions::from_mode(0o644);
            fs::set_permissions(keys.path(), open).unwrap();
            assert!(!keys.check(false).unwrap()[0].1);
            assert!(keys.check(true).unwrap()[0].1);
            assert_eq!(keys.check(false).unwrap(), []);
        }
        for damaged in ["", "{}", "{\"format\":2,\"keys\":[]}", "[1]"] {
            fs::write(keys.path(), damaged).unwrap();
            assert!(keys.check(true).unwrap().iter().any(|(_, mended)| !mended), "{damaged}");
            assert!(keys.create("p", None, NOW).is_err(), "{damaged}");
        }
    }
}
