//! What the guest does with paths, each relative to a folder it has open.

use super::clocks::now;
use super::descriptors::{Descriptor, RIGHT_TO_WRITE, filestat, times};
use super::{Call, Result};
use crate::wasm::errno::Errno;
use crate::wasm::tree::Node;

const CREATE: u32 = 1;
const FOLDER_ONLY: u32 = 2;
const EXCLUSIVE: u32 = 4;
const TRUNCATE: u32 = 8;

impl Call<'_> {
    pub(super) fn path_create_directory(&mut self, fd: u32, path: u32, len: u32) -> Result {
        let base = self.wasi.opened(fd)?.node;
        let place = self.wasi.tree.place(base, self.memory.text(path, len)?);
        // Python's makedirs lives on the answer that what is there exists.
        let place = place.map_err(|it| if it == Errno::Invalid { Errno::Exists } else { it })?;
        self.wasi.tree.create_folder(&place, now()).map(drop)
    }

    pub(super) fn path_filestat_get(
        &mut self,
        fd: u32,
        _follow: u32,
        path: u32,
        len: u32,
        out: u32,
    ) -> Result {
        let node = self.find(fd, path, len)?;
        let stat = self.wasi.tree.stat(node)?;
        self.memory.write(out, &filestat(&stat))
    }

    #[expect(clippy::too_many_arguments, reason = "as WASI has it")]
    pub(super) fn path_filestat_set_times(
        &mut self,
        fd: u32,
        _follow: u32,
        path: u32,
        len: u32,
        accessed: u64,
        modified: u64,
        flags: u32,
    ) -> Result {
        let node = self.find(fd, path, len)?;
        let (accessed, modified) = times(accessed, modified, flags);
        self.wasi.tree.set_times(node, accessed, modified)
    }

    #[expect(clippy::too_many_arguments, reason = "as WASI has it")]
    pub(super) fn path_link(
        &mut self,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
    ) -> Result {
        Err(Errno::NotPermitted)
    }

    pub(super) fn path_symlink(&mut self, _: u32, _: u32, _: u32, _: u32, _: u32) -> Result {
        Err(Errno::NotPermitted)
    }

    /// Nothing is a link.
    pub(super) fn path_readlink(
        &mut self,
        fd: u32,
        path: u32,
        len: u32,
        _buffer: u32,
        _buffer_len: u32,
        _out: u32,
    ) -> Result {
        self.find(fd, path, len)?;
        Err(Errno::Invalid)
    }

    #[expect(clippy::too_many_arguments, reason = "as WASI has it")]
    pub(super) fn path_open(
        &mut self,
        fd: u32,
        _follow: u32,
        path: u32,
        len: u32,
        how: u32,
        rights: u64,
        _inheriting: u64,
        flags: u32,
        out: u32,
    ) -> Result {
        let base = self.wasi.opened(fd)?.node;
        let flags = u16::try_from(flags).map_err(|_| Errno::Invalid)?;
        let node = self.find_or_create(base, path, len, how)?;
        let is_folder = self.wasi.tree.is_folder(node);
        if how & FOLDER_ONLY != 0 && !is_folder {
            return Err(Errno::NotFolder);
        }
        let wants_to_write = rights & RIGHT_TO_WRITE != 0;
        if !is_folder && wants_to_write && !self.wasi.tree.is_writable(node) {
            return Err(Errno::ReadOnly);
        }
        if how & TRUNCATE != 0 {
            self.wasi.tree.set_len(node, 0, now())?;
        }
        let opened = self.wasi.insert(Descriptor::open(node, wants_to_write, flags))?;
        self.memory.write_u32(out, opened)
    }

    fn find_or_create(&mut self, base: Node, path: u32, len: u32, how: u32) -> Result<Node> {
        let path = self.memory.text(path, len)?;
        let tree = &mut self.wasi.tree;
        match tree.find(base, path) {
            Ok(_) if how & CREATE != 0 && how & EXCLUSIVE != 0 => Err(Errno::Exists),
            Ok(node) if how & (CREATE | TRUNCATE) != 0 && tree.is_folder(node) => {
                Err(Errno::IsFolder)
            }
            Err(Errno::NotFound) if how & CREATE != 0 => {
                let place = tree.place(base, path)?;
                tree.create_file(&place, now())
            }
            found => found,
        }
    }

    pub(super) fn path_remove_directory(&mut self, fd: u32, path: u32, len: u32) -> Result {
        let base = self.wasi.opened(fd)?.node;
        let place = self.wasi.tree.place(base, self.memory.text(path, len)?)?;
        self.wasi.tree.remove_folder(&place, now())
    }

    pub(super) fn path_rename(
        &mut self,
        fd: u32,
        old: u32,
        old_len: u32,
        to: u32,
        new: u32,
        new_len: u32,
    ) -> Result {
        let (base, target) = (self.wasi.opened(fd)?.node, self.wasi.opened(to)?.node);
        let from = self.wasi.tree.place(base, self.memory.text(old, old_len)?)?;
        let to = self.wasi.tree.place(target, self.memory.text(new, new_len)?)?;
        self.wasi.tree.rename(&from, &to, now())
    }

    pub(super) fn path_unlink_file(&mut self, fd: u32, path: u32, len: u32) -> Result {
        let base = self.wasi.opened(fd)?.node;
        let place = self.wasi.tree.place(base, self.memory.text(path, len)?)?;
        self.wasi.tree.remove_file(&place, now())
    }

    fn find(&mut self, fd: u32, path: u32, len: u32) -> Result<Node> {
        let base = self.wasi.opened(fd)?.node;
        self.wasi.tree.find(base, self.memory.text(path, len)?)
    }
}
