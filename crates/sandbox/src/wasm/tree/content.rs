//! Reading, writing and describing what is in the tree.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Node, Result, Tree};
use crate::wasm::errno::Errno;

#[derive(Debug)]
pub(super) enum Content {
    Folder(BTreeMap<String, Node>),
    Bytes(Vec<u8>),
    /// Shared between sessions.
    Fixed(Arc<[u8]>),
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Folder(_) => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Fixed(bytes) => bytes.len() as u64,
        }
    }
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) content: Content,
    /// Where its bytes are counted; without one it is read-only.
    pub(super) volume: Option<usize>,
    pub(super) parent: Node,
    /// Whether it has a name.
    pub(super) linked: bool,
    /// How often it is open.
    pub(super) holders: u32,
    /// Nanoseconds since 1970, as WASI counts.
    pub(super) accessed: u64,
    pub(super) modified: u64,
}

impl Entry {
    pub(super) fn new(content: Content, volume: Option<usize>, parent: Node, now: u64) -> Self {
        Self { content, volume, parent, linked: true, holders: 0, accessed: now, modified: now }
    }
}

/// What is known about a node.
#[derive(Clone, Copy, Debug)]
pub(in crate::wasm) struct Stat {
    pub(in crate::wasm) node: Node,
    pub(in crate::wasm) is_folder: bool,
    pub(in crate::wasm) len: u64,
    pub(in crate::wasm) accessed: u64,
    pub(in crate::wasm) modified: u64,
}

impl Tree {
    pub(in crate::wasm) fn stat(&self, node: Node) -> Result<Stat> {
        let entry = self.entry(node)?;
        Ok(Stat {
            node,
            is_folder: matches!(entry.content, Content::Folder(_)),
            len: entry.content.len(),
            accessed: entry.accessed,
            modified: entry.modified,
        })
    }

    pub(in crate::wasm) fn is_folder(&self, node: Node) -> bool {
        self.entries_of(node).is_ok()
    }

    /// How many bytes more what lies in this folder may take.
    pub(in crate::wasm) fn room(&self, folder: Node) -> u64 {
        self.writable(folder).map_or(0, |volume| self.volumes[volume].room())
    }

    /// Whether a program may change it.
    pub(in crate::wasm) fn is_writable(&self, node: Node) -> bool {
        self.writable(node).is_ok()
    }

    pub(in crate::wasm) fn set_times(
        &mut self,
        node: Node,
        accessed: Option<u64>,
        modified: Option<u64>,
    ) -> Result<()> {
        self.writable(node)?;
        let entry = self.entry_mut(node)?;
        entry.accessed = accessed.unwrap_or(entry.accessed);
        entry.modified = modified.unwrap_or(entry.modified);
        Ok(())
    }

    /// The bytes of a file.
    pub(in crate::wasm) fn bytes(&self, node: Node) -> Result<&[u8]> {
        match &self.entry(node)?.content {
            Content::Folder(_) => Err(Errno::IsFolder),
            Content::Bytes(bytes) => Ok(bytes),
            Content::Fixed(bytes) => Ok(bytes),
        }
    }

    /// Copies what stands at `offset` into `buffer`; less than it holds at the end only.
    pub(in crate::wasm) fn read(
        &self,
        node: Node,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<usize> {
        let bytes = self.bytes(node)?;
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let read = buffer.len().min(bytes.len() - from);
        buffer[..read].copy_from_slice(&bytes[from..from + read]);
        Ok(read)
    }

    /// Writes at `offset` as much as there is room for, and says how much.
    pub(in crate::wasm) fn write(
        &mut self,
        node: Node,
        offset: u64,
        data: &[u8],
        now: u64,
    ) -> Result<usize> {
        let len = self.bytes(node)?.len() as u64;
        let end = offset.checked_add(data.len() as u64).ok_or(Errno::TooLarge)?;
        let end = end.min(len + self.volumes[self.writable(node)?].room());
        if !data.is_empty() && end <= offset {
            return Err(Errno::NoSpace);
        }
        if end > len && !data.is_empty() {
            self.set_len(node, end, now)?;
        }
        let written = usize::try_from(end.saturating_sub(offset)).map_err(|_| Errno::TooLarge)?;
        let written = written.min(data.len());
        let entry = self.entry_mut(node)?;
        entry.modified = now;
        if let Content::Bytes(bytes) = &mut entry.content {
            // `set_len` made the file reach `end`, so the offset fits wherever a byte is written.
            let from = usize::try_from(offset).map_err(|_| Errno::TooLarge)?;
            if let Some(target) = bytes.get_mut(from..from + written) {
                target.copy_from_slice(&data[..written]);
            }
        }
        Ok(written)
    }

    /// Cuts a file, or fills it up with zeros.
    pub(in crate::wasm) fn set_len(&mut self, node: Node, len: u64, now: u64) -> Result<()> {
        let volume = self.writable(node)?;
        let old = self.bytes(node)?.len() as u64;
        let grown = len.saturating_sub(old);
        let room = self.volumes[volume].room();
        if grown > room {
            return Err(Errno::NoSpace);
        }
        // A vector that grows by itself doubles, which would be twice the quota.
        let reserved = grown.max((old / 8).min(room));
        let entry = self.entry_mut(node)?;
        let Content::Bytes(bytes) = &mut entry.content else { return Err(Errno::ReadOnly) };
        if grown > (bytes.capacity() as u64).saturating_sub(old) {
            let reserved = usize::try_from(reserved).map_err(|_| Errno::TooLarge)?;
            // The host is out of memory: to the program that is a full disk.
            bytes.try_reserve_exact(reserved).map_err(|_| Errno::NoSpace)?;
        }
        bytes.resize(usize::try_from(len).map_err(|_| Errno::TooLarge)?, 0);
        if len < old / 2 {
            bytes.shrink_to_fit();
        }
        entry.modified = now;
        self.volumes[volume].grow(grown);
        self.volumes[volume].shrink(old.saturating_sub(len));
        Ok(())
    }

    /// The names in a folder, in order.
    pub(in crate::wasm) fn entries_of(&self, node: Node) -> Result<&BTreeMap<String, Node>> {
        match &self.entry(node)?.content {
            Content::Folder(entries) => Ok(entries),
            _ => Err(Errno::NotFolder),
        }
    }

    pub(super) fn entries_mut(&mut self, node: Node) -> Result<&mut BTreeMap<String, Node>> {
        match &mut self.entry_mut(node)?.content {
            Content::Folder(entries) => Ok(entries),
            _ => Err(Errno::NotFolder),
        }
    }

    /// The folder above, or the folder itself at the top.
    pub(in crate::wasm) fn parent(&self, node: Node) -> Result<Node> {
        Ok(self.entry(node)?.parent)
    }
}
