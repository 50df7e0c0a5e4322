//! What the guest has open, and what it does with it.

use super::clocks::now;
use super::{Call, OPEN_FILES, Result, Wasi};
use crate::wasm::errno::Errno;
use crate::wasm::tree::{Node, Stat};

const UNKNOWN: u8 = 0;
const FOLDER: u8 = 3;
const FILE: u8 = 4;

pub(super) const APPEND: u16 = 1;
const RIGHT_TO_READ: u64 = 1 << 1;
pub(super) const RIGHT_TO_WRITE: u64 = 1 << 6;

#[derive(Debug)]
pub(super) enum Descriptor {
    /// Always at its end.
    Input,
    /// Standard output and standard error, which are read as one.
    Output,
    Open(Open),
}

/// An open file or folder.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) node: Node,
    pub(super) position: u64,
    pub(super) may_write: bool,
    pub(super) flags: u16,
    /// The path by which the guest is told of it, if it was open from the start.
    path: Option<String>,
}

impl Descriptor {
    pub(super) fn preopened(path: &str, node: Node) -> Self {
        let path = Some(path.to_owned());
        Self::Open(Open { node, position: 0, may_write: true, flags: 0, path })
    }

    pub(super) fn open(node: Node, may_write: bool, flags: u16) -> Self {
        Self::Open(Open { node, position: 0, may_write, flags, path: None })
    }
}

impl Wasi {
    fn descriptor(&mut self, fd: u32) -> Result<&mut Descriptor> {
        let slot = self.descriptors.get_mut(fd as usize);
        slot.and_then(Option::as_mut).ok_or(Errno::BadDescriptor)
    }

    pub(super) fn opened(&mut self, fd: u32) -> Result<&mut Open> {
        match self.descriptor(fd)? {
            Descriptor::Open(open) => Ok(open),
            Descriptor::Input | Descriptor::Output => Err(Errno::NotSeekable),
        }
    }

    /// Takes the lowest free number for what was opened.
    pub(super) fn insert(&mut self, descriptor: Descriptor) -> Result<u32> {
        let free = self.descriptors.iter().position(Option::is_none);
        let index = free.unwrap_or(self.descriptors.len());
        if index >= OPEN_FILES {
            return Err(Errno::TooManyOpen);
        }
        if index == self.descriptors.len() {
            self.descriptors.push(None);
        }
        if let Descriptor::Open(open) = &descriptor {
            self.tree.hold(open.node)?;
        }
        self.descriptors[index] = Some(descriptor);
        u32::try_from(index).map_err(|_| Errno::TooManyOpen)
    }
}

impl Call<'_> {
    pub(super) fn fd_advise(&mut self, fd: u32, _: u64, _: u64, _: u32) -> Result {
        self.wasi.opened(fd).map(drop)
    }

    /// The streams and the folders that are open from the start stay so: without them the session
    /// is of no use to anybody.
    pub(super) fn fd_close(&mut self, fd: u32) -> Result {
        let Descriptor::Open(open) = self.wasi.descriptor(fd)? else { return Ok(()) };
        if open.path.is_some() {
            return Ok(());
        }
        let node = open.node;
        self.wasi.descriptors[fd as usize] = None;
        self.wasi.tree.release(node);
        Ok(())
    }

    pub(super) fn fd_datasync(&mut self, fd: u32) -> Result {
        self.wasi.descriptor(fd).map(drop)
    }

    pub(super) fn fd_sync(&mut self, fd: u32) -> Result {
        self.wasi.descriptor(fd).map(drop)
    }

    pub(super) fn fd_fdstat_get(&mut self, fd: u32, out: u32) -> Result {
        let (kind, flags, rights) = match self.wasi.descriptor(fd)? {
            Descriptor::Input => (UNKNOWN, 0, RIGHT_TO_READ),
            Descriptor::Output => (UNKNOWN, APPEND, RIGHT_TO_WRITE),
            Descriptor::Open(open) => {
                let (node, may_write, flags) = (open.node, open.may_write, open.flags);
                let kind = if self.wasi.tree.is_folder(node) { FOLDER } else { FILE };
                (kind, flags, if may_write { u64::MAX } else { !RIGHT_TO_WRITE })
            }
        };
        let mut fdstat = [0; 24];
        fdstat[0] = kind;
        fdstat[2..4].copy_from_slice(&flags.to_le_bytes());
        fdstat[8..16].copy_from_slice(&rights.to_le_bytes());
        fdstat[16..24].copy_from_slice(&u64::MAX.to_le_bytes());
        self.memory.write(out, &fdstat)
    }

    pub(super) fn fd_fdstat_set_flags(&mut self, fd: u32, flags: u32) -> Result {
        if let Descriptor::Open(open) = self.wasi.descriptor(fd)? {
            open.flags = u16::try_from(flags).map_err(|_| Errno::Invalid)?;
        }
        Ok(())
    }

    pub(super) fn fd_filestat_get(&mut self, fd: u32, out: u32) -> Result {
        let Descriptor::Open(open) = self.wasi.descriptor(fd)? else {
            return self.memory.write(out, &[0; 64]);
        };
        let node = open.node;
        let stat = self.wasi.tree.stat(node)?;
        self.memory.write(out, &filestat(&stat))
    }

    pub(super) fn fd_filestat_set_size(&mut self, fd: u32, len: u64) -> Result {
        let node = self.writable(fd)?.node;
        self.wasi.tree.set_len(node, len, now())
    }

    pub(super) fn fd_filestat_set_times(
        &mut self,
        fd: u32,
        accessed: u64,
        modified: u64,
        flags: u32,
    ) -> Result {
        let node = self.wasi.opened(fd)?.node;
        let (accessed, modified) = times(accessed, modified, flags);
        self.wasi.tree.set_times(node, accessed, modified)
    }

    pub(super) fn fd_prestat_get(&mut self, fd: u32, out: u32) -> Result {
        let len = self.preopened_path(fd)?.len();
        self.memory.write_u32(out, 0)?;
        let at = out.checked_add(4).ok_or(Errno::Fault)?;
        self.memory.write_u32(at, u32::try_from(len).map_err(|_| Errno::TooLarge)?)
    }

    pub(super) fn fd_prestat_dir_name(&mut self, fd: u32, path: u32, len: u32) -> Result {
        let text = self.preopened_path(fd)?;
        if text.len() > len as usize {
            return Err(Errno::NameTooLong);
        }
        self.memory.write(path, text.as_bytes())
    }

    /// The C library asks from three upwards until there is no such descriptor.
    fn preopened_path(&mut self, fd: u32) -> Result<String> {
        match self.wasi.descriptor(fd)? {
            Descriptor::Open(Open { path: Some(path), .. }) => Ok(path.clone()),
            _ => Err(Errno::BadDescriptor),
        }
    }

    pub(super) fn fd_pread(
        &mut self,
        fd: u32,
        list: u32,
        count: u32,
        offset: u64,
        out: u32,
    ) -> Result {
        let node = self.wasi.opened(fd)?.node;
        let read = self.read_into(node, list, count, offset)?;
        self.memory.write_u32(out, read)
    }

    pub(super) fn fd_read(&mut self, fd: u32, list: u32, count: u32, out: u32) -> Result {
        let (node, position) = match self.wasi.descriptor(fd)? {
            Descriptor::Input => return self.memory.write_u32(out, 0),
            Descriptor::Output => return Err(Errno::BadDescriptor),
            Descriptor::Open(open) => (open.node, open.position),
        };
        let read = self.read_into(node, list, count, position)?;
        self.wasi.opened(fd)?.position += u64::from(read);
        self.memory.write_u32(out, read)
    }

    fn read_into(&mut self, node: Node, list: u32, count: u32, offset: u64) -> Result<u32> {
        let mut total = 0_u32;
        for (at, len) in self.memory.buffers(list, count)? {
            let buffer = self.memory.bytes_mut(at, len)?;
            let from = offset.saturating_add(u64::from(total));
            let read = self.wasi.tree.read(node, from, buffer)?;
            total = u32::try_from(read).ok().and_then(|it| total.checked_add(it)).ok_or(
                // More than 4 GiB in one call.
                Errno::Invalid,
            )?;
            if read < len as usize {
                break;
            }
        }
        Ok(total)
    }

    pub(super) fn fd_pwrite(
        &mut self,
        fd: u32,
        list: u32,
        count: u32,
        offset: u64,
        out: u32,
    ) -> Result {
        let node = self.writable(fd)?.node;
        let written = self.write_from(node, list, count, offset)?;
        self.memory.write_u32(out, written)
    }

    pub(super) fn fd_write(&mut self, fd: u32, list: u32, count: u32, out: u32) -> Result {
        let written = match self.wasi.descriptor(fd)? {
            Descriptor::Input => return Err(Errno::BadDescriptor),
            Descriptor::Output => self.print(list, count)?,
            Descriptor::Open(_) => self.write_on(fd, list, count)?,
        };
        self.memory.write_u32(out, written)
    }

    fn write_on(&mut self, fd: u32, list: u32, count: u32) -> Result<u32> {
        let open = self.writable(fd)?;
        let (node, appends, position) = (open.node, open.flags & APPEND != 0, open.position);
        let from = if appends { self.wasi.tree.stat(node)?.len } else { position };
        let written = self.write_from(node, list, count, from)?;
        self.wasi.opened(fd)?.position = from.saturating_add(u64::from(written));
        Ok(written)
    }

    fn write_from(&mut self, node: Node, list: u32, count: u32, offset: u64) -> Result<u32> {
        let mut total = 0_u32;
        for (at, len) in self.memory.buffers(list, count)? {
            let from = offset.checked_add(u64::from(total)).ok_or(Errno::TooLarge)?;
            let written = match self.wasi.tree.write(node, from, self.memory.bytes(at, len)?, now())
            {
                // What went before is written.
                Err(Errno::NoSpace) if total > 0 => break,
                result => result?,
            };
            let written = u32::try_from(written).map_err(|_| Errno::TooLarge)?;
            total = total.checked_add(written).ok_or(Errno::Invalid)?;
            if written < len {
                break;
            }
        }
        Ok(total)
    }

    fn print(&mut self, list: u32, count: u32) -> Result<u32> {
        let mut total = 0_u32;
        for (at, len) in self.memory.buffers(list, count)? {
            self.wasi.output.write(self.memory.bytes(at, len)?);
            total = total.checked_add(len).ok_or(Errno::Invalid)?;
        }
        Ok(total)
    }

    fn writable(&mut self, fd: u32) -> Result<&mut Open> {
        let open = self.wasi.opened(fd)?;
        if open.may_write { Ok(open) } else { Err(Errno::BadDescriptor) }
    }

    pub(super) fn fd_seek(&mut self, fd: u32, offset: i64, whence: u32, out: u32) -> Result {
        let open = self.wasi.opened(fd)?;
        let (node, position) = (open.node, open.position);
        let base = match whence {
            0 => 0,
            1 => position,
            2 => self.wasi.tree.stat(node)?.len,
            _ => return Err(Errno::Invalid),
        };
        let position = base.checked_add_signed(offset).ok_or(Errno::Invalid)?;
        self.wasi.opened(fd)?.position = position;
        self.memory.write_u64(out, position)
    }

    pub(super) fn fd_tell(&mut self, fd: u32, out: u32) -> Result {
        let position = self.wasi.opened(fd)?.position;
        self.memory.write_u64(out, position)
    }

    /// Writes names until the buffer is full; a name that is cut short tells the guest to ask
    /// again with a larger buffer. A cookie says how many names were read before.
    pub(super) fn fd_readdir(
        &mut self,
        fd: u32,
        buffer: u32,
        len: u32,
        cookie: u64,
        out: u32,
    ) -> Result {
        let node = self.wasi.opened(fd)?.node;
        let tree = &self.wasi.tree;
        let names = tree.entries_of(node)?.iter().map(|(name, node)| (name.as_str(), *node));
        let both = [(".", node), ("..", tree.parent(node)?)];
        let skipped = usize::try_from(cookie).unwrap_or(usize::MAX);
        let target = self.memory.bytes_mut(buffer, len)?;
        let mut filled = 0;
        for (index, (name, node)) in both.into_iter().chain(names).enumerate().skip(skipped) {
            let kind = if tree.is_folder(node) { FOLDER } else { FILE };
            let record = dirent(index as u64 + 1, node, name, kind);
            let fits = record.len().min(target.len() - filled);
            target[filled..filled + fits].copy_from_slice(&record[..fits]);
            filled += fits;
            if filled == target.len() {
                break;
            }
        }
        self.memory.write_u32(out, u32::try_from(filled).map_err(|_| Errno::TooLarge)?)
    }
}

fn dirent(next: u64, node: Node, name: &str, kind: u8) -> Vec<u8> {
    let mut record = Vec::with_capacity(24 + name.len());
    record.extend(next.to_le_bytes());
    record.extend(node.number().to_le_bytes());
    // A name has at most 255 bytes.
    record.extend((name.len() as u32).to_le_bytes());
    record.extend([kind, 0, 0, 0]);
    record.extend(name.as_bytes());
    record
}

pub(super) fn filestat(stat: &Stat) -> [u8; 64] {
    let kind = if stat.is_folder { FOLDER } else { FILE };
    let fields = [
        1,
        stat.node.number(),
        u64::from(kind),
        1,
        stat.len,
        stat.accessed,
        stat.modified,
        stat.modified,
    ];
    let mut bytes = [0; 64];
    for (target, field) in bytes.chunks_exact_mut(8).zip(fields) {
        target.copy_from_slice(&field.to_le_bytes());
    }
    bytes
}

/// The times to set: `flags` say of each whether to leave it, take it, or take the present.
pub(super) fn times(accessed: u64, modified: u64, flags: u32) -> (Option<u64>, Option<u64>) {
    let chosen = |time: u64, flags: u32| match flags & 3 {
        0 => None,
        1 => Some(time),
        _ => Some(now()),
    };
    (chosen(accessed, flags), chosen(modified, flags >> 2))
}
