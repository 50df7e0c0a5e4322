//! The system the guest believes to run on: WASI preview 1, over files in memory.
//!
//! It is our own so that nothing of the host is behind it: no folder, no socket, no async
//! runtime. What the guest gets is a clock, random bytes, its [tree](Tree) and two streams to
//! print to. It can ask for nothing else: sockets are not supported, and links are refused, even
//! between its own files.
//!
//! The guest is hostile. Each pointer it passes is checked by [`GuestMemory`], and what it can make
//! the host allocate is bounded: by the tree's quotas, by [`OPEN_FILES`], by [`Output`]'s limit.

mod clocks;
mod descriptors;
mod memory;
mod paths;

use std::time::Instant;

use wasmtime::{Caller, Linker};

pub(super) use self::clocks::now;
use self::descriptors::Descriptor;
pub(super) use self::memory::GuestMemory;
use super::errno::Errno;
use super::guest::State;
use super::output::Output;
use super::tree::{Node, Tree};

type Result<T = (), E = Errno> = std::result::Result<T, E>;

const MODULE: &str = "wasi_snapshot_preview1";
/// How many files and folders may be open at once.
const OPEN_FILES: usize = 512;

/// What the system knows about one guest.
#[derive(Debug)]
pub(super) struct Wasi {
    pub(super) tree: Tree,
    pub(super) output: Output,
    descriptors: Vec<Option<Descriptor>>,
    arguments: Vec<String>,
    environment: Vec<String>,
    started: Instant,
}

impl Wasi {
    /// A system with these files, of which the guest is told those in `folders`, by their paths.
    /// A longer path goes before one it begins with.
    pub(super) fn new(tree: Tree, folders: &[(&str, Node)], environment: &[(&str, &str)]) -> Self {
        let streams = [Descriptor::Input, Descriptor::Output, Descriptor::Output];
        let folders = folders.iter().map(|(path, node)| Descriptor::preopened(path, *node));
        Self {
            tree,
            output: Output::default(),
            descriptors: streams.into_iter().chain(folders).map(Some).collect(),
            arguments: vec!["python".to_owned()],
            environment: environment.iter().map(|(name, it)| format!("{name}={it}")).collect(),
            started: Instant::now(),
        }
    }
}

/// A call of the guest: what it asks and the memory it points into.
pub(super) struct Call<'a> {
    memory: GuestMemory<'a>,
    wasi: &'a mut Wasi,
}

impl<'a> Call<'a> {
    /// # Errors
    /// If the guest has no memory yet.
    pub(super) fn new(caller: &'a mut Caller<'_, State>) -> Result<Self> {
        let memory = caller.data().memory.ok_or(Errno::Fault)?;
        let (bytes, state) = memory.data_and_store_mut(caller);
        Ok(Self { memory: GuestMemory(bytes), wasi: &mut state.wasi })
    }

    pub(super) fn memory(&self) -> &GuestMemory<'a> {
        &self.memory
    }

    pub(super) fn memory_mut(&mut self) -> &mut GuestMemory<'a> {
        &mut self.memory
    }
}

fn answer(caller: &mut Caller<'_, State>, act: impl FnOnce(&mut Call<'_>) -> Result) -> i32 {
    match Call::new(caller).and_then(|mut call| act(&mut call)) {
        Ok(()) => 0,
        Err(errno) => errno.code(),
    }
}

macro_rules! imports {
    ($linker:ident: $($name:ident($($argument:ident: $type:ty),*);)*) => {
        $($linker.func_wrap(
            MODULE,
            stringify!($name),
            |mut caller: Caller<'_, State>, $($argument: $type),*| -> i32 {
                answer(&mut caller, |call| call.$name($($argument),*))
            },
        )?;)*
    };
}

/// Gives the guest what it imports, but for `poll_oneoff` and `proc_exit`, which can end it.
pub(super) fn add_to(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    imports!(linker:
        args_get(list: u32, text: u32);
        args_sizes_get(count: u32, bytes: u32);
        environ_get(list: u32, text: u32);
        environ_sizes_get(count: u32, bytes: u32);
        clock_res_get(clock: u32, out: u32);
        clock_time_get(clock: u32, precision: u64, out: u32);
        random_get(buffer: u32, len: u32);
        fd_advise(fd: u32, offset: u64, len: u64, advice: u32);
        fd_close(fd: u32);
        fd_datasync(fd: u32);
        fd_fdstat_get(fd: u32, out: u32);
        fd_fdstat_set_flags(fd: u32, flags: u32);
        fd_filestat_get(fd: u32, out: u32);
        fd_filestat_set_size(fd: u32, len: u64);
        fd_filestat_set_times(fd: u32, accessed: u64, modified: u64, flags: u32);
        fd_pread(fd: u32, list: u32, count: u32, offset: u64, out: u32);
        fd_prestat_get(fd: u32, out: u32);
        fd_prestat_dir_name(fd: u32, path: u32, len: u32);
        fd_pwrite(fd: u32, list: u32, count: u32, offset: u64, out: u32);
        fd_read(fd: u32, list: u32, count: u32, out: u32);
        fd_readdir(fd: u32, buffer: u32, len: u32, cookie: u64, out: u32);
        fd_seek(fd: u32, offset: i64, whence: u32, out: u32);
        fd_sync(fd: u32);
        fd_tell(fd: u32, out: u32);
        fd_write(fd: u32, list: u32, count: u32, out: u32);
    );
    add_paths_to(linker)
}

fn add_paths_to(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    imports!(linker:
        path_create_directory(fd: u32, path: u32, len: u32);
        path_filestat_get(fd: u32, flags: u32, path: u32, len: u32, out: u32);
        path_filestat_set_times(
            fd: u32, follow: u32, path: u32, len: u32, accessed: u64, modified: u64, flags: u32);
        path_link(fd: u32, follow: u32, old: u32, old_len: u32, to: u32, new: u32, new_len: u32);
        path_open(
            fd: u32, follow: u32, path: u32, len: u32, how: u32,
            rights: u64, inheriting: u64, flags: u32, out: u32);
        path_readlink(fd: u32, path: u32, len: u32, buffer: u32, buffer_len: u32, out: u32);
        path_remove_directory(fd: u32, path: u32, len: u32);
        path_rename(fd: u32, old: u32, old_len: u32, to: u32, new: u32, new_len: u32);
        path_symlink(old: u32, old_len: u32, fd: u32, new: u32, new_len: u32);
        path_unlink_file(fd: u32, path: u32, len: u32);
        sched_yield();
        sock_accept(fd: u32, flags: u32, out: u32);
        sock_recv(fd: u32, list: u32, count: u32, flags: u32, out: u32, out_flags: u32);
        sock_send(fd: u32, list: u32, count: u32, flags: u32, out: u32);
        sock_shutdown(fd: u32, how: u32);
    );
    Ok(())
}

#[cfg(test)]
mod tests;
