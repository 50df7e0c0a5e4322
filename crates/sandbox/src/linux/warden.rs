//! The first process of a sandbox: it opens files for the host, passes on interruptions, watches
//! memory, buries the dead, and takes everything with it when it ends.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, WaitStatus};

use super::wire::{Channel, Ended, Folder, Place, Plan, Reply, Request};

/// How often memory is looked at. A process that fills memory as fast as it can gets some 200 MB
/// in this time.
const LOOK_EVERY: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// What one socket may hold, as kernels have it by themselves: a little over `wmem_default`.
const SOCKET_BYTES: u64 = 256 << 10;

/// How many bytes of paths a list may have, so that it is one message.
const LIST_BYTES: usize = 48 << 10;

/// How deep folders are looked into.
const DEPTH: usize = 8;

/// See the [module](self).
pub(super) struct Warden<'a> {
    channel: &'a Channel,
    program: Pid,
    /// Readable once the program has ended.
    ended: OwnedFd,
    folders: [OwnedFd; 2],
    /// None if nobody watches.
    memory_bytes: Option<u64>,
}

impl<'a> Warden<'a> {
    pub(super) fn new(
        plan: &Plan,
        channel: &'a Channel,
        program: Child,
        folders: [OwnedFd; 2],
    ) -> io::Result<Self> {
        let program = Pid::from_child(&program);
        let ended = rustix::process::pidfd_open(program, PidfdFlags::empty())?;
        let memory_bytes = plan.layers.memory.then_some(plan.memory_bytes);
        Ok(Self { channel, program, ended, folders, memory_bytes })
    }

    /// Keeps watch until the program or the host is gone.
    pub(super) fn watch(&self) -> io::Result<()> {
        loop {
            let (asked, ended) = self.wait()?;
            if asked {
                match self.channel.receive::<Request>()? {
                    Some((request, _)) => self.answer(request)?,
                    None => return Ok(()),
                }
            }
            if let Some(how) = self.bury(ended) {
                return self.channel.send(&Reply::Ended(how), None);
            }
            if self.is_over_memory() {
                return self.channel.send(&Reply::Ended(Ended::OutOfMemory), None);
            }
        }
    }

    /// Waits for a request or the program's end, but not long; says which there is.
    fn wait(&self) -> io::Result<(bool, bool)> {
        let mut waited =
            [PollFd::new(self.channel, PollFlags::IN), PollFd::new(&self.ended, PollFlags::IN)];
        match poll(&mut waited, Some(&LOOK_EVERY)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [channel, ended] = waited.map(|it| !it.revents().is_empty());
        Ok((channel, ended))
    }

    /// Takes note of every process that has ended; says how the program did, if it has.
    fn bury(&self, ended: bool) -> Option<Ended> {
        let mut of_program = None;
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            if pid == self.program {
                of_program = Some(how_it_ended(status));
            }
        }
        // Without a process namespace it is nobody's child here once its parent is gone.
        of_program.or_else(|| ended.then_some(Ended::Exited(0)))
    }

    fn answer(&self, request: Request) -> io::Result<()> {
        let opened = match request {
            Request::Open(place) => self.open(&place),
            Request::Create(place) => self.create(&place),
            Request::Remove(place) => {
                return self.done(self.at(&place, |folder, name| {
                    rustix::fs::unlinkat(folder, name, AtFlags::empty())
                }));
            }
            Request::Move(from, to) => return self.done(self.rename(&from, &to)),
            Request::List(most) => {
                return self.channel.send(&Reply::Files(self.list(most)), None);
            }
            Request::Interrupt => {
                return self.done(rustix::process::kill_process(self.program, Signal::INT));
            }
        };
        match opened {
            Ok(file) => self.channel.send(&Reply::Opened, Some(file.as_fd())),
            Err(error) => self.channel.send(&Reply::Refused(error.raw_os_error()), None),
        }
    }

    fn folder(&self, folder: Folder) -> &OwnedFd {
        &self.folders[usize::from(folder == Folder::Temporary)]
    }

    fn open(&self, place: &Place) -> Result<OwnedFd, Errno> {
        // Opening a pipe to read would wait for somebody to write.
        let file = beneath(self.folder(place.folder), &place.path, OFlags::NONBLOCK)?;
        regular(file)
    }

    fn create(&self, place: &Place) -> Result<OwnedFd, Errno> {
        for (end, _) in place.path.match_indices('/') {
            let parent = Place { path: place.path[..end].to_owned(), ..place.clone() };
            match self.at(&parent, |folder, name| rustix::fs::mkdirat(folder, name, Mode::RWXU)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
        }
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY;
        beneath(self.folder(place.folder), &place.path, flags)
    }

    fn rename(&self, from: &Place, to: &Place) -> Result<(), Errno> {
        self.at(from, |from_folder, from_name| {
            self.at(to, |folder, name| rustix::fs::renameat(from_folder, from_name, folder, name))
        })
    }

    /// Does something with the folder that a place lies in and its name there.
    fn at<T>(
        &self,
        place: &Place,
        act: impl FnOnce(&OwnedFd, &str) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let folder = self.folder(place.folder);
        let Some((above, name)) = place.path.rsplit_once('/') else {
            return act(folder, &place.path);
        };
        act(&beneath(folder, above, OFlags::DIRECTORY)?, name)
    }

    fn done(&self, result: Result<(), Errno>) -> io::Result<()> {
        let number = result.err().map_or(0, Errno::raw_os_error);
        self.channel.send(&Reply::Done(number), None)
    }

    /// Path and length of the regular files under `/mnt/data`, as many as one message holds.
    fn list(&self, most: usize) -> Vec<(String, u64)> {
        let mut files = Vec::new();
        let mut room = LIST_BYTES;
        let mut waiting = vec![(String::new(), 0)];
        while let Some((folder, depth)) = waiting.pop() {
            for (name, kind, length) in self.entries(&folder) {
                let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                match kind {
                    FileType::RegularFile if files.len() < most && path.len() < room => {
                        room -= path.len();
                        files.push((path, length));
                    }
                    FileType::Directory if depth + 1 < DEPTH => waiting.push((path, depth + 1)),
                    _ => {}
                }
            }
        }
        files.sort();
        files
    }

    /// What a folder holds; nothing if it went away meanwhile.
    fn entries(&self, folder: &str) -> Vec<(String, FileType, u64)> {
        let path = if folder.is_empty() { "." } else { folder };
        let Ok(folder) = beneath(&self.folders[0], path, OFlags::DIRECTORY) else {
            return Vec::new();
        };
        let Ok(entries) = Dir::read_from(&folder) else { return Vec::new() };
        let entries = entries.flatten().filter_map(|entry| {
            let name =
                entry.file_name().to_str().ok().filter(|name| !matches!(*name, "." | ".."))?;
            let found = rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
            let kind = FileType::from_raw_mode(found.st_mode);
            Some((name.to_owned(), kind, u64::try_from(found.st_size).unwrap_or(0)))
        });
        entries.collect()
    }

    /// Whether all processes together hold more memory than they may. Pages that several share
    /// count once, but that takes long to find out, so first they are counted each time.
    fn is_over_memory(&self) -> bool {
        let Some(most) = self.memory_bytes else { return false };
        let most = most.saturating_sub(socket_bytes());
        resident_bytes() > most && proportional_bytes() > most
    }
}

/// A path under a folder, through no symbolic link, on no other file system.
fn beneath(folder: &OwnedFd, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NOCTTY;
    let mode = if flags.contains(OFlags::CREATE) { Mode::RUSR | Mode::WUSR } else { Mode::empty() };
    rustix::fs::openat2(folder, path, flags, mode, resolve)
}

fn regular(file: OwnedFd) -> Result<OwnedFd, Errno> {
    let found = rustix::fs::fstat(&file)?;
    let is_regular = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
    if is_regular { Ok(file) } else { Err(Errno::NXIO) }
}

fn how_it_ended(status: WaitStatus) -> Ended {
    let status = ExitStatus::from_raw(status.as_raw());
    match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Exited(code),
        (None, signal) => Ended::Signalled(signal.unwrap_or(0)),
    }
}

/// The numbers of the processes that can be seen, but for this one.
fn processes() -> impl Iterator<Item = u32> {
    let entries = fs_err::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter(|number| *number != std::process::id())
}

fn resident_bytes() -> u64 {
    processes().map(|number| sum_of(number, "status", &["VmRSS:", "VmSwap:"])).sum()
}

/// What waits in a pair of sockets is memory of the kernel's and in no process's size: each socket
/// counts as full. Threads may have descriptors of their own.
fn socket_bytes() -> u64 {
    let tasks = processes().flat_map(|number| entries(format!("/proc/{number}/task")));
    let files = tasks.flat_map(|task| entries(task.join("fd")));
    let targets = files.filter_map(|file| fs_err::read_link(file).ok());
    let sockets: BTreeSet<PathBuf> = targets
        .filter(|target| target.as_os_str().as_encoded_bytes().starts_with(b"socket:"))
        .collect();
    sockets.len() as u64 * SOCKET_BYTES
}

fn entries(folder: impl AsRef<Path> + Into<PathBuf>) -> impl Iterator<Item = PathBuf> {
    fs_err::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn proportional_bytes() -> u64 {
    processes().map(|number| sum_of(number, "smaps_rollup", &["Pss:", "SwapPss:"])).sum()
}

/// The sum of some lines of a process's file in `/proc`, in bytes; 0 if it is gone.
fn sum_of(process: u32, file: &str, names: &[&str]) -> u64 {
    let text = fs_err::read_to_string(format!("/proc/{process}/{file}")).unwrap_or_default();
    let kilobytes = text.lines().filter_map(|line| {
        let value = names.iter().find_map(|name| line.strip_prefix(name))?;
        value.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    });
    kilobytes.sum::<u64>() << 10
}
