//! The room a program sees: a root of its own with what it may read, and two folders to write in.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags,
};

use super::sys::{NO_DEVICES, NO_EXEC, NO_SETUID, READ_ONLY, restrict_mount};
use super::wire::Plan;

/// Where the new root is put together before it becomes the root. Every Linux has it.
const SITE: &str = "/tmp";

/// The devices that a program may open. Not `/dev/zero`: a shared mapping of it is memory that
/// nobody's size shows.
const DEVICES: &[&str] = &["/dev/null", "/dev/full", "/dev/random", "/dev/urandom"];

/// Folders of an ordinary system that are shown if they are there; links are made anew.
const SYSTEM: &[&str] = &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store"];

/// Files of `/etc` that libraries and fonts are found by.
const SETTINGS: &[&str] = &[
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",
    "/etc/fonts",
];

/// Something of the host's that will be in the room.
#[derive(Debug)]
pub(super) enum Shown {
    /// A copy of the mounts at a path.
    Tree(PathBuf, OwnedFd),
    /// A symbolic link and what it says.
    Link(PathBuf, PathBuf),
}

/// Takes hold of everything of the host's that will be in the room.
///
/// Root does so before it becomes somebody who could not reach, say, an interpreter in its own
/// home; an ordinary user afterwards, in a namespace where that is allowed.
pub(super) fn take_hold(plan: &Plan) -> io::Result<Vec<Shown>> {
    let mut shown = Vec::new();
    let everything: Vec<PathBuf>;
    let system: Vec<&Path> = match plan.layers.files {
        true => SYSTEM.iter().chain(SETTINGS).map(Path::new).collect(),
        false => {
            everything = whole_host()?;
            everything.iter().map(PathBuf::as_path).collect()
        }
    };
    for path in system {
        shown.extend(hold_if_there(path)?);
    }
    for path in &plan.shown {
        if !shown.iter().any(|it| matches!(it, Shown::Tree(tree, _) if path.starts_with(tree))) {
            shown.push(Shown::Tree(path.clone(), hold(path)?));
        }
    }
    for device in DEVICES.iter().filter(|_| plan.layers.files) {
        shown.push(Shown::Tree(device.into(), hold(Path::new(device))?));
    }
    Ok(shown)
}

/// Every folder of the host's root but those that the room has of its own: what is to be seen
/// without this layer.
fn whole_host() -> io::Result<Vec<PathBuf>> {
    let own = ["/proc", "/tmp", "/mnt", "/opt"].map(Path::new);
    let entries = fs_err::read_dir("/")?.map(|entry| entry.map(|entry| entry.path()));
    let entries: Vec<PathBuf> = entries.collect::<io::Result<_>>()?;
    Ok(entries.into_iter().filter(|path| !own.contains(&path.as_path())).collect())
}

fn hold_if_there(path: &Path) -> io::Result<Option<Shown>> {
    let Ok(found) = rustix::fs::lstat(path) else { return Ok(None) };
    if FileType::from_raw_mode(found.st_mode) == FileType::Symlink {
        return Ok(Some(Shown::Link(path.into(), fs_err::read_link(path)?)));
    }
    Ok(Some(Shown::Tree(path.into(), hold(path)?)))
}

/// A copy of the mounts at `path`, in nobody's tree yet.
fn hold(path: &Path) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE;
    rustix::mount::open_tree(CWD, path, flags).map_err(|error| named(error.into(), path))
}

/// Builds the room, enters it and leaves everything else behind. Gives the two folders that can be
/// written.
pub(super) fn enter(plan: &Plan, shown: &[Shown]) -> io::Result<[OwnedFd; 2]> {
    // What is mounted from here on is not seen by the host, and what it mounts not here.
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private)?;
    let root = new_folder("1m", 4096, "0755")?;
    attach(&root, SITE.as_ref())?;
    rustix::process::chdir(SITE)?;
    // First, because what is shown may lie in one of them.
    let folders = writable_folders(plan)?;
    for it in shown {
        show(it, plan.layers.files)?;
    }
    for (path, text) in &plan.written {
        // What the host shows is the host's, and may be writable where this layer is taken away.
        if shown.iter().any(|it| matches!(it, Shown::Tree(tree, _) if path.starts_with(tree))) {
            continue;
        }
        make_parents(path)?;
        fs_err::write(inside(path), text)?;
    }
    if plan.layers.files {
        make_links()?;
    }
    mount_proc(plan)?;
    // The old root lies under the new one for a moment, on the same name.
    rustix::process::pivot_root(".", ".")?;
    rustix::mount::unmount(".", UnmountFlags::DETACH)?;
    rustix::process::chdir("/")?;
    let read_only = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    rustix::mount::mount_remount("/", read_only | MountFlags::BIND, c"")?;
    Ok(folders)
}

fn show(it: &Shown, sealed: bool) -> io::Result<()> {
    match it {
        Shown::Link(path, target) => {
            rustix::fs::symlinkat(target, CWD, inside(path)).map_err(io::Error::from)
        }
        Shown::Tree(path, tree) => {
            let flags = if path.starts_with("/dev") {
                NO_SETUID | NO_EXEC
            } else {
                READ_ONLY | NO_SETUID | NO_DEVICES
            };
            if sealed {
                restrict_mount(tree, flags).map_err(|error| named(error, path))?;
            }
            make_target(path, tree)?;
            attach(tree, &inside(path)).map_err(|error| named(error, path))
        }
    }
}

/// The folder or file that a tree is mounted on.
fn make_target(path: &Path, tree: &OwnedFd) -> io::Result<()> {
    make_parents(path)?;
    let kind = FileType::from_raw_mode(rustix::fs::fstat(tree)?.st_mode);
    let target = inside(path);
    if kind == FileType::Directory {
        return fs_err::create_dir_all(target);
    }
    fs_err::File::create(target).map(drop)
}

fn make_parents(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| fs_err::create_dir_all(inside(parent)))
}

fn make_links() -> io::Result<()> {
    let links = [
        ("/proc/self/fd", "dev/fd"),
        ("/proc/self/fd/0", "dev/stdin"),
        ("/proc/self/fd/1", "dev/stdout"),
        ("/proc/self/fd/2", "dev/stderr"),
        // Semaphores of Python's multiprocessing; shared memory counts as files.
        ("/tmp", "dev/shm"),
    ];
    links.iter().try_for_each(|(target, link)| rustix::fs::symlinkat(*target, CWD, *link))?;
    Ok(())
}

/// `/mnt/data` and `/tmp`: file systems in memory, because their size is the only quota that an
/// ordinary user can set.
fn writable_folders(plan: &Plan) -> io::Result<[OwnedFd; 2]> {
    let sizes = [("mnt/data", plan.data_bytes), ("tmp", plan.data_bytes / 2)];
    sizes
        .map(|(target, bytes)| {
            let (size, files) =
                if plan.layers.quotas { (bytes.to_string(), plan.files) } else { ("4g".into(), 0) };
            let folder = new_folder(&size, files, "0700")?;
            restrict_mount(&folder, NO_SETUID | NO_DEVICES | NO_EXEC)?;
            fs_err::create_dir_all(target)?;
            attach(&folder, target.as_ref())?;
            let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC;
            Ok(rustix::fs::open(target, flags, Mode::empty())?)
        })
        .into_iter()
        .collect::<io::Result<Vec<_>>>()?
        .try_into()
        .map_err(|_| io::Error::other("there are two folders"))
}

/// A new file system in memory. No files means any number of them.
fn new_folder(size: &str, files: u64, mode: &str) -> io::Result<OwnedFd> {
    let made = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in [("size", size), ("nr_inodes", &files.to_string()), ("mode", mode)] {
        rustix::mount::fsconfig_set_string(made.as_fd(), key, value)?;
    }
    rustix::mount::fsconfig_create(made.as_fd())?;
    let flags = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    Ok(rustix::mount::fsmount(made.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, flags)?)
}

/// The processes of this room and nothing else of `/proc`.
fn mount_proc(plan: &Plan) -> io::Result<()> {
    fs_err::create_dir_all("proc")?;
    if !plan.layers.processes {
        let host = hold(Path::new("/proc"))?;
        return attach(&host, "proc".as_ref());
    }
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount("proc", "proc", "proc", flags, c"hidepid=2,subset=pid")
        .map_err(|error| named(error.into(), Path::new("/proc")))
}

fn attach(tree: &OwnedFd, target: &Path) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    let from: BorrowedFd = tree.as_fd();
    Ok(rustix::mount::move_mount(from, "", CWD, target, flags)?)
}

/// A path of the room as seen from the site.
fn inside(path: &Path) -> PathBuf {
    path.strip_prefix("/").unwrap_or(path).to_path_buf()
}

fn named(error: io::Error, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
