//! Attempts on what is outside: files, networks, other processes, privileges, and the border where
//! files cross.

use super::super::Layer::{
    self, Capabilities, Inheritance, IpcNamespace, Kernel, Landlock, MountNamespace, NetNamespace,
    PidNamespace, Protocol, Quota, Rlimits, Seccomp, Uid, UserNamespace, UtsNamespace,
};
use super::{Chapter, Row};

const FILES: &[Layer] = &[MountNamespace, Landlock];
const NETWORK: &[Layer] = &[Seccomp, NetNamespace];
const PORTS: &[Layer] = &[Seccomp, NetNamespace, Landlock];
const SIGNALS: &[Layer] = &[PidNamespace, Landlock];

#[rustfmt::skip]
pub(super) const CHAPTERS: &[Chapter] = &[
    Chapter("files", include_str!("../files.py"), &[
        Row("system", "read accounts, keys and logs", "reads(*SYSTEM_FILES)", &[MountNamespace]),
        Row("canary", "read a file of the host's by every road up and out", "finds_the_canary()", &[MountNamespace]),
        Row("links", "read it through links made inside", "follows_links()", &[MountNamespace]),
        Row("folders", "list the host's folders", "lists(*SYSTEM_FOLDERS)", &[MountNamespace]),
        Row("devices", "open memory, disks, terminals and virtual machines", "opens(*DEVICES)", &[MountNamespace]),
        Row("nodes", "make devices", "makes_nodes()", &[Seccomp, Landlock, Capabilities, UserNamespace]),
        Row("system-write", "make files beside the system's", "writes_in(*READ_ONLY)", FILES),
        Row("python-write", "change the interpreter and its packages", "writes_python()", &[MountNamespace, Uid]),
        Row("system-change", "change files of the system and their owners", "changes(*SETTINGS)", &[MountNamespace]),
        Row("mounts", "find a mount that is writable", "has_no_other_mount_to_write()", &[MountNamespace]),
        Row("proc-others", "see the host's processes", "sees_foreign_processes()", &[PidNamespace]),
        Row("proc-above", "read memory and environment of the processes above", "reads_processes()", &[PidNamespace, UserNamespace, Uid]),
        Row("proc-write", "turn the kernel's switches", "writes_proc()", &[PidNamespace, Landlock, Uid]),
        Row("groups", "leave its control group", "leaves_its_group()", &[MountNamespace, Landlock, Uid]),
    ]),
    Chapter("network", include_str!("../network.py"), &[
        Row("families", "make a socket of any family and kind", "all_families()", &[Seccomp]),
        Row("pairs", "make a pair of any family", "pairs_of_other_families()", &[Seccomp, Kernel]),
        Row("vsock", "make the socket that leads out of a virtual machine", "one_family(40, 1)", &[Seccomp]),
        Row("netlink", "make a socket to the kernel", "one_family(16, 3)", &[Seccomp]),
        Row("packet", "make a socket below IP", "one_family(17, 3, 768)", &[Seccomp, Capabilities]),
        Row("raw", "make a socket of raw IP", "one_family(2, 3, 255)", &[Seccomp, Capabilities]),
        Row("alg", "make a socket to the kernel's ciphers", "one_family(38, 5)", &[Seccomp, Kernel]),
        Row("xdp", "make a socket to a card's queues", "one_family(44, 3)", &[Seccomp, Capabilities]),
        Row("tcp", "connect to a port of the host's", "connects('tcp')", PORTS),
        Row("tcp6", "the same by IPv6", "connects('tcp6')", PORTS),
        Row("udp", "send the host a datagram", "connects('udp')", NETWORK),
        Row("unix", "connect to a socket that is a file", "connects('unix')", &[Seccomp, MountNamespace]),
        Row("abstract", "connect to a socket that is a name", "connects('abstract')", PORTS),
        Row("server", "ask the host's API", "asks_the_server()", PORTS),
        Row("names", "look up names", "resolves_names()", NETWORK),
        Row("world", "connect to addresses outside", "leaves_for_the_world()", NETWORK),
        Row("listen", "open a port of its own", "listens()", &[Seccomp]),
    ]),
    Chapter("privileges", include_str!("../privileges.py"), &[
        Row("capabilities", "have powers of root", "capabilities()", &[Capabilities]),
        Row("no-new", "be without the marks of confinement", "no_new_privileges()", &[Seccomp]),
        Row("root", "be root, here or outside", "is_nobody()", &[UserNamespace, Uid]),
        Row("setuid", "become root by the system's programs", "setuid_programs()", &[Capabilities, MountNamespace, UserNamespace]),
        Row("own-setuid", "become root by a program of its own", "own_setuid_program()", &[Capabilities, MountNamespace, UserNamespace, Uid]),
        Row("limits", "raise its limits", "raises_limits()", &[Rlimits]),
        Row("priority", "go before others", "priorities()", &[Capabilities, UserNamespace]),
        Row("core", "leave a core", "dumps_core()", &[Rlimits, Seccomp]),
    ]),
    Chapter("leaks", include_str!("../leaks.py"), &[
        Row("environment", "read the host's environment", "environment()", &[Inheritance]),
        Row("descriptors", "read what the host has open", "inherited()", &[Inheritance]),
        Row("names", "learn the host's name", "names()", &[UtsNamespace]),
        Row("keys", "list keys", "keyrings()", &[PidNamespace]),
    ]),
    Chapter("kernel", include_str!("../kernel.py"), &[
        Row("terminal", "type into the host's terminal", "types_into_the_terminal()", &[Seccomp, Inheritance]),
        Row("shared-keys", "leave shared memory under a key", "shared_memory_by_key()", &[Seccomp, IpcNamespace]),
        Row("shared-names", "leave shared memory under a name", "shared_memory_by_name()", FILES),
    ]),
    Chapter("processes", include_str!("../processes.py"), &[
        Row("daemons", "leave children that outlive the session", "daemons()", &[PidNamespace]),
        Row("busy-children", "leave children that work on", "busy_children()", &[PidNamespace]),
        Row("talking-children", "leave children that print on", "talking_children()", &[PidNamespace]),
        Row("signal-victim", "stop and kill a process of the host's", "signals_the_victim()", SIGNALS),
        Row("signal-host", "signal the host", "signals_the_host()", SIGNALS),
        Row("signal-first", "stop and kill the session's first process", "signals_the_first()", &[PidNamespace]),
        Row("signal-all", "signal everybody", "signals_everybody()", &[PidNamespace]),
        Row("limits-of-others", "look at others and slow them down", "limits_others()", &[PidNamespace]),
    ]),
];

/// What programs leave for the host to stumble over.
#[rustfmt::skip]
pub(super) const BORDER: Chapter = Chapter("border", include_str!("../disk.py"), &[
    Row("kinds", "leave links, fifos and devices for the host to read and write", "stranger_kinds()", &[Protocol]),
    Row("names", "leave names that are no text", "strange_names()", &[Protocol]),
    Row("deep", "leave folders without a bottom", "deep()", &[Quota, Protocol]),
    Row("race-link", "exchange a file for a link while it is read", "racing(HOST['canary'])", &[Protocol]),
    Row("race-device", "exchange a file for a device while it is read", "racing('/dev/zero')", &[Protocol]),
    Row("growing", "let a file grow while it is read", "growing_file()", &[Protocol]),
    Row("door", "take the folder itself away", "closes_the_door()", &[MountNamespace, Protocol]),
]);

/// Names of the files that the attempts at the border leave.
pub(super) const CROSSING: &[&str] = &[
    "file",
    "real/canary",
    "passwd",
    "canary",
    "root/etc/passwd",
    "up/etc/passwd",
    "self",
    "folder/loop/loop/loop",
    "zero",
    "proc/etc/passwd",
    "fd/0",
    "fifo",
    "hard",
    "null",
    "outside/canary",
    "sparse",
    "closed",
    "folder",
    "attempt",
    "1/2/3/4/5/6/7/8",
];
