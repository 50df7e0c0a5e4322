//! What is tried. The programs are the `.py` files beside this one; a row here calls one of their
//! functions.

use std::time::Duration;

use super::Layer::{
    self, Capabilities, Inheritance, IpcNamespace, Kernel, Landlock, Memory, MountNamespace,
    NetNamespace, PidNamespace, Protocol, Quota, Rlimits, Seccomp, Uid, UserNamespace,
    UtsNamespace, Watchdog,
};
use super::{Attempt, Ends, kernel, limits};

/// A chapter: its name, its program's text, its rows.
struct Chapter(&'static str, &'static str, &'static [Row]);

/// A name, what it tries, the call, and the walls.
struct Row(&'static str, &'static str, &'static str, &'static [Layer]);

const FILES: &[Layer] = &[MountNamespace, Landlock];
const NETWORK: &[Layer] = &[Seccomp, NetNamespace];
const SIGNALS: &[Layer] = &[PidNamespace, Landlock, Uid];

pub(super) fn all() -> Vec<Attempt> {
    let mut attempts: Vec<Attempt> =
        WELL.iter().flat_map(|chapter| rows(chapter, Ends::Well)).collect();
    attempts.extend(kernel::attempts());
    attempts.extend(rows(&BORDER, Ends::Well).map(crossing));
    attempts.extend(STOPPED.iter().flat_map(|chapter| rows(chapter, Ends::Stopped)).map(short));
    attempts.extend(SOMEHOW.iter().flat_map(|chapter| rows(chapter, Ends::Somehow)).map(short));
    attempts
}

fn rows(chapter: &Chapter, ends: Ends) -> impl Iterator<Item = Attempt> + use<> {
    let Chapter(name, text, rows) = *chapter;
    rows.iter().map(move |Row(row, tries, call, layers)| {
        attempt(format!("{name}/{row}"), tries, format!("{text}\n\n{call}\n"), layers, ends)
    })
}

pub(super) fn attempt(
    name: String,
    tries: &str,
    program: String,
    layers: &'static [Layer],
    ends: Ends,
) -> Attempt {
    let time = limits().time;
    let tries = tries.to_owned();
    Attempt { name, tries, layers, program, ends, crossing: &[], times: 1, time }
}

/// What cannot end by itself has two seconds.
fn short(attempt: Attempt) -> Attempt {
    Attempt { time: Duration::from_secs(2), ..attempt }
}

/// The host reads and writes what the program left.
fn crossing(attempt: Attempt) -> Attempt {
    let races = attempt.name.contains("race") || attempt.name.contains("growing");
    Attempt { crossing: CROSSING, times: if races { 150 } else { 1 }, ..attempt }
}

/// Names of the files that the attempts at the border leave.
const CROSSING: &[&str] = &[
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

const WELL: &[Chapter] = &[
    Chapter(
        "files",
        include_str!("files.py"),
        &[
            Row(
                "system",
                "read accounts, keys and logs",
                r#"reads("/etc/passwd", "/etc/shadow", "/etc/hostname", "/etc/machine-id", "/etc/sudoers", "/root/.bashrc", "/root/.ssh/id_rsa", "/proc/kcore", "/proc/kmsg", "/proc/kallsyms", "/proc/config.gz", "/var/log/syslog")"#,
                FILES,
            ),
            Row(
                "canary",
                "read a file of the host's by every road up and out",
                "finds_the_canary()",
                FILES,
            ),
            Row("links", "read it through links made inside", "follows_links()", FILES),
            Row(
                "folders",
                "list the host's folders",
                r#"lists("/", "/root", "/home", "/var/log", "/etc", "/run", "/sys", HOST["folder"])"#,
                FILES,
            ),
            Row(
                "devices",
                "open memory, disks, terminals and virtual machines",
                r#"opens("/dev/kvm", "/dev/mem", "/dev/kmem", "/dev/port", "/dev/kmsg", "/dev/fuse", "/dev/net/tun", "/dev/vsock", "/dev/vhost-vsock", "/dev/vhost-net", "/dev/loop-control", "/dev/loop0", "/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/console", "/dev/tty", "/dev/tty0", "/dev/ptmx", "/dev/userfaultfd", "/dev/hpet", "/dev/rtc0", "/dev/fb0", "/dev/dri/card0", "/dev/snd/timer", "/dev/input/event0", "/dev/cpu/0/msr", "/dev/watchdog", "/dev/uinput", "/dev/mapper/control", "/dev/btrfs-control", "/dev/autofs", "/dev/cuse", "/dev/vfio/vfio", "/dev/io_uring")"#,
                &[MountNamespace, Landlock],
            ),
            Row("nodes", "make devices", "makes_nodes()", &[Seccomp, Landlock, Capabilities]),
            Row(
                "system-write",
                "make files beside the system's",
                r#"writes_in("/", "/usr", "/usr/bin", "/usr/lib", "/usr/local", "/etc", "/bin", "/lib", "/root", "/home", "/var", "/var/tmp", "/run", "/dev", "/proc", "/sys", "/mnt", "/opt", HOST["folder"])"#,
                FILES,
            ),
            Row(
                "python-write",
                "change the interpreter and its packages",
                "writes_python()",
                FILES,
            ),
            Row(
                "system-change",
                "change files of the system and their owners",
                r#"changes("/etc/passwd", "/etc/hosts", "/etc/ld.so.cache", "/bin/sh", "/usr/bin/env", "/etc/ld.so.preload", HOST["canary"])"#,
                FILES,
            ),
            Row(
                "mounts",
                "find a mount that is writable",
                "has_no_other_mount_to_write()",
                &[MountNamespace],
            ),
            Row(
                "proc-others",
                "see the host's processes",
                "sees_foreign_processes()",
                &[PidNamespace, MountNamespace],
            ),
            Row(
                "proc-above",
                "read memory and environment of the processes above",
                "reads_processes()",
                &[PidNamespace, Landlock, Uid],
            ),
            Row(
                "proc-write",
                "turn the kernel's switches",
                "writes_proc()",
                &[MountNamespace, Landlock, Uid],
            ),
        ],
    ),
    Chapter(
        "network",
        include_str!("network.py"),
        &[
            Row("families", "make a socket of any family and kind", "all_families()", &[Seccomp]),
            Row(
                "pairs",
                "make a pair of any family",
                "pairs_of_other_families()",
                &[Seccomp, Kernel],
            ),
            Row(
                "vsock",
                "make the socket that leads out of a virtual machine",
                "one_family(40, 1)",
                &[Seccomp],
            ),
            Row("netlink", "make a socket to the kernel", "one_family(16, 3)", &[Seccomp]),
            Row(
                "packet",
                "make a socket below IP",
                "one_family(17, 3, 768)",
                &[Seccomp, Capabilities],
            ),
            Row(
                "raw",
                "make a socket of raw IP",
                "one_family(2, 3, 255)",
                &[Seccomp, Capabilities],
            ),
            Row("alg", "make a socket to the kernel's ciphers", "one_family(38, 5)", &[Seccomp]),
            Row(
                "xdp",
                "make a socket to a card's queues",
                "one_family(44, 3)",
                &[Seccomp, Capabilities],
            ),
            Row(
                "tcp",
                "connect to a port of the host's",
                r#"connects("tcp")"#,
                &[Seccomp, NetNamespace, Landlock],
            ),
            Row(
                "tcp6",
                "the same by IPv6",
                r#"connects("tcp6")"#,
                &[Seccomp, NetNamespace, Landlock],
            ),
            Row("udp", "send the host a datagram", r#"connects("udp")"#, NETWORK),
            Row(
                "unix",
                "connect to a socket that is a file",
                r#"connects("unix")"#,
                &[Seccomp, MountNamespace, Landlock],
            ),
            Row(
                "abstract",
                "connect to a socket that is a name",
                r#"connects("abstract")"#,
                &[Seccomp, NetNamespace, Landlock],
            ),
            Row(
                "server",
                "ask the host's API",
                "asks_the_server()",
                &[Seccomp, NetNamespace, Landlock],
            ),
            Row("names", "look up names", "resolves_names()", NETWORK),
            Row("world", "connect to addresses outside", "leaves_for_the_world()", NETWORK),
            Row("listen", "open a port of its own", "listens()", &[Seccomp]),
        ],
    ),
    Chapter(
        "privileges",
        include_str!("privileges.py"),
        &[
            Row("capabilities", "have powers of root", "capabilities()", &[Capabilities]),
            Row("no-new", "be without the marks of confinement", "no_new_privileges()", &[Seccomp]),
            Row("root", "be root, here or outside", "is_nobody()", &[UserNamespace, Uid]),
            Row(
                "setuid",
                "become root by the system's programs",
                "setuid_programs()",
                &[Capabilities, MountNamespace],
            ),
            Row(
                "own-setuid",
                "become root by a program of its own",
                "own_setuid_program()",
                &[Capabilities, MountNamespace, UserNamespace, Uid],
            ),
            Row("limits", "raise its limits", "raises_limits()", &[Rlimits, Capabilities]),
            Row("priority", "go before others", "priorities()", &[Capabilities, Seccomp]),
            Row("core", "leave a core", "dumps_core()", &[Rlimits]),
        ],
    ),
    Chapter(
        "leaks",
        include_str!("leaks.py"),
        &[
            Row("environment", "read the host's environment", "environment()", &[Inheritance]),
            Row("descriptors", "read what the host has open", "inherited()", &[Inheritance]),
            Row("names", "learn the host's name", "names()", &[UtsNamespace]),
            Row("keys", "list keys", "keyrings()", &[MountNamespace, Landlock]),
        ],
    ),
    Chapter(
        "kernel",
        include_str!("kernel.py"),
        &[
            Row(
                "terminal",
                "type into the host's terminal",
                "types_into_the_terminal()",
                &[Seccomp, Inheritance],
            ),
            Row(
                "shared-keys",
                "leave shared memory under a key",
                "shared_memory_by_key()",
                &[Seccomp, IpcNamespace],
            ),
            Row(
                "shared-names",
                "leave shared memory under a name",
                "shared_memory_by_name()",
                &[MountNamespace, Landlock],
            ),
        ],
    ),
    Chapter(
        "processes",
        include_str!("processes.py"),
        &[
            Row("fork-bomb", "have more children than it may", "fork_bomb()", &[Rlimits]),
            Row(
                "recursive-bomb",
                "have children that have children",
                "recursive_bomb()",
                &[Rlimits],
            ),
            Row("shell-bomb", "the same in a shell", "shell_bomb()", &[Rlimits]),
            Row("threads", "have more threads than it may", "threads()", &[Rlimits]),
            Row("daemons", "leave children that outlive the session", "daemons()", &[PidNamespace]),
            Row("busy-children", "leave children that work on", "busy_children()", &[PidNamespace]),
            Row(
                "talking-children",
                "leave children that print on",
                "talking_children()",
                &[PidNamespace],
            ),
            Row(
                "signal-victim",
                "stop and kill a process of the host's",
                "signals_the_victim()",
                SIGNALS,
            ),
            Row("signal-host", "signal the host", "signals_the_host()", SIGNALS),
            Row("signal-first", "signal the first process", "signals_the_first()", SIGNALS),
            Row("signal-all", "signal everybody", "signals_everybody()", SIGNALS),
            Row(
                "limits-of-others",
                "look at others and slow them down",
                "limits_others()",
                &[PidNamespace, Seccomp],
            ),
        ],
    ),
    Chapter(
        "memory",
        include_str!("memory.py"),
        &[
            Row("private-map", "map more than it may", "mappings(False)", &[Rlimits, Memory]),
            Row("shared-map", "the same, shared", "mappings(True)", &[Rlimits, Memory]),
            Row("pipes", "fill pipes", "pipes()", &[Rlimits, Memory, Kernel]),
            Row(
                "socket-buffers",
                "fill pairs of sockets",
                "socket_buffers()",
                &[Rlimits, Memory, Kernel],
            ),
            Row("descriptors", "open more than it may", "descriptors_without_end()", &[Rlimits]),
        ],
    ),
    Chapter(
        "disk",
        include_str!("disk.py"),
        &[
            Row("many", "fill the folders by many files", "fills(many)", &[Quota]),
            Row("single", "fill them by one file", "fills(single)", &[Quota, Rlimits]),
            Row("unlinked", "fill them by files without names", "fills(unlinked)", &[Quota]),
            Row("allocated", "reserve more than there is", "fills(allocated)", &[Quota, Rlimits]),
            Row("inodes", "make more files than it may", "fills(numbers)", &[Quota]),
            Row("folders", "make more folders than it may", "fills(folders)", &[Quota]),
            Row("links", "fill memory by long links", "fills(long_links)", &[Quota]),
            Row(
                "hard-links",
                "fill memory by names of one file",
                "fills(hard_links)",
                &[Quota, Landlock],
            ),
            Row(
                "attributes",
                "fill memory by attributes of files",
                "fills(attributes)",
                &[Seccomp, Quota],
            ),
            Row("elsewhere", "fill any other place", "fills_elsewhere()", FILES),
        ],
    ),
];

const BORDER: Chapter = Chapter(
    "border",
    include_str!("disk.py"),
    &[
        Row(
            "kinds",
            "leave links, fifos and devices for the host to read and write",
            "stranger_kinds()",
            &[Protocol],
        ),
        Row("names", "leave names that are no text", "strange_names()", &[Protocol]),
        Row("deep", "leave folders without a bottom", "deep()", &[Quota, Protocol]),
        Row(
            "race-link",
            "exchange a file for a link while it is read",
            r#"racing(HOST["canary"])"#,
            &[Protocol],
        ),
        Row(
            "race-fifo",
            "exchange a file for a device while it is read",
            r#"racing("/dev/zero")"#,
            &[Protocol],
        ),
        Row("growing", "let a file grow while it is read", "growing_file()", &[Protocol]),
        Row(
            "door",
            "take the folder itself away",
            "closes_the_door()",
            &[MountNamespace, Protocol],
        ),
    ],
);

const STOPPED: &[Chapter] = &[Chapter(
    "endless",
    include_str!("endless.py"),
    &[
        Row("loop", "never end", "loop()", &[Watchdog]),
        Row("sleep", "sleep for ever", "sleep()", &[Watchdog]),
        Row("regex", "loop in C", "regular_expression()", &[Watchdog]),
        Row("number", "loop in C and hear nothing", "large_number()", &[Watchdog]),
        Row("sum", "loop in C over numbers", "sum_in_c()", &[Watchdog]),
        Row("deaf", "ignore signals", "deaf()", &[Watchdog]),
        Row("blocked", "block signals", "blocked()", &[Watchdog]),
        Row("swallowing", "catch every interruption", "swallowing()", &[Watchdog]),
        Row("stopped", "stop itself", "stopped()", &[Watchdog]),
        Row("stopped-in-vain", "be stopped again and again", "stopped_in_vain()", &[Watchdog]),
        Row("thread", "wait for a thread", "waiting_for_a_thread()", &[Watchdog]),
        Row("lock", "wait for a lock", "waiting_for_a_lock()", &[Watchdog]),
        Row("child", "wait for a child", "waiting_for_a_child()", &[Watchdog]),
        Row("fifo", "wait for a fifo", "reading_a_fifo()", &[Watchdog]),
        Row("pipe", "wait for a pipe", "reading_a_pipe()", &[Watchdog]),
        Row("value", "have a value that never ends", "EndlessValue()", &[Watchdog]),
        Row("error", "raise an error that never ends", "endless_error()", &[Watchdog]),
        Row("end", "have an end that never ends", "endless_end()", &[Watchdog]),
        Row("trace", "never end in a trace", "endless_trace()", &[Watchdog]),
        Row("import", "never end in an import", "endless_import()", &[Watchdog]),
        Row("interruption", "never end in the interruption", "endless_interruption()", &[Watchdog]),
        Row(
            "print",
            "print for ever",
            "while True: os.write(1, b'x' * 65536)",
            &[Watchdog, Protocol],
        ),
    ],
)];

const SOMEHOW: &[Chapter] = &[
    Chapter(
        "endless",
        include_str!("endless.py"),
        &[
            Row("exit", "never end at the end", "endless_exit()", &[Watchdog]),
            Row("figure", "never end in saving a figure", "endless_figure()", &[Watchdog]),
        ],
    ),
    Chapter(
        "memory",
        include_str!("memory.py"),
        &[
            Row("heap", "take more memory than it may", "heap()", &[Rlimits, Memory]),
            Row("children", "take it by forty children", "family()", &[Memory]),
            Row(
                "page-tables",
                "take it by tables of pages",
                "sparse_mapping()",
                &[Rlimits, Memory],
            ),
            Row(
                "memfd",
                "take it by files without a place",
                "anonymous_files()",
                &[Seccomp, Memory, Rlimits],
            ),
            Row("value", "have a value of 300 MB", "growing_value()", &[Rlimits, Memory, Protocol]),
            Row(
                "error",
                "raise an error of 300 MB",
                "growing_error()",
                &[Rlimits, Memory, Protocol],
            ),
        ],
    ),
    Chapter(
        "disk",
        include_str!("disk.py"),
        &[Row("mapped", "fill a file through memory", "fills(mapped)", &[Quota, Rlimits])],
    ),
    Chapter(
        "output",
        include_str!("output.py"),
        &[
            Row("lines", "print 100 MB", "hundred_megabytes()", &[Protocol]),
            Row("line", "print 100 MB at once", "one_line()", &[Protocol]),
            Row("streams", "print to both streams", "both_streams()", &[Protocol]),
            Row("ever", "print for ever", "for_ever()", &[Protocol, Watchdog]),
            Row("bytes", "print what is no text", "bytes_that_are_no_text()", &[Protocol]),
            Row("halves", "print halves of characters", "halves()", &[Protocol]),
            Row("nothing", "print nothing a million times", "nothing_at_all()", &[Protocol]),
            Row("figures", "draw 300 figures", "many_figures()", &[Protocol]),
            Row(
                "figure",
                "draw a figure of 60,000 pixels a side",
                "one_large_figure()",
                &[Memory, Protocol],
            ),
            Row(
                "false-figures",
                "hand in figures of 200 MB that are none",
                "figures_that_lie()",
                &[Memory, Protocol],
            ),
        ],
    ),
    Chapter(
        "kernel",
        include_str!("kernel.py"),
        &[Row("int80", "call as 32-bit programs do", "old_calls()", &[Seccomp])],
    ),
    Chapter(
        "protocol",
        include_str!("protocol.py"),
        &[
            Row("garbage", "write garbage wherever it can", "garbage()", &[Protocol]),
            Row("text", "write another protocol's words", "text()", &[Protocol]),
            Row("zeros", "write zeros", "nothing_but_zeros()", &[Protocol]),
            Row("oversize", "announce frames too large", "too_long_frames()", &[Protocol]),
            Row("half-frame", "write half a frame", "half_a_frame()", &[Protocol]),
            Row("half-length", "write half a length", "half_a_length()", &[Protocol]),
            Row("forged", "write results of its own", "forged_results()", &[Protocol]),
            Row("deep-json", "write JSON without a bottom", "deep_json()", &[Protocol]),
            Row("flood", "write frames for ever", "flood()", &[Protocol]),
            Row("trickle", "write a byte a moment", "trickle()", &[Protocol]),
            Row("child", "let a child write", "child_talks()", &[Protocol, PidNamespace]),
            Row("steal", "read what the host says", "steals_requests()", &[Protocol, Watchdog]),
            Row("non-blocking", "change the line's mode", "blocks_the_line()", &[Protocol]),
            Row("close-lines", "close the line", "closes_all()", &[Protocol]),
            Row("close-streams", "close the streams", "closes_the_streams()", &[Protocol]),
            Row("close-all", "close everything", "closes_everything()", &[Protocol]),
            Row("exchange", "exchange all descriptors", "exchanges_all()", &[Protocol]),
            Row(
                "kept-open",
                "end while a child keeps the line open",
                "keeps_the_line_open()",
                &[Protocol, Watchdog, PidNamespace],
            ),
            Row("end", "end the interpreter", "ends()", &[Protocol]),
            Row("end-thread", "end it in a thread", "ends_in_a_thread()", &[Protocol]),
            Row("kill", "kill itself", "kills_itself()", &[Protocol]),
            Row("abort", "abort", "aborts()", &[Protocol, Rlimits]),
            Row("segfault", "read where nothing is", "falls()", &[Protocol, Rlimits]),
            Row("stack", "fall off the stack", "falls_on_its_stack()", &[Protocol, Rlimits]),
            Row("exec", "become another program", "becomes_another()", &[Protocol, Watchdog]),
            Row(
                "parent",
                "ask its parent to end",
                "asks_parent_to_end()",
                &[Landlock, PidNamespace, Protocol],
            ),
            Row("builtins", "exchange what the driver calls", "spoils_the_modules()", &[Protocol]),
            Row(
                "no-builtins",
                "take away what the driver calls",
                "removes_the_builtins()",
                &[Protocol],
            ),
            Row("json", "exchange how the driver writes", "spoils_json()", &[Protocol, Watchdog]),
            Row("driver", "change the driver's variables", "spoils_the_driver()", &[Protocol]),
            Row("streams", "take away streams and modules", "spoils_the_loop()", &[Protocol]),
            Row("limits", "lower its limits to nothing", "spoils_its_limits()", &[Protocol]),
            Row("no-memory", "allow itself no memory", "takes_its_memory()", &[Protocol]),
            Row("no-time", "allow itself no time", "takes_its_time()", &[Protocol, Watchdog]),
            Row(
                "value",
                "write results while its value is shown",
                "forges_from_a_value()",
                &[Protocol],
            ),
            Row("traceless", "raise what ends when looked at", "raises_strangely()", &[Protocol]),
            Row("base", "raise what nobody catches", "raises_a_base()", &[Protocol]),
            Row("interrupt", "raise an interruption", "raises_an_interruption()", &[Protocol]),
            Row("generator", "raise a generator's end", "raises_a_generator_exit()", &[Protocol]),
            Row("cycle", "raise errors that cause each other", "raises_a_cycle()", &[Protocol]),
            Row("many", "raise ten thousand errors", "raises_many()", &[Protocol]),
            Row("chain", "raise errors over errors", "raises_deeply()", &[Protocol]),
        ],
    ),
];
