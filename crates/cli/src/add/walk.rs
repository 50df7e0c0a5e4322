//! From what was typed to the files it stands for: folders are searched, globs expanded.
//!
//! Inside a folder, hidden files and what a `.gitignore` or `.ignore` names are left out, and
//! counted. Symbolic links are followed; one that leads back into a folder above it is reported
//! and not followed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Component, Path, PathBuf};

use fs_err as fs;
use globset::GlobBuilder;
use ignore::{DirEntry, Walk, WalkBuilder};

/// Whether the user named a file or we came across it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Naming {
    Found,
    Named,
}

/// A file to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) path: PathBuf,
    pub(crate) naming: Naming,
}

/// What will not be added, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeftOut {
    pub(crate) path: PathBuf,
    pub(crate) naming: Naming,
    pub(crate) reason: String,
}

/// What the command line's paths stand for. A file that several of them reach is there once.
#[derive(Debug, Default)]
pub(crate) struct Finds {
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) left_out: Vec<LeftOut>,
    /// Where in `candidates` a file is, by its path without links.
    seen: HashMap<PathBuf, usize>,
}

/// Searches `paths`, but never the library itself.
pub(crate) fn find(paths: &[PathBuf], library: &Path) -> Finds {
    let library = fs::canonicalize(library).unwrap_or_else(|_| library.to_owned());
    let mut finds = Finds::default();
    for path in paths {
        finds.search(path, &library);
    }
    finds
}

impl Finds {
    fn search(&mut self, path: &Path, library: &Path) {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.search_folder(path, library),
            Ok(metadata) if metadata.is_file() => self.take(path, Naming::Named),
            Ok(_) => self.leave_out(path, Naming::Named, "is no regular file"),
            Err(error) => match Pattern::of(path) {
                Some(pattern) => self.search_pattern(path, &pattern, library),
                None => self.leave_out(path, Naming::Named, reason_of(&error)),
            },
        }
    }

    fn search_folder(&mut self, folder: &Path, library: &Path) {
        if is_same(folder, library) {
            return self.leave_out(folder, Naming::Named, "is the library itself");
        }
        let mut reached = Reached::default();
        for entry in walk(folder, Hidden::Skip, None, library) {
            match entry {
                Ok(entry) => {
                    reached.note(&entry);
                    self.take_entry(&entry);
                }
                Err(error) => {
                    let (path, reason) = blame(&error);
                    let path = path.unwrap_or_else(|| folder.to_owned());
                    reached.entries.insert(path.clone());
                    self.leave_out(&path, Naming::Found, reason);
                }
            }
        }
        if let Some(reason) = reached.left_out(library) {
            self.leave_out(folder, Naming::Found, reason);
        }
    }

    fn search_pattern(&mut self, path: &Path, pattern: &Pattern, library: &Path) {
        let glob = GlobBuilder::new(&pattern.rest).literal_separator(true).build();
        let matcher = match glob {
            Ok(glob) => glob.compile_matcher(),
            Err(error) => return self.leave_out(path, Naming::Named, error.kind().to_string()),
        };
        let matches = walk(&pattern.base, pattern.hidden(), pattern.depth(), library)
            .filter_map(Result::ok)
            .filter(|entry| {
                let inside = entry.path().strip_prefix(&pattern.base);
                entry.depth() > 0 && inside.is_ok_and(|inside| matcher.is_match(inside))
            });
        let mut count = 0;
        for entry in matches {
            count += 1;
            match entry.file_type() {
                Some(kind) if kind.is_dir() => self.search_folder(entry.path(), library),
                _ => self.take_entry(&entry),
            }
        }
        if count == 0 {
            self.leave_out(path, Naming::Named, "matches no file");
        }
    }

    fn take_entry(&mut self, entry: &DirEntry) {
        match entry.file_type() {
            Some(kind) if kind.is_file() => self.take(entry.path(), Naming::Found),
            Some(kind) if kind.is_dir() => {}
            _ => self.leave_out(entry.path(), Naming::Found, "is no regular file"),
        }
    }

    fn take(&mut self, path: &Path, naming: Naming) {
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if let Some(&index) = self.seen.get(&real) {
            let known = &mut self.candidates[index];
            known.naming = known.naming.max(naming);
            return;
        }
        self.seen.insert(real, self.candidates.len());
        self.candidates.push(Candidate { path: path.to_owned(), naming });
    }

    fn leave_out(&mut self, path: &Path, naming: Naming, reason: impl Into<String>) {
        let reason = reason.into();
        self.left_out.push(LeftOut { path: path.to_owned(), naming, reason });
    }
}

/// Whether hidden files are passed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hidden {
    Skip,
    Take,
}

fn walk(root: &Path, hidden: Hidden, depth: Option<usize>, library: &Path) -> Walk {
    let library = library.to_owned();
    WalkBuilder::new(root)
        .hidden(hidden == Hidden::Skip)
        .max_depth(depth)
        .follow_links(true)
        // What is left out depends on the folder alone, not on the user's git settings.
        .require_git(false)
        .git_global(false)
        .git_exclude(false)
        .sort_by_file_name(std::ffi::OsStr::cmp)
        .filter_entry(move |entry| {
            !(entry.file_type().is_some_and(|kind| kind.is_dir())
                && is_same(entry.path(), &library))
        })
        .build()
}

/// A glob, split where its first special character comes.
#[derive(Debug, PartialEq, Eq)]
struct Pattern {
    /// The folder to search.
    base: PathBuf,
    /// What paths below it must match.
    rest: String,
}

impl Pattern {
    const SPECIAL: [char; 4] = ['*', '?', '[', '{'];

    /// None if there is nothing special in `path`.
    fn of(path: &Path) -> Option<Self> {
        let parts: Vec<&str> = path
            .components()
            .map(|part| part.as_os_str().to_str())
            .collect::<Option<Vec<&str>>>()?;
        let first = parts.iter().position(|part| part.contains(Self::SPECIAL))?;
        let base: PathBuf = path.components().take(first).collect();
        let base = if first == 0 { PathBuf::from(Component::CurDir.as_os_str()) } else { base };
        Some(Self { base, rest: parts[first..].join("/") })
    }

    /// As in a shell, `*` does not stand for a hidden name; a pattern with a dot does.
    fn hidden(&self) -> Hidden {
        let dotted = self.rest.split('/').any(|part| part.starts_with('.'));
        if dotted { Hidden::Take } else { Hidden::Skip }
    }

    /// How deep a match can be.
    fn depth(&self) -> Option<usize> {
        let parts = self.rest.split('/');
        // Alternatives may hold separators: `{a,b/c}`.
        let bounded = !self.rest.contains("**") && !self.rest.contains('{');
        bounded.then_some(parts.count())
    }
}

/// What a walk gave out, to be compared with what is there.
#[derive(Debug, Default)]
struct Reached {
    folders: Vec<PathBuf>,
    entries: HashSet<PathBuf>,
}

impl Reached {
    fn note(&mut self, entry: &DirEntry) {
        if entry.file_type().is_some_and(|kind| kind.is_dir()) {
            self.folders.push(entry.path().to_owned());
        }
        self.entries.insert(entry.path().to_owned());
    }

    /// How many files and folders the walk passed by, for each reason.
    fn left_out(&self, library: &Path) -> Option<String> {
        let mut counts = BTreeMap::new();
        // A folder that cannot be read was reported by the walk.
        let entries = self.folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
        for entry in entries.flatten() {
            let path = entry.path();
            if !self.entries.contains(&path) {
                *counts.entry(passed_by(&path, library)).or_insert(0u64) += 1;
            }
        }
        let reasons: Vec<String> =
            counts.into_iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        (!reasons.is_empty()).then(|| reasons.join(", "))
    }
}

/// Why a walk does not give out `path`.
fn passed_by(path: &Path, library: &Path) -> &'static str {
    let name = path.file_name().unwrap_or_default();
    if is_same(path, library) {
        "holding the library itself"
    } else if name.as_encoded_bytes().starts_with(b".") {
        "hidden"
    } else {
        "named by .gitignore or .ignore"
    }
}

fn is_same(path: &Path, library: &Path) -> bool {
    fs::canonicalize(path).is_ok_and(|path| path == library)
}

/// Which path a walk's error is about, and what is wrong there.
fn blame(error: &ignore::Error) -> (Option<PathBuf>, String) {
    match error {
        ignore::Error::WithPath { path, err } => (Some(path.clone()), blame(err).1),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => {
            blame(err)
        }
        ignore::Error::Loop { ancestor, child } => {
            (Some(child.clone()), format!("is a link back to {}", ancestor.display()))
        }
        ignore::Error::Io(error) => (None, reason_of(error)),
        error => (None, error.to_string()),
    }
}

/// The reason without the path, which stands beside it.
fn reason_of(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "does not exist".to_owned(),
        std::io::ErrorKind::PermissionDenied => "may not be read (permission denied)".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
