//! The system calls that have no safe face elsewhere.
#![expect(unsafe_code, reason = "fork, unshare, mount_setattr and close_range have no safe face")]

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use rustix::process::Pid;
use rustix::thread::UnshareFlags;

/// Which of the two processes this is after a fork.
#[derive(Clone, Copy, Debug)]
pub(super) enum Forked {
    Parent(Pid),
    Child,
}

/// Splits the process in two.
///
/// # Errors
/// The system's; and if the process has more than one thread, because the child would hold locks
/// that nobody releases.
pub(super) fn fork() -> io::Result<Forked> {
    let threads = fs_err::read_dir("/proc/self/task")?.count();
    if threads != 1 {
        return Err(io::Error::other(format!("cannot fork a process of {threads} threads")));
    }
    // SAFETY: the process has one thread, as counted above, so no lock is held by a thread that
    // the child would not have.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        pid => Pid::from_raw(pid)
            .map(Forked::Parent)
            .ok_or_else(|| io::Error::other("fork gave no process number")),
    }
}

/// Leaves the namespaces that `flags` names for new ones.
pub(super) fn unshare(flags: UnshareFlags) -> io::Result<()> {
    assert!(!flags.contains(UnshareFlags::FILES), "descriptors are not unshared here");
    // SAFETY: only CLONE_FILES could break what other code knows of descriptors, and it is not
    // among the flags.
    unsafe { rustix::thread::unshare_unsafe(flags) }.map_err(Into::into)
}

/// `struct mount_attr` of mount_setattr(2).
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// The flags of mount_setattr(2) that are set here.
pub(super) const READ_ONLY: u64 = 0x1;
pub(super) const NO_SETUID: u64 = 0x2;
pub(super) const NO_DEVICES: u64 = 0x4;
pub(super) const NO_EXEC: u64 = 0x8;

/// Sets flags of the mount `tree` and of all below it.
pub(super) fn restrict_mount(tree: impl AsFd, set: u64) -> io::Result<()> {
    let attributes = MountAttributes { set, clear: 0, propagation: 0, user_namespace: 0 };
    let flags = libc::AT_EMPTY_PATH | libc::AT_RECURSIVE;
    // SAFETY: the path is a C string, the structure is laid out as mount_setattr(2) says and
    // outlives the call, and the size is its own.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Closes every descriptor but the three standard ones: what the host had open and did not mark is
/// not for a sandbox. Called first in a process, before anything in it owns one.
pub(super) fn close_inherited() -> io::Result<()> {
    // SAFETY: as said above, nothing in this process owns what is closed. An owner that there was
    // all the same gets an error on its next use; no memory depends on a descriptor here.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
