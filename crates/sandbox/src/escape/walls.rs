//! The walls, by the names that tests and documents have for them.

use std::fmt;

/// A wall between a program and the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Layer {
    /// Another tree of files, read-only but for the session's own folders.
    MountNamespace,
    /// Other numbers for processes, and all of them end with the session.
    PidNamespace,
    /// Another network, with nobody in it.
    NetNamespace,
    /// Other keys for shared memory, semaphores and queues.
    IpcNamespace,
    /// Another name of the host.
    UtsNamespace,
    /// Other numbers for users, none of them root's.
    UserNamespace,
    /// Rules for files, ports, signals and sockets by name.
    Landlock,
    /// A list of the calls that the kernel hears.
    Seccomp,
    /// Bounds of one process: memory, size of files, descriptors, cores, and how many there are.
    Rlimits,
    /// Bounds of what the session's folders hold.
    Quota,
    /// The bound of memory of all processes together: a group's, or a watchdog's.
    Memory,
    /// No powers of root, and none to be had.
    Capabilities,
    /// A user of the session's own.
    Uid,
    /// Nothing is inherited: neither descriptors nor the environment.
    Inheritance,
    /// The host believes nothing that it reads, bounds it, and puts files in and takes them out
    /// without following a name.
    Protocol,
    /// Whoever does not stop is killed.
    Watchdog,
    /// The kernel itself has no such thing, or not for an ordinary user. Nobody takes this wall
    /// away, and another machine may not have it.
    Kernel,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::MountNamespace => "mount namespace",
            Self::PidNamespace => "pid namespace",
            Self::NetNamespace => "net namespace",
            Self::IpcNamespace => "ipc namespace",
            Self::UtsNamespace => "uts namespace",
            Self::UserNamespace => "user namespace",
            Self::Landlock => "landlock",
            Self::Seccomp => "seccomp",
            Self::Rlimits => "rlimits",
            Self::Quota => "quota",
            Self::Memory => "memory",
            Self::Capabilities => "capabilities",
            Self::Uid => "uid",
            Self::Inheritance => "inheritance",
            Self::Protocol => "protocol",
            Self::Watchdog => "watchdog",
            Self::Kernel => "kernel",
        })
    }
}
