//! The files a session sees: a tree in memory, with limits.
//!
//! Nothing in it is a link and nothing of it is on the host's disk, so no path can lead anywhere
//! else. Folders and files that programs make belong to a [volume](Volume), which counts them and
//! their bytes; whatever belongs to none is read-only and shared between sessions.

mod content;
mod volume;

use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) use self::content::Stat;
use self::content::{Content, Entry};
use self::volume::Volume;
use super::errno::Errno;

type Result<T, E = Errno> = std::result::Result<T, E>;

const NAME_BYTES: usize = 255;
const PATH_BYTES: usize = 4096;

/// A file or folder of a [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Node(usize);

impl Node {
    /// The folder above all.
    pub(super) const ROOT: Self = Self(0);

    pub(super) fn number(self) -> u64 {
        self.0 as u64 + 1
    }
}

/// What a session's files may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quota {
    pub(super) bytes: u64,
    pub(super) files: u64,
}

/// Files and folders.
#[derive(Debug)]
pub(super) struct Tree {
    entries: Vec<Option<Entry>>,
    free: Vec<usize>,
    volumes: Vec<Volume>,
}

/// A name in a folder, which need not exist.
#[derive(Debug)]
pub(super) struct Place<'a> {
    folder: Node,
    name: &'a str,
    /// The path ended in a slash.
    must_be_folder: bool,
}

impl Tree {
    /// A tree of one empty, read-only folder.
    pub(super) fn new() -> Self {
        let root = Entry::new(Content::Folder(BTreeMap::new()), None, Node::ROOT, 0);
        Self { entries: vec![Some(root)], free: Vec::new(), volumes: Vec::new() }
    }

    /// Adds a folder at `path`, read-only or, with a quota, one that programs may write in.
    pub(super) fn add_folder(&mut self, path: &str, quota: Option<Quota>) -> Result<Node> {
        let mut folder = Node::ROOT;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            folder = match self.child(folder, name) {
                Ok(node) => node,
                Err(_) => {
                    let content = Content::Folder(BTreeMap::new());
                    self.attach(folder, name, Entry::new(content, None, folder, 0))?
                }
            };
        }
        if let Some(quota) = quota {
            self.volumes.push(Volume::new(quota));
            self.entry_mut(folder)?.volume = Some(self.volumes.len() - 1);
        }
        Ok(folder)
    }

    /// Adds a read-only file to a folder.
    pub(super) fn add_file(&mut self, folder: Node, name: &str, bytes: Arc<[u8]>) -> Result<Node> {
        self.attach(folder, name, Entry::new(Content::Fixed(bytes), None, folder, 0))
    }

    /// What `path` names, seen from the folder `base`, which it cannot leave.
    pub(super) fn find(&self, base: Node, path: &str) -> Result<Node> {
        match self.walk(base, path)? {
            (folder, None) => Ok(folder),
            (folder, Some(name)) => self.at(&Place { folder, name, must_be_folder: slashed(path) }),
        }
    }

    /// The name that `path` stands for.
    pub(super) fn place<'a>(&self, base: Node, path: &'a str) -> Result<Place<'a>> {
        match self.walk(base, path)? {
            (folder, Some(name)) => Ok(Place { folder, name, must_be_folder: slashed(path) }),
            // `.` and `..` stand for folders that are there, and cannot be made or removed.
            (_, None) => Err(Errno::Invalid),
        }
    }

    /// Follows a path to the folder of its last name, and gives both; without a last name the
    /// path is that folder's own.
    fn walk<'a>(&self, base: Node, path: &'a str) -> Result<(Node, Option<&'a str>)> {
        check_path(path)?;
        let (mut folder, mut last) = (base, None);
        for name in path.split('/').filter(|it| !matches!(*it, "" | ".")) {
            if let Some(above) = last.take() {
                folder = self.child(folder, above)?;
            }
            self.entries_of(folder)?;
            if name != ".." {
                last = Some(name);
            } else if folder == base {
                return Err(Errno::NotCapable);
            } else {
                folder = self.parent(folder)?;
            }
        }
        Ok((folder, last))
    }

    /// What stands at a place.
    pub(super) fn at(&self, place: &Place<'_>) -> Result<Node> {
        let node = self.child(place.folder, place.name)?;
        if place.must_be_folder {
            self.entries_of(node)?;
        }
        Ok(node)
    }

    /// Makes an empty file.
    pub(super) fn create_file(&mut self, place: &Place<'_>, now: u64) -> Result<Node> {
        if place.must_be_folder {
            return Err(Errno::IsFolder);
        }
        self.create(place, Content::Bytes(Vec::new()), now)
    }

    /// Makes an empty folder.
    pub(super) fn create_folder(&mut self, place: &Place<'_>, now: u64) -> Result<Node> {
        self.create(place, Content::Folder(BTreeMap::new()), now)
    }

    fn create(&mut self, place: &Place<'_>, content: Content, now: u64) -> Result<Node> {
        if self.child(place.folder, place.name).is_ok() {
            return Err(Errno::Exists);
        }
        check_name(place.name)?;
        let volume = self.writable(place.folder)?;
        if !self.entry(place.folder)?.linked {
            return Err(Errno::NotFound);
        }
        self.volumes[volume].add_file()?;
        let entry = Entry::new(content, Some(volume), place.folder, now);
        self.touch(place.folder, now);
        self.attach(place.folder, place.name, entry)
    }

    /// Takes a file's name away; it is gone once nobody has it open.
    pub(super) fn remove_file(&mut self, place: &Place<'_>, now: u64) -> Result<()> {
        let node = self.at(place)?;
        if self.is_folder(node) {
            return Err(Errno::IsFolder);
        }
        self.detach(place, now)
    }

    /// Removes an empty folder.
    pub(super) fn remove_folder(&mut self, place: &Place<'_>, now: u64) -> Result<()> {
        let node = self.at(place)?;
        if !self.entries_of(node)?.is_empty() {
            return Err(Errno::NotEmpty);
        }
        self.detach(place, now)
    }

    /// Gives what stands at `from` the name `to`, in place of a file or an empty folder there.
    pub(super) fn rename(&mut self, from: &Place<'_>, to: &Place<'_>, now: u64) -> Result<()> {
        let node = self.at(from)?;
        check_name(to.name)?;
        let volume = self.writable(from.folder)?;
        if self.writable(to.folder)? != volume || self.entry(node)?.volume != Some(volume) {
            return Err(Errno::OtherVolume);
        }
        if !self.entry(to.folder)?.linked {
            return Err(Errno::NotFound);
        }
        if self.is_within(to.folder, node) {
            return Err(Errno::Invalid);
        }
        match self.at(to) {
            Ok(same) if same == node => return Ok(()),
            Ok(other) => self.make_way(other, node, to, now)?,
            Err(Errno::NotFound) => {}
            Err(error) => return Err(error),
        }
        self.entries_mut(from.folder)?.remove(from.name);
        self.entries_mut(to.folder)?.insert(to.name.to_owned(), node);
        self.entry_mut(node)?.parent = to.folder;
        self.touch(from.folder, now);
        self.touch(to.folder, now);
        Ok(())
    }

    fn make_way(&mut self, other: Node, node: Node, to: &Place<'_>, now: u64) -> Result<()> {
        match (self.is_folder(node), self.is_folder(other)) {
            (true, true) => self.remove_folder(to, now),
            (false, false) => self.remove_file(to, now),
            (true, false) => Err(Errno::NotFolder),
            (false, true) => Err(Errno::IsFolder),
        }
    }

    /// Whether `node` is `above` or lies under it.
    fn is_within(&self, mut node: Node, above: Node) -> bool {
        loop {
            if node == above {
                return true;
            }
            match self.entry(node) {
                Ok(entry) if node != Node::ROOT => node = entry.parent,
                _ => return false,
            }
        }
    }

    /// Keeps a node while it is open, even if its name is taken away.
    pub(super) fn hold(&mut self, node: Node) -> Result<()> {
        self.entry_mut(node)?.holders += 1;
        Ok(())
    }

    /// Undoes one [`hold`](Self::hold).
    pub(super) fn release(&mut self, node: Node) {
        if let Ok(entry) = self.entry_mut(node) {
            entry.holders = entry.holders.saturating_sub(1);
            self.forget_if_unused(node);
        }
    }

    fn child(&self, folder: Node, name: &str) -> Result<Node> {
        self.entries_of(folder)?.get(name).copied().ok_or(Errno::NotFound)
    }

    fn attach(&mut self, folder: Node, name: &str, entry: Entry) -> Result<Node> {
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            self.entries.len() - 1
        });
        self.entries[index] = Some(entry);
        self.entries_mut(folder)?.insert(name.to_owned(), Node(index));
        Ok(Node(index))
    }

    fn detach(&mut self, place: &Place<'_>, now: u64) -> Result<()> {
        let node = self.at(place)?;
        self.writable(place.folder)?;
        if self.entry(node)?.volume != self.entry(place.folder)?.volume {
            return Err(Errno::NotPermitted);
        }
        self.entries_mut(place.folder)?.remove(place.name);
        self.touch(place.folder, now);
        self.entry_mut(node)?.linked = false;
        self.forget_if_unused(node);
        Ok(())
    }

    fn forget_if_unused(&mut self, node: Node) {
        let Some(slot) = self.entries.get_mut(node.0) else { return };
        let Some(entry) = slot.take_if(|it| !it.linked && it.holders == 0) else { return };
        self.free.push(node.0);
        if let Some(volume) = entry.volume {
            self.volumes[volume].remove_file(entry.content.len());
        }
    }

    /// The volume in which `node` may be changed.
    fn writable(&self, node: Node) -> Result<usize> {
        self.entry(node)?.volume.ok_or(Errno::ReadOnly)
    }

    fn touch(&mut self, node: Node, now: u64) {
        if let Ok(entry) = self.entry_mut(node) {
            entry.modified = now;
        }
    }

    fn entry(&self, node: Node) -> Result<&Entry> {
        self.entries.get(node.0).and_then(Option::as_ref).ok_or(Errno::BadDescriptor)
    }

    fn entry_mut(&mut self, node: Node) -> Result<&mut Entry> {
        self.entries.get_mut(node.0).and_then(Option::as_mut).ok_or(Errno::BadDescriptor)
    }
}

fn check_path(path: &str) -> Result<()> {
    match path {
        "" => Err(Errno::NotFound),
        _ if path.len() > PATH_BYTES => Err(Errno::NameTooLong),
        // The C library takes the folder's path off before it asks.
        _ if path.starts_with('/') => Err(Errno::NotCapable),
        _ if path.contains('\0') => Err(Errno::Invalid),
        _ => Ok(()),
    }
}

/// Whether a path says that it is a folder's.
fn slashed(path: &str) -> bool {
    path.ends_with('/') || path.ends_with("/.")
}

fn check_name(name: &str) -> Result<()> {
    if name.len() > NAME_BYTES { Err(Errno::NameTooLong) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
